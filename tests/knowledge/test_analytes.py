"""Analytes, scales and scores as data: their units, codes and ranges hold together and fit the mechanism."""

from __future__ import annotations

import itertools
import re

import pint
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Analyte, ReferenceRange
from crosstalk.knowledge.schema import loinc_is_valid

Registry = pint.UnitRegistry[float]
KNOWLEDGE = load_knowledge()
LABORATORY = [analyte for analyte in KNOWLEDGE.analytes.values() if analyte.kind == "laboratory"]
COVARIATES = [analyte for analyte in KNOWLEDGE.analytes.values() if analyte.kind == "covariate"]
PREDICTED = [analyte for analyte in LABORATORY if analyte.observable]
BY_RULE = {"10*9/L", "cells/uL", "uIU/mL", "umol/mmol", "points", "%"}


def id_of(analyte: Analyte) -> str:
    return analyte.id


@pytest.fixture(scope="module")
def registry() -> Registry:
    return pint.UnitRegistry()


def test_the_panel_that_the_model_reads_is_there() -> None:
    wanted = {
        "hsCRP": "CRP", "IL-6": "IL6_total", "TNF": "TNF_total", "IL-1b": "IL1", "IL-10": "IL10", "IFN-gamma": "IFNG",
        "IL-17A": "IL17", "neopterin": "NEO", "cortisol": "cortisol", "leptin": "LEP", "adiponectin": "ADP",
        "HOMA-IR": "IR", "tryptophan": "TRP", "kynurenine": "KYN", "KYN/TRP": "KTR", "KYNA": "KAp", "QUIN": "QAp",
        "3-HK": "HK", "Th1": "TH1", "Th17": "TH17", "Treg": "TREG",
    }  # fmt: skip
    assert {analyte.id: analyte.observable for analyte in PREDICTED} == wanted


@pytest.mark.parametrize("analyte", PREDICTED, ids=id_of)
def test_the_observable_is_a_variable_of_the_mechanism(analyte: Analyte) -> None:
    text = "\n".join(KNOWLEDGE.mechanisms.values())
    assert re.search(rf"^{analyte.observable}'? *:?=", text, flags=re.M)
    # error-free measurement would make the twin overconfident
    assert analyte.assay_cv > 0
    assert analyte.within_cv > 0


@pytest.mark.parametrize("analyte", PREDICTED, ids=id_of)
def test_the_healthy_model_lies_in_the_plausible_range(analyte: Analyte) -> None:
    start = {"IL6_total": "IL6_0", "TNF_total": "TNF0", "cortisol": "cortisol0", "IL17": "IL17_0", "KTR": ""}
    name = start.get(analyte.observable, f"{analyte.observable}0")
    name = name if name in KNOWLEDGE.parameters or not name else f"{analyte.observable}_0"
    parameters = KNOWLEDGE.parameters
    value = parameters[name].value if name else 1000 * parameters["KYN0"].value / parameters["TRP0"].value
    lower, upper = analyte.plausible
    assert lower < value < upper
    if name:
        assert parameters[name].unit == analyte.unit


@pytest.mark.parametrize("analyte", [*LABORATORY, *COVARIATES], ids=id_of)
def test_the_unit_parses_or_has_rules(analyte: Analyte, registry: Registry) -> None:
    if analyte.unit in BY_RULE:
        assert analyte.units_by_rule or analyte.unit in {"points", "%"}
    else:
        registry.parse_units(analyte.unit)
    assert analyte.unit not in analyte.units_by_rule


@pytest.mark.parametrize("analyte", [one for one in LABORATORY if one.molar_mass], ids=id_of)
def test_a_molar_mass_comes_with_a_mass_or_amount_concentration(analyte: Analyte, registry: Registry) -> None:
    unit = registry.Unit(analyte.unit)
    assert unit.is_compatible_with("mol/L") or unit.is_compatible_with("g/L")
    assert analyte.molar_mass is not None
    assert 100 < analyte.molar_mass < 1000


def test_factors_by_rule_are_right() -> None:
    rules = {id_: KNOWLEDGE.analytes[id_].units_by_rule for id_ in ("insulin", "WBC", "Treg", "KYN/TRP")}
    assert rules["insulin"]["pmol/L"] * 60 == pytest.approx(10)
    assert rules["WBC"]["cells/uL"] * 6500 == pytest.approx(6.5)
    assert rules["WBC"]["10*3/uL"] == 1
    assert rules["Treg"]["10*9/L"] * 0.045 == pytest.approx(45)
    assert rules["KYN/TRP"]["dimensionless"] * 0.033 == pytest.approx(33)


def test_loinc_codes_are_valid_and_unique() -> None:
    codes = [code for analyte in KNOWLEDGE.analytes.values() for code in analyte.loinc]
    assert len(codes) == len(set(codes)) > 15
    assert all(loinc_is_valid(code) for code in codes)


@pytest.mark.parametrize("analyte", LABORATORY, ids=id_of)
def test_reference_ranges_are_wide_enough_and_inside_the_plausible(analyte: Analyte) -> None:
    lower, upper = analyte.plausible
    for row in analyte.references:
        assert lower <= row.p2_5 < row.median < row.p97_5
        # hospital patients exceed health by far: the reader must not call that impossible
        assert row.p97_5 * 2 < upper
        assert row.assay
        assert row.specimen


def fits(row: ReferenceRange, sex: str, age: float, bmi: float) -> bool:
    return row.sex in {"any", sex} and row.age[0] <= age < row.age[1] and row.bmi[0] <= bmi < row.bmi[1]


@pytest.mark.parametrize("analyte", [*LABORATORY, *COVARIATES], ids=id_of)
def test_no_two_rows_of_an_assay_are_for_the_same_people(analyte: Analyte) -> None:
    keys = [(row.assay, row.specimen, row.sex, row.age, row.bmi) for row in analyte.references]
    assert len(keys) == len(set(keys))


SURVEYED = ["hsCRP", "WBC", "NLR", "MLR", "PLR", "SII", "glucose", "HOMA-IR", "HbA1c", "HDL", "BMI", "waist"]


@pytest.mark.parametrize("id_", SURVEYED)
def test_survey_ranges_cover_every_adult(id_: str) -> None:
    rows = [row for row in KNOWLEDGE.analytes[id_].references if "NHANES" in row.source.place]
    for sex, age, bmi in itertools.product(("female", "male"), range(18, 100, 3), (17.0, 22.0, 27.0, 45.0)):
        assert any(fits(row, sex, age, bmi) for row in rows)
    for row in rows:
        assert row.source.kind == "derived"
        assert row.n is not None
        assert row.n_effective is not None
        assert 40 <= row.n_effective <= row.n
        assert row.p25 is not None
        assert row.p75 is not None
        assert row.p2_5 <= row.p25 <= row.median <= row.p75 <= row.p97_5


def test_survey_ranges_have_one_home() -> None:
    text = (KNOWLEDGE.root / "analytes.toml").read_text(encoding="utf-8")
    assert "survey-weighted percentiles" not in text
    listed = {
        line.split("\t")[0] for line in (KNOWLEDGE.root / "ranges.tsv").read_text(encoding="utf-8").splitlines()[6:]
    }
    assert listed >= set(SURVEYED)
    assert listed <= set(KNOWLEDGE.analytes)


def test_covariates_name_what_a_population_holds() -> None:
    held = set(KNOWLEDGE.diagnosis("mdd").distributions) | {"weight_kg", "failed_steps"}
    named = {analyte.covariate for analyte in COVARIATES if analyte.covariate}
    assert named == {"age", "female", "BMI", "weight_kg", "height_cm", "failed_steps"}
    assert named <= held
    for analyte in COVARIATES:
        entry = KNOWLEDGE.diagnosis("mdd").distributions.get(analyte.covariate)
        if entry is not None:
            assert entry.covariate
            assert entry.unit == analyte.unit
            assert analyte.plausible[0] <= entry.lower
            assert entry.upper <= analyte.plausible[1]


def test_scales_are_weighted_sums_that_reach_their_maximum() -> None:
    assert list(KNOWLEDGE.scales) == ["HAMD17", "MADRS", "QIDS16", "PHQ9"]
    for scale in KNOWLEDGE.scales.values():
        assert scale.neurovegetative + scale.mood_cognitive == scale.maximum
        assert 0 < scale.rater_sd < scale.remission_max < scale.maximum / 4
        assert KNOWLEDGE.analytes[scale.id].plausible == (0, scale.maximum)
    assert [scale.remission_max for scale in KNOWLEDGE.scales.values()] == [7, 10, 5, 4]
