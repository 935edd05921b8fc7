"""Verdicts: what the model and its rivals say of published results, beside what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from crosstalk.calibrate.domains import Domain, domain_of
from crosstalk.calibrate.forward import ANOTHER, Forward, Progress
from crosstalk.calibrate.heterogeneity import between_studies
from crosstalk.calibrate.rivals import ClassMeans, TrivialPredictor, cohort_of, neutral
from crosstalk.calibrate.scores import Prediction, crps, log_score, quantile
from crosstalk.calibrate.skill import Coverage, Skill, coverage, ledger
from crosstalk.calibrate.targets import Target, Targets, gather, studies_of, subject
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.evidence.listing import marker_text, stratum_text
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.between import non_negative
from crosstalk.population.calibrated import evidence_hash, model_hash, possible_worlds
from crosstalk.population.worlds import Worlds, prior_worlds
from crosstalk.results import Reported
from crosstalk.study.endpoints import from_error_scale
from crosstalk.study.records import Figure, Result, Study

__all__ = ["Judge", "Score", "Summary", "Validation", "Verdict", "summarise", "validate"]

Array = NDArray[np.float64]

DRAWS = 240
PRIOR_DRAWS = 60
PATIENTS = 100  # of each study in one world
FEWEST_WORLDS = 2
Z90 = float(ndtri(0.95))


@dataclass(frozen=True, slots=True)
class Score:
    """How a rival met one published result; ``basis`` says in words what it knows.

    ``crps`` is on the scale of the error, the interval in the unit of the result.
    """

    basis: str
    median: float
    lo90: float
    hi90: float
    inside90: bool
    log_score: float
    crps: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One published result beside its prediction and those of the rivals.

    Numbers are in the unit of the result; ``observed_se`` and ``crps`` are on the scale of its error. The 90 % interval
    is for what another study of this size would report: it holds the uncertainty of the model, the published sampling
    error, and how far true effects differ between studies, but no discount for mismatch; ``model_`` stands before the
    median and interval of the model alone.
    ``figure`` is ``stated`` where the publication only said that there was no difference, so that the 0 is not its own:
    such a result is listed and counts for nothing. Results with a common label in ``shares`` hold partly the same
    information, and count as one in the skill. ``trivial`` is None where too few other studies have results of the
    kind. ``sign_ok`` is None where the observed interval holds no effect, or nothing is compared; the log scores of no
    effect and of the mean of the drug's class are None where there is no such comparison.
    """

    study: str
    cohort: str
    role: str
    domain: Domain
    figure: Figure
    shares: str
    endpoint: str
    of: str
    arm: str
    versus: str
    stratum: str
    marker: str
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
    crps: float
    prior: Score
    trivial: Score | None
    log_score_no_effect: float | None
    log_score_class_mean: float | None
    class_mean: float | None
    worlds: int

    @property
    def scored(self) -> bool:
        """Whether it counts: not if the number is not the publication's."""
        return self.figure != "stated"

    @property
    def key(self) -> str:
        """What tells this result from all others."""
        who = ", ".join(part for part in (self.stratum, self.marker) if part)
        return "|".join(map(str, (self.study, self.endpoint, self.of, self.arm, self.versus, who, self.week)))


@dataclass(frozen=True, slots=True)
class Summary:
    """Skill and coverage over verdicts, and two comparisons that fewer of them allow.

    ``skill`` is that over all results and in each domain. ``stated`` results are listed and left out of every count.
    Differences of log scores to no effect and to the mean of the drug's class are medians, positive where the model is
    better.
    """

    results: int
    stated: int
    computed: int
    coverage: Coverage
    skill: tuple[Skill, ...]
    signs: int
    signs_ok: int
    better_than_no_effect: float | None
    compared_no_effect: int
    better_than_class_mean: float | None
    compared_class_mean: int


@dataclass(frozen=True, repr=False)
class Validation(Reported):
    """Verdicts of some studies under one set of worlds.

    ``unsupported`` names results that no world could give; ``model`` and ``evidence`` are hashes of what was judged.
    """

    results: tuple[Verdict, ...]
    overall: Summary
    source: str
    seed: int
    patients: int
    unsupported: tuple[str, ...]
    model: str
    evidence: str


def validate(
    studies: Sequence[Study] | None = None,
    worlds: Worlds | None = None,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    patients: int = PATIENTS,
    prior_draws: int = PRIOR_DRAWS,
    progress: Progress | None = None,
) -> Validation:
    """Simulate studies in possible worlds and compare each result with what was observed, and with two rivals.

    Parameters
    ----------
    studies : sequence of Study, optional
        With results; of any role, a reader's own included. All of role ``validate`` by default.
    worlds : Worlds, optional
        What is to be judged; 240 draws of the posterior that is in force by default.
    patients : int
        Virtual patients of each study in each world. They run in two halves, whose differences tell how much of the
        spread between worlds is the chance of finite numbers; it is taken out, so that few patients do not make
        predictions look wide.
    prior_draws : int
        Worlds of the prior in which the same studies run, for the prior predictive.

    Raises
    ------
    CalibrationError
        If no study has a result, or one has no standard error.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    studies = studies_of("validate", knowledge) if studies is None else studies
    worlds = worlds or possible_worlds(knowledge, seed, DRAWS)
    prior = prior_worlds(knowledge, seed, prior_draws)
    targets = gather(studies, knowledge)
    plan = dict.fromkeys((s.id for s in studies), max(patients // 2, 2))
    found, done = [], 0.0
    for judged in (worlds, prior):
        halves = []
        for start in (seed, seed + ANOTHER):
            share = judged.n / (2 * (worlds.n + prior.n))
            forward = Forward(knowledge, engine, seed=start, plan=plan)
            halves.append(forward.counterparts(targets, judged, "validation", _part(progress, done, share)))
            done += share
        found.append(without_chance(*halves))
    basis = f"{prior.n} draws of the prior"
    judge = Judge(knowledge, worlds.between, prior.between)
    verdicts, unsupported = judge.all(targets, found[0], found[1], basis)
    return Validation(
        verdicts, summarise(verdicts), worlds.source, seed, patients, unsupported,
        model_hash(knowledge), evidence_hash(knowledge),
    )  # fmt: skip


class Judge:
    """Compares published results with what the model and its rivals say.

    Parameters
    ----------
    between, between_prior : mapping of str to float
        Standard deviation of true effects between studies, by domain, after the calibration and before it. A study that
        is still to come differs from the others by it, which both predictions hold.
    """

    def __init__(self, knowledge: Knowledge, between: Mapping[str, float], between_prior: Mapping[str, float]) -> None:
        self.knowledge, self.between, self.between_prior = knowledge, between, between_prior
        self.means, self.trivial = ClassMeans(knowledge), TrivialPredictor(knowledge)

    def all(
        self, targets: Targets, simulated: Array, prior: Array, basis: str
    ) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
        """Verdicts on targets, and the names of those that too few worlds could give.

        Parameters
        ----------
        simulated, prior : array, shape (n_worlds, n_targets)
            Counterparts in the worlds that are judged and in worlds of the prior, on the scale of the errors; NaN where
            a world has none.
        basis : str
            What the prior predictive is.
        """
        studies = {s.id: s for s in targets.studies}
        verdicts, unsupported = [], []
        for target, column, before in zip(targets.items, simulated.T, prior.T, strict=True):
            known, known_before = column[np.isfinite(column)], before[np.isfinite(before)]
            if min(len(known), len(known_before)) < FEWEST_WORLDS:
                unsupported.append(target.id)
            else:
                verdicts.append(self.of(studies[target.study], target, known, known_before, basis))
        return tuple(verdicts), tuple(unsupported)

    def of(self, study: Study, target: Target, simulated: Array, prior: Array, basis: str = "") -> Verdict:
        """Compare one result with its counterparts, each of shape (n_worlds,), on the scale of its error."""
        result, se, value = target.result, target.sampling, target.value
        stated = result.figure == "stated"
        made, before = (
            Prediction(worlds, float(np.hypot(se, between_studies(target, taus, self.knowledge))))
            for worlds, taus in ((simulated, self.between), (prior, self.between_prior))
        )
        low, median, high = (quantile(made, share) for share in (0.05, 0.5, 0.95))
        centre, narrow = float(np.median(simulated)), np.quantile(simulated, [0.05, 0.95])
        zero = neutral(result)
        observed = (value - Z90 * se, value + Z90 * se)
        decided = zero is not None and not stated and not observed[0] <= zero <= observed[1]
        trivial = self.trivial.of(study, target)
        class_mean = None if stated else self.means.of(study, target, _drugs(study, target))
        return Verdict(
            study=target.study,
            cohort=cohort_of(study),
            role=study.role,
            domain=domain_of(study, result, self.knowledge),
            figure=result.figure,
            shares=result.shares,
            endpoint=result.endpoint,
            of=subject(result),
            arm=result.arm,
            versus=result.versus,
            stratum=stratum_text(result.stratum),
            marker="" if result.marker is None else marker_text(result.marker),
            week=None if result.time_h is None else round(result.time_h / 168, 6),
            unit=result.unit,
            observed=_natural(result, value),
            observed_se=se,
            observed_lo90=_natural(result, observed[0]),
            observed_hi90=_natural(result, observed[1]),
            predicted_median=_natural(result, median),
            lo90=_natural(result, low),
            hi90=_natural(result, high),
            model_median=_natural(result, centre),
            model_lo90=_natural(result, float(narrow[0])),
            model_hi90=_natural(result, float(narrow[1])),
            inside90=bool(low <= value <= high),
            sign_ok=bool(np.sign(centre - (zero or 0.0)) == np.sign(value - (zero or 0.0))) if decided else None,
            log_score=log_score(made, value),
            crps=crps(made, value),
            prior=_score(result, before, value, basis),
            trivial=None if trivial is None else _score(result, trivial[0], value, trivial[1]),
            log_score_no_effect=None if zero is None or stated else _normal_score(value, zero, se),
            log_score_class_mean=(
                None if class_mean is None else _normal_score(value, class_mean[0], float(np.hypot(se, class_mean[1])))
            ),
            class_mean=None if class_mean is None else _natural(result, class_mean[0]),
            worlds=len(simulated),
        )


def without_chance(first: Array, second: Array) -> Array:
    """Mean of two sets of counterparts, its spread between worlds freed from the chance that the two do not share.

    Parameters
    ----------
    first, second : array, shape (n_worlds, n_targets)
        Of other patients in the same worlds; NaN where a world has none.

    Returns
    -------
    array, shape (n_worlds, n_targets)
        With the mean over worlds unchanged. Worlds that differ by less than chance are drawn together, but not into
        one: how far is what the error of the estimate leaves open, see `crosstalk.population.between.non_negative`.
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
            # variances of normal samples; that of the chance comes from the differences of the halves
            error = np.sqrt(2 * spread**2 / (some.sum() - 1) + 2 * chance**2 / pairs.sum()) if chance else 0.0
            own = min(non_negative(spread - chance, float(error)) / spread, 1.0)
            found[some, j] = middle + np.sqrt(own) * (mean[some, j] - middle)
    return found


def summarise(verdicts: Sequence[Verdict]) -> Summary:
    """Skill, coverage and counts; results that no publication printed are left out of all."""
    counted = [v for v in verdicts if v.scored]
    no_effect = [v.log_score - v.log_score_no_effect for v in counted if v.log_score_no_effect is not None]
    of_class = [v.log_score - v.log_score_class_mean for v in counted if v.log_score_class_mean is not None]
    return Summary(
        results=len(verdicts),
        stated=len(verdicts) - len(counted),
        computed=sum(v.figure == "computed" for v in counted),
        coverage=coverage(verdicts),
        skill=ledger(verdicts),
        signs=sum(v.sign_ok is not None for v in counted),
        signs_ok=sum(v.sign_ok is True for v in counted),
        better_than_no_effect=float(np.median(no_effect)) if no_effect else None,
        compared_no_effect=len(no_effect),
        better_than_class_mean=float(np.median(of_class)) if of_class else None,
        compared_class_mean=len(of_class),
    )


def _part(progress: Progress | None, done: float, share: float) -> Progress | None:
    return None if progress is None else lambda words, part: progress(words, done + share * part)


def _score(result: Result, prediction: Prediction, value: float, basis: str) -> Score:
    low, median, high = (quantile(prediction, share) for share in (0.05, 0.5, 0.95))
    return Score(
        basis, _natural(result, median), _natural(result, low), _natural(result, high), bool(low <= value <= high),
        log_score(prediction, value), crps(prediction, value),
    )  # fmt: skip


def _normal_score(value: float, center: float, spread: float) -> float:
    return log_score(Prediction(np.array([center]), spread), value)


def _natural(result: Result, value: float) -> float:
    """A number back from the scale of the error; shares stay between nothing and all."""
    found = from_error_scale(result.endpoint, float(value))
    return float(np.clip(found, -1.0 if result.versus else 0.0, 1.0)) if result.unit == "fraction" else found


def _drugs(study: Study, target: Target) -> tuple[str, ...]:
    """Drugs that the arm gets and the one it is compared with does not; none if that one gets others instead."""
    given = {arm.id: {dose.drug for dose in arm.all_doses} for arm in study.arms}
    arm, versus = given[target.result.arm], given.get(target.result.versus, set())
    return tuple(sorted(arm - versus)) if versus <= arm else ()
