"""Typed results of the twin: an assessment and a forecast of one patient. Their fields are the JSON's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from crosstalk.panel.records import Censoring
from crosstalk.results import Reported

__all__ = [
    "Applicability",
    "Assessment",
    "Change",
    "EarlyUpdate",
    "Forecast",
    "Interval",
    "MechanismScore",
    "MonteCarlo",
    "NextAssay",
    "Outlook",
    "Probability",
    "ProfileItem",
    "Provenance",
    "PublishedEffect",
    "Reference",
    "RegimenForecast",
    "Rest",
    "SeenScore",
    "Surprise",
    "Trajectory",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean and 90 % interval (5th to 95th percentile)."""

    mean: float
    lo90: float
    hi90: float


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference range that a value was held against."""

    median: float
    p2_5: float
    p97_5: float
    assay: str
    specimen: str
    doi: str
    place: str


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """One line of the panel. ``position`` is ``unknown`` where no reference range fits the assay.

    ``use`` tells what the twin did with it: ``fitted`` (compared with the model's prediction), ``covariate`` (fixes a
    covariate), ``score`` (the baseline score), ``related`` (tells of an unknown by a published correlation),
    ``history`` (earlier failures), ``failed`` (quality control failed it), ``shown`` (not used).
    ``stratum`` is the clinical one, such as ``3 to 10 mg/L: raised`` for CRP, empty where there is none or it cannot be
    told. ``predicted`` is the posterior prediction. ``upper`` ends an interval-censored value. ``percentile_lo90 ..
    percentile_hi90`` holds the sampling error of the reference.
    """

    analyte: str
    name: str
    value: float
    unit: str
    censored: Censoring
    given: str
    position: Literal["below", "within", "above", "unknown"]
    percentile: float | None
    reference: Reference | None
    use: Literal["fitted", "covariate", "score", "related", "history", "failed", "shown"]
    predicted: Interval | None
    note: str = ""
    upper: float | None = None
    percentile_lo90: float | None = None
    percentile_hi90: float | None = None
    stratum: str = ""


@dataclass(frozen=True, slots=True)
class MechanismScore:
    """One of the five mechanism scores, with its distribution in the virtual population for comparison.

    ``contraction`` is 1 - var(posterior) / var(population): 0 where nothing is told about it. ``told_by_covariates`` is
    what age, BMI, height and questionnaires alone take away, ``told_by_panel`` what laboratory values take away beyond
    that; both are parts of it, and the rest is the population's. ``by_covariates`` is the score without laboratory
    values.
    """

    id: str
    name: str
    unit: str
    mean: float
    lo90: float
    hi90: float
    healthy: float
    population: Interval
    contraction: float
    reading: str
    told_by_panel: float = 0.0
    told_by_covariates: float = 0.0
    by_covariates: Interval | None = None


@dataclass(frozen=True, slots=True)
class Surprise:
    """How far one measured value lies from the virtual population (two-sided tail probability)."""

    analyte: str
    tail_probability: float


@dataclass(frozen=True, slots=True)
class Applicability:
    """How far the patient lies from the virtual patients that the model knows."""

    level: Literal["inside", "edge", "outside"]
    effective_sample: float
    virtual_patients: int
    surprises: tuple[Surprise, ...]
    missing: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Course of a scale (points, as a rater would score) or of a symptom dimension (fraction 0 to 1)."""

    variable: str
    unit: str
    week: tuple[float, ...]
    mean: tuple[float, ...]
    lo90: tuple[float, ...]
    hi90: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Change of a scale from baseline [points]; negative is improvement. ``error`` is the mean's Monte-Carlo error."""

    scale: str
    week: float
    mean: float
    lo90: float
    hi90: float
    error: float


@dataclass(frozen=True, slots=True)
class Probability:
    """Probability of an outcome by a week; the interval is the uncertainty of knowledge, not of chance.

    ``error`` is the Monte-Carlo error of the mean, ``width_error`` that of the interval's width as a share of it.
    """

    week: float
    mean: float
    lo90: float
    hi90: float
    error: float
    width_error: float


@dataclass(frozen=True, slots=True)
class Rest:
    """A published result that a regimen's place rests on."""

    kind: str
    doi: str
    place: str


@dataclass(frozen=True, slots=True)
class PublishedEffect:
    """What trials showed of a regimen against the reference, beside the model's number.

    ``mean`` (``lo95`` to ``hi95``) is in points of the scale of the forecast, made of ``smd``, the same in standard
    deviations of the score. ``stratum`` is that of the patients, empty for whole samples; ``diagnoses`` are theirs.
    ``n`` is the number of patients, none where a publication does not give it; ``k`` that of cohorts. ``studies`` are
    ids, with DOI and role in the model.
    """

    comparison: str
    stratum: str
    diagnoses: tuple[str, ...]
    k: int
    n: int | None
    mean: float
    lo95: float
    hi95: float
    smd: float
    studies: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class RegimenForecast:
    """Forecast under one regimen. ``versus_reference``: difference in change [points], paired in virtual patients.

    ``published`` is what trials showed, the stratum that holds this patient first.
    """

    id: str
    name: str
    trajectory: tuple[Trajectory, ...]
    change: Change
    response: Probability
    remission: Probability
    versus_reference: Interval
    p_best: float
    verdict: str
    rests_on: tuple[Rest, ...]
    failed_patients: int = 0
    published: tuple[PublishedEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class SeenScore:
    """A score of the first weeks, what was expected, and how rarely a score is as far out (two-sided)."""

    week: float
    score: float
    expected: Interval
    tail_probability: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """End of the course under one regimen, as a rater would record it: fluctuation and rater's error included."""

    change: Change
    response: Probability
    remission: Probability


@dataclass(frozen=True, slots=True)
class EarlyUpdate:
    """What early scores under the regimen ``on`` changed.

    ``effective_sample`` of the ``candidates`` before, an effective sample too, is left by the weights.
    """

    on: str
    seen: tuple[SeenScore, ...]
    candidates: float
    effective_sample: float
    before: Outlook
    after: Outlook


@dataclass(frozen=True, slots=True)
class NextAssay:
    """Expected share by which one more assay reduces the variance of the benefit between the two best regimens."""

    analyte: str
    name: str
    variance_reduction: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a result was made with; ``worlds`` says where the values of the unknowns come from.

    ``posterior_draws`` counts those of the ``virtual_patients`` who have a valid baseline and are weighed.
    """

    crosstalk: str
    model_sha256: str
    knowledge_sha256: str
    input_sha256: str
    engine: str
    calibrated: bool
    virtual_patients: int
    posterior_draws: int
    knowledge_draws: int
    worlds: str


@dataclass(frozen=True, slots=True, repr=False)
class Assessment(Reported):
    """A panel read against references, and the mechanism scores that it implies.

    ``unused`` says what was given and not used, and what stands in its place.
    """

    patient: str
    seed: int
    profile: tuple[ProfileItem, ...]
    mechanisms: tuple[MechanismScore, ...]
    applicability: Applicability
    notes: tuple[str, ...]
    provenance: Provenance
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """What a forecast owes to finitely many virtual patients: SD over seeds, of the least certain regimen.

    ``response`` is of the probability, ``change`` in points, ``width`` of the interval of a probability, as a share of
    it. ``effective_sample`` is that of all weights, baseline and early scores included.
    """

    effective_sample: float
    worlds: int
    response: float
    change: float
    width: float


@dataclass(frozen=True, slots=True, repr=False)
class Forecast(Reported):
    """Forecast of every regimen for one patient; ``update`` where early scores were given."""

    patient: str
    seed: int
    profile: tuple[ProfileItem, ...]
    mechanisms: tuple[MechanismScore, ...]
    applicability: Applicability
    scale: str
    baseline: Interval
    reference: str
    regimens: tuple[RegimenForecast, ...]
    next_assay: tuple[NextAssay, ...]
    conclusion: str
    notes: tuple[str, ...]
    monte_carlo: MonteCarlo
    provenance: Provenance
    update: EarlyUpdate | None = None
    unused: tuple[str, ...] = ()

    def rows(self) -> Iterator[dict[str, str | float]]:
        """One row per regimen, the best mean first: change [points], chances, difference to the reference [points]."""
        for r in sorted(self.regimens, key=lambda r: r.versus_reference.mean):
            row: dict[str, str | float] = {
                "patient": self.patient, "regimen": r.id, "name": r.name, "reference": r.id == self.reference,
                "scale": self.scale, "week": r.change.week, "baseline": self.baseline.mean,
            }  # fmt: skip
            for name, part in (
                ("change", r.change), ("response", r.response), ("remission", r.remission),
                ("difference", r.versus_reference),
            ):  # fmt: skip
                row |= {name: part.mean, f"{name}_lo90": part.lo90, f"{name}_hi90": part.hi90}
            yield {**row, "p_best": r.p_best, "verdict": r.verdict, "applicability": self.applicability.level}
