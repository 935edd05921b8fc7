"""Forecasts of the patients of a file: one table for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence

from crosstalk.report.catalogue import Table
from crosstalk.report.drawing import new_figure, svg
from crosstalk.report.html import page
from crosstalk.report.pictures import patients
from crosstalk.report.words import UNCALIBRATED, interval_text, number
from crosstalk.spreadsheets import frame_csv
from crosstalk.twin.forecasts import CohortForecast
from crosstalk.twin.records import Forecast

__all__ = ["forecasts_csv", "forecasts_html", "forecasts_tables", "forecasts_words"]


def forecasts_csv(result: CohortForecast) -> str:
    """A row per patient and regimen, six significant digits."""
    return frame_csv(result.to_frame(), number="%.6g")


def forecasts_words(result: CohortForecast) -> Sequence[str]:
    """How many were forecast, and in how many the interval of some regimen excludes the reference."""
    told = sum(bool(_better(f)) for f in result.forecasts)
    others = "in the others there is" if told else "there is"
    reference = result.forecasts[0].reference
    calibrated = result.forecasts[0].provenance.calibrated
    return (
        f"Forecasts of {len(result.forecasts)} of {len(result.forecasts) + len(result.refused)} patients. "
        "Research use only; not a medical device.",
        *(() if calibrated else (UNCALIBRATED,)),
        f"In {told or 'none'} of them the 90 % interval of some regimen lies wholly on the better side of "
        f"{reference}; {others} no evidence of a difference in favour of any.",
        "",
    )


def forecasts_tables(result: CohortForecast) -> tuple[Table, ...]:
    """A row per patient, and those who could not be forecast."""
    rows = []
    for f in result.forecasts:
        own = next(r for r in f.regimens if r.id == f.reference)
        better = _better(f)
        rows.append(
            (
                f.patient, f.applicability.level, number(f.baseline.mean),
                f"{100 * own.response.mean:.0f} ({100 * own.response.lo90:.0f}, {100 * own.response.hi90:.0f})",
                ", ".join(better) or "none told",
            )
        )  # fmt: skip
    first = result.forecasts[0]
    title = f"{first.scale}, response under {first.reference} [%], and what is better than it (90 %)"
    tables = [Table(title, ("patient", "model knows", "baseline", "response", "better"), tuple(rows))]
    if result.refused:
        tables.append(Table("Not forecast", ("patient", "why"), tuple(result.refused.items())))
    return tuple(tables)


def forecasts_html(result: CohortForecast) -> str:
    """The table as one page, with the difference of every regimen in every patient."""
    figure, (axes,) = new_figure(max(0.22 * min(len(result.forecasts), 60) + 1.0, 2.0))
    patients(result, axes)
    names = [r.id for r in result.forecasts[0].regimens if r.id != result.forecasts[0].reference]
    grid = tuple(
        (f.patient, *(interval_text(next(r for r in f.regimens if r.id == name).versus_reference) for name in names))
        for f in result.forecasts
    )
    scale, reference = result.forecasts[0].scale, result.forecasts[0].reference
    matrix = Table(f"Change of {scale} against {reference} [points], 90 %", ("patient", *names), grid)
    return page(
        "forecasts", title=f"Forecasts of {len(result)} patients", r=result, seed=result.seed,
        provenance=result.forecasts[0].provenance, uncalibrated=UNCALIBRATED, words=forecasts_words(result)[-2:-1],
        tables=(*forecasts_tables(result), matrix),
        figure=svg(figure, "patients", f"Chance of response of {len(result)} patients under {reference}"),
    )  # fmt: skip


def _better(found: Forecast) -> list[str]:
    """Regimens whose interval lies wholly below that of the reference."""
    ranked = sorted(found.regimens, key=lambda r: r.versus_reference.mean)
    return [r.id for r in ranked if r.id != found.reference and r.versus_reference.hi90 < 0]
