"""How a baseline marker changes what a treatment does: regressions over the patients of simulated arms.

A marker is used in the steps in which it was published: per unit, per standard deviation, on a logarithm, or one
stratum against another.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from crosstalk.study.records import Marker
from crosstalk.study.statistics import UNKNOWN, Statistic

__all__ = ["cox_slope", "difference_of_slopes", "linear_slope", "logistic_slope", "marker_steps"]

Array = NDArray[np.float64]

FEWEST = 8  # patients that a regression needs
NEWTON_STEPS = 50
RIDGE = 0.01
"""Inverse variance of a standardized coefficient, so that separated groups keep a finite ratio (assumed; next to no
weight where the groups are mixed)."""


def marker_steps(values: Array, marker: Marker) -> Array:
    """A marker in the steps of a published coefficient, shape (n,); NaN for who is in neither stratum.

    Examples
    --------
    >>> crp = np.array([0.5, 2.0, 4.0])
    >>> marker_steps(crp, Marker("hsCRP", "stratum", "mg/L", min=3.0, max=1.0)).tolist()
    [0.0, nan, 1.0]
    """
    values = np.asarray(values, dtype=np.float64)
    if marker.per == "unit":
        return values / marker.step
    if marker.per == "stratum":
        assert marker.min is not None
        below = marker.min if marker.max is None else marker.max
        return np.where(values >= marker.min, 1.0, np.where(values < below, 0.0, np.nan))
    if marker.per == "sd":
        return values / _sd(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(values)
    logs = np.where(np.isfinite(logs), logs, np.nan)
    return logs / {"ln": 1.0, "log2": log(2), "log10": log(10), "sd-ln": _sd(logs)}[marker.per]


def linear_slope(outcome: Array, steps: Array, covariates: Array) -> Statistic:
    """Coefficient of ordinary least squares of an outcome on the marker, with its standard error.

    Parameters
    ----------
    outcome, steps : array, shape (n,)
    covariates : array, shape (n, p)
        Columns to adjust for; none is needed.
    """
    design, y = _design(outcome, steps, covariates)
    n, k = design.shape
    if n < max(FEWEST, k + 2) or np.linalg.matrix_rank(design) < k:
        return UNKNOWN
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    left = y - design @ beta
    return Statistic(float(beta[1]), sqrt(float(left @ left) / (n - k) * inverse[1, 1]))


def logistic_slope(event: Array, steps: Array, covariates: Array) -> Statistic:
    """Log odds ratio of an event per step of the marker, with its standard error.

    A weak ridge keeps it finite where the marker separates the groups.
    """
    design, y = _design(event, steps, covariates)
    n, k = design.shape
    if n < max(FEWEST, k + 2) or y.min() == y.max() or np.linalg.matrix_rank(design) < k:
        return UNKNOWN
    center, spread = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    x = np.column_stack([np.ones(n), (design[:, 1:] - center) / spread])
    penalty = np.diag([0.0, *[RIDGE] * (k - 1)])
    beta = np.zeros(k)
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        information = (x * (chance * (1 - chance))[:, None]).T @ x + penalty
        step = np.linalg.solve(information, x.T @ (y - chance) - penalty @ beta)
        beta += step
        if np.abs(step).max() < 1e-10:
            break
    error = sqrt(float(np.linalg.inv(information)[1, 1]))
    return Statistic(float(beta[1] / spread[0]), error / float(spread[0]))


def cox_slope(time: Array, event: Array, steps: Array, covariates: Array) -> Statistic:
    """Log hazard ratio per step by Cox's partial likelihood, ties after Breslow [1]_.

    Parameters
    ----------
    time : array, shape (n,)
        Of the event, or of the last visit.
    event : array of 0 and 1, shape (n,)
    steps : array, shape (n,)
        Arm (0 and 1), or marker.
    covariates : array, shape (n, p)

    References
    ----------
    .. [1] Breslow N. Covariance analysis of censored survival data. Biometrics 1974. doi:10.2307/2529620
    """
    design, t = _design(time, steps, covariates)
    known = np.isfinite(np.column_stack([time, steps, covariates])).all(axis=1)
    happened = event[known] > 0
    x = design[:, 1:] - design[:, 1:].mean(axis=0)
    n, k = x.shape
    if n < max(FEWEST, k + 2) or not happened.any() or np.linalg.matrix_rank(design) < k + 1:
        return UNKNOWN
    # patients at risk at each distinct time of an event
    moments = np.unique(t[happened])
    at_risk = (t[None, :] >= moments[:, None]).astype(np.float64)
    count = np.array([(happened & (t == m)).sum() for m in moments], dtype=np.float64)
    cases = x[happened].sum(axis=0)
    beta = np.zeros(k)
    information = np.eye(k)
    for _ in range(NEWTON_STEPS):
        weight = np.exp(np.clip(x @ beta, -30, 30))
        total = at_risk @ weight
        mean = (at_risk * weight) @ x / total[:, None]
        square = np.einsum("mn,ni,nj->mij", at_risk * weight, x, x) / total[:, None, None]
        information = np.einsum("m,mij->ij", count, square - mean[:, :, None] * mean[:, None, :])
        information += np.eye(k) * RIDGE
        step = np.linalg.solve(information, cases - count @ mean - RIDGE * beta)
        beta += step
        if np.abs(step).max() < 1e-10:
            break
    return Statistic(float(beta[0]), sqrt(float(np.linalg.inv(information)[0, 0])))


def difference_of_slopes(first: Statistic, second: Statistic) -> Statistic:
    """Difference of two slopes of different patients."""
    return Statistic(first.value - second.value, sqrt(first.se**2 + second.se**2))


def _design(outcome: Array, steps: Array, covariates: Array) -> tuple[Array, Array]:
    """Columns one, marker, covariates of those of whom everything is known, and their outcome."""
    known = np.isfinite(outcome) & np.isfinite(steps) & np.isfinite(covariates).all(axis=1)
    x = np.column_stack([np.ones(int(known.sum())), steps[known], covariates[known]])
    # a covariate that does not vary tells nothing
    varies = np.ptp(x, axis=0) > 0 if len(x) else np.ones(x.shape[1], dtype=bool)
    varies[:2] = True
    return x[:, varies], np.asarray(outcome[known], dtype=np.float64)


def _sd(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 and finite.std() > 0 else float("nan")
