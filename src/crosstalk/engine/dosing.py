"""Dosing tables in NONMEM's form to a schedule of changes: boluses, infusions, additional doses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.compiled import CompiledSystem
from crosstalk.engine.document import read_model
from crosstalk.engine.schedule import Schedule, ranges
from crosstalk.engine.starting import unknown
from crosstalk.engine.tables import MISSING, Table
from crosstalk.errors import UsageError
from crosstalk.limits import shown

__all__ = ["COLUMNS", "Doses", "read_doses", "schedule"]

Array = NDArray[np.float64]

COLUMNS = {
    "ID": "individual",
    "TIME": "in the model's unit of time",
    "AMT": "amount, in the model's unit of substance",
    "RATE": "amount per time of an infusion; 0 for a bolus",
    "CMT": "what the dose goes into",
    "ADDL": "further doses like this one",
    "II": "time between them",
    "EVID": "1 for a dose, 0 for an observation, which is passed over",
    "SS": "must be 0",
}
IGNORED = ("DV", "MDV")  # what was observed
DOSES = 20_000_000


@dataclass(frozen=True)
class Doses:
    """Doses in rows, additional ones included.

    Attributes
    ----------
    patient : array of int, shape (n_doses,)
        Index of the individual.
    time, amount, rate : array, shape (n_doses,)
        The rate is 0 for a bolus.
    target : array of int, shape (n_doses,)
        Place in ``targets``.
    targets : tuple of str
    """

    patient: NDArray[np.intp]
    time: Array
    amount: Array
    rate: Array
    target: NDArray[np.intp]
    targets: tuple[str, ...]

    @property
    def infused(self) -> tuple[str, ...]:
        """Targets of infusions."""
        return tuple(self.targets[k] for k in np.unique(self.target[self.rate > 0]))


def read_doses(table: Table, ids: Sequence[str], compartments: Mapping[str, str], known: Sequence[str]) -> Doses:
    """Read a dosing table, see `COLUMNS`.

    Parameters
    ----------
    table : Table
    ids : sequence of str
        The individuals.
    compartments : mapping of str to str
        What values of CMT stand for; under ``""`` what all doses go into if there is no such column.
    known : sequence of str
        What a dose can go into.

    Raises
    ------
    UsageError
        With the line, on what cannot be read or is not supported.
    """
    table = Table(table.source, {name.upper(): cells for name, cells in table.columns.items()}, table.lines)
    for name in table.columns:
        if name not in COLUMNS and name not in IGNORED:
            raise UsageError(
                f"{table.source}: unknown column '{shown(name)}' of a dosing table; expected {', '.join(COLUMNS)} "
                f"({', '.join(IGNORED)} are passed over); values of individuals belong to the table of parameters"
            )
    for name in ("ID", "TIME", "AMT"):
        if name not in table.columns:
            raise UsageError(f"{table.source}: a dosing table needs the column {name} ({COLUMNS[name]})")
    patient = _individuals(table, ids)
    kind = _kinds(table)
    time, amount = table.numbers("TIME"), table.numbers("AMT", missing=0.0)
    rate, more, interval, steady = (
        table.numbers(name, missing=0.0) if name in table.columns else np.zeros(len(table))
        for name in ("RATE", "ADDL", "II", "SS")
    )
    given = np.flatnonzero(kind)
    for row in given:
        _check(table, int(row), time[row], amount[row], rate[row], more[row], interval[row], steady[row])
    target, targets = _targets(table, given, compartments, known)
    count = 1 + more[given].astype(np.int64)
    if count.sum() > DOSES:
        raise UsageError(f"{table.source}: makes {count.sum()} doses; expected {DOSES} at most")
    rows = np.repeat(given, count)
    turn = ranges(np.zeros(len(given), dtype=np.int64), count)
    return Doses(
        patient[rows], time[rows] + turn * interval[rows], amount[rows], rate[rows], np.repeat(target, count), targets
    )


def schedule(doses: Doses, inputs: Mapping[str, str], sbml: str, system: CompiledSystem, parameters: Array) -> Schedule:
    """Doses as changes of the model.

    A bolus is an amount: it raises a concentration by that over the volume of the individual.

    Parameters
    ----------
    inputs : mapping of str to str
        Parameter that holds the rate of infusion into each target, see `crosstalk.engine.model_file.add_inputs`.
    sbml : str
        The model, inputs included.
    parameters : array, shape (n_individuals, n_parameters)
        In the order of ``system.parameters``.
    """
    model = read_model(sbml).getModel()
    names = list(doses.targets)
    volume = np.ones(len(doses.patient))
    bolus = doses.rate == 0
    for k, name in enumerate(doses.targets):
        species = model.getSpecies(name)
        if name in system.amounts:
            names[k] = system.amounts[name][0]
        elif species is not None and not species.getHasOnlySubstanceUnits():
            compartment = species.getCompartment()
            if model.getCompartment(compartment).getSpatialDimensions() != 0:
                own = doses.target == k
                volume[own] = parameters[doses.patient[own], list(system.parameters).index(compartment)]
    parts = [(doses.patient, doses.time, doses.target, doses.amount / volume, bolus, np.zeros(len(bolus), dtype=bool))]
    for name, parameter in inputs.items():
        for rows in _by_patient(doses, doses.target == doses.targets.index(name)):
            time, rate = _rates(doses, rows)
            n = len(time)
            who = np.full(n, doses.patient[rows[0]])
            parts.append((who, time, np.full(n, len(names)), rate, np.ones(n, dtype=bool), np.ones(n, dtype=bool)))
        names.append(parameter)
    patient, time, target, amount, kept, setting = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Schedule(patient[kept], time[kept], target[kept], amount[kept], setting[kept], tuple(names))


def _by_patient(doses: Doses, of: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Rows of the infusions into one target, for each individual who has any."""
    rows = np.flatnonzero(of & (doses.rate > 0))
    rows = rows[np.argsort(doses.patient[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(doses.patient[rows])) + 1
    return [part for part in np.split(rows, cuts) if len(part)]


def _rates(doses: Doses, rows: NDArray[np.intp]) -> tuple[Array, Array]:
    """Total rate of overlapping infusions, from each time on at which it changes."""
    begin, rate = doses.time[rows], doses.rate[rows]
    end = begin + doses.amount[rows] / rate
    times = np.unique(np.concatenate([begin, end]))
    if len(rows) == 1:
        return times, np.array([rate[0], 0.0])
    # sums of those under way, so that the rate is 0 exactly when none is
    order = np.argsort(begin, kind="stable")
    begin, end, rate = begin[order], end[order], rate[order]
    if (end[:-1] <= begin[1:]).all():
        total = np.zeros(len(times))
        total[np.searchsorted(times, begin)] = rate
        return times, total
    return times, np.array([rate[(begin <= t) & (t < end)].sum() for t in times])


def _individuals(table: Table, ids: Sequence[str]) -> NDArray[np.intp]:
    place = {name: i for i, name in enumerate(ids)}
    found = np.empty(len(table), dtype=np.intp)
    for row, name in enumerate(table.columns["ID"]):
        if name not in place:
            raise UsageError(
                f"{table.where(row)}: the individual '{shown(name)}' is not in the table of parameters; add a row there"
            )
        found[row] = place[name]
    return found


def _kinds(table: Table) -> NDArray[np.bool_]:
    """Which rows are doses."""
    if "EVID" not in table.columns:
        return np.asarray(table.numbers("AMT", missing=0.0) != 0)
    kind = table.numbers("EVID", missing=0.0)
    for row in np.flatnonzero((kind != 0) & (kind != 1)):
        raise UsageError(
            f"{table.where(int(row))}: EVID is {kind[row]:g}; expected 1 for a dose or 0 for an observation (resets "
            f"and other events are not supported)"
        )
    return np.asarray(kind == 1)


def _check(
    table: Table, row: int, time: float, amount: float, rate: float, more: float, interval: float, steady: float
) -> None:
    """Refuse what is not supported, and what contradicts itself."""
    wrong = ""
    if time < 0:
        wrong = f"TIME is {time:g}; expected 0 or later, where the simulation begins"
    elif steady != 0:
        wrong = f"SS is {steady:g}; doses at steady state are not supported: give the doses that lead there (ADDL, II)"
    elif amount <= 0:
        wrong = f"AMT is {amount:g}; expected a positive amount"
    elif rate < 0:
        wrong = f"RATE is {rate:g}; rates that the model gives (-1, -2) are not supported: write the rate"
    elif more < 0 or more != int(more):
        wrong = f"ADDL is {more:g}; expected a whole number of further doses"
    elif more > 0 and interval <= 0:
        wrong = f"ADDL is {more:g} and II is {interval:g}; expected the time between doses in II"
    if wrong:
        raise UsageError(f"{table.where(row)}: {wrong}")


def _targets(
    table: Table, rows: NDArray[np.intp], compartments: Mapping[str, str], known: Sequence[str]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """What each dose goes into, as a place in the names."""
    cells = table.columns.get("CMT")
    places: dict[str, int] = {}
    found = np.empty(len(rows), dtype=np.intp)
    for k, row in enumerate(rows):
        cell = "" if cells is None or cells[row] in MISSING else cells[row]
        name = compartments.get(cell.removesuffix(".0"), compartments.get(cell, cell))
        if not name:
            raise UsageError(
                f"{table.where(int(row))}: it is not said what the dose goes into; add the column CMT, or --cmt NAME "
                f"with one of {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
            )
        if name not in known:
            if name.replace(".", "").isdigit():
                raise UsageError(
                    f"{table.where(int(row))}: CMT is {name}, a number; say what it stands for with --cmt {name}=NAME, "
                    f"with one of {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
                )
            raise UsageError(f"{table.where(int(row))}: CMT: {unknown(name, known, 'state or parameter')}")
        found[k] = places.setdefault(name, len(places))
    return found, tuple(places)
