"""The reference engine over worker processes. The result is the same for any number of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from crosstalk.engine.ensemble import Array, Ensemble, Problem, SteadyStates, check_rtol
from crosstalk.engine.reference import simulate_serial, steady_state_serial

__all__ = ["ReferenceEngine"]

CHUNK = 16  # patients a worker takes at a time


class ReferenceEngine:
    """libRoadRunner behind the ensemble interface.

    Parameters
    ----------
    jobs : int
        Worker processes; 1 stays in this process.

    Examples
    --------
    >>> from crosstalk.engine import get_engine
    >>> engine = get_engine("reference")
    >>> type(engine).__name__
    'ReferenceEngine'
    """

    def __init__(self, *, jobs: int = 1) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def simulate(
        self,
        problem: Problem,
        *,
        rtol: float = 1e-6,
        atol: float | Mapping[str, float] | None = None,
        strict: bool = False,
    ) -> Ensemble:
        """Integrate every patient, see `Engine.simulate`; CVODE takes the smallest of several absolute tolerances."""
        check_rtol(rtol)
        if isinstance(atol, Mapping):
            atol = min(atol.values(), default=None)
        if self.jobs == 1 or problem.n <= CHUNK:
            result = simulate_serial(problem, rtol, atol)
        else:
            chunks = _chunks(problem.n)
            futures = [self._workers().submit(simulate_serial, problem.take(c), rtol, atol) for c in chunks]
            parts = [f.result() for f in futures]
            result = Ensemble(
                parts[0].times_h,
                problem.outputs,
                np.concatenate([p.values for p in parts]),
                {int(c[i]): f for c, p in zip(chunks, parts, strict=True) for i, f in p.failures.items()},
                "reference",
            )
        if strict:
            result.raise_for_status()
        return result

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        """Find the steady state of every patient, see `Engine.steady_state`."""
        solve = solve or {}
        if self.jobs == 1 or problem.n <= CHUNK:
            return steady_state_serial(problem, solve, warm)
        chunks = _chunks(problem.n)
        futures = [
            self._workers().submit(
                steady_state_serial, problem.take(c), {k: (o, np.asarray(v)[c]) for k, (o, v) in solve.items()}, warm
            )
            for c in chunks
        ]
        parts = [f.result() for f in futures]
        return SteadyStates(
            parts[0].states,
            np.concatenate([p.values for p in parts]),
            {k: np.concatenate([p.solved[k] for p in parts]) for k in solve},
            np.concatenate([p.residual for p in parts]),
            {int(c[i]): f for c, p in zip(chunks, parts, strict=True) for i, f in p.failures.items()},
        )

    def close(self) -> None:
        """Stop the worker processes."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _workers(self) -> ProcessPoolExecutor:
        # spawn, not fork: the compiled model and BLAS threads do not survive a fork safely
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.jobs, mp_context=multiprocessing.get_context("spawn"))
        return self._pool


def _chunks(n: int) -> list[np.ndarray]:
    return [np.arange(a, min(a + CHUNK, n)) for a in range(0, n, CHUNK)]
