"""Weighted samples: quantiles, and how many equal weights they are worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["effective_sample", "quantiles"]

Array = NDArray[np.float64]


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
