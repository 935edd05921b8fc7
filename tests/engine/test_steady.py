"""Roots by sparse factors in lanes, and the proof of stability that spares eigenvalues."""

from __future__ import annotations

from dataclasses import replace

import antimony
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosstalk.engine import Problem, Status
from crosstalk.engine.chunk import tables
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.fast import FastEngine
from crosstalk.engine.steady import _Root, growth, linearize, strong_blocks
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble


def sbml(text: str) -> str:
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(f"model m\n{text}\nend") >= 0, antimony.getLastError()
    return str(antimony.getSBMLString("m"))


N = 4
NAMES = "wxyz"


def linear() -> str:
    """``x' = A x`` with every entry of A a parameter."""
    rates = [f"{NAMES[i]}' = " + " + ".join(f"a{i}{j}*{NAMES[j]}" for j in range(N)) for i in range(N)]
    values = [f"a{i}{j} = {-1 if i == j else 0}" for i in range(N) for j in range(N)]
    return sbml("; ".join([*rates, *values, *(f"{s} = 0" for s in NAMES)]))


LINEAR = linear()
# rings of two states each, the second driven by the first, and a state in no ring
CASCADE = sbml(
    "a' = b - k*a; b' = -a - b; c' = a + d - c; d' = -c; e' = 1 + c - e;k = 1; a = 1; b = 1; c = 1; d = 1; e = 0"
)


def judged(matrices: np.ndarray) -> np.ndarray:
    """What the proof says of some matrices."""
    problem = Problem(LINEAR, len(matrices), {f"a{i}{j}": matrices[:, i, j] for i in range(N) for j in range(N)})
    system = compile_system(LINEAR)
    parameters, states = tables(problem, system)
    return _Root(system, parameters, {}, ()).surely_stable(states, np.arange(len(matrices)))


@given(
    hnp.arrays(np.float64, (8, N, N), elements=st.floats(-3, 3)),
    hnp.arrays(np.float64, (8,), elements=st.floats(-2, 6)),
)
def test_no_unstable_matrix_is_proved_stable(matrices: np.ndarray, damping: np.ndarray) -> None:
    matrices = matrices - damping[:, None, None] * np.eye(N)
    sure = judged(matrices)
    assert (np.linalg.eigvals(matrices[sure]).real < 1e-9).all()


def test_the_proof_holds_up_to_the_edge_of_stability() -> None:
    """Spirals, which no comparison of absolute values proves stable, with a growth on both sides of 0."""
    edge = np.array([-0.3, -1e-3, -1e-6, 1e-12, 1e-6, 1e-3, 0.3])
    matrices = np.tile(-np.eye(N), (len(edge), 1, 1))
    for (i, j), value in {(0, 1): 2.0, (1, 0): -2.0, (2, 0): 5.0}.items():
        matrices[:, i, j] = value
    matrices[:, 0, 0] = matrices[:, 1, 1] = edge
    sure = judged(matrices)
    assert not sure[edge > 0].any()
    assert sure[0]


def test_most_matrices_of_decaying_states_are_proved_stable() -> None:
    matrices = np.random.default_rng(1).normal(size=(500, N, N)) - 3 * np.eye(N)
    stable = np.linalg.eigvals(matrices).real.max(axis=1) < -0.5
    assert stable.sum() > 300
    assert judged(matrices)[stable].mean() > 0.9


def test_eigenvalues_are_those_of_the_strong_blocks() -> None:
    found = linearize(Problem(CASCADE, 3, {"k": np.array([1.0, -0.5, -2.0])}))
    blocks = strong_blocks(5, compile_system(CASCADE).pattern)
    assert sorted(len(b) for b in blocks) == [1, 2, 2]
    whole = np.linalg.eigvals(found.jacobian).real.max(axis=1)
    np.testing.assert_allclose(growth(found.jacobian, blocks), whole, atol=1e-12)


def test_a_state_without_decay_of_its_own_needs_careful_pivots() -> None:
    """``d' = -c``: the diagonal of the Jacobian holds a 0."""
    found = FastEngine().steady_state(Problem(CASCADE, 2, {"k": np.array([1.0, -2.0])}), warm=True)
    np.testing.assert_allclose(found.values[0], [0, 0, 0, 0, 1], atol=1e-10)
    # that root is refused, and from elsewhere the states run away
    assert found.failures[1].status is Status.NON_FINITE


def test_two_parameters_are_solved_together() -> None:
    text = sbml("x' = a - x; z' = b*x - z; x = 1; z = 1; a = 1; b = 1; u := x + z; v := x*z")
    found = FastEngine().steady_state(
        Problem(text, 2, {}), solve={"a": ("u", np.array([3.0, 5.0])), "b": ("v", np.array([2.0, 4.0]))}
    )
    assert found.ok.all()
    x, z = found.values.T
    np.testing.assert_allclose(x + z, [3.0, 5.0], rtol=1e-9)
    np.testing.assert_allclose(x * z, [2.0, 4.0], rtol=1e-9)


def test_a_root_does_not_depend_on_who_is_sought_beside_it() -> None:
    model = assemble((), load_knowledge())
    scale = np.random.default_rng(2).lognormal(0.0, 0.3, 21)
    problem = Problem(model.sbml, 21, {"BMI": 25.0 * scale})
    everyone = FastEngine().steady_state(problem)
    some = np.array([17, 3, 20])
    np.testing.assert_array_equal(FastEngine().steady_state(problem.take(some)).values, everyone.values[some])
    assert everyone.ok.sum() > 15


def test_patients_of_the_model_are_proved_stable_as_their_eigenvalues_say() -> None:
    model = assemble((), load_knowledge())
    problem = Problem(model.sbml, 16, {"BMI": np.linspace(19.0, 38.0, 16)})
    found = FastEngine().steady_state(problem)
    there = np.flatnonzero(found.ok)
    at = replace(problem, initial=found.initial()).take(there)
    system = compile_system(model.sbml)
    parameters, states = tables(at, system)
    sure = _Root(system, parameters, {}, ()).surely_stable(states, np.arange(at.n))
    assert sure.mean() > 0.9
    assert (np.linalg.eigvals(linearize(at).jacobian).real < 0).all()


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e-15])
@pytest.mark.parametrize("warm", [True, False])
def test_a_steady_state_does_not_depend_on_the_unit(unit: float, warm: bool) -> None:
    """From a state at 0 that moves, from one that rests until another moves, and from a guess."""
    text = sbml("a' = k*u - 0.1*a; b' = 2*a - b*b/u; c' = a - 3*c; k = 1; u = 1; a = 0; b = 0; c = 0; s := a/u + b/u")
    start = {"b": unit * np.array([1.0, 30.0, 0.5])}
    problem = Problem(text, 3, {"u": np.full(3, unit)}, initial=start)
    found = FastEngine().steady_state(problem, warm=warm)
    np.testing.assert_allclose(found.values / unit, np.tile([10.0, np.sqrt(20.0), 10 / 3], (3, 1)), rtol=1e-9)
    solved = FastEngine().steady_state(problem, warm=warm, solve={"k": ("b", unit * np.array([1.0, 2.0, 3.0]))})
    np.testing.assert_allclose(solved.solved["k"], np.array([1.0, 4.0, 9.0]) / 20, rtol=1e-9)


def test_a_difference_that_rounding_leaves_is_at_rest() -> None:
    """``d`` is 0 but for what is left of large flows, and no smaller rate can be asked of it."""
    text = sbml("a' = 0.3*k - 3*a; d' = 1e3*a - 100*k - d; k = 1; a = 1; d = 0")
    found = FastEngine().steady_state(Problem(text, 8, {"k": np.linspace(0.7, 1.3, 8)}), warm=True)
    assert found.ok.all()
    np.testing.assert_allclose(found.values[:, 1], 0.0, atol=1e-12)


def test_roots_follow_the_conditions_as_they_are_written() -> None:
    text = sbml("x = 3; y = 1; x' = piecewise(2 - x, x > 1, 0.5 - 2*x); y' = piecewise(x - y, y < 1.5, 3*x - 4*y + 2)")
    for warm in (True, False):
        found = FastEngine().steady_state(Problem(text, 2, {}, initial={"x": np.array([3.0, 0.3])}), warm=warm)
        np.testing.assert_allclose(found.values, [[2.0, 2.0], [0.25, 0.25]], rtol=1e-9)
        assert found.residual.max() < 1e-10


def test_stability_follows_the_conditions_as_they_are_written() -> None:
    """The same place is stable below 1 and unstable beyond."""
    text = sbml("x = 0; y = 0; c = 0; x' = piecewise(c - x, x < 1, x - c) + 0.1*(y - c); y' = x - y")
    level = np.array([0.5, 1.5])
    problem = Problem(text, 2, {"c": level}, initial={"x": level, "y": level})
    system = compile_system(text)
    assert system.address["factor_rates"] != system.address["factor"]
    parameters, states = tables(problem, system)
    root = _Root(system, parameters, {}, ())
    np.testing.assert_array_equal(root.surely_stable(states, np.arange(2)), [True, False])
    np.testing.assert_array_equal(root.newton(states, np.arange(2))[1], [True, False])
    assert root.reasons[1].status is Status.UNSTABLE
