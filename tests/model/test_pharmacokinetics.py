"""Half-lives, clearances and exposures of every drug against numbers that do not come from the code under test."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Problem
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.model.pharmacokinetics import prefix
from crosstalk.study.protocol import protocol

Array = NDArray[np.float64]

KNOWLEDGE = load_knowledge()
WEIGHT = 80.0
PER_H = {"L/h": 1.0, "mL/h": 1e-3, "L/d": 1 / 24, "L/h/kg": WEIGHT}  # clearances, to L/h
LITRES = {"L": 1.0, "L/kg": WEIGHT}
ONE_COMPARTMENT = sorted(
    d.id for d in KNOWLEDGE.drugs.values() if not d.into_state and not {"vmax", "peripheral_volume"} & set(d.pk)
)
# half-life [h] as labels and reviews have it; a clearance or a volume that is off by a factor leaves this range
HALF_LIFE = {
    "acetylcysteine": (4, 8, "5.6 h, label"),
    "aldesleukin": (1, 2, "slow half-life 85 min, Cancer Research 50:2009"),
    "bupropion": (14, 28, "21 h (SD 9), label"),
    "celecoxib": (8, 14, "11 h, label"),
    "epa": (37, 89, "37 to 89 h, label of icosapent ethyl"),
    "epacadostat": (2, 4, "2.9 h, recalled"),
    "escitalopram": (25, 35, "27 and 33 h, 10.1177/0091270005280860"),
    "etanercept": (70, 132, "102 h (SD 30), label"),
    "infliximab": (185, 228, "7.7 to 9.5 days, label"),
    "interferon-alfa-2b": (2, 3, "2 to 3 h, label"),
    "ketamine": (1.3, 2.6, "79 min to 2.5 h, 10.1093/bja/51.12.1167"),
    "metformin": (4, 9, "6.2 h, label"),
    "minocycline": (11, 24, "11 to 24 h, label"),
    "nortriptyline": (14, 51, "14 to 51 h"),
    "peginterferon-alfa-2a": (84, 160, "112 h, 10.1111/bcp.13184"),
    "sertraline": (22, 36, "22 to 36 h"),
    "simvastatin": (2, 3, "2 to 3 h"),
    "sirukumab": (18.5 * 24, 29.6 * 24, "18.5 to 29.6 days, recalled"),
}


def course(drug: str, times_h: Array, amount: float = 10.0) -> dict[str, Array]:
    """States of a drug and its concentration after one dose in a person of `WEIGHT`."""
    d = KNOWLEDGE.drugs[drug]
    dose = Dose(drug, amount, d.amount_unit, d.routes[0], weeks=(0.0,))
    plan = protocol([dose], KNOWLEDGE, weight_kg=np.array([WEIGHT]), horizon_h=float(times_h[-1]))
    model = assemble(plan.drugs, KNOWLEDGE)
    p = prefix(drug)
    outputs = tuple(x for x in (f"{p}_depot", f"{p}_central", f"{p}_conc") if x in (*model.states, *model.variables))
    # what depends on the person's weight is set as for a patient of the population
    parameters = {f"{p}_{n}": np.array([v]) for n, v in by_hand(drug).items()}
    problem = Problem(model.sbml, 1, parameters, times_h, outputs, {}, plan.events, model.states)
    found = get_engine().simulate(problem, rtol=1e-8, strict=True)
    return {name.removeprefix(f"{p}_"): found[name][0] for name in outputs}


def by_hand(drug: str) -> dict[str, float]:
    """Constants per kilogram at this weight; others are left to the model."""
    pk = KNOWLEDGE.drugs[drug].pk
    if pk["clearance"].unit != "L/h/kg":
        return {}
    return {"CL": pk["clearance"].value * WEIGHT, "V": pk["volume"].value * WEIGHT}


def clearance(drug: str) -> float:
    quantity = KNOWLEDGE.drugs[drug].pk["clearance"]
    return quantity.value * PER_H[quantity.unit]


@pytest.mark.parametrize("drug", [d for d in ONE_COMPARTMENT if "absorption_half_life" in KNOWLEDGE.drugs[d].pk])
def test_after_the_half_life_of_absorption_half_is_absorbed(drug: str) -> None:
    d = KNOWLEDGE.drugs[drug]
    if d.routes[0] == "iv":
        pytest.skip("its first route needs no absorption")
    half = d.pk["absorption_half_life"].value
    depot = course(drug, np.array([0.0, half, 2 * half]))["depot"]
    given = 10.0 * d.bioavailability[d.routes[0]].value
    assert depot[1:] == pytest.approx([given / 2, given / 4], rel=1e-5)


@pytest.mark.parametrize("drug", ONE_COMPARTMENT)
def test_the_area_under_the_curve_is_dose_over_clearance(drug: str) -> None:
    d = KNOWLEDGE.drugs[drug]
    volume = d.pk["volume"].value * LITRES[d.pk["volume"].unit]
    slow = max(
        np.log(2) * volume / clearance(drug),
        d.pk["absorption_half_life"].value if "absorption_half_life" in d.pk else 0,
    )
    times = np.concatenate([[0.0], np.geomspace(slow / 1e4, 20 * slow, 4000)])
    conc = course(drug, times)["conc"]
    share = 1.0 if d.routes[0] == "iv" else d.bioavailability[d.routes[0]].value
    area = np.trapezoid(conc[1:], times[1:]) + conc[1] * times[1]
    assert area == pytest.approx(10.0 * share / clearance(drug), rel=2e-3)


@pytest.mark.parametrize("drug", ONE_COMPARTMENT)
def test_the_half_life_is_the_published_one(drug: str) -> None:
    d = KNOWLEDGE.drugs[drug]
    low, high, source = HALF_LIFE[drug]
    found = np.log(2) * d.pk["volume"].value * LITRES[d.pk["volume"].unit] / clearance(drug)
    assert low <= found <= high, (found, source)


def test_a_clearance_per_kilogram_grows_with_the_patient() -> None:
    """The constants that patients of the population get."""
    from crosstalk.model.pharmacokinetics import pk_parameters

    per_kg = [d for d in KNOWLEDGE.drugs.values() if not d.into_state and d.pk["clearance"].unit.endswith("/kg")]
    assert per_kg
    for drug in per_kg:
        light, heavy = (pk_parameters(drug, weight)["CL"][0] for weight in (50.0, 100.0))
        assert (light, heavy) == pytest.approx((50 * drug.pk["clearance"].value, 100 * drug.pk["clearance"].value))
