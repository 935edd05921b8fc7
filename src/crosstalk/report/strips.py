"""Intervals as strips of inline SVG, as wide as the page lets them be; every word stands beside them as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite, log

from crosstalk.report.words import number
from crosstalk.twin.records import Forecast, Interval, MechanismScore, RegimenForecast
from crosstalk.twin.sentences import INFORMED, WITHIN

__all__ = ["Axis", "effect_axis", "effect_strip", "score_axis", "score_strip"]

HEIGHT = 22.0
ROOM = 1.15  # factor beyond the outermost limits


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where a strip goes, in percent of its width; ``ticks`` are what is written under it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Place of a value, 0 to 100; what lies beyond stands at the edge.

        Examples
        --------
        >>> Axis(-10, 10, ()).at(0), Axis(0.25, 4, (), logarithmic=True).at(1), Axis(0, 1, ()).at(5)
        (50.0, 50.0, 100.0)
        """
        if self.logarithmic:
            share = log(max(value, 1e-12) / self.low) / log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 100 * min(max(share, 0.0), 1.0)


def score_axis(scores: Sequence[MechanismScore]) -> Axis:
    """A logarithmic axis around health, at least from 0.5 to 2."""
    ends = [e for s in scores for e in (s.lo90, s.hi90) if isfinite(e) and e > 0]
    low, high = min([0.5, *ends]) / ROOM, max([2.0, *ends]) * ROOM
    ticks = tuple(t for t in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if low <= t <= high)
    return Axis(low, high, ticks, logarithmic=True)


def score_strip(score: MechanismScore, axis: Axis) -> str:
    """A mechanism score over the band of health: filled where laboratory values tell of it, else hollow."""
    told = score.told_by_panel >= INFORMED
    parts = [
        _rect(axis, *WITHIN, 0, HEIGHT, "band"),
        _rect(axis, score.population.lo90, score.population.hi90, 8, 6, "population"),
        _tick(axis, 1.0, 0, HEIGHT, "zero"),
        _rect(axis, score.lo90, score.hi90, 6, 10, "own" if told else "own hollow"),
        _tick(axis, score.mean, 3, 16, "middle"),
    ]
    words = f"{score.name}: {number(score.mean)}, 90 % interval {number(score.lo90)} to {number(score.hi90)}"
    return _svg(parts, f"{words}; {score.reading}")


def effect_axis(forecast: Forecast) -> Axis:
    """An axis around zero that holds every interval of the model; published ones may leave it."""
    ends = [e for r in forecast.regimens for e in (r.versus_reference.lo90, r.versus_reference.hi90) if isfinite(e)]
    low, high = min([-2.0, *ends]) * ROOM, max([2.0, *ends]) * ROOM
    step = next(s for s in (1, 2, 5, 10, 20, 50) if (high - low) / s <= 8)
    first, last = int(low // step) + 1, int(high // step)
    return Axis(low, high, tuple(float(step * i) for i in range(first, last + 1)))


def effect_strip(regimen: RegimenForecast, axis: Axis, margin: float) -> str:
    """The model's difference above, the nearest published one below; between the margins nothing matters."""
    v = regimen.versus_reference
    parts = [_rect(axis, -margin, margin, 0, HEIGHT, "band"), _tick(axis, 0.0, 0, HEIGHT, "zero")]
    sign = {"estimated better": "better", "estimated worse": "worse"}.get(regimen.verdict, "open")
    parts += [_rect(axis, v.lo90, v.hi90, 3, 6, sign), _tick(axis, v.mean, 0, 12, "middle")]
    words = f"{regimen.name}, model: {_words(v)}; {regimen.verdict}"
    if regimen.published:
        p = regimen.published[0]
        parts.append(_rect(axis, p.lo95, p.hi95, 15, 3, "published"))
        if axis.low <= p.mean <= axis.high:
            parts.append(_tick(axis, p.mean, 12, 9, "published"))
        words += f"; published: {number(p.mean)} ({number(p.lo95)} to {number(p.hi95)})"
    return _svg(parts, words)


def _words(found: Interval) -> str:
    return f"{number(found.mean)} ({number(found.lo90)} to {number(found.hi90)})"


def _rect(axis: Axis, low: float, high: float, y: float, height: float, kind: str) -> str:
    if not (isfinite(low) and isfinite(high)):
        return ""
    x = axis.at(low)
    return f'<rect class="{kind}" x="{x:.2f}" y="{y:g}" width="{max(axis.at(high) - x, 0.3):.2f}" height="{height:g}"/>'


def _tick(axis: Axis, value: float, y: float, height: float, kind: str) -> str:
    if not isfinite(value):
        return ""
    x = axis.at(value)
    return f'<line class="{kind}" x1="{x:.2f}" x2="{x:.2f}" y1="{y:g}" y2="{y + height:g}"/>'


def _svg(parts: Sequence[str], words: str) -> str:
    return (
        f'<svg class="strip" viewBox="0 0 100 {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(words, quote=True)}">{"".join(parts)}</svg>'
    )
