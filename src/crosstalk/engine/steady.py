"""Steady states through the vector kernel: long integration, damped Newton with the exact Jacobian, eigenvalue check.

A parameter may be solved for together with the state, so that an output takes a wanted value. A root that is negative,
unstable or not accurate is a status, never a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.chunk import STATE_FLOOR, invalid_patients, settle, tables
from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.ensemble import Array, Failure, Problem, Status, SteadyStates
from crosstalk.engine.slots import RootKernel, RootSizes
from crosstalk.engine.timetable import place_of
from crosstalk.errors import ModelError

__all__ = ["Linearization", "SteadyChunk", "join_steady_states", "linearize", "steady_chunk"]

# 20 years: a hundred times the slowest mode of a model that settles within months
SETTLING_H = 20 * 365.25 * 24
SETTLING_RTOL = 1e-3  # Newton finishes what this begins
RESIDUAL_LIMIT = 1e-10  # largest relative rate of change at a steady state [1/h]
NEWTON_STEPS = 40
APPROACH = tuple(np.linspace(0.1, 1.0, 10))  # shares of the way to targets that are far away
NEGATIVE_TOLERANCE = 1e-6
GROWTH_LIMIT = 1e-9  # largest real part of an eigenvalue that counts as stable [1/h]


@dataclass(frozen=True)
class SteadyChunk:
    """A part of the patients with what is to be solved for; can be sent to another process."""

    problem: Problem
    solve: Mapping[str, tuple[str, Array]]
    warm: bool


@dataclass(frozen=True)
class Linearization:
    """Rates of change and their Jacobian at given states.

    Attributes
    ----------
    states : tuple of str
    values : array, shape (n_patients, n_states)
    rates : array, shape (n_patients, n_states) [1/h times the state's unit]
    jacobian : array, shape (n_patients, n_states, n_states)
    outputs : mapping of str to array, shape (n_patients,)
    """

    states: tuple[str, ...]
    values: Array
    rates: Array
    jacobian: Array
    outputs: Mapping[str, Array]


def linearize(problem: Problem) -> Linearization:
    """Rates, exact Jacobian and outputs of a problem at its initial states.

    Raises
    ------
    ModelError
        On an unknown parameter, state or output.
    """
    system = compile_system(problem.sbml)
    parameters, states = tables(problem, system)
    root, everyone = _Root(system, parameters, {}, ()), np.arange(problem.n)
    rates, variables, _ = root.evaluate(states, everyone, variables=True)
    jacobian = root.jacobian(states, everyone)
    sources = {o: place_of(o, system) for o in problem.outputs}
    outputs = {o: (states, variables, parameters)[table][:, k].copy() for o, (table, k) in sources.items()}
    return Linearization(system.states, states, rates, jacobian, outputs)


def steady_chunk(chunk: SteadyChunk) -> SteadyStates:
    """Steady states of the patients of one chunk, in this thread."""
    problem = chunk.problem
    system = compile_system(problem.sbml)
    parameters, start = tables(problem, system)
    failures = invalid_patients(problem)
    for i in failures:
        # a harmless stand-in, so that the others can be computed together
        parameters[i], start[i] = list(system.parameters.values()), system.initial
    root = _Root(system, parameters, chunk.solve, problem.nonnegative)
    states = start.copy()
    found = np.zeros(problem.n, dtype=np.bool_)
    if chunk.warm:
        states, found = root.newton(start, np.arange(problem.n))
    rest = np.flatnonzero(~found)
    if len(rest):
        root.parameters[rest] = parameters[rest]
        settled, root.size[rest], lost = settle(system, parameters[rest], start[rest], SETTLING_H, SETTLING_RTOL)
        for k, failure in lost.items():
            failures.setdefault(int(rest[k]), failure)
        there = np.setdiff1d(np.arange(len(rest)), list(lost))
        states[rest[there]], found[rest[there]] = root.newton(settled[there], rest[there])
    if chunk.solve and len(lost_way := np.flatnonzero(~found)):
        states[lost_way], found[lost_way] = root.approach(start[lost_way], parameters[lost_way], lost_way)
    for j in np.flatnonzero(~found):
        failures.setdefault(int(j), root.reasons.get(int(j), Failure(Status.NO_STEADY_STATE)))
    gone = sorted(failures)
    residual = root.residual.copy()
    states[gone], residual[gone] = np.nan, np.nan
    solved = {name: root.parameters[:, root.place[name]].copy() for name in chunk.solve}
    for column in solved.values():
        column[gone] = np.nan
    return SteadyStates(system.states, states, solved, residual, failures)


class _Root:
    """Newton's method on many patients at once; solved parameters are positive and move on the log scale."""

    def __init__(
        self,
        system: CompiledSystem,
        parameters: Array,
        solve: Mapping[str, tuple[str, Array]],
        nonnegative: tuple[str, ...],
    ) -> None:
        self.system, self.parameters = system, parameters.copy()
        self.names = tuple(solve)
        self.place = {name: j for j, name in enumerate(system.parameters)}
        for name in self.names:
            if name not in self.place:
                raise ModelError(f"the model has no parameter '{name}' to solve for")
        self.outputs = [place_of(output, system) for output, _ in solve.values()]
        self.wanted = np.stack([np.asarray(v, dtype=np.float64) for _, v in solve.values()], axis=1) if solve else None
        self.nonnegative = np.isin(np.array(system.states), list(nonnegative))
        self.residual = np.full(len(parameters), np.nan)
        self.size = np.zeros((len(parameters), len(system.states)))  # largest magnitudes so far
        self.reasons: dict[int, Failure] = {}
        names = ("hoist", "rates", "outputs", "jacobian", "factor_rates", "solve")
        self.kernel = RootKernel(*(system.address[name] for name in names))
        self.sizes = RootSizes(
            system.width, system.n_hoisted, len(system.pattern), len(system.variables), len(system.switches),
            system.n_work,
        )  # fmt: skip
        self.pattern = np.array(system.pattern, dtype=np.int64).reshape(-1, 2)
        self.blocks = strong_blocks(len(system.states), system.pattern)
        self.labels = np.empty(len(system.states), dtype=np.int64)
        for k, block in enumerate(self.blocks):
            self.labels[block] = k

    def newton(self, start: Array, patients: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
        """Solve from a start for some patients; returns their states and which of them are steady states."""
        states = start.copy()
        self.improve(states, patients, RESIDUAL_LIMIT * 1e-2, NEWTON_STEPS)
        self.clear_rounding(states, start, patients)
        norm = self.improve(states, patients, np.inf, 0)
        self.residual[patients] = norm
        return states, self.accept(states, norm, patients)

    def improve(self, states: Array, patients: NDArray[np.intp], limit: float, steps: int) -> Array:
        """Newton steps until nothing changes; replaces states and solved parameters and returns the norms left."""
        from crosstalk.engine.newton import find_roots

        parameters, size = self.parameters[patients], self.size[patients]
        wanted = np.empty((len(states), 0)) if self.wanted is None else self.wanted[patients]
        columns = np.array([self.place[name] for name in self.names], dtype=np.int64)
        sources = np.array(self.outputs[: len(self.names)], dtype=np.int64).reshape(-1, 2)
        norm: Array = find_roots(
            self.kernel, self.pattern, self.sizes, columns, sources, wanted, parameters, states, size, STATE_FLOOR,
            limit, steps,
        )  # fmt: skip
        self.parameters[patients], self.size[patients] = parameters, size
        return norm

    def clear_rounding(self, states: Array, start: Array, patients: NDArray[np.intp]) -> None:
        """Put states back to 0 that began there and that only the rounding of a linear solution moved.

        They would decay through all magnitudes in every simulation that starts here. A state that is truly as small
        has a rate at 0, and is kept.
        """
        moved = (start == 0.0) & (states != 0.0)
        moved &= np.abs(states) < np.finfo(np.float64).eps * np.abs(states).max(axis=1, keepdims=True)
        at = np.flatnonzero(moved.any(axis=1))
        if not len(at):
            return
        zero, rates = moved[at], self.evaluate(states[at], patients[at])[0]
        while True:
            cleared = np.where(zero, 0.0, states[at])
            kept = zero & (np.abs(self.evaluate(cleared, patients[at])[0]) > np.abs(rates))
            if not kept.any():
                break
            # what is kept may feed others
            zero &= ~kept
        states[at] = cleared

    def approach(self, start: Array, parameters: Array, patients: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
        """Solve by way of nearer targets, from where the unsolved parameters lead to the wanted outputs."""
        names, wanted = self.names, self.wanted
        assert wanted is not None
        self.parameters[patients] = parameters
        self.names, self.wanted = (), None
        settled, self.size[patients], lost = settle(self.system, parameters, start, SETTLING_H, SETTLING_RTOL)
        states, found = self.newton(settled, patients)
        found[list(lost)] = False
        self.names, self.wanted = names, wanted
        now = self.shown(states, patients)
        for share in APPROACH:
            at = np.flatnonzero(found)
            if not len(at):
                break
            self.wanted = wanted.copy()
            self.wanted[patients[at]] = now[at] + share * (wanted[patients[at]] - now[at])
            states[at], found[at] = self.newton(states[at], patients[at])
        self.wanted = wanted
        return states, found

    def accept(self, values: Array, norm: Array, patients: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Check residual, sign and stability; note the reason of each refusal."""
        states = self.system.states
        good = np.asarray(norm < RESIDUAL_LIMIT, dtype=np.bool_)
        if len(missed := np.flatnonzero(~good)):
            rates, _, _ = self.evaluate(values[missed], patients[missed])
            size = self.size[patients[missed]]
            own = STATE_FLOOR * np.where(size > 0, np.minimum(size, 1.0), 1.0)
            rates = np.abs(rates) / np.maximum(np.abs(values[missed]), own)
            worst = np.argmax(np.where(np.isfinite(rates), rates, np.inf), axis=1)
            for k, j in zip(missed, worst, strict=True):
                self.reasons[int(patients[k])] = Failure(Status.NO_STEADY_STATE, states[int(j)])
        negative = self.nonnegative & (values < -NEGATIVE_TOLERANCE)
        for k in np.flatnonzero(good & negative.any(axis=1)):
            self.reasons[int(patients[k])] = Failure(Status.NEGATIVE, states[int(np.argmax(negative[k]))])
        good &= ~negative.any(axis=1)
        doubtful = np.flatnonzero(good)
        doubtful = doubtful[~self.surely_stable(values[doubtful], patients[doubtful])]
        if len(doubtful):
            jacobian = self.jacobian(values[doubtful], patients[doubtful])
            unstable = doubtful[~(growth(jacobian, self.blocks) <= GROWTH_LIMIT)]
            for k in unstable:
                self.reasons[int(patients[k])] = Failure(Status.UNSTABLE)
            good[unstable] = False
        return good

    def evaluate(
        self, states: Array, patients: NDArray[np.intp], *, variables: bool = False, jacobian: bool = False
    ) -> tuple[Array, Array, Array]:
        """Rates, and if wanted variables and the entries of the Jacobian, a row for each patient."""
        from crosstalk.engine.driver import evaluate

        found: tuple[Array, Array, Array] = evaluate(
            self.kernel, self.parameters[patients], np.ascontiguousarray(states), self.sizes, variables, jacobian
        )
        return found

    def surely_stable(self, states: Array, patients: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whose Jacobian is proved stable; of the others nothing is said."""
        from crosstalk.engine.stability import prove_stable

        found: NDArray[np.bool_] = prove_stable(
            self.kernel, self.pattern, self.sizes, self.parameters[patients], states, self.labels, STATE_FLOOR
        )
        return found

    def shown(self, states: Array, patients: NDArray[np.intp]) -> Array:
        """Outputs whose values are wanted, shape (n_patients, n_outputs)."""
        _, variables, _ = self.evaluate(states, patients, variables=True)
        sources = (states, variables, self.parameters[patients])
        return np.stack([sources[table][:, place] for table, place in self.outputs], axis=1)

    def jacobian(self, states: Array, patients: NDArray[np.intp]) -> Array:
        """Jacobian, shape (n_patients, n_states, n_states)."""
        _, _, entries = self.evaluate(states, patients, jacobian=True)
        matrix = np.zeros((len(states), len(self.system.states), len(self.system.states)))
        matrix[:, self.pattern[:, 0], self.pattern[:, 1]] = entries
        return matrix


@lru_cache(maxsize=64)
def strong_blocks(n: int, pattern: tuple[tuple[int, int], ...]) -> tuple[NDArray[np.intp], ...]:
    """States that act on each other in circles, by the pattern of the Jacobian: its diagonal blocks in some order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.array(pattern, dtype=np.intp).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    _, label = connected_components(graph, directed=True, connection="strong")
    return tuple(np.flatnonzero(label == k) for k in range(label.max() + 1))


def growth(jacobian: Array, blocks: Sequence[NDArray[np.intp]]) -> Array:
    """Largest real part of an eigenvalue, shape (n_patients,): that of the diagonal blocks."""
    single = [int(b[0]) for b in blocks if len(b) == 1]
    parts: list[NDArray[np.floating[Any]]] = [jacobian[:, single, single]]
    parts += [np.linalg.eigvals(jacobian[:, b[:, None], b]).real for b in blocks if len(b) > 1]
    return np.asarray(np.concatenate(parts, axis=1).max(axis=1))


def join_steady_states(parts: list[SteadyStates]) -> SteadyStates:
    """Put chunks together again."""
    if len(parts) == 1:
        return parts[0]
    failures: dict[int, Failure] = {}
    start = 0
    for part in parts:
        failures.update({start + i: f for i, f in part.failures.items()})
        start += len(part.values)
    first = parts[0]
    return replace(
        first,
        values=np.concatenate([p.values for p in parts]),
        solved={k: np.concatenate([p.solved[k] for p in parts]) for k in first.solved},
        residual=np.concatenate([p.residual for p in parts]),
        failures=failures,
    )
