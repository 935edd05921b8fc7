"""Synthea's CSV: ``observations.csv``, with sex and age of ``patients.csv`` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crosstalk.panel.coded import Coded, system_of
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.rows import Rows, age, beside_file, rows_of

__all__ = ["FORMATS", "read"]

NEEDED = ("date", "patient", "code", "description", "value", "units")
PEOPLE = ("id", "birthdate", "gender")
SEXES = {"M": "male", "F": "female"}


def read(path: Path, wanted: Wanted) -> Reading:
    """Read the observations of a run of Synthea (wiki of Synthea, CSV File Data Dictionary).

    Raises
    ------
    PanelError
        If the table is broken.
    """
    found = rows_of(path, NEEDED)
    coded = Coded(wanted.knowledge)
    entries = list(_entries(found, coded))
    beside = beside_file(path, "patients")
    if beside is None:
        found.warnings.append(f"{path}: no patients.csv stands beside it: sex and age are unknown")
    else:
        people = rows_of(beside, PEOPLE)
        found.warnings += people.warnings
        found.problems += people.problems
        entries += _people(people, entries)
    return Reading(entries, found.problems, [*found.warnings, *coded.told(str(path))], found.content)


def _entries(found: Rows, coded: Coded) -> Iterator[Entry]:
    for row in found.rows:
        name = coded.name(row.cells["code"], row.cells["description"])
        if not name:
            continue
        if not row.cells["patient"]:
            found.problems.append(f"{found.path}, {row.place}: names no patient; fill the column PATIENT")
            continue
        yield Entry(
            row.place, row.cells["patient"], name, row.cells["value"], _unit(row.cells["units"]),
            system_of(row.cells["description"]), date=row.cells["date"],
        )  # fmt: skip


def _unit(text: str) -> str:
    return "" if text in ("{score}", "{nominal}") else text


def _people(people: Rows, entries: list[Entry]) -> Iterator[Entry]:
    """Sex, and the age on each day of an observation, of people who have one."""
    days: dict[str, dict[str, None]] = {}
    for e in entries:
        days.setdefault(e.patient, {})[e.date[:10]] = None
    held = {(e.patient, e.date[:10]) for e in entries if e.analyte == "age"}
    for row in people.rows:
        own = days.get(row.cells["id"])
        if own is None:
            continue
        place = f"{people.path.name}, {row.place}"
        sex = row.cells["gender"]
        yield Entry(place, row.cells["id"], "sex", SEXES.get(sex, sex), "")
        for day in own:
            if (years := age(row.cells["birthdate"], day)) and (row.cells["id"], day) not in held:
                yield Entry(place, row.cells["id"], "age", years, "a", date=day)


def _sign(look: Look) -> bool:
    return look.holds(*NEEDED, "encounter")


FORMATS = (Format("synthea", "Synthea observations.csv, with patients.csv beside it", _sign, read,
                   beside=("patients",), rank=45),)  # fmt: skip
