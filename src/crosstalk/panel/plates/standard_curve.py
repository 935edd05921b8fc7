"""A standard curve as fitted: the signal of a concentration, the concentration of a signal, and the limits.

The five-parameter logistic of Gottschalk and Dunn (2005)::

    y(x) = bottom + (top - bottom) * (1 - (1 + (x / midpoint)**slope)**-asymmetry)

with ``slope`` and ``asymmetry`` above 0, so that it rises (or, where ``top`` lies below ``bottom``, falls) all the way.
With ``asymmetry`` 1 it is the four-parameter logistic. ``bottom`` is the signal without analyte.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.panel.plates.dilutions import Suspect

__all__ = [
    "Concentration",
    "Curve",
    "Level",
    "Model",
    "Weighting",
    "log_concentration",
    "logistic",
    "mean_and_derivatives",
    "mean_signal",
    "signal_sd",
    "width_of",
]

Array = NDArray[np.float64]
Model = Literal["4PL", "5PL"]
Weighting = Literal["relative", "observed", "none"]


@dataclass(frozen=True, slots=True)
class Level:
    """One concentration of the standard and how the curve gives it back.

    Attributes
    ----------
    label : str
    expected : float
    n : int
        Wells.
    signal : float
        Their mean.
    found : float, optional
        Mean of the wells' back-calculated concentrations; none where a well lies beyond an asymptote.
    recovery : float, optional [fraction]
        ``found`` over ``expected``.
    cv : float, optional [fraction]
        Of the back-calculated concentrations; none for a single well.
    log_sd : float
        Standard error of the logarithm of a concentration there, read from as many wells.
    accepted : bool
        Recovery within 80 to 120 %, CV and standard error at most 20 %; 75 to 125 % and 25 % at the ends of the range.
    """

    label: str
    expected: float
    n: int
    signal: float
    found: float | None
    recovery: float | None
    cv: float | None
    log_sd: float
    accepted: bool
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Concentration:
    """What a signal means.

    Attributes
    ----------
    value : float, optional
        The concentration times the dilution; where it is censored, the limit times the dilution.
    censored : {"", "left", "right"}
        Below the LLOQ or above the ULOQ.
    log_sd : float, optional
        Standard error on the natural logarithm: the curve's uncertainty (delta method) and the noise of the replicates.
    unclipped : float, optional
        What the curve gives, in or out of the range; none beyond an asymptote.
    """

    value: float | None
    censored: Literal["", "left", "right"]
    log_sd: float | None
    unclipped: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted standard curve.

    Attributes
    ----------
    model : {"4PL", "5PL"}
    bottom, top, midpoint, slope, asymmetry : float
        As in the module's formula; ``midpoint`` in the unit of the standards.
    weighting : {"relative", "observed", "none"}
    covariance : tuple of tuple of float, shape (4, 4) or (5, 5)
        Of bottom and of the natural logarithms of ``|top - bottom|``, midpoint, slope and asymmetry.
    sigma : float
        Residual SD: relative to the signal if weighted, else in signal units.
    df : int
        Its degrees of freedom.
    floor : float
        Signals below it are weighted as if they were as large.
    r2 : float
        Weighted.
    lloq, uloq : float, optional
        The lowest and the highest level that is accepted; none where no two are.
    asymmetry_p : float, optional
        Of the F test for the fifth parameter; none where there are too few levels to ask.
    left_out : tuple of Suspect
        Standards that broke the dilution series.
    """

    model: Model
    bottom: float
    top: float
    midpoint: float
    slope: float
    asymmetry: float
    weighting: Weighting
    covariance: tuple[tuple[float, ...], ...]
    sigma: float
    df: int
    floor: float
    r2: float
    lloq: float | None
    uloq: float | None
    asymmetry_p: float | None
    levels: tuple[Level, ...]
    left_out: tuple[Suspect, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> Array:
        """Bottom and the logarithms of span, midpoint, slope, asymmetry; shape (5,)."""
        span = abs(self.top - self.bottom)
        return np.array([self.bottom, *np.log([span, self.midpoint, self.slope, self.asymmetry])])

    @property
    def rising(self) -> bool:
        """Whether more analyte gives more signal."""
        return self.top > self.bottom

    def signal(self, concentration: Any) -> Array:
        """Signal of a concentration; an array of the same shape."""
        return logistic(concentration, self.bottom, self.top, self.midpoint, self.slope, self.asymmetry)

    def invert(self, signal: float) -> float | None:
        """Concentration of a signal; none at or beyond an asymptote."""
        share = (signal - self.bottom) / (self.top - self.bottom)
        if not 0 < share < 1:
            return None
        u = math.expm1(-math.log1p(-share) / self.asymmetry)
        return self.midpoint * u ** (1 / self.slope) if u > 0 else None

    def concentration(self, signals: Sequence[float], *, dilution: float = 1.0) -> Concentration:
        """Concentration of replicates with its uncertainty.

        Parameters
        ----------
        signals : sequence of float
            Replicates of one sample at one dilution; the curve reads their mean.
        dilution : float
            Factor by which the sample was diluted.
        """
        n, mean = len(signals), float(np.mean(signals))
        found = self.invert(mean)
        if found is None:
            below = (mean <= self.bottom) == self.rising
            return self._beyond("left" if below else "right", None, None, dilution, n)
        log_sd = self.log_sd(found, n)
        if self.lloq is not None and found < self.lloq:
            return self._beyond("left", found, log_sd, dilution, n)
        if self.uloq is not None and found > self.uloq:
            return self._beyond("right", found, log_sd, dilution, n)
        return Concentration(found * dilution, "", log_sd, found * dilution, n)

    def log_sd(self, concentration: float, n: int = 1) -> float:
        """Standard error of the logarithm of a concentration read from the mean of ``n`` replicates.

        Its interval takes the t distribution with `df` degrees of freedom.
        """
        slope, gradient, mean = mean_and_derivatives(np.array([concentration]), self.parameters, self.rising)
        used = gradient[0, : len(self.covariance)]
        curve = float(used @ np.array(self.covariance) @ used)
        noise = (self.sigma * float(signal_sd(mean, self.weighting, self.floor)[0])) ** 2 / n
        return math.sqrt(max(curve, 0.0) + noise) / abs(float(slope[0]))

    def _beyond(
        self, side: Literal["left", "right"], found: float | None, log_sd: float | None, dilution: float, n: int
    ) -> Concentration:
        limit = self.lloq if side == "left" else self.uloq
        unclipped = None if found is None else found * dilution
        return Concentration(None if limit is None else limit * dilution, side, log_sd, unclipped, n)


def logistic(
    concentration: Any, bottom: float, top: float, midpoint: float, slope: float, asymmetry: float = 1.0
) -> Array:
    """Five-parameter logistic; four with ``asymmetry`` 1. The signal at concentration 0 is ``bottom``.

    Examples
    --------
    >>> float(logistic(10.0, 0.0, 100.0, 10.0, 1.0)), float(logistic(0.0, 5.0, 100.0, 10.0, 1.0))
    (50.0, 5.0)
    """
    log_u = slope * (log_concentration(np.asarray(concentration, dtype=float)) - math.log(midpoint))
    share: Array = -np.expm1(-asymmetry * np.logaddexp(0.0, log_u))
    result: Array = bottom + (top - bottom) * share
    return result


def width_of(model: Model) -> int:
    """Number of parameters."""
    return 5 if model == "5PL" else 4


def log_concentration(x: Array) -> Array:
    """Natural logarithm, minus infinity at a concentration of 0."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def mean_signal(x: Array, theta: Array, rising: bool) -> Array:
    """The signal at concentrations, of bottom and the logarithms of span, midpoint, slope and asymmetry."""
    span = np.exp(theta[1]) * (1 if rising else -1)
    log_u = np.exp(theta[3]) * (log_concentration(x) - theta[2])
    result: Array = theta[0] - span * np.expm1(-np.exp(theta[4]) * np.logaddexp(0.0, log_u))
    return result


def mean_and_derivatives(x: Array, theta: Array, rising: bool) -> tuple[Array, Array, Array]:
    """The derivative of `mean_signal` by log x, its Jacobian by the parameters, shape (n, 5), and the mean."""
    span = np.exp(theta[1]) * (1 if rising else -1)
    slope, asymmetry = np.exp(theta[3]), np.exp(theta[4])
    distance = np.where(x > 0, log_concentration(np.where(x > 0, x, 1.0)) - theta[2], 0.0)
    log_u = np.where(x > 0, slope * distance, -np.inf)
    soft = np.logaddexp(0.0, log_u)
    left = np.exp(-asymmetry * soft)  # share of the span that is not yet reached
    by_log_u = span * asymmetry * left * np.exp(log_u - soft)
    jacobian = np.column_stack(
        [np.ones_like(x), span * (1 - left), -slope * by_log_u, slope * distance * by_log_u,
         span * asymmetry * soft * left]
    )  # fmt: skip
    return slope * by_log_u, jacobian, theta[0] + span * (1 - left)


def signal_sd(mean: Array, weighting: Weighting, floor: float, observed: Array | None = None) -> Array:
    """SD of a signal up to a factor; new samples of a fit by readings take the curve for their reading."""
    if weighting == "none":
        return np.ones_like(mean)
    by = observed if weighting == "observed" and observed is not None else mean
    return np.maximum(np.abs(by), floor)
