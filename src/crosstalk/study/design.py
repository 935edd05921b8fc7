"""Typed records of a trial of one's own: whom to randomise, how it is conducted, how it is analysed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from crosstalk.study.methods import analysis_method
from crosstalk.study.records import Eligibility

__all__ = [
    "Analysis",
    "Assumed",
    "Conduct",
    "Costs",
    "Crossover",
    "Design",
    "DesignKind",
    "Interim",
    "LeadIn",
    "Stratum",
]

DesignKind = Literal["parallel", "stratified", "enrichment", "match", "adaptive-enrichment", "crossover"]
Estimand = Literal["treatment-policy", "hypothetical"]
Part = Literal["all", "positive", "negative"]


@dataclass(frozen=True, slots=True)
class Stratum:
    """A factor of stratified randomisation: a baseline value cut at some points (sex: at 0.5)."""

    analyte: str
    cuts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LeadIn:
    """A placebo lead-in: its length, and the relative improvement from which a patient is not randomised."""

    duration_h: float
    exclude_improved: float


@dataclass(frozen=True, slots=True)
class Crossover:
    """Two periods with a washout between them; the first arm then the second, or the other way round."""

    period_h: float
    washout_h: float


@dataclass(frozen=True, slots=True)
class Conduct:
    """How the trial goes in reality.

    Attributes
    ----------
    visit_window_h : float [h]
        A visit falls uniformly within this distance of its day.
    missed_visits : float
        Chance that a patient who is still in the trial misses a visit after baseline.
    nonadherence : float
        Share of randomised patients who stop the drug at a uniform time although they stay; the drug's effect then
        fades.
    dropout : float
        Share of the control arm that leaves before the end.
    unimproved : float
        Hazard ratio of leaving for those who have improved by less than a fifth at the last visit seen.
    side_effects : mapping of str to float
        Hazard ratio of leaving by arm, for what its drug is tolerated like.
    followed_up : float
        Share of those who leave treatment that still come to visits, off the drug.
    """

    visit_window_h: float = 0.0
    missed_visits: float = 0.0
    nonadherence: float = 0.0
    dropout: float = 0.0
    unimproved: float = 1.0
    side_effects: Mapping[str, float] = field(default_factory=dict)
    followed_up: float = 0.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis of a finished trial.

    ``method`` is a key of `crosstalk.study.methods.METHODS`. ``part`` restricts an analysis to the marker-positive or
    -negative. ``estimand`` says what is done with scores after the drug was stopped: used (treatment policy), or set
    missing (hypothetical: as if it had not been stopped). ``nonresponder`` counts who has no score as not improved.
    Multiplicity is over the confirmatory analyses alone.
    """

    id: str
    method: str
    of: str
    time_h: float
    arm: str
    versus: str
    alpha: float = 0.05
    part: Part = "all"
    covariates: tuple[str, ...] = ()
    estimand: Estimand = "treatment-policy"
    nonresponder: bool = True
    confirmatory: bool = True

    @property
    def strategy(self) -> str:
        """The estimand in the words of ICH E9 (R1)."""
        if analysis_method(self.method).responders and self.nonresponder:
            return "composite: who has no score counts as not improved"
        if self.estimand == "hypothetical":
            return "hypothetical: had nobody stopped the drug"
        return "treatment policy: whatever happened after randomisation"


@dataclass(frozen=True, slots=True)
class Interim:
    """Looks at the primary analysis before the end.

    ``information`` are shares of the patients that have finished at each look, the last one 1. ``futility`` is the
    conditional power among the marker-negative below which an adaptive enrichment stops enrolling them.
    """

    information: tuple[float, ...]
    boundary: Literal["obrien-fleming", "pocock", "spending-obrien-fleming", "spending-pocock"]
    futility: float = 0.2


@dataclass(frozen=True, slots=True)
class Costs:
    """Unit costs: of screening a candidate, of a randomised patient, of one visit that takes place."""

    screening: float = 0.0
    patient: float = 0.0
    visit: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a trialist assumes himself, beside what the model says.

    Attributes
    ----------
    effect : float
        Arm less control of the primary analysis: points (below 0 is better), or a difference of rates.
    sd : float, optional [points]
        Of the residual of the change, in each arm; ``control_rate`` where rates are compared.
    interaction : float, optional [points]
        Effect in the marker-positive less that in the others, of whom ``positive_share`` are positive.
    margin : float, optional
        Loss that non-inferiority must leave out, in points or as a difference of rates; above 0.
    dropout : float, optional
        Share without a score at the end; that of the conduct by default.
    futility : str, optional
        Function that spends beta at the looks, not binding.
    power : float, optional
        Wanted; where the number of patients is not given it is solved for.
    per_month : float, optional
        Patients randomised in a month.
    """

    effect: float
    sd: float | None = None
    control_rate: float | None = None
    interaction: float | None = None
    positive_share: float | None = None
    margin: float | None = None
    dropout: float | None = None
    futility: Literal["obrien-fleming", "pocock"] | None = None
    power: float | None = None
    per_month: float | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """A trial to be simulated.

    Attributes
    ----------
    n : int
        Patients randomised in all; 0 until `crosstalk.trial.assumed.sized` has solved for it.
    control : str
        The arm that others are compared with.
    allocation : mapping of str to float
        Share of each arm; for ``match`` of the strategies ``matched`` and ``mismatched``, for ``crossover`` of the two
        sequences.
    block : int
        Size of the permuted blocks within a stratum of randomisation.
    marker : Eligibility, optional
        Marker-positive: within its limits, as measured at screening.
    measurements : int
        Measurements of the marker at screening, in different weeks, of which the geometric mean counts.
    match : (str, str), optional
        The arm for marker-positive patients and the one for the others.
    multiplicity : str
        How the confirmatory analyses are adjusted for their number.
    """

    kind: DesignKind
    n: int
    control: str
    allocation: Mapping[str, float]
    block: int
    strata: tuple[Stratum, ...]
    analyses: tuple[Analysis, ...]
    conduct: Conduct = Conduct()
    marker: Eligibility | None = None
    measurements: int = 1
    match: tuple[str, str] | None = None
    lead_in: LeadIn | None = None
    crossover: Crossover | None = None
    interim: Interim | None = None
    multiplicity: Literal["none", "bonferroni", "holm", "hochberg", "fixed", "closed"] = "none"
    costs: Costs = Costs()
    assumed: Assumed | None = None

    @property
    def primary(self) -> Analysis:
        """The first analysis."""
        return self.analyses[0]
