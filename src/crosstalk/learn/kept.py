"""What a ladder has predicted so far, so that a run that was stopped goes on."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.provenance import atomic_write, hash_bytes, versions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Kept"]

Array = NDArray[np.float64]


class Kept:
    """Predictions of finished rungs in a folder; remains of another run are cleared away.

    Parameters
    ----------
    folder : Path, optional
        None keeps nothing.
    table : DataFrame
        All predictors, and ``y`` the outcome.
    settings : object
        Whatever else the predictions depend on; its ``repr`` counts.
    """

    def __init__(self, folder: Path | None, table: pd.DataFrame, y: Array, settings: object) -> None:
        self.folder = folder
        if folder is None:
            return
        key = hash_bytes(repr((table.to_csv(), y.tobytes().hex(), settings, versions())))
        mark = folder / "key"
        if not (mark.is_file() and mark.read_text(encoding="utf-8") == key):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            atomic_write(mark, key)

    def load(self, rung: str, learner: str) -> Array | None:
        """Predictions of a rung, if it was finished."""
        path = self._path(rung, learner)
        if path is None or not path.is_file():
            return None
        found: Array = np.load(path, allow_pickle=False)
        return found

    def save(self, rung: str, learner: str, values: Array) -> None:
        """Keep the predictions of a finished rung."""
        path = self._path(rung, learner)
        if path is not None:
            buffer = io.BytesIO()
            np.save(buffer, values, allow_pickle=False)
            atomic_write(path, buffer.getvalue())

    def _path(self, rung: str, learner: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{rung}-{learner}.npy"
