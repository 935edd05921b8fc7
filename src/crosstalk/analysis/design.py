"""The design file of an analysis: which columns mean what, and which analyses are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crosstalk.errors import StudyError
from crosstalk.limits import shown
from crosstalk.statistics.missing_visits import Strategy
from crosstalk.statistics.mmrm import Method
from crosstalk.statistics.sensitivity import Inference
from crosstalk.statistics.structures import FALLBACK, Structure
from crosstalk.statistics.visit_patterns import Margins
from crosstalk.study.toml_files import explained, problem_lines, toml_content, toml_text

__all__ = [
    "AncovaPlan",
    "DataPlan",
    "DesignPlan",
    "EventPlan",
    "InteractionPlan",
    "MmrmPlan",
    "OutcomePlan",
    "Plan",
    "ResponderPlan",
    "SensitivityPlan",
    "SubgroupPlan",
    "read_design",
]

Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
ADAM = {
    "patient": "USUBJID", "arm": "TRTP", "visit": "AVISIT", "value": "AVAL", "baseline": "BASE",
}  # fmt: skip
"""Columns of an ADaM data set of questionnaires; the arm may also stand in ADSL as TRT01P."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DataPlan(_Table):
    """Where patients, arms, visits and scores stand.

    ``layout`` "long" has a row for each visit, "wide" a column for each; "adam" is long with the names of ADaM.
    ``visits`` gives the week of each visit, by its label or, where wide, its column. ``subjects`` is a second file
    with a row for each patient (ADSL), ``where`` keeps the rows with these values.
    """

    layout: Literal["long", "wide", "adam"]
    patient: Text = ""
    arm: Text = ""
    control: Text
    visit: Text = ""
    value: Text = ""
    baseline: Text = ""
    baseline_visit: Text = ""
    visits: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    subjects: Text = ""
    where: dict[str, str | list[str]] = {}
    sheet: Text | None = None
    missing: list[str] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed = {"long": ("patient", "arm", "visit", "value"), "wide": ("patient", "arm"), "adam": ()}[self.layout]
        for name in needed:
            if not getattr(self, name):
                raise ValueError(f'{name} is missing: name the column, such as {name} = "{name.upper()}"')
        if self.layout == "wide":
            if not self.visits:
                raise ValueError('visits is missing: give the week of each column, such as visits = { "HAMD_W1" = 1 }')
            for name in ("visit", "value", "baseline_visit"):
                if getattr(self, name):
                    raise ValueError(f"{name} belongs to the layout 'long'; in 'wide' the columns stand in visits")
        if self.baseline and self.baseline_visit:
            raise ValueError("both baseline (a column) and baseline_visit (a label) are given: keep one")
        return self

    def column(self, role: str) -> str:
        """The column of a role; that of ADaM where none is named; empty if there is none."""
        given: str = getattr(self, role)
        if given or self.layout != "adam" or (role == "baseline" and self.baseline_visit):
            return given
        return ADAM.get(role, "")


class OutcomePlan(_Table):
    """What the scores are. ``is_change`` says that the values are changes from baseline, no scores."""

    name: Text = "score"
    unit: Text = "points"
    better: Literal["lower", "higher"] = "lower"
    is_change: bool = False
    minimum: Number | None = None
    maximum: Number | None = None


class _Analysis(_Table):
    id: Id
    week: Positive | None = None
    covariates: list[Text] = []
    level: Share = 0.95


class MmrmPlan(_Analysis):
    """Mixed model for repeated measures, of the change where there is a baseline. ``structure`` lists fallbacks."""

    method: Literal["mmrm"]
    structure: list[Structure] = list(FALLBACK)
    by_arm: bool = False
    weights: Text = ""
    df: Method = "kenward-roger-observed"
    margins: Margins = "equal"
    baseline_by_visit: bool = True


class AncovaPlan(_Analysis):
    """Analysis of covariance of the change, or the score, of those observed at the week."""

    method: Literal["ancova"]
    robust: bool = False


class ResponderPlan(_Analysis):
    """Share with a reduction of at least ``reduction``, or a score beyond ``threshold``; adjusted with covariates."""

    method: Literal["response", "remission"]
    reduction: Share = 0.5
    threshold: Number = 7.0
    missing: Literal["non-response", "observed"] = "non-response"
    interval: Literal["miettinen-nurminen", "newcombe"] = "miettinen-nurminen"


class EventPlan(_Analysis):
    """Time to response or remission at the visits, or to an event of columns of its own (``time``; ``event`` is 1)."""

    method: Literal["time-to-response", "time-to-remission", "time-to-event"]
    reduction: Share = 0.5
    threshold: Number = 7.0
    time: Text = ""
    event: Text = ""
    censored: Text = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        own = self.method == "time-to-event"
        if own and (not self.time or bool(self.event) == bool(self.censored)):
            raise ValueError("time-to-event needs time, and one of event (1 = seen) and censored (1 = not seen)")
        if not own and (self.time or self.event or self.censored):
            raise ValueError(f"time, event and censored belong to 'time-to-event', not to '{self.method}'; drop them")
        return self


class InteractionPlan(_Analysis):
    """Whether a marker, a column of numbers, changes the effect: restricted cubic splines, and a straight line."""

    method: Literal["interaction"]
    marker: Text
    knots: Annotated[int, Field(ge=3, le=5)] = 3
    scale: Literal["log2", "linear"] = "log2"
    unit: str = ""


class SubgroupPlan(_Analysis):
    """Effects in strata: of a column of labels, or of numbers cut at ``cuts`` (a stratum begins at its cut)."""

    method: Literal["subgroups"]
    by: Text
    cuts: list[Number] = []
    unit: str = ""


class SensitivityPlan(_Analysis):
    """Other assumptions on what is missing, and the delta up to which a tipping point is looked for."""

    method: Literal["sensitivity"]
    strategies: list[Strategy] = list(get_args(Strategy))
    inference: Literal["rubin"] | Inference = "rubin"
    imputations: Annotated[int, Field(ge=2, le=10_000)] = 100
    tipping: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.strategies:
            raise ValueError(f"strategies is empty; expected some of {', '.join(get_args(Strategy))}")
        return self


Plan = MmrmPlan | AncovaPlan | ResponderPlan | EventPlan | InteractionPlan | SubgroupPlan | SensitivityPlan
PLANS: tuple[type[_Analysis], ...] = get_args(Plan)


class DesignPlan(_Table):
    """The whole file. Without any ``analysis``, an MMRM and an ANCOVA of the last visit."""

    title: str = ""
    data: DataPlan
    outcome: OutcomePlan = OutcomePlan()
    analysis: Annotated[list[Annotated[Plan, Field(discriminator="method")]], Field(min_length=1, max_length=100)] = [
        MmrmPlan(id="mmrm", method="mmrm"),
        AncovaPlan(id="ancova", method="ancova"),
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [a.id for a in self.analysis]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two analyses have the id '{name}'; give each its own")
        return self


def _methods() -> dict[str, type[_Analysis]]:
    return {name: plan for plan in PLANS for name in get_args(plan.model_fields["method"].annotation)}


def read_design(source: str | Path | Mapping[str, Any]) -> DesignPlan:
    """Read and check a design.

    Parameters
    ----------
    source : str, Path or mapping
        A TOML file, or its content as a dictionary.

    Raises
    ------
    StudyError
        With one line per problem: file, line, key, what was received, what was expected.
    """
    if isinstance(source, Mapping):
        file, text, content = Path("design"), "", dict(source)
    else:
        file = Path(source)
        if not file.is_file():
            raise StudyError(f"{shown(file, 200)}: no such file; expected a design file (TOML) with a table [data]")
        text = toml_text(file)
        content = toml_content(file, text)
    try:
        return DesignPlan.model_validate(content)
    except ValidationError as error:
        raise StudyError(problem_lines(file, text, explained(_plain(error, content), _allowed(content)))) from None


def _plain(error: ValidationError, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Problems without the names that pydantic puts into the path of a table that may be of several kinds."""
    methods, found = _methods(), []
    for one in error.errors():
        path = [k for at, k in enumerate(one["loc"]) if not (at == 2 and one["loc"][0] == "analysis" and k in methods)]
        problem: dict[str, Any] = {**one, "loc": tuple(path)}
        if one["type"] in ("union_tag_invalid", "union_tag_not_found"):
            received = one["input"].get("method") if isinstance(one["input"], dict) else one["input"]
            words = f"received {received!r}, expected one of {', '.join(methods)}"
            problem |= {"type": "value_error", "msg": f"Value error, {words}", "loc": (*path, "method")}
        found.append(problem)
    return found


def _allowed(content: Mapping[str, Any]) -> dict[tuple[str, ...], tuple[str, ...]]:
    given = content.get("analysis")
    named = [a.get("method") for a in given if isinstance(a, dict)] if isinstance(given, list) else []
    keys = {k for m, plan in _methods().items() if m in named for k in plan.model_fields}
    return {
        (): tuple(DesignPlan.model_fields),
        ("data",): tuple(DataPlan.model_fields),
        ("outcome",): tuple(OutcomePlan.model_fields),
        ("analysis",): tuple(sorted(keys)),
    }
