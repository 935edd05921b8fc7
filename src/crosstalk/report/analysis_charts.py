"""Figures of an analysed trial: courses of the arms, differences side by side, effect by marker, events, tipping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosstalk.analysis.marker import EffectCurve
from crosstalk.analysis.records import Analysed, EstimateRow, Finding, Step
from crosstalk.report.drawing import BLUE, GREY, INK, LIGHT, STYLES, VERMILION, new_figure, plain_log, svg
from crosstalk.report.words import number
from crosstalk.statistics.sensitivity import Tipping

__all__ = ["course_chart", "curve_chart", "difference_chart", "event_chart", "tipping_chart"]

POINTWISE = ("difference", "effect in stratum", "MAR", "J2R", "CIR", "CR")
"""Estimates in points of the outcome that a forest plot may hold side by side."""


def course_chart(result: Analysed, found: Finding, name: str) -> str:
    """Least-squares means by arm and visit with their intervals."""
    figure, (axis,) = new_figure(2.9)
    shift = 0.012 * max(result.weeks)
    for k, arm in enumerate(result.arms):
        own = [r for r in found.rows if r.what == "mean" and r.arm == arm.arm and r.week is not None]
        colour, style = STYLES[k % len(STYLES)]
        weeks = np.array([r.week for r in own], dtype=float) + shift * (k - (len(result.arms) - 1) / 2)
        low = [r.estimate.estimate - r.estimate.lower for r in own]
        high = [r.estimate.upper - r.estimate.estimate for r in own]
        axis.errorbar(
            weeks, [r.estimate.estimate for r in own], yerr=[low, high], color=colour, ls=style, marker="o", ms=4.5,
            lw=1.6, elinewidth=1.1, capsize=2.5, label=arm.arm,
        )  # fmt: skip
    kind = "change of " if "change" in found.how else ""
    axis.set(xlabel="week", ylabel=f"{kind}{result.outcome}\n[{result.unit}]")
    axis.set_xticks(result.weeks, [f"{w:g}" for w in result.weeks])
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, name, f"Least-squares means of {result.outcome} by arm and week, {found.id}")


def difference_chart(result: Analysed) -> str:
    """Each analysis in points of the outcome at its last week: difference with interval; empty for a single one."""
    rows: list[tuple[str, EstimateRow]] = []
    for found in result.findings:
        own = [r for r in found.rows if r.what in POINTWISE]
        last = max((r.week for r in own if r.week is not None), default=None)
        rows += [(_label(result, found, r), r) for r in own if r.week == last]
    if len(rows) < 2:
        return ""
    rows = rows[::-1]
    figure, (axis,) = new_figure(0.8 + 0.27 * len(rows))
    axis.axvline(0, color=GREY, lw=0.9, zorder=0)
    for y, (_, row) in enumerate(rows):
        e = row.estimate
        colour = BLUE if e.lower > 0 or e.upper < 0 else GREY
        axis.plot([e.lower, e.upper], [y, y], color=colour, lw=1.8, zorder=2)
        axis.plot(e.estimate, y, "o", color=colour, mfc=colour if colour == BLUE else "white", ms=5.5, zorder=3)
    axis.set_yticks(range(len(rows)), [label for label, _ in rows])
    axis.set_ylim(-0.7, len(rows) - 0.3)
    side = "left" if result.better == "lower" else "right"
    axis.set_xlabel(f"arm less {result.arms[0].arm} [{result.unit}]; {side} is better")
    words = "; ".join(f"{label} {number(r.estimate.estimate)}" for label, r in rows[::-1])
    return svg(figure, "differences", f"Difference of the arms in every analysis: {words}")


def _label(result: Analysed, found: Finding, row: EstimateRow) -> str:
    parts = [found.id]
    if row.what in ("MAR", "J2R", "CIR", "CR"):
        parts.append(row.what)
    if row.part:
        parts.append(row.part)
    if len(result.arms) > 2:
        parts.append(row.arm)
    return ", ".join(parts)


def curve_chart(curve: EffectCurve, unit: str, name: str) -> str:
    """Effect along a marker with its pointwise interval, and where the patients are."""
    figure, (axis,) = new_figure(2.9)
    axis.fill_between(curve.at, curve.lower, curve.upper, color=LIGHT, lw=0, label="pointwise interval")
    axis.plot(curve.at, curve.effect, color=BLUE, lw=1.9, label="effect")
    axis.axhline(0, color=INK, lw=0.8)
    marks = [m for m in curve.marks if curve.at[0] <= m <= curve.at[-1]]
    axis.plot(marks, [0.02] * len(marks), "|", color=GREY, ms=7, mew=0.7, transform=axis.get_xaxis_transform())
    if curve.scale == "log2":
        axis.set_xscale("log")
        plain_log(axis)
    shown = f"{curve.marker} [{curve.unit}]" if curve.unit else curve.marker
    axis.set(xlabel=f"{shown}, 5th to 95th percentile", ylabel=f"{curve.arm} less {curve.versus}\n[{unit}]")
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, name, f"Effect of {curve.arm} against {curve.marker}")


def event_chart(steps: Sequence[Step], name: str) -> str:
    """Share with the event by time, Kaplan and Meier's estimate of each arm."""
    figure, (axis,) = new_figure(2.7)
    for k, step in enumerate(steps):
        colour, style = STYLES[k % len(STYLES)]
        axis.step(step.times, step.shares, where="post", color=colour, ls=style, lw=1.8, label=step.arm)
    axis.set(xlabel="time", ylabel="share with the event", ylim=(0, 1.02), xlim=(0, None))
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, name, "Share with the event by time and arm")


def tipping_chart(arm: str, found: Tipping, unit: str, name: str) -> str:
    """The result as what was imputed in the arm is made worse."""
    figure, (axis,) = new_figure(2.5)
    at = [abs(d) for d in found.deltas]
    axis.fill_between(
        at, [e.lower for e in found.effects], [e.upper for e in found.effects], color=LIGHT, lw=0, label="interval"
    )
    axis.plot(at, [e.estimate for e in found.effects], color=BLUE, lw=1.9, label="difference")
    axis.axhline(0, color=INK, lw=0.8)
    if found.tips is not None:
        axis.axvline(abs(found.tips), color=VERMILION, ls="--", lw=1.2, label="tipping point")
    axis.set(xlabel=f"imputed scores of {arm} made worse by [{unit}]", ylabel=f"difference\n[{unit}]", xlim=(0, at[-1]))
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, name, f"Difference as the imputed scores of {arm} are made worse")
