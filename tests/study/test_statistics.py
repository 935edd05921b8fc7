"""Endpoint statistics against the R package metafor, arithmetic by hand, and simulated coverage.

The R snippets beside the numbers were run with R 4.2.2 and metafor 3.8.1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.statistics.effect_sizes import hedges_correction, proportion_se, smd_se
from crosstalk.study import Endpoint, Result, error_scale
from crosstalk.study.endpoints import error_scales, from_error_scale
from crosstalk.study.statistics import (
    change,
    correlation,
    incidence,
    level,
    odds_ratio,
    prevalence,
    ratio,
    remission,
    responder_smd,
    response,
    sd,
    smd,
    time_of_peak,
)

Array = NDArray[np.float64]
TIMES = np.array([0.0, 168.0])


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
    # R, first row of dat.bcg: escalc(measure = "OR", ai = 4, bi = 119, ci = 11, di = 128)
    value, se = odds_ratio(binary(4, 123), TIMES, 168, versus=binary(11, 139))
    assert log(value) == pytest.approx(-0.938694140870, rel=1e-10)
    assert se**2 == pytest.approx(0.357124952254, rel=1e-10)
    assert value == pytest.approx(4 * 128 / (119 * 11), rel=1e-12)
    assert se == pytest.approx(sqrt(1 / 4 + 1 / 119 + 1 / 11 + 1 / 128), rel=1e-12)


def test_an_empty_cell_gets_half_a_patient_everywhere() -> None:
    value, se = odds_ratio(binary(0, 10), TIMES, 168, versus=binary(4, 10))
    assert value == pytest.approx(0.5 * 6.5 / (10.5 * 4.5))
    assert se == pytest.approx(sqrt(1 / 0.5 + 1 / 10.5 + 1 / 4.5 + 1 / 6.5))


def test_smd_of_two_arms_matches_metafor() -> None:
    # R, first row of dat.normand1999:
    #   escalc(measure = "SMD", m1i = 55, sd1i = 47, n1i = 155, m2i = 75, sd2i = 64, n2i = 156)
    first = np.column_stack([np.zeros(155), sample(55, 47, 155)])
    second = np.column_stack([np.zeros(156), sample(75, 64, 156)])
    value, se = smd(first, TIMES, 168, second)
    assert value == pytest.approx(-0.3551696409401, rel=1e-10)
    assert se**2 == pytest.approx(0.0130646755415, rel=1e-10)
    d = -20 / sqrt((154 * 47**2 + 155 * 64**2) / 309)
    assert value == pytest.approx(d * (1 - 3 / (4 * 309 - 1)), rel=1e-5)


@pytest.mark.parametrize(
    ("pre", "post", "n", "r", "yi"),
    [
        ((30.6, 15.0), (38.5, 11.6), 20, 0.47, 0.5055527858734),
        ((23.5, 3.1), (26.8, 4.1), 50, 0.64, 1.0481248983482),
        ((0.5, 0.1), (0.7, 0.1), 9, 0.77, 1.8054066673528),
        ((53.4, 14.5), (75.9, 4.4), 10, 0.89, 1.4180817286436),
        ((35.6, 4.7), (36.0, 4.6), 14, 0.44, 0.0800836142529),
    ],
)
def test_smd_of_a_change_matches_metafor(
    pre: tuple[float, float], post: tuple[float, float], n: int, r: float, yi: float
) -> None:
    # data of Morris 2008 (10.1177/1094428106291059); R:
    #   escalc(measure = "SMCR", m1i = m_post, m2i = m_pre, sd1i = sd_pre, ni = ni, ri = ri)$yi
    value, se = smd(paired(pre, post, n, r), TIMES, 168)
    assert value == pytest.approx(yi, rel=1e-10)
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


def test_correlation_of_levels_at_two_times_matches_metafor() -> None:
    # R: u <- c(0.4, 1.9, 2.2, 3.8, 5.1, 4.0); v <- c(20, 14, 17, 9, 6, 11)
    #   cor(u, v); escalc(measure = "ZCOR", ri = cor(u, v), ni = 6)
    u, v = [0.4, 1.9, 2.2, 3.8, 5.1, 4.0], [20.0, 14, 17, 9, 6, 11]
    other = [1.0, 5, 2, 3, 3, 9]
    value, se = correlation(courses(u, other), courses(other, v), TIMES, 0.0, 168.0)
    assert value == pytest.approx(-0.957886089718, rel=1e-10)
    assert error_scale("correlation", value) == pytest.approx(-1.919621273964, rel=1e-10)
    assert se**2 == pytest.approx(1 / 3)
    # at two times it is of levels even if the first one is not the baseline, and the same time twice is allowed
    assert correlation(courses(other, u), courses(other, v), TIMES, 168.0, 168.0).value == pytest.approx(value)
    changes = correlation(courses(other, u), courses(other, v), TIMES, 168.0)
    assert changes.value == pytest.approx(np.corrcoef(np.subtract(u, other), np.subtract(v, other))[0, 1])


HIGH = courses([9.0] * 7, [1.2, 3.4, 2.9, 5.0, 0.7, 4.4, 3.0])
LOW = courses([9.0] * 6, [0.4, 3.0, 1.1, 2.2, 6.3, 0.9])


def test_prevalence_looks_at_one_time_and_counts_the_threshold_itself() -> None:
    # R: a <- c(1.2, 3.4, 2.9, 5.0, 0.7, 4.4, 3.0) >= 3; b <- c(0.4, 3.0, 1.1, 2.2, 6.3, 0.9) >= 3
    #   escalc(measure = "RD", ai = sum(a), bi = sum(!a), ci = sum(b), di = sum(!b))
    value, se = prevalence(HIGH, TIMES, 168, threshold=3.0, versus=LOW)
    assert value == pytest.approx(0.2380952380952, rel=1e-10)
    assert se**2 == pytest.approx(0.0720224597776, rel=1e-10)
    assert prevalence(HIGH, TIMES, 168, threshold=3.0) == pytest.approx((4 / 7, sqrt(4 / 7 * 3 / 7 / 7)))
    # everybody was above it at baseline, which does not count later
    assert prevalence(HIGH, TIMES, 0, threshold=3.0).value == 1
    assert prevalence(HIGH, TIMES, 0, threshold=9.5).value == 0


def test_the_odds_of_a_threshold_match_metafor() -> None:
    # R: escalc(measure = "OR", ai = sum(a), bi = sum(!a), ci = sum(b), di = sum(!b)), with a and b as above
    value, se = odds_ratio(HIGH, TIMES, 168, versus=LOW, threshold=3.0)
    assert log(value) == pytest.approx(0.980829253012, rel=1e-10)
    assert se**2 == pytest.approx(4 / 3)
    # without a threshold it is of response: 1.2 to 4.4 of 9 against 0.4 to 3.0 and 6.3 of 9
    assert odds_ratio(HIGH, TIMES, 168, versus=LOW).value == pytest.approx((6 / 1) / (5 / 1))


def test_sd_is_of_the_change_or_of_the_baseline_and_matches_metafor() -> None:
    # R: before <- c(24, 19, 27, 22, 30); after <- c(11, 15, 13, 20, 9)
    #   sd(after - before); sd(before); escalc(measure = "SDLN", sdi = sd(after - before), ni = 5)$vi
    arm = courses([24, 19, 27, 22, 30], [11, 15, 13, 20, 9])
    value, se = sd(arm, TIMES, 168)
    assert value == pytest.approx(7.79102047231, rel=1e-10)
    assert se**2 == pytest.approx(0.125)
    assert sd(arm, TIMES, 0).value == pytest.approx(4.27784992724, rel=1e-10)


def smd_of(first: list[float], second: list[float]) -> float:
    return smd(courses(first), np.zeros(1), 0, courses(second)).value


def test_responder_smd_compares_baselines_and_matches_metafor() -> None:
    # R: x <- c(2.1, 0.4, 3.3, 1.8); z <- c(4.0, 1.1, 5.2, 2.9, 3.7)
    #   escalc(measure = "SMD", m1i = mean(x), sd1i = sd(x), n1i = 4, m2i = mean(z), sd2i = sd(z), n2i = 5)
    responders, others = [2.1, 0.4, 3.3, 1.8], [4.0, 1.1, 5.2, 2.9, 3.7]
    values = courses([*responders, *others], [99.0] * 9)
    scores = courses([20.0] * 9, [10.0, 4, 9, 0, 11, 20, 25, 10.5, 19])
    value, se = responder_smd(values, scores, TIMES, 168)
    assert value == pytest.approx(-0.946998186506, rel=1e-10)
    assert se**2 == pytest.approx(0.499822531403, rel=1e-10)
    # a fall by three quarters: two responders
    strict = responder_smd(values, scores, TIMES, 168, fraction=0.75)
    assert strict.value == pytest.approx(smd_of([0.4, 1.8], [2.1, 3.3, *others]))
    # who left is in neither group
    scores[[0, 4], 1] = np.nan
    assert responder_smd(values, scores, TIMES, 168).value == pytest.approx(smd_of(responders[1:], others[1:]))


def test_a_group_of_one_has_no_responder_smd() -> None:
    values, scores = courses([1, 2, 3, 4], [1, 2, 3, 4]), courses([20] * 4, [5, 20, 20, 20])
    assert np.isnan(responder_smd(values, scores, TIMES, 168).value)
    assert np.isnan(responder_smd(courses([2] * 4, [2] * 4), courses([20] * 4, [5, 5, 20, 20]), TIMES, 168).value)


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
        prevalence(ARM[:1], TIMES, 168, threshold=7),
        prevalence(ARM, TIMES, 168, threshold=7, versus=OTHER[:0]),
        incidence(ARM[:0], TIMES, 168, threshold=7),
        odds_ratio(ARM, TIMES, 168, versus=OTHER[:1], threshold=7),
        sd(ARM[:1], TIMES, 168),
        sd(courses([20, 20], [10, 10]), TIMES, 168),
        responder_smd(ARM[:0], ARM[:0], TIMES, 168),
    ):
        assert np.isnan(found.value)
        assert np.isnan(found.se)


def test_a_time_without_output_is_an_error() -> None:
    with pytest.raises(StudyError, match=r"no output at 100 h.*0, 168 h"):
        level(ARM, TIMES, 100)


def test_who_left_counts_in_no_statistic_of_a_time() -> None:
    broken = HIGH.copy()
    broken[[1, 6], 1] = np.nan
    assert prevalence(broken, TIMES, 168, threshold=3.0).value == pytest.approx(2 / 5)
    assert odds_ratio(broken, TIMES, 168, versus=LOW, threshold=3.0).value == pytest.approx((2 / 3) / (2 / 4))
    assert sd(broken, TIMES, 168).value == pytest.approx(np.std([1.2, 2.9, 5.0, 0.7, 4.4], ddof=1))
    assert sd(broken, TIMES, 168).se == pytest.approx(1 / sqrt(8))


def test_error_scale() -> None:
    assert error_scale("ratio", 2.0) == pytest.approx(log(2))
    assert error_scale("sd", 9.0) == pytest.approx(log(9))
    assert error_scale("odds-ratio", 0.5) == pytest.approx(-log(2))
    assert error_scale("correlation", 0.5) == pytest.approx(0.5 * log(3))
    assert error_scale("response", 0.4) == 0.4
    for endpoint in ("ratio", "correlation", "response"):
        assert from_error_scale(endpoint, error_scale(endpoint, 0.3)) == pytest.approx(0.3)


def test_error_scales_are_those_of_single_values_for_every_world() -> None:
    endpoints: tuple[Endpoint, ...] = ("ratio", "odds-ratio", "sd", "correlation", "change", "prevalence", "smd")
    results = [Result(endpoint, "HAMD17", "drug", time_h=168.0) for endpoint in endpoints]
    values = np.array([[0.5, 2.0, 8.0, 0.3, -9.0, 0.0, -0.4], [1.5, 0.2, 7.0, -0.9, 0.0, 1.0, 0.4]])
    expected = [[error_scale(e, v) for e, v in zip(endpoints, row, strict=True)] for row in values.tolist()]
    assert error_scales(results, values) == pytest.approx(np.array(expected))
    assert error_scales(results, values[0]) == pytest.approx(np.array(expected[0]))
    assert values[0].tolist() == [0.5, 2.0, 8.0, 0.3, -9.0, 0.0, -0.4]  # the argument stays as it was


def test_what_has_no_counterpart_on_its_scale_becomes_nan() -> None:
    results = [Result(e, "HAMD17", "drug", time_h=168.0) for e in ("ratio", "sd", "odds-ratio", "correlation", "level")]
    found = error_scales(results, np.array([0.0, -1.0, np.inf, 1.0, np.nan]))
    assert np.isnan(found).tolist() == [True, True, True, False, True]
    assert found[3] == pytest.approx(np.arctanh(0.999))


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

    def above(g: np.random.Generator, n: int, p: float) -> Array:
        return np.column_stack([np.zeros(n), g.random(n) + p])

    common = coverage("prevalence", 0.6, lambda g: prevalence(above(g, 80, 0.6), TIMES, 168, threshold=1.0))
    assert 0.93 < common < 0.97
    rarer = coverage(
        "odds-ratio",
        truth,
        lambda g: odds_ratio(above(g, 80, 0.6), TIMES, 168, versus=above(g, 80, 0.4), threshold=1.0),
    )
    assert 0.93 < rarer < 0.97


def test_coverage_of_standardized_differences_and_correlations() -> None:
    # levels have sd sqrt(4^2 + 4^2) in both arms; the truth is a shift of 3 points
    between = coverage("smd", -3 / sqrt(32), lambda g: smd(gaussian(g, 40, 9), TIMES, 168, gaussian(g, 40, 6)))
    assert 0.93 < between < 0.97
    within = coverage("smd", -1.5, lambda g: smd(gaussian(g, 60, 6), TIMES, 168))
    assert 0.93 < within < 0.97

    def by_response(g: np.random.Generator) -> tuple[float, float]:
        scores = shares(g, 80, 0.4)
        baseline = g.normal(size=80) - 0.3 * (scores[:, 1] == 5)
        return responder_smd(np.column_stack([baseline, baseline]), scores, TIMES, 168)

    assert 0.93 < coverage("responder-smd", -0.3, by_response) < 0.97

    def correlated(g: np.random.Generator) -> tuple[float, float]:
        x = g.normal(size=50)
        y = 0.5 * x + sqrt(0.75) * g.normal(size=50)
        zeros = np.zeros(50)
        return correlation(np.column_stack([zeros, x]), np.column_stack([zeros, y]), TIMES, 168)

    assert 0.93 < coverage("correlation", np.arctanh(0.5), correlated) < 0.97


def test_coverage_of_a_standard_deviation() -> None:
    spread = coverage("sd", log(5), lambda g: sd(gaussian(g, 60, 8, 5), TIMES, 168))
    assert 0.93 < spread < 0.97


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
