"""A population of which no candidate has a baseline, or none is eligible, says so early."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Array, Failure, Problem, Status, SteadyStates
from crosstalk.engine.fast import FastEngine
from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.blocks import Blocks, simulate_to
from crosstalk.population.enrolment import FIRST, NOBODY
from crosstalk.population.run import simulate
from crosstalk.study.schema import read_study

STUDY = """[study]
id = "mine"
role = "design"
outputs = ["HAMD17"]
duration_weeks = 4
[population]
diagnosis = "mdd"
{population}
[[arm]]
id = "a"
"""


class NoBaseline(FastEngine):
    """An engine that finds no steady state, and counts whom it was asked of."""

    asked = 0

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        self.asked += problem.n
        found = super().steady_state(problem.take(range(1)), solve=None)  # type: ignore[arg-type]
        values = found.values.repeat(problem.n, axis=0)
        failures = {i: Failure(Status.NO_STEADY_STATE) for i in range(problem.n)}
        solved = {name: goal for name, (_, goal) in (solve or {}).items()}
        return SteadyStates(found.states, values, solved, values[:, 0], failures)


def plan(folder: Path, population: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(STUDY.format(population=population))
    return path


def test_no_baseline_is_told_after_the_first_thousand(tmp_path: Path) -> None:
    engine = NoBaseline(jobs=1)
    study = read_study(plan(tmp_path, ""))
    with pytest.raises(PopulationError, match=r"1000 of 1000 candidates have no baseline \(1000: no steady state"):
        simulate(study, patients=3000, engine=engine)
    assert engine.asked == FIRST


def test_no_baseline_is_told_after_the_first_thousand_of_a_block(tmp_path: Path) -> None:
    study = read_study(plan(tmp_path, ""))
    blocks = Blocks.of(study, load_knowledge(), seed=1, worlds=0, true_daily=False, circadian=False)
    with pytest.raises(PopulationError, match=r"1000 of 1000 candidates have no baseline \(1000: no steady state"):
        simulate_to(tmp_path / "out", blocks, 10, engine=NoBaseline(jobs=1))


def test_nobody_eligible_is_told_long_before_the_limit(tmp_path: Path) -> None:
    population = 'eligible = [{ analyte = "hsCRP", min = 590, unit = "mg/L" }]'
    with pytest.raises(PopulationError, match=r"0 of 100 patients enrolled after (\d+) candidates") as caught:
        simulate(read_study(plan(tmp_path, population)), patients=100, engine=get_engine(jobs=1))
    assert int(str(caught.value).split("after ")[1].split()[0]) < NOBODY + 200
