"""Self-contained HTML reports: inline style and SVG, no script, no request."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosstalk.evidence.records import Pool
from crosstalk.report import charts, evidence_charts
from crosstalk.report.documents import Simulation
from crosstalk.report.evidence import pool_text
from crosstalk.report.words import UNCALIBRATED, USES, interval_text, measured_text, number, percent, range_text
from crosstalk.twin.records import Assessment, Change, Forecast, Interval, ProfileItem, Provenance

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["assessment_html", "forecast_html", "page", "pool_html", "simulation_html"]

TEMPLATES = Path(__file__).parent / "templates"
PLACES = {
    "below": "below the range", "within": "within the range", "above": "above the range", "unknown": "unknown",
}  # fmt: skip


def assessment_html(assessment: Assessment) -> str:
    """Report of an assessment as one HTML page."""
    figures = {
        "panel": charts.panel_chart(assessment.profile),
        "mechanisms": charts.mechanism_chart(assessment.mechanisms),
    }
    return _render(
        "assessment", _title("Assessment of", assessment.patient, assessment.provenance), assessment, charts=figures
    )


def forecast_html(forecast: Forecast) -> str:
    """Report of a forecast as one HTML page."""
    figures = {
        "panel": charts.panel_chart(forecast.profile),
        "mechanisms": charts.mechanism_chart(forecast.mechanisms),
        "course": charts.trajectory_chart(forecast),
        "dimensions": charts.dimension_chart(forecast),
        "ranking": charts.ranking_chart(forecast),
        "assays": charts.next_assay_chart(forecast.next_assay),
    }
    reference = next(r for r in forecast.regimens if r.id == forecast.reference)
    useful = [a for a in forecast.next_assay if a.variance_reduction >= 0.005]
    return _render(
        "forecast",
        _title("Forecast for", forecast.patient, forecast.provenance),
        forecast,
        charts=figures,
        ranked=sorted(forecast.regimens, key=lambda r: r.versus_reference.mean),
        reference=reference,
        week=reference.change.week,
        top_assay=useful[0] if useful else None,
        a=forecast.applicability,
    )


def simulation_html(simulation: Simulation) -> str:
    """Report of a simulated study as one HTML page."""
    variables = dict.fromkeys(q.variable for arm in simulation.arms for q in arm.quantiles)
    courses = [(v, charts.course_chart(simulation.arms, v, f"course{i}")) for i, v in enumerate(variables)]
    return _render(
        "simulation", _title("Simulation of", simulation.study, simulation.provenance), simulation, courses=courses
    )


def pool_html(pool: Pool) -> str:
    """Report of pooled published effects as one HTML page."""
    tables, notes = pool_text(pool)
    forest = evidence_charts.forest_chart(pool)
    return page("pool", title=f"Pooled evidence: {pool.title}", r=pool, tables=tables, notes=notes, forest=forest)


def page(template: str, **values: Any) -> str:
    """One HTML page from a template of that name, with its own style sheet after the common one if it has one."""
    return _environment().get_template(f"{template}.html.j2").render(style=_style(template), **values) + "\n"


def _title(words: str, name: str, provenance: Provenance) -> str:
    return f"{words} {name}" + ("" if provenance.calibrated else " (uncalibrated)")


def _render(template: str, title: str, result: Assessment | Forecast | Simulation, **values: Any) -> str:
    return page(
        template,
        title=title,
        r=result,
        seed=result.seed,
        provenance=result.provenance,
        uncalibrated=UNCALIBRATED,
        uses=USES,
        **values,
    )


@lru_cache
def _style(template: str) -> Any:
    from markupsafe import Markup

    sheets = [TEMPLATES / "style.css", TEMPLATES / f"{template}.css"]
    return Markup("".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.is_file()))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    filters: Mapping[str, Any] = {
        "number": number,
        "interval": lambda found: _unbroken(interval_text(found)),
        "percent": lambda found: _unbroken(percent(found)),
        "points": _points,
        "unbroken": _unbroken,
        "measured": measured_text,
        "place": _place,
        "range": range_text,
    }
    environment.filters.update(filters)
    return environment


def _points(found: Interval | Change) -> str:
    return _unbroken(f"{found.mean:.1f} ({found.lo90:.1f} to {found.hi90:.1f})")


def _unbroken(text: str) -> str:
    """Minus signs, and no line break within the interval."""
    mean, bracket, interval = text.replace("-", "\N{MINUS SIGN}").partition(" (")
    return mean.replace(" ", "\N{NO-BREAK SPACE}") + bracket + interval.replace(" ", "\N{NO-BREAK SPACE}")


def _place(item: ProfileItem) -> str:
    if item.position == "unknown" and not range_text(item):
        return ""
    words = PLACES[item.position]
    return words if item.percentile is None else f"{words} (percentile {item.percentile:.0f})"
