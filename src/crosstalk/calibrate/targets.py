"""Published results as targets: values on the scale of their errors, and how far each may be trusted."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import CalibrationError
from crosstalk.evidence.listing import stratum_text, time_text
from crosstalk.knowledge.loader import Knowledge
from crosstalk.model.assembly import MODULES
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.records import Result, Study
from crosstalk.study.schema import read_study

__all__ = ["STAGES", "Target", "Targets", "covariance", "describe", "gather", "studies_of", "subject", "typical_sd"]

Array = NDArray[np.float64]

STAGES = tuple(name for name in MODULES if name != "crosstalk")
"""Modules of the mechanism in the order of calibration; drugs and populations are settled with the last."""


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
        Sampling error, mismatch, assay and study bias. Results of different studies are independent.
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

    def with_chance(self, chance: Array) -> Targets:
        """The same targets, with the variance by chance of finite numbers of patients in their errors."""
        return replace(self, covariance=self.covariance + np.diag(chance))

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
    matrix = np.zeros((len(items), len(items)))
    at = 0
    for block in blocks:
        matrix[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return Targets(chosen, tuple(items), np.array([t.value for t in items]), matrix)


def covariance(study: Study, targets: Sequence[Target], knowledge: Knowledge) -> Array:
    """Covariance of the errors of the results of one study, shape (n, n).

    The sum of sampling error (a part is common to the visits of the same patients), mismatch (a share of the size of
    the result, a part is common to an endpoint), scale and offset of the laboratory's assay, and a bias of the study.
    """
    discounts = knowledge.discounts
    results = [t.result for t in targets]
    values = np.array([t.value for t in targets])
    sampling = np.array([t.sampling for t in targets])
    shares = np.array([_share(r, discounts.mismatch, discounts.memory) for r in results])
    mismatch = shares * np.array([_size(t, knowledge) for t in targets])
    patients = [(r.endpoint, r.of, r.arm, r.versus, r.stratum) for r in results]
    endpoints = [(r.endpoint, r.of) for r in results]
    total = (1 - discounts.visits) * np.diag(sampling**2 + mismatch**2)
    common = sqrt(discounts.visits)
    loadings = [
        *_by_group(common * sampling, patients),
        *_by_group(common * mismatch * np.where(values < 0, -1.0, 1.0), endpoints),
    ]
    for loading in (*loadings, *_assay(targets, knowledge), _bias(study, targets, knowledge)):
        total += np.outer(loading, loading)
    return np.asarray(total, dtype=np.float64)


def typical_sd(result: Result, knowledge: Knowledge) -> float:
    """What one standard deviation between patients is on the error scale of a symptom result; NaN for others."""
    scale = knowledge.scales.get(result.of)
    maximum = None if scale is None else scale.maximum
    return ENDPOINTS[result.endpoint].sd(maximum, knowledge.discounts.scale_sd)


def subject(result: Result) -> str:
    """What a result is about, such as ``hsCRP from 3``, or ``HAMD17 with HAMD17 at week 6``."""
    text = result.of
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
    if result.stratum is not None:
        parts.append(stratum_text(result.stratum))
    return ", ".join(parts)


def _share(result: Result, grades: Mapping[str, float], memory: float) -> float:
    shares = [grades[f"{kind}.{grade}"] for kind, grade in result.mismatch]
    if result.provenance == "memory":
        shares.append(memory)
    return sqrt(sum(s * s for s in shares))


def _size(target: Target, knowledge: Knowledge) -> float:
    """What a share refers to: the size of the result, but not less than the floor of its endpoint."""
    result = target.result
    if result.endpoint == "sd":  # a logarithm of a spread, whose zero means nothing
        return 1.0
    floor = knowledge.discounts.floor.get(result.endpoint, 0.0)
    if ENDPOINTS[result.endpoint].numbers == "subject":
        scale = knowledge.scales.get(result.of)
        # points of the HAMD-17, or their like on another scale; none for concentrations
        floor = 0.0 if scale is None else floor * scale.maximum / knowledge.scales["HAMD17"].maximum
    return max(abs(target.value), floor)


def _by_group(loading: Array, keys: Sequence[Hashable]) -> list[Array]:
    """One loading for each group of results with the same key."""
    return [np.where([k == key for k in keys], loading, 0.0) for key in dict.fromkeys(keys)]


def _assay(targets: Sequence[Target], knowledge: Knowledge) -> list[Array]:
    """Loadings of the unknown scale of an assay on levels and changes of an analyte, and of its offset on levels."""
    loadings = []
    values = np.array([t.value for t in targets])
    for name in dict.fromkeys(t.result.of for t in targets):
        analyte = knowledge.analytes.get(name)
        if analyte is None or analyte.kind != "laboratory" or not analyte.offset_log_sd:
            continue
        own = np.array([t.result.of == name and t.result.endpoint in ("level", "change") for t in targets])
        level = np.array([t.result.endpoint == "level" and not t.result.versus for t in targets]) & own
        if own.any():
            loadings.append(np.where(own, values * knowledge.discounts.assay_scale, 0.0))
        if level.any():
            loadings.append(np.where(level, float(np.median(values[level])) * analyte.offset_log_sd, 0.0))
    return loadings


def _bias(study: Study, targets: Sequence[Target], knowledge: Knowledge) -> Array:
    """Loading of the study's own bias on its symptom results."""
    if not study.bias:
        return np.zeros(len(targets))
    spread = np.array([typical_sd(t.result, knowledge) for t in targets])
    return np.asarray(knowledge.discounts.bias[study.bias] * np.where(np.isfinite(spread), spread, 0.0))


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
