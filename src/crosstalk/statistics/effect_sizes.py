"""Effect sizes and their standard errors in closed form."""

from __future__ import annotations

from math import gamma, lgamma, log, sqrt

import numpy as np

__all__ = ["hedges_correction", "proportion_se", "smd_se"]


def hedges_correction(df: int) -> float:
    """Exact factor that removes the small-sample bias of a standardized difference with ``df`` degrees of freedom.

    References
    ----------
    Hedges 1981, equation 6e. doi:10.3102/10769986006002107

    Examples
    --------
    >>> round(hedges_correction(38), 4)
    0.9801
    """
    if df < 100:
        return gamma(df / 2) / (sqrt(df / 2) * gamma((df - 1) / 2)) if df > 1 else float("nan")
    return float(np.exp(lgamma(df / 2) - 0.5 * log(df / 2) - lgamma((df - 1) / 2)))


def smd_se(g: float, n1: int, n2: int) -> float:
    """Return the standard error of a standardized difference: ``sqrt(1/n1 + 1/n2 + g^2 / (2 (n1 + n2)))``."""
    return sqrt(1 / n1 + 1 / n2 + g * g / (2 * (n1 + n2)))


def proportion_se(share: float, n: int) -> float:
    """Return the standard error of a share: ``sqrt(p (1 - p) / n)``; for 0 and 1 with ``p = (x + 0.5) / (n + 1)``."""
    if share in (0.0, 1.0):
        share = (share * n + 0.5) / (n + 1)
    return sqrt(share * (1 - share) / n)
