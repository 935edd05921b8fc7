"""Possible worlds: every unknown has its prior, each draws on its own stream, and patients of a world share it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Distribution
from crosstalk.model.assembly import assemble
from crosstalk.model.qa import check_positivity
from crosstalk.population.latent import latent_space, quantile
from crosstalk.population.patients import draw_patients
from crosstalk.population.worlds import Worlds, median_world, prior_worlds, unknowns, worlds_at


def test_every_population_parameter_with_a_prior_is_unknown_once() -> None:
    knowledge = load_knowledge()
    names = [u.id for u in unknowns(knowledge)]
    assert len(names) == len(set(names))
    expected = {k for k, p in knowledge.parameters.items() if p.role == "population" and p.prior != "fixed"}
    assert expected <= set(names)
    assert {u.module for u in unknowns(knowledge)} >= {"innate", "brain", "symptoms", "drugs"}


def test_an_effect_belongs_to_its_drug_and_to_no_other_of_a_like_name() -> None:
    """EPA is no part of epacadostat."""
    known = unknowns(load_knowledge())
    assert all(bool(u.drug) == (u.module == "drugs") for u in known)
    names = {drug: [u.id for u in known if u.drug == drug] for drug in ("epa", "epacadostat")}
    assert names["epacadostat"] == ["epacadostat_ido_activity_max"]
    assert names["epa"]
    assert not set(names["epa"]) & set(names["epacadostat"])


def test_draws_keep_to_their_bounds_and_prior_whatever_their_number() -> None:
    knowledge = load_knowledge()
    few, many = prior_worlds(knowledge, 3, 10), prior_worlds(knowledge, 3, 4000)
    for unknown in unknowns(knowledge):
        column, prior = many.values[unknown.id], unknown.prior
        assert (few.values[unknown.id] == column[:10]).all(), unknown.id
        assert column.min() >= prior.lower, unknown.id
        assert column.max() <= prior.upper, unknown.id
        for q in (0.1, 0.5, 0.9):
            expected = float(quantile(prior, np.array([q]))[0])
            share = float((column <= expected).mean())
            assert abs(share - q) < 5 * np.sqrt(q * (1 - q) / len(column)), (unknown.id, q)


def test_unknowns_draw_on_streams_of_their_own() -> None:
    table = prior_worlds(load_knowledge(), 3, 2000).values
    columns = np.stack([np.argsort(np.argsort(v)) for v in table.values()])
    correlations = np.corrcoef(columns)[np.triu_indices(len(columns), 1)]
    assert abs(correlations).max() < 6 / np.sqrt(2000)


def test_a_score_of_zero_is_the_middle_of_the_prior() -> None:
    known = unknowns(load_knowledge())
    middle = worlds_at(known, np.zeros((1, len(known))), "prior")
    for unknown in known:
        assert middle.values[unknown.id][0] == pytest.approx(float(quantile(unknown.prior, np.array([0.5]))[0]))


def test_a_factor_on_a_center_moves_the_whole_population_of_a_world() -> None:
    knowledge = load_knowledge()
    latent = latent_space(knowledge.diagnosis("mdd"))
    owner = knowledge.diagnosis("mdd").distributions["fTRP"].owner
    table = Worlds({f"{owner}.fTRP.center": np.array([1.0, 1.1])}, 2, "prior")
    people = draw_patients(knowledge, latent, np.arange(400), seed=1, worlds=table)
    same = draw_patients(knowledge, latent, np.arange(400), seed=1, worlds=median_world())
    moved = people.parameters["fTRP"] / same.parameters["fTRP"]
    assert moved[::2] == pytest.approx(1.0)
    assert moved[1::2] == pytest.approx(1.1, rel=1e-3)
    assert people.parameters["BMI"] == pytest.approx(same.parameters["BMI"])


def test_a_factor_on_a_spread_stretches_a_lognormal() -> None:
    entry = Distribution("x", "lognormal", 2.0, 0.5, 1e-9, 1e9, load_knowledge().scales["HAMD17"].source)
    uniform = np.array([0.1, 0.5, 0.9])
    assert np.log(quantile(entry, uniform, 1.0, 2.0) / 2.0) == pytest.approx(ndtri(uniform))


def test_worlds_can_be_chosen_and_given_one_value() -> None:
    table = prior_worlds(load_knowledge(), 3, 5)
    name = next(iter(table.values))
    chosen = table.take(np.array([4, 4, 0]))
    assert chosen.n == 3
    assert chosen.values[name].tolist() == [table.values[name][i] for i in (4, 4, 0)]
    assert table.replaced({name: 7.0}).values[name].tolist() == [7.0] * 5


def test_nearly_every_world_that_can_be_drawn_keeps_the_regulators_positive() -> None:
    knowledge = load_knowledge()
    model = assemble((), knowledge)
    table = prior_worlds(knowledge, 1, 5000)
    inside = {name: column for name, column in table.values.items() if name in model.constants}
    # a world that breaks one has no patients
    assert check_positivity(model, inside, n=table.n).mean() > 0.9995
