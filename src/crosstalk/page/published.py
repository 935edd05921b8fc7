"""What published results alone say of each regimen, to stand beside the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crosstalk.evidence.main_effects import direct_effects
from crosstalk.evidence.sources import read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen

__all__ = ["Published", "Trial", "published_effects"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One cohort in a pool: standardised difference with its 95 % interval, and how it was made."""

    label: str
    doi: str
    value: float
    low: float
    high: float
    made: str


@dataclass(frozen=True, slots=True)
class Published:
    """Pooled effect of the drug that a regimen adds, in SD of the score; below 0 it is better than its absence.

    ``added`` says whether the regimen adds it to the reference: then the effect is that of the regimen against the
    reference; else that against placebo. ``low`` to ``high`` is the 95 % interval; NaN of a single cohort without one.
    """

    regimen: str
    drug: str
    name: str
    added: bool
    k: int
    estimate: float
    low: float
    high: float
    trials: tuple[Trial, ...]


def published_effects(regimens: Sequence[Regimen], reference: Regimen, knowledge: Knowledge) -> tuple[Published, ...]:
    """Published effects of the regimens that one drug tells from the reference, or from placebo; others have none."""
    common = {dose.drug for dose in reference.doses}
    asked: dict[str, tuple[str, bool]] = {}
    for regimen in regimens:
        drugs = {dose.drug for dose in regimen.doses}
        extra = drugs - common
        if common < drugs and len(extra) == 1:
            asked[regimen.id] = (next(iter(extra)), True)
        elif len(drugs) == 1:
            asked[regimen.id] = (next(iter(drugs)), False)
    entries, _ = read_entries(study_paths((), knowledge), knowledge)
    dois = {entry.study.id: entry.study.doi for entry in entries}
    effects = {e.drug: e for e in direct_effects(entries, dict.fromkeys(d for d, _ in asked.values()), knowledge)}
    found = []
    for name, (drug, added) in asked.items():
        direct = effects[drug].stated
        if direct.k and math.isfinite(direct.estimate):
            trials = tuple(
                Trial(m.label, dois.get(m.study, ""), m.value, m.low, m.high, "; ".join((m.made, *m.remarks)))
                for m in direct.members
            )
            found.append(
                Published(
                    name, drug, effects[drug].words, added, direct.k, direct.estimate, direct.low, direct.high, trials
                )
            )
    return tuple(found)
