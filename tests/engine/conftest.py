"""A problem on the shipped model, small enough for a test and wide enough to mean something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from crosstalk.engine import Event, Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import baseline, draw_patients, drug_parameters, weight_kg
from crosstalk.study.protocol import protocol

OUTPUTS = ("NV", "MOOD", "CRP", "PL", "TNF", "IL6", "CIC", "HAMD17")


@pytest.fixture(scope="session")
def shipped_problem() -> Callable[[int], Problem]:
    """Make 12 weeks of an SSRI plus infliximab in ``n`` virtual patients, weekly output."""
    knowledge = load_knowledge()

    def make(n: int) -> Problem:
        latent = latent_space(knowledge.diagnosis("mdd"))
        patients = baseline(draw_patients(knowledge, latent, np.arange(n), seed=3, worlds=10), knowledge, get_engine())
        doses = [
            Dose("infliximab", 5, "mg/kg", "iv", weeks=(0.0, 2.0, 6.0)),
            Dose("escitalopram", 10, "mg", "oral", every_h=24.0),
        ]
        plan = protocol(doses, knowledge, weight_kg=weight_kg(patients), horizon_h=2016.0)
        model = assemble(plan.drugs, knowledge)
        parameters = {**patients.parameters, **drug_parameters(knowledge, plan.drugs, patients)}
        events = (Event(0.0, "enrolled", 1.0, "set"), *plan.events)
        return Problem(
            model.sbml, n, parameters, 168.0 * np.arange(13.0), OUTPUTS, patients.states, events, model.states
        )

    return make
