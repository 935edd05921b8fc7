"""One chunk of patients: its tables, one call of the driver or several between the model's own events, its statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.ensemble import Array, Ensemble, Event, Failure, Problem, Status
from crosstalk.errors import ModelError

__all__ = ["Chunk", "Run", "invalid_patients", "place_of", "settle", "simulate_chunk", "tables"]

MAX_STEPS = 100_000
STATE_FLOOR = 1e-3  # states are scaled near 1; smaller ones are judged on this scale


@dataclass(frozen=True)
class Chunk:
    """A problem with the settings that a worker needs; can be sent to another process."""

    problem: Problem
    rtol: float
    floor: float = STATE_FLOOR


def simulate_chunk(chunk: Chunk) -> Ensemble:
    """Integrate the patients of one chunk in this thread."""
    problem = chunk.problem
    system = compile_system(problem.sbml)
    parameters, start = tables(problem, system)
    failures = invalid_patients(problem)
    times = np.asarray(problem.times_h, dtype=np.float64)
    values = np.full((problem.n, len(problem.outputs), len(times)), np.nan)
    run = Run(system, parameters, start, chunk.rtol, chunk.floor, problem.nonnegative, list(failures))
    if system.events:
        go_through_events(run, problem, times, values)
    else:
        run.go(times, problem.outputs, problem.events, values)
    failures.update(run.failures())
    for i, failure in run.failures().items():
        values[i][:, times > failure.time_h] = np.nan
    return Ensemble(times, problem.outputs, values, failures)


class Run:
    """One call of the driver and what it leaves."""

    def __init__(
        self,
        system: CompiledSystem,
        parameters: Array,
        start: Array,
        rtol: float,
        floor: float = STATE_FLOOR,
        nonnegative: tuple[str, ...] = (),
        skipped: Sequence[int] = (),
    ) -> None:
        self.system, self.parameters, self.start, self.rtol, self.floor = system, parameters, start, rtol, floor
        self.nonnegative = np.isin(np.array(system.states), list(nonnegative))
        self.status = np.full(len(start), -1, dtype=np.int64)
        self.status[list(skipped)] = -2
        self.worst, self.last, self.final = np.full(len(start), -1), np.zeros(len(start)), start.copy()

    def go(
        self, times: Array, outputs: Sequence[str], events: Sequence[Event], values: Array, *, shared: bool = False
    ) -> None:
        """Integrate; fill ``values``, shape (n_patients, n_outputs, n_times).

        ``shared``: each vector of patients, in order, takes the same steps.
        """
        from crosstalk.engine.driver import integrate

        system = self.system
        names = ("hoist", "rhs", "outputs", "step", "prepare", "dense")
        integrate(
            np.array([system.address[name] for name in names], dtype=np.int64),
            self.parameters,
            self.start,
            times,
            np.array([place_of(o, system) for o in outputs], dtype=np.int64).reshape(-1, 2),
            *_events(events, len(self.start), system),
            np.full(len(system.states), self.rtol * self.floor),
            self.nonnegative,
            np.array(
                [system.width, system.n_hoisted, system.n_work, len(system.variables), system.clock], dtype=np.int64
            ),
            float(self.rtol),
            MAX_STEPS,
            shared,
            values,
            self.status,
            self.worst,
            self.last,
            self.final,
        )

    def failures(self) -> dict[int, Failure]:
        """By place, without patients who were skipped."""
        from crosstalk.engine.driver import CODES

        found = {}
        for i in np.flatnonzero(self.status > 0):
            state = self.system.states[self.worst[i]] if self.worst[i] >= 0 else ""
            found[int(i)] = Failure(Status[CODES[int(self.status[i])]], state, float(self.last[i]))
        return found


def settle(
    system: CompiledSystem, parameters: Array, start: Array, duration_h: float, rtol: float
) -> tuple[Array, dict[int, Failure]]:
    """States after a long time, shape (n_patients, n_states), and who did not get there."""
    run = Run(system, parameters, start, rtol)
    run.go(np.array([0.0, duration_h]), (), (), np.empty((len(start), 0, 2)))
    return run.final, run.failures()


def tables(problem: Problem, system: CompiledSystem) -> tuple[Array, Array]:
    """Parameters, shape (n_patients, n_parameters), and initial states, shape (n_patients, n_states)."""
    parameters = np.tile(np.array(list(system.parameters.values()), dtype=np.float64), (problem.n, 1))
    start = np.tile(np.array(system.initial, dtype=np.float64), (problem.n, 1))
    columns = {name: parameters[:, j] for j, name in enumerate(system.parameters)}
    columns.update({name: start[:, j] for j, name in enumerate(system.states)})
    for given in (problem.parameters, problem.initial):
        for name, column in given.items():
            if name not in columns:
                raise ModelError(f"the model has no parameter or state '{name}' that can be set")
            columns[name][:] = column
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


def place_of(output: str, system: CompiledSystem) -> tuple[int, int]:
    """Table (0 states, 1 variables, 2 parameters) and place in it of an output."""
    for table, names in enumerate((system.states, system.variables, tuple(system.parameters))):
        if output in names:
            return table, names.index(output)
    raise ModelError(f"the model has no variable '{output}'")


def _events(
    events: Sequence[Event], n: int, system: CompiledSystem
) -> tuple[Array, NDArray[np.int64], NDArray[np.bool_], Array]:
    """Events as arrays: times, targets, whether they set, and amounts of shape (n_events, n_patients)."""
    ordered = sorted(events, key=lambda e: e.time_h)
    places = {name: len(system.states) + j for j, name in enumerate(system.parameters)}
    places.update({name: j for j, name in enumerate(system.states)})
    amounts = np.empty((len(ordered), n))
    for k, event in enumerate(ordered):
        if event.target not in places:
            raise ModelError(f"the model has no parameter or state '{event.target}' that can be set")
        amounts[k] = event.amount
    return (
        np.array([e.time_h for e in ordered], dtype=np.float64),
        np.array([places[e.target] for e in ordered], dtype=np.int64),
        np.array([e.action == "set" for e in ordered], dtype=np.bool_),
        amounts,
    )


def go_through_events(run: Run, problem: Problem, times: Array, values: Array) -> None:
    """Integrate with the events that the model itself holds; fill ``values``, shape (n_patients, n_outputs, n_times).

    All assignments of an event are evaluated before any is made. An output at the time of an event shows the value
    after it if the trigger includes that time, as in ``time >= 1``, and the value before if not.
    """
    now, end, shown = float(times[0]), float(times[-1]), 0
    events = [e for e in run.system.events if now <= e.time_h <= end]
    for event in (*events, None):
        stop = end if event is None else event.time_h
        changes = () if event is None else event.assignments
        before = event is not None and event.inclusive
        until = int(np.searchsorted(times, stop, side="left" if before else "right"))
        grid = np.unique(np.concatenate([[now], times[shown:until], [stop]]))
        outputs = (*problem.outputs, *(variable for _, variable in changes))
        found = np.full((len(values), len(outputs), len(grid)), np.nan)
        due = [e for e in problem.events if e.time_h < stop or event is None]
        due = [e for e in due if e.time_h >= now or now == times[0]]
        run.status[run.status == 0] = -1
        run.go(grid, outputs, due, found)
        values[:, :, shown:until] = found[:, : len(problem.outputs)][:, :, np.searchsorted(grid, times[shown:until])]
        run.start = run.final.copy()
        _assign(run, changes, found[:, len(problem.outputs) :, -1])
        now, shown = stop, until


def _assign(run: Run, changes: Sequence[tuple[str, str]], values: Array) -> None:
    parameters = {name: j for j, name in enumerate(run.system.parameters)}
    states = {name: j for j, name in enumerate(run.system.states)}
    for k, (target, _) in enumerate(changes):
        if target in states:
            run.start[:, states[target]] = values[:, k]
        else:
            run.parameters[:, parameters[target]] = values[:, k]
    run.final = run.start.copy()
