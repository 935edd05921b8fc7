"""Models that are mangled, and ensembles with hostile numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from attack.mutants import Rng, mangled, outcome
from attack.registry import Tally, attack

SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="m"><listOfParameters>
<parameter id="A" value="1" constant="false"/><parameter id="B" value="0" constant="false"/>
<parameter id="k" value="0.5" constant="true"/></listOfParameters><listOfRules>
<rateRule variable="A"><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><minus/><apply><times/><ci>k</ci><ci>A</ci>
</apply></apply></math></rateRule>
<rateRule variable="B"><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>k</ci><ci>A</ci></apply></math>
</rateRule></listOfRules></model></sbml>"""


@attack("mutated-sbml", "SBML: bytes changed, formulas nested", count=5000)
def mutated_sbml(rng: Rng, count: int) -> Tally:
    from crosstalk.engine.sbml import read_sbml

    tally = Tally()
    for _ in tally.tries(count):
        if rng.random() < 0.1:
            n = int(rng.choice([10, 100, 140, 200, 400, 5_000, 60_000]))
            text = SBML.replace("<ci>A</ci>", "<apply><sin/>" * n + "<ci>A</ci>" + "</apply>" * n, 1)
        else:
            text = mangled(SBML.encode(), rng).decode("utf-8", "replace")

        def act(text: str = text) -> str:
            system = read_sbml(text)
            return "" if len(system.rates) == len(system.states) else "states without rates"

        outcome(tally, text[-200:-150], act)
    return tally


@attack("engine-batches", "ensembles with hostile parameters: nobody else changes", count=1000)
def engine_batches(rng: Rng, count: int) -> Tally:
    from crosstalk.engine import Event, Problem, get_engine

    tally, engine, times = Tally(), get_engine(jobs=1), np.arange(6.0)
    hostile = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, -500.0, 1e9, 0.0, -0.0)
    wrong: tuple[dict[str, Any], ...] = (
        {"times_h": np.array([1.0, 2.0])}, {"times_h": np.array([0.0, np.nan])}, {"times_h": np.array([0.0, 3.0, 2.0])},
        {"times_h": np.array([0.0, np.inf])}, {"times_h": np.array([])}, {"events": (Event(np.nan, "A", 1.0),)},
        {"events": (Event(1.0, "A", np.ones(3)),)}, {"parameters": {"k": np.ones(3)}}, {"n": -1}, {"outputs": ("Z",)},
        {"events": (Event(1.0, "Z", 1.0),)}, {"parameters": {"Z": np.ones(9)}}, {"initial": {"A": np.ones((9, 1))}},
    )  # fmt: skip
    for _ in tally.tries(count):
        k = rng.uniform(0.1, 2.0, 9)
        fine = Problem(SBML, 9, {"k": k}, times, ("A", "B"))

        def misuse(fine: Problem = fine) -> str:
            chosen = wrong[int(rng.integers(len(wrong)))]
            engine.simulate(replace(fine, **chosen))
            return f"{chosen} was taken"

        def poisoned(k: Any = k) -> str:
            at, bad = int(rng.integers(9)), k.copy()
            bad[at] = hostile[int(rng.integers(len(hostile)))]
            before = engine.simulate(Problem(SBML, 9, {"k": k}, times, ("A", "B")))
            after = engine.simulate(Problem(SBML, 9, {"k": bad}, times, ("A", "B")))
            others = np.arange(9) != at
            if not np.array_equal(before.values[others], after.values[others]):
                return f"k = {bad[at]} changed another patient"
            finite = bool(np.isfinite(after.values[at]).all())
            return "" if finite or at in after.failures else f"k = {bad[at]}: not finite, and no failure"

        outcome(tally, "ensemble", misuse if rng.random() < 0.3 else poisoned)
    return tally
