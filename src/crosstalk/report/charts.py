"""Figures of one patient and of simulated arms as inline SVG: colour-blind-safe, legible in grey, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstalk.report.documents import SimulatedArm, Simulation
from crosstalk.report.drawing import BLUE, GREY, LIGHT, STYLES, VERMILION, new_figure, plain_log, svg
from crosstalk.report.simulation import Z95, observed_points
from crosstalk.twin.records import Forecast, ProfileItem, RegimenForecast, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "course_chart",
    "dimension_chart",
    "panel_chart",
    "shown_regimens",
    "trajectory_chart",
]


def panel_chart(profile: Sequence[ProfileItem]) -> str:
    """Each value over its reference median, the reference range behind it, the model's prediction beside it.

    Empty where no value has a reference range.
    """
    items = [p for p in profile if p.reference is not None and p.reference.median > 0 and p.value > 0][::-1]
    if not items:
        return ""
    figure, (axis,) = new_figure(0.75 + 0.3 * len(items))
    for y, item in enumerate(items):
        reference = item.reference
        assert reference is not None
        middle = reference.median
        low = max(reference.p2_5, 1e-3 * middle)
        axis.barh(y, reference.p97_5 / middle - low / middle, left=low / middle, height=0.56, color=LIGHT, zorder=1)
        axis.plot([1, 1], [y - 0.28, y + 0.28], color="white", lw=1.5, zorder=2)
        if item.predicted is not None:
            p = item.predicted
            axis.plot([p.lo90 / middle, p.hi90 / middle], [y - 0.2] * 2, color=VERMILION, lw=1.4, zorder=3)
            axis.plot(p.mean / middle, y - 0.2, "D", color=VERMILION, mfc="white", ms=4.5, zorder=4)
        # failed in quality control: shown, in grey and crossed, since nothing rests on it
        failed = item.use == "failed"
        colour = GREY if failed else BLUE
        if item.censored == "interval" and item.upper is not None:
            ends = [item.value / middle, item.upper / middle]
            axis.plot(ends, [y, y], "x-" if failed else "|-", color=colour, lw=2.2, ms=9, mew=1.6, zorder=5)
        else:
            marker = "x" if failed else {"left": "<", "right": ">"}.get(item.censored, "o")
            axis.plot(item.value / middle, y, marker, color=colour, ms=6.5, zorder=5)
    axis.use_sticky_edges = False  # a range must not end at the axis as if it went on
    axis.set_xscale("log")
    axis.set_yticks(range(len(items)), [p.name for p in items])
    axis.set_ylim(-0.7, len(items) - 0.3)
    axis.set_xlabel("value over the median of the reference (log scale)")
    plain_log(axis)
    names = ", ".join(p.name for p in items[::-1])
    return svg(figure, "panel", f"Measured values against reference ranges: {names}")


def shown_regimens(forecast: Forecast) -> list[RegimenForecast]:
    """The reference, the three others with the lowest mean final score, and the untreated arm if there is one."""
    own = [r for r in forecast.regimens if r.id == forecast.reference]
    idle = [r for r in forecast.regimens if r.id == "placebo"]
    rest = [r for r in forecast.regimens if r not in own and r not in idle]
    best = sorted(rest, key=lambda r: r.versus_reference.mean)[: 5 - len(own) - len(idle)]
    return own + best + idle


def trajectory_chart(forecast: Forecast) -> str:
    """Course of the scale under the chosen regimens; a band for the reference only, so that lines stay readable."""
    figure, (axis,) = new_figure(3.1)
    chosen = shown_regimens(forecast)
    _courses(axis, [(r, r.trajectory[0]) for r in chosen], forecast.reference)
    axis.set_ylabel(f"{forecast.scale} [points]")
    axis.set_ylim(bottom=0)
    _legend(figure, axis)
    names = ", ".join(r.name for r in chosen)
    return svg(figure, "course", f"Expected course of {forecast.scale} under {names}")


def dimension_chart(forecast: Forecast) -> str:
    """Courses of both symptom dimensions."""
    figure, axes = new_figure(2.7, columns=2)
    titles = {"NV": "Neurovegetative", "MOOD": "Mood and cognition"}
    for axis, number_ in zip(axes, (1, 2), strict=True):
        chosen = [(r, r.trajectory[number_]) for r in shown_regimens(forecast)]
        _courses(axis, chosen, forecast.reference)
        axis.set_title(titles.get(chosen[0][1].variable, chosen[0][1].variable), loc="left", fontsize=9.5)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("share of its maximum")
    return svg(figure, "dimensions", "Expected courses of the neurovegetative and the mood-cognitive dimension")


def _courses(axis: Axes, chosen: Sequence[tuple[RegimenForecast, Trajectory]], reference: str) -> None:
    for (colour, style), (regimen, course) in zip(_styles(chosen), chosen, strict=True):
        if regimen.id == reference:
            axis.fill_between(course.week, course.lo90, course.hi90, color=colour, alpha=0.13, lw=0)
        axis.plot(course.week, course.mean, color=colour, ls=style, lw=1.8, label=regimen.name)
    axis.set_xlabel("week")
    axis.set_xlim(left=0)


def _styles(chosen: Sequence[tuple[RegimenForecast, Trajectory]]) -> list[tuple[str, Any]]:
    styles = list(STYLES[: len(chosen)])
    if chosen and chosen[-1][0].id == "placebo":
        styles[-1] = STYLES[-1]
    return styles


def _legend(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False, ncols=2, fontsize=8.5, handlelength=3.2)


def course_chart(simulation: Simulation, variable: str, name: str) -> str:
    """Median course of one variable by arm with the middle half of the patients, and published values over it.

    The axis ends where nothing more happens: where every median stays within a twentieth of its range from its end.
    """
    figure, (axis,) = new_figure(2.8)
    arms = [a for a in simulation.arms if any(q.variable == variable for q in a.quantiles)]
    points = observed_points(simulation, variable)
    end = _event_end(arms, variable, max((hours for _, hours, _, _ in points), default=0.0))
    unit, scale = ("week", 168.0) if end > 500 else ("day", 24.0) if end > 96 else ("hour", 1.0)
    for (colour, style), arm in zip((*STYLES, *STYLES), arms, strict=False):
        course = [q for q in arm.quantiles if q.variable == variable]
        time = np.array([q.time_h for q in course]) / scale
        axis.fill_between(time, [q.p25 for q in course], [q.p75 for q in course], color=colour, alpha=0.15, lw=0)
        axis.plot(time, [q.p50 for q in course], color=colour, ls=style, lw=1.8, label=arm.arm)
        own = [p for p in points if p[0] == arm.arm]
        if own:
            axis.errorbar(
                [p[1] / scale for p in own], [p[2] for p in own], yerr=[Z95 * p[3] for p in own], fmt="o", color=colour,
                ms=5, capsize=2.5, lw=1, zorder=4,
            )  # fmt: skip
    axis.set_xlabel(f"time [{unit}s]")
    measured = simulation.units.get(variable, "")
    axis.set_ylabel(f"{variable} [{measured.replace('^2', '²')}]" if measured else f"{variable} [model's own unit]")
    axis.set_xlim(0, end / scale)
    _legend(figure, axis)
    words = f"Median course of {variable} by arm with the middle half of the patients"
    return svg(figure, name, f"{words}; {len(points)} published values over it" if points else words)


def _event_end(arms: Sequence[SimulatedArm], variable: str, observed: float) -> float:
    """Time [h] until which something happens, with a quarter of it to spare; never before a published value."""
    span = max((q.time_h for a in arms for q in a.quantiles), default=1.0)
    last = 0.0
    for arm in arms:
        course = [q for q in arm.quantiles if q.variable == variable]
        middle = [q.p50 for q in course]
        near = 0.05 * (max(middle) - min(middle))
        last = max([last, *(q.time_h for q in course if abs(q.p50 - middle[-1]) > near)])
    wanted = max(1.25 * last, 1.1 * observed)
    return wanted if 0 < wanted < 0.7 * span else span
