"""The benchmark's problem: 12 weeks on an SSRI in virtual patients of the shipped model, every state weekly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import baseline, draw_patients, drug_parameters, weight_kg
from crosstalk.study.protocol import protocol

Array = NDArray[np.float64]

DOSE = Dose("escitalopram", 10, "mg", "oral", every_h=24.0)
WEEKS = 12
FLOOR = 1e-3  # states are scaled near 1


@dataclass(frozen=True)
class Case:
    """A problem without events, and the exact solution for its first patients, shape (n, n_states, n_times)."""

    problem: Problem
    exact: Array

    def p99(self, values: Array) -> float:
        """99th percentile of the relative error; values of as many patients as the exact solution has at most."""
        wanted = self.exact[: len(values)]
        error = np.abs(values[: len(wanted)] - wanted) / np.maximum(np.abs(wanted), FLOOR)
        return float(np.quantile(np.where(np.isfinite(error), error, np.inf), 0.99))


def make_problem(n: int, *, per_day: bool = False) -> Problem:
    """Make the problem for ``n`` virtual patients; everything that happens at time 0 is put into the parameters."""
    knowledge = load_knowledge()
    latent = latent_space(knowledge.diagnosis("mdd"))
    patients = baseline(draw_patients(knowledge, latent, np.arange(n), seed=11, worlds=40), knowledge, get_engine())
    plan = protocol([DOSE], knowledge, weight_kg=weight_kg(patients), horizon_h=WEEKS * 168.0)
    model = assemble(plan.drugs, knowledge)
    parameters = {**patients.parameters, **drug_parameters(knowledge, plan.drugs, patients)}
    parameters["enrolled"] = np.ones(n)
    for event in plan.events:
        if event.time_h == 0.0:
            parameters[event.target] = np.broadcast_to(np.asarray(event.amount, dtype=np.float64), (n,)).copy()
    times = np.arange(0.0, WEEKS * 168.0 + 1, 24.0 if per_day else 168.0)
    return Problem(model.sbml, n, parameters, times, model.states, patients.states)


def exact_solution(problem: Problem, n: int) -> Array:
    """CVODE at a tolerance of 1e-11, through libRoadRunner: independent of every engine's own choice of steps."""
    part = problem.take(np.arange(n))
    return get_engine("reference").simulate(replace(part), rtol=1e-11, strict=True).values
