"""Means, their Monte-Carlo error, and what worlds differ by: against many repetitions of a made-up truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.population.between import non_negative
from crosstalk.twin.estimate import Estimator, probability_interval

Array = NDArray[np.float64]


def drawn(rng: np.random.Generator, worlds: int, each: int) -> tuple[Array, NDArray[np.intp], Array, Array]:
    """Unequal weights, worlds, features without a part in either, and noise that the features explain in part."""
    n = worlds * each
    features = rng.standard_normal((n, 4))
    noise = features @ np.array([0.15, 0.1, 0.0, 0.0]) + 0.1 * rng.standard_normal(n)
    return rng.gamma(1.0, size=n), np.arange(n) % worlds, features, noise


@pytest.mark.parametrize("with_features", [False, True])
def test_the_error_that_is_stated_is_the_sd_over_seeds(with_features: bool) -> None:
    own = np.random.default_rng(1).normal(0.4, 0.06, 100)
    means, errors, variances, variance_errors = [], [], [], []
    for seed in range(120):
        weight, world, features, noise = drawn(np.random.default_rng(seed), 100, 5)
        e = Estimator(weight, world, features, np.zeros(4)) if with_features else Estimator(weight, world)
        found = e.between(own[world] + noise)
        means.append(found.mean)
        errors.append(found.error)
        variances.append(found.variance)
        variance_errors.append(found.variance_error)
    assert np.mean(means) == pytest.approx(own.mean(), abs=4 * np.std(means) / np.sqrt(120))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.25)
    # where its error is as large as itself, a variance that cannot be negative errs upwards, within that error
    assert 0.9 * own.var() < np.mean(variances) < own.var() + 0.5 * np.mean(variance_errors)
    # what is stated holds the chance of which worlds there are too, and is that of an estimate before it is kept
    # from being negative: both make it too large, never too small
    assert 0.8 * np.std(variances) < np.mean(variance_errors) < 2.5 * np.std(variances)


def test_features_take_their_part_out_of_the_error() -> None:
    weight, world, features, noise = drawn(np.random.default_rng(2), 200, 7)
    without, with_ = Estimator(weight, world), Estimator(weight, world, features, np.zeros(4))
    plain, small = without.between(0.4 + noise), with_.between(0.4 + noise)
    # the features explain 0.0325 of a variance of 0.0425
    assert small.error == pytest.approx(plain.error * np.sqrt(0.01 / 0.0425), rel=0.15)
    assert with_.calibrated @ features == pytest.approx(np.zeros(4), abs=0.01)
    assert with_.calibrated.sum() == pytest.approx(1)


def test_a_feature_is_carried_to_its_target() -> None:
    """What depends on a covariate is read at the patient's, not at that of those who are nearly like him."""
    rng = np.random.default_rng(3)
    x = rng.normal(3.3, 0.1, 2000)
    e = Estimator(np.ones(2000), np.arange(2000) % 50, x[:, None], np.array([3.35]))
    (mean,), (error,) = e.mean((2 * x)[:, None])
    assert mean == pytest.approx(6.7, abs=0.005)
    assert error < 0.002


@pytest.mark.parametrize(("sd", "each"), [(0.02, 3), (0.06, 3), (0.06, 10), (0.12, 3), (0.12, 10)])
def test_the_interval_of_a_probability_covers_the_worlds_own(sd: float, each: int) -> None:
    """Of worlds that were not looked at, too: 85 to 95 %, and more where what they differ by is lost in the noise."""
    covered, widths = [], []
    for seed in range(60):
        rng = np.random.default_rng(1000 + seed)
        own = ndtr(rng.normal(-0.25, sd / 0.39, 200))
        weight, world, features, noise = drawn(rng, 200, each)
        found = Estimator(weight, world, features, np.zeros(4)).between(own[world] + noise)
        interval = probability_interval(found.mean, found.sd)
        other = ndtr(rng.normal(-0.25, sd / 0.39, 500))
        covered.append(np.mean((interval.lo90 <= other) & (other <= interval.hi90)))
        widths.append(interval.hi90 - interval.lo90)
    assert 0.85 <= np.mean(covered) <= (0.95 if sd > 0.02 else 1.0)
    # and it stands still
    if sd > 0.02:
        assert np.quantile(widths, 0.9) / np.quantile(widths, 0.1) < 1.5


def test_no_interval_without_width_unless_all_worlds_agree() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        world = np.arange(60) % 20
        found = Estimator(np.ones(60), world).between(rng.uniform(0, 1, 60))
        interval = probability_interval(found.mean, found.sd)
        assert interval.lo90 < interval.mean < interval.hi90
    certain = Estimator(np.ones(60), np.arange(60) % 20).between(np.full(60, 0.3))
    assert certain.sd == pytest.approx(0, abs=1e-12)
    assert probability_interval(0.3, 0.0).lo90 == 0.3


def test_one_world_has_chance_alone() -> None:
    found = Estimator(np.ones(50), np.zeros(50, dtype=np.intp)).between(np.linspace(0, 1, 50))
    assert found.variance == 0
    assert found.error > 0


def test_one_virtual_patient_in_each_world_gives_the_whole_spread() -> None:
    values = np.random.default_rng(4).normal(0.5, 0.1, 80)
    found = Estimator(np.ones(80), np.arange(80)).between(values)
    assert found.variance == pytest.approx(0.01, rel=0.4)
    assert found.variance_error >= 0.9 * found.variance  # none of it can be told from chance


@given(st.floats(-50, 50), st.floats(1e-6, 10))
def test_what_cannot_be_negative_is_positive_and_no_less_than_its_estimate(estimate: float, error: float) -> None:
    found = non_negative(estimate, error)
    assert found > 0
    assert found >= estimate * (1 - 1e-12)
    assert non_negative(estimate + 0.1, error) >= found - 1e-12


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.floats(0.01, 1)), min_size=2, max_size=60))
def test_a_probability_stays_one(rows: list[tuple[float, int, float]]) -> None:
    p, world, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = Estimator(weight, world).between(p)
    interval = probability_interval(found.mean, found.sd)
    assert 0 <= interval.lo90 <= interval.mean <= interval.hi90 <= 1
