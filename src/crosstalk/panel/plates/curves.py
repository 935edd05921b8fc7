"""From signal to concentration: logistic standard curves, their limits, and the uncertainty of what is read off them.

References
----------
Gottschalk and Dunn 2005, doi 10.1016/j.ab.2005.04.035: the curve, weighting by a variance function.
Davidian and Haaland 1990, doi 10.1016/0169-7439(90)80074-G: weights from fitted means, not from readings.
ICH M10 (2022), Bioanalytical method validation and study sample analysis, ligand binding assays: the limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PanelError
from crosstalk.panel.plates.dilutions import Standard, Suspect, break_series
from crosstalk.panel.plates.standard_curve import (
    Curve,
    Level,
    Model,
    Weighting,
    mean_and_derivatives,
    mean_signal,
    signal_sd,
    width_of,
)

__all__ = ["fit_curve"]

Array = NDArray[np.float64]

RECOVERY = (0.80, 1.20)  # ICH M10: calibrators of a ligand binding assay within 20 % of nominal
RECOVERY_END = (0.75, 1.25)  # ... and within 25 % at LLOQ and ULOQ
CV, CV_END = 0.20, 0.25  # ICH M10: precision of a ligand binding assay, and at LLOQ and ULOQ
LEVELS_5PL = 6  # ICH M10 asks for six levels above zero; fewer cannot tell asymmetry from noise
P_ASYMMETRY = 0.05  # F test of the fifth parameter: assumed, the usual level
BOUNDS_SLOPE = (0.1, 10.0)  # assumed: steeper or flatter is no immunoassay
BOUNDS_ASYMMETRY = (0.05, 20.0)  # assumed
LARGEST = 1e12  # of a concentration or a signal: a gram in a millilitre has as many picograms
ROUNDS = 100  # of reweighting
STARTS = 5  # of those that lie nearest to the data


def fit_curve(
    standards: Sequence[Standard],
    *,
    model: Model | None = None,
    weighting: Weighting = "relative",
    judge_series: bool = True,
) -> Curve:
    """Fit a standard curve.

    Standards whose expected value breaks the dilution series are left out first and named in ``left_out``.

    Parameters
    ----------
    standards : sequence of Standard
        One a well; a blank has the expected concentration 0.
    model : {"4PL", "5PL"}, optional
        By default the simplest that describes the standards: 4PL, unless there are six levels above zero and either an
        F test at 5 % finds asymmetry or the 5PL gives more levels back within limits.
    weighting : {"relative", "observed", "none"}
        ``relative``: variance as the square of the fitted signal, by iteration, since immunoassays have about the same
        CV over most of their range and readings as weights favour low readings (Davidian and Haaland 1990).
        ``observed``: 1/y^2 of the readings, as most instruments' software. ``none``: least squares.
    judge_series : bool
        Leave out standards that break the dilution series; False to do as software does that does not look.

    Raises
    ------
    PanelError
        If there are too few levels, a value is impossible, or the signals do not change with the concentration.

    Examples
    --------
    >>> from crosstalk.panel.plates.standard_curve import logistic
    >>> x = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]
    >>> y = logistic(x, 20.0, 20000.0, 300.0, 1.1)
    >>> wells = [Standard(f"Standard{i}", "", a, b) for i, (a, b) in enumerate(zip(x, y))]
    >>> curve = fit_curve(wells)
    >>> curve.model, round(curve.midpoint), curve.lloq, curve.uloq
    ('4PL', 300, 1.0, 4096.0)
    """
    for s in standards:
        if not (0 <= s.expected <= LARGEST and abs(s.signal) <= LARGEST):
            raise PanelError(
                f"{s.place or s.label}: standard with expected concentration {s.expected:g} and signal {s.signal:g}; "
                f"expected numbers up to {LARGEST:g}, the concentration 0 or more"
            )
    kept, suspects = break_series(standards) if judge_series else (list(standards), [])
    x = np.array([s.expected for s in kept])
    y = np.array([s.signal for s in kept])
    above = np.unique(x[x > 0])
    need = 5 if model == "5PL" else 4
    if above.size < 4 or np.unique(x).size < need + 1 - (model is None) or x.size <= need:
        raise PanelError(
            f"{above.size} concentrations of the standard above zero; a standard curve needs five, and ICH M10 asks "
            "for six"
        )
    data = _Data(tuple(kept), tuple(suspects), x, y, _rises(x, y), weighting, _floor(x, y, weighting))
    if model is not None:
        return _fitted(data, model)
    four = _fitted(data, "4PL")
    if above.size < LEVELS_5PL or x.size < 7:
        return four
    five = _fitted(data, "5PL")
    p_value = _asymmetry(data, five)
    more = sum(lv.accepted for lv in five.levels) > sum(lv.accepted for lv in four.levels)
    chosen = five if not five.notes and (p_value < P_ASYMMETRY or more) else four
    return replace(chosen, asymmetry_p=p_value)


@dataclass(frozen=True, slots=True)
class _Data:
    """What a fit needs: the standards, as arrays too, and how they are weighted."""

    standards: tuple[Standard, ...]
    left_out: tuple[Suspect, ...]
    x: Array
    y: Array
    rising: bool
    weighting: Weighting
    floor: float


def _fitted(data: _Data, model: Model) -> Curve:
    x, y, width = data.x, data.y, width_of(model)
    theta, jacobian, residual, rounds = _solve(data, width)
    df = x.size - width
    sigma2 = float(residual @ residual) / df
    covariance = sigma2 * np.linalg.pinv(jacobian.T @ jacobian)
    span = math.exp(theta[1]) * (1 if data.rising else -1)
    weights = 1 / signal_sd(mean_signal(x, theta, data.rising), data.weighting, data.floor, y) ** 2
    centre = float(np.average(y, weights=weights))
    curve = Curve(
        model=model,
        bottom=float(theta[0]),
        top=float(theta[0] + span),
        midpoint=math.exp(theta[2]),
        slope=math.exp(theta[3]),
        asymmetry=math.exp(theta[4]),
        weighting=data.weighting,
        covariance=tuple(tuple(float(v) for v in row) for row in covariance),
        sigma=math.sqrt(sigma2),
        df=df,
        floor=data.floor,
        r2=1 - float(residual @ residual) / float(weights @ (y - centre) ** 2),
        lloq=None,
        uloq=None,
        asymmetry_p=None,
        levels=(),
        left_out=data.left_out,
        notes=_notes(theta, model, rounds),
    )
    return _with_limits(curve, data.standards)


def _floor(x: Array, y: Array, weighting: Weighting) -> float:
    """Half the smallest mean signal of a level: where the background was subtracted, blanks are 0 and tell no CV.

    With readings as weights the smallest reading above 0, so that a reading of 0 does not rule the curve.
    """
    if weighting == "observed":
        return float(y[y > 0].min(initial=np.inf)) if np.any(y > 0) else 1.0
    means = np.array([abs(float(np.mean(y[x == level]))) for level in np.unique(x)])
    positive = means[means > 1e-3 * means.max()]
    return 0.5 * float(positive.min()) if positive.size else 1.0


def _rises(x: Array, y: Array) -> bool:
    from scipy.stats import kendalltau

    tau = float(kendalltau(x, y).statistic)
    if not abs(tau) > 0.5:
        raise PanelError(
            f"the signals of the standards do not follow their concentrations (Kendall's tau {tau:.2f}); expected one "
            "direction; were the standards placed as the file says?"
        )
    return tau > 0


def _starts(x: Array, y: Array, rising: bool) -> list[Array]:
    """Starting values: ends of the data, the level half way, and shapes around a plain logistic."""
    levels = np.unique(x)
    means = np.array([float(np.mean(y[x == level])) for level in levels])
    low, high = (means.min(), means.max()) if rising else (means.max(), means.min())
    found = []
    for beyond in (1.05, 2.0, 8.0):
        span = abs(high - low) * beyond
        share = np.abs(means - low) / span
        middle = levels[levels > 0]
        near = middle[np.argmin(np.abs(share[levels > 0] - 0.5))] * (1.0 if beyond < 1.5 else beyond)
        for asymmetry in (0.4, 1.0, 2.5):
            for slope in (0.7, 1.3):
                found.append(np.array([low, *np.log([span, near, slope, asymmetry])]))
    return found


def _solve(data: _Data, width: int) -> tuple[Array, Array, Array, int]:
    """Best fit from several starts, then reweighted until it stands; also its weighted Jacobian and residuals."""
    x, y, rising = data.x, data.y, data.rising
    means = np.array([float(np.mean(y[x == level])) for level in x])
    scale = signal_sd(means, data.weighting, data.floor, y)
    theta, _ = _best(data, scale, width)
    rounds = 0
    while data.weighting == "relative" and rounds < ROUNDS:
        rounds += 1
        scale = signal_sd(mean_signal(x, theta, rising), data.weighting, data.floor)
        renewed, _ = _least_squares(x, y, scale, theta, rising, width)
        change = float(np.max(np.abs(mean_signal(x, renewed, rising) - mean_signal(x, theta, rising)) / scale))
        theta = renewed
        if change < 1e-10:
            break
    _, jacobian, mean = mean_and_derivatives(x, theta, rising)
    scale = signal_sd(mean, data.weighting, data.floor, y)
    return theta, jacobian[:, :width] / scale[:, None], (y - mean) / scale, rounds


def _best(data: _Data, scale: Array, width: int) -> tuple[Array, float]:
    """Least squares from those starting values that lie nearest; its parameters and half its sum of squares."""
    x, y, rising = data.x, data.y, data.rising
    starts = [s for s in _starts(x, y, rising) if width == 5 or s[4] == 0]
    starts.sort(key=lambda s: float(np.sum(((mean_signal(x, s, rising) - y) / scale) ** 2)))
    found = [_least_squares(x, y, scale, s, rising, width) for s in starts[:STARTS]]
    return min(found, key=lambda pair: pair[1])


def _least_squares(x: Array, y: Array, scale: Array, start: Array, rising: bool, width: int) -> tuple[Array, float]:
    from scipy.optimize import least_squares

    span, unit = float(np.ptp(y)), float(np.max(np.abs(y)))
    ends = np.log([x[x > 0].min() * 1e-3, x.max() * 1e4])
    lower = np.array([y.min() - span, math.log(span * 0.5), ends[0], *np.log([BOUNDS_SLOPE[0], BOUNDS_ASYMMETRY[0]])])
    upper = np.array([y.max() + span, math.log(span * 1e3), ends[1], *np.log([BOUNDS_SLOPE[1], BOUNDS_ASYMMETRY[1]])])
    fixed = start[width:]

    def whole(free: Array) -> Array:
        return np.concatenate([free, fixed])

    def residual(free: Array) -> Array:
        result: Array = (mean_signal(x, whole(free), rising) - y) / scale
        return result

    def jacobian(free: Array) -> Array:
        result: Array = mean_and_derivatives(x, whole(free), rising)[1][:, :width] / scale[:, None]
        return result

    begin = np.clip(start, lower + 1e-9, upper - 1e-9)[:width]
    x_scale = np.array([max(0.01 * unit, 1e-12), 1.0, 1.0, 1.0, 1.0])[:width]
    solution = least_squares(
        residual, begin, jac=jacobian, bounds=(lower[:width], upper[:width]), x_scale=x_scale, xtol=1e-13, ftol=1e-14,
        gtol=1e-14, max_nfev=2000,
    )  # fmt: skip
    return whole(solution.x), float(solution.cost)


def _asymmetry(data: _Data, five: Curve) -> float:
    """P value of the F test for the fifth parameter, with the weights of the 5PL for both models."""
    from scipy.stats import f as f_distribution

    mean = five.signal(data.x)
    scale = signal_sd(mean, data.weighting, data.floor, data.y)
    full, reduced = float(np.sum(((data.y - mean) / scale) ** 2)), 2 * _best(data, scale, 4)[1]
    gain = reduced - full
    if gain <= 1e-9 * reduced or gain < 1e-16 * data.x.size:  # nothing, or less than rounding
        return 1.0
    return float(f_distribution.sf(gain / (full / five.df), 1, five.df)) if full > 0 else 0.0


def _notes(theta: Array, model: Model, rounds: int) -> tuple[str, ...]:
    found = []
    for name, value, (low, high) in (
        ("slope", theta[3], BOUNDS_SLOPE),
        ("asymmetry", theta[4], BOUNDS_ASYMMETRY),
    ):
        if (name == "slope" or model == "5PL") and not math.log(low) + 1e-6 < value < math.log(high) - 1e-6:
            found.append(f"the {name} stands at its bound ({math.exp(value):g}); the standards do not determine it")
    if rounds >= ROUNDS:
        found.append(f"the weights had not settled after {ROUNDS} rounds")
    return tuple(found)


def _with_limits(curve: Curve, standards: Sequence[Standard]) -> Curve:
    """Recovery and CV of each level, and from them the LLOQ and the ULOQ."""
    groups: dict[float, list[Standard]] = {}
    for s in standards:
        groups.setdefault(s.expected, []).append(s)
    levels = [_level(curve, x, wells) for x, wells in sorted(groups.items()) if x > 0]
    ends = [lv for lv in levels if _fits(lv, RECOVERY_END, CV_END)]
    if len(ends) < 2:
        return replace(curve, levels=tuple(levels))
    lloq, uloq = ends[0].expected, ends[-1].expected
    judged = tuple(
        replace(lv, accepted=_fits(lv, RECOVERY_END, CV_END) if lv.expected in (lloq, uloq) else lv.accepted)
        for lv in levels
    )
    return replace(curve, levels=judged, lloq=lloq, uloq=uloq)


def _level(curve: Curve, expected: float, wells: Sequence[Standard]) -> Level:
    signals = [w.signal for w in wells]
    values = [curve.invert(s) for s in signals]
    numbers = [v for v in values if v is not None]
    found = float(np.mean(numbers)) if numbers and len(numbers) == len(values) else None
    cv = float(np.std(numbers, ddof=1)) / found if found and len(numbers) > 1 else None
    log_sd = curve.log_sd(expected, len(wells))
    recovery = found / expected if found is not None else None
    places = tuple(w.place for w in wells)
    level = Level(
        wells[0].label, expected, len(wells), float(np.mean(signals)), found, recovery, cv, log_sd, False, places
    )
    return replace(level, accepted=_fits(level, RECOVERY, CV))


def _fits(level: Level, recovery: tuple[float, float], cv: float) -> bool:
    within = level.recovery is not None and recovery[0] <= level.recovery <= recovery[1]
    return within and (level.cv or 0.0) <= cv and level.log_sd <= cv
