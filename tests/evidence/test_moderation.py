"""Questions of moderation answered from made-up study files: which result counts, its sign, its error, the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, sqrt
from pathlib import Path

import pytest

from crosstalk.evidence.cohort_slopes import CohortSlope, cohort_slopes
from crosstalk.evidence.main_effects import direct_effects
from crosstalk.evidence.moderation import Direct, direct, pooled
from crosstalk.evidence.slopes import LOGISTIC_SD
from crosstalk.evidence.sources import Entry, read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.questions import Question, read_questions

from .conftest import DAILY, ESCITALOPRAM, Write, study

NORTRIPTYLINE = DAILY.format("nortriptyline", 100)
BUPROPION = DAILY.format("bupropion", 300)
MARKER = 'marker = { analyte = "hsCRP", per = "ln" }'
SD_CRP = load_knowledge().discounts.marker_log_sd["hsCRP"]

# R 4.2.2, metafor 3.8-1: r <- rma(y, sei=s, method="REML", test="adhoc", control=list(threshold=1e-14, maxiter=10000))
#   c(r$beta, r$se, r$ci.lb, r$ci.ub, predict(r)$pi.lb, predict(r)$pi.ub, sqrt(r$tau2), r$I2, r$QEp)
UNLIKE = ((0.40, 0.15), (0.00, 0.09), (0.31, 0.21), (-0.12, 0.17))
UNLIKE_METAFOR = (
    0.1309203257, 0.1215498909, -0.2559056754, 0.5177463267, -0.5860545743, 0.8478952257, 0.1896877188, 62.8606806,
    0.04825620011,
)  # fmt: skip
ALIKE = ((0.12, 0.10), (0.12, 0.12), (0.13, 0.20))
ALIKE_METAFOR = (
    0.1212857143, 0.07171371656, -0.187273504, 0.4298449326, -0.187273504, 0.4298449326, 0, 0, 0.9989113033,
)  # fmt: skip

Read = Callable[..., tuple[Entry, ...]]


@pytest.fixture
def read(tmp_path: Path, write: Write, knowledge: Knowledge) -> Read:
    def call(*texts: str) -> tuple[Entry, ...]:
        for text in texts:
            write(text)
        entries, broken = read_entries(study_paths([tmp_path], knowledge), knowledge)
        assert not broken, broken
        return entries

    return call


def question(name: str, versus: str = "", marker: str = "hsCRP") -> Question:
    return Question("q", name, versus, marker)


def answers(entries: Sequence[Entry], asked: Question, knowledge: Knowledge) -> tuple[CohortSlope, ...]:
    return cohort_slopes(entries, asked, read_questions(knowledge), knowledge)[0]


def answer(value: float, se: float, name: str = "a", **more: object) -> CohortSlope:
    given = {"cohort": name, "study": name, "title": "", "role": "context", "quality": "trial", "rank": 0,
             "time_h": 1.0, "made": "made up", "arms": ("drug",)}  # fmt: skip
    return CohortSlope(value=value, se=se, **(given | more))  # type: ignore[arg-type]


def interaction(value: float, se: float, endpoint: str = "interaction", more: str = "", versus: str = "control") -> str:
    return f'endpoint = "{endpoint}"; of = "MADRS"; versus = "{versus}"; {MARKER}; value = {value}; se = {se}{more}'


def correlation(value: float, arm: str = "drug", n: int = 40, of: str = "MADRS") -> str:
    return (
        f'endpoint = "correlation"; of = "{of}"; with = "hsCRP"; with_week = 0; arm = "{arm}"; value = {value}; n = {n}'
    )


@pytest.mark.parametrize(("given", "expected"), [(UNLIKE, UNLIKE_METAFOR), (ALIKE, ALIKE_METAFOR)])
def test_the_pool_agrees_with_metafor(given: Sequence[tuple[float, float]], expected: Sequence[float]) -> None:
    found = pooled([answer(value, se, f"s{i}") for i, (value, se) in enumerate(given)])
    assert (
        found.estimate, found.se, found.low, found.high, found.prediction_low, found.prediction_high, found.tau,
        found.i2, found.q_p,
    ) == pytest.approx(expected, abs=2e-5)  # fmt: skip
    assert sum(m.weight for m in found.members) == pytest.approx(100)


def test_one_cohort_is_its_own_answer_and_none_is_none() -> None:
    one = pooled([answer(0.2, 0.1)])
    assert (one.k, one.estimate, one.se, one.low) == (1, 0.2, 0.1, pytest.approx(0.2 - 1.96 * 0.1, abs=1e-4))
    assert one.tau != one.tau
    none = pooled([])
    assert none.k == 0
    assert none.estimate != none.estimate


def test_an_interaction_counts_per_sd_of_marker_and_score(read: Read, knowledge: Knowledge) -> None:
    row = interaction(3.27, 0.83, more='; unit = "points"')
    entries = read(study("a", row, first=ESCITALOPRAM, second=NORTRIPTYLINE))
    (found,) = answers(entries, question("serotonergic", "catecholaminergic"), knowledge)
    scale = 0.15 * knowledge.scales["MADRS"].maximum
    assert found.value == pytest.approx(3.27 * SD_CRP / scale)
    assert found.se == pytest.approx(0.83 * SD_CRP / scale)
    assert found.assumed == ("SD of the score 15% of the scale",)
    # the other way round
    (back,) = answers(entries, question("catecholaminergic", "serotonergic"), knowledge)
    assert (back.value, back.se) == (-found.value, found.se)
    assert answers(entries, question("serotonergic", "control"), knowledge) == ()
    assert answers(entries, question("serotonergic", "catecholaminergic", "BMI"), knowledge) == ()


def test_odds_ratios_are_turned_so_that_below_zero_is_better(read: Read, knowledge: Knowledge) -> None:
    row = interaction(2.0, 0.2, "interaction-or", '; event = "response"')
    (found,) = answers(read(study("a", row)), question("other-anti-inflammatory", "control"), knowledge)
    assert found.value == pytest.approx(-log(2.0) * SD_CRP / LOGISTIC_SD)
    assert found.se == pytest.approx(0.2 * SD_CRP / LOGISTIC_SD)


def test_a_drug_on_top_answers_for_its_class_and_against_the_one_below_it(read: Read, knowledge: Knowledge) -> None:
    added = study("a", interaction(-0.4, 0.1, "interaction-smd"), first=f"{BUPROPION}, {ESCITALOPRAM}")
    entries = read(added)
    (control,) = answers(entries, question("catecholaminergic", "control"), knowledge)
    (versus,) = answers(entries, question("serotonergic", "catecholaminergic"), knowledge)
    assert control.value == pytest.approx(-0.4 * SD_CRP)
    assert versus.value == pytest.approx(0.4 * SD_CRP)
    assert answers(entries, question("serotonergic"), knowledge) == ()


def test_arms_that_are_not_compared_are_subtracted(read: Read, knowledge: Knowledge) -> None:
    rows = (correlation(0.4), correlation(-0.3, "control"))
    entries = read(study("a", *rows, first=ESCITALOPRAM, second=NORTRIPTYLINE))
    (found,) = answers(entries, question("serotonergic", "catecholaminergic"), knowledge)
    assert found.value == pytest.approx(0.7)
    errors = [(1 - r * r) / sqrt(37) for r in (0.4, -0.3)]
    assert found.se == pytest.approx(sqrt(errors[0] ** 2 + errors[1] ** 2))
    assert found.made.startswith("difference of two arms")
    # the published comparison comes first
    entries = read(
        study("b", *rows, interaction(0.1, 0.1, "interaction-smd"), first=ESCITALOPRAM, second=NORTRIPTYLINE)
    )
    by_study = {a.study: a for a in answers(entries, question("serotonergic", "catecholaminergic"), knowledge)}
    assert by_study["b"].value == pytest.approx(0.1 * SD_CRP)


def test_strata_of_the_marker_make_a_line_and_one_alone_is_left_out(read: Read, knowledge: Knowledge) -> None:
    def stratum(limits: str, value: float) -> str:
        row = f'endpoint = "change"; of = "HAMD17"; versus = "control"; value = {value}; unit = "points"; sd = 8'
        return f'{row}; n = [20, 20]; stratum = {{ analyte = "hsCRP", {limits}, unit = "mg/L" }}'

    both = study("a", stratum("min = 3", -3.0), stratum("max = 3", 1.0))
    alone = study("b", stratum("min = 3", -3.0))
    asked = question("other-anti-inflammatory", "control")
    slopes, left_out = cohort_slopes(read(both, alone), asked, read_questions(knowledge), knowledge)
    (found,) = slopes
    assert found.study == "a"
    assert found.value < 0
    assert found.se == pytest.approx(abs(found.value) / 4 * sqrt(2) * 8 * sqrt(2 / 20), rel=1e-6)
    assert [(out.study, out.reason) for out in left_out] == [("b", "is of one stratum alone")]


def test_of_a_cohort_the_more_direct_and_later_result_counts_once(read: Read, knowledge: Knowledge) -> None:
    slope = f'endpoint = "slope-smd"; of = "MADRS"; {MARKER}; value = 0.2; se = 0.1'
    first = study("a", correlation(0.9), slope, slope.replace("0.2", "0.3") + "; week = 4", first=ESCITALOPRAM)
    second = study("b", correlation(-0.9), first=ESCITALOPRAM)
    texts = [text.replace('role = "context"', 'role = "context"\ncohort = "trial"') for text in (first, second)]
    (found,) = answers(read(*texts), question("serotonergic"), knowledge)
    assert (found.cohort, found.study) == ("trial", "a")
    assert found.value == pytest.approx(0.2 * SD_CRP)


def test_independent_parts_are_weighted_and_shared_arms_are_averaged(read: Read, knowledge: Knowledge) -> None:
    def part(value: float, n: int, limits: str) -> str:
        return correlation(value, n=n) + f'; stratum = {{ analyte = "sex", {limits}, unit = "dimensionless" }}'

    entries = read(study("a", part(0.3, 103, "min = 0.5"), part(0.0, 28, "max = 0.5"), first=ESCITALOPRAM))
    (found,) = answers(entries, question("serotonergic"), knowledge)
    errors = [(1 - 0.3**2) / 10, 1 / 5]
    weights = [1 / e**2 for e in errors]
    assert found.value == pytest.approx(0.3 * weights[0] / sum(weights))
    assert found.se == pytest.approx(1 / sqrt(sum(weights)))
    both = read(study("b", correlation(0.2), correlation(0.4, of="HAMD17"), first=ESCITALOPRAM))
    by_study = {a.study: a for a in answers(both, question("serotonergic"), knowledge)}
    a, b = (1 - 0.2**2) / sqrt(37), (1 - 0.4**2) / sqrt(37)
    assert by_study["b"].value == pytest.approx(0.3)
    assert by_study["b"].se == pytest.approx(sqrt(a * a + b * b + a * b) / 2)


def test_what_is_no_slope_is_left_out_with_the_reason(read: Read, knowledge: Knowledge) -> None:
    changes = 'endpoint = "correlation"; of = "MADRS"; with = "hsCRP"; value = 0.4; n = 40'
    hazard = f'endpoint = "hazard-ratio"; of = "MADRS"; event = "response"; {MARKER}; value = 0.8; se = 0.1'
    healthy = study("b", correlation(0.4), first=ESCITALOPRAM, population='diagnosis = "healthy"')
    entries = read(study("a", changes, hazard, first=ESCITALOPRAM), healthy)
    slopes, left_out = cohort_slopes(entries, question("serotonergic"), read_questions(knowledge), knowledge)
    assert slopes == ()
    assert {out.reason for out in left_out} == {
        "is a correlation of changes, not with the marker at baseline",
        "is a hazard ratio, which has no standard deviation of an outcome",
    }


def test_a_zero_that_is_only_stated_is_kept_apart(read: Read, knowledge: Knowledge) -> None:
    printed = [study(s, correlation(v), first=ESCITALOPRAM) for s, v in (("a", 0.3), ("b", 0.1))]
    stated = study("c", correlation(0.0) + '; figure = "stated"', first=ESCITALOPRAM)
    found = direct(read(*printed, stated), question("serotonergic"), knowledge, words="")
    assert (found.printed.k, found.stated.k) == (2, 3)
    assert found.stated.estimate < found.printed.estimate
    assert found.stated.members[2].remarks == ("a zero that is only stated",)


def test_a_meta_analysis_gives_way_to_trials_and_one_trial_to_it(read: Read, knowledge: Knowledge) -> None:
    row = 'endpoint = "responder-smd"; of = "hsCRP"; with = "HAMD17"; value = -0.18; se = 0.05'
    pool = study("m", row, first=ESCITALOPRAM, mismatch='mismatch = { quality = "meta-analysis" }')
    found = direct(
        read(pool, study("a", correlation(0.3), first=ESCITALOPRAM)), question("serotonergic"), knowledge, words=""
    )
    assert [m.study for m in found.printed.members] == ["m"]
    assert found.printed.estimate == pytest.approx(0.18 * 0.25 / 0.398942 / sqrt(1 + 0.18**2 / 4), rel=1e-4)
    assert [out.reason for out in found.left_out] == ["may be of patients of m, a meta-analysis"]
    entries = read(study("b", correlation(0.1), first=ESCITALOPRAM))
    found = direct(entries, question("serotonergic"), knowledge, words="")
    assert [m.study for m in found.printed.members] == ["a", "b"]
    kept = direct(entries, question("serotonergic"), knowledge, words="", meta_analyses=True)
    assert kept.printed.k == 3


def test_main_effects_are_in_sd_and_below_zero_where_better(read: Read, knowledge: Knowledge) -> None:
    points = 'endpoint = "change"; of = "HAMD17"; versus = "control"; value = -4; unit = "points"; sd = 8; n = [40, 40]'
    odds = 'endpoint = "odds-ratio"; of = "HAMD17"; versus = "control"; value = 2.0; se = 0.3'
    part = points + '; stratum = { analyte = "hsCRP", min = 3, unit = "mg/L" }'
    entries = read(study("a", points, odds, part), study("b", odds))
    (found,) = direct_effects(entries, ["celecoxib"], knowledge)
    by_study = {m.study: m for m in found.printed.members}
    assert by_study["a"].value == pytest.approx(-0.5 * (1 - 3 / (4 * 78 - 1)), abs=1e-3)
    assert by_study["b"].value == pytest.approx(-log(2.0) / LOGISTIC_SD)
    assert by_study["b"].se == pytest.approx(0.3 / LOGISTIC_SD)


def test_every_question_of_the_library_is_answered_or_says_that_it_is_not(knowledge: Knowledge) -> None:
    from crosstalk.evidence.moderation import direct_answers

    entries, _ = read_entries(study_paths((), knowledge), knowledge)
    found = direct_answers(entries, knowledge)
    assert len(found) == len(read_questions(knowledge).questions)
    assert sum(a.printed.k > 0 for a in found) >= 6
    for a in found:
        assert isinstance(a.printed, Direct)
        cohorts = [m.cohort for m in a.stated.members]
        assert len(cohorts) == len(set(cohorts)), a.words
