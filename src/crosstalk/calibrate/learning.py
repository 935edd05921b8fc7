"""How much of each kind of result is let in: the share with which left-out studies are predicted best.

A model that is wrong somewhere grows surer with every result than it deserves to be. A generalised posterior lets in
a share of the information only, the learning rate [1]_ [2]_. Here each domain has one, chosen by how well results are
predicted when their study, and every other of its cohort, is left out. A prediction is the linear update of the own
counterparts of the ensemble, so that no study is simulated for it.

References
----------
.. [1] Gruenwald P, van Ommen T. Inconsistency of Bayesian inference for misspecified linear models, and a proposal for
   repairing it. Bayesian Anal 2017. doi:10.1214/17-BA1085
.. [2] Wu PS, Martin R. A comparison of learning rate selection methods in generalized Bayesian inference. Bayesian
   Anal 2023. doi:10.1214/21-BA1302
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from crosstalk.calibrate.domains import domain_of
from crosstalk.calibrate.heterogeneity import Heterogeneity, between_studies
from crosstalk.calibrate.rivals import cohort_of
from crosstalk.calibrate.smoother import assimilate, without_gaps
from crosstalk.calibrate.targets import Targets
from crosstalk.knowledge.loader import Knowledge

__all__ = ["RATES", "LearningRate", "learn_rates", "tempered"]

Array = NDArray[np.float64]

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
START = 0.1  # of the search, for every domain
SWEEPS = 2
FREEDOM = 5  # of the t distribution that scores a prediction, so that no single result decides


@dataclass(frozen=True, slots=True)
class LearningRate:
    """Share of the information of a domain's results that is let in.

    ``gain`` is what their log score gains over the prior when their studies are left out, with the rates of all
    domains, on average over its ``results``.
    """

    domain: str
    rate: float
    gain: float
    results: int


def learn_rates(
    targets: Targets,
    counterparts: Array,
    between: Sequence[Heterogeneity],
    knowledge: Knowledge,
    *,
    seed: int,
) -> tuple[LearningRate, ...]:
    """Choose the learning rate of each domain.

    Parameters
    ----------
    targets : Targets
        With all errors that are let in: published, discounted, by chance and between studies.
    counterparts : array, shape (n_members, n_targets)
        Of the prior ensemble, on the scale of the errors; NaN where a member has none.
    between : sequence of Heterogeneity
        Between studies.
    seed : int
        Of the perturbed targets, the same for all rates.

    Returns
    -------
    tuple of LearningRate
        All 1 where there is one cohort only, which leaves nothing to predict it from.
    """
    left_out = _LeftOut(targets, counterparts, between, knowledge, seed)
    names = tuple(dict.fromkeys(left_out.domains))
    if len(left_out.cohorts) < 2:
        return tuple(LearningRate(d, 1.0, 0.0, left_out.domains.count(d)) for d in names)
    rates = dict.fromkeys(names, START)
    for _ in range(SWEEPS):
        for name in names:
            mean = {rate: left_out.gains({**rates, name: rate})[left_out.judged].mean() for rate in RATES}
            rates[name] = max(RATES, key=mean.__getitem__)
    gains = left_out.gains(rates)
    found = []
    for name in names:
        own = left_out.judged & np.array([d == name for d in left_out.domains])
        found.append(LearningRate(name, rates[name], float(gains[own].mean()) if own.any() else 0.0, int(own.sum())))
    return tuple(found)


def tempered(targets: Targets, rates: Sequence[LearningRate], knowledge: Knowledge) -> Targets:
    """The targets with errors so large that each lets in the share of its domain."""
    share = {r.domain: r.rate for r in rates}
    return _scaled(targets, np.array([share[d] for d in _domains(targets, knowledge)]))


class _LeftOut:
    """Predicts each result from all others but those of its cohort."""

    def __init__(
        self,
        targets: Targets,
        counterparts: Array,
        between: Sequence[Heterogeneity],
        knowledge: Knowledge,
        seed: int,
    ) -> None:
        self.simulated, useful = without_gaps(counterparts)
        self.targets, self.seed = targets, seed
        self.domains = _domains(targets, knowledge)
        studies = {s.id: s for s in targets.studies}
        owners = np.array([cohort_of(studies[t.study]) for t in targets.items])
        self.cohorts = [(owners == name).nonzero()[0] for name in dict.fromkeys(owners.tolist())]
        taus: Mapping[str, float] = {h.domain: h.tau for h in between}
        self.noise = np.array([np.hypot(t.sampling, between_studies(t, taus, knowledge)) for t in targets.items])
        stated = np.array([t.result.figure == "stated" for t in targets.items])
        self.judged = useful & ~stated
        self.prior = self._score(self.simulated.mean(axis=0), self.simulated.std(axis=0))

    def gains(self, rates: Mapping[str, float]) -> Array:
        """What each result's log score gains over the prior, shape (n_targets,)."""
        given = _scaled(self.targets, np.array([rates[d] for d in self.domains]))
        center, spread = np.empty(len(self.noise)), np.empty(len(self.noise))
        everything = np.arange(len(self.noise))
        for number, out in enumerate(self.cohorts):
            kept = np.setdiff1d(everything, out)
            moved = assimilate(
                self.simulated[:, out], self.simulated[:, kept], given.values[kept],
                given.covariance[np.ix_(kept, kept)], weight=1.0, rng=np.random.default_rng([self.seed, 3, number]),
            )  # fmt: skip
            center[out], spread[out] = moved.mean(axis=0), moved.std(axis=0)
        return self._score(center, spread) - self.prior

    def _score(self, center: Array, spread: Array) -> Array:
        sd = np.hypot(spread, self.noise)
        return np.asarray(student.logpdf((self.targets.values - center) / sd, FREEDOM) - np.log(sd))


def _domains(targets: Targets, knowledge: Knowledge) -> list[str]:
    studies = {s.id: s for s in targets.studies}
    return [domain_of(studies[t.study], t.result, knowledge) for t in targets.items]


def _scaled(targets: Targets, rates: Array) -> Targets:
    larger = np.outer(1 / np.sqrt(rates), 1 / np.sqrt(rates))
    return Targets(targets.studies, targets.items, targets.values, targets.covariance * larger)
