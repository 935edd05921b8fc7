"""A cohort's first screen and its patients as rows: scores coloured only where their intervals allow a word."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crosstalk.report.words import number
from crosstalk.twin.clinical import STRATIFIER, stratified
from crosstalk.twin.cohort_records import CohortAssessment, ScoreColumn
from crosstalk.twin.cohort_summary import STRATA, UNTOLD
from crosstalk.twin.records import Interval
from crosstalk.twin.sentences import INFORMED, WITHIN, listed, side

__all__ = ["SHOWN", "Cell", "PatientRow", "cohort_lines", "patient_rows"]

SHOWN = 200  # patients that the page lists
STEPS = 3  # shades of a colour
KINDS = {"low": "low", "within": "within", "high": "high", "open": "open"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One score of one patient: the number, its interval as a title, and the class of its colour."""

    text: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class PatientRow:
    """One patient: id, status, CRP with its stratum, and the five scores."""

    patient: str
    status: str
    crp: str
    stratum: str
    cells: tuple[Cell, ...]


def cohort_lines(result: CohortAssessment) -> tuple[str, ...]:
    """The first screen: how many, how many inflamed, groups, what was not used."""
    statuses = ", ".join(f"{n} {status}" for status, n in result.statuses.items())
    lines = [f"{len(result)} patients: {statuses}."]
    counts = {s.label: s.n for s in result.strata}
    if counts:
        limit = stratified().inflamed
        # strata from the limit on; a censored value that may lie on both sides is counted as none
        inflamed = [label for label, band in zip(STRATA, stratified().bands, strict=True) if band.end > limit]
        known = sum(counts.get(label, 0) for label in STRATA)
        high = sum(counts.get(label, 0) for label in inflamed)
        if known:
            share = f"{high} of {known} with a value that tells ({high / known:.0%})"
            words = f"Inflamed (CRP of {limit:g} mg/L or more): {share}"
            top = counts.get(STRATA[-1], 0)
            more = [f"{top} of them above 10 mg/L, where an acute cause is to be looked for"] if top else []
            more += [f"{counts[UNTOLD]} that cannot be told"] if counts.get(UNTOLD) else []
            lines.append(f"{words}{'; ' + '; '.join(more) if more else ''}.")
    told = [f"{s.name} in {s.high} of {s.n}" for s in result.scores if s.high]
    low = [f"{s.name} in {s.low} of {s.n}" for s in result.scores if s.low]
    if told:
        lines.append(f"Above health, by values measured and the patient's own 90 % interval: {listed(told)}.")
    if low:
        lines.append(f"Below health: {listed(low)}.")
    if not (told or low):
        lines.append("No patient's values tell that a score lies above or below health.")
    return (*lines, result.clusters.words, *result.unused)


def patient_rows(result: CohortAssessment) -> tuple[PatientRow, ...]:
    """The patients, those with the highest CRP first; at most `SHOWN`."""
    column = result.columns.get(STRATIFIER)
    n = len(result)
    values = np.full(n, -np.inf)
    if column is not None:
        values[column.used] = column.value[column.used]
    order = np.argsort(-values, kind="stable")
    found = []
    for i in map(int, order[:SHOWN]):
        crp, stratum = "", ""
        if column is not None and math.isfinite(values[i]):
            low, high = (float(end[i]) for end in column.limits)
            censored = str(column.censored[i])
            crp = {"left": "< ", "right": "> "}.get(censored, "") + number(float(values[i]))
            # what is below a limit does not reach it
            ends = (low, math.nextafter(high, 0.0)) if censored == "left" else (low, high)
            band = stratified().between(*ends)
            stratum = UNTOLD if band is None else band.words.partition(":")[0]
        found.append(
            PatientRow(
                result.patients.patient[i], result.patients.status[i], crp, stratum,
                tuple(_cell(s, i) for s in result.score_columns),
            )
        )  # fmt: skip
    return tuple(found)


def _cell(score: ScoreColumn, i: int) -> Cell:
    mean, low, high = (float(v[i]) for v in (score.mean, score.low, score.high))
    if not math.isfinite(mean):
        return Cell("", "no score", "none")
    # a score that no laboratory value tells of gets no colour, as it gets no sentence
    where = side(Interval(mean, low, high), WITHIN) if score.told_by_panel[i] >= INFORMED else "open"
    shade = min(STEPS, 1 + int(abs(math.log2(mean)))) if where in ("low", "high") else 0
    title = f"{score.definition.name} {number(mean)} ({number(low)} to {number(high)})"
    return Cell(number(mean), title, KINDS[where] + (f" shade-{shade}" if shade else ""))
