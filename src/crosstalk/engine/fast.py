"""The fast engine: vector code of the model, patients in lanes, chunks of patients in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.ensemble import Array, Ensemble, Event, Failure, Problem, Status, SteadyStates
from crosstalk.errors import ModelError

__all__ = ["FastEngine", "simulate_chunk"]

_T = TypeVar("_T")
_R = TypeVar("_R")

CHUNK = 512
WAITING = 4  # chunks under way for each worker
MAX_STEPS = 100_000
STATE_FLOOR = 1e-3  # states are scaled near 1; smaller ones are judged on this scale


@dataclass(frozen=True)
class Chunk:
    """A problem with the settings that a worker needs; can be sent to another process."""

    problem: Problem
    rtol: float
    floor: float = STATE_FLOOR


class FastEngine:
    """Ensembles through machine code made for the model; see `crosstalk.engine.ensemble.Engine`.

    Parameters
    ----------
    jobs : int
        Threads.
    executor : concurrent.futures.Executor, optional
        Runs the chunks instead of threads here: processes, or a cluster. The result is the same.
    """

    def __init__(self, jobs: int = 1, executor: Executor | None = None) -> None:
        self.jobs, self.executor = jobs, executor

    def simulate(
        self, problem: Problem, *, rtol: float = 1e-6, strict: bool = False, out: Path | None = None
    ) -> Ensemble:
        """Integrate every patient; a failure is a status, or `SimulationError` if ``strict``.

        Parameters
        ----------
        out : Path, optional
            A file (``.npy``) that the values are written to chunk by chunk, for more patients than memory holds; the
            ensemble's values are then read from it as needed.
        """
        shape = (problem.n, len(problem.outputs), len(problem.times_h))
        if out is None:
            values: Array = np.empty(shape)
        else:
            values = np.lib.format.open_memmap(out, mode="w+", dtype=np.float64, shape=shape)
        failures: dict[int, Failure] = {}
        chunks = self._chunks(problem.n)
        parts = self._map(simulate_chunk, (Chunk(problem.take(i), rtol) for i in chunks))
        for index, part in zip(chunks, parts, strict=True):
            values[index[0] : index[-1] + 1] = part.values
            failures.update({int(index[0]) + i: f for i, f in part.failures.items()})
            if out is not None and isinstance(values, np.memmap):
                # written pages need not stay in memory
                values.flush()
                values = np.lib.format.open_memmap(out, mode="r+")
        ensemble = Ensemble(np.asarray(problem.times_h, dtype=np.float64), problem.outputs, values, failures)
        if strict:
            ensemble.raise_for_status()
        return ensemble

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        """Find the steady state of every patient, see `crosstalk.engine.ensemble.Engine.steady_state`."""
        from crosstalk.engine.steady import SteadyChunk, join_steady_states, steady_chunk

        def piece(index: NDArray[np.intp]) -> SteadyChunk:
            part = {k: (output, np.asarray(value)[index]) for k, (output, value) in (solve or {}).items()}
            return SteadyChunk(problem.take(index), part, warm)

        return join_steady_states(list(self._map(steady_chunk, map(piece, self._chunks(problem.n)))))

    def close(self) -> None:
        """Nothing to release; a given executor belongs to its owner."""

    def _chunks(self, n: int) -> list[NDArray[np.intp]]:
        """Indices of the chunks: large ones for many patients, enough of them for every thread."""
        size = min(CHUNK, max(32, -(-n // self.jobs)))
        return [np.arange(i, min(i + size, n)) for i in range(0, n, size)]

    def _map(self, function: Callable[[_T], _R], pieces: Iterable[_T]) -> Iterator[_R]:
        """Results in order, with a bounded number of chunks under way."""
        if self.executor is not None:
            yield from _bounded(self.executor, function, pieces, WAITING * max(self.jobs, 8))
        elif self.jobs == 1:
            yield from map(function, pieces)
        else:
            with ThreadPoolExecutor(self.jobs) as pool:
                yield from _bounded(pool, function, pieces, WAITING * self.jobs)


def _bounded(pool: Executor, function: Callable[[_T], _R], pieces: Iterable[_T], limit: int) -> Iterator[_R]:
    waiting: deque[Future[_R]] = deque()
    for piece in pieces:
        waiting.append(pool.submit(function, piece))
        if len(waiting) >= limit:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


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
        from crosstalk.engine.segments import go_through_events

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

    def go(self, times: Array, outputs: Sequence[str], events: Sequence[Event], values: Array) -> None:
        """Integrate; fill ``values``, shape (n_patients, n_outputs, n_times)."""
        from crosstalk.engine.driver import integrate

        system = self.system
        names = ("hoist", "rhs", "outputs", "step", "dense")
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
