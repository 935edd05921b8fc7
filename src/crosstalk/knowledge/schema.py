"""Schemas of the knowledge files: pydantic models that check one TOML table each and turn it into a record.

Only the loader uses them. A model refuses unknown keys and silent conversions (`"5"` is not 5), so that a typing error
in a drug file is found when it is read and not in a forecast.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from crosstalk.knowledge.records import Dose, Drug, Kind, Quantity, Regimen, Slot, Source, Target

__all__ = ["DOI", "DoseTable", "DrugFile", "RegimenFile", "SlotTable", "SourceTable", "loinc_is_valid"]

DOI = re.compile(r"10\.\d{4,9}/\S+")
"""The form of a DOI (without resolver)."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Pair = Annotated[list[Number], Field(min_length=2, max_length=2)]


def loinc_is_valid(code: str) -> bool:
    """Tell whether the last digit of a LOINC code is its mod-10 (Luhn) check digit.

    Examples
    --------
    >>> loinc_is_valid("30522-7"), loinc_is_valid("30522-8")
    (True, False)
    """
    match = re.fullmatch(r"(\d{1,7})-(\d)", code)
    if match is None:
        return False
    digits = [int(digit) for digit in reversed(match[1])]
    total = sum(digit if place % 2 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits))
    return (total + int(match[2])) % 10 == 0


def pair_of(values: list[float]) -> tuple[float, float]:
    """The two numbers of a list that the schema gave two."""
    return values[0], values[1]


class StrictTable(BaseModel):
    """A table that takes no other keys, no other types, and no change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceTable(StrictTable):
    """``kind``, ``doi``, ``place`` of a number; other tables inherit them."""

    kind: Kind
    doi: str = ""
    place: Text

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.kind == "assumed" and self.doi:
            raise ValueError(
                f"kind is 'assumed' but doi is {self.doi!r}: an assumed number has no DOI; drop the DOI "
                "(name the paper in place) or give the kind that fits"
            )
        if self.doi and DOI.fullmatch(self.doi) is None:
            raise ValueError(f"doi is {self.doi!r}: expected the bare form 10.1234/abc, without https://doi.org/")
        return self

    def source(self) -> Source:
        """Return the source record."""
        return Source(kind=self.kind, place=self.place, doi=self.doi)

    def _values(self, *without: str) -> dict[str, Any]:
        """Return the fields of a record that has the same names: all but those of the source, which becomes one."""
        names = [name for name in type(self).model_fields if name not in {"kind", "doi", "place", *without}]
        return {name: getattr(self, name) for name in names} | {"source": self.source()}


class QuantityTable(SourceTable):
    """A number with unit, spread between people and source."""

    value: NonNegative
    unit: Text
    log_sd: NonNegative = 0.0

    def record(self) -> Quantity:
        """Return the quantity record."""
        return Quantity(**self._values())


class SlotTable(StrictTable):
    """One table of ``slots.toml``."""

    combine: Literal["inhibit", "amplify", "bind", "add"]
    meaning: Text

    def record(self, id_: str) -> Slot:
        """Return the slot record."""
        return Slot(id=id_, **self.model_dump())


# Drugs and regimens


class _Schedule(StrictTable):
    amount: Positive
    unit: Text
    route: Text
    weeks: list[NonNegative] | None = None
    every_h: Positive | None = None
    start_week: NonNegative = 0.0
    stop_week: NonNegative | None = None

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if (self.weeks is None) == (self.every_h is None):
            raise ValueError("give either weeks (single doses) or every_h (repeated doses), and not both")
        if self.weeks is not None:
            if not self.weeks:
                raise ValueError("weeks is empty: name at least one week, such as weeks = [0, 2, 6]")
            if self.weeks != sorted(set(self.weeks)):
                raise ValueError(f"weeks is {self.weeks}: expected ascending weeks, each once")
        if self.stop_week is not None and self.stop_week <= self.start_week:
            raise ValueError(f"stop_week is {self.stop_week}: expected a week after start_week ({self.start_week})")
        return self

    def dose(self, drug: str) -> Dose:
        return Dose(
            drug=drug,
            amount=self.amount,
            unit=self.unit,
            route=self.route,
            weeks=tuple(self.weeks or ()),
            every_h=self.every_h,
            start_week=self.start_week,
            stop_week=self.stop_week,
        )


class DoseTable(_Schedule):
    """One dose entry of an arm or a regimen."""

    drug: Id

    def record(self) -> Dose:
        """Return the dose record."""
        return self.dose(self.drug)


class _DrugHead(StrictTable):
    id: Id
    name: Text
    drug_class: Text = Field(alias="class")
    amount_unit: Text
    concentration_unit: Text
    routes: Annotated[list[Text], Field(min_length=1)]
    antidepressant: bool = False
    into_state: str = ""
    note: str = ""


class _Kinetics(StrictTable):
    clearance: QuantityTable | None = None
    volume: QuantityTable | None = None
    peripheral_clearance: QuantityTable | None = None
    peripheral_volume: QuantityTable | None = None
    vmax: QuantityTable | None = None
    km: QuantityTable | None = None
    absorption_half_life: QuantityTable | None = None
    effect_half_life: QuantityTable | None = None
    bioavailability: dict[str, QuantityTable] = {}

    @model_validator(mode="after")
    def _check_kinetics(self) -> Self:
        for first, second in (("peripheral_clearance", "peripheral_volume"), ("vmax", "km")):
            if (getattr(self, first) is None) != (getattr(self, second) is None):
                raise ValueError(f"{first} and {second} belong together: give both or neither")
        for key, quantity in self.quantities().items():
            if quantity.value <= 0:
                raise ValueError(f"{key} is {quantity.value}: expected a value above 0")
        for route, quantity in self.bioavailability.items():
            if not 0 < quantity.value <= 1:
                raise ValueError(f"bioavailability.{route} is {quantity.value}: expected a fraction, above 0 up to 1")
        return self

    def quantities(self) -> dict[str, QuantityTable]:
        keys = [key for key in type(self).model_fields if key != "bioavailability"]
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class _TargetTable(StrictTable):
    slot: Id
    hill: Literal[1, 2, 4] = 1
    half: QuantityTable
    maximum: QuantityTable | None = None

    @model_validator(mode="after")
    def _check_half(self) -> Self:
        if self.half.value <= 0:
            raise ValueError(f"half.value is {self.half.value}: expected a concentration above 0")
        return self

    def record(self) -> Target:
        return Target(
            slot=self.slot,
            half=self.half.record(),
            maximum=None if self.maximum is None else self.maximum.record(),
            hill=self.hill,
        )


class _UsualTable(_Schedule, SourceTable):
    pass


class DrugFile(StrictTable):
    """One file of ``drugs/``."""

    drug: _DrugHead
    pk: _Kinetics = _Kinetics()
    target: list[_TargetTable] = []
    usual: _UsualTable

    @model_validator(mode="after")
    def _check_drug(self) -> Self:
        head, pk = self.drug, self.pk
        if head.into_state:
            if pk.quantities() or pk.bioavailability:
                raise ValueError(
                    f"into_state is {head.into_state!r}, so the dose enters that state directly: drop the table pk"
                )
        else:
            missing = [key for key in ("clearance", "volume") if getattr(pk, key) is None]
            if missing:
                raise ValueError(f"pk lacks {' and '.join(missing)}: give them, or into_state for a challenge")
            for route in head.routes:
                if route == "iv":
                    continue
                if pk.absorption_half_life is None:
                    raise ValueError(f"route {route!r} needs pk.absorption_half_life")
                if route not in pk.bioavailability:
                    raise ValueError(f"route {route!r} needs pk.bioavailability.{route}")
            if not self.target:
                raise ValueError("no [[target]]: a drug that acts on nothing cannot be simulated")
        unknown = sorted(set(pk.bioavailability) - set(head.routes))
        if unknown:
            raise ValueError(f"pk.bioavailability names {unknown}, which drug.routes {head.routes} does not list")
        if self.usual.route not in head.routes:
            raise ValueError(f"usual.route is {self.usual.route!r}: expected one of drug.routes {head.routes}")
        return self

    def record(self) -> Drug:
        """Return the drug record."""
        head = self.drug
        return Drug(
            id=head.id,
            name=head.name,
            drug_class=head.drug_class,
            amount_unit=head.amount_unit,
            concentration_unit=head.concentration_unit,
            routes=tuple(head.routes),
            pk={key: quantity.record() for key, quantity in self.pk.quantities().items()},
            bioavailability={route: quantity.record() for route, quantity in self.pk.bioavailability.items()},
            targets=tuple(target.record() for target in self.target),
            usual=self.usual.dose(head.id),
            usual_source=self.usual.source(),
            into_state=head.into_state,
            antidepressant=head.antidepressant,
            note=head.note,
        )


class _RegimenHead(StrictTable):
    id: Id
    name: Text
    reference: bool = False
    note: str = ""


class RegimenFile(StrictTable):
    """One file of ``regimens/``."""

    regimen: _RegimenHead
    dose: list[DoseTable] = []
    evidence: list[SourceTable] = []

    def record(self) -> Regimen:
        """Return the regimen record."""
        head = self.regimen
        return Regimen(
            id=head.id,
            name=head.name,
            doses=tuple(dose.record() for dose in self.dose),
            evidence=tuple(source.source() for source in self.evidence),
            reference=head.reference,
            note=head.note,
        )


# Analytes, scales, scores


# Populations
