"""Mixed model for repeated measures (MMRM): the usual primary analysis of an antidepressant trial.

The outcome at each visit has its own arm effect and its own slope of baseline; the covariance of the visits is
unstructured; estimation is by REML, so visits may be missing at random in any pattern. No Python library offers
this with the degrees of freedom that regulators expect (`statsmodels` 0.15 has random effects with normal tests,
and GEE), hence this implementation. It works on sufficient statistics of each pattern of missing visits, so that
one fit takes milliseconds whatever the number of patients.

Sources: Mallinckrodt et al. 2008, doi:10.1177/009286150804200402 (MMRM in trials); Jennrich & Schluchter 1986,
doi:10.2307/2530695 (derivatives); Kenward & Roger 1997, doi:10.2307/2533558 (small samples).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag

from crosstalk.errors import UsageError, check_level, check_option
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.newton import Optimum, minimise
from crosstalk.statistics.reml import Derivatives, satterthwaite
from crosstalk.statistics.structures import FALLBACK, Covariance, Structure, covariance, starting_values
from crosstalk.statistics.visit_patterns import Margins, VisitPatterns

__all__ = ["MmrmFit", "mmrm"]

Array = NDArray[np.floating[Any]]
Method = Literal["kenward-roger", "kenward-roger-observed", "satterthwaite"]
MOST_VISITS = 30
"""Most visits of an unstructured covariance: its derivatives hold the fourth power of their number."""
BATCH = 2_000_000
"""Numbers in the largest work array of the derivatives."""
SINGULAR = 1e-7
"""Least share of a visit's variance that earlier visits may leave; with too few complete patients it runs to zero."""


@dataclass(frozen=True, slots=True)
class MmrmFit:
    """A fitted mixed model for repeated measures."""

    contrasts: tuple[tuple[Estimate, ...], ...]
    """Arm minus control: one tuple for each active arm, with one estimate for each visit."""
    means: tuple[tuple[Estimate, ...], ...]
    """Least-squares means: one tuple for each arm, the control first, with one estimate for each visit."""
    covariance: Array
    """Estimated covariance of the visits, shape (visits, visits); with groups (groups, visits, visits), in the order
    of their labels."""
    deviance: float
    """-2 restricted log likelihood."""
    structure: Structure
    """The covariance structure that was fitted in the end."""
    converged: bool
    """False if no structure could be fitted; the contrasts are then not a number."""
    iterations: int
    """Newton steps of the last structure."""
    n: int
    """Patients with at least one visit."""
    note: str
    """Fallback and patients left out, in words."""

    def mean(self, visit: int = -1, arm: int = 1) -> Estimate:
        """Least-squares mean of an arm at a visit (counted from 0; -1 is the last)."""
        return self.means[arm][visit]

    def contrast(self, visit: int = -1, arm: int = 1) -> Estimate:
        """Arm minus control at a visit (counted from 0; -1 is the last)."""
        return self.contrasts[arm - 1][visit]


def mmrm(
    outcome: ArrayLike,
    arm: ArrayLike,
    baseline: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    method: Method = "kenward-roger",
    structures: tuple[Structure, ...] = FALLBACK,
    margins: Margins = "equal",
    level: float = 0.95,
) -> MmrmFit:
    """Fit outcome ~ arm x visit + baseline x visit + covariates by REML.

    Parameters
    ----------
    outcome : array, shape (n_patients, n_visits)
        Score or change from baseline at each visit; not a number where missing.
    arm : array of int, shape (n_patients,)
        0 is the control.
    baseline : array, shape (n_patients,) or (n_patients, k), optional
        Covariates whose slope differs by visit: the baseline score, also a prognostic score.
    covariates : array, shape (n_patients,) or (n_patients, k), optional
        Covariates with one slope for all visits, such as indicators of strata; a column of texts, such as names of
        sites, becomes an indicator of each but the first in order of the alphabet.
    groups : array, shape (n_patients,), optional
        Labels, such as the arms; each group has its own covariance of the structure.
    weights : array, shape (n_patients,) or (n_patients, n_visits), optional
        Positive; an outcome of weight w has the variance of the structure divided by w.
    method : str
        "kenward-roger" adjusts the standard errors, "satterthwaite" leaves them as they are. For one contrast
        both take Satterthwaite's formula, the first with the expected information, as Kenward and Roger and R's
        pbkrtest do, the second with the observed one. "kenward-roger-observed" adjusts by the observed information, as
        SAS and R's mmrm ("Kenward-Roger-Linear") do.
    structures : tuple of str
        Covariance structures in the order in which they are tried; the next one is taken only if the fit of
        the one before did not converge, and `note` says so.
    margins : str
        Where least-squares means are taken: numbers at their mean over the outcomes seen, labels in "equal" shares
        (as emmeans does by default) or in the shares "observed".
    level : float
        Coverage of the intervals.

    Raises
    ------
    UsageError
        Shapes that do not agree, a missing covariate, an arm without data at a visit, a visit at which everybody has
        the same outcome, collinear covariates, an unknown method or structure, or too many visits for it.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics.mmrm import mmrm
    >>> rng = np.random.default_rng(1)
    >>> arm = np.repeat([0, 1], 60)
    >>> baseline = rng.normal(24, 4, 120)
    >>> change = rng.normal(size=(120, 1)) * 4 + rng.normal(size=(120, 3)) * 3 - 2.0 * arm[:, None]
    >>> change[100:, 2] = np.nan
    >>> last = mmrm(change, arm, baseline).contrast()
    >>> last.n, bool(last.lower < last.estimate < last.upper)
    (120, True)
    """
    check_option("method", method, get_args(Method))
    check_option("margins", margins, get_args(Margins))
    check_level(level)
    if isinstance(structures, str) or not structures:
        raise UsageError(f"structures is {structures!r}; expected a tuple of names, such as ('unstructured',)")
    for name in structures:
        check_option("covariance structure", name, get_args(Structure))
    data = VisitPatterns.of(outcome, arm, baseline, covariates, groups, weights, margins)
    if "unstructured" in structures and data.visits > MOST_VISITS:
        raise UsageError(
            f"{data.visits} visits; an unstructured covariance is fitted with at most {MOST_VISITS}. Choose structures "
            "with fewer parameters, such as ('compound symmetry',), or fewer visits"
        )
    start = first_covariance(data)
    tried: list[Structure] = []
    for structure in structures:
        found, point = fitted(data, structure, np.tile(starting_values(structure, start), data.groups))
        if point is not None:
            break
        tried.append(structure)
    converged = len(tried) < len(structures)
    notes = [data.note] if data.note else []
    if tried:
        ending = f"; {structure} fitted instead" if converged else ""
        notes.append(f"no convergence with covariance {' nor '.join(tried)}{ending}")
    note = "; ".join(notes)
    if not converged or point is None:
        failed = tuple(tuple(wald(np.nan, np.nan, n=data.n, note=note) for _ in row) for row in data.rows())
        empty = np.full((data.visits, data.visits), np.nan)
        return MmrmFit(failed[1:], failed, empty, float("nan"), structure, False, found.iterations, data.n, note)
    means, rows = data.rows(), data.rows()[1:] - data.rows()[:1]
    estimates = _estimates(point, np.concatenate([means, rows]), method, level, note)
    matrix = point.matrices[0] if groups is None else point.matrices
    return MmrmFit(
        estimates[data.arms :], estimates[: data.arms], matrix, point.value, structure, True, found.iterations, data.n,
        note,
    )  # fmt: skip


def fitted(data: VisitPatterns, structure: Structure, start: Array) -> tuple[Optimum, _Point | None]:
    """The search for the maximum from a start, and its point; None where there is none."""
    found = minimise(lambda parameters: _point(data, structure, parameters), start)
    point = _point(data, structure, found.parameters)
    return found, point if found.converged and point is not None and _invertible(point) else None


def first_covariance(data: VisitPatterns) -> Array:
    """Positive definite covariance of the residuals of ordinary least squares."""
    first, second = np.triu_indices(data.visits)
    empty = np.empty((len(first), 0))
    plain = Covariance((first == second).astype(float), empty, lambda _: np.empty((0, 0)))
    point = _Point(data, (plain,) * data.groups)
    pairs = np.einsum("s,st,su->tu", data.counts, data.masks, data.masks)
    matrix = point.scatter.sum(axis=0) / np.maximum(pairs, 1)
    scale = np.diag(matrix).mean() or 1.0
    diagonal = np.maximum(np.diag(matrix), 1e-6 * scale)
    for _ in range(60):
        np.fill_diagonal(matrix, diagonal)
        deviations = np.sqrt(diagonal)
        if np.linalg.eigvalsh(matrix / np.outer(deviations, deviations))[0] > 1e-3:
            break
        matrix = matrix * 0.9
    return np.asarray(matrix)


@dataclass(frozen=True)
class _Point:
    """The restricted likelihood at one covariance of the visits, of each group."""

    data: VisitPatterns
    shapes: tuple[Covariance, ...]

    @cached_property
    def matrices(self) -> Array:
        """Covariance of each group, shape (g, t, t)."""
        t = self.data.visits
        matrices = np.zeros((len(self.shapes), t, t))
        first, second = np.triu_indices(t)
        for matrix, shape in zip(matrices, self.shapes, strict=True):
            matrix[first, second] = matrix[second, first] = shape.triangle
        return matrices

    @cached_property
    def _inverted(self) -> tuple[Array, float]:
        masks = self.data.masks
        both = masks[:, :, None] * masks[:, None, :]
        padded = self.matrices[self.data.group] * both + (1 - masks)[:, :, None] * np.eye(self.data.visits)
        seen = masks > 0
        heavy = 2 * np.log(self.data.scale, where=seen, out=np.zeros_like(masks)).sum(axis=1)
        return np.linalg.inv(padded) * both, float(self.data.counts @ (np.linalg.slogdet(padded)[1] - heavy))

    @property
    def weights(self) -> Array:
        """Inverse covariance of each pattern, zero at missing visits, shape (s, t, t)."""
        return self._inverted[0]

    @cached_property
    def information(self) -> Array:
        result: Array = self.data.information(self.weights)
        return result

    @cached_property
    def fixed(self) -> Array:
        result: Array = np.linalg.inv(self.information)
        return result

    @cached_property
    def coefficients(self) -> Array:
        score = np.einsum("stu,sfu->tf", self.weights * self.data.both, self.data.crosses).ravel()
        result: Array = np.linalg.solve(self.information, self.data.spread.T @ score)
        return result

    @cached_property
    def surface(self) -> Array:
        """Coefficients of each visit and column, shape (t, f)."""
        result: Array = (self.data.spread @ self.coefficients).reshape(self.data.visits, -1)
        return result

    @cached_property
    def leaning(self) -> Array:
        """Sum of d r', shape (s, f, t)."""
        result: Array = (self.data.crosses - self.data.designs @ self.surface.T) * self.data.masks[:, None, :]
        return result

    @cached_property
    def scatter(self) -> Array:
        """Sum of r r', each residual times the root of its weight, shape (s, t, t)."""
        fitted = self.surface @ self.data.crosses
        own = self.surface @ self.data.designs @ self.surface.T
        result: Array = self.data.squares - fitted - fitted.transpose(0, 2, 1) + own
        return result * self.data.both

    @cached_property
    def value(self) -> float:
        """-2 restricted log likelihood."""
        observations = self.data.counts @ self.data.masks.sum(axis=1)
        p = len(self.information)
        misfit = float(np.einsum("stu,stu->", self.weights, self.scatter))
        constant = (observations - p) * np.log(2 * np.pi)
        return float(constant + self._inverted[1] + np.linalg.slogdet(self.information)[1] + misfit)

    @cached_property
    def leverage(self) -> Array:
        """Covariance of the fitted values, summed over patients and weighted, shape (s, t, t)."""
        data = self.data
        t, f = data.visits, data.designs.shape[1]
        expanded = (data.spread @ self.fixed @ data.spread.T).reshape(t, f, t, f).transpose(0, 2, 1, 3)
        result: Array = (data.designs.reshape(len(data.masks), -1) @ expanded.reshape(t * t, f * f).T).reshape(-1, t, t)
        return result * data.both

    @cached_property
    def directions(self) -> list[Array]:
        """Derivatives of each group's covariance by its parameters, symmetric, shape (k, t, t)."""
        first, second = np.triu_indices(self.data.visits)
        found = list[Array]()
        for shape in self.shapes:
            along = np.zeros((shape.jacobian.shape[1], self.data.visits, self.data.visits))
            along[:, first, second] = along[:, second, first] = shape.jacobian.T
            found.append(along)
        return found

    @cached_property
    def derivatives(self) -> Derivatives:
        """Derivatives along the parameters of the structure, as if the covariance were linear in them."""
        parts = [self._part(along, np.flatnonzero(self.data.group == g)) for g, along in enumerate(self.directions)]
        # parameters of two groups have no second derivative in common but through the fixed effects
        slopes, trace, trace2, leverage2, residual, residual2, cross = zip(*parts, strict=True)
        return Derivatives(
            self.fixed, np.concatenate(slopes), np.concatenate(trace), block_diag(*trace2), block_diag(*leverage2),
            np.concatenate(residual), block_diag(*residual2), np.concatenate(cross),
        )  # fmt: skip

    def _part(self, along: Array, own: NDArray[np.intp]) -> tuple[Array, ...]:
        """What patterns of one group give to the derivatives along the parameters of its covariance."""
        data, weights, scatter = self.data, self.weights[own], self.scatter[own]
        counts, designs, spread = data.counts[own], data.designs[own], data.spread
        s, t = len(own), data.visits
        f, k = designs.shape[1], len(along)
        flat, both = along.reshape(k, t * t), data.both[own]

        # some patterns at a time: all at once would take memory, one by one time
        step = max(1, BATCH // (k * t * t))
        batches = [slice(i, i + step) for i in range(0, s, step)]

        def second(left: Array) -> Array:
            """Sum over patterns of tr(D_k W D_l A_s), symmetrised."""
            full = np.zeros((k, k))
            for batch in batches:
                one = along[:, None] @ weights[batch]
                other = (along[:, None] @ left[batch]).transpose(0, 1, 3, 2)
                full += one.reshape(k, -1) @ other.reshape(k, -1).T
            return (full + full.T) / 2

        slopes, cross = np.zeros((k * t * t, f * f)), np.zeros((k, t, f))
        for batch in batches:
            turned = (weights[batch] @ along[:, None] @ weights[batch]) * both[batch]
            slopes += turned.transpose(0, 2, 3, 1).reshape(k * t * t, -1) @ designs[batch].reshape(-1, f * f)
            cross += (turned @ self.leaning[own[batch]].transpose(0, 2, 1)).sum(axis=1)
        shaped = slopes.reshape(k, t, t, f, f).transpose(0, 1, 3, 2, 4).reshape(k, t * f, t * f)
        return (
            spread.T @ shaped @ spread,
            flat @ (counts @ weights.reshape(s, -1)),
            second(weights * counts[:, None, None]),
            second(weights @ self.leverage[own] @ weights),
            flat @ (weights @ scatter @ weights).sum(axis=0).ravel(),
            second(weights @ scatter @ weights),
            cross.reshape(k, -1) @ spread,
        )

    def _by_entry(self, own: NDArray[np.intp]) -> Array:
        """Gradient by the entries of the upper triangle of a group's covariance, shape (j,)."""
        weights = self.weights[own]
        full = np.einsum("s,stu->tu", self.data.counts[own], weights) - (
            weights @ (self.scatter + self.leverage)[own] @ weights
        ).sum(axis=0)
        full = full + full.T - np.diag(np.diag(full))
        result: Array = full[np.triu_indices(self.data.visits)]
        return result

    @cached_property
    def _slope(self) -> tuple[Array, Array, Array]:
        found = self.derivatives
        bends = [s.bend(self._by_entry(np.flatnonzero(self.data.group == g))) for g, s in enumerate(self.shapes)]
        return found.gradient(), found.hessian() + block_diag(*bends), found.hessian(expected=True)

    def slope(self) -> tuple[Array, Array, Array]:
        """Gradient, Hessian and expected Hessian by the parameters of the structure."""
        return self._slope

    def adjusted(self, covariance_of: Array) -> Array:
        """Covariance of the fixed effects by Kenward and Roger, shape (p, p).

        The term with second derivatives is left out. It is zero for a covariance that is linear in its parameters,
        and elsewhere it makes the result depend on how the structure is parametrised.

        Parameters
        ----------
        covariance_of : array, shape (k, k)
            Covariance of the parameters of the structure.
        """
        weights, found = self.weights, self.derivatives
        middle, at = np.zeros_like(weights), 0
        for g, along in enumerate(self.directions):
            block = covariance_of[at : at + len(along), at : at + len(along)]
            other = np.tensordot(block, along, 1)
            for s in np.flatnonzero(self.data.group == g):
                middle[s] = np.tensordot(along @ weights[s], other, ((0, 2), (0, 1)))
            at += len(along)
        bias = self.data.information(weights @ middle @ weights)
        mixed = np.tensordot(covariance_of, found.slopes, 1)
        bias = bias - np.einsum("jab,jbc->ac", found.slopes, self.fixed @ mixed, optimize=True)
        result: Array = self.fixed + 2 * self.fixed @ bias @ self.fixed
        return result


def _point(data: VisitPatterns, structure: Structure, parameters: Array) -> _Point | None:
    if not np.isfinite(parameters).all() or (structure != "unstructured" and np.abs(parameters).max() > 50):
        return None
    point = _Point(data, tuple(covariance(structure, p, data.visits) for p in np.split(parameters, data.groups)))
    try:
        roots = np.diagonal(np.linalg.cholesky(point.matrices), axis1=1, axis2=2)
        own = roots**2 / np.diagonal(point.matrices, axis1=1, axis2=2)
        return point if own.min() > SINGULAR and np.isfinite(point.value) else None
    except np.linalg.LinAlgError:
        return None


def _invertible(point: _Point) -> bool:
    """Whether the parameters are identified: two visits that nobody attended both leave a flat direction."""
    for hessian in point.slope()[1:]:
        size = np.sqrt(np.abs(np.diag(hessian)))
        if not (size > 0).all() or np.linalg.eigvalsh(hessian / np.outer(size, size))[0] < 1e-8:
            return False
    return True


def _estimates(point: _Point, rows: Array, method: Method, level: float, note: str) -> tuple[tuple[Estimate, ...], ...]:
    _, observed, expected = point.slope()
    flat = rows.reshape(-1, rows.shape[-1])
    spread = 2 * np.linalg.inv(expected if method == "kenward-roger" else observed)
    fixed = point.fixed if method == "satterthwaite" else point.adjusted(spread)
    df = satterthwaite(flat, point.fixed, point.derivatives.slopes, spread)
    se = np.sqrt(np.einsum("mp,pq,mq->m", flat, fixed, flat))
    found = [
        wald(estimate, error, df=degrees, n=point.data.n, level=level, note=note)
        for estimate, error, degrees in zip(flat @ point.coefficients, se, df, strict=True)
    ]
    visits = rows.shape[1]
    return tuple(tuple(found[i : i + visits]) for i in range(0, len(found), visits))
