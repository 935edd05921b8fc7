"""What is written down at visits: who has left by then, and how analytes vary within a person from week to week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.measure import observable_factor, within_log_sd
from crosstalk.population.run import StudyRun, simulate
from crosstalk.study.records import Result, Study
from crosstalk.study.schema import read_study

Array = NDArray[np.float64]

N = 240  # tolerances follow it
HEAD = """
[study]
id = "visits"
role = "design"
duration_weeks = {weeks}
{times}
outputs = ["HAMD17", "hsCRP", "IL-6"]
[population]
diagnosis = "{diagnosis}"
"""
ARMS = """
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
[[arm]]
id = "placebo"
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = get_engine()
    yield engine
    engine.close()


def study_of(folder: Path, times: str, *, weeks: float = 8, diagnosis: str = "mdd", arms: str = ARMS) -> Study:
    path = folder / "visits.toml"
    path.write_text(HEAD.format(weeks=weeks, times=times, diagnosis=diagnosis) + arms)
    return read_study(path)


def leaving(study: Study, share: float, **arms: float) -> Study:
    """The same study with a dropout of the population, and of some arms."""
    population = replace(study.population, dropout=share)
    return replace(study, population=population, arms=tuple(replace(a, dropout=arms.get(a.id)) for a in study.arms))


# Leaving


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(tmp_path_factory.mktemp("study"), "visits = [0, 1, 2, 4, 6, 8]")


@pytest.fixture(scope="module")
def complete(trial: Study, engine: Engine) -> StudyRun:
    return simulate(trial, patients=N, seed=4, engine=engine)


@pytest.fixture(scope="module")
def observed(trial: Study, engine: Engine) -> StudyRun:
    return simulate(leaving(trial, 0.36), patients=N, seed=4, engine=engine)


@pytest.fixture(scope="module")
def carried(trial: Study, engine: Engine) -> StudyRun:
    return simulate(replace(leaving(trial, 0.36), missing="locf"), patients=N, seed=4, engine=engine)


def gone(run: StudyRun, arm: str) -> NDArray[np.bool_]:
    return np.isnan(run.courses[arm, "HAMD17"])


def test_the_published_share_leaves_at_a_constant_rate(observed: StudyRun) -> None:
    """Of 36 %, a fifth of the patients leaves in each half: 1 - 0.64 ** 0.5 = 0.2 by week 4."""
    left = gone(observed, "placebo").mean(axis=0)
    for week, share in zip((0, 1, 2, 4, 6, 8), left, strict=True):
        expected = 1 - 0.64 ** (week / 8)
        assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / N), week


def test_nobody_leaves_before_the_start_or_comes_back_and_all_outputs_end_together(observed: StudyRun) -> None:
    for arm in ("ssri", "placebo"):
        left = gone(observed, arm)
        assert not left[:, 0].any()
        assert (np.diff(left.astype(int), axis=1) >= 0).all()
        for output in ("hsCRP", "IL-6"):
            assert (np.isnan(observed.courses[arm, output]) == left).all()


def test_what_was_seen_before_is_as_if_nobody_left(observed: StudyRun, complete: StudyRun) -> None:
    for key, course in observed.courses.items():
        stayed = np.isfinite(course)
        assert (course[stayed] == complete.courses[key][stayed]).all(), key
        assert np.isfinite(complete.courses[key]).all(), key


def test_a_patient_leaves_at_the_same_time_in_every_arm_of_the_same_rate(
    trial: Study, observed: StudyRun, engine: Engine
) -> None:
    assert (gone(observed, "ssri") == gone(observed, "placebo")).all()
    uneven = simulate(leaving(trial, 0.36, ssri=0.7), patients=60, seed=4, engine=engine)
    assert (gone(uneven, "placebo") == gone(observed, "placebo")[:60]).all()
    assert (gone(uneven, "ssri") >= gone(uneven, "placebo")).all()
    assert gone(uneven, "ssri").sum() > gone(uneven, "placebo").sum()
    none = simulate(leaving(trial, 0.36, ssri=0.0), patients=60, seed=4, engine=engine)
    assert not gone(none, "ssri").any()
    assert gone(none, "placebo").any()


def test_last_observation_carried_forward(carried: StudyRun, observed: StudyRun, complete: StudyRun) -> None:
    for key, course in carried.courses.items():
        stayed = np.isfinite(observed.courses[key])
        expected = complete.courses[key].copy()
        for i in range(N):
            last = int(np.flatnonzero(stayed[i])[-1])
            expected[i, last:] = expected[i, last]
        assert (course == expected).all(), key


def test_estimates_are_of_those_who_stayed_or_of_all(carried: StudyRun, observed: StudyRun) -> None:
    knowledge = load_knowledge()
    result = Result("change", "HAMD17", "placebo", time_h=8 * 168.0)
    course = observed.courses["placebo", "HAMD17"]
    stayed = ~gone(observed, "placebo")[:, -1]
    moved = (course[:, -1] - course[:, 0])[stayed]
    found = observed.estimate(result, knowledge)
    assert found == pytest.approx((moved.mean(), moved.std(ddof=1) / np.sqrt(stayed.sum())))
    # those who left early had improved less
    assert carried.estimate(result, knowledge).value > found.value
    assert carried.estimate(result, knowledge).se == pytest.approx(
        np.std(np.subtract(*carried.courses["placebo", "HAMD17"][:, [-1, 0]].T), ddof=1) / np.sqrt(N)
    )


# Variation from week to week


def precise(knowledge: Knowledge) -> Knowledge:
    """The same knowledge with assays without error and without a limit of detection."""
    known = {k: replace(a, assay_cv=0.0, lod=None) for k, a in knowledge.analytes.items()}
    return replace(knowledge, analytes=known)


def deviations(study: Study, engine: Engine, analyte: str = "hsCRP") -> dict[str, Array]:
    """Logarithm of the recorded over the true value, by arm, shape (n_patients, n_times)."""
    knowledge = precise(load_knowledge())
    record = knowledge.analytes[analyte]
    truth = replace(study, outputs=(analyte, record.observable))
    run = simulate(truth, patients=N, seed=4, engine=engine, knowledge=knowledge)
    factor = observable_factor(assemble((), knowledge), record)
    return {
        arm.id: np.log(run.courses[arm.id, analyte] / (run.courses[arm.id, record.observable] * factor))
        for arm in study.arms
    }


@pytest.mark.parametrize("analyte", ["hsCRP", "IL-6"])
def test_in_a_trial_an_analyte_varies_from_week_to_week_and_not_within_one(
    tmp_path: Path, engine: Engine, analyte: str
) -> None:
    study = study_of(tmp_path, "visits = [0, 0.5, 1, 1.25, 1.75, 2]", weeks=2)
    found = deviations(study, engine, analyte)
    usual = within_log_sd(load_knowledge().analytes[analyte])
    one = found["placebo"]
    for first, second in ((0, 1), (2, 3), (2, 4)):
        assert one[:, first] == pytest.approx(one[:, second], abs=1e-9)
    for first, second in ((0, 2), (1, 2), (4, 5)):
        assert abs(np.corrcoef(one[:, first], one[:, second])[0, 1]) < 4 / np.sqrt(N)
    for column in one.T:
        assert column.std() == pytest.approx(usual, rel=4 / np.sqrt(2 * N))
        assert column.mean() == pytest.approx(0, abs=4 * usual / np.sqrt(N))
    # the same person varies alike under every treatment
    assert found["ssri"] == pytest.approx(one, abs=1e-9)


def test_in_a_cross_section_people_are_seen_as_they_are_that_week(tmp_path: Path, engine: Engine) -> None:
    arms = '[[arm]]\nid = "mdd"\n[[arm]]\nid = "control"\ndiagnosis = "healthy"\n'
    study = study_of(tmp_path, "visits = [0]", weeks=1, arms=arms)
    assert study.output_times_h == (0.0,)
    usual = within_log_sd(load_knowledge().analytes["hsCRP"])
    for column in deviations(study, engine).values():
        assert column.shape == (N, 1)
        assert column.std() == pytest.approx(usual, rel=4 / np.sqrt(2 * N))


CHALLENGE = """
[[arm]]
id = "lps"
dose = [{ drug = "lps", amount = 0.8, unit = "ng/kg", route = "iv", hours = [0] }]
[[arm]]
id = "placebo"
"""


def test_in_a_challenge_of_some_days_nothing_varies_but_the_course(tmp_path: Path, engine: Engine) -> None:
    study = study_of(tmp_path, "times_h = [0, 2, 24, 160]", weeks=0.96, diagnosis="healthy", arms=CHALLENGE)
    for column in deviations(study, engine).values():
        assert abs(column).max() < 1e-9
    longer = study_of(tmp_path, "times_h = [0, 2, 24, 168]", weeks=1, diagnosis="healthy", arms=CHALLENGE)
    found = deviations(longer, engine)["placebo"]
    assert found[:, 1] == pytest.approx(found[:, 2], abs=1e-9)
    assert abs(found[:, 3] - found[:, 2]).max() > 0.1


def test_with_the_usual_assay_both_errors_add_up(tmp_path: Path, engine: Engine) -> None:
    knowledge = load_knowledge()
    record = replace(knowledge.analytes["hsCRP"], lod=None, assay_cv=0.3)
    known = replace(knowledge, analytes={**knowledge.analytes, "hsCRP": record})
    study = replace(study_of(tmp_path, "visits = [0, 0.5, 1]", weeks=1), outputs=("hsCRP", "CRP"))
    run = simulate(study, patients=N, seed=4, engine=engine, knowledge=known)
    one = np.log(run.courses["placebo", "hsCRP"] / run.courses["placebo", "CRP"])
    assay, week = np.log1p(0.3**2), within_log_sd(record) ** 2
    tolerance = 4 / np.sqrt(2 * N)
    assert (one[:, 0] - one[:, 1]).std() == pytest.approx(np.sqrt(2 * assay), rel=tolerance)
    assert (one[:, 1] - one[:, 2]).std() == pytest.approx(np.sqrt(2 * (assay + week)), rel=tolerance)
