"""Events and schedules of a problem as the driver takes them: patient after patient, each by time."""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np

from crosstalk.engine.compiled import CompiledSystem
from crosstalk.engine.ensemble import Problem
from crosstalk.engine.slots import Timetable
from crosstalk.engine.starting import unknown
from crosstalk.errors import ModelError

__all__ = ["no_changes", "place_of", "places", "timetable"]


def timetable(problem: Problem, system: CompiledSystem) -> Timetable:
    """What changes in each patient, and when.

    Raises
    ------
    ModelError
        On a target that the model does not have.
    """
    n, events, own = problem.n, sorted(problem.events, key=lambda e: e.time_h), problem.schedule
    names = [e.target for e in events]
    patient, time = [np.tile(np.arange(n), len(events))], [np.repeat([e.time_h for e in events], n)]
    target = [np.repeat(np.arange(len(events)), n)]
    setting = [np.repeat([e.action == "set" for e in events], n)]
    amount = [np.broadcast_to(e.amount, (n,)) for e in events]
    if own is not None:
        patient.append(own.patient)
        time.append(own.time_h)
        target.append(own.target + len(names))
        setting.append(own.setting)
        amount.append(own.amount)
        names += own.targets
    known = places(system)
    at, table, place = (np.empty(len(names), dtype=np.int64) for _ in range(3))
    for k, name in enumerate(names):
        held, compartment = system.amounts.get(name, (name, ""))
        if held not in known:
            raise unknown(held, (*known, *system.amounts), "parameter or state")
        at[k] = known[held]
        table[k], place[k] = place_of(compartment, system) if compartment else (-1, -1)
    who, when, what = np.concatenate(patient), np.concatenate(time).astype(np.float64), np.concatenate(target)
    what = what.astype(np.intp)
    order = np.lexsort((when, who))
    what = what[order]
    return Timetable(
        np.searchsorted(who[order], np.arange(n + 1)).astype(np.int64),
        when[order],
        at[what],
        np.concatenate(setting)[order].astype(np.bool_),
        np.concatenate([*amount, np.empty(0)])[order].astype(np.float64),
        table[what],
        place[what],
    )


def no_changes(n: int) -> Timetable:
    """Nothing happens to any of some patients."""
    whole, real = np.empty(0, dtype=np.int64), np.empty(0)
    return Timetable(np.zeros(n + 1, dtype=np.int64), real, whole, np.empty(0, dtype=np.bool_), real, whole, whole)


def places(system: CompiledSystem) -> dict[str, int]:
    """What can be set: states, then parameters."""
    return {name: j for j, name in enumerate((*system.states, *system.parameters))}


def place_of(output: str, system: CompiledSystem) -> tuple[int, int]:
    """Table (0 states, 1 variables, 2 parameters) and place in it of an output."""
    for table, names in enumerate((system.states, system.variables, tuple(system.parameters))):
        if output in names:
            return table, names.index(output)
    names = (*system.states, *system.variables, *system.parameters)
    near = get_close_matches(output, names, 3)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise ModelError(f"the model has no variable '{output}'{hint}")
