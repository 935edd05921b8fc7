"""What every replicate of a trial shares: the pool, the design, noise, visits, and the hazard of leaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.knowledge.records import Scale
from crosstalk.study.design import Design
from crosstalk.study.records import Eligibility, Study
from crosstalk.trial.pool import Pool
from crosstalk.trial.prognosis import Prognosis

__all__ = ["Setting", "between"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What every replicate of a trial shares; `crosstalk.trial.conduct.setting_of` makes it.

    Attributes
    ----------
    limits : tuple of Eligibility
        On laboratory values, measured anew for each candidate.
    noise : mapping of str to float
        Log-SD of one measurement of a laboratory analyte: assay and week; 0 for a covariate.
    detection : mapping of str to float
        Limits of detection, below which the limit itself is reported; 0 without one.
    visits_h : array, shape (n_visits,) [h]
        From randomisation, baseline first.
    treatments : tuple of str
        Arms, or sequences of a crossover.
    hazard : float [1/h]
        Of leaving the control arm, for those who improve.
    null : bool
        No drug does anything, good or bad: all take the control's course and its risk of leaving.
    prognosis : Prognosis, optional
        For analyses that adjust for it.
    """

    study: Study
    design: Design
    pool: Pool
    limits: tuple[Eligibility, ...]
    noise: Mapping[str, float]
    detection: Mapping[str, float]
    scales: Mapping[str, Scale]
    visits_h: Array
    treatments: tuple[str, ...]
    hazard: float = 0.0
    null: bool = False
    prognosis: Prognosis | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """What is randomised."""
        return tuple(self.design.allocation)

    @property
    def lead_h(self) -> float:
        """Length of the lead-in [h]."""
        return 0.0 if self.design.lead_in is None else self.design.lead_in.duration_h

    def beginning_with(self, arm: str) -> int:
        """Number of the treatment that is the arm, or the sequence that begins with it."""
        if self.design.crossover is None:
            return self.treatments.index(arm)
        return [a.id for a in self.study.arms].index(arm)

    def visit(self, time_h: float) -> int:
        """Number of the visit at a time."""
        return int(np.argmin(np.abs(self.visits_h - time_h)))


def between(grid: Array, courses: Array, times_h: Array) -> Array:
    """Linear interpolation of each patient's course at his own times, shape of ``times_h``."""
    right = np.clip(np.searchsorted(grid, times_h, side="left"), 1, len(grid) - 1)
    share = np.clip((times_h - grid[right - 1]) / (grid[right] - grid[right - 1]), 0.0, 1.0)
    before = np.take_along_axis(courses, right - 1, axis=1)
    after = np.take_along_axis(courses, right, axis=1)
    return np.asarray(before + share * (after - before))
