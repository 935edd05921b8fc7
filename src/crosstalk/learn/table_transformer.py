"""What transformers of tables of panels share: their tags, the check of a table, and the names of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["TableTransformer"]


class TableTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Base of the transformers that read analytes by the headers of a data frame.

    Attributes
    ----------
    row_wise : bool
        Whether the features of a row depend on that row alone, so that nothing can leak between folds.
    """

    row_wise = False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the features.

        Raises
        ------
        ValueError
            If ``input_features`` are given and are not the headers seen in ``fit``.
        """
        check_is_fitted(self)
        headers = self._headers()
        if input_features is not None and list(np.asarray(input_features, dtype=object)) != headers:
            raise ValueError(
                f"input_features is not equal to feature_names_in_, the names seen in fit ({', '.join(headers[:5])})"
            )
        return np.array(self._names(), dtype=object)

    def _names(self) -> list[str]:
        raise NotImplementedError

    def _headers(self) -> list[str]:
        """Headers seen in ``fit``; ``x0``, ``x1`` and so on for an array."""
        return [str(n) for n in getattr(self, "feature_names_in_", ())] or [f"x{i}" for i in range(self.n_features_in_)]

    def _table(self, X: Any, *, reset: bool) -> NDArray[Any]:
        return np.asarray(validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan"))
