"""The text of one cell: a number, a bound, an interval, a word for missing or below a limit; or a plain refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from crosstalk.errors import PanelError
from crosstalk.limits import NUMBER, shown

__all__ = [
    "MISSING",
    "PLAIN",
    "Cell",
    "decimal_evidence",
    "is_word",
    "read_cell",
    "read_number",
    "unclear",
    "without_thousands",
]

Kind = Literal["missing", "number", "left", "right", "interval", "below lod", "below lloq", "above", "detected"]

PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

MISSING = {"", "na", "n/a", "nan", "null", "none", ".", "missing", "not done"}
# taken as missing, and said so: they may hide that something went wrong
BROKEN = {
    **dict.fromkeys(
        ("#n/a", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"), "an error of the spreadsheet"
    ),
    "***": "a fault of the instrument (Bio-Plex)",
    "---": "a value that was taken out as an outlier (Bio-Plex)",
    "-": "a dash",
    "--": "a dash",
}
BELOW_LOD = {
    "<lod",
    "lod",
    "blod",
    "bld",
    "bdl",
    "nd",
    "n.d.",
    "n.d",
    "not detected",
    "below lod",
    "undetected",
    "undetectable",
}
BELOW_LLOQ = {
    "<lloq", "lloq", "<loq", "loq", "blq", "bloq", "bql", "below lloq", "below loq", "oor <", "oor<", "<oor",
}  # fmt: skip
ABOVE = {">uloq", "uloq", "alq", "aloq", "above uloq", "oor >", "oor>", ">oor"}
DETECTED = {"detected", "dnq", "detected, not quantified", "detected but not quantified", "<lloq, >lod"}
EXTRAPOLATED = "marked with *: extrapolated beyond the standard curve (Bio-Plex)"

# signs that look alike to people: one of each
_ALIKE = str.maketrans(
    {
        "\u2212": "-", "\ufe63": "-", "\uff0d": "-", "\u2013": "-", "\u2014": "-", "\u2010": "-", "\u2011": "-",
        "\uff1c": "<", "\ufe64": "<", "\uff1e": ">", "\ufe65": ">", "\u2026": "..",
        "\uff0b": "+", "\uff0c": ",", "\uff0e": ".",
        "\u2264": "<=", "\u2a7d": "<=", "\u2266": "<=", "\u2265": ">=", "\u2a7e": ">=", "\u2267": ">=",
        **{chr(0xFF10 + i): str(i) for i in range(10)},
    }
)  # fmt: skip
_BLANKS = "\u00a0\u2007\u2009\u202f"  # no-break, figure, thin and narrow no-break space
_BLANK = re.compile(f"[{_BLANKS}]")
# possessive repeats, so that no cell is tried in more than one way; an end of an interval stops before two points
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_NUMERAL = rf"[+-]?[.,]?[0-9][0-9.,{_BLANKS}'\u2019]*+{_EXPONENT}"
_END = rf"[+-]?[.,]?[0-9](?:[0-9,{_BLANKS}'\u2019]|\.(?!\.))*+{_EXPONENT}"
_SIGN = re.compile(r"(<=|>=|=<|=>|<|>)\s*(.*)", re.DOTALL)
_WITH_UNIT = re.compile(rf"({_NUMERAL})\s*+([A-Za-z%/µμ].*)?", re.DOTALL)
_BETWEEN = re.compile(rf"({_END})\s*+(?:\.\.(?!\.)|(?<=\s)[tT][oO]\s)\s*+({_END})\s*+([A-Za-z%/µμ].*)?", re.DOTALL)
_RANGE = re.compile(rf"{_NUMERAL}\s*+-\s*+{_NUMERAL}.*", re.DOTALL)
_MONTH = r"(?:jan|feb|mar|m\u00e4r|apr|may|mai|mrz|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*"
_DATE = re.compile(
    rf"[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}.*|[0-9]{{1,2}}[./][0-9]{{1,2}}[./][0-9]{{2,4}}|"
    rf"[0-9]{{1,2}}[-. ]{{1,2}}{_MONTH}\.?(?:[- ][0-9]+)?|{_MONTH}[-. ]{{1,2}}[0-9]{{1,4}}",
    re.IGNORECASE | re.DOTALL,
)
_GROUPED = re.compile(rf"([+-]?[0-9]{{1,3}})((?:[{_BLANKS}'\u2019][0-9]{{3}})+)((?:[.,][0-9]*)?)")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+\.[0-9]*|[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3}){2,}")
_POINT_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]*|[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_DECIMAL_POINT = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # a thousand or a thousandth
_TOKEN = re.compile(_NUMERAL)


class Cell(NamedTuple):
    """What one cell says.

    Attributes
    ----------
    kind : str
    value : float
        The number, the bound, or the lower end of an interval.
    upper : float
        The upper end of an interval.
    unit : str
        Unit that stands in the cell behind the number.
    remark : str
        Why the laboratory doubts the value.
    assumed : str
        What was made of an unusual spelling; the caller warns.
    """

    kind: Kind
    value: float = 0.0
    upper: float = 0.0
    unit: str = ""
    remark: str = ""
    assumed: str = ""


@lru_cache(maxsize=65536)
def read_cell(text: str, decimal: str = ".") -> Cell:
    """Read the text of a value.

    Parameters
    ----------
    text : str
    decimal : {".", ","}
        The decimal sign of the file.

    Raises
    ------
    PanelError
        If it is none of these, or could be two different numbers.

    Examples
    --------
    >>> read_cell("<0.11").kind, read_cell("0.11..0.5").upper, read_cell("5.7 %").unit, read_cell("1,5", ",").value
    ('left', 0.5, '%', 1.5)
    """
    _check_length(text)
    plain = text.translate(_ALIKE).strip(f" \t\r\n{_BLANKS}")
    word = " ".join(_BLANK.sub(" ", plain).lower().split()).replace("< ", "<").replace("> ", ">")
    found = _word(text, word)
    if found is not None:
        return found
    sign = _SIGN.fullmatch(plain)
    between = _BETWEEN.fullmatch(plain)
    if sign is not None:
        value, unit, assumed = _with_unit(text, sign[2], decimal)
        return Cell("left" if "<" in sign[1] else "right", value, 0.0, unit, "", assumed)
    if between is not None:
        low, first = read_number(between[1], decimal)
        high, second = read_number(between[2], decimal)
        if low >= high:
            raise PanelError(f"received '{shown(text)}', whose lower end is not below its upper end; correct it")
        unit = (between[3] or "").strip()
        return Cell("interval" if low > 0 else "left", low or high, high, unit, "", first or second)
    starred = plain.startswith("*")
    value, unit, assumed = _with_unit(text, plain.lstrip("*").lstrip() if starred else plain, decimal)
    return Cell("number", value, 0.0, unit, EXTRAPOLATED if starred else "", assumed)


def is_word(text: str) -> bool:
    """Whether a cell is a word such as ND or <LOD, not a number.

    Examples
    --------
    >>> is_word("BLQ"), is_word("<0.4")
    (True, False)
    """
    return _word(text, " ".join(text.lower().split()).replace("< ", "<").replace("> ", ">")) is not None


def _check_length(text: str) -> None:
    if len(text) > NUMBER:
        raise PanelError(f"received '{shown(text)}'; expected a number such as 1.5, <0.11 or >500")


def _word(text: str, word: str) -> Cell | None:
    if word in MISSING:
        return Cell("missing")
    if word in BROKEN:
        return Cell("missing", assumed=f"'{text.strip()}' is {BROKEN[word]}; taken as missing")
    if word in BELOW_LOD:
        return Cell("below lod")
    if word in BELOW_LLOQ:
        return Cell("below lloq")
    if word in ABOVE:
        return Cell("above")
    return Cell("detected") if word in DETECTED else None


def _with_unit(text: str, rest: str, decimal: str) -> tuple[float, str, str]:
    match = _WITH_UNIT.fullmatch(rest.strip())
    if match is None or _DATE.fullmatch(rest.strip()):
        raise PanelError(_refusal(text, rest.strip()))
    value, assumed = read_number(match[1].rstrip(_BLANKS), decimal)
    return value, _BLANK.sub(" ", match[2] or "").strip(), assumed


def _refusal(text: str, rest: str) -> str:
    if _DATE.fullmatch(rest):
        return (
            f"received '{shown(text)}', a date; expected a number (spreadsheets turn 3.1 into a date: format the "
            f"column as text and enter it again)"
        )
    if _RANGE.fullmatch(rest):
        return f"received '{shown(text)}'; write 0.11..0.5 for a value between the two"
    return f"received '{shown(text)}'; expected a number such as 1.5, <0.11 or >500"


def read_number(text: str, decimal: str = ".") -> tuple[float, str]:
    """Read a number of 0 or more: its value, and what had to be assumed about its spelling.

    Raises
    ------
    PanelError
        If it is no number, is negative or infinite, or could be a thousand or a thousandth.
    """
    _check_length(text)
    plain, assumed = text.translate(_ALIKE).strip(), ""
    grouped = _GROUPED.fullmatch(plain)
    if grouped is not None:
        plain = grouped[1] + re.sub(r"[^0-9]", "", grouped[2]) + grouped[3]
        assumed = f"'{text}' is read as {plain}: the mark between its digits separates thousands"
    groups, other = (_COMMA_GROUPS, ",") if decimal == "." else (_POINT_GROUPS, ".")
    if groups.fullmatch(plain):
        plain = plain.replace(other, "")
        assumed = f"'{text}' is read as {plain.replace(',', '.')}: the {_NAMES[other]} separates thousands"
    if other in plain and (_DECIMAL_COMMA if other == "," else _DECIMAL_POINT).fullmatch(plain):
        raise PanelError(_ambiguous(text, plain, decimal))
    if decimal == ",":
        plain = plain.replace(",", ".")
    if not PLAIN.fullmatch(plain):
        raise PanelError(f"received '{shown(text)}'; expected a number such as 1.5, <0.11 or >500")
    value = float(plain)
    if value == float("inf") or value == float("-inf"):
        raise PanelError(f"received '{shown(text)}', which is not finite; expected a number")
    if value < 0:
        raise PanelError(f"received '{shown(text)}', which is negative; expected 0 or more")
    return value, assumed


_NAMES = {",": "comma", ".": "point"}


def _ambiguous(text: str, plain: str, decimal: str) -> str:
    if decimal == ",":
        return f"received '{shown(text)}' with a point in a file of decimal commas; write 1,5 for one and a half"
    if _EITHER.fullmatch(plain):
        both = f"{plain.replace(',', '.')} or {plain.replace(',', '')}"
        return f"received '{shown(text)}' with a comma, which may be {both}; write the one that is meant"
    return f"received '{shown(text)}' with a comma; write 1.5 for one and a half and 1500 for fifteen hundred"


def decimal_evidence(texts: Iterable[str]) -> tuple[str, str]:
    """The first text that can only be written with a decimal comma, and the first with a decimal point; "" for none.

    Examples
    --------
    >>> decimal_evidence(["1,234", "<0,4", "7"])
    ('<0,4', '')
    """
    comma = point = ""
    for text in texts:
        for token in _TOKEN.findall(text.translate(_ALIKE)):
            plain = re.sub(rf"[{_BLANKS}'\u2019]", "", token)
            if _EITHER.fullmatch(plain):
                continue
            if not comma and "," in plain and (_DECIMAL_COMMA.fullmatch(plain) or _POINT_GROUPS.fullmatch(plain)):
                comma = text
            if not point and "." in plain and (_DECIMAL_POINT.fullmatch(plain) or _COMMA_GROUPS.fullmatch(plain)):
                point = text
        if comma and point:
            break
    return comma, point


def without_thousands(text: str, decimal: str) -> str:
    """A text without the other sign than the decimal one, where that can only part thousands.

    Examples
    --------
    >>> without_thousands("<12.500", ","), without_thousands("1,234", "."), without_thousands("12.5", ",")
    ('<12500', '1234', '12.5')
    """
    other = "." if decimal == "," else ","
    return _THOUSANDS[other].sub(lambda m: m[0].replace(other, ""), text) if other in text else text


_THOUSANDS = {
    sign: re.compile(rf"(?<![0-9.,])[1-9][0-9]{{0,2}}(?:[{sign}][0-9]{{3}})+(?![0-9{sign}])") for sign in ".,"
}


def unclear(text: str) -> bool:
    """Whether a text holds a number that may be a thousand or a thousandth, by the points in it.

    Examples
    --------
    >>> unclear("12.500"), unclear("<1.250"), unclear("0.125"), unclear("12.5")
    (True, True, False, False)
    """
    return "." in text and any(_EITHER.fullmatch(token) for token in _TOKEN.findall(text.translate(_ALIKE)))
