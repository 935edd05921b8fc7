"""Derivatives of outputs by parameters: central differences of courses that share every step.

A parameter's raised and lowered copy of a patient lie in one vector and take the same steps, so that the integrator is
one smooth function of the parameter and the choice of steps adds no noise to the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.chunk import Run, invalid_patients, tables
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.ensemble import Array, Failure, Problem
from crosstalk.engine.steady import SteadyChunk, steady_chunk
from crosstalk.engine.timetable import timetable
from crosstalk.errors import ModelError

__all__ = ["Sensitivities", "SensitivityChunk", "join", "sensitivity_chunk"]


@dataclass(frozen=True)
class SensitivityChunk:
    """A part of the patients; can be sent to another process."""

    problem: Problem
    parameters: tuple[str, ...]
    rtol: float
    relative_step: float
    from_steady_state: bool


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of courses.

    Attributes
    ----------
    parameters, outputs : tuple of str
    times_h : array, shape (n_times,) [h]
    derivatives : array, shape (n_patients, n_parameters, n_outputs, n_times)
        Unit of the output over that of the parameter; NaN where a patient failed.
    failures : mapping of int to Failure
        By patient.
    """

    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    times_h: Array
    derivatives: Array
    failures: dict[int, Failure]


def sensitivity_chunk(chunk: SensitivityChunk) -> Sensitivities:
    """Derivatives for the patients of one chunk, in this thread."""
    problem, names = chunk.problem, chunk.parameters
    system = compile_system(problem.sbml)
    known, _ = tables(replace(problem, initial={}), system)
    places = {name: j for j, name in enumerate(system.parameters)}
    for name in names:
        if name not in places:
            raise ModelError(f"the model has no parameter '{name}' to take a derivative by")
    pairs = max(1, system.width // 2)
    vectors = -(-len(names) // pairs)
    lanes = problem.n * vectors * system.width
    patient = np.repeat(np.arange(problem.n), vectors * system.width)
    wide = problem.take(patient)
    changed = {name: known[patient, places[name]].copy() for name in names}
    step = {name: chunk.relative_step * np.maximum(np.abs(known[:, places[name]]), 1e-9) for name in names}
    slots: dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
    for k, name in enumerate(names):
        first = np.arange(problem.n) * vectors * system.width + (k // pairs) * system.width + 2 * (k % pairs)
        slots[name] = (first, first + 1)
        changed[name][first] += step[name]
        changed[name][first + 1] -= step[name]
    wide = replace(wide, parameters={**wide.parameters, **changed})
    failures = dict(invalid_patients(wide))
    if chunk.from_steady_state:
        steady = steady_chunk(SteadyChunk(wide, {}, warm=bool(problem.initial)))
        failures.update(steady.failures)
        wide = replace(wide, initial={s: steady.values[:, j] for j, s in enumerate(steady.states)})
    parameters, start = tables(wide, system)
    run = Run(system, parameters, start, chunk.rtol, nonnegative=problem.nonnegative, skipped=list(failures))
    times = np.asarray(problem.times_h, dtype=np.float64)
    values = np.full((lanes, len(problem.outputs), len(times)), np.nan)
    run.resolve(times, problem.outputs, timetable(wide, system), values, shared=True)
    failures.update(run.failures())
    derivatives = np.stack(
        [(values[up] - values[down]) / (2 * step[name])[:, None, None] for name, (up, down) in slots.items()], axis=1
    )
    lost = {int(patient[lane]): failure for lane, failure in sorted(failures.items(), reverse=True)}
    derivatives[list(lost)] = np.nan
    return Sensitivities(names, problem.outputs, times, derivatives, lost)


def join(parts: Sequence[Sensitivities]) -> Sensitivities:
    """Put chunks together again."""
    failures: dict[int, Failure] = {}
    start = 0
    for part in parts:
        failures.update({start + i: f for i, f in part.failures.items()})
        start += len(part.derivatives)
    return replace(parts[0], derivatives=np.concatenate([p.derivatives for p in parts]), failures=failures)
