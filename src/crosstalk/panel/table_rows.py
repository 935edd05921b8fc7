"""The header of a table and which of its rows are entries: not those above it, notes, statistics, samples, limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from crosstalk.errors import PanelError
from crosstalk.limits import CELL, CELLS, COLUMNS, ROWS, shown
from crosstalk.panel.cells import MISSING
from crosstalk.panel.entries import Entry, Kept, Wanted
from crosstalk.panel.header import NAME, Header, as_text, is_header, understand
from crosstalk.panel.qualifiers import Qualifiers
from crosstalk.panel.values import knower
from crosstalk.panel.vocabulary import row_kind, squeeze

__all__ = ["SEARCHED", "TableRows"]

SEARCHED = 20  # rows in which the header is looked for
_NOTE_SIGN = re.compile(r"\s*[*†‡§#¹²³]|\s*\(?[a-z]\)|\s*[\w. ]{1,14}\s*[=:]")


class TableRows:
    """The header of a table and the pass over its rows; collects problems and warnings on the way."""

    def __init__(
        self, file: str, where: str, rows: Iterator[tuple[int, list[str]]], commas: bool, wanted: Wanted
    ) -> None:
        known, keep = knower(wanted.knowledge), wanted.keep
        self.file, self.where, self.commas = file, where, commas
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.kept: list[Kept] = []
        self.rows_read = 0
        self.header_line, texts, self.rows = self._find_header(rows)
        self.mapping = wanted.mapping
        self.codes: dict[int, Mapping[str, str]] = {}
        place = self.place(self.header_line)
        if self.mapping is None:
            self.header: Header = understand(place, texts, known, keep)
        else:
            meant, kept, self.codes = self.mapping.header(place, texts)
            self.header = understand(place, meant, known, (*keep, *kept))
            self.header.texts = texts
        self.settled = {squeeze(text) for text in keep} | {squeeze(texts[i]) for i in self.header.kept if self.mapping
            and squeeze(texts[i]) in self.mapping.columns}  # fmt: skip
        self.known = known
        self.tests: dict[tuple[str, ...], str] = {}
        self.keep, self.asked = bool(keep), {squeeze(name) for name in keep}
        self.qualifiers = Qualifiers(self.header)
        self.unnamed = {i: "" for i, name in enumerate(texts) if not name}
        self.aside: dict[str, list[str]] = {}  # why rows were left out: names of the rows
        self.limits: dict[tuple[str, str], dict[str, str]] = {}  # lod, lloq, uloq by analyte and unit
        self.maybe: list[Entry] = []  # of rows whose name may be a statistic or initials
        self.summed = 0  # the first row that is a statistic
        self.counted = 0  # rows whose column id goes up by one
        self.last = 0

    def place(self, number: int) -> str:
        """Where a row stands, for messages."""
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
        header = [" ".join(as_text(cell).split()) for cell in row]
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

    def clean(self) -> Iterator[tuple[int, list[str]]]:
        """Leave out rows that are no entries, and say why."""
        texts, patient = self.header.texts, self.header.patient
        width = len(texts)
        lower = [name.lower() for name in texts]
        counts = self.header.numbers if self.header.numbers >= 0 else patient if texts[patient].lower() == "id" else -1
        for number, row in self.rows:
            cells = list(map(str.strip, row))
            joined = "".join(cells)
            if '="' in joined or "'" in joined:
                cells = [as_text(cell) for cell in cells]
            if self.mapping is not None:
                cells = self._decoded(cells)
            if len(joined) > CELL and any(len(cell) > CELL for cell in cells):
                at, long = next((i, cell) for i, cell in enumerate(cells) if len(cell) > CELL)
                raise PanelError(
                    f"{self.place(number)}, column {at + 1}: '{shown(long)}'; a cell holds at most {CELL} characters; "
                    f"are its quotes right?"
                )
            if len(cells) > width and not self.commas and not any(cells[width:]):
                del cells[width:]
            if cells[patient : patient + 1] == [texts[patient]] and lower == [
                " ".join(cell.lower().split()) for cell in cells
            ]:
                self.warnings.append(f"{self.place(number)}: repeats the header; left out")
                continue
            if (len(cells) != width or not cells[patient] or not any(cells[patient + 1 :])) and self._note(
                number, cells
            ):
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
                continue
            if not cells[patient]:
                self.problems.append(
                    f"{self.place(number)}: names no patient; fill the column '{shown(texts[patient])}'"
                )
                continue
            if len(cells[patient]) > NAME:
                self.problems.append(
                    f"{self.place(number)}: the patient's id '{shown(cells[patient])}' is too long; expected at most "
                    f"{NAME} characters"
                )
                continue
            for i in self.unnamed:
                self.unnamed[i] = self.unnamed[i] or (f"{self.where} {number}" if cells[i] else "")
            if counts >= 0:
                self._count(cells[counts])
            yield number, cells

    def _decoded(self, cells: list[str]) -> list[str]:
        """Cells as the map means them: codes by their words, and nothing for those that mean missing."""
        assert self.mapping is not None
        missing, patient = self.mapping.missing, self.header.patient
        found = ["" if cell in missing and i != patient else cell for i, cell in enumerate(cells)]
        for i, codes in self.codes.items():
            if i < len(found):
                cell = found[i]
                found[i] = codes.get(cell, codes.get(cell.removesuffix(".0"), cell))
        return found

    def _note(self, number: int, cells: list[str]) -> bool:
        """Whether a row is a note below or between the table: one cell of words."""
        filled = [cell for cell in cells if cell]
        if len(filled) != 1:
            return False
        text = filled[0]
        is_note = bool(_NOTE_SIGN.match(text)) or len(text.split()) > 3 or len(text) > 40
        if is_note:
            self.warnings.append(f"{self.place(number)}: a note, no patient: '{shown(text, 80)}'")
        return is_note

    def _count(self, cell: str) -> None:
        """Count the rows whose id goes up by one."""
        value = int(cell) if cell.isdigit() and len(cell) < 12 else -1
        self.counted += value == self.last + 1 or (self.rows_read == 1 and value in (0, 1))
        self.last = value

    def row(self, number: int, name: str, values: Iterable[tuple[str, str, str]]) -> str:
        """What to do with a row by its name: "" to read it, ``maybe``, or ``no``; limits in it are kept."""
        kind = row_kind(name)
        if not kind:
            return ""
        if kind == "control?":
            return self._told("may be control samples and are read as people", name, number, "")
        if kind in ("summary?", "laboratory"):
            return "maybe"
        if kind in ("lod", "lloq", "uloq"):
            for analyte, text, unit in values:
                if text.lower() not in MISSING:
                    self.limits.setdefault((analyte, unit), {})[kind] = text.lstrip("<> ")
            return self._told("give limits, which are used for the patients", name, number, "no")
        self.summed = self.summed or number
        return self._told("are statistics, no patients; left out", name, number, "no")

    def _told(self, reason: str, name: str, number: int, answer: str) -> str:
        names = self.aside.setdefault(reason, [])
        if not names or not names[-1].startswith(f"'{shown(name)}'"):
            names.append(f"'{shown(name)}' ({self.where} {number})")
        return answer

    def held_back(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """Rows named SD, P25, QC1 or empty: people where others are named so or where they have what people have.

        Samples of a laboratory have concentrations, and neither an age nor a score; people may lack a concentration.
        """
        if not self.maybe:
            return
        shapes = Counter(_shape(name) for name in {e.patient for e in (*entries, *self.maybe)})
        own: dict[str, set[str]] = {}  # kinds of the values of each
        for e in self.maybe:
            kinds = own.setdefault(e.patient, set())
            if e.value.strip().lower() not in MISSING:
                kinds.add(self.known(e.analyte) or "laboratory")
        people = set()
        for name, kinds in own.items():
            if row_kind(name) != "laboratory":
                # N below a row Mean is no person, though others have a letter for their name
                below = self.summed and all(_row(e.place) > self.summed for e in self.maybe if e.patient == name)
                if shapes[_shape(name)] > 2 and not below:
                    people.add(name)
            elif kinds != {"laboratory"}:
                people.add(name)
        for name, place in dict.fromkeys((e.patient, e.place) for e in self.maybe):
            number = _row(place)
            if row_kind(name) == "laboratory":
                reason = (
                    "have the names of samples of a laboratory and are read as people, since they have an age or a "
                    "score, or no concentration"
                    if name in people
                    else "are samples of the laboratory, no patients; left out"
                )
                self._told(reason, name, number, "")
            elif name not in people:
                self._told("are statistics, no patients; left out", name, number, "")
        self.kept = [row for row in self.kept if row.patient in people or row.patient not in own]
        yield from (e for e in self.maybe if e.patient in people)

    def with_limits(self, entries: list[Entry]) -> list[Entry]:
        """Entries with the limits that a row of the table gives for their analyte."""
        if not self.limits:
            return entries
        found = []
        for entry in entries:
            given = self.limits.get((entry.analyte, entry.unit))
            if given is None and any(name == entry.analyte for name, _ in self.limits):
                self.problems.append(
                    f"{self.file}, {entry.place}, patient {entry.patient}, {shown(entry.analyte)}: its unit is not "
                    f"that of the row of limits; give both in one unit"
                )
            if given:
                entry = entry._replace(lod=entry.lod or given.get("lod", ""), lloq=entry.lloq or given.get("lloq", ""),
                    uloq=entry.uloq or given.get("uloq", ""),
                )  # fmt: skip
            found.append(entry)
        return found


def _row(place: str) -> int:
    return int(place.rpartition(" ")[2])


def _shape(name: str) -> str:
    """A name with a for its letters and 9 for its digits."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]", "a", name))
