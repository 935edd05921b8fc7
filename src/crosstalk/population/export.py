"""A regimen in virtual patients as what other tools run: the model with doses as events, the patients as a table."""

from __future__ import annotations

import numpy as np

from crosstalk.engine.ensemble import Engine, Event, Problem
from crosstalk.engine.export import Exported, export_problem
from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.export import export_model
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import baseline, draw_patients, drug_parameters, weight_kg
from crosstalk.study.protocol import HOURS_PER_WEEK, protocol

__all__ = ["export_regimen"]

OUTPUTS = ("NV", "MOOD", "CRP")


def export_regimen(
    regimen: str,
    *,
    patients: int,
    seed: int,
    weeks: int,
    knowledge: Knowledge,
    engine: Engine,
    diagnosis: str = "mdd",
) -> Exported:
    """Export a regimen in virtual patients of the model's possible worlds, each at his own baseline.

    Parameters
    ----------
    regimen : str
        Id; its doses become events, those of week 0 starting values.
    patients : int
        Virtual patients to draw; who has no baseline is left out. The exported model holds the first.
    weeks : int
        Of the simulation, with weekly output.

    Raises
    ------
    UsageError
        On an unknown regimen.
    PopulationError
        If no virtual patient has a baseline.
    """
    plan = knowledge.regimen(regimen)
    definition = knowledge.diagnosis(diagnosis)
    drawn = draw_patients(knowledge, latent_space(definition), np.arange(patients), seed=seed, worlds=patients)
    settled = baseline(drawn, knowledge, engine, strict=False)
    good = np.flatnonzero(settled.ok)
    if not len(good):
        raise PopulationError(f"none of {patients} virtual patients has a baseline; ask for more")
    some = settled.take(good)
    drugs = tuple(sorted({dose.drug for dose in plan.doses}))
    doses = protocol(
        plan.doses, knowledge, weight_kg=weight_kg(some), height_cm=some.covariates.get("height_cm"),
        horizon_h=weeks * HOURS_PER_WEEK,
    )  # fmt: skip
    enrolment = tuple(Event(0.0, name, value, "set") for name, value in definition.enrolment.items())
    problem = Problem(
        export_model("sbml", drugs, knowledge),
        len(some),
        {**some.parameters, **drug_parameters(knowledge, drugs, some)},
        np.arange(weeks + 1, dtype=np.float64) * HOURS_PER_WEEK,
        (*OUTPUTS, definition.scale),
        some.states,
        enrolment + doses.events,
    )
    return export_problem(problem)
