"""Design-based statistics: textbook errors, R's survey package, domains, lonely units, pooled cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.statistics.survey import SurveyDesign, SurveyEstimate, mean, mean_scores, pool, quantile, ratio

# R 4.2.2, survey 4.1-1. d: the adults of NHANES 2017-2018
#   d <- read.csv(gzfile("nhanes_2017_2018_adults_raw.csv.gz"))
#   d$dep <- ifelse(d$phq9_n_items == 9, as.numeric(d$phq9_total >= 10), NA)
#   des <- svydesign(id = ~SDMVPSU, strata = ~SDMVSTRA, weights = ~WTMEC2YR, nest = TRUE, data = d)
#   svymean(~dep, des, na.rm = TRUE)
#   svyquantile(~crp_mgL, des, c(.025, .25, .5, .75, .975), na.rm = TRUE)
#   f <- subset(des, dep == 1 & bmi < 30)
#   svymean(~I(crp_mgL >= 3), f, na.rm = TRUE); degf(f)
#   svyquantile(~crp_mgL, f, c(.025, .5, .9), na.rm = TRUE)
#   svyratio(~neut_1e9L, ~lymph_1e9L, f, na.rm = TRUE)
#   svymean(~bmi, subset(des, age >= 60), na.rm = TRUE)
#   fa <- subset(svydesign(id = ~SDMVPSU, strata = ~SDMVSTRA, weights = ~WTSAF2YR, nest = TRUE,
#                          data = subset(d, !is.na(WTSAF2YR))), dep == 1 & sex == 2)
#   svyquantile(~homa_ir, fa, .5, na.rm = TRUE)
R_PREVALENCE = (0.08530963505073, 0.00518240359289)
R_QUANTILES = {
    0.025: (0.31, 0.0164207499412),
    0.25: (0.85, 0.0422247855632),
    0.5: (1.84, 0.0961786782272),
    0.75: (4.31, 0.1665533208325),
    0.975: (17.60, 1.0485821748190),
}
R_DOMAIN_SHARE = (0.267575371939, 0.046784181558)
R_DOMAIN_QUANTILES = {0.5: (1.21, 0.110253606748), 0.9: (7.25, 6.382980084301)}
R_RATIO = (1.9298697738584, 0.0725202721556)
R_OLD_BMI = (29.629093860869, 0.234457739862)
R_FASTING = (2.49607407407, 0.520872541834)
# e: the adults of 2007-2008 in the same way; p <- rbind(d, e); p$w <- p$WTMEC2YR / 2
#   ps <- svydesign(id = ~SDMVPSU, strata = ~SDMVSTRA, weights = ~w, nest = TRUE, data = p)
#   svymean(~dep, ps, na.rm = TRUE)
R_POOLED = (8.31950633896e-02, 4.56378222397e-03)


def table(data: Path, cycle: str = "2017_2018") -> pd.DataFrame:
    found = pd.read_csv(data / f"nhanes_{cycle}_adults_raw.csv.gz", low_memory=False)
    found["depressed"] = (found["phq9_total"] >= 10).astype(float).where(found["phq9_n_items"] == 9)
    return found


def close(found: SurveyEstimate, expected: tuple[float, float]) -> None:
    assert found.value == pytest.approx(expected[0], rel=1e-9)
    assert found.se == pytest.approx(expected[1], rel=1e-9)


@pytest.mark.shared
def test_prevalence_and_quantiles_agree_with_r(shared_data: Path) -> None:
    t = table(shared_data)
    design = SurveyDesign.of_table(t)
    close(mean(design, t["depressed"]), R_PREVALENCE)
    for share, expected in R_QUANTILES.items():
        close(quantile(design, t["crp_mgL"], share), expected)


@pytest.mark.shared
def test_domains_agree_with_r(shared_data: Path) -> None:
    t = table(shared_data)
    design, group = SurveyDesign.of_table(t), (t["depressed"] == 1) & (t["bmi"] < 30)
    share = mean(design, (t["crp_mgL"] >= 3).astype(float).where(t["crp_mgL"].notna()), group)
    close(share, R_DOMAIN_SHARE)
    assert share.df == 15
    for p, expected in R_DOMAIN_QUANTILES.items():
        close(quantile(design, t["crp_mgL"], p, group), expected)
    # R: the interval of the 2.5th percentile starts below 0 and has no value
    low = quantile(design, t["crp_mgL"], 0.025, group)
    assert low.value == 0.23
    assert np.isnan(low.se)
    close(ratio(design, t["neut_1e9L"], t["lymph_1e9L"], group), R_RATIO)
    close(mean(design, t["bmi"], t["age"] >= 60), R_OLD_BMI)
    fasting = SurveyDesign.of_table(t, "WTSAF2YR")
    close(quantile(fasting, t["homa_ir"], 0.5, (t["depressed"] == 1) & (t["sex"] == 2)), R_FASTING)


@pytest.mark.shared
def test_pooled_cycles_agree_with_r(shared_data: Path) -> None:
    parts = [table(shared_data, cycle).assign(cycle_years=2.0) for cycle in ("2017_2018", "2007_2008")]
    pooled = pool(parts)
    close(mean(SurveyDesign.of_table(pooled, "WTMEC"), pooled["depressed"]), R_POOLED)
    assert "WTMEC2YR" not in pooled


def sample(n: int, *, units: int | None = None) -> tuple[SurveyDesign, np.ndarray]:
    rng = np.random.default_rng(7)
    strata = np.arange(n) % 5 if units else np.zeros(n)
    labels = np.arange(n) // 5 % units if units else np.arange(n)
    return SurveyDesign.of(strata, labels, np.ones(n)), rng.normal(10, 2, n)


def test_a_simple_random_sample_has_the_textbook_errors() -> None:
    design, x = sample(400)
    found = mean(design, x)
    assert found.value == pytest.approx(x.mean())
    assert found.se == pytest.approx(x.std(ddof=1) / 20)
    assert (found.n, found.df) == (400, 399)
    low, high = found.interval()
    assert (low + high) / 2 == pytest.approx(found.value)
    assert (high - low) / 2 == pytest.approx(1.96592 * found.se, rel=1e-4)
    # hf1: the smallest value with half of the people at or below it
    assert quantile(design, x, 0.5).value == np.sort(x)[199]
    # order statistic: SE of the median of a normal sample, 1.2533 sd / sqrt(n)
    assert quantile(design, x, 0.5).se == pytest.approx(1.2533 * 2 / 20, rel=0.35)


def test_the_error_of_paired_units_is_that_of_their_differences() -> None:
    design, x = sample(400, units=2)
    _, scores, _ = mean_scores(design, x)
    sums = pd.Series(scores).groupby([np.arange(400) % 5, np.arange(400) // 5 % 2]).sum().unstack()
    assert mean(design, x).se == pytest.approx(np.sqrt(((sums[0] - sums[1]) ** 2).sum()))


def test_a_domain_keeps_the_empty_units() -> None:
    """Cutting the sample would leave strata with one unit; marking it does not, and the empty unit counts."""
    strata, units, x = [1, 1, 1, 1, 2, 2], [1, 1, 2, 2, 1, 2], np.array([1.0, 3, 5, 7, 2, 4])
    design = SurveyDesign.of(strata, units, np.ones(6))
    group = np.array([True, True, False, False, True, True])
    found = mean(design, x, group)
    scores = np.where(group, (x - 2.5) / 4, 0)
    by_unit = [scores[:2].sum(), 0.0, scores[4], scores[5]]
    expected = np.sqrt((by_unit[0] - by_unit[1]) ** 2 + (by_unit[2] - by_unit[3]) ** 2)
    assert found.se == pytest.approx(expected)
    assert (found.n, found.df) == (4, 1)


def test_unknown_values_and_weights_of_zero_are_left_out() -> None:
    design = SurveyDesign.of([1] * 4, [1, 1, 2, 2], [1.0, 2.0, np.nan, 1.0])
    found = mean(design, [1.0, np.nan, 9.0, 3.0])
    assert (found.value, found.n) == (2.0, 2)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 9)), min_size=4, max_size=40), st.floats(0.01, 0.99))
def test_a_weight_counts_as_so_many_people(people: list[tuple[float, int]], share: float) -> None:
    x, w = (np.array(part, dtype=float) for part in zip(*people, strict=True))
    units = np.arange(len(x)) % 2
    heavy = SurveyDesign.of(np.zeros(len(x)), units, w)
    index = np.repeat(np.arange(len(x)), w.astype(int))
    many = SurveyDesign.of(np.zeros(len(index)), units[index], np.ones(len(index)))
    assert mean(heavy, x).value == pytest.approx(mean(many, x[index]).value, abs=1e-9)
    assert mean(heavy, x).se == pytest.approx(mean(many, x[index]).se, abs=1e-9)
    assert quantile(heavy, x, share).value == quantile(many, x[index], share).value
    assert (x <= quantile(heavy, x, share).value) @ w >= share * w.sum() * (1 - 1e-12)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """20 strata of 2 units, shared deviations within units: intervals of mean and median at 90 %."""
    rng = np.random.default_rng(3)
    strata, units = np.repeat(np.arange(20), 30), np.tile(np.repeat([0, 1], 15), 20)
    held = {"mean": 0, "median": 0}
    runs = 300
    for _ in range(runs):
        x = np.repeat(rng.normal(0, 0.5, 40), 15) + rng.normal(0, 1, 600)
        design = SurveyDesign.of(strata, units, rng.uniform(0.5, 2, 600))
        for name, found in (("mean", mean(design, x)), ("median", quantile(design, x, 0.5))):
            low, high = found.interval(0.9)
            held[name] += low <= 0 <= high
    assert all(0.85 < count / runs < 0.95 for count in held.values()), held


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1, 2], [1, 2, 1], [1, 1, 1]), "stratum 2 has one primary unit"),
        (([1, 1], [1, 2], [1, -1]), "negative weight"),
        (([1, np.nan], [1, 2], [1, 1]), "1 people without stratum"),
        (([1, 1], [1, 2], [1, 1, 1]), "2 strata, 2 units and 3 weights"),
    ],
)
def test_designs_that_cannot_be(arguments: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(PanelError, match=message):
        SurveyDesign.of(*arguments)


def test_questions_that_have_no_answer() -> None:
    design, x = sample(10)
    with pytest.raises(PanelError, match="nobody of the group"):
        mean(design, x, np.zeros(10, dtype=bool))
    with pytest.raises(PanelError, match="share 1 for a quantile"):
        quantile(design, x, 1.0)
    with pytest.raises(PanelError, match="10 people"):
        mean(design, x[:4])
    with pytest.raises(PanelError, match="sums to 0"):
        ratio(design, x, np.zeros(10))
    with pytest.raises(PanelError, match="no column SDMVPSU, WTMEC2YR"):
        SurveyDesign.of_table(pd.DataFrame({"SDMVSTRA": [1]}))


def cycle(years: str, length: float, weight: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"cycle": years, "cycle_years": length, "SDMVSTRA": [1.0, 1.0], "SDMVPSU": [1, 2], weight: 10.0}
    )


def test_years_share_the_weight() -> None:
    pooled = pool([cycle("2015-2016", 2.0, "WTMEC2YR"), cycle("2017-2020", 3.2, "WTMECPRP")])
    assert pooled["WTMEC"].to_list() == pytest.approx([10 * 2 / 5.2] * 2 + [10 * 3.2 / 5.2] * 2)
    # the same number of a stratum in two cycles is two strata
    assert mean(SurveyDesign.of_table(pooled, "WTMEC"), [1.0, 2, 3, 4]).df == 2


def test_pools_that_count_a_year_twice() -> None:
    with pytest.raises(PanelError, match="each year once"):
        pool([cycle("2017-2018", 2.0, "WTMEC2YR"), cycle("2017-2020", 3.2, "WTMECPRP")])
    with pytest.raises(PanelError, match=r"nhanes\.tidy"):
        pool([pd.DataFrame({"x": [1]})])
