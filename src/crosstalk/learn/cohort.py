"""A cohort from a file: one row per patient, the outcome, who belongs together, clinical columns and the panel.

The file is read by `crosstalk.panel.reader.read_panel`, as all verbs read it; columns that options name are kept as
texts beside the panels and understood here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.learn.cohort_cells import (
    SCORE_VALUES,
    cells_of,
    covariate_of,
    labels_of,
    missing_of,
    mostly_numbers,
    numbers_of,
    places_of,
    two_values,
)
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.panel.registry import read_cells
from crosstalk.results import Shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ABOVE", "BELOW", "UPPER", "Cohort", "CohortColumns", "header_of", "read_cohort"]

Array = NDArray[np.float64]
Kind = Literal["event", "score"]
# suffixes of the columns that say that a value is censored: below its limit, above it, between two with this upper end
BELOW, ABOVE, UPPER = " below", " above", " upper"


@dataclass(frozen=True)
class CohortColumns:
    """Which columns of the file mean what; all but the outcome are optional.

    Attributes
    ----------
    outcome : str, optional
        None to read patients without one.
    positive : str, optional
        Value that is the event.
    site, group : str, optional
        Where treated; who belongs together (family).
    treatment, treated : str, optional
        Randomised treatment and the value that is the active arm.
    covariates : tuple of str
        Clinical columns besides age, sex, BMI and scores, which the panel's reader knows.
    week2, baseline : str, optional
        Score in week 2 and at baseline, for the rule of early improvement.
    """

    outcome: str | None
    positive: str | None = None
    site: str | None = None
    group: str | None = None
    treatment: str | None = None
    treated: str | None = None
    covariates: tuple[str, ...] = ()
    week2: str | None = None
    baseline: str | None = None

    def named(self) -> dict[str, str]:
        """Each named column and the option that names it.

        Raises
        ------
        UsageError
            If two options name the same column.
        """
        single = {"outcome": self.outcome, "site": self.site, "group": self.group, "treatment": self.treatment,
                  "week2": self.week2, "baseline": self.baseline}  # fmt: skip
        found: dict[str, str] = {}
        for option, column in [*single.items(), *(("covariates", c) for c in self.covariates)]:
            if column is None:
                continue
            if column in found and {option, found[column]} != {"covariates", "baseline"}:
                words = "the outcome is no predictor" if "outcome" in (option, found[column]) else "give each its own"
                raise UsageError(f"column '{column}' is named by --{found[column]} and by --{option}; {words}")
            found.setdefault(column, option)
        return found


@dataclass(frozen=True, repr=False)
class Cohort(Shown):
    """Patients with predictors, and an outcome if the file has one.

    Attributes
    ----------
    path, sha256 : str
    patients : tuple of str
    table : pandas.DataFrame, shape (n, k)
        A column per analyte in its own unit, per covariate, NaN where missing; categories are texts. A censored value
        is marked, so that steps can take it as such: below the limit of detection, the limit over the square root of 2
        and 1 in ``NAME below``; above a limit, the limit and 1 in ``NAME above``; between two, their geometric mean and
        the upper one in ``NAME upper``.
    y : array, shape (n,)
        0 and 1, or a score; empty without outcome.
    kind : {"event", "score"}
    outcome, positive : str
    clinical, categories, analytes : tuple of str
        Columns of `table`: clinical numbers, clinical texts, laboratory values.
    units : mapping of str to str
        Unit of each number, empty where the file's own is kept.
    site, group : tuple of str or None
    treatment : array of 0 and 1, or None
    improved : array of 0 and 1, or None
        Whether the score fell by a fifth or more until week 2.
    panels : PanelFile or None
        The panels as read, in the order of the patients.
    warnings : tuple of str
    treated : (column, value)
        Of the active arm.
    """

    path: str
    sha256: str
    patients: tuple[str, ...]
    table: pd.DataFrame
    y: Array
    kind: Kind
    outcome: str
    positive: str
    clinical: tuple[str, ...]
    categories: tuple[str, ...]
    analytes: tuple[str, ...]
    units: Mapping[str, str]
    site: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    treatment: Array | None = None
    improved: Array | None = None
    panels: PanelFile | None = None
    warnings: tuple[str, ...] = ()
    treated: tuple[str, str] = ("", "")

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def events(self) -> int | None:
        """People with the event; None for a score."""
        return int(self.y.sum()) if self.kind == "event" else None


EARLY = 0.2  # fall of the score by week 2 that counts as improved: Szegedi et al. 2009, doi 10.4088/JCP.07m03780


def read_cohort(
    path: str | Path,
    columns: CohortColumns,
    *,
    knowledge: Knowledge | None = None,
    occasion: str | None = None,
    mapping: FileMap | str | Path | None = None,
) -> Cohort:
    """Read a cohort, or patients of any format that `read_panel` knows where no column is named.

    Parameters
    ----------
    path : str or Path
        Any file that `read_panel` reads; the outcome and other named columns need a table.
    columns : CohortColumns
    knowledge : Knowledge, optional
    occasion : str, optional
    mapping : FileMap, str or Path, optional
        See `read_panel`.

    Raises
    ------
    UsageError
        If a named column is absent or named twice.
    LearnError
        If the outcome has one value or more than two and is no score, a predictor is the outcome under another name, or
        a cell cannot be read; with the place and what to do.
    PanelError
        From the reader of panels, with the line.
    """
    file, known = Path(path), knowledge or load_knowledge()
    named = columns.named()
    found = read_panel(file, knowledge=known, occasion=occasion, keep=(*named, *_more(columns)), mapping=mapping)
    header = {" ".join(text.split()): text for text in found.columns}
    for column, option in named.items():
        if column not in header:
            near = ", ".join(found.columns[:12]) or "none, since it is no table"
            raise UsageError(f"{file}: no column '{column}' (--{option}); its columns are {near}")
    told: list[str] = []
    y, kind, positive, keep = _outcome(file, found, columns, told)
    panels = [panel for panel, wanted in zip(found.panels, keep, strict=True) if wanted]
    kept = PanelFile(
        found.path, found.sha256, tuple(panels), found.warnings, found.format, found.columns, found.decimal
    )
    analytes = list(dict.fromkeys(a for p in panels for a in _given(p)))
    table, laboratory, clinical, units = _panel_table(kept, analytes, known, told)
    categories: list[str] = []
    numbers = [
        *columns.covariates,
        *([columns.baseline] if columns.baseline not in (None, *columns.covariates) else []),
    ]
    for name in numbers:
        assert name is not None
        if name in table:
            raise UsageError(f"{file}: covariate '{name}' has the name of an analyte of the file; rename it")
        values, is_number, below = covariate_of(file, kept, name)
        table[name] = values
        (clinical if is_number else categories).append(name)
        if below.any():
            flag = f"{name}{BELOW}"
            table[flag] = below.astype(np.float64)
            clinical.append(flag)
            told.append(
                f"{file}: {int(below.sum())} values of '{name}' lie below a limit; they count as the limit over the "
                f"square root of 2, beside a column '{flag}' of 0 and 1"
            )
    arm, treated = None, ("", "")
    if columns.treatment is not None:
        cells = cells_of(kept, columns.treatment)
        arm, value = two_values(file, cells, places_of(kept), columns.treatment, columns.treated, "--treated")
        treated = (columns.treatment, value)
        table[columns.treatment] = arm
        clinical.append(columns.treatment)
    empty = [c for c in map(str, table) if table[c].isna().all()]
    if empty:
        told.append(f"{file}: {', '.join(empty)}: no value in any patient used; left out")
    table = table.drop(columns=empty)
    _refuse_copies(file, table, categories, y[keep] if columns.outcome else np.array([]))
    return Cohort(
        str(file), found.sha256, tuple(p.patient for p in panels), table, y[keep] if columns.outcome else np.array([]),
        kind, columns.outcome or "", positive, _kept(table, clinical), _kept(table, categories),
        _kept(table, laboratory), {k: v for k, v in units.items() if k in table},
        labels_of(file, kept, columns.site), labels_of(file, kept, columns.group), arm, _improved(file, kept, columns),
        kept if analytes else None, (*found.warnings, *told), treated,
    )  # fmt: skip


def _more(columns: CohortColumns) -> tuple[str, ...]:
    return tuple(c for c in (columns.baseline, columns.week2) if c is not None)


def _given(panel: Panel) -> list[str]:
    """Analytes of a panel as given, and BMI; ratios that follow from others tell a regression nothing new."""
    return [a for a, m in panel.measurements.items() if m.place or a == "BMI"]


def header_of(path: str | Path) -> tuple[str, ...]:
    """Columns of a table; none for other formats."""
    return read_cells(Path(path))[1].columns


read_patients = read_cohort  # its name in scripts that were written before


def _kept(table: pd.DataFrame, names: list[str]) -> tuple[str, ...]:
    return tuple(c for c in names if c in table)


def _outcome(
    file: Path, panels: PanelFile, columns: CohortColumns, told: list[str]
) -> tuple[Array, Kind, str, NDArray[np.bool_]]:
    if columns.outcome is None:
        return np.array([]), "event", "", np.ones(len(panels.panels), dtype=bool)
    cells, name = cells_of(panels, columns.outcome), columns.outcome
    absent = missing_of(cells)
    if absent.all():
        raise LearnError(f"{file}: column '{name}' holds no outcome at all")
    if absent.any():
        lines = [p.place for p, gone in zip(panels.panels, absent, strict=True) if gone]
        first = ", ".join(place.removeprefix("line ") for place in lines[:5]) + (" ..." if len(lines) > 5 else "")
        told.append(
            f"{file}: {len(lines)} of {len(cells)} patients have no outcome (lines {first}) and are left out; if who "
            "drops out differs from who stays, every result is biased"
        )
    known = [cell for cell, gone in zip(cells, absent, strict=True) if not gone]
    y = np.full(len(cells), np.nan)
    if columns.positive is None and len(set(known)) > SCORE_VALUES and mostly_numbers(known, panels.decimal):
        return numbers_of(file, panels, name), "score", "", ~absent
    places = [place for place, gone in zip(places_of(panels), absent, strict=True) if not gone]
    coded, positive = two_values(file, known, places, name, columns.positive, "--positive")
    y[~absent] = coded
    return y, "event", positive, ~absent


def _panel_table(
    panels: PanelFile, analytes: list[str], known: Knowledge, told: list[str]
) -> tuple[pd.DataFrame, list[str], list[str], dict[str, str]]:
    import pandas as pd

    names = [*dict.fromkeys(analytes)]
    table = pd.DataFrame(np.nan, index=range(len(panels.panels)), columns=names)
    failed = 0
    for i, panel in enumerate(panels.panels):
        for name in names:
            m = panel.measurements.get(name)
            if m is None:
                continue
            if m.quality == "failed":
                failed += 1
                continue
            value = m.value
            if m.censored == "left":
                # a made-up number that keeps the order; the flag lets a step do better
                value /= np.sqrt(2)
            elif m.censored == "interval" and m.upper is not None:
                value = np.sqrt(max(m.value, 1e-12) * m.upper)
            if m.censored:
                flag = name + {"left": BELOW, "right": ABOVE, "interval": UPPER}[m.censored]
                if flag not in table:
                    table[flag] = np.nan if flag.endswith(UPPER) else 0.0
                table.loc[i, flag] = m.upper if flag.endswith(UPPER) else 1.0
            table.loc[i, name] = value
    for suffix, words in (
        (
            BELOW,
            "below the limit of detection, taken as the limit over the square root of 2 where a step needs a number",
        ),
        (ABOVE, "above a limit, taken as the limit where a step needs a number"),
        (UPPER, "between two limits, taken as their geometric mean where a step needs a number"),
    ):
        counted = {c.removesuffix(suffix): int((table[c] > 0).sum()) for c in map(str, table) if c.endswith(suffix)}
        if counted:
            listed = ", ".join(f"{name} {n}" for name, n in counted.items())
            told.append(f"{panels.path}: {words}: {listed}")
    if failed:
        told.append(f"{panels.path}: {failed} values failed in quality control; treated as missing")
    kinds = {name: known.analyte(name).kind for name in names}
    laboratory = [name for name in names if kinds[name] == "laboratory"]
    clinical = [name for name in names if kinds[name] != "laboratory"]
    return table, laboratory, clinical, {name: known.analyte(name).unit for name in names}


def _improved(file: Path, panels: PanelFile, columns: CohortColumns) -> Array | None:
    if columns.week2 is None:
        return None
    if columns.baseline is None:
        raise UsageError("--week2 needs --baseline COLUMN: the same scale before treatment")
    early, before = numbers_of(file, panels, columns.week2), numbers_of(file, panels, columns.baseline)
    if (before <= 0).any():
        raise LearnError(
            f"{file}: column '{columns.baseline}' holds a score of 0 or less; improvement is a share of it"
        )
    fall = (1 - early / before >= EARLY).astype(float)
    return np.where(np.isnan(early) | np.isnan(before), np.nan, fall)


def _refuse_copies(file: Path, table: pd.DataFrame, categories: list[str], y: Array) -> None:
    """A predictor that is the outcome under another name makes every result a lie."""
    if not len(y):
        return
    for name in table:
        known = table[name].notna().to_numpy()
        column, truth = table[name][known], y[known]
        if len(column) < 10 or column.nunique() < 2 or len(np.unique(truth)) < 2:
            continue
        texts = name in categories
        codes = column.astype("category").cat.codes if texts else column
        two = column.nunique() == 2
        if (texts and not two) or (len(np.unique(y)) == 2 and not two):
            continue  # a number of more values, or a text of more levels, is no copy of two outcomes
        if abs(np.corrcoef(codes.to_numpy(dtype=float), truth)[0, 1]) > 1 - 1e-9:
            raise LearnError(f"{file}: predictor '{name}' is the outcome under another name; leave the column out")
