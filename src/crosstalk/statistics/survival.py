"""Time to remission: log-rank test and Cox hazard ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crosstalk.errors import UsageError
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.regression import regress, tabulate

__all__ = ["hazard_ratio", "log_rank"]


def hazard_ratio(
    time: ArrayLike, event: ArrayLike, arm: ArrayLike, covariates: ArrayLike | None = None, *, level: float = 0.95
) -> Estimate:
    """Logarithm of the hazard ratio by Cox regression with Efron's ties and Wald interval.

    Parameters
    ----------
    time : array, shape (n_patients,)
        Time of the event or of censoring.
    event : array, shape (n_patients,)
        1 where the event was seen.
    arm : array, shape (n_patients,)
        0 for the control, 1 for the arm. Above 0 on the log scale means earlier remission in the arm.
    covariates : array, shape (n_patients,) or (n_patients, k), optional
        Further covariates.
    level : float
        Coverage of the interval.

    Examples
    --------
    >>> from crosstalk.statistics import hazard_ratio
    >>> found = hazard_ratio([2, 4, 4, 8, 4, 6, 8, 8], [1, 1, 1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0])
    >>> round(found.ratio[0], 2)
    2.52
    """
    table, _ = tabulate(np.column_stack([time, event]), arm, covariates)
    fit = regress("cox", table.outcome, table.design())
    return fit.effect(np.eye(len(fit.coefficients))[1], table.n, level, table.note)


def log_rank(time: ArrayLike, event: ArrayLike, arm: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Log-rank test; the estimate is the one-step log hazard ratio (O - E) / V with standard error 1 / sqrt(V).

    Parameters
    ----------
    time, event, arm, level
        As for `hazard_ratio`.

    References
    ----------
    Mantel 1966, Cancer Chemother Rep 50:163; Peto et al. 1977, doi:10.1038/bjc.1977.1 (one-step estimate, good
    for ratios near 1 only).

    Examples
    --------
    >>> from crosstalk.statistics import log_rank
    >>> round(log_rank([2, 4, 4, 8, 4, 6, 8, 8], [1, 1, 1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0]).p, 4)
    0.3166
    """
    table, _ = tabulate(np.column_stack([time, event]), arm)
    times, events = table.outcome[:, 0], table.outcome[:, 1] > 0
    if not events.any():
        raise UsageError("no event was seen; a hazard cannot be compared")
    moments, deaths = np.unique(times[events], return_counts=True)
    ordered, ordered_arm = np.sort(times), np.sort(times[table.arm == 1])
    at_risk = len(ordered) - np.searchsorted(ordered, moments)
    at_risk_arm = len(ordered_arm) - np.searchsorted(ordered_arm, moments)
    share = at_risk_arm / at_risk
    observed = float(events[table.arm == 1].sum())
    variance = float((deaths * share * (1 - share) * (at_risk - deaths) / np.maximum(at_risk - 1, 1)).sum())
    if variance == 0:
        return wald(np.nan, np.nan, n=table.n, note="both arms were never at risk together")
    return wald((observed - float(deaths @ share)) / variance, variance**-0.5, n=table.n, level=level, note=table.note)
