"""Steady states through the vector kernel: long integration, damped Newton with the exact Jacobian, eigenvalue check.

A parameter may be solved for together with the state, so that an output takes a wanted value. A root that is negative,
unstable or not accurate is a status, never a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.chunk import STATE_FLOOR, invalid_patients, place_of, settle, tables
from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.ensemble import Array, Failure, Problem, Status, SteadyStates
from crosstalk.errors import ModelError

__all__ = ["Linearization", "SteadyChunk", "join_steady_states", "linearize", "steady_chunk"]

# 20 years: a hundred times the slowest mode of a model that settles within months
SETTLING_H = 20 * 365.25 * 24
SETTLING_RTOL = 1e-4
RESIDUAL_LIMIT = 1e-10  # largest relative rate of change at a steady state [1/h]
NEWTON_STEPS = 40
APPROACH = tuple(np.linspace(0.1, 1.0, 10))  # shares of the way to targets that are far away
DAMPING = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
LOG_STEP = 1.5  # largest change of the logarithm of a solved parameter in one step
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
    from crosstalk.engine.driver import evaluate

    system = compile_system(problem.sbml)
    parameters, states = tables(problem, system)
    root = _Root(system, parameters, {}, ())
    rates, variables, _ = evaluate(root.kernel, parameters, states, root.sizes, True, False)
    jacobian = root.matrix(states, rates, np.arange(problem.n))
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
        settled, lost = settle(system, parameters[rest], start[rest], SETTLING_H, SETTLING_RTOL)
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
        self.reasons: dict[int, Failure] = {}
        self.kernel = np.array([system.address[k] for k in ("hoist", "rates", "outputs", "jacobian")], dtype=np.int64)
        self.sizes = np.array(
            [system.width, system.n_hoisted, len(system.pattern), len(system.variables), len(system.switches)],
            dtype=np.int64,
        )
        pattern = np.array(system.pattern, dtype=np.int64).reshape(-1, 2)
        self.rows, self.columns = pattern[:, 0], pattern[:, 1]

    def newton(self, start: Array, patients: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
        """Solve from a start for some patients; returns their states and which of them are steady states."""
        n, m = len(self.system.states), len(self.names)
        z = np.concatenate([start, self.logs(patients)], axis=1)
        f = self.function(z, patients)
        norm = self.size(f, z, patients)
        active = np.flatnonzero(norm > RESIDUAL_LIMIT * 1e-2)
        for _ in range(NEWTON_STEPS):
            if not len(active):
                break
            step, solvable = _solve(self.matrix(z[active], f[active], patients[active]), -f[active])
            if m:
                # shortened as a whole, so that the states stay on the way of the parameter
                step *= np.minimum(1.0, LOG_STEP / np.maximum(np.abs(step[:, n:]).max(axis=1), 1e-300))[:, None]
            active, step = active[solvable], step[solvable]
            waiting = np.ones(len(active), dtype=np.bool_)
            for damping in DAMPING:
                w = np.flatnonzero(waiting)
                if not len(w):
                    break
                at = active[w]
                trial = z[at] + damping * step[w]
                trial_f = self.function(trial, patients[at])
                trial_norm = self.size(trial_f, trial, patients[at])
                better = trial_norm < norm[at]
                if m and damping == 1.0:
                    # far from the targets fast states may fall behind a little: they follow within the next step
                    better |= (trial_norm < 2 * norm[at]) & (norm[at] > 1e-3)
                take = at[better]
                z[take], f[take], norm[take] = trial[better], trial_f[better], trial_norm[better]
                waiting[w[better]] = False
            active = active[~waiting]
            active = active[norm[active] > RESIDUAL_LIMIT * 1e-2]
        z, f, norm = self.without_rounding(z, f, norm, start, patients)
        self.residual[patients] = norm
        if m:
            for k, name in enumerate(self.names):
                self.parameters[patients, self.place[name]] = np.exp(np.clip(z[:, n + k], -700.0, 700.0))
        return z[:, :n], self.accept(z, f, norm, patients)

    def without_rounding(
        self, z: Array, f: Array, norm: Array, start: Array, patients: NDArray[np.intp]
    ) -> tuple[Array, Array, Array]:
        """Put states back to 0 that began there and that only the rounding of a linear solution moved.

        They would decay through all magnitudes in every simulation that starts here. A state that is truly as small
        has a rate at 0, and is kept.
        """
        n = start.shape[1]
        moved = (start == 0.0) & (z[:, :n] != 0.0)
        moved &= np.abs(z[:, :n]) < np.finfo(np.float64).eps * np.abs(z[:, :n]).max(axis=1, keepdims=True)
        at = np.flatnonzero(moved.any(axis=1))
        if not len(at):
            return z, f, norm
        zero = moved[at]
        while True:
            trial = z[at]
            trial[:, :n][zero] = 0.0
            trial_f = self.function(trial, patients[at])
            kept = zero & (np.abs(trial_f[:, :n]) > np.abs(f[at, :n]))
            if not kept.any():
                break
            # what is kept may feed others
            zero &= ~kept
        z[at], f[at], norm[at] = trial, trial_f, self.size(trial_f, trial, patients[at])
        return z, f, norm

    def approach(self, start: Array, parameters: Array, patients: NDArray[np.intp]) -> tuple[Array, NDArray[np.bool_]]:
        """Solve by way of nearer targets, from where the unsolved parameters lead to the wanted outputs."""
        names, wanted = self.names, self.wanted
        assert wanted is not None
        self.parameters[patients] = parameters
        self.names, self.wanted = (), None
        settled, lost = settle(self.system, parameters, start, SETTLING_H, SETTLING_RTOL)
        states, found = self.newton(settled, patients)
        found[list(lost)] = False
        self.names, self.wanted = names, wanted
        z = np.concatenate([states, self.logs(patients)], axis=1)
        now = self.function(z, patients)[:, len(self.system.states) :] + wanted[patients]
        for share in APPROACH:
            at = np.flatnonzero(found)
            if not len(at):
                break
            self.wanted = wanted.copy()
            self.wanted[patients[at]] = now[at] + share * (wanted[patients[at]] - now[at])
            states[at], found[at] = self.newton(states[at], patients[at])
        self.wanted = wanted
        return states, found

    def accept(self, z: Array, f: Array, norm: Array, patients: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Check residual, sign and stability; note the reason of each refusal."""
        n, states = len(self.system.states), self.system.states
        good = norm < RESIDUAL_LIMIT
        for k in np.flatnonzero(~good):
            rates = np.abs(f[k, :n]) / np.maximum(np.abs(z[k, :n]), STATE_FLOOR)
            worst = states[int(np.argmax(np.where(np.isfinite(rates), rates, np.inf)))]
            self.reasons[int(patients[k])] = Failure(Status.NO_STEADY_STATE, worst)
        negative = self.nonnegative & (z[:, :n] < -NEGATIVE_TOLERANCE)
        for k in np.flatnonzero(good & negative.any(axis=1)):
            self.reasons[int(patients[k])] = Failure(Status.NEGATIVE, states[int(np.argmax(negative[k]))])
        good &= ~negative.any(axis=1)
        checked = np.flatnonzero(good)
        if len(checked):
            jacobian = self.matrix(z[checked], f[checked], patients[checked], states_only=True)
            growth = np.linalg.eigvals(jacobian).real.max(axis=1)
            for k in checked[growth > GROWTH_LIMIT]:
                self.reasons[int(patients[k])] = Failure(Status.UNSTABLE)
            good[checked[growth > GROWTH_LIMIT]] = False
        return good

    def logs(self, patients: NDArray[np.intp]) -> Array:
        columns = [self.place[name] for name in self.names]
        return np.asarray(np.log(np.maximum(self.parameters[patients][:, columns], 1e-12)))

    def with_solved(self, z: Array, patients: NDArray[np.intp]) -> Array:
        parameters = self.parameters[patients]
        for k, name in enumerate(self.names):
            parameters[:, self.place[name]] = np.exp(np.clip(z[:, len(self.system.states) + k], -700.0, 700.0))
        return parameters

    def function(self, z: Array, patients: NDArray[np.intp]) -> Array:
        """Rates and gaps to the wanted outputs, shape (n_patients, n_states + n_solved)."""
        from crosstalk.engine.driver import evaluate

        n = len(self.system.states)
        parameters = self.with_solved(z, patients)
        f = np.empty(z.shape)
        states = np.ascontiguousarray(z[:, :n])
        rates, variables, _ = evaluate(self.kernel, parameters, states, self.sizes, bool(self.names), False)
        f[:, :n] = rates
        for k, (table, place) in enumerate(self.outputs[: len(self.names)]):
            source = (states, variables, parameters)[table]
            assert self.wanted is not None
            f[:, n + k] = source[:, place] - self.wanted[patients, k]
        return f

    def size(self, f: Array, z: Array, patients: NDArray[np.intp]) -> Array:
        n = len(self.system.states)
        with np.errstate(invalid="ignore", over="ignore"):
            norm = (np.abs(f[:, :n]) / np.maximum(np.abs(z[:, :n]), STATE_FLOOR)).max(axis=1)
            if self.wanted is not None:
                gaps = np.abs(f[:, n:]) / np.maximum(np.abs(self.wanted[patients]), STATE_FLOOR)
                norm = np.maximum(norm, gaps.max(axis=1))
        return np.where(np.isfinite(norm), norm, np.inf)

    def matrix(self, z: Array, f: Array, patients: NDArray[np.intp], *, states_only: bool = False) -> Array:
        """Jacobian, shape (n_patients, n, n), with a row and column for each solved parameter."""
        from crosstalk.engine.driver import evaluate, output_gradient

        n, m = len(self.system.states), 0 if states_only else len(self.names)
        parameters, states = self.with_solved(z, patients), np.ascontiguousarray(z[:, :n])
        _, _, entries = evaluate(self.kernel, parameters, states, self.sizes, False, True)
        matrix = np.zeros((len(z), n + m, n + m))
        matrix[:, self.rows, self.columns] = entries
        for k in range(m):
            shifted = z.copy()
            shifted[:, n + k] += 1e-6
            matrix[:, :, n + k] = (self.function(shifted, patients) - f) / 1e-6
            table, place = self.outputs[k]
            if table == 0:
                matrix[:, n + k, place] = 1.0
            elif table == 1:
                matrix[:, n + k, :n] = output_gradient(self.kernel, parameters, states, self.sizes, place, STATE_FLOOR)
        return matrix


def _solve(matrix: Array, right: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Solve many systems; returns the solutions and which systems could be solved."""
    finite = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    usable = np.asarray(finite, dtype=np.bool_)
    solution = np.zeros(right.shape)
    index = np.flatnonzero(usable)
    if len(index):
        try:
            solution[index] = np.linalg.solve(matrix[index], right[index][:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            for i in index:
                try:
                    solution[i] = np.linalg.solve(matrix[i], right[i])
                except np.linalg.LinAlgError:
                    usable[i] = False
    return solution, usable


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
