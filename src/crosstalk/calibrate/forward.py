"""The simulated counterparts of targets in possible worlds, and how much chance is in them.

A few patients in each world give a counterpart with chance in it. The same patients live in every world, and one more
world, the anchor, is run with them and with many: what chance did to the few there is taken from every world [1]_. What
is left is the chance in the difference between a world and the anchor, which is small where they are alike.

References
----------
.. [1] Control variates with common random numbers: Glasserman P. Monte Carlo Methods in Financial Engineering. Springer
   2004, chapter 4.1. ISBN 0-387-00451-3
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.targets import Targets
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import StudyError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.run import StudyRun, simulate_worlds
from crosstalk.population.worlds import Worlds
from crosstalk.store import Store
from crosstalk.study.endpoints import error_scales
from crosstalk.study.records import Study

__all__ = ["Forward", "Plan", "Progress", "plan_patients"]

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]
"""Told in words what is being done, and which share of the whole is done."""

RTOL = 1e-4
FEWEST, MOST, MOST_AT_ONCE = 16, 96, 480  # patients of a study in one world; of one without a course
LEAST, LEAST_REGRESSED = 6, 24  # however quick the look; a regression on a marker needs more
QUANTILE = 0.9  # of a study's results that shall have no more chance than this:
CHANCE = 0.2  # largest variance by chance, as a share of the variance of the target's error
PILOT_SETS, PILOT_WORLDS, PILOT_PATIENTS = 8, 3, 40
ANCHOR_PATIENTS = 1200
ANOTHER = 1_000_003  # from the seed of one set of patients to that of the next; also of the halves of a validation


@dataclass(frozen=True)
class Plan:
    """How many patients each study gets in a world, and the variance by chance that is left.

    Attributes
    ----------
    patients : mapping of study id to int
    chance : array, shape (n_targets,)
        Variance of a counterpart between sets of patients of the same world, on the scale of the error.
    """

    patients: Mapping[str, int]
    chance: Array


class Forward:
    """Runs studies in worlds and collects the counterparts of targets.

    Parameters
    ----------
    store : Store, optional
        Where the counterparts of each study are kept as soon as they are there, so that an interrupted run
        goes on where it stopped.
    anchor_patients : int
        Patients in the anchor, where there is one.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        engine: Engine,
        *,
        seed: int,
        plan: Mapping[str, int],
        store: Store | None = None,
        anchor_patients: int = ANCHOR_PATIENTS,
    ) -> None:
        self.knowledge, self.engine, self.seed, self.plan, self.store = knowledge, engine, seed, plan, store
        self.anchor_patients = anchor_patients

    def counterparts(
        self,
        targets: Targets,
        worlds: Worlds,
        label: str,
        progress: Progress | None = None,
        anchor: Worlds | None = None,
    ) -> Array:
        """Counterparts on the scale of the errors, shape (n_worlds, n_targets).

        NaN where a world has no patients for one.

        Parameters
        ----------
        label : str
            Names the pass in the store.
        anchor : Worlds, optional
            One world amid the others: the same patients then live in all, and what chance does to them in the anchor is
            taken from each. Without it each world has patients of its own.
        """
        parts = []
        for k, study in enumerate(targets.studies):
            if progress is not None:
                progress(study.id, k / len(targets.studies))
            parts.append(self._study(study, targets, worlds, label, anchor))
        return np.concatenate(parts, axis=1)

    def _study(self, study: Study, targets: Targets, worlds: Worlds, label: str, anchor: Worlds | None) -> Array:
        own = targets.of_study(study)
        name = f"{label}-{study.id}"
        met = None if anchor is None else (anchor.values, self.anchor_patients)
        depends = (worlds.values, worlds.n, [t.id for t in own], self.plan.get(study.id), self.seed, met)
        kept = None if self.store is None else self.store.load_arrays(name, *depends)
        if kept is not None:
            return kept["counterparts"]
        if anchor is None:
            found = self._simulated(study, targets, worlds)
        else:
            together = self._simulated(study, targets, worlds.joined(anchor), common=True)
            many = self._simulated(study, targets, anchor, patients=self.anchor_patients)
            chance = together[-1:] - many
            found = together[:-1] - np.where(np.isfinite(chance), chance, 0.0)
        if self.store is not None:
            self.store.save_arrays({"counterparts": found}, name, *depends)
        return found

    def _simulated(
        self, study: Study, targets: Targets, worlds: Worlds, *, patients: int | None = None, common: bool = False
    ) -> Array:
        results = [t.result for t in targets.of_study(study)]
        values, _ = self.run(study, worlds, patients, common=common).estimates_by_world(results, self.knowledge)
        return error_scales(results, values)

    def run(self, study: Study, worlds: Worlds, patients: int | None = None, *, common: bool = False) -> StudyRun:
        """A study in each of the worlds; with ``common`` the same patients live in all."""
        try:
            return simulate_worlds(
                study, worlds, patients=patients or self.plan.get(study.id, FEWEST), seed=self.seed,
                knowledge=self.knowledge, engine=self.engine, rtol=RTOL, common=common,
            )  # fmt: skip
        except StudyError as error:
            raise StudyError(f"study '{study.id}': {error}") from error


def plan_patients(
    targets: Targets,
    worlds: Worlds,
    anchor: Worlds,
    knowledge: Knowledge,
    engine: Engine,
    *,
    seed: int,
    scale: float = 1.0,
) -> Plan:
    """Choose the number of patients of each study so that chance stays well below the errors of its results.

    Parameters
    ----------
    worlds : Worlds
        Some of the ensemble; the chance in their difference to the anchor is what counts.
    anchor : Worlds
        One world amid the others.
    scale : float
        Multiplies the numbers, for a quick look or a careful one.
    """
    worlds = worlds.take(np.arange(min(PILOT_WORLDS, worlds.n))).joined(anchor)
    sets = []
    for k in range(PILOT_SETS):
        pilot = Forward(knowledge, engine, seed=seed + k * ANOTHER, plan={})
        found = [pilot._simulated(s, targets, worlds, patients=PILOT_PATIENTS, common=True) for s in targets.studies]
        values = np.concatenate(found, axis=1)
        sets.append(values[:-1] - values[-1:])
    one = PILOT_PATIENTS * _variance(np.stack(sets))
    error = np.diag(targets.covariance)
    one = np.where(np.isfinite(one), one, error)
    wanted = one / (CHANCE * error)
    patients: dict[str, int] = {}
    chance = np.empty(len(error))
    for study in targets.studies:
        mine = np.array([t.study == study.id for t in targets.items])
        own = [t.result for t in targets.of_study(study)]
        most = MOST if any(r.time_h != 0 for r in own) else MOST_AT_ONCE
        number = int(np.clip(ceil(np.quantile(wanted[mine], QUANTILE)), FEWEST, most) * scale)
        regressed = any(r.marker is not None for r in own)
        patients[study.id] = max(number, LEAST_REGRESSED if regressed else LEAST)
        chance[mine] = one[mine] / patients[study.id]
    return Plan(patients, chance)


def _variance(sets: Array) -> Array:
    """Variance over sets of patients within a world, the median over worlds, shape (n_targets,); NaN where unknown."""
    known = np.isfinite(sets)
    count = known.sum(axis=0)
    mean = np.where(known, sets, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(known, (sets - mean) ** 2, 0.0).sum(axis=0)
    within = np.where(count >= 3, squares / np.maximum(count - 1, 1), np.nan)
    some = np.isfinite(within).any(axis=0)
    median = np.full(sets.shape[2], np.nan)
    median[some] = np.nanmedian(within[:, some], axis=0)
    return median
