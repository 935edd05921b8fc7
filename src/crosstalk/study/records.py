"""Typed records of a study: population, arms, doses, results. One schema for challenge, trial and published study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from crosstalk.knowledge.records import Distribution, Dose

if TYPE_CHECKING:
    from crosstalk.study.design import Design

__all__ = ["Arm", "Eligibility", "Endpoint", "Population", "Result", "Study"]

Endpoint = Literal[
    "level",
    "change",
    "ratio",
    "response",
    "remission",
    "incidence",
    "prevalence",
    "sd",
    "smd",
    "responder-smd",
    "odds-ratio",
    "time-of-peak",
    "correlation",
]


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
class Arm:
    """One arm: its doses (none: placebo) and, where published, its size.

    ``diagnosis`` is given where its people are of another population than the study's (patients against controls),
    ``dropout`` where it is not that of the population.
    """

    id: str
    doses: tuple[Dose, ...]
    n: int | None = None
    blinded: bool = True
    diagnosis: str = ""
    dropout: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One published result, or one endpoint to compute in a design.

    ``of`` is a scale, an analyte or a variable of the model; ``partner`` is the second one of a correlation, or the
    scale that defines responders, and ``partner_h`` the time of the partner of a correlation of levels. ``threshold``
    is the value that counts for an incidence, a prevalence or the odds of an analyte. ``value`` and ``unit`` are in the
    endpoint's own unit: points, the analyte's unit, a fraction (response, remission, incidence, prevalence), hours
    (time-of-peak), or dimensionless. ``se`` is the standard error of ``value``, except for ``ratio``, ``odds-ratio``
    and ``sd`` (of the logarithm) and ``correlation`` (of Fisher's z), see `crosstalk.study.endpoints.error_scale`.
    ``se_source`` says where it comes from if not from ``source``.
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
    figure: Literal["printed", "stated", "computed"] = "printed"
    mismatch: tuple[tuple[str, str], ...] = ()
    partner: str = ""
    threshold: float | None = None
    se_source: str = ""
    partner_h: float | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """A study as read from one TOML file.

    ``pubmed`` is the number of the publication in PubMed or PubMed Central, ``url`` the documentation of public data
    that the results were computed from.
    ``bias`` names a term of ``evidence.toml`` that widens the error of its results; ``missing`` says what the
    publication did with those who left: only observed values, or the last one carried forward. ``trial`` is given for a
    design of one's own that is to be randomised.
    """

    id: str
    title: str
    doi: str
    role: Literal["calibrate", "validate", "conflict", "context", "design"]
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
    # not shown, so that published studies look the same to the hash of the evidence
    trial: Design | None = field(default=None, repr=False)
