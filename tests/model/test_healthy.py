"""The healthy adult: exact steady state, stable, and the only one that perturbations lead back to."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.engine.reference import SETTLING_H, compile_model
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble

MODEL = assemble()


def test_the_healthy_adult_is_an_exact_steady_state() -> None:
    compiled = compile_model(MODEL.sbml)
    compiled.start({})
    relative = np.abs(compiled.rates()) / np.maximum(np.abs(compiled.vector), 1e-9)
    assert relative.max() < 1e-10, MODEL.states[int(relative.argmax())]


def test_it_stays_exact_whatever_the_gains() -> None:
    rng = np.random.default_rng(1)
    gains = [
        p for p in load_knowledge().parameters.values() if p.id.startswith(("E_", "K_", "w_")) and p.role != "fixed"
    ]
    compiled = compile_model(MODEL.sbml)
    for _ in range(20):
        compiled.start({p.id: p.value * rng.uniform(0.7, 1.2) for p in gains})
        relative = np.abs(compiled.rates()) / np.maximum(np.abs(compiled.vector), 1e-9)
        assert relative.max() < 1e-10, MODEL.states[int(relative.argmax())]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_it_returns_from_half_and_from_twice_every_state(factor: float) -> None:
    compiled = compile_model(MODEL.sbml)
    compiled.start({})
    healthy = compiled.vector
    starts = np.tile(healthy, (len(healthy), 1))
    for j in range(len(healthy)):
        starts[j, j] = healthy[j] * factor if healthy[j] else factor
    problem = Problem(
        MODEL.sbml, len(starts), {}, np.array([0.0, SETTLING_H]), MODEL.states,
        {s: starts[:, j] for j, s in enumerate(MODEL.states)}, nonnegative=MODEL.states,
    )  # fmt: skip
    result = get_engine().simulate(problem, rtol=1e-8)
    assert result.ok.all(), {MODEL.states[i]: str(f) for i, f in result.failures.items()}
    gap = np.abs(result.values[:, :, -1] - healthy) / np.maximum(np.abs(healthy), 1e-3)
    assert gap.max() < 1e-4


def test_adiposity_slopes_lie_in_the_published_intervals() -> None:
    """Mendelian randomisation per kg/m2, 10.1016/j.ajhg.2013.12.014: IL-6 4.0 to 10.1 %, insulin 5.9 to 11.1 %."""
    bmi = np.array([24.0, 34.0])
    steady = get_engine().steady_state(Problem(MODEL.sbml, 2, {"BMI": bmi}))
    states = dict(zip(steady.states, steady.values.T, strict=True))
    slope = {k: 100 * (np.exp(np.log(states[k][1] / states[k][0]) / 10) - 1) for k in ("IL6", "CRP", "IR")}
    assert 4.0 < slope["IL6"] < 10.1
    assert 5.9 < slope["IR"] < 11.1
    # the sketch's CRP rose by 16.5 %; about 9 % is wanted
    assert 7.0 < slope["CRP"] < 12.0
