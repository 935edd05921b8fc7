"""What a prediction must beat: no effect at all, and the pooled mean of the drug's class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

from crosstalk.calibrate.covariance import typical_sd
from crosstalk.calibrate.targets import Target
from crosstalk.errors import EvidenceError
from crosstalk.evidence.listing import published
from crosstalk.evidence.pooling import random_effects
from crosstalk.evidence.records import PublishedResult
from crosstalk.evidence.sources import read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.records import Result

__all__ = ["ClassMeans", "neutral"]


@dataclass(frozen=True, slots=True)
class _Effect:
    """A standardized effect of one study; negative is better."""

    study: str
    time_h: float
    value: float
    error: float


def neutral(result: Result) -> float | None:
    """What a result would be on the scale of its error without any difference or relation; None if nobody can say."""
    return ENDPOINTS[result.endpoint].null(compared=bool(result.versus))


class ClassMeans:
    """Pooled effects of drug classes on symptoms, from all published results but those that are judged.

    Each study gives its last unstratified comparison of a drug with its absence, in standard deviations.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self.classes: dict[frozenset[str], dict[str, _Effect]] = {}
        for row in _rows(knowledge):
            effect, key = self._effect(row), self._classes(row.drugs)
            if effect is not None and key:
                own = self.classes.setdefault(key, {})
                other = own.get(row.study)
                if other is None or effect.time_h > other.time_h:
                    own[row.study] = effect

    def of(self, target: Target, drugs: Iterable[str]) -> tuple[float, float] | None:
        """Mean and standard deviation of what the class's studies let expect, on the scale of the target's error.

        None where the target is no symptom result, or fewer than two studies of the class are known.
        """
        spread = typical_sd(target.result, self.knowledge)
        found = self.classes.get(self._classes(tuple(drugs)), {})
        effects = [e for e in found.values() if e.study != target.study]
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

    def _effect(self, row: PublishedResult) -> _Effect | None:
        result = Result(endpoint=row.endpoint, of=row.of, arm=row.arm, versus=row.versus)
        spread = typical_sd(result, self.knowledge)
        far = dict(row.mismatch).get("design") == "far"  # the drug stands for others
        if row.contrast != "drug" or far or row.se is None or row.stratum is not None or not spread > 0:
            return None
        sign = -1.0 if ENDPOINTS[row.endpoint].favours > 0 else 1.0
        value = sign * error_scale(row.endpoint, row.value) / spread
        return _Effect(row.study, row.time_h or 0.0, value, row.se / spread)


def _rows(knowledge: Knowledge) -> list[PublishedResult]:
    entries, _ = read_entries(study_paths((), knowledge), knowledge)
    return [row for row in published(entries) if row.role in ("calibrate", "context")]
