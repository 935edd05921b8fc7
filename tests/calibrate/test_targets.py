"""Targets: the scale of their errors, how they are discounted, and which stage they belong to."""

from __future__ import annotations

from dataclasses import replace
from math import hypot, log, sqrt

import numpy as np
import pytest

from crosstalk.calibrate.covariance import covariance, typical_sd
from crosstalk.calibrate.targets import STAGES, Target, describe, gather, studies_of
from crosstalk.errors import CalibrationError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.records import Eligibility, Marker, Result, Study
from crosstalk.study.schema import read_study

CHANGE = Result("change", "HAMD17", "drug", "placebo", 2016.0, value=-2.0, unit="points", se=0.5)


def targets_of(study: Study, *results: Result) -> list[Target]:
    return [Target(study.id, i, r, float(r.value or 0), float(r.se or 0), "symptoms") for i, r in enumerate(results)]


@pytest.fixture
def study(knowledge: Knowledge) -> Study:
    return replace(read_study("raison2013", knowledge), bias="")


def error(study: Study, knowledge: Knowledge, *results: Result) -> np.ndarray:
    return covariance(study, targets_of(study, *results), knowledge)


def test_an_exact_result_keeps_its_published_error(study: Study, knowledge: Knowledge) -> None:
    plain = replace(CHANGE, mismatch=(("indication", "exact"), ("species", "human")))
    assert error(study, knowledge, plain)[0, 0] == pytest.approx(0.25)


def test_mismatch_and_memory_add_in_quadrature(study: Study, knowledge: Knowledge) -> None:
    grades = knowledge.discounts.mismatch
    doubtful = replace(CHANGE, provenance="memory", mismatch=(("indication", "near"), ("quality", "pilot")))
    share = sqrt(grades["indication.near"] ** 2 + grades["quality.pilot"] ** 2 + knowledge.discounts.memory**2)
    assert error(study, knowledge, doubtful)[0, 0] == pytest.approx(hypot(0.5, 2.0 * share) ** 2)


def test_a_share_of_a_null_refers_to_the_floor(study: Study, knowledge: Knowledge) -> None:
    null = replace(CHANGE, value=0.0, mismatch=(("indication", "near"),))
    floor, share = knowledge.discounts.floor["change"], knowledge.discounts.mismatch["indication.near"]
    assert error(study, knowledge, null)[0, 0] == pytest.approx(0.25 + (share * floor) ** 2)


def test_visits_of_the_same_patients_err_together_and_strata_apart(study: Study, knowledge: Knowledge) -> None:
    stratum = Eligibility("hsCRP", "mg/L", min=5)
    later, other = replace(CHANGE, time_h=1008.0), replace(CHANGE, stratum=stratum)
    found = error(study, knowledge, CHANGE, later, other)
    assert found[0, 1] == pytest.approx(knowledge.discounts.visits * 0.25)
    assert found[0, 2] == 0
    assert (np.linalg.eigvalsh(found) > 0).all()


def test_a_study_bias_is_common_to_its_symptom_results(study: Study, knowledge: Knowledge) -> None:
    biased = replace(study, bias="region")
    smd = Result("smd", "HAMD17", "drug", "placebo", 1008.0, value=-0.8, se=0.2)
    crp = Result("ratio", "hsCRP", "drug", "placebo", 1008.0, value=0.8, se=0.2)
    extra = error(biased, knowledge, CHANGE, smd, crp) - error(study, knowledge, CHANGE, smd, crp)
    sd = knowledge.discounts.bias["region"]
    points = knowledge.discounts.scale_sd * 52
    assert extra == pytest.approx(np.outer([sd * points, sd, 0], [sd * points, sd, 0]))


def test_a_laboratory_has_its_own_scale_for_rises_and_its_own_offset_for_levels(
    study: Study, knowledge: Knowledge
) -> None:
    rise = Result("change", "TNF", "lps", time_h=1.5, value=300.0, unit="pg/mL", se=10.0)
    fold = Result("ratio", "TNF", "lps", time_h=1.5, value=50.0, se=0.1)
    found = error(study, knowledge, rise, fold)
    assert found[0, 0] == pytest.approx(100 + (300 * knowledge.discounts.assay_scale) ** 2)
    assert found[1, 1] == pytest.approx(0.01)
    level = replace(rise, endpoint="level", value=5.0, se=0.1)
    offset = 5.0 * knowledge.analytes["TNF"].offset_log_sd
    assert error(study, knowledge, level)[0, 0] == pytest.approx(
        0.01 + (5 * knowledge.discounts.assay_scale) ** 2 + offset**2
    )


def test_values_are_on_the_scale_of_their_errors(knowledge: Knowledge) -> None:
    found = gather([read_study("raison2013", knowledge)], knowledge)
    ratio = next(t for t in found.items if t.result.endpoint == "ratio")
    assert ratio.value == pytest.approx(log(ratio.result.value or 0))


def test_the_shipped_evidence_makes_a_proper_covariance_and_every_stage_has_targets(knowledge: Knowledge) -> None:
    found = gather(studies_of("calibrate", knowledge), knowledge)
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()
    assert len(found.items) == len(found.values) == len(found.covariance)
    assert {t.stage for t in found.items} >= {"innate", "hpa", "metabolic", "kynurenine", "tcell", "brain", "symptoms"}
    assert {t.stage for t in found.items} <= set(STAGES)
    for study in found.studies:
        assert study.role == "calibrate"


def test_parts_keep_their_own_errors(knowledge: Knowledge) -> None:
    found = gather([read_study(s, knowledge) for s in ("han2016", "raison2013")], knowledge)
    part = found.take(found.stage("innate"))
    assert {t.result.of for t in part.items} == {"hsCRP", "IL-6"}
    assert [s.id for s in part.studies] == ["raison2013"]
    where = [found.items.index(t) for t in part.items]
    assert (part.covariance == found.covariance[np.ix_(where, where)]).all()


def test_results_without_an_error_cannot_be_targets(study: Study, knowledge: Knowledge) -> None:
    with pytest.raises(CalibrationError, match=r"raison2013.*change of HAMD17, week 12.*standard error"):
        gather([replace(study, results=(replace(CHANGE, se=None),))], knowledge)
    with pytest.raises(CalibrationError, match="no study has a result"):
        gather([replace(study, results=())], knowledge)


def test_one_standard_deviation_of_each_endpoint(knowledge: Knowledge) -> None:
    assert typical_sd(CHANGE, knowledge) == pytest.approx(7.8)
    assert typical_sd(replace(CHANGE, endpoint="smd"), knowledge) == 1
    assert typical_sd(replace(CHANGE, endpoint="odds-ratio"), knowledge) == pytest.approx(1.8138, abs=1e-4)
    assert np.isnan(typical_sd(replace(CHANGE, of="hsCRP", endpoint="ratio"), knowledge))


def test_descriptions_name_what_when_who_and_in_whom() -> None:
    stratum = Eligibility("hsCRP", "mg/L", min=3, max=5)
    assert (
        describe(replace(CHANGE, stratum=stratum)) == "change of HAMD17, week 12, drug - placebo, 3 <= hsCRP < 5 mg/L"
    )
    assert describe(replace(CHANGE, time_h=24.0, versus="")) == "change of HAMD17, day 1, drug"


UPPER = Eligibility("hsCRP", "mg/L", min=3)
LOWER = Eligibility("hsCRP", "mg/L", max=3)
INTERACTION = replace(CHANGE, endpoint="interaction", marker=Marker("hsCRP", "ln"), shares="crp")


def test_an_interaction_errs_with_the_upper_stratum_and_against_the_lower(study: Study, knowledge: Knowledge) -> None:
    strata = [replace(CHANGE, stratum=s, shares="crp") for s in (UPPER, LOWER)]
    found = error(study, knowledge, INTERACTION, *strata)
    assert found[0, 1] > 0 > found[0, 2]
    assert found[0, 1] == pytest.approx(-found[0, 2])
    # the strata hold different patients
    assert found[1, 2] == 0
    assert (np.linalg.eigvalsh(found) > 0).all()
    apart = error(study, knowledge, replace(INTERACTION, shares=""), *(replace(s, shares="") for s in strata))
    assert np.count_nonzero(apart - np.diag(np.diag(apart))) == 0


def test_results_with_a_label_err_together_turned_where_more_is_better(study: Study, knowledge: Knowledge) -> None:
    odds = replace(INTERACTION, endpoint="interaction-or", event="response")
    assert error(study, knowledge, INTERACTION, odds)[0, 1] == pytest.approx(-knowledge.discounts.shared * 0.25)


def test_many_strata_still_make_a_proper_covariance(study: Study, knowledge: Knowledge) -> None:
    edges = [0.5, 1, 2, 3, 5, 10, 20]
    upper = [replace(CHANGE, stratum=Eligibility("hsCRP", "mg/L", min=e), shares="crp") for e in edges]
    lower = [replace(CHANGE, stratum=Eligibility("hsCRP", "mg/L", max=e), shares="crp") for e in edges]
    assert (np.linalg.eigvalsh(error(study, knowledge, INTERACTION, *upper, *lower)) > 0).all()


def test_publications_on_one_cohort_err_together(study: Study, knowledge: Knowledge) -> None:
    first = replace(study, id="first", cohort="GENDEP", results=(replace(INTERACTION, value=1.0),))
    second = replace(study, id="second", cohort="GENDEP", results=(replace(INTERACTION, value=2.0),))
    assert gather([first, second], knowledge).covariance[0, 1] == pytest.approx(knowledge.discounts.shared * 0.25)
    other = replace(second, cohort="CO-MED")
    assert gather([first, other], knowledge).covariance[0, 1] == 0
    body_weight = replace(second, results=(replace(INTERACTION, marker=Marker("BMI", "sd"), value=2.0),))
    assert gather([first, body_weight], knowledge).covariance[0, 1] == 0
