"""What a spreadsheet shows of a number: its format may add ``<``, a unit or a percent sign, or put a word in place."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from crosstalk.errors import PanelError

__all__ = ["formatted"]

_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\]")
_DIGITS = re.compile(r"[0#?]")
_COMPARE = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b,
}  # fmt: skip
# shown as they are: they say nothing of the number
_PLAIN = set(" ()-+:$\u20ac\u00a3\u00a5~")


class _Section(NamedTuple):
    before: str
    after: str
    digits: bool
    percent: bool
    scaled: bool
    condition: tuple[str, float] | None
    general: bool


@lru_cache(maxsize=512)
def _sections(code: str) -> tuple[_Section, ...]:
    return tuple(_section(part) for part in _split(code))


def _split(code: str) -> list[str]:
    """The parts of a format between semicolons that are no literals."""
    parts, at, quoted = [""], 0, False
    while at < len(code):
        sign = code[at]
        if sign == '"':
            quoted = not quoted
        elif sign == "\\" and not quoted:
            parts[-1] += code[at : at + 2]
            at += 2
            continue
        if sign == ";" and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
        at += 1
    return parts


def _section(part: str) -> _Section:
    found = _CONDITION.search(part)
    condition = (found[1], float(found[2])) if found else None
    coloured = "[" in part
    part = re.sub(r"\[(?!\$)[^\]]*\]", "", part)
    part = re.sub(r"\[\$([^\]-]*)[^\]]*\]", r"\1", part)  # currency
    before, after, percent, digits, scaled, at = "", "", False, False, False, 0
    general = "general" in part.lower() or part.strip() == "@" or (coloured and not part.strip())
    part = re.sub("general", "0", part, flags=re.IGNORECASE)
    while at < len(part):
        sign, literal = part[at], ""
        if sign == '"':
            end = part.find('"', at + 1)
            end = len(part) if end < 0 else end
            literal, at = part[at + 1 : end], end
        elif sign == "\\":
            literal, at = part[at + 1 : at + 2], at + 1
        elif sign in "_*":
            at += 1  # room of the next sign, or a filling
        elif _DIGITS.match(sign):
            digits = True
        elif sign == "%":
            percent = True
        elif sign == ",":
            scaled = scaled or not re.match(r",+[^#0?]*[#0?]", part[at:])
        elif sign in "eE" and part[at + 1 : at + 2] in ("+", "-"):
            at += 1
        elif sign not in "./@":
            literal = sign
        if digits:
            after += literal
        else:
            before += literal
        at += 1
    return _Section(before.strip(), after.strip(), digits, percent, scaled and digits, condition, general)


def formatted(value: float, code: str, text: str) -> str:
    """The number as a person sees it, with all its digits.

    Parameters
    ----------
    value : float
    code : str
        The number format of the cell.
    text : str
        The number with all its digits.

    Raises
    ------
    PanelError
        If the format changes what the number says in a way that cannot be told in a cell.

    Examples
    --------
    >>> formatted(0.15, '"<"0.00', "0.15"), formatted(0.057, "0.0%", "0.057"), formatted(5.2, '0.0" mg/L"', "5.2")
    ('<0.15', '5.7%', '5.2 mg/L')
    >>> formatted(0.1, '[<0.15]"<0.15";0.00', "0.1"), formatted(5, '0.0"%"', "5")
    ('<0.15', '5 %')
    """
    if code in ("", "General", "@") or not re.search(r"[^0#?.,]", code):
        return _refuse(value, code) if code.endswith(",") else text
    sections = _sections(code)
    section = _choose(sections, value)
    if section.general and not section.before and not section.after:
        return text
    if not section.digits:
        words = f"{section.before}{section.after}"
        return words if words else _refuse(value, code)
    if section.scaled:
        return _refuse(value, code)
    if section.percent:
        text = f"{float(f'{value * 100:.12g}')!r}%"
        text = text.replace(".0%", "%") if text.endswith(".0%") else text
    before = "".join(sign for sign in section.before if sign not in _PLAIN)
    after = section.after.strip(" ()-+:$\u20ac\u00a3\u00a5~")
    if before and not re.fullmatch(r"[<>\u2264\u2265=*]+", before):
        return _refuse(value, code)
    return f"{before.replace('=', '') if before in ('=',) else before}{text}{' ' + after if after else ''}"


def _choose(sections: tuple[_Section, ...], value: float) -> _Section:
    conditional = [s for s in sections if s.condition is not None]
    if conditional:
        for s in sections:
            if s.condition is None or _COMPARE[s.condition[0]](value, s.condition[1]):
                return s
        return sections[-1]
    if value < 0 and len(sections) > 1:
        return sections[1]
    if value == 0 and len(sections) > 2:
        return sections[2]
    return sections[0]


def _refuse(value: float, code: str) -> str:
    raise PanelError(
        f"the cell holds {value:g} and its number format ({code}) shows it in another way; write it as it is meant, in "
        f"the format General"
    )
