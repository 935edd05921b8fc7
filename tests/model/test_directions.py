"""Every coupling of the mechanism has the sign that biology gives it, and none is there that nobody has judged.

``directions.tsv`` lists, for each state, drug slot and personal parameter that is raised by half, which rates of change
rise (+) and which fall (-), and which of the scores and scales that are read off the states, in health and two hours
into a challenge with endotoxin, under an antidepressant. It was judged row by row against the references of the
modules: glucocorticoids, IL-10 and regulatory T cells restrain monocytes and cytokines; TNF, IL-6 and leptin drive
them; immune activity in the brain lowers serotonin and dopamine and raises symptoms; plasticity lowers low mood.
``challenge`` rows are those that health does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.ensemble import Event, Problem
from crosstalk.engine.steady import linearize
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble

Array = NDArray[np.float64]
Signs = dict[tuple[str, str], str]

TABLE = Path(__file__).parent / "directions.tsv"
SMALL = 1e-9  # of a rate of change, relative to the size of the state [1/h]; of a score, relative to its size


def raised(base: Mapping[str, float], constants: Mapping[str, float]) -> Signs:
    """Signs of the rates of change when one quantity at a time is raised by half, or from zero to a fifth."""
    knowledge, model = load_knowledge(), assemble(())
    personal = [p.id for p in knowledge.parameters.values() if p.role == "individual"]
    inputs = {name: constants[name] for name in [*knowledge.slots, *personal] if name in constants}
    names = [*base, *inputs]
    n = len(names) + 1  # the last is not disturbed
    table = {name: np.full(n, value) for name, value in {**base, **constants}.items()}
    for row, name in enumerate(names):
        table[name][row] = table[name][row] * 1.5 if table[name][row] else 0.2
    states = {name: table[name] for name in base}
    parameters = {name: table[name] for name in constants}
    read = ("MOOD", "cortisol", "KTR", *knowledge.scales, *(score.output for score in knowledge.scores.values()))
    point = linearize(Problem(model.sbml, n, parameters, np.array([0.0, 1.0]), read, states))
    values = np.column_stack([point.rates, *(point.outputs[name] for name in read)])
    size = np.maximum(np.abs([*base.values(), *values[-1, len(base) :]]), 1e-3)
    moved = (values[:-1] - values[-1]) / size
    return {
        (name, target): "+" if moved[row, column] > 0 else "-"
        for row, name in enumerate(names)
        for column, target in enumerate([*base, *read])
        if target != name and abs(moved[row, column]) > SMALL
    }


@cache
def found(where: str) -> Signs:
    system = compile_system(assemble(()).sbml)
    constants, base = dict(system.parameters), dict(zip(system.states, map(float, system.initial), strict=True))
    if where == "challenge":
        constants |= {"enrolled": 1.0, "sert_block": 0.3}
        times = np.array([0.0, 2.0])
        given = {name: np.array([value]) for name, value in constants.items()}
        problem = Problem(assemble(()).sbml, 1, given, times, system.states, {}, (Event(0.0, "LPS", 2.0),))
        courses = get_engine().simulate(problem, rtol=1e-8, strict=True)
        base = {name: float(courses[name][0, -1]) for name in system.states}
    return raised(base, constants)


def expected() -> dict[str, Signs]:
    table: dict[str, Signs] = {"health": {}, "challenge": {}}
    for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        where, source, target, sign = line.split("\t")
        table[where][source, target] = sign
    return table


@pytest.mark.parametrize("where", ["health", "challenge"])
def test_every_coupling_has_its_sign(where: str) -> None:
    wanted, got = expected()[where], found(where)
    if where == "challenge":
        got = {pair: sign for pair, sign in got.items() if pair not in expected()["health"]}
    wrong = {
        pair: f"{got.get(pair, 'none')}, expected {sign}" for pair, sign in wanted.items() if got.get(pair) != sign
    }
    assert wrong == {}
    assert set(got) - set(wanted) == set(), "new couplings: judge their signs and add them to directions.tsv"


def test_the_table_speaks_of_every_state_that_another_moves() -> None:
    moved = {target for table in expected().values() for _, target in table}
    assert set(assemble(()).states) - moved == {"LPS"}  # a dose alone moves it
