"""Typed records of a study: population, arms, doses, results. One schema for challenge, trial and published study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from crosstalk.knowledge.records import Distribution, Dose

if TYPE_CHECKING:
    from crosstalk.study.design import Design

__all__ = [
    "Arm",
    "Eligibility",
    "Endpoint",
    "Event",
    "Figure",
    "Marker",
    "Per",
    "Population",
    "Result",
    "Share",
    "Study",
]

Endpoint = str
"""A key of `crosstalk.study.endpoints.ENDPOINTS`."""

Per = Literal["unit", "ln", "log2", "log10", "sd", "sd-ln", "stratum"]
"""Step of a marker: its unit, a step of its logarithm, a standard deviation of it or of its logarithm, two strata."""

Event = Literal["response", "remission", ""]
Figure = Literal["printed", "stated", "computed"]


@dataclass(frozen=True, slots=True)
class Eligibility:
    """A filter on what would be measured at baseline: ``min <= value < max``; ``None`` bounds are open.

    A study that was read from a file has the limits and ``unit`` in the analyte's own unit.
    """

    analyte: str
    unit: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """A baseline value by whose steps an effect is told.

    ``min`` and ``max`` belong to strata: at or above ``min`` against below ``max`` (below ``min`` if there is none).
    ``step`` and the limits are in ``unit``, the analyte's own.
    """

    analyte: str
    per: Per
    unit: str = ""
    step: float = 1.0
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Population:
    """Who is studied.

    ``distributions`` override those of the diagnosis (age, BMI, ...); ``n`` is the published size,
    ``dropout`` the share that leaves before the end, at a constant hazard.
    """

    diagnosis: str
    distributions: dict[str, Distribution]
    severity: Distribution | None
    severity_scale: str
    eligible: tuple[Eligibility, ...] = ()
    background: tuple[Dose, ...] = ()
    failed_steps: int = 0
    n: int | None = None
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """A part of an arm that pools several treatments: its share of the patients and what they get."""

    share: float
    doses: tuple[Dose, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its doses (none: placebo) and, where published, its size.

    ``mixture`` stands in place of ``doses`` where the arm pools several treatments: each patient gets one of them.
    ``diagnosis`` is given where its people are of another population than the study's (patients against controls),
    ``dropout`` where it is not that of the population.
    """

    id: str
    doses: tuple[Dose, ...]
    n: int | None = None
    blinded: bool = True
    diagnosis: str = ""
    dropout: float | None = None
    mixture: tuple[Share, ...] = ()

    @property
    def all_doses(self) -> tuple[Dose, ...]:
        """The doses of the arm, and those of every part of a mixture."""
        return (*self.doses, *(dose for part in self.mixture for dose in part.doses))


@dataclass(frozen=True, slots=True)
class Result:
    """One published result, or one endpoint to compute in a design.

    ``of`` is a scale, an analyte or a variable of the model; ``partner`` is the second one of a correlation, or the
    scale that defines responders, and ``partner_h`` the time of the partner of a correlation of levels. ``threshold``
    is the value that counts for an incidence, a prevalence or the odds of an analyte. ``value`` and ``unit`` are in the
    endpoint's own unit: points, the analyte's unit, a fraction, hours, or dimensionless. ``se`` is the standard error
    of ``value`` on the scale of its error (`crosstalk.study.endpoints.error_scale`), ``se_source`` says where it comes
    from if not from ``source``. ``marker``, ``event`` and ``adjust`` belong to results on moderation. ``shares`` is a
    label of results that are of the same patients and partly the same information. ``figure`` says whether the number
    is ``printed`` in the publication, only ``stated`` there in words (no difference), or ``computed`` here from data.
    """

    endpoint: Endpoint
    of: str
    arm: str
    versus: str = ""
    time_h: float | None = None
    stratum: Eligibility | None = None
    value: float | None = None
    unit: str = ""
    se: float | None = None
    source: str = ""
    provenance: Literal["seen", "memory", ""] = ""
    mismatch: tuple[tuple[str, str], ...] = ()
    partner: str = ""
    threshold: float | None = None
    se_source: str = ""
    partner_h: float | None = None
    marker: Marker | None = None
    event: Event = ""
    adjust: tuple[str, ...] = ()
    shares: str = ""
    figure: Figure = "printed"

    @property
    def measured(self) -> tuple[str, ...]:
        """Analytes at enrolment that the result selects by, or regresses on."""
        selected = (self.stratum.analyte,) if self.stratum is not None else ()
        regressed = (self.marker.analyte,) if self.marker is not None else ()
        return (*selected, *regressed, *self.adjust)


@dataclass(frozen=True, slots=True)
class Study:
    """A study as read from one TOML file.

    ``pubmed`` is the number of the publication in PubMed or PubMed Central, ``url`` the documentation of public data
    that the results were computed from.
    ``bias`` names a term of ``evidence.toml`` that widens the error of its results; ``missing`` says what the
    publication did with those who left: only observed values, or the last one carried forward. ``cohort`` names the
    trial where several publications report on the same patients. ``trial`` is given for a design of one's own that is
    to be randomised.
    """

    id: str
    title: str
    doi: str
    role: Literal["calibrate", "validate", "context", "design"]
    population: Population
    arms: tuple[Arm, ...]
    results: tuple[Result, ...]
    duration_h: float
    output_times_h: tuple[float, ...]
    outputs: tuple[str, ...]
    bias: str = ""
    missing: Literal["observed", "locf"] = "observed"
    pubmed: str = ""
    url: str = ""
    cohort: str = ""
    # not shown, so that published studies look the same to the hash of the evidence
    trial: Design | None = field(default=None, repr=False)
