"""Skill against two rivals: whose gain counts, what carries it, what is left out, and what the intervals allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from crosstalk.calibrate.domains import DOMAINS, domain_of
from crosstalk.calibrate.skill import FEWEST_STUDIES, Coverage, Skill, coverage, ledger
from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import Score, Verdict, summarise
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.schema import read_study


def score(log: float, crps: float = 1.0, inside: bool = True) -> Score:
    return Score("words", 0.0, -1.0, 1.0, inside, log, crps)


def verdict(study: str, log: float, prior: float, trivial: float | None, **more: object) -> Verdict:
    """A verdict whose CRPS gains are its gains in log score."""
    base = Verdict(
        study=study, cohort=study, role="validate", domain="course", figure="printed", shares="", endpoint="change",
        of="HAMD17", arm="drug", versus="", stratum="", marker="", week=6.0, unit="points", observed=-1.0,
        observed_se=2.0, observed_lo90=-2.0, observed_hi90=0.0, predicted_median=-1.0, lo90=-2.0, hi90=0.0,
        model_median=-1.0, model_lo90=-1.5, model_hi90=-0.5, inside90=True, sign_ok=None, log_score=log, crps=-2 * log,
        prior=score(prior, -2 * prior), trivial=None if trivial is None else score(trivial, -2 * trivial),
        log_score_no_effect=None, log_score_class_mean=None, class_mean=None, worlds=10,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def over_all(verdicts: Sequence[Verdict]) -> Skill:
    return next(s for s in ledger(verdicts) if s.domain == "all")


def many(gain_prior: float, gain_trivial: float, n: int = 8) -> list[Verdict]:
    noise = np.linspace(-0.1, 0.1, n)
    return [verdict(f"s{k}", 0.0, -gain_prior + e, -gain_trivial - e) for k, e in enumerate(noise)]


def test_the_better_rival_is_the_one_that_counts() -> None:
    found = over_all(many(1.0, 0.3))
    assert found.log_score.median == pytest.approx(0.3, abs=0.02)
    assert found.crps.median == pytest.approx(0.3, abs=0.02)
    assert found.log_score_on_prior == pytest.approx(1.0, abs=0.02)
    assert found.judgement == "better"
    assert over_all(many(1.0, -0.5)).judgement == "worse"
    assert over_all(many(-0.5, 1.0)).judgement == "worse"
    assert over_all(many(1.0, 0.0)).judgement == "no better"


def test_scores_must_agree_before_it_is_called_better() -> None:
    rows = [replace(v, crps=5.0) for v in many(1.0, 1.0)]
    assert over_all(rows).log_score.low > 0
    assert over_all(rows).judgement == "worse"


def test_no_result_carries_it() -> None:
    """A mean would be carried by a rival's one disaster."""
    rows = many(-0.2, -0.2)
    rows[0] = verdict("s0", 0.0, -1000.0, -1000.0)
    assert np.mean([v.log_score - v.prior.log_score for v in rows]) > 100
    assert over_all(rows).log_score.median < 0


def test_studies_are_drawn_whole() -> None:
    """Forty results of one study are worth no more than one of it."""
    few = many(0.5, 0.5, 6)
    rows = [*few[1:], *(replace(few[0], log_score=-3.0, crps=6.0, stratum=f"{k}") for k in range(40))]
    found = over_all(rows)
    assert found.results == 45
    assert found.studies == 6
    assert found.log_score.low < 0 < found.log_score.high
    assert found.judgement == "no better"


def test_files_of_one_cohort_are_one_study() -> None:
    rows = [replace(v, cohort="one") for v in many(1.0, 1.0)]
    assert over_all(rows).studies == 1
    assert over_all(rows).judgement == "too few studies"
    assert over_all(many(1.0, 1.0, FEWEST_STUDIES - 1)).judgement == "too few studies"
    assert over_all(many(1.0, 1.0, FEWEST_STUDIES)).judgement == "better"


def test_results_with_the_same_information_count_as_one() -> None:
    rows = many(0.5, 0.5, 5)
    strata = [
        replace(rows[0], shares="crp", stratum=f"{k}", log_score=x, crps=-2 * x) for k, x in enumerate((4.0, -4.0))
    ]
    assert over_all([*strata, *rows[1:]]).log_score.median == pytest.approx(0.5, abs=0.15)


def test_what_nobody_printed_counts_nowhere() -> None:
    rows = many(0.2, 0.2)
    stated = [verdict("z", 9.0, 0.0, 0.0, figure="stated", sign_ok=True, log_score_no_effect=0.0) for _ in range(30)]
    assert ledger([*rows, *stated]) == ledger(rows)
    assert coverage([*rows, *stated]) == coverage(rows)
    found = summarise([*rows, *stated])
    assert (found.results, found.stated, found.signs, found.compared_no_effect) == (38, 30, 0, 0)
    computed = [replace(v, figure="computed") for v in rows[:3]]
    assert over_all([*computed, *rows[3:]]).computed == 3


def test_coverage_counts_all_three_over_the_same_results() -> None:
    rows = [
        verdict("a", 0, 0, 0),
        verdict("b", 0, 0, None, inside90=False),
        replace(verdict("c", 0, 0, 0), prior=score(0, inside=False)),
        replace(verdict("d", 0, 0, 0), trivial=score(0, inside=False)),
    ]
    assert coverage(rows) == Coverage(results=4, model=3, prior=3, trivial=2, trivial_of=3)


@pytest.mark.parametrize("kind", [Coverage, Skill])
def test_no_figure_can_be_made_without_its_rivals(kind: type) -> None:
    names = {f.name for f in fields(kind)}
    assert {"prior", "trivial"} <= names or "coverage" in names
    with pytest.raises(TypeError):
        kind(results=3, model=2) if kind is Coverage else kind(domain="all", results=3)


def test_nothing_judged_says_nothing() -> None:
    assert ledger([]) == ()
    assert summarise([]).coverage == Coverage(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("study", "endpoint", "of", "expected"),
    [
        ("reichenberg2001", "correlation", "MADRS", "challenge"),
        ("musselman2001", "incidence", "HAMD17", "challenge"),
        ("windoloski2024", "change", "IL-6", "challenge"),
        ("gasparini2022", "responder-smd", "hsCRP", "moderation"),
        ("osimo2020", "smd", "hsCRP", "biomarker"),
        ("nhanes2007", "prevalence", "hsCRP", "biomarker"),
        ("milaneschi2021", "correlation", "hsCRP", "biomarker"),
        ("stone2022", "change", "HAMD17", "treatment contrast"),
        ("reisby1977", "sd", "HAMD17", "course"),
        ("goldstein2004", "correlation", "HAMD17", "course"),
    ],
)
def test_the_domain_of_published_results(
    study: str, endpoint: str, of: str, expected: str, knowledge: Knowledge
) -> None:
    known = read_study(study, knowledge)
    results = [
        r for r in known.results
        if (r.endpoint, r.of) == (endpoint, of) and (expected != "treatment contrast" or r.versus)
    ]  # fmt: skip
    assert results
    assert {domain_of(known, r, knowledge) for r in results} == {expected}


def test_a_symptom_result_in_a_stratum_is_about_moderation(knowledge: Knowledge) -> None:
    study = read_study("raison2013", knowledge)
    for result in study.results:
        found = domain_of(study, result, knowledge)
        if result.stratum is not None or result.marker is not None:
            assert found == "moderation"
        elif result.of == "HAMD17":
            assert found == ("treatment contrast" if result.versus else "course")


def test_every_domain_is_met(knowledge: Knowledge) -> None:
    found = {
        domain_of(s, r, knowledge)
        for role in ("calibrate", "validate")
        for s in studies_of(role, knowledge)
        for r in s.results
    }
    assert found == set(DOMAINS)
