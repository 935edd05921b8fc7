"""What a ladder has predicted so far, so that a run that was stopped goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.provenance import versions
from crosstalk.store import Work

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Kept"]

Array = NDArray[np.float64]


class Kept:
    """Predictions of finished rungs, kept for this cohort and these settings alone.

    Parameters
    ----------
    work : Path or Work, optional
        None keeps nothing.
    table : DataFrame
        All predictors, and ``y`` the outcome.
    settings : object
        Whatever else the predictions depend on; see `crosstalk.store.hash_value`.
    """

    def __init__(self, work: Path | Work | None, table: pd.DataFrame, y: Array, settings: object) -> None:
        columns = [(str(name), table[name].to_numpy()) for name in table.columns]
        self.store = Work.of(work).store("ladder", columns, list(map(str, table.index)), y, settings, versions())

    def load(self, rung: str, learner: str) -> Array | None:
        """Predictions of a rung, if it was finished."""
        found = self.store.load_arrays(f"{rung}-{learner}")
        return None if found is None else found["values"]

    def save(self, rung: str, learner: str, values: Array) -> None:
        """Keep the predictions of a finished rung."""
        self.store.save_arrays({"values": values}, f"{rung}-{learner}")
