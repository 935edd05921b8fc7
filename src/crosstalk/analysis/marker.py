"""Whether a marker changes the effect of a treatment: restricted cubic splines, and strata.

Sources: Harrell 2015, doi:10.1007/978-3-319-19425-7 (splines, knots); Royston & Sauerbrei 2008,
doi:10.1002/9780470770771 (against cutting a marker); Wang et al. 2007, doi:10.1056/NEJMsr077003 (test of interaction
before effects in subgroups).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from crosstalk.errors import TrialError, UsageError
from crosstalk.statistics.estimates import Estimate
from crosstalk.statistics.regression import Fit, linear

__all__ = ["EffectCurve", "Strata", "WaldTest", "effect_curve", "spline_basis", "strata"]

Array = NDArray[np.float64]
KNOTS = {3: (0.10, 0.50, 0.90), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
"""Quantiles at which knots stand (Harrell 2015, table 2.3)."""
POINTS = 61


@dataclass(frozen=True, slots=True)
class WaldTest:
    """F test that several coefficients are zero."""

    statistic: float
    df: tuple[float, float]
    p: float

    @property
    def words(self) -> str:
        """As a report writes it."""
        return f"F({self.df[0]:g}, {self.df[1]:g}) = {self.statistic:.2f}, p = {self.p:.3g}"


@dataclass(frozen=True, slots=True)
class EffectCurve:
    """Effect of an arm along a marker, in the marker's own unit.

    Attributes
    ----------
    effect, lower, upper : tuple of float
        Pointwise interval.
    interaction, curvature : WaldTest
        That the effect does not depend on the marker; that it does so along a straight line.
    slope : Estimate
        Of the model with a straight line: change of the effect for each doubling, or each unit.
    marks : tuple of float
        The marker of the patients in the analysis.
    """

    marker: str
    unit: str
    scale: str
    arm: str
    versus: str
    at: tuple[float, ...]
    effect: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    interaction: WaldTest
    curvature: WaldTest
    slope: Estimate
    marks: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Strata:
    """Effects in strata of one model, with the test that they are equal."""

    names: tuple[str, ...]
    effects: tuple[Estimate, ...]
    interaction: WaldTest


def spline_basis(x: Array, knots: Array) -> Array:
    """Restricted cubic spline: linear beyond the outer knots, shape (n, knots - 1), its first column linear.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.analysis.marker import spline_basis
    >>> spline_basis(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])).round(3).tolist()
    [[0.0, 0.0], [1.0, 0.25], [2.0, 1.5], [3.0, 3.0]]
    """
    last, before = knots[-1], knots[-2]
    columns = [x]
    for knot in knots[:-2]:
        cubes = [np.maximum(x - k, 0) ** 3 for k in (knot, before, last)]
        ends = (cubes[1] * (last - knot) - cubes[2] * (before - knot)) / (last - before)
        columns.append((cubes[0] - ends) / (last - knots[0]) ** 2)
    return np.column_stack(columns)


def effect_curve(
    outcome: Array, arm: NDArray[Any], marker: Array, covariates: Array, *, names: tuple[str, str], label: str,
    unit: str = "", knots: int = 3, scale: str = "log2", level: float = 0.95,
) -> EffectCurve:  # fmt: skip
    """Fit outcome ~ arm x spline of the marker + covariates by least squares.

    Parameters
    ----------
    outcome, arm, marker : array, shape (n_patients,)
        No missing values; arm is 0 or 1.
    covariates : array, shape (n_patients, k)
    names : (str, str)
        Arm and control.

    Raises
    ------
    UsageError
        A marker that is not positive on the logarithmic scale.
    TrialError
        Too few different values for the knots.
    """
    if scale == "log2" and not (marker > 0).all():
        raise UsageError(f"marker '{label}' holds {marker.min():g}, which has no logarithm; set scale = \"linear\"")
    x = np.log2(marker) if scale == "log2" else marker
    places = np.quantile(x, KNOTS[knots])
    if len(np.unique(places)) < knots:
        raise TrialError(
            f"marker '{label}' has too few different values for {knots} knots; take strata ('subgroups') or fewer knots"
        )
    middle = float(np.median(x))

    def rows(x: Array, treated: Array, *, curved: bool = True) -> Array:
        basis = spline_basis(x, places) - spline_basis(np.array([middle]), places)
        basis = basis if curved else basis[:, :1]
        return np.column_stack([np.ones(len(x)), treated, basis, basis * treated[:, None]])

    treated = arm.astype(float)
    fit = linear(outcome, np.column_stack([rows(x, treated), covariates]))
    width = knots - 1
    first = 2 + width
    grid = np.linspace(float(np.quantile(x, 0.05)), float(np.quantile(x, 0.95)), POINTS)
    difference = rows(grid, np.ones(POINTS)) - rows(grid, np.zeros(POINTS))
    padded = np.column_stack([difference, np.zeros((POINTS, covariates.shape[1]))])
    effects = [fit.effect(row, len(x), level, "") for row in padded]
    straight = linear(outcome, np.column_stack([rows(x, treated, curved=False), covariates]))
    row = np.zeros(len(straight.coefficients))
    row[3] = 1.0
    return EffectCurve(
        label, unit, scale, *names, tuple((2.0**grid if scale == "log2" else grid).tolist()),
        tuple(e.estimate for e in effects), tuple(e.lower for e in effects), tuple(e.upper for e in effects),
        _test(fit, range(first, first + width)), _test(fit, range(first + 1, first + width)),
        straight.effect(row, len(x), level, "per doubling" if scale == "log2" else "per unit"),
        tuple(marker.tolist()),
    )  # fmt: skip


def strata(
    outcome: Array, arm: NDArray[Any], part: NDArray[np.intp], names: tuple[str, ...], covariates: Array, *,
    level: float = 0.95,
) -> Strata:  # fmt: skip
    """Fit outcome ~ arm x stratum + covariates by least squares.

    Parameters
    ----------
    part : array of int, shape (n_patients,)
        Number of the stratum of each.

    Raises
    ------
    TrialError
        A stratum without patients in one of the arms.
    """
    for k, name in enumerate(names):
        if len(np.unique(arm[part == k])) < 2:
            raise TrialError(f"the stratum '{name}' has no patients in one of the arms; choose other cuts")
    member = (part[:, None] == np.arange(len(names))).astype(float)
    treated = arm.astype(float)[:, None]
    fit = linear(outcome, np.column_stack([member, member * treated, covariates]))
    effects = []
    for k in range(len(names)):
        row = np.zeros(len(fit.coefficients))
        row[len(names) + k] = 1.0
        effects.append(fit.effect(row, int((part == k).sum()), level, ""))
    contrasts = np.zeros((len(names) - 1, len(fit.coefficients)))
    contrasts[:, len(names)] = -1.0
    contrasts[np.arange(len(names) - 1), len(names) + 1 + np.arange(len(names) - 1)] = 1.0
    return Strata(names, tuple(effects), _wald(fit, contrasts))


def _test(fit: Fit, which: range) -> WaldTest:
    return _wald(fit, np.eye(len(fit.coefficients))[list(which)])


def _wald(fit: Fit, rows: Array) -> WaldTest:
    values = rows @ fit.coefficients
    statistic = float(values @ np.linalg.solve(rows @ fit.covariance @ rows.T, values)) / len(rows)
    return WaldTest(statistic, (float(len(rows)), fit.df), float(f_distribution.sf(statistic, len(rows), fit.df)))
