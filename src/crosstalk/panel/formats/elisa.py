"""ELISA plates of SoftMax Pro and Gen5: tables of samples with results. They name no analyte: a map does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Role, Well, role_of_name, well_name
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.text import decimal_sign, decode, load, number, split
from crosstalk.panel.vocabulary import words

__all__ = ["FORMATS", "gen5_plates", "softmax_plates"]

ROLES: dict[str, Role] = {"std": "standard", "spl": "sample", "blk": "blank", "ctl": "control", "ctrl": "control",
                          "smp": "sample", "unk": "sample"}  # fmt: skip
# columns of both programs, in words
SAMPLE = ("sample", "name", "sample name", "sample id")
WELLS = ("wells", "well")
RESULT = ("adj result", "adjresult", "result", "conc", "concentration", "adj conc", "adjconc", "conc x dilution")
SIGNAL = ("values", "value", "od", "mean od", "blank 450")
EXPECTED = ("concentration", "conc", "expected", "conc dil", "std conc")
DILUTION = ("dilution", "dilution factor", "conc dil")
_UNIT = re.compile(r"\b((?:p|n|u|µ|m)?g/(?:m|d)?l|(?:p|n|u|µ|m)mol/l|(?:p|n|u|µ|m)M|m?IU/m?l)\b", re.IGNORECASE)
_MASKED = ("masked", "*****", "?????", "")
_OUT = re.compile(r"range|ovrflw|overflow", re.IGNORECASE)


@dataclass
class _Found:
    """The wells of one file, and the one unit of its results."""

    path: Path
    decimal: str
    name: str
    sheet: bool = False  # whose empty cells at the end are not stored
    wells: list[Well] = field(default_factory=list)
    unit: str = ""

    def check(self, place: str, row: Sequence[str], header: Sequence[str]) -> None:
        """A row with more or fewer columns than its header may hold its values under other names."""
        if len(row) > len(header) or (len(row) < len(header) and not self.sheet):
            raise PanelError(
                f"{self.path}, {place}: has {len(row)} columns, expected {len(header)} as in its header; a separator "
                f"is lost or added; export the table anew"
            )

    def with_unit(self, text: str, place: str) -> None:
        match = _UNIT.search(text)
        if match and self.unit and match[1].lower() != self.unit.lower():
            raise PanelError(f"{self.path}, {place}: results in {match[1]} and in {self.unit}; export one plate alone")
        if match:
            self.unit = match[1]


def _plate(found: _Found, content: bytes, software: str, when: str) -> tuple[Plate, ...]:
    if not found.wells:
        raise PanelError(
            f"{found.path}: holds no table of samples with a result; export the group table with Sample, Wells and "
            f"Result (SoftMax Pro) or the table of statistics with concentrations (Gen5)"
        )
    told = () if found.unit else (
        f"{found.path}: no unit stands in the export; a map says it, as in [tests] '{found.name}' = {{ is = 'IL-6', "
        f"unit = 'pg/mL' }}",
    )  # fmt: skip
    return (
        Plate(str(found.path), found.name, f"ELISA ({software})", "", when, software, {found.name: found.unit},
              tuple(found.wells), warnings=told, content=content),
    )  # fmt: skip


def _rows(path: Path) -> tuple[list[tuple[str, list[str]]], bytes, str]:
    content = load(path)
    if content.startswith(b"PK\x03\x04"):
        from crosstalk.panel.workbook import cell_text, numbered, opened

        with opened(path, content) as book:
            return [
                (f"sheet '{sheet.title}', row {n}", [cell_text(c) for c in row])
                for sheet in book.worksheets for n, row in numbered(path, sheet)
            ], content, "."  # fmt: skip
    text = decode(path, content)
    separator = max("\t;,", key=text.count)
    rows = [(f"line {n}", cells) for n, line in enumerate(text.splitlines(), 1) if any(cells := split(line, separator))]
    return rows, content, decimal_sign(path, (c for _, row in rows for c in row), separator)


# SoftMax Pro


def softmax_plates(path: Path) -> tuple[Plate, ...]:
    """The plate of a text export of SoftMax Pro: its groups of standards and unknowns.

    Raises
    ------
    PanelError
        If no group has a column of results.
    """
    rows, content, decimal = _rows(path)
    name, group = path.stem, ""
    header: list[str] = []
    found = _Found(path, decimal, name, content.startswith(b"PK"))
    at = ("", "")
    for place, row in rows:
        first = row[0]
        if first.startswith("Plate:") and len(row) > 1:
            found.name = row[1] or found.name
        if first.startswith("Group:"):
            group, header = (first.partition(":")[2].strip() or (row[1] if len(row) > 1 else "")), []
        elif first.startswith(("~End", "Plate:", "Note", "Group Column", "Group Summar")):
            group, header = ("", []) if not first.startswith("Group") else (group, [])
            if first.startswith("Group"):
                group = ""
        elif group and not header:
            if _columns(row):
                header = row
        elif header:
            at = _group_row(found, place, row, header, group, at)
    return _plate(found, content, "SoftMax Pro", "")


def _columns(row: Sequence[str]) -> bool:
    names = {_plain(c) for c in row}
    return bool(names & {*SAMPLE}) and bool(names & {*WELLS})


def _plain(cell: str) -> str:
    """The name of a column without its unit."""
    return words(_UNIT.sub("", re.sub(r"[\[\](){}]", " ", cell)))


def _cell(row: Sequence[str], header: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """The first of some columns: its title and cell."""
    plain = [_plain(c) for c in header]
    for name in names:
        if name in plain and plain.index(name) < len(row):
            i = plain.index(name)
            return header[i], row[i].strip()
    return "", ""


def _group_row(
    found: _Found, place: str, row: Sequence[str], header: Sequence[str], group: str, at: tuple[str, str]
) -> tuple[str, str]:
    _, well = _cell(row, header, WELLS)
    location = well_name(well)
    if not location:
        return at
    found.check(place, row, header)
    _, name = _cell(row, header, SAMPLE)
    name = name or at[0]  # replicates name their sample once
    standards = re.match(r"stand|calib", group, re.IGNORECASE)
    role: Role = "standard" if standards else "control" if re.match(r"contr|qc", group, re.IGNORECASE) else (
        "blank" if re.match(r"blank", group, re.IGNORECASE) else role_of_name(name)
    )  # fmt: skip
    title, result = ("", "") if standards else _cell(row, header, RESULT)
    found.with_unit(title, place)
    _, stated = _cell(row, header, EXPECTED)
    factor = _cell(row, header, DILUTION)[1] or at[1] if not standards else ""
    _well(found, place, location, name, role, _cell(row, header, SIGNAL)[1], result, title,
          stated if standards else "", factor)  # fmt: skip
    return name, factor


def _well(
    found: _Found, place: str, location: str, name: str, role: Role, signal: str, result: str, title: str,
    expected: str, factor: str,
) -> None:  # fmt: skip
    """Keep one well; the number of an unadjusted result is multiplied by its dilution."""
    remarks: list[str] = []
    plain = result.strip()
    if plain.lower().startswith("masked"):
        remarks.append(EXCLUDED)
        plain = ""
    if plain in _MASKED:
        plain = ""
    if _OUT.search(plain) and number(plain, found.decimal) is None and plain[:1] not in "<>":
        remarks.append("out of the range of the standards")
        plain = ""
    dilution = number(factor, found.decimal)
    if factor and (dilution is None or dilution <= 0):
        raise PanelError(f"{found.path}, {place}: received the dilution '{factor}'; expected a number above 0")
    value = number(plain.lstrip("<> "), found.decimal)
    if value is not None:
        sign = plain[:1] if plain[:1] in "<>" else ""
        adjusted = _plain(title).startswith("adj") or "dilution" in _plain(title)
        # a bound of the plate is multiplied where the wells of a sample are taken together
        times = dilution if dilution and not adjusted and not sign else 1.0
        plain = f"{sign}{value * times:.12g}"
    given = number(expected, found.decimal)
    found.wells.append(
        Well(location, name, role, found.name, number(signal, found.decimal), None, None, dilution or 1.0,
             given, plain, place, tuple(remarks))
    )  # fmt: skip


# Gen5


def gen5_plates(path: Path) -> tuple[Plate, ...]:
    """The plate of an export of Gen5: the table with Well ID, Well and a concentration.

    Raises
    ------
    PanelError
        If there is no such table.
    """
    rows, content, decimal = _rows(path)
    head = {words(row[0]): " ".join(c for c in row[1:] if c) for _, row in rows if row and row[0].rstrip(":")}
    plate = head.get("plate number") or path.stem
    found = _Found(path, decimal, plate if plate != "Plate 1" else path.stem, content.startswith(b"PK"))
    header: list[str] = []
    at = ("", "", "")  # id, name, concentration or dilution
    for place, row in rows:
        if "well id" in {_plain(c) for c in row} and "well" in {_plain(c) for c in row}:
            header = row
            continue
        if not header:
            continue
        well = well_name(_cell(row, header, ("well",))[1])
        if not well:
            continue
        found.check(place, row, header)
        own = (
            _cell(row, header, ("well id",))[1],
            _cell(row, header, ("name",))[1],
            _cell(row, header, ("conc dil",))[1],
        )
        at = own if own[0] else at  # replicates leave it out
        code = re.match(r"[A-Za-z]+", at[0])
        role = ROLES.get(code[0].lower() if code else "", role_of_name(at[1] or at[0]))
        column = next((c for c in header if re.search(r"conc", c, re.IGNORECASE) and _plain(c) != "conc dil"
                       and not re.search(r"mean|std|cv|count", c, re.IGNORECASE)), "")  # fmt: skip
        if not column:
            raise PanelError(f"{path}, {place}: the table has no column of concentrations; export it with them")
        found.with_unit(column, place)
        result = row[header.index(column)] if header.index(column) < len(row) else ""
        signal = next((row[i] for i, c in enumerate(header) if i < len(row) and re.fullmatch(
            r"(?:blank )?\d{3}(?: ?[-:].*)?|od.*", words(c))), "")  # fmt: skip
        factor = at[2] if role == "sample" else ""
        _well(found, place, well, at[1] or at[0], role, signal, "" if role == "standard" else result,
              column, at[2] if role == "standard" else "", factor)  # fmt: skip
    return _plate(found, content, "Gen5", head.get("date", ""))


def _is_softmax(look: Look) -> bool:
    return look.text.startswith("##BLOCKS=")


def _is_gen5(look: Look) -> bool:
    return look.says(r"^\W*(?:Software Version\W+[\d.]+(?s:.{0,600})Reader Type|Gen5)") or (
        look.holds("well id", "well", "conc/dil")
    )


FORMATS = (
    Format("softmax", "SoftMax Pro (text), ELISA", _is_softmax, plates=softmax_plates, kit=True, rank=41),
    Format("gen5", "Gen5 (text, xlsx), ELISA", _is_gen5, plates=gen5_plates, kit=True, rank=42),
)
