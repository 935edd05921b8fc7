"""From rows of a data set to a trial: arms, visits, scores and what is known of each patient at baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.analysis.design import DataPlan, DesignPlan
from crosstalk.errors import PanelError, TrialError, UsageError
from crosstalk.limits import shown
from crosstalk.panel.sheets import Sheet, read_sheet

__all__ = ["TrialTable", "arrange"]

Array = NDArray[np.float64]
MISSING = ("", ".", "NA", "NaN", "nan", "NULL", "null")
WEEK = re.compile(r"(?:week|wk|w|visit week)?\s*_?(\d+(?:\.\d+)?)", re.IGNORECASE)
LISTED = 12


@dataclass(frozen=True)
class TrialTable:
    """One trial, a row for each patient.

    Attributes
    ----------
    arms : tuple of str
        The control first.
    weeks : array, shape (n_visits,) [weeks]
        After baseline, ascending; ``labels`` are the visits as the data name them.
    scores : array, shape (n_patients, n_visits)
        Not a number where missing.
    baseline : array, shape (n_patients,), optional
    columns : mapping of str to sequence of str
        What the data say of each patient, by column, where it is one thing for all of his rows.
    warnings : tuple of str
        Of the reading.
    """

    name: str
    patients: tuple[str, ...]
    arms: tuple[str, ...]
    arm: NDArray[np.intp]
    labels: tuple[str, ...]
    weeks: Array
    scores: Array
    baseline: Array | None
    columns: Mapping[str, Sequence[str] | None]
    comma: bool = False
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def change(self) -> Array:
        """Change from baseline, shape (n_patients, n_visits); the score itself without a baseline."""
        return self.scores if self.baseline is None else self.scores - self.baseline[:, None]

    def visit(self, week: float | None) -> int:
        """Number of the visit of a week; the last one without."""
        if week is None:
            return len(self.weeks) - 1
        found = np.flatnonzero(np.abs(self.weeks - week) < 1e-9)
        if not len(found):
            raise UsageError(f"no visit is at week {week:g}; there are {', '.join(f'{w:g}' for w in self.weeks)}")
        return int(found[0])

    def texts(self, column: str) -> tuple[str, ...]:
        """One text a patient, empty where missing.

        Raises
        ------
        PanelError
            If there is no such column, or it differs between the rows of a patient.
        """
        if column not in self.columns:
            raise PanelError(
                f"{self.name}: has no column '{shown(column)}'; it has {', '.join(list(self.columns)[:30])}"
            )
        found = self.columns[column]
        if found is None:
            raise PanelError(
                f"{self.name}: column '{shown(column)}' differs between the rows of a patient; expected one value each"
            )
        return tuple("" if v in MISSING or v in self.missing else v for v in found)

    def numbers(self, column: str) -> tuple[Array, str]:
        """Numbers of a column, and a note on those below or above a limit.

        A value such as ``<0.2`` counts as the limit over the square root of 2, one above a limit as the limit.
        """
        values, limited = np.full(len(self), np.nan), 0
        for k, text in enumerate(self.texts(column)):
            if not text:
                continue
            sign = text[0] if text[0] in "<>" else ""
            try:
                value = _number(text.removeprefix(sign).strip(), self.comma)
            except ValueError:
                raise PanelError(
                    f"{self.name}, patient {shown(self.patients[k])}: '{column}' is '{shown(text)}', no number"
                ) from None
            limited += bool(sign)
            values[k] = value / np.sqrt(2) if sign == "<" else value
        note = f"{limited} values of '{column}' beyond a limit, counted at the limit (below: over root 2)"
        return values, note if limited else ""

    def covariate(self, column: str) -> NDArray[Any]:
        """A covariate: numbers where all are, else labels.

        Raises
        ------
        PanelError
            If it is missing for a patient.
        """
        texts = self.texts(column)
        gone = [p for p, t in zip(self.patients, texts, strict=True) if not t]
        if gone:
            raise PanelError(
                f"{self.name}: covariate '{shown(column)}' is missing for {len(gone)} patients "
                f"({', '.join(map(shown, gone[:3]))}{', ...' if len(gone) > 3 else ''}); fill it in or drop it"
            )
        try:
            return self.numbers(column)[0]
        except PanelError:
            if any(t[0] in "<>" or _is_number(t, self.comma) for t in texts) and not all(texts):
                raise
            return np.array(texts, dtype=object)


def _number(text: str, comma: bool) -> float:
    if comma and re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError(text)
    return float(text)


def _is_number(text: str, comma: bool) -> bool:
    try:
        _number(text, comma)
    except ValueError:
        return False
    return True


def arrange(sheet: Sheet, plan: DesignPlan, folder: Path | None = None) -> TrialTable:
    """Read a trial from the rows of a data set.

    Parameters
    ----------
    folder : Path, optional
        Where a second file (``subjects``) is looked for.

    Raises
    ------
    PanelError
        With file, line, patient and column of what cannot be understood.
    """
    data = plan.data
    beside = _subjects(data, folder)
    kept, warnings = _kept(sheet, data)
    rows = _by_patient(sheet, data, kept)
    columns = _constant(sheet, rows)
    if beside is not None:
        alone = {row[beside.column(data.column("patient"))] for row in beside.rows} - set(rows)
        if alone:
            warnings.append(
                f"{len(alone)} patients of {beside.name} have no row in {sheet.name} and are left out, such as "
                f"{shown(min(alone))}"
            )
        columns = {**_beside(beside, data.column("patient"), tuple(rows)), **columns}
    arm_column = data.column("arm")
    if data.layout == "adam" and not data.arm and arm_column not in columns:
        arm_column = "TRT01P"
    patients = tuple(rows)
    shell = TrialTable(sheet.name, patients, (), np.zeros(0, np.intp), (), np.zeros(0), np.zeros((0, 0)), None, columns,
                       sheet.comma, tuple(data.missing))  # fmt: skip
    arms, arm, named = _arms(shell, arm_column, data.control)
    cells = _Cells(sheet, data, plan)
    labels, weeks, scores, first = (_wide if data.layout == "wide" else _long)(sheet, data, rows, cells)
    base = first
    if data.column("baseline"):
        base = shell.numbers(data.column("baseline"))[0]
        lost = [patients[k] for k in np.flatnonzero(~np.isfinite(base) & np.isfinite(scores).any(axis=1))]
        if lost:
            raise PanelError(
                f"{sheet.name}, patient {shown(lost[0])}: no baseline score ({len(lost)} patients); fill it in"
            )
    elif base is not None:
        lost = [patients[k] for k in np.flatnonzero(~np.isfinite(base) & np.isfinite(scores).any(axis=1))]
        if lost:
            raise PanelError(f"{sheet.name}, patient {shown(lost[0])}: no score at '{data.baseline_visit}'; fill it in")
    if plan.outcome.is_change:
        if base is None:
            raise PanelError(f"{sheet.name}: is_change needs a baseline; name its column by baseline in [data]")
        scores = scores + base[:, None]
    cells.within(scores, patients, weeks)
    seen = named & (np.isfinite(scores).any(axis=1) | (base is not None))
    if not seen.all():
        lost_patients = [p for p, s in zip(patients, seen, strict=True) if not s]
        warnings.append(
            f"{len(lost_patients)} patients without an arm or any score left out, such as {lost_patients[0]}"
        )
    keep = np.flatnonzero(seen)
    return TrialTable(
        sheet.name, tuple(patients[k] for k in keep), arms, arm[keep], labels, weeks, scores[keep],
        None if base is None else base[keep],
        {c: None if v is None else tuple(v[k] for k in keep) for c, v in columns.items()}, sheet.comma,
        tuple(data.missing), (*sheet.warnings, *warnings),
    )  # fmt: skip


def _subjects(data: DataPlan, folder: Path | None) -> Sheet | None:
    if not data.subjects:
        return None
    return read_sheet((folder or Path()) / data.subjects)


def _kept(sheet: Sheet, data: DataPlan) -> tuple[list[int], list[str]]:
    """Rows that ``where`` keeps; ADaM data of several questionnaires must say which."""
    chosen = {sheet.column(c): (v if isinstance(v, list) else [v]) for c, v in data.where.items()}
    kept = [k for k, row in enumerate(sheet.rows) if all(row[c] in values for c, values in chosen.items())]
    for column, values in data.where.items():
        there = {row[sheet.column(column)] for row in sheet.rows}
        for value in values if isinstance(values, list) else [values]:
            if value not in there:
                listed = ", ".join(sorted(map(shown, there))[:LISTED])
                raise PanelError(f"{sheet.name}: no row has {column} = '{shown(value)}'; there are {listed}")
    if not kept:
        raise PanelError(f"{sheet.name}: no row is left by [data.where]; check its values")
    if data.layout == "adam" and "PARAMCD" in sheet.columns:
        kinds = sorted({sheet.rows[k][sheet.column("PARAMCD")] for k in kept})
        if len(kinds) > 1:
            raise PanelError(
                f"{sheet.name}: holds the parameters {', '.join(map(shown, kinds[:LISTED]))}; choose one by "
                f'where = {{ PARAMCD = "{kinds[0]}" }} in [data]'
            )
    left = len(sheet.rows) - len(kept)
    return kept, [f"{left} of {len(sheet.rows)} rows left out by [data.where]"] if left else []


def _by_patient(sheet: Sheet, data: DataPlan, kept: Sequence[int]) -> dict[str, list[int]]:
    at, rows = sheet.column(data.column("patient")), dict[str, list[int]]()
    for k in kept:
        name = sheet.rows[k][at]
        if not name:
            raise PanelError(
                f"{sheet.name}, {sheet.places[k]}: names no patient in '{data.column('patient')}'; fill it in"
            )
        rows.setdefault(name, []).append(k)
    if data.layout == "wide":
        for name, own in rows.items():
            if len(own) > 1:
                raise PanelError(
                    f"{sheet.name}, {sheet.places[own[1]]}: patient {shown(name)} stands there for the second time; "
                    "expected one row a patient in the layout 'wide'"
                )
    return rows


def _constant(sheet: Sheet, rows: Mapping[str, list[int]]) -> dict[str, list[str] | None]:
    """Columns with one value for each patient; None for those that differ. An empty cell beside a value is no other."""
    found: dict[str, list[str] | None] = {}
    for at, column in enumerate(sheet.columns):
        values: list[str] | None = []
        for own in rows.values():
            kinds = {sheet.rows[k][at] for k in own} - set(MISSING)
            if len(kinds) > 1:
                values = None
                break
            assert values is not None
            values.append(kinds.pop() if kinds else "")
        found[column] = values
    return found


def _beside(sheet: Sheet, patient: str, patients: Sequence[str]) -> dict[str, list[str] | None]:
    at, rows = sheet.column(patient), dict[str, tuple[str, ...]]()
    for row, place in zip(sheet.rows, sheet.places, strict=True):
        if row[at] in rows:
            raise PanelError(f"{sheet.name}, {place}: patient {shown(row[at])} stands there for the second time")
        rows[row[at]] = row
    lost = [p for p in patients if p not in rows]
    if lost:
        raise PanelError(f"{sheet.name}: has no row of patient {shown(lost[0])} ({len(lost)} are lacking); complete it")
    return {c: [rows[p][k] for p in patients] for k, c in enumerate(sheet.columns)}


def _arms(table: TrialTable, column: str, control: str) -> tuple[tuple[str, ...], NDArray[np.intp], NDArray[np.bool_]]:
    if column in table.columns and table.columns[column] is None:
        raise PanelError(
            f"{table.name}: a patient has several arms in '{shown(column)}'; expected the one that he was randomised to"
        )
    texts = table.texts(column)
    names = list(dict.fromkeys(t for t in texts if t))
    if control not in names:
        raise PanelError(
            f"{table.name}: no patient has the arm '{shown(control)}' in '{shown(column)}'; control is one of "
            f"{', '.join(map(shown, names[:LISTED]))}"
        )
    if len(names) < 2:
        raise TrialError(f"{table.name}: all patients are of one arm, {shown(control)}; there is nothing to compare")
    if len(names) > 20:
        raise PanelError(f"{table.name}: '{shown(column)}' has {len(names)} values; it is no column of arms")
    arms = (control, *(n for n in names if n != control))
    found = np.array([arms.index(t) if t else 0 for t in texts], dtype=np.intp)
    return arms, found, np.array([bool(t) for t in texts])


class _Cells:
    """Scores of cells, with their place where they cannot be."""

    def __init__(self, sheet: Sheet, data: DataPlan, plan: DesignPlan) -> None:
        self.sheet, self.data, self.outcome = sheet, data, plan.outcome

    def score(self, row: int, column: int, patient: str) -> float:
        text = self.sheet.rows[row][column]
        if text in MISSING or text in self.data.missing:
            return float("nan")
        try:
            return _number(text, self.sheet.comma)
        except ValueError:
            raise PanelError(
                f"{self.sheet.name}, {self.sheet.places[row]}, patient {shown(patient)}: "
                f"'{shown(self.sheet.columns[column])}' is '{shown(text)}', no number; correct it or name it in missing"
            ) from None

    def within(self, scores: Array, patients: Sequence[str], weeks: Array) -> None:
        """Refuse scores outside of the scale, such as codes for a missing value."""
        low, high = self.outcome.minimum, self.outcome.maximum
        with np.errstate(invalid="ignore"):
            out = (scores < (-np.inf if low is None else low)) | (scores > (np.inf if high is None else high))
        if out.any():
            k, t = np.argwhere(out)[0]
            raise PanelError(
                f"{self.sheet.name}, patient {shown(patients[k])}, week {weeks[t]:g}: the score {scores[k, t]:g} is "
                f"outside of {'' if low is None else low} to {'' if high is None else high}; correct it, or name "
                "the code in missing"
            )


def _wide(
    sheet: Sheet, data: DataPlan, rows: Mapping[str, list[int]], cells: _Cells
) -> tuple[tuple[str, ...], Array, Array, Array | None]:
    columns = sorted(data.visits, key=lambda c: data.visits[c])
    weeks = _ascending(np.array([data.visits[c] for c in columns]), sheet)
    at = [sheet.column(c) for c in columns]
    scores = np.array([[cells.score(own[0], c, p) for c in at] for p, own in rows.items()])
    return tuple(columns), weeks, scores, None


def _long(
    sheet: Sheet, data: DataPlan, rows: Mapping[str, list[int]], cells: _Cells
) -> tuple[tuple[str, ...], Array, Array, Array | None]:
    visit, value = sheet.column(data.column("visit")), sheet.column(data.column("value"))
    found = list(dict.fromkeys(_label(sheet.rows[k][visit]) for own in rows.values() for k in own))
    first = _label(data.baseline_visit)
    if first and first not in found:
        raise PanelError(f"{sheet.name}: no visit is called '{shown(first)}'; there are {', '.join(map(shown, found))}")
    by_label, unused = _weeks(sheet, data, [f for f in found if f != first])
    labels = sorted(by_label, key=lambda f: by_label[f])
    weeks = _ascending(np.array([by_label[f] for f in labels]), sheet)
    places = {label: t for t, label in enumerate(labels)} | ({first: -1} if first else {})
    scores = np.full((len(rows), len(labels) + 1), np.nan)
    taken: dict[tuple[int, int], int] = {}
    for k, (patient, own) in enumerate(rows.items()):
        for row in own:
            label = _label(sheet.rows[row][visit])
            if label in unused:
                continue
            at = k, places[label]
            score = cells.score(row, value, patient)
            if at in taken and np.isfinite(score):
                raise PanelError(
                    f"{sheet.name}, {sheet.places[row]}, patient {shown(patient)}: a second row for the visit "
                    f"'{shown(label)}' (the first is {sheet.places[taken[at]]}); keep one, or choose by [data.where]"
                )
            if np.isfinite(score):
                scores[at], taken[at] = score, row
    return tuple(labels), weeks, scores[:, :-1], scores[:, -1] if first else None


def _weeks(sheet: Sheet, data: DataPlan, found: Sequence[str]) -> tuple[dict[str, float], set[str]]:
    """Week of each visit, and the visits that are not used."""
    given = {_label(v): week for v, week in data.visits.items()}
    if given:
        for label in given:
            if label not in found:
                raise PanelError(
                    f"{sheet.name}: no visit is called '{shown(label)}', as visits says; there are "
                    f"{', '.join(map(shown, found[:LISTED]))}"
                )
        return given, set(found) - set(given)
    weeks, unused = {}, set()
    for label in found:
        match = WEEK.fullmatch(label.strip())
        if match is None and label.strip().lower() in ("baseline", "screening", "day 1"):
            unused.add(label)
        elif match is None:
            raise PanelError(
                f"{sheet.name}: the week of the visit '{shown(label)}' is not known; give all of them by "
                f'visits = {{ "{shown(label)}" = 1 }} in [data]'
            )
        elif float(match[1]) == 0:
            unused.add(label)
        else:
            weeks[label] = float(match[1])
    if not weeks:
        raise PanelError(f"{sheet.name}: has no visit after baseline; give weeks by visits in [data]")
    return weeks, unused


def _label(text: str) -> str:
    """The name of a visit; a number as it is written shortest."""
    return f"{float(text):g}" if re.fullmatch(r"\d+\.?\d*", text) else text


def _ascending(weeks: Array, sheet: Sheet) -> Array:
    if (np.diff(weeks) <= 0).any():
        raise PanelError(
            f"{sheet.name}: two visits are at week {weeks[1:][np.diff(weeks) <= 0][0]:g}; keep one of them"
        )
    return weeks
