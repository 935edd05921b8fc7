"""Virtual patients as independent standard-normal coordinates, and the map from them to parameters.

The population is a Gaussian copula: correlated normal scores, each mapped to its own distribution. A patient's
coordinates come from (seed, name of the variable, index of the patient) alone, so they depend neither on the number
of patients nor on chunks, threads or which other variables exist.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from crosstalk.errors import PopulationError
from crosstalk.knowledge.records import Diagnosis, Distribution, Drug

__all__ = [
    "Conditional",
    "Latent",
    "latent_space",
    "patient_normals",
    "patient_uniforms",
    "pharmacokinetic_factors",
]

Array = NDArray[np.float64]


def patient_uniforms(seed: int, name: str, index: NDArray[np.intp]) -> Array:
    """One uniform number in (0, 1) per patient for the variable ``name``, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> a = patient_uniforms(1, "BMI", np.arange(5))
    >>> b = patient_uniforms(1, "BMI", np.array([3]))
    >>> bool(a[3] == b[0])
    True
    """
    if not len(index):
        return np.empty(0)
    stream = np.random.Philox(key=np.array([seed, zlib.crc32(name.encode())], dtype=np.uint64))
    numbers = np.random.Generator(stream).random(int(index.max()) + 1)[index]
    return np.clip(numbers, 1e-12, 1 - 1e-12)


def patient_normals(seed: int, name: str, index: NDArray[np.intp]) -> Array:
    """One standard-normal number per patient for the variable ``name``, shape (n,)."""
    return np.asarray(ndtri(patient_uniforms(seed, name, index)), dtype=np.float64)


def quantile(
    distribution: Distribution, uniform: Array, center_factor: Array | float = 1.0, spread_factor: Array | float = 1.0
) -> Array:
    """Quantile function of a distribution cut to its bounds, shape of ``uniform``.

    ``center_factor`` and ``spread_factor`` multiply its center and spread, for all or one by one.
    """
    d = distribution
    if d.family == "uniform":
        return d.lower + uniform * (d.upper - d.lower)
    if d.family == "bernoulli":
        return (uniform > 1 - d.center).astype(np.float64)
    log = d.family != "normal"
    shift = d.shift if d.family == "shifted-lognormal" else 0.0
    if d.spread == 0.0:
        return np.full(np.shape(uniform), d.center + shift)
    center, spread = d.center * center_factor, d.spread * spread_factor
    if log:
        center = np.log(center)

    def score(bound: float) -> Array | float:
        if not log:
            return (bound - center) / spread
        return (np.log(bound - shift) - center) / spread if bound > shift else -np.inf

    low, high = ndtr(score(d.lower)), ndtr(score(d.upper))
    z = ndtri(low + uniform * (high - low))
    values = np.exp(center + spread * z) + shift if log else center + spread * z
    return np.asarray(np.clip(values, d.lower, d.upper), dtype=np.float64)


@dataclass(frozen=True)
class Latent:
    """The variables of a population and the linear map from independent to correlated normal scores.

    Attributes
    ----------
    names : tuple of str
        Individual parameters and covariates.
    distributions : tuple of Distribution
    factor : array, shape (n_variables, n_variables)
        Lower Cholesky factor of their correlation.
    constants : mapping of str to float
        Individual parameters that are the same for all.
    """

    names: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    factor: Array
    constants: Mapping[str, float]

    def draw(self, seed: int, index: NDArray[np.intp]) -> Array:
        """Independent coordinates of some patients, shape (n, n_variables)."""
        return np.stack([patient_normals(seed, name, index) for name in self.names], axis=1)

    def values(self, coordinates: Array, factors: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Parameters and covariates, each of shape (n,), at given coordinates.

        ``factors`` on centers and spreads are keyed as the unknowns are, see `crosstalk.population.worlds`.
        """
        uniform = np.clip(ndtr(coordinates @ self.factor.T), 1e-12, 1 - 1e-12)
        given = factors or {}

        def column(j: int, d: Distribution) -> Array:
            center, spread = (given.get(f"{d.owner}.{d.id}.{part}", 1.0) for part in ("center", "spread"))
            return quantile(d, uniform[:, j], center, spread)

        drawn = {d.id: column(j, d) for j, d in enumerate(self.distributions)}
        return {**{name: np.full(len(coordinates), value) for name, value in self.constants.items()}, **drawn}

    def condition(self, known: Mapping[str, float]) -> Conditional:
        """The same space given some exactly known variables (continuous ones, or 0 and 1 of a Bernoulli)."""
        return Conditional(self, {k: v for k, v in known.items() if k in self.names})


class Conditional:
    """A latent space in which some variables have a known value; the others keep their conditional distribution.

    Parameters
    ----------
    latent : Latent
    known : mapping of str to float
        Values are cut to the bounds of their distribution.
    """

    def __init__(self, latent: Latent, known: Mapping[str, float]) -> None:
        self.latent, self.known = latent, dict(known)
        self._fixed = np.array([latent.names.index(k) for k in known], dtype=np.intp)
        self._free = np.array([i for i in range(len(latent.names)) if i not in set(self._fixed)], dtype=np.intp)
        correlation = latent.factor @ latent.factor.T
        across = correlation[np.ix_(self._free, self._fixed)]
        self._slope = across @ np.linalg.inv(correlation[np.ix_(self._fixed, self._fixed)])
        rest = correlation[np.ix_(self._free, self._free)] - self._slope @ across.T
        self._factor = np.linalg.cholesky(rest + 1e-12 * np.eye(len(rest)))
        self._scores = np.array([_normal_score(latent.distributions[i], known[latent.names[i]]) for i in self._fixed])

    def from_prior(self, coordinates: Array) -> Array:
        """Free coordinates of patients of the whole space: their deviation from what their own covariates imply."""
        scores = coordinates @ self.latent.factor.T
        deviation = scores[:, self._free] - scores[:, self._fixed] @ self._slope.T
        return np.asarray(np.linalg.solve(self._factor, deviation.T).T, dtype=np.float64)

    def to_prior(self, free: Array) -> Array:
        """Coordinates in the whole space, known variables at their values, shape (n, n_variables)."""
        scores = np.empty((len(free), len(self.latent.names)))
        scores[:, self._fixed] = self._scores
        scores[:, self._free] = free @ self._factor.T + self._scores @ self._slope.T
        return np.asarray(np.linalg.solve(self.latent.factor, scores.T).T, dtype=np.float64)


def _normal_score(distribution: Distribution, value: float) -> float:
    """Normal score at which a distribution takes a value (the middle of the step for a Bernoulli)."""
    d = distribution
    if d.family == "bernoulli":
        return float(ndtri(1 - d.center / 2) if value > 0.5 else ndtri((1 - d.center) / 2))
    low, high = 1e-9, 1 - 1e-9
    for _ in range(60):  # the quantile function is monotone and cheap
        middle = (low + high) / 2
        if float(quantile(d, np.array([middle]))[0]) < value:
            low = middle
        else:
            high = middle
    return float(ndtri((low + high) / 2))


def latent_space(diagnosis: Diagnosis, overrides: Mapping[str, Distribution] | None = None) -> Latent:
    """Build the latent space of a diagnosis, some distributions replaced by a study's own.

    Raises
    ------
    PopulationError
        If the correlations name an unknown variable or are not jointly possible.
    """
    distributions = {**diagnosis.distributions, **(overrides or {})}
    ordered = tuple(distributions[name] for name in sorted(distributions))
    names = tuple(d.id for d in ordered)
    matrix = np.eye(len(names))
    for c in diagnosis.correlations:
        if c.first not in names or c.second not in names:
            raise PopulationError(
                f"correlation of '{c.first}' and '{c.second}': expected two of the variables {', '.join(names)}"
            )
        i, j = names.index(c.first), names.index(c.second)
        matrix[i, j] = matrix[j, i] = c.value
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise PopulationError(
            "the correlations of the population are not jointly possible (the matrix is not positive definite); "
            "make the largest ones smaller"
        ) from None
    constants = {k: v for k, v in diagnosis.constants.items() if k not in names}
    return Latent(names, ordered, factor.astype(np.float64), constants)


def pharmacokinetic_factors(drug: Drug, seed: int, index: NDArray[np.intp]) -> dict[str, Array]:
    """Individual factors on a drug's pharmacokinetic constants (median 1), by key of the drug file, shape (n,)."""
    return {
        key: np.exp(quantity.log_sd * patient_normals(seed, f"pk:{drug.id}:{key}", index))
        for key, quantity in drug.pk.items()
        if quantity.log_sd > 0
    }
