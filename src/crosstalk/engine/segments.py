"""The model's own events at fixed times: integrate up to each, let it assign, go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crosstalk.engine.ensemble import Array, Problem

if TYPE_CHECKING:
    from crosstalk.engine.fast import Run

__all__ = ["go_through_events"]


def go_through_events(run: Run, problem: Problem, times: Array, values: Array) -> None:
    """Integrate with the events that the model itself holds; fill ``values``, shape (n_patients, n_outputs, n_times).

    All assignments of an event are evaluated before any is made. An output at the time of an event shows the value
    after it if the trigger includes that time, as in ``time >= 1``, and the value before if not.
    """
    now, end, shown = float(times[0]), float(times[-1]), 0
    events = [e for e in run.system.events if now <= e.time_h <= end]
    for event in (*events, None):
        stop = end if event is None else event.time_h
        changes = () if event is None else event.assignments
        before = event is not None and event.inclusive
        until = int(np.searchsorted(times, stop, side="left" if before else "right"))
        grid = np.unique(np.concatenate([[now], times[shown:until], [stop]]))
        outputs = (*problem.outputs, *(variable for _, variable in changes))
        found = np.full((len(values), len(outputs), len(grid)), np.nan)
        due = [e for e in problem.events if e.time_h < stop or event is None]
        due = [e for e in due if e.time_h >= now or now == times[0]]
        run.status[run.status == 0] = -1
        run.go(grid, outputs, due, found)
        values[:, :, shown:until] = found[:, : len(problem.outputs)][:, :, np.searchsorted(grid, times[shown:until])]
        run.start = run.final.copy()
        _assign(run, changes, found[:, len(problem.outputs) :, -1])
        now, shown = stop, until


def _assign(run: Run, changes: Sequence[tuple[str, str]], values: Array) -> None:
    parameters = {name: j for j, name in enumerate(run.system.parameters)}
    states = {name: j for j, name in enumerate(run.system.states)}
    for k, (target, _) in enumerate(changes):
        if target in states:
            run.start[:, states[target]] = values[:, k]
        else:
            run.parameters[:, parameters[target]] = values[:, k]
    run.final = run.start.copy()
