"""Skill in words: never more than the intervals allow, never without the rivals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crosstalk.calibrate.skill import Coverage, Gain, Judgement, Skill
from crosstalk.calibrate.validation import summarise
from crosstalk.report.skill import coverage_text, domain_sentence, skill_sentence, skill_tables

INSIDE = Coverage(results=55, model=39, prior=38, trivial=41, trivial_of=54)
SKILL = Skill(
    "all", 55, 12, 0, INSIDE, Gain(0.15, -0.2, 0.3), Gain(0.1, 0.05, 0.2), 0.15, 0.2, "no better"
)  # fmt: skip


def test_coverage_is_told_beside_both_rivals() -> None:
    assert coverage_text(INSIDE) == (
        "39 of 55 (71 %) lie inside the model's 90 % intervals, 38 inside those of the prior predictive, 41 of the 54 "
        "that it speaks of inside those of the trivial predictor"
    )
    assert "trivial predictor speaks of none" in coverage_text(replace(INSIDE, trivial=0, trivial_of=0))


@pytest.mark.parametrize(
    ("judgement", "words"),
    [
        ("better", "says more than the better of its rivals"),
        ("no better", "no better than the better of its rivals"),
        ("worse", "says less than the better of its rivals"),
        ("too few studies", "cannot be told from the better of its rivals by fewer than 5 studies"),
    ],
)
def test_a_sentence_says_what_its_interval_allows(judgement: Judgement, words: str) -> None:
    said = skill_sentence(replace(SKILL, judgement=judgement), "held-out results")
    assert words in said
    assert "the prior predictive and the trivial predictor" in said
    assert "+0.15 (-0.20 to +0.30) nats" in said
    assert "On 55 held-out results (12 studies) the model" in said


def test_one_study_has_no_interval() -> None:
    said = skill_sentence(replace(SKILL, studies=1, judgement="too few studies"), "held-out results")
    assert "(1 study)" in said
    assert "+0.15 (no interval) nats" in said


def test_domains_are_named_by_judgement() -> None:
    found = [
        SKILL,
        replace(SKILL, domain="course", judgement="better"),
        replace(SKILL, domain="challenge", judgement="better"),
        replace(SKILL, domain="moderation", judgement="worse"),
    ]
    assert (
        domain_sentence(found) == "By domain it is better than its rivals in course and challenge; worse in moderation."
    )
    assert domain_sentence([SKILL]) == ""


def test_tables_hold_the_rivals_and_nothing_gives_none() -> None:
    assert skill_tables(summarise([]), "none") == ()
    gains, inside = skill_tables(replace(summarise([]), skill=(SKILL,)), "held-out results")
    assert gains.rows == (("all", "55", "12", "+0.15 (-0.20 to +0.30)", "+0.10 (+0.05 to +0.20)", "no better"),)
    assert inside.columns[2:] == ("model", "prior predictive", "trivial predictor")
    assert inside.rows == (("all", "55", "39 (71 %)", "38 (69 %)", "41 of 54 (76 %)"),)
