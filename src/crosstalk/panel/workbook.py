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
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.panel.cells import unclear
from crosstalk.panel.entries import Reading
from crosstalk.panel.layout import SEARCHED, arrange, is_header
from crosstalk.panel.number_formats import shown
from crosstalk.panel.values import knower
from crosstalk.panel.vocabulary import role

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

__all__ = ["first_rows", "read"]

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
LISTED = 5  # rows or cells named in one message


def read(path: Path, knowledge: Knowledge | None = None, keep: Sequence[str] = ()) -> Reading:
    """Read the one sheet of an Excel workbook (.xlsx, .xlsm) that holds a table of panels, long or wide.

    Raises
    ------
    PanelError
        If the file is no workbook, no sheet holds a panel, or several do.
    """
    content = path.read_bytes()
    with _opened(path, content) as book:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        heads = {title: _head(sheet) for title, sheet in sheets.items()}
        shown = [title for title, sheet in sheets.items() if sheet.sheet_state == "visible"]
        found = [title for title in shown if any(is_header(row) for row in heads[title])]
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
        cells = _Cells(book)
        rows = [[cells.text(cell) for cell in row] for row in sheets[chosen].iter_rows()]
    header = next(n for n, row in enumerate(rows, start=1) if is_header(row))
    structure = _structure(path, content, chosen)
    width = max(map(len, rows))
    where = f"sheet '{chosen}', row"
    numbered = ((n, [*row, *[""] * (width - len(row))]) for n, row in enumerate(rows, start=1))
    reading = arrange(str(path), numbered, where, commas=False, content=content, known=knower(knowledge), keep=keep)
    notes = [
        f"{path}: sheet '{title}'{'' if title in shown else ', which is hidden,'} was not read"
        for title in sheets
        if title != chosen and any(any(row) for row in heads[title])
    ]
    hidden = [n for n in structure.hidden_rows if n > header and n <= len(rows) and any(rows[n - 1])]
    if hidden:
        plural = "s" if len(hidden) > 1 else ""
        notes.append(f"{path}, {where}{plural} {_listed(hidden)}: hidden in the sheet, and read as all others")
    if structure.hidden_columns:
        notes.append(f"{path}, {where} {header}: hidden columns are read as all others ({structure.hidden_columns})")
    problems = [
        f"{path}, {where} {row}: the cells {area} are merged, and only the first of them holds the value; unmerge "
        f"them and fill each"
        for row, last, area in structure.merged
        if last >= header
    ]
    problems += [
        f"{path}, {where} {row}: the formula in {cell} has no stored result; open the workbook in Excel and save it, "
        f"or paste the values"
        for row, cell in structure.uncomputed
        if row >= header
    ][:LISTED]
    at = {n: where for n, row in enumerate(rows, start=1) if n >= header and any(row)}
    problems += [f"{path}, {where} {row}, cell {cell}: {words}" for row, cell, words in cells.refused if row in at][
        :LISTED
    ]
    struck = list(dict.fromkeys(cell for row, cell in (*cells.struck, *structure.struck) if row in at))
    if struck:
        problems.append(
            f"{path}, sheet '{chosen}': {'cells' if len(struck) > 1 else 'cell'} {_listed(struck)}: crossed out; "
            f"delete what does not hold, or take the strike-through away"
        )
    dated = [
        cell for row, column, cell in cells.dates if row > header and row in at and column in _names(rows[header - 1])
    ]
    if dated:
        problems.append(
            f"{path}, sheet '{chosen}', cells {_listed(dated)}: a date where a name is expected; a spreadsheet turns "
            f"codes such as 1-3 or MAR1 into dates: format the column as text and enter them again"
        )
    return replace(reading, problems=[*problems, *reading.problems], warnings=[*notes, *reading.warnings])


def first_rows(path: Path, count: int = SEARCHED) -> Iterator[list[str]]:
    """The first rows of every sheet, as text, to recognise what wrote the workbook.

    Raises
    ------
    PanelError
        If the file cannot be opened as a workbook.
    """
    with _opened(path, path.read_bytes()) as book:
        for sheet in book.worksheets:
            yield from ([_text(cell) for cell in row] for row in sheet.iter_rows(max_row=count))


@contextmanager
def _opened(path: Path, content: bytes) -> Iterator[Workbook]:
    from openpyxl import load_workbook

    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # of styles and extensions that hold no values
        try:
            book = load_workbook(BytesIO(content), read_only=True, data_only=True, rich_text=_has_struck_words(content))
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # some programs state them wrongly, and cells would be lost
            yield book
        except PanelError:
            raise
        except Exception as error:  # of a damaged archive or XML: openpyxl raises whatever its parts do
            raise PanelError(
                f"{path}: cannot be read as an Excel workbook ({type(error).__name__}: {error}); open it in Excel and "
                f"save it again as .xlsx, or as CSV"
            ) from None


def _has_struck_words(content: bytes) -> bool:
    """Whether words within a cell are crossed out."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        part = "xl/sharedStrings.xml"
        return part in archive.namelist() and b"<strike" in archive.read(part)


def _head(sheet: Any) -> list[list[str]]:
    found = []
    for row in sheet.iter_rows():
        cells = [_text(cell) for cell in row]
        if any(cells):
            found.append(cells)
        if len(found) == SEARCHED:
            break
    return found


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
        plain = _text(cell)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return plain
        try:
            found = shown(float(value), cell.number_format or "", plain)
        except PanelError as error:
            self.refused.append((cell.row, cell.coordinate, str(error)))
            return plain
        # a number of a cell is no thousand: a digit more says so
        return f"{found}0" if found == plain and unclear(plain) else found


def _text(cell: Any) -> str:
    """A cell as a person would write it into a CSV."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
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
            f"{path}: sheet '{title}' is damaged ({error}); open it in Excel and save it again as .xlsx, or as CSV"
        ) from None
    found.hidden_columns = ", ".join(hidden_columns)
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
