"""Weighted means and intervals over virtual patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosstalk.statistics.weighted import quantiles
from crosstalk.twin.records import Interval

__all__ = ["interval", "log_fold_interval"]

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
