"""Published results as targets: values on the scale of their errors, and how far each may be trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.calibrate.covariance import covariance, joined
from crosstalk.errors import CalibrationError
from crosstalk.evidence.listing import marker_text, stratum_text, time_text
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import MODULES
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.records import Result, Study
from crosstalk.study.schema import read_study

__all__ = ["STAGES", "Target", "Targets", "describe", "gather", "studies_of", "subject"]

Array = NDArray[np.float64]

STAGES = tuple(name for name in MODULES if name != "crosstalk")
"""Modules of the mechanism by which results are grouped; those on symptoms, drugs and populations are of the last."""


@dataclass(frozen=True, slots=True)
class Target:
    """One published result.

    ``value`` is on the scale of its error (`crosstalk.study.endpoints.error_scale`), ``sampling`` its published
    standard error there, ``stage`` the module whose variable it is about.
    """

    study: str
    number: int
    result: Result
    value: float
    sampling: float
    stage: str

    @property
    def id(self) -> str:
        """Study and number of the result in it, such as ``raison2013.2``."""
        return f"{self.study}.{self.number}"


@dataclass(frozen=True)
class Targets:
    """Some results and the covariance of their errors.

    Attributes
    ----------
    studies : tuple of Study
    items : tuple of Target
        In the order of the studies and of their files.
    values : array, shape (n,)
    covariance : array, shape (n, n)
        Sampling error, mismatch, assay and study bias. Results of different studies are independent, unless they are of
        the same cohort.
    """

    studies: tuple[Study, ...]
    items: tuple[Target, ...]
    values: Array
    covariance: Array

    def of_study(self, study: Study) -> list[Target]:
        """The targets of one study."""
        return [t for t in self.items if t.study == study.id]

    def take(self, which: NDArray[np.intp]) -> Targets:
        """Some of the targets, and the studies that they need."""
        items = tuple(self.items[i] for i in which)
        names = {t.study for t in items}
        return Targets(
            tuple(s for s in self.studies if s.id in names),
            items,
            self.values[which],
            self.covariance[np.ix_(which, which)],
        )

    def widened(self, extra: Array) -> Targets:
        """The same targets with more in the covariance of their errors, such as the chance of finite patients."""
        return replace(self, covariance=self.covariance + extra)

    def stage(self, name: str) -> NDArray[np.intp]:
        """Positions of the targets of one stage."""
        return np.array([i for i, t in enumerate(self.items) if t.stage == name], dtype=np.intp)


def studies_of(role: str, knowledge: Knowledge) -> tuple[Study, ...]:
    """All studies of one role that the knowledge base holds, by id."""
    found = (read_study(name, knowledge) for name in sorted(knowledge.study_files))
    return tuple(s for s in found if s.role == role)


def gather(studies: Iterable[Study], knowledge: Knowledge) -> Targets:
    """Make targets of the results of some studies.

    Raises
    ------
    CalibrationError
        If there is none, or one has no standard error.
    """
    chosen = tuple(studies)
    modules = _modules(knowledge)
    items: list[Target] = []
    blocks: list[Array] = []
    for study in chosen:
        own = []
        for number, result in enumerate(study.results):
            if result.value is None or result.se is None:
                raise CalibrationError(
                    f"study '{study.id}', result {number} ({describe(result)}): no value or no standard error; "
                    f"add se, ci, or sd and n"
                )
            value = error_scale(result.endpoint, result.value)
            own.append(Target(study.id, number, result, value, result.se, _stage(result, knowledge, modules)))
        items += own
        if own:
            blocks.append(covariance(study, own, knowledge))
    if not items:
        raise CalibrationError("no study has a result; expected at least one [[result]] with a value and an error")
    return Targets(
        chosen,
        tuple(items),
        np.array([t.value for t in items]),
        joined(chosen, items, blocks, knowledge.discounts.shared),
    )


def subject(result: Result) -> str:
    """What a result is about, such as ``hsCRP from 3``, or ``HAMD17 with HAMD17 at week 6``."""
    text = " of ".join(part for part in (result.event, result.of) if part)
    if result.threshold is not None:
        text += f" from {result.threshold:g}"
    if result.partner:
        text += f" with {result.partner}"
    if result.partner_h is not None:
        text += f" at {time_text(result.partner_h)}"
    return text


def describe(result: Result) -> str:
    """A result in words, such as ``change of HAMD17, week 12, infliximab - placebo, hsCRP >= 5 mg/L``."""
    parts = [f"{result.endpoint} of {subject(result)}"]
    if result.time_h:
        parts.append(time_text(result.time_h))
    parts.append(f"{result.arm} - {result.versus}" if result.versus else result.arm)
    if result.marker is not None:
        parts.append(marker_text(result.marker))
    if result.stratum is not None:
        parts.append(stratum_text(result.stratum))
    return ", ".join(parts)


def _modules(knowledge: Knowledge) -> dict[str, str]:
    """The module that defines each variable of the mechanism."""
    found: dict[str, str] = {}
    for name in MODULES:
        for match in re.finditer(r"^\s*(\w+)(?:'\s*=|\s*:=)", knowledge.mechanisms.get(name, ""), re.MULTILINE):
            found[match[1]] = name
    return found


def _stage(result: Result, knowledge: Knowledge, modules: Mapping[str, str]) -> str:
    if result.of in knowledge.scales or ENDPOINTS[result.endpoint].moderation:
        return STAGES[-1]
    analyte = knowledge.analytes.get(result.of)
    variable = analyte.observable if analyte is not None and analyte.observable else result.of
    found = modules.get(variable, STAGES[-1])
    return found if found in STAGES else STAGES[-1]
