"""Transformers of columns that scikit-learn lacks."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["LogFloor"]


class LogFloor(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Natural logarithm of positive quantities; zero and less become half of the smallest positive value seen in fit.

    Attributes
    ----------
    floor_ : array, shape (n_features,) [unit of each column]

    Examples
    --------
    >>> LogFloor().fit_transform([[1.0], [0.0], [4.0]]).round(2).ravel().tolist()
    [0.0, -0.69, 1.39]
    """

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Find the floors; missing values stay missing."""
        values = validate_data(self, X, dtype=float, ensure_all_finite="allow-nan")
        positive = np.where(values > 0, values, np.inf)
        least = positive.min(axis=0)
        self.floor_: NDArray[np.float64] = np.where(np.isfinite(least), least / 2, 1.0)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logarithms, shape (n, n_features)."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=float, ensure_all_finite="allow-nan", reset=False)
        return np.asarray(np.log(np.maximum(values, self.floor_)), dtype=float)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
