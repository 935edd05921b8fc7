"""Enrolment in many worlds at once: who lives where, how many of them, and that worlds do not disturb each other."""

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
from crosstalk.population import enrolment as module
from crosstalk.population.enrolment import arm_population, within
from crosstalk.population.run import StudyRun, simulate, simulate_worlds
from crosstalk.population.worlds import Worlds, prior_worlds
from crosstalk.study.records import Eligibility, Result, Study
from crosstalk.study.schema import read_study

Array = NDArray[np.float64]

N_WORLDS, WANTED, SEED = 4, 6, 11
TRIAL = """
[study]
id = "worlds"
role = "design"
duration_weeks = 2
visits = [0, 1, 2]
outputs = ["HAMD17", "hsCRP"]
[population]
diagnosis = "mdd"
[[population.eligible]]
analyte = "BMI"
min = 28
unit = "kg/m^2"
[[population.eligible]]
analyte = "hsCRP"
min = 2
max = 12
unit = "mg/L"
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
[[arm]]
id = "placebo"
[[arm]]
id = "control"
diagnosis = "healthy"
[[result]]
endpoint = "change"
of = "HAMD17"
week = 2
arm = "ssri"
versus = "placebo"
[[result]]
endpoint = "change"
of = "HAMD17"
week = 2
arm = "ssri"
versus = "placebo"
stratum = { analyte = "hsCRP", min = 4, unit = "mg/L" }
[[result]]
endpoint = "prevalence"
of = "hsCRP"
threshold = 3
week = 0
arm = "placebo"
versus = "control"
"""
ALL, INFLAMED, CONTROLS = 0, 1, 2


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = get_engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("study") / "worlds.toml"
    path.write_text(TRIAL)
    # in a file, CRP is another name of the analyte
    return replace(read_study(path), outputs=("HAMD17", "hsCRP", "CRP"))


@pytest.fixture(scope="module")
def worlds(knowledge: Knowledge) -> Worlds:
    return prior_worlds(knowledge, 3, N_WORLDS)


@pytest.fixture(scope="module")
def run(study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine) -> StudyRun:
    return simulate_worlds(study, worlds, patients=WANTED, seed=SEED, knowledge=knowledge, engine=engine)


def test_every_world_has_as_many_patients_in_the_order_of_worlds_and_numbers(run: StudyRun) -> None:
    for arm in ("ssri", "placebo", "control"):
        people = run.enrolled[arm].patients
        assert people.world.tolist() == np.repeat(np.arange(N_WORLDS), WANTED).tolist()
        assert (people.index % N_WORLDS == people.world).all()
        assert (np.diff(people.index.reshape(N_WORLDS, WANTED), axis=1) > 0).all()
        assert people.ok.all()


def test_patients_have_the_constants_of_their_world(run: StudyRun, worlds: Worlds, knowledge: Knowledge) -> None:
    people = run.patients
    shared = set(worlds.values) & set(knowledge.parameters) - set(knowledge.diagnosis("mdd").distributions)
    assert len(shared) > 10
    for name in shared:
        assert (people.parameters[name] == worlds.values[name][people.world]).all(), name


def test_enrolled_are_the_first_of_their_world_who_are_eligible(
    run: StudyRun, study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine
) -> None:
    """The same people as when all worlds are screened together, one candidate after the other."""
    mixed = simulate(study, patients=120, seed=SEED, worlds=worlds, knowledge=knowledge, engine=engine)
    for w in range(N_WORLDS):
        together = mixed.patients.index[mixed.patients.world == w]
        assert len(together) >= WANTED, "screen more patients in this test"
        assert run.patients.index[run.patients.world == w].tolist() == together[:WANTED].tolist()
    # enough were turned away for this to mean something
    assert run.screened > WANTED
    assert run.patients.index.max() < run.screened * N_WORLDS


def test_everybody_is_eligible_and_baselines_stay_with_their_owner(run: StudyRun, study: Study) -> None:
    for limits in study.population.eligible:
        assert within(run.baseline[limits.analyte], limits).all()
    assert (run.baseline["BMI"] == run.patients.parameters["BMI"]).all()
    log = np.log(run.baseline["hsCRP"]), np.log(run.patients.outputs["CRP"])
    assert abs(log[0] - log[1]).max() < 3
    recorded = run.enrolled["ssri"].recorded
    assert recorded is not None
    assert recorded[0] == "HAMD17"
    for arm in ("ssri", "placebo"):
        assert (run.courses[arm, "HAMD17"][:, 0] == recorded[1]).all()
        assert run.courses[arm, "CRP"][:, 0] == pytest.approx(run.patients.outputs["CRP"], rel=1e-3)


def test_controls_are_drawn_from_their_own_population(run: StudyRun, study: Study) -> None:
    control = next(arm for arm in study.arms if arm.id == "control")
    population = arm_population(study, control)
    assert (population.diagnosis, population.eligible, population.severity) == ("healthy", (), None)
    people = run.enrolled["control"]
    # nobody was turned away: healthy adults need not meet the criteria for patients
    assert people.patients.index.tolist() == [w + N_WORLDS * i for w in range(N_WORLDS) for i in range(WANTED)]
    assert (people.patients.parameters["BMI"] < 28).any()
    assert run.enrolled["ssri"] is run.enrolled["placebo"]


def test_only_age_and_sex_of_controls_follow_the_study(tmp_path: Path, knowledge: Knowledge) -> None:
    path = tmp_path / "worlds.toml"
    given = (
        'age = { mean = 30, sd = 1 }\nbmi = { mean = 40, sd = 1 }\nfemale = 1.0\n[[population.eligible]]\nanalyte = "B'
    )
    path.write_text(TRIAL.replace('[[population.eligible]]\nanalyte = "B', given, 1))
    study = read_study(path, knowledge)
    assert set(study.population.distributions) == {"age", "BMI", "female"}
    assert set(arm_population(study, study.arms[2]).distributions) == {"age", "female"}
    assert arm_population(study, study.arms[0]) is study.population


def test_fewer_patients_are_the_first_of_more_in_every_world(
    run: StudyRun, study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine
) -> None:
    few = simulate_worlds(study, worlds, patients=2, seed=SEED, knowledge=knowledge, engine=engine)
    first = np.concatenate([np.arange(2) + w * WANTED for w in range(N_WORLDS)])
    assert (few.patients.index == run.patients.index[first]).all()
    for key, course in few.courses.items():
        assert course == pytest.approx(run.courses[key][first], rel=1e-5), key


def test_same_seed_same_bytes_and_another_seed_others(
    run: StudyRun, study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine
) -> None:
    again = simulate_worlds(study, worlds, patients=WANTED, seed=SEED, knowledge=knowledge, engine=engine)
    assert again.courses.keys() == run.courses.keys()
    for key, course in run.courses.items():
        assert again.courses[key].tobytes() == course.tobytes(), key
    other = simulate_worlds(study, worlds, patients=WANTED, seed=SEED + 1, knowledge=knowledge, engine=engine)
    assert (other.baseline["hsCRP"] != run.baseline["hsCRP"]).all()


# Worlds in which few or none are eligible


def with_light_people(worlds: Worlds, factor: float) -> Worlds:
    """The same worlds, but in world 2 all depressed people weigh less."""
    return Worlds({**worlds.values, "mdd.BMI.center": np.array([1.0, 1.0, factor, 1.0])}, worlds.n, worlds.source)


@pytest.fixture(scope="module")
def emptied(study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine) -> StudyRun:
    light = with_light_people(worlds, 0.3)
    return simulate_worlds(study, light, patients=WANTED, seed=SEED, knowledge=knowledge, engine=engine)


def test_a_world_in_which_nobody_is_eligible_is_empty_and_the_others_do_not_notice(
    run: StudyRun, emptied: StudyRun
) -> None:
    assert emptied.patients.world.tolist() == np.repeat([0, 1, 3], WANTED).tolist()
    others = run.patients.world != 2
    assert (emptied.patients.index == run.patients.index[others]).all()
    for arm in ("ssri", "placebo"):
        for output in ("HAMD17", "hsCRP", "CRP"):
            assert emptied.courses[arm, output].tobytes() == run.courses[arm, output][others].tobytes()
    # healthy people are there in every world
    assert emptied.courses["control", "CRP"].tobytes() == run.courses["control", "CRP"].tobytes()


def test_an_empty_world_has_no_estimates_and_the_others_have_theirs(
    run: StudyRun, emptied: StudyRun, study: Study, knowledge: Knowledge
) -> None:
    values, errors = emptied.estimates_by_world(study.results, knowledge)
    assert values.shape == errors.shape == (N_WORLDS, len(study.results))
    assert np.isnan(values[2]).all()
    assert np.isnan(errors[2]).all()
    whole = run.estimates_by_world(study.results, knowledge)
    rest = [0, 1, 3]
    assert np.array_equal(values[rest], whole[0][rest], equal_nan=True)
    assert np.array_equal(errors[rest], whole[1][rest], equal_nan=True)
    assert np.isfinite(values[rest, ALL]).all()
    assert emptied.counts_by_world(study.results)[2].tolist() == [0, 0, 0]


def test_screening_ends_some_time_and_a_world_then_has_fewer(
    run: StudyRun, study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUNDS", 1)
    found = simulate_worlds(study, worlds, patients=WANTED, seed=SEED, knowledge=knowledge, engine=engine)
    # one round is as many candidates as patients are wanted
    assert found.screened == WANTED
    early = run.patients.index < WANTED * N_WORLDS
    assert found.patients.index.tolist() == run.patients.index[early].tolist()
    assert (found.counts_by_world(study.results)[:, ALL] == np.bincount(run.patients.world[early], minlength=4)).all()
    assert len(found.patients) < len(run.patients)


def test_worlds_without_anybody_at_all(
    study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUNDS", 1)
    nobody = replace(study.population, eligible=(Eligibility("hsCRP", "mg/L", min=1e6),))
    patients_only = replace(study, population=nobody, arms=study.arms[:2], results=study.results[:2])
    found = simulate_worlds(patients_only, worlds, patients=3, seed=SEED, knowledge=knowledge, engine=engine)
    assert len(found.patients) == 0
    assert found.courses["ssri", "HAMD17"].shape == (0, 3)
    assert np.isnan(found.estimates_by_world(patients_only.results, knowledge)[0]).all()
    assert (found.counts_by_world(patients_only.results) == 0).all()


# Estimates and counts by world


def test_estimates_of_a_world_are_those_of_its_patients_alone(
    run: StudyRun, study: Study, knowledge: Knowledge
) -> None:
    values, errors = run.estimates_by_world(study.results, knowledge)
    crp = run.baseline["hsCRP"]
    for w in range(N_WORLDS):
        here = run.patients.world == w
        for j, rows in ((ALL, here), (INFLAMED, here & (crp >= 4))):
            moved = {
                arm: (run.courses[arm, "HAMD17"][:, 2] - run.courses[arm, "HAMD17"][:, 0])[rows]
                for arm in ("ssri", "placebo")
            }
            if rows.sum() < 2:
                assert np.isnan(values[w, j])
                continue
            assert values[w, j] == pytest.approx(moved["ssri"].mean() - moved["placebo"].mean())
            variance = sum(m.var(ddof=1) / len(m) for m in moved.values())
            assert errors[w, j] == pytest.approx(np.sqrt(variance))
        healthy = run.enrolled["control"].patients.world == w
        shares = [
            (run.courses[arm, "hsCRP"][rows, 0] >= 3).mean() for arm, rows in (("placebo", here), ("control", healthy))
        ]
        assert values[w, CONTROLS] == pytest.approx(shares[0] - shares[1])


def test_one_world_alone_gives_the_estimate_of_the_whole_run(
    study: Study, worlds: Worlds, knowledge: Knowledge, engine: Engine
) -> None:
    one = worlds.take(np.array([1]))
    found = simulate_worlds(study, one, patients=WANTED, seed=SEED, knowledge=knowledge, engine=engine)
    values, errors = found.estimates_by_world(study.results, knowledge)
    for j, result in enumerate(study.results):
        whole = found.estimate(result, knowledge)
        assert np.array_equal([values[0, j], errors[0, j]], whole, equal_nan=True)


def test_counts_are_of_the_smaller_arm_within_the_stratum(run: StudyRun, study: Study) -> None:
    counts = run.counts_by_world(study.results)
    assert counts.shape == (N_WORLDS, len(study.results))
    assert (counts[:, ALL] == WANTED).all()
    inflamed = run.baseline["hsCRP"] >= 4
    assert counts[:, INFLAMED].tolist() == [int(inflamed[run.patients.world == w].sum()) for w in range(N_WORLDS)]
    stratum = Eligibility("hsCRP", "mg/L", min=4)
    crossed = Result("prevalence", "hsCRP", "placebo", "control", 0.0, stratum, threshold=3.0)
    control = run.enrolled["control"]
    smaller = [
        min(
            int((run.baseline["hsCRP"][run.patients.world == w] >= 4).sum()),
            int((control.baseline["hsCRP"][control.patients.world == w] >= 4).sum()),
        )
        for w in range(N_WORLDS)
    ]
    assert run.counts_by_world([crossed])[:, 0].tolist() == smaller
    assert sum(smaller) < counts[:, INFLAMED].sum()
