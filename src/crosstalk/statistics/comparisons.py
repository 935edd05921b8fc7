"""Analyses of one trial at one time: ANCOVA, responder analyses, and treatment by marker.

Each gives an `Estimate`. Patients without outcome are left out and counted in its note; how a missing score
becomes a non-response is decided before, in `responders`. A prognostic score is a covariate like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri

from crosstalk.errors import UsageError
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.regression import Model, linear, logistic, regress, tabulate

__all__ = [
    "Subgroups",
    "ancova",
    "interaction",
    "marginal_risk_difference",
    "odds_ratio",
    "risk_difference",
    "subgroups",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Subgroups:
    """Effects in marker-negative and marker-positive patients, and their difference, of one model."""

    negative: Estimate
    positive: Estimate
    interaction: Estimate
    """Effect in the positive minus effect in the negative; on the log scale for odds and hazards."""


def ancova(
    outcome: ArrayLike,
    arm: ArrayLike,
    covariates: ArrayLike | None = None,
    *,
    robust: bool = False,
    level: float = 0.95,
) -> Estimate:
    """Adjusted difference of means, arm minus control.

    Parameters
    ----------
    outcome : array, shape (n_patients,)
        Change from baseline or final score; not a number where missing.
    arm : array, shape (n_patients,)
        0 for the control, 1 for the arm.
    covariates : array, shape (n_patients,) or (n_patients, k), optional
        The baseline score and others.
    robust : bool
        HC3 instead of the model-based standard error.
    level : float
        Coverage of the interval.

    Examples
    --------
    >>> from crosstalk.statistics import ancova
    >>> found = ancova([-9, -7, -8, -5, -4, -6], [1, 1, 1, 0, 0, 0])
    >>> round(found.estimate, 6), round(found.p, 4), found.df
    (-3.0, 0.0213, 4.0)
    """
    table, _ = tabulate(outcome, arm, covariates)
    fit = linear(table.outcome, table.design(), robust=robust)
    return fit.effect(np.eye(len(fit.coefficients))[1], table.n, level, table.note)


def odds_ratio(
    response: ArrayLike, arm: ArrayLike, covariates: ArrayLike | None = None, *, level: float = 0.95
) -> Estimate:
    """Logarithm of the odds ratio given the covariates, by logistic regression with Wald interval.

    Parameters
    ----------
    response : array, shape (n_patients,)
        0 or 1; not a number where missing.
    arm, covariates, level
        As for `ancova`.

    Examples
    --------
    >>> from crosstalk.statistics import odds_ratio
    >>> response = [1] * 30 + [0] * 20 + [1] * 20 + [0] * 30
    >>> found = odds_ratio(response, [1] * 50 + [0] * 50)
    >>> [round(x, 2) for x in found.ratio]
    [2.25, 1.01, 5.01]
    """
    table, _ = tabulate(response, arm, covariates)
    fit = logistic(table.outcome, table.design())
    return fit.effect(np.eye(len(fit.coefficients))[1], table.n, level, table.note)


def marginal_risk_difference(
    response: ArrayLike, arm: ArrayLike, covariates: ArrayLike | None = None, *, level: float = 0.95
) -> Estimate:
    """Difference of the response rates, had all patients been in one or the other arm (g-computation).

    A logistic model is fitted, both arms are predicted for every patient, and the predictions are averaged.
    The standard error is that of the delta method with the robust covariance of the coefficients (HC1) and the
    sampling of the covariates, so that it also holds where the model is wrong.

    Parameters
    ----------
    response, arm, covariates, level
        As for `odds_ratio`.

    References
    ----------
    Ge et al. 2011, doi:10.1177/009286151104500409; Ye et al. 2023, doi:10.1080/24754269.2023.2205802; FDA 2023,
    Adjusting for Covariates in Randomized Clinical Trials for Drugs and Biological Products, guidance for industry.

    Examples
    --------
    >>> from crosstalk.statistics import marginal_risk_difference
    >>> response = [1] * 30 + [0] * 20 + [1] * 20 + [0] * 30
    >>> round(marginal_risk_difference(response, [1] * 50 + [0] * 50).estimate, 6)
    0.2
    """
    table, _ = tabulate(response, arm, covariates)
    design = table.design()
    fit = logistic(table.outcome, design)
    if not fit.converged:
        return fit.effect(np.eye(len(fit.coefficients))[1], table.n, level, table.note)
    treated, control = design.copy(), design.copy()
    treated[:, 1], control[:, 1] = 1.0, 0.0
    there, here = expit(treated @ fit.coefficients), expit(control @ fit.coefficients)
    difference = there - here
    slope = (treated.T @ (there * (1 - there)) - control.T @ (here * (1 - here))) / table.n
    rest = table.outcome - expit(design @ fit.coefficients)
    influence = difference - difference.mean() + table.n * rest * (design @ fit.covariance @ slope)
    se = sqrt(float(influence @ influence) / table.n / (table.n - design.shape[1]))
    return wald(float(difference.mean()), se, n=table.n, level=level, note=table.note)


def risk_difference(
    response: ArrayLike,
    arm: ArrayLike,
    *,
    method: Literal["newcombe", "miettinen-nurminen"] = "newcombe",
    level: float = 0.95,
) -> Estimate:
    """Unadjusted difference of the response rates with a score interval.

    The standard error is that of the observed rates. The p-value is that of the score test with the pooled rate,
    with the factor n / (n - 1) of its variance for Miettinen-Nurminen; only this one always agrees with the interval.

    Parameters
    ----------
    response, arm, level
        As for `odds_ratio`.
    method : str
        "newcombe" (Wilson intervals of both arms combined) or "miettinen-nurminen".

    References
    ----------
    Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I;
    Miettinen & Nurminen 1985, doi:10.1002/sim.4780040211.

    Examples
    --------
    >>> from crosstalk.statistics import risk_difference
    >>> found = risk_difference([1] * 56 + [0] * 14 + [1] * 48 + [0] * 32, [1] * 70 + [0] * 80)
    >>> round(found.lower, 4), round(found.upper, 4)
    (0.0524, 0.3339)
    """
    table, _ = tabulate(response, arm)
    if not np.isin(table.outcome, (0.0, 1.0)).all():
        raise UsageError("a response must be 0 or 1")
    if method not in ("newcombe", "miettinen-nurminen"):
        raise UsageError(f"method '{method}' is unknown; expected 'newcombe' or 'miettinen-nurminen'")
    active, control = table.outcome[table.arm == 1], table.outcome[table.arm == 0]
    n1, n0, p1, p0 = len(active), len(control), float(active.mean()), float(control.mean())
    estimate = p1 - p0
    se = sqrt(p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0)
    z = float(-ndtri((1 - level) / 2))
    factor = table.n / (table.n - 1) if method == "miettinen-nurminen" else 1.0

    def statistic(delta: float) -> float:
        if abs(estimate - delta) < 1e-14:
            return 0.0
        q1, q0 = _constrained(p1, p0, n1, n0, delta)
        variance = max(q1 * (1 - q1) / n1 + q0 * (1 - q0) / n0, 0.0) * factor
        return (estimate - delta) / sqrt(variance) if variance > 0 else float(np.sign(estimate - delta)) * np.inf

    if method == "newcombe":
        (low1, high1), (low0, high0) = _wilson(p1, n1, z), _wilson(p0, n0, z)
        lower = estimate - sqrt((p1 - low1) ** 2 + (high0 - p0) ** 2)
        upper = estimate + sqrt((high1 - p1) ** 2 + (p0 - low0) ** 2)
    else:

        def limit(sign: float) -> float:
            edge = -sign * (1 - 1e-12)
            if sign * statistic(edge) <= z:
                return -sign
            inside = (estimate, edge) if abs(estimate - edge) > 1e-12 else (edge, edge)
            if inside[0] == inside[1]:
                return -sign
            reach = 1e6  # keeps the root search finite where the variance vanishes
            return float(brentq(lambda d: max(-reach, min(reach, sign * statistic(d))) - z, *inside, xtol=1e-12))

        lower, upper = limit(1.0), limit(-1.0)
    p = float(2 * ndtr(-abs(statistic(0.0))))
    note = "; ".join(filter(None, (table.note, f"interval of {method}")))
    return Estimate(estimate, se, np.inf, lower, upper, p, table.n, note)


def interaction(
    outcome: ArrayLike,
    arm: ArrayLike,
    marker: ArrayLike,
    covariates: ArrayLike | None = None,
    *,
    model: Model = "linear",
    level: float = 0.95,
) -> Estimate:
    """Change of the effect for each doubling of a marker.

    Parameters
    ----------
    outcome : array, shape (n_patients,), or (n_patients, 2) for "cox"
        Score, response, or time and event.
    arm : array, shape (n_patients,)
        0 for the control, 1 for the arm.
    marker : array, shape (n_patients,)
        Positive concentrations at baseline; logarithms to base 2 are taken here.
    covariates : array, shape (n_patients,) or (n_patients, k), optional
        Further covariates.
    model : str
        "linear", "logistic" (log odds) or "cox" (log hazard).
    level : float
        Coverage of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics import interaction
    >>> rng = np.random.default_rng(2)
    >>> arm, crp = np.arange(200) % 2, np.exp(rng.normal(0.7, 1, 200))
    >>> change = -8 - 1.5 * arm * np.log2(crp) + rng.normal(0, 4, 200)
    >>> interaction(change, arm, crp).p < 0.01
    True
    """
    table, values = tabulate(outcome, arm, covariates, marker)
    if not (values > 0).all():
        raise UsageError(f"a marker must be positive to take its logarithm; the lowest value is {values.min():g}")
    doubled = np.log2(values)
    doubled = doubled - doubled.mean()
    fit = regress(model, table.outcome, table.design(doubled, doubled * table.arm))
    return fit.effect(np.eye(len(fit.coefficients))[3], table.n, level, table.note)


def subgroups(
    outcome: ArrayLike,
    arm: ArrayLike,
    marker: ArrayLike,
    cutoff: float,
    covariates: ArrayLike | None = None,
    *,
    model: Model = "linear",
    level: float = 0.95,
) -> Subgroups:
    """Effects below a cut-off and at or above it, from one model with the interaction.

    Parameters
    ----------
    outcome, arm, marker, covariates, model, level
        As for `interaction`.
    cutoff : float
        Marker-positive are values of at least this, in the unit of the marker.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics.comparisons import subgroups
    >>> arm = np.tile([0, 1], 40)
    >>> crp = np.repeat([1.0, 5.0], 40)
    >>> change = -5.0 - 4.0 * arm * (crp > 3) + np.tile([1.0, 1.0, -1.0, -1.0], 20)
    >>> found = subgroups(change, arm, crp, 3.0)
    >>> round(found.negative.estimate, 9) + 0.0, round(found.positive.estimate, 9)
    (0.0, -4.0)
    """
    table, values = tabulate(outcome, arm, covariates, marker)
    positive = (values >= cutoff).astype(float)
    for side, name in ((0.0, "below"), (1.0, "at or above")):
        if len(np.unique(table.arm[positive == side])) < 2:
            raise UsageError(f"no patients {name} the cut-off {cutoff:g} in one of the arms")
    fit = regress(model, table.outcome, table.design(positive, positive * table.arm))
    rows = np.zeros((3, len(fit.coefficients)))
    rows[0, 1] = rows[1, 1] = rows[1, 3] = rows[2, 3] = 1.0
    numbers = (int((positive == 0).sum()), int(positive.sum()), table.n)
    return Subgroups(*(fit.effect(row, n, level, table.note) for row, n in zip(rows, numbers, strict=True)))


def _wilson(rate: float, n: int, z: float) -> tuple[float, float]:
    centre, spread = rate + z**2 / (2 * n), z * sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return (centre - spread) / (1 + z**2 / n), (centre + spread) / (1 + z**2 / n)


def _constrained(p1: float, p0: float, n1: int, n0: int, delta: float) -> tuple[float, float]:
    """Most likely rates whose difference is delta: the cubic of Miettinen and Nurminen."""
    n, x1, x0 = n1 + n0, p1 * n1, p0 * n0
    l2 = (n1 + 2 * n0) * delta - n - x1 - x0
    l1 = (n0 * delta - n - 2 * x0) * delta + x1 + x0
    l0 = x0 * delta * (1 - delta)
    q = l2**3 / (3 * n) ** 3 - l1 * l2 / (6 * n**2) + l0 / (2 * n)
    size = sqrt(max(l2**2 / (3 * n) ** 2 - l1 / (3 * n), 0.0))
    p = size if q > 0 else -size
    turn = (np.pi + np.arccos(np.clip(q / p**3, -1, 1))) / 3 if p else 0.0
    control = float(np.clip(2 * p * np.cos(turn) - l2 / (3 * n), 0, 1))
    return float(np.clip(control + delta, 0, 1)), control
