"""One trial as it would go: screening, lead-in, randomisation, visits, stopping, leaving, missing.

Chance comes from one generator, so a replicate depends on its seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.enrolment import within
from crosstalk.population.measure import FLUCTUATION_H, analyte_log_sd, record_scale
from crosstalk.study.records import Study
from crosstalk.trial.plan import design_of, treatments
from crosstalk.trial.pool import Pool
from crosstalk.trial.setting import Setting
from crosstalk.trial.visits import Recruits, leaving_hazard, visits

__all__ = ["LOST", "TrialData", "conduct", "join", "recruit", "setting_of"]

Array = NDArray[np.float64]

SCREENING_LIMIT = 500  # candidates per patient wanted
LOST = ("not eligible", "marker-negative", "improved in the lead-in")
"""Why a candidate is not randomised, in the order in which it is looked at."""
HAZARD_PATIENTS = 4000  # on whom the hazard of leaving is set


@dataclass(frozen=True)
class TrialData:
    """Data of one simulated trial, a row per randomised patient in the order of randomisation.

    Attributes
    ----------
    group : array of int, shape (n,)
        Which of the groups of the design each was randomised to; ``treatment`` is the arm (or sequence) received.
    marker : array, shape (n,)
        As measured at screening; NaN without marker. ``positive`` and ``truly_positive`` by measured and true level.
    baseline : mapping of str to array, shape (n,) [points]
        Scores at randomisation, by scale.
    scores : mapping of str to array, shape (n, n_visits) [points]
        Baseline first; NaN where no visit took place.
    on_drug : array of bool, shape (n, n_visits)
        Whether the patient was still on treatment at a visit.
    left_h : array, shape (n,) [h]
        When a patient left the trial; infinite if never.
    covariates : mapping of str to array, shape (n,)
        As measured at screening.
    stratum : array of int, shape (n,)
        Of the stratified randomisation.
    row : array of int, shape (n,)
        Row of the pool.
    times_h : array, shape (n, n_visits) [h]
        When each visit was to take place, from randomisation.
    funnel : mapping of str to int
        Candidates by what became of them.
    """

    group: NDArray[np.intp]
    treatment: NDArray[np.intp]
    marker: Array
    positive: NDArray[np.bool_]
    truly_positive: NDArray[np.bool_]
    baseline: Mapping[str, Array]
    scores: Mapping[str, Array]
    on_drug: NDArray[np.bool_]
    left_h: Array
    covariates: Mapping[str, Array]
    stratum: NDArray[np.intp]
    row: NDArray[np.intp]
    times_h: Array
    funnel: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.group)

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> TrialData:
        """Some of the patients."""
        return TrialData(
            self.group[which], self.treatment[which], self.marker[which], self.positive[which],
            self.truly_positive[which], {k: v[which] for k, v in self.baseline.items()},
            {k: v[which] for k, v in self.scores.items()}, self.on_drug[which], self.left_h[which],
            {k: v[which] for k, v in self.covariates.items()}, self.stratum[which], self.row[which],
            self.times_h[which], self.funnel,
        )  # fmt: skip


def join(first: TrialData, second: TrialData) -> TrialData:
    """The patients of two stages of one trial."""

    def both(a: Array, b: Array) -> Array:
        return np.concatenate([a, b])

    keys = {*first.funnel, *second.funnel}
    return TrialData(
        np.concatenate([first.group, second.group]), np.concatenate([first.treatment, second.treatment]),
        both(first.marker, second.marker), np.concatenate([first.positive, second.positive]),
        np.concatenate([first.truly_positive, second.truly_positive]),
        {k: both(v, second.baseline[k]) for k, v in first.baseline.items()},
        {k: both(v, second.scores[k]) for k, v in first.scores.items()},
        np.concatenate([first.on_drug, second.on_drug]), both(first.left_h, second.left_h),
        {k: both(v, second.covariates[k]) for k, v in first.covariates.items()},
        np.concatenate([first.stratum, second.stratum]), np.concatenate([first.row, second.row]),
        both(first.times_h, second.times_h),
        {k: first.funnel.get(k, 0) + second.funnel.get(k, 0) for k in sorted(keys)},
    )  # fmt: skip


def setting_of(study: Study, pool: Pool, knowledge: Knowledge) -> Setting:
    """Prepare the replicates of a trial; the hazard of leaving is set so that the wanted share leaves the control arm.

    Worlds in which too few candidates may be randomised are left out of the pool of the setting.

    Raises
    ------
    PopulationError
        If none is left.
    """
    design = design_of(study)
    noise, detection = {}, {}
    for name in pool.levels:
        analyte = knowledge.analytes[name]
        measured = analyte.kind == "laboratory" and bool(analyte.observable)
        noise[name] = analyte_log_sd(analyte) if measured else 0.0
        detection[name] = (analyte.lod or 0.0) if measured else 0.0
    limits = tuple(e for e in study.population.eligible if knowledge.analytes[e.analyte].kind == "laboratory")
    names = {pool.recorded_scale, *(a.of for a in design.analyses)}
    setting = Setting(
        study, design, pool, limits, noise, detection, {n: knowledge.scales[n] for n in sorted(names)},
        np.asarray(study.output_times_h), tuple(a.id for a in treatments(study, design)),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    wanted = max(HAZARD_PATIENTS // pool.n_worlds, 20)
    found, usable = [], []
    for world in range(pool.n_worlds):
        try:
            found.append(recruit(setting, world, rng, wanted, design.kind == "enrichment"))
            usable.append(world)
        except PopulationError:
            if world == pool.n_worlds - 1 and not found:
                raise
    people = Recruits(
        np.concatenate([p.row for p in found]), {}, np.concatenate([p.wander for p in found]),
        np.concatenate([p.score for p in found]), {},
    )  # fmt: skip
    hazard = leaving_hazard(setting, people)
    whole = len(usable) == pool.n_worlds
    return replace(setting, hazard=hazard, pool=pool if whole else pool.only(np.array(usable, dtype=np.intp)))


def conduct(
    setting: Setting, world: int, rng: np.random.Generator, *, n: int | None = None, positive_only: bool = False
) -> TrialData:
    """Run one trial in one possible world.

    Parameters
    ----------
    n : int, optional
        Patients to randomise; those of the design by default (a stage of an adaptive design has fewer).
    positive_only : bool
        Randomise marker-positive patients alone, whatever the design.

    Raises
    ------
    PopulationError
        If too few candidates are eligible.
    """
    design = setting.design
    only = positive_only or design.kind == "enrichment"
    people = recruit(setting, world, rng, design.n if n is None else n, only)
    marker, positive, truly = _marked(setting, people)
    stratum = _strata(setting, people, positive)
    group = _randomise(setting, stratum, rng)
    treatment = _treatment(setting, group, positive)
    scores, on_drug, left, times = visits(setting, people, treatment, rng)
    measured = dict(people.measured)
    if setting.prognosis is not None:
        measured["prognosis"] = setting.prognosis.score(scores[design.primary.of][:, 0], measured)
    return TrialData(
        group, treatment, marker, positive, truly, {k: v[:, 0] for k, v in scores.items()}, scores, on_drug, left,
        measured, stratum, people.row, times, people.funnel,
    )  # fmt: skip


def recruit(setting: Setting, world: int, rng: np.random.Generator, wanted: int, positive_only: bool) -> Recruits:
    """Screen candidates of one world until enough may be randomised.

    Raises
    ------
    PopulationError
        If too few of them may.
    """
    pool, design = setting.pool, setting.design
    place = pool.rows(world)
    if place.stop <= place.start:
        raise PopulationError(f"study '{setting.study.id}': nobody can be enrolled; widen the criteria")
    funnel = {"screened": 0, **dict.fromkeys(LOST, 0)}
    parts: list[tuple[NDArray[np.intp], dict[str, Array], Array, Array]] = []
    have, block = 0, wanted
    while have < wanted:
        if funnel["screened"] >= SCREENING_LIMIT * wanted:
            lost = max(LOST, key=lambda k: funnel[k])
            raise PopulationError(
                f"study '{setting.study.id}': {have} of {wanted} randomised after {funnel['screened']} candidates, "
                f"most lost as '{lost}'; lower the cut-off or widen the criteria"
            )
        rows = rng.integers(place.start, place.stop, block)
        measured = _measure(setting, rows, rng)
        eligible = np.ones(block, dtype=bool)
        for limits in setting.limits:
            eligible &= within(measured[limits.analyte], limits)
        positive = np.ones(block, dtype=bool)
        if positive_only and design.marker is not None:
            positive = within(measured[design.marker.analyte], design.marker)
        wander, score, stays = _led_in(setting, rows, rng)
        passed = eligible & positive & stays
        chosen = np.flatnonzero(passed)[: wanted - have]
        used = int(chosen[-1]) + 1 if len(chosen) == wanted - have else block
        lost_as = np.where(~eligible, 0, np.where(~positive, 1, np.where(~stays, 2, 3)))[:used]
        funnel["screened"] += used
        for k, name in enumerate(LOST):
            funnel[name] += int((lost_as == k).sum())
        parts.append((rows[chosen], {k: v[chosen] for k, v in measured.items()}, wander[chosen], score[chosen]))
        have += len(chosen)
        pace = max(len(chosen) / block, 0.01)
        block = int(np.clip(1.2 * (wanted - have) / pace, 32, 20 * wanted))
    funnel["randomised"] = wanted
    return Recruits(
        np.concatenate([p[0] for p in parts]),
        {k: np.concatenate([p[1][k] for p in parts]) for k in parts[0][1]},
        np.concatenate([p[2] for p in parts]),
        np.concatenate([p[3] for p in parts]),
        funnel,
    )


def _measure(setting: Setting, rows: NDArray[np.intp], rng: np.random.Generator) -> dict[str, Array]:
    """What screening measures; the marker as often as the design says, its geometric mean."""
    marker = setting.design.marker
    found = {}
    for name, true in setting.pool.levels.items():
        log_sd = setting.noise[name]
        if marker is not None and name == marker.analyte:
            log_sd /= np.sqrt(setting.design.measurements)
        values = true[rows]
        if log_sd:
            values = np.maximum(values * np.exp(log_sd * rng.standard_normal(len(rows))), setting.detection[name])
        found[name] = values
    return found


def _led_in(
    setting: Setting, rows: NDArray[np.intp], rng: np.random.Generator
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Fluctuation and score at randomisation, and who may stay after the lead-in, if there is one."""
    pool, lead = setting.pool, setting.design.lead_in
    if lead is None:
        return np.zeros(len(rows)), pool.recorded[rows], np.ones(len(rows), dtype=bool)
    scale = setting.scales[pool.recorded_scale]
    wander = rng.standard_normal(len(rows)) * np.sqrt(1 - np.exp(-2 * lead.duration_h / FLUCTUATION_H))
    end = int(np.argmin(np.abs(pool.times_h - lead.duration_h)))
    true = pool.courses[setting.design.control, scale.id][rows, end]
    true = true + pool.fluctuation[rows] * scale.span * wander
    score = record_scale(true, scale, rng.standard_normal(len(rows)))
    return wander, score, np.asarray(score > (1 - lead.exclude_improved) * pool.recorded[rows])


def _marked(setting: Setting, people: Recruits) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    marker = setting.design.marker
    if marker is None:
        none = np.zeros(len(people), dtype=bool)
        return np.full(len(people), np.nan), none, none
    measured = people.measured[marker.analyte]
    return measured, within(measured, marker), within(setting.pool.levels[marker.analyte][people.row], marker)


def _strata(setting: Setting, people: Recruits, positive: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Stratum of randomisation of each patient; by the marker too, unless the design takes one side only."""
    stratum = np.zeros(len(people), dtype=np.intp)
    for factor in setting.design.strata:
        values = people.measured.get(factor.analyte, people.score)
        stratum = stratum * (len(factor.cuts) + 1) + np.searchsorted(factor.cuts, values, side="right")
    if setting.design.kind in ("stratified", "match", "adaptive-enrichment"):
        stratum = 2 * stratum + positive
    return stratum


def _randomise(setting: Setting, stratum: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Permuted blocks within each stratum."""
    shares = np.array(list(setting.design.allocation.values()))
    one = np.repeat(np.arange(len(shares)), np.round(shares * setting.design.block).astype(int))
    group = np.empty(len(stratum), dtype=np.intp)
    for value in np.unique(stratum):
        here = np.flatnonzero(stratum == value)
        blocks = np.tile(one, (len(here) // len(one) + 1, 1))
        group[here] = rng.permuted(blocks, axis=1).ravel()[: len(here)]
    return group


def _treatment(setting: Setting, group: NDArray[np.intp], positive: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Which arm or sequence each patient gets."""
    names = setting.treatments
    if setting.design.match is None:
        return np.array([names.index(g) for g in setting.groups])[group]
    high, low = (names.index(a) for a in setting.design.match)
    matched = group == setting.groups.index("matched")
    return np.where(matched == positive, high, low).astype(np.intp)
