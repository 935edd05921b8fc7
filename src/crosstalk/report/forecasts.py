"""Forecasts of the patients of a file: one table for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from crosstalk.report.catalogue import Table
from crosstalk.report.cohort_patients import SHOWN
from crosstalk.report.drawing import new_figure, svg
from crosstalk.report.html import page
from crosstalk.report.pictures import patients
from crosstalk.report.words import UNCALIBRATED, number, percent, points_text
from crosstalk.spreadsheets import frame_csv
from crosstalk.twin.forecasts import CohortForecast
from crosstalk.twin.records import Forecast, Interval, RegimenForecast

__all__ = ["forecasts_csv", "forecasts_html", "forecasts_tables", "forecasts_words"]

VERDICTS = ("estimated better", "too small a difference to matter", "estimated worse")
"""What is told; all else is open."""


def forecasts_csv(result: CohortForecast) -> str:
    """A row per patient and regimen, six significant digits."""
    return frame_csv(result.to_frame(), number="%.6g")


def forecasts_words(result: CohortForecast) -> Sequence[str]:
    """How many were forecast, and in how many a treatment is estimated better than the reference."""
    told, first = sum(bool(_named(f, "estimated better")) for f in result.forecasts), result.forecasts[0]
    having = f"{told or 'None'} of {len(result.forecasts)} patients {'has' if told < 2 else 'have'}"
    return (
        f"Forecasts of {len(result.forecasts)} of {len(result.forecasts) + len(result.refused)} patients. "
        "Research use only; not a medical device.",
        *(() if first.provenance.calibrated else (UNCALIBRATED,)),
        f"{having} a treatment estimated better than {_reference(first).name}: its 90 % interval lies below zero "
        "by an amount that matters.",
        "",
    )


def forecasts_tables(result: CohortForecast) -> tuple[Table, ...]:
    """A row per patient, a row per treatment over all patients, and those who could not be forecast."""
    first = result.forecasts[0]
    reference = _reference(first)
    rows = tuple(
        (
            f.patient, f.applicability.level, number(f.baseline.mean), percent(_reference(f).response),
            ", ".join(_named(f, "estimated better")) or "none",
        )
        for f in result.forecasts
    )  # fmt: skip
    title = f"{first.scale}: response under {reference.name} (90 %), and what is estimated better than it"
    tables = [
        Table(title, ("patient", "model knows", "baseline", "response", "better"), rows),
        _treatments(result, reference),
    ]
    if result.refused:
        tables.append(Table("Not forecast", ("patient", "why"), tuple(result.refused.items())))
    return tuple(tables)


def _treatments(result: CohortForecast, reference: RegimenForecast) -> Table:
    """In how many patients each treatment is told from the reference, and how the mean difference varies."""
    rows = []
    for r in sorted(result.forecasts[0].regimens, key=lambda r: r.name):
        if r.id == reference.id:
            continue
        own = [other for f in result.forecasts for other in f.regimens if other.id == r.id]
        counts = [sum(o.verdict == words for o in own) for words in VERDICTS]
        means = [o.versus_reference.mean for o in own]
        spread = points_text(Interval(median(means), min(means), max(means)))
        rows.append((f"{r.name} ({r.id})", *map(str, counts), str(len(own) - sum(counts)), spread))
    return Table(
        f"Patients by what is told of each treatment against {reference.name}",
        ("treatment", "better", "too small to matter", "worse", "open", "difference: median (least to most) [points]"),
        tuple(rows),
    )


def forecasts_html(result: CohortForecast) -> str:
    """The tables as one page, with the mean difference of every regimen in every patient."""
    figure, (axes,) = new_figure(max(0.22 * min(len(result.forecasts), 60) + 1.0, 2.0))
    patients(result, axes)
    first = result.forecasts[0]
    reference = _reference(first)
    return page(
        "forecasts", title=f"Forecasts of {len(result)} patients", r=result, seed=result.seed, scale=first.scale,
        provenance=first.provenance, uncalibrated=UNCALIBRATED, words=forecasts_words(result)[-2],
        tables=forecasts_tables(result), reference=reference, forecasts=result.forecasts[:SHOWN],
        names=[r.id for r in first.regimens if r.id != reference.id], interval=points_text,
        figure=svg(figure, "patients", f"Chance of response of {len(result)} patients under {reference.name}"),
    )  # fmt: skip


def _reference(found: Forecast) -> RegimenForecast:
    return next(r for r in found.regimens if r.id == found.reference)


def _named(found: Forecast, verdict: str) -> list[str]:
    """Regimens with a verdict, the lowest mean first."""
    ranked = sorted(found.regimens, key=lambda r: r.versus_reference.mean)
    return [r.id for r in ranked if r.verdict == verdict]
