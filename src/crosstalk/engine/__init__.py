"""Ensembles of one ODE model: SBML and parameters in, courses and a status per patient out. Ignorant of biology."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crosstalk.engine.ensemble import Engine, Ensemble, Event, Failure, Problem, Status, SteadyStates
from crosstalk.engine.schedule import Schedule

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["Engine", "Ensemble", "Event", "Failure", "Problem", "Schedule", "Status", "SteadyStates", "get_engine"]


def get_engine(name: str = "fast", *, jobs: int | None = None, executor: Executor | None = None) -> Engine:
    """Make an engine by name.

    Parameters
    ----------
    name : {"fast", "reference"}
        ``fast`` compiles the model to vector code; ``reference`` integrates with libRoadRunner (CVODE), which the extra
        ``reference`` installs.
    jobs : int, optional
        Threads (fast, by default one per processor) or worker processes (reference, by default one); the result does
        not depend on it.
    executor : concurrent.futures.Executor, optional
        Runs the chunks of the fast engine, ``jobs`` of them side by side, on this machine or a cluster, see
        `crosstalk.engine.scheduler`; the result does not depend on it.

    Raises
    ------
    UsageError
        On an unknown name, ``jobs < 1``, an engine that is not installed, or an executor for the reference engine.

    Examples
    --------
    >>> type(get_engine()).__name__
    'FastEngine'
    """
    from crosstalk.errors import UsageError

    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs = {jobs}; expected 1 or more")
    if name == "fast":
        from crosstalk.engine.fast import FastEngine

        return FastEngine(jobs=jobs or os.cpu_count() or 1, executor=executor)
    if name == "reference":
        if executor is not None:
            raise UsageError("the engine 'reference' has processes of its own; leave out the scheduler, or take 'fast'")
        try:
            from crosstalk.engine.parallel import ReferenceEngine
        except ImportError as error:
            raise UsageError(
                f"the engine 'reference' needs libRoadRunner ({error}); "
                "install it with: pip install 'crosstalk-mdd[reference]'"
            ) from None
        return ReferenceEngine(jobs=jobs or 1)
    raise UsageError(f"unknown engine '{name}'; expected 'fast' or 'reference'")
