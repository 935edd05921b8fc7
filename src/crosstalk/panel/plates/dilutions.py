"""Standards that break their own dilution series: a lost decimal point, an exchange, a value given twice."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import linear_regression, median

__all__ = ["Standard", "Suspect", "break_series"]

ON = math.log(1.1)  # a level lies on the series within 10 %: assumed, kits round their values
BROKEN = math.log(1.3)  # a value off the series by more is no rounding: assumed
MOST = 2 / 3  # this share of the levels, four at least, must lie on one line for it to be a series: assumed


@dataclass(frozen=True, slots=True)
class Standard:
    """One well of a standard.

    Attributes
    ----------
    label : str
        As on the plate: ``Standard3``. Its number gives its rank in the series.
    place : str
    expected : float
        Concentration; 0 for a blank.
    signal : float
    """

    label: str
    place: str
    expected: float
    signal: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A standard that is left out, and why; ``place`` names all its wells.

    Attributes
    ----------
    would_be : float
        What the expected concentration would be if the series held.
    message : str
    """

    label: str
    place: str
    expected: float
    would_be: float
    message: str


def break_series(standards: Sequence[Standard]) -> tuple[list[Standard], list[Suspect]]:
    """Part the standards that keep the dilution series from those that break it.

    A series is found where two thirds of the levels have the same ratio from step to step; without one nothing is
    judged. Levels follow each other by the number in their label, else as they stand. A value off the series breaks it
    if the series goes on behind it, if it is out of order, or if it is off by a power of ten: a series that only goes
    on with other steps at its end is meant so.

    Examples
    --------
    >>> wells = [Standard(f"S{i}", f"well A{i}", x, 0.0) for i, x in enumerate([1000, 250, 62.5, 156.25, 3.91, 0.98])]
    >>> kept, (suspect,) = break_series(wells)
    >>> suspect.place, suspect.expected, round(suspect.would_be, 1)
    ('well A3', 156.25, 15.6)
    """
    ranks = _ranks([s.label for s in standards if s.expected > 0])
    levels: dict[int, list[float]] = {}
    for s in standards:
        if s.expected > 0:
            levels.setdefault(ranks[s.label], []).append(math.log(s.expected))
    middle = {rank: median(values) for rank, values in levels.items()}
    line = _line(middle)
    if line is None:
        return list(standards), []
    start, step = line
    series = {label: math.exp(start + step * rank) for label, rank in ranks.items()}
    on = {rank: value for rank, value in middle.items() if abs(value - start - step * rank) <= ON}
    kept: list[Standard] = []
    broken: dict[tuple[str, float], list[Standard]] = {}
    for s in standards:
        if s.expected <= 0 or not _breaks(math.log(s.expected / series[s.label]), ranks[s.label], on, step):
            kept.append(s)
        else:
            broken.setdefault((s.label, s.expected), []).append(s)
    return kept, [_suspect(wells, standards, series) for wells in broken.values()]


def _breaks(off: float, rank: int, on: Mapping[int, float], step: float) -> bool:
    """Whether a value that is ``off`` the series on the log scale is a mistake, not another design."""
    if abs(off) <= BROKEN:
        return False
    amid = any(r < rank for r in on) and any(r > rank for r in on)
    # towards the series' inside and past its neighbour there
    inward = off * step if any(r < rank for r in on) else -off * step
    return amid or (inward < 0 and abs(off) > abs(step) - ON) or _decades(off) != 0


def _decades(off: float) -> int:
    """Power of ten that a value is off by; 0 if by no such power."""
    decades = off / math.log(10)
    return round(decades) if abs(decades - round(decades)) < 0.05 else 0


def _suspect(wells: Sequence[Standard], standards: Sequence[Standard], series: Mapping[str, float]) -> Suspect:
    first, would_be = wells[0], series[wells[0].label]
    place = " and ".join(s.place for s in wells if s.place)
    message = (
        f"{first.label}{f' at {place}' if place else ''}: expected concentration {first.expected:g} breaks the "
        f"dilution series, in which it would be {would_be:.4g}; {_why(first, would_be, standards, series)}; left out "
        "of the fit"
    )
    return Suspect(first.label, place, first.expected, would_be, message)


def _ranks(labels: Sequence[str]) -> dict[str, int]:
    names = list(dict.fromkeys(labels))
    numbers = [re.search(r"(\d+)\D*$", name) for name in names]
    found = [int(n[1]) if n else None for n in numbers]
    if None not in found and len(set(found)) == len(names):
        return {name: number for name, number in zip(names, found, strict=True) if number is not None}
    return {name: i for i, name in enumerate(names)}


def _line(levels: Mapping[int, float]) -> tuple[float, float] | None:
    """Start and step, on the log scale, of the line that most levels lie on; none where too few do."""
    best: list[int] = []
    for a, b in combinations(sorted(levels), 2):
        step = (levels[b] - levels[a]) / (b - a)
        on = [r for r, value in levels.items() if abs(value - levels[a] - step * (r - a)) <= ON]
        if abs(step) > ON and len(on) > len(best):
            best = on
    if len(best) < max(4, MOST * len(levels)):
        return None
    step, start = linear_regression(best, [levels[r] for r in best])
    return start, step


def _why(s: Standard, would_be: float, standards: Sequence[Standard], series: Mapping[str, float]) -> str:
    decades = _decades(math.log(s.expected / would_be))
    if decades:
        return f"off by 10^{decades}: a lost decimal point?"
    twin = next((o for o in standards if o.label != s.label and _near(s.expected, series.get(o.label, 0.0))), None)
    if twin is not None and _near(twin.expected, would_be):
        return f"exchanged with {twin.label}?"
    if twin is not None and _near(twin.expected, s.expected):
        return f"repeats the value of {twin.label}"
    return "a slip of the pen?"


def _near(a: float, b: float) -> bool:
    return a > 0 and b > 0 and abs(math.log(a / b)) <= BROKEN / 2
