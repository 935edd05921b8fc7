"""The calibration: an ensemble of worlds learns from published results what helps to predict others."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.forward import Forward, Plan, Progress, plan_patients
from crosstalk.calibrate.heterogeneity import Heterogeneity, learn_heterogeneity, widening
from crosstalk.calibrate.learning import LearningRate, learn_rates, tempered
from crosstalk.calibrate.smoother import FEWEST_MEMBERS, assimilate
from crosstalk.calibrate.targets import Targets, gather, studies_of
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import evidence_hash, model_hash
from crosstalk.population.worlds import Unknown, Worlds, prior_scores, unknowns, worlds_at
from crosstalk.provenance import versions
from crosstalk.results import Reported
from crosstalk.store import Store, Work

__all__ = ["Calibration", "PriorPass", "Settings", "calibrate", "simulate_prior"]

Array = NDArray[np.float64]

STEPS = (0.2, 0.3, 0.5)
"""Shares of what is let in, in steps that grow as the ensemble comes nearer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a calibration depends on besides the evidence and the model.

    ``members`` is the size of the ensemble and the number of draws that it leaves; ``effort`` multiplies the numbers of
    virtual patients; ``fixed`` gives constants a value for good, such as another structure (``shape_window = 0``).
    """

    members: int = 240
    effort: float = 1.0
    seed: int = 1
    fixed: tuple[tuple[str, float], ...] = ()

    def check(self) -> None:
        """Raise `UsageError` if they make no sense."""
        if self.members < FEWEST_MEMBERS:
            raise UsageError(f"members = {self.members}; expected at least {FEWEST_MEMBERS}")
        if not 0 < self.effort <= 100:
            raise UsageError(f"effort = {self.effort:g}; expected above 0 and at most 100")

    def unknowns(self, knowledge: Knowledge) -> tuple[Unknown, ...]:
        """What is left to learn.

        Raises
        ------
        UsageError
            If something is fixed that is no constant of the mechanism, or beyond its bounds.
        """
        for name, value in self.fixed:
            parameter = knowledge.parameters.get(name)
            if parameter is None:
                near = " or ".join(difflib.get_close_matches(name, knowledge.parameters, n=2)) or "xopt"
                raise UsageError(f"'{name}' is no constant of the mechanism; expected a name such as {near}")
            if not parameter.lower <= value <= parameter.upper:
                raise UsageError(f"{name} = {value:g}; expected {parameter.lower:g} to {parameter.upper:g}")
        return tuple(u for u in unknowns(knowledge) if u.id not in dict(self.fixed))

    def worlds(self, known: tuple[Unknown, ...], scores: Array, source: str) -> Worlds:
        """Worlds at normal scores of the unknowns, with what is fixed."""
        return worlds_at(known, scores, source).replaced(dict(self.fixed))


@dataclass(frozen=True, repr=False)
class Calibration(Reported):
    """A posterior, and all that is needed to judge it.

    Attributes
    ----------
    unknowns : tuple of Unknown
    prior : array, shape (n_members, n_unknowns)
        Normal scores of the ensemble before it saw data.
    scores : array, shape (n_members, n_unknowns)
        After it.
    targets : Targets
        Their covariance holds the chance of finite numbers of patients and the heterogeneity between studies too.
    before, after : array, shape (n_members, n_targets)
        Counterparts under prior and posterior, on the scale of the errors.
    plan : Plan
    heterogeneity : tuple of Heterogeneity
        Between studies, by domain.
    rates : tuple of LearningRate
        Share of the information that was let in, by domain.
    """

    settings: Settings
    unknowns: tuple[Unknown, ...]
    prior: Array
    scores: Array
    targets: Targets
    before: Array
    after: Array
    plan: Plan
    heterogeneity: tuple[Heterogeneity, ...]
    rates: tuple[LearningRate, ...]
    model: str
    evidence: str

    @property
    def worlds(self) -> Worlds:
        """The posterior as possible worlds."""
        between = {h.domain: h.tau for h in self.heterogeneity}
        return replace(self.settings.worlds(self.unknowns, self.scores, "posterior"), between=between)

    @property
    def prior_worlds(self) -> Worlds:
        """The prior as possible worlds."""
        return self.settings.worlds(self.unknowns, self.prior, "prior")


@dataclass(frozen=True)
class PriorPass:
    """What a calibration simulates before it uses any result, so that calibrations on some of them can share it.

    Attributes
    ----------
    plan : Plan
    before : array, shape (n_members, n_targets)
        Counterparts under the prior.
    """

    plan: Plan
    before: Array

    def take(self, which: NDArray[np.intp]) -> PriorPass:
        """That of some of the targets."""
        return PriorPass(Plan(self.plan.patients, self.plan.chance[which]), self.before[:, which])


def calibrate(
    settings: Settings | None = None,
    *,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    work: Path | Work | None = None,
    targets: Targets | None = None,
    prior_pass: PriorPass | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Calibrate the unknowns on all studies of role ``calibrate``.

    Each target lets in the share of its information with which left-out studies are predicted best
    (`crosstalk.calibrate.learning`), in a few steps.

    Parameters
    ----------
    work : Path or Work, optional
        Folder for what is done so far; a calibration that was stopped goes on from there, to the same result. Remove it
        when the result is safe.
    targets : Targets, optional
        Other targets than those of the knowledge base.
    prior_pass : PriorPass, optional
        Of the same settings and targets, where it has been simulated already.
    progress : callable, optional
        Told in words what is being done, and which share of the whole is done.

    Raises
    ------
    UsageError
        If the settings make no sense.
    CalibrationError
        If there is nothing to calibrate on.
    """
    knowledge, engine, settings = knowledge or load_knowledge(), engine or get_engine(), settings or Settings()
    settings.check()
    given = gather(studies_of("calibrate", knowledge), knowledge) if targets is None else targets
    known = settings.unknowns(knowledge)
    store = _store(work, settings, given, knowledge, engine)
    steps = _Steps(given, progress)
    plan = _planned(given, known, knowledge, engine, settings, store) if prior_pass is None else prior_pass.plan
    held = given.widened(np.diag(plan.chance))
    forward = Forward(knowledge, engine, seed=settings.seed, plan=plan.patients, store=store)
    prior = prior_scores(known, settings.seed, settings.members)

    def run(scores: Array, part: Targets, label: str) -> Array:
        worlds, anchor = _anchored(settings, known, scores)
        return forward.counterparts(part, worlds, label, steps.within(label, part), anchor)

    before = run(prior, held, "prior") if prior_pass is None else prior_pass.before
    # both while the ensemble still holds what it does not know, so that results are not believed for fitting well
    between = learn_heterogeneity(held, before, knowledge)
    held = held.widened(widening(between, held, knowledge))
    rates = learn_rates(held, before, between, knowledge, seed=settings.seed)
    heard, scores = tempered(held, rates, knowledge), prior
    for number, weight in enumerate(STEPS):
        simulated = run(scores, held, f"step-{number}") if number else before
        scores = assimilate(
            scores, simulated, heard.values, heard.covariance,
            weight=weight, rng=np.random.default_rng([settings.seed, 2, number]),
        )  # fmt: skip
    after = run(scores, held, "posterior")
    return Calibration(
        settings,
        known,
        prior,
        scores,
        held,
        before,
        after,
        plan,
        between,
        rates,
        model_hash(knowledge),
        evidence_hash(knowledge),
    )


def simulate_prior(
    settings: Settings,
    targets: Targets,
    knowledge: Knowledge,
    engine: Engine,
    *,
    work: Path | Work | None = None,
    progress: Progress | None = None,
) -> PriorPass:
    """Simulate what a calibration with these settings does before it uses any result; see `calibrate`."""
    settings.check()
    known = settings.unknowns(knowledge)
    store = _store(work, settings, targets, knowledge, engine)
    plan = _planned(targets, known, knowledge, engine, settings, store)
    forward = Forward(knowledge, engine, seed=settings.seed, plan=plan.patients, store=store)
    worlds, anchor = _anchored(settings, known, prior_scores(known, settings.seed, settings.members))
    return PriorPass(plan, forward.counterparts(targets, worlds, "prior", progress, anchor))


def _anchored(settings: Settings, known: tuple[Unknown, ...], scores: Array) -> tuple[Worlds, Worlds]:
    """The worlds of an ensemble, and the one amid them."""
    middle = np.asarray(scores.mean(axis=0, keepdims=True))
    return settings.worlds(known, scores, "calibration"), settings.worlds(known, middle, "calibration")


def _store(
    work: Path | Work | None, settings: Settings, targets: Targets, knowledge: Knowledge, engine: Engine
) -> Store:
    """Where counterparts are kept, by all that they depend on: who is simulated, in which model, for which results."""
    return Work.of(work).store(
        "calibration", settings, [(t.id, t.value) for t in targets.items], targets.covariance,
        [u.id for u in settings.unknowns(knowledge)], model_hash(knowledge), evidence_hash(knowledge),
        type(engine).__name__, versions(),
    )  # fmt: skip


def _planned(
    targets: Targets,
    known: tuple[Unknown, ...],
    knowledge: Knowledge,
    engine: Engine,
    settings: Settings,
    store: Store,
) -> Plan:
    kept = store.load_arrays("plan")
    if kept is not None:
        return Plan(dict(zip(kept["study"].tolist(), kept["patients"].tolist(), strict=True)), kept["chance"])
    worlds, anchor = _anchored(settings, known, prior_scores(known, settings.seed, settings.members))
    plan = plan_patients(targets, worlds, anchor, knowledge, engine, seed=settings.seed, scale=settings.effort)
    arrays = {"study": np.array(list(plan.patients)), "patients": np.array(list(plan.patients.values()))}
    store.save_arrays({**arrays, "chance": plan.chance}, "plan")
    return plan


class _Steps:
    """Progress over all passes, weighed by their number of studies."""

    def __init__(self, targets: Targets, progress: Progress | None) -> None:
        self.progress = progress
        # the prior, the posterior, and the ensemble after each step but the last
        self.total = (1 + len(STEPS)) * len(targets.studies)
        self.done = 0

    def within(self, label: str, part: Targets) -> Progress | None:
        """Progress of one pass."""
        if self.progress is None:
            return None
        start, tell = self.done, self.progress
        self.done += len(part.studies)

        def report(study: str, share: float) -> None:
            tell(f"{label}: {study}", min((start + share * len(part.studies)) / self.total, 1.0))

        return report
