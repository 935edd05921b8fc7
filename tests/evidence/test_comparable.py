"""What may be pooled together, how effects are made of it, and why the rest is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import pytest

from crosstalk.errors import UsageError
from crosstalk.evidence.arms import compare_arms
from crosstalk.evidence.comparable import Comparable, comparable, standardise
from crosstalk.evidence.listing import select
from crosstalk.evidence.records import PublishedResult, Query
from crosstalk.knowledge.loader import Knowledge
from crosstalk.statistics.effect_sizes import hedges_correction

from .conftest import CELECOXIB, ESCITALOPRAM, MISMATCH, change, smd, study

Rows = Callable[..., tuple[PublishedResult, ...]]
META = MISMATCH.replace("trial", "meta-analysis")


def reasons(found: Comparable) -> dict[str, str]:
    return {out.study: out.reason for out in found.left_out}


def chosen(rows: tuple[PublishedResult, ...], knowledge: Knowledge, **query: tuple[str, ...]) -> Comparable:
    asked = Query(**query)  # type: ignore[arg-type]
    return comparable(select(rows, asked), asked, knowledge)


def test_a_published_sd_standardises(rows: Rows) -> None:
    row = rows(study("a2001", change(-3, "sd = [6, 8]; n = [20, 30]")))[0]
    found = standardise(row)
    assert not isinstance(found, str)
    pooled = sqrt((19 * 36 + 29 * 64) / 48)
    assert found[0] == pytest.approx(hedges_correction(48) * -3 / pooled)
    assert found[1] == pytest.approx(sqrt(1 / 20 + 1 / 30 + found[0] ** 2 / 100))
    assert found[2] == "standardized with the published SD"


def test_an_sd_in_another_unit_standardises_the_same(rows: Rows) -> None:
    """The published numbers are in ng/L, those of the record in the analyte's own unit."""
    line = change(-3, "sd = [6, 8]; n = [20, 30]").replace('"HAMD17"', '"IL-6"').replace("points", "ng/mL")
    plain = rows(study("a2001", change(-3, "sd = [6, 8]; n = [20, 30]")), study("b2002", line))
    assert plain[1].value == pytest.approx(-3000)
    assert standardise(plain[1])[0] == pytest.approx(standardise(plain[0])[0])


def test_the_sd_that_an_interval_implies_standardises(rows: Rows) -> None:
    row = rows(study("a2001", change(-3, "ci = [-5.94, -0.06]"), n=50))[0]
    found = standardise(row)
    assert not isinstance(found, str)
    sd = (2.94 / 1.959964) / sqrt(2 / 50)
    assert found[0] == pytest.approx(hedges_correction(98) * -3 / sd, rel=1e-6)
    assert "implies" in found[2]


@pytest.mark.parametrize(
    ("line", "mismatch", "why"),
    [
        (change(-3, 'sd = 7; n = [20, 20]; se_source = "assumed: SD 7"'), MISMATCH, "its error is assumed"),
        (change(-3, "se = 1").replace('versus = "control"; ', ""), MISMATCH, "standard deviation at baseline"),
        (change(-3, "se = 1"), META, "meta-analysis"),
        (change(-3, "se = 1; n = 60"), MISMATCH, "no sizes of the groups"),
    ],
)
def test_an_unknown_sd_does_not(rows: Rows, line: str, mismatch: str, why: str) -> None:
    found = standardise(rows(study("a2001", line, mismatch=mismatch))[0])
    assert isinstance(found, str)
    assert why in found


def test_scales_are_pooled_as_smd_where_their_sds_are_known(rows: Rows, knowledge: Knowledge) -> None:
    known = rows(
        study("a2001", change(-3, "sd = 7; n = [20, 20]")),
        study("b2002", change(-4, "sd = 9; n = [30, 30]", of="MADRS")),
        study("c2003", change(-5, 'sd = 9; n = [30, 30]; se_source = "assumed: SD"', of="MADRS")),
    )
    found = chosen(known, knowledge, endpoint=("change",))
    assert found.endpoint == "smd"
    assert [e.rows[0].study for e in found.effects] == ["a2001", "b2002"]
    assert "not known" in reasons(found)["c2003"]
    one = chosen(known, knowledge, endpoint=("change",), of=("MADRS",))
    assert one.endpoint == "change"
    assert [e.value for e in one.effects] == [-4, -5]


def test_the_last_time_and_the_whole_sample_count(rows: Rows, knowledge: Knowledge) -> None:
    part = change(-6, 'se = 2; stratum = { analyte = "hsCRP", min = 3, unit = "mg/L" }')
    found = chosen(rows(study("a2001", change(-1, "se = 1", week=2), change(-3, "se = 1"), part)), knowledge,
                   endpoint=("change",))  # fmt: skip
    assert [e.value for e in found.effects] == [-3]
    assert {out.reason for out in found.left_out} == {
        "is earlier than week 6, which is pooled", "is a part of the sample that is pooled"
    }  # fmt: skip


def test_strata_without_common_patients_are_two_effects(rows: Rows, knowledge: Knowledge) -> None:
    lines = [
        change(value, f'se = 2; stratum = {{ analyte = "hsCRP", {bound}, unit = "mg/L" }}')
        for value, bound in ((-6, "min = 3"), (1, "max = 3"), (-4, "min = 1"))
    ]  # fmt: skip
    found = chosen(rows(study("a2001", *lines)), knowledge, endpoint=("change",))
    assert [e.value for e in found.effects] == [-6, 1]
    assert [out.reason for out in found.left_out] == ["shares patients with hsCRP >= 3 mg/L"]


def test_comparisons_that_share_an_arm_become_one(rows: Rows, knowledge: Knowledge) -> None:
    text = study("a2001", change(-2, "se = 1"), change(-4, "se = 2").replace("versus", 'arm = "high"; versus'))
    text += f'\n[[arm]]\nid = "high"\ndose = [{CELECOXIB.replace("400", "800")}, {ESCITALOPRAM}]\n'
    found = chosen(rows(text), knowledge, endpoint=("change",))
    assert [e.value for e in found.effects] == [-3]
    # two effects with errors 1 and 2 and a correlation of 0.5
    assert found.effects[0].se == pytest.approx(sqrt((1 + 4 + 2 * 0.5 * 2) / 4))
    assert found.effects[0].made == "mean of 2 comparisons that share an arm"


def test_meta_analyses_give_way_to_trials(rows: Rows, knowledge: Knowledge) -> None:
    known = rows(study("a2001", smd(-0.2)), study("b2002", smd(-0.3)), study("m2003", smd(-0.9), mismatch=META))
    query = Query(endpoint=("smd",))
    found = comparable(known, query, knowledge)
    assert "meta-analysis" in reasons(found)["m2003"]
    assert len(comparable(known, query, knowledge, meta_analyses=True).effects) == 3
    few = comparable(known[1:], query, knowledge)
    assert len(few.effects) == 2
    assert any("m2003" in note and "same patients" in note for note in few.notes)


def test_a_published_smd_comes_before_one_that_is_made(rows: Rows, knowledge: Knowledge) -> None:
    known = rows(study("a2001", change(-3, "sd = 7; n = [20, 20]"), smd(-0.5)))
    found = chosen(known, knowledge, endpoint=("smd", "change"))
    assert [e.value for e in found.effects] == [-0.5]


def test_unlike_comparisons_are_left_out(rows: Rows, knowledge: Knowledge) -> None:
    nortriptyline = CELECOXIB.replace("celecoxib", "nortriptyline").replace("400", "75")
    known = rows(
        study("a2001", smd(-0.2)),
        study("b2002", smd(-0.3), second=nortriptyline),
        study("c2003", 'endpoint = "smd"; of = "HAMD17"; value = -1; se = 0.2'),
        study("d2004", smd(-0.4), second=""),
        study("e2005", smd(0.5), first="", second="", control='diagnosis = "healthy"'),
    )
    found = chosen(known, knowledge, endpoint=("smd",))
    assert reasons(found) == {
        "b2002": "compares two treatments",
        "c2003": "has no arm to compare with",
        "e2005": "compares two populations",
    }
    assert "Treatments differ: celecoxib, celecoxib with escitalopram." in found.notes
    drug = chosen(known, knowledge, endpoint=("smd",), drug=("celecoxib",))
    assert not any("Treatments" in note for note in drug.notes)
    assert reasons(drug)["d2004"] == "has escitalopram in the same arm alone"


def test_a_comparison_the_other_way_is_turned_round(rows: Rows, knowledge: Knowledge) -> None:
    line = smd(0.4).replace("versus", 'arm = "control"; versus').replace('versus = "control"', 'versus = "drug"')
    patients = study("e2005", smd(-0.5, of="IL-6"), first="", second="", population='diagnosis = "healthy"',
                     control='diagnosis = "mdd"')  # fmt: skip
    known = rows(study("a2001", line), patients)
    assert [e.value for e in chosen(known, knowledge, endpoint=("smd",), of=("HAMD17",)).effects] == [-0.4]
    turned = chosen(known, knowledge, endpoint=("smd",), of=("IL-6",)).effects[0]
    assert (turned.value, turned.made) == (0.5, "turned round")


def test_results_without_an_error_or_with_another_definition(rows: Rows, knowledge: Knowledge) -> None:
    above = 'endpoint = "odds-ratio"; of = "IL-6"; threshold = {}; versus = "control"; value = 2; se = 0.3'
    known = rows(
        *(study(f"a200{i}", above.format(limit)) for i, limit in enumerate((3, 3, 5))),
        study("n2009", above.format(3).replace("; se = 0.3", "")),
    )
    found = chosen(known, knowledge, endpoint=("odds-ratio",))
    assert reasons(found) == {"a2002": "is defined otherwise than the most from 3", "n2009": "has no standard error"}


def test_what_cannot_go_together_is_refused(rows: Rows, knowledge: Knowledge) -> None:
    known = rows(study("a2001", smd(-0.2)), study("b2002", smd(-0.3, of="IL-6")))
    with pytest.raises(UsageError, match="choose one analyte"):
        chosen(known, knowledge, endpoint=("smd",))
    with pytest.raises(UsageError, match="cannot be pooled together"):
        chosen(known, knowledge, endpoint=("smd", "response"))
    with pytest.raises(UsageError, match="give an endpoint"):
        chosen(known, knowledge)


def arm(name: str, value: float, n: int, endpoint: str = "response") -> str:
    unit = '"points"' if endpoint == "change" else '"fraction"'
    spread = "sd = 7; " if endpoint == "change" else ""
    return f'endpoint = "{endpoint}"; of = "HAMD17"; arm = "{name}"; value = {value}; unit = {unit}; {spread}n = {n}'


def test_two_arms_are_compared(rows: Rows) -> None:
    known = rows(study("a2001", arm("drug", 0.6, 40), arm("control", 0.3, 50), arm("drug", 0.9, 40, "remission")))
    made = compare_arms(known)
    assert len(made) == 1
    found = made[0]
    assert (found.arm, found.versus, found.drugs, found.contrast) == ("drug", "control", ("celecoxib",), "drug")
    assert found.value == pytest.approx(0.3)
    assert found.se == pytest.approx(sqrt(0.6 * 0.4 / 40 + 0.3 * 0.7 / 50))
    assert found.n == (40, 50)


def test_two_arms_are_not_compared_twice(rows: Rows) -> None:
    lines = (arm("drug", -9, 40, "change"), arm("control", -6, 50, "change"))
    known = rows(study("a2001", *lines))
    assert [row.value for row in compare_arms(known)] == [-3]
    assert standardise(compare_arms(known)[0])[0] == pytest.approx(hedges_correction(88) * -3 / 7)
    assert compare_arms(rows(study("a2001", *lines, change(-2.5, "se = 1")))) == ()
    same = [replace(row, drugs=("celecoxib",)) for row in known]
    assert compare_arms(same) == ()
