"""One trial from screening to its final analysis: fixed, group-sequential, or with adaptive enrichment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from crosstalk.statistics.boundaries import boundaries
from crosstalk.statistics.estimates import Estimate
from crosstalk.study.design import Analysis, Design
from crosstalk.trial.analyse import adjusted_p, analyse, favours
from crosstalk.trial.conduct import TrialData, conduct, join
from crosstalk.trial.setting import Setting
from crosstalk.trial.subgroups import naive_search

__all__ = ["Finished", "after_looks", "critical_levels", "run_trial_once"]

Array = NDArray[np.float64]

ROUTINE = re.compile(r"^interval of |left out$")


@dataclass(frozen=True)
class Finished:
    """A finished trial.

    ``adjusted`` are p-values that are held against each analysis's own level: after the looks (the smallest level at
    which the boundary would have been crossed; Jennison and Turnbull 1999, ISBN 978-0849303166, chapter 9) and then
    after the multiplicity of the design.
    """

    estimates: Mapping[str, Estimate]
    adjusted: Mapping[str, float]
    counts: Mapping[str, float]
    by_group: Mapping[str, Array]
    notes: tuple[str, ...]


def run_trial_once(setting: Setting, world: int, rng: np.random.Generator) -> Finished:
    """Conduct and analyse one trial in one possible world."""
    design = setting.design
    if design.kind == "adaptive-enrichment":
        return _adaptive(setting, world, rng)
    data = conduct(setting, world, rng)
    if design.interim is None:
        return _finished(setting, data, 1)
    levels = critical_levels(design)
    for look, share in enumerate(design.interim.information, start=1):
        part = data.take(np.arange(ceil(share * design.n)))
        found = analyse(setting, part, design.primary)
        if found.p < levels[look - 1] or look == len(levels):
            return _finished(setting, part, look)
    raise AssertionError("the last look ends the trial")


@lru_cache(maxsize=512)
def _levels(information: tuple[float, ...], kind: str, alpha: float) -> tuple[float, ...]:
    spending = kind.startswith("spending-")
    name = kind.removeprefix("spending-")
    found = boundaries(
        information,
        alpha=alpha,
        sided=2,
        kind="spending" if spending else name,  # type: ignore[arg-type]
        spending=name if spending else "obrien-fleming",  # type: ignore[arg-type]
    )
    return tuple(float(2 * ndtr(-c)) for c in found.efficacy)


def critical_levels(design: Design) -> tuple[float, ...]:
    """Two-sided level of the primary analysis at each look."""
    assert design.interim is not None
    return _levels(design.interim.information, design.interim.boundary, design.primary.alpha)


def after_looks(design: Design, p: float, look: int) -> float:
    """Two-sided p-value of a look as a p-value of the whole trial; what is not a number counts as 1."""
    if not np.isfinite(p):
        return 1.0
    if design.interim is None:
        return float(p)
    return _repeated(design.interim.information, design.interim.boundary, design.primary.alpha, look, p)


def _repeated(information: tuple[float, ...], kind: str, alpha: float, look: int, p: float) -> float:
    """The level at which a p-value would lie on the boundary of its look, from a table of levels."""
    levels = sorted({*np.geomspace(1e-6, 0.45, 28).tolist(), alpha, alpha / 2, alpha / 3, alpha / 4})
    table = [_levels(information, kind, a)[look - 1] for a in levels]
    if p >= table[-1]:
        return float(max(p, levels[-1]))
    # on the scale of normal scores the curve is nearly straight, and exact at the levels that are used
    return float(ndtr(np.interp(ndtri(max(p, 1e-300)), ndtri(table), ndtri(levels))))


def _finished(setting: Setting, data: TrialData, look: int, primary: float | None = None) -> Finished:
    """Analyse the patients of a look; ``primary`` replaces the p-value of the primary analysis."""
    design = setting.design
    estimates = {a.id: analyse(setting, data, a) for a in design.analyses}
    p = {i: after_looks(design, e.p, look) for i, e in estimates.items()}
    if primary is not None:
        p[design.primary.id] = after_looks(design, primary, look)
    return Finished(
        estimates,
        adjusted_p(design, estimates, p),
        _counts(setting, data, look),
        _by_group(setting, data),
        tuple(f"{k}: {note}" for k, e in estimates.items() for note in _notes(e.note)),
    )


def _notes(note: str) -> list[str]:
    """Notes of one estimate without those of every trial: the name of an interval, patients who have no outcome."""
    return [part for part in note.split("; ") if part and not ROUTINE.search(part)]


def _counts(setting: Setting, data: TrialData, look: int) -> dict[str, float]:
    primary = setting.design.primary
    marked = setting.design.marker is not None
    share = len(data) / max(data.funnel.get("randomised", len(data)), 1)
    counts = {k: float(v) * share for k, v in data.funnel.items()}
    counts["randomised"] = float(len(data))
    counts["look"] = float(look)
    counts["visits"] = float(np.isfinite(data.scores[primary.of]).sum())
    counts["positive"] = float(data.positive.mean()) if marked else float("nan")
    counts["misclassified"] = float((data.positive != data.truly_positive).mean()) if marked else float("nan")
    counts["dropped"] = 0.0
    if setting.null:
        counts["naive"] = float(naive_search(setting, data))
    return counts


def _by_group(setting: Setting, data: TrialData) -> dict[str, Array]:
    groups = range(len(setting.groups))
    size = np.array([(data.group == g).sum() for g in groups], dtype=np.float64)
    left = np.array([np.isfinite(data.left_h[data.group == g]).mean() if size[g] else np.nan for g in groups])
    return {"patients": size, "left": left}


# Adaptive enrichment, one-sided at half the level: inverse-normal combination of the stages, closed test of the whole
# and the marker-positive population with Simes' test of their intersection (Brannath et al. 2009,
# doi 10.1002/sim.3559).


def _adaptive(setting: Setting, world: int, rng: np.random.Generator) -> Finished:
    design = setting.design
    assert design.interim is not None
    share = design.interim.information[0]
    first = conduct(setting, world, rng, n=ceil(share * design.n))
    whole = replace(design.primary, part="all")
    positive, negative = (replace(design.primary, part=part) for part in ("positive", "negative"))
    one = [_one_sided(setting, first, a) for a in (whole, positive)]
    levels = [level / 2 for level in critical_levels(design)]
    early = [max(p, _simes(one)) for p in one]
    if min(early) < levels[0]:
        return _settled(setting, first, 1, min(early), dropped=False)
    dropped = _conditional_power(setting, first, negative, share) < design.interim.futility
    second = conduct(setting, world, rng, n=design.n - len(first), positive_only=dropped)
    data = join(first, second)
    two = [_one_sided(setting, second, positive if dropped else a) for a in (whole, positive)]
    both = _combined(_simes(one), two[1] if dropped else _simes(two), share)
    final = [max(_combined(p, q, share), both) for p, q in zip(one, two, strict=True)]
    return _settled(setting, data, 2, final[1] if dropped else min(final), dropped=dropped)


def _settled(setting: Setting, data: TrialData, look: int, one_sided: float, *, dropped: bool) -> Finished:
    """Finish with the p-value of the closed test for the primary analysis."""
    done = _finished(setting, data, look, min(2 * one_sided, 1.0))
    return replace(done, counts={**done.counts, "dropped": float(dropped)})


def _one_sided(setting: Setting, data: TrialData, analysis: Analysis) -> float:
    """One-sided p-value for a benefit of the arm; 1 where it cannot be computed."""
    found = analyse(setting, data, analysis)
    if not np.isfinite(found.p):
        return 1.0
    return found.p / 2 if favours(analysis, np.array([found.estimate]))[0] else 1 - found.p / 2


def _simes(p: list[float]) -> float:
    low, high = sorted(p)
    return min(2 * low, high)


def _combined(first: float, second: float, share: float) -> float:
    """P-value of two stages by the inverse-normal method."""
    clipped = np.clip([first, second], 1e-15, 1 - 1e-15)
    z = sqrt(share) * -ndtri(clipped[0]) + sqrt(1 - share) * -ndtri(clipped[1])
    return float(ndtr(-z))


def _conditional_power(setting: Setting, data: TrialData, analysis: Analysis, share: float) -> float:
    """Chance that the marker-negative alone would be significant in the end, if their trend went on.

    With z at information t the drift is z / sqrt(t), hence Phi((z / sqrt(t) - c) / sqrt(1 - t)) (Lan and Wittes 1988,
    doi 10.2307/2531870).
    """
    p = np.clip(_one_sided(setting, data, analysis), 1e-12, 1 - 1e-12)
    z = -ndtri(p)
    critical = ndtri(1 - analysis.alpha / 2)
    return float(ndtr((z / sqrt(share) - critical) / sqrt(1 - share)))
