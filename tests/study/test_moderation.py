"""Regressions on a baseline marker against R, and what they do where data are thin.

Reference values from R 4.2.2 (survival 3.5-3)::

    n <- 40; i <- 0:(n-1); x <- (i*7) %% 13 / 3; b <- 20 + (i*5) %% 11
    y <- -8 + 0.7*x - 0.2*b + sin(i); e <- as.integer((y + 2*cos(3*i)) < -11.5); t <- 1 + (i*3) %% 6
    coef(summary(lm(y ~ x + b)))["x", 1:2]
    coef(summary(glm(e ~ x + b, family = binomial)))["x", 1:2]
    summary(coxph(Surv(t, e) ~ x + b, ties = "breslow", eps = 1e-12))$coefficients["x", c(1, 3)]
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.knowledge.records import Scale, Source
from crosstalk.study import Marker, moderation
from crosstalk.study.endpoints import ENDPOINTS, Simulated
from crosstalk.study.records import Result
from crosstalk.study.statistics import Statistic

IDS = np.arange(40)
X = (IDS * 7) % 13 / 3
B = 20.0 + (IDS * 5) % 11
Y = -8 + 0.7 * X - 0.2 * B + np.sin(IDS)
E = ((Y + 2 * np.cos(3 * IDS)) < -11.5).astype(float)
T = 1.0 + (IDS * 3) % 6


def test_linear_slope_is_that_of_lm() -> None:
    found = moderation.linear_slope(Y, X, B[:, None])
    assert found == pytest.approx((0.52521521737823, 0.10177818676737), rel=1e-10)


def test_logistic_slope_is_that_of_glm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "RIDGE", 1e-10)
    found = moderation.logistic_slope(E, X, B[:, None])
    assert found.value == pytest.approx(0.80590429390238, rel=1e-7)
    assert found.se == pytest.approx(0.94198754644982, rel=1e-4)  # glm stops a step earlier


def test_cox_slope_is_that_of_coxph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "RIDGE", 1e-10)
    found = moderation.cox_slope(T, E, X, B[:, None])
    assert found == pytest.approx((-0.032845283735934, 0.167563136880401), rel=1e-7)


def test_separated_groups_keep_a_finite_odds_ratio() -> None:
    found = moderation.logistic_slope((X > 2).astype(float), X, np.empty((40, 0)))
    assert 0 < found.value < 50
    assert np.isfinite(found.se)


@pytest.mark.parametrize("event", [np.zeros(40), np.ones(40)])
def test_nobody_or_everybody_tells_nothing(event: np.ndarray) -> None:
    assert np.isnan(moderation.logistic_slope(event, X, B[:, None]).value)
    assert np.isnan(moderation.cox_slope(T, np.zeros(40), X, B[:, None]).value)


def test_too_few_patients_or_a_marker_that_does_not_vary_tell_nothing() -> None:
    for found in (
        moderation.linear_slope(Y[:7], X[:7], B[:7, None]),
        moderation.linear_slope(Y, np.ones(40), B[:, None]),
        moderation.logistic_slope(E, np.ones(40), B[:, None]),
        moderation.cox_slope(T, E, np.ones(40), B[:, None]),
    ):
        assert np.isnan(found.value)


def test_a_covariate_that_does_not_vary_is_left_out() -> None:
    with_constant = np.column_stack([B, np.full(40, 3.0)])
    assert moderation.linear_slope(Y, X, with_constant) == pytest.approx(moderation.linear_slope(Y, X, B[:, None]))


def test_who_is_not_known_is_left_out() -> None:
    y, x = Y.copy(), X.copy()
    y[3], x[8] = np.nan, np.nan
    kept = np.setdiff1d(IDS, [3, 8])
    assert moderation.linear_slope(y, x, B[:, None]) == moderation.linear_slope(Y[kept], X[kept], B[kept, None])


CRP = np.array([0.5, 1.0, 2.0, 3.0, 8.0])


def test_steps_of_a_marker() -> None:
    def steps(marker: Marker) -> np.ndarray:
        return moderation.marker_steps(CRP, marker)

    assert steps(Marker("hsCRP", "unit", "mg/L", step=5.0)) == pytest.approx(CRP / 5)
    assert steps(Marker("hsCRP", "ln")) == pytest.approx(np.log(CRP))
    assert steps(Marker("hsCRP", "log2")) == pytest.approx(np.log2(CRP))
    assert steps(Marker("hsCRP", "log10")) == pytest.approx(np.log10(CRP))
    assert steps(Marker("hsCRP", "sd")).std(ddof=1) == pytest.approx(1)
    assert steps(Marker("hsCRP", "sd-ln")).std(ddof=1) == pytest.approx(1)
    # the upper edge of the lower stratum does not belong to it, the lower edge of the upper one does
    assert steps(Marker("hsCRP", "stratum", "mg/L", min=3.0)).tolist() == [0, 0, 0, 1, 1]
    lower = steps(Marker("hsCRP", "stratum", "mg/L", min=3.0, max=1.0))
    assert np.array_equal(lower, [0, np.nan, np.nan, 1, 1], equal_nan=True)


@given(st.floats(0.1, 20), st.floats(-3, 3))
def test_a_slope_per_step_scales_with_the_step(step: float, slope: float) -> None:
    outcome = slope * X + np.sin(IDS)
    one = moderation.linear_slope(outcome, moderation.marker_steps(X, Marker("BMI", "unit", "kg/m^2")), B[:, None])
    many = moderation.linear_slope(
        outcome, moderation.marker_steps(X, Marker("BMI", "unit", "kg/m^2", step=step)), B[:, None]
    )
    assert many.value == pytest.approx(step * one.value, rel=1e-9, abs=1e-9)


# Counterparts from two arms

TIMES = np.array([0.0, 168.0, 336.0])
LN = Marker("hsCRP", "ln")
LEVELS = np.exp((IDS % 9) / 3)


def arm(slope: float) -> np.ndarray:
    """Scores of 40 patients that fall by about 11 points, less by ``slope`` points per unit of ln CRP."""
    start = 19.0 + (IDS * 5) % 7
    return np.column_stack([start, start - 4, start - 11 + slope * (np.log(LEVELS) - 4 / 3) + 3 * np.cos(IDS)])


def simulated(endpoint: str, *, versus: bool, paired: bool = True, event: str = "") -> Simulated:
    result = Result(endpoint, "HAMD17", "a", "b" if versus else "", 336.0, marker=LN, event=event)  # type: ignore[arg-type]
    scale = Scale("HAMD17", "Hamilton", 52, 22, 30, 2.5, 0.5, 7, Source("assumed", "test"))
    return Simulated(
        result, arm(2.0), TIMES, arm(-1.0) if versus else None, None, scale, {"a": LEVELS, "b": LEVELS}, {}, paired
    )


@pytest.mark.parametrize("paired", [True, False])
def test_an_interaction_is_the_first_arm_less_the_second(paired: bool) -> None:
    found = ENDPOINTS["interaction"].counterpart(simulated("interaction", versus=True, paired=paired))
    assert found.value == pytest.approx(3.0, abs=0.3)


def test_the_same_patients_in_both_arms_make_an_interaction_precise() -> None:
    paired, apart = (
        ENDPOINTS["interaction"].counterpart(simulated("interaction", versus=True, paired=p)).se for p in (True, False)
    )
    assert paired < 1e-6 < apart


def test_a_slope_is_positive_where_more_of_the_marker_leaves_more_symptoms() -> None:
    assert ENDPOINTS["slope"].counterpart(simulated("slope", versus=False)).value == pytest.approx(2.0, abs=0.5)


def test_standardized_ones_are_per_sd_of_the_score_at_the_end() -> None:
    s = simulated("interaction-smd", versus=True)
    ends = [x[:, 2] for x in (arm(2.0), arm(-1.0))]
    spread = np.sqrt(np.mean([x.var(ddof=1) for x in ends]))
    assert ENDPOINTS["interaction-smd"].counterpart(s).value == pytest.approx(3.0 / spread, rel=0.02)


def test_ratios_tell_who_does_better() -> None:
    # in arm a more CRP leaves more symptoms, in arm b fewer: a does worse where CRP is high
    assert ENDPOINTS["interaction-or"].counterpart(simulated("interaction-or", versus=True, event="response")).value < 1
    assert ENDPOINTS["slope-or"].counterpart(simulated("slope-or", versus=False, event="response")).value < 1
    assert ENDPOINTS["hazard-ratio"].counterpart(simulated("hazard-ratio", versus=False, event="response")).value < 1
    assert ENDPOINTS["hazard-ratio"].counterpart(simulated("hazard-ratio", versus=True, event="response")).value < 1


def test_a_difference_of_slopes_adds_variances() -> None:
    found = moderation.difference_of_slopes(Statistic(1.0, 3.0), Statistic(0.25, 4.0))
    assert found == (0.75, 5.0)
