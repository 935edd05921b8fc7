"""Possible participants from the model: courses under every treatment, what screening measures, worlds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.errors import PopulationError, TrialError
from crosstalk.knowledge import load_knowledge
from crosstalk.population.calibrated import possible_worlds
from crosstalk.population.measure import analyte_log_sd
from crosstalk.study.design import Crossover, LeadIn
from crosstalk.trial.conduct import conduct, setting_of
from crosstalk.trial.plan import design_of, observed_analytes, read_trial, treatments
from crosstalk.trial.pool import Pool, make_pool

WEEK = 168.0

TRIAL = (Path(__file__).parent / "small.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("trial") / "small.toml"
    path.write_text(TRIAL, encoding="utf-8")
    return read_trial(path, load_knowledge())


@pytest.fixture(scope="module")
def pool(study: Any) -> Pool:
    knowledge = load_knowledge()
    worlds = possible_worlds(knowledge, 1, 3)
    return make_pool(study, worlds, patients=40, seed=1, knowledge=knowledge, engine=get_engine())


def test_everybody_has_a_course_under_every_treatment(pool: Pool) -> None:
    assert pool.n_worlds == 3
    assert set(pool.courses) == {("escitalopram", "HAMD17"), ("placebo", "HAMD17")}
    n = int(pool.start[-1])
    assert n + pool.failed == 120
    for course in pool.courses.values():
        assert course.shape == (n, len(pool.times_h))
        assert np.isfinite(course).all()
    both = [pool.courses[t, "HAMD17"] for t in ("escitalopram", "placebo")]
    # the same person: equal at enrolment, then better on the drug on average
    np.testing.assert_allclose(both[0][:, 0], both[1][:, 0], rtol=1e-3)
    assert (both[0][:, -1] - both[1][:, -1]).mean() < 0
    assert {w * WEEK for w in (0, 1, 2, 3, 4)} <= set(pool.times_h)


def test_limits_on_what_a_laboratory_measures_are_left_to_the_trial(study: Any, pool: Pool) -> None:
    assert set(pool.levels) == {"hsCRP", "age", "BMI", "sex"}
    assert (pool.levels["age"] >= 20).all()
    assert (pool.levels["age"] < 60).all()
    setting = setting_of(study, pool, load_knowledge())
    assert [e.analyte for e in setting.limits] == ["hsCRP"]
    crp = load_knowledge().analytes["hsCRP"]
    assert setting.noise == {"hsCRP": analyte_log_sd(crp), "age": 0.0, "BMI": 0.0, "sex": 0.0}
    assert setting.noise["hsCRP"] > 0.3  # one CRP misclassifies
    assert setting.detection["hsCRP"] == (crp.lod or 0.0)


def test_some_worlds(pool: Pool) -> None:
    part = pool.only(np.array([2, 0]))
    assert np.diff(part.start).tolist() == [np.diff(pool.start)[2], np.diff(pool.start)[0]]
    np.testing.assert_array_equal(part.recorded[part.rows(0)], pool.recorded[pool.rows(2)])
    np.testing.assert_array_equal(part.levels["hsCRP"][part.rows(1)], pool.levels["hsCRP"][pool.rows(0)])


def test_a_world_in_which_nobody_qualifies_is_left_out(study: Any, pool: Pool) -> None:
    crp = pool.levels["hsCRP"].copy()
    crp[pool.rows(1)] = 1e-3
    enriched = replace(study, trial=replace(study.trial, kind="enrichment"))
    setting = setting_of(enriched, replace(pool, levels={**pool.levels, "hsCRP": crp}), load_knowledge())
    assert setting.pool.n_worlds == 2
    with pytest.raises(PopulationError, match="marker-negative"):
        setting_of(enriched, replace(pool, levels={**pool.levels, "hsCRP": 0 * crp + 1e-3}), load_knowledge())


def test_doses_follow_the_lead_in(study: Any) -> None:
    led = replace(study.trial, lead_in=LeadIn(2 * WEEK, 0.25))
    dose = treatments(study, led)[0].doses[0]
    assert (dose.start_week, dose.every_h) == (2.0, 24.0)
    knowledge = load_knowledge()
    later = make_pool(
        replace(study, trial=led), possible_worlds(knowledge, 1, 0), patients=30, seed=1, knowledge=knowledge,
        engine=get_engine(),
    )  # fmt: skip
    drug, placebo = (later.courses[t, "HAMD17"] for t in ("escitalopram", "placebo"))
    at = int(np.searchsorted(later.times_h, 2 * WEEK))
    np.testing.assert_allclose(drug[:, : at + 1], placebo[:, : at + 1], atol=0.02)
    assert abs(drug[:, -1] - placebo[:, -1]).mean() > 0.1
    assert later.times_h[-1] == 6 * WEEK
    data = conduct(setting_of(replace(study, trial=led), later, knowledge), 0, np.random.default_rng(1))
    assert np.isfinite(data.scores["HAMD17"]).all()


def test_a_crossover_runs_both_sequences_and_the_control(study: Any) -> None:
    design = replace(study.trial, kind="crossover", crossover=Crossover(WEEK, 2 * WEEK), marker=None)
    first, second = treatments(study, design)
    assert (first.id, second.id) == ("escitalopram-placebo", "placebo-escitalopram")
    assert (first.doses[0].start_week, first.doses[0].stop_week) == (0.0, 1.0)
    assert (second.doses[0].start_week, second.doses[0].stop_week) == (3.0, 4.0)


def test_what_is_measured_at_screening(study: Any) -> None:
    assert observed_analytes(study, load_knowledge()) == ("hsCRP", "age", "BMI", "sex")


def test_a_study_without_a_trial_says_so(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(TRIAL.split("[trial]")[0], encoding="utf-8")
    with pytest.raises(TrialError, match=r"plain\.toml: study 'small': has no table \[trial\]; add one"):
        read_trial(path, load_knowledge())
    with pytest.raises(TrialError, match="no table"):
        design_of(replace(read_trial_text(tmp_path), trial=None))


def read_trial_text(folder: Path) -> Any:
    path = folder / "whole.toml"
    path.write_text(TRIAL, encoding="utf-8")
    return read_trial(path, load_knowledge())
