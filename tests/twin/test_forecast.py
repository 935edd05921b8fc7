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
from crosstalk.statistics.weighted import quantiles
from crosstalk.twin.courses import forecast_regimens
from crosstalk.twin.estimate import Estimator
from crosstalk.twin.library import Twins, course_library
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.records import Forecast, Interval, RegimenForecast
from crosstalk.twin.sentences import conclude
from crosstalk.twin.sentences import verdict as verdict_of
from crosstalk.twin.sequential import Scores
from crosstalk.twin.summary import interval, log_fold_interval
from crosstalk.twin.twin import forecast

Array = NDArray[np.float64]
MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]

pytestmark = pytest.mark.usefixtures("small_population")

REGIMENS = ("ssri-infliximab", "ketamine", "placebo")
WEEKS = 8
SMALL = 1500


@pytest.fixture(scope="module")
def panel(panel_of: MakePanel) -> Panel:
    return panel_of({"hsCRP": 6.0, "IL-6": 3.0}, BMI=31.0, age=40.0, sex=1.0, HAMD17=24.0)


@pytest.fixture(scope="module")
def found(panel: Panel) -> Forecast:
    return forecast(panel, regimens=REGIMENS, weeks=WEEKS)


@pytest.fixture(scope="module")
def twins(twin_of: Infer, panel: Panel) -> Twins:
    """Courses of two regimens; tests replace them by their own."""
    knowledge = load_knowledge()
    posterior = twin_of(panel)
    regimens = [knowledge.regimen("ssri")]
    library = course_library(posterior.population, knowledge, get_engine(), regimens, weeks=2)
    return library.twins(posterior.log_weight, posterior.fit, posterior.scale, posterior.recorded)


def text(result: Forecast) -> str:
    return json.dumps(dataclasses.asdict(result), allow_nan=False)


def test_same_seed_same_bytes(panel: Panel, found: Forecast) -> None:
    assert text(forecast(panel, regimens=REGIMENS, weeks=WEEKS)) == text(found)


def test_another_seed_gives_another_sample(panel: Panel, found: Forecast) -> None:
    other = forecast(panel, regimens=REGIMENS, weeks=WEEKS, seed=2)
    assert text(other) != text(found)
    for a, b in zip(found.regimens, other.regimens, strict=True):
        assert a.change.mean == pytest.approx(b.change.mean, abs=4 * np.hypot(a.change.error, b.change.error)), a.id
        assert a.response.mean == pytest.approx(b.response.mean, abs=4 * np.hypot(a.response.error, b.response.error))


def test_jobs_do_not_matter(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the virtual population, which each computes for itself."""
    results = []
    for jobs in (1, 3):
        monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path / str(jobs)))
        engine = get_engine(jobs=jobs)
        results.append(text(forecast(panel, regimens=["placebo"], weeks=2, engine=engine)))
        engine.close()
    assert results[0] == results[1]


def test_both_engines_give_the_same_courses(twin_of: Infer, panel: Panel) -> None:
    """At the tolerance of forecasts; a virtual patient that one engine loses would shift every figure."""
    knowledge = load_knowledge()
    population = twin_of(panel).population.take(np.arange(40))
    regimens = [knowledge.regimen(r) for r in ("ssri-infliximab", "ketamine", "placebo")]
    fast = course_library(population, knowledge, get_engine(), regimens, weeks=WEEKS)
    engine = get_engine("reference")
    reference = course_library(population, knowledge, engine, regimens, weeks=WEEKS)
    engine.close()
    for regimen in regimens:
        for name in ("NV", "MOOD"):
            # CVODE is some tenths of a point off at this tolerance, a rater more than one
            np.testing.assert_allclose(
                fast.courses[regimen.id][name], reference.courses[regimen.id][name], atol=0.01, err_msg=regimen.id
            )


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
    mild = forecast(panel_of(hsCRP=1.0, HAMD17=10.0), regimens=["placebo"], weeks=4)
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
    few = forecast(panel, regimens=["placebo"], weeks=WEEKS)
    many = {r.id: r for r in found.regimens}
    for r in few.regimens:
        other = many[r.id]
        assert r.change.mean == pytest.approx(other.change.mean, abs=0.05), r.id
        assert r.versus_reference.mean == pytest.approx(other.versus_reference.mean, abs=1e-3), r.id
        assert r.response.mean == pytest.approx(other.response.mean, abs=1e-3), r.id


def test_courses_of_other_weeks_or_doses_are_kept_apart(
    twin_of: Infer, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    knowledge = load_knowledge()
    some = twin_of(panel).population.take(np.arange(16))
    monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path / "cache"))
    regimen = knowledge.regimen("ssri")
    # as of an earlier treatment: the same id, other doses
    variants = [(regimen, 1), (regimen, 2), (dataclasses.replace(regimen, doses=()), 1)]
    said: list[str] = []
    first = [
        course_library(some, knowledge, get_engine(), [r], weeks=w, progress=said.append).courses["ssri"]["NV"]
        for r, w in variants
    ]
    assert [c.shape[1] for c in first] == [2, 3, 2]
    assert not np.array_equal(first[0], first[2])
    computed = len(said)
    for (r, w), before in zip(variants, first, strict=True):
        again = course_library(some, knowledge, get_engine(), [r], weeks=w, progress=said.append)
        np.testing.assert_array_equal(again.courses["ssri"]["NV"], before)
    assert len(said) == computed
    assert "computed again" not in caplog.text


def test_without_a_score_a_note_says_so(panel_of: MakePanel) -> None:
    result = forecast(panel_of(hsCRP=3.0), regimens=["placebo"], weeks=2)
    assert "The panel holds no symptom score; the baseline HAMD17 is that of the virtual population." in result.notes
    assert result.baseline.lo90 < 22 < result.baseline.hi90


def test_progress_is_told(panel: Panel) -> None:
    said: list[str] = []
    forecast(panel, regimens=["placebo"], weeks=1, progress=said.append)
    assert said[0] == "finding virtual patients who explain the panel"


@pytest.mark.parametrize("name", ["aspirin", "placebos", ""])
def test_an_unknown_regimen(panel: Panel, name: str) -> None:
    with pytest.raises(UsageError, match="regimen"):
        forecast(panel, regimens=["ssri", name], weeks=1)


@pytest.mark.parametrize(("weeks", "n", "words"), [(0, 40, "weeks = 0"), (4, 19, "virtual_patients = 19")])
def test_a_horizon_or_a_number_that_makes_no_sense(panel: Panel, weeks: int, n: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        forecast(panel, virtual_patients=n, weeks=weeks)


def test_the_monte_carlo_error_is_told_in_a_line_and_in_the_record(found: Forecast) -> None:
    chance = found.monte_carlo
    assert chance.response == max(r.response.error for r in found.regimens) > 0
    assert chance.change == max(r.change.error for r in found.regimens) > 0
    assert chance.width == max(r.response.width_error for r in found.regimens) > 0
    assert 5 <= chance.effective_sample < SMALL
    (line,) = (n for n in found.notes if n.startswith("Monte-Carlo error"))
    assert f"at most {100 * chance.response:.1f} percentage points of response" in line
    # of so few there is a warning
    assert any("Ask for more with --virtual-patients" in n for n in found.notes)


def test_too_few_alike_are_refused(panel_of: MakePanel) -> None:
    with pytest.raises(TwinError, match=r"patient A: .* fewer than 5"):
        forecast(panel_of({"hsCRP": 6.0, "IL-6": 3.0}, BMI=31.0, HAMD17=24.0), virtual_patients=60, weeks=1)


@pytest.mark.parametrize("score", [0.0, 3.0, 41.0, 52.0])
def test_a_score_beyond_the_library_is_refused(panel_of: MakePanel, score: float) -> None:
    with pytest.raises(TwinError, match=rf"patient A: a HAMD17 of {score:g} cannot be reached .* who have 5 to 39"):
        forecast(panel_of(hsCRP=3.0, HAMD17=score), regimens=["placebo"], weeks=2)


@pytest.mark.slow
def test_seeds_give_the_same_forecast(panel_of: MakePanel) -> None:
    """Of the size in use: 2 percentage points of response, a factor of 1.5 of widths, 0.3 points of change."""
    panel = panel_of(hsCRP=6.2, HAMD17=24.0)
    found = [forecast(panel, regimens=["placebo"], seed=s, virtual_patients=20_000) for s in range(1, 5)]
    for own in zip(*(f.regimens for f in found), strict=True):
        assert np.std([r.response.mean for r in own], ddof=1) < 0.02
        assert np.ptp([r.change.mean for r in own]) < 0.3
        widths = [r.response.hi90 - r.response.lo90 for r in own]
        assert max(widths) < 1.5 * min(widths)


def test_fewer_virtual_patients_differ_between_seeds_as_they_say(panel_of: MakePanel) -> None:
    """The stated error is the SD over seeds."""
    panel = panel_of(hsCRP=6.2, HAMD17=24.0)
    found = [
        forecast(panel, regimens=["placebo"], weeks=4, seed=s, virtual_patients=1000).regimens for s in range(1, 7)
    ]
    for own in zip(*found, strict=True):
        stated = np.mean([r.change.error for r in own])
        # 6 seeds: an SD is within a factor of 2.2 of its expectation in 98 % of cases
        assert stated / 3.2 < np.std([r.change.mean for r in own], ddof=1) < 2.2 * stated


def made(twins: Twins, **final: Array | float) -> Twins:
    """Courses that go straight from the true baseline to a final true score, as rows of one dimension."""
    start = twins.course("ssri")[:, 0]
    total = sum(twins.scale.weights)
    courses = {}
    for name, end in final.items():
        last = np.zeros(len(start)) + end
        # both dimensions alike: the anchor's score is their value times the sum of its weights
        value = np.stack([start, start / 2 + last / 2, last], axis=1) / total
        courses[name.replace("_", "-")] = {"NV": value, "MOOD": value}
    return dataclasses.replace(twins, dimensions=courses, failed=dict.fromkeys(courses, 0))


def summarise(twins: Twins) -> dict[str, RegimenForecast]:
    regimens = [load_knowledge().regimens[k] for k in twins.dimensions]
    found = forecast_regimens(twins, plain(twins), regimens, "ssri", Scores(twins.scale, {}), "ssri")
    return {r.id: r for r in found}


def plain(twins: Twins) -> Estimator:
    """Equal weights and no regression, so that means can be had by hand."""
    return Estimator(np.ones(len(twins)), twins.patients.world)


def spread_after_two_weeks(twins: Twins) -> Array:
    fluctuation = twins.patients.covariates["fluctuation"] * twins.scale.maximum
    return np.sqrt(twins.scale.rater_sd**2 + fluctuation**2 * (1 - np.exp(-2 * 2 / 4)))


def test_probabilities_of_response_and_remission_by_hand(twins: Twins) -> None:
    """The chance that a rater records a score of at most the limit, averaged over the draws.

    A score lies about the expected course by the rater's error and the patient's own fluctuation: an Ornstein-Uhlenbeck
    process that has come within two weeks to 63 % of its variance.
    """
    rng = np.random.default_rng(1)
    final = rng.uniform(2, 25, len(twins))
    result = summarise(made(twins, ssri=final))["ssri"]
    sd = spread_after_two_weeks(twins)
    assert result.response.mean == pytest.approx(norm.cdf((12.5 - final) / sd).mean())
    assert result.remission.mean == pytest.approx(norm.cdf((7.5 - final) / sd).mean())


def test_differences_are_paired_in_virtual_patients(twins: Twins) -> None:
    """A constant gain is a constant, however much patients differ."""
    final = np.random.default_rng(2).uniform(5, 25, len(twins))
    result = summarise(made(twins, ssri=final, ketamine=final - 3))
    versus = result["ketamine"].versus_reference
    assert (versus.mean, versus.lo90, versus.hi90) == pytest.approx((-3, -3, -3))
    assert result["ketamine"].p_best == pytest.approx(1)
    assert result["ketamine"].verdict == "estimated better"


def test_equal_regimens_share_the_chance_to_be_the_best(twins: Twins) -> None:
    final = np.random.default_rng(3).uniform(5, 25, len(twins))
    result = summarise(made(twins, ssri=final, ketamine=final, placebo=final + 1))
    assert [result[k].p_best for k in ("ssri", "ketamine", "placebo")] == pytest.approx([0.5, 0.5, 0])
    assert result["ketamine"].verdict == "too small a difference to matter"


def test_who_fails_under_one_regimen_is_left_out_of_all(twin_of: Infer, panel: Panel) -> None:
    knowledge, posterior = load_knowledge(), twin_of(panel)
    regimens = [knowledge.regimen(r) for r in ("ssri", "placebo")]
    library = course_library(posterior.population, knowledge, get_engine(), regimens, weeks=2)
    broken = {k: v.copy() for k, v in library.courses["placebo"].items()}
    broken["NV"][::2, -1] = np.nan
    half = dataclasses.replace(library, courses={**library.courses, "placebo": broken})
    given = (posterior.log_weight, posterior.fit, posterior.scale, posterior.recorded)
    whole, part = library.twins(*given), half.twins(*given)
    assert 0 < len(part) < len(whole)
    assert part.failed["placebo"] - whole.failed["placebo"] == len(whole) - len(part)
    assert set(part.patients.index) < set(whole.patients.index)
    assert np.isfinite(part.course("ssri")).all()
    nobody = {k: np.full_like(v, np.nan) for k, v in broken.items()}
    with pytest.raises(TwinError, match=r"none of the virtual patients who resemble .*'placebo': \d+"):
        dataclasses.replace(library, courses={"placebo": nobody}).twins(*given)


@pytest.mark.parametrize(
    ("versus", "verdict"),
    [
        (Interval(-3.0, -5.0, -1.1), "estimated better"),
        (Interval(3.0, 1.1, 5.0), "estimated worse"),
        (Interval(-3.0, -7.0, 0.5), "no evidence of a difference"),
        (Interval(-0.5, -0.9, -0.1), "too small a difference to matter"),
        (Interval(0.0, 0.0, 0.0), "too small a difference to matter"),
        (Interval(-1.5, -3.0, -0.5), "not worse; how much better is open"),
        (Interval(1.5, 0.5, 3.0), "not better; how much worse is open"),
    ],
)
def test_verdicts(versus: Interval, verdict: str) -> None:
    scale = load_knowledge().scales["HAMD17"]
    assert verdict_of(versus, scale) == verdict
    assert verdict_of(versus, scale, reference=True) == "reference"


def test_the_conclusion_claims_nothing_without_a_difference(twins: Twins) -> None:
    final = np.random.default_rng(5).uniform(5, 25, len(twins))
    noise = np.random.default_rng(6).normal(0, 3, len(final))
    result = summarise(made(twins, ssri=final, ketamine=final + noise))
    words = conclude(list(result.values()), result["ssri"], twins.scale)
    assert words.startswith("No evidence that anything is better")
    assert "at week 2" in words


def test_the_conclusion_names_the_largest_advantage(twins: Twins) -> None:
    final = np.random.default_rng(5).uniform(10, 25, len(twins))
    result = summarise(made(twins, ssri=final, ketamine=final - 2, bupropion=final - 4))
    words = conclude(list(result.values()), result["ssri"], twins.scale)
    assert words.startswith(f"Largest estimated advantage over {result['ssri'].name} at week 2:")
    assert f"{result['bupropion'].name}, -4.0 HAMD17 points" in words
    assert words.endswith(f"Estimated better too: {result['ketamine'].name}.")


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_interval_leaves_out_what_is_not_finite(values: list[float]) -> None:
    found = interval(np.array([*values, np.nan, np.inf]))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert min(values) <= found.lo90 <= found.hi90 <= max(values)


def test_intervals_of_nothing_are_missing() -> None:
    for summary in (interval, log_fold_interval):
        assert np.isnan(summary(np.array([np.nan])).mean)


def test_fold_interval_is_geometric() -> None:
    assert log_fold_interval(np.array([0.25, 4.0, 0.0, -1.0])).mean == pytest.approx(1)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_quantiles_of_equal_weights_are_those_of_numpy(values: list[float]) -> None:
    x = np.array(values)[:, None]
    found = quantiles(x, np.full(len(x), 1 / len(x)), (0.05, 0.5, 0.95))
    assert found[:, 0] == pytest.approx(np.quantile(x, [0.05, 0.5, 0.95]), abs=1e-9)
