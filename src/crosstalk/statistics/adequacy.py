"""Can this many people carry this many parameters? Answered before anything is fitted.

Criteria of Riley for a new model without penalty: predictors shrink by at most a tenth, apparent and adjusted R2
(Nagelkerke) differ by at most 0.05, and the overall risk (or mean and residual SD) is known precisely. They are strict,
and a penalised model is no way around them (Riley et al. 2021, doi 10.1016/j.jclinepi.2020.12.005).

References
----------
Binary: Riley et al. 2019, doi 10.1002/sim.7992. Continuous: Riley et al. 2019, doi 10.1002/sim.7993. Overview and the
advice to expect a Nagelkerke R2 of 0.15 where nothing is known: Riley et al. 2020, doi 10.1136/bmj.m441.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log
from typing import Literal

from crosstalk.errors import LearnError

__all__ = ["Adequacy", "PeopleNeeded", "judge_size", "sample_size_binary", "sample_size_score"]

EXPECTED_R2 = 0.15  # doi 10.1136/bmj.m441: of the maximum (binary); taken for scores too (assumed)
SHRINKAGE = 0.9  # doi 10.1002/sim.7992
LEAST_SHRINKAGE = 0.5  # assumed: below it, more than half of what would be found is noise
LEAST_PEOPLE = 50  # assumed: with fewer, intervals of any measure are wider than what is at stake
LEAST_EVENTS = 10  # assumed: with fewer of the rarer class no fold can be judged
Verdict = Literal["adequate", "small", "refused"]


@dataclass(frozen=True, slots=True)
class PeopleNeeded:
    """People needed.

    Attributes
    ----------
    n : int
        The largest of the criteria.
    by_criterion : tuple of int
        Shrinkage, optimism of R2, precision (for scores: of the residual SD, of the mean).
    events_per_parameter : float
        People per parameter for a score.
    """

    n: int
    by_criterion: tuple[int, ...]
    events_per_parameter: float


@dataclass(frozen=True, slots=True)
class Adequacy:
    """Whether a model can be carried.

    Attributes
    ----------
    verdict : {"adequate", "small", "refused"}
    parameters : int
        Candidate parameters, whether a penalty takes them away later or not.
    n, events : int
        Events of the rarer class; equal to ``n`` for a score.
    needed : PeopleNeeded
    shrinkage : float
        Expected factor by which predictors would have to shrink at this ``n``; 0 where nothing would be left.
    reason : str
    """

    verdict: Verdict
    parameters: int
    n: int
    events: int
    needed: PeopleNeeded
    shrinkage: float
    reason: str


def largest_r2(prevalence: float) -> float:
    """Largest Cox-Snell R2 that a binary outcome of this prevalence allows."""
    null = prevalence * log(prevalence) + (1 - prevalence) * log(1 - prevalence)
    return 1 - exp(2 * null)


def sample_size_binary(
    parameters: int, prevalence: float, *, cox_snell: float | None = None, nagelkerke: float = EXPECTED_R2
) -> PeopleNeeded:
    """People needed for a binary outcome, as R's ``pmsampsize(type = "b")`` counts.

    Parameters
    ----------
    parameters : int
    prevalence : float
    cox_snell : float, optional
        Expected R2; by default `nagelkerke` times its maximum.

    Raises
    ------
    LearnError
        If the prevalence or R2 is impossible.

    Examples
    --------
    >>> found = sample_size_binary(24, 0.174, cox_snell=0.288)
    >>> found.n, found.by_criterion, round(found.events_per_parameter, 1)
    (662, (623, 662, 221), 4.8)
    """
    if not 0 < prevalence < 1 or parameters < 1:
        raise LearnError(
            f"received {parameters} parameters and a prevalence of {prevalence:g}; expected 1 or more, 0 to 1"
        )
    top = largest_r2(prevalence)
    r2 = nagelkerke * top if cox_snell is None else cox_snell
    if not 0 < r2 < min(top, SHRINKAGE):
        raise LearnError(
            f"received an R2 (Cox-Snell) of {r2:.3g}; at a prevalence of {prevalence:.3g} at most {top:.3g}"
        )

    def at(shrinkage: float) -> int:
        return ceil(parameters / ((shrinkage - 1) * log(1 - r2 / shrinkage)))

    criteria = (at(SHRINKAGE), at(r2 / (r2 + 0.05 * top)), ceil((1.96 / 0.05) ** 2 * prevalence * (1 - prevalence)))
    n = max(criteria)
    return PeopleNeeded(n, criteria, n * prevalence / parameters)


def sample_size_score(parameters: int, *, r2: float = EXPECTED_R2) -> PeopleNeeded:
    """People needed for a score, by criteria (i) to (iii) of doi 10.1002/sim.7993.

    The fourth, a precise mean, needs the mean's size and is met by these in practice.

    Examples
    --------
    >>> sample_size_score(25, r2=0.2).n
    918
    """
    if parameters < 1 or not 0 < r2 < SHRINKAGE:
        raise LearnError(
            f"received {parameters} parameters and an R2 of {r2:g}; expected 1 or more, 0 to {SHRINKAGE:g}"
        )
    # the adjusted R2 that is expected implies an apparent one that grows with p / n: solved for n by steps of one
    n = parameters + 2
    while _shrinkage_score(n, parameters, r2) < SHRINKAGE:
        n += 1
    criteria = (n, ceil(1 + parameters * (1 - r2) / 0.05), 234 + parameters)
    most = max(criteria)
    return PeopleNeeded(most, criteria, most / parameters)


def _shrinkage_score(n: int, parameters: int, r2: float) -> float:
    """Global shrinkage of Copas, from the likelihood ratio of the apparent R2 (doi 10.1002/sim.7993, equation 5)."""
    apparent = (r2 * (n - parameters - 1) + parameters) / (n - 1)
    return 1 + (parameters - 2) / (n * log(1 - apparent))


def judge_size(parameters: int, n: int, events: int | None, *, expected_r2: float = EXPECTED_R2) -> Adequacy:
    """Judge a cohort before anything is fitted.

    Parameters
    ----------
    parameters : int
        Candidate parameters; 0 for a model of the prevalence alone.
    n : int
    events : int or None
        People with the event; None for a score.
    expected_r2 : float
        Share of the largest R2 (Nagelkerke) for an event, R2 for a score.
    """
    rarer = n if events is None else min(events, n - events)
    if rarer < LEAST_EVENTS or n < LEAST_PEOPLE:
        what = f"{n} people" if events is None else f"{n} people, {rarer} of the rarer outcome"
        reason = f"{what}: fewer than {LEAST_PEOPLE} people or {LEAST_EVENTS} of the rarer outcome judge no model"
        return Adequacy("refused", parameters, n, rarer, PeopleNeeded(0, (), 0.0), 0.0, reason)
    if parameters == 0:
        return Adequacy("adequate", 0, n, rarer, PeopleNeeded(0, (), 0.0), 1.0, "no parameter but the mean")
    if events is None:
        needed = sample_size_score(parameters, r2=expected_r2)
        factor = _shrinkage_score(n, parameters, expected_r2) if n > parameters + 2 else 0.0
    else:
        prevalence = events / n
        needed = sample_size_binary(parameters, prevalence, nagelkerke=expected_r2)
        factor = _shrinkage_binary(n, parameters, expected_r2 * largest_r2(prevalence))
    factor = min(max(factor, 0.0), 1.0)
    per = rarer / parameters
    unit = "people" if events is None else "events"
    have = f"{n} people and {per:.1f} {unit} per candidate parameter ({parameters})"
    if factor < LEAST_SHRINKAGE:
        reason = (
            f"{have}: predictors would have to shrink to {factor:.2f} of their size, less than {LEAST_SHRINKAGE:g}; "
            f"{needed.n} people are needed. Name fewer analytes or covariates before looking at the outcome"
        )
        return Adequacy("refused", parameters, n, rarer, needed, factor, reason)
    if n < needed.n:
        reason = (
            f"{have}: fewer than the {needed.n} people that Riley's criteria ask for; expect to shrink to {factor:.2f}"
        )
        return Adequacy("small", parameters, n, rarer, needed, factor, reason)
    return Adequacy("adequate", parameters, n, rarer, needed, factor, f"{have}: Riley's criteria ask for {needed.n}")


def _shrinkage_binary(n: int, parameters: int, r2: float) -> float:
    """Shrinkage at which criterion (i) needs exactly ``n``: solved by halving."""
    low, high = r2 * (1 + 1e-9), 1.0 - 1e-12
    for _ in range(200):
        middle = (low + high) / 2
        if parameters / ((middle - 1) * log(1 - r2 / middle)) > n:
            high = middle
        else:
            low = middle
    return low
