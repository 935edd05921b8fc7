"""`run_trial`: what a design would show, with mechanistic patients inside trial statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.calibrated import knowledge_state, possible_worlds
from crosstalk.population.worlds import Worlds
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.store import Work
from crosstalk.study.design import Design
from crosstalk.study.records import Study
from crosstalk.trial.assumed import assumed_power, sized
from crosstalk.trial.basis import basis
from crosstalk.trial.characteristics import (
    AnalysisCharacteristics,
    Value,
    analysis_characteristics,
    assurance,
    counted,
)
from crosstalk.trial.conduct import LOST, setting_of
from crosstalk.trial.looks import critical_levels
from crosstalk.trial.plan import design_of, read_trial
from crosstalk.trial.pool import Pool, make_pool
from crosstalk.trial.prognosis import Prognosis, fit_prognosis
from crosstalk.trial.replicates import Replicates, replicate
from crosstalk.trial.result import CurvePoint, Look, TrialResult, TrialStratum
from crosstalk.trial.setting import Setting
from crosstalk.trial.truth import control_outcome, marker_curve, marker_values, true_effects, typical_world

__all__ = ["Pools", "TrialSettings", "characterise", "make_pools", "run_trial"]

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]

CENTRAL_PATIENTS = 1500
"""Possible participants in the typical world, from whom its trials are drawn."""
WORLD_PATIENTS = 500
"""Possible participants in each other world."""
PROGNOSIS_PATIENTS = 6000
WORLD_TRUTH = 8000  # participants, with repeats, over whom the true effect in one world is averaged
BINS = 7  # points of the curve of the effect against the marker


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """How much is computed: trials of each kind, possible worlds, participants in the typical and in each other world.

    There are at most half as many worlds as replicates, so that each world sees two trials. ``null`` adds the trials in
    which no drug does anything.
    """

    replicates: int = 500
    worlds: int = 24
    seed: int = 1
    participants: tuple[int, int] = (CENTRAL_PATIENTS, WORLD_PATIENTS)
    null: bool = True

    def check(self) -> None:
        """Raise `UsageError` if they make no sense."""
        for name, value, least in (
            ("replicates", self.replicates, 2),
            ("worlds", self.worlds, 1),
            ("participants", min(self.participants), 20),
        ):
            if value < least:
                raise UsageError(f"{name} = {value}; expected {least} or more")


@dataclass(frozen=True)
class Pools:
    """Possible participants in the typical world, and in worlds drawn from what is known."""

    typical: Pool
    uncertain: Pool


def run_trial(
    study: Study | str | Path,
    *,
    settings: TrialSettings | None = None,
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    jobs: int = 1,
    work: Path | Work | None = None,
    progress: Progress | None = None,
) -> TrialResult:
    """Simulate a trial many times and say what it would show.

    Three sets of trials are run: in the typical world (power, bias, coverage), in worlds drawn from the
    posterior (assurance: the chance of success with the knowledge as uncertain as it is), and with drugs that do
    nothing (type I error).

    Parameters
    ----------
    study : Study, or path or id of a study file
        With a table ``[trial]``.
    jobs : int
        Processes for the trials; they change no result. A script that asks for more than one needs the guard
        ``if __name__ == "__main__":``, as everything that starts processes.
    work : Path or Work, optional
        Folder for what is done so far; a run that was stopped goes on from there.
    progress : callable, optional
        Told in words what is being done, and which share of the whole is done.

    Raises
    ------
    StudyError, TrialError
        If the design cannot be carried out.
    PopulationError
        If the criteria or the cut-off leave too few.
    """
    knowledge, engine, settings = knowledge or load_knowledge(), engine or get_engine(), settings or TrialSettings()
    settings.check()
    plan = study if isinstance(study, Study) else read_trial(study, knowledge)
    plan = replace(plan, trial=sized(design_of(plan)))
    pools = make_pools(plan, settings, knowledge, engine, progress)
    return characterise(
        plan, pools, settings, knowledge=knowledge, engine=engine, jobs=jobs, work=work, progress=progress
    )


def make_pools(
    study: Study, settings: TrialSettings, knowledge: Knowledge, engine: Engine, progress: Progress | None = None
) -> Pools:
    """Simulate the possible participants of a trial under all its treatments."""
    here, others = settings.participants
    if progress is not None:
        progress("participants", 0.0)
    worlds: Worlds = possible_worlds(knowledge, settings.seed, max(min(settings.worlds, settings.replicates // 2), 1))
    second = make_pool(study, worlds, patients=others, seed=settings.seed + 1, knowledge=knowledge, engine=engine)
    if progress is not None:
        progress("participants in the typical world", 0.1)
    typical = worlds.take(np.array([typical_world(study, second, knowledge, settings.seed)]))
    first = make_pool(study, typical, patients=here, seed=settings.seed, knowledge=knowledge, engine=engine)
    return Pools(first, second)


def characterise(
    study: Study,
    pools: Pools,
    settings: TrialSettings,
    *,
    knowledge: Knowledge,
    engine: Engine,
    jobs: int = 1,
    work: Path | Work | None = None,
    progress: Progress | None = None,
) -> TrialResult:
    """Operating characteristics of a design on participants that are there already, see `run_trial`."""
    design = design_of(study)
    typical, uncertain = (setting_of(study, pool, knowledge) for pool in (pools.typical, pools.uncertain))
    nobody = pools.uncertain.n_worlds - uncertain.pool.n_worlds
    if any("prognosis" in a.covariates for a in design.analyses):
        rule = _prognosis(uncertain, settings.seed)
        typical, uncertain = replace(typical, prognosis=rule), replace(uncertain, prognosis=rule)
    n, seed = settings.replicates, settings.seed
    parts = [("power", typical), ("assurance", uncertain)]
    if settings.null:
        parts.append(("null", replace(typical, null=True)))
    runs: dict[str, Replicates] = {}
    for k, (label, setting) in enumerate(parts):
        runs[label] = replicate(
            setting, n, seed=seed, label=label, jobs=jobs, work=work, progress=_within(progress, k, len(parts))
        )
    rng = np.random.default_rng([seed, 9])
    truth = true_effects(typical, 0, rng)
    first = replace(uncertain, design=replace(design, analyses=(design.primary,)))
    truths = [
        true_effects(first, w, np.random.default_rng([seed, 10, w]), n=WORLD_TRUTH)[design.primary.id]
        for w in range(uncertain.pool.n_worlds)
    ]
    null = runs.get("null")
    analyses = analysis_characteristics(design, truth, runs["power"], null)
    primary = design.primary
    calibrated, words = knowledge_state(knowledge)
    return TrialResult(
        study=study.id,
        title=study.title,
        design=design,
        visits_weeks=tuple(t / 168.0 for t in study.output_times_h),
        arms=tuple(a.id for a in study.arms),
        replicates=n,
        seed=seed,
        analyses=analyses,
        assurance=assurance(primary, truths, runs["assurance"], nobody=nobody),
        funnel={k: counted(runs["power"].counts[k]) for k in ("screened", *LOST, "randomised")},
        screened_range=_range(runs["power"].counts["screened"]),
        randomised=counted(runs["power"].counts["randomised"]),
        randomised_null=None if null is None else counted(null.counts["randomised"]),
        looks=_looks(runs["power"], null, design),
        by_group={
            g: {k: counted(v[:, j]) for k, v in runs["power"].by_group.items()} for j, g in enumerate(typical.groups)
        },
        strata=_strata(typical, runs["power"], analyses, seed),
        curve=_curve(typical, uncertain, seed),
        naive_search=None if null is None or "naive" not in null.counts else counted(null.counts["naive"]),
        misclassified=counted(runs["power"].counts["misclassified"]),
        cost=_cost(typical, runs["power"]),
        prognosis_explained=None if typical.prognosis is None else typical.prognosis.explained,
        notes=tuple(sorted(runs["power"].notes.items(), key=lambda kv: -kv[1])),
        calibrated=calibrated,
        knowledge=words,
        version=package_version(),
        model_sha256=assemble((), knowledge).sha256,
        study_sha256=hash_bytes(repr((study, design))),
        engine=type(engine).__name__,
        worlds=pools.uncertain.n_worlds,
        participants=(len(pools.typical.recorded), len(pools.uncertain.recorded)),
        failed_participants=pools.typical.failed + pools.uncertain.failed,
        basis=basis(study, knowledge),
        assumed=None if design.assumed is None else assumed_power(design),
    )


def _within(progress: Progress | None, k: int, of: int) -> Progress | None:
    """Progress of one set of trials; participants take the first fifth."""
    if progress is None:
        return None
    return lambda words, share: progress(words, min(0.2 + 0.8 * (k + share) / of, 1.0))


def _prognosis(setting: Setting, seed: int) -> Prognosis:
    """Fit the prognostic score on participants of all worlds who took the control, from what screening measures."""
    worlds, rng = setting.pool.n_worlds, np.random.default_rng([seed, 8])
    parts = [control_outcome(setting, w, rng, n=max(PROGNOSIS_PATIENTS // worlds, 20)) for w in range(worlds)]
    measured = {k: np.concatenate([p.measured[k] for p, _, _ in parts]) for k in parts[0][0].measured}
    logs = {k: setting.noise[k] > 0 for k in measured}
    baseline, outcome = (np.concatenate([p[j] for p in parts]) for j in (1, 2))
    return fit_prognosis(baseline, measured, logs, outcome)


def _range(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, (0.05, 0.95))
    return float(low), float(high)


def _looks(runs: Replicates, null: Replicates | None, design: Design) -> tuple[Look, ...]:
    """How often a trial ends at each look."""
    if design.interim is None:
        return ()
    found = []
    levels = critical_levels(design)
    for k, share in enumerate(design.interim.information, start=1):
        ends = counted((runs.counts["look"] == k).astype(np.float64))
        error = None if null is None else counted((null.counts["look"] == k).astype(np.float64))
        found.append(Look(share, levels[k - 1], ends, error))
    return tuple(found)


def _strata(
    setting: Setting, runs: Replicates, analyses: Sequence[AnalysisCharacteristics], seed: int
) -> tuple[TrialStratum, ...]:
    """The primary comparison in marker-positive and -negative participants, with its power where it is analysed."""
    design = setting.design
    if design.marker is None:
        return ()
    found = []
    for part in ("positive", "negative"):
        if design.kind == "enrichment" and part == "negative":
            continue
        wanted = replace(design.primary, id="stratum", part=part)
        own = replace(setting, design=replace(design, analyses=(wanted,)))
        effect = true_effects(own, 0, np.random.default_rng([seed, 11]))["stratum"]
        method = design.primary.method
        same = [a for a in analyses if a.part == part and a.method == method and a.arm == design.primary.arm]
        share = Value(1.0, 0.0) if design.kind == "enrichment" else counted(runs.counts["positive"])
        if part == "negative":
            share = Value(1 - share.value, share.se)
        found.append(TrialStratum(part, share, effect, same[0].power if same else None))
    return tuple(found)


def _curve(typical: Setting, uncertain: Setting, seed: int) -> tuple[CurvePoint, ...]:
    """True effect of the primary comparison by the marker, over the possible worlds."""
    marker = typical.design.marker
    if marker is None:
        return ()
    values = marker_values(typical, np.random.default_rng([seed, 14]))
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, BINS + 1)))
    edges[0], edges[-1] = -np.inf, np.inf
    effect, count = marker_curve(typical, 0, np.random.default_rng([seed, 12]), edges)
    worlds = np.array(
        [
            marker_curve(uncertain, w, np.random.default_rng([seed, 13, w]), edges, n=WORLD_TRUTH)[0]
            for w in range(uncertain.pool.n_worlds)
        ]
    )
    points = []
    for k in range(len(edges) - 1):
        inside = values[(values >= edges[k]) & (values < edges[k + 1])]
        known = worlds[:, k][np.isfinite(worlds[:, k])]
        low, high = np.quantile(known, (0.05, 0.95)) if len(known) > 1 else (np.nan, np.nan)
        points.append(CurvePoint(float(np.median(inside)), float(effect[k]), float(low), float(high), int(count[k])))
    return tuple(points)


def _cost(setting: Setting, runs: Replicates) -> Value | None:
    costs = setting.design.costs
    if not (costs.screening or costs.patient or costs.visit):
        return None
    total = (
        costs.screening * runs.counts["screened"] + costs.patient * runs.counts["randomised"]
        + costs.visit * runs.counts["visits"]
    )  # fmt: skip
    return counted(total)
