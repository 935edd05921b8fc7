"""Weighted means and intervals of the twin's draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from crosstalk.twin.records import Interval

__all__ = ["interval", "knowledge_interval", "log_fold_interval"]

Array = NDArray[np.float64]


def interval(values: Array) -> Interval:
    """Mean and 5th to 95th percentile of draws of equal weight; draws that are not finite are left out."""
    kept = values[np.isfinite(values)]
    if not len(kept):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(kept, [0.05, 0.95])
    return Interval(float(kept.mean()), float(low), float(high))


def log_fold_interval(values: Array) -> Interval:
    """Like `interval`, the mean taken on the log scale (geometric mean), for folds and concentrations."""
    kept = values[np.isfinite(values) & (values > 0)]
    if not len(kept):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(kept, [0.05, 0.95])
    return Interval(float(np.exp(np.log(kept).mean())), float(low), float(high))


def knowledge_interval(probability: Array, world: NDArray[np.intp]) -> Interval:
    """Mean probability with its 90 % interval over what is not known.

    Parameters
    ----------
    probability : array, shape (n,)
        Probability of the outcome for each virtual patient.
    world : array of int, shape (n,)
        Which draw of the uncertain parameters the patient lives in.

    Notes
    -----
    Virtual patients differ within a world too, so the spread of the worlds' means overstates what knowledge adds. The
    variance between worlds is taken net of it (analysis of variance, method of moments), and the interval is that of
    the beta distribution with this mean and variance.
    """
    kept = np.isfinite(probability)
    p, w = probability[kept], world[kept]
    if not len(p):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(p.mean())
    groups = [p[w == g] for g in np.unique(w)]
    k, n = len(groups), len(p)
    if k < 2 or n <= k:
        return Interval(mean, mean, mean)
    within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / (n - k)
    between = sum(len(g) * float((g.mean() - mean) ** 2) for g in groups) / (k - 1)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    # the mean itself has an error from the finite number of draws
    variance = max(0.0, (between - within) / size) + between / n
    limit = mean * (1 - mean)
    if variance <= 1e-12 or limit <= 1e-9:
        return Interval(mean, mean, mean)
    concentration = max(limit / min(variance, 0.95 * limit) - 1, 1e-3)
    low, high = betaincinv(mean * concentration, (1 - mean) * concentration, np.array([0.05, 0.95]))
    return Interval(mean, float(low), float(high))
