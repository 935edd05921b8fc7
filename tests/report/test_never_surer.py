"""Published results beside the model: table, plots and page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from crosstalk.calibrate.moderation import Influence, ModelAnswer, Sureness
from crosstalk.calibrate.never_surer import Beside, Comparison
from crosstalk.evidence.moderation import Direct, Member
from crosstalk.evidence.records import LeftOut
from crosstalk.report.documents import dump
from crosstalk.report.never_surer import beside_html, beside_tables, cohort_table, with_stated
from crosstalk.report.never_surer_charts import beside_chart, question_chart

NAN = float("nan")
ONE = Member("GENDEP (uher2014)", "GENDEP", "uher2014", "calibrate", 0.37, 0.15, 0.08, 0.66, 55, "2 strata of MADRS")
TWO = replace(ONE, label="jha2017", study="jha2017", value=1.03, low=0.5, high=1.55, weight=45, remarks=("recalled",))
ZERO = replace(
    ONE, label="third", study="third", value=0.0, low=-0.2, high=0.2, remarks=("a zero that is only stated",)
)
FOUND = Direct(2, 0.67, 0.33, -3.49, 4.83, -6.0, 7.3, 0.41, 79.0, 0.03, (ONE, TWO))
NONE = Direct(0, *[NAN] * 9, ())


def answer(mean: float, sd: float) -> ModelAnswer:
    return ModelAnswer("q", mean, sd, 1.2 * sd, 0.01, (mean,))


@pytest.fixture
def comparison() -> Comparison:
    surer = Sureness("surer than the evidence", 0.02, ())
    explained = Sureness("explained", 0.3, (Influence("uher2014.0", "change of MADRS", 0.91, 0.5),))
    left = (LeftOut("hazard-ratio of MADRS", "pan2022", "is a hazard ratio"),)
    all_three, unknown = replace(FOUND, k=3, members=(ONE, TWO, ZERO)), Sureness("no direct evidence", 0.2, ())
    rows = (
        Beside("a", "serotonergic against catecholaminergic x hsCRP", FOUND, all_three, left,
               answer(0.023, 0.014), answer(0.033, 0.018), surer),
        Beside("b", "anti-cytokine against control x hsCRP", replace(FOUND, se=0.2), FOUND, (), answer(-0.1, 0.05),
               answer(-0.2, 0.2), explained),
        Beside("c", "glutamatergic x BMI", NONE, NONE, (), answer(0.06, 0.2), None, unknown),
        Beside("d", "a class without a regimen x BMI", FOUND, FOUND, (), None, None, None),
    )  # fmt: skip
    return Comparison(
        "moderation",
        "SD of the score per SD of the marker",
        rows,
        True,
        "posterior of version 1",
        120,
        40,
        1,
        "1",
        "ab",
    )


def test_the_table_says_everything_and_flags_what_is_surer(comparison: Comparison) -> None:
    (table,), notes = beside_tables(comparison)
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["direct (95 %)"] == "0.67 (-3.49 to 4.83)"
    assert cells["k, tau, I2"] == "2, 0.41, 79 %"
    assert cells["SD / SE"] == "0.04 (at most 0.05)"
    assert with_stated(comparison.rows[0]).startswith("With 1 that only state no difference, as zeros: 0.67")
    assert with_stated(comparison.rows[1]) == ""
    assert [row[-1] for row in table.rows] == [
        "surer than the evidence", "explained by uher2014.0 (r 0.91)", "no direct evidence",
        "the model has no answer",
    ]  # fmt: skip
    assert table.rows[2][1] == "none"
    assert notes[0].startswith("The model is surer than the evidence in 1 of 2 questions")
    assert [row.id for row in comparison.surer] == ["a"]


def test_the_cohorts_are_listed_with_those_that_state_a_zero(comparison: Comparison) -> None:
    table = cohort_table(comparison.rows[0])
    assert [row[2] for row in table.rows] == ["55", "45", "none"]
    assert table.rows[1][4] == "2 strata of MADRS; recalled"


def test_the_plots_are_svg_with_every_number(comparison: Comparison) -> None:
    chart = beside_chart(comparison)
    ElementTree.fromstring(chart)
    words = re.search(r'aria-label="([^"]*)"', chart)
    assert words is not None
    for text in ("0.67 (\N{MINUS SIGN}3.49 to 4.83)", "0.02 (0.00 to 0.05) surer", "no published result"):
        assert text in words[1]
    question = question_chart(comparison.rows[0], comparison.unit, "q0")
    ElementTree.fromstring(question)
    for text in ("GENDEP", "a new cohort", "model before calibration", "0.00 (\N{MINUS SIGN}0.20 to 0.20) stated"):
        assert text in question
    assert question == question_chart(comparison.rows[0], comparison.unit, "q0")


def test_the_page_holds_the_plots_the_cohorts_and_what_was_left_out(comparison: Comparison) -> None:
    page = beside_html(comparison)
    assert page.count("<svg") == 4
    for text in ("surer than the evidence", "is a hazard ratio", "posterior of version 1", "40 in each of 120 worlds"):
        assert text in page
    assert "Uncalibrated" not in page
    assert "Uncalibrated" in beside_html(replace(comparison, calibrated=False))
    assert '"verdict": "explained"' in dump(comparison)
    assert '"estimate": null' in dump(comparison)


def test_everyone_can_use_the_page(accessible: Callable[[str], None], comparison: Comparison) -> None:
    accessible(beside_html(comparison))
