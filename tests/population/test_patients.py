"""Virtual patients: the same person whatever the others are, a baseline solved from the score, a status each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import Failure, Problem, Status, get_engine
from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.model.pharmacokinetics import pk_parameters, prefix
from crosstalk.model.scales import score_at
from crosstalk.population.latent import latent_space, patient_normals
from crosstalk.population.patients import (
    DEFAULT_HEIGHT_CM,
    Patients,
    baseline,
    draw_patients,
    drug_parameters,
    weight_kg,
)
from crosstalk.population.worlds import Worlds, median_world, prior_worlds

Array = NDArray[np.float64]

OUTPUTS = ("CRP", "innate_score", "HAMD17")


def people(
    index: Sequence[int] | NDArray[np.intp], *, seed: int = 3, worlds: int | Worlds = 4, diagnosis: str = "mdd"
) -> Patients:
    knowledge = load_knowledge()
    latent = latent_space(knowledge.diagnosis(diagnosis))
    return draw_patients(knowledge, latent, np.array(index, dtype=np.intp), seed=seed, worlds=worlds)


@pytest.fixture(scope="module")
def settled() -> Patients:
    return baseline(people(range(12)), load_knowledge(), get_engine(), outputs=OUTPUTS)


def same(few: Patients, many: Patients, which: Sequence[int], *, rel: float = 0.0) -> None:
    """Every column of ``few`` is that of the chosen members of ``many``."""
    chosen = many.take(np.array(which, dtype=np.intp))
    assert (few.index == chosen.index).all()
    assert (few.world == chosen.world).all()
    assert few.coordinates == pytest.approx(chosen.coordinates, rel=rel, abs=0)
    for field in ("parameters", "covariates", "states", "outputs"):
        a, b = getattr(few, field), getattr(chosen, field)
        assert set(a) == set(b), field
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=rel, abs=0), (field, name)


@pytest.mark.parametrize("index", [[5], [11, 0, 7], [3, 3], [*range(6, 12)], [*reversed(range(12))]])
def test_a_patient_is_the_same_in_any_number_order_and_chunk(index: list[int]) -> None:
    # the last digit may differ: a matrix product sums in another order for another number of rows
    same(people(index), people(range(12)), index, rel=1e-12)


def test_the_baseline_of_a_patient_is_the_same_in_any_chunk(settled: Patients) -> None:
    index = [9, 2, 5]
    same(baseline(people(index), load_knowledge(), get_engine(), outputs=OUTPUTS), settled, index, rel=1e-9)


def test_another_seed_gives_other_people() -> None:
    one, other = people(range(50)), people(range(50), seed=4)
    assert not np.intersect1d(one.parameters["BMI"], other.parameters["BMI"]).size


def test_patients_are_dealt_to_worlds_and_share_their_parameters() -> None:
    knowledge = load_knowledge()
    patients = people(range(12), worlds=4)
    assert (patients.world == np.arange(12) % 4).all()
    shared = set(prior_worlds(knowledge, 3, 4).values) & set(knowledge.parameters)
    own = shared & set(knowledge.diagnosis("mdd").distributions)
    assert shared - own
    for name in shared - own:
        column = patients.parameters[name]
        assert len(np.unique(column)) == 4, name
        assert (column[:4] == column[4:8]).all(), name


def test_a_parameter_that_is_uncertain_and_individual_keeps_both_spreads() -> None:
    """The draw of the world is the centre around which its people differ."""
    knowledge = load_knowledge()
    index = np.arange(12)
    places = np.array([1.0, 1.2, 1.4, 1.7])
    worlds, central = (
        people(index, worlds=Worlds({"xopt": places}, 4, "prior")).parameters,
        people(index, worlds=median_world()),
    )
    center = knowledge.diagnosis("mdd").distributions["xopt"].center
    assert worlds["xopt"] / places[index % 4] == pytest.approx(central.parameters["xopt"] / center)


def test_in_the_central_world_the_population_parameters_are_those_of_the_table() -> None:
    given = people(range(3), worlds=median_world()).parameters
    assert set(given) <= set(load_knowledge().diagnosis("mdd").distributions) | set(
        load_knowledge().diagnosis("mdd").constants
    )


def test_parameters_enter_the_model_and_covariates_do_not() -> None:
    patients = people(range(2))
    assert set(patients.parameters) <= set(load_knowledge().parameters)
    assert {"age", "female", "height_cm"} <= set(patients.covariates)
    assert not set(patients.parameters) & set(patients.covariates)


def test_weight_from_bmi_and_height() -> None:
    patients = people(range(4))
    expected = patients.parameters["BMI"] * (patients.covariates["height_cm"] / 100) ** 2
    assert weight_kg(patients) == pytest.approx(expected)
    without = replace(patients, covariates={})
    assert weight_kg(without) == pytest.approx(patients.parameters["BMI"] * (DEFAULT_HEIGHT_CM / 100) ** 2)


def test_take_keeps_failures_with_their_patients(settled: Patients) -> None:
    failure = Failure(Status.UNSTABLE, "MC")
    marked = replace(settled, failures={4: failure, 7: failure})
    taken = marked.take(np.array([7, 1, 4, 7], dtype=np.intp))
    assert taken.ok.tolist() == [False, True, False, False]
    assert set(taken.failures) == {0, 2, 3}
    assert (taken.outputs["CRP"] == settled.outputs["CRP"][[7, 1, 4, 7]]).all()


@pytest.mark.parametrize("scale", ["HAMD17", "MADRS", "QIDS16", "PHQ9"])
def test_vulnerability_solved_from_the_score_gives_the_score_back(scale: str) -> None:
    maximum = load_knowledge().scales[scale].maximum
    # symptoms that inflammation alone makes bound from below what a vulnerability can give
    own = baseline(people(range(6)), load_knowledge(), get_engine(), outputs=(scale,)).outputs[scale]
    wanted = own + np.linspace(0.05, 0.3, 6) * (maximum - own)
    found = baseline(
        people(range(6)), load_knowledge(), get_engine(), outputs=(scale, "NV", "MOOD"), score=(scale, wanted)
    )
    # a score may be out of a person's reach; such a one is told, and never given another score
    ok = found.ok
    assert ok.sum() >= 5
    assert found.outputs[scale][ok] == pytest.approx(wanted[ok], rel=1e-6)
    assert (found.parameters["vul"][ok] > 0).all()
    weights = load_knowledge().scales[scale]
    by_hand = score_at(weights, weights.weights[0] * found.outputs["NV"] + weights.weights[1] * found.outputs["MOOD"])
    assert by_hand[ok] == pytest.approx(wanted[ok], rel=1e-6)


def test_the_solved_patient_stays_at_his_score() -> None:
    """The baseline is a steady state: without treatment nothing moves in four weeks."""
    wanted = np.array([15.0, 22.0, 28.0])
    found = baseline(people(range(3)), load_knowledge(), get_engine(), outputs=("HAMD17",), score=("HAMD17", wanted))
    model = assemble((), load_knowledge())
    times = np.array([0.0, 24.0, 672.0])
    course = get_engine().simulate(Problem(model.sbml, 3, found.parameters, times, ("HAMD17", "CRP"), found.states))
    assert course["HAMD17"] == pytest.approx(np.tile(wanted[:, None], 3), rel=1e-4)
    assert course["CRP"][:, 2] == pytest.approx(course["CRP"][:, 0], rel=1e-4)


def test_a_worse_score_means_more_vulnerability() -> None:
    twice = people([0, 0, 0])
    wanted = np.array([14.0, 20.0, 26.0])
    found = baseline(twice, load_knowledge(), get_engine(), outputs=("CRP",), score=("HAMD17", wanted))
    assert (np.diff(found.parameters["vul"]) > 0).all()
    # mood does not act back on the immune system
    assert found.outputs["CRP"] == pytest.approx(np.full(3, found.outputs["CRP"][0]), rel=1e-6)


@pytest.mark.parametrize("impossible", [0.0, 52.0, 60.0, -3.0])
def test_a_score_out_of_reach_is_a_status_and_the_others_go_on(impossible: float) -> None:
    wanted = np.array([20.0, impossible, 24.0, 18.0])
    found = baseline(people(range(4)), load_knowledge(), get_engine(), outputs=OUTPUTS, score=("HAMD17", wanted))
    assert set(found.failures) == {1}
    assert found.failures[1].status is Status.NO_STEADY_STATE
    assert found.ok.tolist() == [True, False, True, True]
    assert found.outputs["HAMD17"][[0, 2, 3]] == pytest.approx([20, 24, 18], rel=1e-6)
    assert all(np.isnan(found.outputs[o][1]) for o in OUTPUTS)
    alone = baseline(people([2]), load_knowledge(), get_engine(), outputs=OUTPUTS, score=("HAMD17", np.array([24.0])))
    same(alone, found, [2], rel=1e-9)


def test_an_invalid_parameter_is_a_status_and_the_others_go_on() -> None:
    patients = people(range(3))
    spoilt = {**patients.parameters, "BMI": np.array([30.0, np.nan, 25.0])}
    found = baseline(replace(patients, parameters=spoilt), load_knowledge(), get_engine(), outputs=("CRP",))
    assert set(found.failures) == {1}
    assert found.failures[1].status is Status.INVALID_INPUT
    assert found.failures[1].state == "BMI"
    assert np.isfinite(found.outputs["CRP"]).tolist() == [True, False, True]


def test_a_population_without_any_baseline_is_an_error() -> None:
    with pytest.raises(PopulationError, match=r"none of 2 virtual patients has a steady state; first reason: .+"):
        baseline(people(range(2)), load_knowledge(), get_engine(), score=("HAMD17", np.array([60.0, 55.0])))


def test_doses_by_weight_scale_the_constants_given_per_kilogram() -> None:
    knowledge = load_knowledge()
    patients = people(range(5))
    heavy = replace(patients, parameters={**patients.parameters, "BMI": 2 * patients.parameters["BMI"]})
    light_pk, heavy_pk = (drug_parameters(knowledge, ["ketamine"], p) for p in (patients, heavy))
    effect = f"{prefix('ketamine')}_synaptogenic_signal_max"
    assert set(light_pk) == {*(f"{prefix('ketamine')}_{name}" for name in ("CL", "V")), effect}
    assert heavy_pk.pop(effect) == pytest.approx(light_pk.pop(effect))
    for name, column in light_pk.items():
        assert heavy_pk[name] == pytest.approx(2 * column), name
    fixed_light, fixed_heavy = (drug_parameters(knowledge, ["escitalopram"], p) for p in (patients, heavy))
    for name, column in fixed_light.items():
        assert fixed_heavy[name] == pytest.approx(column), name


def test_pharmacokinetics_differ_between_patients_by_the_stated_spread_only() -> None:
    knowledge = load_knowledge()
    patients = people(range(400))
    drug = knowledge.drug("infliximab")
    found = drug_parameters(knowledge, ["infliximab"], patients)
    values = pk_parameters(drug)
    assert set(found) == {f"infliximab_{name}" for name in values} | {"infliximab_tnf_binding_half"}
    for name, (value, _, key) in values.items():
        column = next(v for k, v in found.items() if k.endswith(f"_{name}"))
        spread = drug.pk[key].log_sd
        expected = value * np.exp(spread * patient_normals(3, f"pk:infliximab:{key}", np.arange(400)))
        assert column == pytest.approx(expected)


def test_a_longer_half_life_is_a_smaller_rate() -> None:
    knowledge = load_knowledge()
    drug = knowledge.drug("escitalopram")
    key = "absorption_half_life"
    spread = replace(drug, pk={**drug.pk, key: replace(drug.pk[key], log_sd=0.5)})
    changed = replace(knowledge, drugs=MappingProxyType({**knowledge.drugs, "escitalopram": spread}))
    patients = people(range(20))
    found = drug_parameters(changed, ["escitalopram"], patients)
    rate = next(v for k, v in found.items() if k.endswith("_ka"))
    noise = patient_normals(3, f"pk:escitalopram:{key}", np.arange(20))
    assert np.log(rate / pk_parameters(drug)["ka"][0]) == pytest.approx(-0.5 * noise)


def test_a_drug_that_enters_a_state_has_no_constants_of_its_own() -> None:
    knowledge = load_knowledge()
    direct = [d.id for d in knowledge.drugs.values() if d.into_state]
    assert direct
    assert drug_parameters(knowledge, direct, people(range(2))) == {}
