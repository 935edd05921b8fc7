"""The list of published results: what is in it, its filters, and one study."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import StudyError, UsageError
from crosstalk.evidence.listing import (
    from_error_scale,
    interval,
    published,
    resolve,
    select,
    stratum_text,
    study_card,
    time_text,
)
from crosstalk.evidence.records import PublishedResult, Query
from crosstalk.evidence.sources import read_entries, read_entry, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.endpoints import error_scale
from crosstalk.study.records import Eligibility

from .conftest import Write, change, smd, study

Rows = Callable[..., tuple[PublishedResult, ...]]


@pytest.fixture(scope="session")
def shipped(knowledge: Knowledge) -> tuple[PublishedResult, ...]:
    entries, broken = read_entries(study_paths((), knowledge), knowledge)
    assert not broken, broken
    return published(entries)


def test_the_library_is_large(shipped: tuple[PublishedResult, ...]) -> None:
    assert len({row.study for row in shipped}) >= 70
    assert len(shipped) >= 220


def test_every_shipped_result_can_be_traced(shipped: tuple[PublishedResult, ...]) -> None:
    for row in shipped:
        assert row.source, row
        assert row.publication, row
        assert row.provenance in ("seen", "memory"), row
        assert row.line > 1, row
        if row.se is not None:
            assert row.low is not None
            assert row.high is not None
            assert row.low < row.value < row.high


def test_a_row_holds_what_the_file_says(rows: Rows) -> None:
    line = change(-3, "sd = [6, 8]; n = [20, 30]").replace(
        "; week", '; stratum = { analyte = "hsCRP", min = 3, unit = "mg/L" }; week'
    )
    row = rows(study("a2001", line))[0]
    assert (row.study, row.role, row.diagnosis, row.contrast) == ("a2001", "context", "mdd", "drug")
    assert (row.drugs, row.against) == (("celecoxib",), ())
    assert (row.sd, row.n) == (pytest.approx((6, 8)), (20, 30))
    assert stratum_text(row.stratum) == "hsCRP >= 3 mg/L"
    assert row.quality == "trial"
    assert row.file == "a2001.toml"


def test_ratios_have_an_interval_about_their_logarithm(rows: Rows) -> None:
    row = rows(study("a2001", 'endpoint = "odds-ratio"; of = "HAMD17"; versus = "control"; value = 2; se = 0.5'))[0]
    assert row.low == pytest.approx(exp(log(2) - 1.959964 * 0.5), rel=1e-6)
    assert row.high == pytest.approx(exp(log(2) + 1.959964 * 0.5), rel=1e-6)


@given(st.sampled_from(["ratio", "odds-ratio", "sd", "correlation", "change", "smd"]), st.floats(0.01, 0.99))
def test_the_error_scale_and_back(endpoint: str, value: float) -> None:
    assert from_error_scale(endpoint, error_scale(endpoint, value)) == pytest.approx(value)  # type: ignore[arg-type]
    low, high = interval(endpoint, value, 0.3)  # type: ignore[arg-type]
    assert low < value < high


@pytest.mark.parametrize(
    ("query", "studies"),
    [
        (Query(), {"a2001", "b2002", "c2003"}),
        (Query(role=("context",)), {"a2001", "b2002"}),
        (Query(drug=("celecoxib",)), {"a2001", "b2002"}),
        (Query(of=("IL-6",)), {"b2002", "c2003"}),
        (Query(endpoint=("change", "smd")), {"a2001", "b2002"}),
        (Query(diagnosis=("healthy",)), {"c2003"}),
        (Query(provenance=("memory",)), {"b2002"}),
        (Query(contrast=("within",)), {"c2003"}),
        (Query(study=("a2001",)), {"a2001"}),
        (Query(without=("a2001",)), {"b2002", "c2003"}),
        (Query(from_h=672.0), {"a2001", "b2002"}),
        (Query(to_h=24.0), {"c2003"}),
        (Query(from_h=1.0, to_h=2.0), set()),
        (Query(role=("context",), of=("HAMD17",)), {"a2001"}),
    ],
)
def test_filters(rows: Rows, query: Query, studies: set[str]) -> None:
    level = 'endpoint = "level"; of = "IL-6"; value = 3; unit = "pg/mL"; sd = 1'
    known = rows(
        study("a2001", change(-3, "se = 1")),
        study("b2002", smd(-0.3, of="IL-6").replace("week", 'provenance = "memory"; week')),
        study("c2003", level + "; week = 0", first="", second="", role="calibrate", population='diagnosis = "healthy"'),
    )
    assert {row.study for row in select(known, query)} == studies


def test_names_are_resolved(knowledge: Knowledge) -> None:
    found = resolve(Query(of=("CRP", "HAM-D", "MIC"), drug=("celecoxib",)), knowledge)
    assert found.of == ("hsCRP", "HAMD17", "MIC")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(role=("calibrated",)), "unknown role 'calibrated'; expected one of calibrate"),
        (Query(drug=("celecoxip",)), "celecoxib"),
        (Query(of=("IL-66",)), "IL-6"),
        (Query(endpoint=("changes",)), "change"),
        (Query(diagnosis=("MDDD",)), "mdd"),
        (Query(provenance=("guess",)), "seen, memory"),
        (Query(contrast=("placebo",)), "expected one of"),
        (Query(without=("raison2014",)), "raison2013"),
        (Query(from_h=5, to_h=3), "holds no time"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(knowledge: Knowledge, query: Query, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(query, knowledge)


def test_texts() -> None:
    assert [time_text(h) for h in (None, 0, 1.5, 26, 72, 168, 192, 336, 1008)] == [
        "", "week 0", "1.5 h", "26 h", "day 3", "week 1", "day 8", "week 2", "week 6",
    ]  # fmt: skip
    assert stratum_text(None) == ""
    assert stratum_text(Eligibility("hsCRP", "mg/L", 3, 5)) == "3 <= hsCRP < 5 mg/L"
    assert stratum_text(Eligibility("BMI", "kg/m2", None, 30)) == "BMI < 30 kg/m2"


def test_a_card_shows_the_whole_study(knowledge: Knowledge) -> None:
    card = study_card(read_entry("raison2013", knowledge), knowledge)
    facts = dict(card.facts)
    assert facts["doi"] == "10.1001/2013.jamapsychiatry.4"
    assert "Raison" in facts["reference"]
    assert any("infliximab 5 mg/kg iv, week 0, week 2, week 6" in arm[2] for arm in card.arms)
    assert ("failed treatment steps", "2", "") in card.population
    assert len(card.results) == len(read_entry("raison2013", knowledge).study.results)


def test_paths(write: Write, knowledge: Knowledge) -> None:
    one, two = write(study("b2002", smd(1))), write(study("a2001", smd(1)))
    assert study_paths([one.parent], knowledge) == (two, one)
    assert study_paths([one, one.parent], knowledge) == (one, two)
    assert study_paths(["raison2013"], knowledge)[0].name == "raison2013.toml"
    with pytest.raises(StudyError, match="no such file"):
        study_paths([one.parent / "absent"], knowledge)
    empty = one.parent / "empty"
    empty.mkdir()
    with pytest.raises(StudyError, match="holds no study file"):
        study_paths([empty], knowledge)


def test_one_broken_file_does_not_hide_the_others(write: Write, knowledge: Knowledge) -> None:
    good, bad = write(study("a2001", smd(1))), write("[study]\nid = 3", name="bad")
    entries, broken = read_entries([good, bad], knowledge)
    assert [entry.study.id for entry in entries] == ["a2001"]
    assert broken[0][0] == bad
    assert "line 2" in broken[0][1]
