"""Weighted means and intervals over virtual patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosstalk.twin.records import Interval

__all__ = ["effective_sample", "interval", "log_fold_interval", "quantiles"]

Array = NDArray[np.float64]


def interval(values: Array, weight: Array | None = None) -> Interval:
    """Mean and 5th to 95th percentile; values that are not finite are left out.

    Parameters
    ----------
    values : array, shape (n,)
    weight : array, shape (n,), optional
        Equal by default.
    """
    return _interval(values, weight, np.isfinite(values), log=False)


def log_fold_interval(values: Array, weight: Array | None = None) -> Interval:
    """Like `interval`, the mean taken on the log scale (geometric mean), for folds and concentrations."""
    return _interval(values, weight, np.isfinite(values) & (values > 0), log=True)


def _interval(values: Array, weight: Array | None, kept: NDArray[np.bool_], *, log: bool) -> Interval:
    if not kept.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    some = values[kept]
    share = np.full(len(some), 1 / len(some)) if weight is None else weight[kept] / weight[kept].sum()
    mean = float(np.exp(share @ np.log(some))) if log else float(share @ some)
    mean = float(np.clip(mean, some.min(), some.max()))  # of equal values without an error of rounding
    low, high = quantiles(some[:, None], share)[:, 0]
    return Interval(mean, float(low), float(high))


def quantiles(values: Array, weight: Array, shares: tuple[float, ...] = (0.05, 0.95)) -> Array:
    """Weighted quantiles of each column, shape (n_shares, m); of equal weights those that numpy gives.

    Parameters
    ----------
    values : array, shape (n, m)
    weight : array, shape (n,)
        Not negative; they sum to 1.
    """
    order = np.argsort(values, axis=0, kind="stable")
    found = np.empty((len(shares), values.shape[1]))
    for j in range(values.shape[1]):
        own = weight[order[:, j]]
        # the first value lies at 0 and the last at 1
        place = np.cumsum(own) - (own + own[0]) / 2
        if place[-1] > 0:
            place = place / place[-1]
        found[:, j] = np.interp(shares, place, values[order[:, j], j])
    return found


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
