"""Bio-Plex Manager: the sheet of observed concentrations, and workbooks with a sheet for each analyte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Role, Well, well_name
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.text import decimal_sign, decode, load, number, split
from crosstalk.panel.vocabulary import words

__all__ = ["FORMATS", "plates"]

PLATFORM = "Bio-Plex"
# codes of wells in the column Type, before their number
ROLES: dict[str, Role] = {"X": "sample", "S": "standard", "ES": "standard", "C": "control", "B": "blank"}
FIXED = {"type", "well", "outlier", "description", "sampling errors", "group", "ratio", "dilution", "region", "gate",
         "bead count", "agg beads"}  # fmt: skip
# columns of the sheet of one analyte
OBSERVED = ("obs conc", "observed concentration", "obs conc.")
_CODE = re.compile(r"(X|S|ES|C|B)\d*", re.IGNORECASE)
_REGION = re.compile(r"\s*\(\d+\)\s*$")
_UNIT = re.compile(r"\b((?:p|n|u|µ|m)?g/(?:m|d)?l|(?:p|n|u|µ|m)M)\b", re.IGNORECASE)


@dataclass
class _Sheet:
    """One sheet while it is read."""

    title: str
    rows: list[tuple[str, list[str]]]
    head: dict[str, str] = field(default_factory=dict)


def plates(path: Path) -> tuple[Plate, ...]:
    """The plate of an export of Bio-Plex Manager (CSV, TXT, xlsx).

    Raises
    ------
    PanelError
        If no table of wells is found, or a well could be misread.
    """
    content = load(path)
    sheets = list(_sheets(path, content))
    wells: list[Well] = []
    units: dict[str, str] = {}
    name = path.stem
    when = ""
    for sheet in sheets:
        at = next((i for i, (_, row) in enumerate(sheet.rows) if _is_header(row)), -1)
        if at < 0:
            continue
        sheet.head = _head(sheet.rows[:at])
        name = sheet.head.get("file name", name)
        when = sheet.head.get("acquisition date", when)
        found, own = _wells(path, sheet, at)
        wells += found
        units |= own
    if not wells:
        raise PanelError(f"{path}: holds no row of a well below Type, Well and Description; export the plate anew")
    twice: dict[tuple[str, str], str] = {}
    for well in wells:
        first = twice.setdefault((well.location, well.analyte), well.place)
        if first != well.place:
            raise PanelError(
                f"{path}, {well.place}: well {well.location}, {well.analyte} stands twice, first at {first}; keep one"
            )
    return (Plate(str(path), name, PLATFORM, "", when, "Bio-Plex Manager", units, tuple(wells), content=content),)


def _sheets(path: Path, content: bytes) -> Iterator[_Sheet]:
    if content.startswith(b"PK\x03\x04"):
        from crosstalk.panel.workbook import cell_text, numbered, opened

        with opened(path, content) as book:
            for sheet in book.worksheets:
                yield _Sheet(sheet.title, [(f"sheet '{sheet.title}', row {n}", [cell_text(c) for c in row])
                                           for n, row in numbered(path, sheet)])  # fmt: skip
        return
    text = decode(path, content)
    separator = max("\t;,", key=text.count)
    yield _Sheet("", [(f"line {n}", cells) for n, line in enumerate(text.splitlines(), 1)
                      if any(cells := split(line, separator))])  # fmt: skip


def _is_header(row: Sequence[str]) -> bool:
    return {"type", "well", "description"} <= {words(cell) for cell in row}


def _head(rows: Sequence[tuple[str, list[str]]]) -> dict[str, str]:
    found = {}
    for _, row in rows:
        for cell in row:
            key, sign, text = cell.partition(":")
            if sign and text.strip():
                found[words(key)] = text.strip()
    return found


def _wells(path: Path, sheet: _Sheet, at: int) -> tuple[list[Well], dict[str, str]]:
    header = sheet.rows[at][1]
    names = [words(cell) for cell in header]
    twice = next((header[i] for i, n in enumerate(names) if n and n in names[:i]), None)
    if twice is not None:
        raise PanelError(f"{path}, {sheet.rows[at][0]}: column '{twice}' stands twice; export the plate anew")
    one = next((i for i, n in enumerate(names) if n.startswith("obs conc")), -1)
    analytes = {one: sheet.head.get("analyte", sheet.title)} if one >= 0 else {
        i: cell for i, cell in enumerate(header) if cell and names[i] not in FIXED
    }  # fmt: skip
    if one >= 0 and not analytes[one]:
        raise PanelError(f"{path}, {sheet.rows[at][0]}: the sheet names no analyte; export it with its header")
    decimal = decimal_sign(path, (c for _, row in sheet.rows[at + 1 :] for c in row), "" if sheet.title else ";")
    plain = {i: _REGION.sub("", name).strip() for i, name in analytes.items()}
    said = " ".join([*sheet.head.values(), *header])
    unit = match[1] if (match := _UNIT.search(said)) else ""
    wells: list[Well] = []
    for place, row in sheet.rows[at + 1 :]:
        cells = row + [""] * (len(header) - len(row))
        match = _CODE.fullmatch(cells[names.index("type")].strip())
        if match is None:
            continue  # a note below the table
        if len(row) > len(header) or (len(row) < len(header) and not sheet.title):
            raise PanelError(
                f"{path}, {place}: has {len(row)} columns, expected {len(header)} as in the header; a separator is "
                f"lost or added; export the table anew"
            )
        for i in analytes:
            wells += _of(path, place, cells, names, i, plain[i], ROLES[match[1].upper()], decimal, one >= 0)
    return wells, dict.fromkeys(plain.values(), unit)


def _of(
    path: Path, place: str, cells: Sequence[str], names: Sequence[str], i: int, analyte: str, role: Role, decimal: str,
    alone: bool,
) -> Iterator[Well]:  # fmt: skip
    def cell(*wanted: str) -> str:
        return next((cells[names.index(w)] for w in wanted if w in names), "")

    text, remarks = cells[i].strip(), []
    outlier = cell("outlier").strip() not in ("", "0", "no", "false")
    if text.startswith("*") and number(text.lstrip("* "), decimal) is not None:
        text = text.lstrip("* ")
        remarks.append("extrapolated beyond the standard curve (* of Bio-Plex)")
    if text in ("---",) or outlier:
        remarks.append(EXCLUDED)
        text = "" if text == "---" else text
    value = number(text, decimal)
    dilution = number(cell("dilution"), decimal)
    if cell("dilution").strip() and (dilution is None or dilution <= 0):
        raise PanelError(f"{path}, {place}: received the dilution '{cell('dilution')}'; expected a number above 0")
    locations = [well_name(w) for w in cell("well").split(",")]
    if not all(locations):
        raise PanelError(f"{path}, {place}: received the well '{cell('well')}'; expected one such as A3 or A3,B3")
    expected = number(cell("exp conc", "exp conc."), decimal) if alone else None
    reported = text if value is None else f"{value:.12g}"
    signal = number(cell("fi"), decimal) if alone else None
    count = number(cell("bead count"), decimal) if alone else None
    # several wells in one row are their mean: one well stands for them
    yield Well(
        locations[0], cell("description"), role, analyte, signal,
        number(cell("fi bkgd"), decimal) if alone else None, None if count is None else int(count),
        dilution or 1.0, expected, reported, place, tuple(remarks),
    )  # fmt: skip


def _sign(look: Look) -> bool:
    return look.holds("type", "well", "description") and not look.holds("sample", "well")


def _is_xml(look: Look) -> bool:
    return look.text.startswith("<") and "bio-plex" in look.text[:4096].lower()


FORMATS = (
    Format("bioplex-xml", "an XML export of Bio-Plex Manager", _is_xml, rank=18,
           refused="export the concentrations as xlsx (Report Table, or Export to Excel)"),
    Format("bioplex", "Bio-Plex Manager (xlsx, CSV, TXT)", _sign, plates=plates, kit=True, rank=19),
)  # fmt: skip
