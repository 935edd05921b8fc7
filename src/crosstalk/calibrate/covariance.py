"""The errors of published results: how far each may be trusted, and which err together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import ENDPOINTS
from crosstalk.study.records import Eligibility, Result, Study

if TYPE_CHECKING:
    from crosstalk.calibrate.targets import Target

__all__ = ["covariance", "joined", "typical_sd"]

Array = NDArray[np.float64]

LEAST_EIGENVALUE = 0.05  # of correlations that are put together pair by pair


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
    patients = [(r.endpoint, r.of, r.arm, r.versus, r.stratum, r.marker, r.event, r.adjust) for r in results]
    endpoints = [(r.endpoint, r.of) for r in results]
    total = (1 - discounts.visits) * np.diag(sampling**2 + mismatch**2)
    common = sqrt(discounts.visits)
    loadings = [
        *_by_group(common * sampling, patients),
        *_by_group(common * mismatch * np.where(values < 0, -1.0, 1.0), endpoints),
    ]
    for loading in (*loadings, *_assay(targets, knowledge), _bias(study, targets, knowledge)):
        total += np.outer(loading, loading)
    return total + _shared(targets, discounts.shared)


def joined(studies: Sequence[Study], targets: Sequence[Target], blocks: Sequence[Array], shared: float) -> Array:
    """Covariance over studies, shape (n, n), from those of each; publications on one cohort err together.

    Parameters
    ----------
    blocks : sequence of array
        One for each study with results, in the order of ``targets``.
    shared : float
        Correlation of the sampling errors of two results that tell the same of the same patients.
    """
    matrix = np.zeros((len(targets), len(targets)))
    at = 0
    for block in blocks:
        matrix[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    cohorts = {s.id: s.cohort for s in studies}
    correlation = np.zeros_like(matrix)
    for i, j in combinations(range(len(targets)), 2):
        first, second = targets[i], targets[j]
        same = cohorts[first.study] and cohorts[first.study] == cohorts[second.study]
        if same and first.study != second.study and _alike(first.result, second.result):
            correlation[i, j] = correlation[j, i] = shared * _orientation(first.result, second.result)
    return matrix + _of_patients(targets, correlation)


def typical_sd(result: Result, knowledge: Knowledge) -> float:
    """What one standard deviation between patients is on the error scale of a symptom result; NaN for others."""
    scale = knowledge.scales.get(result.of)
    span = None if scale is None else scale.span
    return ENDPOINTS[result.endpoint].sd(span, knowledge.discounts.scale_sd)


def _alike(first: Result, second: Result) -> bool:
    """Whether results of two publications on one cohort tell the same."""
    if first.marker is not None and second.marker is not None:
        return first.marker.analyte == second.marker.analyte
    return (first.endpoint, first.of, first.time_h, first.stratum, first.partner) == (
        second.endpoint, second.of, second.time_h, second.stratum, second.partner,
    )  # fmt: skip


def _shared(targets: Sequence[Target], shared: float) -> Array:
    """Covariance of results of one study that carry the same label, beyond what visits have in common."""
    correlation = np.zeros((len(targets), len(targets)))
    for i, j in combinations(range(len(targets)), 2):
        first, second = targets[i].result, targets[j].result
        visits = (first.endpoint, first.of, first.arm, first.versus, first.stratum, first.marker) == (
            second.endpoint, second.of, second.arm, second.versus, second.stratum, second.marker,
        )  # fmt: skip
        if first.shares and first.shares == second.shares and not visits:
            correlation[i, j] = correlation[j, i] = shared * _orientation(first, second)
    return _of_patients(targets, correlation)


def _orientation(first: Result, second: Result) -> float:
    """Sign with which two results of the same patients err together; 0 where they are of different patients.

    An interaction with a marker errs with the effect in the upper stratum and against that in the lower.
    """
    sign = 1.0
    for one, other in ((first, second), (second, first)):
        if one.marker is not None and other.stratum is not None and other.stratum.analyte == one.marker.analyte:
            sign *= float(other.stratum.max is None) - float(other.stratum.min is None)
    if first.stratum is not None and second.stratum is not None and _disjoint(first.stratum, second.stratum):
        return 0.0
    favours = ENDPOINTS[first.endpoint].favours * ENDPOINTS[second.endpoint].favours
    return sign * (favours or 1)


def _disjoint(first: Eligibility, second: Eligibility) -> bool:
    if first.analyte != second.analyte:
        return False
    low = max(x for x in (first.min, second.min, -np.inf) if x is not None)
    high = min(x for x in (first.max, second.max, np.inf) if x is not None)
    return low >= high


def _of_patients(targets: Sequence[Target], correlation: Array) -> Array:
    """Covariance of sampling errors from correlations, drawn together until it is proper."""
    least = float(np.linalg.eigvalsh(correlation + np.eye(len(correlation)))[0]) if len(correlation) else 1.0
    if least < LEAST_EIGENVALUE:
        correlation = correlation * (1 - LEAST_EIGENVALUE) / (1 - least)
    sampling = np.array([t.sampling for t in targets])
    return np.asarray(correlation * np.outer(sampling, sampling))


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
        floor = 0.0 if scale is None else floor * scale.span / knowledge.scales["HAMD17"].span
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
