"""Several occasions of one person as a course: the first is the baseline, later scores are scores seen early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.twin.posterior import scale_of
from crosstalk.twin.sequential import EarlyScore

__all__ = ["course_of"]

LISTED = 6


def course_of(
    file: PanelFile, person: str | None = None, *, weeks: int = 12, knowledge: Knowledge | None = None
) -> tuple[Panel, tuple[EarlyScore, ...], tuple[str, ...]]:
    """The baseline of a person and his later scores, from a file that was read with ``occasion="each"``.

    Parameters
    ----------
    file : PanelFile
    person : str, optional
        Who, where the file holds several.
    weeks : int
        Horizon of the forecast: later scores are not used.

    Returns
    -------
    (Panel, tuple of EarlyScore, tuple of str)
        The panel of the first occasion, the scores after it by whole weeks, and what is to be told.

    Raises
    ------
    PanelError
        If the order of his occasions cannot be told.
    """
    known = knowledge or load_knowledge()
    groups: dict[str, list[Panel]] = {}
    for panel in file.panels:
        groups.setdefault(panel.person or panel.patient, []).append(panel)
    if person is None and len(groups) == 1:
        person = next(iter(groups))
    own = groups.get(person or "", [])
    if len(own) < 2:
        from crosstalk.panel.reader import one_patient

        return one_patient(file, person), (), ()
    lost = [panel.visit for panel in own if panel.weeks is None]
    if lost:
        raise PanelError(
            f"{file.path}, patient {person}: how many weeks after the baseline its occasions are "
            f"({', '.join(lost[:LISTED])}) cannot be told; name them such as Baseline and Week 4 (a map can), give a "
            f"column date, or choose one with --occasion"
        )
    ordered = sorted(own, key=lambda panel: panel.weeks or 0.0)
    baseline, later = ordered[0], ordered[1:]
    if not baseline.measurements:
        raise PanelError(f"{file.path}, patient {person}: its first occasion ({baseline.visit}) has no value")
    scale = scale_of(baseline, known)
    scores, told = _scores(file.path, baseline, later, scale.id, weeks)
    unused = {m.analyte for panel in later for m in panel.measurements.values()
              if m.place and known.analytes[m.analyte].kind == "laboratory"}  # fmt: skip
    if unused:
        told += (
            f"{file.path}, patient {person}: of later occasions the score alone is used, not "
            f"{', '.join(sorted(unused))}",
        )
    return replace(baseline, patient=person or baseline.patient), scores, told


def _scores(
    path: str, baseline: Panel, later: Sequence[Panel], scale: str, horizon: int
) -> tuple[tuple[EarlyScore, ...], tuple[str, ...]]:
    found: dict[int, EarlyScore] = {}
    without: list[str] = []
    for panel in later:
        measured = panel.measurements.get(scale)
        week = round((panel.weeks or 0.0) - (baseline.weeks or 0.0))
        if measured is None or measured.quality == "failed" or not 1 <= week < horizon or week in found:
            without.append(panel.visit)
        else:
            found[week] = EarlyScore(week, scale, measured.value)
    person = baseline.person or baseline.patient
    told = [
        f"{path}, patient {person}: the baseline is {baseline.visit}; later scores are used: "
        + (", ".join(f"week {s.week}: {scale}={s.score:g}" for s in found.values()) or "none")
    ]
    if without:
        told.append(
            f"{path}, patient {person}: not used: {', '.join(without[:LISTED])}, without a {scale} of its own between "
            f"week 1 and the horizon of {horizon} weeks"
        )
    return tuple(found.values()), tuple(told)
