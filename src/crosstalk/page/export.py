"""The page as one file: template, style, modules and data put together, with a policy that lets nothing out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from crosstalk.errors import OutputError
from crosstalk.page.data import PageData

__all__ = ["LARGEST", "MODULES", "page_html"]

STATIC = Path(__file__).with_name("static")
MODULES = (
    "numbers", "estimator", "library", "weigh", "forecast", "elements", "charts", "state", "form", "sources", "app",
)  # fmt: skip
"""In the order in which they need each other."""
LARGEST = 3_000_000  # bytes of the file, so that a mail carries it
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w-]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class))", re.MULTILINE)


def page_html(data: PageData, *, accuracy: str = "") -> str:
    """Make the page.

    Parameters
    ----------
    accuracy : str
        How far the page's figures lie from the full forecast, in words.

    Raises
    ------
    OutputError
        If the page would be larger than `LARGEST`.
    """
    header = {**data.header, "accuracy": accuracy}
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    reference = next(r["name"] for r in header["regimens"] if r["id"] == header["reference"])
    text = Template((STATIC / "page.html").read_text(encoding="utf-8")).substitute(
        style=(STATIC / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{digest}",
        header=_json(header),
        tables=data.text,
        weeks=header["weeks"],
        reference=escape(reference),
        calibration=escape(_calibration(header)),
        footer=escape(
            f"Crosstalk {header['crosstalk']}, {header['worldsWords']}; model {header['model'][:12]}, knowledge "
            f"{header['knowledge'][:12]}. This page works without a network and sends nothing."
        ),
    )
    size = len(text.encode())
    if size > LARGEST:
        raise OutputError(
            f"the page would have {size:,} bytes, more than {LARGEST:,}; leave regimens out, or ask for fewer "
            "--virtual-patients"
        )
    return text


def _script() -> str:
    """All modules as one: in one file they cannot import each other by name."""
    parts = []
    for name in MODULES:
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        parts.append(_EXPORT.sub("", _IMPORT.sub("", text)))
    return "\n" + "\n".join(parts)


def _json(header: Mapping[str, Any]) -> str:
    r"""JSON that may stand in a script element: no ``<`` ends it."""
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _calibration(header: Mapping[str, Any]) -> str:
    return "" if header["calibrated"] else "Uncalibrated: most constants of the model are assumed."
