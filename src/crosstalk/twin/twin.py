"""The two verbs on one patient: assess and forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Regimen
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Panel
from crosstalk.population.calibrated import knowledge_state
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.twin.assessment import applicability, mechanism_scores, profile
from crosstalk.twin.courses import conclude, forecast_regimens, simulate_regimens
from crosstalk.twin.history import failed_courses, resisted
from crosstalk.twin.next_assay import next_assays
from crosstalk.twin.posterior import Posterior, infer, scale_of
from crosstalk.twin.records import Assessment, EarlyUpdate, Forecast, Provenance
from crosstalk.twin.relations import unused
from crosstalk.twin.sequential import (
    CANDIDATES,
    EarlyScore,
    Scores,
    early_scores,
    recorded_courses,
    update,
    update_note,
)
from crosstalk.twin.summary import interval

__all__ = ["assess", "forecast"]

VIRTUAL_PATIENTS = 1200
WORLDS = 40
DRAWS = 200
WEEKS = 12


def assess(
    panel: Panel,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    draws: int = DRAWS,
) -> Assessment:
    """Read a panel against references and infer the mechanism scores.

    Parameters
    ----------
    panel : Panel
        One patient, see `crosstalk.read_panel`.
    seed : int
        Fixes everything random.
    draws : int
        Virtual patients who stand for the patient.

    Returns
    -------
    Assessment

    Raises
    ------
    TwinError
        If no virtual patient can explain the panel.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    posterior = infer(
        panel, knowledge, engine, seed=seed, virtual_patients=VIRTUAL_PATIENTS, worlds=WORLDS, draws=draws
    )
    return Assessment(
        panel.patient,
        seed,
        profile(panel, posterior, knowledge),
        mechanism_scores(posterior, knowledge, panel),
        applicability(panel, posterior, knowledge),
        _notes(panel, posterior),
        _provenance(panel, posterior, knowledge, engine),
        unused(panel, knowledge, history=False),
    )


def forecast(
    panel: Panel,
    *,
    regimens: Sequence[str] = (),
    scores: Sequence[EarlyScore] = (),
    on: str | None = None,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    draws: int = DRAWS,
    weeks: int = WEEKS,
    progress: Callable[[str], None] | None = None,
) -> Forecast:
    """Forecast one patient under each regimen.

    Parameters
    ----------
    panel : Panel
    regimens : sequence of str
        Ids; all by default. The reference regimen is always added.
    scores : sequence of EarlyScore, optional
        Scores of the first weeks; the forecast is that of the rest of the course, see `crosstalk.twin.sequential`.
    on : str, optional
        Regimen that the patient has been on since week 0, where there are scores; the reference by default.
    seed : int
        Fixes everything random.
    draws : int
        Virtual patients who stand for the patient.
    weeks : int
        Horizon.
    progress : callable, optional
        Told in words what is being done.

    Returns
    -------
    Forecast
        A hypothesis, not advice.

    Raises
    ------
    TwinError
        If no virtual patient can explain the panel, or too few the early scores.
    UsageError
        On an unknown regimen, an early score that does not fit, or a horizon or number of draws that makes no sense.
    """
    if weeks < 1 or draws < 20:
        raise UsageError(f"weeks = {weeks}, draws = {draws}; expected at least 1 week and 20 draws")
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    say = progress or (lambda _: None)
    if on is not None and not scores:
        raise UsageError(f"--on {on}: names the regimen of early scores, and there is none; give --scores too")
    chosen = _choose(knowledge, regimens if on is None or not regimens else (*regimens, on))
    reference = next(r for r in chosen if r.reference)
    current = reference if on is None else knowledge.regimen(on)
    seen = early_scores(scores, scale_of(panel, knowledge), knowledge, weeks=weeks)
    say("finding virtual patients who explain the panel")
    failed = failed_courses(panel)
    wanted = draws * CANDIDATES if seen or failed else draws
    posterior = infer(
        panel, knowledge, engine, seed=seed, virtual_patients=VIRTUAL_PATIENTS, worlds=WORLDS, draws=wanted
    )
    history = ""
    if failed:
        say("leaving out those who would have responded to earlier courses")
        posterior, history = resisted(posterior, failed, knowledge, engine, draws=wanted if seen else draws)
    told: EarlyUpdate | None = None
    if seen:
        say("weighing them by the early scores")
        early = Scores(posterior.scale, seen)
        posterior, told = update(posterior, early, current, knowledge, engine, draws=draws, weeks=weeks)
    courses = simulate_regimens(posterior, chosen, knowledge, engine, weeks=weeks, progress=say)
    given = recorded_courses(posterior, courses, early, current.id) if told else None
    results = forecast_regimens(posterior, courses, chosen, reference.id, given)
    first, second = _two_best(courses.scale)
    # a virtual patient drawn twice would explain his own measurement
    once = np.zeros(len(posterior.patients), dtype=np.bool_)
    once[np.unique(posterior.patients.index, return_index=True)[1]] = True
    assays = next_assays(posterior, courses.benefit(first, second), courses.complete & once, knowledge)
    own = next(r for r in results if r.id == reference.id)
    notes = list(_notes(panel, posterior))
    if told is not None:
        notes.insert(0, update_note(told, current.name))
    if history:
        notes.insert(0, history)
    lost = len(posterior.patients) - int(courses.complete.sum())
    if lost:
        notes.append(
            f"{lost} of {len(posterior.patients)} virtual patients failed under some regimen and were left out."
        )
    return Forecast(
        panel.patient,
        seed,
        profile(panel, posterior, knowledge, history=failed > 0),
        mechanism_scores(posterior, knowledge, panel),
        applicability(panel, posterior, knowledge),
        posterior.scale.id,
        interval(posterior.recorded),
        reference.id,
        results,
        assays,
        conclude(results, own, posterior.scale),
        tuple(notes),
        _provenance(panel, posterior, knowledge, engine),
        told,
        unused(panel, knowledge, history=True),
    )


def _choose(knowledge: Knowledge, ids: Sequence[str]) -> tuple[Regimen, ...]:
    everything = tuple(knowledge.regimens.values())
    if not ids:
        return everything
    wanted = {knowledge.regimen(i).id for i in ids}
    return tuple(r for r in everything if r.id in wanted or r.reference)


def _two_best(scale: dict[str, np.ndarray]) -> tuple[str, str]:
    order = sorted(scale, key=lambda r: float(np.nanmean(scale[r][:, -1])))
    return order[0], order[1] if len(order) > 1 else order[0]


def _notes(panel: Panel, posterior: Posterior) -> tuple[str, ...]:
    notes = list(panel.notes)
    if not posterior.has_score:
        notes.append(
            f"The panel holds no symptom score; the baseline {posterior.scale.id} is that of the virtual population."
        )
    if panel.missing:
        notes.append(f"Named in the file without a value: {', '.join(panel.missing)}.")
    notes.append("The patient is taken as untreated at baseline.")
    return tuple(notes)


def _provenance(panel: Panel, posterior: Posterior, knowledge: Knowledge, engine: Engine) -> Provenance:
    calibrated, worlds = knowledge_state(knowledge)
    return Provenance(
        package_version(),
        assemble((), knowledge).sha256,
        knowledge.sha256,
        hash_bytes(repr(sorted((m.analyte, m.value, m.censored) for m in panel.measurements.values()))),
        type(engine).__name__,
        calibrated,
        len(posterior.population),
        len(posterior.patients),
        len(np.unique(posterior.population.world)),
        worlds,
    )
