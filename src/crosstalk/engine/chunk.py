"""One chunk of patients: its tables, one call of the driver or more until every state is resolved, its statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.ensemble import Array, Ensemble, Failure, Problem, Status
from crosstalk.engine.slots import Found, Patients, Settings, Sizes, StepKernel, Timetable
from crosstalk.engine.starting import start_values, unknown
from crosstalk.engine.timetable import no_changes, place_of, places, timetable

__all__ = ["Chunk", "Run", "floors", "invalid_patients", "settle", "simulate_chunk", "tables"]

MAX_STEPS = 100_000
STATE_FLOOR = 1e-3  # share of a state's own size below which it is judged on that scale
SEED = 1e-8  # size, as a share of its largest, from which on a state is judged on the scale of its size so far
PASSES = 3  # runs of a patient until the sizes that were assumed are those that were found


@dataclass(frozen=True)
class Chunk:
    """A problem with the settings that a worker needs; can be sent to another process."""

    problem: Problem
    rtol: float
    atol: float | Mapping[str, float] | None = None


def simulate_chunk(chunk: Chunk) -> Ensemble:
    """Integrate the patients of one chunk in this thread."""
    problem = chunk.problem
    system = compile_system(problem.sbml)
    parameters, start = tables(problem, system)
    failures = invalid_patients(problem)
    times = np.asarray(problem.times_h, dtype=np.float64)
    values = np.full((problem.n, len(problem.outputs), len(times)), np.nan)
    fixed = floors(system, chunk.rtol, chunk.atol)
    run = Run(system, parameters, start, chunk.rtol, fixed, problem.nonnegative, list(failures))
    run.resolve(times, problem.outputs, timetable(problem, system), values)
    for i, failure in run.failures().items():
        values[i][:, times > failure.time_h] = np.nan
        failures[i] = _undefined(failure, system, parameters[i], start[i])
    return Ensemble(times, problem.outputs, values, failures)


def _undefined(failure: Failure, system: CompiledSystem, parameters: Array, start: Array) -> Failure:
    """Blame what has no value where a course is lost at once."""
    if failure.status is Status.NON_FINITE and failure.time_h == 0:
        for name, value in zip((*system.parameters, *system.states), (*parameters, *start), strict=True):
            if not np.isfinite(value):
                return Failure(Status.INVALID_INPUT, name, 0.0, system.time_unit)
    return failure


def floors(system: CompiledSystem, rtol: float, atol: float | Mapping[str, float] | None) -> Array | None:
    """Sizes below which states are judged absolutely, shape (n_states,); ``None`` to find them along the course.

    Raises
    ------
    ModelError
        On a tolerance for something that is no state.
    """
    if atol is None:
        return None
    if not isinstance(atol, Mapping):
        return np.full(len(system.states), float(atol) / rtol)
    found = np.full(len(system.states), STATE_FLOOR)
    for name, value in atol.items():
        held = system.amounts.get(name, (name, ""))[0]
        if held not in system.states:
            raise unknown(name, system.states, "state")
        found[system.states.index(held)] = float(value) / rtol
    return found


class Run:
    """One call of the driver and what it leaves.

    Parameters
    ----------
    fixed : array, shape (n_states,), optional
        Sizes below which states are judged absolutely; by default they are found along the course.
    """

    def __init__(
        self,
        system: CompiledSystem,
        parameters: Array,
        start: Array,
        rtol: float,
        fixed: Array | None = None,
        nonnegative: tuple[str, ...] = (),
        skipped: Sequence[int] = (),
    ) -> None:
        self.system, self.parameters, self.start, self.rtol = system, parameters, start, rtol
        self.fixed = fixed
        self.nonnegative = np.isin(np.array(system.states), list(nonnegative))
        self.status = np.full(len(start), -1, dtype=np.int64)
        self.status[list(skipped)] = -2
        self.worst, self.last, self.final = np.full(len(start), -1), np.zeros(len(start)), start.copy()
        self.size = np.zeros(start.shape)
        # a state that begins at 0 has no size yet: most models have states near 1
        begun = np.where(start == 0.0, 1.0, np.minimum(np.abs(start), 1.0))
        self.floor = SEED * STATE_FLOOR * begun if fixed is None else np.tile(fixed, (len(start), 1))

    def resolve(
        self, times: Array, outputs: Sequence[str], events: Timetable, values: Array, *, shared: bool = False
    ) -> None:
        """Integrate, and again for patients with a state that began at 0 and stayed far below 1.

        A state is judged on the scale of its own size so far, so that units do not matter and growth from a seed is
        followed; where it is too small for that, on a share of its largest size, which one run tells.
        """
        self.go(times, outputs, events, values, shared=shared)
        for _ in range(PASSES if self.fixed is None else 0):
            missed = (STATE_FLOOR * self.size < self.floor) & (self.size > 0) & (self.status >= 0)[:, None]
            if self.system.clock >= 0:
                missed[:, self.system.clock] = False
            unresolved = missed.any(axis=1)
            if shared:
                # the lanes of a vector take the same steps
                unresolved = unresolved.reshape(-1, self.system.width).any(axis=1).repeat(self.system.width)
            again = np.flatnonzero(unresolved)
            if not len(again):
                return
            self.floor = np.where(missed, SEED * STATE_FLOOR * self.size, self.floor)
            self.repeat(again, times, outputs, events, values, shared)

    def repeat(
        self,
        again: NDArray[np.intp],
        times: Array,
        outputs: Sequence[str],
        events: Timetable,
        values: Array,
        shared: bool,
    ) -> None:
        """Integrate some patients once more."""
        part = Run(self.system, self.parameters[again], self.start[again], self.rtol)
        part.nonnegative, part.floor = self.nonnegative, self.floor[again]
        part.status[self.status[again] == -2] = -2
        found = np.full((len(again), *values.shape[1:]), np.nan)
        part.go(times, outputs, events.take(again), found, shared=shared)
        values[again], self.size[again], self.status[again] = found, part.size, part.status
        self.worst[again], self.last[again], self.final[again] = part.worst, part.last, part.final

    def go(
        self, times: Array, outputs: Sequence[str], events: Timetable, values: Array, *, shared: bool = False
    ) -> None:
        """Integrate once; fill ``values``, shape (n_patients, n_outputs, n_times).

        ``shared``: each vector of patients, in order, takes the same steps.
        """
        from crosstalk.engine.driver import integrate

        system = self.system
        integrate(
            StepKernel(*(system.address[name] for name in StepKernel._fields)),
            Sizes(
                system.width, system.n_hoisted, system.n_work, len(system.variables), system.n_signals, system.clock,
                system.bounded, system.fine,
            ),
            Settings(float(self.rtol), MAX_STEPS, self.fixed is None, shared),
            Patients(self.parameters, self.start, self.floor),
            times,
            np.array([place_of(o, system) for o in outputs], dtype=np.int64).reshape(-1, 2),
            events,
            _hybrid(system),
            self.nonnegative,
            Found(values, self.status, self.worst, self.last, self.final, self.size),
        )  # fmt: skip

    def failures(self) -> dict[int, Failure]:
        """By place, without patients who were skipped."""
        from crosstalk.engine.driver import CODES

        found = {}
        for i in np.flatnonzero(self.status > 0):
            state = self.system.states[self.worst[i]] if self.worst[i] >= 0 else ""
            status = Status[CODES[int(self.status[i])]]
            found[int(i)] = Failure(status, state, float(self.last[i]), self.system.time_unit)
        return found


def settle(
    system: CompiledSystem, parameters: Array, start: Array, duration_h: float, rtol: float
) -> tuple[Array, Array, dict[int, Failure]]:
    """States after a long time and their sizes on the way, shape (n_patients, n_states), and who did not get there."""
    run = Run(system, parameters, start, rtol)
    run.resolve(np.array([0.0, duration_h]), (), no_changes(len(start)), np.empty((len(start), 0, 2)))
    return run.final, run.size, run.failures()


def tables(problem: Problem, system: CompiledSystem) -> tuple[Array, Array]:
    """Parameters, shape (n_patients, n_parameters), and initial states, shape (n_patients, n_states)."""
    parameters = np.tile(np.array(list(system.parameters.values()), dtype=np.float64), (problem.n, 1))
    start = np.tile(np.array(system.initial, dtype=np.float64), (problem.n, 1))
    columns = {name: parameters[:, j] for j, name in enumerate(system.parameters)}
    columns.update({name: start[:, j] for j, name in enumerate(system.states)})
    start_values({**problem.parameters, **problem.initial}, columns, system.amounts, system.starting)
    return parameters, start


def invalid_patients(problem: Problem) -> dict[int, Failure]:
    """Patients who were given a parameter, initial value or dose that is not finite."""
    found: dict[int, Failure] = {}
    for given in (problem.parameters, problem.initial):
        for name, column in given.items():
            if np.isfinite(column).all():
                continue
            for i in np.flatnonzero(~np.isfinite(column)):
                found.setdefault(int(i), Failure(Status.INVALID_INPUT, name, 0.0))
    for event in problem.events:
        for i in np.flatnonzero(~np.isfinite(np.broadcast_to(event.amount, (problem.n,)))):
            found.setdefault(int(i), Failure(Status.INVALID_INPUT, event.target, event.time_h))
    return found


def _hybrid(system: CompiledSystem) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Switches, the model's own events and their targets as the driver takes them; ``None`` for a smooth model."""
    if not (system.switches or system.events or system.bounded):
        return None
    known = places(system)
    switches = np.array(system.switches, dtype=np.int64).reshape(-1, 3)
    own = np.empty((len(system.events), 5), dtype=np.int64)
    targets: list[int] = []
    for k, event in enumerate(system.events):
        own[k] = event.persistent, event.initial, event.early, len(targets), len(event.targets)
        targets += [known[t] for t in event.targets]
    return switches, own, np.array(targets, dtype=np.int64)
