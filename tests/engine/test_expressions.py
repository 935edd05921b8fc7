"""The expression graph against plain arithmetic and finite differences; the planned factorisation against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crosstalk.engine.expressions import PATIENT, STATE, Graph
from crosstalk.engine.factorization import plan_factorization

POINT = {"x": 0.7, "y": 1.3, "p": 0.4}
numbers = st.floats(-3, 3).map(lambda v: round(v, 2))


def formulas() -> st.SearchStrategy[tuple[object, ...]]:
    leaves = st.one_of(st.sampled_from([("x",), ("y",), ("p",)]), numbers.map(lambda v: (v,)))
    unary = ["neg", "recip", "exp", "sin", "tanh", "atan", "sqrt", "log", "cube"]
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["add", "sub", "mul", "div", "min"]), inner, inner),
            st.tuples(st.sampled_from(unary), inner),
        ),
        max_leaves=8,
    )


def build(graph: Graph, formula: tuple[object, ...]) -> int:
    head, *rest = formula
    if not rest:
        if isinstance(head, float):
            return graph.const(head)
        return graph.symbol(str(head), PATIENT if head == "p" else STATE)
    x = [build(graph, r) for r in rest]  # type: ignore[arg-type]
    if head == "min":
        return graph.select(graph.compare("lt", x[0], x[1]), x[0], x[1])
    if head == "cube":
        return graph.power(x[0], graph.const(3.0))
    if head in ("neg", "recip"):
        return int(getattr(graph, str(head))(x[0]))
    if len(x) == 1:
        return graph.call(str(head), x[0])
    return int(getattr(graph, str(head))(*x))


def plain(formula: tuple[object, ...], at: dict[str, float]) -> float:
    head, *rest = formula
    if not rest:
        return head if isinstance(head, float) else at[str(head)]
    x = [plain(r, at) for r in rest]  # type: ignore[arg-type]
    table = {
        "neg": lambda: -x[0], "recip": lambda: 1 / x[0], "cube": lambda: x[0] ** 3, "add": lambda: x[0] + x[1],
        "sub": lambda: x[0] - x[1], "mul": lambda: x[0] * x[1], "div": lambda: x[0] / x[1], "min": lambda: min(x),
    }  # fmt: skip
    return float(table[str(head)]() if head in table else getattr(math, str(head))(x[0]))


def usable(formula: tuple[object, ...], at: dict[str, float]) -> float:
    try:
        value = plain(formula, at)
    except (ValueError, ZeroDivisionError, OverflowError):
        assume(False)
    assume(math.isfinite(value) and abs(value) < 1e6)
    return value


@given(formulas())
def test_it_computes_what_is_written(formula: tuple[object, ...]) -> None:
    wanted = usable(formula, POINT)
    graph = Graph()
    node = build(graph, formula)
    assert graph.evaluate([node], POINT)[0] == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(formulas())
def test_derivatives_agree_with_finite_differences(formula: tuple[object, ...]) -> None:
    graph = Graph()
    node = build(graph, formula)
    (row,) = graph.derivatives([node], ["x", "y"])
    for name in ("x", "y"):
        slopes = []
        for h in (1e-5, 5e-6):
            up, down = (usable(formula, {**POINT, name: POINT[name] + s * h}) for s in (1, -1))
            slopes.append((up - down) / (2 * h))
        # a kink or a steep place makes the difference itself unreliable
        assume(abs(slopes[0] - slopes[1]) < 1e-4 * max(1.0, abs(slopes[0])) and abs(slopes[0]) < 1e4)
        exact = graph.evaluate([row[name]], POINT)[0] if name in row else 0.0
        assert exact == pytest.approx(slopes[1], rel=1e-3, abs=1e-3)


def test_equal_expressions_are_one_node_and_patient_constants_gather() -> None:
    graph = Graph()
    x, p, q = graph.symbol("x", STATE), graph.symbol("p", PATIENT), graph.symbol("q", PATIENT)
    assert graph.mul(x, p) == graph.mul(p, x)
    assert graph.mul(p, graph.mul(q, x)) == graph.mul(graph.mul(p, q), x)
    assert graph.div(graph.mul(p, x), q) == graph.mul(graph.div(p, q), x)
    assert graph.add(x, graph.neg(x)) == graph.zero
    assert graph.level[graph.mul(p, q)] == PATIENT


@given(st.integers(2, 12), st.integers(0, 10_000))
def test_the_planned_factorisation_solves_sparse_systems(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pattern = [(i, j) for i in range(n) for j in range(n) if i != j and rng.random() < 0.25]
    matrix = np.diag(rng.uniform(2.0, 4.0, n))
    for i, j in pattern:
        matrix[i, j] = rng.uniform(-0.3, 0.3)
    plan = plan_factorization(n, pattern)
    assert sorted(plan.order) == list(range(n))
    a, b = matrix.copy(), rng.standard_normal(n)
    solution = b.copy()
    for k, below, right in zip(plan.order, plan.below, plan.right, strict=True):
        for i in below:
            factor = a[i, k] / a[k, k]
            solution[i] -= factor * solution[k]
            for j in right:
                assert (i, j) in plan.entries
                a[i, j] -= factor * a[k, j]
    for k, right in zip(plan.order[::-1], plan.right[::-1], strict=True):
        solution[k] = (solution[k] - sum(a[k, j] * solution[j] for j in right)) / a[k, k]
    np.testing.assert_allclose(matrix @ solution, b, atol=1e-9)
