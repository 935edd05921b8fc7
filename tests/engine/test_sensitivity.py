"""Derivatives against closed forms and against tight differences with the reference engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from crosstalk.engine import Event, Problem, Status
from crosstalk.engine.fast import FastEngine
from crosstalk.errors import ModelError

from .test_engines import sbml

DECAY = sbml("x' = -k*x + b; x = 2; k = 0.5; b = 0.3; y := x*x")
TIMES = np.array([0.0, 0.5, 1.0, 3.0])


def test_a_linear_problem_has_its_closed_form() -> None:
    k, b = np.array([0.2, 0.5, 1.3]), 0.3
    found = FastEngine().sensitivities(Problem(DECAY, 3, {"k": k}, TIMES, ("x", "y")), ["k", "b"], rtol=1e-9)
    decay, rest = np.exp(-k[:, None] * TIMES), (2 - b / k)[:, None]
    x = b / k[:, None] + rest * decay
    by_k = -b / k[:, None] ** 2 * (1 - decay) - rest * TIMES * decay
    by_b = (1 - decay) / k[:, None]
    np.testing.assert_allclose(found.derivatives[:, 0, 0], by_k, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.derivatives[:, 1, 0], by_b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.derivatives[:, 0, 1], 2 * x * by_k, rtol=1e-4, atol=1e-6)
    assert found.derivatives.shape == (3, 2, 2, 4)


def test_from_the_steady_state_the_start_moves_too() -> None:
    problem = Problem(DECAY, 1, {}, TIMES, ("x",))
    found = FastEngine().sensitivities(problem, ["k", "b"], from_steady_state=True)
    np.testing.assert_allclose(found.derivatives[0, 0, 0], -0.3 / 0.25, rtol=1e-5)
    np.testing.assert_allclose(found.derivatives[0, 1, 0], 2.0, rtol=1e-6)


def test_the_shipped_model_within_a_thousandth(shipped_problem: Callable[[int], Problem]) -> None:
    """Against differences of courses at a tolerance of 1e-12, which need no shared steps."""
    names = ("k_CIC", "E_CIC_MIC", "gate_SSRI", "k_return", "xopt", "infliximab_CL", "stress")
    problem = replace(shipped_problem(6), outputs=("CRP", "PL", "NV", "MOOD", "TNF"))
    engine = FastEngine(jobs=2)
    found = engine.sensitivities(problem, names, rtol=1e-6)
    assert not found.failures
    from crosstalk.engine.compiled import compile_system

    defaults = compile_system(problem.sbml).parameters
    for k, name in enumerate(names):
        value = np.asarray(problem.parameters.get(name, np.full(6, defaults[name])))
        h = 1e-3 * value
        ends = [
            engine.simulate(replace(problem, parameters={**problem.parameters, name: value + s * h}), rtol=1e-12).values
            for s in (1, -1)
        ]
        exact = (ends[0] - ends[1]) / (2 * h)[:, None, None]
        scale = np.abs(exact).max(axis=(0, 2), keepdims=True)
        # a smaller change, relative to output and parameter, is rounding of the differences
        least = 1e-8 * np.abs(ends).max(axis=(0, 1, 3))[None, :, None] / np.abs(value)[:, None, None]
        error = np.abs(found.derivatives[:, k] - exact) / np.maximum(scale, least)
        assert error.max() < 1e-3, (name, error.max())


def test_doses_parameters_of_time_zero_and_chunks() -> None:
    problem = Problem(DECAY, 70, {"k": np.linspace(0.1, 2, 70)}, TIMES, ("x",), events=(Event(0.7, "x", 1.0),))
    one = FastEngine(jobs=1).sensitivities(problem, ["k"])
    many = FastEngine(jobs=3).sensitivities(problem, ["k"])
    assert one.derivatives.tobytes() == many.derivatives.tobytes()


def test_a_failed_patient_is_named_and_changes_no_other() -> None:
    k = np.array([0.3, np.nan, 0.7])
    problem = Problem(DECAY, 3, {"k": k}, TIMES, ("x",))
    found = FastEngine().sensitivities(problem, ["k", "b"])
    clean = FastEngine().sensitivities(problem.take(np.array([0, 2])), ["k", "b"])
    assert found.failures[1].status is Status.INVALID_INPUT
    assert np.isnan(found.derivatives[1]).all()
    assert found.derivatives[[0, 2]].tobytes() == clean.derivatives.tobytes()


def test_unknown_names_are_explained() -> None:
    with pytest.raises(ModelError, match="'nothing'"):
        FastEngine().sensitivities(Problem(DECAY, 1, {}, TIMES, ("x",)), ["nothing"])
