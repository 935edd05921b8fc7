"""True effects under each estimand, and the curve against the marker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.study.design import Crossover
from crosstalk.trial.truth import control_outcome, marker_curve, marker_values, true_effects, typical_world
from crosstalk.trial.visits import FADES_H

WEEK = 168.0


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_constant_benefit_is_found_exactly(made: Any) -> None:
    analyses = [made.analysis(m, id=m) for m in ("mmrm", "ancova")]
    found = true_effects(made.setting(made.design(*analyses), benefit=7.0), 0, rng())
    # the same chance under both treatments, so that no noise is left
    assert found == {"mmrm": pytest.approx(-7.0), "ancova": pytest.approx(-7.0)}


def test_nothing_is_found_where_no_drug_does_anything(made: Any) -> None:
    ready = made.setting(made.design(conduct=made.conduct(dropout=0.3, side_effects={"drug": 3.0})), benefit=7.0)
    assert true_effects(made.replace(ready, null=True, hazard=1e-3), 0, rng()) == {"primary": 0.0}


def test_estimands_differ_by_those_who_stop(made: Any) -> None:
    analyses = (
        made.analysis(id="policy"), made.analysis(id="hypothetical", estimand="hypothetical"),
        made.analysis("response", id="composite"), made.analysis("response", id="seen", nonresponder=False),
    )  # fmt: skip
    was = made.conduct(nonadherence=0.999999)
    found = true_effects(made.setting(made.design(*analyses, conduct=was), benefit=10.0), 0, rng())
    assert found["hypothetical"] == pytest.approx(-10.0)
    stop = np.linspace(0, 4 * WEEK, 4001)
    remaining = 10.0 * np.minimum(stop / WEEK, 1.0) * np.exp(-(4 * WEEK - stop) / FADES_H)
    assert found["policy"] == pytest.approx(-remaining.mean(), rel=0.02)
    # who leaves is no responder, though the drug made him leave
    leaving = made.conduct(dropout=0.2, side_effects={"drug": 4.0})
    ready = made.setting(made.design(*analyses, conduct=leaving), benefit=0.0, hazard=3e-4)
    found = true_effects(ready, 0, rng())
    assert found["policy"] == 0.0
    assert found["composite"] < -0.1
    assert found["seen"] == pytest.approx(0.0, abs=1e-12)


def test_shares_have_closed_forms(made: Any) -> None:
    analyses = (made.analysis("response", id="response"), made.analysis("remission", id="remission"))
    scale = made.replace(made.scale, remission_max=110.0)
    ready = made.setting(made.design(*analyses), benefit=5.0, weeks=(0, 4), scale=scale)
    pool = made.replace(ready.pool, recorded=np.full(len(ready.pool.recorded), 200.0))
    found = true_effects(made.replace(ready, pool=pool), 0, rng())
    # scores of SD 10 around 100, and around 95 on the drug; response is at 100
    assert found["response"] == pytest.approx(ndtr(0.5) - 0.5, abs=0.006)
    assert found["remission"] == pytest.approx(ndtr(1.5) - ndtr(1.0), abs=0.006)


def test_a_hazard_ratio_of_an_endless_trial(made: Any) -> None:
    scale = made.replace(made.scale, remission_max=90.0)
    hazard = made.analysis("time-to-remission")
    better = true_effects(made.setting(made.design(hazard), benefit=5.0, scale=scale), 0, rng())["primary"]
    assert 0.3 < better < 1.0
    nobody = made.replace(made.scale, remission_max=0.0)
    assert np.isnan(true_effects(made.setting(made.design(hazard), scale=nobody), 0, rng())["primary"])


def test_effects_by_marker(made: Any) -> None:
    analyses = (
        made.analysis(id="positive", part="positive"), made.analysis(id="negative", part="negative"),
        made.analysis("interaction", id="interaction"), made.analysis("marker-slope", id="slope"),
    )  # fmt: skip
    design = made.design(*analyses, kind="stratified", marker=made.marker)
    sharp = true_effects(made.setting(design, benefit=1.0, by_marker=6.0, noise=0.0), 0, rng())
    assert sharp["positive"] == pytest.approx(-7.0)
    assert sharp["negative"] == pytest.approx(-1.0)
    assert sharp["interaction"] == pytest.approx(-6.0)
    # least squares of a step on a normal score: density at the step, in units of a doubling
    density = np.exp(-(np.log(1.5) ** 2) / 2) / np.sqrt(2 * np.pi)
    assert sharp["slope"] == pytest.approx(-6.0 * density * np.log(2), rel=0.06)
    blurred = true_effects(made.setting(design, benefit=1.0, by_marker=6.0, noise=0.8), 0, rng())
    assert -5.0 < blurred["interaction"] < -2.0


def test_a_crossover_aims_at_its_first_period(made: Any) -> None:
    design = made.design(
        made.analysis("crossover", time_h=2 * WEEK), kind="crossover", crossover=Crossover(2 * WEEK, WEEK),
        allocation={"drug-placebo": 0.5, "placebo-drug": 0.5},
    )  # fmt: skip
    assert true_effects(made.setting(design, benefit=5.0, weeks=(0, 1, 2, 3, 5)), 0, rng()) == {
        "primary": pytest.approx(-5.0)
    }


def test_matching_is_compared_with_mismatching(made: Any) -> None:
    design = made.design(
        made.analysis(arm="matched", versus="mismatched"), kind="match", marker=made.marker,
        match=("drug", "placebo"), allocation={"matched": 0.5, "mismatched": 0.5},
    )  # fmt: skip
    # the drug helps the positive by 6 and nobody else: matched patients gain 6 times their share
    ready = made.setting(design, by_marker=6.0, noise=0.0)
    share = 1 - ndtr(np.log(1.5))
    assert true_effects(ready, 0, rng())["primary"] == pytest.approx(-6.0 * share, abs=0.06)


def test_the_curve_follows_the_marker(made: Any) -> None:
    design = made.design(kind="enrichment", marker=made.marker)
    ready = made.setting(design, benefit=1.0, by_marker=6.0, noise=0.0)
    edges = np.array([-np.inf, 1.0, 3.0, 6.0, np.inf])
    effect, count = marker_curve(ready, 0, rng(), edges)
    np.testing.assert_allclose(effect, [-1.0, -1.0, -7.0, -7.0], atol=1e-9)
    assert count.sum() == 16_000
    few, _ = marker_curve(ready, 0, rng(), np.array([-np.inf, 1e-3, np.inf]))
    assert np.isnan(few[0])
    # all candidates are looked at, not the marker-positive alone
    assert (marker_values(ready, rng()) < 3.0).mean() > 0.5


def test_under_control_nobody_stops(made: Any) -> None:
    ready = made.setting(made.design(conduct=made.conduct(dropout=0.5)), benefit=9.0, hazard=1e-2)
    people, baseline, outcome = control_outcome(ready, 0, rng(), n=3000)
    assert np.isfinite(outcome).all()
    assert outcome.mean() == pytest.approx(100.0, abs=1.0)
    np.testing.assert_array_equal(baseline, people.score)


def test_the_typical_world_is_the_one_of_the_median_effect(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from crosstalk.trial import truth

    many = made.setting(made.design(), worlds=7, spread_of_worlds=3.0, people=400)
    monkeypatch.setattr(truth, "setting_of", lambda *_: many)
    effects = [true_effects(many, w, np.random.default_rng(w))[many.design.primary.id] for w in range(7)]
    found = typical_world(many.study, many.pool, load_knowledge(), 1)
    assert abs(effects[found] - np.median(effects)) < 0.3
    assert np.ptp(effects) > 2
