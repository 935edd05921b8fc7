"""Between-study heterogeneity: how far true effects of studies differ beyond their errors, as unknown as the rest.

Results that contradict each other are fitted together. In each domain the effects of studies have a standard deviation
``tau`` of their own, in standard deviations between patients; half of its variance is common to a study's results of
one domain. Its posterior on a grid, from the half-normal prior of ``evidence.toml`` and the marginal likelihood of what
the results differ by from the ensemble's mean, widens their errors before they are let in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from crosstalk.calibrate.covariance import typical_sd
from crosstalk.calibrate.targets import Target, Targets
from crosstalk.errors import CalibrationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import ENDPOINTS, LOGISTIC_SD
from crosstalk.study.records import Marker, Result

__all__ = [
    "DOMAINS",
    "Heterogeneity",
    "between_studies",
    "heterogeneity_domain",
    "learn_heterogeneity",
    "spreads",
    "step_in_sd",
    "widening",
]

Array = NDArray[np.float64]

DOMAINS = ("moderation", "contrast", "course", "biomarker")
COMMON = 0.5  # share of the variance that a study's results of one domain have in common (assumed)
GRID = np.linspace(0.0, 4.0, 41)  # in scales of the prior
SWEEPS = 3
STRATA_SD = 1.6  # distance of the means above and below the median of a normal variable, in standard deviations


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Standard deviation between studies in one domain: root mean square, 90 % interval, and how many studies speak."""

    domain: str
    tau: float
    lo90: float
    hi90: float
    studies: int


def heterogeneity_domain(result: Result, knowledge: Knowledge) -> str:
    """The domain of a result; empty for ratios, levels and the like of markers, whose spread nobody can say."""
    kind = ENDPOINTS[result.endpoint]
    if kind.moderation or result.marker is not None:
        return "moderation"
    if result.of not in knowledge.scales:
        return "biomarker" if kind.spread in ("sd", "share", "odds") else ""
    return "contrast" if result.versus else "course"


def step_in_sd(marker: Marker, knowledge: Knowledge) -> float:
    """How many standard deviations of a marker one of its steps is."""
    d = knowledge.discounts
    if marker.per in ("sd", "sd-ln"):
        return 1.0
    if marker.per == "stratum":
        return STRATA_SD
    if marker.per == "unit":
        return marker.step / d.marker_sd.get(marker.analyte, 1.0)
    return {"ln": 1.0, "log2": log(2), "log10": log(10)}[marker.per] / d.marker_log_sd.get(marker.analyte, 1.0)


def spreads(targets: Targets, knowledge: Knowledge) -> dict[str, Array]:
    """Covariance for ``tau = 1`` of each domain that has results, shape (n, n)."""
    cohorts = {s.id: s.cohort or s.id for s in targets.studies}
    found = {}
    for domain in DOMAINS:
        loading = np.array([_loading(t, domain, knowledge) for t in targets.items])
        if loading.any():
            matrix = (1 - COMMON) * np.diag(loading**2)
            owners = [cohorts[t.study] for t in targets.items]
            for owner in dict.fromkeys(owners):
                own = np.where([o == owner for o in owners], loading, 0.0)
                matrix += COMMON * np.outer(own, own)
            found[domain] = matrix
    return found


def learn_heterogeneity(targets: Targets, counterparts: Array, knowledge: Knowledge) -> tuple[Heterogeneity, ...]:
    """Learn the standard deviation between studies of each domain.

    Parameters
    ----------
    targets : Targets
        With the errors that are published or discounted, without heterogeneity.
    counterparts : array, shape (n_members, n_targets)
        Of the ensemble as it is, on the scale of the errors; NaN where a member has none.

    Raises
    ------
    CalibrationError
        If the errors are no proper covariance.
    """
    known = np.isfinite(counterparts).mean(axis=0) > 0.5
    simulated = counterparts[:, known]
    simulated = np.where(np.isfinite(simulated), simulated, np.nanmean(simulated, axis=0))
    residual = targets.values[known] - simulated.mean(axis=0)
    base = targets.covariance[np.ix_(known, known)] + np.cov(simulated, rowvar=False)
    parts = {d: m[np.ix_(known, known)] for d, m in spreads(targets, knowledge).items()}
    tau2 = {d: knowledge.discounts.heterogeneity[d] ** 2 for d in parts}
    weights: dict[str, Array] = {}
    for _ in range(SWEEPS):
        for domain, part in parts.items():
            others = base + sum((tau2[d] * m for d, m in parts.items() if d != domain), np.zeros_like(base))
            grid = GRID * knowledge.discounts.heterogeneity[domain]
            log_posterior = np.array([_marginal(residual, others + t * t * part) for t in grid]) - 0.5 * GRID**2
            weight = np.exp(log_posterior - log_posterior.max())
            weights[domain] = weight / weight.sum()
            tau2[domain] = float(weights[domain] @ grid**2)
    studies = {d: len({t.study for t in targets.items if _loading(t, d, knowledge)}) for d in parts}
    return tuple(
        Heterogeneity(
            d, float(np.sqrt(tau2[d])), *_interval(weights[d], knowledge.discounts.heterogeneity[d]), studies[d]
        )
        for d in parts
    )


def widening(found: Sequence[Heterogeneity], targets: Targets, knowledge: Knowledge) -> Array:
    """What heterogeneity adds to the covariance of the errors, shape (n, n)."""
    taus: Mapping[str, float] = {h.domain: h.tau for h in found}
    n = len(targets.items)
    return sum((taus.get(d, 0.0) ** 2 * m for d, m in spreads(targets, knowledge).items()), np.zeros((n, n)))


def between_studies(target: Target, taus: Mapping[str, float], knowledge: Knowledge) -> float:
    """Standard deviation between studies of the truth behind a result, on the scale of its error."""
    domain = heterogeneity_domain(target.result, knowledge)
    return taus.get(domain, 0.0) * abs(_loading(target, domain, knowledge))


def _loading(target: Target, domain: str, knowledge: Knowledge) -> float:
    """One standard deviation between patients on the error scale of a target of the domain, with its sign; else 0."""
    result = target.result
    if not domain or heterogeneity_domain(result, knowledge) != domain:
        return 0.0
    if domain == "biomarker":
        # markers have a direction of their own: a higher level is a larger share beyond a threshold, and larger odds
        return {"sd": 1.0, "odds": LOGISTIC_SD, "share": LOGISTIC_SD * target.value * (1 - target.value)}[
            ENDPOINTS[result.endpoint].spread
        ]
    size = typical_sd(result, knowledge)
    if not np.isfinite(size):
        return 0.0
    step = 1.0 if result.marker is None else step_in_sd(result.marker, knowledge)
    return (ENDPOINTS[result.endpoint].favours or 1) * size * step


def _marginal(residual: Array, covariance: Array) -> float:
    try:
        factor = cho_factor(covariance, lower=True)
    except LinAlgError:
        raise CalibrationError(
            "the errors of the targets are no proper covariance; look at `shared` and `cohort`"
        ) from None
    return float(-np.log(np.diag(factor[0])).sum() - 0.5 * residual @ cho_solve(factor, residual))


def _interval(weight: Array, scale: float) -> tuple[float, float]:
    cumulative = np.cumsum(weight)
    low, high = (GRID[min(int(np.searchsorted(cumulative, q)), len(GRID) - 1)] * scale for q in (0.05, 0.95))
    return float(low), float(high)
