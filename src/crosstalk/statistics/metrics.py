"""How good predictions are: discrimination, error, sharpness, each with a 95 % interval where it has one.

The AUC has DeLong's interval on the logit scale; means over people (Brier, logarithmic score, errors) have those of a
mean. All take predictions for people that the model has not seen; pooled cross-validated predictions are averaged over
repeats person by person, so that a person counts once.

References
----------
DeLong et al. 1988, doi 10.2307/2531595, by the algorithm of Sun and Xu 2014, doi 10.1109/LSP.2014.2337313. Scores:
Gneiting and Raftery 2007, doi 10.1198/016214506000001437. Which measures to show: Van Calster et al. 2019, doi
10.1186/s12916-019-1466-7.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from crosstalk.errors import LearnError
from crosstalk.statistics.estimates import Z95

__all__ = [
    "Measure",
    "auc",
    "brier",
    "check_binary",
    "discrimination_scores",
    "line",
    "log_score",
    "mean_estimate",
    "pooled_auc",
    "r_squared",
    "scaled_brier",
    "sharpness",
]

Array = NDArray[np.float64]
SMALLEST = 1e-6  # probabilities are kept this far from 0 and 1 (assumed); a single sure error must not be infinite


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its standard error and 95 % interval; NaN where there is none.

    Attributes
    ----------
    value, se, low, high : float
    n : int
        People behind it.
    """

    value: float
    se: float
    low: float
    high: float
    n: int


def check_binary(y: ArrayLike, p: ArrayLike) -> tuple[Array, Array]:
    """Outcomes as 0 and 1, and probabilities within ``[1e-6, 1 - 1e-6]``.

    Raises
    ------
    LearnError
        If lengths differ, an outcome is neither 0 nor 1, a probability lies outside 0 to 1, or one class is absent.
    """
    target, chance = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    if target.shape != chance.shape or target.ndim != 1:
        raise LearnError(f"received outcomes {target.shape} and probabilities {chance.shape}; expected one of each")
    if not np.isin(target, (0.0, 1.0)).all():
        raise LearnError("an outcome is neither 0 nor 1; code the event as 1")
    if not (np.isfinite(chance).all() and (chance >= 0).all() and (chance <= 1).all()):
        raise LearnError("a probability lies outside 0 to 1 or is missing")
    if len(np.unique(target)) < 2:
        raise LearnError(f"all {len(target)} outcomes are {int(target[0]) if len(target) else 'absent'}; need both")
    return target, np.clip(chance, SMALLEST, 1 - SMALLEST)


def mean_estimate(values: ArrayLike) -> Measure:
    """Mean of one value per person."""
    x = np.asarray(values, dtype=float)
    se = float(x.std(ddof=1) / sqrt(len(x))) if len(x) > 1 else nan
    value = float(x.mean())
    return Measure(value, se, value - Z95 * se, value + Z95 * se, len(x))


def discrimination_scores(y: ArrayLike, p: ArrayLike) -> tuple[float, Array, Array]:
    """AUC and DeLong's components: of each event the share of non-events below it, of each non-event the events above.

    Returns
    -------
    float
    array, shape (n_events,)
    array, shape (n_nonevents,)
    """
    from scipy.stats import rankdata

    target, score = np.asarray(y, dtype=float) > 0.5, np.asarray(p, dtype=float)
    events, rest = score[target], score[~target]
    m, n = len(events), len(rest)
    ranks = rankdata(np.concatenate([events, rest]))
    of_events = (ranks[:m] - rankdata(events)) / n
    of_rest = 1 - (ranks[m:] - rankdata(rest)) / m
    return float(of_events.mean()), of_events, of_rest


def auc(y: ArrayLike, p: ArrayLike) -> Measure:
    """Area under the ROC curve with DeLong's standard error; the interval is made on the logit scale.

    Examples
    --------
    >>> found = auc([0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.5, 0.4, 0.7, 0.9])
    >>> round(found.value, 4), round(found.se, 4)
    (0.8889, 0.1571)
    """
    target, chance = check_binary(y, p)
    value, of_events, of_rest = discrimination_scores(target, chance)
    if min(len(of_events), len(of_rest)) < 2:
        return Measure(value, nan, nan, nan, len(target))
    se = sqrt(of_events.var(ddof=1) / len(of_events) + of_rest.var(ddof=1) / len(of_rest))
    return _logit_interval(value, se, len(target))


def _logit_interval(value: float, se: float, n: int) -> Measure:
    if not 0 < value < 1:
        return Measure(value, se, nan, nan, n)
    half = Z95 * se / (value * (1 - value))
    return Measure(value, se, float(expit(logit(value) - half)), float(expit(logit(value) + half)), n)


def pooled_auc(y: ArrayLike, p: ArrayLike, fold: ArrayLike) -> Measure:
    """AUC of cross-validated probabilities: people are compared within their fold, repeats are averaged.

    Folds have models, and so scales, of their own; comparing people across them would punish a model for that. The
    standard error is DeLong's, from each person's component averaged over repeats (the folds' dependence is left out).

    Parameters
    ----------
    y : array, shape (n,)
    p, fold : array, shape (repeats, n)
    """
    target = np.asarray(y, dtype=float) > 0.5
    chance, part = np.atleast_2d(np.asarray(p, dtype=float)), np.atleast_2d(np.asarray(fold))
    components, seen = np.zeros(len(target)), np.zeros(len(target))
    for values, labels in zip(chance, part, strict=True):
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            own = target[rows]
            if own.all() or not own.any():
                continue
            _, of_events, of_rest = discrimination_scores(own, values[rows])
            components[rows[own]] += of_events
            components[rows[~own]] += of_rest
            seen[rows] += 1
    used = seen > 0
    mean = components[used] / seen[used]
    of_events, of_rest = mean[target[used]], mean[~target[used]]
    if min(len(of_events), len(of_rest)) < 2:
        return _none(np.asarray(y, dtype=float))
    value = float(of_events.mean() + of_rest.mean()) / 2
    se = sqrt(of_events.var(ddof=1) / len(of_events) + of_rest.var(ddof=1) / len(of_rest))
    return _logit_interval(value, se, int(used.sum()))


def brier(y: ArrayLike, p: ArrayLike) -> Measure:
    """Mean squared error of probabilities; lower is better."""
    target, chance = check_binary(y, p)
    return mean_estimate((chance - target) ** 2)


def log_score(y: ArrayLike, p: ArrayLike) -> Measure:
    """Mean logarithmic loss [nat]; lower is better, ``log(2)`` is a coin."""
    target, chance = check_binary(y, p)
    return mean_estimate(-np.where(target > 0.5, np.log(chance), np.log1p(-chance)))


def scaled_brier(y: ArrayLike, p: ArrayLike) -> float:
    """Share by which the Brier score falls below that of the prevalence; 0 or less is of no use."""
    target, chance = check_binary(y, p)
    return float(1 - np.mean((chance - target) ** 2) / np.mean((target.mean() - target) ** 2))


def sharpness(p: ArrayLike) -> float:
    """Standard deviation of the predictions: how far they leave the mean. Says nothing of whether they are right."""
    return float(np.std(np.asarray(p, dtype=float)))


def r_squared(y: ArrayLike, predicted: ArrayLike, reference: ArrayLike) -> Measure:
    """Out-of-sample R2: one less the squared error over that of a reference prediction, by the delta method.

    Parameters
    ----------
    reference : array, shape (n,)
        Mean of each person's training set, not of all: the mean of the test set would be knowledge of the outcome.
    """
    target = np.asarray(y, dtype=float)
    error = (target - np.asarray(predicted, dtype=float)) ** 2
    whole = (target - np.asarray(reference, dtype=float)) ** 2
    ratio = float(error.mean() / whole.mean())
    se = float(np.std((error - ratio * whole) / whole.mean(), ddof=1) / sqrt(len(target)))
    value = 1 - ratio
    return Measure(value, se, value - Z95 * se, value + Z95 * se, len(target)) if isfinite(value) else _none(target)


def line(y: ArrayLike, predicted: ArrayLike) -> tuple[Measure, Measure]:
    """Intercept and slope of observed on predicted scores, by least squares; 0 and 1 are ideal."""
    target, x = np.asarray(y, dtype=float), np.asarray(predicted, dtype=float)
    if np.ptp(x) < 1e-9 * max(1.0, float(np.abs(x).max())):
        return _none(target), _none(target)
    design = np.column_stack([np.ones(len(x)), x])
    beta, *_ = np.linalg.lstsq(design, target, rcond=None)
    spread = float(np.sum((target - design @ beta) ** 2)) / (len(x) - 2)
    errors = np.sqrt(spread * np.diag(np.linalg.inv(design.T @ design)))
    rows = [Measure(float(b), float(s), float(b - Z95 * s), float(b + Z95 * s), len(x))
            for b, s in zip(beta, errors, strict=True)]  # fmt: skip
    return rows[0], rows[1]


def _none(target: Array) -> Measure:
    return Measure(nan, nan, nan, nan, len(target))
