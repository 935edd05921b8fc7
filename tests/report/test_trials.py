"""The report of a simulated trial, its tables, and the data of one trial."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge import load_knowledge
from crosstalk.report.trial_charts import front_chart, needed
from crosstalk.report.trial_data import cdisc_frame, tidy_frame
from crosstalk.report.trials import (
    basis_table,
    protocol_table,
    search_html,
    search_json,
    search_table,
    trial_html,
    trial_json,
    trial_tables,
)
from crosstalk.study.design import Assumed, Crossover, Interim, LeadIn
from crosstalk.trial.characteristics import Value
from crosstalk.trial.example import one_trial
from crosstalk.trial.plan import read_trial
from crosstalk.trial.result import TrialResult
from crosstalk.trial.run import Pools, TrialSettings, characterise, make_pools
from crosstalk.trial.search import Candidate, pareto

SMALL = Path(__file__).parents[1] / "trial" / "small.toml"
SETTINGS = TrialSettings(replicates=6, worlds=3, participants=(60, 25))


@pytest.fixture(scope="module")
def study() -> Any:
    found = read_trial(SMALL, load_knowledge())
    assert found.trial is not None
    trial = replace(
        found.trial, interim=Interim((0.5, 1.0), "spending-pocock"),
        conduct=replace(found.trial.conduct, dropout=0.2, missed_visits=0.1, visit_window_h=48.0),
    )  # fmt: skip
    return replace(found, trial=trial)


@pytest.fixture(scope="module")
def pools(study: Any) -> Pools:
    return make_pools(study, SETTINGS, load_knowledge(), get_engine())


@pytest.fixture(scope="module")
def result(study: Any, pools: Pools) -> TrialResult:
    return characterise(study, pools, SETTINGS, knowledge=load_knowledge(), engine=get_engine())


def cells(tables: Any) -> dict[str, str]:
    return {row[0]: row[1] for table in tables for row in table.rows}


def test_the_page_holds_the_flow_the_curves_and_the_protocol(result: TrialResult) -> None:
    page = trial_html(result)
    assert page == trial_html(result)
    for heading in (
        "Flow of participants", "Power of the primary analysis", "Effect against the marker", "For the protocol",
        "What this rests on", "How this was made",
    ):  # fmt: skip
        assert f'">{heading}' in page
    assert page.count("<svg") == 3
    assert "Research use only" in page
    for number in ("screened: ", "randomised: ", "allocated: ", "left: "):
        assert number in page
    # complete in itself: nothing is fetched
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "no evidence that a drug works" in page


def test_an_uncalibrated_result_says_so(result: TrialResult) -> None:
    words = "Uncalibrated: most constants"
    assert words in trial_html(replace(result, calibrated=False))
    assert words not in trial_html(replace(result, calibrated=True))


def test_tables_carry_their_error(result: TrialResult) -> None:
    tables = trial_tables(result)
    power = tables[0].rows[0]
    assert power[0] == "primary"
    assert re.fullmatch(r"\d+\.\d % \(\d+\.\d\)", power[2])
    size = cells(tables)
    assert re.match(r"\d+ \([\d.]+\); 90 % of trials: \d+ to \d+", size["screened"])
    assert size["WARNING: trials without effect in which a search over subgroups finds p < 0.05"].endswith(")")
    looks = next(t for t in tables if t.title.startswith("Looks"))
    assert [row[0] for row in looks.rows] == ["50 %", "100 %"]
    assert float(looks.rows[0][1]) == pytest.approx(0.0310, abs=2e-4)  # two-sided level of Pocock's spending at half


def test_a_protocol_can_be_written_from_it(result: TrialResult) -> None:
    rows = dict(protocol_table(result).rows)
    assert rows["Randomised"] == "60; escitalopram 50 %, placebo 50 %; permuted blocks of 4"
    assert rows["Stratified by"] == "marker, BMI at 30"
    assert rows["Marker-positive"] == "hsCRP 3 mg/L or more; one measurement at screening"
    assert "Kenward-Roger" in rows["Primary analysis"]
    assert rows["Primary analysis"].endswith("Estimand: treatment policy: whatever happened after randomisation")
    assert rows["Visits"] == "weeks 0, 1, 2, 4, each within 2 days"
    assert rows["Looks"] == "at 50 %, 100 % of the patients; alpha spending after Lan and DeMets, Pocock type"
    d = result.design
    others = replace(
        d, lead_in=LeadIn(168.0, 0.2), crossover=Crossover(336.0, 168.0), match=("a", "b"), kind="adaptive-enrichment"
    )
    rows = dict(protocol_table(replace(result, design=others)).rows)
    assert rows["Placebo lead-in"] == "1 weeks; not randomised after an improvement of 20 %"
    assert rows["Matched"].startswith("marker-positive get a")
    assert "20 %" in rows["Enrichment"]


def test_sources_are_shown(result: TrialResult) -> None:
    table = basis_table(result)
    assert len(table.rows) == len(result.basis)
    assert any("assumed" in row[2] for row in table.rows)
    assert any(row[0].startswith("escitalopram: half effect") for row in table.rows)


def test_the_size_for_a_power_follows_the_normal_approximation(result: TrialResult) -> None:
    first = replace(result.primary, truth=-2.0, standard_error=1.0)
    found = needed(replace(result, analyses=(first,)), 0.8)
    assert found == pytest.approx(60 * (1.959964 + 0.841621) ** 2 / 4, rel=1e-5)
    worse = replace(first, truth=2.0)
    assert needed(replace(result, analyses=(worse,)), 0.8) == float("inf")


def test_json_is_the_result(result: TrialResult) -> None:
    assert json.loads(trial_json(result)) == json.loads(json.dumps(result.to_dict()))


def test_the_data_of_one_trial_are_tidy(study: Any, pools: Pools) -> None:
    data, setting = one_trial(study, pools.typical, load_knowledge(), 1)
    table = tidy_frame(data, setting)
    assert len(table) == 60 * 4
    assert not table.duplicated(["patient", "visit_week"]).any()
    assert table["patient"].nunique() == 60
    assert table.groupby("patient")[["group", "marker", "stratum"]].nunique().max().max() == 1
    assert set(table["group"]) == {"escitalopram", "placebo"}
    assert (table["marker_positive"] == (table["marker"] >= 3)).all()
    assert table.loc[table["visit_week"] == 0, "HAMD17"].notna().all()
    gone = table["day"] > 7 * table["left_week"] + 1
    assert table.loc[gone, "HAMD17"].isna().all()
    assert gone.any()
    later = table["visit_week"] > 0
    assert ((table["day"] - 1 - 7 * table["visit_week"]).abs() <= 2)[later].all()
    other, _ = one_trial(study, pools.typical, load_knowledge(), 2)
    assert not np.array_equal(other.row, data.row)


def test_the_data_of_one_trial_under_the_names_of_cdisc(study: Any, pools: Pools) -> None:
    data, setting = one_trial(study, pools.typical, load_knowledge(), 1)
    table, tidy = cdisc_frame(data, setting), tidy_frame(data, setting)
    assert list(table.columns) == [
        "STUDYID", "USUBJID", "TRTP", "TRTA", "AGE", "SEX", "PARAMCD", "PARAM", "AVISITN", "AVISIT", "ADY", "AVAL",
        "BASE", "CHG", "ABLFL", "ONTRTFL", "ITTFL",
    ]  # fmt: skip
    assert len(table) == tidy["HAMD17"].notna().sum()
    assert table["PARAMCD"].str.fullmatch(r"[A-Z][A-Z0-9]{0,7}").all()
    assert (table["ABLFL"] == "Y").sum() == 60
    after = table[table["AVISITN"] > 0]
    np.testing.assert_allclose(after["CHG"], after["AVAL"] - after["BASE"])
    assert table.loc[table["AVISITN"] == 0, "CHG"].isna().all()
    assert set(table["SEX"]) <= {"F", "M"}
    assert isinstance(table, pd.DataFrame)


def test_what_is_written_can_be_analysed(study: Any, pools: Pools) -> None:
    """Both data sets of one trial give the same MMRM, which is that of the simulated trial."""
    from crosstalk.analysis import analyse

    data, setting = one_trial(study, pools.typical, load_knowledge(), 1)
    scale = setting.design.primary.of
    control, plans = setting.design.control, [{"id": "main", "method": "mmrm"}]
    tidy = {
        "layout": "long", "patient": "patient", "arm": "group", "control": control, "visit": "visit_week",
        "value": scale, "baseline_visit": "0",
    }  # fmt: skip
    one = analyse(tidy_frame(data, setting), {"data": tidy, "analysis": plans})
    adam = {"layout": "adam", "control": control, "where": {"PARAMCD": scale.upper()[:8]}}
    two = analyse(cdisc_frame(data, setting), {"data": adam, "analysis": plans})
    assert [r.week for r in one.finding("main").rows] == [r.week for r in two.finding("main").rows]
    for a, b in zip(one.finding("main").rows, two.finding("main").rows, strict=True):
        assert a.estimate.estimate == pytest.approx(b.estimate.estimate)
        assert a.estimate.se == pytest.approx(b.estimate.se)
    assert sum(a.patients for a in one.arms) == len(data)


def test_an_own_assumption_stands_beside_the_model(study: Any, pools: Pools) -> None:
    own = replace(study, trial=replace(study.trial, assumed=Assumed(-3.0, 8.0, power=0.9)))
    found = characterise(own, pools, SETTINGS, knowledge=load_knowledge(), engine=get_engine())
    table = next(t for t in trial_tables(found) if t.title == "Your own assumption beside the model")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["effect: arm less control"][0] == "-3"
    assert float(rows["randomised for 90 % power"][0]) >= 302
    assert json.loads(trial_json(found))["assumed"]["target"] == 0.9


def candidates() -> tuple[Candidate, ...]:
    nan = Value(float("nan"), float("nan"))
    rows = [(100, 0.5, 150), (150, 0.7, 260), (120, 0.4, 300)]
    made = [
        Candidate("drug", 1.0, 3.0, n, 8.0, Value(p, 0.03), Value(s, 1.0), 1000.0 * n) for n, p, s in rows
    ]  # fmt: skip
    return pareto([*made, Candidate("drug", 1.0, 300.0, 100, 8.0, nan, nan, None, "nobody; lower the cut-off")])


def test_a_search_is_shown_with_its_front() -> None:
    found = candidates()
    table = search_table(found)
    assert [row[0] for row in table.rows] == ["front", "front", "", ""]
    assert "nobody; lower the cut-off" in table.rows[-1]
    rows = json.loads(search_json(found))["candidates"]
    assert [c["front"] for c in rows].count(True) == 2
    assert rows[-1]["power"] == {"value": None, "se": None}
    page = search_html(found, "mine", "1.0", calibrated=False)
    assert "<svg" in page
    assert "simulate it again with another seed" in page
    assert "Uncalibrated" in page
    assert front_chart(found[-1:]) == ""


def test_everyone_can_use_the_page(accessible: Callable[[str], None], result: TrialResult) -> None:
    accessible(trial_html(result))
