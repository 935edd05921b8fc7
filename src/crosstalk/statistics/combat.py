"""ComBat as a scikit-learn transformer: differences between sites, plates or kits are learned in training rows only.

Each harmonised feature is taken as

    value = grand mean + covariate effects + SD x (shift of the batch + spread of the batch x error)

where the shifts and spreads of a batch are shrunk towards what its features have in common (empirical Bayes). What is
learned is applied to later rows one by one, so that no held-out value takes part. Give concentrations as logarithms.

References
----------
Johnson, Li and Rabinovic 2007, doi 10.1093/biostatistics/kxj037. The numbers are those of R's sva 3.46, stopping rule
included; where this module differs from it, its docstrings say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from crosstalk.errors import PanelError

__all__ = ["ComBat", "HarmonisationError"]

Array = NDArray[np.float64]

CHANGE = 1e-4  # sva stops here; iterating on moves results by about 1e-5
ROUNDS = 1000  # fewer than 20 are needed
NOTHING = 1e-24  # share of a feature's square that is rounding error, not variance


class HarmonisationError(PanelError, ValueError):
    """Batches cannot be harmonised as asked; a ValueError too, since scikit-learn's callers expect one."""


class ComBat(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Remove differences of location and spread between batches, and keep what covariates explain.

    Parameters
    ----------
    batch : int or str, default=0
        Column of X that names the batch, by position or by name. It is left out of the output.
    covariates : sequence of int or str, default=()
        Columns of X whose effects are protected, as numbers (a group is 0 or 1). They pass through unchanged. They are
        needed at prediction, so the outcome to be predicted cannot be one of them.
    parametric : bool, default=True
        Normal and inverse-gamma priors; False takes the features themselves as the prior.
    unseen : {"refuse", "shrink"}, default="refuse"
        What to do with a row of a batch that was not in the training rows. Its shift cannot be estimated from one row.
        "shrink" draws each value towards the covariate-adjusted grand mean by 1 / (1 + t), where t is the variance of
        the shifts between the training batches over the variance within them: the expected value of what a training
        batch would have shown if the new batch is one more of the same kind. Spreads are left as they are.

    Attributes
    ----------
    batches_ : list
        Names of the training batches, sorted.
    batch_sizes_ : array, shape (n_batches,)
    grand_mean_, scale_ : array, shape (n_harmonised,)
        Mean at the mean of the covariates, and SD within batches.
    covariate_effects_ : array, shape (n_covariates, n_harmonised)
        Change of each feature per unit of each covariate.
    shift_, spread_ : array, shape (n_batches, n_harmonised)
        Posterior shift [SD within batches] and variance ratio of each batch.
    between_variance_ : array, shape (n_harmonised,)
        Variance of the shifts between batches, in units of the variance within them.
    unadjusted_ : list
        Features that are passed through because some batch shows no variation in them.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Raises
    ------
    HarmonisationError
        If there is one batch only, a batch has no name, covariates are confounded with the batch, or a batch is new and
        ``unseen="refuse"``.

    Notes
    -----
    A missing value stays missing, and the estimates use those that are there. A batch with a single row is corrected in
    its mean only, as in sva; the other batches keep their full correction, where sva turns to the mean alone for all of
    them. A feature that is constant within some batch is passed through, as in sva. With one feature there is nothing
    to shrink towards, and the plain estimates are used.

    References
    ----------
    doi 10.1093/biostatistics/kxj037

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> site = np.repeat([0, 1], 40)
    >>> values = rng.standard_normal((80, 5)) + 2.0 * site[:, None]
    >>> combat = ComBat(batch=0).fit(np.c_[site, values])
    >>> out = combat.transform(np.c_[site, values])
    >>> gap = out[site == 1].mean(axis=0) - out[site == 0].mean(axis=0)
    >>> out.shape, bool(np.abs(gap).max() < 0.5)  # was about 2
    ((80, 5), True)
    """

    def __init__(
        self,
        batch: int | str = 0,
        covariates: Sequence[int | str] = (),
        *,
        parametric: bool = True,
        unseen: Literal["refuse", "shrink"] = "refuse",
    ) -> None:
        self.batch = batch
        self.covariates = covariates
        self.parametric = parametric
        self.unseen = unseen

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> ComBat:
        """Learn the batches' shifts and spreads.

        Parameters
        ----------
        X : array or data frame, shape (n_samples, n_features)
            Batch, covariates and the features to be harmonised, which are all other columns.
        y : ignored
        """
        if self.unseen not in ("refuse", "shrink"):
            raise HarmonisationError(f"unseen={self.unseen!r}; expected 'refuse' or 'shrink'")
        labels, covariates, values = self._split(X, reset=True)
        self.batches_ = sorted(set(labels), key=lambda label: (str(type(label)), label))
        index = np.array([self.batches_.index(label) for label in labels])
        self.batch_sizes_ = np.bincount(index, minlength=len(self.batches_))
        self._check_batches(len(labels))
        dummies = np.eye(len(self.batches_))[index]
        centre = covariates.mean(axis=0)
        self._check_confounding(dummies, covariates - centre)
        design = np.c_[dummies, covariates - centre]

        self._covariate_centre = centre
        use = self._adjusted = self._standardise(design, values)
        standard = (values - self._expected(covariates)) / self.scale_
        self.shift_ = np.zeros((len(self.batches_), values.shape[1]))
        self.spread_ = np.ones_like(self.shift_)
        raw = np.full_like(self.shift_, np.nan)
        counts = np.zeros_like(self.shift_)
        for b in range(len(self.batches_)):
            rows = standard[index == b][:, use]
            mean, variance, n = _moments(rows)
            raw[b, use], counts[b, use] = mean, n
            adjust = _parametric if self.parametric else _nonparametric
            self.shift_[b, use], self.spread_[b, use] = adjust(rows, mean, variance, n)
        self.between_variance_ = _between(raw, counts)
        names = self._names(self._harmonised)
        self.unadjusted_ = [name for name, used in zip(names, use, strict=True) if not used]
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Harmonise rows with what was learned; each row by itself.

        Returns
        -------
        array, shape (n_samples, n_features - 1)
            All columns but the batch, in their order.
        """
        check_is_fitted(self)
        labels, covariates, values = self._split(X, reset=False)
        known = {label: b for b, label in enumerate(self.batches_)}
        index = np.array([known.get(label, -1) for label in labels])
        new = index < 0
        if new.any() and self.unseen == "refuse":
            names = sorted({str(label) for label, is_new in zip(labels, new, strict=True) if is_new})
            raise HarmonisationError(
                f"{int(new.sum())} rows of batches that were not trained on ({', '.join(names[:5])}); known are "
                f"{', '.join(str(b) for b in self.batches_[:10])}; train with rows of theirs, or choose unseen='shrink'"
            )
        expected = self._expected(covariates)
        standard = (values - expected) / self.scale_
        fitted = (standard - self.shift_[index]) / np.sqrt(self.spread_[index])
        drawn = standard / (1 + self.between_variance_)
        adjusted = np.where(new[:, None], drawn, fitted) * self.scale_ + expected
        out = np.empty((len(labels), self.n_features_in_))
        out[:, self._harmonised] = np.where(self._adjusted, adjusted, values)
        out[:, self._protected] = covariates
        return np.delete(out, self._batch, axis=1)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the columns of the output: those of X without the batch."""
        check_is_fitted(self)
        return np.delete(super().get_feature_names_out(input_features), self._batch)

    def _split(self, X: ArrayLike, *, reset: bool) -> tuple[list[Any], Array, Array]:
        """Names of the batches, covariates and values, shapes (n,), (n, n_covariates), (n, n_harmonised)."""
        table = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=1 + reset,
            ensure_min_features=1 + reset,
        )  # fmt: skip
        if reset:
            if isinstance(self.covariates, str):
                raise HarmonisationError(
                    f"covariates={self.covariates!r}; expected a list such as [{self.covariates!r}]"
                )
            self._batch = self._column(self.batch)
            self._protected = [self._column(c) for c in self.covariates]
            chosen = [self._batch, *self._protected]
            if len(set(chosen)) < len(chosen):
                raise HarmonisationError(f"batch {self.batch!r}, covariates {self.covariates!r}: a column stands twice")
            self._harmonised = [i for i in range(table.shape[1]) if i not in chosen]
            if not self._harmonised:
                raise HarmonisationError("every column is the batch or a covariate; nothing is left to harmonise")
        column = table[:, self._batch]
        unnamed = np.flatnonzero(_missing(column))
        if len(unnamed):
            raise HarmonisationError(
                f"{len(unnamed)} rows name no batch, the first is row {unnamed[0] + 1}; name it or leave the row out"
            )
        labels = column.tolist()
        covariates = self._numbers(table, self._protected, "covariate")
        gaps = [self._protected[j] for j in np.flatnonzero(_missing(covariates).any(axis=0))]
        if gaps:
            raise HarmonisationError(
                f"covariate {', '.join(map(str, self._names(gaps)))} has missing values; impute it or leave it out"
            )
        return labels, covariates, self._numbers(table, self._harmonised, "feature")

    def _numbers(self, table: NDArray[Any], columns: list[int], what: str) -> Array:
        if not columns:
            return np.zeros((len(table), 0))
        part = table[:, columns]
        if part.dtype == object:
            part = np.where(_missing(part), np.nan, part)
        try:
            return np.asarray(check_array(part, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=0))
        except ValueError as error:
            raise HarmonisationError(
                f"a {what} among {', '.join(map(str, self._names(columns)[:5]))} is not a number ({error}); give "
                f"groups as 0 and 1, and name the column of the batch in batch="
            ) from error

    def _column(self, name: int | str) -> int:
        if isinstance(name, str):
            names = list(getattr(self, "feature_names_in_", ()))
            if name not in names:
                raise HarmonisationError(
                    f"no column '{name}'; X has {', '.join(names[:10]) or 'columns without names'}"
                )
            return names.index(name)
        if not 0 <= name < self.n_features_in_:
            raise HarmonisationError(f"no column {name}; X has {self.n_features_in_}, counted from 0")
        return int(name)

    def _names(self, columns: list[int]) -> list[Any]:
        names = getattr(self, "feature_names_in_", None)
        return columns if names is None else [names[i] for i in columns]

    def _check_batches(self, n: int) -> None:
        if len(self.batches_) < 2:
            raise HarmonisationError(f"all rows are of batch {self.batches_[0]!r}; there is nothing to harmonise")
        if len(self.batches_) == n:
            raise HarmonisationError(
                f"column {self.batch!r} holds {n} different values in {n} rows; is it the batch? A batch needs more "
                f"rows than one"
            )

    def _check_confounding(self, dummies: Array, covariates: Array) -> None:
        """Refuse a design that cannot tell batch from covariate."""
        names = self._names(self._protected)
        spread = covariates.std(axis=0)
        still = [str(name) for name, s in zip(names, spread, strict=True) if s == 0]
        if still:
            raise HarmonisationError(f"covariate {', '.join(still)} does not vary; leave it out")
        standard = covariates / spread if len(names) else covariates
        n = dummies.shape[1]
        if np.linalg.matrix_rank(np.c_[dummies, standard]) == n + len(names):
            return
        if np.linalg.matrix_rank(standard) < len(names):
            raise HarmonisationError(
                f"the covariates {', '.join(map(str, names))} determine one another; leave one out"
            )
        alone = [str(c) for j, c in enumerate(names) if np.linalg.matrix_rank(np.c_[dummies, standard[:, j]]) == n]
        raise HarmonisationError(
            f"covariate {', '.join(alone or map(str, names))} is confounded with the batch (the design is not of full "
            f"rank): it cannot be told which of the two makes the difference; drop it, or add rows that break the tie"
        )

    def _standardise(self, design: Array, values: Array) -> NDArray[np.bool_]:
        """Learn mean, covariate effects and SD of each feature; tell which features can be adjusted at all."""
        n_batches = len(self.batches_)
        member = design[:, :n_batches] > 0
        present = ~_missing(values)
        use = np.asarray(present.sum(axis=0) > 1)
        for rows in member.T:
            enough = present[rows].sum(axis=0) > 1
            part = values[rows][:, enough]
            use[enough] &= np.nanmax(part, axis=0) > np.nanmin(part, axis=0)
        effects = np.zeros((design.shape[1], values.shape[1]))
        patterns, which = np.unique(present[:, use], axis=1, return_inverse=True)
        columns = np.flatnonzero(use)
        for i, rows in enumerate(patterns.T):
            chosen = columns[which.ravel() == i]
            there = np.r_[member[rows].any(axis=0), np.ones(design.shape[1] - n_batches, dtype=bool)]
            part = design[rows][:, there]
            if np.linalg.matrix_rank(part) < part.shape[1]:
                name = self._names([self._harmonised[chosen[0]]])[0]
                raise HarmonisationError(
                    f"feature {name}: in the {int(rows.sum())} rows that hold it, batch and covariates cannot be told "
                    f"apart; leave it out"
                )
            effects[np.ix_(there, chosen)] = np.linalg.lstsq(part, values[rows][:, chosen], rcond=None)[0]
        # batches weigh by their size; one without any value of a feature has no part in its mean
        weight = self.batch_sizes_[:, None] * np.stack([present[rows].any(axis=0) for rows in member.T])
        weight = weight / np.maximum(weight.sum(axis=0), 1)
        self.grand_mean_ = (weight * effects[:n_batches]).sum(axis=0)
        self.covariate_effects_ = effects[n_batches:]
        residual = values - design @ effects
        # as in sva: the divisor is n without missing values, n - 1 with any
        lost = int(not present[:, use].all())
        variance = np.ones(values.shape[1])
        variance[use] = np.nanvar(residual[:, use], axis=0, ddof=lost)
        size = np.nanmean(values[:, use] ** 2, axis=0)
        use[use] = variance[use] > NOTHING * size
        self.scale_ = np.where(use, np.sqrt(variance), 1.0)
        return use

    def _expected(self, covariates: Array) -> Array:
        """Mean of each feature for a person with these covariates, whatever the batch."""
        return np.asarray(self.grand_mean_ + (covariates - self._covariate_centre) @ self.covariate_effects_)


def _missing(part: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a table of any type has no value."""
    import pandas as pd

    return np.asarray(pd.isna(part))


def _moments(rows: Array) -> tuple[Array, Array, Array]:
    """Mean, variance and number of the values of each feature in one batch; NaN where there are too few."""
    n = (~np.isnan(rows)).sum(axis=0).astype(float)
    total = np.nansum(rows, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / n
        squares = np.nansum((rows - mean) ** 2, axis=0)
        variance = np.where(n > 1, squares / (n - 1), np.nan)
    return mean, variance, n


def _pooled(found: Array) -> tuple[float, float]:
    """Mean and variance over features of what is known; no variance where fewer than two are."""
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else np.nan, float(known.var(ddof=1)) if len(known) > 1 else np.nan


def _parametric(rows: Array, mean: Array, variance: Array, n: Array) -> tuple[Array, Array]:
    """Posterior shift and spread of one batch under normal and inverse-gamma priors fitted to its features."""
    g_bar, t2 = _pooled(mean)
    if np.isnan(t2):
        return np.nan_to_num(mean), np.where(np.isnan(variance), 1.0, variance)
    g_hat = np.where(np.isnan(mean), g_bar, mean)
    middle, s2 = _pooled(variance)
    if np.isnan(middle):
        return (t2 * n * g_hat + g_bar) / (t2 * n + 1), np.ones_like(g_hat)
    known = ~np.isnan(variance)
    g, d = g_hat, np.where(known, variance, middle)
    for _ in range(ROUNDS):
        g_new = (t2 * n * g_hat + d * g_bar) / (t2 * n + d)
        d_new = d if not s2 > 0 else _posterior_variance(np.nansum((rows - g_new) ** 2, axis=0), n, middle, s2)
        # sva divides by the signed shift, so that a falling one does not hold it up
        change = np.concatenate([np.abs(g_new - g) / np.where(g == 0, 1.0, g), np.abs(d_new - d) / d])
        g, d = g_new, d_new
        if change.max() <= CHANGE:
            break
    return g, d


def _posterior_variance(squares: Array, n: Array, middle: float, s2: float) -> Array:
    """Mean of the inverse-gamma posterior whose prior has this mean and variance."""
    a, b = (2 * s2 + middle**2) / s2, (middle * s2 + middle**3) / s2
    return (0.5 * squares + b) / (n / 2 + a - 1)


def _nonparametric(rows: Array, mean: Array, variance: Array, n: Array) -> tuple[Array, Array]:
    """Posterior shift and spread of one batch with the other features as the prior."""
    single = bool(np.isnan(variance).all())
    spread = np.ones_like(variance) if single else variance
    prior = ~(np.isnan(mean) | np.isnan(spread))
    if prior.sum() < 2:
        return np.nan_to_num(mean), np.where(np.isnan(variance), 1.0, variance)
    g, d = mean[prior], spread[prior]
    around = np.nansum((rows - mean) ** 2, axis=0)
    squares = around[:, None] + n[:, None] * (np.nan_to_num(mean)[:, None] - g) ** 2
    log_weight = -0.5 * n[:, None] * np.log(2 * np.pi * d) - squares / (2 * d)
    log_weight[np.flatnonzero(prior), np.arange(len(g))] = -np.inf  # a feature is no prior of its own
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return weight @ g, weight @ d


def _between(shifts: Array, counts: Array) -> Array:
    """Variance of the shifts between batches, net of the sampling error of each (method of moments, at least 0)."""
    known = counts > 0
    n = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, shifts, 0.0)
    centre = filled.sum(axis=0) / n
    squares = np.where(known, (filled - centre) ** 2, 0.0).sum(axis=0)
    sampling = np.where(known, 1 / np.maximum(counts, 1), 0.0).sum(axis=0) / n
    return np.where(n > 1, np.maximum(squares / np.maximum(n - 1, 1) - sampling, 0.0), 0.0)
