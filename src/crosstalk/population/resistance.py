"""Resistance to treatment: who is still ill after earlier courses of an antidepressant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.model.assembly import Model
from crosstalk.population.measure import visit_scores
from crosstalk.population.patients import Patients
from crosstalk.population.treatment import treatment_problem
from crosstalk.study.protocol import HOURS_PER_WEEK, earlier_doses
from crosstalk.study.records import Population

__all__ = ["eased", "still_ill"]

Array = NDArray[np.float64]

COURSE_H = 8 * HOURS_PER_WEEK
"""Length of an earlier course of treatment (assumed)."""
RTOL = 1e-3
ANOTHER = 2_000_003  # from the seed of one course to that of the next, so that each has its own chance


def eased(people: Patients, courses: int, knowledge: Knowledge) -> Patients:
    """The same patients after some earlier courses, in which the episode had its time to ease by itself.

    The strength that is left is what the next course starts from, so the floor is a larger share of it.

    Parameters
    ----------
    courses : int
        Number of earlier courses of `COURSE_H` each.
    """
    constant = knowledge.parameters
    floor, rate = (
        np.asarray(people.parameters.get(name, constant[name].value), dtype=np.float64)
        for name in ("recovery_floor", "recovery_rate")
    )
    left = floor + (1 - floor) * np.exp(-rate * COURSE_H * courses)
    again = np.broadcast_to(floor / left, len(people)).copy()
    return replace(people, parameters={**people.parameters, "recovery_floor": again})


def still_ill(
    patients: Patients,
    recorded: Array,
    population: Population,
    scale: Scale,
    model: Model,
    knowledge: Knowledge,
    engine: Engine,
) -> NDArray[np.bool_]:
    """Which patients did not respond to any of ``failed_steps`` earlier courses, shape (n,).

    Every course starts from the patient's baseline, lasts eight weeks and has its own fluctuation and rater's error;
    natural recovery goes on from where the course before has left it (`eased`).

    Parameters
    ----------
    recorded : array, shape (n,) [points]
        Score at the start of each course.
    """
    ill = patients.ok.copy()
    if not ill.any():
        return ill
    people = patients.take(np.flatnonzero(ill))
    before = recorded[ill]
    doses, times = earlier_doses(population, knowledge), np.array([0.0, COURSE_H])
    failed = np.ones(len(people), dtype=np.bool_)
    for step in range(1, population.failed_steps + 1):
        problem = treatment_problem(
            eased(people, step - 1, knowledge), doses, model, knowledge, diagnosis=population.diagnosis, times_h=times,
            outputs=(scale.id,), horizon_h=COURSE_H, background=population.background,
        )  # fmt: skip
        scores = visit_scores(
            engine.simulate(problem, rtol=RTOL)[scale.id], scale, seed=people.seed + ANOTHER * step, index=people.index,
            times_h=times, covariates=people.covariates,
        )  # fmt: skip
        # a comparison with NaN is false: who cannot be simulated is not enrolled
        failed &= scores[:, -1] > (1 - scale.response_fraction) * before
    ill[ill] = failed
    return ill
