"""Estimators of the ladder: preparation, then penalised regression or gradient boosting; all fitted inside the folds.

Everything that learns (medians that fill gaps, scales, floors of logarithms, strength of the penalty, and the steps of
others) is part of one scikit-learn pipeline, which is fitted on training rows alone.

References
----------
Ridge regression for risk models: Le Cessie and van Houwelingen 1992, doi 10.2307/2347628.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

    from crosstalk.learn.cohort import Kind

__all__ = ["LEARNERS", "Columns", "FeatureStep", "StepFactory", "boosted", "lasso", "penalised", "predict"]

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
STRENGTHS = tuple(np.logspace(-3, 1, 6))  # inverse penalties of standardised predictors that are tried (assumed)
# small trees and slow learning, as fits hundreds of people (assumed); not tuned, so that it costs no data
BOOSTING: Mapping[str, Any] = {"max_iter": 150, "learning_rate": 0.05, "max_leaf_nodes": 6, "min_samples_leaf": 10,
                               "l2_regularization": 1.0, "early_stopping": False}  # fmt: skip


@runtime_checkable
class FeatureStep(Protocol):
    """Makes features of a cohort's table: what mechanisms scores and twins must look like to stand in the ladder.

    A transformer of scikit-learn that is cloned and fitted on training rows. It takes a `pandas.DataFrame` whose index
    holds the patients' names, with the columns of `crosstalk.learn.cohort.Cohort.table` (analytes in their own units,
    ``NAME below`` flags, clinical numbers, texts, NaN where missing) and gives numbers, NaN where it cannot tell.

    Attributes
    ----------
    row_wise : bool
        True where a patient's features follow from that patient alone (a simulation of one person). They are then
        computed once, without the outcome, before the folds; that the promise is kept is checked.
    """

    row_wise: bool

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn from training rows; ``y`` is None for a step that is row-wise."""
        ...

    def transform(self, X: pd.DataFrame) -> ArrayLike:
        """Features, shape (n, k)."""
        ...

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the features, shape (k,)."""
        ...


StepFactory = Callable[[], FeatureStep]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a model may see.

    Attributes
    ----------
    numbers : tuple of str
        Clinical numbers, taken as they are.
    logs : tuple of str
        Laboratory values, taken as logarithms.
    categories : tuple of str
    step : FeatureStep, optional
        Sees the whole table; its features join.
    features : tuple of str
        Columns of a row-wise step that were computed before the folds.
    """

    numbers: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    step: FeatureStep | None = None
    step_parameters: int = 0

    def parameters(self, table: pd.DataFrame) -> int:
        """Candidate parameters: one per number, one less than the levels per category."""
        levels = sum(max(int(table[c].nunique()) - 1, 0) for c in self.categories)
        return len(self.numbers) + len(self.logs) + len(self.features) + levels + self.step_parameters


def preparation(columns: Columns, *, fill: bool) -> Any:
    """Column transformer; with ``fill``, gaps get the median and numbers one scale, as regression needs."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from crosstalk.learn.preparation import LogFloor

    def finish(*first: Any) -> Any:
        rest = [SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()] if fill else []
        steps = [*first, *rest]
        return make_pipeline(*steps) if steps else "passthrough"

    parts: list[tuple[str, Any, Any]] = []
    if columns.numbers:
        parts.append(("numbers", finish(), list(columns.numbers)))
    if columns.logs:
        parts.append(("logs", finish(LogFloor()), list(columns.logs)))
    if columns.features:
        parts.append(("features", finish(), list(columns.features)))
    if columns.categories:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        parts.append(("categories", encoder, list(columns.categories)))
    if columns.step is not None:
        from sklearn.base import clone

        parts.append(("step", finish(clone(columns.step)), slice(None)))
    return ColumnTransformer(parts, sparse_threshold=0.0, verbose_feature_names_out=False)


def penalised(kind: Kind, columns: Columns, inner: Sequence[Split], seed: int) -> Any:
    """Ridge regression (logistic for an event); the inner folds choose its penalty by logarithmic or squared error."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    if kind == "event":
        model = LogisticRegression(tol=1e-6, max_iter=5000)
        search = GridSearchCV(model, {"C": STRENGTHS}, scoring=_likelihood, cv=list(inner), error_score="raise")
    else:
        grid = {"alpha": [1 / s for s in STRENGTHS]}
        search = GridSearchCV(Ridge(), grid, scoring="neg_mean_squared_error", cv=list(inner), error_score="raise")
    return Pipeline([("prepare", preparation(columns, fill=True)), ("model", search)])


def _likelihood(model: Any, X: Any, y: Any) -> float:
    """Mean logarithm of the probability of what happened; scikit-learn's own check every call anew and are slow."""
    chance = model.predict_proba(X)[:, 1]
    return float(np.mean(np.log(np.clip(np.where(np.asarray(y) > 0.5, chance, 1 - chance), 1e-12, None))))


def boosted(kind: Kind, columns: Columns, inner: Sequence[Split], seed: int) -> Any:
    """Gradient boosting of small trees with fixed settings; gaps are left to the trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import Pipeline

    model = HistGradientBoostingClassifier if kind == "event" else HistGradientBoostingRegressor
    steps = [("prepare", preparation(columns, fill=False)), ("model", model(random_state=seed, **BOOSTING))]
    return Pipeline(steps)


LEARNERS: Mapping[str, Callable[[Any, Columns, Sequence[Split], int], Any]] = {
    "penalised": penalised,
    "boosting": boosted,
}


def lasso(kind: Kind, columns: Columns, strength: float) -> Any:
    """A model that selects: the L1 penalty of a given strength; to see how stable a selection would be."""
    import sklearn
    from sklearn.linear_model import Lasso, LogisticRegression
    from sklearn.pipeline import Pipeline

    if kind == "event":
        # scikit-learn 1.8 replaced penalty="l1" by l1_ratio=1
        old = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8)
        how: dict[str, Any] = {"penalty": "l1"} if old else {"l1_ratio": 1.0}
        model: Any = LogisticRegression(C=strength, solver="liblinear", max_iter=5000, random_state=0, **how)
    else:
        model = Lasso(alpha=strength, max_iter=50000)
    return Pipeline([("prepare", preparation(columns, fill=True)), ("model", model)])


def predict(kind: Kind, fitted: Any, table: pd.DataFrame) -> NDArray[np.float64]:
    """Probability of the event, or the score."""
    if kind == "score":
        return np.asarray(fitted.predict(table), dtype=float)
    at = int(np.flatnonzero(np.asarray(fitted.classes_) == 1)[0])
    return np.asarray(fitted.predict_proba(table)[:, at], dtype=float)
