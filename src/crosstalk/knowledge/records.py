"""Typed records of what is known: parameters, drugs, regimens, analytes, scales, populations.

Values only. `crosstalk.knowledge.loader` makes them from the files of this folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Analyte",
    "Combination",
    "Correlation",
    "Diagnosis",
    "Distribution",
    "Dose",
    "Drug",
    "Kind",
    "MechanismDefinition",
    "Parameter",
    "Quantity",
    "ReferenceRange",
    "Regimen",
    "Role",
    "Scale",
    "Slot",
    "Source",
    "Target",
]

Kind = Literal["measured", "derived", "fitted", "assumed"]
Role = Literal["fixed", "population", "individual"]
Combination = Literal["inhibit", "amplify", "bind", "add"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from.

    ``kind`` is ``assumed`` where nobody measured it; ``doi`` is then empty. ``place`` names the table, page or
    record, or the reasoning.
    """

    kind: Kind
    place: str
    doi: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, its spread between people (standard deviation of the logarithm) and its source."""

    value: float
    unit: str
    source: Source
    log_sd: float = 0.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One constant of the mechanism (a row of ``parameters.tsv``)."""

    id: str
    module: str
    value: float
    unit: str
    lower: float
    upper: float
    prior: str
    role: Role
    meaning: str
    source: Source


@dataclass(frozen=True, slots=True)
class Slot:
    """A point of the mechanism on which drugs act; how several drugs combine there.

    ``inhibit``: remaining activity ``prod(1 - I)``; ``amplify``: gain ``prod(1 + E)``; ``bind``: dilution of the free
    ligand ``1 + sum(C / Kd)``; ``add``: sum of signals. The model variable carries the slot's id and equals 1
    (``add``: 0) without drugs.
    """

    id: str
    combine: Combination
    meaning: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a drug does at one slot: ``maximum * C^hill / (half^hill + C^hill)``, or ``C / half`` where it binds."""

    slot: str
    half: Quantity
    maximum: Quantity | None = None
    hill: Literal[1, 2, 4] = 1


@dataclass(frozen=True, slots=True)
class Dose:
    """Doses of one drug in one arm: at ``weeks`` (single doses) or every ``every_h`` hours between two weeks."""

    drug: str
    amount: float
    unit: str
    route: str
    weeks: tuple[float, ...] = ()
    every_h: float | None = None
    start_week: float = 0.0
    stop_week: float | None = None


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug: pharmacokinetics, targets, usual dose, sources.

    ``pk`` maps a key (``clearance``, ``volume``, ``peripheral_clearance``, ``peripheral_volume``, ``vmax``, ``km``,
    ``absorption_half_life``, ``effect_half_life``) to its quantity; ``bioavailability`` is by route.
    ``into_state`` names the state of the mechanism that takes the dose directly (a challenge); ``pk`` is then empty.
    """

    id: str
    name: str
    drug_class: str
    amount_unit: str
    concentration_unit: str
    routes: tuple[str, ...]
    pk: Mapping[str, Quantity]
    bioavailability: Mapping[str, Quantity]
    targets: tuple[Target, ...]
    usual: Dose
    usual_source: Source
    into_state: str = ""
    antidepressant: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Regimen:
    """A named treatment that a forecast compares; ``evidence`` lists the published results it rests on."""

    id: str
    name: str
    doses: tuple[Dose, ...]
    evidence: tuple[Source, ...]
    reference: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceRange:
    """Distribution of one analyte in health: percentiles, in the unit of the analyte.

    Valid for one assay family, specimen, sex, age band and BMI band, each [from, below). ``p25`` and ``p75`` are empty
    where the source gives none. ``n`` people are behind it; ``n_effective`` is the size of a simple random sample that
    would be as precise, where a survey's design is known, and ``median_se`` the standard error of the median.
    """

    assay: str
    specimen: str
    median: float
    p2_5: float
    p97_5: float
    source: Source
    n: int | None = None
    sex: Literal["any", "female", "male"] = "any"
    age: tuple[float, float] = (18.0, 120.0)
    bmi: tuple[float, float] = (0.0, 100.0)
    p25: float | None = None
    p75: float | None = None
    median_se: float | None = None
    n_effective: float | None = None


@dataclass(frozen=True, slots=True)
class Analyte:
    """Something a panel may hold: a laboratory value, a covariate, or a score.

    ``kind`` is ``laboratory`` (numeric with unit), ``covariate`` (age, sex, BMI, ...) or ``scale`` (see `Scale`).
    ``observable`` names the model variable that predicts it, ``covariate`` the individual parameter or covariate it
    fixes; both may be empty: the value is then shown against its reference and not used by the twin.
    ``assay_cv`` is the analytical coefficient of variation, ``within_cv`` the biological variation from week to week,
    ``offset_log_sd`` the spread between assays and laboratories (log scale).
    """

    id: str
    name: str
    kind: Literal["laboratory", "covariate", "scale"]
    unit: str
    aliases: tuple[str, ...]
    loinc: tuple[str, ...]
    specimen: str
    observable: str
    covariate: str
    assay_cv: float
    within_cv: float
    offset_log_sd: float
    lod: float | None
    plausible: tuple[float, float]
    molar_mass: float | None
    units_by_rule: Mapping[str, float | tuple[float, float]]
    references: tuple[ReferenceRange, ...]
    source: Source
    cost_rank: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """A symptom scale.

    ``neurovegetative`` and ``mood_cognitive`` are the points of its items by dimension. The score is read from
    ``equivalents``, pairs of (score of the anchor, score), at an index in points of the anchor: the sum of the two
    symptom dimensions (fractions 0 to 1) by ``weights``. For the anchor itself the index is the score. ``span`` is the
    range of the anchor in points of this scale, at the rate of exchange between mild and severe states: what disturbs a
    score, such as its fluctuation, is a share of it.
    """

    id: str
    name: str
    maximum: float
    neurovegetative: float
    mood_cognitive: float
    rater_sd: float
    response_fraction: float
    remission_max: float
    source: Source
    aliases: tuple[str, ...] = ()
    integer: bool = True
    weights: tuple[float, float] = (0.0, 0.0)
    equivalents: tuple[tuple[float, float], ...] = ()
    span: float = 0.0

    def __post_init__(self) -> None:
        if not self.equivalents:  # an anchor of its own
            object.__setattr__(self, "weights", (self.neurovegetative, self.mood_cognitive))
            object.__setattr__(self, "equivalents", ((0.0, 0.0), (self.maximum, self.maximum)))
            object.__setattr__(self, "span", self.maximum)


@dataclass(frozen=True, slots=True)
class MechanismDefinition:
    """A mechanism score: the model variable that gives it (1 in health) and how to read a low, usual or high value."""

    id: str
    name: str
    output: str
    unit: str
    low: str
    within: str
    high: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """How one individual parameter or covariate varies between people.

    ``family``: ``normal``, ``lognormal`` (``center`` is the median, ``spread`` the log-SD), ``shifted-lognormal``
    (``shift + lognormal``), ``uniform`` (``lower``, ``upper``), ``bernoulli`` (``center`` is the probability).
    Draws are cut to ``lower .. upper``. Where the center or the spread is uncertain, ``center_log_sd`` and
    ``spread_log_sd`` are the log-SD of a factor on it; ``owner`` is the population that defines the entry.
    """

    id: str
    family: Literal["normal", "lognormal", "shifted-lognormal", "uniform", "bernoulli"]
    center: float
    spread: float
    lower: float
    upper: float
    source: Source
    shift: float = 0.0
    unit: str = "dimensionless"
    covariate: bool = False
    center_log_sd: float = 0.0
    spread_log_sd: float = 0.0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Discounts:
    """What widens the error of a published result before the model is fitted to it.

    ``mismatch`` maps a grade such as ``indication.near`` to a share of the result's size that is added to its standard
    error in quadrature, ``memory`` is the share for a figure that nobody looked up. ``bias`` maps the name of a
    study-bias term to its standard deviation in standardized units. ``visits`` is the correlation of errors of results
    of the same patients at different times, ``shared`` that of two results that tell partly the same of them;
    ``heterogeneity`` by domain the scale of the prior of the standard deviation between studies, in standard deviations
    between patients; ``marker_sd`` and ``marker_log_sd`` the usual standard deviation of a marker and of its logarithm
    among patients; ``drug_effect`` the SD of an assumed effect of a drug, as a share of it; ``half_effect`` the log-SD
    of an assumed half-effect; ``assay_scale`` the log-SD of a laboratory's scale on rises well above its limit;
    ``scale_sd`` the usual standard deviation of a symptom score or its change, as a share of the scale; ``floor`` by
    endpoint the smallest size of a result that a share refers to; ``between_trials`` the standard deviation between
    trials of a response or an effect, on the scale of its unit.
    """

    mismatch: Mapping[str, float]
    memory: float
    bias: Mapping[str, float]
    visits: float
    shared: float
    heterogeneity: Mapping[str, float]
    marker_sd: Mapping[str, float]
    marker_log_sd: Mapping[str, float]
    drug_effect: float
    half_effect: float
    assay_scale: float
    scale_sd: float
    floor: Mapping[str, float]
    between_trials: Mapping[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Correlation of the underlying normal scores of two entries of a population."""

    first: str
    second: str
    value: float
    source: Source


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A population: distributions by parameter or covariate, their correlations, and the baseline score.

    ``constants`` hold for all its patients; ``enrolment`` are parameters that change when they enter a study.
    """

    id: str
    name: str
    distributions: Mapping[str, Distribution]
    correlations: tuple[Correlation, ...] = ()
    scale: str = ""
    severity: Distribution | None = None
    constants: Mapping[str, float] = field(default_factory=dict)
    enrolment: Mapping[str, float] = field(default_factory=dict)
