"""What published results alone say to the effect of each drug, in SD of the score against its absence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from crosstalk.evidence.arms import compare_arms
from crosstalk.evidence.cohort_slopes import CohortSlope, one_per_cohort
from crosstalk.evidence.comparable import standardise
from crosstalk.evidence.listing import published, time_text
from crosstalk.evidence.moderation import Direct, pooled, without_doubles
from crosstalk.evidence.records import LeftOut, PublishedResult
from crosstalk.evidence.sources import Entry
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import ENDPOINTS, error_scale

__all__ = ["DirectEffect", "compares", "direct_effects", "in_sd"]

STANDARDIZED, POINTS, EVENTS = range(3)


@dataclass(frozen=True, slots=True)
class DirectEffect:
    """What published results say to the effect of a drug; ``stated`` as in `crosstalk.evidence.moderation`."""

    drug: str
    words: str
    printed: Direct
    stated: Direct
    left_out: tuple[LeftOut, ...]


def direct_effects(
    entries: Sequence[Entry], drugs: Iterable[str], knowledge: Knowledge, *, meta_analyses: bool = False
) -> tuple[DirectEffect, ...]:
    """Pool the effect of each drug on symptoms of patients, in whole samples.

    Of a cohort the last time counts; at it a standardized difference before one of points, that before events. Points
    are divided by the published SD, else by the usual one of the scale; odds ratios by the SD of a logistic.
    """
    rows = [row for entry in entries for row in published([entry])]
    cohorts = {entry.study.id: entry.study.cohort or entry.study.id for entry in entries}
    figures = {
        (entry.study.id, entry.line("result", number)): result.figure
        for entry in entries
        for number, result in enumerate(entry.study.results)
    }
    rows += compare_arms(rows)
    found = []
    for drug in drugs:
        effects, left_out = [], []
        for row in rows:
            sign = 0 if row.stratum else compares(row, (drug,), (), knowledge)
            if not sign:
                continue
            if row.se is None:
                left_out.append(LeftOut(f"{row.endpoint} of {row.of}", row.study, "has no standard error"))
                continue
            stated = figures[row.study, row.line] == "stated"
            effects.append(in_sd(row, sign, cohorts[row.study], stated, knowledge))
        slopes, doubles = without_doubles(one_per_cohort(effects), meta_analyses)
        name = knowledge.drug(drug).name
        printed = pooled([s for s in slopes if not s.stated])
        found.append(DirectEffect(drug, name, printed, pooled(slopes), (*left_out, *doubles)))
    return tuple(found)


def compares(row: PublishedResult, own: tuple[str, ...], other: tuple[str, ...], knowledge: Knowledge) -> int:
    """1 where a result on symptoms of patients compares these drugs alone with the others (with none: their absence).

    -1 where it stands the other way round, 0 where it does not compare them.
    """
    asked = row.contrast in ("drug", "active") and row.diagnosis != "healthy"
    symptoms = row.of in knowledge.scales and ENDPOINTS[row.endpoint].favours and row.endpoint != "ratio"
    # where the drug stands for others its own effect was not studied
    far = dict(row.mismatch).get("design") == "far"
    if not asked or not symptoms or far or ENDPOINTS[row.endpoint].moderation or not row.time_h:
        return 0
    return 1 if (row.drugs, row.against) == (own, other) else -1 if (row.against, row.drugs) == (own, other) else 0


def in_sd(row: PublishedResult, sign: int, cohort: str, stated: bool, knowledge: Knowledge) -> CohortSlope:
    """A result in SD of the score, below 0 where the drug is better."""
    kind = ENDPOINTS[row.endpoint]
    assert row.se is not None
    value, se, assumed = error_scale(row.endpoint, row.value), row.se, []
    rank = {"sd": STANDARDIZED, "points": POINTS}.get(kind.spread, EVENTS)
    own = standardise(row) if kind.spread == "points" else ""
    if not isinstance(own, str):
        value, se, rank = own[0], own[1], STANDARDIZED
    else:
        share = knowledge.discounts.scale_sd
        spread = kind.sd(knowledge.scales[row.of].maximum, share)
        if kind.spread == "points" and len(row.sd) == 2:
            spread = sqrt(sum(sd * sd for sd in row.sd) / 2)
        elif kind.spread == "points":
            assumed.append(f"SD of the score {share:.0%} of the scale")
        elif kind.spread == "share":
            assumed.append("shares near the middle")
        value, se = value / spread, se / spread
    if row.se_source.startswith("assumed"):
        assumed.append(row.se_source)
    value *= sign * (-1 if kind.favours > 0 else 1)
    return CohortSlope(
        cohort=cohort, study=row.study, title=row.title, role=row.role, quality=row.quality, value=value, se=se,
        rank=rank, time_h=row.time_h or 0.0, made=f"{row.endpoint} of {row.of}, {time_text(row.time_h)}",
        arms=(row.arm, row.versus), stratum=row.stratum, stated=stated, recalled=row.provenance == "memory",
        assumed=tuple(assumed),
    )  # fmt: skip
