"""The Gaussian copula: reproducible draws, stated marginals and correlations, exact conditioning."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, truncnorm

from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Correlation, Diagnosis, Distribution, Source
from crosstalk.population.latent import (
    Latent,
    latent_space,
    patient_normals,
    patient_uniforms,
    pharmacokinetic_factors,
    quantile,
)

Array = NDArray[np.float64]

SOURCE = Source("assumed", "test")
N = 20_000
DIAGNOSES = ("healthy", "mdd", "hepatitis-c", "melanoma")


def stated(diagnosis: str) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], float]]:
    """Distributions and correlations as they stand in population.toml, read without Crosstalk's loader."""
    tables = tomllib.loads((files("crosstalk.knowledge") / "population.toml").read_text())["diagnosis"]
    own = tables[diagnosis]
    chain = [tables[own["inherits"]], own] if "inherits" in own else [own]
    distributions: dict[str, dict[str, Any]] = {}
    correlations: dict[tuple[str, str], float] = {}
    for table in chain:
        distributions |= table["distribution"]
        for c in table.get("correlation", ()):
            correlations[tuple(sorted((c["first"], c["second"])))] = c["value"]  # type: ignore[index]
    return distributions, correlations


@pytest.fixture(scope="module", params=DIAGNOSES)
def drawn(request: pytest.FixtureRequest) -> tuple[str, dict[str, Array]]:
    latent = latent_space(load_knowledge().diagnosis(request.param))
    return request.param, latent.values(latent.draw(11, np.arange(N)))


def cumulative(table: dict[str, Any], value: float) -> float:
    """Stated probability of a value below this one, the distribution cut to its bounds."""
    if table["family"] == "normal":
        mean, bounds, at = table["center"], (table["lower"], table["upper"]), value
    else:
        shift = table.get("shift", 0.0)
        with np.errstate(divide="ignore"):
            bounds = (np.log(table["lower"] - shift), np.log(table["upper"] - shift))
        mean, at = np.log(table["center"]), np.log(value - shift)
    low, high = ((b - mean) / table["spread"] for b in bounds)
    return float(truncnorm.cdf(at, low, high, loc=mean, scale=table["spread"]))


def test_marginals_are_those_of_the_population_file(drawn: tuple[str, dict[str, Array]]) -> None:
    diagnosis, values = drawn
    distributions, _ = stated(diagnosis)
    assert set(distributions) <= set(values)
    for name, table in distributions.items():
        column = values[name]
        if table["family"] == "bernoulli":
            assert set(np.unique(column)) == {0.0, 1.0}
            error = np.sqrt(table["center"] * (1 - table["center"]) / N)
            assert abs(column.mean() - table["center"]) < 4.5 * error, name
            continue
        assert column.min() >= table["lower"], name
        assert column.max() <= table["upper"], name
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            found = cumulative(table, float(np.quantile(column, q)))
            assert abs(found - q) < 4.5 * np.sqrt(q * (1 - q) / N), (name, q, found)


def test_correlations_are_those_of_the_population_file(drawn: tuple[str, dict[str, Array]]) -> None:
    """By ranks, so that the marginals do not matter; pairs without an entry are independent."""
    diagnosis, values = drawn
    distributions, correlations = stated(diagnosis)
    names = sorted(distributions)
    scores = {n: norm.ppf((rankdata(values[n]) - 0.5) / N) for n in names if n != "female"}
    p = distributions["female"]["center"]
    # a bernoulli that is 1 above a threshold correlates less than the score behind it
    shrink = norm.pdf(norm.ppf(p)) / np.sqrt(p * (1 - p))
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            expected = correlations.get((a, b), 0.0)
            if "female" in (a, b):
                expected *= shrink
            found = np.corrcoef(scores.get(a, values[a]), scores.get(b, values[b]))[0, 1]
            assert abs(found - expected) < 5 / np.sqrt(N), (a, b, found, expected)


def test_women_are_shorter() -> None:
    """The sign of a correlation with a bernoulli: 1 where its normal score is high."""
    latent = latent_space(load_knowledge().diagnosis("mdd"))
    values = latent.values(latent.draw(1, np.arange(2000)))
    female = values["female"] > 0.5
    assert values["height_cm"][~female].mean() - values["height_cm"][female].mean() > 8


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(0, 2**32), st.sampled_from(["BMI", "fI", "vul"]))
def test_a_number_depends_on_seed_name_and_index_alone(index: list[int], seed: int, name: str) -> None:
    everyone = patient_uniforms(seed, name, np.arange(401))
    some = patient_uniforms(seed, name, np.array(index, dtype=np.intp))
    assert some.shape == (len(index),)
    assert (some == everyone[index]).all()
    assert ((everyone > 0) & (everyone < 1)).all()


def test_seeds_and_names_give_unrelated_numbers() -> None:
    index = np.arange(N)
    reference = patient_normals(1, "BMI", index)
    for other in (patient_normals(2, "BMI", index), patient_normals(1, "age", index)):
        assert abs(np.corrcoef(reference, other)[0, 1]) < 5 / np.sqrt(N)
    assert abs(reference.mean()) < 5 / np.sqrt(N)
    assert abs(reference.std() - 1) < 5 / np.sqrt(2 * N)


def test_a_further_variable_leaves_the_others_as_they_are() -> None:
    diagnosis = load_knowledge().diagnosis("mdd")
    further = Distribution("another", "normal", 0, 1, -9, 9, SOURCE)
    few, many = latent_space(diagnosis), latent_space(diagnosis, {"another": further})
    index = np.arange(5)
    a, b = few.values(few.draw(1, index)), many.values(many.draw(1, index))
    assert set(b) == {*a, "another"}
    for name, column in a.items():
        assert b[name] == pytest.approx(column, rel=1e-12), name


def test_an_override_replaces_a_distribution_or_a_constant() -> None:
    diagnosis = load_knowledge().diagnosis("healthy")
    assert diagnosis.constants["env_level"] == 0
    overrides = {
        "BMI": Distribution("BMI", "uniform", 0, 0, 40, 41, SOURCE),
        "env_level": Distribution("env_level", "uniform", 0, 0, 0.1, 0.2, SOURCE),
    }
    latent = latent_space(diagnosis, overrides)
    values = latent.values(latent.draw(1, np.arange(50)))
    assert ((values["BMI"] >= 40) & (values["BMI"] <= 41)).all()
    assert ((values["env_level"] >= 0.1) & (values["env_level"] <= 0.2)).all()
    assert len(np.unique(values["env_level"])) == 50


def test_constants_hold_for_everyone() -> None:
    latent = latent_space(load_knowledge().diagnosis("healthy"))
    assert (latent.values(latent.draw(1, np.arange(4)))["env_level"] == np.zeros(4)).all()


FAMILIES = [
    Distribution("x", "normal", 2.0, 3.0, -1.0, 4.0, SOURCE),
    Distribution("x", "lognormal", 2.0, 0.8, 0.0, 6.0, SOURCE),
    Distribution("x", "lognormal", 2.0, 0.8, 1.9, 2.2, SOURCE),
    Distribution("x", "shifted-lognormal", 0.6, 0.7, -0.5, 15.0, SOURCE, shift=-0.5),
    Distribution("x", "uniform", 0.0, 0.0, 3.0, 5.0, SOURCE),
    Distribution("x", "normal", 2.0, 0.0, 0.0, 5.0, SOURCE),
    Distribution("x", "bernoulli", 0.3, 0.0, 0.0, 1.0, SOURCE),
]


@pytest.mark.parametrize("distribution", FAMILIES, ids=lambda d: f"{d.family}-{d.lower:g}-{d.upper:g}-{d.spread:g}")
def test_quantile_is_monotone_and_bounded(distribution: Distribution) -> None:
    values = quantile(distribution, np.linspace(1e-12, 1 - 1e-12, 1001))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert values.min() >= distribution.lower
    assert values.max() <= distribution.upper


def test_quantile_without_spread_is_the_center() -> None:
    d = Distribution("x", "shifted-lognormal", 0.6, 0.0, -1, 5, SOURCE, shift=-0.5)
    assert quantile(d, np.array([0.1, 0.9])) == pytest.approx([0.1, 0.1])


def random_space(seed: int, n: int) -> Latent:
    """A space of wide normals with a random full correlation."""
    rng = np.random.default_rng(seed)
    loading = rng.standard_normal((n, n))
    covariance = loading @ loading.T + 0.5 * np.eye(n)
    sd = np.sqrt(np.diag(covariance))
    factor = np.linalg.cholesky(covariance / np.outer(sd, sd))
    names = tuple(f"x{i}" for i in range(n))
    return Latent(names, tuple(Distribution(k, "normal", 0.0, 1.0, -40, 40, SOURCE) for k in names), factor, {})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fixed", [(), (0,), (3,), (1, 4), (0, 2, 3), (4, 2, 1, 0), (0, 1, 2, 3, 4)])
def test_conditional_is_the_exact_gaussian_conditional(seed: int, fixed: tuple[int, ...]) -> None:
    """Against the precision matrix, which the implementation does not use."""
    space = random_space(seed, 5)
    known = dict(zip((f"x{i}" for i in fixed), (0.7, -1.2, 0.3, 1.9, -0.4), strict=False))
    conditional = space.condition(known)
    free = [i for i in range(5) if i not in fixed]
    precision = np.linalg.inv(space.factor @ space.factor.T)
    given_values = np.array([known[f"x{i}"] for i in fixed])
    covariance = np.linalg.inv(precision[np.ix_(free, free)])
    mean = -covariance @ precision[np.ix_(free, list(fixed))] @ given_values

    scores = conditional.to_prior(np.vstack([np.zeros(len(free)), np.eye(len(free))])) @ space.factor.T
    assert scores[:, list(fixed)] == pytest.approx(np.tile(given_values, (len(scores), 1)), abs=1e-6)
    assert scores[0, free] == pytest.approx(mean, abs=1e-6)
    columns = scores[1:, free] - scores[0, free]
    assert columns.T @ columns == pytest.approx(covariance, abs=1e-6)


def test_conditional_agrees_with_selected_draws() -> None:
    """Members of the whole population who happen to have the known value are distributed as the conditional says."""
    space = random_space(9, 3)
    everyone = np.random.default_rng(1).standard_normal((400_000, 3)) @ space.factor.T
    alike = everyone[np.abs(everyone[:, 1] - 1.0) < 0.02]
    free = np.random.default_rng(2).standard_normal((20_000, 2))
    made = space.condition({"x1": 1.0}).to_prior(free) @ space.factor.T
    error = 5 / np.sqrt(len(alike))
    assert made.mean(axis=0) == pytest.approx(alike.mean(axis=0), abs=error)
    assert np.cov(made[:, [0, 2]].T) == pytest.approx(np.cov(alike[:, [0, 2]].T), abs=2 * error)


@pytest.mark.parametrize("known", [{}, {"BMI": 31.0}, {"BMI": 22.0, "age": 61.0, "female": 1.0, "height_cm": 170.0}])
def test_known_values_come_back_and_the_way_there_and_back_is_the_identity(known: dict[str, float]) -> None:
    space = latent_space(load_knowledge().diagnosis("mdd"))
    conditional = space.condition(known)
    free = np.random.default_rng(3).standard_normal((7, len(space.names) - len(known)))
    coordinates = conditional.to_prior(free)
    values = space.values(coordinates)
    for name, value in known.items():
        assert values[name] == pytest.approx(np.full(7, value), rel=1e-6), name
    assert conditional.from_prior(coordinates) == pytest.approx(free, abs=1e-6)


def test_free_coordinates_of_the_population_are_standard_normal_and_free_of_the_known() -> None:
    space = latent_space(load_knowledge().diagnosis("mdd"))
    coordinates = space.draw(5, np.arange(N))
    conditional = space.condition({"BMI": 31.0, "female": 1.0, "age": 50.0})
    free = conditional.from_prior(coordinates)
    scores = coordinates @ space.factor.T
    own = scores[:, [space.names.index(k) for k in ("BMI", "female", "age")]]
    joint = np.corrcoef(np.hstack([free, own]).T)
    k = free.shape[1]
    assert np.abs(joint[:k, :k] - np.eye(k)).max() < 5.5 / np.sqrt(N)
    assert np.abs(joint[:k, k:]).max() < 5.5 / np.sqrt(N)
    assert np.abs(free.std(axis=0) - 1).max() < 5 / np.sqrt(2 * N)


@pytest.mark.parametrize(("given_value", "found"), [(90.0, 65.0), (1.0, 16.0)])
def test_a_known_value_out_of_bounds_is_cut(given_value: float, found: float) -> None:
    space = latent_space(load_knowledge().diagnosis("mdd"))
    free = np.zeros((1, len(space.names) - 1))
    values = space.values(space.condition({"BMI": given_value}).to_prior(free))
    assert values["BMI"][0] == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("female", [0.0, 1.0])
def test_a_known_sex_is_kept_and_shifts_height(female: float) -> None:
    space = latent_space(load_knowledge().diagnosis("mdd"))
    free = np.random.default_rng(4).standard_normal((500, len(space.names) - 1))
    values = space.values(space.condition({"female": female}).to_prior(free))
    assert (values["female"] == female).all()
    assert (values["height_cm"].mean() < 166.6) == (female == 1.0)


def test_unknown_names_do_not_condition() -> None:
    space = latent_space(load_knowledge().diagnosis("mdd"))
    assert space.condition({"weight_kg": 80.0, "BMI": 25.0}).known == {"BMI": 25.0}


def diagnosis_of(*correlations: tuple[str, str, float]) -> Diagnosis:
    names = "abc"
    return Diagnosis(
        "test",
        "test",
        {n: Distribution(n, "normal", 0, 1, -9, 9, SOURCE) for n in names},
        tuple(Correlation(*c, SOURCE) for c in correlations),
    )


def test_correlation_of_an_unknown_variable() -> None:
    with pytest.raises(PopulationError, match=r"'a' and 'weight'.*expected two of the variables a, b, c"):
        latent_space(diagnosis_of(("a", "weight", 0.2)))


def test_impossible_correlations() -> None:
    with pytest.raises(PopulationError, match="not jointly possible"):
        latent_space(diagnosis_of(("a", "b", 0.9), ("b", "c", 0.9), ("a", "c", -0.9)))


def test_pharmacokinetic_factors_spread_around_one() -> None:
    knowledge = load_knowledge()
    drug = knowledge.drug("infliximab")
    factors = pharmacokinetic_factors(drug, 1, np.arange(N))
    assert set(factors) == {k for k, q in drug.pk.items() if q.log_sd > 0}
    for key, factor in factors.items():
        spread = drug.pk[key].log_sd
        assert np.median(factor) == pytest.approx(1, abs=6 * spread / np.sqrt(N))
        assert np.log(factor).std() == pytest.approx(spread, rel=0.03)
    assert (pharmacokinetic_factors(drug, 1, np.array([7]))["clearance"] == factors["clearance"][7]).all()
