"""Earlier failures of one patient: virtual patients weigh by their chance not to have responded, as in a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.limits import COURSES
from crosstalk.panel.records import Panel
from crosstalk.population.measure import FLUCTUATION
from crosstalk.population.patients import Patients
from crosstalk.population.resistance import COURSE_H, eased
from crosstalk.study.protocol import HOURS_PER_WEEK, earlier_doses
from crosstalk.study.records import Population
from crosstalk.twin.library import CourseLibrary, course_library, scale_score
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.sequential import Scores, chance_of_at_most

__all__ = ["History", "failed_courses", "resisted"]

Array = NDArray[np.float64]

COURSE_WEEKS = round(COURSE_H / HOURS_PER_WEEK)


def failed_courses(panel: Panel) -> int:
    """How many earlier courses failed; 0 where none is given."""
    m = panel.measurements.get("failed_trials")
    return 0 if m is None or m.censored or m.quality == "failed" else int(m.value)


@dataclass(frozen=True)
class History:
    """What earlier failures tell.

    Attributes
    ----------
    patients : Patients
        The virtual population as the next course finds it: its episode has eased meanwhile.
    log_likelihood : array, shape (n,)
        That no course before had a response; ``-inf`` for who cannot be simulated.
    chance : float
        The same probability, on average over those who resemble the patient.
    note : str
        What was done, in words.
    """

    patients: Patients
    log_likelihood: Array
    chance: float
    note: str


def resisted(
    posterior: Posterior,
    courses: int,
    knowledge: Knowledge,
    engine: Engine,
    *,
    weeks: int,
    diagnosis: str = "mdd",
    progress: Callable[[str], None] | None = None,
) -> History:
    """Chance of each virtual patient not to have responded to earlier courses, and his state after them.

    Parameters
    ----------
    posterior : Posterior
    courses : int
        At least one; of eight weeks each with the antidepressant of the reference regimen. More than
        `crosstalk.limits.COURSES` count as so many.
    weeks : int
        Horizon of the forecast; earlier courses are kept as long, so that forecasts share them.
    progress : callable, optional
        Told in words what is being done.

    Notes
    -----
    As `crosstalk.population.resistance.still_ill` simulates it, every course starts from the baseline with the recorded
    score, and natural recovery goes on from where the course before has left it. Given the true courses, their
    fluctuations and rater's errors are independent, so that the chances multiply. Each chance is exact but for the
    bounds of the scale.
    """
    used = min(courses, COURSES)
    reference = next(r for r in knowledge.regimens.values() if r.reference)
    doses = earlier_doses(Population(diagnosis, {}, None, "", failed_steps=used), knowledge)
    earlier = replace(reference, doses=doses)
    people = posterior.population
    fit, severity = np.zeros(len(people)), np.zeros(len(people))
    for step in range(used):
        # without an earlier course as it is, so that its courses are those of every other forecast
        some = eased(people, step, knowledge) if step else people
        library = course_library(
            some, knowledge, engine, [earlier], weeks=max(weeks, COURSE_WEEKS), diagnosis=diagnosis, progress=progress
        )
        _, score, severity = library.started(posterior.scale, posterior.recorded)
        with np.errstate(divide="ignore"):
            fit += np.log(_no_response(library, earlier.id, posterior.scale, score))
    total = np.where(np.isfinite(severity), posterior.log_weight + severity, -np.inf)
    weight = np.exp(total - total.max())
    chance = float(weight @ np.exp(fit) / weight.sum())
    capped = f" ({courses} are given)" if used < courses else ""
    s = "" if used == 1 else "s"
    note = (
        f"{used} failed trial{s}{capped}: virtual patients are weighed by their chance of no response to {used} "
        f"course{s} of eight weeks of {reference.name}, {chance:.0%} on average in those who resemble this one; "
        "natural recovery has gone on meanwhile. The scores do not use this, and which drugs failed is not asked."
    )
    return History(eased(people, used, knowledge), fit, chance, note)


def _no_response(library: CourseLibrary, regimen: str, scale: Scale, recorded: Array) -> Array:
    """Probability that a rater records no response at the end of an earlier course, shape (n,); 0 for who failed."""
    until = slice(COURSE_WEEKS + 1)
    found = library.courses[regimen]
    true = scale_score(scale, found["NV"][:, until].astype(np.float64), found["MOOD"][:, until].astype(np.float64))
    people = library.population
    spread = people.covariates.get(FLUCTUATION, np.zeros(len(people))) * scale.span
    mean, sd = Scores(scale, {}).expected(true, spread)
    half = np.floor(recorded * (1 - scale.response_fraction))
    chance = 1 - chance_of_at_most(mean[:, -1], sd[:, -1], scale, half)
    return np.where(np.isfinite(chance), chance, 0.0)
