"""Reference ranges: chosen by assay, specimen, sex, age and BMI, and none at all rather than a guess."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Analyte, ReferenceRange, Source
from crosstalk.panel.records import Measurement
from crosstalk.panel.references import percentile, position

SOURCE = Source("assumed", "example of a test")
ANY = ReferenceRange("any", "serum", 2.0, 1.0, 4.0, SOURCE)
CRP = load_knowledge().analytes["hsCRP"]


def analyte(*ranges: ReferenceRange, spread: float = 0.1) -> Analyte:
    return replace(CRP, references=ranges, offset_log_sd=spread)


def value(v: float, **kwargs: str) -> Measurement:
    return Measurement("hsCRP", v, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("v", "where"), [(0.5, "below"), (1.0, "within"), (4.0, "within"), (4.1, "above")])
def test_position(v: float, where: str) -> None:
    assert position(analyte(ANY), value(v))[1] == where


def test_censored_values_are_placed_only_where_they_must_lie() -> None:
    a = analyte(ANY)
    assert position(a, value(0.9, censored="left"))[1] == "below"
    assert position(a, value(3.0, censored="left"))[1] == "unknown"
    assert position(a, value(5.0, censored="right"))[1] == "above"
    assert position(a, value(3.0, censored="right"))[1] == "unknown"


def test_no_range_for_the_assay_means_no_flag() -> None:
    simoa = replace(ANY, assay="Simoa")
    assert position(analyte(simoa), value(9, method="Luminex"))[:2] == (None, "unknown")
    assert position(analyte(simoa), value(9, method="simoa"))[1] == "above"
    assert position(analyte(simoa, spread=1.0), value(9))[:2] == (None, "unknown")
    assert position(analyte(), value(9))[:2] == (None, "unknown")
    assert position(analyte(ANY), value(9, specimen="CSF"))[:2] == (None, "unknown")


def test_sex_and_age_choose_the_range() -> None:
    women = replace(ANY, sex="female", p97_5=8.0)
    old = replace(ANY, age=(60.0, 120.0), p97_5=10.0)
    assert position(analyte(women), value(6), sex=1.0)[1] == "within"
    assert position(analyte(women), value(6), sex=0.0)[:2] == (None, "unknown")
    assert position(analyte(women), value(6))[:2] == (None, "unknown")
    assert position(analyte(old), value(6), age=70.0)[1] == "within"
    assert position(analyte(old), value(6), age=30.0)[:2] == (None, "unknown")


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_percentiles_grow_with_the_value(a: float, b: float) -> None:
    low, high = sorted((a, b))
    first, second = percentile(ANY, low), percentile(ANY, high)
    assert first is not None
    assert second is not None
    assert 0 <= first <= second <= 100


def test_percentiles_meet_the_range() -> None:
    assert percentile(ANY, 1.0) == pytest.approx(2.5, abs=0.01)
    assert percentile(ANY, 2.0) == pytest.approx(50)
    assert percentile(ANY, 4.0) == pytest.approx(97.5, abs=0.01)
