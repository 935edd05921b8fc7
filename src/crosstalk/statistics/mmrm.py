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

from crosstalk.errors import UsageError, check_level, check_option
from crosstalk.statistics.estimates import Estimate, wald
from crosstalk.statistics.newton import minimise
from crosstalk.statistics.reml import Derivatives, satterthwaite
from crosstalk.statistics.structures import FALLBACK, Covariance, Structure, covariance, starting_values

__all__ = ["MmrmFit", "mmrm"]

Array = NDArray[np.floating[Any]]
Method = Literal["kenward-roger", "satterthwaite"]
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
    covariance: Array
    """Estimated covariance of the visits, shape (visits, visits)."""
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

    def contrast(self, visit: int = -1, arm: int = 1) -> Estimate:
        """Arm minus control at a visit (counted from 0; -1 is the last)."""
        return self.contrasts[arm - 1][visit]


def mmrm(
    outcome: ArrayLike,
    arm: ArrayLike,
    baseline: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    *,
    method: Method = "kenward-roger",
    structures: tuple[Structure, ...] = FALLBACK,
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
    method : str
        "kenward-roger" adjusts the standard errors, "satterthwaite" leaves them as they are. For one contrast
        both take Satterthwaite's formula, the first with the expected, the second with the observed information.
    structures : tuple of str
        Covariance structures in the order in which they are tried; the next one is taken only if the fit of
        the one before did not converge, and `note` says so.
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
    if method not in ("kenward-roger", "satterthwaite"):
        raise UsageError(f"method '{method}' is unknown; expected 'kenward-roger' or 'satterthwaite'")
    check_level(level)
    if isinstance(structures, str) or not structures:
        raise UsageError(f"structures is {structures!r}; expected a tuple of names, such as ('unstructured',)")
    for name in structures:
        check_option("covariance structure", name, get_args(Structure))
    data = _Data.of(outcome, arm, baseline, covariates)
    if "unstructured" in structures and data.visits > MOST_VISITS:
        raise UsageError(
            f"{data.visits} visits; an unstructured covariance is fitted with at most {MOST_VISITS}. Choose structures "
            "with fewer parameters, such as ('compound symmetry',), or fewer visits"
        )
    start = data.start()
    tried: list[Structure] = []
    for structure in structures:
        found = minimise(lambda parameters, s=structure: _point(data, s, parameters), starting_values(structure, start))  # type: ignore[misc]
        point = _point(data, structure, found.parameters)
        if found.converged and point is not None and _invertible(point):
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
        return MmrmFit(failed, empty, float("nan"), structure, False, found.iterations, data.n, note)
    estimates = _contrasts(point, data.rows(), method, level, note)
    return MmrmFit(estimates, point.matrix, point.value, structure, True, found.iterations, data.n, note)


@dataclass(frozen=True, slots=True)
class _Data:
    """Sufficient statistics of each pattern of missing visits; f baseline columns, t visits, s patterns.

    A fixed effect belongs to a column and a visit (t x f in all); `spread` makes these of the p coefficients,
    since a covariate has one coefficient for all visits.
    """

    masks: Array  # (s, t)
    counts: Array  # (s,)
    designs: Array  # (s, f, f): sum of d d'
    crosses: Array  # (s, f, t): sum of d y'
    squares: Array  # (s, t, t): sum of y y'
    spread: Array  # (t * f, p)
    arms: int
    n: int
    note: str

    @property
    def visits(self) -> int:
        return int(self.masks.shape[1])

    @classmethod
    def of(cls, outcome: ArrayLike, arm: ArrayLike, baseline: ArrayLike | None, covariates: ArrayLike | None) -> _Data:
        y = np.asarray(outcome, dtype=float)
        if y.ndim != 2:
            raise UsageError(f"outcome has shape {y.shape}; expected one row a patient and one column a visit")
        group = np.asarray(arm)
        if group.shape != (len(y),):
            raise UsageError(f"arm has shape {group.shape}; expected ({len(y)},), one number a patient")
        if not np.isin(group, np.arange(len(y))).all() or not (group == 0).any() or not (group > 0).any():
            raise UsageError("arm must hold whole numbers, 0 for the control and 1, 2, ... for the other arms")
        group = group.astype(int)
        varying, constant = _columns(baseline, "baseline", len(y)), _columns(covariates, "covariates", len(y))
        seen = np.isfinite(y)
        used = seen.any(axis=1)
        arms = int(group.max()) + 1
        for a in range(arms):
            for t in np.flatnonzero(~seen[group == a].any(axis=0)):
                raise UsageError(f"arm {a} has no outcome at visit {t}; leave the visit or the arm out")
        for visit, (outcomes, there) in enumerate(zip(y.T, seen.T, strict=True)):
            if there.sum() > 1 and np.ptp(outcomes[there]) == 0:
                raise UsageError(
                    f"visit {visit} has the same outcome for everybody, {outcomes[there][0]:g}; leave it out"
                )
        y, group, seen = y[used], group[used], seen[used]
        varying, constant = varying[used] - varying[used].mean(axis=0), constant[used] - constant[used].mean(axis=0)
        design = np.column_stack([np.ones(len(y)), group[:, None] == np.arange(1, arms), varying, constant])
        for t in np.flatnonzero(seen.sum(axis=0) <= design.shape[1]):
            raise UsageError(
                f"visit {t} has {seen[:, t].sum()} outcomes, which cannot support {design.shape[1]} coefficients and a "
                f"variance; leave covariates or the visit out"
            )
        y = np.where(seen, y, 0.0)
        # as bytes: there may be more visits than a number has bits
        codes = np.packbits(seen, axis=1)
        _, first, pattern = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        pattern = pattern.ravel()
        size = len(first)
        member = (pattern == np.arange(size)[:, None]).astype(float)
        both = np.column_stack([design, y])
        width = both.shape[1]
        products = (member @ (both[:, :, None] * both[:, None, :]).reshape(len(y), -1)).reshape(size, width, width)
        f, visits = design.shape[1], y.shape[1]
        identity = np.eye(visits * f).reshape(visits * f, visits, f)
        own = identity[:, :, : f - constant.shape[1]].reshape(visits * f, -1)
        shared = identity[:, :, f - constant.shape[1] :].sum(axis=1)
        left_out = len(used) - int(used.sum())
        note = f"{left_out} patients without any visit left out" if left_out else ""
        found = cls(
            seen[first].astype(float),
            member.sum(axis=1),
            products[:, :f, :f],
            products[:, :f, f:],
            products[:, f:, f:],
            np.hstack([own, shared]),
            arms,
            int(used.sum()),
            note,
        )
        information = found.information(found.masks[:, :, None] * np.eye(visits))
        size_of = np.sqrt(np.diag(information))
        if (size_of == 0).any() or np.linalg.eigvalsh(information / np.outer(size_of, size_of))[0] < 1e-10:
            raise UsageError("the covariates are collinear or constant at some visit; leave the redundant ones out")
        return found

    def information(self, weights: Array) -> Array:
        """X'WX of weights, shape (s, t, t); gives (p, p)."""
        s, t = self.masks.shape
        f = self.designs.shape[1]
        full = (weights.reshape(s, -1).T @ self.designs.reshape(s, -1)).reshape(t, t, f, f)
        result: Array = self.spread.T @ full.transpose(0, 2, 1, 3).reshape(t * f, t * f) @ self.spread
        return result

    def start(self) -> Array:
        """Positive definite covariance of the residuals of ordinary least squares."""
        first, second = np.triu_indices(self.visits)
        empty = np.empty((len(first), 0))
        point = _Point(self, Covariance((first == second).astype(float), empty, empty[:, :, None]))
        pairs = np.einsum("s,st,su->tu", self.counts, self.masks, self.masks)
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

    def rows(self) -> Array:
        """Contrasts arm minus control, shape (arms - 1, t, p)."""
        t, f = self.visits, self.designs.shape[1]
        rows = np.zeros((self.arms - 1, t, t, f))
        for a in range(1, self.arms):
            rows[a - 1, np.arange(t), np.arange(t), a] = 1.0
        result: Array = rows.reshape(self.arms - 1, t, t * f) @ self.spread
        return result


@dataclass(frozen=True)
class _Point:
    """The restricted likelihood at one covariance of the visits."""

    data: _Data
    shape: Covariance

    @cached_property
    def matrix(self) -> Array:
        t = self.data.visits
        matrix = np.zeros((t, t))
        first, second = np.triu_indices(t)
        matrix[first, second] = matrix[second, first] = self.shape.triangle
        return matrix

    @cached_property
    def _inverted(self) -> tuple[Array, float]:
        masks = self.data.masks
        both = masks[:, :, None] * masks[:, None, :]
        padded = self.matrix * both + (1 - masks)[:, :, None] * np.eye(self.data.visits)
        return np.linalg.inv(padded) * both, float(self.data.counts @ np.linalg.slogdet(padded)[1])

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
        score = np.einsum("stu,sfu->tf", self.weights, self.data.crosses).ravel()
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
        """Sum of r r', shape (s, t, t)."""
        masks = self.data.masks
        fitted = self.surface @ self.data.crosses
        own = self.surface @ self.data.designs @ self.surface.T
        result: Array = self.data.squares - fitted - fitted.transpose(0, 2, 1) + own
        return result * masks[:, :, None] * masks[:, None, :]

    @cached_property
    def value(self) -> float:
        """-2 restricted log likelihood."""
        observations = self.data.counts @ self.data.masks.sum(axis=1)
        p = len(self.information)
        misfit = float(np.einsum("stu,stu->", self.weights, self.scatter))
        constant = (observations - p) * np.log(2 * np.pi)
        return float(constant + self._inverted[1] + np.linalg.slogdet(self.information)[1] + misfit)

    @cached_property
    def directions(self) -> Array:
        """Derivatives of the covariance by the parameters of its structure, symmetric, shape (k, t, t)."""
        t = self.data.visits
        first, second = np.triu_indices(t)
        found = np.zeros((self.shape.jacobian.shape[1], t, t))
        found[:, first, second] = found[:, second, first] = self.shape.jacobian.T
        return found

    @cached_property
    def derivatives(self) -> Derivatives:
        """Derivatives along the parameters of the structure, as if the covariance were linear in them."""
        data, weights, along = self.data, self.weights, self.directions
        s, t = data.masks.shape
        f, k = data.designs.shape[1], len(along)
        spread, flat = data.spread, along.reshape(len(along), t * t)

        # some patterns at a time: all at once would take memory, one by one time
        step = max(1, BATCH // (k * t * t))
        batches = [slice(i, i + step) for i in range(0, s, step)]

        def second(left: Array) -> Array:
            """Sum over patterns of tr(D_k W D_l A_s), symmetrised."""
            full = np.zeros((k, k))
            for batch in batches:
                own = along[:, None] @ weights[batch]
                other = (along[:, None] @ left[batch]).transpose(0, 1, 3, 2)
                full += own.reshape(k, -1) @ other.reshape(k, -1).T
            return (full + full.T) / 2

        slopes, cross = np.zeros((k * t * t, f * f)), np.zeros((k, t, f))
        for batch in batches:
            turned = weights[batch] @ along[:, None] @ weights[batch]
            designs = data.designs[batch].reshape(-1, f * f)
            slopes += turned.transpose(0, 2, 3, 1).reshape(k * t * t, -1) @ designs
            cross += (turned @ self.leaning[batch].transpose(0, 2, 1)).sum(axis=1)
        shaped = slopes.reshape(k, t, t, f, f).transpose(0, 1, 3, 2, 4).reshape(k, t * f, t * f)
        expanded = (spread @ self.fixed @ spread.T).reshape(t, f, t, f).transpose(0, 2, 1, 3).reshape(t * t, f * f)
        leverage = (data.designs.reshape(s, -1) @ expanded.T).reshape(s, t, t)
        return Derivatives(
            self.fixed,
            spread.T @ shaped @ spread,
            flat @ (data.counts @ weights.reshape(s, -1)),
            second(weights * data.counts[:, None, None]),
            second(weights @ leverage @ weights),
            flat @ (weights @ self.scatter @ weights).sum(axis=0).ravel(),
            second(weights @ self.scatter @ weights),
            cross.reshape(k, -1) @ spread,
        )

    @cached_property
    def by_entry(self) -> Array:
        """Gradient by the entries of the upper triangle of the covariance, shape (j,)."""
        data, weights = self.data, self.weights
        s, t = data.masks.shape
        f = data.designs.shape[1]
        expanded = (data.spread @ self.fixed @ data.spread.T).reshape(t, f, t, f).transpose(0, 2, 1, 3)
        leverage = (data.designs.reshape(s, -1) @ expanded.reshape(t * t, f * f).T).reshape(s, t, t)
        full = np.einsum("s,stu->tu", data.counts, weights) - (weights @ (self.scatter + leverage) @ weights).sum(
            axis=0
        )
        full = full + full.T - np.diag(np.diag(full))
        result: Array = full[np.triu_indices(t)]
        return result

    @cached_property
    def _slope(self) -> tuple[Array, Array, Array]:
        found = self.derivatives
        bend = np.einsum("j,jkl->kl", self.by_entry, self.shape.curvature)
        return found.gradient(), found.hessian() + bend, found.hessian(expected=True)

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
        weights, along = self.weights, self.directions
        found = self.derivatives
        other = np.tensordot(covariance_of, along, 1)
        middle = np.array([np.tensordot(along @ own, other, ((0, 2), (0, 1))) for own in weights])
        bias = self.data.information(weights @ middle @ weights)
        mixed = np.tensordot(covariance_of, found.slopes, 1)
        bias = bias - np.einsum("jab,jbc->ac", found.slopes, self.fixed @ mixed, optimize=True)
        result: Array = self.fixed + 2 * self.fixed @ bias @ self.fixed
        return result


def _point(data: _Data, structure: Structure, parameters: Array) -> _Point | None:
    if not np.isfinite(parameters).all() or (structure != "unstructured" and np.abs(parameters).max() > 50):
        return None
    point = _Point(data, covariance(structure, parameters, data.visits))
    try:
        own = np.diag(np.linalg.cholesky(point.matrix)) ** 2 / np.diag(point.matrix)
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


def _contrasts(point: _Point, rows: Array, method: Method, level: float, note: str) -> tuple[tuple[Estimate, ...], ...]:
    _, observed, expected = point.slope()
    flat = rows.reshape(-1, rows.shape[-1])
    restricted = method == "kenward-roger"
    spread = 2 * np.linalg.inv(expected if restricted else observed)
    fixed = point.adjusted(spread) if restricted else point.fixed
    df = satterthwaite(flat, point.fixed, point.derivatives.slopes, spread)
    se = np.sqrt(np.einsum("mp,pq,mq->m", flat, fixed, flat))
    found = [
        wald(estimate, error, df=degrees, n=point.data.n, level=level, note=note)
        for estimate, error, degrees in zip(flat @ point.coefficients, se, df, strict=True)
    ]
    visits = rows.shape[1]
    return tuple(tuple(found[i : i + visits]) for i in range(0, len(found), visits))


def _columns(values: ArrayLike | None, name: str, patients: int) -> Array:
    if values is None:
        return np.empty((patients, 0))
    given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        given = _indicators(given, name)
    table = np.asarray(given, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != patients:
        raise UsageError(f"{name} has shape {np.shape(values)}; expected {patients} rows, one a patient")
    missing = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(missing):
        raise UsageError(f"{name} is missing for {len(missing)} patients, first in row {missing[0]}; impute it before")
    return table


def _indicators(values: NDArray[Any], name: str) -> Array:
    """Numbers of a table in which columns of texts become indicators of each label but the first."""
    columns = []
    for column in (values[:, None] if values.ndim == 1 else values).T:
        try:
            columns.append(column.astype(float))
            continue
        except (TypeError, ValueError):
            labels = np.array([str(v).strip() for v in column])
        blank = np.flatnonzero((labels == "") | (labels == "nan") | (labels == "None"))
        if len(blank):
            raise UsageError(f"{name} is missing for {len(blank)} patients, first in row {blank[0]}; impute it before")
        columns += [(labels == label).astype(float) for label in np.unique(labels)[1:]]
    return np.column_stack(columns) if columns else np.empty((len(values), 0))
