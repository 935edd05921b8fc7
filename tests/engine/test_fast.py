"""The fast engine on the shipped model: accuracy, order, determinism, poisoned patients, kept machine code."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import Problem, Status, get_engine
from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.document import Unsupported
from crosstalk.engine.driver import take_step
from crosstalk.engine.fast import FastEngine
from crosstalk.engine.rodas import RODAS5, RODAS5P, Rosenbrock
from crosstalk.engine.slots import Sizes, StepKernel
from crosstalk.engine.steady import linearize
from crosstalk.errors import ModelError
from crosstalk.provenance import cache_folder

from .test_engines import sbml

Make = Callable[[int], Problem]
Array = NDArray[np.float64]


def gap(found: Array, wanted: Array) -> Array:
    """Relative difference; values are scaled near 1."""
    return np.asarray(np.abs(found - wanted) / np.maximum(np.abs(wanted), 1e-3))


def agrees_with_the_reference(problem: Problem) -> None:
    fast = get_engine("fast").simulate(problem, rtol=1e-6, strict=True)
    reference = get_engine("reference", jobs=2)
    try:
        wanted = reference.simulate(problem, rtol=1e-8, strict=True)
    finally:
        reference.close()
    assert gap(fast.values, wanted.values).max() < 1e-4


def test_it_agrees_with_the_reference_engine(shipped_problem: Make) -> None:
    agrees_with_the_reference(shipped_problem(64))


@pytest.mark.slow
def test_it_agrees_with_the_reference_engine_in_2048_patients(shipped_problem: Make) -> None:
    agrees_with_the_reference(shipped_problem(2048))


def test_a_tighter_tolerance_is_never_worse(shipped_problem: Make) -> None:
    problem = shipped_problem(32)
    exact = get_engine().simulate(problem, rtol=1e-11).values
    errors = [gap(get_engine().simulate(problem, rtol=r).values, exact).max() for r in (1e-2, 1e-4, 1e-6, 1e-8)]
    assert all(b < a for a, b in pairwise(errors)), errors
    assert errors[2] < 1e-5


@pytest.mark.parametrize("method", [RODAS5P, RODAS5], ids=lambda m: m.name)
def test_the_order_of_convergence_is_five(method: Rosenbrock) -> None:
    """One step of a nonlinear problem with a known solution: the local error falls with the sixth power of the step."""
    system = compile_system(sbml("x' = k*x*x; x = 1; k = -1; z' = x - z; z = 0.5"), method)
    errors = []
    for h in (0.1, 0.05, 0.025):
        errors.append(abs(one_step(system, h)[0] - 1 / (1 + h)))
    rates = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert rates[-1] > 5.5, (errors, rates)


def one_step(system: CompiledSystem, h: float) -> Array:
    """States after one step of the kernel, whatever its error."""
    kernel = StepKernel(*(system.address[name] for name in StepKernel._fields))
    sizes = Sizes(system.width, system.n_hoisted, system.n_work, len(system.variables), 0, -1, False, False)
    parameters = np.array(list(system.parameters.values()))
    return np.asarray(take_step(kernel, parameters, np.array(system.initial), h, sizes))


def test_output_inside_a_step_is_as_accurate_as_the_step(shipped_problem: Make) -> None:
    """Daily output changes no step, and its values agree with those of runs that end there."""
    problem = replace(shipped_problem(8), times_h=24.0 * np.arange(29.0))
    daily = get_engine().simulate(problem, rtol=1e-6).values
    for day in (1, 5, 20):
        ends = get_engine().simulate(replace(problem, times_h=np.array([0.0, 24.0 * day])), rtol=1e-10).values
        assert gap(daily[:, :, day], ends[:, :, 1]).max() < 1e-4


def test_chunks_threads_processes_and_neighbours_change_no_bit(shipped_problem: Make) -> None:
    problem = shipped_problem(150)
    wanted = get_engine().simulate(problem).values.tobytes()
    assert get_engine(jobs=3).simulate(problem).values.tobytes() == wanted
    with ThreadPoolExecutor(2) as threads:
        assert FastEngine(jobs=5, executor=threads).simulate(problem).values.tobytes() == wanted
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert FastEngine(jobs=2, executor=processes).simulate(problem).values.tobytes() == wanted
    order = np.random.default_rng(1).permutation(150)
    mixed = get_engine().simulate(problem.take(order)).values
    assert mixed[np.argsort(order)].tobytes() == wanted


@pytest.mark.parametrize("seed", range(3))
def test_poisoned_patients_fail_alone_and_with_a_reason(shipped_problem: Make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = shipped_problem(100)
    wide = {k: v * 10 ** rng.uniform(-0.5, 0.5, len(v)) for k, v in problem.parameters.items() if k not in ("kat",)}
    clean = replace(problem, parameters={**problem.parameters, **wide})
    expected = get_engine().simulate(clean)
    bad = rng.choice(100, 4, replace=False)
    names = list(wide)
    poisoned = {k: v.copy() for k, v in clean.parameters.items()}
    for i, value in zip(bad, (np.nan, np.inf, 1e300, -1e300), strict=True):
        poisoned[names[rng.integers(len(names))]][i] = value
    found = get_engine().simulate(replace(clean, parameters=poisoned))
    others = np.setdiff1d(np.arange(100), bad)
    assert found.values[others].tobytes() == expected.values[others].tobytes()
    for i in bad[:2]:
        assert found.failures[int(i)].status is Status.INVALID_INPUT
        assert found.failures[int(i)].state in names
    for i, failure in found.failures.items():
        assert failure.status is not Status.OK
        # one who fails in the very last step has lived up to the last output
        ended = not failure.time_h < problem.times_h[-1]
        assert np.isnan(found.values[i, :, -1]).all() or ended, i


def test_the_exact_jacobian_is_the_derivative_of_the_rates(shipped_problem: Make) -> None:
    problem = replace(shipped_problem(3), outputs=())
    here = linearize(problem)
    for j, state in enumerate(here.states):
        h = 1e-6 * max(1e-2, float(np.abs(here.values[:, j]).max()))
        values = {s: here.values[:, k].copy() for k, s in enumerate(here.states)}
        up = linearize(replace(problem, initial={**values, state: values[state] + h})).rates
        down = linearize(replace(problem, initial={**values, state: values[state] - h})).rates
        assert (up - down) / (2 * h) == pytest.approx(here.jacobian[:, :, j], rel=1e-4, abs=1e-5), state


def test_kept_machine_code_is_never_trusted_blindly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path))
    text = sbml("x' = -k*x; x = 1; k = 0.25")
    problem = Problem(text, 1, {}, np.array([0.0, 4.0]), ("x",))
    compile_system.cache_clear()
    wanted = get_engine().simulate(problem).values
    (kept,) = cache_folder().glob("kernel-*.bin")
    original = kept.read_bytes()
    for damage in (
        b"",
        b"nonsense",
        original[:-7],
        original.replace(b'"x"', b'"z"', 1),
        original[:200] + b"\0" + original[201:],
    ):
        kept.write_bytes(damage)
        compile_system.cache_clear()
        assert get_engine().simulate(problem).values.tobytes() == wanted.tobytes()
        assert kept.read_bytes() == original
    compile_system.cache_clear()


def test_an_unwritable_cache_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("CROSSTALK_CACHE", str(blocked / "cache"))
    problem = Problem(sbml("x' = -k*x; x = 1; k = 0.125"), 1, {}, np.array([0.0, 8.0]), ("x",))
    assert get_engine().simulate(problem)["x"][0, 1] == pytest.approx(np.exp(-1), rel=1e-5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("x' = -x; x = 1; at (x == 0.5): x = 2", "equality of quantities that move"),
        ("x' = -x*factorial(n); x = 1; n = 3", "factorial"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(body: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        compile_system(sbml(body))


def test_text_that_is_no_sbml_is_refused() -> None:
    with pytest.raises(ModelError, match="no valid SBML"):
        get_engine().simulate(Problem("<sbml>", 1, {}, np.array([0.0, 1.0]), ("x",)))


def test_species_reactions_and_events_of_a_model() -> None:
    text = sbml("""
      compartment c = 2; species A in c, B in c; A = 3; B = 0
      J: A -> B; c*k*A; k = 0.5
      at (time >= 2): A = 5
    """)
    times = np.array([0.0, 1.0, 2.0, 3.0])
    found = get_engine().simulate(Problem(text, 1, {}, times, ("A", "B")), rtol=1e-9)
    after = 5 * np.exp(-0.5)
    np.testing.assert_allclose(found["A"][0], [3, 3 * np.exp(-0.5), 5, after], rtol=1e-7)
    np.testing.assert_allclose(found["B"][0][3], 3 - 3 * np.exp(-1) + 5 - after, rtol=1e-7)


def test_no_rounding_is_left_in_a_steady_state_and_one_run_is_enough(
    shipped_problem: Callable[[int], Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosstalk.engine.chunk import Run

    problem = shipped_problem(16)
    for name, column in problem.initial.items():
        # endotoxin and what it alone drives are 0, not the rounding of a linear solution
        assert not ((column != 0) & (np.abs(column) < 1e-12)).any(), name

    def refuse(*_: object) -> None:
        raise AssertionError("integrated twice")

    monkeypatch.setattr(Run, "repeat", refuse)
    assert FastEngine(jobs=1).simulate(problem).ok.all()


def test_a_steady_state_that_is_truly_small_is_kept() -> None:
    text = sbml("x = 0; y = 0; z = 0; x' = 1e-20 - x; y' = 100 - y; z' = 50*x - z")
    found = FastEngine(jobs=1).steady_state(Problem(text, 1, {}), warm=True)
    np.testing.assert_allclose(found.values[0], [1e-20, 100.0, 5e-19], rtol=1e-9)
