"""Uncertainty of one person: intervals and sets that hold the truth as often as they say, in every group.

Intervals are those of CV+: the residuals of held-out folds around the predictions of the models that did not see them;
sets hold each class whose p-value, among held-out people of that class, exceeds the error allowed. Both are calibrated
within groups (Mondrian), so that women and men are covered alike. Coverage is that of exchangeable people: the same
clinic, the same assay, the same years. It is over people, not for this one.

References
----------
CV+: Barber et al. 2021, doi 10.1214/20-AOS1965 (it guarantees 1 - 2 alpha, and has about 1 - alpha). Mondrian: Vovk et
al. 2005, doi 10.1007/b106715; cross-conformal sets: Vovk 2015, doi 10.1007/s10472-013-9368-4.
"""

from __future__ import annotations

from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted, validate_data

from crosstalk.errors import LearnError, check_level

__all__ = ["ConformalClassifier", "ConformalRegressor", "conformal_quantile", "least_people"]

Array = NDArray[np.float64]


def least_people(level: float) -> int:
    """People needed in a group for any finite interval: ``1 / alpha - 1``.

    Examples
    --------
    >>> least_people(0.9), least_people(0.95)
    (9, 19)
    """
    check_level(level)
    return ceil(round(1 / (1 - level), 9)) - 1


def conformal_quantile(residuals: ArrayLike, level: float) -> float:
    """The ``ceil((n + 1) level)``-th smallest residual; infinite where there are too few people.

    Examples
    --------
    >>> conformal_quantile(range(1, 20), 0.9), conformal_quantile([1.0, 2.0], 0.9)
    (18.0, inf)
    """
    check_level(level)
    ordered = np.sort(np.asarray(residuals, dtype=float))
    k = ceil(round((len(ordered) + 1) * level, 9))
    return float(ordered[k - 1]) if k <= len(ordered) else float("inf")


def _check_groups(groups: ArrayLike | None, n: int) -> NDArray[Any]:
    found = np.zeros(n, dtype=int) if groups is None else np.asarray(groups)
    if found.shape != (n,):
        raise LearnError(f"received {found.shape} groups for {n} people")
    return found


NO_TARGET = "no_validation"
"""As in scikit-learn: there is no target, where None is one that is missing."""


def _check_table(estimator: Any, X: Any, y: Any = NO_TARGET, *, y_numeric: bool = False) -> tuple[Any, NDArray[Any]]:
    """Check a table and its target; a data frame is left as it is, since the wrapped estimator may need its columns."""
    predicting = isinstance(y, str) and y == NO_TARGET
    if y is None or not hasattr(X, "iloc"):
        if predicting:
            return validate_data(estimator, X, reset=False), np.empty(0)
        values, target = validate_data(estimator, X, y, y_numeric=y_numeric)
        return values, np.asarray(target)
    _check_feature_names(estimator, X, reset=not predicting)
    _check_n_features(estimator, X, reset=not predicting)
    if predicting:
        return X, np.empty(0)
    target = column_or_1d(y, warn=True)
    check_consistent_length(X, target)
    if y_numeric:
        target = np.asarray(target, dtype=float)
    if np.asarray(target).dtype.kind == "f" and not np.isfinite(target).all():
        raise ValueError("Input y contains NaN or infinity; leave these people out")
    return X, np.asarray(target)


class ConformalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """CV+ intervals around any regressor, within groups.

    Parameters
    ----------
    estimator : regressor, optional
        Ridge regression by default.
    level : float
        Share of people whose truth the interval should hold.
    folds : int
    random_state : int, optional

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0, 1, 60)[:, None]
    >>> y = 3 * x.ravel() + np.tile([-0.5, 0.5], 30)
    >>> low, high = ConformalRegressor(level=0.8, random_state=0).fit(x, y).predict_interval([[0.5]]).T
    >>> bool(low[0] < 1.5 < high[0])
    True
    """

    def __init__(
        self, estimator: Any = None, *, level: float = 0.9, folds: int = 10, random_state: int | None = None
    ) -> None:
        self.estimator, self.level, self.folds, self.random_state = estimator, level, folds, random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, mondrian: ArrayLike | None = None) -> Self:
        """Fit on all, and on all but each fold for the residuals.

        Parameters
        ----------
        mondrian : array, shape (n,), optional
            Group of each person; intervals hold within each.

        Raises
        ------
        LearnError
            If a group is too small for the level.
        """
        values, target = _check_table(self, X, y, y_numeric=True)
        base = Ridge() if self.estimator is None else self.estimator
        self.group_ = _check_groups(mondrian, len(target))
        self.estimator_ = clone(base).fit(values, target)
        count = min(self.folds, len(target))
        self.models_, self.model_of_, self.residual_ = [], np.zeros(len(target), dtype=int), np.zeros(len(target))
        if count < 2:
            raise ValueError(f"received {len(target)} sample; an interval needs two or more")
        for k, (train, test) in enumerate(KFold(count, shuffle=True, random_state=self.random_state).split(values)):
            self.models_.append(clone(base).fit(_safe_indexing(values, train), target[train]))
            self.model_of_[test] = k
            self.residual_[test] = np.abs(target[test] - self.models_[k].predict(_safe_indexing(values, test)))
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Prediction of the model of all, shape (n,)."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict(_check_table(self, X)[0]), dtype=float)

    def predict_interval(self, X: ArrayLike, *, mondrian: ArrayLike | None = None) -> Array:
        """Lower and upper ends, shape (n, 2).

        Raises
        ------
        LearnError
            If a group was not seen in fit, or holds too few people for the level.
        """
        check_is_fitted(self)
        values = _check_table(self, X)[0]
        group = _check_groups(mondrian, len(values))
        predicted = np.stack([m.predict(values) for m in self.models_])
        ends = np.empty((len(values), 2))
        for label in np.unique(group):
            own, rows = np.flatnonzero(self.group_ == label), np.flatnonzero(group == label)
            if len(own) < least_people(self.level):
                raise LearnError(
                    f"group {label} has {len(own)} people in training; an interval of {self.level:.0%} needs "
                    f"{least_people(self.level)} or more"
                )
            centre, wide = predicted[self.model_of_[own]][:, rows], self.residual_[own][:, None]
            k = ceil(round((len(own) + 1) * self.level, 9))
            ends[rows, 1] = np.sort(centre + wide, axis=0)[k - 1]
            ends[rows, 0] = -np.sort(-(centre - wide), axis=0)[k - 1]
        return ends


class ConformalClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Prediction sets around any classifier: every class that cannot be excluded, within groups and classes.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, optional
        Logistic regression by default.
    level, folds, random_state
        As for `ConformalRegressor`; the set holds the truth in this share of people of each class and group.
    """

    def __init__(
        self, estimator: Any = None, *, level: float = 0.9, folds: int = 10, random_state: int | None = None
    ) -> None:
        self.estimator, self.level, self.folds, self.random_state = estimator, level, folds, random_state

    def fit(self, X: ArrayLike, y: ArrayLike, *, mondrian: ArrayLike | None = None) -> Self:
        """Fit on all, and on all but each fold for the scores (one less the probability of the true class)."""
        values, target = _check_table(self, X, y)
        check_classification_targets(target)
        base = LogisticRegression(max_iter=1000) if self.estimator is None else self.estimator
        self.classes_, codes = np.unique(target, return_inverse=True)
        self.group_ = _check_groups(mondrian, len(target))
        if len(self.classes_) < 2:
            raise ValueError(f"{len(self.classes_)} class; a classifier needs two or more")
        rarest = int(np.bincount(codes).min())
        if rarest < 2:
            raise ValueError(f"the rarest class has {rarest} member; folds need two or more")
        self.estimator_ = clone(base).fit(values, codes)
        self.code_, self.score_ = codes, np.zeros(len(codes))
        self.models_, self.model_of_ = [], np.zeros(len(codes), dtype=int)
        splitter = StratifiedKFold(min(self.folds, rarest), shuffle=True, random_state=self.random_state)
        for k, (train, test) in enumerate(splitter.split(values, codes)):
            self.models_.append(clone(base).fit(_safe_indexing(values, train), codes[train]))
            self.model_of_[test] = k
            chance = self.models_[k].predict_proba(_safe_indexing(values, test))
            self.score_[test] = 1 - chance[np.arange(len(test)), codes[test]]
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of the model of all, shape (n, n_classes)."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(_check_table(self, X)[0]), dtype=float)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class, shape (n,)."""
        codes = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[codes])

    def p_values(self, X: ArrayLike, *, mondrian: ArrayLike | None = None) -> Array:
        """Share of held-out people of each class and group that conform no better, shape (n, n_classes)."""
        check_is_fitted(self)
        values = _check_table(self, X)[0]
        group = _check_groups(mondrian, len(values))
        chance = np.stack([m.predict_proba(values) for m in self.models_])
        found = np.empty((len(values), len(self.classes_)))
        for label in np.unique(group):
            rows = np.flatnonzero(group == label)
            for c in range(len(self.classes_)):
                own = np.flatnonzero((self.group_ == label) & (self.code_ == c))
                if len(own) < least_people(self.level):
                    raise LearnError(
                        f"group {label} has {len(own)} people of class {self.classes_[c]} in training; a set of "
                        f"{self.level:.0%} needs {least_people(self.level)} or more"
                    )
                own_scores = 1 - chance[self.model_of_[own]][:, rows, c]
                found[rows, c] = (1 + (self.score_[own][:, None] >= own_scores).sum(axis=0)) / (len(own) + 1)
        return found

    def predict_set(self, X: ArrayLike, *, mondrian: ArrayLike | None = None) -> NDArray[np.bool_]:
        """Whether each class is in the set, shape (n, n_classes); both means that the data cannot tell."""
        return self.p_values(X, mondrian=mondrian) > 1 - self.level + 1e-12
