"""Low-grade inflammation in the equations: it is felt, and classes of drugs may fare better or worse with it."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.model.pharmacokinetics import uncertain_effect
from crosstalk.population.worlds import unknowns

DRIVES = np.array([0.0, 2.0])
"""Basal activation of monocytes above the healthy one: none, and low grade."""


def steady(outputs: tuple[str, ...], **parameters: float) -> dict[str, np.ndarray]:
    """Some variables in the steady states of a healthy and an inflamed brain."""
    columns = {name: np.full(2, value) for name, value in parameters.items()}
    problem = Problem(assemble().sbml, 2, {"fI": DRIVES, **columns}, np.zeros(1), outputs)
    found = get_engine().steady_state(problem)
    assert not found.failures
    states = {name: found.values[:, k] for k, name in enumerate(found.states)}
    course = get_engine().simulate(Problem(problem.sbml, 2, problem.parameters, np.zeros(1), outputs, states))
    return {name: course[name][:, 0] for name in outputs}


def tilt(y: float) -> float:
    return (12 + 6 * y + y * y) / (12 - 6 * y + y * y)


def test_the_tilt_is_nearly_an_exponential_and_always_positive() -> None:
    for y in np.linspace(-1.5, 1.5, 13):
        assert tilt(y) == pytest.approx(exp(y), rel=0.02)
        assert tilt(-y) == pytest.approx(1 / tilt(y))
    far = np.linspace(-30, 30, 601)
    assert (np.array([tilt(y) for y in far]) > 0).all()
    assert max(tilt(y) for y in far) < 14


def test_health_is_one_whatever_the_coefficients() -> None:
    found = steady(("CIC", "DA", "serotonin_gate", "sickness", "mood_burden", "low_grade"),
                   m_serotonin=9, m_catecholamine=-9, m_glutamate=9, m_immune=20, b_immune=1)  # fmt: skip
    assert found["low_grade"][0] == pytest.approx(0, abs=1e-9)
    for name in ("CIC", "DA", "serotonin_gate", "sickness", "mood_burden"):
        assert found[name][0] == pytest.approx(1, abs=1e-9), name


def test_low_grade_activity_is_felt_and_the_burst_alone_by_a_switch() -> None:
    felt = steady(("CIC", "sickness", "mood_burden"))
    assert 1.1 < felt["CIC"][1] < 2.5
    assert felt["sickness"][1] > 1.1
    assert felt["mood_burden"][1] > 1.05
    burst = steady(("sickness", "mood_burden"), route_low_grade=0)
    assert burst["sickness"][1] - 1 < (felt["sickness"][1] - 1) / 2
    assert burst["mood_burden"][1] - 1 < (felt["mood_burden"][1] - 1) / 2


@pytest.mark.parametrize("m", [-6.0, 6.0])
def test_a_coefficient_tilts_the_effect_of_its_class_with_central_activity(m: float) -> None:
    without = steady(("CIC", "low_grade", "serotonin_gate"))
    tilted = steady(("CIC", "low_grade", "serotonin_gate"), m_serotonin=m)
    # the gate feeds back on central activity by nothing worth mentioning
    factor = tilted["serotonin_gate"][1] / without["serotonin_gate"][1]
    assert factor == pytest.approx(tilt(m * without["low_grade"][1]), rel=0.02)
    gain = {"catecholamine_gain": 1.5}
    restored = steady(("DA", "low_grade"), **gain, m_catecholamine=m)
    taken = steady(("DA",), m_catecholamine=m)
    added = restored["DA"] - taken["DA"]
    assert added[0] == pytest.approx(0.5, rel=1e-6)
    assert added[1] == pytest.approx(0.5 * tilt(m * restored["low_grade"][1]), rel=0.02)


def test_catecholamine_drugs_multiply_what_is_left_by_a_switch() -> None:
    drug, none = (steady(("DA",), catecholamine_gain=g, catecholamine_restores=0)["DA"] for g in (1.5, 1.0))
    assert none[1] < 1
    assert drug[1] / none[1] == pytest.approx(1.5, rel=0.02)


def test_anti_inflammatory_drugs_may_add_to_the_return_of_mood() -> None:
    less = {"innate_drive": 0.7, "microglial_activity": 0.8}
    found = steady(("anti_inflammatory_action", "mood_return"), **less)
    more = steady(("anti_inflammatory_action", "mood_return"), **less, b_immune=0.5)
    assert found["anti_inflammatory_action"] == pytest.approx(1 - 0.7 * 0.8)
    assert more["mood_return"] / found["mood_return"] == pytest.approx(tilt(0.5 * 0.44), rel=0.02)


def test_the_half_effect_of_a_binding_drug_is_unknown_where_it_is_assumed() -> None:
    knowledge = load_knowledge()
    infliximab, escitalopram = knowledge.drug("infliximab"), knowledge.drug("escitalopram")
    assert uncertain_effect(infliximab, infliximab.targets[0]) == ("infliximab_tnf_binding_half", pytest.approx(3.0))
    assert uncertain_effect(escitalopram, escitalopram.targets[0]) is None
    found = {u.id: u.prior for u in unknowns(knowledge)}
    prior = found["infliximab_tnf_binding_half"]
    assert (prior.family, prior.center) == ("lognormal", pytest.approx(3.0))
    assert prior.lower < 3 < prior.upper
