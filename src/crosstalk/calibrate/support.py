"""Whether the virtual populations can carry the targets: bins with too few patients, effective samples, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.calibration import Calibration
from crosstalk.calibrate.targets import Target, Targets, describe
from crosstalk.population.run import StudyRun
from crosstalk.statistics.weighted import effective_sample

__all__ = ["Bin", "EffectiveSample", "bins", "duplicates", "effective_samples"]

Array = NDArray[np.float64]

FEWEST = 5
"""Plausible patients that a bin needs."""
ALIKE = 0.05  # values this near, in standard errors, of the same comparison are one result told twice


@dataclass(frozen=True, slots=True)
class Bin:
    """The patients of one target: median and smallest number over worlds, and the share of worlds below `FEWEST`."""

    target: str
    description: str
    median: float
    smallest: int
    short: float

    @property
    def supported(self) -> bool:
        """Whether at least half of the worlds have enough patients."""
        return self.short <= 0.5


@dataclass(frozen=True, slots=True)
class EffectiveSample:
    """Effective sample size of the prior under importance weights, in the first ``members`` worlds."""

    members: int
    effective: float


def bins(run: StudyRun, targets: Sequence[Target]) -> tuple[Bin, ...]:
    """Count the patients behind each target of one study, of a run in several worlds."""
    counts = run.counts_by_world([t.result for t in targets])
    return tuple(
        Bin(
            target.id,
            describe(target.result),
            float(np.median(column)),
            int(column.min()),
            float((column < FEWEST).mean()),
        )
        for target, column in zip(targets, counts.T, strict=True)
    )


def effective_samples(calibration: Calibration) -> tuple[EffectiveSample, ...]:
    """How many worlds of the prior plain weighting would leave, and how that grows with their number.

    A number that stays near 1 while the ensemble doubles says that no affordable number of weighted worlds would do,
    and that the ensemble had to move.
    """
    c = calibration
    # worlds that hardly have a patient would leave no result that all have
    before = c.before[np.isfinite(c.before).mean(axis=1) > 0.5]
    known = np.isfinite(before).all(axis=0)
    residual = before[:, known] - c.targets.values[known]
    covariance = c.targets.covariance[np.ix_(known, known)]
    fit = -0.5 * (residual * np.linalg.solve(covariance, residual.T).T).sum(axis=1)
    n = len(fit)
    found = []
    for size in sorted({max(n // 8, 2), max(n // 4, 2), max(n // 2, 2), n}):
        found.append(EffectiveSample(size, effective_sample(fit[:size])))
    return tuple(found)


def duplicates(targets: Targets) -> tuple[tuple[str, str], ...]:
    """Pairs of targets that say the same of the same comparison, so that one result would count twice."""
    pairs = []
    for i, first in enumerate(targets.items):
        for second in targets.items[:i]:
            a, b = first.result, second.result
            same = (
                (a.endpoint, a.of, a.partner, a.time_h, a.stratum, a.threshold, a.marker, a.event, a.partner_h)
                == (b.endpoint, b.of, b.partner, b.time_h, b.stratum, b.threshold, b.marker, b.event, b.partner_h)
                # two publications may both say only that there was nothing
                and not (first.study != second.study and a.figure == b.figure == "stated")
                # times of peaks are read from a few samples, so that they agree by chance
                and (
                    a.endpoint != "time-of-peak"
                    if first.study != second.study
                    else (a.arm, a.versus) == (b.arm, b.versus)
                )
                and abs(first.value - second.value) <= ALIKE * min(first.sampling, second.sampling)
            )
            if same:
                pairs.append((second.id, first.id))
    return tuple(pairs)
