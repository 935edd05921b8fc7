"""From a treatment of virtual patients to the problem that it poses to the engine; the one place where this is made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Event, Problem
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import Model
from crosstalk.population.patients import Patients, drug_parameters, weight_kg
from crosstalk.study.protocol import background as background_inputs
from crosstalk.study.protocol import protocol

__all__ = ["treatment_problem"]

Array = NDArray[np.float64]


def treatment_problem(
    patients: Patients,
    doses: Sequence[Dose],
    model: Model,
    knowledge: Knowledge,
    *,
    diagnosis: str,
    times_h: Array,
    outputs: Sequence[str],
    horizon_h: float,
    background: Sequence[Dose] = (),
    true_daily: bool = False,
) -> Problem:
    """The problem of patients who take some doses from their baseline on.

    Parameters
    ----------
    patients : Patients
        With the states of their baseline.
    doses : sequence of Dose
        None for placebo.
    model : Model
        With the drugs of the doses.
    diagnosis : str
        What it sets at enrolment is set at time 0.
    times_h : array, shape (n_times,) [h]
    outputs : sequence of str
        Variables of the model.
    horizon_h : float [h]
        Later doses are left out.
    background : sequence of Dose
        Stable treatment that runs on.
    true_daily : bool
        Give daily drugs dose by dose instead of as a mean input rate.
    """
    weight, height = weight_kg(patients), patients.covariates.get("height_cm")
    plan = protocol(
        doses, knowledge, weight_kg=weight, height_cm=height, background=background, true_daily=true_daily,
        horizon_h=horizon_h,
    )  # fmt: skip
    inputs = background_inputs(background, knowledge, weight_kg=weight, height_cm=height)
    enrolment = tuple(Event(0.0, k, v, "set") for k, v in knowledge.diagnosis(diagnosis).enrolment.items())
    return Problem(
        model.sbml,
        len(patients),
        {**patients.parameters, **drug_parameters(knowledge, model.drugs, patients), **inputs},
        times_h,
        tuple(dict.fromkeys(outputs)),
        patients.states,
        enrolment + plan.events,
        model.states,
    )
