"""What every part of the study reader needs: a problem with its place, look-ups, units, baseline filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from crosstalk.errors import UnitError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.limits import shown
from crosstalk.model.pharmacokinetics import prefix
from crosstalk.study.locate import Key
from crosstalk.study.records import Eligibility
from crosstalk.study.tables import EligibleTable
from crosstalk.units import is_bare, line

__all__ = [
    "POINTS",
    "KeyPath",
    "StudyProblem",
    "eligibility",
    "fail",
    "find",
    "measurable",
    "model_variables",
    "unit_factor",
]

KeyPath = tuple[Key, ...]
Record = TypeVar("Record")

POINTS = ("points", "point", "score")
"""How a study may write the unit of a symptom scale."""


class StudyProblem(Exception):
    """One thing that is wrong in a study file, and the key where; `read_study` turns it into a `StudyError`."""

    def __init__(self, path: KeyPath, message: str) -> None:
        super().__init__(message)
        self.path = path


def fail(path: KeyPath, message: str) -> NoReturn:
    """Raise a `StudyProblem`."""
    raise StudyProblem(path, message)


def find(look_up: Callable[[str], Record], name: str, path: KeyPath) -> Record:
    """Look a name up; an unknown one is a `StudyProblem` that names the nearest."""
    try:
        return look_up(name)
    except UsageError as error:
        raise StudyProblem(path, str(error)) from None


def unit_factor(unit: str, analyte: Analyte, path: KeyPath) -> float:
    """Return what a number in ``unit`` is multiplied by to get the analyte's own unit."""
    if analyte.kind == "scale" and unit in POINTS:
        return 1.0
    rules = dict(analyte.units_by_rule) or None
    if is_bare(analyte.unit) and not is_bare(unit) and unit not in analyte.units_by_rule:
        fail(path, f"received {shown(unit)!r}; {analyte.id} has no unit but {analyte.unit}; correct it")
    try:
        slope, intercept = line(unit, analyte.unit, molar_mass=analyte.molar_mass, factors=rules)
    except UnitError as error:
        raise StudyProblem(
            path, f"received {unit!r}, expected a unit that converts to {analyte.unit} ({analyte.id}): {error}"
        ) from None
    if intercept:
        fail(path, f"received {unit!r}, which is no multiple of {analyte.unit}; give the number in {analyte.unit}")
    return slope


def measurable(name: str, path: KeyPath, knowledge: Knowledge) -> Analyte:
    """Return an analyte by which virtual patients can be selected or compared."""
    analyte = find(knowledge.analyte, name, path)
    if analyte.kind == "laboratory" and not (analyte.observable or analyte.covariate):
        fail(
            path,
            f"received {name!r}, which the model does not predict; expected an analyte with an observable; "
            "choose another one",
        )
    return analyte


def eligibility(table: EligibleTable, path: KeyPath, knowledge: Knowledge) -> Eligibility:
    """Make a baseline filter, with its limits in the analyte's own unit."""
    analyte = measurable(table.analyte, (*path, "analyte"), knowledge)
    factor = unit_factor(table.unit, analyte, (*path, "unit"))
    low, high = analyte.plausible
    if analyte.covariate != "female":
        if table.min is not None and table.min * factor >= high:
            words = f"which nobody reaches (at most {high:g} {analyte.unit})"
            fail((*path, "min"), f"received {table.min:g} {table.unit}, {words}; is the unit right?")
        if table.max is not None and table.max * factor <= low:
            words = f"which nobody falls below (at least {low:g} {analyte.unit})"
            fail((*path, "max"), f"received {table.max:g} {table.unit}, {words}; is the unit right?")
    return Eligibility(
        analyte=analyte.id,
        unit=analyte.unit,
        min=None if table.min is None else table.min * factor,
        max=None if table.max is None else table.max * factor,
    )


def model_variables(knowledge: Knowledge) -> dict[str, str]:
    """Map the variables of the mechanism and of the drugs to their units, spelled as there (``pg_per_mL``)."""
    text = "\n".join(knowledge.mechanisms.values())
    units = dict(re.findall(r"\b([A-Za-z_]\w*) has (\w+)", text))
    names = re.findall(r"^\s*([A-Za-z_]\w*)(?:'|\s*:)?\s*=", text, re.MULTILINE)
    found = {name: units.get(name, "") for name in names}
    for drug in knowledge.drugs.values():
        if not drug.into_state:
            found[f"{prefix(drug.id)}_conc"] = f"{drug.amount_unit}_per_L"
    return found
