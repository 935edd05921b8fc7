"""Forecast of one patient under each regimen, every virtual patient running through every regimen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.engine.ensemble import Engine, Event, Problem
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen, Scale
from crosstalk.model.assembly import assemble
from crosstalk.population.measure import visit_scores, visit_sd
from crosstalk.population.patients import drug_parameters, weight_kg
from crosstalk.study.protocol import HOURS_PER_WEEK, protocol
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.records import Change, Interval, Probability, RegimenForecast, Rest, Trajectory
from crosstalk.twin.summary import interval, knowledge_interval

__all__ = ["Courses", "Recorded", "chance_of_at_most", "conclude", "forecast_regimens", "simulate_regimens"]

Array = NDArray[np.float64]

DIMENSIONS = ("NV", "MOOD")
RTOL = 1e-4  # leaves errors of a thousandth of a point, far below the rater's
# smallest difference that is called one, as a share of the scale: 1 point of HAMD-17 (assumed)
MEANINGFUL = 0.02


@dataclass(frozen=True)
class Courses:
    """True courses of the scale and of both dimensions under each regimen, shape (n, n_weeks) each."""

    weeks: Array
    scale: dict[str, Array]
    dimensions: dict[tuple[str, str], Array]
    failed: dict[str, int]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Virtual patients who ran to the end of every regimen, shape (n,)."""
        finite = [np.isfinite(v).all(axis=1) for v in self.scale.values()]
        return np.asarray(np.all(finite, axis=0), dtype=np.bool_)

    def benefit(self, regimen: str, reference: str) -> Array:
        """Difference of the final true score to another regimen, shape (n,); negative is better."""
        return np.asarray(self.scale[regimen][:, -1] - self.scale[reference][:, -1])


@dataclass(frozen=True)
class Recorded:
    """What raters record under one regimen, of the complete virtual patients.

    Attributes
    ----------
    scores : array, shape (n, n_weeks) [points]
    last_mean, last_sd : array, shape (n,) [points]
        Of the last score, before it is rounded.
    """

    scores: Array
    last_mean: Array
    last_sd: Array


def simulate_regimens(
    posterior: Posterior,
    regimens: Sequence[Regimen],
    knowledge: Knowledge,
    engine: Engine,
    *,
    weeks: int,
    diagnosis: str = "mdd",
    progress: Callable[[str], None] | None = None,
) -> Courses:
    """Simulate all regimens, weekly output.

    Raises
    ------
    TwinError
        If no virtual patient runs to the end of every regimen.
    """
    grid = np.arange(weeks + 1, dtype=np.float64)
    patients, scale = posterior.patients, posterior.scale
    weight, height = weight_kg(patients), patients.covariates.get("height_cm")
    enrolment = tuple(Event(0.0, k, v, "set") for k, v in knowledge.diagnosis(diagnosis).enrolment.items())
    courses: dict[str, Array] = {}
    dimensions: dict[tuple[str, str], Array] = {}
    failed: dict[str, int] = {}
    # one model with the drugs of all regimens, so that one is compiled
    model = assemble(tuple(sorted({dose.drug for r in regimens for dose in r.doses})), knowledge)
    parameters = {**patients.parameters, **drug_parameters(knowledge, model.drugs, patients)}
    for number, regimen in enumerate(regimens, start=1):
        if progress is not None:
            progress(f"regimen {number} of {len(regimens)}: {regimen.name}")
        plan = protocol(regimen.doses, knowledge, weight_kg=weight, height_cm=height, horizon_h=weeks * HOURS_PER_WEEK)
        problem = Problem(
            model.sbml,
            len(patients),
            parameters,
            grid * HOURS_PER_WEEK,
            (scale.id, *DIMENSIONS),
            patients.states,
            enrolment + plan.events,
            model.states,
        )
        result = engine.simulate(problem, rtol=RTOL)
        courses[regimen.id] = result[scale.id]
        for name in DIMENSIONS:
            dimensions[regimen.id, name] = result[name]
        failed[regimen.id] = len(result.failures)
    found = Courses(grid, courses, dimensions, failed)
    if not found.complete.any():
        raise TwinError(f"no virtual patient runs to week {weeks} of every regimen; failures by regimen: {failed}")
    return found


def forecast_regimens(
    posterior: Posterior,
    courses: Courses,
    regimens: Sequence[Regimen],
    reference: str,
    given: Mapping[str, Recorded] | None = None,
) -> tuple[RegimenForecast, ...]:
    """Summarise the courses of every regimen, in the order given.

    ``given`` is what raters record by regimen, where scores seen already say something about it.
    """
    keep = courses.complete
    scale = posterior.scale
    patients = posterior.patients.take(np.flatnonzero(keep))
    recorded = posterior.recorded[keep]
    world = posterior.patients.world[keep]
    final = np.stack([courses.scale[r.id][keep, -1] for r in regimens])
    ties = final <= final.min(axis=0) + 1e-9
    best = (ties / ties.sum(axis=0)).mean(axis=1)
    found = []
    for number, regimen in enumerate(regimens):
        true = courses.scale[regimen.id][keep]
        if given is None:
            scores = visit_scores(
                true, scale, seed=patients.seed, index=patients.index, times_h=courses.weeks * HOURS_PER_WEEK,
                covariates=patients.covariates,
            )  # fmt: skip
            mean = true[:, -1]
            sd = visit_sd(scale, float(courses.weeks[-1]) * HOURS_PER_WEEK, patients.covariates, len(true))
        else:
            own = given[regimen.id]
            scores, mean, sd = own.scores.copy(), own.last_mean, own.last_sd
        scores[:, 0] = recorded
        change = interval(scores[:, -1] - recorded)
        versus = interval(courses.benefit(regimen.id, reference)[keep])
        week = float(courses.weeks[-1])
        found.append(
            RegimenForecast(
                regimen.id,
                regimen.name,
                (
                    _trajectory(scale.id, "points", courses.weeks, scores),
                    *(
                        _trajectory(d, "fraction", courses.weeks, courses.dimensions[regimen.id, d][keep])
                        for d in DIMENSIONS
                    ),
                ),
                Change(scale.id, week, change.mean, change.lo90, change.hi90),
                _probability(
                    week,
                    chance_of_at_most(mean, sd, scale, np.floor(recorded * (1 - scale.response_fraction))),
                    world,
                ),
                _probability(
                    week, chance_of_at_most(mean, sd, scale, np.full(len(recorded), scale.remission_max)), world
                ),
                versus,
                float(best[number]),
                _verdict(versus, regimen.id == reference, scale),
                tuple(Rest(e.kind, e.doi, e.place) for e in regimen.evidence),
                courses.failed[regimen.id],
            )
        )
    return tuple(found)


def _trajectory(variable: str, unit: str, weeks: Array, values: Array) -> Trajectory:
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    return Trajectory(
        variable, unit, tuple(map(float, weeks)), tuple(map(float, values.mean(axis=0))),
        tuple(map(float, low)), tuple(map(float, high)),
    )  # fmt: skip


def chance_of_at_most(mean: Array, sd: Array, scale: Scale, at_most: Array) -> Array:
    """Probability that a rater records a score of at most a limit, per virtual patient."""
    half = 0.5 if scale.integer else 0.0
    return np.asarray(ndtr((at_most + half - mean) / sd), dtype=np.float64)


def _probability(week: float, chance: Array, world: NDArray[np.intp]) -> Probability:
    found = knowledge_interval(chance, world)
    return Probability(week, found.mean, found.lo90, found.hi90)


def _verdict(versus: Interval, is_reference: bool, scale: Scale) -> str:
    if is_reference:
        return "reference"
    if versus.lo90 <= 0 <= versus.hi90:
        return "no evidence of a difference"
    if abs(versus.mean) < MEANINGFUL * scale.span:
        return "too small a difference to matter"
    return f"estimated {'better' if versus.mean < 0 else 'worse'}"


def conclude(regimens: Sequence[RegimenForecast], reference: RegimenForecast, scale: Scale) -> str:
    """One sentence on what the ranking shows, and none where it shows nothing."""
    better = sorted((r for r in regimens if "better" in r.verdict), key=lambda r: r.versus_reference.mean)
    first = max(regimens, key=lambda r: r.p_best)
    week = f"{reference.change.week:g}"
    best = f"{first.name} is the best in {first.p_best:.0%} of the virtual patients who stand for this one."
    if not better:
        leader = min(regimens, key=lambda r: r.versus_reference.mean)
        v = leader.versus_reference
        mean = (
            f"The largest mean advantage is that of {leader.name}, {v.mean:+.1f} {scale.id} points (90 % interval "
            f"{v.lo90:+.1f} to {v.hi90:+.1f})."
        )
        return (
            f"No evidence of a difference: for no regimen does the 90 % interval against {reference.name} at week "
            f"{week} lie below zero by an amount that matters. "
            f"{mean if v.mean < 0 else 'None has a lower mean.'} {best}"
        )
    top = better[0]
    v = top.versus_reference
    return (
        f"Largest estimated advantage over {reference.name} at week {week}: {top.name}, {v.mean:+.1f} {scale.id} "
        f"points (90 % interval {v.lo90:+.1f} to {v.hi90:+.1f}). {best}"
    )
