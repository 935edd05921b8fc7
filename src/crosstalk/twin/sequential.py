"""The twin after the first weeks of treatment: early scores weigh the virtual patients and pin their fluctuation.

Scores of one person are the true course, a fluctuation that visits share (an Ornstein-Uhlenbeck process that starts at
0, see `crosstalk.population.measure.wandering`) and the rater's error. Given the true course they are jointly normal,
so that the likelihood of the scores seen, and the distribution of all later ones given them, are exact but for two
things: the bounds of the scale have no part in the likelihood, and rounding enters it as the variance of its error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import TwinError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen, Scale
from crosstalk.population.measure import FLUCTUATION, FLUCTUATION_H, fluctuations, noise_table, record_scale
from crosstalk.population.patients import Patients
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.twin.courses import Courses, Recorded, chance_of_at_most, simulate_regimens
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.records import Change, EarlyUpdate, Outlook, Probability, SeenScore
from crosstalk.twin.summary import interval, knowledge_interval

__all__ = [
    "CANDIDATES",
    "FEWEST",
    "EarlyScore",
    "Scores",
    "early_scores",
    "effective_sample",
    "recorded_courses",
    "resample",
    "spread_of",
    "update",
    "update_note",
]

Array = NDArray[np.float64]

CANDIDATES = 4  # virtual patients weighed for each one wanted: early scores take away about that many (assumed)
FEWEST = 20.0  # effective sample below which the rest of a course would rest on too few virtual patients (assumed)
ROUNDING = 1 / 12  # variance of the error of rounding to whole points
FORM = "week 2: HAMD17=17"
_SCORE = re.compile(r"\s*week\s+(?P<week>[^:]+?)\s*:\s*(?P<scale>[^=]+?)\s*=\s*(?P<score>\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EarlyScore:
    """A score recorded so many whole weeks after the start of treatment; ``scale`` is an id or an alias."""

    week: int
    scale: str
    score: float

    @classmethod
    def read(cls, text: str) -> EarlyScore:
        """Read a score written as ``week 2: HAMD17=17``.

        Raises
        ------
        UsageError
            If it is written otherwise.

        Examples
        --------
        >>> EarlyScore.read("week 2: HAMD17=17")
        EarlyScore(week=2, scale='HAMD17', score=17.0)
        """
        match = _SCORE.fullmatch(text)
        if match is None:
            raise UsageError(f"--scores: received '{text}'; expected a week, a scale and a score, as in '{FORM}'")
        try:
            week, score = float(match["week"]), float(match["score"])
        except ValueError:
            raise UsageError(f"--scores: received '{text}'; expected numbers for week and score: '{FORM}'") from None
        if not week.is_integer():
            raise UsageError(
                f"--scores: received week {match['week']} in '{text}'; expected a whole week, since courses are "
                f"computed week by week; give the nearest one"
            )
        return cls(int(week), match["scale"], score)


def early_scores(scores: Sequence[EarlyScore], scale: Scale, knowledge: Knowledge, *, weeks: int) -> dict[int, float]:
    """Check early scores, and return them by week in the order of weeks.

    Parameters
    ----------
    scores : sequence of EarlyScore
    scale : Scale
        Of the forecast.
    weeks : int
        Horizon of the forecast.

    Raises
    ------
    UsageError
        If a scale is unknown or not that of the forecast, a week is given twice, is not after the start, or does not
        leave anything to forecast, or a score lies outside its scale.
    """
    found: dict[int, float] = {}
    for s in sorted(scores, key=lambda s: s.week):
        written = f"week {s.week}: {s.scale}={s.score:g}"
        if knowledge.scale(s.scale).id != scale.id:
            raise UsageError(
                f"--scores: '{written}' is on another scale than the forecast, which is in {scale.id} (the scale of "
                f"the panel's score); give early scores on {scale.id}"
            )
        if s.week < 1:
            raise UsageError(
                f"--scores: '{written}'; expected week 1 or later; the score at week 0 belongs in the panel"
            )
        if s.week >= weeks:
            raise UsageError(
                f"--scores: '{written}' lies at or beyond the horizon of {weeks} weeks, so that nothing is left to "
                f"forecast; choose a longer one with --weeks"
            )
        if not 0 <= s.score <= scale.maximum:
            raise UsageError(f"--scores: '{written}'; {scale.id} runs from 0 to {scale.maximum:g}; correct the score")
        if s.week in found:
            raise UsageError(f"--scores: two scores of week {s.week} ({found[s.week]:g} and {s.score:g}); keep one")
        found[s.week] = s.score
    return found


class Scores:
    """The joint normal distribution of scores at some weeks given the true course, and given those seen.

    Parameters
    ----------
    scale : Scale
    seen : mapping of int to float
        Scores by week; may be empty.

    Notes
    -----
    With ``s`` the SD of a person's fluctuation and ``v`` the variance of the rater's error and of rounding, the scores
    seen have the covariance ``s^2 K + v I``. ``K`` is the same for all, so that its eigenvectors serve everybody.
    """

    def __init__(self, scale: Scale, seen: dict[int, float]) -> None:
        self.scale, self.seen = scale, dict(seen)
        self.weeks = np.array(list(seen), dtype=np.intp)
        self.values = np.array(list(seen.values()), dtype=np.float64)
        self.variance = scale.rater_sd**2 + (ROUNDING if scale.integer else 0.0)
        self._eigenvalues, self._vectors = np.linalg.eigh(_covariance(self.weeks, self.weeks))

    def log_likelihood(self, true: Array, spread: Array) -> Array:
        """Log likelihood of the scores seen, shape (n,).

        Parameters
        ----------
        true : array, shape (n, n_weeks) [points]
            True courses by week from 0 on.
        spread : array, shape (n,) [points]
            SD of each virtual patient's fluctuation.
        """
        variances = self._variances(spread)
        turned = (self.values - true[:, self.weeks]) @ self._vectors
        found = -0.5 * (turned**2 / variances + np.log(2 * np.pi * variances)).sum(axis=1)
        return np.where(np.isfinite(found), found, -np.inf)

    def last(self, true: Array, spread: Array) -> tuple[Array, Array]:
        """Mean and SD of the score that a rater records in the last week, before rounding, shape (n,) each."""
        end = true.shape[1] - 1
        across = _covariance(self.weeks, np.array([end]))[:, 0] @ self._vectors
        variances = self._variances(spread)
        turned = (self.values - true[:, self.weeks]) @ self._vectors
        mean = true[:, end] + spread**2 * (turned / variances * across).sum(axis=1)
        kept = spread**2 * _covariance(np.array([end]), np.array([end]))[0, 0]
        fluctuation = kept - spread**4 * (across**2 / variances).sum(axis=1)
        return mean, np.sqrt(np.maximum(fluctuation, 0.0) + self.scale.rater_sd**2)

    def recorded(self, true: Array, spread: Array, *, seed: int, observed: Array | None = None) -> Array:
        """Scores that raters record at each week after the scores seen, shape (n, n_weeks).

        Drawn as without them and then moved by what they tell (Matheron's rule, doi 10.1198/106186008X320856), so that
        the same seed gives the same chance before and after.

        Parameters
        ----------
        observed : array, shape (n, n_weeks), optional
            True courses under the treatment that the scores seen were recorded under, where ``true`` is another's: a
            person's fluctuation is the same under every treatment.
        """
        n, n_weeks = true.shape
        times = np.arange(n_weeks, dtype=np.float64) * HOURS_PER_WEEK
        index = np.arange(n)
        path = fluctuations(seed, index, times)
        error = noise_table(seed, f"visit:{self.scale.id}", index, n_weeks)
        if len(self.weeks):
            base = true if observed is None else observed
            drawn = spread[:, None] * path[:, self.weeks] + np.sqrt(self.variance) * error[:, self.weeks]
            turned = (self.values - base[:, self.weeks] - drawn) @ self._vectors / self._variances(spread)
            path = path + spread[:, None] * (turned @ self._vectors.T) @ _covariance(self.weeks, np.arange(n_weeks))
        scores = record_scale(true + spread[:, None] * path, self.scale, error)
        if observed is None and len(self.weeks):
            scores[:, self.weeks] = self.values
        return scores

    def _variances(self, spread: Array) -> Array:
        return np.asarray(spread[:, None] ** 2 * np.maximum(self._eigenvalues, 0.0) + self.variance)


def _covariance(first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Covariance of the unit fluctuation at two sets of weeks; it starts at 0 in week 0."""
    a, b = first[:, None] * HOURS_PER_WEEK / FLUCTUATION_H, second[None, :] * HOURS_PER_WEEK / FLUCTUATION_H
    return np.asarray(np.exp(-np.abs(a - b)) - np.exp(-(a + b)), dtype=np.float64)


def spread_of(patients: Patients, scale: Scale) -> Array:
    """SD of the fluctuation of each virtual patient, shape (n,) [points]."""
    return patients.covariates.get(FLUCTUATION, np.zeros(len(patients))) * scale.span


def effective_sample(log_weight: Array) -> float:
    """How many equal weights are as good; 0 where all are zero.

    Examples
    --------
    >>> round(effective_sample(np.log([0.5, 0.5, 0.0 + 1e-300])), 3)
    2.0
    """
    top = float(log_weight.max()) if len(log_weight) else -np.inf
    if not np.isfinite(top):
        return 0.0
    weight = np.exp(log_weight - top)
    return float(weight.sum() ** 2 / (weight**2).sum())


def resample(log_weight: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Systematic resampling: ``n`` positions, each about as often as its weight says."""
    weight = np.exp(log_weight - log_weight.max())
    edges = np.cumsum(weight / weight.sum())
    found = np.searchsorted(edges, (rng.random() + np.arange(n)) / n)
    return np.minimum(found, len(weight) - 1)


def update(
    posterior: Posterior,
    scores: Scores,
    regimen: Regimen,
    knowledge: Knowledge,
    engine: Engine,
    *,
    draws: int,
    weeks: int,
) -> tuple[Posterior, EarlyUpdate]:
    """Weigh virtual patients by the scores seen under a regimen, and draw from them.

    Parameters
    ----------
    posterior : Posterior
        Candidates, more than ``draws``.
    scores : Scores
        At least one seen.
    regimen : Regimen
        What the patient has been on from week 0.

    Returns
    -------
    Posterior
        ``draws`` virtual patients of equal weight, some of them several times.
    EarlyUpdate
        What changed.

    Raises
    ------
    TwinError
        If too few virtual patients explain the scores.
    """
    courses = simulate_regimens(posterior, (regimen,), knowledge, engine, weeks=weeks)
    rows = np.flatnonzero(courses.complete)
    before = _part(posterior, rows)
    true, spread = courses.scale[regimen.id][rows], spread_of(before.patients, before.scale)
    weight = scores.log_likelihood(true, spread)
    sample = effective_sample(weight)
    prior = Scores(before.scale, {})
    expected = prior.recorded(true, spread, seed=before.patients.seed)
    seen = []
    for week, value in scores.seen.items():
        sd = np.sqrt(spread**2 * _covariance(np.array([week]), np.array([week]))[0, 0] + scores.variance)
        below = float(ndtr((value - true[:, week]) / sd).mean())
        seen.append(SeenScore(float(week), value, interval(expected[:, week]), 2 * min(below, 1 - below)))
    if sample < FEWEST:
        oddest = min(seen, key=lambda s: s.tail_probability)
        raise TwinError(
            f"the early scores leave an effective sample of {sample:.1f} of {len(rows)} virtual patients, fewer than "
            f"{FEWEST:.0f}: too few to forecast from. The most unusual is that of week {oddest.week:g}: "
            f"{oddest.score:g}, expected {oddest.expected.mean:.0f} ({oddest.expected.lo90:.0f} to "
            f"{oddest.expected.hi90:.0f}) under {regimen.name}. Check scores, weeks and --on, or ask for more --draws"
        )
    keep = resample(weight, draws, np.random.default_rng([before.patients.seed, 23]))
    after = _part(before, keep)
    told = EarlyUpdate(
        regimen.id,
        tuple(seen),
        len(rows),
        sample,
        _outlook(before, true, prior, expected),
        _outlook(after, true[keep], scores, scores.recorded(true[keep], spread[keep], seed=before.patients.seed)),
    )
    return after, told


def recorded_courses(posterior: Posterior, courses: Courses, scores: Scores, regimen: str) -> dict[str, Recorded]:
    """What raters would record under every regimen, given the scores seen under one of them."""
    rows = courses.complete
    spread = spread_of(posterior.patients, posterior.scale)[rows]
    observed = courses.scale[regimen][rows]
    found = {}
    for name, everyone in courses.scale.items():
        true = everyone[rows]
        own = scores.recorded(
            true, spread, seed=posterior.patients.seed, observed=None if name == regimen else observed
        )
        # the fluctuation is that of the person; what it adds was learned under the regimen of the scores
        mean, sd = scores.last(observed, spread)
        found[name] = Recorded(own, mean + true[:, -1] - observed[:, -1], sd)
    return found


def _part(posterior: Posterior, rows: NDArray[np.intp]) -> Posterior:
    return replace(posterior, patients=posterior.patients.take(rows), recorded=posterior.recorded[rows])


def _outlook(posterior: Posterior, true: Array, scores: Scores, recorded: Array) -> Outlook:
    scale, world = posterior.scale, posterior.patients.world
    mean, sd = scores.last(true, spread_of(posterior.patients, scale))
    week = float(true.shape[1] - 1)
    change = interval(recorded[:, -1] - posterior.recorded)

    def probability(at_most: Array) -> Probability:
        found = knowledge_interval(chance_of_at_most(mean, sd, scale, at_most), world)
        return Probability(week, found.mean, found.lo90, found.hi90)

    return Outlook(
        Change(scale.id, week, change.mean, change.lo90, change.hi90),
        probability(np.floor(posterior.recorded * (1 - scale.response_fraction))),
        probability(np.full(len(true), scale.remission_max)),
    )


def update_note(told: EarlyUpdate, name: str) -> str:
    """What the early scores changed, in words."""
    seen = "; ".join(
        f"week {s.week:g}: {s.score:g}, expected {s.expected.mean:.0f} ({s.expected.lo90:.0f} to {s.expected.hi90:.0f})"
        for s in told.seen
    )
    old, new = told.before, told.after
    return (
        f"Updated with early scores under {name} ({seen}). Expected change at week {old.change.week:g}: "
        f"{old.change.mean:+.1f} ({old.change.lo90:+.0f} to {old.change.hi90:+.0f}) before, {new.change.mean:+.1f} "
        f"({new.change.lo90:+.0f} to {new.change.hi90:+.0f}) after; response {old.response.mean:.0%} before, "
        f"{new.response.mean:.0%} after. Effective sample {told.effective_sample:.0f} of {told.candidates} virtual "
        f"patients. Other regimens are shown as if given from week 0 on instead; a switch is not forecast."
    )
