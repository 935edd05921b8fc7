"""Recorded values: rater and assay error, bounds, rounding, limit of detection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PopulationError, UnitError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Analyte, Scale
from crosstalk.model.assembly import assemble
from crosstalk.population.measure import (
    FLUCTUATION_H,
    analyte_log_sd,
    fluctuations,
    noise_table,
    observable_factor,
    record_analyte,
    record_scale,
    visit_scores,
)

SCALES = list(load_knowledge().scales.values())


def crp() -> Analyte:
    return load_knowledge().analytes["hsCRP"]


@pytest.mark.parametrize("scale", SCALES, ids=lambda s: s.id)
@given(st.lists(st.tuples(st.floats(-5, 70), st.floats(-6, 6)), min_size=1, max_size=20))
def test_scores_are_whole_points_within_the_scale(scale: Scale, pairs: list[tuple[float, float]]) -> None:
    true, noise = np.array(pairs).T
    score = record_scale(true, scale, noise)
    assert (score == np.round(score)).all()
    assert ((score >= 0) & (score <= scale.maximum)).all()
    inside = (true + scale.rater_sd * noise > 0) & (true + scale.rater_sd * noise < scale.maximum)
    assert (np.abs(score - true - scale.rater_sd * noise)[inside] <= 0.5 + 1e-9).all()


def test_a_scale_of_fractions_is_not_rounded() -> None:
    scale = replace(SCALES[0], integer=False, rater_sd=2.0)
    assert record_scale(np.array([10.3, 1.0]), scale, np.array([0.5, -3.0])) == pytest.approx([11.3, 0.0])


def test_rater_error_has_the_stated_spread() -> None:
    scale = SCALES[0]
    noise = np.random.default_rng(1).standard_normal(20_000)
    score = record_scale(np.full(20_000, scale.maximum / 2), scale, noise)
    # rounding to whole points adds a twelfth to the variance
    assert score.std() == pytest.approx(np.sqrt(scale.rater_sd**2 + 1 / 12), rel=0.03)


@pytest.mark.parametrize("weeks", [True, False])
def test_assay_error_is_lognormal_with_the_stated_cv(weeks: bool) -> None:
    analyte = replace(crp(), assay_cv=0.3, within_cv=0.4, lod=None)
    noise = np.random.default_rng(2).standard_normal(200_000)
    value = record_analyte(np.full(200_000, 5.0), analyte, noise, between_weeks=weeks)
    assert np.median(value) == pytest.approx(5.0, rel=0.01)
    squared = (1 + 0.3**2) * ((1 + 0.4**2) if weeks else 1) - 1
    assert value.std() / value.mean() == pytest.approx(np.sqrt(squared), rel=0.03)


def test_log_sd_adds_the_variances_asked_for() -> None:
    analyte = replace(crp(), assay_cv=0.1, within_cv=0.5, offset_log_sd=0.7)
    assay, weeks, offset = np.log(1.01), np.log(1.25), 0.49
    assert analyte_log_sd(analyte, between_weeks=False) == pytest.approx(np.sqrt(assay))
    assert analyte_log_sd(analyte) == pytest.approx(np.sqrt(assay + weeks))
    assert analyte_log_sd(analyte, between_assays=True) == pytest.approx(np.sqrt(assay + weeks + offset))


@given(st.lists(st.tuples(st.floats(1e-4, 1e3), st.floats(-6, 6)), min_size=1, max_size=20))
def test_a_laboratory_reports_nothing_below_the_limit_of_detection(pairs: list[tuple[float, float]]) -> None:
    true, noise = np.array(pairs).T
    analyte = crp()
    assert analyte.lod is not None
    value = record_analyte(true, analyte, noise, between_weeks=True)
    free = record_analyte(true, replace(analyte, lod=None), noise, between_weeks=True)
    assert (value >= analyte.lod).all()
    assert (value == np.where(free < analyte.lod, analyte.lod, free)).all()


def test_a_missing_truth_stays_missing() -> None:
    assert np.isnan(record_analyte(np.array([np.nan]), crp(), np.array([0.1]), between_weeks=False)).all()
    assert np.isnan(record_scale(np.array([np.nan]), SCALES[0], np.array([0.1]))).all()


def test_noise_of_a_visit_depends_neither_on_further_visits_nor_on_other_patients() -> None:
    everyone = noise_table(3, "visit:HAMD17", np.arange(10), 6)
    assert everyone.shape == (10, 6)
    assert (noise_table(3, "visit:HAMD17", np.array([8, 2]), 2) == everyone[[8, 2], :2]).all()
    assert len(np.unique(everyone)) == everyone.size


def test_no_visit_at_all() -> None:
    with pytest.raises(PopulationError, match="no visit to record"):
        noise_table(1, "visit:HAMD17", np.arange(3), 0)


def test_every_observable_converts_to_the_unit_of_its_analyte() -> None:
    knowledge, model = load_knowledge(), assemble(())
    for analyte in knowledge.analytes.values():
        if analyte.observable:
            assert observable_factor(model, analyte) > 0, analyte.id


def test_the_factor_follows_the_unit_of_the_analyte() -> None:
    model = assemble(())
    per_litre = observable_factor(model, crp())
    assert observable_factor(model, replace(crp(), unit="mg/dL")) == pytest.approx(per_litre / 10)


def test_units_that_do_not_convert() -> None:
    with pytest.raises(UnitError):
        observable_factor(assemble(()), replace(crp(), unit="mmHg"))


def test_fluctuations_start_at_nothing_and_forget() -> None:
    times = np.array([0.0, 168.0, 672.0, 2016.0, 8064.0])
    found = fluctuations(1, np.arange(20_000), times)
    assert (found[:, 0] == 0).all()
    expected = np.sqrt(1 - np.exp(-2 * times / FLUCTUATION_H))
    assert found.std(axis=0) == pytest.approx(expected, abs=0.02)
    assert np.corrcoef(found[:, 2], found[:, 3])[0, 1] == pytest.approx(
        np.exp(-1344 / FLUCTUATION_H) * expected[2] / expected[3], abs=0.02
    )
    assert abs(np.corrcoef(found[:, 1], found[:, 4])[0, 1]) < 0.03


def test_visits_hold_the_course_its_fluctuation_and_the_rater() -> None:
    scale = load_knowledge().scales["HAMD17"]
    index, times = np.arange(20_000), np.array([0.0, 8064.0])
    true = np.full((len(index), 2), 26.0)
    still = visit_scores(true, scale, seed=1, index=index, times_h=times, covariates={})
    moved = visit_scores(
        true, scale, seed=1, index=index, times_h=times, covariates={"fluctuation": np.full(len(index), 0.08)}
    )
    assert still.std(axis=0) == pytest.approx([scale.rater_sd] * 2, rel=0.03)
    assert moved[:, 0].tolist() == still[:, 0].tolist()
    assert moved[:, 1].std() == pytest.approx(np.hypot(scale.rater_sd, 0.08 * 52), rel=0.03)
    assert moved.mean(axis=0) == pytest.approx([26, 26], abs=0.1)
