"""A problem as what other tools run: SBML with its events, and a table of individuals.

What is changed at time 0 becomes the starting value; every later time becomes one event of SBML, whose amounts are
parameters, so that a table can give each individual his own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Event, Problem
from crosstalk.errors import ModelError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Exported", "export_problem"]

Array = NDArray[np.float64]

AMOUNT = "change_{}"


@dataclass(frozen=True)
class Exported:
    """A model with events, and what differs between individuals.

    Attributes
    ----------
    sbml : str
        With the values of the first individual.
    individuals : mapping of str to array, shape (n,)
        Parameters, initial values and amounts that a table can give.
    times : array, shape (n_times,)
    outputs : tuple of str
    """

    sbml: str
    individuals: Mapping[str, Array]
    times: Array
    outputs: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """A row for each individual, as `crosstalk run --parameters` takes it."""
        import pandas as pd

        n = len(next(iter(self.individuals.values()), np.zeros(1)))
        return pd.DataFrame({"ID": np.arange(1, n + 1), **self.individuals})


def export_problem(problem: Problem) -> Exported:
    """Write a problem as SBML with events and values of individuals.

    Raises
    ------
    UsageError
        If the problem has no patient, or a schedule of each one's own, which one set of events cannot hold.
    ModelError
        If a name is none that SBML knows.
    """
    import libsbml

    if problem.n < 1:
        raise UsageError("there is no individual to export; expected one or more")
    if problem.schedule is not None and len(problem.schedule):
        raise UsageError("individuals with times of their own cannot share the events of one model; export one by one")
    document = libsbml.readSBMLFromString(problem.sbml)
    model = document.getModel()
    values = {k: np.asarray(v, dtype=np.float64) for k, v in {**problem.parameters, **problem.initial}.items()}
    later = _begin(model, problem, values)
    number = 0
    for time in sorted({e.time_h for e in later}):
        targets: dict[str, str] = {}
        for event in (e for e in later if e.time_h == time):
            name, number = AMOUNT.format(number + 1), number + 1
            _parameter(model, name, constant=True)
            values[name] = np.broadcast_to(np.asarray(event.amount, dtype=np.float64), (problem.n,)).copy()
            before = targets.get(event.target, event.target)
            targets[event.target] = name if event.action == "set" else f"{before} + {name}"
        _event(model, time, targets)
    for name, column in values.items():
        _set(model, name, float(column[0]))
    times = np.asarray(problem.times_h, dtype=np.float64)
    return Exported(str(libsbml.writeSBMLToString(document)), values, times, problem.outputs)


def _begin(model: Any, problem: Problem, values: dict[str, Array]) -> list[Event]:
    """Take changes at time 0 into the starting values; returns the others."""
    later = []
    for event in sorted(problem.events, key=lambda e: e.time_h):
        if event.time_h > 0:
            later.append(event)
            continue
        if event.action == "set":
            values[event.target] = np.broadcast_to(np.asarray(event.amount, dtype=np.float64), (problem.n,)).copy()
        else:
            own = values.get(event.target)
            begun = np.full(problem.n, _value(model, event.target)) if own is None else own
            values[event.target] = begun + event.amount
    return later


def _element(model: Any, name: str) -> Any:
    element = model.getElementBySId(name)
    if element is None:
        raise ModelError(f"the model has no '{name}' that can be exported")
    return element


def _value(model: Any, name: str) -> float:
    element = _element(model, name)
    if model.getInitialAssignment(name) is not None:
        raise ModelError(f"'{name}' follows from other values and is changed at time 0; give its value")
    if model.getSpecies(name) is None:
        return float(element.getValue() if model.getParameter(name) is not None else element.getSize())
    return float(element.getInitialAmount() if element.isSetInitialAmount() else element.getInitialConcentration())


def _set(model: Any, name: str, value: float) -> None:
    """Give a value to what SBML knows by a name; what it would follow from gives way."""
    element = _element(model, name)
    model.removeInitialAssignment(name)
    if model.getParameter(name) is not None:
        element.setValue(value)
    elif model.getCompartment(name) is not None:
        element.setSize(value)
    elif element.getHasOnlySubstanceUnits():
        element.setInitialAmount(value)
    else:
        element.setInitialConcentration(value)


def _parameter(model: Any, name: str, *, constant: bool) -> None:
    if model.getElementBySId(name) is not None:
        raise ModelError(f"the model has a '{name}' of its own; rename it")
    parameter = model.createParameter()
    parameter.setId(name)
    parameter.setConstant(constant)


def _event(model: Any, time: float, targets: Mapping[str, str]) -> None:
    import libsbml

    event = model.createEvent()
    event.setUseValuesFromTriggerTime(True)
    trigger = event.createTrigger()
    trigger.setInitialValue(False)
    trigger.setPersistent(True)
    trigger.setMath(libsbml.parseL3Formula(f"time >= {time!r}"))
    for target, formula in targets.items():
        element = _element(model, target)
        if model.getSpecies(target) is None:
            element.setConstant(False)
        assignment = event.createEventAssignment()
        assignment.setVariable(target)
        assignment.setMath(libsbml.parseL3Formula(formula))
