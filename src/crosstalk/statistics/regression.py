"""Linear, logistic and Cox regression as small functions of arrays, fast enough for thousands of trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from crosstalk.errors import UsageError
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.newton import Quadratic, minimise

__all__ = ["Fit", "Model", "TwoArms", "cox", "linear", "logistic", "regress", "tabulate"]

Array = NDArray[np.floating[Any]]
Model = Literal["linear", "logistic", "cox"]
TOLERANCE = 1e-14
RUNAWAY = 30.0
"""A linear predictor beyond this many log units is a coefficient on its way to infinity."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of a regression with their covariance."""

    coefficients: Array
    covariance: Array
    df: float
    converged: bool

    def effect(self, row: ArrayLike, n: int, level: float, note: str) -> Estimate:
        """Linear combination of the coefficients; not a number where the fit did not converge."""
        weights = np.asarray(row, dtype=float)
        if not self.converged:
            reason = "no finite estimate: the outcome is separated by the covariates"
            return wald(np.nan, np.nan, n=n, note="; ".join(filter(None, (note, reason))))
        estimate, se = weights @ self.coefficients, np.sqrt(weights @ self.covariance @ weights)
        return wald(float(estimate), float(se), df=self.df, n=n, level=level, note=note)


@dataclass(frozen=True, slots=True)
class TwoArms:
    """Checked data of an analysis of two arms, patients without outcome left out."""

    outcome: Array
    """Shape (n,), or (n, 2) for time and event."""
    arm: Array
    """Shape (n,), 0 or 1."""
    covariates: Array
    """Shape (n, k)."""
    note: str

    @property
    def n(self) -> int:
        """Patients."""
        return len(self.arm)

    def design(self, *columns: Array) -> Array:
        """Design matrix: intercept, arm, the columns given, covariates."""
        return np.column_stack([np.ones(self.n), self.arm, *columns, self.covariates])


def tabulate(
    outcome: ArrayLike, arm: ArrayLike, covariates: ArrayLike | None = None, extra: ArrayLike | None = None
) -> tuple[TwoArms, Array]:
    """Check the data of two arms and leave out patients without outcome, saying how many.

    Returns the table and the rows of `extra` that belong to it.

    Raises
    ------
    UsageError
        Shapes that do not agree, other arms than 0 and 1, an empty arm, missing covariates.
    """
    y = np.asarray(outcome, dtype=float)
    group = np.asarray(arm, dtype=float)
    if group.shape != (len(y),):
        raise UsageError(f"arm has shape {group.shape}; expected ({len(y)},), one number a patient")
    if not np.isin(group, (0.0, 1.0)).all():
        raise UsageError("arm must hold 0 for the control and 1 for the arm; analyse other arms one at a time")
    table = np.empty((len(y), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    more = np.empty(len(y)) if extra is None else np.asarray(extra, dtype=float)
    for name, values in (("covariates", table), ("marker", more if extra is not None else np.zeros(len(y)))):
        if len(values) != len(y):
            raise UsageError(f"{name} has {len(values)} rows; expected {len(y)}, one a patient")
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(y), -1)).all(axis=1))
        if len(bad):
            raise UsageError(f"{name} is missing for {len(bad)} patients, first in row {bad[0]}; impute it before")
    seen = np.isfinite(y.reshape(len(y), -1)).all(axis=1)
    if {0.0, 1.0} - set(group[seen].tolist()):
        raise UsageError("one of the two arms has no patient with an outcome")
    left_out = int((~seen).sum())
    note = f"observed cases: {left_out} of {len(y)} patients without outcome left out" if left_out else ""
    return TwoArms(y[seen], group[seen], table[seen], note), more[seen]


def regress(model: Model, outcome: Array, design: Array) -> Fit:
    """Fit one of the models; a Cox model has no use for the intercept, whose coefficient is then zero."""
    if model == "linear":
        return linear(outcome, design)
    if model == "logistic":
        return logistic(outcome, design)
    if model != "cox":
        raise UsageError(f"model '{model}' is unknown; expected 'linear', 'logistic' or 'cox'")
    if outcome.ndim != 2 or outcome.shape[1] != 2:
        raise UsageError("a Cox model needs an outcome of two columns, time and event")
    fit = cox(outcome[:, 0], outcome[:, 1], design[:, 1:])
    covariance = np.zeros((design.shape[1], design.shape[1]))
    covariance[1:, 1:] = fit.covariance
    return Fit(np.append(0.0, fit.coefficients), covariance, fit.df, fit.converged)


def _inverse(matrix: Array) -> Array:
    size = np.sqrt(np.diag(matrix))
    if not (size > 0).all():
        raise UsageError("a covariate is constant, or an arm or subgroup is empty; leave it out")
    scaled = matrix / np.outer(size, size)
    if np.linalg.eigvalsh(scaled)[0] < 1e-11:
        raise UsageError("the covariates are collinear; leave the redundant ones out")
    result: Array = np.linalg.inv(scaled) / np.outer(size, size)
    return result


def linear(outcome: Array, design: Array, *, robust: bool = False) -> Fit:
    """Least squares with model-based or HC3 covariance.

    References
    ----------
    HC3: MacKinnon & White 1985, doi:10.1016/0304-4076(85)90158-7.
    """
    df = len(outcome) - design.shape[1]
    if df < 1:
        raise UsageError(f"{len(outcome)} patients cannot support {design.shape[1]} coefficients")
    bread = _inverse(design.T @ design)
    coefficients = bread @ (design.T @ outcome)
    rest = outcome - design @ coefficients
    if robust:
        leverage = np.einsum("ij,jk,ik->i", design, bread, design, optimize=True)
        scores = design * (rest / (1 - leverage))[:, None]
        covariance = bread @ (scores.T @ scores) @ bread
    else:
        covariance = bread * float(rest @ rest) / df
    return Fit(coefficients, covariance, float(df), True)


def logistic(outcome: Array, design: Array, *, offset: Array | float = 0.0) -> Fit:
    """Maximum likelihood of a logistic model.

    Parameters
    ----------
    outcome : array, shape (n,)
        0 or 1.
    design : array, shape (n, k)
        With its own column of ones, if there is to be an intercept.
    offset : array, shape (n,), or float
        Added to the linear predictor [logit].
    """
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise UsageError("the outcome of a logistic model must be 0 or 1")
    _inverse(design.T @ design)  # says so if the covariates are collinear

    def at(coefficients: Array) -> Quadratic | None:
        line = design @ coefficients + offset
        if np.abs(line).max() > RUNAWAY:
            return None
        fitted = expit(line)
        return Quadratic(
            float(np.logaddexp(0, line).sum() - outcome @ line),
            design.T @ (fitted - outcome),
            (design.T * (fitted * (1 - fitted))) @ design,
        )

    return _fitted(at, design.shape[1])


def _fitted(at: Callable[[Array], Quadratic | None], coefficients: int) -> Fit:
    """Fit by Newton's method; where a coefficient runs off to infinity the fit has not converged."""
    found = minimise(at, np.zeros(coefficients), tolerance=TOLERANCE, stalled=TOLERANCE)
    end = at(found.parameters) if found.converged else None
    if end is None:
        return Fit(found.parameters, np.full((coefficients,) * 2, np.nan), inf, False)
    return Fit(found.parameters, _inverse(end.hessian), inf, True)


def cox(time: Array, event: Array, design: Array) -> Fit:
    """Partial likelihood with Efron's handling of ties, by Newton's method.

    References
    ----------
    Efron 1977, doi:10.1080/01621459.1977.10480613.
    """
    _checked_times(time, event)
    centred = design - design.mean(axis=0)
    order = np.argsort(-time, kind="stable")
    x, dead, times = centred[order], event[order] > 0, time[order]
    _inverse(x.T @ x)
    p = x.shape[1]
    # each event sees everybody with a time at least its own, less a share of those who have the event with it
    deaths = np.flatnonzero(dead)
    last = np.searchsorted(-times, -times[deaths], side="right") - 1
    distinct, group = np.unique(last, return_inverse=True)
    tied = np.bincount(group)
    starts = np.cumsum(tied) - tied
    share = ((np.arange(len(deaths)) - starts[group]) / tied[group])[:, None]
    member = (group == np.arange(len(distinct))[:, None]).astype(float)
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    everything = np.column_stack([np.ones(len(x)), x, pairs])
    total = x[deaths].sum(axis=0)

    def at(coefficients: Array) -> Quadratic | None:
        line = x @ coefficients
        if np.ptp(line) > RUNAWAY:
            return None
        weighted = everything * np.exp(line)[:, None]
        sums = np.cumsum(weighted, axis=0)[last] - share * (member @ weighted[deaths])[group]
        mean = sums[:, 1 : p + 1] / sums[:, :1]
        second = (sums[:, p + 1 :] / sums[:, :1]).sum(axis=0).reshape(p, p)
        value = float(np.log(sums[:, 0]).sum() - line[deaths].sum())
        return Quadratic(value, mean.sum(axis=0) - total, second - mean.T @ mean)

    return _fitted(at, p)


def _checked_times(time: Array, event: Array) -> None:
    if not (np.isfinite(time).all() and (time >= 0).all()):
        raise UsageError("times must be finite and not negative")
    if not np.isin(event, (0.0, 1.0)).all():
        raise UsageError("event must be 1 where it was seen and 0 where the time is censored")
    if not event.any():
        raise UsageError("no event was seen; a hazard cannot be estimated")
