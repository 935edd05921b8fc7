"""Typed records of a study: population, arms, doses, results. One schema for challenge, trial and published study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crosstalk.knowledge.records import Distribution, Dose

__all__ = ["Arm", "Eligibility", "Endpoint", "Population", "Result", "Study"]

Endpoint = Literal[
    "level",
    "change",
    "ratio",
    "response",
    "remission",
    "incidence",
    "smd",
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

    ``distributions`` override those of the diagnosis (age, BMI, ...); ``n`` is the published size.
    """

    diagnosis: str
    distributions: dict[str, Distribution]
    severity: Distribution | None
    severity_scale: str
    eligible: tuple[Eligibility, ...] = ()
    background: tuple[Dose, ...] = ()
    failed_steps: int = 0
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its doses (none: placebo) and, where published, its size."""

    id: str
    doses: tuple[Dose, ...]
    n: int | None = None
    blinded: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """One published result, or one endpoint to compute in a design.

    ``of`` is a scale, an analyte or a variable of the model; ``partner`` is the second one of a correlation.
    ``value`` and ``unit`` are in the endpoint's own unit: points, the analyte's unit, a fraction (response, remission,
    incidence), hours (time-of-peak), or dimensionless. ``se`` is the standard error of ``value``, except for ``ratio``
    and ``odds-ratio`` (of the logarithm) and ``correlation`` (of Fisher's z), see
    `crosstalk.study.endpoints.error_scale`. ``threshold`` is the score that counts for an incidence. ``se_source``
    says where the standard error comes from if not from ``source``.
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


@dataclass(frozen=True, slots=True)
class Study:
    """A study as read from one TOML file."""

    id: str
    title: str
    doi: str
    role: Literal["calibrate", "validate", "conflict", "design"]
    population: Population
    arms: tuple[Arm, ...]
    results: tuple[Result, ...]
    duration_h: float
    output_times_h: tuple[float, ...]
    outputs: tuple[str, ...]
