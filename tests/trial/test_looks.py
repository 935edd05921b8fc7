"""Simulated power of whole trials against rpact, interim looks, adaptive enrichment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.statistics.boundaries import boundaries
from crosstalk.study.design import Interim
from crosstalk.trial.characteristics import counted, successes
from crosstalk.trial.looks import after_looks, critical_levels, run_trial_once
from crosstalk.trial.replicates import Replicates, replicate

TRIALS = [400, pytest.param(4000, marks=pytest.mark.slow)]
FEW = 400

# rpact 3.3.4:
#   fixed <- getDesignGroupSequential(kMax = 1, alpha = 0.05, sided = 2)
#   of <- getDesignGroupSequential(kMax = 2, alpha = 0.05, sided = 2, informationRates = c(0.5, 1), typeOfDesign = "OF")
#   pocock <- getDesignGroupSequential(kMax = 3, alpha = 0.05, sided = 2, informationRates = c(0.3, 0.6, 1),
#                                      typeOfDesign = "P")
#   asOF <- getDesignGroupSequential(kMax = 2, alpha = 0.05, sided = 2, informationRates = c(0.6, 1),
#                                    typeOfDesign = "asOF")
#   asP <- getDesignGroupSequential(kMax = 2, alpha = 0.05, sided = 2, informationRates = c(0.5, 1),
#                                   typeOfDesign = "asP")
#   for (d in list(fixed, of, pocock, asOF, asP)) {
#     p <- getPowerMeans(d, alternative = 2.8, stDev = 10, maxNumberOfSubjects = 400)
#     u <- getPowerMeans(d, alternative = 2.8, stDev = 10, maxNumberOfSubjects = 420, allocationRatioPlanned = 2)
#     r <- getPowerRates(d, pi1 = 0.44, pi2 = 0.3, maxNumberOfSubjects = 360)
#     cat(p$overallReject, p$expectedNumberOfSubjects, u$overallReject, r$overallReject,
#         r$expectedNumberOfSubjects, "\n")
#   }
RPACT = {
    "fixed": (0.7976558, 400, 0.7700096, 0.7879731, 360),
    "of": (0.7945825, 358.8575, 0.7667494, 0.7848305, 324.187),
    "pocock": (0.7257173, 296.8675, 0.6944915, 0.7146904, 269.2305),
    "asOF": (0.7942864, 350.9151, 0.766442, 0.78453, 317.1414),
    "asP": (0.7487297, 314.4289, 0.7184857, 0.7380753, 284.6734),
}
LOOKS = {
    "fixed": None,
    "of": Interim((0.5, 1.0), "obrien-fleming"),
    "pocock": Interim((0.3, 0.6, 1.0), "pocock"),
    "asOF": Interim((0.6, 1.0), "spending-obrien-fleming"),
    "asP": Interim((0.5, 1.0), "spending-pocock"),
}


def power(runs: Replicates, design: Any) -> tuple[float, float]:
    found = counted(successes(design.primary, runs))
    return found.value, found.se


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("name", LOOKS)
def test_power_and_size_for_means_agree_with_rpact(made: Any, name: str, trials: int) -> None:
    design = made.design(n=400, interim=LOOKS[name])
    runs = replicate(made.setting(design, benefit=2.8), trials, seed=1, label="power")
    value, se = power(runs, design)
    assert value == pytest.approx(RPACT[name][0], abs=3 * se)
    size = counted(runs.counts["randomised"])
    assert size.value == pytest.approx(RPACT[name][1], abs=max(3 * size.se, 1e-9))


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("name", ["fixed", "of"])
def test_power_of_two_to_one_agrees_with_rpact(made: Any, name: str, trials: int) -> None:
    shares = {"drug": 2 / 3, "placebo": 1 / 3}
    design = made.design(n=420, interim=LOOKS[name], allocation=shares, block=6)
    runs = replicate(made.setting(design, benefit=2.8), trials, seed=2, label="power")
    value, se = power(runs, design)
    assert value == pytest.approx(RPACT[name][2], abs=3 * se)


@pytest.mark.parametrize("trials", TRIALS)
@pytest.mark.parametrize("name", LOOKS)
def test_power_for_rates_agrees_with_rpact(made: Any, name: str, trials: int) -> None:
    """Response is a score of at most half of a baseline of 200; scores have SD 10."""
    at = 100 + 10 * 0.5244005127080407  # 30 % are at 100 or lower; the benefit makes it 44 %
    benefit = 10 * (0.5244005127080407 - 0.1509692154967774)
    design = made.design(made.analysis("response"), n=360, interim=LOOKS[name])
    ready = made.setting(design, benefit=benefit, mean=at)
    pool = made.replace(ready.pool, recorded=np.full(len(ready.pool.recorded), 200.0))
    runs = replicate(made.replace(ready, pool=pool), trials, seed=3, label="power")
    value, se = power(runs, design)
    assert value == pytest.approx(RPACT[name][3], abs=3 * se)
    size = counted(runs.counts["randomised"])
    assert size.value == pytest.approx(RPACT[name][4], abs=max(3 * size.se, 1e-9))


@pytest.mark.parametrize("name", ["of", "pocock", "asOF", "asP"])
def test_a_p_value_after_looks_is_below_a_level_where_the_boundary_is_crossed(made: Any, name: str) -> None:
    design = made.design(interim=LOOKS[name])
    for look, level in enumerate(critical_levels(design), start=1):
        assert after_looks(design, 0.999 * level, look) < 0.05
        assert after_looks(design, 1.001 * level, look) > 0.05
    # at other levels than that of the design it agrees with the boundary for that level
    interim = LOOKS[name]
    assert interim is not None
    kind, spending = ("spending", "pocock") if name == "asP" else ("spending", "obrien-fleming")
    if not interim.boundary.startswith("spending"):
        kind = interim.boundary
    found = boundaries(interim.information, alpha=0.01, sided=2, kind=kind, spending=spending)  # type: ignore[arg-type]
    from scipy.special import ndtr

    for look, critical in enumerate(found.efficacy, start=1):
        assert after_looks(design, float(2 * ndtr(-critical)), look) == pytest.approx(0.01, rel=0.02)
    assert after_looks(design, float("nan"), 1) == 1.0
    assert after_looks(design, 0.9, 1) == pytest.approx(0.9)


def test_a_trial_ends_at_the_first_look_that_crosses(made: Any) -> None:
    design = made.design(n=200, interim=LOOKS["of"])
    strong = run_trial_once(made.setting(design, benefit=20.0), 0, np.random.default_rng(1))
    assert strong.counts["look"] == 1
    assert strong.counts["randomised"] == 100
    assert strong.estimates["primary"].n == 100
    assert strong.counts["screened"] == pytest.approx(100)
    weak = run_trial_once(made.setting(design), 0, np.random.default_rng(1))
    assert (weak.counts["look"], weak.counts["randomised"]) == (2, 200)


def test_multiplicity_holds_with_looks(made: Any) -> None:
    """Familywise error of two endpoints under Holm with a Pocock boundary, where nothing works."""
    second = made.analysis("response", id="response")
    design = made.design(made.analysis(), second, n=100, interim=Interim((0.5, 1.0), "pocock"), multiplicity="holm")
    runs = replicate(made.setting(design, mean=100.0), FEW, seed=4, label="null")
    any_ = counted((runs.values["adjusted"] < 0.05).any(axis=1).astype(float))
    assert any_.value <= 0.05 + 3 * any_.se
    assert any_.value > 0.005


def adaptive(made: Any, **given: Any) -> Any:
    return made.design(
        kind="adaptive-enrichment", n=200, marker=made.marker, interim=Interim((0.5, 1.0), "pocock", 0.2), **given
    )


def test_adaptive_enrichment_keeps_its_error(made: Any) -> None:
    runs = replicate(made.setting(adaptive(made)), 2 * FEW, seed=5, label="null")
    one_sided = counted((runs.column("adjusted", "primary") < 0.05).astype(float))
    assert one_sided.value <= 0.025 + 3 * one_sided.se
    assert one_sided.value > 0.004


def test_adaptive_enrichment_drops_those_who_do_not_benefit(made: Any) -> None:
    design = adaptive(made)
    runs = replicate(made.setting(design, by_marker=6.0), 200, seed=6, label="power")
    dropped = runs.counts["dropped"].mean()
    assert 0.5 < dropped < 1.0
    # the rest of the trial takes marker-positive patients alone, and screens more to find them
    gone = runs.counts["dropped"] == 1
    assert runs.counts["positive"][gone].mean() > 0.55
    later = ~gone & (runs.counts["look"] == 2)
    assert runs.counts["screened"][gone].mean() > 1.3 * runs.counts["screened"][later].mean()
    plain = made.design(kind="stratified", n=200, marker=made.marker)
    fixed = replicate(made.setting(plain, by_marker=6.0), 200, seed=6, label="power")
    assert power(runs, design)[0] > power(fixed, plain)[0] + 0.1


def test_all_patients_are_kept_where_all_benefit(made: Any) -> None:
    runs = replicate(made.setting(adaptive(made), benefit=6.0), 150, seed=7, label="power")
    assert runs.counts["dropped"].mean() < 0.2


def test_a_closed_test_and_a_fixed_sequence(made: Any) -> None:
    parts = (made.analysis(), made.analysis(id="positive", part="positive"))
    closed = made.design(*parts, kind="stratified", n=200, marker=made.marker, multiplicity="closed")
    done = run_trial_once(made.setting(closed, by_marker=12.0), 0, np.random.default_rng(3))
    raw = [done.estimates[i].p for i in ("primary", "positive")]
    assert done.adjusted["primary"] >= raw[0]
    assert done.adjusted["positive"] >= raw[1]
    assert done.adjusted["positive"] < 0.05
    order = made.replace(closed, multiplicity="fixed")
    done = run_trial_once(made.setting(order), 0, np.random.default_rng(3))
    assert done.adjusted["positive"] == max(done.estimates[i].p for i in ("primary", "positive"))


def test_an_exploratory_analysis_costs_nothing(made: Any) -> None:
    extra = made.analysis("response", id="extra", confirmatory=False)
    design = made.design(made.analysis(), extra, multiplicity="bonferroni")
    done = run_trial_once(made.setting(design, benefit=3.0), 0, np.random.default_rng(1))
    assert done.adjusted["primary"] == pytest.approx(done.estimates["primary"].p)
    assert done.adjusted["extra"] == pytest.approx(done.estimates["extra"].p)
