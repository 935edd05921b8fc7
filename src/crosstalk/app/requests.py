"""What may be asked: pydantic models at the border, with the limits of everything that grows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from crosstalk.limits import CELL, WEEKS

__all__ = [
    "Answers", "AssessRequest", "CohortRequest", "DesignRequest", "EvidenceRequest", "ForecastRequest", "Patient",
    "StudyRequest", "TrialRequest", "Value",
]  # fmt: skip

Name = Annotated[str, Field(min_length=1, max_length=200)]
Some = Annotated[list[Name], Field(max_length=50)]
Virtual = Annotated[int, Field(ge=400, le=20_000)]
Seed = Annotated[int, Field(ge=0, le=2**31)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Model):
    """One measured value; ``value`` is text, so that ``<0.4`` is one."""

    analyte: Name
    value: Annotated[str, Field(min_length=1, max_length=200)]
    unit: Annotated[str, Field(max_length=60)] = ""
    specimen: Annotated[str, Field(max_length=60)] = ""
    method: Annotated[str, Field(max_length=120)] = ""


class Early(_Model):
    """A score of the first weeks."""

    week: Annotated[int, Field(ge=1, le=WEEKS)]
    scale: Name
    score: Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)]


class AssessRequest(_Model):
    """One panel."""

    values: Annotated[list[Value], Field(min_length=1, max_length=300)]
    seed: Seed = 1
    virtual_patients: Virtual = 20_000


class ForecastRequest(AssessRequest):
    """One panel, and what to forecast."""

    regimens: Some = []
    weeks: Annotated[int, Field(ge=1, le=104)] = 12
    scores: Annotated[list[Early], Field(max_length=50)] = []
    on: Annotated[str, Field(max_length=200)] | None = None


class Answers(_Model):
    """Answers to the questions of a file, in their order."""

    answers: Annotated[list[Annotated[str, Field(max_length=CELL)]], Field(max_length=500)]


class CohortRequest(_Model):
    """How to assess a file."""

    seed: Seed = 1
    virtual_patients: Virtual = 20_000


class Patient(_Model):
    """One patient of a file."""

    patient: Annotated[str, Field(min_length=1, max_length=CELL)]
    regimens: Some = []
    weeks: Annotated[int, Field(ge=1, le=104)] = 12
    seed: Seed = 1
    virtual_patients: Virtual = 20_000


class DesignRequest(_Model):
    """A trial of one regimen against another."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "A trial"
    regimen: Name
    control: Name
    n: Annotated[int, Field(ge=20, le=5000)] = 200
    weeks: Annotated[int, Field(ge=2, le=52)] = 12
    scale: Name = "HAMD17"
    severity: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 22.0
    design: Literal["parallel", "stratified", "enrichment"] = "enrichment"
    marker: Name = "hsCRP"
    cutoff: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = 3.0
    unit: Name = "mg/L"
    dropout: Annotated[float, Field(ge=0, lt=0.9, allow_inf_nan=False)] = 0.15
    alpha: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] = 0.05


class TrialRequest(DesignRequest):
    """The same, simulated."""

    replicates: Annotated[int, Field(ge=20, le=2000)] = 200
    worlds: Annotated[int, Field(ge=2, le=100)] = 12
    seed: Seed = 1


class EvidenceRequest(_Model):
    """Which published results."""

    text: Annotated[str, Field(max_length=200)] = ""
    drug: Some = []
    of: Some = []
    endpoint: Some = []
    role: Some = []
    diagnosis: Some = []
    contrast: Some = []


class StudyRequest(_Model):
    """A study that ships, by its id."""

    study: Name
