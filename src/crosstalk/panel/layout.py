"""From rows of cells to entries: which patient, which analyte, which text, in which place; long or wide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from sys import intern
from typing import NamedTuple

from crosstalk.errors import PanelError, UnitError
from crosstalk.limits import CELL, CELLS, COLUMNS, ROWS, shown
from crosstalk.panel.cells import decimal_evidence
from crosstalk.panel.entries import Entry, Reading
from crosstalk.spreadsheets import unescape
from crosstalk.units import parse_unit

__all__ = ["LONG", "PATIENT", "SEARCHED", "arrange", "is_header", "split_header"]

PATIENT = ("patient", "subject", "id", "patient_id", "subject_id", "participant", "participant_id", "usubjid", "seqn")
LONG = {
    "analyte": ("analyte", "marker", "test", "parameter"),
    "value": ("value", "result", "concentration"),
    "unit": ("unit", "units"),
    "specimen": ("specimen", "matrix"),
    "method": ("method", "assay"),
    "lod": ("lod",),
    "lloq": ("lloq", "loq"),
    "cv": ("cv",),
    "time": ("time", "time_h", "hour"),
    "confirmed": ("confirmed",),
    "quality": ("quality",),
    "remarks": ("remarks", "remark"),
    "source": ("source", "note", "comment"),
}
OF_ROW = ("specimen", "method", "time", "confirmed")  # columns of the wide layout that hold for the whole row
SEARCHED = 20  # rows in which the header is looked for
NAME = 200  # characters of a patient's id or of an analyte's name
LISTED, UNREAD = 6, 40  # columns named in a message: of a header, and of those that are not read
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)


def arrange(file: str, rows: Iterable[tuple[int, list[str]]], where: str, *, commas: bool, content: bytes) -> Reading:
    """Read rows of cells as a table of panels.

    Parameters
    ----------
    file : str
        For messages.
    rows : iterable of (int, list of str)
        Number and cells of each row; comments are left out, empty rows need not be.
    where : str
        What the number counts: ``line``, ``sheet 'Results', row``.
    commas : bool
        Whether cells were separated by commas; then no decimal comma is looked for.
    content : bytes
        What the hash is taken of.

    Raises
    ------
    PanelError
        If the rows are no table of panels.
    """
    filled = ((n, row) for n, row in rows if any(map(str.strip, row)))
    table = _Table(file, where, filled, commas)
    entries = list(table.long() if table.columns is not None else table.wide())
    if not table.rows_read and not table.problems:
        raise PanelError(f"{file}: the file holds a header and no row; add the patients' values")
    table.tell_unnamed()
    decimal = "." if commas else table.decimal_sign(entries)
    return Reading(entries, table.problems, table.warnings, content, decimal)


def is_header(row: list[str]) -> bool:
    """Whether a row names a column for the patient and at least one more."""
    names = [_normal(cell) for cell in row]
    return any(name in PATIENT for name in names) and sum(map(bool, names)) > 1


def _normal(cell: str) -> str:
    return re.sub(r"[\s_.-]+", "_", _text(cell).rstrip(": ").lower())


def _text(cell: str) -> str:
    """A cell without blanks around it, and without what makes a spreadsheet take it as text: ="...", or an apostrophe.

    An apostrophe stays where nothing follows that a spreadsheet would run.
    """
    plain = cell.strip()
    if plain.startswith('="'):
        match = _AS_TEXT.fullmatch(plain)
        return match[1].strip() if match else plain
    return unescape(plain)


def split_header(text: str) -> tuple[str, str]:
    """The name and the unit of a header such as ``insulin [u[IU]/mL]``; the unit is empty where there is none.

    Examples
    --------
    >>> split_header("hsCRP [mg/L]"), split_header("insulin [u[IU]/mL]"), split_header("age")
    (('hsCRP', 'mg/L'), ('insulin', 'u[IU]/mL'), ('age', ''))
    """
    whole = text.rstrip()
    if len(whole) > NAME or not whole.endswith(("]", ")")):
        return text, ""
    body = whole[:-1]
    last = max(body.rfind("]"), body.rfind(")"))
    # the unit itself may hold one pair of square brackets
    earlier = body.rfind("]", 0, last) if body[last : last + 1] == "]" else last
    for at in range(max(1, earlier + 1), len(body)):
        if body[at] not in "[(":
            continue
        inner = body.find("[", at + 1, last)
        closed = body.find(")", at + 1, last)
        if at > last or (inner >= 0 and (closed < 0 or inner < closed)):
            return body[:at].rstrip(), body[at + 1 :]
    return text, ""


class _Column(NamedTuple):
    at: int
    name: str
    unit: str


class _Table:
    """The header of a table and the pass over its rows; collects problems and warnings on the way."""

    def __init__(self, file: str, where: str, rows: Iterator[tuple[int, list[str]]], commas: bool) -> None:
        self.file, self.where, self.commas = file, where, commas
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.rows_read = 0
        self.header_line, self.header, self.rows = self._find_header(rows)
        self.names = [_normal(cell) for cell in self.header]
        self._check_header()
        self.patient = next(i for i, name in enumerate(self.names) if name in PATIENT)
        found = {
            key: self.names.index(name) for key, names in LONG.items() for name in names[::-1] if name in self.names
        }
        self.columns = found if "analyte" in found and "value" in found else None
        self.of_row = {key: found[key] for key in OF_ROW if key in found}
        self.unnamed = {i: "" for i, name in enumerate(self.header) if not name}

    def place(self, number: int) -> str:
        return f"{self.file}, {self.where} {number}"

    def _find_header(
        self, rows: Iterator[tuple[int, list[str]]]
    ) -> tuple[int, list[str], Iterator[tuple[int, list[str]]]]:
        head = list(islice(rows, SEARCHED))
        if not head:
            raise PanelError(f"{self.file}: the file is empty; expected a header and at least one row")
        at = next((i for i, (_, row) in enumerate(head) if is_header(row)), 0)
        above = head[:at]
        if any(sum(bool(cell.strip()) for cell in row) > 2 for _, row in above):
            at, above = 0, []  # rows with data above what looks like a header: not the table that it seems
        number, row = head[at]
        if above:
            last = f" to {above[-1][0]}" if len(above) > 1 else ""
            self.warnings.append(f"{self.place(above[0][0])}{last}: above the header; not read")
        header = [" ".join(_text(cell).split()) for cell in row]
        while header and not header[-1] and not self.commas:
            header.pop()
        if len(header) > COLUMNS:
            raise PanelError(
                f"{self.place(number)}: has {len(header)} columns; read are at most {COLUMNS}, as many as a sheet of "
                f"Excel holds; leave out what no panel needs"
            )
        if sum(map(bool, header)) < 2:
            raise PanelError(
                f"{self.place(number)}: '{shown(' '.join(header))}' is not the header of a table; expected columns "
                f"patient, analyte, value, unit, or patient and one column per analyte such as 'hsCRP [mg/L]'"
            )
        return number, header, chain(head[at + 1 :], rows)

    def _check_header(self) -> None:
        """Refuse a name that stands twice, and a long layout that has lost a column: either would be misread."""
        place = self.place(self.header_line)
        received = ", ".join(map(shown, self.header[:LISTED]))
        twice = next((name for name, n in Counter(self.names).items() if name and n > 1), None)
        if twice is not None:
            raise PanelError(f"{place}: column '{shown(twice)}' stands twice; keep one")
        patients = [name for name in self.names if name in PATIENT]
        if len(patients) > 1:
            raise PanelError(f"{place}: columns {' and '.join(patients)} both name the patient; rename all but one")
        names = set(self.names)
        lost = [key for key in ("analyte", "value") if not set(LONG[key]) & names]
        if lost and {*LONG["analyte"], *LONG["unit"]} & names:
            raise PanelError(
                f"{place}: no column '{lost[0]}'; expected patient, analyte, value, unit; received {received}"
            )
        if not patients:
            raise PanelError(
                f"{place}: no column for the patient; expected one named {', '.join(PATIENT[:4])}; received {received}"
            )
        if not lost:
            for key, known in LONG.items():
                both = [name for name in known if name in names]
                if len(both) > 1:
                    raise PanelError(f"{place}: columns {' and '.join(both)} both give the {key}; rename all but one")

    def _clean(self) -> Iterator[tuple[int, list[str]]]:
        """Leave out rows that are no entries, and say why."""
        width = len(self.header)
        lower = [name.lower() for name in self.header]
        for number, row in self.rows:
            cells = list(map(str.strip, row))
            joined = "".join(cells)
            if '="' in joined or "'" in joined:
                cells = [_text(cell) for cell in cells]
            if len(joined) > CELL and any(len(cell) > CELL for cell in cells):
                at, long = next((i, cell) for i, cell in enumerate(cells) if len(cell) > CELL)
                raise PanelError(
                    f"{self.place(number)}, column {at + 1}: '{shown(long)}'; a cell holds at most {CELL} characters; "
                    f"are its quotes right?"
                )
            if len(cells) > width and not self.commas and not any(cells[width:]):
                del cells[width:]
            if cells[self.patient : self.patient + 1] == [self.header[self.patient]] and lower == [
                " ".join(cell.lower().split()) for cell in cells
            ]:
                self.warnings.append(f"{self.place(number)}: repeats the header; left out")
                continue
            self.rows_read += 1
            if self.rows_read > ROWS or self.rows_read * width > CELLS:
                raise PanelError(
                    f"{self.place(number)}: more than {ROWS} rows, or {CELLS} cells in {width} columns; split the "
                    f"file, or leave out what no panel needs"
                )
            if len(cells) != width:
                self.problems.append(
                    f"{self.place(number)}: has {len(cells)} columns, expected {width}; a decimal comma or an unquoted "
                    f"separator adds columns, a cut-off line has fewer"
                )
            elif not cells[self.patient]:
                self.problems.append(
                    f"{self.place(number)}: names no patient; fill the column '{self.header[self.patient]}'"
                )
            elif len(cells[self.patient]) > NAME:
                self.problems.append(
                    f"{self.place(number)}: the patient's id '{shown(cells[self.patient])}' is too long; expected at "
                    f"most {NAME} characters"
                )
            else:
                for i in self.unnamed:
                    self.unnamed[i] = self.unnamed[i] or (f"{self.where} {number}" if cells[i] else "")
                yield number, cells

    def long(self) -> Iterator[Entry]:
        """One row per value."""
        assert self.columns is not None
        at = self.columns
        unread = [name for i, name in enumerate(self.header) if name and i != self.patient and i not in at.values()]
        if unread:
            listed = ", ".join(map(shown, unread[:UNREAD]))
            more = f" and {len(unread) - UNREAD} more" if len(unread) > UNREAD else ""
            self.warnings.append(f"{self.place(self.header_line)}: columns not read: {listed}{more}")
        patient, analyte, value = self.patient, at["analyte"], at["value"]
        unit, specimen, method, lod, lloq = (at.get(key, -1) for key in ("unit", "specimen", "method", "lod", "lloq"))
        time, confirmed, cv = (at.get(key, -1) for key in ("time", "confirmed", "cv"))
        quality, remarks = (at.get(key, -1) for key in ("quality", "remarks"))
        for number, cells in self._clean():
            cells.append("")  # what index -1 finds
            if cells[cv]:
                self._check_cv(number, cells[cv])
            yield Entry(
                f"{self.where} {number}", intern(cells[patient]), intern(cells[analyte]), intern(cells[value]),
                intern(cells[unit]), intern(cells[specimen]), intern(cells[method]), intern(cells[lod]),
                intern(cells[time]), intern(cells[confirmed]), intern(cells[lloq]), cells[cv], cells[quality],
                (cells[remarks],) if cells[remarks] else (),
            )  # fmt: skip

    def _check_cv(self, number: int, text: str) -> None:
        """Whether a coefficient of variation of 5 means 5 % or 500 % is not guessed."""
        try:
            doubtful = float(text.replace(",", ".")) > 1
        except ValueError:
            return  # with its sign, or no number: told with the patient and the analyte
        if doubtful:
            self.problems.append(
                f"{self.place(number)}: column cv: received '{shown(text)}'; write a fraction or the sign: 0.05 or 5%"
            )

    def wide(self) -> Iterator[Entry]:
        """One row per patient, one column per analyte."""
        columns = []
        for i, text in enumerate(self.header):
            if text and i != self.patient and i not in self.of_row.values() and self.names[i] not in LONG["source"]:
                columns.append(_Column(i, *split_header(text)))
        at = [self.of_row.get(key, -1) for key in ("specimen", "method", "time", "confirmed")]
        rows = iter(self.rows)
        first = next(rows, None)
        if first is not None:
            units = self._units([_text(cell) for cell in first[1]], columns)
            if units is None:
                rows = chain([first], rows)
            else:
                columns = self._with_units(first[0], columns, units)
        self.rows = rows
        for number, cells in self._clean():
            cells.append("")
            specimen, method, time, confirmed = (cells[i] for i in at)
            who, place = intern(cells[self.patient]), f"{self.where} {number}"
            for column in columns:
                yield Entry(
                    place,
                    who,
                    column.name,
                    intern(cells[column.at]),
                    column.unit,
                    specimen,
                    method,
                    "",
                    time,
                    confirmed,
                )

    def _units(self, cells: list[str], columns: list[_Column]) -> dict[int, str] | None:
        """A row of units below the header: names no patient, and holds nothing but units."""
        if len(cells) != len(self.header) or cells[self.patient].lower() not in ("", "unit", "units"):
            return None
        units = {c.at: cells[c.at].strip("[]()") for c in columns if cells[c.at]}
        if not any(re.search("[A-Za-z%/]", unit) for unit in units.values()):
            return None
        return units if all(_is_unit(unit) for unit in units.values()) else None

    def _with_units(self, number: int, columns: list[_Column], units: dict[int, str]) -> list[_Column]:
        for column in columns:
            unit = units.get(column.at, "")
            if column.unit and unit and not _same_unit(column.unit, unit):
                self.problems.append(
                    f"{self.place(number)}: {shown(column.name)} has the unit {shown(column.unit)} in the header and "
                    f"{shown(unit)} below it; keep the one that is right"
                )
        return [c._replace(unit=c.unit or units.get(c.at, "")) for c in columns]

    def tell_unnamed(self) -> None:
        """A column without a name is fine as long as it is empty."""
        for i, place in self.unnamed.items():
            if place:
                self.problems.append(
                    f"{self.place(self.header_line)}: column {i + 1} has no name, though it is filled on {place}; name "
                    f"its analyte or delete it"
                )

    def decimal_sign(self, entries: list[Entry]) -> str:
        """The decimal sign, where some number can be written with one sign only; both in one file are refused."""
        texts: dict[str, str] = {}
        for e in entries:
            for text in (e.value, e.lod, e.lloq, e.cv, e.time):
                texts.setdefault(text, e.place)
        if not any("," in text for text in texts):
            return "."
        comma, point = decimal_evidence(texts)
        if comma and point:
            self.problems.append(
                f"{self.file}: '{shown(comma)}' ({texts[comma]}) has a decimal comma and '{shown(point)}' "
                f"({texts[point]}) a decimal point; use one of them in the whole file"
            )
        elif comma:
            self.warnings.append(
                f"{self.file}: numbers are read with decimal commas, as in '{shown(comma)}' ({texts[comma]})"
            )
        return "," if comma and not point else "."


def _is_unit(text: str) -> bool:
    try:
        parse_unit(text)
    except UnitError:
        return False
    return True


def _same_unit(one: str, other: str) -> bool:
    return _is_unit(one) and _is_unit(other) and parse_unit(one) == parse_unit(other)
