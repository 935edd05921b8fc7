"""Does a treatment help some more than others, and can they be told beforehand? Judged on people not seen.

The treatment must be randomised. Each person gets a doubly robust score, an unbiased though noisy measurement of the
own benefit. A benefit model, fitted on other people, ranks the patients; then

- the rank-weighted average treatment effect (RATE) asks whether those ranked first benefit more (AUTOC: the area under
  the targeting operator characteristic, TOC);
- the calibration of predicted benefit regresses the scores on the predictions (1 is right, 0 is noise);
- the best linear projection regresses the scores on baseline columns, with errors of type HC3;
- the policy value is the mean outcome if those with predicted benefit were treated.

The test of heterogeneity trains on the folds before and judges the fold after (sequential validation), since
cross-fitted ranks are not independent of the scores of the fold that they rank. "No evidence of heterogeneity" is an
answer.

References
----------
RATE: Yadlowsky et al. 2025, doi 10.1080/01621459.2024.2393466. Sequential validation: Wager 2024, arXiv 2412.07031.
Best linear projection: Semenova and Chernozhukov 2021, doi 10.1093/ectj/utaa027. HC3: MacKinnon and White 1985, doi
10.1016/0304-4076(85)90158-7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from crosstalk.errors import LearnError, check_option
from crosstalk.statistics.estimates import Z95
from crosstalk.statistics.metrics import Measure

__all__ = [
    "Heterogeneity",
    "Term",
    "doubly_robust",
    "judge_benefit",
    "linear_projection",
    "policy_value",
    "rate",
    "toc",
]

Array = NDArray[np.float64]
HALF_SAMPLES = 200
LEAST_ARM = 50  # people per arm below which nothing is said (assumed)
GRID = tuple(np.round(np.arange(0.1, 1.01, 0.1), 1).tolist())
Target = Literal["AUTOC", "QINI"]


@dataclass(frozen=True, slots=True)
class Term:
    """One coefficient of a linear projection."""

    name: str
    estimate: Measure
    p: float


@dataclass(frozen=True)
class Heterogeneity:
    """What is known of who benefits.

    Attributes
    ----------
    average : Measure
        Average effect of the treatment, doubly robust, in the outcome's unit; above 0 is benefit.
    rate : Measure
        AUTOC, mean over the folds that were judged after.
    p : float
        One-sided, of the null hypothesis that the ranking is of no use.
    evidence : bool
        p below 0.05.
    calibration : Measure
        Slope of the scores on predicted benefit; 1 is right.
    projection : tuple of Term
        Per standard deviation of each baseline column.
    toc : tuple of (share, Measure)
        Excess benefit of the share ranked first; out of fold, to look at.
    policy, everybody, nobody : Measure
        Mean outcome, benefit upwards: treating the predicted to benefit, all, none.
    gain : Measure
        Policy less the better of all and none.
    conclusion : str
    """

    treated: int
    controls: int
    average: Measure
    rate: Measure
    p: float
    evidence: bool
    calibration: Measure
    projection: tuple[Term, ...]
    toc: tuple[tuple[float, Measure], ...]
    policy: Measure
    everybody: Measure
    nobody: Measure
    gain: Measure
    conclusion: str


def doubly_robust(
    y: ArrayLike, arm: ArrayLike, share: ArrayLike | float, treated: ArrayLike, control: ArrayLike
) -> Array:
    """Doubly robust (AIPW) scores of benefit.

    Parameters
    ----------
    y, arm : array, shape (n,)
        Outcome, and 1 for the treated.
    share : float or array, shape (n,)
        Probability of treatment, by randomisation.
    treated, control : array, shape (n,)
        Expected outcomes under either arm, by models of other people.

    Examples
    --------
    >>> doubly_robust([3.0, 1.0], [1, 0], 0.5, [2.0, 2.0], [1.0, 1.0]).tolist()
    [3.0, 1.0]
    """
    out, w, e = (np.asarray(a, dtype=float) for a in (y, arm, share))
    high, low = np.asarray(treated, dtype=float), np.asarray(control, dtype=float)
    if not ((e > 0) & (e < 1)).all():
        raise LearnError("a probability of treatment is 0 or 1; the other arm says nothing of these people")
    return np.asarray(high - low + w / e * (out - high) - (1 - w) / (1 - e) * (out - low), dtype=float)


def toc(scores: ArrayLike, priority: ArrayLike) -> Array:
    """Excess of the mean score of the first k over the mean of all, for k = 1 to n; ties share their mean."""
    gamma, order = np.asarray(scores, dtype=float), np.argsort(-np.asarray(priority, dtype=float), kind="stable")
    _, tied, counts = np.unique(-np.asarray(priority, dtype=float), return_inverse=True, return_counts=True)
    averaged = (np.bincount(tied, gamma) / counts)[tied][order]
    return np.asarray(np.cumsum(averaged) / np.arange(1, len(gamma) + 1) - gamma.mean(), dtype=float)


def rate(scores: ArrayLike, priority: ArrayLike, *, target: Target = "AUTOC", seed: int = 1) -> Measure:
    """Rank-weighted average treatment effect with the half-sample bootstrap's standard error, as R's grf has it.

    Parameters
    ----------
    scores : array, shape (n,)
        Doubly robust scores of people that the ranking has not seen.
    priority : array, shape (n,)
        Predicted benefit; the highest is treated first.
    target : {"AUTOC", "QINI"}
        Mean of the TOC, or of the TOC times the share treated.

    Raises
    ------
    LearnError
        With fewer than 10 people.

    Examples
    --------
    >>> round(rate([4.0, 3, 2, 1, 0, 1, 2, 3, 4, 5], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).value, 4)
    0.0413
    """
    check_option("target", target, get_args(Target))
    gamma, rank = np.asarray(scores, dtype=float), np.asarray(priority, dtype=float)
    n = len(gamma)
    if rank.shape != gamma.shape or gamma.ndim != 1 or not np.isfinite([gamma, rank]).all():
        raise LearnError(f"received scores {gamma.shape} and priorities {rank.shape}; expected a finite one of each")
    if n < 10:
        raise LearnError(f"{n} people; a RATE needs 10 or more")

    def value(rows: NDArray[np.intp]) -> float:
        curve = toc(gamma[rows], rank[rows])
        if target == "QINI":
            curve = curve * np.arange(1, len(rows) + 1) / len(rows)
        return float(curve.mean())

    rng = np.random.default_rng(seed)
    halves = [value(rng.choice(n, n // 2, replace=False)) for _ in range(HALF_SAMPLES)]
    found, se = value(np.arange(n)), float(np.std(halves, ddof=1))
    return Measure(found, se, found - Z95 * se, found + Z95 * se, n)


def linear_projection(scores: ArrayLike, columns: ArrayLike, names: Sequence[str]) -> tuple[Term, ...]:
    """Least squares of doubly robust scores on columns, with HC3 errors; an intercept is added and comes first.

    Parameters
    ----------
    scores : array, shape (n,)
    columns : array, shape (n, k)
    names : sequence of str, length k
    """
    gamma, x = np.asarray(scores, dtype=float), np.asarray(columns, dtype=float)
    design = np.column_stack([np.ones(len(gamma)), x])
    if len(gamma) < 3 * design.shape[1]:
        raise LearnError(f"{len(gamma)} people cannot carry a projection on {x.shape[1]} columns")
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ gamma
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    weight = ((gamma - design @ beta) / np.maximum(1 - leverage, 1e-9)) ** 2
    se = np.sqrt(np.diag(inverse @ ((design * weight[:, None]).T @ design) @ inverse))
    rows = []
    for name, b, s in zip(("average", *names), beta, se, strict=True):
        p = float(2 * norm.sf(abs(b / s))) if s > 0 else nan
        rows.append(Term(name, Measure(float(b), float(s), float(b - Z95 * s), float(b + Z95 * s), len(gamma)), p))
    return tuple(rows)


def policy_value(y: ArrayLike, arm: ArrayLike, share: ArrayLike | float, treated: ArrayLike, control: ArrayLike,
                 treat: ArrayLike) -> Array:  # fmt: skip
    """Doubly robust measurement of each person's outcome under a policy; its mean is the policy's value.

    Parameters
    ----------
    treat : array of bool, shape (n,)
        Whom the policy treats. Others as for `doubly_robust`.
    """
    out, w, e = (np.asarray(a, dtype=float) for a in (y, arm, share))
    high, low = np.asarray(treated, dtype=float), np.asarray(control, dtype=float)
    under_treatment = high + w / e * (out - high)
    under_control = low + (1 - w) / (1 - e) * (out - low)
    return np.asarray(np.where(np.asarray(treat, dtype=bool), under_treatment, under_control), dtype=float)


def judge_benefit(
    y: ArrayLike,
    arm: ArrayLike,
    fit: Callable[[NDArray[np.intp], NDArray[np.intp]], tuple[Array, Array, Array]],
    folds: Sequence[NDArray[np.intp]],
    columns: Mapping[str, Array] | None = None,
    *,
    unit: str = "",
    seed: int = 1,
) -> Heterogeneity:
    """Judge a way to predict benefit in a randomised trial.

    Parameters
    ----------
    y : array, shape (n,)
        Outcome, benefit upwards.
    arm : array, shape (n,)
        1 for the treated.
    fit : callable
        Takes training rows and other rows; gives for the latter the predicted benefit and the expected outcomes under
        treatment and control, by models of the training rows alone.
    folds : sequence of arrays of rows
        Parts of the people; families together.
    columns : mapping of str to array, optional
        Baseline columns of the linear projection.
    unit : str
        Of the outcome, for the words.

    Raises
    ------
    LearnError
        With fewer than 50 people in an arm.
    """
    out, w = np.asarray(y, dtype=float), np.asarray(arm, dtype=float)
    counts = int(w.sum()), int((1 - w).sum())
    if min(counts) < LEAST_ARM:
        raise LearnError(
            f"{counts[0]} treated and {counts[1]} controls; with fewer than {LEAST_ARM} in an arm nothing can be said "
            "of who benefits"
        )
    share = float(w.mean())
    everyone = np.arange(len(out))
    benefit, high, low = np.empty(len(out)), np.empty(len(out)), np.empty(len(out))
    for part in folds:
        benefit[part], high[part], low[part] = fit(np.setdiff1d(everyone, part), part)
    gamma = doubly_robust(out, w, share, high, low)
    z, values = [], []
    for k in range(1, len(folds)):
        train, part = np.concatenate(folds[:k]), folds[k]
        if min(w[train].sum(), (1 - w[train]).sum()) < 10 or len(part) < 10:
            continue
        b, hi, lo = fit(train, part)
        found = rate(doubly_robust(out[part], w[part], share, hi, lo), b, seed=seed + k)
        if found.se > 0:
            z.append(found.value / found.se)
            values.append((found.value, found.se))
    if not z:
        raise LearnError("no fold could be judged; predicted benefit does not vary")
    value = float(np.mean([v for v, _ in values]))
    se = sqrt(sum(s**2 for _, s in values)) / len(values)
    p = float(norm.sf(sum(z) / sqrt(len(z))))
    treat = benefit > 0
    values_of = {name: policy_value(out, w, share, high, low, np.broadcast_to(whom, out.shape))
                 for name, whom in (("policy", treat), ("all", True), ("none", False))}  # fmt: skip
    best = values_of["all"] if values_of["all"].mean() >= values_of["none"].mean() else values_of["none"]
    gain = _mean(values_of["policy"] - best)
    slope = _calibration(gamma, benefit)
    average = _mean(gamma)
    evidence = p < 0.05
    curve = toc(gamma, benefit)
    points = tuple(
        (q, _toc_point(gamma, benefit, float(curve[max(int(np.ceil(q * len(gamma))) - 1, 0)]), q)) for q in GRID
    )
    projection: tuple[Term, ...] = ()
    if columns:
        x = np.column_stack([_scaled(v) for v in columns.values()])
        if len(out) >= 3 * (x.shape[1] + 1):
            projection = linear_projection(gamma, x, list(columns))
    found = Measure(value, se, value - Z95 * se, value + Z95 * se, len(out))
    return Heterogeneity(
        *counts, average, found, p, evidence, slope, projection, points, _mean(values_of["policy"]),
        _mean(values_of["all"]), _mean(values_of["none"]), gain, _words(evidence, found, p, gain, average, unit),
    )  # fmt: skip


def _scaled(values: Array) -> Array:
    filled = np.where(np.isnan(values), np.nanmedian(values), values)
    spread = filled.std()
    return np.asarray((filled - filled.mean()) / (spread if spread > 0 else 1.0), dtype=float)


def _mean(values: Array) -> Measure:
    se = float(values.std(ddof=1) / sqrt(len(values)))
    value = float(values.mean())
    return Measure(value, se, value - Z95 * se, value + Z95 * se, len(values))


def _calibration(gamma: Array, benefit: Array) -> Measure:
    if np.ptp(benefit) < 1e-12:
        return Measure(nan, nan, nan, nan, len(gamma))
    return linear_projection(gamma, (benefit - benefit.mean())[:, None], ["benefit"])[1].estimate


def _toc_point(gamma: Array, benefit: Array, value: float, q: float) -> Measure:
    """A point of the TOC with the error of a difference of means of fixed groups."""
    k = max(int(np.ceil(q * len(gamma))), 1)
    chosen = np.zeros(len(gamma))
    chosen[np.argsort(-benefit, kind="stable")[:k]] = 1
    influence = (gamma - gamma.mean()) * (chosen * len(gamma) / k - 1)
    se = float(influence.std(ddof=1) / sqrt(len(gamma)))
    return Measure(value, se, value - Z95 * se, value + Z95 * se, len(gamma))


def _words(evidence: bool, found: Measure, p: float, gain: Measure, average: Measure, unit: str) -> str:
    of = f" {unit}" if unit else ""
    mean = f"The average effect is {average.value:.3g}{of} ({average.low:.3g} to {average.high:.3g}, benefit above 0)."
    if not evidence:
        return (
            f"No evidence of heterogeneity: a ranking by predicted benefit does no better than chance on people not "
            f"seen (RATE {found.value:.3g}, p = {p:.2g}). That is no proof that all benefit alike. {mean}"
        )
    pays = (
        "a policy that treats by it does better than treating all or none"
        if gain.low > 0
        else ("but no evidence that treating by it does better than treating all or none")
    )
    return (
        f"Evidence of heterogeneity: those ranked first benefit more, on people not seen (RATE {found.value:.3g}, "
        f"p = {p:.2g}); {pays} ({gain.value:.3g}{of}, {gain.low:.3g} to {gain.high:.3g}). {mean}"
    )
