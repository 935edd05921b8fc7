"""Prediction of an outcome: penalised regression with its strength chosen inside, or gradient boosting, by one name.

Both come from scikit-learn. Gaps, scales and the strength of the penalty are learned in ``fit`` alone.

References
----------
Ridge for risk models: Le Cessie and van Houwelingen 1992, doi 10.2307/2347628. Boosting of trees: Friedman 2001, doi
10.1214/aos/1013203451.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from crosstalk.learn.models import BOOSTING, STRENGTHS

__all__ = ["OutcomeClassifier", "OutcomeRegressor"]

Array = NDArray[np.float64]
Method = Literal["penalised", "boosting"]


class _Outcome(BaseEstimator):  # type: ignore[misc] # sklearn has no types
    method: Method

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check(self) -> None:
        if self.method not in ("penalised", "boosting"):
            raise ValueError(f"method={self.method!r}; expected 'penalised' or 'boosting'")

    def _validated(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))


def _prepared(model: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), model)


class OutcomeClassifier(ClassifierMixin, _Outcome):  # type: ignore[misc]
    """Probability of an outcome such as response.

    Parameters
    ----------
    method : {"penalised", "boosting"}, default="penalised"
        Logistic regression with an L2 penalty on standardised features, gaps filled with the median, the strength
        chosen by the logarithmic score in inner folds; or gradient boosting of small trees with fixed settings.
    folds : int, default=5
        Inner folds; fewer where a class has fewer members.
    random_state : int or None, default=0
        Of inner folds and boosting.

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
    model_ : estimator
        What was fitted.
    strength_ : float
        Inverse penalty that was chosen; NaN for boosting.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 3))
    >>> y = np.where(X[:, 0] + rng.standard_normal(200) > 0, "responds", "does not")
    >>> model = OutcomeClassifier().fit(X, y)
    >>> bool(model.predict_proba([[2.0, 0.0, 0.0]])[0, list(model.classes_).index("responds")] > 0.8)
    True
    """

    def __init__(self, method: Method = "penalised", *, folds: int = 5, random_state: int | None = 0) -> None:
        self.method = method
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit.

        Parameters
        ----------
        X : array, shape (n_samples, n_features)
            Numbers; NaN where missing.
        y : array, shape (n_samples,)
            Two classes or more.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold

        self._check()
        if self.folds < 2:
            raise ValueError(f"folds={self.folds!r}; expected 2 or more")
        values, target = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(target)
        self.classes_, counts = np.unique(target, return_counts=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"the outcome has one class ({self.classes_[0]!r}); a classifier needs two classes or more"
            )
        self.strength_ = float("nan")
        if self.method == "boosting":
            self.model_ = HistGradientBoostingClassifier(random_state=self.random_state, **BOOSTING)
            self.model_.fit(values, target)
            return self
        model = _prepared(LogisticRegression(max_iter=5000))
        folds = min(self.folds, int(counts.min()))
        if folds < 2:  # a class of one cannot be held out
            self.model_ = model.fit(values, target)
            self.strength_ = 1.0
            return self
        inner = StratifiedKFold(folds, shuffle=True, random_state=self.random_state)
        search = GridSearchCV(
            model, {"logisticregression__C": STRENGTHS}, scoring="neg_log_loss", cv=inner, error_score="raise"
        )
        self.model_ = search.fit(values, target).best_estimator_
        self.strength_ = float(search.best_params_["logisticregression__C"])
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probability of each class, shape (n_samples, n_classes)."""
        values = self._validated(X)
        return np.asarray(self.model_.predict_proba(values))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class, shape (n_samples,)."""
        values = self._validated(X)
        return np.asarray(self.classes_[np.argmax(self.model_.predict_proba(values), axis=1)])


class OutcomeRegressor(RegressorMixin, _Outcome):  # type: ignore[misc]
    """Expected outcome such as a change of score.

    Parameters
    ----------
    method : {"penalised", "boosting"}, default="penalised"
        Ridge regression on standardised features, gaps filled with the median, the strength chosen by the squared error
        of predictions that leave one row out; or gradient boosting of small trees with fixed settings.
    random_state : int or None, default=0
        Of boosting.

    Attributes
    ----------
    model_ : estimator
        What was fitted.
    strength_ : float
        Inverse penalty per row that was chosen; NaN for boosting.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 3))
    >>> model = OutcomeRegressor().fit(X, 2 * X[:, 0] + rng.standard_normal(200))
    >>> round(float(model.predict([[1.0, 0.0, 0.0]])[0]))
    2
    """

    def __init__(self, method: Method = "penalised", *, random_state: int | None = 0) -> None:
        self.method = method
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit.

        Parameters
        ----------
        X : array, shape (n_samples, n_features)
            Numbers; NaN where missing.
        y : array, shape (n_samples,)
        """
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.linear_model import RidgeCV

        self._check()
        values, target = validate_data(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=True, ensure_min_samples=2
        )
        target = np.asarray(target, dtype=np.float64)
        self.strength_ = float("nan")
        if self.method == "boosting":
            self.model_ = HistGradientBoostingRegressor(random_state=self.random_state, **BOOSTING)
            self.model_.fit(values, target)
            return self
        # standardised columns have a sum of squares of n: a penalty in units of n means the same for every n
        penalties = [len(target) / 100 / s for s in STRENGTHS]
        self.model_ = _prepared(RidgeCV(penalties)).fit(values, target)
        self.strength_ = float(len(target) / self.model_[-1].alpha_)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Expected outcome, shape (n_samples,)."""
        values = self._validated(X)
        return np.asarray(self.model_.predict(values))
