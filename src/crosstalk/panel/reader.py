"""`read_panel`: a file of one or more patients to checked panels, or one message that lists every problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import shown
from crosstalk.panel.derived import derive
from crosstalk.panel.entries import Reading
from crosstalk.panel.formats import read_cells
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.panel.values import Interpreter
from crosstalk.provenance import hash_bytes

__all__ = ["one_patient", "read_panel"]

KITS = ("xponent", "msd")  # formats whose analytes are those of a kit, known to Crosstalk or not
APART_H = 14 * 24.0  # values further apart than this may not belong to one panel (assumed)
FEW = 0.05  # of the cells of an analyte: refusals of single values, beyond it a mistake of all (assumed)
SHOWN = 20  # problems shown before the rest is counted
LONGEST = 2000  # characters of one problem
NAMED = 10  # patients named in a line on many; each has it in his notes


def read_panel(path: str | Path, *, knowledge: Knowledge | None = None, batch: bool = False) -> PanelFile:
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

    Returns
    -------
    PanelFile
        Values in each analyte's own unit.

    Raises
    ------
    PanelError
        One line per kind of problem: file, place, patient, analyte, what was received, what was expected, what to do.

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
    kind, reading = read_cells(file)
    interpreter = Interpreter(known, reading.decimal)
    collected = _collect(file, reading, interpreter, open_=kind in KITS)
    doubled, warnings = collected.doubled(file), [*reading.warnings]
    if reading.problems or collected.refused or doubled:
        if reading.problems or not (batch and collected.few()):
            raise PanelError(_all([*reading.problems, *collected.problems(), *doubled]))
        warnings += [f"left out: {words}" for words in (*collected.problems(), *doubled)]
    for words, (place, n) in interpreter.assumed.items():
        warnings.append(f"{file}, {place}: {words}" + (f" (and {n - 1} more)" if n > 1 else ""))
    for (patient_id, analyte), n in collected.repeated.items():
        used = collected.values[patient_id][analyte]
        collected.note(patient_id, f"{analyte} is given at {n + 1} times; the first, at {used.place}, is used.")
        warnings.append(
            f"{file}, {used.place}: patient {patient_id}, {analyte}: given at {n + 1} times; the first is used"
        )
    for name, n in collected.unknown.items():
        warnings.append(f"{file}: analyte '{name}' of the kit is unknown to Crosstalk; left out ({n} values)")
    for (patient_id, analyte), (place, first) in collected.contradicted().items():
        warnings.append(
            f"{file}, {place}: patient {patient_id}, {analyte}: given twice for one later time (first at {first})"
        )
    panels = []
    for patient_id, measurements in collected.values.items():
        hours = [m.time_h for m in measurements.values()]
        if hours and max(hours) - min(hours) > APART_H:
            days = (max(hours) - min(hours)) / 24
            warnings.append(f"{file}: patient {patient_id}: values of one panel lie {days:.0f} days apart")
        if not measurements:
            warnings.append(f"{file}: patient {patient_id} has no value at all")
        extra, computed = derive(measurements, known.analytes)
        absent = tuple(a for a in dict.fromkeys(collected.missing.get(patient_id, ())) if a not in measurements)
        refused = {a: words for a, words in collected.left_out.get(patient_id, {}).items() if a not in measurements}
        told = (
            *interpreter.notes.get(patient_id, ()),
            *(f"{a} is left out: {words}" for a, words in collected.left_out.get(patient_id, {}).items()),
            *collected.notes.get(patient_id, ()),
            *computed,
        )
        panels.append(Panel(patient_id, {**measurements, **extra}, absent, told, refused))
    return PanelFile(str(file), reading.sha256 or hash_bytes(reading.content), tuple(panels), tuple(warnings), kind)


@dataclass
class _Collected:
    """The measurements of a file by patient, and what was in the way."""

    values: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    repeated: dict[tuple[str, str], int] = field(default_factory=dict)
    # analyte as written and words of the refusal: place of the first, and the patients
    refused: dict[tuple[str, str], tuple[str, list[str]]] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    # patient: analyte and the words of its refusal
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    # patient, analyte and time that are given twice: place of the second and of the first, analyte as written
    twice: dict[tuple[str, str, float], tuple[str, str, str]] = field(default_factory=dict)

    def contradicted(self) -> dict[tuple[str, str], tuple[str, str]]:
        """What is given twice at a time that is not used."""
        return {(p, a): found[:2] for (p, a, t), found in self.twice.items() if not self._used(p, a, t)}

    def _used(self, patient: str, analyte: str, time: float) -> bool:
        used = self.values[patient].get(analyte)
        return used is None or used.time_h >= time

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
        """One line per value that is used and given twice; each is told in the notes of its patient too."""
        found = []
        for (p, a, t), (place, first, _) in self.twice.items():
            if self._used(p, a, t):
                found.append(f"{file}, {place}, patient {p}, {a}: is given twice, first at {first}; keep one")
                self.note(p, f"{a} is given twice, at {first} and at {place}; the first is used.")
            else:
                self.note(p, f"{a} is given twice for one later time, at {first} and at {place}; not used.")
        return found

    def note(self, patient: str, words: str) -> None:
        """Keep what is said of one patient."""
        self.notes.setdefault(patient, []).append(words)


def _collect(file: Path, reading: Reading, interpreter: Interpreter, *, open_: bool) -> _Collected:
    found = _Collected()
    seen: dict[str, dict[tuple[str, float], str]] = {}
    for entry in reading.entries:
        patient = found.values.setdefault(entry.patient, {})
        places = seen.setdefault(entry.patient, {})
        found.cells[entry.analyte] = found.cells.get(entry.analyte, 0) + 1
        try:
            if open_ and not interpreter.knows(entry.analyte):
                found.unknown[entry.analyte] = found.unknown.get(entry.analyte, 0) + 1
                continue
            analyte = interpreter.analyte(entry.analyte)
            time = interpreter.time(entry)
            key = (analyte.id, time)
            if key in places:
                found.twice.setdefault((entry.patient, *key), (entry.place, places[key], entry.analyte))
                continue
            places[key] = entry.place
            measured = interpreter.measurement(entry, analyte, time)
        except PanelError as error:
            where = f"{file}, {entry.place}, patient {entry.patient}, {shown(entry.analyte) or 'no analyte'}"
            found.refused.setdefault((entry.analyte, str(error)), (where, []))[1].append(entry.patient)
            named = interpreter.knowledge.find_analyte(entry.analyte)
            name = shown(entry.analyte) if named is None else named.id
            found.left_out.setdefault(entry.patient, {}).setdefault(name, str(error))
            continue
        if measured is None:
            found.missing.setdefault(entry.patient, []).append(analyte.id)
            continue
        earlier = patient.get(analyte.id)
        if earlier is not None:
            again = (entry.patient, analyte.id)
            found.repeated[again] = found.repeated.get(again, 0) + 1
        if earlier is None or measured.time_h < earlier.time_h:
            patient[analyte.id] = measured
    return found


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
