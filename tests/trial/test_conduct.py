"""Screening, lead-in, randomisation, visits, stopping and leaving."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.errors import PopulationError
from crosstalk.study.design import Crossover, LeadIn, Stratum
from crosstalk.study.records import Eligibility
from crosstalk.trial.conduct import conduct, join, recruit
from crosstalk.trial.visits import FADES_H, leaving_hazard

WEEK = 168.0


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_one_seed_gives_one_trial(made: Any) -> None:
    ready = made.setting(made.design(conduct=made.conduct(dropout=0.2, missed_visits=0.1)), hazard=3e-4)
    one, two, three = (conduct(ready, 0, rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.scores["S"], two.scores["S"])
    assert not np.array_equal(one.scores["S"], three.scores["S"], equal_nan=True)


def test_blocks_keep_the_arms_equal_within_strata(made: Any) -> None:
    design = made.design(
        n=203, strata=(Stratum("sex", (0.5,)), Stratum("S", (200.0,))), allocation={"drug": 2 / 3, "placebo": 1 / 3},
        block=6,
    )  # fmt: skip
    data = conduct(made.setting(design), 0, rng())
    assert set(data.stratum) == {0, 1, 2, 3}
    expected = 2 * (data.covariates["sex"] > 0.5) + (data.baseline["S"] >= 200.0)
    np.testing.assert_array_equal(data.stratum, expected)
    for stratum in range(4):
        here = data.group[data.stratum == stratum]
        drug = np.cumsum(here == 0) - 2 * np.cumsum(here == 1)
        # an arm is never further ahead than a block allows, and every full block is balanced
        assert np.abs(drug).max() <= 4
        full = len(here) // 6 * 6
        assert (here[:full].reshape(-1, 6) == 0).sum(axis=1).tolist() == [4] * (full // 6)


def test_several_arms(made: Any) -> None:
    shares = {"drug": 0.5, "placebo": 0.25, "half": 0.25}
    design = made.design(n=120, allocation=shares, block=4)
    ready = made.setting(design, benefit=5.0)
    courses = {
        **ready.pool.courses,
        ("half", "S"): (ready.pool.courses["drug", "S"] + ready.pool.courses["placebo", "S"]) / 2,
    }
    pool = made.replace(ready.pool, courses=courses)
    data = conduct(made.replace(ready, pool=pool, treatments=("drug", "half", "placebo")), 0, rng())
    assert np.bincount(data.group).tolist() == [60, 30, 30]
    # the group is by the design, the treatment by the study
    assert set(zip(data.group.tolist(), data.treatment.tolist(), strict=True)) == {(0, 0), (1, 2), (2, 1)}


def test_a_single_marker_misclassifies_and_a_second_one_less(made: Any) -> None:
    wrong = []
    for times in (1, 4):
        design = made.design(kind="stratified", n=4000, marker=made.marker, measurements=times)
        data = conduct(made.setting(design, noise=0.8), 0, rng())
        wrong.append((data.positive != data.truly_positive).mean())
        np.testing.assert_array_equal(data.positive, data.marker >= 3.0)
    # log-normal around 2 with SD 1: true and measured disagree by the angle of the two normal scores
    assert wrong[0] > 0.15
    assert wrong[1] < 0.75 * wrong[0]


def test_an_enrichment_screens_in_proportion(made: Any) -> None:
    design = made.design(kind="enrichment", n=3000, marker=made.marker)
    ready = made.setting(design, noise=0.5)
    data = conduct(ready, 0, rng())
    assert data.positive.all()
    assert not data.truly_positive.all()
    funnel = data.funnel
    assert funnel["screened"] == funnel["randomised"] + funnel["marker-negative"] + funnel["not eligible"]
    # the measured marker is log-normal with SD sqrt(1 + 0.25)
    from scipy.special import ndtr

    share = 1 - ndtr(np.log(1.5) / np.sqrt(1.25))
    assert funnel["randomised"] / funnel["screened"] == pytest.approx(share, rel=0.06)


def test_limits_are_on_what_is_measured(made: Any) -> None:
    ready = made.setting(made.design(n=2000))
    limited = made.replace(ready, limits=(Eligibility("hsCRP", "mg/L", max=3.0),))
    data = conduct(limited, 0, rng())
    assert data.covariates["hsCRP"].max() < 3.0
    assert ready.pool.levels["hsCRP"][data.row].max() > 3.0
    assert data.funnel["not eligible"] > 500


def test_below_detection_the_limit_is_reported(made: Any) -> None:
    ready = made.setting(made.design(n=1000))
    data = conduct(made.replace(ready, detection={**ready.detection, "hsCRP": 1.5}), 0, rng())
    assert data.covariates["hsCRP"].min() == 1.5
    assert (data.covariates["hsCRP"] == 1.5).mean() > 0.3


def test_a_cut_off_that_leaves_nobody_is_refused_with_the_reason(made: Any) -> None:
    high = Eligibility("hsCRP", "mg/L", min=1e6)
    ready = made.setting(made.design(kind="enrichment", n=20, marker=high))
    with pytest.raises(PopulationError, match=r"0 of 20 randomised after .* most lost as 'marker-negative'; lower the"):
        conduct(ready, 0, rng())


def test_a_lead_in_takes_out_who_improves_and_starts_from_its_end(made: Any) -> None:
    lead = LeadIn(2 * WEEK, 0.25)
    ready = made.setting(made.design(n=500, lead_in=lead), mean=150.0, between=25.0, weeks=(0, 1, 2, 4, 6, 8))
    fluctuating = made.replace(ready.pool, fluctuation=np.full(len(ready.pool.recorded), 0.02))
    ready = made.replace(ready, pool=fluctuating, visits_h=np.array([0, 1, 2, 4]) * WEEK)
    people = recruit(ready, 0, rng(), 500, False)
    assert people.funnel["improved in the lead-in"] > 100
    assert (people.score > 0.75 * ready.pool.recorded[people.row]).all()
    data = conduct(ready, 0, rng())
    # without treatment between them, baseline and first visit differ by fluctuation and raters alone
    change = data.scores["S"][:, 1] - data.baseline["S"]
    assert abs(change.mean()) < 4.0
    assert np.corrcoef(data.scores["S"][:, 1], data.baseline["S"])[0, 1] > 0.5


def test_the_wanted_share_of_the_control_arm_leaves(made: Any) -> None:
    was = made.conduct(dropout=0.3, unimproved=3.0, side_effects={"drug": 2.0})
    design = made.design(n=6000, conduct=was)
    ready = made.setting(design, benefit=10.0, mean=155.0)
    people = recruit(ready, 0, rng(), 4000, False)
    ready = made.replace(ready, hazard=leaving_hazard(ready, people))
    data = conduct(ready, 0, rng(2))
    left = np.isfinite(data.left_h)
    assert left[data.group == 1].mean() == pytest.approx(0.3, abs=0.025)
    assert left[data.group == 0].mean() > 0.4  # side effects, in spite of the benefit
    # who leaves had improved less
    score, start = data.scores["S"][:, 1], data.baseline["S"]
    late = data.left_h > 1.2 * WEEK
    gone = left & late
    assert np.nanmean((score / start)[gone]) > np.nanmean((score / start)[~left]) + 0.01
    # where drugs do nothing they also do no harm
    nothing = conduct(made.replace(ready, null=True), 0, rng(2))
    for group in (0, 1):
        assert np.isfinite(nothing.left_h[nothing.group == group]).mean() == pytest.approx(0.3, abs=0.03)


def test_nobody_is_seen_after_leaving_unless_followed_up(made: Any) -> None:
    for share in (0.0, 1.0):
        was = made.conduct(dropout=0.4, followed_up=share)
        data = conduct(made.setting(made.design(n=400, conduct=was), hazard=8e-4), 0, rng())
        off = ~data.on_drug
        assert off.any()
        assert np.isfinite(data.scores["S"][off]).all() == bool(share)
        assert np.isinf(data.left_h).all() == bool(share)


def test_an_effect_fades_once_the_drug_is_stopped(made: Any) -> None:
    was = made.conduct(nonadherence=0.999999)
    design = made.design(n=8000, conduct=was)
    ready = made.setting(design, benefit=40.0, between=0.001, scale=made.replace(made.scale, rater_sd=0.001))
    data = conduct(ready, 0, rng())
    drug = data.group == 0
    benefit = 100.0 - data.scores["S"][drug, -1]
    # stopped at a uniform time of four weeks, with the ramp of the first week: mean of the remaining effect
    stop = np.linspace(0, 4 * WEEK, 4001)
    remaining = 40.0 * np.minimum(stop / WEEK, 1.0) * np.exp(-(4 * WEEK - stop) / FADES_H)
    assert benefit.mean() == pytest.approx(remaining.mean(), rel=0.02)


def test_visits_are_missed_and_jittered(made: Any) -> None:
    was = made.conduct(missed_visits=0.2, visit_window_h=72.0)
    data = conduct(made.setting(made.design(n=3000, conduct=was)), 0, rng())
    missing = np.isnan(data.scores["S"])
    assert not missing[:, 0].any()
    assert missing[:, 1:].mean() == pytest.approx(0.2, abs=0.015)


def test_baselines_are_inflated_and_later_scores_are_not(made: Any) -> None:
    ready = made.setting(made.design(n=3000), mean=200.0, between=0.001)
    n = len(ready.pool.recorded)
    other = {("drug", "T"): ready.pool.courses["drug", "S"], ("placebo", "T"): ready.pool.courses["placebo", "S"]}
    pool = made.replace(ready.pool, inflation=np.full(n, 0.02), courses={**ready.pool.courses, **other})
    design = made.design(made.analysis(), made.analysis(id="other", of="T"), n=3000)
    ready = made.replace(ready, pool=pool, design=design, scales={**ready.scales, "T": made.scale})
    data = conduct(ready, 0, rng())
    # raters add a fiftieth of the scale's 1000 points, on the scale that the pool has no record of
    assert data.baseline["T"].mean() == pytest.approx(220.0, abs=0.5)
    assert data.scores["T"][:, 1:].mean() == pytest.approx(200.0, abs=0.3)


def test_a_crossover_gives_both_arms_to_each(made: Any) -> None:
    design = made.design(
        made.analysis("crossover", time_h=2 * WEEK), kind="crossover", n=400, crossover=Crossover(2 * WEEK, WEEK),
        allocation={"drug-placebo": 0.5, "placebo-drug": 0.5}, conduct=made.conduct(side_effects={"drug": 9.0}),
    )  # fmt: skip
    ready = made.setting(design, benefit=5.0, weeks=(0, 1, 2, 3, 5))
    data = conduct(ready, 0, rng())
    first = data.treatment == 0
    assert data.scores["S"][first, 2].mean() == pytest.approx(95.0, abs=2.5)
    assert data.scores["S"][first, 4].mean() == pytest.approx(100.0, abs=2.5)
    assert data.scores["S"][~first, 4].mean() == pytest.approx(95.0, abs=2.5)
    # side effects of the drug make patients leave in its own period only
    data = conduct(made.replace(ready, hazard=1e-4), 0, rng())
    in_first, in_second = (data.left_h < 2 * WEEK), (data.left_h >= 3 * WEEK) & np.isfinite(data.left_h)
    assert in_first[first].sum() > 3 * max(in_first[~first].sum(), 1)
    assert in_second[~first].sum() > 3 * max(in_second[first].sum(), 1)


def test_arms_of_a_crossover_whose_names_begin_alike(made: Any) -> None:
    design = made.design(kind="crossover", crossover=Crossover(2 * WEEK, 0.0), allocation={"a": 0.5, "b": 0.5})
    ready = made.setting(made.design())
    arms = tuple(made.replace(a, id=i) for a, i in zip(ready.study.arms, ("drug", "drug-x"), strict=True))
    named = made.replace(
        ready, design=design, study=made.replace(ready.study, arms=arms), treatments=("drug-drug-x", "drug-x-drug")
    )
    assert [named.beginning_with(i) for i in ("drug", "drug-x")] == [0, 1]


def test_matched_patients_get_the_arm_of_their_marker(made: Any) -> None:
    design = made.design(
        made.analysis(arm="matched", versus="mismatched"), kind="match", n=400, marker=made.marker,
        match=("drug", "placebo"), allocation={"matched": 0.5, "mismatched": 0.5},
    )  # fmt: skip
    data = conduct(made.setting(design), 0, rng())
    matched = data.group == 0
    np.testing.assert_array_equal(data.treatment == 0, matched == data.positive)
    for part in (data.positive, ~data.positive):
        assert abs(matched[part].mean() - 0.5) < 0.02


def test_two_stages_are_joined(made: Any) -> None:
    ready = made.setting(made.design(kind="stratified", marker=made.marker, n=40))
    one, two = conduct(ready, 0, rng(1), n=30), conduct(ready, 0, rng(2), n=10, positive_only=True)
    both = join(one, two)
    assert len(both) == 40
    assert both.positive[30:].all()
    assert both.funnel["randomised"] == 40
    assert both.funnel["screened"] == one.funnel["screened"] + two.funnel["screened"]
    np.testing.assert_array_equal(both.take(np.arange(30)).scores["S"], one.scores["S"])
