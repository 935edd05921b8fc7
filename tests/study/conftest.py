"""A small knowledge base of its own, so that these tests do not move with the shipped library."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import (
    Analyte,
    Diagnosis,
    Discounts,
    Distribution,
    Dose,
    Drug,
    Quantity,
    Regimen,
    Scale,
    Source,
)

SOURCE = Source("assumed", "test")


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value, unit, SOURCE)


def drug(
    id_: str, unit: str, routes: tuple[str, ...], usual: Dose, *, absorbed: bool, antidepressant: bool = False
) -> Drug:
    pk = {"clearance": quantity(2, "L/h"), "volume": quantity(10, "L")}
    if absorbed:
        pk["absorption_half_life"] = quantity(1, "h")
    return Drug(
        id=id_,
        name=id_,
        drug_class="test",
        amount_unit=unit,
        concentration_unit=f"{unit}/L",
        routes=routes,
        pk=pk,
        bioavailability={route: quantity(0.8, "dimensionless") for route in routes if route != "iv"},
        targets=(),
        usual=usual,
        usual_source=SOURCE,
        antidepressant=antidepressant,
    )


def analyte(
    id_: str, unit: str, *, kind: str = "laboratory", observable: str = "x", mass: float | None = None
) -> Analyte:
    return Analyte(
        id=id_,
        name=id_,
        kind=kind,  # type: ignore[arg-type]
        unit=unit,
        aliases=(),
        loinc=(),
        specimen="plasma",
        observable=observable,
        covariate="BMI" if kind == "covariate" else "",
        assay_cv=0.1,
        within_cv=0.1,
        offset_log_sd=0.0,
        lod=None,
        plausible=(0.0, 1e6),
        molar_mass=mass,
        units_by_rule={},
        references=(),
        source=SOURCE,
    )


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    tablet = drug(
        "tablet-a", "mg", ("oral",), Dose("tablet-a", 10, "mg", "oral", every_h=24), absorbed=True, antidepressant=True
    )
    antibody = drug(
        "antibody-b", "mg", ("iv", "sc"), Dose("antibody-b", 5, "mg/kg", "iv", weeks=(0, 2, 6)), absorbed=True
    )
    infusion = drug("infusion-c", "mg", ("iv",), Dose("infusion-c", 0.5, "mg/kg", "iv", weeks=(0,)), absorbed=False)
    cytokine = drug("cytokine-d", "MIU", ("sc", "iv"), Dose("cytokine-d", 1, "MIU", "sc", weeks=(0,)), absorbed=True)
    toxin = Drug(
        id="toxin-e",
        name="toxin",
        drug_class="challenge",
        amount_unit="ng/kg",
        concentration_unit="ng/kg",
        routes=("iv",),
        pk={},
        bioavailability={},
        targets=(),
        usual=Dose("toxin-e", 2, "ng/kg", "iv", weeks=(0,)),
        usual_source=SOURCE,
        into_state="LPS",
    )
    drugs = {entry.id: entry for entry in (tablet, antibody, infusion, cytokine, toxin)}
    scales = {
        "HAMD17": Scale("HAMD17", "Hamilton", 52, 22, 30, 2.5, 0.5, 7, SOURCE, aliases=("HAM-D",)),
        "MADRS": Scale("MADRS", "Montgomery", 60, 18, 42, 2.5, 0.5, 10, SOURCE),
    }
    analytes = {
        "hsCRP": analyte("hsCRP", "mg/L"),
        "IL-6": analyte("IL-6", "pg/mL"),
        "IL-8": analyte("IL-8", "pg/mL", observable=""),
        "BMI": analyte("BMI", "kg/m^2", kind="covariate", observable=""),
    } | {id_: analyte(id_, "points", kind="scale", observable="") for id_ in scales}
    bmi = Distribution("BMI", "lognormal", 27, 0.2, 16, 60, SOURCE, unit="kg/m^2", covariate=True)
    return Knowledge(
        root=Path(),
        parameters={},
        slots={},
        drugs=drugs,
        regimens={
            "standard": Regimen(
                "standard", "standard", (Dose("tablet-a", 20, "mg", "oral", every_h=24),), (), reference=True
            )
        },
        analytes=analytes,
        scales=scales,
        diagnoses={
            "healthy": Diagnosis("healthy", "healthy", {}),
            "mdd": Diagnosis("mdd", "depression", {"BMI": bmi}, scale="HAMD17"),
        },
        scores={},
        mechanisms={"core": "MOOD := 0.1\nMOOD has dimensionless\nTNF_free := 2\nTNF_free has pg_per_mL\n"},
        study_files={},
        references={},
        discounts=Discounts({}, 0, {}, 0, 0, {}, {}, {}, 0, 0, 0, 1, {}),
        sha256="",
        analyte_names={"hscrp": "hsCRP", "crp": "hsCRP", "il6": "IL-6", "hamd": "HAMD17", "hamd17": "HAMD17"},
    )
