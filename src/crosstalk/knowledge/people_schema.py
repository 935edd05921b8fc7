"""Schemas of what is known of people: analytes with their reference ranges, indices, and the population's diagnoses."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from crosstalk.knowledge.records import Analyte, Correlation, Distribution, MechanismDefinition, ReferenceRange
from crosstalk.knowledge.schema import (
    Id,
    NonNegative,
    Number,
    Pair,
    Positive,
    SourceTable,
    StrictTable,
    Text,
    loinc_is_valid,
    pair_of,
)

__all__ = [
    "AnalyteTable",
    "CorrelationTable",
    "DiagnosisTable",
    "DistributionTable",
    "PopulationFile",
    "ReferenceTable",
    "ScoreTable",
]


class ReferenceTable(SourceTable):
    """One reference range: a row of ``reference`` in ``analytes.toml``, or of ``ranges.tsv``."""

    assay: Text
    specimen: Text
    median: NonNegative
    p2_5: NonNegative
    p97_5: NonNegative
    n: Annotated[int, Field(gt=0)] | None = None
    sex: Literal["any", "female", "male"] = "any"
    age: Pair = [18.0, 120.0]
    bmi: Pair = [0.0, 100.0]
    p25: NonNegative | None = None
    p75: NonNegative | None = None
    median_se: NonNegative | None = None
    n_effective: Positive | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not self.p2_5 < self.median < self.p97_5:
            raise ValueError(f"expected p2_5 < median < p97_5, got {self.p2_5}, {self.median}, {self.p97_5}")
        if (self.p25 is None) != (self.p75 is None):
            raise ValueError("p25 and p75 belong together: give both or neither")
        if self.p25 is not None and self.p75 is not None:
            order = [self.p2_5, self.p25, self.median, self.p75, self.p97_5]
            if order != sorted(order):
                raise ValueError(f"expected p2_5, p25, median, p75 and p97_5 in ascending order, got {order}")
        for key, (lower, upper) in (("age", self.age), ("bmi", self.bmi)):
            if lower >= upper:
                raise ValueError(f"{key} is [{lower}, {upper}]: expected [lower, upper]")
        return self

    def record(self) -> ReferenceRange:
        """Return the range record."""
        return ReferenceRange(**self._values() | {"age": pair_of(self.age), "bmi": pair_of(self.bmi)})


class AnalyteTable(StrictTable):
    """One table of ``analytes.toml``."""

    name: Text
    kind: Literal["laboratory", "covariate"] = "laboratory"
    unit: Text
    aliases: list[Text] = []
    loinc: list[str] = []
    specimen: str = ""
    observable: str = ""
    covariate: str = ""
    assay_cv: NonNegative = 0.0
    within_cv: NonNegative = 0.0
    offset_log_sd: NonNegative = 0.0
    lod: Positive | None = None
    plausible: Pair
    molar_mass: Positive | None = None
    units_by_rule: dict[str, Positive | Pair] = {}
    reference: list[ReferenceTable] = []
    source: SourceTable
    cost_rank: Annotated[int, Field(ge=0)] = 0
    note: str = ""

    @model_validator(mode="after")
    def _check_analyte(self) -> Self:
        for code in self.loinc:
            if not loinc_is_valid(code):
                raise ValueError(f"loinc {code!r} has a wrong form or check digit: copy the code again from loinc.org")
        lower, upper = self.plausible
        if lower >= upper:
            raise ValueError(f"plausible is [{lower}, {upper}]: expected [lower, upper]")
        lines = [unit for unit, rule in self.units_by_rule.items() if isinstance(rule, list)]
        if lines and (self.observable or self.covariate):
            raise ValueError(
                f"units_by_rule {lines[0]!r} is a line, and the model's values convert by factors: drop one"
            )
        for row in self.reference:
            if row.p2_5 < lower or row.p97_5 > upper:
                raise ValueError(f"a reference range [{row.p2_5}, {row.p97_5}] leaves plausible [{lower}, {upper}]")
        return self

    def record(self, id_: str) -> Analyte:
        """Return the analyte record."""
        return Analyte(
            id=id_,
            name=self.name,
            kind=self.kind,
            unit=self.unit,
            aliases=tuple(self.aliases),
            loinc=tuple(self.loinc),
            specimen=self.specimen,
            observable=self.observable,
            covariate=self.covariate,
            assay_cv=self.assay_cv,
            within_cv=self.within_cv,
            offset_log_sd=self.offset_log_sd,
            lod=self.lod,
            plausible=pair_of(self.plausible),
            molar_mass=self.molar_mass,
            units_by_rule={u: pair_of(r) if isinstance(r, list) else r for u, r in self.units_by_rule.items()},
            references=tuple(row.record() for row in self.reference),
            source=self.source.source(),
            cost_rank=self.cost_rank,
            note=self.note,
        )


class ScoreTable(StrictTable):
    """One table of ``scores.toml``."""

    name: Text
    output: Id
    unit: Text
    low: Text
    within: Text
    high: Text

    def record(self, id_: str) -> MechanismDefinition:
        """Return the definition of the score."""
        return MechanismDefinition(id=id_, **self.model_dump())


class DistributionTable(SourceTable):
    """One distribution of a population; ``lower`` and ``upper`` cut it."""

    family: Literal["normal", "lognormal", "shifted-lognormal", "uniform", "bernoulli"]
    center: Number = 0.0
    spread: NonNegative = 0.0
    lower: Number
    upper: Number
    shift: Number = 0.0
    unit: Text = "dimensionless"
    covariate: bool = False
    center_log_sd: NonNegative = 0.0
    spread_log_sd: NonNegative = 0.0

    @model_validator(mode="after")
    def _check_distribution(self) -> Self:
        if self.lower >= self.upper:
            raise ValueError(f"lower is {self.lower} and upper {self.upper}: expected lower below upper")
        needs_center = self.family != "uniform"
        if needs_center and "center" not in self.model_fields_set:
            raise ValueError(f"family {self.family!r} needs center")
        if self.family in {"normal", "lognormal", "shifted-lognormal"} and self.spread <= 0:
            raise ValueError(f"family {self.family!r} needs a spread above 0, got {self.spread}")
        if self.family in {"lognormal", "shifted-lognormal"} and self.center <= 0:
            raise ValueError(f"family {self.family!r} needs a center (the median) above 0, got {self.center}")
        if self.family == "bernoulli" and not 0 <= self.center <= 1:
            raise ValueError(f"family 'bernoulli' needs a probability as center, got {self.center}")
        if self.shift and self.family != "shifted-lognormal":
            raise ValueError(f"shift belongs to family 'shifted-lognormal', not to {self.family!r}")
        middle = self.shift + self.center
        if needs_center and not self.lower <= middle <= self.upper:
            raise ValueError(f"center {middle} lies outside lower .. upper ({self.lower} .. {self.upper})")
        return self

    def record(self, id_: str, owner: str = "") -> Distribution:
        """Return the distribution record."""
        return Distribution(id=id_, owner=owner, **self._values())


class CorrelationTable(SourceTable):
    """Correlation of the normal scores of two distributions."""

    first: Id
    second: Id
    value: Annotated[float, Field(gt=-1, lt=1, allow_inf_nan=False)]

    def record(self) -> Correlation:
        """Return the correlation record."""
        return Correlation(**self._values())


class DiagnosisTable(StrictTable):
    """One population; ``inherits`` names the one whose entries it takes where it has none of its own."""

    name: Text
    inherits: str = ""
    scale: str = ""
    severity: DistributionTable | None = None
    distribution: dict[Id, DistributionTable] = {}
    correlation: list[CorrelationTable] = []
    constants: dict[str, Number] = {}
    enrolment: dict[str, Number] = {}


class PopulationFile(StrictTable):
    """``population.toml``."""

    diagnosis: dict[Id, DiagnosisTable]
