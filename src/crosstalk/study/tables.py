"""Pydantic models of a study file, one per TOML table. Only `crosstalk.study.schema` uses them.

They refuse unknown keys and silent conversions. What needs the knowledge base (drugs, analytes, units) is checked
after them.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from crosstalk.knowledge.schema import DOI
from crosstalk.limits import ARMS, COURSES, RESULTS, TIMES, WEEKS
from crosstalk.study.design_tables import TRIAL_ALLOWED, TrialTable
from crosstalk.study.endpoints import ENDPOINTS
from crosstalk.study.records import Event, Figure, Per

__all__ = [
    "ALLOWED",
    "DoseEntry",
    "EligibleTable",
    "MarkerTable",
    "ResultTable",
    "SpreadTable",
    "StudyFile",
    "known_endpoint",
]

Text = Annotated[str, Field(min_length=1)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0, le=10**9)]
Week = Annotated[float, Field(ge=0, le=WEEKS, allow_inf_nan=False)]
Hour = Annotated[float, Field(ge=0, le=168.0 * WEEKS, allow_inf_nan=False)]
OneOrTwo = BeforeValidator(lambda value: value if isinstance(value, list) else [value])
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def known_endpoint(name: str) -> str:
    """Give an endpoint's name back, or raise `ValueError` with the choices."""
    if name not in ENDPOINTS:
        near = difflib.get_close_matches(name, ENDPOINTS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "correct the value"
        raise ValueError(f"received {name!r}, expected one of {', '.join(ENDPOINTS)}; {hint}")
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Head(_Table):
    id: Id
    title: str = ""
    doi: str = ""
    pubmed: Annotated[str, Field(pattern=r"^((PMC)?\d+)?$")] = ""
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    role: Literal["calibrate", "validate", "context", "design"]
    cohort: str = ""
    bias: str = ""
    missing: Literal["observed", "locf"] = "observed"
    duration_weeks: Annotated[float | None, Field(gt=0, le=WEEKS, allow_inf_nan=False)] = None
    visits: Annotated[list[Week] | None, Field(max_length=TIMES)] = None
    times_h: Annotated[list[Hour] | None, Field(max_length=TIMES)] = None
    outputs: Annotated[list[Text], Field(max_length=TIMES)] = []

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        if self.doi and DOI.fullmatch(self.doi) is None:
            raise ValueError(f"doi is {self.doi!r}: expected the bare form 10.1234/abc, without https://doi.org/")
        if self.role != "design" and not (self.doi or self.pubmed or self.url):
            raise ValueError(
                f"role is {self.role!r} but doi is missing: name the publication (pubmed, its number there, if it has "
                "no DOI; url, the documentation of public data), or set role to 'design'"
            )
        if self.visits is not None and self.times_h is not None:
            raise ValueError("both visits (weeks) and times_h (hours) are given: keep one")
        return self


class SpreadTable(_Table):
    """Mean and standard deviation; ``min`` and ``max`` are what the study allowed; ``source`` if it is another one."""

    mean: Number
    sd: Positive
    min: Number | None = None
    max: Number | None = None
    source: str = ""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        _check_limits(self.min, self.max)
        for bound, wrong in ((self.min, "below min"), (self.max, "above max")):
            if bound is not None and (self.mean < bound if wrong == "below min" else self.mean > bound):
                raise ValueError(f"mean is {self.mean:g}, {wrong} ({bound:g}): correct one of them")
        return self


class _SeverityTable(SpreadTable):
    scale: Text


class EligibleTable(_Table):
    """A filter on a baseline value."""

    analyte: Text
    min: Number | None = None
    max: Number | None = None
    unit: Text

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("neither min nor max is given: give at least one, such as min = 5")
        _check_limits(self.min, self.max)
        return self


class _PopulationTable(_Table):
    diagnosis: Text
    n: Count | None = None
    age: SpreadTable | None = None
    bmi: SpreadTable | None = None
    female: Share | None = None
    severity: _SeverityTable | None = None
    failed_steps: Annotated[int, Field(ge=0, le=COURSES)] = 0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    background: Annotated[list[Any], Field(max_length=ARMS)] = []
    eligible: Annotated[list[EligibleTable], Field(max_length=ARMS)] = []


class DoseEntry(_Table):
    """One dose entry; ``schema`` asks for what is missing, with the drug's usual dose.

    ``confirmed`` answers the question whether a dose far above the usual one is right.
    """

    drug: Text
    amount: Positive | None = None
    unit: Text | None = None
    route: Text | None = None
    weeks: Annotated[list[Week], Field(min_length=1, max_length=TIMES)] | None = None
    hours: Annotated[list[Hour], Field(min_length=1, max_length=TIMES)] | None = None
    every: Text | None = None
    every_h: Positive | None = None
    start_week: Week | None = None
    stop_week: Week | None = None
    confirmed: bool = False

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        given = [key for key in ("weeks", "hours", "every", "every_h") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given: keep one of them")
        times = self.weeks if self.weeks is not None else self.hours
        if times is not None and times != sorted(set(times)):
            raise ValueError(f"{given[0]} is {times}: expected ascending times, each once")
        if times is not None and (self.start_week is not None or self.stop_week is not None):
            raise ValueError(f"start_week and stop_week belong to repeated doses (every), not to {given[0]}: drop them")
        if self.stop_week is not None and self.stop_week <= (self.start_week or 0.0):
            raise ValueError(
                f"stop_week is {self.stop_week:g}: expected a week after start_week ({self.start_week or 0:g})"
            )
        return self


class _PartTable(_Table):
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    dose: Annotated[list[DoseEntry], Field(max_length=ARMS)] = []


class _ArmTable(_Table):
    id: Id
    n: Count | None = None
    blinded: bool = True
    diagnosis: str = ""
    dropout: Annotated[float | None, Field(ge=0, lt=1)] = None
    dose: Annotated[list[DoseEntry], Field(max_length=ARMS)] = []
    mixture: Annotated[list[_PartTable], Field(max_length=ARMS)] = []

    @model_validator(mode="after")
    def _check_mixture(self) -> Self:
        if self.mixture and self.dose:
            raise ValueError("both dose and mixture are given: keep one; a mixture holds the doses of its parts")
        total = sum(part.share for part in self.mixture)
        if self.mixture and abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of mixture add up to {total:g}: expected 1; correct them")
        return self


class MarkerTable(_Table):
    """A baseline marker and the step in which a coefficient was published."""

    analyte: Text
    per: Per
    unit: str = ""
    step: Positive = 1.0
    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _check_marker(self) -> Self:
        if self.per in ("unit", "stratum") and not self.unit:
            raise ValueError(f"a marker per {self.per} has no unit: add one, such as unit = 'mg/L'")
        if self.per not in ("unit", "stratum") and self.unit:
            raise ValueError(f"a marker per {self.per} has no unit: drop it")
        if self.per != "unit" and self.step != 1.0:
            raise ValueError(f"step belongs to per = 'unit', and per is {self.per!r}: drop it")
        if self.per == "stratum":
            if self.min is None:
                raise ValueError("a marker per stratum has no min: add the lower limit of the upper stratum")
            if self.max is not None and self.max > self.min:
                raise ValueError(
                    f"the lower stratum (below max = {self.max:g}) overlaps the upper (from min = {self.min:g}): "
                    "expected max of at most min"
                )
        elif self.min is not None or self.max is not None:
            raise ValueError(f"min and max belong to per = 'stratum', and per is {self.per!r}: drop them")
        return self


class _MismatchTable(_Table):
    indication: Literal["exact", "near", "far"] | None = None
    species: Literal["human", "primate", "rodent"] | None = None
    design: Literal["exact", "near", "far"] | None = None
    quality: Literal["meta-analysis", "trial", "pilot", "observational", "reading"] | None = None

    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((key, value) for key, value in self.model_dump().items() if value is not None)


class _QuantilesTable(_Table):
    p2_5: Number | None = None
    p10: Number | None = None
    p25: Number | None = None
    p75: Number | None = None
    p90: Number | None = None
    p97_5: Number | None = None

    @model_validator(mode="after")
    def _check_quantiles(self) -> Self:
        given = self.given()
        if len(given) < 2:
            raise ValueError("fewer than two quantiles are given: give two, such as p25 and p75")
        if list(given.values()) != sorted(given.values()) or len(set(given.values())) < len(given):
            raise ValueError(f"the quantiles {given} do not increase: correct them")
        return self

    def given(self) -> dict[str, float]:
        return {key: value for key, value in self.model_dump().items() if value is not None}


class ResultTable(_Table):
    """One published result; ``n`` and ``sd`` take one number, or two for an arm and the one it is compared with."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    endpoint: Annotated[str, AfterValidator(known_endpoint)]
    of: Text
    partner: str = Field(default="", alias="with")
    with_week: Week | None = None
    threshold: Number | None = None
    week: Week | None = None
    hour: Hour | None = None
    arm: Text
    versus: str = ""
    stratum: EligibleTable | None = None
    marker: MarkerTable | None = None
    event: Event = ""
    adjust: list[Text] = []
    shares: str = ""
    figure: Figure = "printed"
    value: Number | None = None
    unit: str = ""
    se: Positive | None = None
    sd: Annotated[list[Positive], OneOrTwo, Field(min_length=1, max_length=2)] | None = None
    n: Annotated[list[Count], OneOrTwo, Field(min_length=1, max_length=2)] | None = None
    ci: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    ci_level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    quantiles: _QuantilesTable | None = None
    source: str = ""
    se_source: str = ""
    provenance: Literal["seen", "memory", ""] = ""
    mismatch: _MismatchTable = _MismatchTable()

    @model_validator(mode="after")
    def _check_result(self) -> Self:
        if self.week is not None and self.hour is not None:
            raise ValueError("both week and hour are given: keep one")
        timeless = self.endpoint == "time-of-peak"
        if timeless and (self.week is not None or self.hour is not None):
            raise ValueError("time-of-peak looks at the whole course: drop week or hour")
        if not timeless and self.week is None and self.hour is None:
            raise ValueError("no time is given: add week or hour")
        self._check_arms()
        self._check_keys()
        spreads = [key for key in ("se", "sd", "ci", "quantiles") if getattr(self, key) is not None]
        if len(spreads) > 1:
            raise ValueError(f"{' and '.join(spreads)} are given: keep the one that was published")
        if self.ci is not None:
            low, high = self.ci
            if low >= high:
                raise ValueError(f"ci is [{low:g}, {high:g}]: expected [lower, upper]")
            if self.value is not None and not low <= self.value <= high:
                raise ValueError(f"ci [{low:g}, {high:g}] does not hold value {self.value:g}: correct one of them")
        for key, numbers in (("n", self.n), ("sd", self.sd)):
            if numbers is not None and len(numbers) == 2 and not self.versus and self.endpoint != "responder-smd":
                raise ValueError(f"{key} has two numbers but there is no versus: give one number")
        return self

    def _check_arms(self) -> None:
        kind = ENDPOINTS[self.endpoint]
        if self.versus and kind.arms == "one":
            raise ValueError(f"{self.endpoint} is a statistic of one arm: drop versus")
        if not self.versus and kind.arms == "two":
            raise ValueError(f"{self.endpoint} compares two arms: add versus")
        if self.versus == self.arm:
            raise ValueError(f"arm and versus are both {self.arm!r}: name two arms, or drop versus")
        if self.endpoint == "hazard-ratio" and bool(self.versus) == (self.marker is not None):
            raise ValueError("a hazard-ratio is of two arms or of a marker: give one of versus and marker")

    def _check_keys(self) -> None:
        kind = ENDPOINTS[self.endpoint]
        for key, name, given in (
            ("with", "partner", bool(self.partner)),
            ("with_week", "partner_h", self.with_week is not None),
            ("threshold", "threshold", self.threshold is not None),
            ("marker", "marker", self.marker is not None),
            ("event", "event", bool(self.event)),
            ("adjust", "adjust", bool(self.adjust)),
        ):
            if given and name not in (*kind.needs, *kind.takes):
                owners = " or ".join(e for e, k in ENDPOINTS.items() if name in (*k.needs, *k.takes))
                raise ValueError(f"{key} belongs to {owners}, and endpoint is {self.endpoint!r}: drop it")
            if name in kind.needs and not given:
                raise ValueError(f"{key} is missing: {self.endpoint} needs it; add it")


class StudyFile(_Table):
    """One file of ``studies/``."""

    study: _Head
    population: _PopulationTable
    arm: Annotated[list[_ArmTable], Field(min_length=1, max_length=ARMS)]
    result: Annotated[list[ResultTable], Field(max_length=RESULTS)] = []
    trial: TrialTable | None = None


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


ALLOWED: dict[tuple[str, ...], tuple[str, ...]] = {
    (): _keys(StudyFile),
    ("study",): _keys(_Head),
    ("population",): _keys(_PopulationTable),
    ("population", "age"): _keys(SpreadTable),
    ("population", "bmi"): _keys(SpreadTable),
    ("population", "severity"): _keys(_SeverityTable),
    ("population", "eligible"): _keys(EligibleTable),
    ("population", "background"): _keys(DoseEntry),
    ("arm",): _keys(_ArmTable),
    ("arm", "dose"): _keys(DoseEntry),
    ("result",): _keys(ResultTable),
    ("result", "stratum"): _keys(EligibleTable),
    ("result", "mismatch"): _keys(_MismatchTable),
    ("result", "quantiles"): _keys(_QuantilesTable),
    ("result", "marker"): _keys(MarkerTable),
    ("arm", "mixture"): _keys(_PartTable),
    ("arm", "mixture", "dose"): _keys(DoseEntry),
    **TRIAL_ALLOWED,
}
"""Keys of each table, to name the nearest one when a key is unknown."""


def _check_limits(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low >= high:
        raise ValueError(f"min is {low:g} and max {high:g}: expected min below max")
