"""Group-sequential boundaries: stopping early for efficacy or futility without raising the type I error.

The joint distribution of the standardised statistics at the looks is integrated look by look (Armitage,
McPherson & Rowe 1969, doi:10.2307/2343787; Jennison & Turnbull 1999, ISBN 978-0849303166, chapter 19) with
Gauss-Legendre quadrature. A drift is the expected standardised statistic at full information.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log, log1p, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from crosstalk.errors import UsageError, check_option

__all__ = ["Boundaries", "Kind", "Operation", "Spending", "boundaries", "drift_for_power", "operation"]

Array = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock", "power"]
Kind = Literal["obrien-fleming", "pocock", "spending"]
REACH = 8.5
"""Standard deviations about its mean within which a statistic is integrated; leaves out less than 1e-16."""
PANELS = 256
"""Most panels of the quadrature; enough for looks 0.1 % of the information apart."""
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """A group-sequential design on the scale of the standardised statistic; positive favours the arm."""

    rates: tuple[float, ...]
    """Information at each look as a fraction of the maximum; the last is 1."""
    efficacy: tuple[float, ...]
    """Critical value at each look."""
    futility: tuple[float, ...]
    """Stop for futility below; one for each look but the last, empty without futility."""
    sided: int
    """1, or 2 for symmetrical critical values."""
    alpha: float
    """Type I error, of both sides together if there are two."""
    spent: tuple[float, ...]
    """Type I error spent up to each look."""
    binding: bool = False
    """Whether the critical values rely on stopping for futility."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a design does at one drift."""

    drift: float
    """Expected standardised statistic at full information."""
    rejection: tuple[float, ...]
    """Probability of rejecting at each look, in either direction for a two-sided design."""
    futile: tuple[float, ...]
    """Probability of stopping for futility at each look but the last."""
    power: float
    """Probability of rejecting at any look."""
    expected_information: float
    """Expected information at the end, as a fraction of the maximum."""


def boundaries(
    rates: Sequence[float] = (1.0,),
    *,
    alpha: float = 0.025,
    sided: Literal[1, 2] = 1,
    kind: Kind = "spending",
    spending: Spending = "obrien-fleming",
    gamma: float = 1.0,
    futility: Spending | None = None,
    beta: float = 0.2,
    futility_gamma: float = 1.0,
    binding: bool = False,
) -> Boundaries:
    """Boundaries of a group-sequential design.

    Parameters
    ----------
    rates : sequence of float
        Information at each look as a fraction of the maximum, ascending, the last 1. One look is a fixed design.
    alpha : float
        Type I error; of both sides together if there are two.
    sided : int
        1 or 2.
    kind : str
        "obrien-fleming" (critical values fall with the square root of information), "pocock" (all the same),
        or "spending" (Lan & DeMets 1983, doi:10.1093/biomet/70.3.659).
    spending : str
        Function that spends alpha if `kind` is "spending": "obrien-fleming" and "pocock" approximate these
        designs, "power" spends alpha t^gamma (Kim & DeMets 1987, doi:10.1093/biomet/74.1.149).
    gamma : float
        Exponent of "power".
    futility : str, optional
        Function that spends beta; one-sided designs only.
    beta : float
        Type II error that the futility limits spend.
    futility_gamma : float
        Exponent of "power" for beta.
    binding : bool
        Binding futility limits lower the critical values, and the type I error holds only if they are obeyed.

    Raises
    ------
    UsageError
        An unknown kind or function, rates that do not ascend to 1, error rates outside of (0, 0.5), or futility with
        two sides.

    Examples
    --------
    >>> from crosstalk.statistics.boundaries import boundaries
    >>> [round(c, 3) for c in boundaries((0.5, 1.0)).efficacy]
    [2.963, 1.969]
    """
    check_option("kind", kind, get_args(Kind))
    check_option("spending", spending, get_args(Spending))
    if futility is not None:
        check_option("futility", futility, get_args(Spending))
    times = np.asarray(rates, dtype=float)
    if times.ndim != 1 or not len(times) or times[0] <= 0 or (np.diff(times) <= 0).any() or abs(times[-1] - 1) > 1e-12:
        raise UsageError(f"received information rates {list(rates)}; expected ascending fractions that end with 1")
    if not 0 < alpha < 0.5 or not 0 < beta < 0.5 or sided not in (1, 2):
        raise UsageError(
            f"received alpha {alpha}, beta {beta}, sided {sided}; expected errors in (0, 0.5), 1 or 2 sides"
        )
    if gamma <= 0 or futility_gamma <= 0:
        raise UsageError(f"received exponents {gamma} and {futility_gamma}; a power family needs positive ones")
    if futility is not None and sided == 2:
        raise UsageError("futility limits are available for one-sided designs only; halve alpha and set sided=1")
    one_side = alpha / sided
    if kind != "spending":
        if futility is not None:
            raise UsageError("futility limits need kind='spending'")
        shape = 1 / np.sqrt(times) if kind == "obrien-fleming" else np.ones(len(times))
        constant = brentq(
            lambda c: _walk(times, c * shape, _mirror(c * shape, sided), 0.0)[0].sum() - one_side, 0.5, 9, xtol=1e-12
        )
        efficacy, limits = constant * shape, np.empty(0)
        spent = sided * np.cumsum(_walk(times, efficacy, _mirror(efficacy, sided), 0.0)[0])
    else:
        goal = _spend(spending, one_side, gamma, times)
        spent = sided * goal
        if futility is None:
            efficacy, limits = _efficacy(times, goal, sided), np.empty(0)
        else:
            loss = _spend(futility, beta, futility_gamma, times)
            efficacy, limits = _with_futility(times, goal, loss, binding)
    return Boundaries(
        tuple(times.tolist()),
        tuple(efficacy.tolist()),
        tuple(limits.tolist()),
        sided,
        alpha,
        tuple(spent.tolist()),
        binding,
    )


def operation(design: Boundaries, drift: float) -> Operation:
    """Rejection, futility and expected information at one drift.

    Parameters
    ----------
    design : Boundaries
        Futility limits, if any, are obeyed.
    drift : float
        Expected standardised statistic at full information; 0 under the null hypothesis.

    Examples
    --------
    >>> from crosstalk.statistics.boundaries import boundaries, operation
    >>> round(operation(boundaries((0.5, 1.0), alpha=0.025), 0.0).power, 6)
    0.025
    """
    times, efficacy = np.array(design.rates), np.array(design.efficacy)
    above, below = _walk(times, efficacy, _lower(design), drift)
    rejection = above + below if design.sided == 2 else above
    futile = below[:-1] if design.futility else np.zeros(len(times) - 1)
    stopped = rejection[:-1] + futile
    return Operation(
        drift,
        tuple(rejection.tolist()),
        tuple(futile.tolist()),
        float(rejection.sum()),
        float(1 - stopped @ (1 - times[:-1])),
    )


def drift_for_power(design: Boundaries, power: float) -> float:
    """Drift at which a design reaches a power in the right direction.

    Raises
    ------
    UsageError
        A power that is not between the type I error and 1.
    """
    if not design.alpha < power < 1:
        raise UsageError(f"received power {power}; expected a number between alpha ({design.alpha}) and 1")
    times, efficacy = np.array(design.rates), np.array(design.efficacy)
    lower = _lower(design)
    return float(brentq(lambda drift: _walk(times, efficacy, lower, drift)[0].sum() - power, 0, 20, xtol=1e-10))


def _spend(family: Spending, total: float, gamma: float, times: Array) -> Array:
    """Error spent up to each information time."""
    if family == "obrien-fleming":
        result: Array = 2 * ndtr(ndtri(total / 2) / np.sqrt(times))
    elif family == "pocock":
        result = np.array([total * log1p((exp(1) - 1) * t) for t in times])
    else:
        result = total * times**gamma
    return result


def _lower(design: Boundaries) -> Array:
    if design.futility:
        return np.append(design.futility, -inf)
    return _mirror(np.array(design.efficacy), design.sided)


def _mirror(efficacy: Array, sided: int) -> Array:
    return -efficacy if sided == 2 else np.full(len(efficacy), -inf)


@dataclass(frozen=True, slots=True)
class _Look:
    """Density of the statistic among trials that went on, on quadrature nodes, before the look at `time`."""

    nodes: Array
    mass: Array
    before: float
    time: float
    drift: float

    @classmethod
    def first(cls, time: float, drift: float) -> _Look:
        return cls(np.zeros(1), np.ones(1), 0.0, time, drift)

    def _excess(self, value: float) -> Array:
        step = self.time - self.before
        reached = self.nodes * sqrt(self.before) + self.drift * step
        result: Array = (value * sqrt(self.time) - reached) / sqrt(step)
        return result

    def above(self, value: float) -> float:
        return 0.0 if value == inf else float(self.mass @ ndtr(-self._excess(value)))

    def below(self, value: float) -> float:
        return 0.0 if value == -inf else float(self.mass @ ndtr(self._excess(value)))

    def going_on(self, lower: float, upper: float, time: float) -> _Look:
        """Look at `time`, for trials whose statistic now lies between the limits."""
        centre = self.drift * sqrt(self.time)
        low, high = max(lower, centre - REACH), min(upper, centre + REACH)
        if not low < high:
            return _Look(np.zeros(1), np.zeros(1), self.time, time, self.drift)
        # the narrower of the two kernels that the nodes must resolve, in units of this statistic
        step = self.time - self.before
        width = min(sqrt(step / self.time), sqrt((time - self.time) / self.time), 1.0)
        panels = min(ceil((high - low) / (2 * width)), PANELS)
        edges = np.linspace(low, high, panels + 1)
        nodes = ((edges[1:] + edges[:-1])[:, None] / 2 + (high - low) / (2 * panels) * _POINTS).ravel()
        weights = np.tile(_WEIGHTS, panels) * (high - low) / (2 * panels)
        reached = self.nodes * sqrt(self.before) + self.drift * step
        excess = (nodes[:, None] * sqrt(self.time) - reached) / sqrt(step)
        density = np.exp(-0.5 * excess**2) @ self.mass * sqrt(self.time / step / (2 * np.pi))
        return _Look(nodes, density * weights, self.time, time, self.drift)


def _walk(times: Array, upper: Array, lower: Array, drift: float) -> tuple[Array, Array]:
    """Probabilities of passing the upper and the lower limit at each look."""
    above, below = np.zeros(len(times)), np.zeros(len(times))
    look = _Look.first(float(times[0]), drift)
    for k in range(len(times)):
        above[k], below[k] = look.above(float(upper[k])), look.below(float(lower[k]))
        if k + 1 < len(times):
            look = look.going_on(float(lower[k]), float(upper[k]), float(times[k + 1]))
    return above, below


def _crossing(probability: Callable[[float], float], goal: float, *, rising: bool) -> float:
    """Limit at which a monotone probability reaches its goal; without limit if there is nothing to spend."""
    if goal <= 1e-16:
        return -inf if rising else inf
    if (probability(12.0) if rising else probability(-12.0)) <= goal:
        return 12.0 if rising else -12.0
    return float(brentq(lambda c: log(max(probability(c), 1e-300)) - log(goal), -12, 12, xtol=1e-12))


def _efficacy(times: Array, goal: Array, sided: int) -> Array:
    found = np.zeros(len(times))
    look = _Look.first(float(times[0]), 0.0)
    for k, more in enumerate(np.diff(goal, prepend=0.0)):
        found[k] = _crossing(look.above, float(more), rising=False)
        if k + 1 < len(times):
            look = look.going_on(-found[k] if sided == 2 else -inf, float(found[k]), float(times[k + 1]))
    return found


def _with_futility(times: Array, goal: Array, loss: Array, binding: bool) -> tuple[Array, Array]:
    """Critical values and futility limits that meet at the last look.

    The drift at which they meet is the one that has the wanted power; limits and drift determine each other.
    """
    fixed = None if binding else _efficacy(times, goal, 1)

    def limits(drift: float) -> tuple[Array, Array]:
        upper, lower = np.zeros(len(times)), np.zeros(len(times))
        null, real = _Look.first(float(times[0]), 0.0), _Look.first(float(times[0]), drift)
        alpha, beta = np.diff(goal, prepend=0.0), np.diff(loss, prepend=0.0)
        for k in range(len(times)):
            upper[k] = _crossing(null.above, float(alpha[k]), rising=False) if fixed is None else fixed[k]
            lower[k] = _crossing(real.below, float(beta[k]), rising=True)
            if k + 1 < len(times):
                lower[k] = min(lower[k], upper[k])
                later = float(times[k + 1])
                null = null.going_on(float(lower[k]), float(upper[k]), later)
                real = real.going_on(float(lower[k]), float(upper[k]), later)
        return upper, lower

    def gap(drift: float) -> float:
        upper, lower = limits(drift)
        return float(lower[-1] - upper[-1])

    drift = brentq(gap, 0.5, 12, xtol=1e-10)
    upper, lower = limits(drift)
    return upper, lower[:-1]
