"""The smoother against what a linear model with normal errors gives exactly, and its refusal to learn from noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosstalk.calibrate.smoother import assimilate
from crosstalk.errors import CalibrationError

Array = NDArray[np.float64]


def several(slopes: Array, values: Array, errors: Array, weights: tuple[float, ...], n: int = 4000) -> Array:
    rng = np.random.default_rng(5)
    scores = rng.standard_normal((n, slopes.shape[1]))
    for weight in weights:
        scores = assimilate(scores, scores @ slopes.T, values, errors, weight=weight, rng=rng)
    return scores


@pytest.mark.parametrize("weights", [(1.0,), (0.25, 0.75), (0.25, 0.1, 0.15, 0.2, 0.3)])
def test_a_linear_model_gets_its_exact_posterior_however_the_data_are_let_in(weights: tuple[float, ...]) -> None:
    slopes = np.array([[1.0, 0.5], [0.0, 2.0], [1.0, -1.0]])
    values = np.array([1.0, -1.0, 0.7])
    errors = np.diag([0.5, 1.0, 0.8]) + 0.2
    scores = several(slopes, values, errors, weights)
    precision = np.eye(2) + slopes.T @ np.linalg.solve(errors, slopes)
    expected = np.linalg.solve(precision, slopes.T @ np.linalg.solve(errors, values))
    assert scores.mean(axis=0) == pytest.approx(expected, abs=0.05)
    assert np.cov(scores, rowvar=False) == pytest.approx(np.linalg.inv(precision), abs=0.03)


def test_targets_that_have_nothing_to_do_with_an_unknown_leave_it_alone() -> None:
    """Fifty targets of pure noise would shrink a hundred members without localization."""
    rng = np.random.default_rng(1)
    scores, noise = rng.standard_normal((100, 1)), rng.standard_normal((100, 50))
    moved = assimilate(scores, noise, np.zeros(50), 0.05 * np.eye(50), weight=1.0, rng=np.random.default_rng(2))
    free = assimilate(
        scores, noise, np.zeros(50), 0.05 * np.eye(50), weight=1.0, rng=np.random.default_rng(2), threshold=0.0
    )
    assert moved.std() > 0.9 * scores.std()
    assert free.std() < 0.8 * scores.std()


def test_counterparts_with_gaps_teach_the_members_that_have_them() -> None:
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((400, 1))
    simulated = scores.copy()
    simulated[::5] = np.nan
    moved = assimilate(scores, simulated, np.array([2.0]), 0.1 * np.eye(1), weight=1.0, rng=rng)
    assert np.isfinite(moved).all()
    assert moved.mean() > 1.0
    nothing = assimilate(scores, np.full((400, 1), np.nan), np.array([2.0]), 0.1 * np.eye(1), weight=1.0, rng=rng)
    assert (nothing == scores).all()


def test_a_counterpart_that_is_the_same_in_all_members_teaches_nothing() -> None:
    scores = np.random.default_rng(3).standard_normal((50, 2))
    same = assimilate(
        scores, np.full((50, 1), 7.0), np.array([2.0]), np.eye(1), weight=1.0, rng=np.random.default_rng(1)
    )
    assert (same == scores).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(20, 60), st.integers(1, 6), st.integers(1, 12))
def test_any_ensemble_stays_finite(seed: int, n: int, unknowns: int, targets: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, unknowns))
    simulated = scores @ rng.standard_normal((unknowns, targets)) * 10.0 ** rng.uniform(-6, 6, targets)
    simulated[rng.random(simulated.shape) < 0.2] = np.nan
    errors = np.diag(10.0 ** rng.uniform(-6, 6, targets))
    moved = assimilate(scores, simulated, rng.standard_normal(targets), errors, weight=0.5, rng=rng)
    assert moved.shape == scores.shape
    assert np.isfinite(moved).all()


@pytest.mark.parametrize(
    ("n", "weight", "words"), [(5, 1.0, "ensemble of 5 members"), (50, 0.0, "weight of 0"), (50, 1.5, "weight of 1.5")]
)
def test_what_cannot_be_an_ensemble_or_a_weight(n: int, weight: float, words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        assimilate(
            np.zeros((n, 1)), np.zeros((n, 1)), np.zeros(1), np.eye(1), weight=weight, rng=np.random.default_rng(1)
        )
