"""One picture of each kind of result, drawn on axes that are given: `crosstalk.results.Reported.plot`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstalk.report.drawing import BLUE, GREY, INK, STYLES, plain_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "cohort",
    "concentrations",
    "contraction",
    "courses",
    "forest",
    "ladder",
    "mechanisms",
    "patients",
    "power",
    "predictions",
    "ranking",
    "verdicts",
]

MOST = 60  # rows that still can be told apart
Row = tuple[str, float, float, float]  # a name, a middle, two ends


def rows_of(axes: Axes, rows: Iterable[Row], *, title: str, label: str, null: float | None = None) -> None:
    """Points with their intervals, the first row on top; a line where nothing differs."""
    shown = list(rows)
    kept = shown[:MOST]
    for y, (_, middle, low, high) in enumerate(kept):
        axes.plot([low, high], [y, y], color=BLUE, lw=1.5, solid_capstyle="butt")
        axes.plot([middle], [y], "o", color=BLUE, ms=4)
    if null is not None:
        axes.axvline(null, color=GREY, lw=0.8, zorder=0)
    axes.set_yticks(range(len(kept)), [name for name, *_ in kept])
    axes.set_ylim(len(kept) - 0.4, -0.6)
    more = f" (the first {MOST} of {len(shown)})" if len(shown) > MOST else ""
    _named(axes, title + more, label)


def mechanisms(found: Any, axes: Axes) -> None:
    """Mechanism scores of one patient, in grey those of the virtual population."""
    for y, m in enumerate(found.mechanisms):
        axes.plot([m.population.lo90, m.population.hi90], [y, y], color="#d9d9d9", lw=9, solid_capstyle="butt")
    rows_of(
        axes, ((m.name, m.mean, m.lo90, m.hi90) for m in found.mechanisms), null=1.0,
        title=f"Mechanisms of {found.patient}", label="fold of health (90 %; grey: virtual population)",
    )  # fmt: skip
    axes.set_xscale("log")
    plain_log(axes)


def ranking(found: Any, axes: Axes) -> None:
    """Difference of every regimen to the reference."""
    ranked = sorted(found.regimens, key=lambda r: r.versus_reference.mean)
    week = ranked[0].change.week
    rows_of(
        axes,
        ((r.id, r.versus_reference.mean, r.versus_reference.lo90, r.versus_reference.hi90) for r in ranked),
        null=0.0, title=f"Forecast for {found.patient}, week {week:g}",
        label=f"change of {found.scale} against {found.reference} [points], 90 %\n(left is better)",
    )  # fmt: skip


def patients(found: Any, axes: Axes) -> None:
    """Chance of response of every patient under the reference regimen."""
    own = [(f, next(r for r in f.regimens if r.id == f.reference)) for f in found.forecasts]
    rows_of(
        axes, ((f.patient, 100 * r.response.mean, 100 * r.response.lo90, 100 * r.response.hi90) for f, r in own),
        title=f"{len(own)} patients on {own[0][0].reference if own else 'the reference'}",
        label="chance of response [%], 90 %",
    )  # fmt: skip
    axes.set_xlim(0, 100)


def cohort(found: Any, axes: Axes) -> None:
    """Mechanism scores of the patients, median and middle 90 %."""
    rows_of(
        axes, ((s.name, s.means.median, s.means.p5, s.means.p95) for s in found.scores), null=1.0,
        title=f"{len(found)} patients", label="fold of health: median, 5th to 95th percentile of patients' means",
    )  # fmt: skip
    axes.set_xscale("log")
    plain_log(axes)


def courses(found: Any, axes: Axes) -> None:
    """Median course of the first output in every arm, with the middle half of the patients."""
    output = found.study.outputs[0]
    # days for what is over within two weeks
    days = bool(found.times_h[-1] < 2 * 168)
    times = found.times_h / (24 if days else 168)
    for (colour, style), arm in zip(_cycle(len(found.study.arms)), found.study.arms, strict=True):
        values = found.courses[arm.id, output]
        known = np.isfinite(values).any(axis=0)
        low, middle, high = np.nanquantile(values[:, known], [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(times[known], low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(times[known], middle, color=colour, ls=style, label=arm.id)
    axes.legend(frameon=False)
    _named(axes, f"{found.study.title or found.study.id}", "day" if days else "week")
    axes.set_ylabel(f"{output}: median, middle half")


def power(found: Any, axes: Axes) -> None:
    """Power of every analysis, with its Monte-Carlo error."""
    rows_of(
        axes,
        (
            (a.id, 100 * a.power.value, 100 * (a.power.value - 1.96 * a.power.se),
             100 * (a.power.value + 1.96 * a.power.se))
            for a in found.analyses
        ),
        title=found.title, label="power [%], 95 % Monte-Carlo interval",
    )  # fmt: skip
    axes.set_xlim(0, 100)


def ladder(found: Any, axes: Axes) -> None:
    """AUC of every model of an event, or the error of a score."""
    measure = "auc" if found.kind == "event" else "rmse"
    ran = [(m, getattr(m.performance, measure)) for m in found.models if m.performance is not None]
    rows_of(
        axes, ((f"{m.name} ({m.learner})", e.value, e.low, e.high) for m, e in ran if e is not None),
        null=0.5 if measure == "auc" else None, title=f"What predicts {found.outcome}",
        label=f"{'AUC' if measure == 'auc' else 'RMSE'} of held-out folds, 95 %",
    )  # fmt: skip


def predictions(found: Any, axes: Axes) -> None:
    """Predicted value of every patient; the interval of a score."""
    event = found.kind == "event"
    scale = 100.0 if event else 1.0
    ends = ((p.value, p.value) if event else (p.low, p.high) for p in found.patients)
    rows_of(
        axes,
        ((p.patient, scale * p.value, scale * a, scale * b) for p, (a, b) in zip(found.patients, ends, strict=True)),
        title=found.name, label=f"risk of {found.positive} [%]" if event else f"{found.outcome} ({found.level:.0%})",
    )  # fmt: skip


def concentrations(found: Any, axes: Axes) -> None:
    """Concentrations of the samples by analyte, failed ones hollow."""
    names: list[str] = []
    for plate in found.plates:
        for a in plate.analytes:
            known = [s for s in a.samples if s.role == "sample" and s.value]
            if not known:
                continue
            if a.analyte not in names:
                names.append(a.analyte)
            y = names.index(a.analyte)
            for good, face in ((True, BLUE), (False, "none")):
                x = [s.value for s in known if (s.quality != "failed") == good]
                axes.plot(x, [y] * len(x), "o", ms=4, color=BLUE, mfc=face, alpha=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xscale("log")
    plain_log(axes)
    _named(axes, "Samples", "concentration, in the unit of each analyte (hollow: failed)")


def forest(found: Any, axes: Axes) -> None:
    """Pooled effects and their mean."""
    own = [(m.label, m.value, m.low, m.high) for m in found.members]
    unit = "" if found.unit == "dimensionless" else f" [{found.unit}]"
    rows_of(
        axes, [*own, ("mean effect", found.estimate, found.low, found.high)], null=found.null, title=found.title,
        label=f"{found.endpoint}{unit}, 95 %",
    )  # fmt: skip
    if found.scale == "logarithm":
        axes.set_xscale("log")
        plain_log(axes)


def verdicts(found: Any, axes: Axes) -> None:
    """Predictions less observations; an interval that misses the line is a miss."""
    rows_of(
        axes,
        (
            (v.key.replace("|", " "), (v.predicted_median - v.observed), v.lo90 - v.observed, v.hi90 - v.observed)
            for v in found.results
        ),
        null=0.0, title=f"{sum(v.inside90 for v in found.results)} of {len(found.results)} results are inside",
        label="prediction less observation, in the unit of each result, 90 %",
    )  # fmt: skip


def contraction(found: Any, axes: Axes) -> None:
    """Unknowns that the results narrowed most."""
    from crosstalk.calibrate.identifiability import contractions

    kept = contractions(found)[:20]
    axes.barh(range(len(kept)), [100 * c.contraction for c in kept], color=BLUE)
    axes.set_yticks(range(len(kept)), [c.unknown for c in kept])
    axes.set_ylim(len(kept) - 0.4, -0.6)
    _named(axes, f"The {len(kept)} unknowns that were narrowed most", "share of the prior's variance that is gone [%]")


def _cycle(n: int) -> list[tuple[str, Any]]:
    return [STYLES[i % len(STYLES)] for i in range(n)]


def _named(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, loc="left", fontsize="medium", color=INK)
    axes.set_xlabel(label)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
