"""From an Excel workbook to rows of cells: which sheet, dates, errors, formulas, hidden and merged cells."""

from __future__ import annotations

import datetime
import warnings as python_warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from crosstalk.errors import PanelError
from crosstalk.limits import COLUMNS, DEPTH, EXPANDED, FOLD, SHEET_ROWS, SMALL, shown
from crosstalk.panel.cells import unclear
from crosstalk.panel.entries import Reading, Wanted
from crosstalk.panel.header import is_header
from crosstalk.panel.layout import arrange
from crosstalk.panel.number_formats import formatted
from crosstalk.panel.table_rows import SEARCHED
from crosstalk.panel.vocabulary import role

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

__all__ = ["cell_text", "first_rows", "numbered", "opened", "read"]

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
LISTED = 5  # rows or cells named in one message
BEGINS = 10_000  # last row in which a table may begin
CHUNK = 65_536  # bytes of a part that are looked through at a time
ROW = 4_000_000  # bytes of one row; the widest that a sheet holds takes some 0.7 MB
HUGE = 1e300  # above it a number is kept as it is written


def read(path: Path, wanted: Wanted | None = None) -> Reading:
    """Read the one sheet of an Excel workbook (.xlsx, .xlsm) that holds a table of panels, long or wide.

    Raises
    ------
    PanelError
        If the file is no workbook, is larger than the limits, no sheet holds a panel, or several do.
    """
    content = path.read_bytes()
    with opened(path, content) as book:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        heads = {title: list(_head(path, sheet)) for title, sheet in sheets.items()}
        visible = [title for title, sheet in sheets.items() if sheet.sheet_state == "visible"]
        found = [title for title in visible if any(is_header(row) for row in heads[title])]
        if len(found) > 1:
            raise PanelError(
                f"{path}: the sheets {_quoted(found)} all hold a table with patients; keep one of them in the "
                f"workbook, or save the one that is meant as CSV"
            )
        if not found:
            raise PanelError(
                f"{path}: no sheet has a header with a column for the patient; expected columns patient, analyte, "
                f"value, unit, or patient and one column per analyte; the sheets are {_quoted(list(sheets))}"
            )
        chosen = found[0]
        structure = _structure(path, content, chosen)
        cells = _Cells(book)
        rows = _Rows(path, sheets[chosen], max(map(len, heads[chosen])), set(structure.hidden_rows), cells)
        where = f"sheet '{chosen}', row"
        reading = arrange(str(path), rows, where, commas=False, content=content, wanted=wanted or Wanted())
    notes = [
        f"{path}: sheet '{title}'{'' if title in visible else ', which is hidden,'} was not read"
        for title in sheets
        if title != chosen and heads[title]
    ]
    if rows.hidden:
        plural = "s" if len(rows.hidden) > 1 else ""
        notes.append(f"{path}, {where}{plural} {_listed(rows.hidden)}: hidden in the sheet, and read as all others")
    if structure.hidden_columns:
        notes.append(
            f"{path}, {where} {rows.header}: hidden columns are read as all others ({structure.hidden_columns})"
        )
    problems = [
        f"{path}, {where} {row}: the cells {area} are merged, and only the first of them holds the value; unmerge "
        f"them and fill each"
        for row, last, area in structure.merged
        if last >= rows.header
    ]
    problems += [
        f"{path}, {where} {row}: the formula in {cell} has no stored result; open the workbook in Excel and save it, "
        f"or paste the values"
        for row, cell in structure.uncomputed
        if row >= rows.header
    ][:LISTED]
    problems += [
        f"{path}, {where} {row}, cell {cell}: {words}" for row, cell, words in cells.refused if row >= rows.header
    ][:LISTED]
    struck = list(dict.fromkeys(cell for row, cell in (*cells.struck, *structure.struck) if row >= rows.header))
    if struck:
        problems.append(
            f"{path}, sheet '{chosen}': {'cells' if len(struck) > 1 else 'cell'} {_listed(struck)}: crossed out; "
            f"delete what does not hold, or take the strike-through away"
        )
    dated = [cell for row, column, cell in cells.dates if row > rows.header and column in rows.names]
    if dated:
        problems.append(
            f"{path}, sheet '{chosen}', cells {_listed(dated)}: a date where a name is expected; a spreadsheet turns "
            f"codes such as 1-3 or MAR1 into dates: format the column as text and enter them again"
        )
    return replace(reading, problems=[*problems, *reading.problems], warnings=[*notes, *reading.warnings])


def first_rows(path: Path) -> Iterator[list[str]]:
    """The first rows of every sheet that hold anything, as text, to recognise what wrote the workbook.

    Raises
    ------
    PanelError
        If the file cannot be opened as a workbook.
    """
    with opened(path, path.read_bytes()) as book:
        for sheet in book.worksheets:
            yield from _head(path, sheet)


@contextmanager
def opened(path: Path, content: bytes) -> Iterator[Workbook]:
    """A workbook to be read row by row, after its size was checked.

    Raises
    ------
    PanelError
        If it is none, or larger than the limits.
    """
    from openpyxl import load_workbook

    _check_size(path, content)
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # of styles and extensions that hold no values
        try:
            book = load_workbook(BytesIO(content), read_only=True, data_only=True, rich_text=_has_struck_words(content))
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # some programs state them wrongly, and cells would be lost
        except Exception as error:  # of a damaged archive or XML: openpyxl raises whatever its parts do
            raise _damaged(path, error) from None
        yield book


def numbered(path: Path, sheet: Any, last: int = SHEET_ROWS) -> Iterator[tuple[int, list[Any]]]:
    """Number and cells of each row up to ``last`` that holds any, without the empty ones at its end.

    Raises
    ------
    PanelError
        If a row lies beyond the limits of a sheet, or cannot be read.
    """
    rows = enumerate(sheet.iter_rows(), start=1)
    while True:
        try:
            number, row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # as above
            raise _damaged(path, error) from None
        if number > last and last < SHEET_ROWS:
            return
        if number > SHEET_ROWS:
            raise PanelError(f"{path}, sheet '{sheet.title}': has more than {SHEET_ROWS} rows; {_LESS}")
        width = len(row)
        while width and row[width - 1].value is None:
            width -= 1
        if width > COLUMNS:
            raise PanelError(
                f"{path}, sheet '{sheet.title}', row {number}: has {width} columns; read are at most {COLUMNS}; {_LESS}"
            )
        if width:
            yield number, list(row[:width])


_LESS = "split the workbook, or leave out what no panel needs"


def _has_struck_words(content: bytes) -> bool:
    """Whether words within a cell are crossed out."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        part = "xl/sharedStrings.xml"
        return part in archive.namelist() and b"<strike" in archive.read(part)


def _check_size(path: Path, content: bytes) -> None:
    """Refuse what expands beyond the limits, by the archive's own list of sizes, which no part can exceed."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
            total = sum(part.file_size for part in parts)
            if total > EXPANDED:
                raise PanelError(
                    f"{path}: expands to {total / 1e9:.1f} GB; read are at most {EXPANDED / 1e9:g} GB; {_LESS}"
                )
            for part in parts:
                if part.file_size > max(SMALL, FOLD * part.compress_size):
                    fold = part.file_size / max(part.compress_size, 1)
                    raise PanelError(
                        f"{path}: its part {shown(part.filename)} expands {fold:.0f}-fold to "
                        f"{part.file_size / 1e6:.0f} MB, as no table does; save the table anew"
                    )
            for part in parts:
                if part.filename.startswith("xl/worksheets/"):
                    _check_sheet(path, archive, part)
    except PanelError:
        raise
    except Exception as error:  # as of openpyxl
        raise _damaged(path, error) from None


def _check_sheet(path: Path, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse too many rows, a row too long and elements too deep by a look at the bytes, quicker than by parsing."""
    rows, depth, since, rest = 0, 0, 0, b""
    what = f"{path}: {shown(part.filename)}"
    with archive.open(part) as xml:
        while block := xml.read(CHUNK):
            # marks that a block cuts in two are counted once
            marks, pairs = rest[-4:] + block, rest[-1:] + block
            found = marks.count(b"<row ") + marks.count(b"<row>")
            rows += found
            if rows > SHEET_ROWS:
                raise PanelError(f"{what} has more than {SHEET_ROWS} rows; {_LESS}")
            since = len(block) - max(block.rfind(b"<row"), 0) if found else since + len(block)
            if b"</sheetData" in rest + block:
                since = -(2**60)  # what follows is no row
            if since > ROW:
                raise PanelError(f"{what} has a row of more than {ROW / 1e6:g} MB; {_LESS}")
            starts = block.count(b"<") - pairs.count(b"<!") - pairs.count(b"<?")
            depth += starts - 2 * pairs.count(b"</") - pairs.count(b"/>")
            if depth > DEPTH:
                raise PanelError(f"{what} is nested more than {DEPTH} elements deep, as no sheet is; save it anew")
            rest = block[-11:]


def _damaged(path: Path, error: Exception) -> PanelError:
    return PanelError(
        f"{path}: cannot be read as an Excel workbook ({type(error).__name__}: {shown(error)}); open it in Excel and "
        f"save it again as .xlsx, or as CSV"
    )


def _head(path: Path, sheet: Any) -> Iterator[list[str]]:
    """The first rows that hold anything, of those in which a table may begin."""
    for _, row in islice(numbered(path, sheet, BEGINS), SEARCHED):
        cells = [cell_text(cell) for cell in row]
        if any(cells):
            yield cells


class _Rows:
    """Rows of the chosen sheet as text, each at least as wide as the header; which is it, and which were hidden."""

    def __init__(self, path: Path, sheet: Any, width: int, hide: set[int], cells: _Cells) -> None:
        self.header = 0
        self.names: set[int] = set()  # columns of the header that hold names
        self.hidden: list[int] = []
        self._path, self._sheet, self._width, self._hide, self._cells = path, sheet, width, hide, cells

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for number, row in numbered(self._path, self._sheet):
            cells = [self._cells.text(cell) for cell in row]
            if not self.header and is_header(cells):
                self.header, self.names = number, _names(cells)
            elif self.header and number in self._hide and any(cells):
                self.hidden.append(number)
            yield number, cells + [""] * (self._width - len(cells))


def _names(header: list[str]) -> set[int]:
    """Positions of the columns that hold names, which a spreadsheet may have turned into dates."""
    found = {i for i, text in enumerate(header, start=1) if role(text) in ("patient", "analyte", "unit")}
    return found | {i for i, text in enumerate(header, start=1) if text.lower() == "id"}


class _Cells:
    """Cells as a person sees them: with the sign, the unit or the word that a number format adds."""

    def __init__(self, book: Workbook) -> None:
        fonts: list[Any] = list(getattr(book, "_fonts", ()))
        self._strikes = any(font is not None and font.strike for font in fonts)
        self.struck: list[tuple[int, str]] = []
        self.refused: list[tuple[int, str, str]] = []
        self.dates: list[tuple[int, int, str]] = []

    def text(self, cell: Any) -> str:
        """A cell as text; what cannot be said in text is kept in ``refused``."""
        value = cell.value
        if value is None:
            return ""
        pieces = value if isinstance(value, list) else ()  # words in several fonts
        struck = any(getattr(getattr(piece, "font", None), "strike", False) for piece in pieces)
        if struck or (self._strikes and cell.font is not None and cell.font.strike):
            self.struck.append((cell.row, cell.coordinate))
        if isinstance(value, datetime.datetime | datetime.date):
            self.dates.append((cell.row, cell.column, cell.coordinate))
        plain = cell_text(cell)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return plain
        try:
            found = formatted(float(value), cell.number_format or "", plain)
        except PanelError as error:
            self.refused.append((cell.row, cell.coordinate, str(error)))
            return plain
        # a number of a cell is no thousand: a digit more says so
        return f"{found}0" if found == plain and unclear(plain) else found


def cell_text(cell: Any) -> str:
    """A cell as a person would write it into a CSV."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float) and abs(value) < HUGE:
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value).strip()


@dataclass
class _Structure:
    """What openpyxl does not tell of a sheet that it only reads."""

    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: str = ""
    merged: list[tuple[int, int, str]] = field(default_factory=list)
    uncomputed: list[tuple[int, str]] = field(default_factory=list)
    struck: list[tuple[int, str]] = field(default_factory=list)


def _row_of(cell: str) -> int:
    """The row of a cell such as B12."""
    return int("".join(c for c in cell if c.isdigit()) or 0)


def _structure(path: Path, content: bytes, title: str) -> _Structure:
    found = _Structure()
    hidden_columns = []
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive, archive.open(_part(archive, title)) as xml:
            number = 0
            for _, element in ElementTree.iterparse(xml):
                if element.tag == f"{MAIN}c":
                    inline = element.find(f"{MAIN}is")
                    if inline is not None and inline.find(f".//{MAIN}strike") is not None:
                        found.struck.append((_row_of(element.get("r", "")), element.get("r", "")))
                    formula, value = element.find(f"{MAIN}f"), element.find(f"{MAIN}v")
                    if formula is not None and (value is None or not value.text) and inline is None:
                        cell = element.get("r", "")
                        found.uncomputed.append((_row_of(cell), cell))
                elif element.tag == f"{MAIN}row":
                    number = int(element.get("r", number + 1))
                    if element.get("hidden") in ("1", "true"):
                        found.hidden_rows.append(number)
                    element.clear()
                elif element.tag == f"{MAIN}col" and element.get("hidden") in ("1", "true"):
                    hidden_columns.append(f"{element.get('min')} to {element.get('max')}")
                elif element.tag == f"{MAIN}mergeCell":
                    area = element.get("ref", "")
                    ends = [_row_of(end) for end in area.split(":")]
                    found.merged.append((ends[0], ends[-1], area))
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, ElementTree.ParseError, OSError, EOFError) as error:
        raise PanelError(
            f"{path}: sheet '{title}' is damaged ({shown(error)}); open it in Excel and save it again as .xlsx, or "
            f"as CSV"
        ) from None
    found.hidden_columns = shown(", ".join(hidden_columns))
    return found


def _part(archive: zipfile.ZipFile, title: str) -> str:
    """The part of the archive that holds a sheet."""
    sheets = ElementTree.fromstring(archive.read("xl/workbook.xml")).iter(f"{MAIN}sheet")
    wanted = next((sheet.get(RELATION) for sheet in sheets if sheet.get("name") == title), None)
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next((link.get("Target", "") for link in links if link.get("Id") == wanted), "")
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _listed(numbers: Sequence[int | str]) -> str:
    rest = len(numbers) - LISTED
    return ", ".join(map(str, numbers[:LISTED])) + (f" and {rest} more" if rest > 0 else "")
