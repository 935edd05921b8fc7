"""Values that are asked back: beyond what people have, larger than their whole, codes for missing.

The limits of each analyte are ``plausible`` in ``analytes.toml``. ``scripts/plausibility.py`` counts how many values of
NHANES they ask back: fewer than 1 in 10,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import NamedTuple

from crosstalk.knowledge.records import Analyte
from crosstalk.panel.records import Censoring, Measurement

__all__ = ["CODES", "LEAST_POINT", "PARTS", "codes", "contradictions", "disagreements", "fine", "suspicion"]

# asked back whatever the analyte (assumed): most often the unit is wrong, or a point separates thousands
ABSURD = 1000.0  # times above the upper reference limit; sepsis reaches hundreds
SCANT = 100.0  # times below the lower one
TRACE = 1e-12  # of the highest plausible value: less is no measurement, whatever the unit
LEAST_POINT = 0.01  # of a score, whose steps are whole points; a mean of items can lie between
CODES = {"77", "88", "99", "777", "888", "999", "7777", "8888", "9999", "99999", "99.9", "999.9", "99.99", "999.99"}
FAR = 10.0  # times the upper reference limit, from which such a number is asked back where it stands alone (assumed)
ROUND = 1.05  # a part may exceed its whole by rounding


class Part(NamedTuple):
    """Values whose sum, times a factor, cannot exceed another."""

    parts: tuple[str, ...]
    whole: str
    factor: float = 1.0


PARTS = (
    Part(("neutrophils",), "WBC"), Part(("lymphocytes",), "WBC"), Part(("monocytes",), "WBC"),
    Part(("neutrophils", "lymphocytes", "monocytes"), "WBC"),
    Part(("HDL",), "cholesterol"), Part(("kynurenine",), "tryptophan"),
    Part(("CD4",), "lymphocytes", 0.001), Part(("Th1",), "CD4"), Part(("Th17",), "CD4"), Part(("Treg",), "CD4"),
)  # fmt: skip
CELLS = ("neutrophils", "lymphocytes", "monocytes")
# counts beyond which a panel should show the white cells that they are part of: leukaemia, or a percentage [10*9/L]
ALONE = {"neutrophils": 36.0, "lymphocytes": 15.0, "monocytes": 4.0}
PERCENT = 20.0  # of white cells: fewer are hardly ever neutrophils [%] (assumed)
# ratio or index given beside what it follows from: analyte, numerators, denominators, factor, tolerance
FOLLOWS = (
    ("BMI", ("weight",), ("height", "height"), 1e4, 1.05),
    ("NLR", ("neutrophils",), ("lymphocytes",), 1.0, 1.3),
    ("MLR", ("monocytes",), ("lymphocytes",), 1.0, 1.5),
    ("PLR", ("platelets",), ("lymphocytes",), 1.0, 1.3),
    ("KYN/TRP", ("kynurenine",), ("tryptophan",), 1e3, 1.5),
    ("HOMA-IR", ("glucose", "insulin"), (), 1 / 405, 1.5),
)
JUDGED = tuple(dict.fromkeys(
    [n for part in PARTS for n in (*part.parts, part.whole)] + [n for f in FOLLOWS for n in (f[0], *f[1], *f[2])]
))  # fmt: skip


@lru_cache(maxsize=256)
def _limits(id_: str, lows: tuple[float, ...], highs: tuple[float, ...], highest: float) -> tuple[float, float]:
    return min((low / SCANT for low in lows), default=TRACE * highest), min(highs, default=0.0)


_CACHE: dict[int, tuple[Analyte, float, float]] = {}


def _of(analyte: Analyte) -> tuple[float, float]:
    """A hundredth of the lowest lower reference limit, and the lowest upper one.

    Where assays differ, the lowest: a unit missed by a thousand should not pass for another assay.
    """
    found = _CACHE.get(id(analyte))
    if found is None or found[0] is not analyte:
        ranges = analyte.references
        low, high = _limits(
            analyte.id, tuple(r.p2_5 for r in ranges), tuple(r.p97_5 for r in ranges), analyte.plausible[1]
        )
        found = _CACHE[id(analyte)] = (analyte, low, high)
    return found[1], found[2]


def fine(analyte: Analyte) -> tuple[float, float]:
    """Between which numbers nothing is asked back."""
    tiny, limit = _of(analyte)
    low, high = analyte.plausible
    if analyte.kind == "scale":
        return max(low, LEAST_POINT), high
    return max(low, tiny), min(high, 0.999 * ABSURD * limit) if limit else high


def suspicion(analyte: Analyte, value: float, top: float, censored: Censoring) -> str:
    """Why a value is asked back by itself, "" where it is not; most often its unit is wrong.

    Parameters
    ----------
    value, top : float
        Of an interval, its ends; else the same number. In the analyte's unit.
    """
    low, high = analyte.plausible
    tiny, limit = _of(analyte)
    too_high = top > high or bool(limit and top >= ABSURD * limit)
    too_low = censored != "left" and (
        0 < value < low or 0 < value < tiny or (value < low and analyte.kind != "laboratory")
    )
    if censored == "left" and value > high:
        too_high = True
    if not (too_high or too_low):
        return ""
    if too_high and limit and top >= 2 * limit:
        times = top / limit
        often = f"{times:.0f}" if times < 1e6 else f"{times:.2g}"
        return f"{top:g} {analyte.unit} is {often} times the upper reference limit ({limit:g} {analyte.unit})"
    if too_high:
        return f"{top:g} {analyte.unit} lies above anything possible ({high:g} {analyte.unit})"
    if value < low or not limit:
        low = low or tiny
        return f"{value:g} {analyte.unit} lies below what people have ({low:g} {analyte.unit} and more)"
    words = f"{value:g} {analyte.unit} is less than a hundredth of the lower reference limit"
    return f"{words} ({tiny * SCANT:g} {analyte.unit})"


def _plain(measurements: Mapping[str, Measurement], names: Iterable[str]) -> dict[str, float]:
    """Plain numbers among the measurements of these analytes."""
    found = {}
    for name in names:
        m = measurements.get(name)
        if m is not None and not m.censored and m.quality != "failed" and m.value > 0:
            found[name] = m.value
    return found


def contradictions(measurements: Mapping[str, Measurement]) -> list[tuple[tuple[str, ...], str]]:
    """What cannot hold together in one panel: the analytes, and the words; only plain numbers are judged."""
    plain = _plain(measurements, JUDGED)
    if len(plain) < 2 and not ALONE.keys() & plain.keys():
        return []
    found: list[tuple[tuple[str, ...], str]] = []
    for parts, whole, factor in PARTS:
        if whole not in plain or not all(p in plain for p in parts) or any({*parts} & {*names} for names, _ in found):
            continue
        total = factor * sum(plain[p] for p in parts)
        if total > ROUND * plain[whole]:
            said = " and ".join(f"{p} {plain[p]:g}" for p in parts)
            said += f" exceed{'s' if len(parts) == 1 else ''} {whole} {plain[whole]:g}, whose part it is"
            found.append((parts, f"{said}; percentages under a unit of counts?"))
    if "WBC" not in plain and all(c in plain for c in CELLS) and 85 <= sum(plain[c] for c in CELLS) <= 101:
        total = sum(plain[c] for c in CELLS)
        found.append((CELLS, f"neutrophils, lymphocytes and monocytes sum to {total:g}: percentages, not counts?"))
    elif "WBC" not in plain:
        for name, limit in ALONE.items():
            # beside neutrophils that are no percentage, it is a count of leukaemia
            others = plain.get("neutrophils", inf) if name != "neutrophils" else inf
            if plain.get(name, 0.0) > limit and others > PERCENT:
                found.append(
                    (
                        (name,),
                        f"{name} {plain[name]:g} 10*9/L without the white cells whose part they are: a percentage?",
                    )
                )
    return found


def disagreements(measurements: Mapping[str, Measurement]) -> list[str]:
    """Ratios and indices that are given beside what they follow from, and differ: of another day or rule, or wrong."""
    plain = _plain(measurements, JUDGED)
    found = []
    for name, above, below, factor, tolerance in FOLLOWS:
        if name not in plain or not all(a in plain for a in (*above, *below)):
            continue
        expected = factor
        for a in above:
            expected *= plain[a]
        for a in below:
            expected /= plain[a]
        if not 1 / tolerance <= plain[name] / expected <= tolerance:
            inputs = ", ".join(f"{a} {plain[a]:g}" for a in dict.fromkeys((*above, *below)))
            found.append(f"{name} {plain[name]:.4g} is given, though {inputs} make {expected:.3g}; check them")
    return found


def codes(analyte: Analyte, values: Sequence[Measurement]) -> Iterable[Measurement]:
    """Values of one analyte of a file that are written as codes for missing (99, 999) and lie far from the others."""
    if analyte.kind == "scale":
        return
    written = [m for m in values if m.given.split(" ")[0].strip() in CODES and not m.censored]
    if not written:
        return
    others = [m.value for m in values if m not in written]
    _, limit = _of(analyte)
    highest = max(others, default=0.0)
    for m in written:
        alone = FAR * limit if limit else inf
        beyond = m.value > 3 * highest if len(others) >= 5 else False
        repeated = len(written) > 1 and len(others) >= 5 and m.value > 1.5 * highest
        if m.value >= alone or beyond or repeated or (analyte.id == "age" and m.value > 98):
            yield m
