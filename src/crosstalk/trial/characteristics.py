"""Operating characteristics of a trial: power, error, bias, coverage, each with its Monte-Carlo error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from crosstalk.study.design import Analysis, Design
from crosstalk.trial.analyse import favours
from crosstalk.trial.replicates import Replicates

__all__ = [
    "AnalysisCharacteristics",
    "Assurance",
    "Value",
    "analysis_characteristics",
    "assurance",
    "counted",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """A mean over simulated trials with its Monte-Carlo standard error."""

    value: float
    se: float


@dataclass(frozen=True, slots=True)
class AnalysisCharacteristics:
    """How one analysis of a design performs in the typical world, whose true effect is the median of all.

    ``power`` is the share of trials that find the arm better at the level of the analysis, after the adjustment for
    multiplicity; ``effect`` the mean estimate, ``truth`` what an endless trial would find, ``bias`` their difference
    and ``coverage`` the share of intervals that hold it; ``type_i_error`` the share that rejects, in either direction,
    where no drug does anything (an adaptive enrichment tests one direction at half the level). ``failed`` is the share
    of trials in which the analysis could not be done; it counts as not significant.
    """

    id: str
    method: str
    of: str
    week: float
    arm: str
    versus: str
    part: str
    estimand: str
    confirmatory: bool
    power: Value
    effect: Value
    standard_error: float
    truth: float
    bias: Value
    coverage: Value
    type_i_error: Value
    coverage_of_no_effect: Value
    failed: float


@dataclass(frozen=True, slots=True)
class Assurance:
    """Probability of success where the knowledge is uncertain.

    ``probability`` averages over the possible worlds. ``power_lo90 .. power_hi90`` is how the power differs between
    them, from each world's true effect and the standard error of a trial (normal approximation); ``knowledge_sd`` is
    the SD of the power between worlds without the chance of the simulation.
    """

    probability: Value
    power_median: float
    power_lo90: float
    power_hi90: float
    knowledge_sd: float
    effect_median: float
    effect_lo90: float
    effect_hi90: float
    chance_of_benefit: float
    worlds: int
    worlds_without_patients: int = 0


def counted(values: Array) -> Value:
    """Mean of what is finite, with its standard error.

    Examples
    --------
    >>> import numpy as np
    >>> counted(np.array([0.0, 1.0, 1.0, 0.0]))
    Value(value=0.5, se=0.25)
    """
    known = values[np.isfinite(values)]
    n = len(known)
    if n == 0:
        return Value(float("nan"), float("nan"))
    mean = float(known.mean())
    if np.isin(known, (0.0, 1.0)).all():
        # binomial, about (x + 1/2) / (n + 1), so that it is not zero where no or every trial succeeds
        share = (known.sum() + 0.5) / (n + 1)
        return Value(mean, sqrt(share * (1 - share) / n))
    return Value(mean, float(known.std(ddof=1)) / sqrt(n) if n > 1 else float("nan"))


def successes(analysis: Analysis, runs: Replicates) -> Array:
    """1 for each trial that finds the arm better, 0 for the others."""
    better = favours(analysis, runs.column("estimate", analysis.id))
    return np.asarray((runs.column("adjusted", analysis.id) < analysis.alpha) & better, dtype=np.float64)


def analysis_characteristics(
    design: Design, truth: Mapping[str, float], runs: Replicates, null: Replicates | None
) -> tuple[AnalysisCharacteristics, ...]:
    """Characteristics of every analysis of a design.

    Parameters
    ----------
    truth : mapping of str to float
        True effect by analysis, see `crosstalk.trial.truth`.
    runs : Replicates
        Trials in the typical world.
    null : Replicates, optional
        Trials in which no drug does anything.
    """
    nothing = Value(float("nan"), float("nan"))
    found = []
    for a in design.analyses:
        estimate, true = runs.column("estimate", a.id), truth[a.id]
        lower, upper = runs.column("lower", a.id), runs.column("upper", a.id)
        done = np.isfinite(estimate)
        held = (
            np.where(done, (lower <= true) & (true <= upper), np.nan)
            if np.isfinite(true)
            else np.full(len(runs), np.nan)
        )
        error, no_effect = nothing, nothing
        if null is not None:
            error = counted((null.column("adjusted", a.id) < a.alpha).astype(np.float64))
            inside = (null.column("lower", a.id) <= 0) & (null.column("upper", a.id) >= 0)
            no_effect = counted(np.where(np.isfinite(null.column("estimate", a.id)), inside, np.nan))
        effect = counted(estimate)
        found.append(
            AnalysisCharacteristics(
                a.id, a.method, a.of, a.time_h / 168.0, a.arm, a.versus, a.part, a.strategy, a.confirmatory,
                counted(successes(a, runs)), effect, counted(runs.column("se", a.id)).value,
                true, Value(effect.value - true, effect.se), counted(held.astype(np.float64)), error, no_effect,
                float(1 - done.mean()),
            )
        )  # fmt: skip
    return tuple(found)


def assurance(analysis: Analysis, truths: Sequence[float], runs: Replicates, *, nobody: int = 0) -> Assurance:
    """Probability of success of one analysis over the possible worlds.

    The Monte-Carlo error is that of a sample of worlds, so it holds both which worlds were drawn and the chance within
    them.

    Parameters
    ----------
    truths : sequence of float, length n_worlds
        True effect in each world.
    runs : Replicates
        Trials spread over these worlds, at least two in each.
    nobody : int
        Further worlds in which too few patients can be recruited; there a trial has no success.
    """
    won, se = successes(analysis, runs), runs.column("se", analysis.id)
    places = [runs.world == w for w in range(len(truths))]
    shares = np.array([won[p].mean() for p in places] + [0.0] * nobody)
    chance = np.array([won[p].var(ddof=1) / p.sum() for p in places] + [0.0] * nobody)
    n = len(shares)
    spread = float(shares.var(ddof=1)) if n > 1 else 0.0
    error = sqrt(spread / n) if n > 1 else counted(won).se
    effects = np.asarray(truths, dtype=np.float64)
    errors = np.array([counted(se[p]).value for p in places])
    sign = 1.0 if favours(analysis, np.array([1.0]))[0] else -1.0
    power = np.concatenate([ndtr(sign * effects / errors - ndtri(1 - analysis.alpha / 2)), np.zeros(nobody)])
    power, effects = power[np.isfinite(power)], effects[np.isfinite(effects)]
    quantiles = [np.quantile(v, (0.05, 0.5, 0.95)).tolist() if len(v) else [float("nan")] * 3 for v in (power, effects)]
    (p_lo, p_mid, p_hi), (e_lo, e_mid, e_hi) = quantiles
    return Assurance(
        Value(float(shares.mean()), error), p_mid, p_lo, p_hi, sqrt(max(spread - float(chance.mean()), 0.0)),
        e_mid, e_lo, e_hi, counted(favours(analysis, effects).astype(np.float64)).value, n, nobody,
    )  # fmt: skip
