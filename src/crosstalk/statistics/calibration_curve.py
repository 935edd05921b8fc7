"""Do predicted risks come true: intercept, slope, a smooth curve with its band, and distances from the diagonal.

The intercept with the slope at 1 (calibration in the large) says whether risks are too high or too low on the whole;
the slope whether they are too extreme (below 1) or too timid. The curve is a logistic regression of the outcome on a
restricted cubic spline of the logit of the prediction.

References
----------
Van Calster et al. 2016, doi 10.1016/j.jclinepi.2015.12.005. Splines: Harrell 2015, doi 10.1007/978-3-319-19425-7. Mean,
90th centile and largest distance (ICI, E90, Emax): Austin and Steyerberg 2019, doi 10.1002/sim.8281.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from crosstalk.errors import LearnError, UsageError
from crosstalk.statistics.estimates import Z95
from crosstalk.statistics.metrics import Measure, check_binary
from crosstalk.statistics.regression import Fit, logistic

__all__ = ["CalibrationCurve", "CalibrationMeasures", "calibration", "recalibrate", "spline_basis"]

Array = NDArray[np.float64]
KNOTS = (0.05, 0.35, 0.65, 0.95)  # Harrell 2015, table 2.3: four knots
GRID = 60


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Observed share by predicted risk, with a pointwise 95 % band.

    Attributes
    ----------
    predicted, observed, low, high : tuple of float
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CalibrationMeasures:
    """Calibration of predicted risks.

    Attributes
    ----------
    in_the_large : Measure
        Intercept with the slope held at 1 [logit]; 0 is ideal, below 0 risks are too high.
    slope : Measure
        1 is ideal.
    intercept : float
        Beside the slope [logit], as R's ``val.prob`` gives it.
    observed_expected : float
        Events over the sum of risks.
    ici, e90, emax : float
        Mean, 90th centile and maximum of the distance of the curve from the diagonal over people; NaN without curve.
    curve : CalibrationCurve, optional
        None where predictions hardly vary.
    """

    in_the_large: Measure
    slope: Measure
    intercept: float
    observed_expected: float
    ici: float
    e90: float
    emax: float
    curve: CalibrationCurve | None


def spline_basis(x: ArrayLike, knots: ArrayLike) -> Array:
    """Columns of a restricted cubic spline: the value itself and one less nonlinear column than inner knots.

    Parameters
    ----------
    x : array, shape (n,)
    knots : array, shape (k,)
        Ascending.

    Returns
    -------
    array, shape (n, k - 1)
        Scaled by the squared distance of the outer knots, as R's ``rcs`` does.
    """
    value, t = np.asarray(x, dtype=float), np.asarray(knots, dtype=float)
    scale = (t[-1] - t[0]) ** 2

    def cube(at: float) -> Array:
        return np.maximum(value - at, 0.0) ** 3

    columns = [value]
    for j in range(len(t) - 2):
        last = cube(t[-2]) * (t[-1] - t[j]) / (t[-1] - t[-2])
        columns.append((cube(t[j]) - last + cube(t[-1]) * (t[-2] - t[j]) / (t[-1] - t[-2])) / scale)
    return np.stack(columns, axis=1)


def calibration(y: ArrayLike, p: ArrayLike) -> CalibrationMeasures:
    """Calibration of probabilities for people that the model has not seen.

    Parameters
    ----------
    y : array, shape (n,)
    p : array, shape (n,) or (repeats, n)
        Repeats of cross-validation are laid over each other; errors are those of ``n`` people.

    Raises
    ------
    LearnError
        If one class is absent or a probability lies outside 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.tile([0.2, 0.8], 50)
    >>> y = np.tile([0, 1, 0, 1, 1, 1, 0, 0, 0, 1], 10)
    >>> found = calibration(y, p)
    >>> round(found.slope.value, 3), found.curve is None
    (1.0, True)
    """
    laid = np.atleast_2d(np.asarray(p, dtype=float))
    repeats, n = laid.shape
    target, chance = check_binary(np.tile(np.asarray(y, dtype=float), repeats), laid.ravel())
    rows, lp = len(target), logit(chance)
    large = _fit(np.ones((rows, 1)), target, lp)
    whole = _estimate(float(large.coefficients[0]), sqrt(repeats * large.covariance[0, 0]), n)
    ratio = float(target.sum() / chance.sum())
    if np.ptp(lp) < 1e-9:
        return CalibrationMeasures(whole, Measure(nan, nan, nan, nan, n), nan, ratio, nan, nan, nan, None)
    try:
        both = _fit(np.stack([np.ones(rows), lp], axis=1), target)
    except LearnError:
        return CalibrationMeasures(whole, Measure(nan, nan, nan, nan, n), nan, ratio, nan, nan, nan, None)
    slope = _estimate(float(both.coefficients[1]), sqrt(repeats * both.covariance[1, 1]), n)
    curve, away = _curve(target, lp, repeats)
    ici, e90, emax = (nan, nan, nan) if away is None else (away.mean(), np.quantile(away, 0.9), away.max())
    return CalibrationMeasures(
        whole, slope, float(both.coefficients[0]), ratio, float(ici), float(e90), float(emax), curve
    )


def recalibrate(y: ArrayLike, p: ArrayLike) -> tuple[float, float, float]:
    """What would mend the risks: the shift with the slope at 1, then intercept and slope together [logit]."""
    found = calibration(y, p)
    return found.in_the_large.value, found.intercept, found.slope.value


def _fit(design: Array, target: Array, offset: Array | float = 0.0) -> Fit:
    try:
        fit = logistic(target, design, offset=offset)
    except UsageError as error:
        raise LearnError(f"the predictions do not vary enough to be calibrated: {error}") from error
    if not fit.converged:
        raise LearnError(
            f"a logistic regression of {design.shape[1]} coefficients on {len(target)} people has no finite solution; "
            "the predictions separate the outcomes"
        )
    return fit


def _estimate(value: float, se: float, n: int) -> Measure:
    return Measure(value, se, value - Z95 * se, value + Z95 * se, n)


def _curve(target: Array, lp: Array, repeats: int) -> tuple[CalibrationCurve | None, Array | None]:
    knots = np.unique(np.quantile(lp, KNOTS))
    if len(knots) < len(KNOTS):
        return None, None

    def design(at: Array) -> Array:
        return np.column_stack([np.ones(len(at)), spline_basis(at, knots)])

    try:
        fit = _fit(design(lp), target)
    except LearnError:
        return None, None
    # drawn where people are: between the 1st and the 99th centile
    grid = np.linspace(float(np.quantile(lp, 0.01)), float(np.quantile(lp, 0.99)), GRID)
    x = design(grid)
    eta = x @ fit.coefficients
    half = Z95 * np.sqrt(repeats * np.einsum("ij,jk,ik->i", x, fit.covariance, x))
    rows = (tuple(map(float, expit(v))) for v in (grid, eta, eta - half, eta + half))
    return CalibrationCurve(*rows), np.abs(expit(design(lp) @ fit.coefficients) - expit(lp))
