"""The simulated counterparts of targets in possible worlds, and how much chance is in them."""

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
FEWEST, MOST = 16, 40  # patients of a study in one world
LEAST, LEAST_REGRESSED = 6, 20  # however quick the look; a regression on a marker needs more
CHANCE = 0.8  # largest variance by chance, as a share of the variance of the target's error
PILOT_WORLDS, PILOT_PATIENTS = 12, 48


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
    """

    def __init__(
        self, knowledge: Knowledge, engine: Engine, *, seed: int, plan: Mapping[str, int], store: Store | None = None
    ) -> None:
        self.knowledge, self.engine, self.seed, self.plan, self.store = knowledge, engine, seed, plan, store

    def counterparts(self, targets: Targets, worlds: Worlds, label: str, progress: Progress | None = None) -> Array:
        """Counterparts on the scale of the errors, shape (n_worlds, n_targets).

        NaN where a world has no patients for one. ``label`` names the pass in the store.
        """
        parts = []
        for k, study in enumerate(targets.studies):
            if progress is not None:
                progress(study.id, k / len(targets.studies))
            parts.append(self._study(study, targets, worlds, label))
        return np.concatenate(parts, axis=1)

    def _study(self, study: Study, targets: Targets, worlds: Worlds, label: str) -> Array:
        own = targets.of_study(study)
        name = f"{label}-{study.id}"
        depends = (worlds.values, worlds.n, [t.id for t in own], self.plan.get(study.id), self.seed)
        kept = None if self.store is None else self.store.load_arrays(name, *depends)
        if kept is not None:
            return kept["counterparts"]
        results = [t.result for t in own]
        values, _ = self.run(study, worlds).estimates_by_world(results, self.knowledge)
        found = error_scales(results, values)
        if self.store is not None:
            self.store.save_arrays({"counterparts": found}, name, *depends)
        return found

    def run(self, study: Study, worlds: Worlds, patients: int | None = None) -> StudyRun:
        """A study in each of the worlds."""
        try:
            return simulate_worlds(
                study, worlds, patients=patients or self.plan.get(study.id, FEWEST), seed=self.seed,
                knowledge=self.knowledge, engine=self.engine, rtol=RTOL,
            )  # fmt: skip
        except StudyError as error:
            raise StudyError(f"study '{study.id}': {error}") from error


def plan_patients(
    targets: Targets, world: Worlds, knowledge: Knowledge, engine: Engine, *, seed: int, scale: float = 1.0
) -> Plan:
    """Choose the number of patients of each study so that chance stays below the errors of its results.

    Parameters
    ----------
    world : Worlds
        One world, which is repeated with other patients each time.
    scale : float
        Multiplies the numbers, for a quick look or a careful one.
    """
    pilot = Forward(knowledge, engine, seed=seed, plan=dict.fromkeys((s.id for s in targets.studies), PILOT_PATIENTS))
    again = world.take(np.zeros(PILOT_WORLDS, dtype=np.intp))
    values = pilot.counterparts(targets, again, "pilot")
    with np.errstate(invalid="ignore"):
        one = PILOT_PATIENTS * np.nanvar(np.where(_countable(values), values, np.nan), axis=0, ddof=1)
    error = np.diag(targets.covariance)
    one = np.where(np.isfinite(one), one, error)
    wanted = one / (CHANCE * error)
    patients: dict[str, int] = {}
    chance = np.empty(len(error))
    for study in targets.studies:
        mine = np.array([t.study == study.id for t in targets.items])
        number = int(np.clip(ceil(np.quantile(wanted[mine], 0.75)), FEWEST, MOST) * scale)
        regressed = any(t.result.marker is not None for t in targets.of_study(study))
        patients[study.id] = max(number, LEAST_REGRESSED if regressed else LEAST)
        chance[mine] = one[mine] / patients[study.id]
    return Plan(patients, chance)


def _countable(values: Array) -> NDArray[np.bool_]:
    """Columns in which at least three worlds have a value."""
    return np.asarray(np.isfinite(values).sum(axis=0) >= 3)[None, :] & np.isfinite(values)
