"""Forest plots of published results beside the model, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING, Literal

from crosstalk.calibrate.never_surer import Beside, Comparison
from crosstalk.report.drawing import BLUE, GREY, INK, LIGHT, VERMILION, beside_texts, svg, whisker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["beside_chart", "question_chart"]

LINE = 0.21  # inches
WIDEST = 1.6  # of the axis on either side, in SD; longer whiskers end in an arrow


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    mark: Literal["cohort", "direct", "prediction", "model", "prior", "gap"]
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    weight: float = 0.0
    text: str = ""


def beside_chart(found: Comparison) -> str:
    """All questions: the direct estimate, and under it the model's."""
    lines: list[_Line] = []
    for row in found.rows:
        d, m = row.direct, row.model
        label = fill(row.words, 52)
        if d.k:
            lines.append(_Line(label, "direct", d.estimate, d.low, d.high, 100, f"{_text(d.estimate, d.low, d.high)}"))
        else:
            lines.append(_Line(label, "direct", text="no published result"))
        if m is not None and isfinite(m.mean):
            flag = row.sureness is not None and row.sureness.verdict == "surer than the evidence"
            text = _text(m.mean, m.low, m.high) + (" surer" if flag else "")
            lines.append(_Line("", "model", m.mean, m.low, m.high, 0, text))
        lines.append(_Line("", "gap"))
    words = f"Published results alone and the model, {found.kind}"
    return _draw(lines[:-1], found.unit, "beside", words)


def question_chart(row: Beside, unit: str, name: str) -> str:
    """One question: its cohorts, their mean, where a new cohort is expected, the model before and after calibration."""
    d = row.direct
    weights = {m.study: m.weight for m in d.members}
    lines = [
        _Line(fill(m.label, 40), "cohort", m.value, m.low, m.high, weights.get(m.study, 0.0),
              _text(m.value, m.low, m.high) + (" stated" if m.study not in weights else ""))
        for m in row.stated.members
    ]  # fmt: skip
    if d.k:
        lines.append(_Line("direct", "direct", d.estimate, d.low, d.high, 100, _text(d.estimate, d.low, d.high)))
    if isfinite(d.prediction_low):
        text = _minus(f"{d.prediction_low:.2f} to {d.prediction_high:.2f}")
        lines.append(_Line("a new cohort", "prediction", d.estimate, d.prediction_low, d.prediction_high, 0, text))
    for label, mark, m in (("model before calibration", "prior", row.prior), ("model", "model", row.model)):
        if m is not None and isfinite(m.mean):
            lines.append(_Line(label, mark, m.mean, m.low, m.high, 0, _text(m.mean, m.low, m.high)))  # type: ignore[arg-type]
    return _draw(lines, unit, name, row.words)


def _draw(lines: Sequence[_Line], unit: str, name: str, words: str) -> str:
    heights = [0.5 if line.mark == "gap" else 1.0 + 0.7 * line.label.count("\n") for line in lines]
    longest = max((len(part) for line in lines for part in line.label.splitlines()), default=10)
    figure, axis, texts = beside_texts(0.75 + LINE * sum(heights), 0.2 + 0.067 * longest, 2.0, 0.08)
    ends = [e for line in lines for e in (line.low, line.high) if isfinite(e)]
    reach = min(max(0.2, 1.05 * max((abs(e) for e in ends), default=0.2)), WIDEST)
    axis.axvline(0, color=GREY, lw=0.9, zorder=0)
    ticks, labels, y = [], [], 0.0
    for line, height in zip(lines, heights, strict=True):
        middle = y - height / 2
        y -= height
        if line.mark == "gap":
            axis.axhline(middle, color=LIGHT, lw=0.6, zorder=0)
            continue
        ticks.append(middle)
        labels.append(line.label)
        if isfinite(line.value):
            _mark(axis, line, middle, reach)
        texts.text(0.0, middle, line.text, va="center", fontsize=8, color=VERMILION if "surer" in line.text else INK,
                   weight="bold" if line.mark == "direct" and isfinite(line.value) else "normal")  # fmt: skip
    axis.set_yticks(ticks, labels, fontsize=8)
    axis.tick_params(axis="y", length=0, pad=9)
    axis.spines["left"].set_visible(False)
    axis.set_ylim(y, 0.0)
    axis.set_xlim(-reach, reach)
    axis.set_xlabel(f"{unit}; left is better", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    texts.set(xlim=(0, 1), ylim=axis.get_ylim())
    texts.axis("off")
    said = "; ".join(f"{line.label or 'model'} {line.text}".replace("\n", " ") for line in lines if line.mark != "gap")
    return svg(figure, name, f"{words}. {said}")


WHISKERS = {
    "cohort": (INK, 1.0), "direct": (INK, 1.2), "prediction": (GREY, 2.2), "model": (BLUE, 2.6), "prior": (BLUE, 1.0),
}  # fmt: skip
SYMBOLS = {"direct": ("D", INK), "model": ("o", BLUE), "prior": ("o", "white")}


def _mark(axis: Axes, line: _Line, y: float, reach: float) -> None:
    limits = (-reach, reach)
    colour, width = WHISKERS[line.mark]
    whisker(axis, (line.low, line.high), limits, y, colour, width)
    inside = -reach <= line.value <= reach
    if line.mark == "prediction" or not inside:
        return
    if line.mark == "cohort":
        face, size = GREY if line.weight > 0 else "white", 3 + 0.5 * line.weight**0.5
        axis.plot(line.value, y, "s", color=INK, mfc=face, ms=size, zorder=3)
    else:
        shape, face = SYMBOLS[line.mark]
        axis.plot(line.value, y, shape, color=colour, mfc=face, ms=5.5, zorder=3)


def _text(value: float, low: float, high: float) -> str:
    return _minus(f"{value:.2f} ({low:.2f} to {high:.2f})")


def _minus(text: str) -> str:
    return text.replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")
