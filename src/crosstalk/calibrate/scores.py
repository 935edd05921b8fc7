"""Predictive distributions of one number, and proper scores of them.

A prediction is an equal mixture of normal distributions: one for each possible world, all with the published sampling
error. Higher is better for the logarithmic score, lower for the continuous ranked probability score (CRPS) [1]_.

References
----------
.. [1] Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. J Am Stat Assoc 2007.
   doi:10.1198/016214506000001437
.. [2] Grimit EP, Gneiting T, Berrocal VJ, Johnson NA. The continuous ranked probability score for circular variables
   and its application to mesoscale forecast ensemble verification. Q J R Meteorol Soc 2006. doi:10.1256/qj.05.235
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr, ndtri

__all__ = ["Prediction", "crps", "log_score", "quantile"]

Array = NDArray[np.float64]

BLOCK = 2**22
"""Pairs of centers that are held at once (some hundred MB)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """An equal mixture of normal distributions.

    Attributes
    ----------
    centers : array, shape (n,)
    spread : float
        Standard deviation of each part, above 0.
    """

    centers: Array
    spread: float


def log_score(prediction: Prediction, value: float) -> float:
    """Logarithm of the predicted density at a value."""
    terms = -0.5 * ((value - prediction.centers) / prediction.spread) ** 2
    return float(logsumexp(terms) - log(len(prediction.centers)) - log(prediction.spread) - 0.5 * log(2 * pi))


def crps(prediction: Prediction, value: float) -> float:
    """Continuous ranked probability score at a value, in its unit; closed form for a mixture of normals [2]_.

    Examples
    --------
    Of a standard normal at its center, ``2 phi(0) - 1 / sqrt(pi)``:

    >>> round(crps(Prediction(np.zeros(1), 1.0), 0.0), 6)
    0.233695
    """
    c, s = prediction.centers, prediction.spread
    n = len(c)
    rows = max(1, BLOCK // n)
    parts = (_mean_distance(c[i : i + rows, None] - c, sqrt(2) * s).sum() for i in range(0, n, rows))
    among = float(sum(parts)) / n**2
    return float(_mean_distance(value - c, s).mean() - among / 2)


def quantile(prediction: Prediction, share: float) -> float:
    """The value below which a share of the mixture lies."""
    z = float(ndtri(share))
    low, high = (float(end) + z * prediction.spread for end in (prediction.centers.min(), prediction.centers.max()))
    if high - low <= 1e-12 * max(abs(low), abs(high), prediction.spread):
        return low
    return float(brentq(lambda x: ndtr((x - prediction.centers) / prediction.spread).mean() - share, low, high))


def _mean_distance(centers: Array, spread: float) -> Array:
    """Mean absolute value of a normal distribution."""
    z = centers / spread
    density = np.exp(-0.5 * z * z) / sqrt(2 * pi)
    found: Array = spread * (2 * density + z * (2 * ndtr(z) - 1))
    return found
