"""The reference implementation: one patient after the other through libRoadRunner (CVODE), any SBML it can load."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import exp

import numpy as np
import roadrunner
from numpy.typing import NDArray

from crosstalk.engine.document import Unsupported, read_model, time_unit
from crosstalk.engine.ensemble import Array, Ensemble, Event, Failure, Problem, Status, SteadyStates
from crosstalk.engine.nesting import check_nesting
from crosstalk.engine.sbml import read_sbml
from crosstalk.engine.starting import Starting, start_values
from crosstalk.errors import ModelError

__all__ = ["compile_model", "simulate_serial", "steady_state_serial"]

# 20 years: a hundred times the slowest mode of a model that settles within months
SETTLING_H = 20 * 365.25 * 24
MAX_STEPS = 200_000
RESIDUAL_LIMIT = 1e-10  # largest relative rate of change at a steady state [1/h]
NEWTON_STEPS = 40
APPROACH = tuple(np.linspace(0.1, 1.0, 10))  # shares of the way to targets that are far away
NEGATIVE_TOLERANCE = 1e-6
TIGHTER = 0.1  # of the tolerance, for a second try
UNDERFLOW = 1e-100
STATE_FLOOR = 1e-3  # states are scaled near 1; smaller ones are judged on this scale


@lru_cache(maxsize=32)
def compile_model(sbml: str) -> CompiledModel:
    """Compile SBML text once per process."""
    return CompiledModel(sbml)


class CompiledModel:
    """A compiled model whose states can be read and set as one vector."""

    def __init__(self, sbml: str) -> None:
        roadrunner.Logger.disableLogging()
        roadrunner.Config.setValue(roadrunner.Config.LLVM_BACKEND, roadrunner.Config.LLJIT)
        roadrunner.Config.setValue(roadrunner.Config.ROADRUNNER_DISABLE_PYTHON_DYNAMIC_PROPERTIES, True)
        check_nesting(sbml)
        try:
            self.runner = roadrunner.RoadRunner(sbml)
        except RuntimeError as error:
            raise ModelError(f"libRoadRunner cannot load the model: {error}") from error
        self.model = self.runner.model
        symbols = self.runner.getRatesOfChangeNamedArray().colnames
        self.states: tuple[str, ...] = tuple(s.rstrip("'") for s in symbols)
        ids = self.model.getGlobalParameterIds()
        # one call reads all states where all are parameters; species are read one by one, as amounts
        self._index = np.array([ids.index(s) if s in ids else -1 for s in self.states], dtype=np.int32)
        self._origin = np.array(self.model.getGlobalParameterValues(), dtype=np.float64)
        self._selection = _concentrations(sbml)
        # an autonomous model may start each piece at time 0, where CVODE is at its best
        self.autonomous = "symbols/time" not in sbml and "<event" not in sbml
        self._assigned = "<initialAssignment" in sbml
        self.unit = time_unit(read_model(sbml).getModel()) if self._selection is not None else "time units"
        try:
            system = read_sbml(sbml)
            self.parameters: dict[str, float] | None = dict(system.parameters)
            self.initial = dict(zip(system.states, system.initial, strict=True))
            self.starting = Starting.from_graph(system.graph, system.following)
            self.amounts = system.amounts
        except Unsupported:
            self.parameters, self.initial, self.starting, self.amounts = None, {}, Starting((), {}), {}
        self.runner.setIntegrator("cvode")
        self.integrator = self.runner.getIntegrator()
        self.integrator.setValue("maximum_num_steps", MAX_STEPS)

    def tolerate(self, rtol: float, atol: float | None = None) -> None:
        """Set the tolerances of the integrator; by default for states near 1, or as small as they are now."""
        if atol is None:
            size = np.abs(self.vector)
            smallest = size[size > 0].min() if (size > 0).any() else 1.0
            atol = rtol * STATE_FLOOR * min(1.0, float(smallest) if smallest < STATE_FLOOR else 1.0)
        self.integrator.setValue("relative_tolerance", rtol)
        self.integrator.setValue("absolute_tolerance", atol)

    def follow(self, problem: Problem) -> dict[str, Array]:
        """Values that follow from what the patients were given, and those given, each of shape (n_patients,).

        Raises
        ------
        ModelError
            On an unknown name, or if initial values would have to follow in a model that cannot be read for it.
        """
        given = {**problem.parameters, **problem.initial}
        if self.parameters is not None:
            own = {**self.parameters, **self.initial}
            columns = {name: np.full(problem.n, value) for name, value in own.items()}
            touched = start_values(given, columns, self.amounts, self.starting, lenient=True)
            return {**given, **{name: columns[name] for name in touched if name in columns and name not in given}}
        if given and (self._assigned or set(given) & set(self.model.getCompartmentIds())):
            raise Unsupported(
                "the model has initial values that follow from others, and uses what the fast engine does not support; "
                "give no parameters or initial values"
            )
        return dict(given)

    def start(self, values: Mapping[str, float]) -> None:
        """Go back to the model as loaded, then set parameters, compartments and states."""
        self.runner.resetToOrigin()
        species = self._selection or {}
        # a concentration needs its compartment first
        for name in sorted(values, key=lambda n: n.removesuffix("__amount") in species):
            self.set(name, values[name])

    def origin(self, name: str) -> float:
        """Value of a parameter in the model as loaded."""
        ids = self.model.getGlobalParameterIds()
        return float(self._origin[ids.index(name)])

    def select(self, name: str) -> str:
        """Name by which libRoadRunner knows what SBML calls so: a species is a concentration unless it says amount."""
        if self._selection is None:
            return name
        if name.endswith("__amount") and name.removesuffix("__amount") in self._selection:
            return name.removesuffix("__amount")
        return self._selection.get(name, name)

    def set(self, name: str, value: float) -> None:
        """Set a parameter or a state."""
        try:
            self.model.setValue(self.select(name), float(value))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the model has no parameter or state '{name}' that can be set: {error}") from error

    def get(self, name: str) -> float:
        """Value of a parameter, state or assigned variable now."""
        try:
            return float(self.model.getValue(self.select(name)))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the model has no variable '{name}': {error}") from error

    @property
    def vector(self) -> Array:
        """All states, shape (n_states,); species as amounts."""
        if (self._index >= 0).all():
            return np.asarray(self.model.getGlobalParameterValues(self._index), dtype=np.float64)
        return np.array([self.model.getValue(s) for s in self.states], dtype=np.float64)

    @vector.setter
    def vector(self, values: Array) -> None:
        if (self._index >= 0).all():
            self.model.setGlobalParameterValues(self._index, values)
        else:
            for state, value in zip(self.states, values, strict=True):
                self.model.setValue(state, float(value))

    @property
    def named(self) -> Array:
        """All states as SBML means their names, shape (n_states,)."""
        return np.array([self.get(s) for s in self.states]) if (self._index < 0).any() else self.vector

    def rates(self) -> Array:
        """Rates of change of all states, shape (n_states,) [1/h times the state's unit]."""
        return np.asarray(self.runner.getRatesOfChange(), dtype=np.float64)

    def integrate(self, times_h: Array, outputs: tuple[str, ...]) -> Array:
        """Integrate from ``times_h[0]`` on, shape (n_times, n_outputs). Raises RuntimeError as CVODE does."""
        state = self.vector
        if ((state != 0.0) & (np.abs(state) < UNDERFLOW)).any():
            # a state that has decayed to a denormal number makes CVODE fail at its first step
            self.vector = np.where(np.abs(state) < UNDERFLOW, 0.0, state)
        self.runner.timeCourseSelections = ["time", *(self.select(o) for o in outputs)]
        times = times_h - times_h[0] if self.autonomous else times_h
        return np.array(self.runner.simulate(times=[float(t) for t in times]), dtype=np.float64)[:, 1:]


def _concentrations(sbml: str) -> dict[str, str] | None:
    """Names of species as libRoadRunner selects them, ``None`` if libSBML cannot read the model on its own."""
    try:
        model = read_model(sbml).getModel()
    except ModelError:
        return None
    found = {}
    for i in range(model.getNumSpecies()):
        species = model.getSpecies(i)
        compartment = model.getCompartment(species.getCompartment())
        flat = compartment is not None and compartment.getSpatialDimensions() == 0
        name = species.getId()
        found[name] = name if species.getHasOnlySubstanceUnits() or flat else f"[{name}]"
    return found


def simulate_serial(problem: Problem, rtol: float, atol: float | None = None) -> Ensemble:
    """Integrate every patient of a problem, one after the other."""
    model = compile_model(problem.sbml)
    started = model.follow(problem)
    values = np.full((problem.n, len(problem.outputs), len(problem.times_h)), np.nan)
    failures: dict[int, Failure] = {}
    shared = list(problem.events)
    for i in range(problem.n):
        own = {k: float(v[i]) for k, v in started.items()}
        events = sorted([*shared, *_own_events(problem, i)], key=lambda e: e.time_h)
        failure = _invalid(problem, i) or _run(model, problem, own, events, i, values[i], rtol, atol)
        if failure is not None and failure.status is Status.STEP_LIMIT:
            # CVODE now and then loses its step right after a dose; at a smaller tolerance it takes another path
            values[i] = np.nan
            failure = _run(
                model, problem, own, events, i, values[i], rtol * TIGHTER, None if atol is None else atol * TIGHTER
            )
        if failure is not None:
            failures[i] = failure
    return Ensemble(np.asarray(problem.times_h, dtype=np.float64), problem.outputs, values, failures, "reference")


def _invalid(problem: Problem, i: int) -> Failure | None:
    """Name the first parameter, initial value or dose of patient ``i`` that is not finite."""
    for source in (problem.parameters, problem.initial):
        for name, column in source.items():
            if not np.isfinite(column[i]):
                return Failure(Status.INVALID_INPUT, name, 0.0)
    for event in problem.events:
        if not np.isfinite(_amount(event, i)):
            return Failure(Status.INVALID_INPUT, event.target, event.time_h)
    return None


def _own_events(problem: Problem, i: int) -> list[Event]:
    """Rows of the schedule of patient ``i``."""
    if problem.schedule is None:
        return []
    own = problem.schedule.take(np.array([i]))
    columns = zip(own.time_h, own.target, own.amount, own.setting, strict=True)
    return [Event(float(t), own.targets[k], float(a), "set" if s else "add") for t, k, a, s in columns]


def _amount(event: Event, i: int) -> float:
    return float(event.amount) if np.ndim(event.amount) == 0 else float(np.asarray(event.amount)[i])


def _run(
    model: CompiledModel,
    problem: Problem,
    started: Mapping[str, float],
    events: list[Event],
    i: int,
    out: Array,
    rtol: float,
    atol: float | None,
) -> Failure | None:
    """Integrate patient ``i`` from event to event; fill ``out``, shape (n_outputs, n_times)."""
    times = np.asarray(problem.times_h, dtype=np.float64)
    model.start(started)
    model.tolerate(rtol, atol)
    outputs = problem.outputs + problem.nonnegative
    n_out = len(problem.outputs)
    now, pending = 0.0, 0
    stops = sorted({e.time_h for e in events if e.time_h <= times[-1]} | {float(times[-1])})
    out[:, times == 0.0] = np.array([model.get(o) for o in problem.outputs])[:, None]
    for stop in stops:
        if stop > now:
            inside = np.flatnonzero((times > now) & (times <= stop))
            grid = np.unique(np.concatenate([[now], times[inside], [stop]]))
            try:
                rows = model.integrate(grid, outputs)
            except RuntimeError as error:
                return _diagnose(model, str(error), now)
            if not np.isfinite(rows).all():
                row = int(np.argmax(~np.isfinite(rows).all(axis=1)))
                state = outputs[int(np.argmax(~np.isfinite(rows[row])))]
                return Failure(Status.NON_FINITE, state, float(grid[max(row - 1, 0)]), model.unit)
            # the solver's error is relative to what a state was: a dose of 50 mg may end a hair below zero
            states = rows[:, n_out:]
            negative = states < -(NEGATIVE_TOLERANCE + rtol * np.abs(states).max(axis=0))
            if negative.any():
                row = int(np.argmax(negative.any(axis=1)))
                return Failure(
                    Status.NEGATIVE, problem.nonnegative[int(np.argmax(negative[row]))], float(grid[row]), model.unit
                )
            out[:, inside] = rows[np.searchsorted(grid, times[inside]), :n_out].T
            now = stop
        while pending < len(events) and events[pending].time_h <= now:
            event, amount = events[pending], _amount(events[pending], i)
            model.set(event.target, amount if event.action == "set" else model.get(event.target) + amount)
            pending += 1
    return None


def _diagnose(model: CompiledModel, message: str, segment_start: float) -> Failure:
    """Turn CVODE's message into a status with the state that is worst off."""
    found = re.search(r"t = ([-+0-9.eE]+)", message)
    time_h = segment_start + (float(found.group(1)) if found else 0.0)
    rates = model.rates()
    bad = ~np.isfinite(rates)
    if bad.any():
        return Failure(Status.NON_FINITE, model.states[int(np.argmax(bad))], time_h, model.unit)
    worst = int(np.argmax(np.abs(rates) / np.maximum(np.abs(model.vector), STATE_FLOOR)))
    return Failure(Status.STEP_LIMIT, model.states[worst], time_h, model.unit)


def steady_state_serial(
    problem: Problem, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
) -> SteadyStates:
    """Steady state of every patient: long integration, then Newton, then a check of residual and eigenvalues."""
    model = compile_model(problem.sbml)
    started = model.follow(problem)
    solve = solve or {}
    values = np.full((problem.n, len(model.states)), np.nan)
    solved = {name: np.full(problem.n, np.nan) for name in solve}
    residual = np.full(problem.n, np.nan)
    failures: dict[int, Failure] = {}
    for i in range(problem.n):
        failure = _invalid(problem, i)
        if failure is None:
            targets = {name: (output, float(value[i])) for name, (output, value) in solve.items()}
            failure, residual[i] = _settle(model, problem, {k: float(v[i]) for k, v in started.items()}, targets, warm)
        if failure is None:
            values[i] = model.named
            for name in solve:
                solved[name][i] = model.get(name)
        else:
            failures[i] = failure
    return SteadyStates(model.states, values, solved, residual, failures)


def _settle(
    model: CompiledModel,
    problem: Problem,
    started: Mapping[str, float],
    targets: dict[str, tuple[str, float]],
    warm: bool,
) -> tuple[Failure | None, float]:
    model.start(started)
    model.tolerate(1e-6)
    if warm:
        failure, residual = _newton(model, targets, problem.nonnegative)
        if failure is None:
            return failure, residual
        model.start(started)
    try:
        model.integrate(np.array([0.0, SETTLING_H]), ())
    except RuntimeError as error:
        return _diagnose(model, str(error), 0.0), np.nan
    settled = model.vector
    failure, residual = _newton(model, targets, problem.nonnegative)
    if failure is None or not targets:
        return failure, residual
    # by way of nearer targets, from where the unsolved parameters lead
    for name in targets:
        model.set(name, started.get(name, model.origin(name)))
    model.vector = settled
    failure, residual = _newton(model, {}, problem.nonnegative)
    now = {name: model.get(output) for name, (output, _) in targets.items()}
    for share in APPROACH:
        if failure is not None:
            break
        nearer = {k: (output, now[k] + share * (wanted - now[k])) for k, (output, wanted) in targets.items()}
        failure, residual = _newton(model, nearer, problem.nonnegative)
    return failure, residual


def _newton(
    model: CompiledModel, targets: dict[str, tuple[str, float]], nonnegative: tuple[str, ...]
) -> tuple[Failure | None, float]:
    """Damped Newton on the rates and, where parameters are solved for, on their targets; leaves the model there.

    Solved parameters are positive and move on the log scale.
    """
    names = tuple(targets)
    n = len(model.states)

    wanted = np.array([value for _, value in targets.values()])

    def place(z: Array) -> Array:
        model.vector = z[:n]
        for name, value in zip(names, z[n:], strict=True):
            model.set(name, exp(min(max(value, -700.0), 700.0)))
        f = np.empty(len(z))
        f[:n] = model.rates()
        for k, (output, value) in enumerate(targets.values()):
            f[n + k] = model.get(output) - value
        return f

    def size(f: Array, z: Array) -> float:
        rates = np.abs(f[:n]) / np.maximum(np.abs(z[:n]), STATE_FLOOR)
        gaps = np.abs(f[n:]) / np.maximum(np.abs(wanted), STATE_FLOOR)
        total = float(np.max(np.concatenate([rates, gaps])))
        return total if np.isfinite(total) else np.inf

    start = [np.log(max(model.get(name), 1e-12)) for name in names]
    z = np.concatenate([model.vector, start])
    f = place(z)
    norm = size(f, z)
    for _ in range(NEWTON_STEPS):
        if norm < RESIDUAL_LIMIT * 1e-2:
            break
        jacobian = _jacobian(place, z, f)
        try:
            step = np.linalg.solve(jacobian, -f)
        except np.linalg.LinAlgError:
            break
        if names:
            # shortened as a whole, so that the states stay on the way of the parameter
            step *= min(1.0, 1.5 / max(float(np.abs(step[n:]).max()), 1e-300))
        for damping in (1.0, 0.5, 0.25, 0.1, 0.03, 0.01):
            trial = z + damping * step
            trial_f = place(trial)
            trial_norm = size(trial_f, trial)
            # far from the targets a step may raise the residual of fast states a little: they follow within the next
            if trial_norm < norm or (names and damping == 1.0 and trial_norm < 2 * norm and norm > 1e-3):
                break
        else:
            break
        z, f, norm = trial, trial_f, trial_norm
    f = place(z)
    norm = size(f, z)
    if not norm < RESIDUAL_LIMIT:
        worst = int(np.argmax(np.abs(f[:n]) / np.maximum(np.abs(z[:n]), STATE_FLOOR)))
        return Failure(Status.NO_STEADY_STATE, model.states[worst]), norm
    for state in nonnegative:
        if z[model.states.index(state)] < -NEGATIVE_TOLERANCE:
            return Failure(Status.NEGATIVE, state), norm
    jacobian = _jacobian(place, z, f)[:n, :n]
    growth = np.linalg.eigvals(jacobian).real
    place(z)
    if growth.max() > 1e-9:
        return Failure(Status.UNSTABLE), norm
    return None, norm


def _jacobian(function: Callable[[Array], Array], z: Array, f: Array) -> NDArray[np.float64]:
    """Forward-difference Jacobian of ``function`` at ``z``, where it takes the value ``f``."""
    jacobian = np.empty((len(f), len(z)))
    for j in range(len(z)):
        h = 1e-7 * max(abs(z[j]), STATE_FLOOR)
        shifted = z.copy()
        shifted[j] += h
        jacobian[:, j] = (function(shifted) - f) / h
    return jacobian
