"""Pooled evidence as tables, forest plot and page; the check and the list as tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from crosstalk.evidence.checks import check_studies
from crosstalk.evidence.listing import published, study_card
from crosstalk.evidence.records import CheckLine, CheckReport, LeftOut, Listing, Member, Pool
from crosstalk.evidence.sources import read_entry
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.report.documents import dump
from crosstalk.report.evidence import card_tables, check_tables, listing_table, pool_text, value_text
from crosstalk.report.evidence_charts import forest_chart
from crosstalk.report.html import pool_html
from crosstalk.statistics.meta_analysis import random_effects

VALUES, ERRORS = [-0.9, -0.3, -1.2, 0.05], [0.28, 0.22, 0.35, 0.17]


@pytest.fixture(scope="module")
def pooled() -> Pool:
    fit = random_effects(VALUES, ERRORS)
    members = tuple(
        Member(
            f"<b>{i}</b> & study, week 6", f"s{i}", f"doi 10.1000/s{i}", "context", "memory" if i == 1 else "seen",
            "region" if i == 2 else "", value, value - 1.96 * error, value + 1.96 * error, 100 * weight,
            "turned round" if i == 0 else "",
        )
        for i, (value, error, weight) in enumerate(zip(VALUES, ERRORS, fit.weights, strict=True))
    )  # fmt: skip
    left = (LeftOut("x: a", "x", "has no standard error"), LeftOut("x: b", "x", "has no standard error"))
    return Pool(
        "smd of HAMD17: celecoxib against control", "smd", ("HAMD17",), "drug", "SD", "identity", 0.0, -1, 4,
        fit.estimate, fit.low, fit.high, fit.prediction_low, fit.prediction_high, fit.se, fit.tau2, fit.tau2_low,
        fit.tau2_high, fit.i2, fit.q, fit.q_p, members, left, ("A note.",), "0.0", "0.0.13", "ab" * 32,
    )  # fmt: skip


def log_pool(pool: Pool) -> Pool:
    members = tuple(replace(m, value=2.0**i, low=2.0**i / 3, high=2.0**i * 3) for i, m in enumerate(pool.members))
    return replace(
        pool, endpoint="odds-ratio", unit="dimensionless", scale="logarithm", null=1.0, favours=1, members=members,
        estimate=2.8, low=0.9, high=8.7, prediction_low=1e-6, prediction_high=1e7,
    )  # fmt: skip


def test_the_forest_plot_is_one_svg_with_every_number(pooled: Pool) -> None:
    svg = forest_chart(pooled)
    root = ElementTree.fromstring(svg)
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("<b>0</b> & study, week 6" in t for t in texts)
    assert sum(t.endswith(" %") for t in texts) == 4
    assert "smd [SD]; left is better" in texts
    assert any(t.startswith("\N{MINUS SIGN}0.9 (") for t in texts)
    assert "Mean effect" in root.attrib["aria-label"]
    assert "width" not in root.attrib
    assert svg == forest_chart(pooled)


def test_hollow_squares_are_recalled_or_biased(pooled: Pool) -> None:
    hollow = forest_chart(pooled).count("fill: var(--paper, #ffffff); stroke: var(--blue, #0072b2)")
    plain = replace(pooled, members=tuple(replace(m, provenance="seen", bias="") for m in pooled.members))
    assert hollow == 2
    assert forest_chart(plain).count("fill: var(--paper, #ffffff); stroke: var(--blue, #0072b2)") == 0


def test_a_huge_interval_does_not_crush_the_studies(pooled: Pool) -> None:
    found = log_pool(pooled)
    svg = forest_chart(found)
    assert "odds-ratio (log scale); right is better" in svg
    ticks = [float(t) for t in re.findall(r">(\d+(?:\.\d+)?)<", svg)]
    assert max(ticks) < 1000
    ElementTree.fromstring(svg)


def test_labels_do_not_reach_into_the_axis(pooled: Pool) -> None:
    """The left margin follows the longest label."""
    long = replace(pooled, members=tuple(replace(m, label=m.label + " and a long arm") for m in pooled.members))

    def left(svg: str) -> float:
        found = re.search(r'id="forest-patch_2">\s*<path d="M ([\d.]+) ', svg)
        assert found is not None
        return float(found[1])

    assert left(forest_chart(long)) > left(forest_chart(pooled)) + 40


def test_the_page_is_self_contained_and_escaped(pooled: Pool) -> None:
    page = pool_html(pooled)
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|https://doi\.org/)', page)
    assert "&lt;b&gt;0&lt;/b&gt; &amp; study" in page
    assert "<b>" not in page
    assert page.count("<svg") == 1
    for words in ("A note.", "has no standard error", "Hartung and Knapp", "ab" * 32, "doi.org/10.1000/s3", "PyMARE"):
        assert words in page, words
    assert "ncalibrated" not in page


def test_the_tables_of_a_pool(pooled: Pool) -> None:
    tables, notes = pool_text(pooled)
    assert [row[4] for row in tables[0].rows] == ["turned round", "recalled", "bias: region", ""]
    assert tables[1].rows[0][1].startswith("-0.5")
    assert tables[2].rows == (("has no standard error", "x", "2"),)
    assert notes == ("A note.", "Made by Crosstalk 0.0 with PyMARE 0.0.13.")
    assert len(pool_text(replace(pooled, left_out=()))[0]) == 2


def test_a_pool_as_json(pooled: Pool) -> None:
    content = json.loads(dump(pooled))
    assert content["k"] == len(content["members"]) == 4
    assert content["estimate"] == pytest.approx(pooled.estimate, rel=1e-5)
    assert content["left_out"][0]["reason"] == "has no standard error"


def test_the_list_and_a_study_as_tables() -> None:
    knowledge = load_knowledge()
    entry = read_entry("raison2013", knowledge)
    rows = published([entry])
    table = listing_table(rows)
    assert table.title == f"{len(rows)} published results of 1 study"
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert any("hsCRP >= 5 mg/L" in row[2] and "infliximab against placebo" in row[2] for row in table.rows)
    strata = next(r for r in rows if r.value == -1.8)
    assert value_text(strata) == "-1.8 points (-9.98 to 6.38)"
    assert value_text(replace(strata, low=None)) == "-1.8 points (no error)"
    card = card_tables(study_card(entry, knowledge))
    assert [t.title for t in card[1:]] == ["Population", "Arms", "Results"]
    assert any("error: assumed" in cell for row in card[3].rows for cell in row)
    listing = json.loads(dump(Listing(rows, "0.0", knowledge.sha256)))
    assert len(listing["results"]) == len(rows)
    assert listing["results"][0]["file"] == "raison2013.toml"


def test_the_check_as_tables() -> None:
    lines = (CheckLine("fail", "DOI", "a", "a.toml:3", "bad"), CheckLine("note", "memory", "b", "b.toml:9", "look"))
    report = CheckReport(2, 5, ("schema", "DOI", "memory"), lines)
    summary, findings = check_tables(report)
    assert summary.title == "Check of 2 study files with 5 results"
    assert summary.rows == (
        ("ok", "schema", "", "", ""), ("fail", "DOI", "1", "", ""), ("note", "memory", "", "", "1"),
    )  # fmt: skip
    assert findings.rows == (("fail", "DOI", "a.toml:3", "bad"),)
    assert len(check_tables(report, notes=True)[1].rows) == 2
    assert len(check_tables(check_studies(["otte2025"]))) == 1


def test_everyone_can_use_the_page(accessible: Callable[[str], None], pooled: Pool) -> None:
    accessible(pool_html(pooled))
