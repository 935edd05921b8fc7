"""Leave-study-out: the model calibrated again without some studies, and judged on what they found.

Each fitted result is predicted by a posterior that has not seen its study, nor another study of the same cohort. What
uses no result is the same for all of these calibrations and is simulated once: the numbers of patients and the
counterparts of the prior ensemble. They are taken from a full calibration where one with the same seed, effort, fixed
constants and results is at hand, else simulated and kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from crosstalk.calibrate.calibration import Calibration, PriorPass, Settings, calibrate, simulate_prior
from crosstalk.calibrate.forward import Plan, Progress
from crosstalk.calibrate.rivals import cohort_of
from crosstalk.calibrate.targets import Targets, gather, studies_of
from crosstalk.calibrate.validation import PATIENTS, PRIOR_DRAWS, Validation, summarise, validate
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.engine.workers import obey_parent
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import evidence_hash, model_hash
from crosstalk.population.worlds import prior_scores
from crosstalk.provenance import versions
from crosstalk.store import Store, Work
from crosstalk.study.records import Study

__all__ = ["Fold", "folds", "leave_out", "shared_prior"]

SOURCE = "posterior without the study"


@dataclass(frozen=True, slots=True)
class Fold:
    """Studies that are left out together."""

    studies: tuple[str, ...]


def folds(studies: Sequence[Study], names: Sequence[str] = (), k: int | None = None) -> tuple[Fold, ...]:
    """Which studies are left out together: those of a cohort always are.

    Parameters
    ----------
    names : sequence of str
        Studies to leave out, one cohort after another; all by default.
    k : int, optional
        Number of folds that these are dealt to, with about as many results in each; one for each cohort by default.

    Raises
    ------
    UsageError
        If a name is no study that is fitted, or there are fewer cohorts than folds.
    """
    known = {s.id: s for s in studies}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or list(known)[:12]
            raise UsageError(
                f"'{name}' is no study that the model is fitted to; expected one such as {', '.join(near)}"
            )
    wanted = {cohort_of(known[name]) for name in names or known}
    cohorts: dict[str, list[Study]] = {}
    for study in studies:
        if study.results and cohort_of(study) in wanted:
            cohorts.setdefault(cohort_of(study), []).append(study)
    if k is None:
        return tuple(Fold(tuple(s.id for s in own)) for own in cohorts.values())
    if not 2 <= k <= len(cohorts):
        raise UsageError(f"{k} folds; expected 2 to {len(cohorts)}, the number of cohorts to leave out")
    dealt: list[list[Study]] = [[] for _ in range(k)]
    for own in sorted(cohorts.values(), key=lambda own: -_size(own)):
        min(dealt, key=_size).extend(own)
    return tuple(Fold(tuple(sorted(s.id for s in own))) for own in dealt)


def leave_out(
    names: Sequence[str] = (),
    *,
    k: int | None = None,
    settings: Settings | None = None,
    knowledge: Knowledge | None = None,
    studies: Sequence[Study] | None = None,
    full: Calibration | None = None,
    work: Path | Work | None = None,
    jobs: int = 1,
    patients: int = PATIENTS,
    prior_draws: int = PRIOR_DRAWS,
    progress: Progress | None = None,
) -> Validation:
    """Calibrate without some studies at a time, and judge what they found beside the same rivals as ever.

    Parameters
    ----------
    names, k
        As `folds`.
    settings : Settings, optional
        Of each calibration.
    studies : sequence of Study, optional
        What the model is fitted to; all of role ``calibrate`` by default.
    full : Calibration, optional
        Its simulations of the prior are used where they are those of ``settings``.
    work : Path or Work, optional
        Folder for what is done so far; a run that was stopped goes on from there, to the same result.
    jobs : int
        Processes; they change no result.
    patients, prior_draws : int
        As `crosstalk.calibrate.validation.validate`.

    Raises
    ------
    UsageError
        As `folds`, and if nothing would be left to calibrate on.
    """
    knowledge, settings = knowledge or load_knowledge(), settings or Settings()
    settings.check()
    studies = studies_of("calibrate", knowledge) if studies is None else tuple(studies)
    chosen = folds(studies, names, k)
    targets = gather(studies, knowledge)
    for fold in chosen:
        if not _kept_targets(targets, fold).size:
            raise UsageError(f"without {', '.join(fold.studies)} nothing is left to calibrate on")
    work = Work.of(work)
    counts = (patients, prior_draws)
    stores = {fold: _store(work, fold, targets, settings, knowledge, counts) for fold in chosen}
    found = {fold: _load(store) for fold, store in stores.items()}
    waiting = [fold for fold, kept in found.items() if kept is None]

    def done(fold: Fold, validation: Validation) -> None:
        found[fold] = validation
        stores[fold].save(TypeAdapter(Validation).dump_json(validation))
        if progress is not None:
            n = sum(v is not None for v in found.values())
            progress(f"{n} of {len(chosen)} calibrations", n / len(chosen))

    if waiting:
        prior = shared_prior(full, settings, targets, knowledge)
        if prior is None:
            prior = _simulated(settings, targets, knowledge, jobs, work)
        tasks = [_Task(fold, targets, prior, settings, knowledge, counts, work.folder) for fold in waiting]
        _run(tasks, jobs, done)
    parts = [part for part in found.values() if part is not None]
    place = {study.id: i for i, study in enumerate(targets.studies)}
    verdicts = tuple(sorted((v for part in parts for v in part.results), key=lambda v: place[v.study]))
    unsupported = tuple(sorted(name for part in parts for name in part.unsupported))
    return Validation(
        verdicts, summarise(verdicts), SOURCE, settings.seed, patients, unsupported,
        model_hash(knowledge), evidence_hash(knowledge),
    )  # fmt: skip


def shared_prior(
    full: Calibration | None, settings: Settings, targets: Targets, knowledge: Knowledge
) -> PriorPass | None:
    """What a full calibration has simulated before it used any result, for an ensemble of its first members.

    None if it is not the same: of other settings, of fewer members, or of other results.
    """
    if full is None or (full.settings.seed, full.settings.effort, full.settings.fixed) != (
        settings.seed, settings.effort, settings.fixed,
    ):  # fmt: skip
        return None
    place = {t.id: i for i, t in enumerate(full.targets.items)}
    if settings.members > full.settings.members or not {t.id for t in targets.items} <= place.keys():
        return None
    which = np.array([place[t.id] for t in targets.items], dtype=np.intp)
    first = prior_scores(full.unknowns, settings.seed, settings.members)
    if full.unknowns != settings.unknowns(knowledge) or not np.array_equal(first, full.prior[: settings.members]):
        return None
    patients = {s.id: full.plan.patients[s.id] for s in targets.studies if s.id in full.plan.patients}
    return PriorPass(Plan(patients, full.plan.chance), full.before[: settings.members]).take(which)


def _simulated(settings: Settings, targets: Targets, knowledge: Knowledge, jobs: int, work: Work) -> PriorPass:
    engine = get_engine(jobs=jobs)
    try:
        return simulate_prior(settings, targets, knowledge, engine, work=work)
    finally:
        engine.close()


@dataclass(frozen=True)
class _Task:
    """All that one calibration needs, for a process of its own."""

    fold: Fold
    targets: Targets
    prior: PriorPass
    settings: Settings
    knowledge: Knowledge
    counts: tuple[int, int]
    folder: Path | None

    def run(self, engine: Engine) -> Validation:
        kept, work = _kept_targets(self.targets, self.fold), Work(self.folder)
        posterior = calibrate(
            self.settings, knowledge=self.knowledge, engine=engine, work=work, targets=self.targets.take(kept),
            prior_pass=self.prior.take(kept),
        )  # fmt: skip
        left = [s for s in self.targets.studies if s.id in self.fold.studies]
        found = validate(
            left, posterior.worlds, knowledge=self.knowledge, engine=engine, seed=self.settings.seed,
            patients=self.counts[0], prior_draws=self.counts[1],
        )  # fmt: skip
        work.clear()
        return found


def _run(tasks: Sequence[_Task], jobs: int, done: Callable[[Fold, Validation], None]) -> None:
    """Run the tasks, in processes if there are several of both."""
    workers = min(jobs, len(tasks))
    if workers == 1:
        engine = get_engine(jobs=jobs)
        try:
            for task in tasks:
                done(task.fold, task.run(engine))
        finally:
            engine.close()
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), obey_parent) as pool:
        futures = {pool.submit(_remote, task, max(jobs // workers, 1)): task.fold for task in tasks}
        try:
            for future in as_completed(futures):
                done(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # a calibration takes minutes, and what it has done is kept
            for child in active_children():
                child.terminate()
            raise


def _remote(task: _Task, threads: int) -> Validation:
    engine = get_engine(jobs=threads)
    try:
        return task.run(engine)
    finally:
        engine.close()


def _kept_targets(targets: Targets, fold: Fold) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array([i for i, t in enumerate(targets.items) if t.study not in fold.studies], dtype=np.intp)


def _size(studies: Sequence[Study]) -> int:
    return sum(len(s.results) for s in studies)


def _store(
    work: Work, fold: Fold, targets: Targets, settings: Settings, knowledge: Knowledge, counts: tuple[int, int]
) -> Store:
    """Where the verdicts of a fold are kept, by all that they depend on."""
    return work.store(
        "fold", settings, fold.studies, [(t.id, t.value, t.sampling) for t in targets.items], targets.covariance,
        repr(targets.studies), knowledge.sha256, counts, versions(),
    )  # fmt: skip


def _load(store: Store) -> Validation | None:
    """The verdicts of a fold that an earlier run has kept."""
    kept = store.load()
    return None if kept is None else TypeAdapter(Validation).validate_json(bytes(kept))
