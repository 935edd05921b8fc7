"""Log-normal summaries and regressions of values that may be known only to lie below, above or between limits.

Maximum likelihood, in Olsen's parameters (1 / SD and coefficients over SD), in which the logarithm of the likelihood
is concave: Newton's method finds its one maximum or there is none. Whether there is one is decided beforehand by two
linear programs, so that a sample that cannot tell is refused with the reason instead of fitted to a number without
meaning.

References
----------
Uniqueness: Olsen 1978, doi 10.2307/1911445; Burridge 1981, doi 10.1111/j.2517-6161.1981.tb01147.x. Existence:
Silvapulle and Burridge 1986, doi 10.1111/j.2517-6161.1986.tb01394.x. Why not to substitute: Helsel 2006, doi
10.1016/j.chemosphere.2006.04.051.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri

from crosstalk.errors import PanelError, UsageError
from crosstalk.statistics.newton import Quadratic, minimise

__all__ = ["CensoredSample", "LogEstimate", "LogNormalFit", "fit_lognormal", "log_interval_probability"]

Array = NDArray[np.floating[Any]]

LOG_2PI = float(np.log(2 * np.pi))
NARROW = 1e-4  # below this width [SD] the series for the probability of an interval is exact to rounding
EXACT = 1e-4  # an interval whose ends differ by less than this on the logarithm is a number with a rounding error
CONVERGED = 2e-10  # squared Newton decrement: twice the gain of log likelihood still to be had
SLACK = 1e-7  # what a linear program may call zero (its own feasibility tolerance)


def log_interval_probability(lower: ArrayLike, upper: ArrayLike) -> Array:
    """Logarithm of the probability that a standard-normal number lies between two limits.

    Accurate far out in the tails, for narrow intervals and for infinite limits.

    Parameters
    ----------
    lower, upper : array
        ``lower <= upper``; minus and plus infinity are allowed. Where they are equal the result is minus infinity.

    Examples
    --------
    >>> float(log_interval_probability(-1.959964, 1.959964).round(6))  # log 0.95
    -0.051293
    >>> float(log_interval_probability(40.0, 41.0).round(2))
    -804.61
    """
    low, high = np.broadcast_arrays(np.asarray(lower, dtype=float), np.asarray(upper, dtype=float))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # on the upper side the mirror image keeps the digits
        flip = low > -high
        a, b = np.where(flip, -high, low), np.where(flip, -low, high)
        log_a, log_b = log_ndtr(a), log_ndtr(b)
        wide = log_b + np.log1p(-np.exp(log_a - log_b))
        middle, width = (a + b) / 2, b - a
        series = -0.5 * middle**2 - LOG_2PI / 2 + np.log(width) + np.log1p(width**2 * (middle**2 - 1) / 24)
        narrow = width * np.maximum(1, np.abs(middle)) < NARROW
    return np.asarray(np.where(narrow, series, wide), dtype=np.float64)


@dataclass(frozen=True)
class CensoredSample:
    """Values of one analyte, each known to lie between two limits.

    Attributes
    ----------
    lower, upper : array, shape (n,) [unit of the analyte]
        Equal where the value is known; ``lower`` is 0 where only an upper limit is known, ``upper`` is infinite where
        only a lower one is. Zero and infinity together are a missing value.
    analyte : str
    left_out : tuple of str
        Who is not in the sample, and why.

    Raises
    ------
    PanelError
        If a value is not positive, not a number, or lies above its own upper limit.

    Examples
    --------
    >>> sample = CensoredSample([0.0, 1.3, 2.0], [0.4, 1.3, 5.0], "IL-6")  # <0.4, 1.3, between 2 and 5
    >>> sample.counts
    {'exact': 1, 'left': 1, 'right': 0, 'interval': 1, 'missing': 0}
    """

    lower: Array
    upper: Array
    analyte: str = ""
    left_out: tuple[str, ...] = ()

    def __init__(self, lower: ArrayLike, upper: ArrayLike, analyte: str = "", left_out: Iterable[str] = ()) -> None:
        low = np.atleast_1d(np.asarray(lower, dtype=float))
        high = np.atleast_1d(np.asarray(upper, dtype=float))
        what = analyte or "sample"
        if low.ndim != 1 or low.shape != high.shape:
            raise UsageError(f"{what}: lower {low.shape} and upper {high.shape}; expected two rows of the same length")
        for wrong, words in (
            (np.isnan(low) | np.isnan(high), "is not a number; a missing value has the limits 0 and infinity"),
            ((low < 0) | (high <= 0), "is not positive; a log-normal value is; write <LOD for one below the limit"),
            (np.isinf(low), "has an infinite lower limit"),
            (low > high, "has a lower limit above the upper one"),
        ):
            if wrong.any():
                i = int(np.flatnonzero(wrong)[0])
                raise PanelError(f"{what}, value {i + 1} ({low[i]:g} to {high[i]:g}): {words}")
        object.__setattr__(self, "lower", low)
        object.__setattr__(self, "upper", high)
        object.__setattr__(self, "analyte", analyte)
        object.__setattr__(self, "left_out", tuple(left_out))

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Which values are known, shape (n,)."""
        return np.asarray(self.lower == self.upper)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which values nothing is known of, shape (n,)."""
        return np.asarray((self.lower == 0) & np.isinf(self.upper))

    @property
    def counts(self) -> dict[str, int]:
        """Number of values by kind."""
        exact, missing = self.exact, self.missing
        left = (self.lower == 0) & ~missing
        right = np.isinf(self.upper) & ~missing
        kinds = {"exact": exact, "left": left, "right": right, "interval": ~(exact | left | right | missing)}
        return {name: int(found.sum()) for name, found in {**kinds, "missing": missing}.items()}


@dataclass(frozen=True, slots=True)
class LogEstimate:
    """An estimate, its standard error on the logarithm, and its interval on its own scale."""

    value: float
    log_se: float
    low: float
    high: float


@dataclass(frozen=True)
class LogNormalFit:
    """A log-normal distribution fitted by maximum likelihood; its mean of the logarithm may depend on covariates.

    Attributes
    ----------
    names : tuple of str
        ``intercept`` and the covariates.
    coefficients : array, shape (k,)
        Of the mean of the natural logarithm; the exponential of a covariate's is the ratio of geometric means per unit.
    log_sd : float
        SD of the logarithm around that mean.
    covariance : array, shape (k + 1, k + 1)
        Of the coefficients and of the logarithm of ``log_sd``: inverse of the observed information.
    log_likelihood : float
        Densities are those of the logarithm of the value.
    counts : dict of str to int
        Values by kind; missing ones took no part.
    level : float
        Of the intervals.
    """

    names: tuple[str, ...]
    coefficients: Array
    log_sd: float
    covariance: Array
    log_likelihood: float
    counts: Mapping[str, int]
    analyte: str = ""
    level: float = 0.95

    @property
    def share_censored(self) -> float:
        """Share of the values in the fit that are not known exactly."""
        used = sum(n for kind, n in self.counts.items() if kind != "missing")
        return 1 - self.counts["exact"] / used

    @property
    def spread(self) -> LogEstimate:
        """SD of the logarithm with its interval."""
        return self._estimate(float(np.log(self.log_sd)), np.r_[np.zeros(len(self.names)), 1.0])

    def ratio(self, covariate: str) -> LogEstimate:
        """Ratio of geometric means per unit of a covariate; its ``log_se`` is that of the coefficient."""
        if covariate not in self.names[1:]:
            raise UsageError(f"no covariate '{covariate}'; the fit has {', '.join(self.names[1:]) or 'none'}")
        i = self.names.index(covariate)
        return self._estimate(float(self.coefficients[i]), np.eye(len(self.names) + 1)[i])

    def geometric_mean(self, **covariates: float) -> LogEstimate:
        """Geometric mean, which is the median, for a person with these covariates [unit of the analyte]."""
        return self.percentile(50, **covariates)

    def percentile(self, percent: float, **covariates: float) -> LogEstimate:
        """Percentile for a person with these covariates, interval by the delta method [unit of the analyte].

        Parameters
        ----------
        percent : float
            Above 0 and below 100.
        """
        if not 0 < percent < 100:
            raise UsageError(f"received the percentile {percent:g}; expected a number above 0 and below 100")
        if set(covariates) != set(self.names[1:]):
            raise UsageError(
                f"received the covariates {', '.join(covariates) or 'none'}; the fit needs "
                f"{', '.join(self.names[1:]) or 'none'}"
            )
        x = np.array([1.0, *(covariates[name] for name in self.names[1:])])
        z = float(ndtri(percent / 100))
        return self._estimate(float(x @ self.coefficients) + z * self.log_sd, np.r_[x, z * self.log_sd])

    def _estimate(self, log_value: float, gradient: Array) -> LogEstimate:
        se = float(np.sqrt(gradient @ self.covariance @ gradient))
        reach = float(ndtri((1 + self.level) / 2)) * se
        low, value, high = (float(v) for v in np.exp(log_value + np.array([-reach, 0, reach])))
        return LogEstimate(value, se, low, high)


def fit_lognormal(
    sample: CensoredSample, covariates: Mapping[str, ArrayLike] | None = None, *, level: float = 0.95
) -> LogNormalFit:
    """Fit a log-normal distribution, or a regression of the logarithm on covariates, by maximum likelihood.

    Parameters
    ----------
    sample : CensoredSample
        Missing values take no part.
    covariates : mapping of str to array, shape (n,), optional
        Numbers; a group is 0 or 1.
    level : float
        Of the intervals, which are Wald's on the logarithm.

    Raises
    ------
    PanelError
        If the sample cannot tell: no value bounded on both sides, no spread, a group wholly below the limit, covariates
        that determine one another. The message says which.

    Examples
    --------
    >>> sample = CensoredSample([0, 0, 1.0, 1.5, 2.5, 4.0], [0.8, 0.8, 1.0, 1.5, 2.5, 4.0], "IL-6")
    >>> found = fit_lognormal(sample)
    >>> round(found.geometric_mean().value, 3), round(found.log_sd, 3), round(found.share_censored, 2)
    (1.219, 0.839, 0.33)
    """
    if not 0 < level < 1:
        raise UsageError(f"received the level {level:g}; expected a share such as 0.95")
    what = sample.analyte or "sample"
    used = ~sample.missing
    names, design = _design(what, covariates or {}, len(sample), used)
    low, high = sample.lower[used], sample.upper[used]
    with np.errstate(divide="ignore"):
        low, high = np.log(low), np.log(high)
    near = np.isfinite(low) & np.isfinite(high) & (high - low < EXACT)
    # an interval too narrow to tell from a number is that number; its width is a factor of the likelihood
    squeezed = near & (high > low)
    widths = float(np.sum(np.log((high - low)[squeezed])))
    low[squeezed] = high[squeezed] = (low[squeezed] + high[squeezed]) / 2

    bounded = np.isfinite(low) & np.isfinite(high)
    if not bounded.any():
        raise PanelError(
            f"{what}: none of {int(used.sum())} values is bounded on both sides (counts: {_counted(sample.counts)}); "
            f"mean and spread cannot be told; report the share beyond the limit"
        )
    centre, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    standard = np.c_[design[:, :1], (design[:, 1:] - centre) / np.where(scale > 0, scale, 1)]
    if np.linalg.matrix_rank(standard) < standard.shape[1]:
        raise PanelError(
            f"{what}: the covariates {', '.join(names[1:])} do not vary or determine one another; leave out"
        )
    ends = np.r_[low[np.isfinite(low)], high[np.isfinite(high)]]
    origin, unit = float(ends.mean()), float(ends.std()) or 1.0
    y1, y2 = (low - origin) / unit, (high - origin) / unit
    _check_existence(what, names, standard, y1, y2)
    parameters, value, hessian = _maximize(what, standard, y1, y2)

    # from Olsen's parameters of the standardised problem to coefficients and log SD of the given one
    theta = parameters[-1]
    inner = parameters[:-1] / theta
    k = len(inner)
    jacobian = np.zeros((k + 1, k + 1))
    jacobian[:k, :k] = np.eye(k) * theta
    jacobian[:k, k] = -parameters[:-1]
    jacobian[k, k] = -theta
    inverse = np.linalg.inv(-jacobian.T @ hessian @ jacobian)
    back = np.eye(k + 1)
    back[:k, :k] *= unit
    back[1:k, 1:k] /= scale if k > 1 else 1.0
    back[0, 1:k] = -unit * centre / scale if k > 1 else 0.0
    coefficients = back[:k, :k] @ inner
    coefficients[0] += origin
    # densities of the standardised logarithm become those of the logarithm
    value = float(value - int((low == high).sum()) * np.log(unit) + widths)
    covariance = back @ inverse @ back.T
    return LogNormalFit(
        names, coefficients, float(unit / theta), covariance, value, sample.counts, sample.analyte, level
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)


def _design(
    what: str, covariates: Mapping[str, ArrayLike], n: int, used: NDArray[np.bool_]
) -> tuple[tuple[str, ...], Array]:
    columns = [np.ones(n)]
    for name, values in covariates.items():
        column = np.asarray(values, dtype=float)
        if name == "intercept" or column.shape != (n,):
            raise UsageError(f"covariate '{name}' has shape {column.shape}; expected ({n},), one number per value")
        if not np.isfinite(column[used]).all():
            i = int(np.flatnonzero(~np.isfinite(column) & used)[0])
            raise PanelError(
                f"{what}: covariate '{name}' of value {i + 1} is {column[i]}; leave the value out or impute"
            )
        columns.append(column)
    return ("intercept", *covariates), np.stack(columns, axis=1)[used]


def _sides(design: Array, y1: Array, y2: Array) -> tuple[Array, Array]:
    """Rows that give the standardised residual at the lower and upper limit; zero where there is none."""
    rows = []
    for y in (y1, y2):
        known = np.isfinite(y)
        rows.append(np.c_[-design, np.where(known, y, 0.0)] * known[:, None])
    return rows[0], rows[1]


def _check_existence(what: str, names: tuple[str, ...], design: Array, y1: Array, y2: Array) -> None:
    """Refuse a sample whose likelihood grows, or stays, along some direction: it has no single maximum."""
    from scipy.optimize import linprog

    rows1, rows2 = _sides(design, y1, y2)
    exact = y1 == y2
    falling, rising = rows1[~exact & np.isfinite(y1)], rows2[~exact & np.isfinite(y2)]
    constraints: dict[str, Any] = {}
    if exact.any():
        constraints.update(A_eq=rows1[exact], b_eq=np.zeros(int(exact.sum())))
    if len(falling) + len(rising):
        above = np.r_[falling, -rising]
        constraints.update(A_ub=above, b_ub=np.zeros(len(above)))
    k = design.shape[1]
    # 1: can the spread shrink to nothing while every value is met?
    narrower = linprog(np.r_[np.zeros(k), -1.0], bounds=[(-1, 1)] * k + [(0, 1)], **constraints)
    if narrower.status == 0 and -narrower.fun > SLACK:
        values = int((exact | (np.isfinite(y1) & np.isfinite(y2))).sum())
        raise PanelError(
            f"{what}: {values} bounded of {len(y1)} values; one number (or one line) meets them all, so that their "
            f"spread cannot be told; more values are needed"
        )
    # 2: can a coefficient run off because all that it distinguishes are censored on one side?
    if not len(falling) + len(rising):
        return
    gain = falling.sum(axis=0) - rising.sum(axis=0)
    runaway = linprog(gain, bounds=[(-1, 1)] * k + [(0, 0)], **constraints)
    if runaway.status == 0 and -runaway.fun > SLACK * len(y1):
        involved = [
            name for name, d in zip(names, runaway.x[:-1], strict=True) if abs(d) > SLACK and name != "intercept"
        ]
        raise PanelError(
            f"{what}: the effect of {', '.join(involved) or 'the covariates'} cannot be told: every value that would "
            f"tell it is censored on the same side; leave the covariate out, or report the shares beyond the limit"
        )


def _log_likelihood(parameters: Array, design: Array, y1: Array, y2: Array) -> tuple[float, Array, Array]:
    """Value, gradient and Hessian in Olsen's parameters."""
    theta = parameters[-1]
    rows1, rows2 = _sides(design, y1, y2)
    exact = y1 == y2
    u = rows1[exact] @ parameters
    value = int(exact.sum()) * (np.log(theta) - LOG_2PI / 2) - 0.5 * u @ u
    gradient = -rows1[exact].T @ u
    hessian = -rows1[exact].T @ rows1[exact]
    gradient[-1] += exact.sum() / theta
    hessian[-1, -1] -= exact.sum() / theta**2

    open_ = ~exact
    a, b = rows1[open_], rows2[open_]
    u1 = np.where(np.isfinite(y1[open_]), a @ parameters, -np.inf)
    u2 = np.where(np.isfinite(y2[open_]), b @ parameters, np.inf)
    log_p = log_interval_probability(u1, u2)
    value += float(log_p.sum())
    with np.errstate(invalid="ignore"):
        g1, g2 = (np.exp(-0.5 * v**2 - LOG_2PI / 2 - log_p) for v in (u1, u2))
        h11 = np.where(np.isfinite(u1), u1 * g1, 0.0) - g1**2
        h22 = np.where(np.isfinite(u2), -u2 * g2, 0.0) - g2**2
    gradient += b.T @ g2 - a.T @ g1
    cross = (a * (g1 * g2)[:, None]).T @ b
    hessian += (a * h11[:, None]).T @ a + (b * h22[:, None]).T @ b + cross + cross.T
    return float(value), gradient, hessian


def _maximize(what: str, design: Array, y1: Array, y2: Array) -> tuple[Array, float, Array]:
    """Parameters, value and Hessian at the maximum; the function is concave, so that Newton's method ends there."""

    def at(parameters: Array) -> Quadratic | None:
        if not parameters[-1] > 0:
            return None
        value, gradient, hessian = _log_likelihood(parameters, design, y1, y2)
        return Quadratic(-value, -gradient, -hessian)

    found = minimise(at, np.r_[np.zeros(design.shape[1]), 1.0], tolerance=CONVERGED)
    if not found.converged:
        raise PanelError(
            f"{what}: the likelihood of {len(y1)} values has no clear maximum; report the sample as a defect"
        )
    value, _, hessian = _log_likelihood(found.parameters, design, y1, y2)
    return found.parameters, value, hessian
