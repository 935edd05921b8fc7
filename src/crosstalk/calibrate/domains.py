"""What kind of question a published result answers."""

from __future__ import annotations

from typing import Literal, get_args

from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import ENDPOINTS
from crosstalk.study.records import Result, Study

__all__ = ["DOMAINS", "Domain", "domain_of", "is_symptom"]

Domain = Literal["challenge", "biomarker", "course", "treatment contrast", "moderation"]
DOMAINS: tuple[Domain, ...] = get_args(Domain)

CHALLENGES = ("bacterial endotoxin", "interferon alpha", "interleukin-2", "vaccine")
"""Classes of drugs that set off the immune system."""
DIMENSIONS = ("NV", "MC")
"""Symptom dimensions of the mechanism."""


def domain_of(study: Study, result: Result, knowledge: Knowledge) -> Domain:
    """The domain of a result; the first that holds.

    - ``challenge``: any result of a study in which some arm gets endotoxin, interferon, interleukin-2 or a vaccine;
    - ``moderation``: an interaction with a marker, a slope on one, a hazard ratio per step of one, a difference of a
      marker between responders and others, a correlation of a later symptom with a marker at baseline, or a symptom
      result in a stratum;
    - ``treatment contrast``: a symptom result of one arm against another of the same people;
    - ``course``: a symptom result of one arm, the correlation of a symptom with itself included;
    - ``biomarker``: everything else, such as patients against controls.
    """
    doses = (*study.population.background, *(dose for arm in study.arms for dose in arm.all_doses))
    if any(knowledge.drug(dose.drug).drug_class.startswith(CHALLENGES) for dose in doses):
        return "challenge"
    if _moderates(result, knowledge):
        return "moderation"
    if not is_symptom(result.of, knowledge) or (result.partner and not is_symptom(result.partner, knowledge)):
        return "biomarker"
    if not result.versus:
        return "course"
    people = {arm.id: arm.diagnosis for arm in study.arms}
    return "treatment contrast" if people[result.arm] == people[result.versus] else "biomarker"


def is_symptom(name: str, knowledge: Knowledge) -> bool:
    """Whether a scale, analyte or variable is about symptoms."""
    return name in knowledge.scales or name in DIMENSIONS


def _moderates(result: Result, knowledge: Knowledge) -> bool:
    if ENDPOINTS[result.endpoint].moderation or result.marker is not None:
        return True
    symptoms = [is_symptom(name, knowledge) for name in (result.of, result.partner) if name]
    if result.endpoint == "correlation":
        return result.partner_h == 0 and bool(result.time_h) and symptoms == [True, False]
    return result.stratum is not None and symptoms[0]
