"""What the compiled functions are given, by name: addresses of a kernel, sizes, patients, events, and where results go.

Named tuples, since Numba passes them without a cost. Knows nothing of files or models.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.schedule import ranges

__all__ = ["Found", "Patients", "RootKernel", "RootSizes", "Settings", "Sizes", "StepKernel", "Timetable"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class StepKernel(NamedTuple):
    """Addresses of the functions that integration calls."""

    hoist: int
    rhs: int
    outputs: int
    step: int
    prepare: int
    dense: int
    signals: int


class RootKernel(NamedTuple):
    """Addresses of the functions that the search for a root calls; rates as written, no condition held."""

    hoist: int
    rates: int
    outputs: int
    jacobian: int
    factor: int
    solve: int


class Sizes(NamedTuple):
    """Of integration, in vectors."""

    width: int  # patients in a vector
    hoisted: int
    work: int
    variables: int
    signals: int
    clock: int  # place of the state that is time itself, -1 if there is none
    bounded: bool  # the kernel bounds the step
    fine: bool  # the driver must bound it


class RootSizes(NamedTuple):
    """Of the search for a root, in vectors."""

    width: int
    hoisted: int
    entries: int  # of the Jacobian
    variables: int
    switches: int
    work: int


class Patients(NamedTuple):
    """Who is integrated."""

    parameters: Array  # (n_patients, n_parameters)
    start: Array  # (n_patients, n_states)
    floor: Array  # (n_patients, n_states): size below which a state is judged absolutely


class Settings(NamedTuple):
    """How."""

    rtol: float
    max_steps: int
    growing: bool  # a state is also judged on a thousandth of its largest size so far
    shared: bool  # the lanes of a vector take the same steps


class Timetable(NamedTuple):
    """Changes at known times, those of one patient after those of another, each by time."""

    first: Integers  # (n_patients + 1,): where those of a patient begin
    time: Array
    target: Integers  # a state, or n_states + a parameter
    setting: NDArray[np.bool_]  # set instead of add
    amount: Array
    table: Integers  # of the compartment that makes an amount of a concentration, as in `sources`; -1 if there is none
    place: Integers

    def take(self, patients: NDArray[np.intp]) -> Self:
        """Those of some patients."""
        counts = np.diff(self.first)[patients]
        rows = ranges(self.first[:-1][patients], counts)
        return type(self)(
            np.concatenate([[0], np.cumsum(counts)]), self.time[rows], self.target[rows], self.setting[rows],
            self.amount[rows], self.table[rows], self.place[rows],
        )  # fmt: skip


class Found(NamedTuple):
    """What integration fills in."""

    values: Array  # (n_patients, n_outputs, n_times)
    status: Integers  # (n_patients,)
    worst: Integers  # (n_patients,): state to blame
    last_time: Array  # (n_patients,)
    final: Array  # (n_patients, n_states)
    size: Array  # (n_patients, n_states): largest magnitude along the course
