"""Conversions to SD per SD: against regressions on large simulated samples, and the closed forms."""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from crosstalk.errors import EvidenceError
from crosstalk.evidence.slopes import (
    LOGISTIC_SD,
    biserial,
    from_correlation,
    share_logit,
    steps_per_sd,
    strata_slope,
    stratum_mean,
)
from crosstalk.knowledge.questions import MarkerScale
from crosstalk.knowledge.records import Source
from crosstalk.study.records import Eligibility, Marker

CRP = MarkerScale("hsCRP", "ln", 0.8, 0.9, Source("assumed", "made up"))
BMI = MarkerScale("BMI", "linear", 30.0, 8.0, Source("assumed", "made up"))
N, TRUE = 400_000, 0.3


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A standard marker, its concentration, and an outcome with a slope of 0.3 SD per SD."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=N)
    return z, np.exp(0.8 + 0.9 * z), TRUE * z + rng.normal(size=N) * sqrt(1 - TRUE**2)


def slope(y: np.ndarray, x: np.ndarray) -> float:
    return float(np.cov(x, y)[0, 1] / x.var())


@pytest.mark.parametrize("per", ["ln", "log2", "log10", "sd-ln", "sd", "unit"])
def test_a_coefficient_per_any_step_of_a_log_marker_gives_the_slope(per: str, people: tuple[np.ndarray, ...]) -> None:
    z, crp, y = people
    step = 2.0 if per == "unit" else 1.0
    logs = np.log(crp)
    x = {"ln": logs, "log2": np.log2(crp), "log10": np.log10(crp), "sd-ln": z, "sd": crp / crp.std(), "unit": crp / 2}
    found = slope(y, x[per]) * steps_per_sd(Marker("hsCRP", per, "mg/L", step=step), CRP)  # type: ignore[arg-type]
    assert found == pytest.approx(TRUE, abs=0.01)


def test_steps_of_a_marker_that_is_used_as_it_is() -> None:
    assert steps_per_sd(Marker("BMI", "unit", "kg/m^2"), BMI) == 8.0
    assert steps_per_sd(Marker("BMI", "unit", "kg/m^2", step=5.0), BMI) == pytest.approx(1.6)
    assert steps_per_sd(Marker("BMI", "sd"), BMI) == 1.0
    log_sd = sqrt(log(1 + (8 / 30) ** 2))
    assert steps_per_sd(Marker("BMI", "ln"), BMI) == pytest.approx(log_sd)


@pytest.mark.parametrize(("low", "high"), [(3.0, None), (3.0, 1.0), (1.0, None)])
def test_a_difference_between_strata_gives_the_slope(
    low: float, high: float | None, people: tuple[np.ndarray, ...]
) -> None:
    _, crp, y = people
    difference = y[crp >= low].mean() - y[crp < (high or low)].mean()
    marker = Marker("hsCRP", "stratum", "mg/L", min=low, max=high)
    assert difference * steps_per_sd(marker, CRP) == pytest.approx(TRUE, abs=0.01)


def test_a_line_through_strata_is_weighted_and_gives_the_slope(people: tuple[np.ndarray, ...]) -> None:
    z, crp, y = people
    points = []
    for low, high in ((None, 1.0), (1.0, 3.0), (3.0, 5.0), (5.0, None)):
        inside = (crp >= (low or 0)) & (crp < (high or np.inf))
        mean = stratum_mean(Eligibility("hsCRP", "mg/L", min=low, max=high), CRP)
        assert mean == pytest.approx(z[inside].mean(), abs=0.01)
        points.append((mean, float(y[inside].mean()), float(y[inside].std() / sqrt(inside.sum()))))
    value, se = strata_slope(points)
    assert value == pytest.approx(TRUE, abs=0.01)
    assert 0 < se < 0.01
    # two points: the difference over the distance, the variances added
    value, se = strata_slope([(-1.0, 0.0, 0.3), (1.0, 1.0, 0.4)])
    assert (value, se) == (pytest.approx(0.5), pytest.approx(sqrt(0.3**2 + 0.4**2) / 2))


def test_responders_against_others_give_the_slope(people: tuple[np.ndarray, ...]) -> None:
    z, _, y = people
    for share in (0.5, 0.3):
        responded = y < np.quantile(y, share)
        first, second = z[responded], z[~responded]
        spread = sqrt((first.var() * len(first) + second.var() * len(second)) / N)
        value, _ = biserial(float(first.mean() - second.mean()) / spread, 0.1, share)
        assert -value == pytest.approx(TRUE, abs=0.01)
    middle, se = biserial(0.4, 0.1)
    moved = biserial(0.4 + 1e-6, 0.1)[0]
    assert se == pytest.approx(0.1 * (moved - middle) / 1e-6, rel=1e-4)


def test_odds_and_shares_are_of_a_logistic() -> None:
    """A logistic outcome of SD 1 cut anywhere: the log odds ratio per SD of the marker is the slope by its SD."""
    rng = np.random.default_rng(2)
    z = rng.integers(0, 2, size=N) * 2.0 - 1
    latent = 0.4 * LOGISTIC_SD * z + rng.logistic(size=N)
    shares = [float((latent[z == side] > 0.5).mean()) for side in (1, -1)]
    logits = [share_logit(share, 0.01)[0] for share in shares]
    assert (logits[0] - logits[1]) / 2 / LOGISTIC_SD == pytest.approx(0.4, abs=0.01)
    assert share_logit(0.2, 0.04)[1] == pytest.approx(0.04 / 0.16)
    with pytest.raises(ValueError, match="a share of 1 has no logit"):
        share_logit(1.0, 0.1)


def test_the_error_of_a_correlation_is_that_of_z_by_the_delta_method() -> None:
    value, se = from_correlation(0.6, 0.1)
    assert (value, se) == (0.6, pytest.approx((np.tanh(np.arctanh(0.6) + 1e-6) - 0.6) / 1e-6 * 0.1, rel=1e-4))


def test_strata_that_hold_nobody_or_lie_alone_are_refused() -> None:
    with pytest.raises(EvidenceError, match="nobody has hsCRP >= 1e"):
        stratum_mean(Eligibility("hsCRP", "mg/L", min=1e9), CRP)
    with pytest.raises(EvidenceError, match="received 1 strata, expected two or more"):
        strata_slope([(0.0, 0.1, 0.1)])
    limit = exp(0.8)
    density = NormalDist().pdf(0.0)
    assert stratum_mean(Eligibility("hsCRP", "mg/L", min=limit), CRP) == pytest.approx(2 * density)
