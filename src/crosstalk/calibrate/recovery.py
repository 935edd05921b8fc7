"""Whether a calibration finds what is there: published results made up from known worlds, calibrated, and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.calibration import Settings, calibrate
from crosstalk.calibrate.forward import MOST, Forward
from crosstalk.calibrate.targets import Targets
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.worlds import prior_scores

__all__ = ["Recovery", "recover"]

Array = NDArray[np.float64]

INFORMED = 0.2  # contraction from which on an unknown counts as one that the results speak of


@dataclass(frozen=True)
class Recovery:
    """How often intervals held the truth.

    Attributes
    ----------
    covered : array of bool, shape (n_sets, n_unknowns)
        Whether the central interval of ``level`` held the true value.
    contraction : array, shape (n_sets, n_unknowns)
    predicted : array of bool, shape (n_sets, n_targets)
        Whether the interval of the counterparts held the true one, free of error.
    """

    level: float
    unknowns: tuple[str, ...]
    covered: NDArray[np.bool_]
    contraction: Array
    predicted: NDArray[np.bool_]

    @property
    def coverage(self) -> float:
        """Share of intervals that held the truth."""
        return float(self.covered.mean())

    @property
    def informed_coverage(self) -> float:
        """The same among the unknowns that the results speak of; NaN if there are none."""
        informed = self.contraction >= INFORMED
        return float(self.covered[informed].mean()) if informed.any() else float("nan")

    @property
    def predictive_coverage(self) -> float:
        """Share of the true counterparts that lay in their intervals."""
        return float(self.predicted.mean())


def recover(
    targets: Targets,
    knowledge: Knowledge,
    engine: Engine,
    settings: Settings,
    *,
    sets: int = 50,
    level: float = 0.9,
    progress: Callable[[int], None] | None = None,
) -> Recovery:
    """Make results from worlds of the prior, calibrate on each set, and see whether the intervals hold the truth.

    Parameters
    ----------
    targets : Targets
        Their studies and errors are kept, their values replaced.
    settings : Settings
        Of each calibration; the seeds follow from its seed.
    sets : int
        Worlds that are taken as the truth, one after another.
    progress : callable, optional
        Told how many sets are done.
    """
    known = settings.unknowns(knowledge)
    truth = prior_scores(known, settings.seed + 7919, sets)
    # other patients than those of the calibration, and as many as a study can get
    plan = dict.fromkeys((s.id for s in targets.studies), MOST)
    forward = Forward(knowledge, engine, seed=settings.seed + 7919, plan=plan)
    worlds, anchor = (settings.worlds(known, s, "truth") for s in (truth, np.zeros((1, len(known)))))
    true = forward.counterparts(targets, worlds, "truth", anchor=anchor)
    everywhere = np.flatnonzero(np.isfinite(true).all(axis=0))
    targets, true = targets.take(everywhere), true[:, everywhere]
    rng = np.random.default_rng([settings.seed, 3])
    tails = [(1 - level) / 2, (1 + level) / 2]
    covered, contraction, predicted = [], [], []
    for k in range(sets):
        made = replace(targets, values=rng.multivariate_normal(true[k], targets.covariance, method="cholesky"))
        found = calibrate(replace(settings, seed=settings.seed + k), knowledge=knowledge, engine=engine, targets=made)
        low, high = np.quantile(found.scores, tails, axis=0)
        covered.append((low <= truth[k]) & (truth[k] <= high))
        contraction.append(1 - found.scores.var(axis=0) / found.prior.var(axis=0))
        low, high = np.nanquantile(found.after, tails, axis=0)
        predicted.append((low <= true[k]) & (true[k] <= high))
        if progress is not None:
            progress(k + 1)
    names = tuple(u.id for u in known)
    return Recovery(level, names, np.array(covered), np.array(contraction), np.array(predicted))
