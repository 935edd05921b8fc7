"""Any model on a table of individuals: what `crosstalk run` does, in Python."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.chunk import tables
from crosstalk.engine.compiled import CompiledSystem, compile_system
from crosstalk.engine.document import Unsupported, read_model, time_unit
from crosstalk.engine.dosing import read_doses, schedule
from crosstalk.engine.ensemble import Ensemble, Failure, Problem, check_rtol
from crosstalk.engine.model_file import add_inputs, open_model
from crosstalk.engine.sbml import TIME
from crosstalk.engine.starting import unknown
from crosstalk.engine.tables import Table, read_table
from crosstalk.errors import SimulationError, UsageError
from crosstalk.limits import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Courses", "individuals", "parse_times", "run"]

Array = NDArray[np.float64]

SLICE = 2048  # individuals between two reports of progress
TIMES = 100_000
LARGEST = 4e9  # bytes of all courses in memory


@dataclass(frozen=True)
class Courses:
    """What became of every individual.

    Attributes
    ----------
    ids : tuple of str
    times : array, shape (n_times,) [unit of time of the model]
    outputs : tuple of str
    values : array, shape (n_individuals, n_outputs, n_times)
        NaN from the time of failure on.
    failures : mapping of int to Failure
        By index; who is not listed is fine.
    time_unit : str
    engine : str
        ``fast``, or ``reference`` where libRoadRunner stood in.
    notes : tuple of str
        What a person should know, such as why the reference engine stood in.
    """

    ids: tuple[str, ...]
    times: Array
    outputs: tuple[str, ...]
    values: Array
    failures: Mapping[int, Failure]
    time_unit: str
    engine: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """In one line."""
        return f"<Courses of {len(self.ids)} individuals, {len(self.outputs)} outputs, {len(self.times)} times>"

    def __getitem__(self, output: str) -> Array:
        """Courses of one output, shape (n_individuals, n_times)."""
        if output not in self.outputs:
            raise UsageError(f"there is no output '{output}'; expected {', '.join(self.outputs)}")
        return self.values[:, self.outputs.index(output), :]

    @property
    def statuses(self) -> tuple[str, ...]:
        """``ok``, or why an individual failed and when."""
        return tuple(str(self.failures[i]) if i in self.failures else "ok" for i in range(len(self.ids)))

    def to_frame(self) -> pd.DataFrame:
        """A row for each individual and time: ID, time, the outputs, status."""
        import pandas as pd

        n, n_times = len(self.ids), len(self.times)
        frame = {"ID": np.repeat(np.array(self.ids, dtype=object), n_times), "time": np.tile(self.times, n)}
        frame |= {name: self.values[:, j, :].ravel() for j, name in enumerate(self.outputs)}
        frame["status"] = np.repeat(np.array(self.statuses, dtype=object), n_times)
        return pd.DataFrame(frame)

    def summary(self) -> pd.DataFrame:
        """Median and 90 % of the individuals at the last time, a row for each output."""
        import pandas as pd

        rows = []
        good = [i for i in range(len(self.ids)) if i not in self.failures]
        for j, name in enumerate(self.outputs):
            last = self.values[good, j, -1]
            low, median, high = np.percentile(last, [5, 50, 95]) if len(last) else (np.nan,) * 3
            rows.append((name, median, low, high))
        return pd.DataFrame(rows, columns=["output", "median", "5 %", "95 %"])

    def reasons(self) -> dict[str, int]:
        """Statuses of those who failed, with their numbers."""
        return dict(Counter(f.status.value for f in self.failures.values()).most_common())


def run(
    model: Path | str,
    times: str | Sequence[float] | Array,
    *,
    parameters: Path | str | pd.DataFrame | None = None,
    doses: Path | str | pd.DataFrame | None = None,
    outputs: Sequence[str] = (),
    cmt: Mapping[str, str] | str | None = None,
    rtol: float = 1e-6,
    atol: float | Mapping[str, float] | None = None,
    engine: str = "fast",
    jobs: int | None = None,
    strict: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Courses:
    """Simulate a model for every individual of a table.

    Parameters
    ----------
    model : Path or str
        SBML of any level or Antimony: a file, or its text.
    times : str or sequence of float
        ``"0:100:1"`` is begin, end, step; or the times, increasing, in the model's unit.
    parameters : Path, str or DataFrame, optional
        A row for each individual: ``ID`` (the rows are numbered where it is missing), and columns named after
        parameters, compartments, or states, whose initial values they are.
    doses : Path, str or DataFrame, optional
        A dosing table, see `crosstalk.engine.dosing.COLUMNS`. Without ``parameters``, its individuals are simulated.
    outputs : sequence of str
        By default every species and every other state.
    cmt : mapping of str to str, or str, optional
        What values of CMT stand for, or what all doses go into.
    rtol, atol : float
        See `crosstalk.engine.ensemble.Engine.simulate`.
    engine : {"fast", "reference"}
    jobs : int, optional
        Threads, one per processor by default.
    strict : bool
        Raise for the first individual that fails.
    progress : callable, optional
        Called with the share that is done.

    Raises
    ------
    UsageError
        On tables, names or options that cannot be used, with the line.
    ModelError
        On a model that cannot be read or is not supported.
    SimulationError
        If ``strict`` and one fails.

    Examples
    --------
    >>> result = run("C = 1; C' = -k*C; k = 1", "0:2:1")
    >>> result["C"].round(4)
    array([[1.    , 0.3679, 0.1353]])
    """
    check_rtol(rtol)
    grid = parse_times(times)
    people, problem = individuals(open_model(model), grid, parameters, doses, outputs, cmt)
    if problem.n * len(problem.outputs) * len(problem.times_h) * 8 > LARGEST:
        raise UsageError(
            f"{problem.n} individuals, {len(problem.outputs)} outputs and {len(grid)} times need more than "
            f"{LARGEST / 1e9:g} GB; name fewer outputs or times, or split the table"
        )
    chosen = get_engine(engine, jobs=jobs)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            parts = []
            for part in _slices(problem):
                parts.append(chosen.simulate(part, rtol=rtol, atol=atol))
                if progress is not None:
                    progress(sum(len(p.values) for p in parts) / problem.n)
    finally:
        chosen.close()
    result = _join(parts, people, grid, tuple(dict.fromkeys(str(w.message) for w in said)), problem.sbml)
    if strict and result.failures:
        first = min(result.failures)
        raise SimulationError(
            f"individual '{people[first]}': {result.failures[first]}; {len(result.failures)} of {len(people)} failed"
        )
    return result


def individuals(
    sbml: str,
    times: Array,
    parameters: Path | str | pd.DataFrame | None = None,
    doses: Path | str | pd.DataFrame | None = None,
    outputs: Sequence[str] = (),
    cmt: Mapping[str, str] | str | None = None,
) -> tuple[tuple[str, ...], Problem]:
    """Ids, and the problem that the engines take; see `run`."""
    given = None if parameters is None else read_table(parameters, "parameters of individuals")
    dosed = None if doses is None else read_table(doses, "doses")
    ids = _ids(given, dosed)
    states, settable = _names(sbml)
    values = {} if given is None else _values(given, settable)
    plan = None
    if dosed is not None:
        into = {"": cmt} if isinstance(cmt, str) else dict(cmt or {})
        plan = read_doses(dosed, ids, into, settable)
        inputs: dict[str, str] = {}
        if plan.infused:
            sbml, inputs = add_inputs(sbml, plan.infused)
    elif cmt:
        raise UsageError("cmt says what doses go into; give the doses, too")
    grid = times if times[0] == 0 else np.concatenate([[0.0], times])
    problem = Problem(sbml, len(ids), values, grid, tuple(outputs) or states)
    if plan is not None:
        system = _system(sbml)
        own, _ = tables(problem, system)
        problem = Problem(
            sbml, len(ids), values, grid, problem.outputs, schedule=schedule(plan, inputs, sbml, system, own)
        )
    return ids, problem


def parse_times(times: str | Sequence[float] | Array) -> Array:
    """Output times from ``begin:end:step``, from times separated by commas, or as they are.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> parse_times("0:1:0.25")
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if isinstance(times, str):
        parts = times.split(":")
        try:
            numbers = [float(x) for x in (times.split(",") if len(parts) == 1 else parts)]
        except ValueError:
            numbers = []
        if not numbers or len(parts) not in (1, 3) or not np.isfinite(numbers).all():
            raise UsageError(f"times are '{shown(times)}'; expected BEGIN:END:STEP as in 0:100:1, or 0,1,2,4")
        if len(parts) == 3:
            begin, end, step = numbers
            if not (step > 0 and end >= begin >= 0):
                raise UsageError(
                    f"times are '{times}'; expected BEGIN:END:STEP with a positive step, END not before BEGIN"
                )
            count = (end - begin) / step
            if count > TIMES:
                raise UsageError(f"times are '{times}', {count:.3g} of them; expected {TIMES} at most")
            steps = begin + step * np.arange(int(np.floor(count * (1 + 1e-12))) + 1)
            # 3 * 0.1 is not 0.3
            return np.array([float(f"{t:.15g}") for t in steps], dtype=np.float64)
        times = numbers
    found = np.asarray(times, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise UsageError("times: expected one or more finite numbers in a row")
    if found[0] < 0 or (np.diff(found) <= 0).any():
        raise UsageError("times: expected increasing times from 0 on, each once")
    return found


def _ids(given: Table | None, dosed: Table | None) -> tuple[str, ...]:
    if given is not None:
        if not len(given):
            raise UsageError(f"{given.source}: has no rows; expected one for each individual")
        if "ID" not in given.columns:
            if dosed is not None:
                raise UsageError(
                    f"{given.source}: has no column ID; expected one, by which doses find their individual"
                )
            return tuple(str(k + 1) for k in range(len(given)))
        seen: dict[str, int] = {}
        for row, name in enumerate(given.columns["ID"]):
            if name in seen:
                raise UsageError(
                    f"{given.where(row)}: the individual '{shown(name)}' has a row already (line "
                    f"{given.lines[seen[name]]}); expected one row for each"
                )
            seen[name] = row
        return tuple(seen)
    if dosed is not None:
        column = next((cells for name, cells in dosed.columns.items() if name.upper() == "ID"), [])
        return tuple(dict.fromkeys(column)) or ("1",)
    return ("1",)


def _values(given: Table, settable: Sequence[str]) -> dict[str, Array]:
    found = {}
    known = set(settable)
    for name in given.columns:
        if name == "ID":
            continue
        if name not in known:
            raise UsageError(f"{given.source}: column '{shown(name)}': {unknown(name, settable, 'parameter or state')}")
        found[name] = given.numbers(name)
    return found


def _names(sbml: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is shown if nothing is named, and what can be set: of the compiled model, or else of the document."""
    model = read_model(sbml).getModel()
    species = [model.getSpecies(i).getId() for i in range(model.getNumSpecies())]
    ruled = {model.getRule(i).getVariable() for i in range(model.getNumRules()) if model.getRule(i).isAssignment()}
    moved = [model.getRule(i).getVariable() for i in range(model.getNumRules()) if model.getRule(i).isRate()]
    shown_names = tuple(dict.fromkeys([*species, *moved]))
    try:
        system = compile_system(sbml)
    except Unsupported:
        others = [
            getattr(model, f"get{kind}")(i).getId()
            for kind in ("Parameter", "Compartment")
            for i in range(getattr(model, f"getNum{kind}s")())
        ]
        return shown_names, tuple(n for n in (*shown_names, *others) if n not in ruled)
    held = {holder for holder, _ in system.amounts.values()}
    names = (*system.amounts, *system.states, *system.parameters)
    return shown_names, tuple(n for n in names if n not in held and n != TIME)


def _system(sbml: str) -> CompiledSystem:
    try:
        return compile_system(sbml)
    except Unsupported as reason:
        raise Unsupported(f"{reason} by the fast engine, and doses need it") from None


def _slices(problem: Problem) -> Iterator[Problem]:
    if problem.n <= SLICE:
        yield problem
        return
    for first in range(0, problem.n, SLICE):
        yield problem.take(np.arange(first, min(first + SLICE, problem.n)))


def _join(parts: Sequence[Ensemble], ids: tuple[str, ...], times: Array, notes: tuple[str, ...], sbml: str) -> Courses:
    failures: dict[int, Failure] = {}
    begun = 0
    for part in parts:
        failures.update({begun + i: f for i, f in part.failures.items()})
        begun += len(part.values)
    values = np.concatenate([p.values for p in parts])[:, :, -len(times) :]
    unit = time_unit(read_model(sbml).getModel())
    return Courses(ids, times, parts[0].outputs, values, failures, unit, parts[0].engine, notes)
