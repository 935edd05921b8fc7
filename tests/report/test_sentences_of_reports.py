"""Sentences of simulated studies, cohorts, trials, searches and pools say what their numbers allow."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.report import trials
from crosstalk.report.charts import _event_end, course_chart
from crosstalk.report.cohort import cohort_html
from crosstalk.report.cohort_patients import cohort_lines, patient_rows
from crosstalk.report.documents import Quantiles, SimulatedArm, SimulatedResult, Simulation
from crosstalk.report.evidence import pool_sentence
from crosstalk.report.simulation import observed_points, simulation_lines, simulation_tables
from crosstalk.report.strips import Axis
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.cohort_records import CohortAssessment


@given(st.floats(-5, 5), st.floats(-5, 5), st.sampled_from([-1, 0, 1]))
def test_a_pool_is_better_only_if_its_interval_leaves_out_none(a: float, b: float, favours: int) -> None:
    low, high = sorted((a, b))
    pool: Any = SimpleNamespace(
        unit="dimensionless", estimate=(low + high) / 2, low=low, high=high, k=3, null=0.0, favours=favours
    )
    words = pool_sentence(pool)
    if low <= 0 <= high:
        assert "no evidence of a difference" in words
    elif favours:
        assert ("better" in words) is ((low > 0) == (favours > 0))
        assert ("worse" in words) is not ("better" in words)
    else:
        assert "better" not in words
        assert "worse" not in words


def arm(name: str, values: list[float], hours: list[float], of: str = "hsCRP") -> SimulatedArm:
    rows = tuple(Quantiles(of, t, 9, v, v, v, v, v, v) for t, v in zip(hours, values, strict=True))
    return SimulatedArm(name, 9, 0, 12, rows)


def result(endpoint: str, value: float, unit: str, simulated: float | None, week: float = 1.0) -> SimulatedResult:
    return SimulatedResult(endpoint, "hsCRP", "a", "", week, "", unit, value, 0.5, simulated, 0.1)


@pytest.fixture
def made(simulated: Simulation) -> Simulation:
    hours = [0.0, 24.0, 168.0, 336.0, 2016.0]
    results = (
        result("level", 4.0, "mg/L", 4.2),
        result("level", 9.0, "mg/L", 4.2),
        result("change", 2.0, "mg/L", None),
    )
    return replace(
        simulated, arms=(arm("a", [1.0, 5.0, 4.0, 1.0, 1.0], hours),), results=results, units={"hsCRP": "mg/L"}
    )


def test_published_results_are_counted_against_their_errors(made: Simulation) -> None:
    words = " ".join(simulation_lines(made))
    assert "Of 2 published results with a simulated counterpart, 1 agrees" in words
    assert "No published result" in " ".join(simulation_lines(replace(made, results=())))
    failed = replace(made, arms=(replace(made.arms[0], failed=2),))
    assert "2 courses could not be computed" in " ".join(simulation_lines(failed))
    published, medians = simulation_tables(made)
    assert len(published.rows) == 3
    assert medians.rows[0][1] == "hsCRP [mg/L]"


def test_published_values_stand_over_the_course(made: Simulation) -> None:
    points = observed_points(made, "hsCRP")
    assert [(p[0], p[1], p[2]) for p in points] == [("a", 168.0, 4.0), ("a", 168.0, 9.0), ("a", 168.0, 3.0)]
    fold = replace(made, results=(result("ratio", 2.0, "dimensionless", 2.0),))
    assert observed_points(fold, "hsCRP")[0][2:] == (2.0, 1.0)
    other = replace(made, results=(replace(made.results[0], versus="b"), replace(made.results[0], stratum="x")))
    assert observed_points(other, "hsCRP") == ()
    page = course_chart(made, "hsCRP", "c")
    assert "3 published values over it" in page
    assert "hsCRP [mg/L]" in page
    assert "time [" in page


def test_the_axis_ends_where_nothing_more_happens(made: Simulation) -> None:
    assert 168.0 <= _event_end(made.arms, "hsCRP", 0.0) < 400.0
    assert _event_end(made.arms, "hsCRP", 2000.0) == 2016.0
    flat = (arm("a", [1.0, 1.0], [0.0, 100.0]),)
    assert _event_end(flat, "hsCRP", 0.0) == 100.0


@pytest.fixture(scope="module")
def cohort() -> CohortAssessment:
    values = [0.4, 2.0, 3.0, 8.0, 40.0]
    panels = [Panel(f"P{i}", {"hsCRP": Measurement("hsCRP", v)}) for i, v in enumerate(values)]
    panels += [
        Panel("low", {"hsCRP": Measurement("hsCRP", 5.0, "left")}),
        Panel("none", {"BMI": Measurement("BMI", 25.0)}),
    ]
    return assess_cohort(PanelFile("made.csv", "", tuple(panels)), virtual_patients=1500)


def test_the_inflamed_are_counted(cohort: CohortAssessment) -> None:
    words = " ".join(cohort_lines(cohort))
    assert "Inflamed (CRP of 3 mg/L or more): 3 of 5 with a value that tells (60%)" in words
    assert "1 of them above 10 mg/L" in words
    assert "1 that cannot be told" in words


def test_a_patient_has_a_colour_only_where_the_interval_allows(cohort: CohortAssessment) -> None:
    rows = patient_rows(cohort)
    assert [r.patient for r in rows[:3]] == ["P4", "P3", "low"]
    assert {r.patient: r.stratum for r in rows}["P2"] == "raised"
    assert {r.patient: r.stratum for r in rows}["low"] == "cannot be told"
    assert rows[-1].patient == "none"
    place = {name: i for i, name in enumerate(cohort.patients.patient)}
    for row in rows:
        for cell, score in zip(row.cells, cohort.score_columns, strict=True):
            low, high = score.low[place[row.patient]], score.high[place[row.patient]]
            kind = cell.kind.split()[0]
            assert {
                "high": low > 1.25, "low": high < 0.8, "within": low >= 0.8 and high <= 1.25, "open": True,
                "none": not np.isfinite(low),
            }[kind]  # fmt: skip
            if row.patient == "none":
                # BMI alone colours nothing
                assert kind in ("open", "none")
                assert not score.told_by_panel[place["none"]] > 0
    assert 'class="heat"' in cohort_html(cohort)


def test_a_trial_says_how_many_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    trial: Any = SimpleNamespace(
        funnel={"screened": SimpleNamespace(value=300.0)}, randomised=SimpleNamespace(value=100.0),
        design=SimpleNamespace(n=100),
    )  # fmt: skip
    monkeypatch.setattr(trials.charts, "needed", lambda _result, _power: 250.0)
    assert trials.needed_words(trial).startswith("Needed for 80 % power: 250 randomised, about 750 screened")
    monkeypatch.setattr(trials.charts, "needed", lambda _result, _power: float("inf"))
    assert "out of reach" in trials.needed_words(trial)


@given(st.floats(-20, 20), st.floats(0.1, 10))
def test_a_strip_places_values_in_order_and_within_its_ends(value: float, step: float) -> None:
    axis = Axis(-10, 10, ())
    assert 0 <= axis.at(value) <= 100
    assert axis.at(value) <= axis.at(value + step)
    logarithmic = Axis(0.25, 4, (), logarithmic=True)
    assert logarithmic.at(1.0) == pytest.approx(50)
    assert 0 <= logarithmic.at(value) <= 100


def test_contents_lead_to_headings() -> None:
    from crosstalk.report.html import with_contents

    text = "".join(f"<section><h2>Part {i}</h2></section>" for i in range(7))
    page = with_contents(text)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page
    assert page.index("<nav") > page.index("Part 0")
    assert "<nav" not in with_contents(text.partition("<h2>Part 3")[0])
