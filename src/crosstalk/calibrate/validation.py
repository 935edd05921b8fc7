"""Verdicts: what the model says of published results, beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri

from crosstalk.calibrate.forward import Forward, Progress
from crosstalk.calibrate.rivals import ClassMeans, neutral
from crosstalk.calibrate.targets import Target, gather, studies_of, subject
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.evidence.listing import stratum_text
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import possible_worlds
from crosstalk.population.worlds import Worlds
from crosstalk.study.endpoints import from_error_scale
from crosstalk.study.records import Study

__all__ = ["Summary", "Validation", "Verdict", "judge", "validate"]

Array = NDArray[np.float64]

DRAWS = 200
PATIENTS = 100  # of each study in one world
ANOTHER = 1_000_003  # from the seed of one half of the patients to that of the other
STRATA = 16  # points of the sampling error that a prediction is spread over
Z90 = float(ndtri(0.95))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One published result beside its prediction.

    Numbers are in the unit of the result; ``observed_se`` is on the scale of its error. The 90 % interval is for what a
    study of this size would report: it holds the uncertainty of the model and the published sampling error, but no
    discount for mismatch; ``model_`` stands before the median and interval of the model alone. ``sign_ok`` is None
    where the observed interval holds no effect, or nothing is compared; the log scores are None where there is no such
    rival.
    """

    study: str
    role: str
    endpoint: str
    of: str
    arm: str
    versus: str
    stratum: str
    week: float | None
    unit: str
    observed: float
    observed_se: float
    observed_lo90: float
    observed_hi90: float
    predicted_median: float
    lo90: float
    hi90: float
    model_median: float
    model_lo90: float
    model_hi90: float
    inside90: bool
    sign_ok: bool | None
    log_score: float
    log_score_no_effect: float | None
    log_score_class_mean: float | None
    class_mean: float | None
    worlds: int

    @property
    def key(self) -> str:
        """What tells this result from all others."""
        return "|".join(map(str, (self.study, self.endpoint, self.of, self.arm, self.versus, self.stratum, self.week)))


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over verdicts; score differences are means per result, positive where the model is better."""

    results: int
    inside90: int
    signs: int
    signs_ok: int
    better_than_no_effect: float | None
    compared_no_effect: int
    better_than_class_mean: float | None
    compared_class_mean: int


@dataclass(frozen=True)
class Validation:
    """Verdicts of some studies under one set of worlds; ``unsupported`` names results that no world could give."""

    results: tuple[Verdict, ...]
    summary: Summary
    source: str
    seed: int
    patients: int
    unsupported: tuple[str, ...]


def validate(
    studies: Sequence[Study] | None = None,
    worlds: Worlds | None = None,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    patients: int = PATIENTS,
    progress: Progress | None = None,
) -> Validation:
    """Simulate studies in possible worlds and compare each result with what was observed.

    Parameters
    ----------
    studies : sequence of Study, optional
        With results; of any role, a reader's own included. All of role ``validate`` by default.
    worlds : Worlds, optional
        What is to be judged; 200 draws of the posterior that is in force by default.
    patients : int
        Virtual patients of each study in each world. They run in two halves, whose differences tell how much of the
        spread between worlds is the chance of finite numbers; it is taken out, so that few patients do not make
        predictions look wide.

    Raises
    ------
    CalibrationError
        If no study has a result, or one has no standard error.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    studies = studies_of("validate", knowledge) if studies is None else studies
    worlds = worlds or possible_worlds(knowledge, seed, DRAWS)
    targets = gather(studies, knowledge)
    halves = []
    for number, start in enumerate((seed, seed + ANOTHER)):
        plan = dict.fromkeys((s.id for s in studies), max(patients // 2, 2))
        forward = Forward(knowledge, engine, seed=start, plan=plan)
        halves.append(forward.counterparts(targets, worlds, "validation", _half(progress, number)))
    simulated = without_chance(*halves)
    means = ClassMeans(knowledge)
    by_id = {s.id: s for s in studies}
    verdicts, unsupported = [], []
    for target, column in zip(targets.items, simulated.T, strict=True):
        known = column[np.isfinite(column)]
        study = by_id[target.study]
        if len(known) < 2:
            unsupported.append(target.id)
            continue
        verdicts.append(judge(target, known, study.role, means.of(target, _drugs(study, target))))
    return Validation(tuple(verdicts), summarise(verdicts), worlds.source, seed, patients, tuple(unsupported))


def without_chance(first: Array, second: Array) -> Array:
    """Mean of two sets of counterparts, its spread between worlds freed from the chance that the two do not share.

    Parameters
    ----------
    first, second : array, shape (n_worlds, n_targets)
        Of other patients in the same worlds; NaN where a world has none.

    Returns
    -------
    array, shape (n_worlds, n_targets)
        With the mean over worlds unchanged.
    """
    both = np.stack([first, second])
    known = np.isfinite(both)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(known, both, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    found = mean.copy()
    for j in range(mean.shape[1]):
        pairs, some = count[:, j] == 2, count[:, j] > 0
        if pairs.sum() < 2:
            continue
        chance = float(((first[pairs, j] - second[pairs, j]) ** 2).mean()) / 4
        spread = float(mean[some, j].var(ddof=1))
        if spread > 0:
            middle = mean[some, j].mean()
            found[some, j] = middle + np.sqrt(max(1 - chance / spread, 0.0)) * (mean[some, j] - middle)
    return found


def _half(progress: Progress | None, number: int) -> Progress | None:
    return None if progress is None else lambda words, share: progress(words, (number + share) / 2)


def judge(target: Target, simulated: Array, role: str, class_mean: tuple[float, float] | None) -> Verdict:
    """Compare one result with its counterparts in some worlds, shape (n_worlds,), on the scale of its error."""
    result, se = target.result, target.sampling
    chances = ndtri((np.arange(STRATA) + 0.5) / STRATA)
    spread = (simulated[:, None] + se * chances[None, :]).ravel()
    low, median, high = np.quantile(spread, [0.05, 0.5, 0.95])
    narrow = np.quantile(simulated, [0.05, 0.95])
    zero = neutral(result)
    observed = (target.value - Z90 * se, target.value + Z90 * se)
    decided = zero is not None and not observed[0] <= zero <= observed[1]
    centre = float(np.median(simulated))

    def natural(value: float) -> float:
        found = from_error_scale(result.endpoint, float(value))
        return float(np.clip(found, -1.0 if result.versus else 0.0, 1.0)) if result.unit == "fraction" else found

    return Verdict(
        study=target.study,
        role=role,
        endpoint=result.endpoint,
        of=subject(result),
        arm=result.arm,
        versus=result.versus,
        stratum=stratum_text(result.stratum),
        week=None if result.time_h is None else round(result.time_h / 168, 6),
        unit=result.unit,
        observed=natural(target.value),
        observed_se=se,
        observed_lo90=natural(observed[0]),
        observed_hi90=natural(observed[1]),
        predicted_median=natural(float(median)),
        lo90=natural(float(low)),
        hi90=natural(float(high)),
        model_median=natural(centre),
        model_lo90=natural(float(narrow[0])),
        model_hi90=natural(float(narrow[1])),
        inside90=bool(low <= target.value <= high),
        sign_ok=bool(np.sign(centre - (zero or 0.0)) == np.sign(target.value - (zero or 0.0))) if decided else None,
        log_score=_score(target.value, simulated, se),
        log_score_no_effect=None if zero is None else _score(target.value, np.array([zero]), se),
        log_score_class_mean=(
            None
            if class_mean is None
            else _score(target.value, np.array([class_mean[0]]), float(np.hypot(se, class_mean[1])))
        ),
        class_mean=None if class_mean is None else natural(class_mean[0]),
        worlds=len(simulated),
    )


def summarise(verdicts: Sequence[Verdict]) -> Summary:
    """Count verdicts and average the differences of their log scores."""
    no_effect = [v.log_score - v.log_score_no_effect for v in verdicts if v.log_score_no_effect is not None]
    of_class = [v.log_score - v.log_score_class_mean for v in verdicts if v.log_score_class_mean is not None]
    return Summary(
        results=len(verdicts),
        inside90=sum(v.inside90 for v in verdicts),
        signs=sum(v.sign_ok is not None for v in verdicts),
        signs_ok=sum(v.sign_ok is True for v in verdicts),
        better_than_no_effect=float(np.mean(no_effect)) if no_effect else None,
        compared_no_effect=len(no_effect),
        better_than_class_mean=float(np.mean(of_class)) if of_class else None,
        compared_class_mean=len(of_class),
    )


def _score(value: float, centers: Array, spread: float) -> float:
    """Logarithm of the density of a value under equal parts of normal distributions."""
    terms = -0.5 * ((value - centers) / spread) ** 2 - log(spread) - 0.5 * log(2 * pi)
    return float(logsumexp(terms) - log(len(centers)))


def _drugs(study: Study, target: Target) -> tuple[str, ...]:
    """Drugs that the arm gets and the one it is compared with does not; none if that one gets others instead."""
    given = {arm.id: {dose.drug for dose in arm.all_doses} for arm in study.arms}
    arm, versus = given[target.result.arm], given.get(target.result.versus, set())
    return tuple(sorted(arm - versus)) if versus <= arm else ()
