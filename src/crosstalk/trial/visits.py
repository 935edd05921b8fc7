"""Visits of the randomised: scores, stopping, leaving, missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.population.measure import FLUCTUATION_H, record_scale, wandering
from crosstalk.trial.setting import Setting, between

__all__ = ["FADES_H", "IMPROVED", "Recruits", "leaving_hazard", "visits"]

Array = NDArray[np.float64]

FADES_H = 14 * 24.0
"""Time constant with which a drug's effect fades once it is stopped (assumed)."""
IMPROVED = 0.2
"""Relative improvement below which a patient counts as unimproved (assumed)."""


@dataclass(frozen=True)
class Recruits:
    """Those who may be randomised, in the order in which they were found.

    Attributes
    ----------
    row : array of int, shape (n,)
        Row of the pool.
    measured : mapping of str to array, shape (n,)
        Values of screening.
    wander : array, shape (n,)
        Where the fluctuation of each stands at randomisation, in SD; 0 without a lead-in.
    score : array, shape (n,) [points]
        On the scale of severity at randomisation: as recorded at enrolment, or at the end of the lead-in.
    funnel : mapping of str to int
        Candidates by what became of them.
    """

    row: NDArray[np.intp]
    measured: Mapping[str, Array]
    wander: Array
    score: Array
    funnel: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.row)


def visits(
    setting: Setting, people: Recruits, treatment: NDArray[np.intp], rng: np.random.Generator
) -> tuple[dict[str, Array], NDArray[np.bool_], Array, Array]:
    """Scores at visits, who was on treatment then, when patients left, and when the visits fell.

    Parameters
    ----------
    treatment : array of int, shape (n,)
        Number of the treatment that each patient gets.

    Returns
    -------
    scores : mapping of str to array, shape (n, n_visits) [points]
    on_drug : array of bool, shape (n, n_visits)
    left_h : array, shape (n,) [h]
        Infinite for those who stay.
    times_h : array, shape (n, n_visits) [h]
        From randomisation.
    """
    conduct_, n, end = setting.design.conduct, len(people), setting.visits_h[-1]
    jitter = rng.uniform(-1, 1, (n, len(setting.visits_h))) * conduct_.visit_window_h
    jitter[:, 0] = 0.0
    times = setting.visits_h + jitter
    stops = np.where(rng.random(n) < conduct_.nonadherence, rng.uniform(0, 1, n) * end, np.inf)
    wander = wandering(rng.standard_normal(times.shape), times)
    wander += people.wander[:, None] * np.exp(-times / FLUCTUATION_H)
    noise = {k: rng.standard_normal(times.shape) for k in setting.scales}
    uniform = rng.random(times.shape)
    stays = rng.random(n) < conduct_.followed_up
    missed = rng.random(times.shape) < conduct_.missed_visits
    missed[:, 0] = False

    primary = setting.design.primary.of
    seen = _record(setting, primary, people, treatment, times, stops, wander, noise[primary])
    leaves = _leaving(setting, seen, treatment, times, uniform)
    stops = np.minimum(stops, leaves)
    left = np.where(stays, np.inf, leaves)
    scores = {}
    for name in dict.fromkeys(a.of for a in setting.design.analyses):
        course = _record(setting, name, people, treatment, times, stops, wander, noise[name])
        scores[name] = np.where((times > left[:, None]) | missed, np.nan, course)
    return scores, np.asarray(times <= stops[:, None]), left, times


def leaving_hazard(setting: Setting, people: Recruits) -> float:
    """Hazard of the improving with which the wanted share of some people leaves the control arm, by bisection."""
    conduct_ = setting.design.conduct
    if conduct_.dropout <= 0:
        return 0.0
    rng = np.random.default_rng(len(people))
    times = np.broadcast_to(setting.visits_h, (len(people), len(setting.visits_h)))
    control = np.full(len(people), setting.beginning_with(setting.design.control))
    wander = wandering(rng.standard_normal(times.shape), times)
    wander += people.wander[:, None] * np.exp(-times / FLUCTUATION_H)
    never, primary = np.full(len(people), np.inf), setting.design.primary.of
    scores = _record(setting, primary, people, control, times, never, wander, rng.standard_normal(times.shape))
    exposure = (_relative_hazard(setting, scores, control) * np.diff(times, axis=1)).sum(axis=1)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        gone = 1 - np.exp(-middle * exposure).mean()
        low, high = (middle, high) if gone < conduct_.dropout else (low, middle)
    return (low + high) / 2


def _record(
    setting: Setting, name: str, people: Recruits, treatment: NDArray[np.intp], times_h: Array, stops_h: Array,
    wander: Array, noise: Array,
) -> Array:  # fmt: skip
    """Scores of one scale that raters would write down, shape (n, n_visits)."""
    pool, scale, rows = setting.pool, setting.scales[name], people.row
    grid, times = pool.times_h, times_h + setting.lead_h
    control = pool.courses[setting.design.control, name][rows]
    true = between(grid, control, times)
    if not setting.null:
        own = control.copy()
        for k, arm in enumerate(setting.treatments):
            mine = treatment == k
            own[mine] = pool.courses[arm, name][rows[mine]]
        late = times_h > stops_h[:, None]
        off = true
        true = between(grid, own, times)
        if late.any():
            stop = np.minimum(stops_h + setting.lead_h, grid[-1])[:, None]
            effect = between(grid, own, stop) - between(grid, control, stop)
            true = np.where(late, off + effect * np.exp(-np.maximum(times - stop, 0.0) / FADES_H), true)
    true = true + pool.fluctuation[rows][:, None] * scale.span * wander
    score = record_scale(true, scale, noise)
    if name == pool.recorded_scale:
        score[:, 0] = people.score
    elif setting.design.lead_in is None:
        score[:, 0] = record_scale(true[:, 0] + pool.inflation[rows] * scale.span, scale, noise[:, 0])
    return score


def _relative_hazard(setting: Setting, scores: Array, treatment: NDArray[np.intp]) -> Array:
    """Hazard of leaving between visits, relative to the improving without side effects, shape (n, n_visits - 1)."""
    conduct_, design = setting.design.conduct, setting.design
    factor = np.where(scores[:, :-1] > (1 - IMPROVED) * scores[:, :1], conduct_.unimproved, 1.0)
    start = setting.visits_h[:-1]
    if setting.null:
        harm = np.full((len(setting.treatments), len(start)), conduct_.side_effects.get(design.control, 1.0))
    elif design.crossover is None:
        harm = np.array([[conduct_.side_effects.get(t, 1.0)] * len(start) for t in setting.treatments])
    else:
        first, second = (conduct_.side_effects.get(a.id, 1.0) for a in setting.study.arms)
        again = start >= design.crossover.period_h + design.crossover.washout_h - 1e-6
        once = start < design.crossover.period_h - 1e-6
        harm = np.array([np.where(once, a, np.where(again, b, 1.0)) for a, b in ((first, second), (second, first))])
    return np.asarray(factor * harm[treatment])


def _leaving(setting: Setting, scores: Array, treatment: NDArray[np.intp], times: Array, uniform: Array) -> Array:
    """When patients leave: a hazard that is higher for the unimproved and for what is badly tolerated."""
    leaves = np.full(len(scores), np.inf)
    if setting.hazard <= 0:
        return leaves
    hazard = setting.hazard * _relative_hazard(setting, scores, treatment)
    for k in range(1, scores.shape[1]):
        here = times[:, k - 1] - np.log1p(-uniform[:, k]) / hazard[:, k - 1]
        leaves = np.where(np.isinf(leaves) & (here < times[:, k]), here, leaves)
    return leaves
