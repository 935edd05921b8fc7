"""Sentences that follow intervals: each says what its interval allows, and no more.

"As in health" only where the whole interval lies in the band of equivalence, "more" or "less" only where it lies
outside, else "not told".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from crosstalk.knowledge.records import MechanismDefinition, Scale
from crosstalk.twin.records import Interval, NextAssay, RegimenForecast

__all__ = [
    "INFORMED",
    "MEANINGFUL",
    "NOT_TOLD",
    "USEFUL",
    "WITHIN",
    "conclude",
    "listed",
    "next_assay_words",
    "points",
    "reading",
    "side",
    "useful",
    "verdict",
]

Side = Literal["low", "within", "high", "open"]

# folds of health that count as those of health (assumed, the limits of bioequivalence)
WITHIN = (0.8, 1.25)
# share of the population's variance from which on a score counts as told (assumed)
INFORMED = 0.05
# smallest difference that is called one, as a share of the scale: 1 point of HAMD-17 (assumed)
MEANINGFUL = 0.02
# expected fall of the variance from which on a further assay is named (assumed)
USEFUL = 0.005
NOT_TOLD = "not told by this panel"
NOT_BETTER = "not better; how much worse is open"


def side(found: Interval, band: tuple[float, float]) -> Side:
    """Where an interval lies against a band of equivalence; ``open`` where it reaches across a limit, or is none.

    Examples
    --------
    >>> [side(Interval(1.0, low, high), WITHIN) for low, high in ((0.9, 1.1), (1.3, 3.0), (0.8, 4.4))]
    ['within', 'high', 'open']
    """
    low, high = band
    if low <= found.lo90 and found.hi90 <= high:
        return "within"
    if found.lo90 > high:
        return "high"
    return "low" if found.hi90 < low else "open"


def reading(
    definition: MechanismDefinition,
    found: Interval,
    alone: Interval | None,
    told: tuple[float, float],
    covariates: Sequence[str],
) -> str:
    """A mechanism score in words.

    Parameters
    ----------
    definition : MechanismDefinition
    found : Interval
        Of the patient [fold of health].
    alone : Interval, optional
        What covariates alone give.
    told : (float, float)
        Shares of the population's variance that values of the panel and that covariates take away.
    covariates : sequence of str
        Which covariates and questionnaires are given.
    """
    words = {"low": definition.low, "within": definition.within, "high": definition.high}
    by_panel, by_covariates = told
    if by_panel >= INFORMED:
        return words.get(side(found, WITHIN), f"{NOT_TOLD}: the interval reaches {_reach(found)}")
    if by_covariates >= INFORMED and covariates and alone is not None:
        s = "s" if len(covariates) == 1 else ""
        fold = definition.unit.replace("healthy", "health")
        return f"{NOT_TOLD}; {listed(covariates)} alone suggest{s} {alone.lo90:.2g} to {alone.hi90:.2g} {fold} (90 %)"
    return f"{NOT_TOLD}; what is shown is that of the population"


def _reach(found: Interval) -> str:
    low, high = WITHIN
    if found.lo90 < low and found.hi90 > high:
        return "from low to high"
    return "from that of health to high" if found.hi90 > high else "from low to that of health"


def verdict(versus: Interval, scale: Scale, *, reference: bool = False) -> str:
    """The difference from the reference in words; 1 point of HAMD-17 or its like is the least that matters.

    Parameters
    ----------
    versus : Interval
        Difference [points]; negative is better.
    """
    if reference:
        return "reference"
    margin = MEANINGFUL * scale.span
    where = side(versus, (-margin, margin))
    if where != "open":
        return {
            "low": "estimated better", "high": "estimated worse", "within": "too small a difference to matter",
        }[where]  # fmt: skip
    if versus.hi90 < 0:
        return "not worse; how much better is open"
    if versus.lo90 > 0:
        return NOT_BETTER
    return "no evidence of a difference"


def conclude(regimens: Sequence[RegimenForecast], reference: RegimenForecast, scale: Scale) -> str:
    """One or two sentences on what the comparison shows."""
    week, others = f"{reference.change.week:g}", [r for r in regimens if r.id != reference.id]
    if not others:
        return f"{reference.name} alone is forecast; there is nothing to compare it with."
    better = sorted((r for r in others if r.verdict == "estimated better"), key=lambda r: r.versus_reference.mean)
    worse = sorted((r for r in others if r.verdict == "estimated worse"), key=lambda r: -r.versus_reference.mean)
    found = []
    if better:
        v = better[0].versus_reference
        found.append(
            f"Largest estimated advantage over {reference.name} at week {week}: {better[0].name}, {points(v)} "
            f"{scale.id} points (90 % interval {_ends(v)})."
        )
        if len(better) > 1:
            found.append(f"Estimated better too: {listed([r.name for r in better[1:]])}.")
    else:
        found.append(
            f"No evidence that anything is better: for no regimen does the 90 % interval against {reference.name} at "
            f"week {week} lie below zero by an amount that matters."
        )
    if worse:
        found.append(f"Estimated worse: {listed([r.name for r in worse])}.")
    unsure = [r.name for r in others if r.verdict == NOT_BETTER]
    if unsure:
        found.append(f"Not better, and how much worse is open: {listed(unsure)}.")
    return " ".join(found)


def points(found: Interval) -> str:
    """A difference with its sign."""
    return f"{found.mean:+.1f}"


def _ends(found: Interval) -> str:
    return f"{found.lo90:+.1f} to {found.hi90:+.1f}"


def useful(assays: Sequence[NextAssay]) -> list[NextAssay]:
    """Assays that are expected to tell something."""
    return [a for a in assays if a.variance_reduction >= USEFUL]


def next_assay_words(assays: Sequence[NextAssay], first: str, second: str) -> str:
    """What to measure next, and what that would change.

    Parameters
    ----------
    first, second : str
        The two regimens that the assays are to tell apart.
    """
    found = useful(assays)
    if not found:
        return f"No further assay is expected to narrow the difference between {first} and {second}."
    top = found[0]
    rest = [f"{a.name} ({a.variance_reduction:.0%})" for a in found[1:3]]
    more = f" Then {listed(rest)}, each alone." if rest else ""
    return (
        f"{top.name}: expected to take away {top.variance_reduction:.0%} of the variance of the difference between "
        f"{first} and {second}.{more}"
    )


def listed(words: Sequence[str]) -> str:
    """Words as a person lists them.

    Examples
    --------
    >>> listed(["age"]), listed(["age", "BMI"]), listed(["a", "b", "c"])
    ('age', 'age and BMI', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
