"""The fast engine: vector code of the model, patients in lanes, chunks of patients in threads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.chunk import Chunk, simulate_chunk
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.document import Unsupported
from crosstalk.engine.ensemble import Array, Engine, Ensemble, Failure, Problem, SteadyStates, check_rtol
from crosstalk.engine.scheduler import in_order, pack, run_packed
from crosstalk.engine.sensitivity import Sensitivities, SensitivityChunk, join, sensitivity_chunk
from crosstalk.engine.steady import SteadyChunk, join_steady_states, steady_chunk

__all__ = ["FastEngine"]

_T = TypeVar("_T")
_R = TypeVar("_R")

CHUNK = 512
WAITING = 4  # chunks under way for each worker


class FastEngine:
    """Ensembles through machine code made for the model; see `crosstalk.engine.ensemble.Engine`.

    Parameters
    ----------
    jobs : int
        Threads; or how many chunks the executor runs side by side.
    executor : concurrent.futures.Executor, optional
        Runs the chunks instead of threads here: processes, or a cluster. The result is the same. Chunks are packed on
        the way: most of one is the text of the model, and columns that are alike for all patients.
    """

    def __init__(self, jobs: int = 1, executor: Executor | None = None) -> None:
        self.jobs, self.executor = jobs, executor

    def simulate(
        self,
        problem: Problem,
        *,
        rtol: float = 1e-6,
        atol: float | Mapping[str, float] | None = None,
        strict: bool = False,
        out: Path | None = None,
    ) -> Ensemble:
        """Integrate every patient; a failure is a status, or `SimulationError` if ``strict``.

        Parameters
        ----------
        out : Path, optional
            A file (``.npy``) that the values are written to chunk by chunk, for more patients than memory holds; the
            ensemble's values are then read from it as needed.
        """
        check_rtol(rtol)
        try:
            compile_system(problem.sbml)
        except Unsupported as reason:
            return self._stand_in(reason).simulate(problem, rtol=rtol, atol=atol, strict=strict)
        shape = (problem.n, len(problem.outputs), len(problem.times_h))
        if out is None:
            values: Array = np.empty(shape)
        else:
            values = np.lib.format.open_memmap(out, mode="w+", dtype=np.float64, shape=shape)
        failures: dict[int, Failure] = {}
        chunks = self._chunks(problem.n)
        parts = self._map(simulate_chunk, (Chunk(problem.take(i), rtol, atol) for i in chunks))
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
        try:
            compile_system(problem.sbml)
        except Unsupported as reason:
            return self._stand_in(reason).steady_state(problem, solve=solve, warm=warm)

        def piece(index: NDArray[np.intp]) -> SteadyChunk:
            part = {k: (output, np.asarray(value)[index]) for k, (output, value) in (solve or {}).items()}
            return SteadyChunk(problem.take(index), part, warm)

        return join_steady_states(list(self._map(steady_chunk, map(piece, self._chunks(problem.n)))))

    def sensitivities(
        self,
        problem: Problem,
        parameters: Sequence[str],
        *,
        rtol: float = 1e-6,
        relative_step: float = 1e-3,
        from_steady_state: bool = False,
    ) -> Sensitivities:
        """Derivatives of every output by some parameters.

        Parameters
        ----------
        relative_step : float
            Half distance of the central difference, relative to the parameter.
        from_steady_state : bool
            Start each changed patient in the steady state of the changed parameters, near ``problem.initial`` if that
            is given; otherwise all start in the same state.

        Raises
        ------
        ModelError
            On an unknown parameter, or a model with events of its own.
        """
        names = tuple(parameters)

        def piece(index: NDArray[np.intp]) -> SensitivityChunk:
            return SensitivityChunk(problem.take(index), names, rtol, relative_step, from_steady_state)

        return join(list(self._map(sensitivity_chunk, map(piece, self._chunks(problem.n)))))

    def _stand_in(self, reason: Unsupported) -> Engine:
        """Return the reference engine, for a model that this one refuses; says so, or raises if there is none."""
        try:
            from crosstalk.engine.parallel import ReferenceEngine
        except ImportError:
            raise Unsupported(
                f"{reason} by the fast engine; the reference engine may do it: pip install 'crosstalk-mdd[reference]'"
            ) from reason
        warnings.warn(f"{reason} by the fast engine; libRoadRunner takes its place", stacklevel=3)
        return ReferenceEngine(jobs=1)

    def close(self) -> None:
        """Nothing to release; a given executor belongs to its owner."""

    def _chunks(self, n: int) -> list[NDArray[np.intp]]:
        """Indices of the chunks: large ones for many patients, enough of them for every thread."""
        size = min(CHUNK, max(32, -(-n // self.jobs)))
        return [np.arange(i, min(i + size, n)) for i in range(0, n, size)]

    def _map(self, function: Callable[[_T], _R], pieces: Iterable[_T]) -> Iterator[_R]:
        """Results in order, with a bounded number of chunks under way."""
        if self.executor is not None:
            packed = (pack((function, piece)) for piece in pieces)
            yield from in_order(self.executor, run_packed, packed, WAITING * self.jobs)
        elif self.jobs == 1:
            yield from map(function, pieces)
        else:
            with ThreadPoolExecutor(self.jobs) as pool:
                yield from in_order(pool, function, pieces, WAITING * self.jobs)
