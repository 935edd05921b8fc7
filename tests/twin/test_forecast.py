"""The forecast: reproducible, paired, probabilities that fit together, and modest where nothing differs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from crosstalk.engine import get_engine
from crosstalk.errors import TwinError, UsageError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Panel
from crosstalk.twin.courses import Courses, _verdict, conclude, forecast_regimens, simulate_regimens
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.records import Forecast, Interval, RegimenForecast
from crosstalk.twin.summary import interval, knowledge_interval, log_fold_interval
from crosstalk.twin.twin import forecast

Array = NDArray[np.float64]
MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]

pytestmark = pytest.mark.usefixtures("small_population")

REGIMENS = ("ssri-infliximab", "ketamine", "placebo")
WEEKS = 8


@pytest.fixture(scope="module")
def panel(panel_of: MakePanel) -> Panel:
    return panel_of({"hsCRP": 6.0, "IL-6": 3.0}, BMI=31.0, age=40.0, sex=1.0, HAMD17=24.0)


@pytest.fixture(scope="module")
def found(panel: Panel) -> Forecast:
    return forecast(panel, regimens=REGIMENS, draws=40, weeks=WEEKS)


@pytest.fixture(scope="module")
def posterior(twin_of: Infer, panel: Panel) -> Posterior:
    return twin_of(panel, draws=60)


def text(result: Forecast) -> str:
    return json.dumps(dataclasses.asdict(result), allow_nan=False)


def test_same_seed_same_bytes(panel: Panel, found: Forecast) -> None:
    assert text(forecast(panel, regimens=REGIMENS, draws=40, weeks=WEEKS)) == text(found)


def test_another_seed_gives_another_sample(panel: Panel, found: Forecast) -> None:
    other = forecast(panel, regimens=REGIMENS, draws=40, weeks=WEEKS, seed=2)
    assert text(other) != text(found)
    for a, b in zip(found.regimens, other.regimens, strict=True):
        assert a.change.mean == pytest.approx(b.change.mean, abs=6), a.id


def test_jobs_do_not_matter(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the virtual population, which each computes for itself."""
    results = []
    for jobs in (1, 3):
        monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path / str(jobs)))
        engine = get_engine(jobs=jobs)
        results.append(text(forecast(panel, regimens=["placebo"], draws=100, weeks=2, engine=engine)))
        engine.close()
    assert results[0] == results[1]


def test_both_engines_give_the_same_courses_under_every_regimen(posterior: Posterior) -> None:
    """At the tolerance of forecasts; a virtual patient that one engine loses would shift every figure."""
    knowledge = load_knowledge()
    regimens = tuple(knowledge.regimens.values())
    fast = simulate_regimens(posterior, regimens, knowledge, get_engine(), weeks=WEEKS)
    engine = get_engine("reference")
    reference = simulate_regimens(posterior, regimens, knowledge, engine, weeks=WEEKS)
    engine.close()
    assert not any(fast.failed.values())
    assert not any(reference.failed.values())
    for regimen in regimens:
        # points of HAMD-17: CVODE is some tenths of a point off at this tolerance, a rater more than one
        np.testing.assert_allclose(fast.scale[regimen.id], reference.scale[regimen.id], atol=0.4, err_msg=regimen.id)


def test_the_reference_is_added_and_its_difference_to_itself_is_zero(found: Forecast) -> None:
    knowledge = load_knowledge()
    reference = next(r.id for r in knowledge.regimens.values() if r.reference)
    assert found.reference == reference
    assert [r.id for r in found.regimens] == [i for i in knowledge.regimens if i in (*REGIMENS, reference)]
    own = next(r for r in found.regimens if r.id == reference)
    assert own.versus_reference == Interval(0.0, 0.0, 0.0)
    assert own.verdict == "reference"
    assert all(r.versus_reference.lo90 < r.versus_reference.hi90 for r in found.regimens if r.id != reference)


def test_chances_to_be_the_best_sum_to_one(found: Forecast) -> None:
    assert sum(r.p_best for r in found.regimens) == pytest.approx(1)
    assert all(0 <= r.p_best <= 1 for r in found.regimens)


def test_probabilities_lie_in_their_intervals(found: Forecast) -> None:
    for r in found.regimens:
        for p in (r.response, r.remission):
            assert p.week == WEEKS
            assert 0 <= p.lo90 <= p.mean <= p.hi90 <= 1, r.id


def test_response_is_no_rarer_than_remission_from_a_high_baseline(found: Forecast) -> None:
    """Half of 24 is 12, above the limit of remission: who remits has responded."""
    for r in found.regimens:
        assert r.response.mean >= r.remission.mean, r.id


def test_remission_is_no_rarer_than_response_from_a_low_baseline(panel_of: MakePanel) -> None:
    """Half of 10 is 5, below the limit of remission."""
    mild = forecast(panel_of(hsCRP=1.0, HAMD17=10.0), regimens=["placebo"], draws=30, weeks=4)
    for r in mild.regimens:
        assert r.remission.mean >= r.response.mean, r.id


def test_trajectories_start_at_the_recorded_score_and_end_in_the_change(found: Forecast) -> None:
    assert found.baseline == Interval(24.0, 24.0, 24.0)
    for r in found.regimens:
        scale, nv, mood = r.trajectory
        assert (scale.variable, nv.variable, mood.variable) == ("HAMD17", "NV", "MOOD")
        assert scale.week == tuple(range(WEEKS + 1))
        assert (scale.mean[0], scale.lo90[0], scale.hi90[0]) == (24.0, 24.0, 24.0)
        assert scale.mean[-1] - scale.mean[0] == pytest.approx(r.change.mean)
        assert r.change.lo90 <= r.change.mean <= r.change.hi90
        assert (r.change.scale, r.change.week) == ("HAMD17", WEEKS)
        for t in r.trajectory:
            assert len(t.week) == len(t.mean) == len(t.lo90) == len(t.hi90) == WEEKS + 1
            top = 52 if t is scale else 1
            assert all(0 <= low <= high <= top for low, high in zip(t.lo90, t.hi90, strict=True))


def test_treatment_is_better_than_none(found: Forecast) -> None:
    placebo = next(r for r in found.regimens if r.id == "placebo")
    assert placebo.versus_reference.mean > 0
    assert placebo.p_best < 0.2


def test_evidence_and_next_assay_are_shown(found: Forecast) -> None:
    for r in found.regimens:
        assert len(r.rests_on) == len(load_knowledge().regimens[r.id].evidence)
    names = [a.analyte for a in found.next_assay]
    assert names
    assert not {"hsCRP", "IL-6"} & set(names)
    shares = [a.variance_reduction for a in found.next_assay]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= s <= 1 for s in shares)


def test_a_further_regimen_leaves_the_others_as_they_are(panel: Panel, found: Forecast) -> None:
    few = forecast(panel, regimens=["placebo"], draws=40, weeks=WEEKS)
    many = {r.id: r for r in found.regimens}
    for r in few.regimens:
        other = many[r.id]
        assert r.change.mean == pytest.approx(other.change.mean, abs=0.05), r.id
        assert r.versus_reference.mean == pytest.approx(other.versus_reference.mean, abs=1e-3), r.id
        assert r.response.mean == pytest.approx(other.response.mean, abs=1e-3), r.id


def test_without_a_score_a_note_says_so(panel_of: MakePanel) -> None:
    result = forecast(panel_of(hsCRP=3.0), regimens=["placebo"], draws=40, weeks=2)
    assert "The panel holds no symptom score; the baseline HAMD17 is that of the virtual population." in result.notes
    assert result.baseline.lo90 < 22 < result.baseline.hi90


def test_progress_is_told(panel: Panel) -> None:
    said: list[str] = []
    forecast(panel, regimens=["placebo"], draws=20, weeks=1, progress=said.append)
    assert said[0] == "finding virtual patients who explain the panel"
    assert any(s.startswith("regimen 2 of 2") for s in said)


@pytest.mark.parametrize("name", ["aspirin", "placebos", ""])
def test_an_unknown_regimen(panel: Panel, name: str) -> None:
    with pytest.raises(UsageError, match="regimen"):
        forecast(panel, regimens=["ssri", name], draws=20, weeks=1)


@pytest.mark.parametrize(("weeks", "draws"), [(0, 40), (-2, 40), (4, 19), (4, 0)])
def test_a_horizon_or_a_number_of_draws_that_makes_no_sense(panel: Panel, weeks: int, draws: int) -> None:
    with pytest.raises(UsageError, match=f"weeks = {weeks}, draws = {draws}; expected at least 1 week and 20 draws"):
        forecast(panel, draws=draws, weeks=weeks)


def made(posterior: Posterior, **final: Array | float) -> Courses:
    """Courses that go straight from the true baseline to a final true score."""
    scale = posterior.scale.id
    start = posterior.patients.outputs[scale]
    n = len(start)
    courses = {
        k.replace("_", "-"): np.stack([start, start / 2 + v / 2, np.zeros(n) + v], axis=1) for k, v in final.items()
    }
    dimensions = {(k, d): np.full((n, 3), 0.4) for k in courses for d in ("NV", "MOOD")}
    return Courses(np.array([0.0, 1.0, 2.0]), courses, dimensions, dict.fromkeys(courses, 0))


def summarise(posterior: Posterior, courses: Courses) -> dict[str, RegimenForecast]:
    regimens = [load_knowledge().regimens[k] for k in courses.scale]
    return {r.id: r for r in forecast_regimens(posterior, courses, regimens, "ssri")}


def spread_after_two_weeks(posterior: Posterior) -> Array:
    fluctuation = posterior.patients.covariates["fluctuation"] * posterior.scale.maximum
    return np.sqrt(posterior.scale.rater_sd**2 + fluctuation**2 * (1 - np.exp(-2 * 2 / 4)))


def test_probabilities_of_response_and_remission_by_hand(posterior: Posterior) -> None:
    """The chance that a rater records a score of at most the limit, averaged over the draws.

    A score lies about the expected course by the rater's error and the patient's own fluctuation: an Ornstein-Uhlenbeck
    process that has come within two weeks to 63 % of its variance.
    """
    rng = np.random.default_rng(1)
    final = rng.uniform(2, 25, len(posterior.patients))
    result = summarise(posterior, made(posterior, ssri=final))["ssri"]
    sd = spread_after_two_weeks(posterior)
    assert result.response.mean == pytest.approx(norm.cdf((12.5 - final) / sd).mean())
    assert result.remission.mean == pytest.approx(norm.cdf((7.5 - final) / sd).mean())


def test_differences_are_paired_in_virtual_patients(posterior: Posterior) -> None:
    """A constant gain is a constant, however much patients differ."""
    final = np.random.default_rng(2).uniform(5, 25, len(posterior.patients))
    result = summarise(posterior, made(posterior, ssri=final, ketamine=final - 3))
    versus = result["ketamine"].versus_reference
    assert (versus.mean, versus.lo90, versus.hi90) == pytest.approx((-3, -3, -3))
    assert result["ketamine"].p_best == 1
    assert result["ketamine"].verdict == "estimated better"


def test_equal_regimens_share_the_chance_to_be_the_best(posterior: Posterior) -> None:
    final = np.random.default_rng(3).uniform(5, 25, len(posterior.patients))
    result = summarise(posterior, made(posterior, ssri=final, ketamine=final, placebo=final + 1))
    assert [result[k].p_best for k in ("ssri", "ketamine", "placebo")] == pytest.approx([0.5, 0.5, 0])
    assert result["ketamine"].verdict == "no evidence of a difference"


def test_who_fails_under_one_regimen_is_left_out_of_all(posterior: Posterior) -> None:
    final = np.random.default_rng(4).uniform(5, 25, len(posterior.patients))
    whole = made(posterior, ssri=final, placebo=final + 1)
    broken = whole.scale["placebo"].copy()
    broken[::2, -1] = np.nan
    courses = dataclasses.replace(
        whole, scale={**whole.scale, "placebo": broken}, failed={"ssri": 0, "placebo": len(broken[::2])}
    )
    assert courses.complete.tolist() == [bool(i % 2) for i in range(len(final))]
    result = summarise(posterior, courses)
    assert result["placebo"].failed_patients == len(broken[::2])
    sd = spread_after_two_weeks(posterior)[1::2]
    assert result["ssri"].response.mean == pytest.approx(norm.cdf((12.5 - final[1::2]) / sd).mean())
    assert np.isfinite(result["placebo"].versus_reference.mean)


def test_nobody_runs_to_the_end(posterior: Posterior) -> None:
    """Draws that cannot be simulated give an error that counts the failures by regimen."""
    patients = posterior.patients
    spoilt = {**patients.parameters, "stress": np.full(len(patients), np.nan)}
    broken = dataclasses.replace(posterior, patients=dataclasses.replace(patients, parameters=spoilt))
    knowledge = load_knowledge()
    with pytest.raises(TwinError, match=r"no virtual patient runs to week 1 of every regimen; failures.*'placebo'"):
        simulate_regimens(broken, [knowledge.regimens["placebo"]], knowledge, get_engine(), weeks=1)


@pytest.mark.parametrize(
    ("versus", "verdict"),
    [
        (Interval(-3.0, -5.0, -1.0), "estimated better"),
        (Interval(3.0, 1.0, 5.0), "estimated worse"),
        (Interval(-3.0, -7.0, 0.5), "no evidence of a difference"),
        (Interval(-0.5, -0.9, -0.1), "too small a difference to matter"),
        (Interval(0.0, 0.0, 0.0), "no evidence of a difference"),
    ],
)
def test_verdicts(versus: Interval, verdict: str) -> None:
    scale = load_knowledge().scales["HAMD17"]
    assert _verdict(versus, False, scale) == verdict
    assert _verdict(versus, True, scale) == "reference"


def test_the_conclusion_claims_nothing_without_a_difference(posterior: Posterior) -> None:
    final = np.random.default_rng(5).uniform(5, 25, len(posterior.patients))
    noise = np.random.default_rng(6).normal(0, 3, len(final))
    result = summarise(posterior, made(posterior, ssri=final, ketamine=final + noise))
    words = conclude(list(result.values()), result["ssri"], posterior.scale)
    assert words.startswith("No evidence of a difference")
    assert "at week 2" in words


def test_the_conclusion_names_the_largest_advantage(posterior: Posterior) -> None:
    final = np.random.default_rng(5).uniform(10, 25, len(posterior.patients))
    result = summarise(posterior, made(posterior, ssri=final, ketamine=final - 2, bupropion=final - 4))
    words = conclude(list(result.values()), result["ssri"], posterior.scale)
    assert words.startswith(f"Largest estimated advantage over {result['ssri'].name} at week 2:")
    assert f"{result['bupropion'].name}, -4.0 HAMD17 points" in words
    assert "is the best in 100% of the virtual patients" in words


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_interval_leaves_out_what_is_not_finite(values: list[float]) -> None:
    found = interval(np.array([*values, np.nan, np.inf]))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert min(values) <= found.lo90 <= found.hi90 <= max(values)


def test_intervals_of_nothing_are_missing() -> None:
    for summary in (interval, log_fold_interval):
        assert np.isnan(summary(np.array([np.nan])).mean)
    assert np.isnan(knowledge_interval(np.array([np.nan]), np.array([0])).mean)


def test_fold_interval_is_geometric() -> None:
    assert log_fold_interval(np.array([0.25, 4.0, 0.0, -1.0])).mean == pytest.approx(1)


def test_knowledge_interval_holds_the_spread_of_worlds_only() -> None:
    """Patients who differ within worlds that are alike give a narrow interval; worlds that differ a wide one."""
    rng = np.random.default_rng(7)
    world = np.arange(2000) % 20
    alike = rng.uniform(0, 1, 2000)
    own = rng.uniform(0.2, 0.8, 20)
    narrow, wide = knowledge_interval(alike, world), knowledge_interval(own[world] + rng.normal(0, 0.05, 2000), world)
    assert narrow.hi90 - narrow.lo90 < 0.12
    assert (wide.lo90, wide.hi90) == pytest.approx(tuple(np.quantile(own, [0.05, 0.95])), abs=0.12)
    assert narrow.lo90 <= narrow.mean <= narrow.hi90


@pytest.mark.parametrize("p", [0.0, 1.0, 0.3])
def test_knowledge_interval_of_certainty_or_a_single_world_is_a_point(p: float) -> None:
    for world in (np.arange(10) % 3, np.zeros(10, dtype=np.intp)):
        point = knowledge_interval(np.full(10, p), world)
        assert (point.mean, point.lo90, point.hi90) == pytest.approx((p, p, p))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=60))
def test_knowledge_interval_stays_a_probability(pairs: list[tuple[float, int]]) -> None:
    p, world = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    found = knowledge_interval(p, world)
    assert -1e-12 <= found.lo90 <= found.hi90 <= 1 + 1e-12
