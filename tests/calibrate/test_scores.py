"""Scores of mixtures of normals: closed forms, numerical integrals, and the ensemble as a limit."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from crosstalk.calibrate import scores
from crosstalk.calibrate.scores import Prediction, crps, log_score, quantile

FLOATS = st.floats(-5, 5)
MIXTURES = st.builds(
    lambda centers, spread: Prediction(np.array(centers), spread),
    st.lists(FLOATS, min_size=1, max_size=6),
    st.floats(0.2, 3),
)


@pytest.mark.parametrize(("mean", "sd", "value"), [(0.0, 1.0, 0.0), (1.5, 0.4, 2.2), (-3.0, 2.0, 4.0)])
def test_one_normal_has_the_closed_forms(mean: float, sd: float, value: float) -> None:
    """Gneiting and Raftery 2007, equation 21."""
    one, z = Prediction(np.array([mean]), sd), (value - mean) / sd
    assert log_score(one, value) == pytest.approx(norm.logpdf(value, mean, sd))
    expected = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / sqrt(pi))
    assert crps(one, value) == pytest.approx(expected)
    assert quantile(one, 0.05) == pytest.approx(norm.ppf(0.05, mean, sd))


@given(MIXTURES, FLOATS)
def test_a_mixture_has_the_integral(found: Prediction, value: float) -> None:
    def cdf(x: float) -> float:
        return float(norm.cdf(x, found.centers, found.spread).mean())

    low, high = -30.0, 30.0
    below, _ = quad(lambda x: cdf(x) ** 2, low, value, limit=200)
    above, _ = quad(lambda x: (1 - cdf(x)) ** 2, value, high, limit=200)
    assert crps(found, value) == pytest.approx(below + above, abs=1e-5)
    assert log_score(found, value) == pytest.approx(np.log(norm.pdf(value, found.centers, found.spread).mean()))


@given(MIXTURES, st.floats(0.01, 0.99))
def test_a_quantile_is_where_the_share_lies(found: Prediction, share: float) -> None:
    at = quantile(found, share)
    assert norm.cdf(at, found.centers, found.spread).mean() == pytest.approx(share, abs=1e-8)


def test_without_error_it_is_that_of_the_ensemble() -> None:
    """Mean distance to the members less half of that among them, the ensemble formula of properscoring."""
    members = np.array([0.3, -1.0, 2.2, 0.9])
    expected = np.abs(members - 0.5).mean() - np.abs(members[:, None] - members[None, :]).mean() / 2
    assert crps(Prediction(members, 1e-9), 0.5) == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 100, 640])
def test_many_members_are_compared_a_part_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs at once would take memory with the square of their number."""
    made = Prediction(np.random.default_rng(4).normal(size=60), 0.7)
    whole = crps(made, 0.3)
    monkeypatch.setattr(scores, "BLOCK", block)
    assert crps(made, 0.3) == pytest.approx(whole, rel=1e-12)


def test_the_truth_scores_best_on_average() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, 4000)
    means = {}
    for name, guess in (("truth", (0, 1)), ("wide", (0, 2)), ("sharp", (0, 0.5)), ("off", (0.7, 1))):
        p = Prediction(np.array([float(guess[0])]), float(guess[1]))
        means[name] = np.mean([log_score(p, v) for v in values]), -np.mean([crps(p, v) for v in values])
    for other in ("wide", "sharp", "off"):
        assert means["truth"][0] > means[other][0]
        assert means["truth"][1] > means[other][1]
