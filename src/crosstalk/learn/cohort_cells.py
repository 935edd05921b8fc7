"""Cells of the columns that options name, beside the panels: missing, numbers, two values, covariates, labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError, PanelError, UsageError
from crosstalk.panel.cells import read_number
from crosstalk.panel.records import PanelFile

__all__ = [
    "MISSING",
    "NO",
    "SCORE_VALUES",
    "YES",
    "cells_of",
    "covariate_of",
    "is_number",
    "labels_of",
    "missing_of",
    "mostly_numbers",
    "numbers_of",
    "places_of",
    "read_signed",
    "two_values",
]

Array = NDArray[np.float64]
MISSING = {"", "na", "nan", "n/a", "null", "none", ".", "missing", "unknown"}
YES, NO = {"1", "1.0", "yes", "true", "y"}, {"0", "0.0", "no", "false", "n"}


SCORE_VALUES = 10  # a score takes more values than this (assumed); fewer are categories, which are not modelled


def cells_of(panels: PanelFile, column: str) -> list[str]:
    """Cells of a column beside the panels, in their order; empty where there is none."""
    wanted = " ".join(column.split())
    return [next((t for c, t in p.extra.items() if " ".join(c.split()) == wanted), "") for p in panels.panels]


def places_of(panels: PanelFile) -> list[str]:
    """Where in the file each patient stands."""
    return [p.place for p in panels.panels]


def missing_of(cells: Sequence[str]) -> NDArray[np.bool_]:
    """Which cells say that there is no value."""
    return np.array([cell.lower() in MISSING for cell in cells], dtype=bool)


def read_signed(text: str, decimal: str) -> float:
    """A number of either sign.

    Raises
    ------
    PanelError
        If it is none.
    """
    plain = text.strip().replace("\u2212", "-")
    negative = plain.startswith("-")
    value, assumed = read_number(plain.removeprefix("-").removeprefix("+"), decimal)
    if assumed:
        raise PanelError(f"received '{text}'; expected a number without marks between its digits")
    return -value if negative else value


def numbers_of(file: Path, panels: PanelFile, column: str, given: Sequence[str] = ()) -> Array:
    """Cells as numbers, NaN where missing; ``given`` in place of those of the file.

    Raises
    ------
    LearnError
        If one is no number, with its place.
    """
    cells = given or cells_of(panels, column)
    values = np.full(len(cells), np.nan)
    for i, (cell, absent) in enumerate(zip(cells, missing_of(cells), strict=True)):
        if not absent:
            try:
                values[i] = read_signed(cell, panels.decimal)
            except PanelError as error:
                panel = panels.panels[i]
                raise LearnError(
                    f"{file}, {panel.place}, patient {panel.patient}, column '{column}': {error}"
                ) from None
    return values


def is_number(text: str, decimal: str) -> bool:
    """Whether `read_signed` reads it."""
    try:
        read_signed(text, decimal)
    except PanelError:
        return False
    return True


def mostly_numbers(cells: Sequence[str], decimal: str) -> bool:
    """Whether a column is one of numbers, of which single cells may be mistakes."""
    return sum(is_number(cell, decimal) for cell in cells) > len(cells) / 2


def two_values(
    file: Path, cells: Sequence[str], places: Sequence[str], name: str, chosen: str | None, option: str
) -> tuple[Array, str]:
    """Cells of two values as 0 and 1, and the value that is 1."""
    blank = np.flatnonzero(missing_of(cells))
    if len(blank):
        raise LearnError(f"{file}, {places[blank[0]]}: column '{name}' is empty; every patient needs a value")
    values = sorted(set(cells))
    shown = ", ".join(values[:6]) + (" ..." if len(values) > 6 else "")
    if len(values) < 2:
        raise LearnError(
            f"{file}: column '{name}' holds one value only ({shown}); nothing can be learnt from one class"
        )
    if len(values) > 2:
        raise LearnError(
            f"{file}: column '{name}' holds {len(values)} values ({shown}); expected two, or a score of more than "
            f"{SCORE_VALUES} numbers. Recode it"
        )
    if chosen is None:
        yes = [v for v in values if v.lower() in YES]
        no = [v for v in values if v.lower() in NO]
        if len(yes) != 1 or len(no) != 1:
            raise UsageError(f"{file}: column '{name}' holds {shown}; say which one is meant with {option}")
        chosen = yes[0]
    if chosen not in values:
        raise UsageError(f"{file}: {option} {chosen}: column '{name}' holds {shown}")
    return np.asarray([cell == chosen for cell in cells], dtype=float), chosen


def covariate_of(file: Path, panels: PanelFile, column: str) -> tuple[Any, bool, NDArray[np.bool_]]:
    """A column of numbers or of words, and which numbers lie below a limit (``<2.5``).

    One that is mostly numbers is refused at the first cell that is none.
    """
    cells = cells_of(panels, column)
    absent = missing_of(cells)
    below = np.array([cell.lstrip().startswith(("<", "≤")) for cell in cells], dtype=np.bool_)
    bare = [cell.lstrip().lstrip("<≤= ") if low else cell for cell, low in zip(cells, below, strict=True)]
    known = [cell for cell, gone in zip(bare, absent, strict=True) if not gone]
    if not known or mostly_numbers(known, panels.decimal):
        numbers = numbers_of(file, panels, column, bare)
        return np.where(below, numbers / np.sqrt(2), numbers), True, below
    words = ["missing" if gone else cell for cell, gone in zip(cells, absent, strict=True)]
    return np.array(words, dtype=object), False, np.zeros(len(cells), dtype=np.bool_)


def labels_of(file: Path, panels: PanelFile, column: str | None) -> tuple[str, ...] | None:
    """The texts of a column that every patient needs; None without a column."""
    if column is None:
        return None
    cells = cells_of(panels, column)
    blank = np.flatnonzero(missing_of(cells))
    if len(blank):
        raise LearnError(
            f"{file}, {panels.panels[blank[0]].place}: column '{column}' is empty; every patient needs one"
        )
    return tuple(cells)
