"""Net benefit of treating whom a model calls likely: decision curves with intervals, and their differences.

At the threshold ``t`` a false alarm costs ``t / (1 - t)`` of a case found. Net benefit is computed once on pooled
cross-validated probabilities and not fold by fold; over repeats each person's contribution is averaged first, and the
interval is that of a mean over people (the folds' dependence is left out of it).

References
----------
Vickers and Elkin 2006, doi 10.1177/0272989X06295361; over-fit and cross-validation: Vickers et al. 2008, doi
10.1186/1472-6947-8-53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import LearnError
from crosstalk.statistics.metrics import Measure, check_binary, mean_estimate

__all__ = ["THRESHOLDS", "NetBenefit", "contributions", "decision_curve"]

Array = NDArray[np.float64]
THRESHOLDS = tuple(np.round(np.arange(0.05, 0.951, 0.05), 2).tolist())


@dataclass(frozen=True, slots=True)
class NetBenefit:
    """Net benefit at one threshold.

    Attributes
    ----------
    threshold : float
    model : Measure
        True cases found per person, less false alarms at their price.
    everybody : float
        Net benefit of treating all; that of treating nobody is 0.
    gain : Measure
        Model less the better of all and nobody.
    """

    threshold: float
    model: Measure
    everybody: float
    gain: Measure


def contributions(y: ArrayLike, p: ArrayLike, threshold: float, prevalence: float | None = None) -> Array:
    """Net benefit person by person; a second axis of ``p`` before the last holds repeats, which are averaged.

    Parameters
    ----------
    y : array, shape (n,)
    p : array, shape (n,) or (repeats, n)
    threshold : float
        Between 0 and 1; who has this risk or more is treated.
    prevalence : float, optional
        Of the outcome where the model is to be used, if it is another than here, as in a case-control study; cases and
        others then count with it. Probabilities stay as they are: recalibrate them before.

    Raises
    ------
    LearnError
        On outcomes other than 0 and 1, probabilities outside 0 to 1, or lengths that differ.
    """
    if not 0 < threshold < 1:
        raise LearnError(f"received the threshold {threshold:g}; expected a probability between 0 and 1")
    target, chance = np.asarray(y, dtype=float), np.atleast_2d(np.asarray(p, dtype=float))
    for repeat in chance:
        check_binary(target, repeat)
    worth = np.where(target > 0.5, 1.0, -threshold / (1 - threshold))
    if prevalence is not None:
        here = float(target.mean())
        if not 0 < prevalence < 1 or not 0 < here < 1:
            raise LearnError(
                f"received the prevalence {prevalence:g}, and {here:g} here; expected shares between 0 and 1"
            )
        worth = worth * np.where(target > 0.5, prevalence / here, (1 - prevalence) / (1 - here))
    return np.asarray((chance >= threshold).mean(axis=0) * worth, dtype=float)


def decision_curve(
    y: ArrayLike, p: ArrayLike, thresholds: Sequence[float] = THRESHOLDS, *, prevalence: float | None = None
) -> tuple[NetBenefit, ...]:
    """Decision curve of pooled out-of-fold probabilities.

    Parameters
    ----------
    y : array, shape (n,)
    p : array, shape (n,) or (repeats, n)
    prevalence : float, optional
        As for `contributions`.

    Examples
    --------
    >>> (found,) = decision_curve([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.2, 0.1], [0.5])
    >>> round(found.model.value, 3), round(found.everybody, 3)
    (0.0, -0.2)
    """
    rows = []
    for t in thresholds:
        own = contributions(y, p, t, prevalence)
        treated = contributions(y, np.ones(len(own)), t, prevalence)
        best = treated if treated.mean() > 0 else np.zeros(len(own))
        rows.append(NetBenefit(float(t), mean_estimate(own), float(treated.mean()), mean_estimate(own - best)))
    return tuple(rows)
