"""An analysed trial as tables, JSON, CSV and HTML report."""

from __future__ import annotations

import json
from math import exp, isfinite

from crosstalk.analysis.records import Analysed, EstimateRow, Finding
from crosstalk.report import analysis_charts as charts
from crosstalk.report.catalogue import Table
from crosstalk.report.html import page
from crosstalk.report.words import number
from crosstalk.spreadsheets import frame_csv

__all__ = ["analysis_csv", "analysis_html", "analysis_json", "analysis_tables", "p_text"]


def analysis_json(result: Analysed) -> str:
    """The result as JSON text."""
    return json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def analysis_csv(result: Analysed) -> str:
    """All estimates as CSV, a row each."""
    return frame_csv(result.to_frame())


def analysis_tables(result: Analysed) -> tuple[Table, ...]:
    """The patients, then a table for each analysis."""
    return (_patients(result), *(_finding(f) for f in result.findings))


def _patients(result: Analysed) -> Table:
    weeks = tuple(f"week {w:g}" for w in result.weeks)
    rows = tuple(
        (a.arm, str(a.patients), _spread(a.baseline_mean, a.baseline_sd), *map(str, a.seen)) for a in result.arms
    )
    return Table("Patients, and those with a score", ("arm", "patients", "baseline: mean (SD)", *weeks), rows)


def _spread(mean: float, sd: float) -> str:
    return f"{mean:.1f} ({sd:.1f})" if isfinite(mean) else "none"


def _finding(found: Finding) -> Table:
    whole = any(r.part for r in found.rows)
    timed = any(r.week is not None for r in found.rows)
    columns = ["estimate of", "arm"]
    columns += ["in"] if whole else []
    columns += ["week"] if timed else []
    columns += ["estimate", "SE", f"{100 * found.level:g} % interval", "df", "p"]
    rows = []
    for r in found.rows:
        e = r.estimate
        cells = [r.what.removeprefix("log "), r.arm]
        cells += [r.part] if whole else []
        cells += ["" if r.week is None else f"{r.week:g}"] if timed else []
        se = number(e.se) + (" (log)" if r.what.startswith("log ") else "")
        degrees = f"{e.df:.1f}" if isfinite(e.df) else ""
        cells += [_value(r, e.estimate), se, _interval(r), degrees, p_text(e.p)]
        rows.append(tuple(cells))
    versus = next((r.versus for r in found.rows if r.versus), "")
    against = f", arm less {versus}" if versus else ""
    return Table(f"{found.id}: {found.method} [{found.unit}]{against}", tuple(columns), tuple(rows))


def _value(row: EstimateRow, value: float) -> str:
    """An estimate or a limit; the ratio in place of its logarithm."""
    if not isfinite(value):
        return "none"
    if row.what.startswith("log "):
        return f"{exp(value):.2f}"
    return f"{value:.3f}" if "rate" in row.what else f"{value:.2f}"


def _interval(row: EstimateRow) -> str:
    low, high = row.estimate.lower, row.estimate.upper
    return f"{_value(row, low)} to {_value(row, high)}" if isfinite(low) else "none"


def p_text(p: float) -> str:
    """A p-value as a report writes it.

    Examples
    --------
    >>> p_text(0.0131349), p_text(0.00001), p_text(float("nan"))
    ('0.0131', '<0.0001', '')
    """
    if not isfinite(p):
        return ""
    return "<0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.1 else f"{p:.3f}"


def analysis_html(result: Analysed) -> str:
    """Report of an analysed trial as one HTML page."""
    sections = []
    for k, found in enumerate(result.findings):
        figures = []
        if found.method == "mmrm":
            figures.append(
                (charts.course_chart(result, found, f"course{k}"), "Least-squares means with their intervals.")
            )
        for j, curve in enumerate(found.curves):
            words = f"{curve.arm}: effect depends on the marker {curve.interaction.words}; ticks are patients."
            unit = found.unit.partition(" per ")[0]
            figures.append((charts.curve_chart(curve, unit, f"curve{k}-{j}"), words))
        if found.steps:
            words = "Kaplan-Meier estimate; time in weeks where it is counted in visits."
            figures.append((charts.event_chart(found.steps, f"events{k}"), words))
        for j, (arm, tipping) in enumerate(found.tipping):
            words = "Imputed at random, then made worse in this arm alone."
            figures.append((charts.tipping_chart(arm, tipping, result.unit, f"tipping{k}-{j}"), words))
        sections.append((found, _finding(found), figures))
    return page(
        "analysis", title=f"Analysis: {result.title}", r=result, patients=_patients(result), sections=sections,
        differences=charts.difference_chart(result),
    )  # fmt: skip
