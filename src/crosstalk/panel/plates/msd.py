"""Exports of Meso Scale Discovery: the tables of Discovery Workbench and the plate maps of Methodical Mind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.limits import SHEET_ROWS
from crosstalk.panel.entries import Reading
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
_DATA = re.compile(r"=+\s*Data\s*=+")
_TITLE = re.compile(r"(unknown|standard|control|calibrator|blank|sample)s?\s*:\s*(.+)", re.IGNORECASE)
# words of MSD's own columns and headers
_OWN = re.compile(
    r"^(?:spot|detection range|calc\.? concentration.*|calc\.? conc.*|adjusted signal|detection limits: .*|"
    r"msd .*|plate_.*|[VUSR]-?PLEX.*)$|"
    r"\bMSD\b|Meso ?Scale|Discovery Workbench|\b[VUSR]-PLEX\b",
    re.IGNORECASE,
)
_PLEX = re.compile(r"\b([VUSR])-?PLEX\b", re.IGNORECASE)


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
    return any(_DATA.match(line) for line in lines) or any(_is_header(r.cells) for r in _rows(text, _delimiter(text)))


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
        if any(_DATA.match(line) for line in text.splitlines()):
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
    if any(_DATA.match(line) for line in text.splitlines()):
        return _methodical(path, content, text)
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
            assay=_assay([*attributes.values(), opened.name, *opened.units]) if own else "",
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


def _assay(words: Sequence[str]) -> str:
    found = next((match for word in words if (match := _PLEX.search(word))), None)
    return f"MSD {found[1].upper()}-PLEX" if found else "MSD"


# ------------------------------------------------------------------------------------------------ Methodical Mind


def _methodical(path: Path, content: bytes, text: str) -> tuple[Plate, ...]:
    tables = list(_tables(path, text))
    found = []
    for name, group in groupby(sorted(tables, key=lambda t: t.plate), key=lambda t: t.plate):
        parts = list(group)
        header = parts[0].header
        wells = [well for part in parts for well in part.wells]
        seen: dict[tuple[str, str], str] = {}
        for well in wells:
            if (well.location, well.analyte) in seen:
                raise PanelError(
                    f"{path}, {well.place}: well {well.location}, {well.analyte} of plate {name} stands twice, first "
                    f"at {seen[well.location, well.analyte]}; keep one"
                )
            seen[well.location, well.analyte] = well.place
        found.append(
            Plate(
                path=str(path),
                plate=name,
                assay=_assay(list(header.values())),
                instrument=", ".join(w for w in (header.get("Model"), header.get("Serial #")) if w),
                read_at=header.get("Read Time", ""),
                software=header.get("Version", ""),
                units=dict.fromkeys((well.analyte for well in wells), ""),
                wells=tuple(wells),
                attributes={
                    k: v for k, v in header.items() if v and k not in ("Model", "Serial #", "Read Time", "Version")
                },
                warnings=tuple(warning for part in parts for warning in part.warnings),
                content=content,
            )
        )
    order = list(dict.fromkeys(table.plate for table in tables))
    return tuple(sorted(found, key=lambda plate: order.index(plate.plate)))


@dataclass(frozen=True)
class _Table:
    plate: str
    header: Mapping[str, str]
    wells: Sequence[Well]
    warnings: Sequence[str]


def _tables(path: Path, text: str) -> Iterator[_Table]:
    """Each plate map with the header above it."""
    header: dict[str, str] = {}
    lines = text.splitlines()
    i = 0
    last = ""
    while i < len(lines):
        line = lines[i].replace("\\t", "\t")
        if _DATA.match(line):
            end = i + 1
            while end < len(lines) and not lines[end].startswith("==="):
                end += 1
            yield _table(path, header, lines, i, end)
            header, last = {}, ""
            while end < len(lines) and not re.match(r"(FileName|Stack ID|Digital_Signature)", lines[end]):
                end += 1
            i = end
            continue
        key, colon, value = line.partition(":")
        key, value = key.strip(), " ".join(value.split())
        if colon and key and key != "Digital_Signature":
            last = key
            header.setdefault(key, value)
        elif colon and last:  # the legend of the spots runs over several lines
            header[last] = f"{header[last]} {value}".strip()
        i += 1


def _table(path: Path, header: Mapping[str, str], lines: Sequence[str], start: int, end: int) -> _Table:
    rows = [
        (n, [cell.strip() for cell in lines[n - 1].split("\t")])
        for n in range(start + 2, end + 1)
        if "\t" in lines[n - 1]
    ]
    where = f"{path}, line {start + 1}"
    if not rows:
        raise PanelError(f"{where}: no plate map follows the line '==Data=='; export the plate again")
    columns = [cell for cell in rows[0][1][1:] if cell]
    if not columns or not all(re.fullmatch(r"[1-9]\d?", cell) for cell in columns):
        raise PanelError(
            f"{path}, line {rows[0][0]}: received '{' '.join(rows[0][1])[:60]}'; expected the numbers of the plate's "
            f"columns: 1, 2, 3 ..."
        )
    plate = header.get("Barcode1", "").strip("<>") or header.get("Plate #", "") or path.stem
    names = [name.strip() for name in header.get("Assays", "").split(",")]
    given = header.get("SpotID", "")
    wells: list[Well] = []
    short: list[int] = []
    spots: dict[str, int] = {}
    letter = ""
    for n, (label, *cells) in rows[1:]:
        if label:
            if not re.fullmatch(r"[A-Za-z]{1,2}", label):
                raise PanelError(f"{path}, line {n}: received the row '{label}'; expected a letter such as A")
            letter = label.upper()
        if not letter:
            raise PanelError(f"{path}, line {n}: belongs to no row of the plate; expected a letter such as A before it")
        spots[letter] = spots.get(letter, 0) + 1
        spot = int(given) if re.fullmatch(r"[1-9]\d?", given) else spots[letter]
        if any(cells[len(columns) :]):
            raise PanelError(
                f"{path}, line {n}: has {len(cells)} values, expected {len(columns)} as in the header of the plate map"
            )
        if len(cells) < len(columns):
            short.append(n)
        analyte = names[spot - 1] if spot <= len(names) and names[spot - 1] else f"Spot {spot}"
        for column, cell in zip(columns, cells, strict=False):
            if cell:
                wells.append(_signal(path, n, plate, f"{letter}{column}", analyte, spot, cell))
    warnings = []
    if short:
        warnings.append(f"{path}, line {short[0]}: {len(short)} rows of the plate map are shorter than its header")
    if end == len(lines):
        warnings.append(
            f"{where}: nothing follows the plate map; the file may be cut off and its last value incomplete"
        )
    held, expected = len({well.location for well in wells}), _wells_expected(header)
    if expected and held != expected:
        warnings.append(f"{where}: plate {plate}: the map holds {held} wells, the header tells {expected}")
    return _Table(plate, header, wells, warnings)


def _wells_expected(header: Mapping[str, str]) -> int | None:
    sides = [number(header.get(key, "")) for key in ("Wells Per Row", "Wells Per Col")]
    if sides[0] is not None and sides[1] is not None:
        return int(sides[0] * sides[1])
    match = re.match(r"\d{1,5}", header.get("Type", ""))
    return int(match[0]) if match else None


def _signal(path: Path, line: int, plate: str, location: str, analyte: str, spot: int, cell: str) -> Well:
    signal = number(cell)
    return Well(
        location=location,
        sample=f"{plate}_{location}",
        role="unknown",
        analyte=analyte,
        signal=signal,
        net_signal=None,
        count=None,
        dilution=1.0,
        expected=None,
        reported="",
        place=f"line {line}",
        remarks=() if signal is not None else (f"signal {cell} reported",),
        exported={"Spot": str(spot)},
    )
