"""A study on virtual patients: who is enrolled, what is recorded, and that nothing but seed and number decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.errors import PopulationError, StudyError, UsageError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population import enrolment as module
from crosstalk.population.enrolment import true_score
from crosstalk.population.latent import latent_space
from crosstalk.population.measure import LOWEST_SHARE
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.population.run import StudyRun, simulate
from crosstalk.study.records import Eligibility, Study
from crosstalk.study.schema import read_study

Array = NDArray[np.float64]

HEAD = """
[study]
id = "small"
role = "design"
duration_weeks = 2
visits = [0, 1, 2]
outputs = [{outputs}]
[population]
diagnosis = "mdd"
{population}
"""
ARMS = """
[[arm]]
id = "placebo"
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
"""
RESULT = """
[[result]]
endpoint = "change"
of = "HAMD17"
week = 2
arm = "ssri"
versus = "placebo"
stratum = { analyte = "IL-6", min = 1.5, unit = "pg/mL" }
"""


def eligible(*limits: str) -> str:
    return "\n".join(f"[[population.eligible]]\n{line}" for line in limits)


LIMITS = (
    'analyte = "hsCRP"\nmin = 1\nmax = 10\nunit = "mg/L"',
    'analyte = "HAMD17"\nmin = 20\nunit = "points"',
    'analyte = "BMI"\nmax = 35\nunit = "kg/m^2"',
)


def study_of(
    folder: Path, population: str = "", *, outputs: str = '"HAMD17", "hsCRP", "MOOD"', rest: str = ""
) -> Study:
    path = folder / "small.toml"
    path.write_text(HEAD.format(outputs=outputs, population=population) + ARMS + rest)
    return read_study(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(tmp_path_factory.mktemp("study"), eligible(*LIMITS), rest=RESULT)


@pytest.fixture(scope="module")
def trial(study: Study) -> StudyRun:
    """Forty patients: the limits are met by few, so several rounds of screening are needed."""
    return simulate(study, patients=40, seed=7, worlds=3)


def within(value: Array, limits: Eligibility) -> NDArray[np.bool_]:
    low = -np.inf if limits.min is None else limits.min
    high = np.inf if limits.max is None else limits.max
    return np.asarray((low <= value) & (value < high))


def test_everybody_enrolled_fulfils_every_criterion(trial: StudyRun) -> None:
    assert len(trial.patients) == 40
    assert len(trial.study.population.eligible) == 3
    for limits in trial.study.population.eligible:
        assert within(trial.baseline[limits.analyte], limits).all(), limits.analyte
    assert (trial.baseline["BMI"] == trial.patients.parameters["BMI"]).all()
    assert trial.patients.ok.all()


def test_screening_took_the_first_who_were_eligible(trial: StudyRun, tmp_path: Path) -> None:
    index = trial.patients.index
    assert trial.screened == index[-1] + 1
    assert (np.diff(index) > 0).all()
    # several rounds: more candidates than one round holds
    assert trial.screened > 64
    without = simulate(study_of(tmp_path), patients=3, seed=7, worlds=3)
    assert without.patients.index.tolist() == [0, 1, 2]
    assert without.screened == 3


def test_eligibility_is_judged_by_what_is_measured_not_by_the_truth(trial: StudyRun) -> None:
    """Some who are enrolled have a true CRP outside the limits, and measured and true CRP go together."""
    measured, true = trial.baseline["hsCRP"], trial.patients.outputs["CRP"]
    assert ((true < 1) | (true >= 10)).any() or (np.abs(np.log(measured / true)) > 0.2).any()
    assert not np.allclose(measured, true)
    assert np.corrcoef(np.log(measured), np.log(true))[0, 1] > 0.5


def assert_prefix(few: StudyRun, many: StudyRun) -> None:
    n = len(few.patients)
    assert (few.patients.index == many.patients.index[:n]).all()
    for name, values in few.baseline.items():
        assert values == pytest.approx(many.baseline[name][:n], rel=1e-9), name
    for key, course in few.courses.items():
        assert course == pytest.approx(many.courses[key][:n], rel=1e-6), key


def test_fewer_patients_are_the_first_of_more(trial: StudyRun, study: Study) -> None:
    assert_prefix(simulate(study, patients=4, seed=7, worlds=3), trial)


def test_worker_processes_do_not_matter(trial: StudyRun, study: Study) -> None:
    engine = get_engine(jobs=2)
    try:
        found = simulate(study, patients=18, seed=7, worlds=3, engine=engine)
    finally:
        engine.close()
    n = len(found.patients)
    for key, course in found.courses.items():
        assert course == pytest.approx(trial.courses[key][:n], rel=1e-6), key


def test_same_seed_same_bytes_and_another_seed_others(trial: StudyRun, study: Study) -> None:
    one, two = (simulate(study, patients=3, seed=7, worlds=3) for _ in range(2))
    for key in one.courses:
        assert one.courses[key].tobytes() == two.courses[key].tobytes()
    other = simulate(study, patients=3, seed=8, worlds=3)
    assert (other.baseline["hsCRP"] != one.baseline["hsCRP"]).all()


def test_arms_start_alike_and_then_part(trial: StudyRun) -> None:
    for output in ("HAMD17", "hsCRP", "MOOD"):
        assert (trial.courses["placebo", output][:, 0] == trial.courses["ssri", output][:, 0]).all()
    assert (trial.courses["placebo", "MOOD"][:, -1] != trial.courses["ssri", "MOOD"][:, -1]).all()


def test_recorded_courses_stay_within_scale_and_assay(trial: StudyRun) -> None:
    knowledge = load_knowledge()
    lod = knowledge.analytes["hsCRP"].lod
    assert lod is not None
    for arm in ("placebo", "ssri"):
        score = trial.courses[arm, "HAMD17"]
        assert score.shape == (40, 3)
        assert (score == np.round(score)).all()
        assert ((score >= 0) & (score <= 52)).all()
        assert (trial.courses[arm, "hsCRP"] >= lod).all()
        # a variable of the model is given as it is
        assert (np.abs(trial.courses[arm, "MOOD"] - np.round(trial.courses[arm, "MOOD"])) > 0).all()


def test_the_first_score_is_the_one_recorded_at_enrolment(trial: StudyRun) -> None:
    assert (trial.courses["placebo", "HAMD17"][:, 0] == trial.baseline["HAMD17"]).all()


def test_strata_are_by_what_was_measured(trial: StudyRun) -> None:
    limits = Eligibility("IL-6", "pg/mL", min=1.5)
    assert (trial.stratum(limits) == (trial.baseline["IL-6"] >= 1.5)).all()
    assert 0 < trial.stratum(limits).sum() < 40


def test_an_estimate_uses_the_patients_of_its_stratum(trial: StudyRun) -> None:
    chosen = trial.baseline["IL-6"] >= 1.5
    change = {
        arm: trial.courses[arm, "HAMD17"][:, -1] - trial.courses[arm, "HAMD17"][:, 0] for arm in ("placebo", "ssri")
    }
    expected = change["ssri"][chosen].mean() - change["placebo"][chosen].mean()
    assert trial.estimate(trial.study.results[0], load_knowledge()).value == pytest.approx(expected)


def test_the_tidy_table_holds_every_value_once(trial: StudyRun) -> None:
    frame = trial.to_frame()
    assert list(frame.columns) == ["arm", "patient", "time_h", "variable", "value"]
    assert len(frame) == 2 * 3 * 40 * 3
    assert not frame.duplicated(["arm", "patient", "time_h", "variable"]).any()
    one = frame.set_index(["arm", "patient", "time_h", "variable"])["value"]
    third = trial.patients.index[3]
    assert one["ssri", third, 168.0, "hsCRP"] == trial.courses["ssri", "hsCRP"][3, 1]


def test_limits_that_nobody_meets_name_the_criterion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCREENING_LIMIT", 10)
    study = study_of(
        tmp_path,
        eligible('analyte = "BMI"\nmin = 17\nunit = "kg/m^2"', 'analyte = "hsCRP"\nmin = 590\nunit = "mg/L"'),
    )
    with pytest.raises(PopulationError) as caught:
        simulate(study, patients=2, seed=1)
    message = str(caught.value)
    assert "study 'small': 0 of 2 patients enrolled after 64 candidates" in message
    assert "the limits of 'hsCRP' removed" in message
    assert "widen the eligibility criteria" in message


@pytest.mark.parametrize(
    ("limits", "named"),
    [('analyte = "age"\nmin = 81\nunit = "year"', "age"), ('analyte = "HAMD17"\nmax = 5\nunit = "points"', "HAMD17")],
)
def test_impossible_covariate_and_score_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: str, named: str
) -> None:
    monkeypatch.setattr(module, "SCREENING_LIMIT", 10)
    with pytest.raises(PopulationError, match=f"limits of '{named}' removed"):
        simulate(study_of(tmp_path, eligible(limits)), patients=1, seed=1)


def test_candidates_whose_score_is_out_of_reach_are_passed_over(tmp_path: Path) -> None:
    study = study_of(tmp_path, 'severity = { scale = "HAMD17", mean = 7, sd = 1 }')
    run = simulate(study, patients=5, seed=1)
    assert len(run.patients) == 5
    assert run.patients.ok.all()
    assert run.screened > 5
    assert np.isfinite(run.courses["ssri", "HAMD17"]).all()


def test_the_population_of_the_study_replaces_that_of_the_diagnosis(tmp_path: Path) -> None:
    population = (
        "age = { mean = 30, sd = 1 }\nbmi = { mean = 40, sd = 1 }\nfemale = 1.0\n"
        'severity = { scale = "MADRS", mean = 33, sd = 1 }'
    )
    run = simulate(study_of(tmp_path, population, outputs='"MADRS"'), patients=12, seed=1)
    assert run.patients.covariates["age"].mean() == pytest.approx(30, abs=1.5)
    assert run.patients.parameters["BMI"].mean() == pytest.approx(40, abs=1.5)
    assert (run.patients.covariates["female"] == 1).all()
    assert run.courses["placebo", "MADRS"][:, 0].mean() == pytest.approx(33, abs=1.5)


def test_a_background_treatment_shapes_the_baseline(tmp_path: Path) -> None:
    """The score at enrolment is the score under it, so its bearer is the more vulnerable person."""
    plain = simulate(study_of(tmp_path), patients=4, seed=1)
    treated = simulate(study_of(tmp_path, 'background = ["any-antidepressant"]'), patients=4, seed=1)
    assert treated.patients.index.tolist() == plain.patients.index.tolist()
    assert (treated.courses["placebo", "HAMD17"][:, 0] == plain.courses["placebo", "HAMD17"][:, 0]).all()
    assert (treated.patients.parameters["vul"] > plain.patients.parameters["vul"]).all()


@pytest.mark.parametrize("wanted", [0, -3])
def test_no_patients_at_all(study: Study, wanted: int) -> None:
    with pytest.raises(UsageError, match=f"patients = {wanted}; expected 1 or more"):
        simulate(study, patients=wanted)


def test_an_analyte_that_the_model_does_not_predict_cannot_select(tmp_path: Path) -> None:
    """A file that asks for it is refused; so is a study made in Python."""
    study = study_of(tmp_path)
    population = replace(study.population, eligible=(Eligibility("HDL", "mmol/L", min=1),))
    with pytest.raises(StudyError, match="'HDL' cannot select or stratify patients"):
        simulate(replace(study, population=population), patients=1)


def someone(n: int = 200) -> Patients:
    knowledge = load_knowledge()
    return draw_patients(knowledge, latent_space(knowledge.diagnosis("mdd")), np.arange(n), seed=2, worlds=0)


def test_the_true_score_is_the_recorded_one_less_inflation_and_rater_error() -> None:
    scale = load_knowledge().scales["HAMD17"]
    patients = someone(4000)
    true = true_score(np.full(4000, 30.0), scale, patients)
    inflation = patients.covariates["baseline_inflation"] * scale.maximum
    assert ((30.0 - true - inflation).std()) == pytest.approx(scale.rater_sd, rel=0.05)
    assert (30.0 - true).mean() == pytest.approx(inflation.mean(), abs=0.2)


@pytest.mark.parametrize("recorded", [2.0, 8.0, 51.0])
def test_the_true_score_is_never_far_below_the_recorded_one(recorded: float) -> None:
    scale = load_knowledge().scales["HAMD17"]
    true = true_score(np.full(200, recorded), scale, someone())
    assert true.min() >= LOWEST_SHARE * recorded
    assert true.max() <= scale.maximum


def test_enrolled_patients_are_at_the_true_score_behind_the_recorded_one(trial: StudyRun) -> None:
    scale = load_knowledge().scales["HAMD17"]
    expected = true_score(trial.baseline["HAMD17"], scale, trial.patients)
    found = baseline(replace(trial.patients, states={}), load_knowledge(), get_engine(), outputs=("HAMD17",))
    assert found.outputs["HAMD17"] == pytest.approx(expected, rel=1e-5)


# Pooled arms and markers

POOLED = """
[[arm]]
id = "pooled"
mixture = [{ share = 0.3, dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }] },
           { share = 0.7 }]
"""
"""One of the two arms of `ARMS` for each patient."""


LEVEL = """
[[result]]
endpoint = "level"
of = "HAMD17"
week = 2
arm = "pooled"
value = 15
unit = "points"
se = 1
source = "x"
provenance = "seen"
[[result]]
endpoint = "interaction"
of = "HAMD17"
week = 2
arm = "ssri"
versus = "placebo"
marker = { analyte = "IL-6", per = "ln" }
adjust = ["BMI"]
value = 0
unit = "points"
se = 1
source = "x"
provenance = "seen"
"""


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    path = tmp_path_factory.mktemp("pooled") / "small.toml"
    text = HEAD.format(outputs='"HAMD17"', population="") + ARMS + POOLED + LEVEL
    path.write_text(text.replace('role = "design"', 'role = "context"\ndoi = "10.1000/x"'), encoding="utf-8")
    return simulate(read_study(path), patients=60)


def test_a_pooled_arm_gives_each_patient_one_of_its_treatments(pooled: StudyRun) -> None:
    both, ssri, placebo = (pooled.courses[arm, "HAMD17"] for arm in ("pooled", "ssri", "placebo"))
    as_ssri = (both == ssri).all(axis=1)
    as_placebo = (both == placebo).all(axis=1)
    assert (as_ssri | as_placebo).all()
    # 18 expected of 60, with an SD of 3.5
    assert 8 <= (as_ssri & ~as_placebo).sum() <= 28


def test_a_marker_is_measured_at_enrolment_and_compared_within_patients(pooled: StudyRun) -> None:
    run = pooled
    found = run.estimate(run.study.results[1], load_knowledge())
    moved = run.courses["ssri", "HAMD17"][:, -1] - run.courses["placebo", "HAMD17"][:, -1]
    expected = np.polyfit(np.log(run.baseline["IL-6"]), moved, 1)[0]
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert {"IL-6", "BMI"} <= set(run.baseline)
