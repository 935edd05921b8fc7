"""Weighted samples: quantiles, and how many equal weights they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["effective_number", "effective_sample", "quantiles", "step_quantiles"]

Array = NDArray[np.float64]
PART = 256  # weights summed at once on the way to a quantile


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


def effective_number(weight: Array) -> Array:
    """Kish's number over the last axis: how many equal weights are as good; not a number where all are zero.

    References
    ----------
    Kish 1965, Survey Sampling, ISBN 978-0471109495.

    Examples
    --------
    >>> effective_number(np.array([[0.5, 0.5, 0.0], [1.0, 1.0, 1.0]]))
    array([2., 3.])
    """
    squares = np.einsum("...i,...i->...", weight, weight)
    return np.asarray(weight.sum(axis=-1) ** 2 / np.where(squares > 0, squares, np.nan))


def effective_sample(log_weight: Array) -> float:
    """`effective_number` of weights given by their logarithms, shape (n,); 0 where all are zero.

    Examples
    --------
    >>> round(effective_sample(np.log([0.5, 0.5, 0.0 + 1e-300])), 3)
    2.0
    """
    top = float(log_weight.max()) if len(log_weight) else -np.inf
    if not np.isfinite(top):
        return 0.0
    return float(effective_number(np.exp(log_weight - top)))


def step_quantiles(weight: NDArray[np.floating[Any]], values: Array, shares: Sequence[float]) -> Array:
    """Smallest value at which the weights reach each share, shape (n, n_shares).

    Parameters
    ----------
    weight : array, shape (n, m)
        Each row sums to 1; columns in the order of ``values``.
    values : array, shape (m,)
        Ascending.

    Examples
    --------
    >>> step_quantiles(np.array([[0.5, 0.3, 0.2]]), np.array([1.0, 2.0, 3.0]), (0.5, 0.75))
    array([[1., 2.]])
    """
    n, m = weight.shape
    rounding = 4 * float(np.finfo(weight.dtype).eps)
    starts = np.arange(0, m, PART)
    reached = np.cumsum(np.add.reduceat(weight, starts, axis=1), axis=1)
    rows = np.arange(n)
    found = np.empty((n, len(shares)))
    for k, share in enumerate(shares):
        wanted = share - rounding
        part = np.minimum((reached < wanted).sum(axis=1), len(starts) - 1)
        before = np.where(part > 0, reached[rows, np.maximum(part - 1, 0)], 0.0)
        inside = np.minimum(starts[part][:, None] + np.arange(PART), m - 1)
        total = before[:, None] + np.cumsum(weight[rows[:, None], inside], axis=1)
        found[:, k] = values[np.minimum(inside[rows, (total < wanted).sum(axis=1).clip(max=PART - 1)], m - 1)]
    return found
