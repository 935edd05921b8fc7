"""Self-contained HTML reports: inline style and SVG, no script, no request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosstalk.evidence.records import Pool
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.report import charts, evidence_charts, patient, strips
from crosstalk.report.documents import Simulation
from crosstalk.report.evidence import pool_sentence, pool_text
from crosstalk.report.simulation import observed_points, simulation_lines, simulation_tables
from crosstalk.report.words import UNCALIBRATED, number
from crosstalk.twin.records import Assessment, Forecast, Provenance
from crosstalk.twin.sentences import MEANINGFUL

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["assessment_html", "forecast_html", "page", "pool_html", "simulation_html"]

TEMPLATES = Path(__file__).parent / "templates"
CONTENTS = "<!-- contents -->"  # where the list of contents stands; after the first section where it is nowhere
SHORT = 40  # letters up to which a cell that begins with a number is set as one
FIRST = "In short"  # stands right above the contents
LONG = 6  # headings from which on a page has a list of contents


def assessment_html(assessment: Assessment) -> str:
    """Report of an assessment as one HTML page."""
    return _render(
        "assessment",
        _title("Assessment of", assessment.patient, assessment.provenance),
        assessment,
        charts={"panel": charts.panel_chart(assessment.profile)},
        tables=_tables(assessment),
        **_state(assessment),
    )


def forecast_html(forecast: Forecast) -> str:
    """Report of a forecast as one HTML page."""
    ranked = patient.ranked(forecast)
    axis = strips.effect_axis(forecast)
    margin = MEANINGFUL * load_knowledge().scales[forecast.scale].span
    sources = patient.source_table(forecast)
    first = {row[0]: i for i, row in reversed(list(enumerate(sources.rows)))}
    places = {first[r.name]: f"rests-{r.id}" for r in ranked if r.name in first}
    anchors = [places.get(i, "") for i in range(len(sources.rows))]
    return _render(
        "forecast",
        _title("Forecast for", forecast.patient, forecast.provenance),
        forecast,
        charts={
            "panel": charts.panel_chart(forecast.profile),
            "course": charts.trajectory_chart(forecast),
            "dimensions": charts.dimension_chart(forecast),
        },
        tables={
            **_tables(forecast),
            "treatments": patient.treatment_table(forecast),
            "outcomes": patient.outcome_table(forecast),
            "assays": patient.assay_table(forecast),
            "sources": sources,
        },
        anchors=anchors,
        effects={r.id: strips.effect_strip(r, axis, margin) for r in ranked},
        effect_axis=axis,
        ranked=ranked,
        reference=ranked[0],
        week=ranked[0].change.week,
        **_state(forecast),
    )


def _tables(result: Assessment | Forecast) -> dict[str, Any]:
    return {
        "panel": patient.panel_table(result.profile),
        "facts": patient.facts_table(result.profile),
        "mechanisms": patient.mechanism_table(result.mechanisms),
    }


def _state(result: Assessment | Forecast) -> dict[str, Any]:
    axis = strips.score_axis(result.mechanisms)
    return {
        "lines": patient.summary(result),
        "axis": axis,
        "strips": {m.id: strips.score_strip(m, axis) for m in result.mechanisms},
    }


def simulation_html(simulation: Simulation) -> str:
    """Report of a simulated study as one HTML page."""
    variables = dict.fromkeys(q.variable for arm in simulation.arms for q in arm.quantiles)
    courses = [(v, charts.course_chart(simulation, v, f"course{i}")) for i, v in enumerate(variables)]
    return _render(
        "simulation",
        _title("Simulation of", simulation.study, simulation.provenance),
        simulation,
        courses=courses,
        observed=[v for v in variables if observed_points(simulation, v)],
        lines=simulation_lines(simulation),
        tables=[t for t in simulation_tables(simulation) if t.rows],
    )


def pool_html(pool: Pool) -> str:
    """Report of pooled published effects as one HTML page."""
    tables, notes = pool_text(pool)
    forest = evidence_charts.forest_chart(pool)
    title = f"Pooled evidence: {pool.title}"
    return page("pool", title=title, r=pool, said=pool_sentence(pool), tables=tables, notes=notes, forest=forest)


def page(template: str, **values: Any) -> str:
    """One HTML page from a template of that name, with its own style sheet after the common one if it has one."""
    text = _environment().get_template(f"{template}.html.j2").render(style=_style(template), **values) + "\n"
    return with_contents(text)


def with_contents(text: str) -> str:
    """A page with an anchor at each heading and, where there are many, a list of them after the first section.

    Examples
    --------
    >>> with_contents("<h2>All of it</h2>")
    '<h2 id="all-of-it">All of it</h2>'
    """
    found: list[tuple[str, str]] = []

    def anchored(match: re.Match[str]) -> str:
        words = re.sub(r"<[^>]+>", "", match[1]).strip()
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "section"
        while any(name == other for other, _ in found) or f'id="{name}"' in text:
            name += "-"
        found.append((name, words))
        return f'<h2 id="{name}">{match[1]}</h2>'

    text = re.sub(r"<h2>(.*?)</h2>", anchored, text, flags=re.DOTALL)
    if len(found) < LONG:
        return text
    items = "".join(f'<li><a href="#{name}">{words}</a></li>' for name, words in found if words != FIRST)
    end = CONTENTS if CONTENTS in text else "</section>"
    first, _, rest = text.partition(end)
    kept = "" if end == CONTENTS else end
    return f'{first}{kept}\n<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>{rest}'


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
        "numeric": lambda text: text[:1] in "0123456789+-\N{MINUS SIGN}<>" and len(text) < SHORT,
        "broken": _broken,
        "unbroken": _unbroken,
    }
    environment.filters.update(filters)
    return environment


def _unbroken(text: str) -> str:
    """Minus signs, and no line break within the interval."""
    mean, bracket, interval = text.replace("-", "\N{MINUS SIGN}").partition(" (")
    return mean.replace(" ", "\N{NO-BREAK SPACE}") + bracket + interval.replace(" ", "\N{NO-BREAK SPACE}")


def _broken(text: str) -> str:
    """Minus signs before numbers, signs of comparison; no line break within a number with its interval."""
    text = re.sub(r"(?<![\w-])-(?=[\d.])", "\N{MINUS SIGN}", text)
    text = text.replace(">= ", "\N{GREATER-THAN OR EQUAL TO} ").replace("<= ", "\N{LESS-THAN OR EQUAL TO} ")
    return re.sub(r"\([^()]{1,24}\)", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
