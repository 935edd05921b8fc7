"""The twin after the first weeks of treatment: early scores weigh the virtual patients and pin their fluctuation.

Scores of one person are the true course, a fluctuation that visits share (an Ornstein-Uhlenbeck process that starts at
0, see `crosstalk.population.measure.wandering`) and the rater's error. Given the true course they are jointly normal,
so that the likelihood of the scores seen, and the distribution of all later ones given them, are exact but for two
things: the bounds of the scale have no part in the likelihood, and rounding enters it as the variance of its error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.errors import TwinError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen, Scale
from crosstalk.population.measure import FLUCTUATION_H, noise_table
from crosstalk.statistics.weighted import effective_sample, quantiles
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.twin.estimate import Estimator, probability_interval
from crosstalk.twin.library import Twins
from crosstalk.twin.records import Change, EarlyUpdate, Outlook, Probability, SeenScore
from crosstalk.twin.summary import interval

__all__ = [
    "FEWEST",
    "EarlyScore",
    "LastScore",
    "Recorded",
    "Scores",
    "chance_of_at_most",
    "early_scores",
    "last_score",
    "outlook",
    "record",
    "recorded_mean",
    "update",
    "update_note",
]

Array = NDArray[np.float64]

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

    def expected(self, true: Array, spread: Array, *, observed: Array | None = None) -> tuple[Array, Array]:
        """Mean and SD of the score that a rater records at each week, before rounding, shape (n, n_weeks) each.

        Parameters
        ----------
        observed : array, shape (n, n_weeks), optional
            True courses under the treatment that the scores seen were recorded under, where ``true`` is another's: a
            person's fluctuation is the same under every treatment.
        """
        weeks = np.arange(true.shape[1])
        base = true if observed is None else observed
        across = self._vectors.T @ _covariance(self.weeks, weeks)
        variances = self._variances(spread)
        turned = (self.values - base[:, self.weeks]) @ self._vectors
        square = spread[:, None] ** 2
        mean = true + square * ((turned / variances) @ across)
        own = 1 - np.exp(-2 * weeks * HOURS_PER_WEEK / FLUCTUATION_H)
        fluctuation = square * own - square**2 * ((1 / variances) @ across**2)
        sd = np.sqrt(np.maximum(fluctuation, 0.0) + self.scale.rater_sd**2)
        if observed is None and len(self.weeks):
            mean[:, self.weeks], sd[:, self.weeks] = self.values, 0.0
        return mean, sd

    def _variances(self, spread: Array) -> Array:
        return np.asarray(spread[:, None] ** 2 * np.maximum(self._eigenvalues, 0.0) + self.variance)


def _covariance(first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
    """Covariance of the unit fluctuation at two sets of weeks; it starts at 0 in week 0."""
    a, b = first[:, None] * HOURS_PER_WEEK / FLUCTUATION_H, second[None, :] * HOURS_PER_WEEK / FLUCTUATION_H
    return np.asarray(np.exp(-np.abs(a - b)) - np.exp(-(a + b)), dtype=np.float64)


def update(twins: Twins, scores: Scores, regimen: Regimen, *, who: str = "") -> tuple[Array, EarlyUpdate]:
    """Weigh virtual patients by the scores seen under a regimen.

    Parameters
    ----------
    twins : Twins
    scores : Scores
        At least one seen.
    regimen : Regimen
        What the patient has been on from week 0.
    who : str
        Begins a message.

    Returns
    -------
    array, shape (n,)
        Log likelihood of the scores.
    EarlyUpdate
        What changed.

    Raises
    ------
    TwinError
        If too few virtual patients explain the scores.
    """
    true, spread, scale = twins.course(regimen.id), twins.spread, twins.scale
    fit = scores.log_likelihood(true, spread)
    sample = effective_sample(twins.log_weight + fit)
    prior, estimator = Scores(scale, {}), twins.estimator()
    before = record(twins, prior, true)
    seen = []
    for week, value in scores.seen.items():
        wide = np.sqrt(before.sd[:, week] ** 2 + (ROUNDING if scale.integer else 0.0))
        below = float(estimator.calibrated @ ndtr((value - true[:, week]) / wide))
        expected = interval(before.drawn[:, week], estimator.calibrated)
        seen.append(SeenScore(float(week), value, expected, 2 * min(below, 1 - below)))
    if sample < FEWEST:
        oddest = min(seen, key=lambda s: s.tail_probability)
        raise TwinError(
            f"{who}the early scores leave an effective sample of {sample:.1f} virtual patients, fewer than "
            f"{FEWEST:.0f}: too few to forecast from. The most unusual is that of week {oddest.week:g}: "
            f"{oddest.score:g}, expected {oddest.expected.mean:.0f} ({oddest.expected.lo90:.0f} to "
            f"{oddest.expected.hi90:.0f}) under {regimen.name}. Check scores, weeks and --on, or ask for more "
            "--virtual-patients"
        )
    told = EarlyUpdate(
        regimen.id,
        tuple(seen),
        estimator.sample,
        sample,
        outlook(twins, before, estimator),
        outlook(twins, record(twins, scores, true), twins.estimator(fit)),
    )
    return fit, told


@dataclass(frozen=True)
class Recorded:
    """What raters record under one regimen.

    Attributes
    ----------
    mean, sd : array, shape (n, n_weeks) [points]
        Of the score before it is rounded.
    drawn : array, shape (n, n_weeks) [points]
        A score that might be recorded; the same chance under every regimen.
    """

    mean: Array
    sd: Array
    drawn: Array


def record(twins: Twins, scores: Scores, true: Array, *, observed: Array | None = None) -> Recorded:
    """What raters record of true courses, given the scores seen; see `Scores.expected`."""
    mean, sd = scores.expected(true, twins.spread, observed=observed)
    chance = noise_table(twins.patients.seed, f"visit:{twins.scale.id}", np.arange(len(twins)), mean.shape[1])
    drawn = mean + sd * chance
    if twins.scale.integer:
        drawn = np.where(sd > 0, np.round(drawn), drawn)
    drawn = np.clip(drawn, 0.0, twins.scale.maximum)
    mean[:, 0], sd[:, 0], drawn[:, 0] = twins.recorded, 0.0, twins.recorded
    return Recorded(mean, sd, drawn)


def outlook(twins: Twins, recorded: Recorded, estimator: Estimator) -> Outlook:
    """End of a course as a rater would record it."""
    scale, week = twins.scale, float(recorded.mean.shape[1] - 1)
    mean, sd = recorded.mean[:, -1], recorded.sd[:, -1]
    (change,), (error,) = estimator.mean((recorded_mean(mean, sd, scale) - twins.recorded)[:, None])
    ends = quantiles((recorded.drawn[:, -1] - twins.recorded)[:, None], estimator.calibrated)[:, 0]

    def probability(at_most: Array) -> Probability:
        found = estimator.between(chance_of_at_most(mean, sd, scale, at_most))
        own = probability_interval(found.mean, found.sd)
        return Probability(week, own.mean, own.lo90, own.hi90, found.error, found.width_error)

    return Outlook(
        Change(scale.id, week, float(change), float(ends[0]), float(ends[1]), float(error)),
        probability(np.floor(twins.recorded * (1 - scale.response_fraction))),
        probability(np.full(len(twins), scale.remission_max)),
    )


@dataclass(frozen=True, slots=True)
class LastScore:
    """The last score of a course as a rater would record it [points], with the probability of response.

    ``low`` and ``high`` are the 90 % interval before rounding, ``change`` is from the recorded baseline, ``sample`` is
    the effective sample.
    """

    mean: float
    sd: float
    change: float
    response: float
    low: float
    high: float
    sample: float


def last_score(twins: Twins, regimen: str, scores: Scores, *, on: str | None = None) -> LastScore:
    """Forecast the last score under one regimen.

    Parameters
    ----------
    scores : Scores
        Those seen; may hold none.
    on : str, optional
        Regimen that they were recorded under; ``regimen`` by default.
    """
    scale, true = twins.scale, twins.course(regimen)
    observed = None if on in (None, regimen) else twins.course(on or regimen)
    fit = scores.log_likelihood(true if observed is None else observed, twins.spread) if scores.seen else None
    estimator = twins.estimator(fit)
    recorded, weight = record(twins, scores, true, observed=observed), estimator.calibrated
    mean, sd = recorded.mean[:, -1], recorded.sd[:, -1]
    expected = recorded_mean(mean, sd, scale)
    center = float(weight @ expected)
    half = np.floor(twins.recorded * (1 - scale.response_fraction))
    chance = noise_table(twins.patients.seed, "last score", np.arange(len(twins)), 1)[:, 0]
    low, high = quantiles(np.clip(mean + sd * chance, 0.0, scale.maximum)[:, None], weight)[:, 0]
    return LastScore(
        center,
        float(np.sqrt(weight @ (sd**2 + (mean - weight @ mean) ** 2))),
        float(weight @ (expected - twins.recorded)),
        float(weight @ chance_of_at_most(mean, sd, scale, half)),
        float(low),
        float(high),
        estimator.sample,
    )


def recorded_mean(mean: Array, sd: Array, scale: Scale) -> Array:
    """Mean of a normal score that the scale cuts at its ends, shape of ``mean``."""
    safe = np.maximum(sd, 1e-9)
    low, high = -mean / safe, (scale.maximum - mean) / safe
    inside = mean * (ndtr(high) - ndtr(low)) + safe * (_density(low) - _density(high))
    return np.asarray(inside + scale.maximum * ndtr(-high))


def _density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def chance_of_at_most(mean: Array, sd: Array, scale: Scale, at_most: Array) -> Array:
    """Probability that a rater records a score of at most a limit, per virtual patient."""
    half = 0.5 if scale.integer else 0.0
    return np.asarray(ndtr((at_most + half - mean) / np.maximum(sd, 1e-9)), dtype=np.float64)


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
        f"{new.response.mean:.0%} after. Effective sample {told.effective_sample:.0f} virtual patients, "
        f"{told.candidates:.0f} before. Other regimens are shown as if given from week 0 on instead; a "
        "switch is not forecast."
    )
