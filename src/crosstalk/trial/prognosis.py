"""A prognostic score from the twin's knowledge: the expected outcome of a patient under control, from what is measured.

It serves as a covariate that sharpens a comparison; it never replaces a control group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Prognosis", "fit_prognosis"]

Array = NDArray[np.float64]

RIDGE = 1e-3  # of the standardised predictors, so that two that say the same do no harm


@dataclass(frozen=True)
class Prognosis:
    """Linear predictor of the score under control.

    Attributes
    ----------
    names : tuple of str
        Measurements that enter, beside the baseline score; laboratory values by their logarithm.
    logarithmic : tuple of bool
    center, scale, slope : array, shape (n_names + 1,)
        Of the baseline score first.
    level : float
    explained : float
        Share of the variance that it explains in the virtual patients that it was made from.
    """

    names: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    center: Array
    scale: Array
    slope: Array
    level: float
    explained: float

    def score(self, baseline: Array, measured: Mapping[str, Array]) -> Array:
        """Expected score under control, shape (n,)."""
        design = (_table(self.names, self.logarithmic, baseline, measured) - self.center) / self.scale
        return np.asarray(self.level + design @ self.slope)


def fit_prognosis(
    baseline: Array, measured: Mapping[str, Array], logarithmic: Mapping[str, bool], outcome: Array
) -> Prognosis:
    """Fit the score on virtual patients of all possible worlds.

    Parameters
    ----------
    baseline, outcome : array, shape (n,) [points]
        Recorded score at randomisation, and recorded score under control at the end.
    measured : mapping of str to array, shape (n,)
        As screening would measure it.
    logarithmic : mapping of str to bool
        Which of them enter by their logarithm.
    """
    names = tuple(measured)
    logs = tuple(logarithmic[name] for name in names)
    table = _table(names, logs, baseline, measured)
    center, scale = table.mean(axis=0), table.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = (table - center) / scale
    level = float(outcome.mean())
    slope = np.linalg.solve(
        design.T @ design + RIDGE * len(design) * np.eye(design.shape[1]), design.T @ (outcome - level)
    )
    left = outcome - level - design @ slope
    return Prognosis(names, logs, center, scale, slope, level, float(1 - left.var() / outcome.var()))


def _table(
    names: tuple[str, ...], logarithmic: tuple[bool, ...], baseline: Array, measured: Mapping[str, Array]
) -> Array:
    columns = [np.log(measured[n]) if log else measured[n] for n, log in zip(names, logarithmic, strict=True)]
    return np.column_stack([baseline, *columns])
