"""The twin after the first weeks: the arithmetic by hand, intervals that cover, and refusals with their reason."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from typer.testing import CliRunner

from crosstalk.cli import app
from crosstalk.engine import get_engine
from crosstalk.errors import TwinError, UsageError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Panel
from crosstalk.population.cache import virtual_population
from crosstalk.population.measure import visit_scores
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.library import CourseLibrary, course_library, scale_score
from crosstalk.twin.posterior import twin_outputs
from crosstalk.twin.records import Forecast
from crosstalk.twin.sequential import EarlyScore, Scores, early_scores, last_score, recorded_mean
from crosstalk.twin.twin import forecast

Array = NDArray[np.float64]
MakePanel = Callable[..., Panel]

WEEKS = 8


REFERENCE = "ssri"


@pytest.fixture(scope="module")
def library() -> Iterator[CourseLibrary]:
    knowledge = load_knowledge()
    engine = get_engine(jobs=1)
    outputs = twin_outputs(knowledge)
    everyone = virtual_population(knowledge, engine, diagnosis="mdd", n=1000, worlds=20, seed=5, outputs=outputs)
    population = everyone.take(np.flatnonzero(everyone.ok))
    yield course_library(population, knowledge, engine, [knowledge.regimen(REFERENCE)], weeks=WEEKS)
    engine.close()


# Reading and checking


@pytest.mark.parametrize("text", ["week 2: HAMD17=17", "Week 2:HAMD17 = 17", " week  2 : HAMD17=17.0 "])
def test_a_score_is_read(text: str) -> None:
    assert EarlyScore.read(text) == EarlyScore(2, "HAMD17", 17.0)


@pytest.mark.parametrize("text", ["HAMD17=17", "week 2 HAMD17=17", "week 2: 17", "2: HAMD17=17", "", "week 2: HAMD17="])
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="week 2: HAMD17=17"):
        EarlyScore.read(text)


def test_a_week_that_is_not_whole_or_a_word_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a whole week"):
        EarlyScore.read("week 1.5: HAMD17=17")
    with pytest.raises(UsageError, match="expected numbers"):
        EarlyScore.read("week two: HAMD17=17")


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (EarlyScore(2, "HAMMER", 17), "unknown scale 'HAMMER'"),
        (EarlyScore(2, "hsCRP", 17), "unknown scale 'hsCRP'"),
        (EarlyScore(2, "MADRS", 17), "another scale than the forecast, which is in HAMD17"),
        (EarlyScore(8, "HAMD17", 17), "at or beyond the horizon of 8 weeks"),
        (EarlyScore(12, "HAMD17", 17), "at or beyond the horizon of 8 weeks"),
        (EarlyScore(0, "HAMD17", 17), "week 0 belongs in the panel"),
        (EarlyScore(2, "HAMD17", 53), "runs from 0 to 52"),
        (EarlyScore(2, "HAMD17", -1), "runs from 0 to 52"),
        (EarlyScore(1, "HAMD17", 20), "two scores of week 1"),
    ],
)
def test_a_score_that_does_not_fit_is_refused(score: EarlyScore, words: str) -> None:
    knowledge = load_knowledge()
    given = [EarlyScore(1, "HAMD17", 22), score]
    with pytest.raises(UsageError, match=words):
        early_scores(given, knowledge.scales["HAMD17"], knowledge, weeks=8)


def test_scores_come_in_the_order_of_weeks_and_by_alias() -> None:
    knowledge = load_knowledge()
    found = early_scores(
        [EarlyScore(3, "HDRS", 14), EarlyScore(1, "HAM-D", 20)], knowledge.scales["HAMD17"], knowledge, weeks=8
    )
    assert list(found.items()) == [(1, 20.0), (3, 14.0)]


# The joint distribution


def gaussian(spread: float, weeks: list[int], variance: float) -> Array:
    """Covariance of recorded scores, written out: a fluctuation with SD ``spread``, forgotten in four weeks."""
    s, t = np.meshgrid(weeks, weeks, indexing="ij")
    return spread**2 * (np.exp(-np.abs(s - t) / 4) - np.exp(-(s + t) / 4)) + variance * np.eye(len(weeks))


def last(scores: Scores, true: Array, spread: Array) -> tuple[Array, Array]:
    mean, sd = scores.expected(true, spread)
    return mean[:, -1], sd[:, -1]


def test_the_likelihood_is_that_of_the_joint_normal() -> None:
    scale = load_knowledge().scales["HAMD17"]
    rng = np.random.default_rng(1)
    true, spread = 20 + rng.standard_normal((5, 9)), rng.uniform(0, 6, 5)
    scores = Scores(scale, {1: 20.0, 2: 17.0, 5: 12.0})
    variance = scale.rater_sd**2 + 1 / 12
    expected = [
        multivariate_normal(t[[1, 2, 5]], gaussian(s, [1, 2, 5], variance)).logpdf([20, 17, 12])
        for t, s in zip(true, spread, strict=True)
    ]
    assert scores.log_likelihood(true, spread) == pytest.approx(expected)


def test_the_last_score_given_those_seen_is_that_of_the_joint_normal() -> None:
    scale = load_knowledge().scales["HAMD17"]
    true, spread = np.linspace(24, 10, 9)[None, :], np.array([4.5])
    mean, sd = last(Scores(scale, {1: 20.0, 2: 17.0}), true, spread)
    variance = scale.rater_sd**2 + 1 / 12
    joint = gaussian(4.5, [1, 2, 8], variance)
    pull = joint[2, :2] @ np.linalg.inv(joint[:2, :2])
    assert mean[0] == pytest.approx(true[0, 8] + pull @ (np.array([20, 17]) - true[0, [1, 2]]))
    assert sd[0] ** 2 == pytest.approx(joint[2, 2] - 1 / 12 - pull @ joint[:2, 2])
    nothing_seen = last(Scores(scale, {}), true, spread)
    assert nothing_seen[1][0] ** 2 == pytest.approx(joint[2, 2] - 1 / 12)


def test_another_treatment_shares_the_fluctuation_and_not_the_scores() -> None:
    """Who ran above his expected course under one treatment runs as far above it under the other."""
    scale = load_knowledge().scales["HAMD17"]
    on, other, spread = np.full((3, 9), 20.0), np.full((3, 9), 15.0), np.array([0.0, 4.0, 5.0])
    scores = Scores(scale, {2: 28.0})
    (own, own_sd), (switched, sd) = scores.expected(on, spread), scores.expected(other, spread, observed=on)
    assert (own[:, 2] == 28).all()
    assert (own_sd[:, 2] == 0).all()
    assert (sd[:, 2] > 1).all()
    assert (own - switched)[:, 3:] == pytest.approx(np.full((3, 6), 5.0))
    # no fluctuation, no news; more of it, more news
    assert switched[0] == pytest.approx(np.full(9, 15.0))
    assert 15.5 < switched[1, 3] < switched[2, 3]


def test_the_mean_of_a_score_that_the_scale_cuts() -> None:
    """Against a million draws."""
    scale = load_knowledge().scales["HAMD17"]
    draws = np.random.default_rng(1).standard_normal(1_000_000)
    for mean, sd in ((1.0, 3.0), (-2.0, 4.0), (20.0, 5.0), (51.0, 4.0)):
        expected = np.clip(mean + sd * draws, 0, scale.maximum).mean()
        assert recorded_mean(np.array(mean), np.array(sd), scale) == pytest.approx(expected, abs=0.02)
    assert recorded_mean(np.array(17.0), np.array(0.0), scale) == pytest.approx(17)


# Calibration: patients simulated from the model


def covered(library: CourseLibrary, seed: int, n: int) -> tuple[float, float, float]:
    """Coverage of 90 % intervals of the score at week 8 after weeks 1 and 2, and their width with and without."""
    whole, scale = library.courses[REFERENCE], library.scale
    rng = np.random.default_rng(seed)
    chosen = rng.choice(np.flatnonzero(np.isfinite(whole["NV"][:, -1])), n, replace=False)
    true = scale_score(scale, whole["NV"], whole["MOOD"])
    recorded = visit_scores(
        true, scale, seed=1000 + seed, index=np.arange(len(true)),
        times_h=np.arange(WEEKS + 1) * HOURS_PER_WEEK, covariates=library.population.covariates,
    )  # fmt: skip
    inside, after, before = [], [], []
    for i in chosen:
        start = float(np.clip(np.round(true[i, 0] + scale.rater_sd * rng.standard_normal()), 5, 39))
        weight = np.zeros(len(true))
        weight[i] = -np.inf  # nobody stands for himself
        twins = library.twins(weight, Usable((), {}), scale, start)
        told = last_score(twins, REFERENCE, Scores(scale, {1: recorded[i, 1], 2: recorded[i, 2]}))
        untold = last_score(twins, REFERENCE, Scores(scale, {}))
        inside.append(told.low <= recorded[i, WEEKS] <= told.high)
        after.append(told.high - told.low)
        before.append(untold.high - untold.low)
    return float(np.mean(inside)), float(np.mean(after)), float(np.mean(before))


def test_intervals_after_two_weeks_cover_and_are_narrower(library: CourseLibrary) -> None:
    found = covered(library, 1, 400)
    assert 0.85 <= found[0] <= 0.95
    assert found[1] < 0.97 * found[2]


@pytest.mark.slow
def test_intervals_cover_in_many_draws(library: CourseLibrary) -> None:
    """Mean of 10 draws of 400 patients; many scores are exactly zero, so that a little more than 90 % is covered."""
    found = [covered(library, seed, 400)[0] for seed in range(4, 14)]
    assert 0.885 <= np.mean(found) <= 0.93


# The forecast of one patient


@pytest.fixture(scope="module")
def panel(panel_of: MakePanel) -> Panel:
    return panel_of(hsCRP=3.0, HAMD17=24.0)


def run(panel: Panel, *scores: tuple[int, float], on: str | None = None) -> Forecast:
    early = [EarlyScore(week, "HAMD17", score) for week, score in scores]
    return forecast(panel, regimens=["placebo"], scores=early, on=on, weeks=WEEKS)


@pytest.fixture(scope="module")
def good(panel: Panel, small_population: None) -> Forecast:
    return run(panel, (1, 18.0), (2, 13.0))


def test_good_scores_make_a_better_forecast_than_bad_ones(panel: Panel, good: Forecast, small_population: None) -> None:
    bad = run(panel, (1, 25.0), (2, 26.0))
    assert good.update is not None
    assert bad.update is not None
    assert good.update.after.change.mean < good.update.before.change.mean - 1
    assert bad.update.after.change.mean > bad.update.before.change.mean + 1
    assert good.update.after.response.mean > bad.update.after.response.mean + 0.2
    assert good.update.before == bad.update.before
    for a, b in zip(good.regimens, bad.regimens, strict=True):
        assert a.change.mean < b.change.mean, a.id


def test_the_forecast_is_that_of_the_update(good: Forecast) -> None:
    assert good.update is not None
    own = next(r for r in good.regimens if r.id == good.update.on)
    assert own.response.mean == pytest.approx(good.update.after.response.mean)
    assert own.remission.mean == pytest.approx(good.update.after.remission.mean)
    assert own.change.mean == pytest.approx(good.update.after.change.mean)
    course = own.trajectory[0]
    assert (course.mean[1], course.lo90[1], course.hi90[2]) == (18.0, 18.0, 13.0)
    assert course.mean[0] == 24.0
    other = next(r for r in good.regimens if r.id != good.update.on)
    assert other.trajectory[0].lo90[1] < other.trajectory[0].hi90[1]


def test_what_was_seen_is_told_beside_what_was_expected(good: Forecast) -> None:
    told = good.update
    assert told is not None
    assert [(s.week, s.score) for s in told.seen] == [(1.0, 18.0), (2.0, 13.0)]
    assert all(s.expected.lo90 < s.expected.mean < s.expected.hi90 for s in told.seen)
    assert all(0 < s.tail_probability <= 1 for s in told.seen)
    assert 20 <= told.effective_sample < told.candidates
    assert good.notes[0].startswith("Updated with early scores under ")
    assert "a switch is not forecast" in good.notes[0]
    json.dumps(dataclasses.asdict(good), allow_nan=False)


def test_the_regimen_of_the_scores_counts(panel: Panel, good: Forecast, small_population: None) -> None:
    """A fall under placebo says more of the person than one under a drug."""
    under_placebo = run(panel, (1, 18.0), (2, 13.0), on="placebo")
    assert under_placebo.update is not None
    assert under_placebo.update.on == "placebo"
    assert under_placebo.update.before.change.mean > good.update.before.change.mean  # type: ignore[union-attr]


def test_same_seed_same_bytes(panel: Panel, good: Forecast, small_population: None) -> None:
    assert run(panel, (2, 13.0), (1, 18.0)) == good


def test_without_scores_nothing_is_updated(panel: Panel, small_population: None) -> None:
    assert run(panel).update is None


def test_scores_that_nothing_explains_are_refused_with_the_reason(panel: Panel, small_population: None) -> None:
    with pytest.raises(TwinError, match=r"effective sample of .* The most unusual is that of week 1: 52, expected"):
        run(panel, (1, 52.0), (2, 0.0))


def test_the_command_takes_scores_and_refuses_wrong_ones(tmp_path: Path, panel: Panel, small_population: None) -> None:
    file, result = tmp_path / "panel.csv", tmp_path / "forecast.json"
    file.write_text("patient,hsCRP [mg/L],HAMD17\nA,3,24\n", encoding="utf-8")
    common = ["forecast", str(file), "-r", "placebo", "--virtual-patients", "1500", "--weeks", "4", "--quiet"]
    done = CliRunner().invoke(app, [*common, "--scores", "week 1: HAMD17=20", "--json", str(result)])
    assert done.exit_code == 0, done.output
    told = json.loads(result.read_text())["update"]
    assert [s["score"] for s in told["seen"]] == [20]
    for wrong, words in (
        (["--scores", "20"], "expected a week, a scale and a score, as in 'week 2: HAMD17=17'"),
        (["--scores", "week 4: HAMD17=20"], "horizon of 4 weeks"),
        (["--scores", "week 1: HAMD17=20", "--on", "aspirin"], "unknown regimen 'aspirin'"),
    ):
        refused = CliRunner().invoke(app, [*common, *wrong]).exception
        assert isinstance(refused, UsageError)
        assert words in str(refused)


def test_a_regimen_without_scores_is_refused(panel: Panel, small_population: None) -> None:
    with pytest.raises(UsageError, match=r"--on placebo: .*give --scores too"):
        run(panel, on="placebo")
    with pytest.raises(UsageError, match="unknown regimen"):
        run(panel, (1, 20.0), on="aspirin")
