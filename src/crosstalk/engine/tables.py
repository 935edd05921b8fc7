"""Tables of individuals from files or data frames: cells as text with their lines, so that a message can say where."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import UsageError
from crosstalk.limits import COLUMNS, ROWS, TABLE, shown
from crosstalk.spreadsheets import unescape

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MISSING", "Table", "read_table"]

Array = NDArray[np.float64]

MISSING = ("", ".", "NA", "nan")  # the dot is NONMEM's, the others those of R and pandas
SEPARATORS = "\t;,"


@dataclass(frozen=True)
class Table:
    """Cells by column.

    Attributes
    ----------
    source : str
        Where it came from, for messages.
    columns : mapping of str to list of str
    lines : list of int
        Line of the file, or row of the data frame, of each row.
    """

    source: str
    columns: Mapping[str, list[str]]
    lines: list[int]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    def where(self, row: int) -> str:
        """Name a row in a message."""
        return f"{self.source}, line {self.lines[row]}"

    def numbers(self, column: str, *, missing: float | None = None) -> Array:
        """A column as numbers, shape (n_rows,).

        Parameters
        ----------
        missing : float, optional
            What an empty cell stands for; by default it is an error.

        Raises
        ------
        UsageError
            On a cell that is no finite number.
        """
        found = np.empty(len(self))
        for row, cell in enumerate(self.columns[column]):
            if cell in MISSING:
                if missing is None:
                    raise UsageError(f"{self.where(row)}: the column '{column}' is empty; expected a number")
                found[row] = missing
                continue
            try:
                found[row] = float(cell)
            except ValueError:
                found[row] = np.nan
            if not np.isfinite(found[row]):
                raise UsageError(f"{self.where(row)}: {column} is '{shown(cell)}'; expected a finite number")
        return found


def read_table(source: Path | str | pd.DataFrame, what: str) -> Table:
    """Read a table.

    Parameters
    ----------
    source : Path, str or DataFrame
        Text with a header; separated by commas, semicolons, tabs or blanks.
    what : str
        What the table is, for messages.

    Raises
    ------
    UsageError
        If it is no such table: not there, too large, no text, columns without or with the same name, rows that are
        longer or shorter than the header.
    """
    if not isinstance(source, (str, Path)):
        cells = {str(c): ["" if v is None or v != v else str(v) for v in source[c]] for c in source.columns}
        return Table(f"the data frame of {what}", cells, list(range(len(source))))
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; expected a table of {what}")
    if path.stat().st_size > TABLE:
        raise UsageError(f"{path}: is larger than {TABLE / 1e9:g} GB; split the table")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no text in UTF-8 (byte {error.start}); save the table as CSV UTF-8") from None
    if "\0" in text[:10_000]:
        raise UsageError(f"{path}: is no text; save the table as CSV")
    rows = _rows(text)
    header = [unescape(name.strip()) for name in next(rows, (0, []))[1]]
    if not header:
        raise UsageError(f"{path}: is empty; expected a table of {what} with a header")
    _check_header(str(path), header)
    columns: dict[str, list[str]] = {name: [] for name in header}
    lists = list(columns.values())
    lines: list[int] = []
    for line, row in rows:
        if len(row) != len(header):
            raise UsageError(f"{path}, line {line}: has {len(row)} cells; expected {len(header)} as in the header")
        if len(lines) >= ROWS:
            raise UsageError(f"{path}: has more than {ROWS} rows; split the table")
        lines.append(line)
        for column, cell in zip(lists, row, strict=True):
            column.append(unescape(cell.strip()))
    return Table(str(path), columns, lines)


def _rows(text: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows with their lines; empty lines are passed over."""
    head = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    if not head.count(separator):
        for line, row in enumerate(text.splitlines(), 1):
            if row.strip():
                yield line, row.split()
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            if any(c.strip() for c in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num} of the table cannot be read: {error}") from None


def _check_header(source: str, header: Sequence[str]) -> None:
    if len(header) > COLUMNS:
        raise UsageError(f"{source}: has {len(header)} columns; up to {COLUMNS} are read")
    for k, name in enumerate(header):
        if not name:
            raise UsageError(f"{source}: column {k + 1} of the header has no name")
        if name in header[:k]:
            raise UsageError(f"{source}: two columns are named '{shown(name)}'; give each its own name")
