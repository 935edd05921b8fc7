"""What every analysis of a trial returns: an estimate with its interval, so that all are judged alike."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite, nan

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from crosstalk.errors import check_level

__all__ = ["Z95", "Estimate", "wald"]

Z95 = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimated effect; a treatment contrast is arm minus control."""

    estimate: float
    """On the scale that the analysis names; ratios of odds and hazards are logarithms here."""
    se: float
    """Standard error on the same scale."""
    df: float
    """Degrees of freedom of the t reference; infinite where it is the normal distribution."""
    lower: float
    """Lower limit of the two-sided confidence interval."""
    upper: float
    """Upper limit."""
    p: float
    """Two-sided p-value of no effect."""
    n: int
    """Patients in the analysis."""
    note: str = ""
    """What a reader must know: patients left out, a fallback, an interval of another method."""

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Estimate and limits of a log ratio on the ratio scale.

        Examples
        --------
        >>> from crosstalk.statistics import wald
        >>> [round(x, 3) for x in wald(0.5, 0.2, n=100).ratio]
        [1.649, 1.114, 2.44]
        """
        return exp(self.estimate), exp(self.lower), exp(self.upper)


def wald(estimate: float, se: float, *, n: int, df: float = inf, level: float = 0.95, note: str = "") -> Estimate:
    """Estimate with the t or normal interval and p-value.

    Parameters
    ----------
    estimate, se : float
        Effect and its standard error. A standard error that is not a positive number gives an undefined
        interval and p-value.
    n : int
        Patients in the analysis.
    df : float
        Degrees of freedom; infinite for the normal distribution.
    level : float
        Coverage of the interval.
    note : str
        Passed on.

    Examples
    --------
    >>> found = wald(-2.0, 1.0, n=80, df=77.0)
    >>> round(found.lower, 2), round(found.upper, 2), round(found.p, 3)
    (-3.99, -0.01, 0.049)
    """
    check_level(level)
    if not (isfinite(estimate) and isfinite(se) and se > 0 and df > 0):
        return Estimate(float(estimate), float(se), float(df), nan, nan, nan, n, note)
    tail = (1 - level) / 2
    statistic = -abs(estimate) / se
    if np.isinf(df):
        reach, p = -ndtri(tail), 2 * ndtr(statistic)
    else:
        reach, p = -stdtrit(df, tail), 2 * stdtr(df, statistic)
    return Estimate(
        float(estimate),
        float(se),
        float(df),
        float(estimate - reach * se),
        float(estimate + reach * se),
        float(p),
        n,
        note,
    )
