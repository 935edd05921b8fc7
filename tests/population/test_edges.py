"""Edges of strata, and how many earlier courses a patient has behind him."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population import resistance
from crosstalk.population.enrolment import within
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import baseline, draw_patients
from crosstalk.population.run import simulate
from crosstalk.study.records import Eligibility, Population
from crosstalk.study.schema import read_study

STUDY = """
[study]
id = "failed"
role = "design"
duration_weeks = 1
visits = [0, 1]
outputs = ["HAMD17"]
[population]
diagnosis = "mdd"
failed_steps = 2
[[arm]]
id = "placebo"
"""


def test_a_stratum_holds_its_lower_edge_and_not_its_upper() -> None:
    """Neighbouring strata share nobody and leave nobody out."""
    values = np.array([0.99, 1.0, 2.0, 3.0, np.nan])
    low, middle, high = (
        within(values, Eligibility("hsCRP", unit="mg/L", min=first, max=last))
        for first, last in ((None, 1.0), (1.0, 3.0), (3.0, None))
    )
    assert low.tolist() == [True, False, False, False, False]
    assert middle.tolist() == [False, True, True, False, False]
    assert high.tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_failed_step_is_one_course_and_each_starts_after_those_before(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge, engine = load_knowledge(), get_engine()
    diagnosis = knowledge.diagnosis("mdd")
    people = draw_patients(knowledge, latent_space(diagnosis), np.arange(4), seed=2, worlds=0)
    recorded = np.full(4, 22.0)
    people = baseline(people, knowledge, engine, score=("HAMD17", recorded))
    before: list[int] = []
    real = resistance.eased

    def spy(who: Any, courses: int, known: Any) -> Any:
        before.append(courses)
        return real(who, courses, known)

    simulated: list[str] = []

    class Counting:
        def simulate(self, problem: Any, **options: Any) -> Any:
            simulated.extend(problem.outputs)
            return engine.simulate(problem, **options)

    monkeypatch.setattr(resistance, "eased", spy)
    population = Population("mdd", {}, None, "", failed_steps=steps)
    model = assemble(("escitalopram",), knowledge)
    resistance.still_ill(
        people,
        recorded,
        population,
        knowledge.scales["HAMD17"],
        model,
        knowledge,
        Counting(),  # type: ignore[arg-type]
    )
    assert simulated == ["HAMD17"] * steps
    assert before == list(range(steps))


def test_who_enters_has_as_many_courses_behind_him_as_steps_that_failed(tmp_path: Path) -> None:
    """Natural recovery went on for eight weeks with each of them, neither more nor less."""
    path = tmp_path / "failed.toml"
    path.write_text(STUDY, encoding="utf-8")
    study, knowledge = read_study(path), load_knowledge()
    people = simulate(study, patients=6, seed=4).patients
    space = latent_space(knowledge.diagnosis("mdd"), study.population.distributions)
    raw = draw_patients(knowledge, space, people.index, seed=4, worlds=people.worlds, world=people.world)
    floor, rate = (np.asarray(raw.parameters[name]) for name in ("recovery_floor", "recovery_rate"))
    expected = floor / (floor + (1 - floor) * np.exp(-rate * 2 * 8 * 168))
    assert people.parameters["recovery_floor"] == pytest.approx(expected)
