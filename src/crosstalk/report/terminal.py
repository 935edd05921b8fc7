"""Results as tables on the terminal: the content of the report, compact. Nothing is cut at any width."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from crosstalk.limits import printable
from crosstalk.report import patient
from crosstalk.report.catalogue import Table
from crosstalk.report.cohort import cohort_tables
from crosstalk.report.cohort_patients import cohort_lines
from crosstalk.report.documents import Simulation
from crosstalk.report.simulation import simulation_lines, simulation_tables
from crosstalk.report.words import UNCALIBRATED
from crosstalk.twin.cohort_records import CohortAssessment
from crosstalk.twin.records import Applicability, Assessment, Forecast

__all__ = ["render_assessment", "render_cohort", "render_forecast", "render_simulation", "render_table"]


def render_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console, whole: Sequence[str] = ()
) -> None:
    """Print one table; long texts wrap, except in the columns ``whole``."""
    if title:
        console.print(_safe(title, style="bold"))
    table = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    columns, rows = tuple(map(printable, columns)), [tuple(map(printable, row)) for row in rows]
    texts = [[column, *(row[j] for row in rows)] for j, column in enumerate(columns)]
    least = [
        max(len(part) for t in texts[j] for part in ([t] if c in whole else t.split() or [""]))
        for j, c in enumerate(columns)
    ]
    widths = fit([max(map(len, t)) for t in texts], least, console.width - 3 * (len(columns) - 1))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(_safe(column), overflow="fold", width=width)
    for row in rows:
        table.add_row(*(_safe(cell) for cell in row))
    console.print(table)
    console.print()


def fit(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths of columns that share a room: the widest give way first, down to their longest words, then beyond.

    Examples
    --------
    >>> fit([10, 40, 30], [10, 8, 12], 60)
    [10, 25, 25]
    >>> fit([10, 40, 30], [10, 8, 28], 60)
    [10, 22, 28]
    """
    widths = list(natural)
    while sum(widths) > room and max(widths) > 1:
        loose = [j for j, (w, low) in enumerate(zip(widths, least, strict=True)) if w > low]
        widest = max(loose or range(len(widths)), key=lambda j: widths[j])
        widths[widest] -= 1
    return widths


def _safe(words: str, style: str = "") -> Text:
    """A text of which no character moves the cursor, colours what follows, or turns its direction."""
    return Text(printable(words), style=style)


def render_assessment(assessment: Assessment, console: Console) -> None:
    """Print an assessment."""
    _head(f"Assessment of {assessment.patient}", assessment.provenance.calibrated, console)
    _lines(patient.summary(assessment), console)
    _table(patient.panel_table(assessment.profile), console)
    _table(patient.mechanism_table(assessment.mechanisms), console)
    _applicability(assessment.applicability, console)
    _notes(assessment.notes, console)


def render_cohort(cohort: CohortAssessment, console: Console) -> None:
    """Print the summary of a cohort."""
    _head(f"Cohort of {len(cohort)} patients", cohort.provenance.calibrated, console)
    for line in cohort_lines(cohort):
        console.print(_safe(line))
    console.print()
    for table in cohort_tables(cohort):
        if table.rows:
            render_table(table.title, table.columns, table.rows, console, whole=("analyte", "status", "CRP [mg/L]"))
    if any(a.values.how.startswith("log-normal") for a in cohort.analytes):
        console.print(_safe("* of a log-normal distribution fitted to numbers and censored values together."))
    _notes(cohort.notes, console)


def render_forecast(forecast: Forecast, console: Console) -> None:
    """Print a forecast."""
    _head(f"Forecast for {forecast.patient}", forecast.provenance.calibrated, console)
    _lines(patient.summary(forecast), console)
    _table(patient.treatment_table(forecast), console)
    _table(patient.outcome_table(forecast), console)
    _table(patient.mechanism_table(forecast.mechanisms), console)
    _table(patient.panel_table(forecast.profile), console)
    assays = patient.assay_table(forecast)
    if assays is not None:
        _table(assays, console)
    _applicability(forecast.applicability, console)
    _notes(forecast.notes, console)


def render_simulation(simulation: Simulation, console: Console) -> None:
    """Print a simulated study."""
    _head(f"Simulation of {simulation.study}", simulation.provenance.calibrated, console)
    for line in simulation_lines(simulation):
        console.print(_safe(line))
    console.print()
    for table in simulation_tables(simulation):
        if table.rows:
            _table(table, console)


def _head(title: str, calibrated: bool, console: Console) -> None:
    console.print(_safe(title + ("" if calibrated else " (uncalibrated)"), style="bold"))
    if not calibrated:
        console.print(_safe(UNCALIBRATED))
    console.print(_safe("Research use only; not a medical device."))
    console.print()


def _lines(lines: Sequence[patient.Line], console: Console) -> None:
    for line in lines:
        for j, sentence in enumerate(line.sentences):
            console.print(Text.assemble(_safe(f"{line.label}: " if j == 0 else "  ", style="bold"), _safe(sentence)))
    console.print()


def _table(table: Table, console: Console) -> None:
    render_table(table.title, table.columns, table.rows, console)
    if table.note:
        console.print(_safe(table.note))
        console.print()


def _applicability(applicability: Applicability, console: Console) -> None:
    if applicability.missing:
        console.print(_safe(f"Not measured: {', '.join(applicability.missing)}."))
        console.print()


def _notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(_safe(f"Note: {note}"))
