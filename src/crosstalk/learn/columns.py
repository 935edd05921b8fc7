"""Columns of a data frame as analytes: what estimators that know panels read, with the panel reader's own rules.

Two layouts are understood. ``wide`` is that of a wide panel file: headers such as ``IL-6 [pg/mL]``, cells that are
numbers or texts such as ``<0.11``. ``cohort`` is the table of `crosstalk.learn.cohort.Cohort`: ids of analytes, in
their own units, beside a censored value a column ``IL-6 below`` or ``IL-6 above`` of 0 and 1, or ``IL-6 upper``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError, PanelError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.learn.cohort import ABOVE, BELOW, UPPER
from crosstalk.panel.derived import derive
from crosstalk.panel.entries import Entry
from crosstalk.panel.header import split_header
from crosstalk.panel.records import Measurement, Panel
from crosstalk.panel.values import Interpreter

__all__ = ["BELOW", "Column", "ColumnError", "ColumnWarning", "Layout", "Others", "TableReader"]

Array = NDArray[np.float64]
Layout = Literal["wide", "cohort"]
Others = Literal["refuse", "ignore", "pass"]

FLAGS = (BELOW, ABOVE, UPPER)


class ColumnError(LearnError, ValueError):
    """A table cannot be read as panels; a ValueError too, since scikit-learn's callers expect one."""


class ColumnWarning(UserWarning):
    """A cell or a column was read in a way that the caller should know of."""


class Column(NamedTuple):
    """One analyte of a table: its position, header and unit, and the positions of its flags of censoring or -1."""

    at: int
    header: str
    analyte: Analyte
    unit: str
    below: int
    above: int = -1
    upper: int = -1


@dataclass
class TableReader:
    """Reads rows of a table with given headers.

    Parameters
    ----------
    headers : sequence of str
        Empty where the columns have no names.
    n : int
        Number of columns.
    layout : {"wide", "cohort"}
    others : {"refuse", "ignore", "pass"}
        What to do with columns that are no analyte; columns without a name are such.
    besides : sequence of str
        Headers that the caller reads himself.

    Attributes
    ----------
    columns : list of Column
    rest : list of int
        Positions of columns that are no analyte, without those read ``besides``.

    Raises
    ------
    ColumnError
        If a column is no analyte and ``others="refuse"``, or two are the same one.
    """

    headers: Sequence[str]
    n: int
    layout: Layout = "wide"
    others: Others = "refuse"
    besides: Sequence[str] = ()
    columns: list[Column] = field(init=False)
    rest: list[int] = field(init=False)

    def __post_init__(self) -> None:
        if self.layout not in ("wide", "cohort") or self.others not in ("refuse", "ignore", "pass"):
            raise ColumnError(
                f"layout={self.layout!r}, others={self.others!r}; expected 'wide' or 'cohort', and 'refuse', 'ignore' "
                f"or 'pass'"
            )
        self._interpreter = Interpreter(load_knowledge())
        self._read: dict[tuple[Any, ...], Measurement | None] = {}
        self.columns, self.rest = [], []
        if not self.headers:
            if self.others == "refuse":
                raise ColumnError(
                    "X has no column names; give a data frame whose columns are analytes such as 'hsCRP [mg/L]'"
                )
            self.rest = list(range(self.n))
            return
        names = [str(h) for h in self.headers]
        flags = {h: i for i, h in enumerate(names) if h.endswith(FLAGS)}
        for i, header in enumerate(names):
            if header in self.besides:
                continue
            if self.layout == "cohort" and header in flags and header.rpartition(" ")[0] in names:
                continue
            found = self._column(i, header, flags)
            if found is None:
                self.rest.append(i)
                continue
            twice = next((c for c in self.columns if c.analyte.id == found.analyte.id), None)
            if twice is not None:
                raise ColumnError(f"columns '{twice.header}' and '{header}' are both {found.analyte.id}; keep one")
            self.columns.append(found)
        if self.rest and self.others == "refuse":
            listed = ", ".join(f"'{names[i]}'" for i in self.rest[:5])
            raise ColumnError(
                f"column {listed} is no analyte (`crosstalk analytes` lists them); correct the name, leave the column "
                f"out, or choose another value for others="
            )

    def _column(self, i: int, header: str, flags: dict[str, int]) -> Column | None:
        name, unit = split_header(header) if self.layout == "wide" else (header, "")
        analyte = self._interpreter.find(name)
        if analyte is None:
            return None
        if self.layout == "cohort":
            return Column(i, header, analyte, analyte.unit, *(flags.get(header + suffix, -1) for suffix in FLAGS))
        return Column(i, header, analyte, unit, -1)

    def measurements(self, column: Column, table: NDArray[Any]) -> list[Measurement | None]:
        """The measurement of each row, None where the cell is empty.

        Raises
        ------
        ColumnError
            If a cell cannot be read.
        """
        cells = table[:, column.at]
        none = np.zeros(len(cells))
        flags = [table[:, at] if at >= 0 else none for at in (column.below, column.above, column.upper)]
        found = []
        for i, (cell, below, above, upper) in enumerate(zip(cells, *flags, strict=True)):
            try:
                found.append(self._cell(column, cell, bool(below == 1), bool(above == 1), float(upper or 0.0)))
            except PanelError as error:
                raise ColumnError(f"column '{column.header}', row {i + 1}: {error}") from None
        return found

    def _cell(self, column: Column, cell: Any, below: bool, above: bool, upper: float) -> Measurement | None:
        if cell is None or cell != cell:  # NaN
            return None
        key = (column.at, cell, below, above, upper if upper > 0 else 0.0)
        if key not in self._read:
            analyte = column.analyte
            if self.layout == "cohort" and analyte.covariate == "female":
                self._read[key] = Measurement(analyte.id, float(cell))
            elif below:
                # the table holds the limit over the square root of 2
                self._read[key] = Measurement(analyte.id, float(cell) * np.sqrt(2), "left")
            elif above:
                self._read[key] = Measurement(analyte.id, float(cell), "right")
            elif upper > 0:
                # the table holds the geometric mean of the two limits
                self._read[key] = Measurement(analyte.id, float(cell) ** 2 / upper, "interval", upper=upper)
            else:
                text = cell.strip() if isinstance(cell, str) else repr(float(cell)).removesuffix(".0")
                entry = Entry(column.header, "", analyte.id, text, column.unit, confirmed="")
                self._read[key] = self._interpreter.measurement(entry, analyte, 0.0)
        return self._read[key]

    def limits(self, column: Column, table: NDArray[Any]) -> tuple[Array, Array]:
        """Limits of each value, shape (n,) each: equal where it is known, 0 and infinity where it is missing.

        Raises
        ------
        ColumnError
            If a value is zero: no logarithm, and no limit of detection that would say what it means.
        """
        low, high = np.zeros(len(table)), np.full(len(table), np.inf)
        for i, m in enumerate(self.measurements(column, table)):
            if m is None:
                continue
            if m.censored == "left":
                high[i] = m.value
            elif m.censored == "interval" and m.upper is not None:
                low[i], high[i] = m.value, m.upper
            else:
                low[i] = m.value
                high[i] = np.inf if m.censored == "right" else m.value
            if high[i] <= 0:
                raise ColumnError(
                    f"column '{column.header}', row {i + 1}: 0 is no concentration; write a value below the limit of "
                    f"detection as <LIMIT"
                )
        return low, high

    def numbers(self, column: Column, table: NDArray[Any]) -> Array:
        """Values as numbers, shape (n,); NaN where missing or censored."""
        found = self.measurements(column, table)
        return np.array([np.nan if m is None or m.censored else m.value for m in found])

    def plain(self, table: NDArray[Any], at: Sequence[int]) -> Array:
        """Columns that are no analyte as numbers, shape (n, len(at)); NaN where missing.

        Raises
        ------
        ColumnError
            If one holds anything else.
        """
        out = np.full((len(table), len(at)), np.nan)
        for j, i in enumerate(at):
            for row, cell in enumerate(table[:, i]):
                if cell is None or cell != cell:
                    continue
                try:
                    out[row, j] = float(cell)
                except (TypeError, ValueError) as error:
                    name = f"'{self.headers[i]}'" if self.headers else str(i)
                    raise ColumnError(
                        f"column {name}, row {row + 1}: received {cell!r}, not a number ({error}); each argument must "
                        f"be a number or a string that is one"
                    ) from None
        return out

    def panels(self, table: NDArray[Any]) -> list[Panel]:
        """Each row as a panel, derived values included."""
        known = load_knowledge().analytes
        columns = [(c.analyte.id, self.measurements(c, table)) for c in self.columns]
        found = []
        for i in range(len(table)):
            own = {name: m for name, rows in columns if (m := rows[i]) is not None}
            extra, _ = derive(own, known)
            found.append(Panel(f"row {i + 1}", {**own, **extra}))
        return found

    def tell(self) -> None:
        """Warn of what was assumed about unusual cells, once for each kind."""
        for words, (place, count) in self._interpreter.assumed.items():
            more = f" (and {count - 1} more cells)" if count > 1 else ""
            warnings.warn(ColumnWarning(f"column '{place}': {words}{more}"), stacklevel=3)
        self._interpreter.assumed.clear()
