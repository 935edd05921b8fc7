"""Imputation of missing visits from a mixed model: at random, or as if patients had gone on as the reference arm does.

The model is that of `mmrm`. Visits missed between others are imputed at random under every strategy; what follows the
last visit of a patient is imputed under the strategy. The covariance is common to the arms.

Sources: Carpenter, Roger & Kenward 2013, doi:10.1080/10543406.2013.834911 (strategies); Wolbers et al. 2022,
doi:10.1002/pst.2234 (conditional means); Gower-Page et al. 2022, doi:10.21105/joss.04251 (R's rbmi).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import TrialError, UsageError, check_option
from crosstalk.statistics.columns import columns_of
from crosstalk.statistics.mmrm import MOST_VISITS, first_covariance, fitted
from crosstalk.statistics.structures import starting_values
from crosstalk.statistics.visit_patterns import VisitPatterns

__all__ = ["Draw", "ImputationModel", "Strategy", "imputation_model"]

Array = NDArray[np.floating[Any]]
Strategy = Literal["MAR", "J2R", "CIR", "CR"]
"""Missing at random; jump to reference; copy increments from reference; copy reference."""
WARM, THIN = 200, 5
"""Steps of the Gibbs sampler that are thrown away, and from one draw to the next, as rbmi takes them."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Parameters of the imputation model: coefficients, shape (t, f), and covariance of the visits, shape (t, t)."""

    surface: Array
    covariance: Array


@dataclass(frozen=True)
class ImputationModel:
    """Data and the restricted maximum-likelihood fit that imputations start from."""

    outcome: Array
    """Shape (n_patients, n_visits), not a number where missing."""
    arm: NDArray[np.intp]
    covariates: Array
    """Shape (n_patients, k); the first ``varying`` have a slope for each visit."""
    varying: int
    parameters: Array
    """Of the unstructured covariance, for fits that begin where this one ended."""
    best: Draw
    centre: Array
    """Means that the covariates of the fit were freed from, shape (k,)."""

    @cached_property
    def last(self) -> NDArray[np.intp]:
        """Last visit seen of each patient, -1 without any."""
        seen = np.isfinite(self.outcome)
        width = self.outcome.shape[1]
        return np.where(seen.any(axis=1), width - 1 - seen[:, ::-1].argmax(axis=1), -1)

    @cached_property
    def _patterns(self) -> list[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
        """Visits seen, and the patients who have seen them, where some are missing."""
        seen = np.isfinite(self.outcome)
        kinds, which = np.unique(seen, axis=0, return_inverse=True)
        return [(kind, np.flatnonzero(which.ravel() == k)) for k, kind in enumerate(kinds) if not kind.all()]

    def design(self, arm: int | None = None) -> Array:
        """Columns of the fixed effects, for the own arm or had all been in one, shape (n, f)."""
        group = self.arm if arm is None else np.full(len(self.arm), arm)
        dummies = group[:, None] == np.arange(1, int(self.arm.max()) + 1)
        return np.column_stack([np.ones(len(group)), dummies, self.covariates - self.centre])

    def means(self, draw: Draw, strategy: Strategy, reference: int = 0) -> Array:
        """Mean of each patient and visit under a strategy, shape (n, t)."""
        check_option("strategy", strategy, get_args(Strategy))
        own: Array = self.design() @ draw.surface.T
        if strategy == "MAR":
            return own
        other: Array = self.design(reference) @ draw.surface.T
        after = np.arange(own.shape[1]) > self.last[:, None]
        if strategy == "CR":
            return np.where(after[:, -1:], other, own)
        if strategy == "J2R":
            return np.where(after, other, own)
        rows, at = np.arange(len(own)), np.maximum(self.last, 0)
        ahead = np.where(self.last >= 0, own[rows, at] - other[rows, at], 0.0)
        return np.where(after, other + ahead[:, None], own)

    def complete(
        self, draw: Draw, strategy: Strategy, rng: np.random.Generator | None = None, reference: int = 0
    ) -> Array:
        """Outcomes with the missing ones imputed, shape (n, t).

        Parameters
        ----------
        rng : Generator, optional
            Draws from the conditional distribution; without one the conditional mean is taken.
        reference : int
            The arm that patients are imputed after; 0 is the control.
        """
        return self._complete(draw, self.means(draw, strategy, reference), rng)

    def _complete(self, draw: Draw, means: Array, rng: np.random.Generator | None) -> Array:
        found = self.outcome.copy()
        for seen, who in self._patterns:
            there, gone = np.flatnonzero(seen), np.flatnonzero(~seen)
            mixed = draw.covariance[np.ix_(gone, there)]
            weights = np.linalg.solve(draw.covariance[np.ix_(there, there)], mixed.T) if len(there) else mixed.T
            rest = self.outcome[np.ix_(who, there)] - means[np.ix_(who, there)]
            values = means[np.ix_(who, gone)] + rest @ weights
            if rng is not None:
                spread = draw.covariance[np.ix_(gone, gone)] - mixed @ weights
                values = values + rng.standard_normal(values.shape) @ np.linalg.cholesky(spread).T
            found[np.ix_(who, gone)] = values
        return found

    def draws(self, n: int, rng: np.random.Generator) -> list[Draw]:
        """Draws of the parameters from their posterior by Gibbs sampling with the missing visits as unknowns.

        Coefficients have a flat prior, the covariance an inverse Wishart one whose mean is the fit, with the fewest
        degrees of freedom that give it a mean (number of visits and two), as rbmi takes by default.
        """
        from scipy.stats import invwishart

        used = self.last >= 0
        design, visits = self.design()[used], self.outcome.shape[1]
        own = visits * (design.shape[1] - (self.covariates.shape[1] - self.varying))
        spread = _spread(visits, design.shape[1], own)
        inner, draw, found = design.T @ design, self.best, list[Draw]()
        everybody = self.design()
        for step in range(WARM + n * THIN):
            y = self._complete(draw, everybody @ draw.surface.T, rng)[used]
            rest = y - design @ draw.surface.T
            scale = self.best.covariance + rest.T @ rest
            covariance = invwishart.rvs(len(y) + visits + 2, scale, random_state=rng).reshape(visits, visits)
            weights = np.linalg.inv(covariance)
            precision = spread.T @ np.kron(weights, inner) @ spread
            right = spread.T @ (weights @ (design.T @ y).T).ravel()
            root = np.linalg.cholesky(precision)
            noise = np.linalg.solve(root.T, rng.standard_normal(len(right)))
            draw = Draw((spread @ (np.linalg.solve(precision, right) + noise)).reshape(visits, -1), covariance)
            if step >= WARM and (step - WARM) % THIN == THIN - 1:
                found.append(draw)
        return found

    def without(self, patient: int) -> ImputationModel:
        """The model fitted again without one patient."""
        kept = np.arange(len(self.arm)) != patient
        return _fit(self.outcome[kept], self.arm[kept], self.covariates[kept], self.varying, self.parameters)


def imputation_model(
    outcome: ArrayLike, arm: ArrayLike, baseline: ArrayLike | None = None, covariates: ArrayLike | None = None
) -> ImputationModel:
    """Fit the model that missing visits are imputed from; arguments as for `mmrm`, the covariance unstructured.

    Raises
    ------
    UsageError
        As for `mmrm`.
    TrialError
        If the fit does not converge.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics.missing_visits import imputation_model
    >>> rng = np.random.default_rng(1)
    >>> change = rng.normal(size=(60, 1)) * 4 + rng.normal(size=(60, 3)) * 3
    >>> change[50:, 2] = np.nan
    >>> model = imputation_model(change, np.arange(60) % 2)
    >>> bool(np.isfinite(model.complete(model.best, "J2R")).all())
    True
    """
    y = np.asarray(outcome, dtype=float)
    if y.ndim != 2:
        raise UsageError(f"outcome has shape {y.shape}; expected one row a patient and one column a visit")
    if y.shape[1] > MOST_VISITS:
        raise UsageError(f"{y.shape[1]} visits; imputation takes an unstructured covariance of at most {MOST_VISITS}")
    varying, _ = columns_of(baseline, "baseline", len(y))
    constant, _ = columns_of(covariates, "covariates", len(y))
    return _fit(y, np.asarray(arm), np.column_stack([varying, constant]), varying.shape[1], None)


def _fit(outcome: Array, arm: NDArray[Any], covariates: Array, varying: int, start: Array | None) -> ImputationModel:
    data = VisitPatterns.of(outcome, arm, covariates[:, :varying], covariates[:, varying:])
    found, point = fitted(
        data, "unstructured", starting_values("unstructured", first_covariance(data)) if start is None else start
    )
    if point is None:
        raise TrialError(
            "the unstructured covariance that imputation rests on did not converge; leave out visits that few attended"
        )
    used = np.isfinite(outcome).any(axis=1)
    return ImputationModel(
        outcome, arm.astype(np.intp), covariates, varying, found.parameters, Draw(point.surface, point.matrices[0]),
        covariates[used].mean(axis=0),
    )  # fmt: skip


def _spread(visits: int, f: int, own: int) -> Array:
    """Which coefficient each column has at each visit, shape (t * f, p), as in the mixed model."""
    identity = np.eye(visits * f).reshape(visits * f, visits, f)
    separate = own // visits
    parts = [identity[:, :, :separate].reshape(visits * f, -1), identity[:, :, separate:].sum(axis=1)]
    return np.hstack(parts)
