"""Linear mixed model with a random intercept and slope, for scores at times that need not be visits of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import UsageError
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.newton import minimise
from crosstalk.statistics.reml import Derivatives, satterthwaite

__all__ = ["RandomSlopeFit", "random_slope"]

Array = NDArray[np.floating[Any]]
SINGULAR = 1e-6
"""Random effects count as perfectly correlated, or absent, below this ratio of a standard deviation to the residual."""


EXACT = 1e-8
"""The search does not go below this share of the initial residual variance: every patient would be on a line."""


@dataclass(frozen=True, slots=True)
class RandomSlopeFit:
    """A fitted random-slope model."""

    names: tuple[str, ...]
    """Names of the fixed effects, such as "time" and "arm 1 x time"."""
    coefficients: tuple[Estimate, ...]
    """Fixed effects in the order of `names`; degrees of freedom by Satterthwaite."""
    covariance: Array
    """Covariance of intercept and slope between patients, shape (2, 2)."""
    residual: float
    """Residual variance."""
    deviance: float
    """-2 log likelihood, restricted or not as asked."""
    converged: bool
    """False if the search did not end; the estimates are then those of its last step."""
    singular: bool
    """The covariance of the random effects lies on the edge of what is possible."""
    n: int
    """Patients."""
    note: str

    def coefficient(self, name: str) -> Estimate:
        """Fixed effect of a name.

        Raises
        ------
        UsageError
            An unknown name.
        """
        if name not in self.names:
            raise UsageError(f"no coefficient '{name}'; the model has {', '.join(self.names)}")
        return self.coefficients[self.names.index(name)]


def random_slope(
    outcome: ArrayLike,
    patient: ArrayLike,
    time: ArrayLike,
    arm: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    restricted: bool = True,
    level: float = 0.95,
) -> RandomSlopeFit:
    """Fit outcome ~ time (x arm) + covariates with a random intercept and slope of each patient.

    Parameters
    ----------
    outcome : array, shape (n_observations,)
        Score; observations that are not a number are left out.
    patient : array, shape (n_observations,)
        Any identifier.
    time : array, shape (n_observations,)
        In the unit in which the slope is wanted, e.g. weeks.
    arm : array of int, shape (n_observations,), optional
        0 is the control. "arm 1 x time" is then the difference of slopes.
    covariates : array, shape (n_observations,) or (n_observations, k), optional
        Further fixed effects.
    restricted : bool
        REML, or maximum likelihood (to compare deviances of models with other fixed effects).
    level : float
        Coverage of the intervals.

    Raises
    ------
    UsageError
        Shapes that do not agree, missing times or covariates, or collinear fixed effects.

    References
    ----------
    Laird & Ware 1982, doi:10.2307/2529876; Lindstrom & Bates 1988, doi:10.1080/01621459.1988.10478693.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics import random_slope
    >>> rng = np.random.default_rng(1)
    >>> week = np.tile(np.arange(6.0), 40)
    >>> patient = np.repeat(np.arange(40), 6)
    >>> own = rng.normal([24, -2], [3, 1], (40, 2))[patient]
    >>> fit = random_slope(own[:, 0] + own[:, 1] * week + rng.normal(0, 2, 240), patient, week)
    >>> fit.names, fit.converged, bool(fit.coefficient("time").upper < 0)
    (('intercept', 'time'), True, True)
    """
    y = np.asarray(outcome, dtype=float)
    names, columns = ["intercept", "time"], [np.ones(len(y)), _checked(time, "time", len(y))]
    if arm is not None:
        group = _checked(arm, "arm", len(y))
        if not np.isin(group, np.arange(len(y))).all() or not (group == 0).any():
            raise UsageError("arm must hold whole numbers, 0 for the control and 1, 2, ... for the other arms")
        for a in range(1, int(group.max()) + 1):
            names += [f"arm {a}", f"arm {a} x time"]
            columns += [group == a, (group == a) * columns[1]]
    if covariates is not None:
        table = np.asarray(covariates, dtype=float)
        table = table[:, None] if table.ndim == 1 else table
        names += [f"covariate {k + 1}" for k in range(table.shape[1])]
        columns += [_checked(column, "covariates", len(y)) for column in table.T]
    identity = np.asarray(patient)
    if identity.shape != y.shape:
        raise UsageError(f"patient has shape {identity.shape}; expected {y.shape}, one identifier an observation")
    seen = np.isfinite(y)
    data = _Data.of(y[seen], identity[seen], np.column_stack(columns)[seen].astype(float), restricted)
    return _fit(data, tuple(names), int((~seen).sum()), level)


def _fit(data: _Data, names: tuple[str, ...], left_out: int, level: float) -> RandomSlopeFit:
    start = data.start()
    floor = start[3] + np.log(EXACT)
    found = minimise(lambda parameters: _point(data, parameters) if parameters[3] > floor else None, start)
    point = _point(data, found.parameters)
    if point is None:
        raise UsageError("the outcome has no variation about its mean line; a mixed model cannot be fitted")
    observed = point.slope()[1]
    values, vectors = np.linalg.eigh(observed)
    kept = values > 1e-8 * values.max()
    spread = 2 * (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    spread = point.jacobian @ spread @ point.jacobian.T
    derivatives = point.derivatives
    df = satterthwaite(np.eye(len(names)), derivatives.fixed, derivatives.slopes, spread)
    smallest = np.linalg.eigvalsh(point.between * np.outer(data.scale, data.scale))[0]
    singular = bool(smallest <= SINGULAR**2 * point.residual)
    notes = [f"{left_out} observations without outcome left out"] if left_out else []
    notes += ["random effects are singular"] if singular else []
    notes += [] if found.converged else ["no convergence"]
    note = "; ".join(notes)
    estimates = tuple(
        wald(b, se, df=d, n=data.patients, level=level, note=note)
        for b, se, d in zip(point.coefficients, np.sqrt(np.diag(derivatives.fixed)), df, strict=True)
    )
    return RandomSlopeFit(
        names,
        estimates,
        point.between,
        point.residual,
        point.value,
        found.converged,
        singular,
        data.patients,
        note,
    )


@dataclass(frozen=True, slots=True)
class _Data:
    """Patients padded to the longest series: n patients, m observations, p fixed effects."""

    outcome: Array  # (n, m)
    design: Array  # (n, m, p)
    effects: Array  # (n, m, 2)
    masks: Array  # (n, m)
    restricted: bool

    @property
    def patients(self) -> int:
        return len(self.masks)

    @property
    def scale(self) -> Array:
        """Root mean square of the columns of the random effects: 1 and that of time."""
        result: Array = np.sqrt((self.effects**2).sum(axis=(0, 1)) / self.masks.sum())
        return result

    @classmethod
    def of(cls, y: Array, patient: NDArray[np.generic], design: Array, restricted: bool) -> _Data:
        _, member = np.unique(patient, return_inverse=True)
        order = np.argsort(member, kind="stable")
        lengths = np.bincount(member)
        if lengths.max(initial=0) < 3:
            raise UsageError("no patient has three observations; intercept, slope and residual cannot be told apart")
        place = np.arange(len(y)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        shape = (len(lengths), int(lengths.max(initial=0)))
        rows, size = member[order], np.sqrt((design**2).sum(axis=0))
        if len(y) <= design.shape[1] or (size == 0).any() or np.linalg.cond(design / size) > 1e7:
            raise UsageError("the fixed effects are collinear, or more than the observations; leave some out")
        padded = [np.zeros((*shape, *v.shape[1:])) for v in (y, design, design[:, :2], y)]
        for array, values in zip(padded, (y, design, design[:, :2], np.ones(len(y))), strict=True):
            array[rows, place] = values[order]
        return cls(padded[0], padded[1], padded[2], padded[3], restricted)

    def start(self) -> Array:
        """Half of the residual variance of least squares between patients, the rest within."""
        p = self.design.shape[2]
        flat = self.masks.ravel() > 0
        x, y = self.design.reshape(-1, p)[flat], self.outcome.ravel()[flat]
        residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        deviation = np.sqrt(max(float(residual @ residual) / len(y), 1e-300) / 2)
        return np.array([deviation, 0.0, 0.5 * deviation / self.scale[1], np.log(deviation**2)])


@dataclass(frozen=True)
class _Point:
    """The likelihood at one Cholesky root of the random effects' covariance and log residual variance."""

    data: _Data
    parameters: Array

    @cached_property
    def between(self) -> Array:
        a, b, c, _ = self.parameters
        return np.array([[a * a, a * b], [a * b, b * b + c * c]])

    @property
    def residual(self) -> float:
        return float(np.exp(self.parameters[3]))

    @property
    def jacobian(self) -> Array:
        """Derivatives of (G00, G01, G11, residual variance) by the parameters."""
        a, b, c, _ = self.parameters
        return np.array([[2 * a, 0, 0, 0], [b, a, 0, 0], [0, 2 * b, 2 * c, 0], [0, 0, 0, self.residual]], dtype=float)

    @property
    def curvature(self) -> Array:
        """Second derivatives of the same, shape (4, 4, 4)."""
        bent = np.zeros((4, 4, 4))
        bent[0, 0, 0] = bent[2, 1, 1] = bent[2, 2, 2] = 2.0
        bent[1, 0, 1] = bent[1, 1, 0] = 1.0
        bent[3, 3, 3] = self.residual
        return bent

    @cached_property
    def _inverted(self) -> tuple[Array, float]:
        z, masks = self.data.effects, self.data.masks
        eye = np.eye(masks.shape[1])
        padded = z @ self.between @ z.transpose(0, 2, 1) + eye * np.where(masks > 0, self.residual, 1.0)[:, None, :]
        weights = np.linalg.inv(padded) * masks[:, :, None] * masks[:, None, :]
        return weights, float(np.linalg.slogdet(padded)[1].sum())

    @cached_property
    def weighted(self) -> Array:
        result: Array = self._inverted[0] @ self.data.design
        return result

    @cached_property
    def information(self) -> Array:
        result: Array = np.tensordot(self.data.design, self.weighted, ((0, 1), (0, 1)))
        return result

    @cached_property
    def coefficients(self) -> Array:
        score = np.tensordot(self.weighted, self.data.outcome, ((0, 1), (0, 1)))
        result: Array = np.linalg.solve(self.information, score)
        return result

    @cached_property
    def rest(self) -> Array:
        result: Array = (self.data.outcome - self.data.design @ self.coefficients) * self.data.masks
        return result

    @cached_property
    def value(self) -> float:
        weights, log_determinant = self._inverted
        observations, p = self.data.masks.sum(), len(self.information)
        misfit = float(np.einsum("nm,nmk,nk->", self.rest, weights, self.rest, optimize=True))
        if self.data.restricted:
            log_determinant += float(np.linalg.slogdet(self.information)[1])
            observations = observations - p
        return float(observations * np.log(2 * np.pi) + log_determinant + misfit)

    @cached_property
    def derivatives(self) -> Derivatives:
        """Derivatives by (G00, G01, G11, residual variance)."""
        data, weights = self.data, self._inverted[0]
        z0, z1 = data.effects[:, :, 0], data.effects[:, :, 1]
        mixed = z0[:, :, None] * z1[:, None, :]
        eye = np.eye(z0.shape[1]) * data.masks[:, :, None]
        bases = np.stack(
            [z0[:, :, None] * z0[:, None, :], mixed + mixed.transpose(0, 2, 1), z1[:, :, None] * z1[:, None, :], eye]
        )
        turned = weights @ bases  # W E_j: (4, n, m, m)
        fixed = np.linalg.inv(self.information)
        sides = turned @ self.weighted  # W E_j W X: (4, n, m, p)
        lean = (weights @ self.rest[:, :, None])[:, :, 0]
        tilted = (turned @ lean[:, :, None])[..., 0]  # W E_j W r: (4, n, m)
        return Derivatives(
            fixed,
            np.tensordot(sides, data.design, ((1, 2), (0, 1))).transpose(0, 2, 1),
            np.einsum("jnaa->j", turned),
            turned.reshape(4, -1) @ turned.transpose(0, 1, 3, 2).reshape(4, -1).T,
            # X'W E_j W E_k W X = (E_j W X)' W (E_k W X)
            np.tensordot(bases @ self.weighted @ fixed, sides, ((1, 2, 3), (1, 2, 3))),
            tilted.reshape(4, -1) @ self.rest.ravel(),
            (bases @ lean[:, :, None]).reshape(4, -1) @ tilted.reshape(4, -1).T,
            np.tensordot(tilted, data.design, ((1, 2), (0, 1))),
            data.restricted,
        )

    def slope(self) -> tuple[Array, Array, Array]:
        """Gradient, Hessian and expected Hessian by the parameters."""
        jacobian, found = self.jacobian, self.derivatives
        gradient = found.gradient()
        observed = jacobian.T @ found.hessian() @ jacobian + np.einsum("j,jkl->kl", gradient, self.curvature)
        return jacobian.T @ gradient, observed, jacobian.T @ found.hessian(expected=True) @ jacobian


def _point(data: _Data, parameters: Array) -> _Point | None:
    if not np.isfinite(parameters).all() or abs(parameters[3]) > 500:
        return None
    point = _Point(data, parameters)
    try:
        return point if np.isfinite(point.value) else None
    except np.linalg.LinAlgError:
        return None


def _checked(values: ArrayLike, name: str, observations: int) -> Array:
    column = np.asarray(values, dtype=float)
    if column.shape != (observations,):
        raise UsageError(f"{name} has shape {column.shape}; expected ({observations},), one value an observation")
    if not np.isfinite(column).all():
        raise UsageError(
            f"{name} is missing in row {np.flatnonzero(~np.isfinite(column))[0]}; impute it or drop the row"
        )
    return column
