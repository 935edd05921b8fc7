"""Ensembles of one ODE model: SBML and parameters in, courses and a status per patient out. Ignorant of biology."""

from crosstalk.engine.ensemble import Engine, Ensemble, Event, Failure, Problem, Status, SteadyStates

__all__ = ["Engine", "Ensemble", "Event", "Failure", "Problem", "Status", "SteadyStates", "get_engine"]


def get_engine(name: str = "reference", *, jobs: int = 1) -> Engine:
    """Make an engine by name.

    Parameters
    ----------
    name : {"reference"}
        ``reference`` integrates with libRoadRunner (CVODE).
    jobs : int
        Worker processes; the result does not depend on it.

    Raises
    ------
    UsageError
        On an unknown name or ``jobs < 1``.
    """
    from crosstalk.errors import UsageError

    if jobs < 1:
        raise UsageError(f"jobs = {jobs}; expected 1 or more worker processes")
    if name == "reference":
        from crosstalk.engine.parallel import ReferenceEngine

        return ReferenceEngine(jobs=jobs)
    raise UsageError(f"unknown engine '{name}'; expected 'reference'")
