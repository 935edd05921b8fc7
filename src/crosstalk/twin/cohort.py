"""`assess_cohort`: the mechanism scores of many patients at once, by weights on one large virtual population.

Every patient weighs the same virtual patients by how well they explain his panel, as `crosstalk.assess` does for one. A
score is as good as the number of virtual patients that resemble the patient, which is told for each (effective sample),
and one who resembles hardly any has no score.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import CrosstalkError, PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import ReferenceRange
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.panel.references import ends, position, side, z_score
from crosstalk.population.cache import virtual_population
from crosstalk.population.calibrated import knowledge_state
from crosstalk.provenance import package_version
from crosstalk.twin.assessment import EDGE_SAMPLE, EDGE_TAIL, OUTSIDE_SAMPLE, OUTSIDE_TAIL, healthy_scores
from crosstalk.twin.cohort_records import CohortAssessment, Column, PatientColumns, ScoreColumn, Status
from crosstalk.twin.cohort_summary import summarise
from crosstalk.twin.cohort_weights import Tail, Usable, Weigher
from crosstalk.twin.likelihood import KERNEL, observations
from crosstalk.twin.posterior import covariates_of, twin_outputs
from crosstalk.twin.records import Provenance
from crosstalk.twin.relations import indications
from crosstalk.twin.summary import log_fold_interval
from crosstalk.twin.twin import VIRTUAL_PATIENTS, how_many_worlds

__all__ = ["assess_cohort"]

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]


def assess_cohort(
    file: PanelFile,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    virtual_patients: int = VIRTUAL_PATIENTS,
    progress: Progress | None = None,
) -> CohortAssessment:
    """Read every panel of a file against references, infer the mechanism scores, and summarise the cohort.

    Parameters
    ----------
    file : PanelFile
        See `crosstalk.read_panel`.
    seed : int
        Fixes everything random.
    virtual_patients : int
        Size of the virtual population, which is computed once and kept.
    progress : callable, optional
        Told in words what is being done, and the share done.

    Returns
    -------
    CohortAssessment
        A status per patient: ``ok``; ``edge`` (an effective sample below 30, or an unusual value); ``outside`` (below
        5: no score; or a very unusual value: an extrapolation); ``no usable value``; ``refused``. One patient never
        ends the batch.

    Raises
    ------
    PanelError
        If the file holds no patient.

    Notes
    -----
    Scores are those of `crosstalk.assess`. Virtual patients are alike in age, BMI and height, not equal (what a
    remaining difference in BMI does to a score is taken out by local linear regression); sex and the symptom score have
    no part. A tail probability is that of the most unusual of all values of the patient, so that a long panel is
    unusual no more often than a short one (1 - (1 - p)^m, Sidak 1967, doi 10.1080/01621459.1967.10482935).

    Examples
    --------
    >>> from crosstalk.panel.records import Measurement, Panel, PanelFile
    >>> panels = tuple(Panel(f"P{i}", {"hsCRP": Measurement("hsCRP", 0.5 + i)}) for i in range(4))
    >>> found = assess_cohort(PanelFile("made", "", panels), virtual_patients=400)
    >>> bool(np.all(np.diff(found.to_frame()["innate_activation"]) > 0))
    True
    """
    if not file.panels:
        raise PanelError(f"{file.path}: holds no patient")
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    say = progress or (lambda _words, _share: None)
    say("virtual patients", 0.0)
    everyone = virtual_population(
        knowledge,
        engine,
        diagnosis="mdd",
        n=virtual_patients,
        worlds=how_many_worlds(knowledge),
        seed=seed,
        outputs=twin_outputs(knowledge),
    )
    population = everyone.take(np.flatnonzero(everyone.ok))
    healthy = healthy_scores(knowledge)
    say("reference ranges", 0.1)
    columns = place_values(file.panels, knowledge)
    usable, refused = _usable(file.panels, knowledge)
    weigher = Weigher(population, usable, knowledge)
    found = weigher.scores(lambda share: say("mechanism scores", 0.25 + 0.6 * share))
    alone = Weigher(population, [replace(u, observed=()) for u in usable], knowledge).told()
    tails = weigher.tails()
    say("summary", 0.85)
    states = [
        _status(i, usable, refused, float(found.sample[i]), tails[i], len(everyone)) for i in range(len(file.panels))
    ]
    reliable = np.array([s in ("ok", "edge", "outside") for s, _ in states]) & (found.sample >= OUTSIDE_SAMPLE)
    scores = tuple(
        ScoreColumn(
            definition,
            np.where(reliable, found.mean[:, j], np.nan),
            np.where(reliable, found.low[:, j], np.nan),
            np.where(reliable, found.high[:, j], np.nan),
            np.where(reliable, found.told[:, j], np.nan),
            np.where(reliable, np.maximum(found.told[:, j] - alone[:, j], 0.0), np.nan),
            log_fold_interval(population.outputs[definition.output]),
            healthy[definition.output],
        )
        for j, definition in enumerate(knowledge.scores.values())
    )
    calibrated, worlds = knowledge_state(knowledge)
    provenance = Provenance(
        package_version(), assemble((), knowledge).sha256, knowledge.sha256, file.sha256, type(engine).__name__,
        calibrated, len(everyone), len(population), len(np.unique(everyone.world)), worlds,
    )  # fmt: skip
    patients = PatientColumns(
        tuple(p.patient for p in file.panels),
        tuple(status for status, _ in states),
        tuple(reason for _, reason in states),
        np.where([status in ("refused", "no usable value") for status, _ in states], np.nan, found.sample),
        np.array([t.adjusted for t in tails]),
        tuple(t.analyte for t in tails),
        tuple(p.refused for p in file.panels),
        tuple(p.notes for p in file.panels),
    )
    result = summarise(file, patients, columns, scores, knowledge, provenance, seed=seed)
    say("done", 1.0)
    return result


def place_values(panels: Sequence[Panel], knowledge: Knowledge) -> dict[str, Column]:
    """Every analyte that the file names: values and their place in the reference ranges, in the knowledge's order.

    The range of a person and an assay is chosen by `crosstalk.panel.references.position`, once for all alike.
    """
    named = {a for p in panels for a in (*p.measurements, *p.missing, *p.refused)}
    found = {}
    for analyte in knowledge.analytes.values():
        if analyte.id not in named:
            continue
        column = Column.empty(analyte, len(panels))
        chosen: dict[tuple[object, ...], ReferenceRange | None] = {}
        bands = [sorted({edge for r in analyte.references for edge in getattr(r, name)}) for name in ("age", "bmi")]
        for i, panel in enumerate(panels):
            m = panel.measurements.get(analyte.id)
            if m is not None:
                column.set(i, m)
                if m.quality != "failed":
                    _place(column, i, m, panel, bands, chosen)
        found[analyte.id] = column
    return found


def _place(
    column: Column,
    i: int,
    m: Measurement,
    panel: Panel,
    bands: Sequence[Sequence[float]],
    chosen: dict[tuple[object, ...], ReferenceRange | None],
) -> None:
    sex, age, bmi = (_exact(panel, name) for name in ("sex", "age", "BMI"))
    where = (None if v is None else bisect_right(b, v) for v, b in zip((age, bmi), bands, strict=True))
    key = (m.specimen, m.method, sex, *where)
    if key not in chosen:
        chosen[key] = position(column.analyte, m, sex=sex, age=age, bmi=bmi).range
    reference = chosen[key]
    if reference is None:
        return
    low, high = ends(m)
    first, last = side(reference, low), side(reference, high)
    column.where[i] = first if first == last else "unknown"
    z_low, z_high = (z_score(reference, v) if 0 < v < np.inf else None for v in (low, high))
    column.z_low[i] = (-np.inf if m.censored == "left" else np.nan) if z_low is None else z_low
    column.z_high[i] = (np.inf if m.censored == "right" else np.nan) if z_high is None else z_high


def _exact(panel: Panel, name: str) -> float | None:
    m = panel.measurements.get(name)
    return None if m is None or m.quality == "failed" else m.value


def _usable(panels: Sequence[Panel], knowledge: Knowledge) -> tuple[list[Usable], dict[int, str]]:
    """What the weights use of each patient, and why some cannot be used."""
    usable, refused = [], {}
    for i, panel in enumerate(panels):
        try:
            usable.append(Usable(observations(panel, knowledge), covariates_of(panel, knowledge), indications(panel)))
        except CrosstalkError as error:
            refused[i] = str(error)
            usable.append(Usable((), {}))
    return usable, refused


def _status(
    i: int, usable: Sequence[Usable], refused: dict[int, str], sample: float, tail: Tail, virtual: int
) -> tuple[Status, str]:
    u = usable[i]
    if i in refused:
        return "refused", refused[i]
    if not u.observed and not any(name in KERNEL for name in u.known):
        return "no usable value", "no value that the model predicts, and none of age, BMI and height"
    if not np.isfinite(sample):
        return "refused", "no virtual patient can explain the panel; check the values and their units"
    alike = f"{sample:.1f} of {virtual} virtual patients resemble this one"
    if sample < OUTSIDE_SAMPLE:
        return "outside", f"{alike}, too few for a score"
    unusual = f"{tail.analyte} is unusual (tail probability {tail.lowest:.2g} of {tail.values} values)"
    if tail.adjusted < OUTSIDE_TAIL:
        return "outside", f"{unusual}; the scores are an extrapolation"
    if sample < EDGE_SAMPLE:
        return "edge", f"{alike}; the scores are rough"
    if tail.adjusted < EDGE_TAIL:
        return "edge", unusual
    if not u.observed:
        return "ok", f"no value that the model predicts: the scores are those of people alike in {', '.join(u.known)}"
    return "ok", ""
