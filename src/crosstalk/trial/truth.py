"""What a trial would find if it were endless: the true effect that each analysis aims at, in each possible world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.enrolment import within
from crosstalk.study.design import Analysis, Conduct
from crosstalk.study.methods import Potential, analysis_method
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Study
from crosstalk.trial.conduct import recruit, setting_of
from crosstalk.trial.pool import Pool
from crosstalk.trial.setting import Setting
from crosstalk.trial.visits import Recruits, visits

__all__ = ["control_outcome", "marker_curve", "marker_values", "true_effects", "typical_world"]

Array = NDArray[np.float64]

MANY = 60_000  # participants over whom a true effect is averaged, with both treatments of each
TYPICAL = 8_000  # the same for each world, to find the typical one
CURVE = 16_000  # the same for the curve against the marker
FEWEST = 20  # participants behind a point of the curve


def typical_world(study: Study, pool: Pool, knowledge: Knowledge, seed: int) -> int:
    """The possible world whose true effect of the primary analysis is the median of all: where power is asked.

    A world of the medians of all unknowns would be another, and its effect may lie outside of most others', since
    effects are no linear functions of the unknowns.
    """
    setting, found = setting_of(study, pool, knowledge), []
    setting = replace(setting, design=replace(setting.design, analyses=(setting.design.primary,)))
    for world in range(pool.n_worlds):
        try:
            effects = true_effects(setting, world, np.random.default_rng([seed, 15, world]), n=TYPICAL)
            found.append(effects[setting.design.primary.id])
        except PopulationError:  # nobody in this world is eligible
            found.append(float("nan"))
    effect = np.array(found)
    if not np.isfinite(effect).any():
        return 0
    return int(np.nanargmin(np.abs(effect - np.nanmedian(effect))))


def true_effects(setting: Setting, world: int, rng: np.random.Generator, *, n: int = MANY) -> dict[str, float]:
    """True effect of every analysis in one world.

    Both treatments of the same participants are compared, with the same chance, and nobody misses a visit. By its
    estimand an analysis counts scores after the drug was stopped (treatment policy), lets nobody stop (hypothetical),
    or counts who leaves as not improved (composite). A crossover aims at the difference in its first period, so that
    carry-over shows as bias.

    Returns
    -------
    dict of str to float
        By analysis: a mean difference [points] (MMRM, ANCOVA, crossover), a difference of shares (response, remission),
        the log hazard ratio of a Cox regression on all of them (time to remission), the effect in the marker-positive
        less that in the others (interaction), the change of the effect for each doubling of the marker (marker-slope).
    """
    design = setting.design
    people = recruit(setting, world, rng, n, design.kind == "enrichment")
    marker = None if design.marker is None else people.measured[design.marker.analyte]
    positive = np.ones(n, dtype=bool) if marker is None else within(marker, design.marker)  # type: ignore[arg-type]
    seed = int(rng.integers(2**62))
    effects: dict[str, float] = {}
    for analysis in design.analyses:
        arm, control = (
            _scores(setting, analysis, name, people, positive, seed) for name in (analysis.arm, analysis.versus)
        )
        part = {"all": np.ones(n, dtype=bool), "positive": positive, "negative": ~positive}[analysis.part]
        potential = Potential(
            arm, control, part, positive, np.full(n, np.nan) if marker is None else marker,
            setting.visit(analysis.time_h), setting.visits_h / HOURS_PER_WEEK, setting.scales[analysis.of],
        )  # fmt: skip
        effects[analysis.id] = analysis_method(analysis.method).truth(potential)
    return effects


def marker_values(setting: Setting, rng: np.random.Generator, *, n: int = CURVE) -> Array:
    """The marker as screening measures it in eligible candidates of the first world, shape (n,)."""
    assert setting.design.marker is not None
    return recruit(setting, 0, rng, n, False).measured[setting.design.marker.analyte]


def marker_curve(
    setting: Setting, world: int, rng: np.random.Generator, edges: Array, *, n: int = CURVE
) -> tuple[Array, NDArray[np.intp]]:
    """True effect of the primary comparison by the marker as measured, between some edges.

    Returns
    -------
    effect : array, shape (len(edges) - 1,)
        NaN where few participants fall.
    count : array of int, of the same shape
    """
    design, analysis = setting.design, setting.design.primary
    assert design.marker is not None
    people = recruit(setting, world, rng, n, False)
    marker = people.measured[design.marker.analyte]
    positive, seed = within(marker, design.marker), int(rng.integers(2**62))
    arm, control = (
        _scores(setting, analysis, name, people, positive, seed) for name in (analysis.arm, analysis.versus)
    )
    outcome, at, scale = (
        analysis_method(analysis.method).outcome,
        setting.visit(analysis.time_h),
        setting.scales[analysis.of],
    )
    benefit = outcome(arm, at, scale) - outcome(control, at, scale)
    bins = np.searchsorted(edges, marker, side="right") - 1
    count = np.array([(bins == k).sum() for k in range(len(edges) - 1)], dtype=np.intp)
    effect = np.array([_mean(benefit[bins == k]) if count[k] >= FEWEST else np.nan for k in range(len(edges) - 1)])
    return effect, count


def control_outcome(setting: Setting, world: int, rng: np.random.Generator, *, n: int) -> tuple[Recruits, Array, Array]:
    """Some participants with their baseline and their score at the end, had they all taken the control."""
    people = recruit(setting, world, rng, n, setting.design.kind == "enrichment")
    design, primary = setting.design, setting.design.primary
    kept = replace(setting, hazard=0.0, design=replace(design, conduct=Conduct(design.conduct.visit_window_h)))
    control = np.full(n, setting.beginning_with(design.control))
    scores = visits(kept, people, control, rng)[0][primary.of]
    return people, scores[:, 0], scores[:, setting.visit(primary.time_h)]


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _scores(
    setting: Setting, analysis: Analysis, name: str, people: Recruits, positive: NDArray[np.bool_], seed: int
) -> Array:
    """Scores of everybody under one treatment or strategy, shape (n, n_visits); all visits take place."""
    was, policy = setting.design.conduct, analysis.estimand == "treatment-policy"
    if policy:
        # who leaves counts as not improved, or is seen to the end off the drug
        composite = analysis_method(analysis.method).responders and analysis.nonresponder
        conduct_ = replace(was, missed_visits=0.0, followed_up=was.followed_up if composite else 1.0)
    else:
        conduct_ = Conduct(was.visit_window_h)
    world = replace(setting, design=replace(setting.design, conduct=conduct_), hazard=setting.hazard if policy else 0.0)
    if setting.design.match is not None:
        high, low = (setting.treatments.index(a) for a in setting.design.match)
        treatment = np.where(positive == (name == "matched"), high, low).astype(np.intp)
    else:
        treatment = np.full(len(people), setting.beginning_with(name))
    return visits(world, people, treatment, np.random.default_rng(seed))[0][analysis.of]
