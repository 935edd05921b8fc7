"""The vendor's concentrations beside ours: whether its curve is sound, by what method, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from crosstalk.errors import PanelError
from crosstalk.panel.plates.curves import RECOVERY, RECOVERY_END, fit_curve
from crosstalk.panel.plates.dilutions import Standard
from crosstalk.panel.plates.standard_curve import Curve, Model, Weighting
from crosstalk.panel.plates.wells import EXCLUDED, Well
from crosstalk.panel.text import number

__all__ = ["AGREE", "Reanalysis", "reanalyse"]

AGREE = 0.01  # a fit by the vendor's own method must give the vendor's numbers within 1 %
METHODS: tuple[tuple[Model, Weighting], ...] = (
    ("5PL", "observed"), ("5PL", "relative"), ("5PL", "none"),
    ("4PL", "observed"), ("4PL", "relative"), ("4PL", "none"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reanalysis:
    """The vendor's concentrations and ours.

    Attributes
    ----------
    sound : bool, optional
        Whether the vendor's concentrations of its own standards lie within 80 to 120 % of what is expected, 75 to
        125 % at the lowest and the highest; none where it gives no concentration of a standard.
    why : tuple of str
        The standards that do not.
    stated : str
        The method as the export states it: ``Logistic 5P Weighted``.
    method : str
        The method, of those tried, that gives the vendor's numbers best: ``5PL, weights 1/y^2, net signal``.
    median, worst : float, optional
        Ratio of the re-fit by that method to the vendor's numbers, over wells in the range of the standards.
    own_median, own_worst : float, optional
        The same of Crosstalk's own curve.
    agrees : bool
        ``worst`` within 1 %.
    """

    sound: bool | None
    why: tuple[str, ...]
    stated: str
    method: str
    n: int
    median: float | None
    worst: float | None
    own_median: float | None
    own_worst: float | None
    agrees: bool
    grade: Literal["pass", "doubtful"]
    message: str


def reanalyse(wells: Sequence[Well], curve: Curve | None, stated: str = "") -> Reanalysis | None:
    """Compare with the vendor's concentrations; none where it reports none.

    Parameters
    ----------
    wells : sequence of Well
        Of one analyte.
    curve : Curve, optional
        Crosstalk's own.
    stated : str
        The method as the export states it.
    """
    reported = [(w, value) for w in wells if (value := number(w.reported)) is not None and value > 0]
    if not reported:
        return None
    sound, why = _sound(wells)
    span = [w.expected for w in wells if w.role == "standard" and w.expected]
    reported = [(w, v) for w, v in reported if not span or min(span) <= v / _dilution(w) <= max(span)]
    method, ratios = _best(wells, reported)
    own = _ratios(curve, reported, net=False) if curve is not None else []
    worst = _furthest(ratios)
    agrees = worst is not None and abs(worst - 1) <= AGREE
    words = _words(sound, why, method, ratios, _furthest(own))
    grade: Literal["pass", "doubtful"] = "pass" if sound and agrees else "doubtful"
    return Reanalysis(
        sound,
        why,
        stated,
        method,
        len(ratios),
        _middle(ratios),
        worst,
        _middle(own),
        _furthest(own),
        agrees,
        grade,
        words,
    )


def _sound(wells: Sequence[Well]) -> tuple[bool | None, tuple[str, ...]]:
    found: dict[float, list[tuple[str, float]]] = {}
    for w in wells:
        value = number(w.reported)
        if w.role == "standard" and w.expected and value is not None and EXCLUDED not in w.remarks:
            found.setdefault(w.expected, []).append((w.sample, value / w.expected))
    if not found:
        return None, ()
    ends = (min(found), max(found))
    why = []
    for expected, pairs in sorted(found.items()):
        low, high = RECOVERY_END if expected in ends else RECOVERY
        recovery = sum(r for _, r in pairs) / len(pairs)
        if not low <= recovery <= high:
            why.append(f"{pairs[0][0]} ({expected:g}) is given back at {100 * recovery:.0f} %")
    return not why, tuple(why)


def _best(wells: Sequence[Well], reported: Sequence[tuple[Well, float]]) -> tuple[str, list[float]]:
    """Try the methods that instruments' software has; the standards are taken as the vendor took them, all of them."""
    best: tuple[str, list[float]] = ("", [])
    for net in (True, False):
        standards = _standards(wells, net)
        for model, weighting in METHODS:
            try:
                curve = fit_curve(standards, model=model, weighting=weighting, judge_series=False)
            except PanelError:
                continue
            ratios = _ratios(curve, reported, net=net)
            if ratios and (not best[1] or _distance(ratios) < _distance(best[1])):
                words = {"observed": "weights 1/y^2", "relative": "weights 1/fitted^2", "none": "no weights"}[weighting]
                best = (f"{model}, {words}, {'net' if net else 'raw'} signal", ratios)
    return best


def _standards(wells: Sequence[Well], net: bool) -> list[Standard]:
    return [
        Standard(w.sample, w.place, w.expected, s)
        for w in wells
        if w.role == "standard" and w.expected is not None and EXCLUDED not in w.remarks
        and (s := w.net_signal if net else w.signal) is not None
    ]  # fmt: skip


def _ratios(curve: Curve, reported: Sequence[tuple[Well, float]], *, net: bool) -> list[float]:
    found = []
    for well, value in reported:
        signal = well.net_signal if net else well.signal
        ours = None if signal is None else curve.invert(signal)
        if ours is not None:
            found.append(ours * _dilution(well) / value)
    return found if len(found) > len(reported) / 2 else []


def _dilution(well: Well) -> float:
    return 1.0 if well.role == "standard" else well.dilution


def _distance(ratios: Sequence[float]) -> float:
    return median(abs(math.log(r)) for r in ratios)


def _middle(ratios: Sequence[float]) -> float | None:
    return median(ratios) if ratios else None


def _furthest(ratios: Sequence[float]) -> float | None:
    return max(ratios, key=lambda r: abs(math.log(r)), default=None)


def _words(sound: bool | None, why: Sequence[str], method: str, ratios: Sequence[float], own: float | None) -> str:
    if sound is None:
        start = "the vendor gives no concentration of its standards, so its curve cannot be judged"
    elif sound:
        start = "the vendor's curve is sound: it gives its standards back within 80 to 120 %"
    else:
        start = f"the vendor's curve is not sound: {'; '.join(why)}"
    worst = _furthest(ratios)
    if worst is None:
        return f"{start}; no re-fit reaches its numbers"
    said = "agrees within 1 %" if abs(worst - 1) <= AGREE else "differs"
    text = f"{start}; the closest re-fit ({method}) {said}: median ratio {median(ratios):.4f}, worst {worst:.4f}"
    return text if own is None else f"{text}; Crosstalk's own curve: worst ratio {own:.3f}"
