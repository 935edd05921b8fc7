"""Log-normal fits of censored samples: against R's survreg, intervals against simulated truth, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import CensoredData, lognorm, norm

from crosstalk.errors import CrosstalkError, PanelError, UsageError
from crosstalk.panel.records import Measurement, Panel
from crosstalk.panel.samples import sample_of
from crosstalk.statistics.censored import CensoredSample, fit_lognormal, log_interval_probability

Array = NDArray[np.float64]
INF = np.inf

# fmt: off
LOWER = np.array([0, 0, 0, .52, .61, .75, .8, .93, 1.1, 1.2, 1.4, 1.55, 1.9, 2.2, 2.6, 3.1, 4.4, 10,
                  .5, .5, 1, 2, 0, 1.7])
UPPER = np.array([.5, .5, .4, .52, .61, .75, .8, .93, 1.1, 1.2, 1.4, 1.55, 1.9, 2.2, 2.6, 3.1, 4.4, INF,
                  .8, .9, 1.5, 5, 1, 1.7])
AGE = [31, 45, 28, 39, 52, 47, 33, 61, 58, 44, 36, 49, 63, 41, 55, 60, 66, 70, 35, 29, 50, 57, 42, 38]
FEMALE = [1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0]
# fmt: on
SAMPLE = CensoredSample(LOWER, UPPER, "IL-6")


def test_a_summary_agrees_with_survreg() -> None:
    """R 4.2.2, survival 3.5.3; lower and upper as above with NA for 0 and infinity:

    s <- survreg(Surv(lower, upper, type='interval2') ~ 1, dist='lognormal')
    c(coef(s), s$scale); sqrt(diag(vcov(s))); s$loglik
    q <- predict(s, newdata=data.frame(x=1), type='uquantile', p=c(.5, .9), se.fit=TRUE); exp(q$fit); q$se.fit
    """
    fit = fit_lognormal(SAMPLE)
    assert fit.coefficients == pytest.approx([0.142558387], rel=1e-5)
    assert fit.log_sd == pytest.approx(0.939072237, rel=1e-5)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx([0.197267191, 0.171925940], rel=1e-5)
    median, high = fit.percentile(50), fit.percentile(90)
    assert (median.value, high.value) == pytest.approx((1.15322041, 3.84213377), rel=1e-5)
    assert (median.log_se, high.log_se) == pytest.approx((0.197267191, 0.273738663), rel=1e-5)
    # survreg's densities are those of the value, these of its logarithm
    exact = np.log(LOWER[LOWER == UPPER]).sum()
    assert fit.log_likelihood - exact == pytest.approx(-38.39626767, rel=1e-8)
    assert fit.share_censored == pytest.approx(9 / 24)
    assert fit.counts == {"exact": 15, "left": 4, "right": 1, "interval": 4, "missing": 0}


def test_a_regression_agrees_with_survreg() -> None:
    """R 4.2.2, survival 3.5.3:

    s <- survreg(Surv(lower, upper, type='interval2') ~ age + female, dist='lognormal')
    predict(s, newdata=data.frame(age=50, female=1), type='uquantile', p=c(.5, .9), se.fit=TRUE)
    """
    fit = fit_lognormal(SAMPLE, {"age": AGE, "female": FEMALE})
    assert fit.names == ("intercept", "age", "female")
    assert fit.coefficients == pytest.approx([-2.3348886585, 0.0542603734, -0.1193566829], rel=1e-5)
    assert fit.log_sd == pytest.approx(0.6364429171, rel=1e-5)
    errors = [0.6019168352, 0.0116341312, 0.2721533971, 0.1693330131]
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(errors, rel=1e-5)
    estimates = [fit.percentile(p, age=50, female=1) for p in (50, 90)]
    assert [e.value for e in estimates] == pytest.approx([1.29534016, 2.92825811], rel=1e-5)
    assert [e.log_se for e in estimates] == pytest.approx([0.186439901, 0.228851151], rel=1e-5)
    assert fit.log_likelihood - np.log(LOWER[LOWER == UPPER]).sum() == pytest.approx(-29.91572942, rel=1e-8)
    ratio = fit.ratio("female")
    z = norm.ppf(0.975)
    assert ratio.value == pytest.approx(np.exp(-0.1193566829), rel=1e-5)
    assert (ratio.low, ratio.high) == pytest.approx(
        tuple(np.exp(-0.1193566829 + np.array([-z, z]) * 0.2721533971)), rel=1e-5
    )


def test_a_summary_agrees_with_scipy() -> None:
    left, right = UPPER[LOWER == 0], LOWER[np.isinf(UPPER)]
    between = (LOWER > 0) & np.isfinite(UPPER) & (LOWER < UPPER)
    data = CensoredData(uncensored=LOWER[LOWER == UPPER], left=left, right=right, interval=np.c_[LOWER, UPPER][between])
    shape, _, scale = lognorm.fit(data, floc=0)
    fit = fit_lognormal(SAMPLE)
    assert (fit.log_sd, fit.geometric_mean().value) == pytest.approx((shape, scale), rel=1e-4)


def test_without_censoring_it_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(45, 10, 50)
    y = np.exp(0.5 + 0.03 * x + 0.4 * rng.standard_normal(50))
    fit = fit_lognormal(CensoredSample(y, y), {"age": x})
    design = np.c_[np.ones(50), x]
    coefficients, squares, *_ = np.linalg.lstsq(design, np.log(y), rcond=None)
    assert fit.coefficients == pytest.approx(coefficients, rel=1e-9)
    assert fit.log_sd == pytest.approx(np.sqrt(squares[0] / 50), rel=1e-9)
    assert fit.share_censored == 0
    assert np.diag(fit.covariance)[:2] == pytest.approx(
        np.diag(np.linalg.inv(design.T @ design)) * fit.log_sd**2, rel=1e-9
    )


@given(st.floats(1e-6, 1e6))
def test_a_change_of_unit_scales_and_nothing_else(factor: float) -> None:
    one, other = fit_lognormal(SAMPLE), fit_lognormal(CensoredSample(LOWER * factor, UPPER * factor))
    assert other.log_sd == pytest.approx(one.log_sd, rel=1e-7)
    for a, b in zip((one.percentile(10), one.spread), (other.percentile(10), other.spread), strict=True):
        assert b.log_se == pytest.approx(a.log_se, rel=1e-6)
    assert other.percentile(10).low == pytest.approx(factor * one.percentile(10).low, rel=1e-6)


def test_very_narrow_intervals_are_numbers() -> None:
    y = np.array([0.5, 0.9, 1.4, 2.0, 4.0])
    fits = [fit_lognormal(CensoredSample(y * (1 - w), y * (1 + w))) for w in (0, 1e-9, 1e-6, 1e-4, 1e-3)]
    for fit in fits[1:]:
        assert fit.coefficients == pytest.approx(fits[0].coefficients, abs=1e-5)
        assert fit.log_sd == pytest.approx(fits[0].log_sd, rel=1e-5)
    # the likelihood of an interval is its width times the density
    widths = 5 * np.log(np.log1p(1e-6) - np.log1p(-1e-6))
    assert fits[2].log_likelihood == pytest.approx(fits[0].log_likelihood + widths, abs=1e-6)


def test_missing_values_take_no_part() -> None:
    more = CensoredSample(np.r_[LOWER, 0], np.r_[UPPER, INF], "IL-6")
    fit = fit_lognormal(more, {"age": [*AGE, np.nan]})
    assert fit.coefficients == pytest.approx(fit_lognormal(SAMPLE, {"age": AGE}).coefficients)
    assert fit.counts["missing"] == 1


# ---- what cannot be told

CANNOT = {
    "all below the limit": ([0, 0, 0], [0.5, 0.5, 0.4], "none of 3 values is bounded .* 3 left"),
    "below and above only": ([0, 5], [1, INF], "none of 2 values is bounded"),
    "one value": ([1.2], [1.2], "1 bounded of 1 values; one number .* spread cannot be told"),
    "one value, others below a higher limit": ([0, 1.2], [2, 1.2], "1 bounded of 2 values; .* spread cannot be told"),
    "the same value": ([1.2, 1.2, 1.2], [1.2, 1.2, 1.2], "3 bounded of 3 .* spread cannot be told"),
    "overlapping intervals": ([1, 1.5, 0], [2, 3, 1.9], "2 bounded of 3 .* spread cannot be told"),
    "no value": ([], [], "none of 0 values"),
}


@pytest.mark.parametrize(("low", "high", "words"), CANNOT.values(), ids=CANNOT)
def test_what_cannot_be_told_is_refused(low: list[float], high: list[float], words: str) -> None:
    with pytest.raises(CrosstalkError, match=f"TNF: {words}"):
        fit_lognormal(CensoredSample(low, high, "TNF"))


@pytest.mark.parametrize(
    ("low", "high"),
    [([1, 2], [1, 2]), ([1, 2, 0], [1, 2, 0.5]), ([0, 2.0, 1.0], [1.5, 3, 2.5]), ([0, 1.2, 3.0], [1, 1.2, INF])],
)
def test_what_can_just_be_told_is_fitted(low: list[float], high: list[float]) -> None:
    """Two disjoint values suffice; the maximum is one, as a grid around it shows."""
    sample = CensoredSample(low, high)
    fit = fit_lognormal(sample)
    with np.errstate(divide="ignore"):
        y1, y2 = np.log(sample.lower), np.log(sample.upper)

    def log_likelihood(mean: float, sd: float) -> float:
        density = norm.logpdf(y1[sample.exact], mean, sd).sum()
        open_ = ~sample.exact
        return float(density + log_interval_probability((y1[open_] - mean) / sd, (y2[open_] - mean) / sd).sum())

    best = log_likelihood(float(fit.coefficients[0]), fit.log_sd)
    assert best == pytest.approx(fit.log_likelihood)
    for dm in (-0.01, 0, 0.01):
        for factor in (0.99, 1, 1.01):
            assert log_likelihood(float(fit.coefficients[0]) + dm, fit.log_sd * factor) <= best + 1e-9


def test_a_group_wholly_below_the_limit_has_no_ratio() -> None:
    low, high = [0, 0, 0, 1, 2, 3, 0.9], [0.5, 0.5, 0.5, 1, 2, 3, 0.9]
    with pytest.raises(PanelError, match="IL-6: the effect of control cannot be told: every value"):
        fit_lognormal(CensoredSample(low, high, "IL-6"), {"control": [1, 1, 1, 0, 0, 0, 0]})
    # with one of them quantified it has
    low[0] = high[0] = 0.6
    fit = fit_lognormal(CensoredSample(low, high, "IL-6"), {"control": [1, 1, 1, 0, 0, 0, 0]})
    assert fit.ratio("control").value < 0.5


@pytest.mark.parametrize(
    ("covariates", "words"),
    [
        ({"age": AGE, "months": [12 * a for a in AGE]}, "age, months do not vary or determine one another"),
        ({"adult": [1.0] * 24}, "adult do not vary"),
        ({"age": [np.nan, *AGE[1:]]}, "covariate 'age' of value 1 is nan"),
        ({"age": AGE[:3]}, r"covariate 'age' has shape \(3,\); expected \(24,\)"),
    ],
)
def test_covariates_that_do_not_serve_are_refused(covariates: dict[str, list[float]], words: str) -> None:
    with pytest.raises(CrosstalkError, match=words):
        fit_lognormal(SAMPLE, covariates)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fit_lognormal(SAMPLE, level=95),
        lambda: fit_lognormal(SAMPLE).percentile(0),
        lambda: fit_lognormal(SAMPLE, {"age": AGE}).percentile(50),
        lambda: fit_lognormal(SAMPLE).ratio("age"),
        lambda: CensoredSample([1, 2], [1]),
    ],
)
def test_wrong_use_is_told(call: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"expected|needs|the fit has"):
        call()


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (2.0, 1.0, "a lower limit above the upper one"),
        (0.0, 0.0, "is not positive"),
        (-1.0, 1.0, "is not positive"),
        (np.nan, 1.0, "is not a number"),
        (INF, INF, "has an infinite lower limit"),
    ],
)
def test_impossible_values_are_refused(low: float, high: float, words: str) -> None:
    with pytest.raises(PanelError, match=f"TNF, value 2 .*{words}"):
        CensoredSample([1.0, low], [1.0, high], "TNF")


def test_a_sample_from_panels() -> None:
    values = [
        Measurement("TNF", 1.1),
        Measurement("TNF", 0.5, "left"),
        Measurement("TNF", 40.0, "right"),
        Measurement("TNF", 0.2, "interval", upper=0.7),
        Measurement("TNF", 3.0, quality="failed", remarks=("12 beads",)),
        Measurement("TNF", 2.0, quality="doubtful"),
    ]
    panels = [Panel(f"P{i}", {"TNF": v}) for i, v in enumerate(values)] + [Panel("P6", {})]
    sample = sample_of(panels, "TNF")
    np.testing.assert_array_equal(sample.lower, [1.1, 0, 40, 0.2, 0, 2, 0])
    np.testing.assert_array_equal(sample.upper, [1.1, 0.5, INF, 0.7, INF, 2, INF])
    assert sample.left_out == ("P4: 12 beads",)
    with pytest.raises(PanelError, match="line 3, patient A, TNF: 0 to 0 is no positive value"):
        sample_of([Panel("A", {"TNF": Measurement("TNF", 0.0, place="line 3")})], "TNF")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "left", "right", "interval"]), st.floats(-3, 3), st.sampled_from([1e-7, 0.01, 1])
        ),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_any_sample_is_fitted_or_refused_with_the_reason(
    kinds: list[tuple[str, float, float]], data: st.DataObject
) -> None:
    low = [0.0 if kind == "left" else np.exp(y) for kind, y, _ in kinds]
    high = [INF if kind == "right" else np.exp(y + w * (kind == "interval")) for kind, y, w in kinds]
    group = data.draw(st.none() | st.lists(st.integers(0, 1), min_size=len(kinds), max_size=len(kinds)))
    try:
        fit = fit_lognormal(CensoredSample(low, high), None if group is None else {"group": group})
    except PanelError as error:
        assert "cannot be told" in str(error) or "do not vary" in str(error)
        return
    assert np.isfinite(fit.coefficients).all()
    assert fit.log_sd > 0
    assert (np.linalg.eigvalsh(fit.covariance) > 0).all()


# ---- the interval's probability and the coverage of the intervals


@given(st.floats(-60, 60), st.floats(0, 60))
def test_the_probability_of_an_interval_is_symmetric_and_at_most_its_parts(a: float, width: float) -> None:
    b = a + width
    found = float(log_interval_probability(a, b))
    assert found == pytest.approx(float(log_interval_probability(-b, -a)), rel=1e-12, abs=1e-300)
    assert found <= min(norm.logcdf(b), norm.logsf(a)) + 1e-12
    if b > a:
        assert np.isfinite(found)
        assert found <= np.log(b - a) + norm.logpdf(0 if a <= 0 <= b else min(abs(a), abs(b))) + 1e-9


def test_the_probability_is_smooth_where_its_two_formulas_meet() -> None:
    for middle in (0.0, 3.0, 20.0):
        widths = np.geomspace(1e-6, 1e-2, 401) / max(1, middle)
        found = log_interval_probability(middle - widths / 2, middle + widths / 2) - np.log(widths)
        series = norm.logpdf(middle) + np.log1p(widths**2 * (middle**2 - 1) / 24)
        assert found == pytest.approx(series, abs=1e-7)


def simulated(rng: np.random.Generator, n: int = 80) -> tuple[CensoredSample, Array]:
    """About 40 % below the limits of two laboratories, some between detection and quantification, some off the top."""
    female = rng.integers(0, 2, n).astype(float)
    y = np.exp(0.5 + 0.4 * female + 0.9 * rng.standard_normal(n))
    lod = np.where(rng.uniform(size=n) < 0.5, 1.0, 1.6)
    low, high = y.copy(), y.copy()
    low[y < lod], high[y < lod] = 0, lod[y < lod]
    between = (y >= lod) & (y < 1.3 * lod)
    low[between], high[between] = lod[between], 1.3 * lod[between]
    low[y > 9], high[y > 9] = 9, INF
    return CensoredSample(low, high), female


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    runs = 400
    held = np.zeros(4)
    shares = []
    for _ in range(runs):
        sample, female = simulated(rng)
        fit = fit_lognormal(sample, {"female": female})
        shares.append(fit.share_censored)
        truths = (
            (fit.geometric_mean(female=0), np.exp(0.5)),
            (fit.ratio("female"), np.exp(0.4)),
            (fit.percentile(90, female=1), np.exp(0.9 + 0.9 * norm.ppf(0.9))),
            (fit.spread, 0.9),
        )
        held += [estimate.low < truth < estimate.high for estimate, truth in truths]
    assert 0.35 < np.mean(shares) < 0.65
    # nominal 95 %; Wald's intervals fall short by one or two points at n = 80; 4 standard errors are 4.4 points
    assert held / runs == pytest.approx(np.full(4, 0.94), abs=0.04)
