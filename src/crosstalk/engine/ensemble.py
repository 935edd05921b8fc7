"""The ensemble interface: parameters per patient in, outputs by time out, a status per patient.

An engine knows SBML and numbers, nothing of biology. Every engine in this folder implements `Engine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.schedule import Schedule
from crosstalk.errors import SimulationError, UsageError, check_option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Engine", "Ensemble", "Event", "Failure", "Problem", "Status", "SteadyStates", "check_rtol"]

Array = NDArray[np.float64]


class Status(Enum):
    """What became of one patient; the value is the message for a person."""

    OK = "ok"
    STEP_LIMIT = "the integrator used up its steps or its step size vanished"
    NON_FINITE = "a value became NaN or infinite"
    NEGATIVE = "a state that cannot be negative became negative"
    INVALID_INPUT = "a parameter or initial value is NaN, infinite or out of its bounds"
    NO_STEADY_STATE = "no steady state was reached"
    UNSTABLE = "the steady state is unstable"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one patient failed: status, the state concerned (may be empty), the last good time and the unit of time."""

    status: Status
    state: str = ""
    time_h: float = float("nan")
    unit: str = "h"

    def __str__(self) -> str:
        where = f" (state {self.state})" if self.state else ""
        when = f" at {self.time_h:g} {self.unit}" if np.isfinite(self.time_h) else ""
        return f"{self.status.value}{where}{when}"


@dataclass(frozen=True, slots=True)
class Event:
    """A change at a known time: ``amount`` is added to, or set as, the value of ``target``.

    Parameters
    ----------
    time_h : float [h]
    target : str
        A state or a parameter of the model.
    amount : float or array, shape (n_patients,)
    action : {"add", "set"}
    """

    time_h: float
    target: str
    amount: float | Array
    action: Literal["add", "set"] = "add"

    def __post_init__(self) -> None:
        check_option(f"event of '{self.target}': action", self.action, ("add", "set"))


@dataclass(frozen=True)
class Problem:
    """What to simulate.

    Parameters
    ----------
    sbml : str
        The model as SBML text.
    n : int
        Number of patients.
    parameters : mapping of str to array, shape (n,)
        Values that differ from the model's own.
    times_h : array, shape (n_times,) [h]
        Output times, increasing, from 0.
    outputs : tuple of str
        Ids of states, parameters or assigned variables.
    initial : mapping of str to array, shape (n,)
        Initial values of states that differ from the model's own.
    events : tuple of Event
        Applied in order of time; at equal times in the order given. An output at the time of an event shows the value
        before it.
    nonnegative : tuple of str
        States that must not fall below zero (beyond the tolerance).
    schedule : Schedule, optional
        Events at times of each patient's own, applied after those of ``events`` at the same time.
    """

    sbml: str
    n: int
    parameters: Mapping[str, Array] = field(default_factory=dict)
    times_h: Array = field(default_factory=lambda: np.zeros(1))
    outputs: tuple[str, ...] = ()
    initial: Mapping[str, Array] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    nonnegative: tuple[str, ...] = ()
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        """Check what every engine relies on; what the model has no such name for is refused by the engine.

        Raises
        ------
        UsageError
            With the field, what was received and what was expected.
        """
        if self.n < 0:
            raise UsageError(f"Problem.n is {self.n}; expected 0 or more patients")
        times = np.asarray(self.times_h, dtype=np.float64)
        if times.ndim != 1 or not len(times):
            raise UsageError(f"Problem.times_h has the shape {times.shape}; expected one or more times in a row")
        if not np.isfinite(times).all():
            raise UsageError(f"Problem.times_h holds {times[~np.isfinite(times)][0]}; expected finite times")
        if times[0] != 0:
            raise UsageError(f"Problem.times_h begins at {times[0]:g} h; a simulation begins at 0 h, so begin with 0")
        if (np.diff(times) < 0).any():
            later = int(np.argmax(np.diff(times) < 0))
            raise UsageError(
                f"Problem.times_h goes back from {times[later]:g} to {times[later + 1]:g} h; expected increasing times"
            )
        for name, values in (("parameters", self.parameters), ("initial", self.initial)):
            for key, value in values.items():
                if np.shape(value) != (self.n,):
                    raise UsageError(
                        f"Problem.{name}['{key}'] has the shape {np.shape(value)}; expected one value for each of "
                        f"{self.n} patients"
                    )
        for event in self.events:
            self._check_event(event)
        if self.schedule is not None and len(self.schedule):
            first, last = int(self.schedule.patient.min()), int(self.schedule.patient.max())
            if first < 0 or last >= self.n:
                raise UsageError(
                    f"Problem.schedule has rows of the patients {first} to {last}; expected 0 to {self.n - 1}"
                )

    def _check_event(self, event: Event) -> None:
        where = f"Problem.events: the event of '{event.target}' at {event.time_h} h"
        if not (np.isfinite(event.time_h) and event.time_h >= 0):
            raise UsageError(f"{where}; expected a finite time of 0 h or later")
        if np.shape(event.amount) not in ((), (self.n,)):
            raise UsageError(
                f"{where} has amounts of the shape {np.shape(event.amount)}; expected one, or one for each of {self.n} "
                f"patients"
            )
        if np.ndim(event.amount) == 0 and not np.isfinite(event.amount):
            raise UsageError(f"{where} has the amount {event.amount}; expected a finite one")

    def take(self, index: NDArray[np.intp]) -> Problem:
        """The same problem for some of its patients, in the order of ``index``."""

        def part(value: float | Array) -> float | Array:
            return value if np.ndim(value) == 0 else np.asarray(value)[index]

        return replace(
            self,
            n=len(index),
            parameters={k: np.asarray(v)[index] for k, v in self.parameters.items()},
            initial={k: np.asarray(v)[index] for k, v in self.initial.items()},
            events=tuple(replace(e, amount=part(e.amount)) for e in self.events),
            schedule=None if self.schedule is None else self.schedule.take(index),
        )


def check_rtol(rtol: float) -> None:
    """Refuse a relative tolerance that no integrator can keep.

    Raises
    ------
    UsageError
    """
    if not 1e-14 <= rtol <= 0.1:
        raise UsageError(f"rtol is {rtol}; expected a relative tolerance from 1e-14 to 0.1")


@dataclass(frozen=True)
class Ensemble:
    """Simulated courses.

    Attributes
    ----------
    times_h : array, shape (n_times,) [h]
    outputs : tuple of str
    values : array, shape (n_patients, n_outputs, n_times)
        NaN from the time of failure on.
    failures : mapping of int to Failure
        Index of the patient to the reason; patients that are not listed are fine.
    engine : str
        Which engine made them: the reference engine stands in for what the fast one does not support.
    """

    times_h: Array
    outputs: tuple[str, ...]
    values: Array
    failures: Mapping[int, Failure]
    engine: str = "fast"

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which patients ran to the end, shape (n_patients,)."""
        mask = np.ones(len(self.values), dtype=bool)
        mask[list(self.failures)] = False
        return mask

    def __getitem__(self, output: str) -> Array:
        """Courses of one output, shape (n_patients, n_times)."""
        return self.values[:, self.outputs.index(output), :]

    def raise_for_status(self) -> None:
        """Raise `SimulationError` for the first patient that failed, if any."""
        for index, failure in sorted(self.failures.items()):
            raise SimulationError(f"patient {index}: {failure}; {len(self.failures)} of {len(self.values)} failed")

    def to_frame(self) -> pd.DataFrame:
        """Tidy table with columns patient, time_h, variable, value."""
        import pandas as pd

        n, n_outputs, n_times = self.values.shape
        return pd.DataFrame(
            {
                "patient": np.repeat(np.arange(n), n_outputs * n_times),
                "time_h": np.tile(self.times_h, n * n_outputs),
                "variable": np.tile(np.repeat(np.array(self.outputs, dtype=object), n_times), n),
                "value": self.values.ravel(),
            }
        )


@dataclass(frozen=True)
class SteadyStates:
    """Steady states of many patients.

    Attributes
    ----------
    states : tuple of str
    values : array, shape (n_patients, n_states)
    solved : mapping of str to array, shape (n_patients,)
        Parameters that were solved for, see `Engine.steady_state`.
    residual : array, shape (n_patients,) [1/h]
        Largest relative rate of change left.
    failures : mapping of int to Failure
    """

    states: tuple[str, ...]
    values: Array
    solved: Mapping[str, Array]
    residual: Array
    failures: Mapping[int, Failure]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which patients have a steady state, shape (n_patients,)."""
        mask = np.ones(len(self.values), dtype=bool)
        mask[list(self.failures)] = False
        return mask

    def initial(self) -> dict[str, Array]:
        """The states as `Problem.initial`."""
        return {state: self.values[:, i].copy() for i, state in enumerate(self.states)}


class Engine(Protocol):
    """What every engine offers."""

    def simulate(
        self,
        problem: Problem,
        *,
        rtol: float = 1e-6,
        atol: float | Mapping[str, float] | None = None,
        strict: bool = False,
    ) -> Ensemble:
        """Integrate every patient; a failure is a status, or `SimulationError` if ``strict``.

        ``atol`` is the absolute tolerance of every state, or by state; by default a thousandth of ``rtol`` on the scale
        of each state's own size along the course.
        """
        ...

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        """Find the steady state of every patient, without events.

        ``solve`` maps a parameter to an output and the values that the output must have at the steady state: the
        parameter is then found together with the state (one unknown and one equation more). ``warm`` says that
        ``problem.initial`` lies near the answer, so that the long integration is tried only if Newton fails.
        """
        ...

    def close(self) -> None:
        """Release worker processes, if any."""
        ...
