"""Benefit as the difference of two models, one of each arm: what `judge_benefit` judges where nothing else is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError
from crosstalk.learn.ladder import inner_splits
from crosstalk.learn.models import penalised, predict

__all__ = ["two_models"]

Array = NDArray[np.float64]


def two_models(
    kind: str, columns: Any, table: Any, y: Array, arm: Array, seed: int
) -> Callable[[NDArray[np.intp], NDArray[np.intp]], tuple[Array, Array, Array]]:
    """The default way to predict benefit: a penalised regression in each arm, and the difference of their predictions.

    Parameters
    ----------
    kind : {"event", "score"}
    columns : Columns
    y, arm : array, shape (n,)

    Returns
    -------
    callable
        As `judge_benefit` wants it.
    """

    def fit(train: NDArray[np.intp], rest: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        sides = []
        for side in (1, 0):
            rows = train[arm[train] == side]
            if kind == "event" and len(np.unique(y[rows])) < 2:
                sides.append(np.full(len(rest), float(y[rows].mean())))
                continue
            try:
                inner = inner_splits(y[rows], None, seed)
            except LearnError:
                sides.append(np.full(len(rest), float(y[rows].mean())))
                continue
            fitted = penalised(kind, columns, inner, seed).fit(table.iloc[rows], y[rows])  # type: ignore[arg-type]
            sides.append(predict(kind, fitted, table.iloc[rest]))  # type: ignore[arg-type]
        return sides[0] - sides[1], sides[0], sides[1]

    return fit
