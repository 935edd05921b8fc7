"""Newton's driver and what is built on samples: minima, edges of the space, bootstrap, effective numbers."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.statistics import bootstrap, effective_number, effective_sample
from crosstalk.statistics.newton import Quadratic, minimise


def test_a_convex_loss_is_followed_to_its_minimum() -> None:
    """sum(exp(x) - 2 x): at ln 2, from a start where a full step overshoots."""

    def at(x: np.ndarray) -> Quadratic:
        return Quadratic(float(np.sum(np.exp(x) - 2 * x)), np.exp(x) - 2, np.diag(np.exp(x)))

    found = minimise(at, np.array([-5.0, 3.0]), tolerance=1e-14)
    assert found.converged
    assert found.parameters == pytest.approx(np.log(2), abs=1e-9)


def test_a_step_stays_within_the_space() -> None:
    """-log x + x beyond 0: the first full step from 3 would leave the space."""
    tried = []

    def at(x: np.ndarray) -> Quadratic | None:
        tried.append(float(x[0]))
        if x[0] <= 0:
            return None
        return Quadratic(float(x[0] - np.log(x[0])), 1 - 1 / x, np.array([[1 / x[0] ** 2]]))

    found = minimise(at, np.array([3.0]), tolerance=1e-14)
    assert found.converged
    assert found.parameters[0] == pytest.approx(1.0, abs=1e-7)
    assert min(tried) < 0


def test_a_start_outside_of_the_space_has_not_converged() -> None:
    assert not minimise(lambda _: None, np.zeros(1)).converged


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_a_group_is_drawn_whole(groups: list[str]) -> None:
    counts = {g: groups.count(g) for g in groups}
    for rows in islice(bootstrap(len(groups), groups, seed=2), 5):
        drawn = [groups[i] for i in rows]
        assert all(drawn.count(g) % n == 0 for g, n in counts.items())
        assert sum(drawn.count(g) // n for g, n in counts.items()) == len(counts)


def test_rows_are_drawn_anew_and_the_seed_fixes_them() -> None:
    one, two = ([tuple(r) for r in islice(bootstrap(20, seed=4), 3)] for _ in range(2))
    assert one == two
    assert len(set(one)) == 3
    assert all(len(set(rows)) < 20 for rows in one)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_an_effective_number_lies_between_one_and_all(weights: list[float]) -> None:
    w = np.array(weights)
    number = float(effective_number(w))
    assert 1 - 1e-9 <= number <= len(w) + 1e-9
    assert float(effective_number(3 * w)) == pytest.approx(number)
    assert effective_sample(np.log(w)) == pytest.approx(number)


def test_weights_of_zero_are_no_sample() -> None:
    assert np.isnan(effective_number(np.zeros(3)))
    assert effective_sample(np.full(3, -np.inf)) == 0.0
