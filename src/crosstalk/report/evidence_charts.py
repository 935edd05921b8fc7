"""Forest plots of pooled effects and of verdicts, and profile likelihoods, as inline SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from crosstalk.evidence.listing import time_text
from crosstalk.evidence.records import Pool
from crosstalk.report.drawing import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    VERMILION,
    beside_texts,
    new_figure,
    plain_log,
    svg,
    whisker,
)
from crosstalk.report.words import number
from crosstalk.study.endpoints import error_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crosstalk.calibrate.identifiability import Profile
    from crosstalk.calibrate.validation import Verdict

__all__ = ["forest_chart", "profile_chart", "verdict_charts"]

Z90 = 1.6448536269514722


def forest_chart(pool: Pool) -> str:
    """Forest plot: effects with 95 % intervals, squares by weight; hollow ones are recalled or have a bias term."""
    rows = len(pool.members) + 2
    labels = ["a new study", "mean effect", *(fill(m.label, 44) for m in pool.members[::-1])]
    figure, axis, texts = _forest_figure(labels)
    log = pool.scale == "logarithm"
    low, high = _forest_limits(pool, log)
    if pool.null is not None:
        axis.axvline(pool.null, color=GREY, lw=0.9, zorder=0)
    axis.axvline(pool.estimate, color=BLUE, lw=0.8, ls=":", zorder=0)
    heaviest = max(m.weight for m in pool.members)
    for i, m in enumerate(pool.members):
        y = rows - 1 - i
        whisker(axis, (m.low, m.high), (low, high), y, INK, 1.2)
        plain = m.provenance != "memory" and not m.bias
        size = 3.5 + 6 * (m.weight / heaviest) ** 0.5
        axis.plot(m.value, y, "s", color=BLUE, mfc=BLUE if plain else "white", ms=size, zorder=3)
        texts.text(0.0, y, _forest_text(m.value, m.low, m.high), va="center", fontsize=8.5)
        texts.text(1.0, y, f"{m.weight:.0f} %", va="center", ha="right", fontsize=8.5)
    left, right = max(pool.low, low), min(pool.high, high)
    axis.fill([left, pool.estimate, right, pool.estimate], [1, 1.3, 1, 0.7], color=BLUE, lw=0, zorder=3)
    whisker(axis, (pool.low, pool.high), (low, high), 1, BLUE, 0.8)
    texts.text(0.0, 1, _forest_text(pool.estimate, pool.low, pool.high), va="center", fontsize=8.5, weight="bold")
    whisker(axis, (pool.prediction_low, pool.prediction_high), (low, high), 0, VERMILION, 2.4)
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
        plain_log(axis)
    axis.set_xlabel(_forest_axis(pool))
    texts.set(xlim=(0, 1), ylim=axis.get_ylim())
    texts.axis("off")
    words = "; ".join(f"{m.label} {_forest_text(m.value, m.low, m.high)}" for m in pool.members)
    mean = _forest_text(pool.estimate, pool.low, pool.high)
    return svg(figure, "forest", f"Forest plot of {pool.title}. {words}. Mean effect {mean}")


def _forest_figure(labels: Sequence[str]) -> tuple[Figure, Axes, Axes]:
    """Make an axis between the labels on its left, as wide as they need, and a column of texts on its right."""
    longest = max(len(line) for label in labels for line in label.splitlines())
    return beside_texts(0.65 + 0.29 * len(labels), 0.2 + 0.067 * longest, 2.3, 0.08)


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
    figure, axis, texts = beside_texts(0.8 + LINE * tall, 2.55, 2.5, 0.3)
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
        met = v.inside90 or not v.scored
        colour = GREY if not v.scored else BLUE if met else VERMILION
        ends = _from_observed(v, v.lo90), _from_observed(v, v.hi90)
        narrow = np.clip([_from_observed(v, v.model_lo90), _from_observed(v, v.model_hi90)], -reach, reach)
        whisker(axis, ends, (-reach, reach), middle, colour, 1.0)
        axis.plot(narrow, [middle, middle], color=colour, lw=3.0, solid_capstyle="butt", zorder=2)
        at = _from_observed(v, v.predicted_median)
        if abs(at) <= reach:
            shape, fill_ = ("o", colour) if met else ("D", "white")
            axis.plot(at, middle, shape, color=colour, mfc=fill_, mew=1.2, ms=4.6, zorder=5)
        texts.text(0.0, middle, _minus(_with_unit(v)), va="center", fontsize=7.5)
        predicted = _forest_text(v.predicted_median, v.lo90, v.hi90)
        texts.text(1.0, middle, predicted, va="center", ha="right", fontsize=7.5)
        if not met:
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
        text = fill(", ".join([*parts, *(part for part in (v.stratum, v.marker) if part)]), 41)
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
    endpoint = verdict.endpoint
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
        axis.axhline(limit, color=VERMILION, lw=1.0, ls="--", zorder=1)
        # an emulator that explains little has little to say
        colour, style = (BLUE, "-") if profile.r2 >= TRUSTED else (GREY, ":")
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
