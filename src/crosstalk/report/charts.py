"""Figures of the report as inline SVG: colour-blind-safe, legible in grey, the same bytes each time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crosstalk.evidence.listing import time_text
from crosstalk.evidence.records import Pool
from crosstalk.report.documents import SimulatedArm
from crosstalk.report.drawing import GREY, INK, LIGHT, STYLES, WIDTH, new_figure, svg
from crosstalk.report.words import number
from crosstalk.study.endpoints import error_scale
from crosstalk.twin.records import Forecast, MechanismScore, NextAssay, ProfileItem, RegimenForecast, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crosstalk.calibrate.identifiability import Profile
    from crosstalk.calibrate.validation import Verdict
    from crosstalk.study.records import Endpoint

__all__ = [
    "course_chart",
    "dimension_chart",
    "forest_chart",
    "mechanism_chart",
    "next_assay_chart",
    "panel_chart",
    "profile_chart",
    "ranking_chart",
    "shown_regimens",
    "trajectory_chart",
    "verdict_charts",
]

Z90 = 1.6448536269514722


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
            axis.plot([p.lo90 / middle, p.hi90 / middle], [y - 0.2] * 2, color="#D55E00", lw=1.4, zorder=3)
            axis.plot(p.mean / middle, y - 0.2, "D", color="#D55E00", mfc="white", ms=4.5, zorder=4)
        # failed in quality control: shown, in grey and crossed, since nothing rests on it
        failed = item.use == "failed"
        colour = GREY if failed else "#0072B2"
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
    _plain_log(axis)
    names = ", ".join(p.name for p in items[::-1])
    return svg(figure, "panel", f"Measured values against reference ranges: {names}")


def _plain_log(axis: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_xlim()
    span = high / low
    subs = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0) if span < 10 else (1.0, 2.0, 5.0) if span < 300 else (1.0,)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def mechanism_chart(scores: Sequence[MechanismScore]) -> str:
    """The five scores: the patient's interval over that of the virtual population; health at 1."""
    rows = list(scores)[::-1]
    figure, (axis,) = new_figure(0.8 + 0.42 * len(rows))
    axis.axvline(1, color=GREY, lw=0.9, zorder=0)
    for y, score in enumerate(rows):
        if score.unit.endswith("optimum"):
            axis.fill_betweenx([y - 0.38, y + 0.38], 0.8, 1.25, color="#009E73", alpha=0.18, lw=0, zorder=0)
        p = score.population
        axis.plot([p.lo90, p.hi90], [y, y], color=LIGHT, lw=9, solid_capstyle="butt", zorder=1)
        axis.plot([score.lo90, score.hi90], [y, y], color="#0072B2", lw=2.2, zorder=2)
        axis.plot(score.mean, y, "o", color="#0072B2", ms=6.5, zorder=3)
        axis.plot(score.healthy, y, "|", color=INK, ms=13, mew=1.6, zorder=4)
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [s.name for s in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel("fold of health; of the optimum for the window of plasticity (log scale)")
    _plain_log(axis)
    words = "; ".join(f"{s.name} {number(s.mean)} ({number(s.lo90)} to {number(s.hi90)})" for s in scores)
    return svg(figure, "mechanisms", f"Mechanism scores with 90 percent intervals: {words}")


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


def ranking_chart(forecast: Forecast) -> str:
    """Difference of every regimen to the reference with its interval, best mean on top."""
    rows = sorted(forecast.regimens, key=lambda r: -r.versus_reference.mean)
    figure, (axis,) = new_figure(0.8 + 0.27 * len(rows))
    axis.axvline(0, color=GREY, lw=0.9, zorder=0)
    for y, regimen in enumerate(rows):
        v = regimen.versus_reference
        if regimen.id == forecast.reference:
            axis.plot(0, y, "s", color=INK, ms=6, zorder=3)
            continue
        clear = v.hi90 < 0 or v.lo90 > 0
        axis.plot([v.lo90, v.hi90], [y, y], color="#0072B2" if clear else GREY, lw=1.8, zorder=2)
        axis.plot(
            v.mean, y, "o", color="#0072B2" if clear else GREY, mfc="#0072B2" if clear else "white", ms=6, zorder=3
        )
    axis.set_yticks(range(len(rows)), [r.name for r in rows])
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.set_xlabel(f"difference [{forecast.scale} points]; left is better")
    words = "; ".join(f"{r.name} {number(r.versus_reference.mean)}" for r in rows[::-1])
    return svg(figure, "ranking", f"Difference of each regimen to the reference: {words}")


def next_assay_chart(assays: Sequence[NextAssay]) -> str:
    """Expected fall of variance by assay; empty where none helps."""
    useful = [a for a in assays if a.variance_reduction >= 0.005][::-1]
    if not useful:
        return ""
    figure, (axis,) = new_figure(0.75 + 0.3 * len(useful))
    axis.barh(range(len(useful)), [100 * a.variance_reduction for a in useful], height=0.55, color="#0072B2")
    axis.set_yticks(range(len(useful)), [a.name for a in useful])
    axis.set_xlabel("expected fall of the variance [%]")
    words = "; ".join(f"{a.name} {a.variance_reduction:.0%}" for a in useful[::-1])
    return svg(figure, "assays", f"What a further assay would tell: {words}")


def course_chart(arms: Sequence[SimulatedArm], variable: str, name: str) -> str:
    """Median course of one variable by arm, with the middle half of the patients."""
    figure, (axis,) = new_figure(2.8)
    span = max((q.time_h for a in arms for q in a.quantiles), default=0.0)
    unit, scale = ("week", 168.0) if span > 500 else ("hour", 1.0)
    for (colour, style), arm in zip((*STYLES, *STYLES), arms, strict=False):
        course = [q for q in arm.quantiles if q.variable == variable]
        time = np.array([q.time_h for q in course]) / scale
        axis.fill_between(time, [q.p25 for q in course], [q.p75 for q in course], color=colour, alpha=0.15, lw=0)
        axis.plot(time, [q.p50 for q in course], color=colour, ls=style, lw=1.8, label=arm.arm)
    axis.set_xlabel(unit)
    axis.set_ylabel(variable)
    axis.set_xlim(left=0)
    _legend(figure, axis)
    return svg(figure, name, f"Median course of {variable} by arm with the middle half of the patients")


def forest_chart(pool: Pool) -> str:
    """Forest plot: effects with 95 % intervals, squares by weight; hollow ones are recalled or have a bias term."""
    rows = len(pool.members) + 2
    labels = ["a new study", "mean effect", *(fill(m.label, 44) for m in pool.members[::-1])]
    figure, axis, texts = _forest_figure(labels)
    log = pool.scale == "logarithm"
    low, high = _forest_limits(pool, log)
    if pool.null is not None:
        axis.axvline(pool.null, color=GREY, lw=0.9, zorder=0)
    axis.axvline(pool.estimate, color="#0072B2", lw=0.8, ls=":", zorder=0)
    heaviest = max(m.weight for m in pool.members)
    for i, m in enumerate(pool.members):
        y = rows - 1 - i
        _whisker(axis, (m.low, m.high), (low, high), y, INK, 1.2)
        plain = m.provenance != "memory" and not m.bias
        size = 3.5 + 6 * (m.weight / heaviest) ** 0.5
        axis.plot(m.value, y, "s", color="#0072B2", mfc="#0072B2" if plain else "white", ms=size, zorder=3)
        texts.text(0.0, y, _forest_text(m.value, m.low, m.high), va="center", fontsize=8.5)
        texts.text(1.0, y, f"{m.weight:.0f} %", va="center", ha="right", fontsize=8.5)
    left, right = max(pool.low, low), min(pool.high, high)
    axis.fill([left, pool.estimate, right, pool.estimate], [1, 1.3, 1, 0.7], color="#0072B2", lw=0, zorder=3)
    _whisker(axis, (pool.low, pool.high), (low, high), 1, "#0072B2", 0.8)
    texts.text(0.0, 1, _forest_text(pool.estimate, pool.low, pool.high), va="center", fontsize=8.5, weight="bold")
    _whisker(axis, (pool.prediction_low, pool.prediction_high), (low, high), 0, "#D55E00", 2.4)
    prediction = _minus(f"{number(pool.prediction_low)} to {number(pool.prediction_high)}")
    texts.text(0.0, 0, prediction, va="center", fontsize=8.5)
    axis.axhline(1.55, color=LIGHT, lw=0.8, zorder=0)
    axis.set_yticks(range(rows), labels, fontsize=8.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.set_ylim(-0.6, rows - 0.4)
    axis.set_xlim(low, high)
    if log:
        axis.set_xscale("log")
        _plain_log(axis)
    axis.set_xlabel(_forest_axis(pool))
    texts.set(xlim=(0, 1), ylim=axis.get_ylim())
    texts.axis("off")
    words = "; ".join(f"{m.label} {_forest_text(m.value, m.low, m.high)}" for m in pool.members)
    mean = _forest_text(pool.estimate, pool.low, pool.high)
    return svg(figure, "forest", f"Forest plot of {pool.title}. {words}. Mean effect {mean}")


def _forest_figure(labels: Sequence[str]) -> tuple[Figure, Axes, Axes]:
    """Make an axis between the labels on its left, as wide as they need, and a column of texts on its right."""
    longest = max(len(line) for label in labels for line in label.splitlines())
    return _beside(0.65 + 0.29 * len(labels), 0.2 + 0.067 * longest, 2.3, 0.08)


def _beside(height: float, left: float, texts: float, above: float) -> tuple[Figure, Axes, Axes]:
    """Make an axis with ``left`` inches of room on its left, a column of ``texts`` inches on its right."""
    figure, (axis, column) = new_figure(height, columns=2)
    figure.set_layout_engine("none")
    bottom, tall = 0.5 / height, (height - 0.5 - above) / height
    axis.set_position((left / WIDTH, bottom, (WIDTH - left - texts) / WIDTH, tall))
    column.set_position(((WIDTH - texts + 0.12) / WIDTH, bottom, (texts - 0.12) / WIDTH, tall))
    return figure, axis, column


def _forest_limits(pool: Pool, log: bool) -> tuple[float, float]:
    """Limits of the axis: all studies, and of the wider intervals below as much as leaves the studies legible."""
    put, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    shown = [m.low for m in pool.members] + [m.high for m in pool.members] + ([] if pool.null is None else [pool.null])
    first, last = float(put(min(shown))), float(put(max(shown)))
    room = 0.5 * (last - first)
    low = max(min(first, float(put(pool.prediction_low))), first - room)
    high = min(max(last, float(put(pool.prediction_high))), last + room)
    margin = 0.03 * (high - low)
    return float(back(low - margin)), float(back(high + margin))


def _whisker(
    axis: Axes, ends: tuple[float, float], limits: tuple[float, float], y: float, colour: str, width: float
) -> None:
    """Draw an interval; an arrow where it leaves the axis."""
    low, high = max(ends[0], limits[0]), min(ends[1], limits[1])
    axis.plot([low, high], [y, y], color=colour, lw=width, solid_capstyle="butt", zorder=2)
    for end, cut, arrow in ((low, ends[0] < low, 8), (high, ends[1] > high, 9)):
        if cut:
            axis.plot(end, y, marker=arrow, color=colour, ms=6, ls="", clip_on=False, zorder=4)


def _forest_text(value: float, low: float, high: float) -> str:
    return _minus(f"{number(value)} ({number(low)} to {number(high)})")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _forest_axis(pool: Pool) -> str:
    unit = "" if pool.unit == "dimensionless" else f" [{pool.unit}]"
    better = {-1: "; left is better", 1: "; right is better"}.get(pool.favours, "")
    scale = " (log scale)" if pool.scale == "logarithm" else ""
    differs = pool.contrast != "within" and pool.scale == "identity" and pool.endpoint != "smd"
    return f"{'difference of ' if differs else ''}{pool.endpoint}{unit}{scale}{better}"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a forest plot of verdicts; a heading where it has no verdict."""

    text: str
    verdict: Verdict | None
    height: float


ROOM = 46.0  # lines of a forest plot that fit on one printed page
LINE = 0.19  # inches
HEADING = 1.3  # lines
LINEAR = 3.0  # standard errors within which the axis is linear
TRUSTED = 0.5  # share of the variance that the emulator of a profile explains


def verdict_charts(verdicts: Sequence[Verdict], name: str, words: str) -> list[str]:
    """Forest plots of predictions less observations in standard errors, so that all endpoints share one axis.

    The observed value is the line at 0 and its 90 % interval the band; a prediction whose interval misses the line has
    another shape and colour. As many plots as it takes to keep each on a page.
    """
    reach = _reach(verdicts)
    pages = _paged(verdicts)
    titles = [f"{words}, part {k + 1} of {len(pages)}" if len(pages) > 1 else words for k in range(len(pages))]
    return [_verdict_chart(rows, f"{name}{k}", titles[k], reach) for k, rows in enumerate(pages)]


def _verdict_chart(rows: Sequence[_Row], name: str, words: str, reach: float) -> str:
    from matplotlib.transforms import blended_transform_factory

    tall = sum(row.height for row in rows)
    figure, axis, texts = _beside(0.8 + LINE * tall, 2.55, 2.5, 0.3)
    margin = blended_transform_factory(figure.transFigure, axis.transData)
    axis.axvspan(-Z90, Z90, color=LIGHT, alpha=0.55, lw=0, zorder=0)
    axis.axvline(0, color=INK, lw=0.9, zorder=1)
    y, missed = 0.0, []
    for row in rows:
        v = row.verdict
        if v is None:
            axis.text(0.0, y - row.height + 0.5, row.text, transform=margin, va="center", fontsize=7.5, weight="bold")
            y -= row.height
            continue
        middle = y - row.height / 2
        y -= row.height
        axis.text(0.012, middle, row.text, transform=margin, va="center", fontsize=7.5, linespacing=1.15)
        colour = "#0072B2" if v.inside90 else "#D55E00"
        ends = _from_observed(v, v.lo90), _from_observed(v, v.hi90)
        narrow = np.clip([_from_observed(v, v.model_lo90), _from_observed(v, v.model_hi90)], -reach, reach)
        _whisker(axis, ends, (-reach, reach), middle, colour, 1.0)
        axis.plot(narrow, [middle, middle], color=colour, lw=3.0, solid_capstyle="butt", zorder=2)
        at = _from_observed(v, v.predicted_median)
        if abs(at) <= reach:
            shape, fill_ = ("o", colour) if v.inside90 else ("D", "white")
            axis.plot(at, middle, shape, color=colour, mfc=fill_, mew=1.2, ms=4.6, zorder=5)
        texts.text(0.0, middle, _minus(_with_unit(v)), va="center", fontsize=7.5)
        predicted = _forest_text(v.predicted_median, v.lo90, v.hi90)
        texts.text(1.0, middle, predicted, va="center", ha="right", fontsize=7.5)
        if not v.inside90:
            missed.append(f"{v.study} {row.text}".replace("\n", " "))
    axis.set_ylim(-tall, 0)
    texts.set(xlim=(0, 1), ylim=(-tall, 0))
    texts.axis("off")
    for x, side, title in ((0.0, "left", "observed"), (1.0, "right", "predicted (90 %)")):
        texts.text(x, 0.4, title, ha=side, va="bottom", fontsize=7.5, color=GREY)
    _error_axis(axis, reach)
    n = sum(row.verdict is not None for row in rows)
    outside = (
        f"outside the 90 percent interval: {'; '.join(missed)}" if missed else "all inside the 90 percent interval"
    )
    return svg(figure, name, f"{words}: {n} results, predicted less observed; {outside}")


def _paged(verdicts: Sequence[Verdict]) -> list[list[_Row]]:
    """Lines under headings of study and arms, on as many pages of about the same length as are needed."""
    groups: dict[tuple[str, str, str], list[_Row]] = {}
    for v in verdicts:
        parts = [f"{v.endpoint} of {v.of}"]
        if v.week is not None:
            parts.append(time_text(round(v.week * 168, 2)))
        text = fill(", ".join([*parts, v.stratum] if v.stratum else parts), 41)
        groups.setdefault((v.study, v.arm, v.versus), []).append(_Row(text, v, 0.35 + 0.65 * (1 + text.count("\n"))))
    total = sum(HEADING + sum(row.height for row in rows) for rows in groups.values())
    share = total / max(1, -(-total // ROOM))
    pages: list[list[_Row]] = [[]]
    used = 0.0
    for (study, arm, versus), rows in groups.items():
        heading = f"{study}: {arm}" + (f" against {versus}" if versus else "")
        for k, row in enumerate(rows):
            # no single line of a group is left alone on a page
            breakable = k == 0 or 1 < k < len(rows) - 1
            full = used + (HEADING if k == 0 else 0.0) + row.height > share * len(pages) + 1e-6
            if full and breakable and pages[-1]:
                pages.append([])
            if k == 0 or not pages[-1]:
                pages[-1].append(_Row(heading if k == 0 else f"{heading} (continued)", None, HEADING))
            used += row.height + (HEADING if k == 0 else 0.0)
            pages[-1].append(row)
    return [page for page in pages if page]


def _from_observed(verdict: Verdict, value: float) -> float:
    """A value less the observed one, in standard errors."""
    endpoint = cast("Endpoint", verdict.endpoint)
    if endpoint == "correlation":
        value = min(max(value, -1 + 1e-9), 1 - 1e-9)
    return (error_scale(endpoint, value) - error_scale(endpoint, verdict.observed)) / verdict.observed_se


def _reach(verdicts: Sequence[Verdict]) -> float:
    """Half the width of the axis: all medians and most intervals."""
    medians = [abs(_from_observed(v, v.predicted_median)) for v in verdicts]
    ends = [abs(_from_observed(v, end)) for v in verdicts for end in (v.lo90, v.hi90)]
    return min(max(4.0, 1.1 * max(medians, default=0), 1.05 * float(np.quantile(ends, 0.95)) if ends else 0), 300.0)


def _error_axis(axis: Axes, reach: float) -> None:
    """Linear axis in standard errors, logarithmic on both sides where the results need it."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if reach > 2.5 * LINEAR:
        axis.set_xscale("symlog", linthresh=LINEAR, linscale=1.2)
        ticks = [t for t in (0, 1.5, 3, *((6,) if reach < 10 else (10, 30, 100, 300))) if t <= reach]
    else:
        ticks = list(range(0, int(reach) + 1, 1 if reach < 5 else 2))
    axis.xaxis.set_major_locator(FixedLocator(sorted({s * t for t in ticks for s in (-1, 1)})))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _minus(f"{v:g}")))
    axis.set_xlim(-reach, reach)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="x", labelsize=7.5)
    axis.set_xlabel("predicted less observed [standard errors]", fontsize=8)


def _with_unit(verdict: Verdict) -> str:
    unit = "" if verdict.unit in ("dimensionless", "fraction", "") else f" {verdict.unit}"
    return f"{number(verdict.observed)}{unit}"


def profile_chart(profiles: Sequence[Profile], limit: float) -> str:
    """Profile likelihoods as small multiples, with the limit of the 90 % interval; empty without profiles."""
    from matplotlib.ticker import MaxNLocator

    if not profiles:
        return ""
    columns = 4
    rows = -(-len(profiles) // columns)
    figure, axes = new_figure(0.35 + 1.75 * rows, columns, rows)
    for axis, profile in zip(axes, profiles, strict=False):
        axis.axhline(limit, color="#D55E00", lw=1.0, ls="--", zorder=1)
        # an emulator that explains little has little to say
        colour, style = ("#0072B2", "-") if profile.r2 >= TRUSTED else (GREY, ":")
        axis.plot(profile.values, profile.distance, color=colour, ls=style, lw=1.6, zorder=2)
        for end in (profile.low, profile.high):
            if end is not None:
                axis.plot(end, limit, "|", color=INK, ms=9, mew=1.4, zorder=3)
        axis.set_ylim(0, 3.2 * limit)
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.tick_params(labelsize=7.5)
        axis.set_title(
            f"{_broken(profile.unknown)}\nR\N{SUPERSCRIPT TWO} {_minus(f'{profile.r2:.2f}')}", loc="left", fontsize=7.5
        )
    for axis in axes[len(profiles) :]:
        axis.axis("off")
    for axis in axes[::columns]:
        axis.set_ylabel("loss", fontsize=8)
    words = "; ".join(f"{p.unknown} {p.verdict}" for p in profiles)
    return svg(figure, "profiles", f"Profile likelihoods with the limit of the 90 percent interval: {words}")


def _broken(name: str, width: int = 22) -> str:
    """A name on lines of limited width, broken after an underscore or a point."""
    lines = [""]
    for part in re.findall(r"[^_.]+[_.]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
