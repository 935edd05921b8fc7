"""What was understood of a file, before anything is inferred from it: columns, tests, units, fluids, open questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.panel.cells import MISSING
from crosstalk.panel.entries import Entry, Reading, Understood, Wanted
from crosstalk.panel.header import as_text, is_header, split
from crosstalk.panel.items import families
from crosstalk.panel.mapping import DATES, FileMap
from crosstalk.panel.occasions import unclear_date
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile
from crosstalk.panel.registry import START, Look, read_cells
from crosstalk.panel.values import FEMALE, MALE, Interpreter
from crosstalk.panel.vocabulary import fluid, role, row_kind, words

__all__ = ["Item", "Question", "Understanding", "look"]

EXAMPLES = 3
CODES = 12  # different cells of a column that may be codes; more are no codes


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that the file leaves open.

    Attributes
    ----------
    key : tuple of str
        Where its answer stands in a map: ``("columns", "sex", "codes", "1")``.
    text : str
    choices : tuple of str
        Answers that can be given; none where any text can.
    """

    key: tuple[str, ...]
    text: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One column of a table, or one test of a long table or of another format.

    Attributes
    ----------
    kind : {"columns", "tests"}
        Where a map speaks of it.
    name : str
        As the file writes it.
    meaning : str
        A role of columns, an analyte, ``keep``, ``ignore``, or ``?``.
    of : str
        The analyte that a role of one value belongs to.
    unit, specimen : str
        As the file writes them; several are joined by commas.
    number : int
        How many values it has.
    examples, questions : tuple of str
    """

    kind: str
    name: str
    meaning: str
    of: str = ""
    unit: str = ""
    specimen: str = ""
    number: int = 0
    examples: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understanding:
    """A file as it was understood.

    Attributes
    ----------
    format : str
        In words; empty where the file is of no format that is read.
    items : tuple of Item
    questions : tuple of Question
    problems : tuple of str
        What stands in the way of reading; none where the file is read.
    warnings : tuple of str
    patients : int
        Panels that were read.
    """

    path: str
    format: str
    items: tuple[Item, ...]
    questions: tuple[Question, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    patients: int


def look(
    path: str | Path,
    *,
    knowledge: Knowledge | None = None,
    mapping: FileMap | None = None,
    occasion: str | None = None,
) -> Understanding:
    """Say what is understood of a file, and what it leaves open.

    Raises
    ------
    PanelError
        If the file cannot be opened or is of a kind that is not read at all.
    """
    file, known = Path(path), knowledge or load_knowledge()
    first = Look(file)
    try:
        format_, reading = read_cells(file, Wanted(known, (), mapping))
        entries = list(reading.entries)
    except PanelError as error:
        header = next((row for row in first.rows if is_header(row)), [])
        # a header longer than what is looked at is not whole
        cut = bool(header) and header is first.rows[-1] and len(first.start) == START
        if not header or cut or (not first.text and not first.workbook):
            raise
        return _without_header(file, header, first.rows, Interpreter(known), str(error))
    if mapping is not None:
        entries = mapping.apply(str(file), entries)[0]
    try:
        found: PanelFile | None = read_panel(file, knowledge=known, mapping=mapping, occasion=occasion)
        problems: list[str] = []
    except PanelError as error:
        found, problems = None, _lines(error)
    asker = _Asker(Interpreter(known), entries, problems, mapping)
    items = [*asker.columns(reading, first), *(() if reading.once else asker.tests())]
    if format_.plates is not None:
        items += asker.kits({name: unit for plate in read_plates(file, mapping) for name, unit in plate.units.items()})
    asker.file()
    warnings = found.warnings if found is not None else tuple(reading.warnings)
    patients = len(found.panels) if found is not None else 0
    return Understanding(
        str(file), format_.name, tuple(items), tuple(asker.questions), tuple(problems), warnings, patients
    )


def _lines(error: PanelError) -> list[str]:
    """Problems of a message that lists several."""
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1:] if len(lines) > 1 and "problems" in lines[0] else lines


@dataclass
class _Asker:
    """Goes through a reading and collects what is open."""

    interpreter: Interpreter
    entries: Sequence[Entry]
    problems: Sequence[str]
    mapping: FileMap | None
    questions: list[Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values: dict[str, dict[str, None]] = {}
        self.counts: dict[str, int] = {}
        self.units: dict[str, dict[str, None]] = {}
        self.fluids: dict[str, dict[str, None]] = {}
        self.items = families({e.analyte for e in self.entries})
        for e in self.entries:
            if e.value.strip().lower() in MISSING:
                continue
            self.counts[e.analyte] = self.counts.get(e.analyte, 0) + 1
            seen = self.values.setdefault(e.analyte, {})
            if len(seen) <= CODES:
                seen[e.value] = None
            self.units.setdefault(e.analyte, {})[e.unit] = None
            self.fluids.setdefault(e.analyte, {})[e.specimen] = None

    def ask(self, key: tuple[str, ...], text: str, *choices: str) -> str:
        self.questions.append(Question(key, text, choices))
        return text

    # Columns of a table

    def columns(self, reading: Reading, first: Look) -> Iterable[Item]:
        shown = _examples(reading.understood, first)
        for u in reading.understood:
            yield self._column(u, shown.get(u.column, ()), reading.once)

    def _column(self, u: Understood, examples: tuple[str, ...], once: bool) -> Item:
        if u.meaning == "measured":
            analyte, item = self.interpreter.find(u.name), self.items.get(u.name)
            meaning = f"{item[0]}, item {item[1]}" if item else analyte.id if analyte else "keep"
            asked = self._of_analyte("columns", u.column, u.name, analyte) if not item else []
            given = tuple(self.values.get(u.name, {}))[:EXAMPLES] or examples
            return Item("columns", u.column, meaning, "", u.unit, u.specimen, self.counts.get(u.name, 0), given,
                        tuple(asked))  # fmt: skip
        asked = []
        if u.meaning == "stimulus" and any("stimulus of cells or a group of people" in p for p in self.problems):
            asked.append(
                self.ask(("columns", u.column), f"column '{u.column}': a stimulus of cells, or a group of people?",
                         "stimulus", "keep")
            )  # fmt: skip
        if u.meaning == "specimen":
            asked += self._specimens(u.column, once)
        of = ""
        if u.name and u.meaning != "keep":
            owner = self.interpreter.find(u.name)
            of = owner.id if owner else u.name
        return Item("columns", u.column, u.meaning or "keep", of, examples=examples, questions=tuple(asked))

    def _specimens(self, column: str, once: bool) -> list[str]:
        """Fluids that are not known, and no sample of the laboratory."""
        seen = {e.specimen: None for e in self.entries if e.specimen}
        strange = [s for s in seen if fluid(s) == "unknown" and not row_kind(s)]
        return [
            self.ask(("columns", column, "codes", s), f"column '{column}': which fluid is '{s}'?",
                     "serum", "plasma", "blood", "other")
            for s in strange[:CODES]
        ]  # fmt: skip

    # Tests of any other file

    def tests(self) -> Iterable[Item]:
        names = dict.fromkeys(e.analyte for e in self.entries if e.analyte)
        for name in names:
            analyte, item = self.interpreter.find(name), self.items.get(name)
            meaning = f"{item[0]}, item {item[1]}" if item else analyte.id if analyte else "ignore"
            asked = self._of_analyte("tests", name, name, analyte) if not item else []
            units = ", ".join(u for u in self.units.get(name, {}) if u)
            fluids = ", ".join(f for f in self.fluids.get(name, {}) if f)
            yield Item("tests", name, meaning, "", units, fluids, self.counts.get(name, 0),
                       tuple(self.values.get(name, {}))[:EXAMPLES], tuple(asked))  # fmt: skip

    def kits(self, units: Mapping[str, str]) -> Iterable[Item]:
        """Analytes of plates: what an ELISA measures, and units that the export does not give."""
        there = {e.analyte for e in self.entries}
        for name, unit in units.items():
            asked = []
            if len(units) == 1 and not self.interpreter.knows(name):
                asked.append(self.ask(("tests", name), f"'{name}': which analyte does the plate measure?"))
            if not unit:
                asked.append(self.ask(("tests", name, "unit"), f"'{name}': in which unit are the concentrations?"))
            if asked or name not in there:
                found = self.interpreter.find(name)
                yield Item("tests", name, found.id if found else "ignore", "", unit, questions=tuple(asked))

    def _of_analyte(self, kind: str, column: str, name: str, analyte: Analyte | None) -> list[str]:
        """What is open of one analyte: codes of a sex, a unit that is not given."""
        if analyte is None:
            return []
        asked = []
        values = list(self.values.get(name, {}))
        if analyte.covariate == "female":
            strange = [v for v in values if v.strip().lower() not in FEMALE | MALE]
            asked += [
                self.ask((kind, column, "codes", v), f"{column}: what does '{v}' mean?", "male", "female", "missing")
                for v in strange[:CODES]
            ]
        elif values and "" in self.units.get(name, {}) and analyte.id != "BMI":
            try:
                self.interpreter.rule(analyte, "")
            except PanelError:
                if any(_bare(v) for v in values):
                    asked.append(self.ask((kind, column, "unit"), f"{column}: in which unit? (such as {analyte.unit})"))
        return asked

    # The file as a whole

    def file(self) -> None:
        dates: dict[str, set[str]] = {}
        for e in self.entries:
            if e.date:
                dates.setdefault(e.patient, set()).add(e.date)
        order = self.mapping.dates if self.mapping is not None else ""
        unclear = unclear_date({d for own in dates.values() for d in own}, order)
        if unclear and any(len(own) > 1 for own in dates.values()):
            self.ask(("file", "dates"), f"dates such as {unclear}: day first or month first?", *DATES[:2])
        if any("a panel holds one" in p for p in self.problems):
            self.ask(
                ("file", "occasion"), "patients have values of several occasions: which is meant?", "first", "last",
                "each",
            )  # fmt: skip
        if any("a thousand or a thousandth" in p or "could be" in p for p in self.problems):
            self.ask(("file", "decimal"), "numbers such as 12.500 or 1,234: which sign is the decimal one?", ".", ",")


def _bare(value: str) -> bool:
    """Whether a cell has no unit of its own."""
    return not any(c.isalpha() for c in value)


def _examples(understood: Sequence[Understood], first: Look) -> dict[str, tuple[str, ...]]:
    """The first different cells of each column, from the beginning of the file."""
    wanted = {u.column for u in understood}
    rows = iter(first.rows)
    for row in rows:
        texts = [" ".join(as_text(cell).split()) for cell in row]
        if is_header(row) and wanted & {*texts}:
            below = [r for r in rows if len(r) >= len([t for t in texts if t])]
            return {
                text: tuple(dict.fromkeys(r[i] for r in below if i < len(r) and r[i]))[:EXAMPLES]
                for i, text in enumerate(texts)
                if text
            }
    return {}


def _without_header(
    file: Path, header: Sequence[str], rows: Sequence[Sequence[str]], interpreter: Interpreter, problem: str
) -> Understanding:
    """A table whose header cannot be understood: each column by itself, the refused ones as questions."""
    texts = [" ".join(as_text(cell).split()) for cell in header]
    below = [row for row in rows if row is not header and len(row) == len(header)]
    items, questions = [], []
    for i, text in enumerate(texts):
        if not text:
            continue
        column = split(text)
        analyte = interpreter.find(column.name)
        meaning = role(column.name) or role(text) or (analyte.id if analyte else "keep")
        examples = tuple(dict.fromkeys(row[i] for row in below if i < len(row) and row[i]))[:EXAMPLES]
        asked: tuple[str, ...] = ()
        if words(text) in words(problem.partition("; ")[0] if "; " in problem else problem) and _named(text, problem):
            words_ = f"column '{text}': what is it? (patient, visit, ..., an analyte, or keep)"
            questions.append(Question(("columns", text), words_))
            asked = (words_,)
        items.append(Item("columns", text, meaning, "", column.unit, column.specimen, 0, examples, asked))
    return Understanding(str(file), "", tuple(items), tuple(questions), (problem,), (), 0)


def _named(text: str, problem: str) -> bool:
    """Whether a message speaks of this very column."""
    plain = f" {words(problem)} "
    return f" {words(text)} " in plain
