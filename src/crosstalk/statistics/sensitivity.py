"""What an analysis says under other assumptions on the missing: imputed data analysed by ANCOVA and put together.

Sources: Rubin 1987, doi:10.1002/9780470316696; Barnard & Rubin 1999, doi:10.1093/biomet/86.4.948 (degrees of freedom);
Wolbers et al. 2022, doi:10.1002/pst.2234 (jackknife of conditional means); Lu 2021, doi:10.1080/19466315.2020.1736616
(information-anchored variance); Permutt 2016, doi:10.1002/sim.6753 (tipping points).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import UsageError, check_level, check_option
from crosstalk.statistics.columns import columns_of
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.imputation import pool
from crosstalk.statistics.missing_visits import Draw, ImputationModel, Strategy

__all__ = ["Imputed", "Inference", "Tipping", "impute", "jackknife", "rubin", "tipping_point"]

Array = NDArray[np.floating[Any]]
Inference = Literal["frequentist", "information-anchored"]


@dataclass(frozen=True, slots=True)
class Imputed:
    """Outcomes at one visit with the missing imputed, and the model that they are analysed by."""

    outcome: Array
    """Shape (imputations, n_patients)."""
    missing: NDArray[np.bool_]
    """Shape (n_patients,)."""
    arm: NDArray[np.intp]
    covariates: Array
    """Shape (n_patients, k)."""

    def design(self) -> Array:
        """Intercept, arms, covariates, shape (n_patients, p)."""
        arms = self.arm[:, None] == np.arange(1, int(self.arm.max()) + 1)
        return np.column_stack([np.ones(len(self.arm)), arms, self.covariates])


def impute(
    model: ImputationModel,
    strategy: Strategy,
    *,
    visit: int = -1,
    imputations: int = 100,
    covariates: ArrayLike | None = None,
    seed: int = 1,
    draws: Sequence[Draw] | None = None,
) -> Imputed:
    """Multiply imputed outcomes of one visit.

    Parameters
    ----------
    model : ImputationModel
    strategy : str
        "MAR", "J2R" (jump to reference), "CIR" (copy increments from reference) or "CR" (copy reference); the reference
        is the control.
    visit : int
        Counted from 0; -1 is the last.
    imputations : int
        Draws; the same seed gives the same parameters to every strategy.
    covariates : array, shape (n_patients,) or (n_patients, k), optional
        Of the analysis; those of the model by default.
    draws : sequence of Draw, optional
        Parameters that were drawn before, in place of ``imputations`` of them.
    """
    if imputations < 2:
        raise UsageError(f"received {imputations} imputations; expected at least 2, and 100 for a result to keep")
    adjust = model.covariates if covariates is None else columns_of(covariates, "covariates", len(model.arm))[0]
    parameters = model.draws(imputations, np.random.default_rng([seed, 1])) if draws is None else draws
    rng = np.random.default_rng([seed, 2])
    values = np.array([model.complete(draw, strategy, rng)[:, visit] for draw in parameters])
    return Imputed(values, ~np.isfinite(model.outcome[:, visit]), model.arm, adjust)


def rubin(imputed: Imputed, *, arm: int = 1, level: float = 0.95, delta: float = 0.0) -> Estimate:
    """Adjusted difference of an arm to the control, over imputations by Rubin's rules.

    Parameters
    ----------
    delta : float
        Added to what was imputed in the arm.
    """
    check_level(level)
    design = imputed.design()
    shifted = imputed.outcome + delta * (imputed.missing & (imputed.arm == arm))
    bread = np.linalg.inv(design.T @ design)
    coefficients = shifted @ design @ bread
    df = len(design) - design.shape[1]
    variances = ((shifted - coefficients @ design.T) ** 2).sum(axis=1) / df * bread[arm, arm]
    pooled = pool(coefficients[:, arm], variances, residual_df=df)
    missing = 1 - variances.mean() / pooled.se**2
    note = f"{pooled.m} imputations; {100 * missing:.0f} % of the variance is by what is missing"
    return wald(pooled.value, pooled.se, df=pooled.df, n=len(design), level=level, note=note)


def jackknife(
    model: ImputationModel,
    strategies: tuple[Strategy, ...],
    *,
    visit: int = -1,
    covariates: ArrayLike | None = None,
    inference: Inference = "frequentist",
    arm: int = 1,
    level: float = 0.95,
) -> dict[Strategy, Estimate]:
    """Adjusted difference after imputing conditional means, with the standard error of leaving out each patient.

    No chance is in it. The frequentist standard error is that of repeated trials, in which the strategy holds;
    the information-anchored one keeps the imputations' distance to those at random as it is, and is near that of Rubin.

    Parameters
    ----------
    strategies : tuple of str
        As for `impute`; all are computed of the same fits.
    """
    check_option("inference", inference, get_args(Inference))
    check_level(level)
    adjust = model.covariates if covariates is None else columns_of(covariates, "covariates", len(model.arm))[0]
    names: tuple[Strategy, ...] = tuple(dict.fromkeys(strategies))
    base = model.complete(model.best, "MAR")[:, visit]
    whole = {s: model.complete(model.best, s)[:, visit] for s in names}
    n = len(model.arm)
    left_out: dict[Strategy, list[float]] = {s: [] for s in names}
    for patient in range(n):
        kept = np.arange(n) != patient
        other = model.without(patient)
        for s in names:
            if inference == "frequentist":
                values = other.complete(other.best, s)[:, visit]
            else:
                values = other.complete(other.best, "MAR")[:, visit] + (whole[s] - base)[kept]
            left_out[s].append(_effect(values, model.arm[kept], adjust[kept], arm))
    found = {}
    for s in names:
        each = np.array(left_out[s])
        se = float(np.sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum()))
        note = f"conditional means, jackknife over patients, {inference}"
        found[s] = wald(_effect(whole[s], model.arm, adjust, arm), se, n=n, level=level, note=note)
    return found


def _effect(values: Array, arm: NDArray[np.intp], covariates: Array, which: int) -> float:
    design = Imputed(values[None], np.zeros(len(arm), dtype=bool), arm, covariates).design()
    return float(np.linalg.lstsq(design, values, rcond=None)[0][which])


@dataclass(frozen=True, slots=True)
class Tipping:
    """How the result moves as what was imputed in the arm is made worse."""

    deltas: tuple[float, ...]
    effects: tuple[Estimate, ...]
    tips: float | None
    """The least delta at which the result is no longer significant; None if it never was, or none of those tried."""


def tipping_point(imputed: Imputed, *, most: float, arm: int = 1, steps: int = 21, level: float = 0.95) -> Tipping:
    """Find the delta, added to what was imputed in the arm, at which the result is no longer significant.

    Parameters
    ----------
    imputed : Imputed
        At random (MAR) as a rule.
    most : float
        The largest delta tried, in points of the outcome; below 0 where lower is worse.
    steps : int
        Deltas from 0 on, evenly spaced; the tipping point is then found between two of them.
    """
    if most == 0 or steps < 2:
        raise UsageError(
            f"received most {most:g} and {steps} steps; expected a delta other than 0 and at least 2 steps"
        )
    deltas = np.linspace(0.0, most, steps)
    found = [rubin(imputed, arm=arm, level=level, delta=float(d)) for d in deltas]
    lost = [k for k, e in enumerate(found) if not e.p < 1 - level]
    tips = None
    if lost and lost[0] > 0:
        low, high = deltas[lost[0] - 1], deltas[lost[0]]
        for _ in range(50):
            middle = (low + high) / 2
            significant = rubin(imputed, arm=arm, level=level, delta=float(middle)).p < 1 - level
            low, high = (middle, high) if significant else (low, middle)
        tips = float(high)
    return Tipping(tuple(map(float, deltas)), tuple(found), tips)
