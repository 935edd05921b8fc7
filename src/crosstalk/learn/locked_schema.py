"""The form of a locked model's file: every type, every number finite and within what can be computed with."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["problems"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FeatureTable(_Table):
    """One predictor."""

    name: str
    kind: Literal["number", "log", "category"]
    unit: str
    coefficient: Number
    fill: Number
    floor: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mean: Number
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    low: Number
    high: Number
    p2_5: Number
    p97_5: Number
    average: Number
    spread: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    missing: Share
    levels: dict[str, Number]

    @model_validator(mode="after")
    def _orders(self) -> Self:
        if self.kind == "log" and not self.floor > 0:
            raise ValueError("the floor of a logarithm must be above 0")
        if not self.low <= self.high or not self.p2_5 <= self.p97_5:
            raise ValueError("the lower end of a range lies above its upper end")
        return self


class TrainingTable(_Table):
    """Where the model comes from."""

    n: Annotated[int, Field(ge=1)]
    events: Annotated[int, Field(ge=0)] | None
    mean: Number
    input_sha256: str
    folds: int
    repeats: int
    seed: int
    performance: dict[str, Any]
    treated: Annotated[list[str], Field(min_length=2, max_length=2)]
    covariates: list[str]


class LockedTable(_Table):
    """The whole file."""

    format: str
    crosstalk: str
    outcome: str
    kind: Literal["event", "score"]
    positive: str
    rung: str
    name: str
    intercept: Number
    penalty: Number
    features: Annotated[list[FeatureTable], Field(min_length=1)]
    training: TrainingTable
    residuals: dict[Literal["all", "female", "male"], dict[Literal["0", "1", "error"], Number]]
    level: Annotated[float, Field(gt=0, lt=1)]
    sha256: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [f.name for f in self.features]
        if len({*names}) < len(names):
            raise ValueError("a predictor is there twice")
        wanted = {"error"} if self.kind == "score" else {"0", "1"}
        if any(set(quantiles) != wanted for quantiles in self.residuals.values()):
            raise ValueError(f"residuals of a model of the kind '{self.kind}' must hold {', '.join(sorted(wanted))}")
        return self


def problems(content: object) -> str:
    """What is wrong with the content of a file, in one line; empty if nothing is."""
    try:
        LockedTable.model_validate(content)
    except ValidationError as error:
        found = [f"{' > '.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_input=False)]
        return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    return ""
