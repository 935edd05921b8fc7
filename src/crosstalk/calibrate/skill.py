"""Skill: whether the model says more of published results than two predictors that know no mechanism.

The rivals of a prediction are the *prior predictive*, the same studies simulated before any result was learned from,
and the *trivial predictor*, the mean and the spread of results of the same kind in other studies. A figure about the
model is never made without theirs: `Coverage` and `Skill` cannot be built otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.domains import DOMAINS
from crosstalk.statistics.resampling import bootstrap

if TYPE_CHECKING:
    from crosstalk.calibrate.validation import Score, Verdict

__all__ = ["Coverage", "Gain", "Judgement", "Skill", "coverage", "ledger", "median_gain"]

Array = NDArray[np.float64]
Judgement = Literal["better", "no better", "worse", "too few studies"]

REPLICATES = 2000  # of the bootstrap
FEWEST_STUDIES = 5
"""Studies below which nothing is claimed: with four, all on one side is chance in more than one of twenty cases."""


class Gain(NamedTuple):
    """A median difference with its 90 % interval over studies; positive is better."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Results inside the 90 % intervals of the model and of its rivals, over the same results.

    ``trivial_of`` is smaller than ``results`` where other studies hold too little of a kind.
    """

    results: int
    model: int
    prior: int
    trivial: int
    trivial_of: int


@dataclass(frozen=True, slots=True)
class Skill:
    """The gain of the model on the better of its rivals in one domain, or over all.

    The better rival is the one on which the median gain is smaller, chosen anew in each replicate of the bootstrap,
    which draws whole studies. ``log_score`` is in nats, ``crps`` in standard errors of the published results. Results
    that hold partly the same information count as one, with their mean gain.
    ``computed`` of the ``results`` were computed by the project from individual data.
    """

    domain: str
    results: int
    studies: int
    computed: int
    coverage: Coverage
    log_score: Gain
    crps: Gain
    log_score_on_prior: float
    log_score_on_trivial: float | None
    judgement: Judgement


def coverage(verdicts: Sequence[Verdict]) -> Coverage:
    """Count the results inside intervals; those that no publication printed are left out."""
    counted = [v for v in verdicts if v.scored]
    trivial = [v.trivial for v in counted if v.trivial is not None]
    return Coverage(
        len(counted),
        sum(v.inside90 for v in counted),
        sum(v.prior.inside90 for v in counted),
        sum(t.inside90 for t in trivial),
        len(trivial),
    )


def ledger(verdicts: Sequence[Verdict], *, seed: int = 1) -> tuple[Skill, ...]:
    """Skill over all results and in each domain that has some; results that no publication printed are left out."""
    counted = [v for v in verdicts if v.scored]
    parts = [("all", counted), *((d, [v for v in counted if v.domain == d]) for d in DOMAINS)]
    return tuple(_skill(name, own, seed) for name, own in parts if own)


def _skill(domain: str, verdicts: Sequence[Verdict], seed: int) -> Skill:
    pieces = _pieces(verdicts)
    cohorts = [piece[0].cohort for piece in pieces]
    logs = _gains(pieces, lambda v, rival: v.log_score - rival.log_score)
    ranked = _gains(pieces, lambda v, rival: (rival.crps - v.crps) / v.observed_se)
    log_gain, ranked_gain = (median_gain(gains, cohorts, seed) for gains in (logs, ranked))
    studies = len(set(cohorts))
    on_prior, on_trivial = _medians(logs)
    return Skill(
        domain=domain,
        results=len(verdicts),
        studies=studies,
        computed=sum(v.figure == "computed" for v in verdicts),
        coverage=coverage(verdicts),
        log_score=log_gain,
        crps=ranked_gain,
        log_score_on_prior=float(on_prior),
        log_score_on_trivial=None if np.isnan(on_trivial) else float(on_trivial),
        judgement=_judgement(studies, log_gain, ranked_gain),
    )


def _pieces(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Results that hold partly the same information together, all others alone."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for k, v in enumerate(verdicts):
        groups.setdefault((v.study, v.shares) if v.shares else ("", str(k)), []).append(v)
    return list(groups.values())


def _gains(pieces: Sequence[Sequence[Verdict]], gain: Callable[[Verdict, Score], float]) -> Array:
    """Mean gains on the prior predictive and on the trivial predictor, shape (n, 2); NaN without the latter."""
    found = np.full((len(pieces), 2), np.nan)
    for row, piece in zip(found, pieces, strict=True):
        on_trivial = [gain(v, v.trivial) for v in piece if v.trivial is not None]
        row[0] = np.mean([gain(v, v.prior) for v in piece])
        row[1] = np.mean(on_trivial) if on_trivial else np.nan
    return found


def _medians(gains: Array) -> Array:
    known = (column[np.isfinite(column)] for column in gains.T)
    return np.array([np.median(column) if len(column) else np.nan for column in known])


def median_gain(gains: Array, cohorts: Sequence[str], seed: int = 1) -> Gain:
    """The smallest of the median gains on some rivals, with the interval of a bootstrap over studies.

    Parameters
    ----------
    gains : array, shape (n, n_rivals)
        NaN where a rival says nothing.
    cohorts : sequence of str
        The study of each row.
    """
    samples = islice(bootstrap(len(cohorts), cohorts, seed=seed), REPLICATES)
    found = [float(np.nanmin(_medians(gains[rows]))) for rows in samples]
    low, high = np.quantile(found, [0.05, 0.95])
    return Gain(float(np.nanmin(_medians(gains))), float(low), float(high))


def _judgement(studies: int, *gains: Gain) -> Judgement:
    """What the intervals of all scores allow; the worse one speaks."""
    if studies < FEWEST_STUDIES:
        return "too few studies"
    if any(g.high < 0 for g in gains):
        return "worse"
    return "better" if all(g.low > 0 for g in gains) else "no better"
