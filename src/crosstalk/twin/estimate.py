"""Means over weighted virtual patients, the Monte-Carlo error they have, and what worlds differ by without that error.

A forecast rests on virtual patients who live in many worlds and are weighed by how well they explain one person. Three
things spread what they do: worlds differ (what is not known), people in one world differ (chance), and there are
finitely many of them (Monte-Carlo error). A mean over the few of one world holds all three, so the spread of such means
says more of the third than of the first. Here the third is made small, measured, and taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from crosstalk.population.between import non_negative
from crosstalk.twin.records import Interval

__all__ = ["Between", "Estimator", "probability_interval"]

Array = NDArray[np.float64]

RIDGE = 4.0  # observations' worth of pull towards no slope, on features of unit variance (assumed)


@dataclass(frozen=True, slots=True)
class Between:
    """What worlds differ by.

    Attributes
    ----------
    mean : float
        Over worlds and virtual patients.
    error : float
        Monte-Carlo error of the mean: its SD over seeds.
    variance : float
        Between the worlds' own means, freed from Monte-Carlo error; positive unless all worlds agree exactly.
    variance_error : float
        Monte-Carlo error of the variance.
    """

    mean: float
    error: float
    variance: float
    variance_error: float

    @property
    def sd(self) -> float:
        """Of what is not known: between worlds, and the error of the mean itself."""
        return float(np.sqrt(self.variance + self.error**2))

    @property
    def width_error(self) -> float:
        """Monte-Carlo error of that SD, and so of an interval's width, as a share of it."""
        square = self.variance + self.error**2
        return self.variance_error / (2 * square) if square > 0 else 0.0


class Estimator:
    """Weighted means with regression on features whose mean is known.

    Parameters
    ----------
    weight : array, shape (n,)
        Of the virtual patients; they need not sum to 1.
    world : array of int, shape (n,)
        Where each lives.
    features : array, shape (n, d), optional
        What differs between virtual patients by chance alone, with the same mean in every world.
    target : array, shape (d,), optional
        That mean.

    Attributes
    ----------
    sample : float
        How many equal weights are as good.
    calibrated : array, shape (n,)
        Weights that sum to 1 and give the features the mean that they have: those for means and quantiles.

    Notes
    -----
    What the features explain is no Monte-Carlo error any more: the generalised regression estimator of survey sampling
    (Deville 1992, doi 10.1080/01621459.1992.10475217), known as control variates in simulation. Slopes are those within
    worlds, drawn to zero by a ridge that counts as `RIDGE` virtual patients. The variance between worlds is that of the
    one-way analysis of variance with random effects, by the method of moments for weighted observations.
    """

    def __init__(
        self,
        weight: Array,
        world: NDArray[np.intp],
        features: Array | None = None,
        target: Array | None = None,
    ) -> None:
        self.weight = weight / weight.sum()
        self._square = float((self.weight**2).sum())
        self.sample = 1 / self._square
        names, self._group = np.unique(world, return_inverse=True)
        self._n_worlds = len(names)
        self._share = self._total(self.weight[:, None])[:, 0]
        self._squares = self._total((self.weight**2)[:, None])[:, 0]
        x = np.empty((len(weight), 0)) if features is None else features
        goal = np.empty(0) if target is None else target
        spread = np.sqrt(np.maximum(self.weight @ x**2 - (self.weight @ x) ** 2, 0.0))
        used = spread > 1e-9 * np.maximum(np.abs(goal), 1.0)
        # as a distance from the target, in units of its own spread
        self._x = (x[:, used] - goal[used]) / spread[used]
        inner = self._within(self._x)
        gram = inner.T @ (inner * self.weight[:, None])
        ridge = gram + RIDGE * self._square * np.eye(len(gram))
        self._solve = np.linalg.solve(ridge, (inner * self.weight[:, None]).T)
        self._freedom = float(np.trace(np.linalg.solve(ridge, gram))) if len(gram) else 0.0
        calibrated = np.maximum(self.weight - (self.weight @ self._x) @ self._solve, 0.0)
        self.calibrated = calibrated / calibrated.sum()

    def _total(self, values: Array) -> Array:
        """Sums by world, shape (n_worlds, m)."""
        return np.stack([np.bincount(self._group, column, self._n_worlds) for column in values.T], axis=1)

    def _within(self, values: Array) -> Array:
        """Distances from the mean of the own world, shape of ``values``."""
        if not values.shape[1]:
            return values
        means = self._total(values * self.weight[:, None]) / self._share[:, None]
        return np.asarray(values - means[self._group])

    def _adjusted(self, values: Array) -> Array:
        """Values as they would be at the target of the features, shape (n, m)."""
        return np.asarray(values - self._x @ (self._solve @ values))

    def mean(self, values: Array) -> tuple[Array, Array]:
        """Means of some quantities, and their Monte-Carlo errors, shape (m,) each.

        Parameters
        ----------
        values : array, shape (n, m)
        """
        mean = self.calibrated @ values
        left = max(1 - (self._freedom + 1) * self._square, 0.05)
        variance = (self.weight**2) @ (self._adjusted(values) - mean) ** 2 / left
        return mean, np.sqrt(variance)

    def between(self, values: Array) -> Between:
        """What worlds differ by in one quantity.

        Parameters
        ----------
        values : array, shape (n,)
        """
        column = self._adjusted(values[:, None])
        center, error = (float(v[0]) for v in self.mean(values[:, None]))
        means = self._total(column * self.weight[:, None])[:, 0] / self._share
        inner = self.weight @ self._within(column)[:, 0] ** 2
        # what one virtual patient of a world is worth in that world's mean
        noise = self._squares / self._share**2
        freedom = 1 - float(self._share @ noise) - self._freedom * self._square
        apart = 1 - float((self._share**2).sum())
        if apart <= 1e-12:
            return Between(center, error, 0.0, 0.0)
        spread = float(self._share @ (means - self._share @ means) ** 2)
        if freedom <= 0.02:
            # hardly two in any world: the chance within worlds cannot be told from what they differ by
            return Between(center, error, spread / apart, spread / apart)
        chance = float(inner) / freedom
        raw = (spread - chance * (float(self._share @ noise) - self._square)) / apart
        worth = self._share**2 @ (max(raw, 0.0) + chance * noise) ** 2
        doubt = 2 * chance**2 * (float(self._share @ noise) - self._square) ** 2 * self._square / freedom
        variance_error = float(np.sqrt(2 * worth + doubt)) / apart
        return Between(center, error, non_negative(raw, variance_error), variance_error)


def probability_interval(mean: float, sd: float) -> Interval:
    """The 90 % interval of the beta distribution of a mean and SD; the mean alone where the SD is zero."""
    mean = float(np.clip(mean, 0.0, 1.0))
    limit = mean * (1 - mean)
    if sd <= 1e-9 or limit <= 1e-9:
        return Interval(mean, mean, mean)
    concentration = max(limit / min(sd**2, 0.95 * limit) - 1, 1e-3)
    low, high = betaincinv(mean * concentration, (1 - mean) * concentration, np.array([0.05, 0.95]))
    return Interval(mean, float(min(low, mean)), float(max(high, mean)))
