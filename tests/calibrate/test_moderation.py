"""The model's side of the questions: what is computed, its spread without chance, what explains it, the verdict."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from crosstalk.calibrate.files import Counterparts, read_counterparts
from crosstalk.calibrate.moderation import (
    Asked,
    Influence,
    ModelAnswer,
    _answer,
    ask,
    asked_effects,
    asked_questions,
    influences,
    sureness,
)
from crosstalk.engine import get_engine
from crosstalk.errors import PopulationError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.questions import read_questions
from crosstalk.population.worlds import Worlds, prior_worlds

NAMED = (Influence("trial.0", "change of HAMD17", 0.9, 0.6),)
WEAK = (Influence("trial.1", "change of HAMD17", 0.4, 0.2),)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def model(sd: float, sd_high: float | None = None, values: tuple[float, ...] = ()) -> ModelAnswer:
    return ModelAnswer("q", 0.1, sd, sd if sd_high is None else sd_high, 0.0, values)


@pytest.mark.parametrize(
    ("sd", "sd_high", "direct_se", "prior_sd", "named", "verdict"),
    [
        (0.1, 0.1, float("nan"), 0.1, (), "no direct evidence"),
        (0.1, 0.1, 0.2, 0.1, (), "not surer"),
        (0.09, 0.09, 0.2, 0.3, NAMED, "explained"),
        (0.09, 0.09, 0.2, 0.3, (), "surer than the evidence"),
        (0.09, 0.09, 0.2, 0.3, WEAK, "surer than the evidence"),
        (0.09, 0.09, 0.2, 0.09, NAMED, "surer than the evidence"),
        (0.09, 0.11, 0.2, 0.09, (), "unresolved"),
    ],
)
def test_the_verdict_compares_with_half_of_the_direct_error(
    sd: float, sd_high: float, direct_se: float, prior_sd: float, named: tuple[Influence, ...], verdict: str
) -> None:
    assert sureness(model(sd, sd_high), direct_se, prior_sd, named).verdict == verdict


@pytest.mark.parametrize("true_sd", [0.05, 0.3])
def test_the_halves_give_the_spread_without_chance(true_sd: float) -> None:
    rng = np.random.default_rng(3)
    n, noise = 20_000, 0.2
    answers = 0.1 + true_sd * rng.normal(size=n)
    found = _answer("q", np.repeat(answers, 2) + noise * rng.normal(size=2 * n))
    assert found.mean == pytest.approx(0.1, abs=0.01)
    assert found.sd == pytest.approx(true_sd, abs=0.015)
    assert found.chance == pytest.approx(noise / sqrt(2), rel=0.02)
    assert found.sd < found.sd_high < found.sd + 0.03
    assert (found.high - found.low) / 3.92 == pytest.approx(true_sd, abs=0.02)


def test_halves_that_contradict_each_other_leave_a_width() -> None:
    """A negative covariance tells of a small variance, not of certainty."""
    chance = np.random.default_rng(5).normal(size=40)
    found = _answer("q", np.stack([chance, -chance], axis=1).ravel())
    assert 0 < found.sd <= found.sd_high
    assert found.low < found.mean < found.high
    same = _answer("q", np.full(20, 0.3))
    assert same.sd == pytest.approx(0, abs=1e-12)  # to rounding


def test_a_world_without_an_answer_is_left_out_and_none_at_all_is_nan() -> None:
    found = _answer("q", np.array([0.1, 0.1, np.nan, 0.3, 0.2, 0.2, 0.3, 0.3]))
    assert np.isnan(found.values[1])
    assert found.mean == pytest.approx(0.2)
    assert np.isnan(_answer("q", np.full(8, np.nan)).sd)


def test_a_result_that_goes_with_the_answer_is_named_with_its_share() -> None:
    rng = np.random.default_rng(4)
    n, m, error = 240, 60, 0.5
    before = rng.normal(size=(n, m))
    before[::7, 5] = np.nan
    quantity = 0.8 * before[:, 3] + 0.6 * rng.normal(size=n)
    answer = ModelAnswer("q", 0.0, float(quantity.std(ddof=1)), 1.0, 0.0, tuple(quantity.tolist()))
    errors, chance = np.full(m, error), np.full(m, 0.05)
    given = Counterparts(
        tuple(f"s.{j}" for j in range(m)), ("words",) * m, errors, chance, before, Worlds({}, n, "prior")
    )
    (found,) = influences(answer, given, np.arange(n))
    assert found.result == "s.3"
    assert found.correlation == pytest.approx(0.8, abs=0.06)
    # Bayes for two normals: what an observation with this error leaves of the variance
    expected = found.correlation**2 / (1 + (error**2 - 0.05) / before[:, 3].var(ddof=1))
    assert found.share == pytest.approx(expected, rel=1e-6)
    # some of the worlds in another order
    some = rng.permutation(n)[:150]
    part = ModelAnswer("q", 0.0, 1.0, 1.0, 0.0, tuple(quantity[some].tolist()))
    assert [i.result for i in influences(part, given, some)] == ["s.3"]


def test_every_question_has_results_of_regimens_of_its_class(knowledge: Knowledge) -> None:
    questions = read_questions(knowledge)
    asked = {a.id: a for a in asked_questions(questions, knowledge)}
    assert set(asked) == {q.id for q in questions.questions}
    pairs = {(r.endpoint, r.arm, r.versus) for r in asked["serotonergic-catecholaminergic-hsCRP"].results}
    assert pairs == {
        ("interaction-smd", one, two) for one in ("ssri", "sertraline") for two in ("bupropion", "nortriptyline")
    }
    assert {r.versus for r in asked["anti-cytokine-control-hsCRP"].results} == {"ssri"}
    assert {r.arm for r in asked["serotonergic-hsCRP"].results} == {"ssri", "sertraline"}
    assert all(r.marker is not None and r.marker.per == "sd-ln" for r in asked["serotonergic-hsCRP"].results)
    assert all(r.time_h == 2 * 168 for r in asked["glutamatergic-hsCRP"].results)
    drugs = asked_effects(questions, knowledge)
    effects = {a.id: a for a in drugs}
    assert len(drugs) == len(effects)
    assert [(r.arm, r.versus) for r in effects["infliximab"].results] == [("ssri-infliximab", "ssri")]
    assert "interferon-alfa-2b" not in effects


@pytest.mark.parametrize(("patients", "worlds"), [(19, 5), (20, 2)])
def test_too_few_patients_or_worlds_are_refused(knowledge: Knowledge, patients: int, worlds: int) -> None:
    asked = asked_questions(read_questions(knowledge), knowledge)[:1]
    with pytest.raises(UsageError, match="expected at least 20 patients and 3 worlds"):
        ask(asked, prior_worlds(knowledge, 1, worlds), knowledge, get_engine("fast", jobs=1), patients=patients)


def test_the_standard_trial_answers_and_repeats_itself(knowledge: Knowledge) -> None:
    effects = {a.id: a for a in asked_effects(read_questions(knowledge), knowledge)}
    asked = [effects["escitalopram"], Asked("nothing", ())]
    worlds = prior_worlds(knowledge, 1, 4)
    first, second = (ask(asked, worlds, knowledge, get_engine("fast", jobs=1), patients=20, seed=1) for _ in range(2))
    assert first == second
    (answer,) = first
    assert answer.mean < 0
    assert len(answer.values) == 4


def test_counterparts_are_read_with_the_worlds_they_are_of(knowledge: Knowledge, tmp_path: Path) -> None:
    found = read_counterparts(knowledge.root / "posterior.nc")
    n = found.prior.n
    assert found.before.shape == (n, len(found.ids))
    assert len(found.descriptions) == len(found.errors) == len(found.chance) == len(found.ids)
    assert all(len(values) == n for values in found.prior.values.values())
    (tmp_path / "no.nc").write_bytes(b"nothing")
    with pytest.raises(PopulationError, match="is no calibration"):
        read_counterparts(tmp_path / "no.nc")
