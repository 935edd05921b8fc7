"""Limits of what is read, each with a name, and texts of strangers made fit for a message.

A limit is checked before the work that it bounds, so that no small file stops the program.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ARMS", "CELL", "CELLS", "COLUMNS", "COURSES", "DEPTH", "DOCUMENT", "EXPANDED", "FOLD", "FORMULA",
    "NUMBER", "PATIENTS", "RESULTS", "ROWS", "SHEET_ROWS", "SMALL", "STUDY", "TABLE", "TIMES", "USUAL", "WEEKS",
    "TooDeepError", "deeper", "nested", "printable", "read_toml", "shown",
]  # fmt: skip

CELL = 32_767  # characters of one cell: what a cell of Excel holds
NUMBER = 200  # characters of a cell that should hold a number and its unit
COLUMNS = 16_384  # of a table: what a sheet of Excel holds
SHEET_ROWS = 1_048_576  # of a sheet: what Excel holds
ROWS = 5_000_000  # of a table in text
CELLS = 20_000_000  # of one table; each takes some 200 bytes while it is read
TABLE = 2_000_000_000  # bytes of a table in text, which is read as a whole
DOCUMENT = 500_000_000  # bytes of one JSON document, which is read as a whole; NDJSON has no limit
EXPANDED = 1_000_000_000  # bytes of all parts of a workbook together
FOLD = 200  # times that a part of a workbook may expand; tables of numbers expand about tenfold
SMALL = 10_000_000  # bytes; below it no expansion is too large
DEPTH = 100  # brackets within brackets of TOML and JSON
FORMULA = 150  # operations within operations of one formula of SBML

STUDY = 1_000_000  # bytes of a study file; the longest that ships has 13 kB
WEEKS = 520  # of a study: ten years
COURSES = 10  # earlier courses without response; trials of treatment resistance ask for up to five
PATIENTS = 100_000  # of a trial, or virtual ones of a simulation
ARMS, RESULTS, TIMES = 100, 5_000, 10_000  # of a study: arms, results, and output times or doses of one arm
USUAL = 1000.0  # times a drug's usual dose: most often the unit is wrong

_LONG = 60  # characters of a stranger's text in a message
# control characters, line separators, and the marks that turn the direction of what follows
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# each alternative ends where its string does or where the text ends, so that one pass is enough
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\\?\Z)|'
    r"'''(?:[^']|'(?!''))*+(?:'''|\Z)|"
    r'"(?:[^"\\\n]|\\.)*+"?|'
    r"'[^'\n]*+'?|#[^\n]*+|[\[{]|[\]}]|[.=,\n]",
    re.DOTALL,
)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def printable(text: str) -> str:
    r"""A text whose control characters are written as escapes, so that it can go to a terminal; lines stay.

    Examples
    --------
    >>> printable("P1\x1b[31m")
    'P1\\x1b[31m'
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(text: object, length: int = _LONG) -> str:
    r"""A stranger's text for a message: one line, without control characters, cut with its length where it is long.

    Examples
    --------
    >>> shown("5 mg" + "x" * 100_000, 8)
    '5 mgxxxx... (100004 characters)'
    """
    words = str(text)
    cut = words[:length]
    clean = printable(cut).replace("\n", "\\n").replace("\t", "\\t")
    return clean if len(words) <= length else f"{clean}... ({len(words)} characters)"


class TooDeepError(ValueError):
    """Tables or lists that stand too deep within each other."""

    def __init__(self) -> None:
        super().__init__(f"tables or lists stand more than {DEPTH} deep within each other")


def read_toml(text: str) -> dict[str, Any]:
    """TOML of a stranger, parsed once its depth is known.

    Raises
    ------
    TooDeepError
    ValueError
        If it is not valid, or holds a number of thousands of digits.
    """
    if deeper(text, toml=True):
        raise TooDeepError
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise TooDeepError from None
    if nested(found):
        raise TooDeepError
    return found


def deeper(text: str, limit: int = DEPTH, *, toml: bool = False) -> bool:
    """Whether the brackets of a JSON or TOML text stand deeper within each other than ``limit``, before it is parsed.

    A dotted key of TOML opens a table with each of its dots, for which its parser takes ever longer.

    Examples
    --------
    >>> deeper("[[1]]", 2), deeper("[[[1]]]", 2), deeper('["[[["]', 2)
    (False, True, False)
    >>> deeper("a.b.c = 1", 2, toml=True), deeper("a.b.c.d = 1.5", 2, toml=True)
    (False, True)
    """
    if text.count("[") + text.count("{") + toml * text.count(".") <= limit:
        return False
    depth = dots = 0
    for found in (_TOKEN if toml else _JSON_TOKEN).finditer(text):
        token = found[0]
        if token == ".":
            dots += 1
            if dots > limit:
                return True
        elif token in "=,\n":
            dots = 0
        elif token in "[{":
            depth += 1
            if depth > limit:
                return True
        elif token in "]}":
            depth -= 1
    return False


def nested(value: object, limit: int = DEPTH) -> bool:
    """Whether tables and lists stand deeper within each other than ``limit``: dotted keys of TOML need no bracket."""
    level: list[object] = [value]
    for _ in range(limit + 1):
        inner: list[Iterable[object]] = [
            one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))
        ]
        if not inner:
            return False
        level = [one for part in inner for one in part]
    return True
