"""What a prediction must beat: results of the same kind elsewhere, no effect at all, the mean of the drug's class."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from crosstalk.calibrate.covariance import typical_sd
from crosstalk.calibrate.domains import domain_of
from crosstalk.calibrate.heterogeneity import step_in_sd
from crosstalk.calibrate.scores import Prediction
from crosstalk.calibrate.targets import Target, studies_of
from crosstalk.errors import EvidenceError
from crosstalk.evidence.listing import published
from crosstalk.evidence.records import PublishedResult
from crosstalk.evidence.sources import read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.statistics.meta_analysis import random_effects
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.records import Result, Study

__all__ = ["ClassMeans", "TrivialPredictor", "cohort_of", "neutral"]

FEWEST_OTHERS = 2
"""Other studies that the mean and the spread of a kind of result need."""


@dataclass(frozen=True, slots=True)
class _Effect:
    """A standardized effect of one study; negative is better."""

    cohort: str
    time_h: float
    value: float
    error: float


def neutral(result: Result) -> float | None:
    """What a result would be on the scale of its error without any difference or relation; None if nobody can say."""
    return ENDPOINTS[result.endpoint].null(compared=bool(result.versus))


@dataclass(frozen=True, slots=True)
class _Known:
    """A published value on the scale of its error, symptom points as a share of the scale's maximum."""

    cohort: str
    value: float
    keys: tuple[Hashable, Hashable]


class TrivialPredictor:
    """The mean and the standard deviation of results of the same kind in other studies, each study counting once.

    A kind is an endpoint, of an arm or of a difference of arms, in a domain (`crosstalk.calibrate.domains`). Points of
    a symptom scale are shares of its maximum, so that scales stand for each other, and steps of a marker its standard
    deviations; concentrations are compared with the same analyte only. Where fewer than two other studies have the
    kind, the domain is ignored; where that is not enough either, there is no trivial predictor. It knows every study
    that is fitted or held out, except those of the patients that are judged, so it may know more than the model does.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.studies = {s.id: s for role in ("calibrate", "validate") for s in studies_of(role, knowledge)}
        self.known = [
            _Known(cohort_of(study), *self._place(study, result, error_scale(result.endpoint, result.value)))
            for study in self.studies.values()
            for result in study.results
            if result.value is not None and result.figure != "stated"
        ]

    def of(self, study: Study, target: Target) -> tuple[Prediction, str] | None:
        """What other studies let expect, on the scale of the target's error, and what it rests on in words."""
        _, keys = self._place(study, target.result, target.value)
        back, shift = self._unit(target.result)
        for key, words in zip(keys, (f"{{n}} studies, {target.result.endpoint}, same domain",
                                     f"{{n}} studies, {target.result.endpoint}, any domain"), strict=True):  # fmt: skip
            near = [k for k in self.known if k.cohort != cohort_of(study) and key in k.keys]
            sizes = {c: sum(k.cohort == c for k in near) for c in {k.cohort for k in near}}
            if len(sizes) < FEWEST_OTHERS:
                continue
            values, weights = np.array([k.value for k in near]), np.array([1 / sizes[k.cohort] for k in near])
            mean = float(np.average(values, weights=weights))
            spread = sqrt(float(np.average((values - mean) ** 2, weights=weights)) * len(sizes) / (len(sizes) - 1))
            centers = np.array([mean * back + shift])
            return Prediction(centers, float(np.hypot(spread * back, target.sampling))), words.format(n=len(sizes))
        return None

    def _place(self, study: Study, result: Result, value: float) -> tuple[float, tuple[Hashable, Hashable]]:
        """A value in shares of the maximum of its scale, and the kinds it belongs to, the nearest first."""
        factor, shift = self._unit(result)
        own = result.of if _in_units(result) and result.of not in self.knowledge.scales else ""
        kind = (result.endpoint, bool(result.versus), own)
        return (value - shift) / factor, ((domain_of(study, result, self.knowledge), *kind), kind)

    def _unit(self, result: Result) -> tuple[float, float]:
        """Factor and shift from shares of the maximum of a scale, by standard deviation of a marker, to the error's."""
        step = 1.0 if result.marker is None else step_in_sd(result.marker, self.knowledge)
        scale = self.knowledge.scales.get(result.of)
        if scale is None or not _in_units(result):
            return step, 0.0
        logarithm = ENDPOINTS[result.endpoint].scale == "logarithm"
        return (step, log(scale.maximum)) if logarithm else (step * scale.maximum, 0.0)


class ClassMeans:
    """Pooled effects of drug classes on symptoms, from all published results but those that are judged.

    Each cohort gives its last unstratified comparison of a drug with its absence, in standard deviations.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.classes: dict[frozenset[str], dict[str, _Effect]] = {}
        entries, _ = read_entries(study_paths((), knowledge), knowledge)
        for entry in entries:
            if entry.study.role not in ("calibrate", "context"):
                continue
            printed = [r for r in entry.study.results if r.value is not None]
            for row, result in zip(published([entry]), printed, strict=True):
                effect, key = self._effect(row, cohort_of(entry.study)), self._classes(row.drugs)
                if effect is not None and key and result.figure != "stated":
                    own = self.classes.setdefault(key, {})
                    other = own.get(effect.cohort)
                    if other is None or effect.time_h > other.time_h:
                        own[effect.cohort] = effect

    def of(self, study: Study, target: Target, drugs: Iterable[str]) -> tuple[float, float] | None:
        """Mean and standard deviation of what the class's studies let expect, on the scale of the target's error.

        None where the target is no symptom result, or fewer than two studies of the class are known.
        """
        spread = typical_sd(target.result, self.knowledge)
        found = self.classes.get(self._classes(tuple(drugs)), {})
        effects = [e for e in found.values() if e.cohort != cohort_of(study)]
        if not spread > 0 or not target.result.versus or len(effects) < 2:
            return None
        try:
            fit = random_effects([e.value for e in effects], [e.error for e in effects])
        except EvidenceError:  # PyMARE is not installed
            return None
        sign = -1.0 if ENDPOINTS[target.result.endpoint].favours > 0 else 1.0
        return sign * spread * fit.estimate, spread * sqrt(fit.se**2 + fit.tau2)

    def _classes(self, drugs: Iterable[str]) -> frozenset[str]:
        return frozenset(self.knowledge.drug(d).drug_class for d in drugs)

    def _effect(self, row: PublishedResult, cohort: str) -> _Effect | None:
        result = Result(endpoint=row.endpoint, of=row.of, arm=row.arm, versus=row.versus)
        spread = typical_sd(result, self.knowledge)
        far = dict(row.mismatch).get("design") == "far"  # the drug stands for others
        if row.contrast != "drug" or far or row.se is None or row.stratum is not None or not spread > 0:
            return None
        sign = -1.0 if ENDPOINTS[row.endpoint].favours > 0 else 1.0
        value = sign * error_scale(row.endpoint, row.value) / spread
        return _Effect(cohort, row.time_h or 0.0, value, row.se / spread)


def _in_units(result: Result) -> bool:
    """Whether its values are in points or in the unit of an analyte."""
    return ENDPOINTS[result.endpoint].numbers == "subject"


def cohort_of(study: Study) -> str:
    """The patients: the name of the cohort where several files report on it."""
    return study.cohort or study.id
