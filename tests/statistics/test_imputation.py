"""Multiple imputation: limits kept, parameters drawn, truth covered where LOD/2 misses it; pooling against mice."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest, truncnorm

from crosstalk.errors import CrosstalkError, PanelError, UsageError
from crosstalk.statistics.censored import CensoredSample, fit_lognormal
from crosstalk.statistics.imputation import SubstitutionWarning, _truncated, impute, pool, substitute

Array = NDArray[np.float64]
INF = np.inf


def cohort(seed: int, n: int = 200, lod: float = 2.5) -> tuple[CensoredSample, CensoredSample, Array]:
    """CRP, IL-6 and age. Both rise with age and hang together; three quarters of IL-6 lie below its limit.

    log CRP = 0.3 + 0.02 (age - 45) + 1.0 e1, log IL-6 = 0.4 + 0.01 (age - 45) + 0.7 e2, corr(e1, e2) = 0.6
    """
    rng = np.random.default_rng(seed)
    age = rng.normal(45, 12, n)
    e1 = rng.standard_normal(n)
    e2 = 0.6 * e1 + 0.8 * rng.standard_normal(n)
    crp = np.exp(0.3 + 0.02 * (age - 45) + e1)
    il6 = np.exp(0.4 + 0.01 * (age - 45) + 0.7 * e2)
    below = il6 < lod
    return (
        CensoredSample(crp, crp, "hsCRP"),
        CensoredSample(np.where(below, 0, il6), np.where(below, lod, il6), "IL-6"),
        age,
    )


TRUE_MEAN = 0.4
# of log CRP and log IL-6, age's part included
TRUE_CORRELATION = (0.6 * 0.7 + 0.02 * 0.01 * 144) / np.sqrt((1 + 0.02**2 * 144) * (0.7**2 + 0.01**2 * 144))


def mean_of(table: pd.DataFrame) -> tuple[float, float]:
    y = np.log(table["IL-6"])
    return float(y.mean()), float(y.var() / len(y))


def correlation_of(table: pd.DataFrame) -> tuple[float, float]:
    """Fisher's z and its variance."""
    r = np.corrcoef(np.log(table["IL-6"]), np.log(table["hsCRP"]))[0, 1]
    return float(np.arctanh(r)), 1 / (len(table) - 3)


def test_known_values_stay_and_drawn_ones_keep_their_limits() -> None:
    low = [1.1, 0.0, 0.2, 8.0, 0.0, *np.linspace(0.5, 3, 12)]
    high = [1.1, 0.4, 0.7, INF, INF, *np.linspace(0.5, 3, 12)]
    other = np.exp(np.linspace(-1, 1, 17))
    sample, second = CensoredSample(low, high, "TNF"), CensoredSample(other, other, "hsCRP")
    found = impute([sample, second], m=20, seed=3)
    assert found.values.shape == (20, 17, 2)
    assert (found.values >= np.stack([sample.lower, second.lower], axis=1)).all()
    assert (found.values <= np.stack([sample.upper, second.upper], axis=1)).all()
    assert (found.values[:, sample.exact, 0] == sample.lower[sample.exact]).all()
    assert (found.values[:, :, 1] == other).all()
    assert (found.values[:, ~sample.exact, 0].std(axis=0) > 0).all()
    np.testing.assert_array_equal(found.values, impute([sample, second], m=20, seed=3).values)
    assert (found.values != impute([sample, second], m=20, seed=4).values).any()


def test_tables_hold_analytes_and_covariates() -> None:
    crp, il6, age = cohort(0)
    tables = list(impute([crp, il6], {"age": age}, m=3).tables())
    assert len(tables) == 3
    assert list(tables[0].columns) == ["hsCRP", "IL-6", "age"]
    assert (tables[0]["age"] == age).all()
    assert tables[0].notna().all().all()


def test_draws_follow_the_other_analytes_and_the_covariates() -> None:
    """Missing at random given CRP: those imputed differ from those seen as the truth does."""
    rng = np.random.default_rng(5)
    n = 400
    age = rng.normal(45, 12, n)
    crp = np.exp(rng.standard_normal(n))
    il6 = np.exp(0.8 * np.log(crp) + 0.03 * (age - 45) + 0.3 * rng.standard_normal(n))
    lost = rng.uniform(size=n) < 1 / (1 + np.exp(-2 * np.log(crp)))
    sample = CensoredSample(np.where(lost, 0, il6), np.where(lost, INF, il6), "IL-6")
    found = impute([CensoredSample(crp, crp, "hsCRP"), sample], {"age": age}, m=20)
    drawn = np.log(found.values[:, lost, 1])
    truth = np.log(il6[lost])
    assert drawn.mean() == pytest.approx(truth.mean(), abs=0.08)
    assert drawn.mean() - np.log(il6[~lost]).mean() > 0.7
    design = np.c_[np.ones(lost.sum()), np.log(crp[lost]), age[lost]]
    coefficients = np.linalg.lstsq(design, drawn.T, rcond=None)[0]
    assert coefficients.mean(axis=1)[1:] == pytest.approx([0.8, 0.03], abs=0.06)
    # the spread of the draws around the regression, not the regression alone
    assert (drawn.T - design @ coefficients).std() == pytest.approx(0.3, abs=0.04)


def test_parameters_are_drawn_too() -> None:
    """Proper: with one analyte complete but for missing values, Rubin's total variance is the complete-case one."""
    rng = np.random.default_rng(8)
    y = np.exp(rng.standard_normal(40))
    low, high = np.r_[y, np.zeros(40)], np.r_[y, np.full(40, INF)]
    found = impute([CensoredSample(low, high, "IL-6")], m=200, seed=1)
    pooled = found.analyse(mean_of, residual_df=79)
    logs = np.log(y)
    assert pooled.value == pytest.approx(logs.mean(), abs=0.03)
    # fixed parameters would give sqrt(0.5) of it
    assert pooled.se == pytest.approx(logs.std(ddof=1) / np.sqrt(40), rel=0.12)
    assert pooled.missing_information == pytest.approx(0.5, abs=0.08)


def test_one_analyte_agrees_with_maximum_likelihood() -> None:
    _, il6, age = cohort(2, n=300)
    found = impute([il6], {"age": age}, m=100)
    fit = fit_lognormal(il6, {"age": age})

    def slope(table: pd.DataFrame) -> tuple[float, float]:
        x, y = table["age"] - table["age"].mean(), np.log(table["IL-6"])
        b = float(x @ y / (x @ x))
        return b, float(((y - y.mean() - b * x) ** 2).sum() / 298 / (x @ x))

    pooled = found.analyse(slope, residual_df=298)
    assert pooled.value == pytest.approx(fit.coefficients[1], abs=0.25 * fit.ratio("age").log_se)
    assert pooled.se == pytest.approx(fit.ratio("age").log_se, rel=0.2)


def coverage(runs: int) -> dict[str, tuple[float, float, float]]:
    """Bias, its standard error and coverage of 95 % intervals, by method and estimand."""
    found: dict[str, list[tuple[float, bool]]] = {}
    cases = (("mean", mean_of, TRUE_MEAN), ("correlation", correlation_of, float(np.arctanh(TRUE_CORRELATION))))
    for seed in range(runs):
        crp, il6, age = cohort(1000 + seed)
        tables = impute([crp, il6], {"age": age}, m=10, seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SubstitutionWarning)
            made_up = pd.DataFrame({"hsCRP": crp.lower, "IL-6": substitute(il6, "LOD/2")})
        for name, estimate, truth in cases:
            pooled = tables.analyse(estimate, residual_df=198)
            found.setdefault(f"{name} imputed", []).append((pooled.value - truth, pooled.low < truth < pooled.high))
            value, variance = estimate(made_up)
            found.setdefault(f"{name} LOD/2", []).append((value - truth, abs(value - truth) < 1.97 * variance**0.5))
    result = {}
    for name, pairs in found.items():
        errors = np.array([e for e, _ in pairs])
        held = float(np.mean([h for _, h in pairs]))
        result[name] = (float(errors.mean()), float(errors.std(ddof=1) / np.sqrt(runs)), held)
    return result


def _judge(found: dict[str, tuple[float, float, float]], runs: int) -> None:
    for name in ("mean", "correlation"):
        bias, error, held = found[f"{name} imputed"]
        assert (
            abs(bias) < 4 * error + 0.04
        )  # 0.04 in 400 cohorts, a third of the standard error: the posterior is skewed
        assert held > 0.95 - 4 * np.sqrt(0.95 * 0.05 / runs) - 0.01
        bias, error, held = found[f"{name} LOD/2"]
        assert abs(bias) > 6 * error
        assert held < 0.7


def test_imputation_covers_and_substitution_does_not() -> None:
    _judge(coverage(30), 30)


@pytest.mark.slow
def test_coverage_in_many_cohorts() -> None:
    _judge(coverage(400), 400)


# ---- Rubin's rules


def test_pooling_agrees_with_mice() -> None:
    """R 4.2.2, mice 3.15.0: pool.scalar(c(1, 1.2, 1.1, .9), c(.04, .05, .04, .05), n=51, k=1), then without n."""
    found = pool([1, 1.2, 1.1, 0.9], [0.04, 0.05, 0.04, 0.05], residual_df=50)
    assert found.value == pytest.approx(1.05)
    assert found.se**2 == pytest.approx(0.06583333333, rel=1e-9)
    assert found.df == pytest.approx(15.67690924865, rel=1e-9)
    assert found.missing_information == pytest.approx(0.38965242214, rel=1e-9)
    # qt(.975, 15.67690924865)
    assert (found.high - found.low) / 2 == pytest.approx(2.123461641 * found.se, rel=1e-8)
    # mice takes n = infinity for 999999
    assert pool([1, 1.2, 1.1, 0.9], [0.04, 0.05, 0.04, 0.05]).df == pytest.approx(29.9568, rel=1e-4)


def test_alike_estimates_are_those_of_complete_data() -> None:
    found = pool([2.0, 2.0, 2.0], [0.09, 0.09, 0.09], residual_df=20)
    assert found.value == 2.0
    assert found.se == pytest.approx(0.3)
    assert found.df == pytest.approx(21 / 23 * 20)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.01, 10)), min_size=2, max_size=30), st.floats(3, 500))
def test_pooling_never_claims_more_than_complete_data(pairs: list[tuple[float, float]], df: float) -> None:
    estimates, variances = zip(*pairs, strict=True)
    found = pool(estimates, variances, residual_df=df)
    assert found.low <= found.value <= found.high
    assert found.se**2 >= np.mean(variances) * (1 - 1e-12)
    assert 0 < found.df <= df
    assert 0 <= found.missing_information <= 1 + 1e-9


# ---- the draws themselves


@pytest.mark.parametrize(("low", "high"), [(-INF, -1.0), (0.5, 0.8), (3.0, INF), (-INF, INF), (-6.0, -5.0), (8.0, 9.0)])
def test_truncated_draws_have_the_truncated_distribution(low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    n = 4000
    draws = _truncated(rng, 2.0, 0.5, np.full(n, 2 + 0.5 * low), np.full(n, 2 + 0.5 * high))
    assert kstest((draws - 2) / 0.5, truncnorm(low, high).cdf).pvalue > 1e-3


@given(st.floats(-300, 300), st.floats(1e-6, 50), st.floats(1e-3, 5))
def test_truncated_draws_are_finite_wherever_the_limits_lie(low: float, width: float, sd: float) -> None:
    rng = np.random.default_rng(1)
    for a, b in ((low, low + width), (-INF, low), (low, INF)):
        draws = _truncated(rng, 0.0, sd, np.full(20, a), np.full(20, b))
        assert np.isfinite(draws).all()
        assert ((draws >= a) & (draws <= b)).all()


# ---- refusals


def sample(low: list[float], high: list[float], name: str = "TNF") -> CensoredSample:
    return CensoredSample(low, high, name)


NUMBERS = sample([1, 2, 3, 4, 5, 6, 7.0], [1, 2, 3, 4, 5, 6, 7.0])
BELOW = sample([0] * 6 + [2.0], [1] * 6 + [2.0], "IL-6")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: impute([BELOW]), "IL-6: 1 of 7 values quantified, expected more than 2"),
        (lambda: impute([NUMBERS, BELOW], {"age": range(7)}), "IL-6: 1 of 7 values quantified, expected more than 4"),
        (lambda: impute([NUMBERS], {"age": [1, 2, 3, 4, 5, 6, np.nan]}), "covariate 'age' is missing for 1 of 7"),
        (lambda: impute([NUMBERS], {"adult": [1] * 7}), "covariate 'adult' does not vary"),
        (lambda: impute([NUMBERS], {"a": range(7), "b": range(1, 8)}), "a, b determine one another"),
        (lambda: impute([NUMBERS], {"age": range(6)}), r"'age' has shape \(6,\); expected \(7,\)"),
        (lambda: impute([NUMBERS, NUMBERS]), "expected distinct names"),
        (lambda: impute([NUMBERS], m=1), "expected one or more, and m of 2 or more"),
        (lambda: impute([]), "received 0 analytes"),
        (lambda: pool([1.0], [1.0]), "from two imputations or more"),
        (lambda: pool([1.0, np.nan], [1.0, 1.0]), "not a finite number"),
        (lambda: pool([1.0, 2.0], [1.0, 0.0]), "a variance is not positive"),
    ],
)
def test_what_cannot_be_imputed_or_pooled_is_told(call: Callable[[], object], words: str) -> None:
    with pytest.raises(CrosstalkError, match=words):
        call()


# ---- substitution


def test_substitution_warns_of_the_bias_it_brings() -> None:
    _, il6, _ = cohort(4)
    with pytest.warns(SubstitutionWarning, match=r"IL-6: \d+ of 200 values are made up.*10\.1016") as caught:
        values = substitute(il6, "LOD/2")
    below = il6.lower == 0
    assert (values[below] == 1.25).all()
    assert (values[~below] == il6.lower[~below]).all()
    fit = fit_lognormal(il6)
    words = str(caught[0].message)
    assert (
        f"geometric mean becomes {np.exp(np.log(values).mean()):.3g} in place of {fit.geometric_mean().value:.3g}"
        in words
    )
    assert f"SD of the logarithm {np.log(values).std(ddof=1):.3g} in place of {fit.log_sd:.3g}" in words


def test_substitution_says_where_its_bias_cannot_be_told() -> None:
    with pytest.warns(SubstitutionWarning, match="how much cannot be told from this sample"):
        assert (substitute(sample([0, 0], [0.5, 0.4]), "LOD/2") == [0.25, 0.2]).all()


def test_substitution_leaves_missing_values_missing_and_needs_no_warning_without_censoring() -> None:
    values = substitute(sample([1, 0, 2.0], [1, INF, 2.0]), "LOD/2")
    np.testing.assert_array_equal(values, [1, np.nan, 2])


@pytest.mark.parametrize("rule", ["LOD", "lod/2", "LOD/sqrt(2)", "0", ""])
def test_no_other_substitution_is_offered(rule: str) -> None:
    with pytest.raises(UsageError, match="the one substitution offered is 'LOD/2'"):
        substitute(BELOW, rule)


def test_values_above_or_between_limits_have_no_substitute() -> None:
    with pytest.raises(PanelError, match="1 values above a limit and 1 between"):
        substitute(sample([5, 0.2, 0], [INF, 0.7, 0.2]), "LOD/2")
