"""Endpoint statistics against published numbers, arithmetic by hand, and simulated coverage."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.knowledge.records import Scale, Source
from crosstalk.study import Endpoint, Result, error_scale, estimate
from crosstalk.study.endpoints import (
    change,
    correlation,
    hedges_correction,
    incidence,
    level,
    odds_ratio,
    proportion_se,
    ratio,
    remission,
    response,
    smd,
    smd_se,
    time_of_peak,
)

Array = NDArray[np.float64]
TIMES = np.array([0.0, 168.0])
SCALE = Scale("HAMD17", "Hamilton", 52, 22, 30, 2.5, 0.5, 7, Source("assumed", "test"))


def courses(*columns: list[float]) -> Array:
    result: Array = np.array(columns, dtype=np.float64).T.copy()
    return result


def sample(mean: float, sd: float, n: int) -> Array:
    """Return n numbers with exactly this mean and standard deviation."""
    raw = np.arange(n, dtype=float)
    values: Array = mean + sd * (raw - raw.mean()) / raw.std(ddof=1)
    return values


def paired(pre: tuple[float, float], post: tuple[float, float], n: int, r: float) -> Array:
    """Return n pairs with exactly these means, standard deviations and correlation."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    x = (x - x.mean()) / x.std(ddof=1)
    e = rng.normal(size=n)
    e -= e.mean() + x * (x @ e) / (x @ x)
    e /= e.std(ddof=1)
    y = r * x + sqrt(1 - r * r) * e
    return np.column_stack([pre[0] + pre[1] * x, post[0] + post[1] * y])


ARM = courses([20, 24, 18, 22], [10, 20, 6, 12])
OTHER = courses([20, 22, 24], [18, 11, 20])


def test_level_and_change_by_hand() -> None:
    # week 1: 10, 20, 6, 12 (mean 12, variance 104/3) against 18, 11, 20 (mean 49/3, variance 67/3)
    assert level(ARM, TIMES, 168) == pytest.approx((12, sqrt(104 / 3 / 4)))
    assert level(ARM, TIMES, 168, OTHER) == pytest.approx((12 - 49 / 3, sqrt(104 / 12 + 67 / 9)))
    # changes -10, -4, -12, -10 (mean -9, variance 12) against -2, -11, -4 (mean -17/3, variance 67/3)
    assert change(ARM, TIMES, 168) == pytest.approx((-9, sqrt(12 / 4)))
    assert change(ARM, TIMES, 168, OTHER) == pytest.approx((-9 + 17 / 3, sqrt(3 + 67 / 9)))


def test_ratio_is_the_geometric_mean_fold_change() -> None:
    arm = courses([1, 2, 4], [2, 2, 16])
    # log2 fold changes 1, 0, 2: mean 1, sd 1
    value, se = ratio(arm, TIMES, 168)
    assert value == pytest.approx(2)
    assert se == pytest.approx(log(2) / sqrt(3))
    other = courses([1, 1, 1, 1], [2, 2, 2, 2])
    value, se = ratio(arm, TIMES, 168, other)
    assert value == pytest.approx(1)
    assert se == pytest.approx(log(2) / sqrt(3))
    with pytest.raises(StudyError, match="1 of 3 patients"):
        ratio(courses([1, 2, 4], [2, 0, 16]), TIMES, 168)


def test_response_and_remission_by_hand() -> None:
    # falls of 50, 17, 67, 45 %: two of four; final scores 10, 20, 6, 12: one at most 7
    assert response(ARM, TIMES, 168) == pytest.approx((0.5, 0.25))
    assert remission(ARM, TIMES, 168, at_most=7) == pytest.approx((0.25, sqrt(0.25 * 0.75 / 4)))
    # 18, 11, 20 of 20, 22, 24: one of three
    value, se = response(ARM, TIMES, 168, versus=OTHER)
    assert (value, se) == pytest.approx((0.5 - 1 / 3, sqrt(0.0625 + 2 / 27)))
    assert response(courses([0, 0], [0, 0]), TIMES, 168).value == 0


def test_incidence_counts_any_visit() -> None:
    times = np.array([0.0, 168.0, 336.0, 504.0])
    arm = np.array([[30.0, 5, 5, 5], [5, 14, 5, 5], [5, 5, 5, 20], [5, 5, 5, 5]])
    # the baseline does not count, and week 3 only if it is asked for
    assert incidence(arm, times, 336, threshold=14).value == 0.25
    assert incidence(arm, times, 504, threshold=14).value == 0.5
    with pytest.raises(StudyError, match="no output time"):
        incidence(arm, times, 100, threshold=14)


def binary(responders: int, n: int) -> Array:
    return courses([20.0] * n, [5.0] * responders + [20.0] * (n - responders))


def test_odds_ratio_matches_metafor() -> None:
    # R, metafor, first row of dat.bcg: escalc(measure = "OR", ai = 4, bi = 119, ci = 11, di = 128)
    #   yi -0.9387, vi 0.3571; not run here, the arithmetic below repeats its formulas to all digits
    value, se = odds_ratio(binary(4, 123), TIMES, 168, versus=binary(11, 139))
    assert log(value) == pytest.approx(-0.9387, abs=5e-5)
    assert se**2 == pytest.approx(0.3571, abs=5e-5)
    assert value == pytest.approx(4 * 128 / (119 * 11), rel=1e-12)
    assert se == pytest.approx(sqrt(1 / 4 + 1 / 119 + 1 / 11 + 1 / 128), rel=1e-12)


def test_an_empty_cell_gets_half_a_patient_everywhere() -> None:
    value, se = odds_ratio(binary(0, 10), TIMES, 168, versus=binary(4, 10))
    assert value == pytest.approx(0.5 * 6.5 / (10.5 * 4.5))
    assert se == pytest.approx(sqrt(1 / 0.5 + 1 / 10.5 + 1 / 4.5 + 1 / 6.5))


def test_smd_of_two_arms_matches_metafor() -> None:
    # R, metafor: escalc(measure = "SMD", m1i = 55, sd1i = 47, n1i = 155, m2i = 75, sd2i = 64, n2i = 156)
    #   first row of dat.normand1999: yi -0.3552, vi 0.0131 (not run here; repeated by hand below)
    first = np.column_stack([np.zeros(155), sample(55, 47, 155)])
    second = np.column_stack([np.zeros(156), sample(75, 64, 156)])
    value, se = smd(first, TIMES, 168, second)
    assert value == pytest.approx(-0.3552, abs=5e-5)
    assert se**2 == pytest.approx(0.0131, abs=5e-5)
    d = -20 / sqrt((154 * 47**2 + 155 * 64**2) / 309)
    assert value == pytest.approx(d * (1 - 3 / (4 * 309 - 1)), rel=1e-5)


@pytest.mark.parametrize(
    ("pre", "post", "n", "r", "yi"),
    [
        ((30.6, 15.0), (38.5, 11.6), 20, 0.47, 0.5056),
        ((23.5, 3.1), (26.8, 4.1), 50, 0.64, 1.0481),
        ((0.5, 0.1), (0.7, 0.1), 9, 0.77, 1.8054),
        ((53.4, 14.5), (75.9, 4.4), 10, 0.89, 1.4181),
        ((35.6, 4.7), (36.0, 4.6), 14, 0.44, 0.0801),
    ],
)
def test_smd_of_a_change_matches_metafor(
    pre: tuple[float, float], post: tuple[float, float], n: int, r: float, yi: float
) -> None:
    # data of Morris 2008 (10.1177/1094428106291059); R, metafor (four decimals, not run here):
    #   escalc(measure = "SMCR", m1i = m_post, m2i = m_pre, sd1i = sd_pre, ni = ni, ri = ri)$yi
    value, se = smd(paired(pre, post, n, r), TIMES, 168)
    assert value == pytest.approx(yi, abs=5e-5)
    moved = pre[1] ** 2 + post[1] ** 2 - 2 * r * pre[1] * post[1]
    assert se == pytest.approx(sqrt(moved / pre[1] ** 2 / (n - 1) + value**2 / 2 / (n - 1)))


def test_hedges_correction_by_hand() -> None:
    # exact for 2 degrees of freedom: Gamma(1) / (1 * Gamma(1/2)) = 1 / sqrt(pi)
    assert hedges_correction(2) == pytest.approx(1 / sqrt(np.pi))
    for df in (10, 40, 99, 100, 101, 500):
        assert hedges_correction(df) == pytest.approx(1 - 3 / (4 * df - 1), abs=4e-4)
    assert smd_se(0.5, 20, 30) == pytest.approx(sqrt(1 / 20 + 1 / 30 + 0.25 / 100))


def test_time_of_peak_lies_at_the_vertex_of_a_parabola() -> None:
    times = np.array([0.0, 1.0, 1.5, 3.0, 5.0])
    peaks = np.array([1.2, 1.7, 2.0])
    values = 10 - (times[None, :] - peaks[:, None]) ** 2
    assert time_of_peak(values, times) == pytest.approx((peaks.mean(), peaks.std(ddof=1) / sqrt(3)))
    # no neighbor on one side: the output itself
    assert time_of_peak(np.array([[3.0, 2, 1, 0, 0], [3.0, 2, 1, 0, 0]]), times).value == 0


def test_correlation_of_changes_and_of_baselines() -> None:
    x = courses([0, 0, 0, 0, 1], [1, 2, 3, 4, 6])
    y = courses([1, 1, 1, 1, 1], [3, 5, 4, 6, 8])
    value, se = correlation(x, y, TIMES, 168)
    assert value == pytest.approx(np.corrcoef([1, 2, 3, 4, 5], [2, 4, 3, 5, 7])[0, 1])
    assert se == pytest.approx(1 / sqrt(2))
    assert correlation(x, x, TIMES, 0).value == pytest.approx(1)


def test_failed_patients_and_empty_strata() -> None:
    broken = ARM.copy()
    broken[1, 1] = np.nan
    assert change(broken, TIMES, 168).value == pytest.approx(-32 / 3)
    assert response(broken, TIMES, 168).value == pytest.approx(2 / 3)
    for found in (
        level(ARM[:1], TIMES, 168),
        change(ARM, TIMES, 168, ARM[:0]),
        response(ARM[:0], TIMES, 168),
        odds_ratio(ARM[:1], TIMES, 168, versus=OTHER),
        smd(ARM[:1], TIMES, 168, OTHER),
        smd(ARM[:1], TIMES, 168),
        time_of_peak(ARM[:0], TIMES),
        correlation(ARM[:2], ARM[:2], TIMES, 168),
    ):
        assert np.isnan(found.value)
        assert np.isnan(found.se)


def test_a_time_without_output_is_an_error() -> None:
    with pytest.raises(StudyError, match=r"no output at 100 h.*0, 168 h"):
        level(ARM, TIMES, 100)


def test_error_scale() -> None:
    assert error_scale("ratio", 2.0) == pytest.approx(log(2))
    assert error_scale("correlation", 0.5) == pytest.approx(0.5 * log(3))
    assert error_scale("response", 0.4) == 0.4


def test_estimate_computes_each_endpoint_of_a_result() -> None:
    data = {("drug", "HAMD17"): ARM, ("placebo", "HAMD17"): OTHER, ("drug", "hsCRP"): ARM + 1}

    def get(endpoint: str, **keys: object) -> float:
        result = Result(endpoint, "HAMD17", "drug", **({"time_h": 168.0} | keys))  # type: ignore[arg-type]
        return estimate(result, data, TIMES, scale=SCALE).value

    assert get("level") == 12
    assert get("change", versus="placebo") == pytest.approx(-9 + 17 / 3)
    assert get("ratio") == pytest.approx(exp(np.log(ARM[:, 1] / ARM[:, 0]).mean()))
    assert get("response") == 0.5
    assert get("remission") == 0.25
    assert get("incidence", threshold=11.0) == 0.5
    assert get("smd", versus="placebo") == smd(ARM, TIMES, 168, OTHER).value
    assert get("odds-ratio", versus="placebo") == pytest.approx(2)
    assert get("time-of-peak", time_h=None) == 0
    assert get("correlation", partner="hsCRP") == pytest.approx(1)


def test_estimate_takes_the_stratum_of_each_arm() -> None:
    data = {("drug", "HAMD17"): ARM, ("placebo", "HAMD17"): OTHER}
    masks = {"drug": np.array([True, False, True, False]), "placebo": np.array([False, True, True])}
    result = Result("change", "HAMD17", "drug", versus="placebo", time_h=168.0)
    assert estimate(result, data, TIMES, stratum=masks).value == pytest.approx(-11 + 7.5)


@pytest.mark.parametrize(
    ("result", "part"),
    [
        (Result("level", "IL-6", "drug", time_h=168.0), "no such course"),
        (Result("level", "HAMD17", "drug"), "no time"),
        (Result("response", "HAMD17", "drug", time_h=168.0), "needs a symptom scale"),
        (Result("incidence", "HAMD17", "drug", time_h=168.0), "no threshold"),
    ],
)
def test_estimate_says_what_is_missing(result: Result, part: str) -> None:
    with pytest.raises(StudyError, match=part):
        estimate(result, {("drug", "HAMD17"): ARM}, TIMES)
    odds = Result("odds-ratio", "HAMD17", "drug", time_h=168.0)
    with pytest.raises(StudyError, match="give versus"):
        estimate(odds, {("drug", "HAMD17"): ARM}, TIMES, scale=SCALE)


# Coverage: the interval value +- 1.96 se holds the truth in about 95 % of simulated studies

_REPLICATES = 1500


def coverage(endpoint: Endpoint, truth: float, draw: Callable[[np.random.Generator], tuple[float, float]]) -> float:
    rng = np.random.default_rng(20240501)
    hits = 0
    for _ in range(_REPLICATES):
        value, se = draw(rng)
        hits += abs(error_scale(endpoint, value) - truth) <= 1.959964 * se
    return hits / _REPLICATES


def gaussian(rng: np.random.Generator, n: int, drop: float, sd: float = 4.0) -> Array:
    before = rng.normal(24, 4, n)
    return np.column_stack([before, before - rng.normal(drop, sd, n)])


def shares(rng: np.random.Generator, n: int, p: float) -> Array:
    return binary(int(rng.binomial(n, p)), n)


def test_coverage_of_means() -> None:
    unequal = coverage("change", -2, lambda g: change(gaussian(g, 40, 8), TIMES, 168, gaussian(g, 60, 6, 7)))
    assert 0.93 < unequal < 0.965
    assert 0.93 < coverage("level", 16, lambda g: level(gaussian(g, 50, 8), TIMES, 168)) < 0.965
    fold = coverage("ratio", 0.5, lambda g: ratio(np.exp(g.normal([[1.0, 1.5]], 0.6, (50, 2))), TIMES, 168))
    assert 0.93 < fold < 0.965


def test_coverage_of_shares() -> None:
    risk = coverage("response", 0.2, lambda g: response(shares(g, 80, 0.6), TIMES, 168, versus=shares(g, 80, 0.4)))
    assert 0.93 < risk < 0.97
    truth = log(0.6 / 0.4 / (0.4 / 0.6))
    odds = coverage(
        "odds-ratio", truth, lambda g: odds_ratio(shares(g, 80, 0.6), TIMES, 168, versus=shares(g, 80, 0.4))
    )
    assert 0.93 < odds < 0.97


def test_coverage_of_standardized_differences_and_correlations() -> None:
    # levels have sd sqrt(4^2 + 4^2) in both arms; the truth is a shift of 3 points
    between = coverage("smd", -3 / sqrt(32), lambda g: smd(gaussian(g, 40, 9), TIMES, 168, gaussian(g, 40, 6)))
    assert 0.93 < between < 0.97
    within = coverage("smd", -1.5, lambda g: smd(gaussian(g, 60, 6), TIMES, 168))
    assert 0.93 < within < 0.97

    def correlated(g: np.random.Generator) -> tuple[float, float]:
        x = g.normal(size=50)
        y = 0.5 * x + sqrt(0.75) * g.normal(size=50)
        zeros = np.zeros(50)
        return correlation(np.column_stack([zeros, x]), np.column_stack([zeros, y]), TIMES, 168)

    assert 0.93 < coverage("correlation", np.arctanh(0.5), correlated) < 0.97


def test_coverage_of_the_time_of_peak() -> None:
    times = np.linspace(0, 6, 25)

    def draw(g: np.random.Generator) -> tuple[float, float]:
        return time_of_peak(10 - (times - g.normal(2, 0.4, (40, 1))) ** 2, times)

    assert 0.93 < coverage("time-of-peak", 2.0, draw) < 0.965


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 400), st.floats(0, 1))
def test_the_error_of_a_share_is_positive_and_shrinks(n: int, share: float) -> None:
    count = round(share * n)
    error = proportion_se(count / n, n)
    assert 0 < error <= 0.5 / sqrt(n) + 1e-12
    assert proportion_se(count / n, 4 * n) < error
