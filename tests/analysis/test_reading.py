"""The same trial from every layout and format, and what cannot be read is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.analysis import analyse
from crosstalk.analysis.arrange import arrange
from crosstalk.analysis.design import read_design
from crosstalk.errors import CrosstalkError, PanelError, StudyError
from crosstalk.panel.sheets import read_sheet, sheet_of_frame


def scores(frame: pd.DataFrame, design: dict[str, Any]) -> Any:
    return arrange(sheet_of_frame(frame), read_design(design))


def test_long_and_wide_hold_the_same_trial(
    wide: pd.DataFrame, long: pd.DataFrame, design: dict[str, Any], in_rows: dict[str, Any]
) -> None:
    one, two = scores(wide, design), scores(long, {**design, "data": in_rows})
    assert one.weeks.tolist() == two.weeks.tolist() == [2.0, 4.0, 8.0]
    assert one.arms == two.arms == ("sugar", "active")
    order = [two.patients.index(p) for p in one.patients]
    np.testing.assert_array_equal(one.scores, two.scores[order])
    np.testing.assert_array_equal(one.baseline, two.baseline[order])
    assert np.isnan(one.scores).any()


def test_every_format_gives_the_same(long: pd.DataFrame, in_rows: dict[str, Any], tmp_path: Path) -> None:
    """CSV, semicolons with decimal commas, Excel, Dataset-JSON 1.1, its NDJSON, and 1.0."""
    long.to_csv(tmp_path / "a.csv", index=False)
    long.to_csv(tmp_path / "b.csv", index=False, sep=";", decimal=",")
    long.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    long.to_excel(tmp_path / "d.xlsx", index=False)
    columns = [{"itemOID": f"IT.{c}", "name": c, "label": c, "dataType": "string"} for c in long.columns]
    rows = json.loads(long.to_json(orient="values"))
    head = {"datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.X", "records": len(rows), "columns": columns}
    (tmp_path / "e.json").write_text(json.dumps({**head, "rows": rows}))
    (tmp_path / "f.ndjson").write_text("\n".join(json.dumps(r) for r in (head, *rows)))
    group = {"IG.X": {"records": len(rows), "items": columns, "itemData": rows}}
    (tmp_path / "g.json").write_text(json.dumps({"clinicalData": {"itemGroupData": group}}))
    plan = read_design({"data": in_rows})
    found = [arrange(read_sheet(p), plan) for p in sorted(tmp_path.iterdir())]
    assert len(found) == 7
    for other in found[1:]:
        assert other.patients == found[0].patients
        np.testing.assert_array_equal(other.scores, found[0].scores)
        np.testing.assert_allclose(other.numbers("crp")[0], found[0].numbers("crp")[0])


def test_adam_with_adsl(long: pd.DataFrame, tmp_path: Path) -> None:
    """ADQS with its arm in ADSL; baseline records are no visit; another parameter is chosen away."""
    adqs = pd.DataFrame(
        {
            "USUBJID": long["id"],
            "PARAMCD": "HAMD17",
            "AVISIT": long["visit"],
            "AVAL": long["score"],
            "BASE": long["base"],
        }
    )
    first = adqs.drop_duplicates("USUBJID").assign(AVISIT="Baseline", AVAL=lambda d: d["BASE"])
    other = first.assign(PARAMCD="CGI", AVISIT="Week 2")
    pd.concat([first, adqs, other]).to_csv(tmp_path / "adqs.csv", index=False)
    people = long.drop_duplicates("id")
    adsl = pd.DataFrame({"USUBJID": people["id"], "TRT01P": people["arm"], "AGE": 40})
    alone = pd.DataFrame({"USUBJID": ["Z1"], "TRT01P": ["sugar"], "AGE": [40]})
    pd.concat([adsl, alone]).to_csv(tmp_path / "adsl.csv", index=False)
    data = {"layout": "adam", "control": "sugar", "subjects": "adsl.csv"}
    with pytest.raises(PanelError, match="holds the parameters CGI, HAMD17"):
        analyse(tmp_path / "adqs.csv", {"data": data})
    found = analyse(tmp_path / "adqs.csv", {"data": {**data, "where": {"PARAMCD": "HAMD17"}}})
    assert [a.patients for a in found.arms] == [60, 60]
    assert found.weeks == (2.0, 4.0, 8.0)
    assert any("rows left out" in w for w in found.warnings)
    assert any(w.startswith("1 patients of") and w.endswith("such as Z1") for w in found.warnings)


def test_values_as_changes(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    changes = wide.copy()
    for week in ("w2", "w4", "w8"):
        changes[week] = wide[week] - wide["base"]
    again = scores(changes, {**design, "outcome": {"is_change": True}})
    np.testing.assert_array_equal(again.scores, scores(wide, design).scores)


def test_a_baseline_visit(long: pd.DataFrame, in_rows: dict[str, Any]) -> None:
    first = long.drop_duplicates("id").assign(visit="0.0", score=lambda d: d["base"])
    stacked = pd.concat([first, long.assign(visit=long["visit"].str[5:] + ".0")])
    data = {k: v for k, v in in_rows.items() if k != "baseline"} | {"baseline_visit": "0"}
    found = scores(stacked, {"data": data})
    np.testing.assert_array_equal(found.baseline, scores(long, {"data": in_rows}).baseline)
    assert found.weeks.tolist() == [2.0, 4.0, 8.0]


def test_values_below_a_limit(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    table = wide.assign(crp=wide["crp"].astype(str))
    table.loc[0, "crp"], table.loc[1, "crp"] = "<0.2", ">100"
    values, note = scores(table, design).numbers("crp")
    assert values[:2] == pytest.approx([0.2 / np.sqrt(2), 100.0])
    assert note.startswith("2 values of 'crp' beyond a limit")


BROKEN: list[tuple[str, Any, dict[str, Any], str]] = [
    ("a score that is a word", lambda d: d.assign(w4=d["w4"].astype(object).where(d.index != 3, "ill")), {},
     r"table, row 3, patient P003: 'w4' is 'ill', no number"),
    ("a code for missing", lambda d: d.assign(w4=d["w4"].where(d.index != 3, -9)), {},
     r"patient P003, week 4: the score -9 is outside of 0.0 to 52.0; correct it, or name the code in missing"),
    ("no such column", lambda d: d.rename(columns={"w4": "W4"}), {}, r"has no column 'w4'; did you mean"),
    ("two rows", lambda d: pd.concat([d, d[:1]]), {}, "row 120: patient P000 stands there for the second"),
    ("one arm", lambda d: d.assign(arm="sugar"), {}, "all patients are of one arm"),
    ("no baseline", lambda d: d.assign(base=d["base"].where(d.index != 5)), {}, "patient P005: no baseline"),
    ("no id", lambda d: d.assign(id=d["id"].where(d.index != 5, "")), {}, "row 5: names no patient in 'id'"),
    ("wrong control", lambda d: d, {"control": "Placebo"}, r"arm 'Placebo'.*one of sugar, active"),
    ("no such value", lambda d: d, {"where": {"site": "east"}}, "site = 'east'; there are north, south, west"),
    ("same week", lambda d: d, {"visits": {"w2": 2.0, "w4": 2.0}}, "two visits are at week 2"),
    ("second file", lambda d: d, {"subjects": "nowhere.csv"}, "nowhere.csv: no such file"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "data", "message"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_data_are_refused_with_their_place(
    wide: pd.DataFrame, design: dict[str, Any], change: Any, data: dict[str, Any], message: str
) -> None:
    with pytest.raises(CrosstalkError, match=message):
        analyse(change(wide), {**design, "data": design["data"] | data})


def test_broken_rows_of_visits(long: pd.DataFrame, in_rows: dict[str, Any]) -> None:
    twice = pd.concat([long, long[:1]])
    with pytest.raises(PanelError, match=rf"row {len(long)}, patient P000: a second row for the visit 'Week 2'"):
        scores(twice, {"data": in_rows})
    with pytest.raises(PanelError, match="week of the visit 'early' is not known; give all of them by"):
        scores(long.replace({"visit": {"Week 2": "early"}}), {"data": in_rows})
    with pytest.raises(PanelError, match="several arms in 'arm'"):
        scores(long.assign(arm=long["arm"].where(long.index != 0, "active")), {"data": in_rows})
    with pytest.raises(PanelError, match="no visit is called 'V1', as visits says"):
        scores(long, {"data": {**in_rows, "visits": {"V1": 1.0}}})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"id,arm\n", "no rows below its header"),
        ("a.csv", b"id,id\n1,2\n", "two columns 'id'"),
        ("a.csv", b"id,arm\n1,2,3\n", "line 2: has 3 cells where the header has 2"),
        ("a.json", b"{}", "no CDISC Dataset-JSON"),
        ("a.json", b"{", "line 1: is no JSON"),
        ("a.json", b"[" * 500, "brackets"),
        ("a.ndjson", b'{"columns": [{"name": "a"}]}\n[1, 2]', "row 1: is no list of 1 values"),
        ("a.xlsx", b"PK", "a.xlsx"),
        ("a.xls", b"x", "save it as .xlsx"),
        ("a.xpt", b"x", "SAS transport"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PanelError, match=message):
        read_sheet(path)


@pytest.mark.parametrize("content", [b"", b"\xfe\xff", b"\n \n"])
def test_lines_of_json_without_a_line_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(content)
    with pytest.raises(PanelError, match=r"holds no line|the file is empty"):
        read_sheet(path)


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.json", "a.ndjson", "a.xpt", "a.xlsx"]))
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)
    try:
        read_sheet(path)
    except CrosstalkError as error:
        assert name in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[data]\nlayout = "tall"', "line 2: data > layout.*'long', 'wide' or 'adam'"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\narmm = "x"', "line 4: data > armm: unknown key; did you mean arm"),
        ('[data]\nlayout = "long"\ncontrol = "p"', "patient is missing"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\n[[analysis]]\nid = "a"\nmethod = "anova"',
         "line 6: analysis 1 > method: received 'anova', expected one of mmrm, ancova"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\n[[analysis]]\nid = "a"\nmethod = "mmrm"\nstructure = ["toep"]',
         "analysis 1 > structure 1: received 'toep', expected 'unstructured'"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\n[[analysis]]\nid = "a"\nmethod = "mmrm"\nknots = 3',
         "line 7: analysis 1 > knots: unknown key; expected one of"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\n[[analysis]]\nid = "a"\nmethod = "sensitivity"\nstrategies = []',
         "strategies is empty"),
        ('[data]\nlayout = "adam"\ncontrol = "p"\n[[analysis]]\nid = "a"\nmethod = "ancova"\n'
         '[[analysis]]\nid = "a"\nmethod = "ancova"', "two analyses have the id 'a'"),
        ("[data", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_broken_design_is_told_with_line_and_choices(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "design.toml"
    path.write_text(text)
    with pytest.raises(StudyError, match=message):
        read_design(path)
