"""Pydantic models of the table ``[trial]`` of a study file. Only `crosstalk.study.tables` uses them."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from crosstalk.limits import ARMS, PATIENTS, WEEKS
from crosstalk.study.design import DesignKind, Estimand, Part
from crosstalk.study.methods import analysis_methods

__all__ = ["TRIAL_ALLOWED", "TrialTable"]

Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0, le=PATIENTS)]
Week = Annotated[float, Field(gt=0, le=WEEKS, allow_inf_nan=False)]


def _known_method(name: str) -> str:
    methods = analysis_methods()
    if name not in methods:
        near = difflib.get_close_matches(name, methods, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "correct the value"
        raise ValueError(f"received {name!r}, expected {', '.join(map(repr, methods))}; {hint}")
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _MarkerTable(_Table):
    analyte: Text
    min: Number | None = None
    max: Number | None = None
    unit: Text
    measurements: Annotated[int, Field(gt=0, le=100)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max is given: the marker needs a cut-off, such as min = 3")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min is {self.min:g} and max {self.max:g}: nobody would be positive; set min below max")
        return self


class _StratumTable(_Table):
    analyte: Text
    cuts: Annotated[list[Number], Field(max_length=ARMS)] = []


class _LeadInTable(_Table):
    weeks: Week
    exclude_improved: Annotated[float, Field(gt=0, le=1)] = 0.25


class _CrossoverTable(_Table):
    period_weeks: Week
    washout_weeks: Annotated[float, Field(ge=0, le=WEEKS, allow_inf_nan=False)] = 0.0


class _MatchTable(_Table):
    positive: Id
    negative: Id


class _ConductTable(_Table):
    visit_window_days: NonNegative = 0.0
    missed_visits: Share = 0.0
    nonadherence: Share = 0.0
    dropout: Share | None = None
    unimproved: Positive = 1.0
    side_effects: dict[str, Positive] = {}
    followed_up: Annotated[float, Field(ge=0, le=1)] = 0.0


class _AnalysisTable(_Table):
    id: Id
    method: Annotated[str, AfterValidator(_known_method)]
    of: Text
    week: Week
    arm: Id
    versus: str = ""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    part: Part = "all"
    covariates: list[Text] = []
    estimand: Estimand = "treatment-policy"
    nonresponder: bool = True
    confirmatory: bool = True


class _InterimTable(_Table):
    information: Annotated[list[Positive], Field(min_length=2, max_length=ARMS)]
    boundary: Literal["obrien-fleming", "pocock", "spending-obrien-fleming", "spending-pocock"] = "obrien-fleming"
    futility: Share | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        rates = self.information
        if rates != sorted(set(rates)) or abs(rates[-1] - 1.0) > 1e-9:
            raise ValueError(f"information is {rates}: expected increasing shares of the patients, the last one 1")
        return self


class _CostTable(_Table):
    screening: NonNegative = 0.0
    patient: NonNegative = 0.0
    visit: NonNegative = 0.0
    currency: str = ""


class _AssumedTable(_Table):
    effect: Number
    sd: Positive | None = None
    control_rate: Annotated[float | None, Field(gt=0, lt=1)] = None
    interaction: Number | None = None
    positive_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    margin: Positive | None = None
    dropout: Share | None = None
    futility: Literal["obrien-fleming", "pocock"] | None = None
    power: Annotated[float | None, Field(gt=0.05, lt=1)] = None
    per_month: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.effect == 0:
            raise ValueError("effect is 0: no number of patients shows it; give the effect that is worth showing")
        if (self.sd is None) == (self.control_rate is None):
            raise ValueError("give one of sd (for a mean) and control_rate (for response or remission)")
        if self.control_rate is not None and not 0 < self.control_rate + self.effect < 1:
            raise ValueError(
                f"control_rate {self.control_rate:g} and effect {self.effect:g} give a rate of "
                f"{self.control_rate + self.effect:g}; expected one between 0 and 1"
            )
        if (self.interaction is None) != (self.positive_share is None):
            raise ValueError("interaction and positive_share belong together: add the other")
        if self.interaction is not None and self.sd is None:
            raise ValueError("interaction is in points and needs sd; drop it for rates")
        return self


class TrialTable(_Table):
    """The table ``[trial]``."""

    design: DesignKind = "parallel"
    n: Annotated[int | None, Field(ge=4, le=PATIENTS)] = None
    assumed: _AssumedTable | None = None
    control: str = ""
    allocation: dict[str, Positive] = {}
    block: Count | None = None
    strata: Annotated[list[_StratumTable], Field(max_length=ARMS)] = []
    marker: _MarkerTable | None = None
    match: _MatchTable | None = None
    lead_in: _LeadInTable | None = None
    crossover: _CrossoverTable | None = None
    conduct: _ConductTable = _ConductTable()
    interim: _InterimTable | None = None
    multiplicity: Literal["none", "bonferroni", "holm", "hochberg", "fixed", "closed"] = "none"
    cost: _CostTable = _CostTable()
    analysis: Annotated[list[_AnalysisTable], Field(min_length=1, max_length=ARMS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n is None and (self.assumed is None or self.assumed.power is None):
            raise ValueError("n is missing: give it, or a power in [trial.assumed], for which it is then solved")
        if self.assumed is not None and self.assumed.futility is not None and self.interim is None:
            raise ValueError("assumed.futility needs looks; add [trial.interim], or drop it")
        return self


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(model.model_fields)


TRIAL_ALLOWED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("trial",): _keys(TrialTable),
    ("trial", "strata"): _keys(_StratumTable),
    ("trial", "marker"): _keys(_MarkerTable),
    ("trial", "match"): _keys(_MatchTable),
    ("trial", "lead_in"): _keys(_LeadInTable),
    ("trial", "crossover"): _keys(_CrossoverTable),
    ("trial", "conduct"): _keys(_ConductTable),
    ("trial", "interim"): _keys(_InterimTable),
    ("trial", "assumed"): _keys(_AssumedTable),
    ("trial", "cost"): _keys(_CostTable),
    ("trial", "analysis"): _keys(_AnalysisTable),
}
