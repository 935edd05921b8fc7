"""Figures of a simulated trial: flow of participants, power by size, effect by marker, the front of a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from crosstalk.report.drawing import BLUE, GREY, INK, LIGHT, VERMILION, new_figure, svg
from crosstalk.study.methods import analysis_method
from crosstalk.trial.analyse import favours
from crosstalk.trial.result import TrialResult
from crosstalk.trial.search import Candidate

__all__ = ["effect_chart", "flow_chart", "front_chart", "needed", "power_chart"]

Array = NDArray[np.float64]

SIZES = np.linspace(0.4, 2.5, 60)  # of the design's size
LABELS = 6  # of designs on the front


def flow_chart(result: TrialResult) -> str:
    """CONSORT flow of one trial: means over the simulated trials."""
    groups, funnel = list(result.by_group), result.funnel
    lost = [k for k in funnel if k not in ("screened", "randomised") and funnel[k].value >= 0.5]
    figure, (axis,) = new_figure(3.3)
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    middle = 0.36 if lost else 0.5

    def box(x: float, y: float, words: str) -> None:
        axis.text(
            x, y, words, ha="center", va="center", color=INK, linespacing=1.35,
            bbox={"boxstyle": "square,pad=0.5", "facecolor": "white", "edgecolor": GREY, "linewidth": 0.9},
        )  # fmt: skip

    def line(x0: float, y0: float, x1: float, y1: float, style: str = "-") -> None:
        axis.annotate("", (x1, y1), (x0, y0), arrowprops={
            "arrowstyle": style, "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0,
        })  # fmt: skip

    places = np.linspace(0.5 / len(groups), 1 - 0.5 / len(groups), len(groups))
    if lost:
        places = np.linspace(0.14, 0.58, 2) if len(groups) == 2 else places
        line(middle, 0.755, 0.79, 0.755)
        box(0.79, 0.755, "not randomised\n" + "\n".join(f"{k}: {funnel[k].value:.0f}" for k in lost))
    line(middle, 0.88, middle, 0.59, "-|>")
    box(middle, 0.93, f"screened: {funnel['screened'].value:.0f}")
    line(middle, 0.47, middle, 0.39)
    line(places[0], 0.39, places[-1], 0.39)
    for x, group in zip(places, groups, strict=True):
        line(float(x), 0.39, float(x), 0.29, "-|>")
        numbers = result.by_group[group]
        left = numbers["patients"].value * numbers["left"].value
        words = f"{group}\nallocated: {numbers['patients'].value:.0f}\nleft: {left:.0f}"
        box(float(x), 0.14, f"{words}\nto the end: {numbers['patients'].value - left:.0f}")
    box(middle, 0.53, f"randomised: {result.randomised.value:.0f}")
    return svg(figure, "flow", "Flow of participants: screened, randomised, left")


def power_chart(result: TrialResult) -> str:
    """Power of the primary analysis by the number randomised, in the typical world and in 90 % of worlds."""
    a, known = result.primary, result.assurance
    figure, (axis,) = new_figure(2.7)
    n = result.design.n * SIZES
    critical = ndtri(1 - 0.5 * result.design.primary.alpha)

    def power(effect: float) -> Array:
        return np.asarray(ndtr(_benefit(result, effect) / (a.standard_error / np.sqrt(SIZES)) - critical))

    both = [power(known.effect_lo90), power(known.effect_hi90)]
    axis.fill_between(
        n, np.minimum(*both), np.maximum(*both), color=LIGHT, linewidth=0, label="90 % of the possible worlds"
    )
    axis.plot(n, power(a.truth), color=BLUE, label="typical world")
    axis.errorbar(
        [result.design.n], [a.power.value], yerr=[1.96 * a.power.se], fmt="o", color=VERMILION, capsize=3,
        label="simulated trials",
    )  # fmt: skip
    axis.axhline(0.8, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(xlabel="patients randomised", ylabel="power", ylim=(0, 1.02), xlim=(n[0], n[-1]))
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, "power", "Power of the primary analysis by the number of patients randomised")


def effect_chart(result: TrialResult) -> str:
    """True effect of the primary comparison against the marker; empty without one."""
    if not result.curve or result.design.marker is None:
        return ""
    figure, (axis,) = new_figure(2.7)
    x = np.array([p.marker for p in result.curve])
    axis.fill_between(
        x, [p.lo90 for p in result.curve], [p.hi90 for p in result.curve], color=LIGHT, linewidth=0,
        label="90 % of the possible worlds",
    )  # fmt: skip
    axis.plot(x, [p.effect for p in result.curve], "o-", color=BLUE, markersize=4, label="typical world")
    axis.axhline(0.0, color=INK, linewidth=0.8)
    marker = result.design.marker
    for cut in (marker.min, marker.max):
        if cut is not None:
            axis.axvline(cut, color=VERMILION, linestyle="--", linewidth=1.0, label="cut-off")
    if x[0] > 0 and x[-1] / x[0] > 5:
        axis.set_xscale("log")
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if x[0] * 0.8 <= t <= x[-1] * 1.2]
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
    unit = marker.unit.replace("^2", "²")
    axis.set(xlabel=f"{marker.analyte} as measured at screening [{unit}]", ylabel=_effect_words(result))
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure, "effect", f"True effect against {marker.analyte}")


def _effect_words(result: TrialResult) -> str:
    a = result.primary
    if analysis_method(a.method).unit == "share":
        return f"{a.arm} less {a.versus}\n[share with {a.method}]"
    return f"{a.arm} less {a.versus}\n[{a.of} points]"


def front_chart(candidates: Sequence[Candidate]) -> str:
    """Power against candidates screened, the front joined by a line."""
    known = [c for c in candidates if np.isfinite(c.power.value)]
    if not known:
        return ""
    figure, (axis,) = new_figure(3.2)
    rest = [c for c in known if not c.front]
    front = sorted((c for c in known if c.front), key=lambda c: c.screened.value)
    axis.scatter(
        [c.screened.value for c in rest], [c.power.value for c in rest], s=12, color=LIGHT, edgecolor=GREY,
        linewidth=0.5, label="another has more power and screens fewer",
    )  # fmt: skip
    axis.errorbar(
        [c.screened.value for c in front], [c.power.value for c in front], yerr=[1.96 * c.power.se for c in front],
        fmt="o-", color=BLUE, markersize=5, linewidth=1.2, elinewidth=0.7, capsize=2, label="front",
    )  # fmt: skip
    step = max(1, round(len(front) / LABELS))
    for c in front[::-1][::step]:
        cut = f", cut-off {c.cutoff:g}" if c.cutoff is not None else ""
        axis.annotate(
            f"{c.n} at week {c.week:g}{cut}", (c.screened.value, c.power.value), textcoords="offset points",
            xytext=(7, -12), fontsize=7.5, color=INK,
        )  # fmt: skip
    axis.axhline(0.8, color=GREY, linewidth=0.8, linestyle=":")
    left, right = axis.get_xlim()
    axis.set(xlabel="candidates screened", ylabel="power", ylim=(0, 1.02), xlim=(left, right + 0.12 * (right - left)))
    figure.legend(frameon=False, fontsize=8, loc="outside upper left", ncols=2)
    return svg(figure, "front", "Power against the number of candidates screened")


def needed(result: TrialResult, power: float) -> float:
    """Patients to randomise for a power, from the true effect and the standard error of the simulated trials."""
    a, benefit = result.primary, _benefit(result, result.primary.truth)
    if not benefit > 0:
        return float("inf")
    z = ndtri(1 - 0.5 * result.design.primary.alpha) + ndtri(power)
    return float(result.design.n * (z * a.standard_error / benefit) ** 2)


def _benefit(result: TrialResult, effect: float) -> float:
    """An effect of the primary analysis with its sign turned so that more is better."""
    return effect if favours(result.design.primary, np.array([1.0]))[0] else -effect
