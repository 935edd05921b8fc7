"""The search that should not be made: every subgroup tried until one is significant. Simulated to show its error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from crosstalk.trial.conduct import TrialData
from crosstalk.trial.setting import Setting

__all__ = ["naive_search"]

Array = NDArray[np.float64]

LEAST = 10  # patients of an arm in a subgroup


def naive_search(setting: Setting, data: TrialData, *, alpha: float = 0.05) -> bool:
    """Whether a search over subgroups finds a significant effect somewhere.

    Tried are everybody, and both sides of the median of each measurement (sex: women and men), by an unadjusted t-test
    of the change at the last visit.
    """
    primary, groups = setting.design.primary, setting.groups
    if setting.design.crossover is not None:
        return False
    change = data.scores[primary.of][:, -1] - data.baseline[primary.of]
    arm, control = (data.group == groups.index(g) for g in (primary.arm, primary.versus))
    for part in _parts(data):
        seen = part & np.isfinite(change)
        one, two = change[seen & arm], change[seen & control]
        if min(len(one), len(two)) >= LEAST and _t_test(one, two) < alpha:
            return True
    return False


def _parts(data: TrialData) -> list[NDArray[np.bool_]]:
    parts = [np.ones(len(data), dtype=bool)]
    for values in (*data.covariates.values(), *data.baseline.values()):
        above = values > 0.5 if np.isin(values, (0.0, 1.0)).all() else values > np.median(values)
        if above.any() and not above.all():
            parts += [above, ~above]
    return parts


def _t_test(one: Array, two: Array) -> float:
    """Two-sided p-value of Student's t-test."""
    df = len(one) + len(two) - 2
    variance = (((one - one.mean()) ** 2).sum() + ((two - two.mean()) ** 2).sum()) / df
    if variance == 0:
        return 1.0
    t = (one.mean() - two.mean()) / np.sqrt(variance * (1 / len(one) + 1 / len(two)))
    return float(2 * stdtr(df, -abs(t)))
