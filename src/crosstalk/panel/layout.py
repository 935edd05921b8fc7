"""From rows of cells to entries: which patient, which analyte, which text, in which place; long or wide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from sys import intern

from crosstalk.errors import PanelError
from crosstalk.limits import shown
from crosstalk.panel.cells import MISSING, decimal_evidence, unclear
from crosstalk.panel.entries import Entry, Kept, Reading, Understood, Wanted
from crosstalk.panel.header import USUAL, Column, as_text, is_unit, split_header
from crosstalk.panel.table_rows import TableRows
from crosstalk.panel.vocabulary import parted, squeeze
from crosstalk.units import parse_unit

__all__ = ["arrange"]

LISTED, UNREAD = 8, 40  # columns or rows named in one message; unknown columns with a line of their own


def arrange(
    file: str,
    rows: Iterable[tuple[int, list[str]]],
    where: str,
    *,
    commas: bool,
    content: bytes,
    wanted: Wanted,
) -> Reading:
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
    wanted : Wanted

    Raises
    ------
    PanelError
        If the rows are no table of panels.
    """
    filled = ((n, row) for n, row in rows if any(map(str.strip, row)))
    table = _Table(file, where, filled, commas, wanted)
    entries = list(table.long() if table.header.long else table.wide())
    if held := list(table.held_back(entries)):
        entries = sorted((*entries, *held), key=lambda e: int(e.place.rpartition(" ")[2]))
    if not table.rows_read and not table.problems:
        raise PanelError(f"{file}: the file holds a header and no row; add the patients' values")
    table.tell(entries)
    entries = table.with_limits(entries)
    decimal = "." if commas and not _decimal(wanted) else table.decimal_sign(entries)
    columns = tuple(text for text in table.header.texts if text)
    return Reading(
        entries, table.problems, table.warnings, content, decimal, table.kept, columns, not table.header.long,
        understood=tuple(table.understood()),
    )  # fmt: skip


class _Table(TableRows):
    """A table, long or wide, as entries."""

    def understood(self) -> Iterator[Understood]:
        """Each column with what it was taken for."""
        h = self.header
        found: dict[int, Understood] = {}
        for key, at in h.roles.items():
            found |= {i: Understood(h.texts[i], key) for i in at}
        found |= {i: Understood(h.texts[i], "keep", name=h.texts[i]) for i in h.kept}
        for c in h.values:
            found[c.at] = Understood(h.texts[c.at], "measured", c.unit, c.specimen, c.name)
            found |= {i: Understood(h.texts[i], key, name=c.name) for key, i in h.attached.get(c.at, {}).items()}
        if h.patient >= 0:
            found[h.patient] = Understood(h.texts[h.patient], "patient")
        return (found.get(i, Understood(text, "")) for i, text in enumerate(h.texts) if text)

    def long(self) -> Iterator[Entry]:
        """One row per value."""
        h = self.header
        at = h.roles
        analytes = at["analyte"]
        patient, analyte, value, unit = h.patient, analytes[0], at["value"][0], h.at("unit")
        specimen, method, lod, lloq, uloq = (h.at(key) for key in ("specimen", "method", "lod", "lloq", "uloq"))
        time, confirmed, cv = (h.at(key) for key in ("time", "confirmed", "cv"))
        visits, dates = at.get("visit", []), at.get("date", [])
        qualified, limited = self.qualifiers.any, max(lod, lloq, uloq) >= 0
        who, name, row = "", "", ""
        for number, cells in self.clean():
            cells.append("")  # what index -1 finds
            if cells[cv]:
                self._check_cv(number, cells[cv])
            if cells[patient] != name or row:
                name = cells[patient]
                row = self.row(number, name, [(cells[analyte], cells[value], cells[unit])])
                who = intern(name)
            if row == "no":
                continue
            entry = Entry(
                f"{self.where} {number}", who,
                self._test(cells, analytes) if len(analytes) > 1 else intern(cells[analyte]), intern(cells[value]),
                intern(cells[unit]), cells[specimen], cells[method], self._limit(lod, cells) if limited else "",
                cells[time], cells[confirmed], self._limit(lloq, cells) if limited else "", cells[cv], "", (),
                self._limit(uloq, cells) if limited else "", self._visit(cells, visits) if visits else "",
                cells[dates[0]] if dates else "",
            )  # fmt: skip
            if self.keep and h.kept:
                self._keep(number, cells)
            if qualified:
                changed = self._qualified(number, cells, entry, {})
                if changed is None:
                    continue
                entry = changed
            if row == "maybe":
                self.maybe.append(entry)
            else:
                yield entry

    def _test(self, cells: list[str], at: Sequence[int]) -> str:
        """The first name of a test that is an analyte's, else the first that is given: its code, or its words."""
        given = tuple(cells[i] for i in at if cells[i])
        found = self.tests.get(given)
        if found is None:
            found = next((name for name in given if self.known(name)), given[0] if given else "")
            self.tests[given] = found
        return found

    def _visit(self, cells: list[str], at: Sequence[int]) -> str:
        return intern(", ".join(dict.fromkeys(cells[i] for i in at if cells[i])))

    def _limit(self, at: int, cells: list[str]) -> str:
        """A limit with the unit of its header, where that is not the unit of the value."""
        text = cells[at]
        if not text or at < 0:
            return text
        unit = self._unit_of(at)
        return f"{text} {unit}" if unit else text

    def _unit_of(self, at: int) -> str:
        unit = split_header(self.header.texts[at])[1].strip()
        return unit if is_unit(unit) else ""

    def _qualified(self, number: int, cells: list[str], entry: Entry, own: dict[str, int]) -> Entry | None:
        """An entry with what other columns of its row say of it; None where they say that it is none of blood's."""
        if entry.value.lower() in MISSING:
            return entry
        try:
            return self.qualifiers.apply(cells, entry, own)
        except PanelError as error:
            self.problems.append(f"{self.place(number)}, patient {entry.patient}, {shown(entry.analyte)}: {error}")
            return None

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

    def _keep(self, number: int, cells: list[str]) -> None:
        found = {self.header.texts[i]: cells[i] for i in (*self.header.kept, *self.header.silent)}
        self.kept.append(Kept(f"{self.where} {number}", cells[self.header.patient], found))

    def wide(self) -> Iterator[Entry]:
        """One row per patient, one column per analyte."""
        h = self.header
        self._own_columns()
        rows = iter(self.rows)
        first = next(rows, None)
        columns = h.values
        if first is not None:
            units = self._units([as_text(cell) for cell in first[1]], columns)
            if units is None:
                rows = chain([first], rows)
            else:
                columns = self._with_units(first[0], columns, units)
        columns = [c._replace(unit=c.unit or USUAL.get(squeeze(c.name), "")) for c in columns]
        h.values = columns
        self.rows = rows
        specimen, method, time, confirmed = (h.at(key) for key in ("specimen", "method", "time", "confirmed"))
        visits, dates = h.roles.get("visit", []), h.roles.get("date", [])
        qualified = self.qualifiers.any or bool(h.attached)
        for number, cells in self.clean():
            cells.append("")
            who, place = intern(cells[h.patient]), f"{self.where} {number}"
            row = self.row(number, who, ((c.name, cells[c.at], c.unit) for c in columns))
            if row == "no":
                continue
            if h.kept or h.silent:
                self._keep(number, cells)
            visit, date = self._visit(cells, visits) if visits else "", cells[dates[0]] if dates else ""
            for column in columns:
                entry: Entry | None = Entry(
                    place, who, column.name, intern(cells[column.at]), column.unit, column.specimen or cells[specimen],
                    cells[method], "", cells[time], cells[confirmed], visit=visit, date=date,
                )  # fmt: skip
                if qualified and entry is not None:
                    own = h.attached.get(column.at, {})
                    if own:
                        entry = entry._replace(unit=cells[own.get("unit", -1)] or entry.unit,
                            lod=self._limit(own.get("lod", -1), cells), lloq=self._limit(own.get("lloq", -1), cells),
                            uloq=self._limit(own.get("uloq", -1), cells), cv=cells[own.get("cv", -1)],
                            method=cells[own.get("method", -1)] or entry.method,
                        )  # fmt: skip
                        if entry.cv:
                            self._check_cv(number, entry.cv)
                    entry = self._qualified(number, cells, entry, own)
                if entry is not None and row == "maybe":
                    self.maybe.append(entry)
                elif entry is not None:
                    yield entry

    def _own_columns(self) -> None:
        """Columns such as ``lod`` without an analyte belong to the one analyte of the table, or to none."""
        h = self.header
        alone = ("lod", "lloq", "uloq", "operator", "below", "detected", "cv", "unit", "value", "analyte")
        bare = [key for key in alone if key in h.roles]
        if not bare:
            return
        own = h.attached.setdefault(h.values[0].at, {}) if len(h.values) == 1 else None
        for key in bare:
            name = h.texts[h.roles[key][0]]
            if own is None or key in own or key in ("value", "analyte"):
                raise PanelError(
                    f"{self.place(self.header_line)}: column '{shown(name)}' may change what the values mean, and it "
                    f"is not known of which analyte; name it with its analyte as in 'IL-6 {shown(name)}'"
                )
            own[key] = h.roles[key][0]

    def _units(self, cells: list[str], columns: Sequence[Column]) -> dict[int, str] | None:
        """A row of units below the header: names no patient, and holds nothing but units."""
        patient = self.header.patient
        if len(cells) != len(self.header.texts) or cells[patient].lower() not in ("", "unit", "units", "einheit"):
            return None
        units = {c.at: cells[c.at].strip("[]()") for c in columns if cells[c.at]}
        if not any(re.search("[A-Za-z%/]", unit) for unit in units.values()):
            return None
        return units if all(is_unit(unit) for unit in units.values()) else None

    def _with_units(self, number: int, columns: Sequence[Column], units: dict[int, str]) -> list[Column]:
        for column in columns:
            unit = units.get(column.at, "")
            if column.unit and unit and not _same_unit(column.unit, unit):
                self.problems.append(
                    f"{self.place(number)}: {shown(column.name)} has the unit {shown(column.unit)} in the header and "
                    f"{shown(unit)} below it; keep the one that is right"
                )
        return [c._replace(unit=c.unit or units.get(c.at, "")) for c in columns]

    def tell(self, entries: Sequence[Entry]) -> None:
        """Say what was left out, and refuse what could not be told apart."""
        place = self.place(self.header_line)
        for i, where in self.unnamed.items():
            if where:
                self.problems.append(
                    f"{place}: column {i + 1} has no name, though it is filled on {where}; name its analyte or "
                    f"delete it"
                )
        # what a caller asked to keep is used there
        names = [self.header.texts[i] for i in sorted(self.header.kept)]
        names = [name for name in names if squeeze(name) not in self.settled]
        if names:
            more = f" and {len(names) - 2 * LISTED} more" if len(names) > 2 * LISTED else ""
            listed = ", ".join(map(shown, names[: 2 * LISTED]))
            self.warnings.append(f"{place}: columns not read: {listed}{more}; they are kept beside the panel")
        for column in self.header.values:
            text = self.header.texts[column.at]
            if (
                column.unit
                and (parted(text)[1] == column.unit or column.unit == USUAL.get(squeeze(text)))
                and not {"[", "("} & {*text}
            ):
                self.warnings.append(f"{place}: column '{shown(text)}' is taken in {shown(column.unit)}")
        unknown = [c for c in self.header.unknown if squeeze(self.header.texts[c.at]) not in self.settled]
        for column in unknown[:UNREAD]:
            self.warnings.append(
                f"{place}: column '{shown(self.header.texts[column.at])}' is no analyte that is known; kept, not used"
            )
        if len(unknown) > UNREAD:
            self.warnings.append(f"{place}: {len(unknown) - UNREAD} more columns are no analytes; kept, not used")
        for reason, names in self.aside.items():
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            self.warnings.append(f"{self.file}: rows {', '.join(names[:LISTED])}{more} {reason}")
        self.warnings += [f"{self.file}: {words}" for words in self.qualifiers.told()]
        self._tell_numbers(place, entries)

    def _tell_numbers(self, place: str, entries: Sequence[Entry]) -> None:
        h = self.header
        counted = self.rows_read > 1 and self.counted == self.rows_read
        if h.numbers >= 0:
            patient = h.texts[h.patient].lower()
            if not counted:
                self.problems.append(f"{place}: columns id and {patient} both name the patient; rename all but one")
            else:
                self.warnings.append(
                    f"{place}: the column 'id' numbers the rows; '{h.texts[h.patient]}' names the patient"
                )
        elif counted and h.long and self.rows_read > 2 and len({e.analyte for e in entries}) > 1:
            self.problems.append(
                f"{place}: the column 'id' numbers the rows, so no row shares its patient with another; name the "
                f"column of the patient 'patient'"
            )

    def decimal_sign(self, entries: list[Entry]) -> str:
        """The decimal sign, where some number can be written with one sign only; both in one file are refused."""
        texts: dict[str, str] = {}
        for e in entries:
            for text in (e.value, e.lod, e.lloq, e.uloq, e.cv, e.time):
                texts.setdefault(text, e.place)
        for row in self.kept if self.keep else ():
            for name, text in row.cells.items():
                if squeeze(name) in self.asked:
                    texts.setdefault(text, row.place)
        comma, point = decimal_evidence(texts)
        stated = self.mapping.decimal if self.mapping is not None else ""
        if stated and (other := point if stated == "," else comma):
            self.problems.append(
                f"{self.file}: '{shown(other)}' ({texts[other]}) contradicts the decimal sign '{stated}' of the map"
            )
        if stated:
            return stated
        if comma and point:
            self.problems.append(
                f"{self.file}: '{shown(comma)}' ({texts[comma]}) has a decimal comma and '{shown(point)}' "
                f"({texts[point]}) a decimal point; use one of them in the whole file"
            )
        elif comma:
            self.warnings.append(
                f"{self.file}: numbers are read with decimal commas, as in '{shown(comma)}' ({texts[comma]})"
            )
        elif not point and (open_ := next((text for text in texts if unclear(text)), "")):
            self.problems.append(
                f"{self.file}, {texts[open_]}: received '{shown(open_)}', which may be a thousand or a thousandth of "
                f"it, and no other number of the file shows what its points mean; write "
                f"{shown(open_.replace('.', ''))} or {shown(open_)}0"
            )
        return "," if comma and not point else "."


def _decimal(wanted: Wanted) -> str:
    return wanted.mapping.decimal if wanted.mapping is not None else ""


def _same_unit(one: str, other: str) -> bool:
    return is_unit(one) and is_unit(other) and parse_unit(one) == parse_unit(other)
