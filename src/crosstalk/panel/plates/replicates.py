"""Several measurements of one sample and analyte as one value: replicates, then dilutions by what each can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log
from statistics import mean, stdev

from crosstalk.panel.records import Quality

__all__ = ["Outcome", "bound_of", "of_dilutions", "of_wells", "precision"]

WORSE = {"": 0, "doubtful": 1, "failed": 2}
AGREE = 1.3  # a number of one dilution may exceed the bound of another by this: a limit of recovery (assumed)
SAME = 0.01  # two concentrations on a plate are one level of the standard within 1 %


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the wells of a sample say at one dilution, or all of them together.

    Attributes
    ----------
    sign : {"", "<", ">"}
    value : float, optional
        Concentration of the undiluted sample, or its bound; none where there is neither.
    cv : float, optional [fraction]
        Of the replicates.
    precision : float
        By which outcomes of two dilutions are chosen: smaller is better.
    """

    sign: str
    value: float | None
    dilution: float = 1.0
    cv: float | None = None
    quality: Quality = ""
    remarks: tuple[str, ...] = ()
    precision: float = 0.0

    @property
    def text(self) -> str:
        """``12.3``, ``<0.4``, ``>1200``, or nothing."""
        return "" if self.value is None else f"{self.sign}{self.value:.12g}"

    @property
    def short(self) -> str:
        """The same with six digits."""
        return "" if self.value is None else f"{self.sign}{self.value:.6g}"


def bound_of(sign: str, value: float, dilution: float, levels: Sequence[float]) -> tuple[float, str]:
    """A vendor's bound as that of the undiluted sample, and what was done to it.

    Software writes the lowest or highest standard as the bound, some multiplied by the dilution as numbers are and some
    not. Which one it is, the levels of the standard tell; without them the bound is multiplied, as numbers are taken to
    be those of the undiluted sample.

    Examples
    --------
    >>> bound_of("<", 0.3125, 10, [0.3125, 320])[0], bound_of("<", 3.125, 10, [0.3125, 320])[0]
    (3.125, 3.125)
    >>> bound_of(">", 320, 1, [])
    (320, '')
    """
    if dilution == 1:
        return value, ""
    end = (min if sign == "<" else max)(levels) if levels else 0.0
    if end and abs(value - end * dilution) <= SAME * end * dilution:
        return value, ""
    if end and abs(value - end) > SAME * end and (value > end if sign == "<" else value < end * dilution):
        # neither: what says less is true in any case
        said = value * dilution if sign == "<" else value
        return said, f"the bound {sign}{value:g} is no level of the standard; read as {sign}{said:g}"
    return value * dilution, f"the bound {sign}{value:g} of the plate is multiplied by the dilution {dilution:g}"


def precision(value: float | None, dilution: float, levels: Sequence[float]) -> float:
    """How far a concentration lies from the middle of the standards on the logarithm; curves are best known there."""
    if not value or not levels:
        return 0.0
    return abs(log(value / dilution) - (log(min(levels)) + log(max(levels))) / 2)


def of_wells(
    numbers: Sequence[float], below: Sequence[float], above: Sequence[float], given: Sequence[str]
) -> Outcome | None:
    """One value of the replicates of one dilution; None where they contradict each other.

    A censored replicate is never averaged with a number: ``<0.4`` and 0.9 become ``<0.9``, ``>1200`` and 1000
    ``>1000``.
    """
    if below and above:
        return None
    notes = [f"geometric mean of {len(numbers)} wells"] if len(numbers) > 1 else []
    if below or above:
        limit = max([*below, *numbers]) if below else min([*above, *numbers])
        if numbers or len({*below, *above}) > 1:
            side = "below the largest" if below else "above the smallest"
            notes.append(f"the replicates disagree ({', '.join(given)}); kept as {side}")
        return Outcome("<" if below else ">", limit, remarks=tuple(notes))
    if not numbers:
        return Outcome("", None)
    if len(numbers) == 1:
        return Outcome("", numbers[0])
    average = exp(mean(log(value) for value in numbers))
    return Outcome("", average, cv=stdev(numbers) / mean(numbers), remarks=tuple(notes))


def of_dilutions(outcomes: Sequence[Outcome], unit: str) -> Outcome:
    """One value of several dilutions: the number that is known best, else the bounds that say most.

    ``<15.6`` at 1:50 says nothing against 10 at 1:2; two numbers, or a number and a bound, that cannot both be true
    make the value doubtful. Every outcome that is not the value is a remark.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    numbers = [o for o in outcomes if o.value is not None and not o.sign]
    low = max((o.value for o in outcomes if o.value is not None and o.sign == ">"), default=0.0)
    high = min((o.value for o in outcomes if o.value is not None and o.sign == "<"), default=inf)
    if numbers:
        best = min(numbers, key=lambda o: (WORSE[o.quality], o.precision, o.dilution))
    else:
        bounds = [o for o in outcomes if o.value is not None]
        # the least that it may be at most, the most that it must be at least
        best = min(bounds or outcomes, key=lambda o: (WORSE[o.quality], o.value is None, o.sign == ">",
                                                      (o.value or 0.0) * (-1 if o.sign == ">" else 1)))  # fmt: skip
    others = [f"at dilution {o.dilution:g}: {o.short or 'none'} {unit}".rstrip() for o in outcomes if o is not best]
    value = best.value
    torn = low > high or (
        value is not None and not best.sign
        and (value > AGREE * high or value * AGREE < low
             or any(o.value and not 1 / AGREE**2 <= o.value / value <= AGREE**2 for o in numbers))
    )  # fmt: skip
    quality: Quality = "doubtful" if torn and best.quality != "failed" else best.quality
    said = ("the dilutions contradict each other",) if torn else ()
    return Outcome(
        best.sign, value, best.dilution, best.cv, quality, (*best.remarks, *said, *others), best.precision
    )  # fmt: skip
