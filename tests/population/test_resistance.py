"""Earlier failed treatment selects those who recover slowly, respond weakly, or had bad luck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.resistance import COURSE_H, eased
from crosstalk.population.run import StudyRun, simulate
from crosstalk.study.protocol import earlier_doses
from crosstalk.study.schema import read_study

TEXT = """
[study]
id = "resistant"
role = "design"
duration_weeks = 8
outputs = ["HAMD17"]
[population]
diagnosis = "mdd"
failed_steps = {steps}
{more}
[[arm]]
id = "ssri"
dose = [{{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every = "24 h" }}]
[[arm]]
id = "placebo"
"""


def run(folder: Path, steps: int, more: str = "", patients: int = 80) -> StudyRun:
    path = folder / "resistant.toml"
    path.write_text(TEXT.format(steps=steps, more=more), encoding="utf-8")
    return simulate(read_study(path), patients=patients, seed=4)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    return run(tmp_path_factory.mktemp("fresh"), 0)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    return run(tmp_path_factory.mktemp("failed"), 2)


def responders(found: StudyRun, arm: str) -> float:
    course = found.courses[arm, "HAMD17"]
    return float((course[:, -1] <= 0.5 * course[:, 0]).mean())


def test_who_failed_before_fails_more_often_again(fresh: StudyRun, failed: StudyRun) -> None:
    assert responders(failed, "ssri") < responders(fresh, "ssri") - 0.05
    floor = [np.median(f.patients.parameters["recovery_floor"]) for f in (fresh, failed)]
    assert floor[1] > floor[0]
    assert failed.screened > fresh.screened


def test_natural_recovery_goes_on_from_where_earlier_courses_left_it(fresh: StudyRun) -> None:
    """Strength after two spells is the strength after the first times that of the second, as the equation has it."""
    people = fresh.patients
    later = eased(people, 2, load_knowledge())
    rate, hours = people.parameters["recovery_rate"], 12 * 168.0

    def strength(floor: NDArray[np.float64], time: float) -> NDArray[np.float64]:
        return np.asarray(1 - (1 - floor) * (1 - np.exp(-rate * time)))

    first, again = people.parameters["recovery_floor"], later.parameters["recovery_floor"]
    whole = strength(first, 2 * COURSE_H + hours)
    np.testing.assert_allclose(strength(first, 2 * COURSE_H) * strength(again, hours), whole, rtol=1e-12)
    assert np.all(np.abs(1 - again) <= np.abs(1 - first) + 1e-12)
    assert eased(people, 0, load_knowledge()).parameters["recovery_floor"].tolist() == pytest.approx(first.tolist())


def test_those_who_failed_before_recover_less_on_placebo(fresh: StudyRun, failed: StudyRun) -> None:
    change = [f.courses["placebo", "HAMD17"][:, -1] - f.courses["placebo", "HAMD17"][:, 0] for f in (fresh, failed)]
    assert change[1].mean() > change[0].mean() + 1


def test_the_same_people_are_chosen_each_time(tmp_path: Path) -> None:
    first, second = run(tmp_path, 1, patients=20), run(tmp_path, 1, patients=20)
    assert first.patients.index.tolist() == second.patients.index.tolist()
    # who passes two courses has passed the first
    assert set(run(tmp_path, 2, patients=10).patients.index) <= set(run(tmp_path, 1, patients=40).patients.index)


def test_earlier_courses_are_of_the_background_or_of_the_reference(tmp_path: Path) -> None:
    knowledge = load_knowledge()
    plain = run(tmp_path, 1, patients=5).study.population
    assert [d.drug for d in earlier_doses(plain, knowledge)] == ["escitalopram"]
    stable = run(tmp_path, 1, 'background = ["any-antidepressant"]', patients=5).study.population
    assert earlier_doses(stable, knowledge) == ()
    never = run(tmp_path, 0, patients=5).study.population
    assert earlier_doses(never, knowledge) == ()


@pytest.mark.parametrize("more", ["", 'background = ["any-antidepressant"]'])
def test_the_course_begins_at_the_recorded_score(tmp_path: Path, more: str) -> None:
    found = run(tmp_path, 1, more, patients=15)
    assert found.courses["placebo", "HAMD17"][:, 0].tolist() == found.courses["ssri", "HAMD17"][:, 0].tolist()
    assert np.isfinite(found.courses["ssri", "HAMD17"]).all()
