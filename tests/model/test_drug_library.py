"""Every drug of the library in the model: closed-form kinetics, published exposure, and a slot that it moves."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble
from crosstalk.model.pharmacokinetics import drug_block, pk_parameters, prefix
from crosstalk.study.protocol import protocol

from .conftest import Array

KNOWLEDGE = load_knowledge()
WITH_KINETICS = sorted(d.id for d in KNOWLEDGE.drugs.values() if not d.into_state)
LINEAR = [d for d in WITH_KINETICS if not {"vmax", "peripheral_volume"} & set(KNOWLEDGE.drugs[d].pk)]  # one compartment


def concentration(drug: str, doses: list[Dose], times_h: Array, *, true_daily: bool = False) -> Array:
    """Plasma concentration in a person of 70 kg [amount unit of the drug/L], shape (n_times,)."""
    plan = protocol(doses, KNOWLEDGE, weight_kg=np.array([70.0]), horizon_h=float(times_h[-1]), true_daily=true_daily)
    model = assemble(plan.drugs, KNOWLEDGE)
    name = f"{prefix(drug)}_conc"
    problem = Problem(model.sbml, 1, {}, times_h, (name,), {}, plan.events, model.states)
    return np.asarray(get_engine().simulate(problem, rtol=1e-8, strict=True)[name][0])


def single(drug: str, amount: float) -> Dose:
    d = KNOWLEDGE.drugs[drug]
    return Dose(drug, amount, d.amount_unit, d.routes[0], weeks=(0.0,))


@pytest.mark.parametrize("drug", LINEAR)
def test_a_single_dose_follows_the_closed_form(drug: str) -> None:
    d = KNOWLEDGE.drugs[drug]
    constants = {k: v for k, (v, _, _) in pk_parameters(d, 70.0).items()}
    route, amount = d.routes[0], 10.0
    k = constants["CL"] / constants["V"]
    times = np.linspace(0.0, min(8 * log(2) / k, 2000.0), 60)
    found = concentration(drug, [single(drug, amount)], times)
    if route == "iv" or "ka" not in constants:
        expected = amount / constants["V"] * np.exp(-k * times)
    else:
        ka, f = constants["ka"], d.bioavailability[route].value
        expected = f * amount / constants["V"] * ka / (ka - k) * (np.exp(-k * times) - np.exp(-ka * times))
    assert found[1:] == pytest.approx(expected[1:], rel=1e-4, abs=1e-6 * expected.max())


@pytest.mark.parametrize(
    ("drug", "low", "high", "unit_factor", "source"),
    [
        (
            "escitalopram",
            7.5,
            40,
            1e3,
            "half of the range of 15 to 80 ng/mL on up to 20 mg, AGNP consensus 2017, 10.1055/s-0043-116492",
        ),
        ("sertraline", 10, 150, 1e3, "AGNP consensus 2017"),
        ("nortriptyline", 70, 170, 1e3, "AGNP consensus 2017"),
        ("peginterferon-alfa-2a", 8, 20, 1.0, "mean level 12.6 ng/mL on 180 ug a week, 10.1111/bcp.13184"),
    ],
)
def test_mean_exposure_on_the_usual_dose_is_the_published_one(
    drug: str, low: float, high: float, unit_factor: float, source: str
) -> None:
    usual = KNOWLEDGE.drugs[drug].usual
    dose = Dose(drug, usual.amount, usual.unit, usual.route, every_h=usual.every_h)
    times = np.arange(0.0, 12 * 168.0 + 1, 1.0)
    last = concentration(drug, [dose], times)[-168:].mean() * unit_factor
    assert low <= last <= high, (last, source)


@pytest.mark.parametrize("drug", ["escitalopram", "nortriptyline", "celecoxib"])
def test_true_daily_doses_and_the_mean_rate_give_the_same_mean(drug: str) -> None:
    usual = KNOWLEDGE.drugs[drug].usual
    dose = Dose(drug, usual.amount, usual.unit, usual.route, every_h=usual.every_h)
    times = np.arange(0.0, 6 * 168.0 + 0.25, 0.25)
    rate, true = (concentration(drug, [dose], times, true_daily=daily)[-96 * 7 :].mean() for daily in (False, True))
    assert true == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("drug", sorted(KNOWLEDGE.drugs))
def test_the_usual_dose_moves_the_mechanism_and_nothing_fails(drug: str) -> None:
    d = KNOWLEDGE.drugs[drug]
    usual = d.usual
    dose = Dose(drug, usual.amount, usual.unit, usual.route, weeks=usual.weeks, every_h=usual.every_h)
    plan = protocol([dose], KNOWLEDGE, weight_kg=np.array([70.0]), horizon_h=336.0, height_cm=np.array([170.0]))
    model = assemble(plan.drugs, KNOWLEDGE)
    watched = [t.slot for t in d.targets] or [d.into_state]
    problem = Problem(
        model.sbml, 1, {}, np.array([0.0, 6.0, 24.0, 336.0]), tuple(watched), {}, plan.events, model.states
    )
    found = get_engine().simulate(problem, strict=True)
    for name in watched:
        assert np.abs(found[name][0] - found[name][0, 0]).max() > 1e-3, name


def test_every_constant_of_a_drug_tells_its_source() -> None:
    for drug in KNOWLEDGE.drugs.values():
        for key, quantity in {**drug.pk, **{t.slot: t.half for t in drug.targets}}.items():
            assert quantity.source.kind in ("measured", "derived", "fitted", "assumed"), (drug.id, key)
            assert quantity.source.kind != "measured" or quantity.source.doi or quantity.source.place, (drug.id, key)
            assert quantity.source.place, (drug.id, key)


def test_a_drug_that_acts_on_a_challenge_state_has_no_compartments() -> None:
    assert drug_block(KNOWLEDGE.drugs["lps"]) == []
