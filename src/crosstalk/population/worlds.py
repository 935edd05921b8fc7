"""What nobody knows for sure: uncertain constants, their priors, and possible worlds drawn from them.

A world is one set of values of all unknowns. Patients of one world share them. An unknown is a constant of the
mechanism, the strength (or the half-effect) of a drug whose effect is assumed, or a factor on the center or the spread
of a distribution of some population.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Distribution, Parameter, Target
from crosstalk.model.pharmacokinetics import uncertain_effect
from crosstalk.population.latent import patient_uniforms, quantile

__all__ = ["Unknown", "Worlds", "median_world", "prior_worlds", "unknowns", "worlds_at"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Unknown:
    """One uncertain quantity and its prior.

    ``id`` is the name of a constant of the model, or ``population.entry.center`` (``.spread``) for a factor on a
    distribution. ``module`` is that of the mechanism, ``drugs``, or ``population``; ``drug`` is the one whose effect it
    is.
    """

    id: str
    prior: Distribution
    module: str
    drug: str = ""


@dataclass(frozen=True)
class Worlds:
    """Some possible worlds.

    Attributes
    ----------
    values : mapping of str to array, shape (n,)
        By unknown; what is not there has its median.
    n : int
    source : str
        ``central`` (all medians), ``prior``, ``posterior`` or ``calibration``.
    between : mapping of str to float
        Standard deviation of true effects between studies by domain, as far as the source knows it; see
        `crosstalk.calibrate.heterogeneity`.
    """

    values: Mapping[str, Array]
    n: int
    source: str
    between: Mapping[str, float] = field(default_factory=dict)

    def take(self, which: NDArray[np.intp]) -> Worlds:
        """Some of the worlds, repeats allowed."""
        return replace(self, values={name: values[which] for name, values in self.values.items()}, n=len(which))

    def sample(self, seed: int, n: int) -> Worlds:
        """Some of the worlds in an order of chance, each as often as any other."""
        return self.take(np.random.default_rng(seed).permutation(self.n)[np.arange(n) % self.n])

    def joined(self, other: Worlds) -> Worlds:
        """These worlds and some of another set with the same unknowns."""
        values = {name: np.concatenate([values, other.values[name]]) for name, values in self.values.items()}
        return replace(self, values=values, n=self.n + other.n)

    def replaced(self, values: Mapping[str, float]) -> Worlds:
        """The same worlds with some quantities set to one value in all of them."""
        return replace(self, values={**self.values, **{k: np.full(self.n, v) for k, v in values.items()}})


def unknowns(knowledge: Knowledge) -> tuple[Unknown, ...]:
    """Every uncertain quantity with its prior, in a fixed order."""
    found = [
        Unknown(p.id, _prior(p), p.module)
        for p in knowledge.parameters.values()
        if p.role == "population" and p.prior != "fixed"
    ]
    for diagnosis in knowledge.diagnoses.values():
        for d in diagnosis.distributions.values():
            if d.owner != diagnosis.id:
                continue
            for part, spread in (("center", d.center_log_sd), ("spread", d.spread_log_sd)):
                if spread:
                    name = f"{d.owner}.{d.id}.{part}"
                    found.append(Unknown(name, _factor(name, spread, d), "population"))
    for drug in knowledge.drugs.values():
        for target in drug.targets:
            uncertain = uncertain_effect(drug, target)
            if uncertain is not None:
                prior = _effect(*uncertain, target, knowledge)
                found.append(Unknown(prior.id, prior, "drugs", drug.id))
    return tuple(found)


def worlds_at(known: Iterable[Unknown], scores: Array, source: str) -> Worlds:
    """Worlds at given normal scores of the unknowns.

    Parameters
    ----------
    known : iterable of Unknown
    scores : array, shape (n, n_unknowns)
        Standard normal under the prior.
    """
    uniform = np.clip(ndtr(scores), 1e-12, 1 - 1e-12)
    return Worlds({u.id: quantile(u.prior, uniform[:, j]) for j, u in enumerate(known)}, len(scores), source)


def prior_scores(known: Iterable[Unknown], seed: int, n: int) -> Array:
    """Normal scores of worlds drawn from the priors, shape (n, n_unknowns); each unknown has its own stream."""
    index = np.arange(n)
    columns = [ndtri(patient_uniforms(seed, f"knowledge:{u.id}", index)) for u in known]
    return np.stack(columns, axis=1) if columns else np.empty((n, 0))


def prior_worlds(knowledge: Knowledge, seed: int, n: int) -> Worlds:
    """Worlds drawn from the priors."""
    known = unknowns(knowledge)
    found = worlds_at(known, prior_scores(known, seed, n), "prior")
    # the half-normal prior of the standard deviation has this root mean square
    return replace(found, between=knowledge.discounts.heterogeneity)


def median_world() -> Worlds:
    """The one world in which every constant has the value of its table."""
    return Worlds({}, 1, "central")


def _prior(parameter: Parameter) -> Distribution:
    family, spread = parameter.prior.rstrip(")").split("(")
    return Distribution(
        parameter.id,
        "lognormal" if family == "lognormal" else "normal",
        parameter.value,
        float(spread),
        parameter.lower,
        parameter.upper,
        parameter.source,
    )


def _effect(name: str, value: float, target: Target, knowledge: Knowledge) -> Distribution:
    if target.maximum is None:
        spread = knowledge.discounts.half_effect
        return Distribution(name, "lognormal", value, spread, value / 30, 30 * value, target.half.source)
    upper = 1.0 if knowledge.slots[target.slot].combine == "inhibit" else 5 * value
    # normal, so that a drug may do next to nothing
    spread = knowledge.discounts.drug_effect * value
    return Distribution(name, "normal", value, spread, 0.0, upper, target.maximum.source)


def _factor(name: str, log_sd: float, distribution: Distribution) -> Distribution:
    return Distribution(name, "lognormal", 1.0, log_sd, 0.1, 10.0, distribution.source)
