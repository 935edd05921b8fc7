"""The credibility report of a small but real calibration: its numbers, its figures, its tables, its JSON."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
from crosstalk.calibrate.forward import Forward
from crosstalk.calibrate.identifiability import confounded, contractions, load_bearing, profiles
from crosstalk.calibrate.qualification import Qualification
from crosstalk.calibrate.sensitivity import Influence, Sensitivity
from crosstalk.calibrate.support import bins, duplicates, effective_samples
from crosstalk.calibrate.targets import describe, gather
from crosstalk.calibrate.validation import Validation, Verdict, summarise, validate
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.report import drawing, evidence_charts
from crosstalk.report.catalogue import tables_json
from crosstalk.report.credibility import (
    CredibilityReport,
    calibration_tables,
    credibility_html,
    report_of,
    sensitivity_table,
    sentences,
    validation_tables,
    verdict_lines,
)
from crosstalk.report.documents import dump, json_schema
from crosstalk.study.schema import read_study

from .test_documents import check
from .test_html import Checker as PageChecker

STUDIES = ("windoloski2024", "uher2014")
DOCS = Path(__file__).resolve().parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = get_engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def small(knowledge: Knowledge, engine: Engine) -> Calibration:
    targets = gather([read_study(s, knowledge) for s in STUDIES], knowledge)
    return calibrate(Settings(members=24, effort=0.15, seed=3), knowledge=knowledge, engine=engine, targets=targets)


@pytest.fixture(scope="module")
def qualified(small: Calibration, knowledge: Knowledge, engine: Engine) -> Qualification:
    worlds = small.worlds.take(np.arange(6))

    def judged(*names: str) -> Validation:
        studies = [read_study(s, knowledge) for s in names]
        return validate(studies, worlds, knowledge=knowledge, engine=engine, seed=1, patients=12, prior_draws=6)

    forward = Forward(knowledge, engine, seed=3, plan=small.plan.patients)
    study = small.targets.studies[1]
    return Qualification(
        small,
        judged(*STUDIES),
        judged("moieni2015", "rapaport2016", "baune2021", "mcintyre2019"),
        contractions(small),
        confounded(small),
        profiles(small, load_bearing(small)),
        bins(forward.run(study, worlds), small.targets.of_study(study)),
        effective_samples(small),
        duplicates(small.targets),
    )


@pytest.fixture(scope="module")
def report(qualified: Qualification, knowledge: Knowledge) -> CredibilityReport:
    return report_of(qualified, knowledge, (sensitivity(),))


@pytest.fixture(scope="module")
def page(report: CredibilityReport) -> str:
    return credibility_html(report)


@pytest.fixture(scope="module")
def verdicts(qualified: Qualification) -> tuple[Verdict, ...]:
    return (*qualified.fit.results, *qualified.validation.results)


def sensitivity() -> Sensitivity:
    influences = (
        Influence("HAMD17 at baseline", "individual", 0.31, 0.04),
        Influence("xopt", "population", 0.12, 0.03),
        Influence("k_IL6", "population", 0.01, 0.03),
    )
    return Sensitivity("a", "b", "HAMD17", 12, 400, "posterior", 2.5, 3.0, influences)


class Checker(PageChecker):
    """Knows the place where a long name may break, too."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "wbr":
            super().handle_starttag(tag, attrs)


def text_of(page: str) -> str:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    return re.sub(r"\s+", " ", " ".join(checker.text))


def markers(svg: str, colour: str) -> int:
    """Predicted medians of a colour in a forest plot."""
    root = ElementTree.fromstring(svg)
    return sum(
        colour in (use.get("style") or "") and "stroke-width: 1.2" in (use.get("style") or "")
        for use in root.iter(f"{SVG}use")
    )


BLUE, RED = "stroke: var(--blue, #0072b2)", "stroke: var(--orange, #d55e00)"


def test_the_page_is_well_formed_asks_for_nothing_and_can_be_read_by_everyone(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    for tag, attributes in checker.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "img")
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("href", "src", "xlink:href"):
                assert (value or "").startswith(("https://doi.org/", "#"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    ids = [a["id"] for _, a in checker.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img"
        assert root.get("aria-label")
    assert page.count("<table") == page.count("<caption>")
    assert all("scope=" in cell for cell in re.findall(r"<th\b[^>]*>", page))


def test_the_page_holds_all_sections_in_order(page: str) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings == [
        "In short", "Evidence used", "Fit", "Validation", "What the data cannot tell", "Population support",
        "How this was made",
    ]  # fmt: skip


def test_every_study_is_named_with_its_doi(page: str, report: CredibilityReport) -> None:
    shown = {s.id for s in report.calibration.targets.studies} if report.calibration else set()
    assert report.validation is not None
    shown |= {v.study for v in report.validation.results}
    assert len(shown) == 6
    for name in shown:
        study = report.studies[name]
        assert study.title in page
        assert f'href="https://doi.org/{study.doi}"' in page or study.pubmed in page


def test_sentences_say_what_the_verdicts_count(report: CredibilityReport, qualified: Qualification) -> None:
    said = " ".join(sentences(report))
    n = len(qualified.calibration.targets.items)
    assert f"{n} published results of 2 studies were used" in said
    for judged, what in (
        (qualified.fit, "fitted results"),
        (qualified.validation, "results that the calibration never"),
    ):
        # what a publication only states in words counts for nothing
        counted = [v for v in judged.results if v.figure != "stated"]
        inside = sum(v.lo90 <= v.observed <= v.hi90 for v in counted)
        assert f"On {len(counted)} {what}" in said
        assert f"{inside} of {len(counted)} ({100 * inside / len(counted):.0f} %) lie inside the model's" in said
        prior = sum(v.prior.lo90 <= v.observed <= v.prior.hi90 for v in counted)
        assert f"{prior} inside those of the prior predictive" in said
    summary = qualified.validation.overall
    assert summary.better_than_no_effect is not None
    pairs = [(v.log_score, v.log_score_no_effect) for v in qualified.validation.results if v.figure != "stated"]
    compared = [(a, b) for a, b in pairs if b is not None]
    better = f"higher than that of no effect for {sum(a > b for a, b in compared)} of {len(compared)}"
    assert f"{better} (median difference {summary.better_than_no_effect:+.2f})" in said
    levels = [c.verdict for c in qualified.contractions]
    assert f"{levels.count('identified')} are identified by the data, {levels.count('weakly')} weakly" in said
    for word in ("recommend", "should", "trust", "good", "advise"):
        assert word not in said.lower()


def test_a_fitted_result_is_not_called_unseen(qualified: Qualification) -> None:
    results = tuple(replace(v, role="calibrate") for v in qualified.validation.results)
    told = CredibilityReport(validation=replace(qualified.validation, results=results))
    assert "never saw" not in credibility_html(told)
    counted = sum(v.figure != "stated" for v in results)
    assert f"On {counted} fitted results" in " ".join(sentences(told))


def test_what_is_missing_is_left_out(report: CredibilityReport, qualified: Qualification) -> None:
    text_of(credibility_html(CredibilityReport()))
    defaults = CredibilityReport()
    for field in fields(CredibilityReport):
        one = replace(defaults, **{field.name: getattr(report, field.name)})
        text_of(credibility_html(one))
    for name in ("calibration", "fit"):
        text_of(credibility_html(replace(report, **{name: None})))
    validation = credibility_html(CredibilityReport(validation=qualified.validation))
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", validation) == ["In short", "Validation", "How this was made"]
    assert "<h1>Predictions against observations</h1>" in validation
    empty = replace(qualified.validation, results=(), overall=summarise([]), unsupported=("a.1",))
    assert "Too few worlds have patients for: a.1." in credibility_html(CredibilityReport(validation=empty))


def test_the_same_report_gives_the_same_bytes_and_names_are_escaped(report: CredibilityReport, page: str) -> None:
    assert credibility_html(report) == page
    assert report.validation is not None
    name = report.validation.results[0].study
    nasty = replace(report.studies[name], title="<script>alert(1)</script> & Co")
    changed = credibility_html(replace(report, studies={**report.studies, name: nasty}))
    assert "<script" not in changed
    assert "<script>alert(1)</script> & Co" in text_of(changed)


def test_every_verdict_is_in_a_forest_plot_and_misses_have_another_shape(verdicts: tuple[Verdict, ...]) -> None:
    first = next(i for i, v in enumerate(verdicts) if v.scored)
    verdicts = (*verdicts[:first], replace(verdicts[first], inside90=False), *verdicts[first + 1 :])
    svgs = evidence_charts.verdict_charts(verdicts, "f", "Fit")
    # what is only stated counts for nothing, and is grey
    scored = [v for v in verdicts if v.scored]
    missed = sum(not v.inside90 for v in scored)
    assert 0 < missed < len(scored)
    assert sum(markers(s, BLUE) for s in svgs) == len(scored) - missed
    assert sum(markers(s, RED) for s in svgs) == missed
    assert (
        sum(
            "fill: var(--paper, #ffffff); stroke: var(--orange, #d55e00)" in use
            for s in svgs
            for use in s.split("<use")
        )
        == missed
    )
    names = " ".join(re.findall(r'aria-label="([^"]*)"', svg)[0] for svg in svgs)
    assert all(v.study in names for v in scored if not v.inside90)
    assert evidence_charts.verdict_charts([], "f", "Fit") == []


def test_endpoints_share_one_axis(verdicts: tuple[Verdict, ...]) -> None:
    """A ratio one standard error above the observed one stands where a level does that is one above."""
    plain = replace(
        verdicts[0], endpoint="level", week=1.0, observed=10.0, observed_se=2.0, predicted_median=12.0,
        lo90=8.0, hi90=16.0, model_lo90=11.0, model_hi90=13.0, inside90=True,
    )  # fmt: skip
    ratio = replace(
        plain, endpoint="ratio", observed=4.0, observed_se=float(np.log(2)), predicted_median=8.0, lo90=2.0,
        hi90=32.0, model_lo90=4 * 2**0.5, model_hi90=4 * 2**1.5,
    )  # fmt: skip
    (svg,) = evidence_charts.verdict_charts([plain, ratio], "f", "Both")
    root = ElementTree.fromstring(svg)
    at = [u.get("x") for u in root.iter(f"{SVG}use") if "stroke-width: 1.2" in (u.get("style") or "")]
    assert len(at) == 2
    assert at[0] == at[1]


def test_long_forests_are_cut_into_pages_of_like_length(verdicts: tuple[Verdict, ...]) -> None:
    many = [replace(v, study=f"s{k}") for k in range(3) for v in verdicts]
    svgs = evidence_charts.verdict_charts(many, "f", "Fit")
    assert len(svgs) > 1
    heights = [float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)[1]) for svg in svgs]  # type: ignore[index]
    # A4 less its margins is 1.46 times as high as wide
    assert max(heights) < 1.46 * drawing.WIDTH * 72
    assert min(heights) > 0.6 * max(heights)
    assert sum(markers(svg, BLUE) + markers(svg, RED) for svg in svgs) == sum(v.scored for v in many)


def test_a_far_miss_does_not_crush_the_others(verdicts: tuple[Verdict, ...]) -> None:
    base = replace(verdicts[0], endpoint="level", observed=0.0, observed_se=1.0)
    near = replace(base, predicted_median=1.0, lo90=-1.0, hi90=3.0, model_lo90=0.5, model_hi90=1.5, inside90=True)
    far = replace(base, predicted_median=1e4, lo90=9e3, hi90=2e4, model_lo90=9e3, model_hi90=2e4, inside90=False)
    (svg,) = evidence_charts.verdict_charts([near, far], "f", "Both")
    texts = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert "300" in texts
    assert "1000" not in texts
    assert markers(svg, BLUE) == 1
    assert "10000 (9000 to 20000)" in texts


def test_the_tables_hold_every_unknown_and_the_bars_their_contraction(page: str, report: CredibilityReport) -> None:
    text = text_of(page).replace(" ", "")
    assert report.contractions is not None
    for c in report.contractions:
        assert c.unknown in text
    shown = re.findall(
        r'class="bar"[^>]*aria-label="(-?\d+) percent".*?<rect width="([\d.]+)" height="14" fill="#0', page
    )
    assert len(shown) == len(report.contractions)
    for label, width in shown:
        assert float(width) == pytest.approx(max(int(label), 0), abs=0.6)
    assert report.confoundings is not None
    assert f"strongest of {len(report.confoundings)} pairs" in page
    assert page.count("<h3>Profile likelihoods</h3>") == 1


def test_profiles_are_small_multiples_that_confess_a_poor_emulator(report: CredibilityReport) -> None:
    assert report.profiles is not None
    svg = evidence_charts.profile_chart(report.profiles, 2.7)
    texts = [t.text or "" for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert sum(t.startswith("R\N{SUPERSCRIPT TWO} ") for t in texts) == len(report.profiles) == 10
    dotted = "stroke-dasharray: 1.6,2.64; stroke-dashoffset: 0; stroke: var(--grey, #767676)"
    for r2, n in ((0.9, 0), (0.2, 10)):
        found = evidence_charts.profile_chart([replace(p, r2=r2) for p in report.profiles], 2.7)
        assert found.count(dotted) == n
    assert evidence_charts.profile_chart((), 2.7) == ""


def test_support_names_bins_with_few_patients(page: str, report: CredibilityReport) -> None:
    assert report.bins is not None
    for b in report.bins:
        assert (f"{b.target}: " in page) == (b.smallest < 5)
    rich = replace(report, bins=tuple(replace(b, smallest=9, short=0.0) for b in report.bins))
    assert "has at least 5 virtual patients in every world" in credibility_html(rich)
    twice = replace(report, duplicates=(("windoloski2024.0", "windoloski2024.1"),))
    assert report.calibration is not None
    assert describe(report.calibration.targets.items[1].result) in text_of(credibility_html(twice))


def test_the_page_says_how_it_was_made(page: str, report: CredibilityReport, knowledge: Knowledge) -> None:
    assert report.calibration is not None
    for words in (
        "24 members, effort 0.15, seed 3", report.calibration.model, report.calibration.evidence, knowledge.sha256,
        f"numba {report.versions['numba']}", "12 virtual patients of each study in each world",
    ):  # fmt: skip
        assert words in page


def test_verdicts_in_texts_and_as_a_table(qualified: Qualification) -> None:
    v = replace(
        qualified.validation.results[0], endpoint="change", of="HAMD17", arm="a", versus="b", stratum="BMI >= 30",
        week=round(4 / 168, 6), unit="points", observed=-3.0, observed_lo90=-5.0, observed_hi90=-1.0,
        predicted_median=-2.0, lo90=-2.5, hi90=0.5, inside90=False, sign_ok=True, log_score=-1.5,
        log_score_no_effect=-2.0, log_score_class_mean=None,
    )  # fmt: skip
    (line,) = verdict_lines([v])
    assert line[1:] == (
        "change of HAMD17", "a against b", "BMI >= 30", "4 h", v.domain, "-3 points (-5 to -1)", "-2 (-2.5 to 0.5)",
        False, "right", "-1.50", f"{-1.5 - v.prior.log_score:+.2f}",
        "" if v.trivial is None else f"{-1.5 - v.trivial.log_score:+.2f}", "+0.50", "",
    )  # fmt: skip
    one = replace(qualified.validation, results=(v,), overall=summarise([v]), unsupported=("moieni2015.1",))
    skill, inside, verdicts, more, missing = validation_tables(one)
    assert verdicts.rows == (
        (f"{v.study}: change of HAMD17, a against b, BMI >= 30, 4 h", "-3 points (-5 to -1)", "-2 (-2.5 to 0.5)",
         "OUTSIDE, sign right"),
    )  # fmt: skip
    assert skill.rows[0][-1] == "too few studies"
    assert inside.rows[0][:3] == ("all", "1", "0 (0 %)")
    assert "+0.50 (higher for 1 of 1)" in dict(more.rows).values()
    assert missing.rows == (("moieni2015.1",),)
    (stated,) = verdict_lines([replace(v, figure="stated")])
    assert stated.inside is None
    assert (stated.score, stated.gain_prior, stated.gain_none) == ("", "", "")
    assert stated.verdict == "not judged: stated in words only"


def test_tables_of_the_terminal_are_rectangular(qualified: Qualification) -> None:
    tables = (*validation_tables(qualified.validation), *calibration_tables(qualified.calibration))
    for table in tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    # skill first, then coverage, then the verdicts
    assert [t.title.split(",")[0] for t in tables[:2]] == ["Skill", "Results inside 90 % intervals"]
    assert len(tables[2].rows) == len(qualified.validation.results)
    json.loads(tables_json(tables))
    facts, stages, unknowns, samples = calibration_tables(qualified.calibration)
    assert dict(facts.rows)["members"] == "24"
    assert sum(int(row[1]) for row in stages.rows) == len(qualified.calibration.targets.items)
    assert unknowns.rows[0][0] == qualified.contractions[0].unknown
    assert len(samples.rows) == len(qualified.effective)


def test_influences_within_their_error_are_left_out() -> None:
    table = sensitivity_table(sensitivity())
    assert [row[0] for row in table.rows] == ["HAMD17 at baseline", "xopt"]
    assert table.rows[0][2] == "31.0 +- 4.0"
    assert "Benefit of a over b, week 12: 2.5 HAMD17 points" in table.title


def test_a_validation_as_json_keeps_its_schema(qualified: Qualification) -> None:
    schema = json_schema("validate")
    for found in (qualified.validation,):
        content = json.loads(dump(found))
        check(content, schema, schema)
        assert len(content["results"]) == content["overall"]["results"] == len(found.results)
        assert content["results"][0]["inside90"] is found.results[0].inside90
    wrong = json.loads(dump(qualified.validation))
    wrong["results"][0]["inside90"] = "yes"
    with pytest.raises(AssertionError):
        check(wrong, schema, schema)


def test_the_pages_of_the_documentation_are_written_from_it(
    qualified: Qualification, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    make = importlib.import_module("make_credibility")
    made = make.regions(qualified, knowledge)
    unseen, n = (sum(v.scored for v in judged.results) for judged in (qualified.validation, qualified.fit))
    assert made["headline"].startswith(f"**Skill.** On {unseen} results that it never saw")
    assert f"Of the results that it was calibrated on, {qualified.fit.overall.coverage.model} of {n}" in made["readme"]
    assert made["skill"].count("| domain |") == 4
    assert make.verdict_history.verdicts_of(f"<!-- credibility: validation -->\n{made['validation']}\n<!-- end -->")
    text = "<!-- credibility: headline -->\n\nSTALE\n\n<!-- end --> and <!-- credibility: misses -->\n<!-- end -->"
    new = make.filled(text, made)
    assert made["headline"] in new
    assert "STALE" not in new
    assert make.filled(new, made) == new
    with pytest.raises(KeyError):
        make.filled("<!-- credibility: nothing -->\n<!-- end -->", made)


def test_everyone_can_use_the_page(accessible: Callable[[str], None], page: str) -> None:
    accessible(page)
