"""Exports of Meso Scale Discovery: the tables of Discovery Workbench and the plate maps of Methodical Mind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.limits import SHEET_ROWS
from crosstalk.panel.entries import Reading
from crosstalk.panel.plates.methodical_mind import DATA, assay_of, maps_of
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Role, Well, entries_of, role_of_name, well_name
from crosstalk.panel.text import concentration, decimal_sign, decode, load, number, split
from crosstalk.panel.workbook import numbered, opened

__all__ = ["is_msd", "plates", "read", "recognises"]

# field: the names that its column has had, in lower case
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "sample": ("sample", "sample id", "sample name"),
    "assay": ("assay", "analyte"),
    "well": ("well",),
    "spot": ("spot",),
    "plate": ("plate name", "plate", "plate id", "barcode", "barcode1"),
    "group": ("sample group", "sample type"),
    "dilution": ("dilution", "dilution factor"),
    "expected": ("concentration", "standard concentration", "known concentration"),
    "signal": ("signal",),
    "net": ("adjusted signal",),
    "reported": ("calc. concentration", "calc concentration", "calculated concentration"),
    "range": ("detection range",),
    "excluded": ("excluded",),
    "lod": ("detection limits: calc. low", "lod", "llod"),
    "unit": ("unit", "units", "concentration unit", "concentration units"),
}
GROUPS: Mapping[str, Role] = {
    "standard": "standard",
    "calibrator": "standard",
    "control": "control",
    "blank": "blank",
    "unknown": "sample",
    "sample": "sample",
}
CODES: Mapping[str, Role] = {"S": "standard", "C": "control", "B": "blank", "U": "sample"}  # S001 ... of the software
IN_RANGE = {"", "in detection range", "in range"}
UNCUT = 2**31  # width of a row of a sheet, which cannot be cut off
LOOK = 60  # rows in which the header of a table must stand
LONGEST = 200  # characters of a title; patterns search longer texts for seconds
_UNIT = re.compile(r"(.*?)\s*[\[(]?\s*([A-Za-zµμ]+/[A-Za-zµμ]+)\s*[\])]?$")
_CODE = re.compile(r"([SCBU])\d{3}")
_TITLE = re.compile(r"(unknown|standard|control|calibrator|blank|sample)s?\s*:\s*(.+)", re.IGNORECASE)
# words of MSD's own columns and headers
_OWN = re.compile(
    r"^(?:spot|detection range|calc\.? concentration.*|calc\.? conc.*|adjusted signal|detection limits: .*|"
    r"msd .*|plate_.*|[VUSR]-?PLEX.*)$|"
    r"\bMSD\b|Meso ?Scale|Discovery Workbench|\b[VUSR]-PLEX\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    width: int  # with the empty cells at its end
    cells: Sequence[str]
    sheet: str = ""


@dataclass
class _Open:
    """A plate of Discovery Workbench while its rows are read."""

    name: str
    wells: list[Well] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    lods: dict[str, dict[float, None]] = field(default_factory=dict)
    seen: dict[tuple[str, str, str], str] = field(default_factory=dict)


def read(path: Path) -> Reading:
    """The samples' concentrations of an MSD export, as entries of a panel.

    Raises
    ------
    PanelError
        If the file is no export of Discovery Workbench or Methodical Mind, or is broken.
    """
    return entries_of(plates(path))


def recognises(path: Path) -> bool:
    """Whether a table or workbook is an export of MSD, by its header of samples, wells and signals."""
    try:
        with path.open("rb") as file:
            start = file.read(40_000)
        if start.startswith(b"PK\x03\x04"):
            return any(_is_header(row.cells) for row in _sheets(path, LOOK))
        text = decode(path, start)
    except (PanelError, OSError):
        return False
    lines = text.splitlines()
    return any(DATA.match(line) for line in lines) or any(_is_header(r.cells) for r in _rows(text, _delimiter(text)))


def is_msd(path: Path) -> bool:
    """Whether a table of wells shows that MSD's software wrote it, and is not the table of any plate reader.

    Raises
    ------
    PanelError
        If the file cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        rows = _sheets(path, LOOK)
    else:
        text = decode(path, content[:40_000] if not content.startswith((b"\xff\xfe", b"\xfe\xff")) else content)
        if any(DATA.match(line) for line in text.splitlines()):
            return True
        rows = list(_rows(text, _delimiter(text)))[:LOOK]
    return any(_OWN.search(cell) for row in rows for cell in row.cells)


def plates(path: Path) -> tuple[Plate, ...]:
    """The plates of an MSD export: Discovery Workbench (CSV, TXT or XLSX) or Methodical Mind (TXT).

    Methodical Mind exports signals without samples: each well is named by plate and well and has the role
    ``unknown``. The adjusted signal of Discovery Workbench is kept as the net signal.

    Raises
    ------
    PanelError
        If the file is neither, or could be misread.
    """
    content = load(path)
    if content.startswith(b"PK\x03\x04"):
        return _workbench(path, content, _sheets(path), ".")
    text = decode(path, content)
    if any(DATA.match(line) for line in text.splitlines()):
        return maps_of(path, content, text)
    delimiter = _delimiter(text)
    rows = list(_rows(text, delimiter))
    cells = (cell for row in rows for cell in row.cells)
    return _workbench(path, content, rows, decimal_sign(path, cells, delimiter))


# ------------------------------------------------------------------------------------------- Discovery Workbench


def _delimiter(text: str) -> str:
    head = "\n".join(text.splitlines()[:LOOK])
    return max(",;\t", key=head.count)


def _rows(text: str, delimiter: str) -> Iterator[_Row]:
    for line, words in enumerate(text.splitlines(), start=1):
        cells = split(words, delimiter)
        if any(cells):
            yield _Row(f"line {line}", len(cells), _trimmed(cells))


def _sheets(path: Path, last: int | None = None) -> list[_Row]:
    """The rows of every sheet of a workbook that hold anything, up to a last one."""
    rows = []
    with opened(path, load(path)) as book:
        for sheet in book.worksheets:
            for i, row in numbered(path, sheet, last or SHEET_ROWS):
                cells = [_cell(cell.value) for cell in row]
                if any(cells):
                    rows.append(_Row(f"sheet '{sheet.title}', row {i}", UNCUT, _trimmed(cells), sheet.title))
    return rows


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip()


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _column(title: str) -> tuple[str, str]:
    """The field that a column holds and the unit in its title, if any."""
    if len(title) > LONGEST:
        return "", ""
    clean = re.sub(r"\s+", " ", title).strip().lower()
    for name, titles in COLUMNS.items():
        if clean in titles:
            return name, ""
    match = _UNIT.fullmatch(re.sub(r"\s+", " ", title).strip())
    if match and match[1].lower() in COLUMNS["reported"]:
        return "reported", match[2]
    return "", ""


def _is_header(cells: Sequence[str]) -> bool:
    found = {_column(cell)[0] for cell in cells}
    return {"sample", "well"} <= found and bool({"signal", "reported"} & found)


def _workbench(path: Path, content: bytes, rows: Sequence[_Row], decimal: str) -> tuple[Plate, ...]:
    found: dict[str, _Open] = {}
    attributes: dict[str, str] = {}
    warnings: list[str] = []
    title, role_of_title, assay_of_title = "", "", ""
    header: _Row | None = None
    for row in rows:
        first = row.cells[0]
        named = re.match(r"Plate[_ ](.+)", first)
        section = _TITLE.fullmatch(first)
        if header and row.sheet != header.sheet:
            header, title = None, ""
        if _is_header(row.cells):
            _check_header(path, row)
            header = row
        elif named and (len(row.cells) == 1 or all(cell.startswith("Unnamed") for cell in row.cells[1:])):
            title, header = named[1].strip(), None
        elif section and len(row.cells) == 1:
            role_of_title, assay_of_title, header = GROUPS[section[1].lower()], section[2].strip(), None
        elif header is None:
            if len(row.cells) > 1 and first.endswith(":"):
                attributes.setdefault(first.rstrip(": "), " ".join(cell for cell in row.cells[1:] if cell))
        elif row.width < len(header.cells):
            warnings.append(
                f"{path}, {row.place}: has {row.width} columns, expected {len(header.cells)}; it may be cut off and "
                f"was left out"
            )
        else:
            cells = _named(path, header, row)
            if section_assay := ("" if "assay" in cells else assay_of_title):
                cells["assay"] = section_assay
            name = cells.get("plate", "").removeprefix("Plate_") or title or row.sheet or path.stem
            opened = found.setdefault(name, _Open(name))
            _add(path, opened, row, header, cells, role_of_title, decimal)
    if not found:
        raise PanelError(
            f"{path}: holds no table of Discovery Workbench; expected a header with Sample, Well and Signal or Calc. "
            f"Concentration and a row per well below it"
        )
    own = any(_OWN.search(cell) for row in rows[: 3 * LOOK] for cell in row.cells)
    software = attributes.get("MSD Read Software Version", "MSD Discovery Workbench" if own else "")
    made = tuple(
        Plate(
            path=str(path),
            plate=opened.name,
            assay=assay_of([*attributes.values(), opened.name, *opened.units]) if own else "",
            instrument=attributes.get("Machine ID", ""),
            read_at=attributes.get("Read Time", ""),
            software=software,
            units=opened.units,
            wells=tuple(opened.wells),
            lod=_lod(path, opened, warnings),
            attributes=attributes,
            content=content,
        )
        for opened in found.values()
    )
    return (replace(made[0], warnings=tuple(warnings)), *made[1:])


def _check_header(path: Path, row: _Row) -> None:
    lower = [cell.lower() for cell in row.cells]
    fields = [_column(cell)[0] for cell in row.cells]
    twice = next(
        (
            row.cells[i]
            for i, cell in enumerate(lower)
            if cell and (cell in lower[:i] or (fields[i] and fields[i] in fields[:i]))
        ),
        None,
    )
    if twice is not None:
        raise PanelError(f"{path}, {row.place}: the column '{twice}' stands twice; export the table again")


def _named(path: Path, header: _Row, row: _Row) -> dict[str, str]:
    """The cells of a row by the fields of `COLUMNS`."""
    if len(row.cells) > len(header.cells):
        raise PanelError(
            f"{path}, {row.place}: has {len(row.cells)} columns, expected {len(header.cells)} as in the header at "
            f"{header.place}; a decimal comma or an unquoted separator adds columns"
        )
    cells = [*row.cells, *[""] * (len(header.cells) - len(row.cells))]
    named = {}
    for title, cell in zip(header.cells, cells, strict=True):
        name, unit = _column(title)
        if name:
            named[name] = cell
        if unit:
            named["unit"] = unit
    return named


def _add(path: Path, opened: _Open, row: _Row, header: _Row, cells: Mapping[str, str], role: str, decimal: str) -> None:
    place = f"{path}, {row.place}"
    location = well_name(cells["well"])
    if not location:
        raise PanelError(f"{place}: received the well '{cells['well']}'; expected one such as A01")
    analyte = cells.get("assay") or (f"Spot {cells['spot']}" if cells.get("spot") else "")
    if not analyte:
        raise PanelError(f"{place}: names no assay; export the columns Assay and Spot too")
    key = (location, analyte, cells.get("spot", ""))
    if key in opened.seen:
        raise PanelError(f"{place}: well {location}, {analyte} stands twice, first at {opened.seen[key]}; keep one")
    opened.seen[key] = row.place
    unit = cells.get("unit", "")
    if opened.units.setdefault(analyte, unit) != unit:
        raise PanelError(f"{place}: {analyte} has the unit '{unit}' here and '{opened.units[analyte]}' above; keep one")
    dilution = number(cells.get("dilution", ""), decimal)
    if (cells.get("dilution") or "nan").lower() != "nan" and (dilution is None or dilution <= 0):
        raise PanelError(f"{place}: received the dilution '{cells['dilution']}'; expected a number above 0")
    expected = number(cells.get("expected", ""), decimal)
    signal = number(cells.get("signal", ""), decimal)
    limit = number(cells.get("lod", ""), decimal)
    if limit is not None and limit > 0:
        opened.lods.setdefault(analyte, {})[limit] = None
    found = cells.get("range", "")
    remarks = [found] if found.lower() not in IN_RANGE else []
    if "signal" in cells and signal is None:
        remarks.append(f"signal {cells['signal'] or 'not'} reported")
    if cells.get("excluded", "").lower() in ("yes", "true", "1", "y", "x"):
        remarks.append(EXCLUDED)
    opened.wells.append(
        Well(
            location=location,
            sample=cells["sample"],
            role=_role(cells["sample"], cells.get("group", ""), role, expected),
            analyte=analyte,
            signal=signal,
            net_signal=number(cells.get("net", ""), decimal),
            count=None,
            dilution=dilution if dilution is not None else 1.0,
            expected=expected,
            reported=concentration(cells.get("reported", ""), decimal),
            place=row.place,
            remarks=tuple(remarks),
            exported={
                title: cell
                for title, cell in zip(header.cells, row.cells, strict=False)
                if cell and _column(title)[0] in ("", "spot", "range", "group", "lod")
            },
        )
    )


def _role(sample: str, group: str, section: str, expected: float | None) -> Role:
    """What the export says of the role, else the expected concentration, else the name that the software gives."""
    for words, role in GROUPS.items():
        if words in group.lower() or words == section:
            return role
    code = _CODE.fullmatch(sample)
    by_name = CODES[code[1]] if code else role_of_name(sample)
    return "standard" if expected is not None and by_name == "sample" else by_name


def _lod(path: Path, opened: _Open, warnings: list[str]) -> dict[str, float]:
    found = {}
    for analyte, values in opened.lods.items():
        if len(values) == 1:
            found[analyte] = next(iter(values))
        else:
            warnings.append(
                f"{path}, plate {opened.name}: {analyte} has {len(values)} limits of detection "
                f"({', '.join(f'{v:g}' for v in list(values)[:4])}); none is used"
            )
    return found


# ------------------------------------------------------------------------------------------------ Methodical Mind
