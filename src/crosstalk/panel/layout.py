"""From the bytes of a file to entries: which patient, which analyte, which text, on which line."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from crosstalk.errors import PanelError

__all__ = ["Entry", "read_entries"]

PATIENT = ("patient", "subject", "id", "patient_id", "subject_id", "usubjid", "seqn")
LONG = {
    "analyte": ("analyte", "marker", "test", "parameter"),
    "value": ("value", "result", "concentration"),
    "unit": ("unit", "units"),
    "specimen": ("specimen", "matrix"),
    "method": ("method", "assay"),
    "lod": ("lod", "lloq"),
    "time": ("time", "time_h", "hour"),
    "confirmed": ("confirmed",),
    "source": ("source", "note", "comment"),
}
SPREADSHEETS = {".xlsx": "a spreadsheet", ".xls": "a spreadsheet", ".ods": "a spreadsheet", ".pdf": "a PDF"}
_WIDE_HEADER = re.compile(r"^(?P<name>.+?)\s*[\[(](?P<unit>[^\])]*(?:\[[^\]]*\][^\])]*)?)[\])]\s*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of a panel file, as text."""

    line: int
    patient: str
    analyte: str
    value: str
    unit: str
    specimen: str = ""
    method: str = ""
    lod: str = ""
    time: str = ""
    confirmed: str = ""


def read_entries(path: Path) -> tuple[list[Entry], list[str], bytes]:
    """Read a CSV or TSV in the long or the wide layout.

    Returns
    -------
    entries : list of Entry
    problems : list of str
        Lines that are not entries: ragged, repeated headers, without a patient.
    content : bytes
        The file as it is.

    Raises
    ------
    PanelError
        If the file is no table of text at all.
    """
    content = _read(path)
    text = _decode(path, content)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    lines = [(n, line) for n, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise PanelError(f"{path}: the file is empty; expected a CSV with a header and at least one row")
    delimiter = _delimiter(lines[0][1])
    rows = _rows(path, lines, delimiter)
    header = [cell.strip() for cell in rows[0][1]]
    if len(header) < 2:
        raise PanelError(
            f"{path}, line {rows[0][0]}: '{lines[0][1][:60]}' is not the header of a table; expected columns patient, "
            f"analyte, value, unit, or patient and one column per analyte such as 'hsCRP [mg/L]'"
        )
    if len(rows) == 1:
        raise PanelError(f"{path}: the file holds a header and no row; add the patients' values")
    _check_header(path, header, rows[0][0])
    columns = _long_columns(header)
    entries, problems = (
        _long(path, header, rows[1:], columns) if columns is not None else _wide(path, header, rows[1:], rows[0][0])
    )
    return entries, problems, content


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise PanelError(f"{path}: is a folder; name one CSV file in it")
    kind = SPREADSHEETS.get(path.suffix.lower())
    if kind is not None:
        raise PanelError(f"{path}: is {kind}; save the table as CSV and read that")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PanelError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise PanelError(f"{path}: cannot be read ({error.strerror}); check the permissions") from error


def _decode(path: Path, content: bytes) -> str:
    if not content.strip():
        raise PanelError(f"{path}: the file is empty; expected a CSV with a header and at least one row")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise PanelError(f"{path}: starts like UTF-16 but is not; save it as UTF-8 CSV") from None
    if b"\x00" in content or content.startswith((b"PK\x03\x04", b"%PDF", b"\x1f\x8b", b"\x89PNG")):
        raise PanelError(f"{path}: is a binary file, not text; export the table as CSV")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PanelError(
            f"{path}, line {line}: holds the byte 0x{content[error.start]:02x}, which is not UTF-8 (the micro sign of "
            f"another encoding?); expected UTF-8 text; save the file as 'CSV UTF-8'"
        ) from None


def _delimiter(header: str) -> str:
    return max("\t;,", key=header.count)


def _rows(path: Path, lines: list[tuple[int, str]], delimiter: str) -> list[tuple[int, list[str]]]:
    rows = []
    for number, line in lines:
        try:
            rows.append((number, next(csv.reader(io.StringIO(line), delimiter=delimiter, strict=True))))
        except (csv.Error, StopIteration) as error:
            raise PanelError(
                f"{path}, line {number}: cannot be split into columns ({error}); check its quotes"
            ) from None
    return rows


def _long_columns(header: list[str]) -> dict[str, int] | None:
    lower = [h.lower() for h in header]
    found = {key: lower.index(name) for key, names in LONG.items() for name in names[::-1] if name in lower}
    return found if "analyte" in found and "value" in found else None


def _check_header(path: Path, header: list[str], line: int) -> None:
    """Refuse a name that stands twice, and a long layout that has lost a column: either would be misread."""
    lower = [name.lower() for name in header]
    twice = next((name for i, name in enumerate(lower) if name and name in lower[:i]), None)
    if twice is not None:
        raise PanelError(f"{path}, line {line}: column '{twice}' stands twice; keep one")
    if {*LONG["analyte"], *LONG["unit"]} & set(lower) and _long_columns(header) is None:
        lost = next(key for key in ("analyte", "value") if not set(LONG[key]) & set(lower))
        raise PanelError(
            f"{path}, line {line}: no column '{lost}'; expected patient, analyte, value, unit; received "
            f"{', '.join(header[:6])}"
        )


def _patient_column(path: Path, header: list[str]) -> int:
    for i, name in enumerate(header):
        if name.lower() in PATIENT:
            return i
    raise PanelError(
        f"{path}: no column for the patient; expected one named {', '.join(PATIENT[:4])}; received "
        f"{', '.join(header[:6])}"
    )


def _clean(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], patient: int
) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Drop rows that are no entries, and say why."""
    kept, problems = [], []
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if cells == header:
            problems.append(f"{path}, line {number}: repeats the header; delete the line")
        elif len(cells) != len(header):
            problems.append(
                f"{path}, line {number}: has {len(cells)} columns, expected {len(header)}; a decimal comma or an "
                f"unquoted separator adds columns"
            )
        elif not cells[patient]:
            problems.append(f"{path}, line {number}: names no patient; fill the column '{header[patient]}'")
        else:
            kept.append((number, cells))
    return kept, problems


def _long(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], columns: dict[str, int]
) -> tuple[list[Entry], list[str]]:
    patient = _patient_column(path, header)
    kept, problems = _clean(path, header, rows, patient)

    def cell(cells: list[str], name: str) -> str:
        return cells[columns[name]] if name in columns else ""

    entries = [
        Entry(
            number, cells[patient], cell(cells, "analyte"), cell(cells, "value"), cell(cells, "unit"),
            cell(cells, "specimen"), cell(cells, "method"), cell(cells, "lod"), cell(cells, "time"),
            cell(cells, "confirmed"),
        )
        for number, cells in kept
    ]  # fmt: skip
    return entries, problems


def _wide(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], header_line: int
) -> tuple[list[Entry], list[str]]:
    patient = _patient_column(path, header)
    kept, problems = _clean(path, header, rows, patient)
    names: list[tuple[int, str, str]] = []
    for i, text in enumerate(header):
        if i == patient or text.lower() in LONG["source"]:
            continue
        if not text:
            problems.append(f"{path}, line {header_line}: column {i + 1} has no name; name its analyte")
            continue
        match = _WIDE_HEADER.match(text)
        names.append((i, match["name"], match["unit"]) if match else (i, text, ""))
    entries = [Entry(number, cells[patient], name, cells[i], unit) for number, cells in kept for i, name, unit in names]
    return entries, problems
