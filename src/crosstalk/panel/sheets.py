"""A data set as rows of texts with the place of each: CSV, TSV, Excel, SAS transport and CDISC Dataset-JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosstalk.errors import PanelError
from crosstalk.limits import CELLS, COLUMNS, DOCUMENT, TABLE, deeper, shown
from crosstalk.panel.text import decode_text
from crosstalk.panel.workbook import opened
from crosstalk.spreadsheets import unescape

__all__ = ["Sheet", "read_sheet", "sheet_of_frame"]

SEPARATORS = ",\t;|"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of texts.

    Attributes
    ----------
    name : str
        The file, for messages.
    places : tuple of str
        Where each row stands, such as ``line 7``.
    comma : bool
        Whether a comma in a number may be its decimal sign, since columns are not separated by it.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]
    comma: bool = False
    warnings: tuple[str, ...] = ()

    def column(self, name: str) -> int:
        """Number of a column.

        Raises
        ------
        PanelError
            With the columns there are.
        """
        if name not in self.columns:
            import difflib

            near = [c for c in self.columns if c.casefold() == name.casefold()]
            near = near or difflib.get_close_matches(name, self.columns, n=2)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(map(shown, self.columns[:30]))}"
            )
            raise PanelError(f"{self.name}: has no column '{shown(name)}'; {hint}")
        return self.columns.index(name)


def read_sheet(path: Path, sheet: str | None = None) -> Sheet:
    """Read a data set by the ending of its name; a JSON file must be a CDISC Dataset-JSON (1.0 or 1.1).

    Parameters
    ----------
    sheet : str, optional
        Of a workbook that has several.

    Raises
    ------
    PanelError
        If it cannot be read as such, with the place.
    """
    if path.is_dir():
        raise PanelError(f"{path}: is a folder; expected one data set (CSV, Excel, XPT or Dataset-JSON)")
    ending = path.suffix.lower()
    if sheet is not None and ending not in (".xlsx", ".xlsm"):
        raise PanelError(f"{path}: a sheet is named ('{shown(sheet)}'), but the file is no workbook; drop the key")
    if not path.exists():
        raise PanelError(f"{path}: no such file; expected a data set (CSV, Excel, XPT or Dataset-JSON)")
    if path.stat().st_size > TABLE:
        raise PanelError(f"{path}: is larger than {TABLE / 1e9:g} GB; split it")
    if ending in (".xlsx", ".xlsm"):
        return _workbook(path, sheet)
    if ending == ".xls":
        raise PanelError(f"{path}: is of Excel 97 to 2003, which is not read; save it as .xlsx or CSV")
    if ending == ".xpt":
        return _transport(path)
    if ending in (".json", ".ndjson", ".dsjson"):
        return _dataset_json(path)
    return _delimited(path)


def sheet_of_frame(frame: Any, name: str = "table") -> Sheet:
    """A pandas data frame as a sheet; its missing values are empty texts."""
    rows = [tuple(_text(v) for v in row) for row in frame.itertuples(index=False, name=None)]
    return _checked(Sheet(name, tuple(map(str, frame.columns)), tuple(rows), _numbered("row", len(rows), 0)))


def _numbered(word: str, n: int, first: int) -> tuple[str, ...]:
    return tuple(f"{word} {first + k}" for k in range(n))


def _text(value: object) -> str:
    import numbers

    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, numbers.Integral)):
        return f"{float(value):.15g}"
    return str(value).strip()


def _checked(sheet: Sheet) -> Sheet:
    if len(sheet.columns) > COLUMNS or len(sheet.columns) * len(sheet.rows) > CELLS:
        raise PanelError(f"{sheet.name}: has {len(sheet.rows)} rows and {len(sheet.columns)} columns; too many to read")
    twice = [c for k, c in enumerate(sheet.columns) if c and c in sheet.columns[:k]]
    if twice:
        raise PanelError(f"{sheet.name}: has two columns '{shown(twice[0])}'; rename or drop one")
    if not sheet.rows:
        raise PanelError(f"{sheet.name}: has no rows below its header")
    return sheet


def _arranged(name: str, lines: Iterable[tuple[str, Sequence[str]]], **more: Any) -> Sheet:
    """The first row that is not empty is the header; rows that are longer or shorter are refused."""
    header: tuple[str, ...] | None = None
    rows, places = [], []
    for place, cells in lines:
        values = tuple(unescape(str(c).strip()) for c in cells)
        if not any(values):
            continue
        if header is None:
            header = values
            while header and not header[-1]:
                header = header[:-1]
            continue
        if any(values[len(header) :]) or len(values) < len(header):
            raise PanelError(
                f"{name}, {place}: has {len(values)} cells where the header has {len(header)}; check separators and "
                "quotes"
            )
        rows.append(values[: len(header)])
        places.append(place)
    if header is None:
        raise PanelError(f"{name}: is empty; expected a header and rows")
    return _checked(Sheet(name, header, tuple(rows), tuple(places), **more))


def _delimited(path: Path) -> Sheet:
    warnings: list[str] = []
    text = decode_text(path, path.read_bytes(), warnings)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)

    def lines() -> Iterable[tuple[str, list[str]]]:
        try:
            for row in reader:
                yield f"line {reader.line_num}", row
        except csv.Error as error:
            raise PanelError(f"{path}, line {reader.line_num}: cannot be split into columns ({error})") from None

    return _arranged(str(path), lines(), comma=separator != ",", warnings=tuple(warnings))


def _workbook(path: Path, sheet: str | None) -> Sheet:
    with opened(path, path.read_bytes()) as book:
        names = [s.title for s in book.worksheets if s.sheet_state == "visible"]
        if sheet is None and len(names) != 1:
            raise PanelError(f'{path}: has the sheets {", ".join(names)}; name one by sheet = "..." in [data]')
        if sheet is not None and sheet not in names:
            raise PanelError(f"{path}: has no sheet '{shown(sheet)}'; it has {', '.join(names)}")
        chosen = book[sheet or names[0]]
        lines = [
            (f"row {number}", [_cell(path, number, cell) for cell in row])
            for number, row in enumerate(chosen.iter_rows(), start=1)
        ]
    width = max((len(row) for _, row in lines), default=0)
    return _arranged(str(path), [(place, row + [""] * (width - len(row))) for place, row in lines])


def _cell(path: Path, number: int, cell: Any) -> str:
    value = cell.value
    if isinstance(value, str) and value.startswith("#"):
        raise PanelError(f"{path}, row {number}: holds the error {shown(value)}; mend the cell")
    return _text(value)


def _transport(path: Path) -> Sheet:
    import pandas as pd

    try:
        frame = pd.read_sas(path, format="xport", encoding="utf-8")
    except (ValueError, TypeError, OSError, KeyError, IndexError) as error:
        raise PanelError(f"{path}: cannot be read as a SAS transport file ({shown(error)}); export it as CSV") from None
    # SAS writes a zero that this format turns into the smallest number
    return sheet_of_frame(frame.mask(frame.apply(lambda c: c.map(_tiny)), 0.0), str(path))


def _tiny(value: object) -> bool:
    return isinstance(value, float) and 0 < abs(value) < 1e-70


def _dataset_json(path: Path) -> Sheet:
    if path.stat().st_size > DOCUMENT:
        raise PanelError(f"{path}: is larger than {DOCUMENT / 1e6:g} MB; write it as NDJSON or CSV")
    text = decode_text(path, path.read_bytes(), [])
    if path.suffix.lower() == ".ndjson":
        parts = [_json(path, line, k) for k, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if not parts:
            raise PanelError(f"{path}: holds no line; expected Dataset-JSON, a line of metadata and one for each row")
        head, rows = parts[0], parts[1:]
    else:
        head = _json(path, text, 1)
        rows = None
    columns, values = _described(path, head)
    rows = values if rows is None else rows
    if not isinstance(rows, list):
        raise PanelError(f"{path}: is no Dataset-JSON: it has no list 'rows'; expected CDISC Dataset-JSON 1.0 or 1.1")
    for k, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise PanelError(f"{path}, row {k + 1}: is no list of {len(columns)} values, one a column")
    found = tuple(tuple(_text(v) for v in row) for row in rows)
    return _checked(Sheet(str(path), tuple(columns), found, _numbered("row", len(found), 1)))


def _json(path: Path, text: str, line: int) -> Any:
    if deeper(text):
        raise PanelError(f"{path}: brackets stand too deep within each other for a Dataset-JSON")
    try:
        return json.loads(text)
    except ValueError as error:
        raise PanelError(f"{path}, line {line}: is no JSON ({shown(error)})") from None


def _described(path: Path, head: Any) -> tuple[list[str], Any]:
    """Names of the columns and the rows, of either version."""
    try:
        if "columns" in head:
            return [str(c["name"]) for c in head["columns"]], head.get("rows")
        groups = [
            g
            for part in ("clinicalData", "referenceData")
            for g in head.get(part, {}).get("itemGroupData", {}).values()
        ]
        if len(groups) == 1:
            names = [str(c["name"]) for c in groups[0]["items"]]
            return names, groups[0]["itemData"]
    except (KeyError, TypeError, AttributeError):
        pass
    raise PanelError(
        f"{path}: is no CDISC Dataset-JSON of one data set; expected 'columns' and 'rows' (1.1) or 'clinicalData' (1.0)"
    )
