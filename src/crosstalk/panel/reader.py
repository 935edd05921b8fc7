"""`read_panel`: a file of one or more patients to checked panels, or one message that lists every problem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.limits import shown
from crosstalk.panel.cells import MISSING
from crosstalk.panel.derived import derive
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.items import sum_items
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.occasions import Choice, Occasion, choose, lines
from crosstalk.panel.plausibility import CODES, codes, contradictions, disagreements
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.panel.registry import Format, read_cells
from crosstalk.panel.values import Interpreter
from crosstalk.panel.vocabulary import beside
from crosstalk.provenance import hash_bytes

__all__ = ["one_patient", "read_panel"]

FEW = 0.05  # of the cells of an analyte: refusals of single values, beyond it a mistake of all (assumed)
_MONTHS = "jan|feb|mar|m\u00e4r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
# a date of day and month, or a number in the notation of a spreadsheet
_MADE = re.compile(
    rf"\d{{1,2}}[-. ](?:{_MONTHS})\w*(?:[-. ]\d+)?|(?:{_MONTHS})[-. ]\d{{1,4}}|\d[.,]\d\dE\+\d\d", re.IGNORECASE
)
SHOWN = 20  # problems shown before the rest is counted
LISTED = 5  # people or values named in one warning
REMEDY = {
    "table": "If the value is right, add a column confirmed with yes",
    "fhir": "If the value is right, write it into a table with a column confirmed that says yes",
    "nhanes": "If the value is right, write it into a table with a column confirmed that says yes",
    "xponent": (
        "If the value is right, take the concentrations as a table (`crosstalk plate FILE --csv TABLE`) and add a "
        "column confirmed that says yes"
    ),
}
LONGEST = 2000  # characters of one problem
BLOCK = 20_000  # entries of a stream that are looked at together
NAMED = 10  # patients named in a line on many; each has it in his notes
UNKNOWN = 40  # unknown names with a line of their own


def read_panel(
    path: str | Path,
    *,
    knowledge: Knowledge | None = None,
    batch: bool = False,
    occasion: str | None = None,
    keep: Sequence[str] = (),
    mapping: FileMap | str | Path | None = None,
) -> PanelFile:
    r"""Read the panels of a file; its format is recognised from its content.

    Tables (CSV, TSV, Excel) are long, with columns ``patient, analyte, value, unit`` and optional ones, or wide, with a
    row per patient and headers such as ``hsCRP [mg/L]``. ``<0.11`` is a value below the limit of detection and stays
    one. Empty cells are missing.

    Parameters
    ----------
    path : str or Path
    knowledge : Knowledge, optional
        Whose analytes to read; those that ship with Crosstalk by default.
    batch : bool
        For cohorts: where few values of an analyte (at most 5 %) are refused, they are left out of their patients, each
        told in the patient's notes and in the warnings, and reading goes on.
    occasion : str, optional
        ``first``, ``last``, ``each`` or ``nearest-to SCORE``: which occasion, where a patient has values of several. A
        file with several is refused without it. ``each`` gives a panel for each.
    keep : sequence of str
        Columns of a table to keep as text (`Panel.extra`), though they may bear the name of an analyte.
    mapping : FileMap, str or Path, optional
        What the columns, tests, codes and visits of the file mean, or the TOML file that says it.

    Returns
    -------
    PanelFile
        Values in each analyte's own unit.

    Raises
    ------
    PanelError
        One line per kind of problem: file, place, patient, analyte, what was received, what was expected, what to do.
    UsageError
        If the occasion is none of these.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "panel.csv"
    ...     _ = file.write_text("patient,hsCRP [mg/L],IL-6 [pg/mL]\nA,5.2,<0.4\n")
    ...     panel = read_panel(file).panels[0]
    >>> panel.measurements["hsCRP"].value, panel.measurements["IL-6"].censored
    (5.2, 'left')
    """
    file = Path(path)
    known = knowledge or load_knowledge()
    mapped = FileMap.read(mapping, known) if isinstance(mapping, (str, Path)) else mapping
    choice = Choice.read(occasion or (mapped.occasion if mapped is not None else None))
    kind, reading = read_cells(file, Wanted(known, keep, mapped))
    remedy = REMEDY["xponent"] if kind.kit else REMEDY.get(kind.id, REMEDY["table"])
    interpreter = Interpreter(known, reading.decimal, remedy=remedy)
    collected, occasions = _Collected(), _Occasions(choice, mapped.dates if mapped is not None else "")
    entries: list[Entry] = []
    any_given = False
    # the last block completes the problems and the warnings; a map speaks of all entries at once
    for block in _blocks(reading.entries, whole=mapped is not None):
        given = block
        if mapped is not None:
            given, wrong, said = mapped.apply(str(file), given)
            reading.problems.extend(wrong)
            reading.warnings.extend(said)
        given, wrong, said = sum_items(str(file), given)
        reading.problems.extend(wrong)
        reading.warnings.extend(said)
        entries = occasions.chosen(file, given, interpreter)
        _collect(file, entries, interpreter, collected)
        any_given = any_given or bool(given)
    problems, told = occasions.lines(file)
    collected.check(file, known.analytes, remedy)
    doubled, warnings = collected.doubled(file), [*reading.warnings, *told]
    kept, torn = _kept(file, reading, entries, bool(keep), choice)
    problems = [*reading.problems, *problems, *torn]
    for patient_id in kept:
        collected.values.setdefault(patient_id, {})
    if problems or collected.refused or doubled:
        if problems or not (batch and collected.few()):
            strange = collected.strangers(file, interpreter, kind) if not kind.kit else []
            raise PanelError(_all([*problems, *collected.problems(), *doubled, *strange]))
        warnings += [f"left out: {words}" for words in (*collected.problems(), *doubled)]
    if reading.once and not any_given and not keep:
        raise PanelError(
            f"{file}: no column is an analyte that is known; expected such as 'hsCRP [mg/L]'; received "
            f"{', '.join(map(shown, reading.columns[:8]))}; `crosstalk analytes` lists what a panel may hold"
        )
    if collected.unknown and not any(collected.values.values()):
        raise PanelError(_all(collected.strangers(file, interpreter, kind)))
    for words, (place, n) in interpreter.assumed.items():
        warnings.append(f"{file}, {place}: {words}" + (f" (and {n - 1} more)" if n > 1 else ""))
    strange = collected.strangers(file, interpreter, kind)
    warnings += strange[:UNKNOWN]
    if len(strange) > UNKNOWN:
        warnings.append(f"{file}: {len(strange) - UNKNOWN} more names are no analytes; left out")
    warnings += [f"{file}: {reason}; left out: {_listed(places)}" for reason, places in collected.aside.items()]
    warnings += alike(str(file), list(collected.values))
    panels = []
    for patient_id in list(collected.values):
        measurements = collected.values.pop(patient_id)
        if not measurements and any_given:
            warnings.append(f"{file}: patient {patient_id} has no value at all")
        if differing := disagreements(measurements):
            warnings.append(f"{file}: patient {patient_id}: {'; '.join(differing)}")
        extra, computed = derive(measurements, known.analytes)
        absent = tuple(a for a in dict.fromkeys(collected.missing.get(patient_id, ())) if a not in measurements)
        refused = {a: words for a, words in collected.left_out.get(patient_id, {}).items() if a not in measurements}
        notes = (
            *interpreter.notes.get(patient_id, ()),
            *(f"{a} is left out: {words}" for a, words in collected.left_out.get(patient_id, {}).items()),
            *collected.notes.get(patient_id, ()),
            *computed,
        )
        cells, place = kept.get(patient_id, ({}, ""))
        cells = {**cells, **collected.beside.get(patient_id, {})}
        visit = occasions.visits.get(patient_id) or Occasion("", "", None)
        measurements.update(extra)
        panels.append(
            Panel(patient_id, measurements, absent, notes, refused, cells, place, visit.person,
                  visit.label, visit.weeks)
        )  # fmt: skip
    sha256 = reading.sha256 or hash_bytes(reading.content)
    return PanelFile(str(file), sha256, tuple(panels), tuple(warnings), kind.id, reading.columns, reading.decimal)


def _blocks(entries: Iterable[Entry], *, whole: bool) -> Iterator[list[Entry]]:
    """A table as a whole; of a stream, in which the entries of a patient follow each other, some patients at a time."""
    if whole or isinstance(entries, list):
        yield list(entries)
        return
    block: list[Entry] = []
    for _, own in groupby(entries, key=lambda e: e.patient):
        block += own
        if len(block) >= BLOCK:
            yield block
            block = []
    yield block


@dataclass
class _Occasions:
    """The occasion of each patient, and what is to be said of them all."""

    choice: Choice
    order: str = ""  # how dates are written
    problems: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    visits: dict[str, Occasion] = field(default_factory=dict)  # by the name of their panel

    def chosen(self, file: Path, given: list[Entry], interpreter: Interpreter) -> list[Entry]:
        """The entries of one occasion for each patient."""
        if not any(e.visit or e.date or e.time for e in given):
            return given
        names = {e.analyte for e in given}
        analytes = {name: interpreter.analyte(name) for name in names if interpreter.knows(name)}
        hours: dict[str, float] = {}
        for e in given:
            if e.time and e.time not in hours:
                try:
                    hours[e.time] = interpreter.time(e)
                except PanelError as error:
                    hours[e.time] = 0.0
                    self.problems.append(f"{file}, {e.place}, patient {shown(e.patient)}, {shown(e.analyte)}: {error}")
        entries, refused, left, visits = choose(given, analytes, self.choice, hours, self.order)
        self.visits.update(visits)
        for whole, said in ((self.refused, refused), (self.left, left)):
            for words, who in said.items():
                whole.setdefault(words, []).extend(who)
        return entries

    def lines(self, file: Path) -> tuple[list[str], list[str]]:
        """Problems and warnings."""
        return [*self.problems, *lines(str(file), self.refused)], lines(str(file), self.left)


def _kept(
    file: Path, reading: Reading, entries: Sequence[Entry], asked: bool, choice: Choice
) -> tuple[dict[str, tuple[dict[str, str], str]], list[str]]:
    """Columns beside the panel by patient, from the rows of the occasion that is used; and where rows contradict."""
    places: dict[str, dict[str, str]] = {}  # patient as in the file: place of a row that is used, patient of the panel
    for e in entries if reading.kept else ():
        places.setdefault(e.place, {})[e.patient] = e.patient
    found: dict[str, tuple[dict[str, str], str]] = {}
    problems: dict[str, list[str]] = {}
    used = bool(choice.how) and reading.once
    for row in reading.kept:
        names = places.get(row.place, {}) if used else {row.patient: row.patient}
        for name in names:
            if name not in found:
                found[name] = (dict(row.cells), row.place)
                continue
            cells, first = found[name]
            differing = next((c for c, text in row.cells.items() if text and cells.get(c) and cells[c] != text), "")
            if asked and (reading.once or differing):
                words = f"column '{differing}' differs" if differing else "expected one row for each patient"
                problems.setdefault(f"stands twice (first at {first}), {words}; keep the row that is meant", []).append(
                    f"{file}, {row.place}: patient {name}"
                )
            for c, text in row.cells.items():
                cells[c] = cells.get(c) or text
    return found, [
        f"{who[0]} {words}" + (f" (and {len(who) - 1} more rows)" if len(who) > 1 else "")
        for words, who in problems.items()
    ]


@dataclass
class _Collected:
    """The measurements of a file by patient, and what was in the way."""

    values: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    # analyte as written and words of the refusal: place of the first, and the patients
    refused: dict[tuple[str, str], tuple[str, list[str]]] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    # patient: analyte and the words of its refusal
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    # patient and analyte that are given twice: place of the second and of the first, analyte as written
    twice: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    coded: set[str] = field(default_factory=set)  # analytes with values that may be codes for missing
    aside: dict[str, list[str]] = field(default_factory=dict)  # why values are no values of blood: places
    places: dict[str, str] = field(default_factory=dict)  # of unknown names: the first
    beside: dict[str, dict[str, str]] = field(default_factory=dict)  # what rows tell that is no value

    def refuse(self, file: Path, patient: str, analyte: str, place: str, words: str, taken: Sequence[str]) -> None:
        """Keep a refusal: told once for each kind, and for each analyte that its patient loses."""
        where = f"{file}, {place}, patient {shown(patient)}, {shown(analyte) or 'no analyte'}"
        self.refused.setdefault((analyte, words), (where, []))[1].append(patient)
        own = self.left_out.setdefault(patient, {})
        for name in taken:
            own.setdefault(name, words)

    def check(self, file: Path, analytes: Mapping[str, Analyte], remedy: str) -> None:
        """Ask back what cannot hold together, and codes for missing; such values are taken out."""
        for patient, measurements in self.values.items():
            for names, words in contradictions(measurements):
                if any((patient, name) in self.confirmed for name in names):
                    continue
                name = names[0]
                self.refuse(file, patient, name, measurements[name].place, f"{words} {remedy}", names)
                for taken in names:
                    measurements.pop(taken, None)
        by_analyte: dict[str, list[tuple[str, Measurement]]] = {}
        for name in self.coded:
            by_analyte[name] = [(p, m[name]) for p, m in self.values.items() if name in m]
        for name, pairs in by_analyte.items():
            who = {id(m): patient for patient, m in pairs}
            for m in list(codes(analytes[name], [m for _, m in pairs])):
                patient = who[id(m)]
                if (patient, name) in self.confirmed:
                    continue
                words = f"{m.given} may be a code for missing, far from the other values; empty the cell. {remedy}"
                self.refuse(file, patient, name, m.place, words, (name,))
                self.values[patient].pop(name, None)

    def strangers(self, file: Path, interpreter: Interpreter, kind: Format) -> list[str]:
        """One line per name that is no analyte's, with names that it may be meant for."""
        found = []
        for name, n in self.unknown.items():
            if kind.kit:
                found.append(
                    f"{file}: analyte '{shown(name)}' of the kit is unknown to Crosstalk; left out ({n} values); if it "
                    f"is one, say so in a map: [tests] '{shown(name)}' = 'IL-6'"
                )
                continue
            more = f" (and {n - 1} more rows)" if n > 1 else ""
            found.append(
                f"{file}, {self.places[name]}, {shown(name) or 'no analyte'}: {interpreter.stranger(name)}; left "
                f"out{more}"
            )
        return found

    def few(self) -> bool:
        """Whether refusals are single values of a cohort, not the mistake of a whole column."""
        lost: dict[str, int] = {}
        for (name, _), (_, who) in self.refused.items():
            lost[name] = lost.get(name, 0) + len(who)
        for _, _, name in self.twice.values():
            lost[name] = lost.get(name, 0) + 1
        return all(n <= FEW * self.cells.get(name, 0) for name, n in lost.items())

    def problems(self) -> list[str]:
        """One line per kind of refusal, with the place of the first and the other patients."""
        return [f"{first}: {words}{_others(who[1:])}" for (_, words), (first, who) in self.refused.items()]

    def doubled(self, file: Path) -> list[str]:
        """One line per value that is given twice; each is told in the notes of its patient too."""
        found = []
        for (p, a), (place, first, _) in self.twice.items():
            found.append(f"{file}, {place}, patient {shown(p)}, {a}: is given twice, first at {first}; keep one")
            self.note(p, f"{a} is given twice, at {first} and at {place}; the first is used.")
        return found

    def note(self, patient: str, words: str) -> None:
        """Keep what is said of one patient."""
        self.notes.setdefault(patient, []).append(words)


def _collect(file: Path, entries: Sequence[Entry], interpreter: Interpreter, found: _Collected) -> None:
    seen: dict[str, dict[str, str]] = {}
    for entry in entries:
        patient = found.values.setdefault(entry.patient, {})
        places = seen.setdefault(entry.patient, {})
        found.cells[entry.analyte] = found.cells.get(entry.analyte, 0) + 1
        analyte = interpreter.find(entry.analyte)
        if analyte is None and beside(entry.analyte):
            if entry.value.strip().lower() not in MISSING:
                found.beside.setdefault(entry.patient, {})[entry.analyte] = entry.value
            continue
        if analyte is None and entry.analyte:
            found.unknown[entry.analyte] = found.unknown.get(entry.analyte, 0) + 1
            found.places.setdefault(entry.analyte, f"{entry.place}, patient {entry.patient}")
            continue
        try:
            if analyte is None:
                analyte = interpreter.analyte(entry.analyte)  # which says what is wrong with it
            if entry.specimen and (reason := interpreter.other_fluid(entry, analyte)):
                found.aside.setdefault(reason, []).append(
                    f"{entry.place}, patient {shown(entry.patient)}, {analyte.id}"
                )
                found.note(entry.patient, f"{analyte.id} at {entry.place} is left out: {reason}.")
                continue
            if analyte.id in places:
                found.twice.setdefault((entry.patient, analyte.id), (entry.place, places[analyte.id], entry.analyte))
                continue
            places[analyte.id] = entry.place
            measured = interpreter.measurement(entry, analyte, interpreter.time(entry) if entry.time else 0.0)
        except PanelError as error:
            named = shown(entry.analyte) if analyte is None else analyte.id
            found.refuse(file, entry.patient, entry.analyte, entry.place, str(error), (named,))
            continue
        if measured is None:
            found.missing.setdefault(entry.patient, []).append(analyte.id)
            continue
        if entry.value in CODES:
            found.coded.add(analyte.id)
        if entry.confirmed and interpreter.agrees(entry):
            found.confirmed.add((entry.patient, analyte.id))
        patient[analyte.id] = measured


def alike(file: str, patients: Sequence[str]) -> list[str]:
    """A warning where names of patients differ by case, blanks, dashes or leading zeros only, or look like dates.

    Examples
    --------
    >>> alike("x.csv", ["D-011", "d011", "D-012"])
    ["x.csv: names that may be one patient's: 'D-011' and 'd011'; write each patient's name in one way"]
    """
    groups: dict[str, list[str]] = {}
    for name in patients:
        plain = re.sub(r"(?<=\d)\.0+$", "", unicodedata.normalize("NFKC", name).casefold())
        plain = re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", plain)
        plain = re.sub(r"(?<![\d-])0+(?=\d)", "", re.sub(r"[^\w-]|_|(?<!\d)-|-(?!\d)", "", plain))
        groups.setdefault(plain, []).append(name)
    same = [" and ".join(f"'{shown(name)}'" for name in names[:LISTED]) for names in groups.values() if len(names) > 1]
    found = (
        [f"{file}: names that may be one patient's: {_listed(same)}; write each patient's name in one way"]
        if same
        else []
    )
    odd = [name for name in patients if _MADE.fullmatch(name)]
    if odd:
        listed = _listed([repr(name) for name in odd])
        found.append(
            f"{file}: names that a spreadsheet may have made of other ones: {listed}; it turns codes such as 1-3 or "
            f"MAR1 into dates, and 1E5 into a number"
        )
    return found


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more


def one_patient(file: PanelFile, patient: str | None = None) -> Panel:
    """The panel of one patient.

    Raises
    ------
    PanelError
        If the file holds several and none is chosen, the chosen one is not there, or has no value.
    """
    ids = [p.patient for p in file.panels]
    if not ids:
        raise PanelError(
            "\n  ".join([f"{file.path}: holds no value of any patient; check that it is whole", *file.warnings])
        )
    listed = ", ".join(ids[:10]) + (" ..." if len(ids) > 10 else "")
    if patient is None and len(ids) != 1:
        raise PanelError(f"{file.path}: holds {len(ids)} patients, expected one; choose with --patient: {listed}")
    if patient is not None and patient not in ids:
        raise PanelError(f"{file.path}: no patient '{patient}'; it holds {listed}")
    panel = file.panels[ids.index(patient) if patient is not None else 0]
    if not panel.measurements:
        raise PanelError(f"{file.path}: patient {panel.patient} has no value; a forecast needs at least one")
    return panel


def _all(problems: list[str]) -> str:
    first = [shown(problem, LONGEST) for problem in problems[:SHOWN]]
    rest = len(problems) - len(first)
    if len(problems) == 1:
        return first[0]
    more = [f"... and {rest} more"] if rest else []
    return "\n  ".join([f"{len(problems)} problems; nothing was read:", *first, *more])


def _others(who: list[str]) -> str:
    """The further patients of whom the same is said."""
    if not who:
        return ""
    named = ", ".join(map(shown, who[:NAMED])) + (", ..." if len(who) > NAMED else "")
    return f" (and {len(who)} more rows); also patient{'s' if len(who) > 1 else ''} {named}"
