"""`read_panel`: a file of one or more patients to checked panels, or one message that lists every problem."""

from __future__ import annotations

from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.panel.layout import Entry, read_entries
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.panel.values import Interpreter, derive
from crosstalk.provenance import hash_bytes

__all__ = ["one_patient", "read_panel"]

SHOWN = 20  # problems shown before the rest is counted


def read_panel(path: str | Path, *, knowledge: Knowledge | None = None) -> PanelFile:
    r"""Read the panels of a CSV or TSV file, long or wide.

    Long: columns ``patient, analyte, value, unit`` and optionally ``specimen, method, lod, time, confirmed, source``.
    Wide: a row per patient, headers such as ``hsCRP [mg/L]``. Lines that start with ``#`` are comments. ``<0.11`` is a
    value below the limit of detection and stays one. Empty cells are missing.

    Parameters
    ----------
    path : str or Path
    knowledge : Knowledge, optional
        Whose analytes to read; those that ship with Crosstalk by default.

    Returns
    -------
    PanelFile
        Values in each analyte's own unit.

    Raises
    ------
    PanelError
        One line per problem: file, line, patient, analyte, what was received, what was expected, what to do.

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
    entries, problems, content = read_entries(file)
    warnings: list[str] = []
    interpreter = Interpreter(knowledge or load_knowledge())
    values: dict[str, dict[str, Measurement]] = {}
    missing: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    seen: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        patient = values.setdefault(entry.patient, {})
        try:
            analyte = interpreter.analyte(entry.analyte)
            key = (entry.patient, analyte.id, entry.time.strip())
            if key in seen:
                raise PanelError(f"is given twice, first on line {seen[key]}; keep one")
            seen[key] = entry.line
            found = interpreter.measurement(entry)
        except PanelError as error:
            problems.append(_place(file, entry, str(error)))
            continue
        if found is None:
            missing.setdefault(entry.patient, []).append(analyte.id)
            continue
        if found.censored and found.lod is not None and not entry.value.strip().startswith(("<", ">", "≤", "≥")):
            notes.setdefault(entry.patient, []).append(
                f"{analyte.id} on line {entry.line} is taken as below its lod of {found.lod:g} {analyte.unit}."
            )
        earlier = patient.get(analyte.id)
        if earlier is None or found.time_h < earlier.time_h:
            patient[analyte.id] = found
        if earlier is not None:
            warnings.append(
                f"{file}, line {entry.line}: patient {entry.patient}, {analyte.id}: several times; the first is used"
            )
    if problems:
        raise PanelError(_all(problems))
    panels = []
    for patient_id, measurements in values.items():
        if not measurements:
            warnings.append(f"{file}: patient {patient_id} has no value at all")
        extra, words = derive(measurements)
        absent = tuple(a for a in dict.fromkeys(missing.get(patient_id, ())) if a not in measurements)
        panels.append(Panel(patient_id, {**measurements, **extra}, absent, (*notes.get(patient_id, ()), *words)))
    return PanelFile(str(file), hash_bytes(content), tuple(panels), tuple(warnings))


def one_patient(file: PanelFile, patient: str | None = None) -> Panel:
    """The panel of one patient.

    Raises
    ------
    PanelError
        If the file holds several and none is chosen, the chosen one is not there, or has no value.
    """
    ids = [p.patient for p in file.panels]
    listed = ", ".join(ids[:10]) + (" ..." if len(ids) > 10 else "")
    if patient is None and len(ids) != 1:
        raise PanelError(f"{file.path}: holds {len(ids)} patients, expected one; choose with --patient: {listed}")
    if patient is not None and patient not in ids:
        raise PanelError(f"{file.path}: no patient '{patient}'; it holds {listed}")
    panel = file.panels[ids.index(patient) if patient is not None else 0]
    if not panel.measurements:
        raise PanelError(f"{file.path}: patient {panel.patient} has no value; a forecast needs at least one")
    return panel


def _place(file: Path, entry: Entry, words: str) -> str:
    return f"{file}, line {entry.line}, patient {entry.patient}, {entry.analyte or 'no analyte'}: {words}"


def _all(problems: list[str]) -> str:
    shown = problems[:SHOWN]
    rest = len(problems) - len(shown)
    if len(problems) == 1:
        return problems[0]
    more = [f"... and {rest} more"] if rest else []
    return "\n  ".join([f"{len(problems)} problems; nothing was read:", *shown, *more])
