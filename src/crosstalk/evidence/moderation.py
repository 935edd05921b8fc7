"""What published results alone say to each question of moderation: random effects over cohorts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from crosstalk.evidence.cohort_slopes import CohortSlope, cohort_slopes
from crosstalk.evidence.records import LeftOut
from crosstalk.evidence.sources import Entry
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.questions import Question, read_questions
from crosstalk.statistics.estimates import Z95
from crosstalk.statistics.meta_analysis import random_effects

__all__ = ["Direct", "DirectAnswer", "Member", "direct", "direct_answers", "pooled", "without_doubles"]


@dataclass(frozen=True, slots=True)
class Member:
    """One cohort in a pool: value with standard error and 95 % interval, weight [%], and remarks on how it was made."""

    label: str
    cohort: str
    study: str
    role: str
    value: float
    se: float
    low: float
    high: float
    weight: float
    made: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Direct:
    """A pooled answer; numbers are NaN where no cohort gives one.

    ``se`` is the larger of that of Hartung and Knapp and that of the weights, since with few cohorts that agree by
    chance the first is too small [1]_; ``low`` to ``high`` the 95 % interval with the t distribution, ``prediction_``
    that of a new cohort. ``tau`` is the SD between cohorts, ``i2`` [%] its share of the variance, ``q_p`` the p-value
    of Cochran's Q. All are NaN where fewer than two cohorts answer, except the estimate of a single one.

    References
    ----------
    .. [1] Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach and its modification for random-effects
       meta-analysis with few studies. BMC Med Res Methodol 2015. doi:10.1186/s12874-015-0091-1
    """

    k: int
    estimate: float
    se: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    tau: float
    i2: float
    q_p: float
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """What published results say to a question.

    ``printed`` pools the cohorts that publish a number; ``stated`` also takes those that only say in words that there
    is no difference, as a difference of zero.
    """

    question: Question
    words: str
    printed: Direct
    stated: Direct
    left_out: tuple[LeftOut, ...]


def direct_answers(
    entries: Sequence[Entry], knowledge: Knowledge, *, meta_analyses: bool = False
) -> tuple[DirectAnswer, ...]:
    """Answer every question of ``questions.toml`` from published results.

    Parameters
    ----------
    entries : sequence of Entry
    knowledge : Knowledge
    meta_analyses : bool
        Pool meta-analyses with trials, whose patients they may hold.
    """
    questions = read_questions(knowledge)
    return tuple(
        direct(entries, question, knowledge, words=questions.words(question), meta_analyses=meta_analyses)
        for question in questions.questions
    )


def direct(
    entries: Iterable[Entry], question: Question, knowledge: Knowledge, *, words: str, meta_analyses: bool = False
) -> DirectAnswer:
    """Answer one question from published results."""
    slopes, left_out = cohort_slopes(entries, question, read_questions(knowledge), knowledge)
    slopes, doubles = without_doubles(slopes, meta_analyses)
    printed = pooled([s for s in slopes if not s.stated])
    return DirectAnswer(question, words, printed, pooled(slopes), (*left_out, *doubles))


def without_doubles(
    slopes: Sequence[CohortSlope], meta_analyses: bool
) -> tuple[tuple[CohortSlope, ...], tuple[LeftOut, ...]]:
    """Use trials where two or more publish a number, else the most precise meta-analysis; never both."""
    if meta_analyses:
        return tuple(slopes), ()
    trials = tuple(s for s in slopes if s.quality != "meta-analysis")
    pools = sorted((s for s in slopes if s.quality == "meta-analysis"), key=lambda s: s.se)
    if sum(not s.stated for s in trials) > 1 or not pools:
        why = "is a meta-analysis, which may hold patients of the others"
        return trials, tuple(LeftOut(s.made, s.study, why) for s in pools)
    why = f"may be of patients of {pools[0].study}, a meta-analysis"
    return (pools[0],), tuple(LeftOut(s.made, s.study, why) for s in (*trials, *pools[1:]))


def pooled(slopes: Sequence[CohortSlope]) -> Direct:
    """Pool the answers of cohorts.

    Raises
    ------
    EvidenceError
        If PyMARE is not installed.
    """
    nan = float("nan")
    if not slopes:
        return Direct(0, nan, nan, nan, nan, nan, nan, nan, nan, nan, ())
    if len(slopes) == 1:
        only = slopes[0]
        low, high = only.value - Z95 * only.se, only.value + Z95 * only.se
        return Direct(1, only.value, only.se, low, high, nan, nan, nan, nan, nan, (_member(only, 100.0),))
    fit = random_effects([s.value for s in slopes], [s.se for s in slopes], test="ad hoc")
    return Direct(
        len(slopes), fit.estimate, fit.se, fit.low, fit.high, fit.prediction_low, fit.prediction_high, sqrt(fit.tau2),
        fit.i2, fit.q_p,
        tuple(_member(s, 100 * w) for s, w in zip(slopes, fit.weights, strict=True)),
    )  # fmt: skip


def _member(slope: CohortSlope, weight: float) -> Member:
    remarks = [
        *(["a zero that is only stated"] if slope.stated else []),
        *(["recalled"] if slope.recalled else []),
        *(["meta-analysis"] if slope.quality == "meta-analysis" else []),
        *slope.assumed,
    ]
    label = slope.study if slope.cohort == slope.study else f"{slope.cohort} ({slope.study})"
    return Member(
        label, slope.cohort, slope.study, slope.role, slope.value, slope.se, slope.value - Z95 * slope.se,
        slope.value + Z95 * slope.se, weight, slope.made, tuple(remarks),
    )  # fmt: skip
