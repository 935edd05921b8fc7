"""The two verbs on one patient: assess and forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import TwinError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Regimen
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Panel
from crosstalk.population.calibrated import knowledge_state, shipped_posterior
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.twin.assessment import applicability, mechanism_scores, profile
from crosstalk.twin.courses import benefit, forecast_regimens
from crosstalk.twin.history import failed_courses, resisted
from crosstalk.twin.library import course_library
from crosstalk.twin.next_assay import next_assays
from crosstalk.twin.posterior import FEWEST, Posterior, infer, scale_of
from crosstalk.twin.published import with_published
from crosstalk.twin.records import Assessment, EarlyUpdate, Forecast, MonteCarlo, Provenance, RegimenForecast
from crosstalk.twin.relations import unused
from crosstalk.twin.sentences import conclude
from crosstalk.twin.sequential import EarlyScore, Scores, early_scores, update, update_note
from crosstalk.twin.summary import interval

__all__ = ["assess", "forecast", "how_many_worlds"]

VIRTUAL_PATIENTS = 20_000
WORLDS = 200  # where no posterior is in force, whose every member is a world otherwise
WEEKS = 12
LEAST = 20  # virtual patients that a population may be asked for
RESPONSE_ERROR, WIDTH_ERROR = 0.02, 0.25  # Monte-Carlo errors above which a note warns (assumed)


def how_many_worlds(knowledge: Knowledge) -> int:
    """Every member of the posterior in force, so that no seed chooses among them."""
    found, reason = shipped_posterior(knowledge)
    return WORLDS if found is None or reason else len(next(iter(found.draws.values())))


def assess(
    panel: Panel,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    virtual_patients: int | None = None,
) -> Assessment:
    """Read a panel against references and infer the mechanism scores.

    Parameters
    ----------
    panel : Panel
        One patient, see `crosstalk.read_panel`.
    seed : int
        Fixes everything random.
    virtual_patients : int, optional
        Size of the virtual population, which is computed once and kept; 20 000 by default.

    Returns
    -------
    Assessment

    Raises
    ------
    TwinError
        If no virtual patient can explain the panel, or too few resemble the patient.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    posterior = _posterior(panel, knowledge, engine, seed, virtual_patients)
    return Assessment(
        panel.patient,
        seed,
        profile(panel, posterior, knowledge),
        mechanism_scores(posterior, knowledge, panel),
        applicability(panel, posterior, knowledge),
        _notes(panel, posterior),
        _provenance(panel, posterior, knowledge, engine, virtual_patients),
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
    virtual_patients: int | None = None,
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
    virtual_patients : int, optional
        Size of the virtual population, which is computed once and kept; 20 000 by default.
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
    if weeks < 1:
        raise UsageError(f"weeks = {weeks}; expected at least 1")
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    say = progress or (lambda _: None)
    if on is not None and not scores:
        raise UsageError(f"--on {on}: names the regimen of early scores, and there is none; give --scores too")
    chosen = _choose(knowledge, regimens if on is None or not regimens else (*regimens, on))
    reference = next(r for r in chosen if r.reference)
    current = reference if on is None else knowledge.regimen(on)
    early = Scores(scale_of(panel, knowledge), early_scores(scores, scale_of(panel, knowledge), knowledge, weeks=weeks))
    say("finding virtual patients who explain the panel")
    posterior = _posterior(panel, knowledge, engine, seed, virtual_patients)
    who = f"patient {panel.patient}: "
    population, failed, before, history = posterior.population, failed_courses(panel), None, list[str]()
    if failed:
        found = resisted(posterior, failed, knowledge, engine, weeks=weeks, progress=say)
        population, before, history = found.patients, found.log_likelihood, [found.note]
    library = course_library(population, knowledge, engine, chosen, weeks=weeks, progress=say)
    twins = library.twins(posterior.log_weight, posterior.fit, posterior.scale, posterior.recorded, who, before)
    fit, told = update(twins, early, current, who=who) if early.seen else (None, None)
    estimator = twins.estimator(fit)
    if estimator.sample < FEWEST:
        raise TwinError(
            f"{who}with the baseline score{' and the failed trials' if failed else ''} an effective sample of "
            f"{estimator.sample:.1f} virtual patients is left, fewer than {FEWEST:g}: too few to forecast from. Check "
            "the values, or ask for more --virtual-patients"
        )
    results = forecast_regimens(twins, estimator, chosen, reference.id, early, current.id)
    results, unread = with_published(results, reference.id, panel, posterior.scale, knowledge)
    first, second = _two_best(results)
    assays = next_assays(twins, estimator, posterior.fit, benefit(twins, first, second), knowledge)
    own = next(r for r in results if r.id == reference.id)
    chance = _monte_carlo(results, estimator.sample, len(np.unique(twins.patients.world)))
    return Forecast(
        panel.patient,
        seed,
        profile(panel, posterior, knowledge, history=failed > 0),
        mechanism_scores(posterior, knowledge, panel),
        applicability(panel, posterior, knowledge),
        posterior.scale.id,
        interval(twins.recorded, estimator.calibrated),
        reference.id,
        results,
        assays,
        conclude(results, own, posterior.scale),
        (
            *history,
            *_told(told, current, twins.failed),
            *_notes(panel, posterior),
            *_chance_notes(chance),
            *([unread] if unread else []),
        ),
        chance,
        _provenance(panel, posterior, knowledge, engine, virtual_patients),
        told,
        unused(panel, knowledge, history=True),
    )


def _posterior(
    panel: Panel, knowledge: Knowledge, engine: Engine, seed: int, virtual_patients: int | None
) -> Posterior:
    n = VIRTUAL_PATIENTS if virtual_patients is None else virtual_patients
    if n < LEAST:
        raise UsageError(f"virtual_patients = {n}; expected at least {LEAST}")
    return infer(panel, knowledge, engine, seed=seed, virtual_patients=n, worlds=how_many_worlds(knowledge))


def _told(told: EarlyUpdate | None, current: Regimen, failed: Mapping[str, int]) -> list[str]:
    notes = [] if told is None else [update_note(told, current.name)]
    if any(failed.values()):
        most = max(failed.values())
        notes.append(
            f"Up to {most} of the virtual patients who resemble this one failed under some regimen and were left out."
        )
    return notes


def _monte_carlo(results: Sequence[RegimenForecast], sample: float, worlds: int) -> MonteCarlo:
    return MonteCarlo(
        sample,
        worlds,
        max(r.response.error for r in results),
        max(r.change.error for r in results),
        max(r.response.width_error for r in results),
    )


def _chance_notes(chance: MonteCarlo) -> list[str]:
    notes = [
        f"Monte-Carlo error (SD over seeds) at most {100 * chance.response:.1f} percentage points of response, "
        f"{chance.change:.2f} points of change, and {chance.width:.0%} of the width of the interval of response; "
        f"effective sample {chance.effective_sample:.0f} virtual patients in {chance.worlds} worlds."
    ]
    if chance.response > RESPONSE_ERROR or chance.width > WIDTH_ERROR:
        notes.append("That is much: too few virtual patients resemble this one. Ask for more with --virtual-patients.")
    return notes


def _choose(knowledge: Knowledge, ids: Sequence[str]) -> tuple[Regimen, ...]:
    everything = tuple(knowledge.regimens.values())
    if not ids:
        return everything
    wanted = {knowledge.regimen(i).id for i in ids}
    return tuple(r for r in everything if r.id in wanted or r.reference)


def _two_best(results: Sequence[RegimenForecast]) -> tuple[str, str]:
    order = [r.id for r in sorted(results, key=lambda r: r.versus_reference.mean)]
    return order[0], order[1] if len(order) > 1 else order[0]


def _notes(panel: Panel, posterior: Posterior) -> tuple[str, ...]:
    notes = list(panel.notes)
    if posterior.recorded is None:
        notes.append(
            f"The panel holds no symptom score; the baseline {posterior.scale.id} is that of the virtual population."
        )
    if panel.missing:
        notes.append(f"Named in the file without a value: {', '.join(panel.missing)}.")
    notes.append("The patient is taken as untreated at baseline.")
    return tuple(notes)


def _provenance(
    panel: Panel, posterior: Posterior, knowledge: Knowledge, engine: Engine, virtual_patients: int | None = None
) -> Provenance:
    calibrated, worlds = knowledge_state(knowledge)
    return Provenance(
        package_version(),
        assemble((), knowledge).sha256,
        knowledge.sha256,
        hash_bytes(repr(sorted((m.analyte, m.value, m.censored) for m in panel.measurements.values()))),
        type(engine).__name__,
        calibrated,
        VIRTUAL_PATIENTS if virtual_patients is None else virtual_patients,
        len(posterior.population),
        len(np.unique(posterior.population.world)),
        worlds,
    )
