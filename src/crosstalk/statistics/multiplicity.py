"""Several hypotheses in one trial: adjusted p-values, and closed testing of two nested populations.

A hypothesis is rejected at familywise error alpha where its adjusted p-value is at most alpha.
"""

from __future__ import annotations

from math import asin, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from crosstalk.errors import UsageError

__all__ = ["bonferroni", "closed_nested", "fixed_sequence", "hochberg", "holm"]

Array = NDArray[np.float64]
Intersection = Literal["bonferroni", "simes", "correlation"]


def bonferroni(p: ArrayLike) -> Array:
    """Adjusted p-values of Bonferroni.

    Parameters
    ----------
    p : array, shape (..., m)
        The last axis holds the hypotheses of one trial; leading axes are other trials.

    Examples
    --------
    >>> from crosstalk.statistics import bonferroni
    >>> bonferroni([0.01, 0.04]).tolist()
    [0.02, 0.08]
    """
    values = _checked(p)
    return np.asarray(np.minimum(values * values.shape[-1], 1.0))


def holm(p: ArrayLike) -> Array:
    """Adjusted p-values of Holm 1979 (Scand J Stat 6:65); holds whatever the correlation.

    Parameters
    ----------
    p : array, shape (..., m)
        As for `bonferroni`.

    Examples
    --------
    >>> from crosstalk.statistics import holm
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _checked(p)
    order = np.argsort(values, axis=-1)
    m = values.shape[-1]
    stepped = np.maximum.accumulate(np.take_along_axis(values, order, -1) * np.arange(m, 0, -1), axis=-1)
    return _back(np.minimum(stepped, 1.0), order)


def hochberg(p: ArrayLike) -> Array:
    """Adjusted p-values of Hochberg 1988, doi:10.1093/biomet/75.4.800; needs positively dependent tests.

    Parameters
    ----------
    p : array, shape (..., m)
        As for `bonferroni`.

    Examples
    --------
    >>> from crosstalk.statistics import hochberg
    >>> hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    values = _checked(p)
    order = np.argsort(-values, axis=-1)
    m = values.shape[-1]
    stepped = np.minimum.accumulate(np.take_along_axis(values, order, -1) * np.arange(1, m + 1), axis=-1)
    return _back(np.minimum(stepped, 1.0), order)


def fixed_sequence(p: ArrayLike) -> Array:
    """Adjusted p-values of hypotheses tested one after the other, until the first that is not rejected.

    Parameters
    ----------
    p : array, shape (..., m)
        In the order of the plan.

    References
    ----------
    Maurer, Hothorn & Lehmacher 1995, Biometrie in der chemisch-pharmazeutischen Industrie 6:3.

    Examples
    --------
    >>> from crosstalk.statistics import fixed_sequence
    >>> fixed_sequence([0.01, 0.20, 0.03]).tolist()
    [0.01, 0.2, 0.2]
    """
    return np.maximum.accumulate(_checked(p), axis=-1)


def closed_nested(
    everybody: ArrayLike,
    positive: ArrayLike,
    *,
    intersection: Intersection = "correlation",
    fraction: float | None = None,
    weight: float = 0.5,
) -> tuple[Array, Array]:
    """Adjusted one-sided p-values for all comers and for the marker-positive among them.

    Either hypothesis is rejected if its own test and that of the intersection reject.

    Parameters
    ----------
    everybody, positive : array of the same shape
        One-sided p-values of the two populations; of many trials if arrays.
    intersection : str
        "bonferroni" (weighted), "simes" (unweighted), or "correlation": the weighted minimum of the p-values,
        whose distribution is exact for normal statistics, since nesting fixes their correlation at
        sqrt(`fraction`).
    fraction : float, optional
        Information of the marker-positive as a fraction of all, as a rule that of patients; for "correlation".
    weight : float
        Share of alpha for all comers, between 0 and 1.

    Returns
    -------
    everybody, positive : array
        Adjusted p-values.

    References
    ----------
    Marcus, Peritz & Gabriel 1976, doi:10.1093/biomet/63.3.655; Spiessens & Debois 2010,
    doi:10.1016/j.cct.2010.08.011.

    Examples
    --------
    >>> from crosstalk.statistics import closed_nested
    >>> everybody, positive = closed_nested(0.030, 0.008, fraction=0.4)
    >>> round(float(everybody), 4), round(float(positive), 4)
    (0.03, 0.0144)
    """
    all_p, part_p = np.broadcast_arrays(_checked(everybody), _checked(positive))
    if not 0 < weight < 1:
        raise UsageError(f"received weight {weight}; expected a share of alpha between 0 and 1")
    smallest = np.minimum(all_p / weight, part_p / (1 - weight))
    if intersection == "bonferroni":
        both = np.minimum(smallest, 1.0)
    elif intersection == "simes":
        if weight != 0.5:
            raise UsageError("Simes' test is unweighted; leave weight at 0.5 or take another intersection")
        both = np.minimum(2 * np.minimum(all_p, part_p), np.maximum(all_p, part_p))
    elif intersection == "correlation":
        if fraction is None or not 0 < fraction <= 1:
            raise UsageError(f"received fraction {fraction}; 'correlation' needs one above 0 and up to 1")
        upper = [-ndtri(np.minimum(smallest * share, 1.0)) for share in (weight, 1 - weight)]
        both = 1 - _both_below(upper[0], upper[1], sqrt(fraction))
    else:
        raise UsageError(f"intersection '{intersection}' is unknown; expected 'bonferroni', 'simes' or 'correlation'")
    return np.maximum(all_p, both), np.maximum(part_p, both)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def _both_below(h: Array, k: Array, correlation: float) -> Array:
    """Bivariate normal distribution by Plackett's integral over the correlation's angle (Biometrika 41:351, 1954)."""
    if correlation == 1:
        return np.asarray(ndtr(np.minimum(h, k)))
    edge = asin(correlation)
    angles = (_NODES + 1) * edge / 2
    # beyond this the distribution is 0 or 1 in double precision, and infinity would spoil the exponent
    h, k = (np.clip(np.asarray(v, dtype=float), -38, 38) for v in (h, k))
    first, second = h[..., None], k[..., None]
    form = (first**2 + second**2 - 2 * first * second * np.sin(angles)) / (2 * np.cos(angles) ** 2)
    extra = (np.exp(-form) @ _WEIGHTS) * edge / (4 * np.pi)
    return np.asarray(np.clip(ndtr(h) * ndtr(k) + extra, 0.0, 1.0))


def _checked(p: ArrayLike) -> Array:
    values = np.asarray(p, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("p-values must lie between 0 and 1; a missing one must be decided before")
    return values


def _back(stepped: Array, order: NDArray[np.intp]) -> Array:
    result = np.empty_like(stepped)
    np.put_along_axis(result, order, stepped, axis=-1)
    return result
