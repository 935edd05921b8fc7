"""Changes at known times, each patient at times of his own: what dosing tables of real patients need."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import UsageError

__all__ = ["Schedule", "ranges"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """Changes in rows: who, when, of what, by how much.

    Rows are applied in order of time, those of one time in the order given, after the events that all patients share.

    Parameters
    ----------
    patient : array of int, shape (n_rows,)
        Index of the patient.
    time_h : array, shape (n_rows,) [h]
    target : array of int, shape (n_rows,)
        Place in ``targets``.
    amount : array, shape (n_rows,)
    setting : array of bool, shape (n_rows,)
        The amount is set, not added.
    targets : tuple of str
        States or parameters of the model.

    Raises
    ------
    UsageError
        If columns differ in length, or a time or amount is not finite.
    """

    patient: NDArray[np.intp]
    time_h: Array
    target: NDArray[np.intp]
    amount: Array
    setting: NDArray[np.bool_]
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.patient)
        for name in ("time_h", "target", "amount", "setting"):
            if np.shape(getattr(self, name)) != (n,):
                raise UsageError(f"Schedule.{name} has the shape {np.shape(getattr(self, name))}; expected {n} rows")
        bad = ~(np.isfinite(self.time_h) & (self.time_h >= 0))
        if bad.any():
            raise UsageError(f"Schedule.time_h holds {self.time_h[bad][0]}; expected finite times of 0 or later")
        if not np.isfinite(self.amount).all():
            raise UsageError("Schedule.amount holds a value that is not finite")
        if n and not (self.target.min() >= 0 and self.target.max() < len(self.targets)):
            raise UsageError(f"Schedule.target: expected places in the {len(self.targets)} targets")

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.patient)

    def take(self, index: NDArray[np.intp]) -> Schedule:
        """Rows of some patients, who are numbered anew in the order of ``index``."""
        order = np.argsort(self.patient, kind="stable")
        of = self.patient[order]
        first, last = np.searchsorted(of, index, "left"), np.searchsorted(of, index, "right")
        rows = order[ranges(first, last - first)]
        return replace(
            self,
            patient=np.repeat(np.arange(len(index)), last - first),
            time_h=self.time_h[rows],
            target=self.target[rows],
            amount=self.amount[rows],
            setting=self.setting[rows],
        )


def ranges(first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers from each first one on, as many as counted, one range after the other.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(first - (ends - counts), counts) + np.arange(total)
