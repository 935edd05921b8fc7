"""Rows of exports whose header is known: CSV, TSV, Excel and Parquet to cells by column, each with its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from crosstalk.errors import PanelError
from crosstalk.limits import CELL, ROWS, TABLE, shown
from crosstalk.panel.cells import decimal_evidence
from crosstalk.panel.text import decode_text
from crosstalk.panel.vocabulary import words

__all__ = ["Row", "Rows", "age", "beside_file", "decimal_of", "rows_of"]

SEPARATORS = ",;\t|"
BEGINS = 60  # rows within which the header must stand
YEAR_DAYS = 365.25
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xpt")
LISTED = 5


class Row(NamedTuple):
    """One row: where it stood, and its cells by the name of the column in lower case."""

    place: str
    cells: Mapping[str, str]

    def get(self, *names: str) -> str:
        """The first of some columns that is filled."""
        return next((self.cells[name] for name in names if self.cells.get(name)), "")


@dataclass
class Rows:
    """The rows of one table.

    Attributes
    ----------
    columns : tuple of str
        In lower case.
    problems, warnings : list of str
        Rows that could not be read are problems; a file that may be cut off is a warning.
    commas : bool
        Whether commas part the columns, so that no number has a decimal comma.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    content: bytes = b""
    commas: bool = False
    above: list[list[str]] = field(default_factory=list)


def rows_of(path: Path, needed: Sequence[str]) -> Rows:
    """The rows below the header that holds all needed columns, in lower case.

    Raises
    ------
    PanelError
        If the file cannot be read, or no row of its beginning is such a header.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return _parquet(path, needed)
    if start == b"PK\x03\x04":
        return _workbook(path, needed)
    return _text(path, needed)


def _text(path: Path, needed: Sequence[str]) -> Rows:
    if path.stat().st_size > TABLE:
        raise PanelError(f"{path}: is larger than {TABLE / 1e9:g} GB; split the file")
    content = path.read_bytes()
    warnings: list[str] = []
    text = decode_text(path, content, warnings).replace("\ufeff", "")
    head = "\n".join(text.splitlines()[:BEGINS])
    separator = next((s for s in SEPARATORS if _begin(csv.reader(io.StringIO(head), delimiter=s), needed) >= 0), "")
    if not separator:
        raise PanelError(f"{path}: no row holds the columns {', '.join(needed)}; export the table anew, whole")
    if not text.endswith(("\n", "\r")):
        warnings.append(f"{path}: the last line does not end with a line break; check that the file is whole")
    records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found = _rows(path, _numbered(path, records), needed, "line")
    found.warnings[:0] = warnings
    found.content, found.commas = content, separator == ","
    return found


def _begin(rows: Iterable[Sequence[str]], needed: Sequence[str]) -> int:
    """The index of the header; -1 where there is none."""
    try:
        return next((i for i, row in enumerate(rows) if set(needed) <= {_name(cell) for cell in row}), -1)
    except csv.Error:
        return -1


def _name(cell: str) -> str:
    return " ".join(cell.strip().strip('"').lower().split())


def _numbered(path: Path, records: Iterator[list[str]]) -> Iterator[tuple[str, list[str]]]:
    reader: object = records
    while True:
        line = getattr(reader, "line_num", 0) + 1
        try:
            row = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            raise PanelError(f"{path}, line {line}: cannot be split into columns ({error}); check its quotes") from None
        yield f"line {line}", row


def _workbook(path: Path, needed: Sequence[str]) -> Rows:
    from crosstalk.panel.workbook import cell_text, numbered, opened

    content = path.read_bytes()
    with opened(path, content) as book:
        for sheet in book.worksheets:
            head = [[cell_text(c) for c in row] for _, row in numbered(path, sheet, BEGINS)]
            if _begin(head, needed) < 0:
                continue
            rows = (
                (f"sheet '{sheet.title}', row {n}", [cell_text(c) for c in row]) for n, row in numbered(path, sheet)
            )
            found = _rows(path, rows, needed, "row")
            found.content = content
            return found
    raise PanelError(f"{path}: no sheet has a row with the columns {', '.join(needed)}; export the table anew")


def _parquet(path: Path, needed: Sequence[str]) -> Rows:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise PanelError(
            f"{path}: is a Parquet file, which needs pyarrow; install crosstalk-mdd[parquet], or save it as CSV"
        ) from None
    try:
        table = parquet.read_table(path)
        columns = {name: ["" if v is None or v != v else str(v) for v in table[name].to_pylist()]
                   for name in table.column_names}  # fmt: skip
    except Exception as error:  # whatever pyarrow raises of a damaged file
        raise PanelError(f"{path}: cannot be read as Parquet ({shown(error)}); save it anew, or as CSV") from None
    names = list(columns)
    if not set(needed) <= {_name(name) for name in names}:
        raise PanelError(f"{path}: lacks one of the columns {', '.join(needed)}; export the table anew, whole")
    rows = ((f"row {i + 1}", list(row)) for i, row in enumerate(zip(*columns.values(), strict=True)))
    found = _rows(path, _chained(names, rows), needed, "row")
    found.content = path.read_bytes()
    return found


def _chained(header: list[str], rows: Iterator[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    yield "header", header
    yield from rows


def _rows(path: Path, rows: Iterable[tuple[str, list[str]]], needed: Sequence[str], what: str) -> Rows:
    columns: list[str] = []
    found = Rows(path, (), [])
    for place, cells in rows:
        if not columns:
            names = [_name(cell) for cell in cells]
            if not set(needed) <= {*names}:
                found.above.append(cells)
                continue
            while names and not names[-1]:
                names.pop()
            twice = next((n for i, n in enumerate(names) if n and n in names[:i]), None)
            if twice is not None:
                raise PanelError(f"{path}, {place}: column '{shown(twice)}' stands twice; keep one")
            columns = names
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns) and not any(cells[len(columns) :]):
            cells = cells[: len(columns)]
        if what == "row":  # of a sheet, whose empty cells at the end are not stored
            cells = cells + [""] * (len(columns) - len(cells))
        if len(cells) != len(columns):
            found.problems.append(
                f"{path}, {place}: has {len(cells)} columns, expected {len(columns)}; a cut-off line has fewer, an "
                f"unquoted separator adds some; export the table anew"
            )
            continue
        if any(len(cell) > CELL for cell in cells):
            raise PanelError(f"{path}, {place}: a cell holds more than {CELL} characters; check its quotes")
        found.rows.append(Row(place, {n: c.strip() for n, c in zip(columns, cells, strict=True) if n}))
        if len(found.rows) > ROWS:
            raise PanelError(f"{path}: has more than {ROWS} rows; split the file")
    found.columns = tuple(columns)
    if not found.rows and not found.problems:
        raise PanelError(f"{path}: the file holds a header and no row; export the table anew, whole")
    return found


def decimal_of(found: Rows, texts: Mapping[str, str]) -> str:
    """The decimal sign of numbers; texts go to their places. Both signs in one file are a problem.

    Where commas part the columns, a number such as ``2,5`` in quotes is not read.
    """
    if found.commas:
        return "."
    comma, point = decimal_evidence(texts)
    if comma and point:
        found.problems.append(
            f"{found.path}: '{shown(comma)}' ({texts[comma]}) has a decimal comma and '{shown(point)}' "
            f"({texts[point]}) a decimal point; use one of them in the whole file"
        )
    elif comma:
        found.warnings.append(f"{found.path}: numbers are read with decimal commas, as in '{shown(comma)}'")
    return "," if comma and not point else "."


def beside_file(path: Path, *stems: str) -> Path | None:
    """A file of one of these names beside another, whatever its case and ending: ``patients.csv``."""
    folder = path if path.is_dir() else path.parent
    wanted = {words(s) for s in stems}
    found = (p for p in sorted(folder.iterdir()) if p != path and words(p.stem) in wanted)
    return next((p for p in found if p.suffix.lower() in TABLES), None)


def age(born: str, when: str) -> str:
    """Years between two ISO dates, whole days counted; "" where either is none.

    Examples
    --------
    >>> age("1980-01-01", "2024-01-05T10:00:00Z"), age("1980", "2024-01-05")
    ('44.01', '')
    """
    try:
        days = (date.fromisoformat(when[:10]) - date.fromisoformat(born[:10])).days
    except ValueError:
        return ""
    return f"{days / YEAR_DAYS:.2f}" if days >= 0 else ""
