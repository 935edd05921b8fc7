"""Exports of Luminex xPONENT: a header of keys and values, then blocks that each begin with ``DataType:``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.entries import Reading
from crosstalk.panel.plates.wells import Plate, Role, Well, entries_of, role_of_name, well_name
from crosstalk.panel.text import concentration, decimal_sign, decode, load, number, split

__all__ = ["plates", "read"]

PLATFORM = "Luminex xPONENT"
RESULT = ("Result", "Test Result")
STANDARDS, CONTROLS, EXPECTED = "Standard Expected Concentration", "Control Expected Concentration", "Expected Result"
# read into fields of a well, or into the plate; every other block of wells is kept as exported
FIELDS = ("Median", "Net MFI", "Count", "Dilution Factor", *RESULT)
WORDS = ("Range", "Comments")  # what the export says of a concentration
PLACEHOLDERS = {"", "bead", "none", "n/a", "na"}  # "Bead" is what xPONENT writes where no unit was set
HEADER = {"BatchStartTime", "Date", "Build", "Batch", "Program", "SN", "Instrument"}  # fields of a plate
_LOCATION = re.compile(r"(\d+)\s*\(\s*(\d+)\s*[,;]\s*([A-Za-z]{1,2}\d+)\s*\)")
_PAIR = re.compile(r"(\d+)\s*[,;]\s*([A-Za-z]{1,2}\d+)")
_NOT_ANALYTES = {"location", "sample", "total events", "analyte:", "reagent", "notes", ""}


@dataclass(frozen=True)
class _Row:
    line: int
    cells: Sequence[str]


@dataclass(frozen=True)
class _Block:
    """One block: its header and its rows, by well, by sample, by reagent or by a key of the analytes."""

    name: str
    line: int
    header: Sequence[str]
    rows: Mapping[str, tuple[int, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.header[0].strip().lower() if self.header else ""

    def cell(self, key: str, column: str) -> str:
        found = self.rows.get(key)
        return found[1].get(column, "") if found else ""


def read(path: Path) -> Reading:
    """The samples' concentrations of an xPONENT export, as entries of a panel.

    Raises
    ------
    PanelError
        If the file is no export of xPONENT, or is broken.
    """
    return entries_of(plates(path))


def plates(path: Path) -> tuple[Plate, ...]:
    """The plates of an xPONENT export (CSV, separated by commas or semicolons); one for each plate of the batch.

    Raises
    ------
    PanelError
        If the file has no block of medians or results, or could be misread: a well that stands twice, a well with
        another sample in another block, more columns than the header of its block.
    """
    content = load(path)
    text = decode(path, content)
    start = text.lstrip()[:200].replace('"', "")
    if not re.match(r"Program\s*[,;\t]", start):
        raise PanelError(f"{path}: does not begin with 'Program,xPONENT'; expected a CSV export of xPONENT")
    delimiter = max(",;\t", key=text[:4000].count)
    rows = list(_rows(text, delimiter))
    header, first = _header(rows)
    warnings: list[str] = []
    blocks = _blocks(path, rows[first:], warnings)
    decimal = decimal_sign(path, _numbers(blocks), delimiter)
    return _plates(path, content, header, blocks, decimal, warnings)


def _rows(text: str, delimiter: str) -> Iterator[_Row]:
    """Rows that hold anything; a location that the separator cut in two is one cell again."""
    for line, words in enumerate(text.splitlines(), start=1):
        cells = split(words, delimiter)
        if len(cells) > 1 and re.fullmatch(r"\d+\s*\(\s*\d+", cells[0]) and cells[1].endswith(")"):
            cells = [f"{cells[0]},{cells[1]}", *cells[2:]]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield _Row(line, cells)


def _header(rows: Sequence[_Row]) -> tuple[dict[str, str], int]:
    """Keys and values up to the results, and the index of the first block."""
    found: dict[str, str] = {}
    calibrators = False  # tables of lots and voltages
    for i, row in enumerate(rows):
        key = row.cells[0].rstrip(":")
        if key == "DataType":
            return found, i
        calibrators = (calibrators or key == "CALInfo") and key != "Samples"
        if len(row.cells) > 1 and key and key not in found and not calibrators:
            found[key] = " ".join(cell for cell in row.cells[1:] if cell)
        if key == "Samples" and "Min Events" in row.cells[:-1]:
            found["Min Events"] = row.cells[row.cells.index("Min Events") + 1]
        if key == "Program":
            found["Instrument"] = row.cells[3] if len(row.cells) > 3 else ""
    return found, len(rows)


def _blocks(path: Path, rows: Sequence[_Row], warnings: list[str]) -> dict[str, _Block]:
    found: dict[str, _Block] = {}
    finished = False
    i = 0
    while i < len(rows) and not finished:
        name, line = " ".join(rows[i].cells[1:2]) or "(no name)", rows[i].line
        end = i + 1
        while end < len(rows) and not rows[end].cells[0].startswith(("DataType", "-- CRC")):
            end += 1
        finished = end < len(rows) and rows[end].cells[0].startswith("-- CRC")
        body = rows[i + 1 : end]
        if name in found:
            raise PanelError(f"{path}, line {line}: the block '{name}' stands twice; export the plate again")
        if body and len(body) > 1 and end == len(rows) and len(body[-1].cells) < len(body[0].cells):
            warnings.append(f"{path}, line {body[-1].line}: the last row of the file is cut off and was left out")
            body = body[:-1]
        found[name] = _block(path, name, line, body, warnings)
        i = end
    if found and not finished:
        warnings.append(
            f"{path}, line {rows[-1].line}: the file ends without its checksum (-- CRC --) and may be cut off; its "
            f"last values may be incomplete; export the plate again"
        )
    return found


def _block(path: Path, name: str, line: int, body: Sequence[_Row], warnings: list[str]) -> _Block:
    if not body:
        warnings.append(f"{path}, line {line}: the block '{name}' is empty")
        return _Block(name, line, ())
    header = list(body[0].cells)
    listed = header[0].lower() in ("location", "sample", "reagent", "analyte:")
    if name in ("Warnings/Errors", "Audit Logs") or not listed:
        rows = {str(row.line): (row.line, dict(zip(header, row.cells, strict=False))) for row in body[1:]}
        return _Block(name, line, header, rows)
    twice = next((cell for i, cell in enumerate(header) if cell and cell in header[:i]), None)
    if twice is not None:
        raise PanelError(
            f"{path}, line {body[0].line}: '{twice}' stands twice in the block '{name}'; name the analytes"
        )
    rows = {}
    short = []
    by_well = header[0].lower() == "location"
    for row in body[1:]:
        place = f"{path}, line {row.line}"
        if len(row.cells) > len(header):
            raise PanelError(
                f"{place}: has {len(row.cells)} columns, expected {len(header)} as in the header of the block '{name}'"
                f"; a decimal comma or an unquoted separator adds columns"
            )
        if by_well and not _LOCATION.fullmatch(row.cells[0]):
            raise PanelError(f"{place}: received the location '{row.cells[0]}'; expected one such as 1(1,A1)")
        key = _location(row.cells[0]) if by_well else row.cells[0]
        if key in rows and not by_well and header[0].lower() == "sample":
            # a mean of each dilution of a sample: only rows of wells are read
            key = f"{key} #{row.line}"
        if key in rows and (by_well or rows[key][1] != dict(zip(header, row.cells, strict=False))):
            raise PanelError(f"{place}: '{row.cells[0]}' stands twice in the block '{name}'; keep one")
        if len(row.cells) < len(header) and by_well and name in ("Median", "Count"):
            short.append(row.line)
        rows[key] = (row.line, dict(zip(header, row.cells, strict=False)))
    if short:
        warnings.append(
            f"{path}, line {short[0]}: {len(short)} rows of the block '{name}' have fewer columns than its header; "
            f"what is missing is taken as not reported"
        )
    return _Block(name, line, header, rows)


def _location(text: str) -> str:
    match = _LOCATION.fullmatch(text)
    return f"{match[2]},{well_name(match[3])}" if match else text


def _numbers(blocks: Mapping[str, _Block]) -> Iterator[str]:
    for name in FIELDS:
        for _, row in blocks[name].rows.values() if name in blocks else ():
            yield from (cell for column, cell in row.items() if column not in ("Location", "Sample"))


def _plates(
    path: Path,
    content: bytes,
    header: Mapping[str, str],
    blocks: Mapping[str, _Block],
    decimal: str,
    warnings: list[str],
) -> tuple[Plate, ...]:
    wells_of = [
        b for b in blocks.values() if b.key == "location" and b.name not in ("Warnings/Errors", "Dilution Factor")
    ]
    main = next((blocks[name] for name in ("Median", "Net MFI", *RESULT) if name in blocks and blocks[name].rows), None)
    if main is None or main.key != "location":
        raise PanelError(
            f"{path}: holds no block of medians ('DataType:', 'Median' with one row per well); it holds "
            f"{', '.join(blocks) or 'no block at all'}; export all data types from xPONENT"
        )
    analytes = [name for name in main.header if name.lower() not in _NOT_ANALYTES]
    if not analytes:
        raise PanelError(
            f"{path}, line {main.line + 1}: the block '{main.name}' names no analyte; export the plate again"
        )
    _check_samples(path, main, wells_of, blocks.get("Dilution Factor"), warnings)
    units, attributes = _of_analytes(blocks, analytes, header)
    said = _messages(blocks.get("Warnings/Errors"))
    numbers = list(dict.fromkeys(key.split(",")[0] for key in main.rows))
    batch = header.get("Batch") or header.get("Session") or path.stem
    found = []
    for plate in numbers:
        wells = tuple(
            _well(path, blocks, main, key, analyte, said, decimal)
            for key in main.rows
            if key.split(",")[0] == plate
            for analyte in analytes
        )
        missing = sum(well.signal is None for well in wells)
        of = f"{path}, plate {plate}" if len(numbers) > 1 else f"{path}"
        unread = [f"{of}: {missing} of {len(wells)} medians are missing or no number"] if missing else []
        found.append(
            Plate(
                path=str(path),
                plate=f"{batch} plate {plate}" if len(numbers) > 1 else batch,
                assay=PLATFORM,
                instrument=", ".join(w for w in (header.get("Instrument"), header.get("SN")) if w),
                read_at=header.get("BatchStartTime") or header.get("Date", ""),
                software=f"xPONENT {header.get('Build', '')}".strip(),
                units=units,
                wells=wells,
                attributes=attributes,
                warnings=(*warnings, *unread) if plate == numbers[0] else tuple(unread),
                content=content,
            )
        )
    return tuple(found)


def _check_samples(
    path: Path, main: _Block, blocks: Sequence[_Block], dilutions: _Block | None, warnings: list[str]
) -> None:
    """One well holds one sample in every block; a well that the main block lacks is told."""
    for block in (*blocks, *([dilutions] if dilutions else [])):
        lost = [key for key in block.rows if key not in main.rows]
        if lost:
            warnings.append(
                f"{path}, line {block.rows[lost[0]][0]}: {len(lost)} wells of the block '{block.name}' are not in the "
                f"block '{main.name}' and were left out, first {lost[0]}"
            )
        for key, (line, row) in block.rows.items():
            if key in main.rows and "Sample" in row and row["Sample"] != main.cell(key, "Sample"):
                raise PanelError(
                    f"{path}, line {line}: well {key} holds '{row['Sample']}' in the block '{block.name}' and "
                    f"'{main.cell(key, 'Sample')}' in the block '{main.name}'; export the plate again"
                )


def _of_analytes(
    blocks: Mapping[str, _Block], analytes: Sequence[str], header: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    units = dict.fromkeys(analytes, "")
    attributes = {key: value for key, value in header.items() if value and key not in HEADER}
    for block in blocks.values():
        if block.key != "analyte:":
            continue
        for label, (_, row) in block.rows.items():
            for analyte in analytes:
                cell = row.get(analyte, "")
                if label == "Units:":
                    units[analyte] = "" if cell.lower() in PLACEHOLDERS else cell
                elif cell and label not in ("BeadID:", "Per Bead:"):
                    attributes[f"{block.name}: {label.rstrip(':')} {analyte}"] = cell
    return units, attributes


def _messages(block: _Block | None) -> dict[str, list[str]]:
    """Warnings and errors by well, without their codes."""
    found: dict[str, list[str]] = {}
    for _, row in block.rows.values() if block else ():
        match = _PAIR.fullmatch(row.get("Location", "").strip())
        message = re.sub(r"\s*\(0x[0-9A-Fa-f]+\)\s*$", "", row.get("Message", "")).strip()
        if match and message:
            found.setdefault(f"{match[1]},{well_name(match[2])}", []).append(f"{row.get('Status', '')}: {message}")
    return found


def _well(
    path: Path,
    blocks: Mapping[str, _Block],
    main: _Block,
    key: str,
    analyte: str,
    said: Mapping[str, Sequence[str]],
    decimal: str,
) -> Well:
    sample = main.cell(key, "Sample")

    def cell(name: str) -> str:
        return blocks[name].cell(key, analyte) if name in blocks else ""

    result = next((name for name in RESULT if name in blocks), "")
    median, beads = cell("Median"), number(cell("Count"), decimal)
    signal = number(median, decimal)
    remarks = [] if signal is not None or "Median" not in blocks else [f"median {median or 'not'} reported"]
    remarks += [f"{name}: {cell(name)}" for name in WORDS if cell(name).lower() not in ("", "in range")]
    remarks += said.get(key, ())
    role, expected = _role(blocks, key, sample, analyte, decimal)
    source = blocks[result] if result and key in blocks[result].rows else main
    return Well(
        location=key.split(",")[1],
        sample=sample,
        role=role,
        analyte=analyte,
        signal=signal,
        net_signal=number(cell("Net MFI"), decimal),
        count=int(beads) if beads is not None else None,
        dilution=_dilution(path, blocks.get("Dilution Factor"), key, decimal),
        expected=expected,
        reported=concentration(cell(result), decimal) if result else "",
        place=f"line {source.rows[key][0]}",
        remarks=tuple(dict.fromkeys(remarks)),
        exported=_exported(blocks, key, sample, analyte),
    )


def _role(blocks: Mapping[str, _Block], key: str, sample: str, analyte: str, decimal: str) -> tuple[Role, float | None]:
    for name, role in ((STANDARDS, "standard"), (CONTROLS, "control")):
        block = blocks.get(name)
        if block and sample in block.rows:
            return role, number(block.cell(sample, analyte), decimal)  # type: ignore[return-value]
    by_name = role_of_name(sample)
    block = blocks.get(EXPECTED)
    given = number(block.cell(key if block.key == "location" else sample, analyte), decimal) if block else None
    if by_name != "sample" or given is None:
        return by_name, given
    # a control that passed for a standard would bend the curve unseen; the other way round shows
    return ("standard" if re.fullmatch(r"[Ss][\s_-]?\d{1,2}", sample) else "control"), given


def _dilution(path: Path, block: _Block | None, key: str, decimal: str) -> float:
    text = block.cell(key, "Dilution Factor") if block else ""
    if not text or text.lower() == "nan":
        return 1.0
    value = number(text, decimal)
    if block is None or value is None or value <= 0:
        line = block.rows[key][0] if block else 0
        raise PanelError(f"{path}, line {line}: received the dilution factor '{text}'; expected a number above 0")
    return value


def _exported(blocks: Mapping[str, _Block], key: str, sample: str, analyte: str) -> dict[str, str]:
    found = {"Total Events": events} if (events := _total(blocks, key)) else {}
    for block in blocks.values():
        if block.name in FIELDS or block.name in (STANDARDS, CONTROLS, EXPECTED):
            continue
        at = {"location": key, "sample": sample, "reagent": sample}.get(block.key)
        if at is not None and (cell := block.cell(at, analyte)):
            found[block.name] = cell
        if block.key == "analyte:":
            for label in ("BeadID:", "Per Bead:"):
                if cell := block.cell(label, analyte):
                    found[label.rstrip(":")] = cell
    return found


def _total(blocks: Mapping[str, _Block], key: str) -> str:
    texts = [blocks[name].cell(key, "Total Events") for name in ("Count", "Median") if name in blocks]
    return next((text for text in texts if text), "")
