"""The model's answers to questions of moderation and of main effects, and whether they are surer than the evidence.

Each question is asked of one trial of eight weeks in depressed adults, run in every world with the same patients in
all arms. The patients of a world are split in two halves: the covariance of the halves over worlds is the variance of
the answer itself, free of the chance of finite numbers of patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.files import Counterparts
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.questions import CONTROL, Question, Questions
from crosstalk.knowledge.records import Regimen
from crosstalk.population.between import non_negative
from crosstalk.population.run import simulate_worlds
from crosstalk.population.worlds import Worlds
from crosstalk.statistics.estimates import Z95
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Arm, Marker, Population, Result, Study

__all__ = [
    "FEWEST_PATIENTS",
    "Asked",
    "Influence",
    "ModelAnswer",
    "Sureness",
    "ask",
    "asked_effects",
    "asked_questions",
    "influences",
    "sureness",
]

Array = NDArray[np.float64]

DIAGNOSIS = "mdd"
WEEKS = 8.0
FEWEST_PATIENTS = 20  # of a world: two halves of which each is regressed
SHARE = 0.5  # of the direct standard error: below it the model is surer than the evidence
ERROR_RATE = 0.05  # that chance names any result
RTOL = 1e-4

Verdict = Literal["no direct evidence", "not surer", "unresolved", "explained", "surer than the evidence"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A quantity to compute: the mean of some results of the standard trial."""

    id: str
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A quantity over worlds, in SD per SD or SD.

    ``sd`` is its standard deviation between worlds without the chance of finite numbers of patients, ``sd_high`` the
    upper limit of its 95 % interval for so many worlds and patients, ``chance`` what chance adds to an answer;
    ``values`` the answer in each world, chance included.
    """

    id: str
    mean: float
    sd: float
    sd_high: float
    chance: float
    values: tuple[float, ...]

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.mean - Z95 * self.sd

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.mean + Z95 * self.sd


@dataclass(frozen=True, slots=True)
class Influence:
    """A fitted result that speaks to a quantity.

    ``correlation`` of its counterpart with the quantity over worlds of the prior; ``share`` of the quantity's prior
    variance that fitting this result alone would remove, to first order.
    """

    result: str
    description: str
    correlation: float
    share: float


@dataclass(frozen=True, slots=True)
class Sureness:
    """Whether the model is surer than the evidence, and what explains it.

    ``explained``: its SD is below half of the direct standard error, that of its prior was not, and fitted results are
    named that to first order remove at least half of the variance that the calibration took away. ``unresolved``: it
    may be below or not, for so few worlds and patients.
    """

    verdict: Verdict
    prior_sd: float
    influences: tuple[Influence, ...]


def asked_questions(questions: Questions, knowledge: Knowledge) -> tuple[Asked, ...]:
    """What the standard trial must compute for each question; a class without a regimen gives an empty one."""
    scale = knowledge.diagnosis(DIAGNOSIS).scale
    return tuple(Asked(q.id, tuple(_results(q, questions, knowledge, scale))) for q in questions.questions)


def asked_effects(questions: Questions, knowledge: Knowledge) -> tuple[Asked, ...]:
    """The effect of each drug against the control of its class, in SD of the score."""
    scale = knowledge.diagnosis(DIAGNOSIS).scale
    found: dict[str, Asked] = {}
    for group in questions.classes.values():
        for drug in sorted(group.drugs - found.keys()):
            rows = tuple(
                Result("smd", scale, regimen.id, group.control, group.week * HOURS_PER_WEEK)
                for regimen in _regimens(frozenset([drug]), group.control, knowledge)
            )
            if rows:
                found[drug] = Asked(drug, rows)
    return tuple(found.values())


def ask(
    asked: Sequence[Asked],
    worlds: Worlds,
    knowledge: Knowledge,
    engine: Engine,
    *,
    patients: int = 40,
    seed: int = 1,
) -> tuple[ModelAnswer, ...]:
    """Run the standard trial in some worlds and compute what is asked.

    Parameters
    ----------
    asked : sequence of Asked
    worlds : Worlds
    patients : int
        Of each world; all of them get every regimen.
    seed : int

    Raises
    ------
    UsageError
        With too few patients or worlds.
    """
    if patients < FEWEST_PATIENTS or worlds.n < 3:
        raise UsageError(
            f"{patients} patients in {worlds.n} worlds; expected at least {FEWEST_PATIENTS} patients and 3 worlds"
        )
    results = list(dict.fromkeys(r for a in asked for r in a.results))
    if not results:
        return ()
    study = _trial(results, knowledge)
    halves = worlds.take(np.repeat(np.arange(worlds.n), 2))
    run = simulate_worlds(
        study, halves, patients=patients // 2, seed=seed, knowledge=knowledge, engine=engine, rtol=RTOL
    )
    values, _ = run.estimates_by_world(results, knowledge)
    place = {result: j for j, result in enumerate(results)}
    return tuple(_answer(a.id, values[:, [place[r] for r in a.results]].mean(axis=1)) for a in asked if a.results)


def influences(answer: ModelAnswer, given: Counterparts, chosen: NDArray[np.intp]) -> tuple[Influence, ...]:
    """Fitted results that speak to a quantity, the strongest first.

    Parameters
    ----------
    answer : ModelAnswer
        In worlds of the prior.
    given : Counterparts
        Counterparts of the fitted results in the worlds of the prior.
    chosen : array of int, shape (n_worlds,)
        Which of those worlds the answer is of.

    Returns
    -------
    tuple of Influence
        Only such whose correlation chance would not give to any of the results in 95 of 100 cases.
    """
    quantity = np.asarray(answer.values)
    known = np.isfinite(quantity)
    n = int(known.sum())
    if n < 10 or not answer.sd > 0:
        return ()
    reliability = min(1.0, answer.sd**2 / float(quantity[known].var(ddof=1)))
    limit = np.tanh(NormalDist().inv_cdf(1 - ERROR_RATE / 2 / len(given.ids)) / sqrt(n - 3))
    found = []
    for j, name in enumerate(given.ids):
        column = given.before[chosen, j]
        both = known & np.isfinite(column)
        if both.sum() < max(10, n // 2) or column[both].std() == 0:
            continue
        r = float(np.corrcoef(column[both], quantity[both])[0, 1])
        if abs(r) > limit:
            variance = float(column[both].var(ddof=1))
            # the chance of finite numbers of patients is in the column, and in the error once more
            total = variance + max(given.errors[j] ** 2 - given.chance[j], 0.0)
            share = min(1.0, r * r * variance / total / reliability)
            found.append(Influence(name, given.descriptions[j], r, share))
    return tuple(sorted(found, key=lambda i: -i.share))


def sureness(model: ModelAnswer, direct_se: float, prior_sd: float, found: Sequence[Influence]) -> Sureness:
    """Compare the model's SD with the standard error of the direct estimate (NaN: there is none)."""
    verdict: Verdict
    if not np.isfinite(direct_se):
        verdict = "no direct evidence"
    elif model.sd >= SHARE * direct_se:
        verdict = "not surer"
    elif model.sd_high >= SHARE * direct_se:
        verdict = "unresolved"
    elif prior_sd >= SHARE * direct_se and sum(i.share for i in found) >= (1 - (model.sd / prior_sd) ** 2) / 2:
        verdict = "explained"
    else:
        verdict = "surer than the evidence"
    return Sureness(verdict, prior_sd, tuple(found))


def _answer(id_: str, values: Array) -> ModelAnswer:
    """From the values of halves in turn; worlds in which a half gives none are left out."""
    first, second = values[0::2], values[1::2]
    both = np.isfinite(first) & np.isfinite(second)
    whole = np.where(both, (first + second) / 2, np.nan)
    if both.sum() < 3:
        nan = float("nan")
        return ModelAnswer(id_, nan, nan, nan, nan, tuple(whole.tolist()))
    (one, variance), (_, two) = np.cov(first[both], second[both])
    error = sqrt((one * two + variance**2) / (both.sum() - 1))
    chance = float(np.mean((first[both] - second[both]) ** 2)) / 4
    # halves that hardly agree tell of a small variance, not of none
    likely = non_negative(float(variance), error)
    sd, sd_high = sqrt(likely), sqrt(max(float(variance + Z95 * error), likely))
    return ModelAnswer(id_, float(whole[both].mean()), sd, sd_high, sqrt(chance), tuple(whole.tolist()))


def _trial(results: Iterable[Result], knowledge: Knowledge) -> Study:
    """A trial of eight weeks in depressed adults with every regimen that the results name."""
    results = tuple(results)
    names = dict.fromkeys(name for r in results for name in (r.versus, r.arm) if name)
    times = sorted({0.0, WEEKS * HOURS_PER_WEEK, *(r.time_h for r in results if r.time_h is not None)})
    scale = knowledge.diagnosis(DIAGNOSIS).scale
    return Study(
        id="standard-trial", title="", doi="", role="design", population=Population(DIAGNOSIS, {}, None, scale),
        arms=tuple(Arm(name, knowledge.regimen(name).doses) for name in names), results=results,
        duration_h=times[-1], output_times_h=tuple(times), outputs=(scale,),
    )  # fmt: skip


def _results(question: Question, questions: Questions, knowledge: Knowledge, scale: str) -> Iterable[Result]:
    """The results of the standard trial whose mean answers a question: one for each regimen, or pair of regimens."""
    group, spread = questions.classes[question.drug_class], questions.markers[question.marker]
    marker = Marker(question.marker, "sd-ln" if spread.scale == "ln" else "sd")
    at = group.week * HOURS_PER_WEEK
    regimens = _regimens(group.drugs, group.control, knowledge)
    if not question.versus:
        return [Result("slope-smd", scale, r.id, "", at, marker=marker) for r in regimens]
    if question.versus == CONTROL:
        others: Sequence[str] = (group.control,)
    else:
        other = questions.classes[question.versus]
        others = [r.id for r in _regimens(other.drugs, other.control, knowledge)]
    return [Result("interaction-smd", scale, r.id, name, at, marker=marker) for r in regimens for name in others]


def _regimens(drugs: frozenset[str], control: str, knowledge: Knowledge) -> tuple[Regimen, ...]:
    """Regimens that add some of the drugs to those of the control, and no others."""
    base = {dose.drug for dose in knowledge.regimen(control).doses}
    found = []
    for regimen in knowledge.regimens.values():
        given = {dose.drug for dose in regimen.doses}
        if base < given and given - base <= drugs:
            found.append(regimen)
    return tuple(found)
