"""CSV for spreadsheets: a text that a spreadsheet would run as a formula is written with an apostrophe before it.

`escape` on writing and `unescape` on reading are each other's inverse. Numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["escape", "frame_csv", "rows_csv", "unescape"]

# = + - @ and their full-width forms, which some programs take for them; characters that a spreadsheet skips
_START = "=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n"
_DANGEROUS = re.compile(f"'*[{_START}]")
_ESCAPED = re.compile(f"'+[{_START}]")


def escape(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    References
    ----------
    OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection

    Examples
    --------
    >>> escape("=1+1"), escape("-2+3"), escape("P1"), escape("'s")
    ("'=1+1", "'-2+3", 'P1', "'s")
    """
    return f"'{text}" if _DANGEROUS.match(text) else text


def unescape(text: str) -> str:
    """The text that `escape` made a cell of; other cells are what they are.

    Examples
    --------
    >>> unescape("'=1+1"), unescape("'s")
    ('=1+1', "'s")
    """
    return text[1:] if _ESCAPED.match(text) else text


def rows_csv(header: Sequence[str], rows: Iterable[Sequence[str | float | int | None]]) -> str:
    """Rows as CSV: texts escaped, numbers as they are, None empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape(name) for name in header])
    writer.writerows([escape(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def frame_csv(frame: pd.DataFrame, *, separator: str = ",", number: str | None = None) -> str:
    r"""A data frame as CSV without its index: texts escaped, numbers by the format ``number``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame_csv(pd.DataFrame({"patient": ["-2+3", "A"], "change": [-4.0, 1.5]}))
    "patient,change\n'-2+3,-4.0\nA,1.5\n"
    """
    safe = frame.rename(columns=lambda name: escape(str(name)))
    for at, kind in enumerate(safe.dtypes):
        if kind.kind not in "biufcM":
            column = safe.iloc[:, at]
            cells = [escape(cell) if isinstance(cell, str) else cell for cell in column]
            safe.isetitem(at, cells)
    return str(safe.to_csv(index=False, sep=separator, float_format=number, lineterminator="\n"))
