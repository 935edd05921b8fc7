"""Weights of all virtual patients for all patients of a cohort, as matrices, and the scores that they imply."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import Patients
from crosstalk.statistics.weighted import effective_number, step_quantiles
from crosstalk.twin.likelihood import KERNEL, Observation, likeness, log_likelihood, tail_probability
from crosstalk.twin.relations import relation_fit

__all__ = ["Scores", "Tail", "Usable", "Weigher"]

Array = NDArray[np.float64]

ADIPOSITY = "BMI"
BLOCK = 64  # patients weighed at a time
KEPT_ROWS = 256  # likelihoods of one limit, or kernels of one covariate, that are kept for the next patient
TAIL_POINTS = 256  # virtual patients' values that stand for all in the tail probabilities
CHUNK = 512  # values at a time in the tail probabilities


@dataclass(frozen=True, slots=True)
class Usable:
    """What the weights use of one patient.

    Values that the model predicts, covariates by the population's name, and answers that tell of an unknown.
    """

    observed: tuple[Observation, ...]
    known: Mapping[str, float]
    told: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scores:
    """Mechanism scores, each of shape (n_patients, n_scores), and the effective sample, shape (n_patients,).

    ``mean`` is geometric, ``low`` and ``high`` are the 5th and 95th percentile, ``told`` is the share of the
    population's variance that the panel removes. NaN where no virtual patient can explain the panel.
    """

    mean: Array
    low: Array
    high: Array
    told: Array
    sample: Array

    def of(self, chosen: Sequence[int]) -> Scores:
        """Those of some patients."""
        rows = list(chosen)
        return Scores(self.mean[rows], self.low[rows], self.high[rows], self.told[rows], self.sample[rows])


@dataclass(frozen=True, slots=True)
class Tail:
    """The most unusual value of a patient: its tail probability, that of the lowest of so many, and its analyte."""

    analyte: str
    lowest: float
    adjusted: float
    values: int


class Weigher:
    """Weighs one virtual population for each patient.

    Parameters
    ----------
    population : Patients
        Those with a valid baseline.
    patients : sequence of Usable

    Notes
    -----
    Exact values are a quadratic form in the logarithm of the prediction, so that their likelihood is two products of
    matrices. Every other value goes through `crosstalk.twin.likelihood.log_likelihood` itself, once for all patients
    who have the same limit and the same error.
    """

    def __init__(self, population: Patients, patients: Sequence[Usable], knowledge: Knowledge) -> None:
        self.population, self.patients = population, patients
        first = {o.analyte: o for u in patients for o in u.observed if not o.censored}
        self._column = {name: j for j, name in enumerate(first)}
        logs = [np.log(np.maximum(population.outputs[o.variable], 1e-300) * o.factor) for o in first.values()]
        # centered, so that the quadratic form keeps its digits
        self._centers = np.array([column.mean() for column in logs])
        logs = [column - center for column, center in zip(logs, self._centers, strict=True)]
        self._logs = np.stack(logs) if logs else np.zeros((0, len(population)))
        self._squares = self._logs**2
        outputs = [s.output for s in knowledge.scores.values()]
        self._scores = np.log(np.stack([population.outputs[o] for o in outputs], axis=1))
        self._adiposity = np.log(population.parameters[ADIPOSITY])
        self._order = [np.argsort(column, kind="stable") for column in self._scores.T]
        self._limit = lru_cache(KEPT_ROWS)(lambda o: log_likelihood((o,), population.outputs, len(population)))
        latent = latent_space(knowledge.diagnosis("mdd"))
        self._relation = lru_cache(KEPT_ROWS)(
            lambda name, value: relation_fit(population.coordinates, latent, {name: value})
        )
        self._kernel = lru_cache(KEPT_ROWS)(lambda name, value: likeness(population, {name: value}))

    def log_weights(self, chosen: Sequence[int]) -> Array:
        """Log weight of each virtual patient for some patients up to a constant each, shape (n_chosen, n_virtual)."""
        precision = np.zeros((len(chosen), len(self._logs)))
        pull = np.zeros_like(precision)
        for row, i in enumerate(chosen):
            for o in self.patients[i].observed:
                if not o.censored:
                    j = self._column[o.analyte]
                    precision[row, j] = o.log_sd**-2
                    pull[row, j] = precision[row, j] * (np.log(o.value) - self._centers[j])
        fit = pull @ self._logs - 0.5 * precision @ self._squares
        for row, i in enumerate(chosen):
            for o in self.patients[i].observed:
                if o.censored:
                    fit[row] += self._limit(o)
            for name, value in self.patients[i].known.items():
                if name in KERNEL:
                    fit[row] += self._kernel(name, value)
            for name, value in self.patients[i].told.items():
                fit[row] += self._relation(name, value)
        return np.asarray(fit)

    def scores(self, progress: Callable[[float], None] = lambda _: None) -> Scores:
        """Scores of all patients; the same for any number of threads."""
        n = len(self.patients)
        blocks = [range(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
        from threadpoolctl import threadpool_limits

        found = []
        # each thread has a block of its own: those of the linear algebra would only wait for one another
        with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, part in enumerate(pool.map(self._block, blocks), start=1):
                found.append(part)
                progress(done / len(blocks))
        return Scores(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def told(self) -> Array:
        """Share of the population's variance that is taken away, shape (n_patients, n_scores), without the scores."""
        n = len(self.patients)
        blocks = [range(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
        return np.concatenate([self._moments(chosen)[4] for chosen in blocks])

    def _moments(self, chosen: Sequence[int]) -> tuple[Array, ...]:
        """Weights, mean, shift, variance with and without adjustment, told, effective sample of some patients."""
        fit = self.log_weights(chosen)
        top = fit.max(axis=1)
        possible = np.isfinite(top)
        weight = np.exp(fit - np.where(possible, top, 0.0)[:, None], out=fit)
        sample = np.where(possible, effective_number(weight), np.nan)
        weight /= np.where(possible, weight.sum(axis=1), np.nan)[:, None]
        mean = weight @ self._scores
        raw = np.maximum(weight @ self._scores**2 - mean**2, 1e-12)
        shift, variance = self._adjustment(chosen, weight, mean, raw)
        variance *= _small_sample(sample)[:, None]
        told = np.clip(1 - variance / self._scores.var(axis=0), 0.0, 1.0)
        return weight, mean, shift, variance, told, raw, sample

    def _block(self, chosen: Sequence[int]) -> tuple[Array, ...]:
        weight, mean, shift, variance, told, raw, sample = self._moments(chosen)
        light = weight.astype(np.float32)  # half the memory to move; a share is exact to 1e-6
        quantiles = np.stack(
            [
                step_quantiles(np.take(light, order, axis=1), column[order], (0.05, 0.95))
                for order, column in zip(self._order, self._scores.T, strict=True)
            ],
            axis=1,
        )
        around = (quantiles - mean[..., None]) * np.sqrt(variance / raw)[..., None] + (mean + shift)[..., None]
        around[~np.isfinite(sample)] = np.nan
        return np.exp(mean + shift), np.exp(around[..., 0]), np.exp(around[..., 1]), told, sample

    def _adjustment(self, chosen: Sequence[int], weight: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
        """What the remaining difference of BMI does to the mean of each score, and the variance without it.

        Local linear regression with the weights, as in approximate Bayesian computation: Beaumont 2002, doi
        10.1093/genetics/162.4.2025. Age and height move the scores too little to matter.
        """
        own = np.log([self.patients[i].known.get(ADIPOSITY, np.nan) for i in chosen])
        near = weight @ self._adiposity
        spread = np.maximum(weight @ self._adiposity**2 - near**2, 1e-12)
        together = weight @ (self._scores * self._adiposity[:, None]) - mean * near[:, None]
        known = np.isfinite(own)
        slope = np.where(known[:, None], together / spread[:, None], 0.0)
        shift = slope * np.where(known, own - near, 0.0)[:, None]
        return shift, np.maximum(variance - slope**2 * spread[:, None], 1e-12)

    def tails(self) -> list[Tail]:
        """The most unusual value of each patient, as `crosstalk.twin.assessment.applicability` measures it.

        The probability of an exact value is computed on evenly spaced percentiles of the virtual patients.
        """
        found: list[list[tuple[float, str]]] = [[] for _ in self.patients]
        exact: dict[str, list[tuple[int, Observation]]] = {}
        limit = lru_cache(None)(lambda o: tail_probability(o, self.population.outputs))
        for i, u in enumerate(self.patients):
            for o in u.observed:
                if o.censored:
                    found[i].append((limit(o), o.analyte))
                else:
                    exact.setdefault(o.analyte, []).append((i, o))
        share = (np.arange(TAIL_POINTS) + 0.5) / TAIL_POINTS
        for name, values in exact.items():
            j = self._column[name]
            points = np.quantile(self._logs[j], share) + self._centers[j]
            value = np.log([o.value for _, o in values])
            sd = np.array([o.log_sd for _, o in values])
            for start in range(0, len(values), CHUNK):
                part = slice(start, start + CHUNK)
                below = ndtr((value[part, None] - points) / sd[part, None]).mean(axis=1)
                for (i, _), tail in zip(values[part], 2 * np.minimum(below, 1 - below), strict=True):
                    found[i].append((float(tail), name))
        table = {**self.population.parameters, **self.population.covariates}
        ordered = {name: np.sort(table[name]) for u in self.patients for name in u.known if name in table}
        for i, u in enumerate(self.patients):
            for name, value_ in u.known.items():
                if name in ordered and name != "female":
                    below_ = float(np.searchsorted(ordered[name], value_, "right") / len(ordered[name]))
                    found[i].append((2 * min(below_, 1 - below_), name))
        return [_lowest(tails) for tails in found]


def _small_sample(sample: Array) -> Array:
    """By how much a variance around a mean and a slope from so few is too small, the error of the mean included."""
    return np.asarray((1 + 1 / sample) * sample / np.maximum(sample - 2, 1.0))


def _lowest(tails: Sequence[tuple[float, str]]) -> Tail:
    if not tails:
        return Tail("", 1.0, 1.0, 0)
    lowest, name = min(tails)
    return Tail(name, lowest, float(-np.expm1(len(tails) * np.log1p(-min(max(lowest, 0.0), 1 - 1e-12)))), len(tails))
