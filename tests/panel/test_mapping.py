"""Maps of files: checked as study files are, applied to tables and other formats, suggested with open questions."""

from __future__ import annotations

import tomllib
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile
from crosstalk.panel.suggestion import answered, suggested, toml
from crosstalk.panel.understanding import Item, Question, Understanding, look

WIDE = (
    "code,event,gender,bloodcrp,il6_pgml,phqsum,site,drawn on\n"
    "K1,t0,1,3.5,2.5,14,Bonn,03/04/2024\nK2,t0,2,-9,1.5,9,Ulm,04/04/2024\n"
)
MAP = """
[file]
missing = ["-9"]
[columns]
code = "patient"
event = "visit"
gender = { is = "sex", codes = { 1 = "male", 2 = "female" } }
bloodcrp = { is = "hsCRP", unit = "mg/L", specimen = "serum" }
phqsum = "PHQ9"
site = "keep"
"drawn on" = "date"
[visits]
t0 = "baseline"
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def plain(file: PanelFile) -> dict[str, dict[str, float]]:
    return {p.patient: {a: round(m.value, 6) for a, m in p.measurements.items() if m.place} for p in file.panels}


def test_a_map_says_what_columns_are(tmp_path: Path) -> None:
    file = write(tmp_path, "t.csv", WIDE)
    found = read_panel(file, mapping=write(tmp_path, "m.toml", MAP))
    assert plain(found) == {
        "K1": {"sex": 0.0, "hsCRP": 3.5, "IL-6": 2.5, "PHQ9": 14.0},
        "K2": {"sex": 1.0, "IL-6": 1.5, "PHQ9": 9.0},
    }
    assert found.panels[0].measurements["hsCRP"].specimen == "serum"
    assert found.panels[0].extra["site"] == "Bonn"
    assert not any("not read" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[columns]\ncod = "patient"\n', "columns 'cod': "),
        ('[columns]\ncode = "patent"\n', "line 2, columns > code: received 'patent'; expected a role"),
        ('[columns]\ncode = "?"\n', "is still '?'"),
        ('[columns]\nbloodcrp = { is = "hsCRP", unit = "pg" }\n', "columns > bloodcrp > unit: "),
        ('[columns]\ncode = { is = "patient", unit = "mg/L" }\n', "only an analyte has a unit"),
        ('[columns]\nbloodcrp = { unit = "mg/L" }\n', "columns > bloodcrp > is: is missing"),
        ('[columns]\nbloodcrp = { is = "hsCRP", specimen = "tube" }\n', "received 'tube'; expected serum"),
        ('[columns]\ngender = { is = "sex", codes = { 1 = "man?" } }\n', "expected male or female"),
        ('[columns]\ngender = { is = "sex", codes = { 1 = "?" } }\n', "line 2, columns > gender > codes > 1"),
        ('[colums]\ncode = "patient"\n', "line 1, colums: is no key of a map"),
        ('[file]\ndates = "dmy"\n', "line 2, file > dates: received 'dmy'; expected"),
        ("[file]\ndecimal = 5\n", "file > decimal: received"),
        ('[file]\noccasion = "second"\n', "expected first, last"),
        ('[tests]\nCRP = { is = "hsCRP", of = "x" }\n', "is no key of a map"),
        ('[tests]\nCRP = "keep"\n', "expected an analyte, or ignore"),
        ("[columns\n", "is no TOML"),
    ],
)
def test_a_wrong_map_is_refused_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    file, map_ = write(tmp_path, "t.csv", WIDE), write(tmp_path, "m.toml", text)
    with pytest.raises(PanelError) as caught:
        read_panel(file, mapping=map_)
    assert words in str(caught.value)
    assert "m.toml" in str(caught.value)


def test_tests_of_a_long_table(tmp_path: Path) -> None:
    file = write(
        tmp_path, "t.csv",
        "patient,analyte,value,unit\nA,Entz1,5.5,mg/L\nA,Zyt6,2.5,\nA,TSH,1.1,mU/L\nA,geschl,2,\n",
    )  # fmt: skip
    map_ = (
        '[tests]\nEntz1 = "hsCRP"\nZyt6 = { is = "IL-6", unit = "pg/mL" }\nTSH = "ignore"\n'
        'geschl = { is = "sex", codes = { 2 = "female" } }\n'
    )
    found = read_panel(file, mapping=write(tmp_path, "m.toml", map_))
    assert plain(found) == {"A": {"hsCRP": 5.5, "IL-6": 2.5, "sex": 1.0}}
    assert any("left out by" in w and "TSH" in w for w in found.warnings)
    with pytest.raises(PanelError, match="keep the one that is right"):
        read_panel(file, mapping=write(tmp_path, "m.toml", '[tests]\nEntz1 = { is = "hsCRP", unit = "mg/dL" }\n'))


def test_a_unit_against_the_header_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "t.csv", "patient,CRP [mg/L]\nA,5\n")
    with pytest.raises(PanelError, match="says mg/L itself"):
        read_panel(
            file, mapping=write(tmp_path, "m.toml", '[columns]\n"CRP [mg/L]" = { is = "hsCRP", unit = "mg/dL" }\n')
        )


def test_the_order_of_dates_and_the_decimal_sign(tmp_path: Path) -> None:
    dates = "patient,date,PHQ9\nA,03/04/2024,14\nA,05/02/2024,9\n"
    file = write(tmp_path, "t.csv", dates)
    for order, first in (("day month year", 9.0), ("month day year", 14.0)):
        map_ = write(tmp_path, "m.toml", f'[file]\ndates = "{order}"\noccasion = "first"\n')
        assert plain(read_panel(file, mapping=map_)) == {"A": {"PHQ9": first}}
    semicolons = write(tmp_path, "s.csv", "patient;leptin [pg/mL]\nA;12.500\n")
    for sign, value in ((".", 0.0125), (",", 12.5)):
        map_ = write(tmp_path, "m.toml", f'[file]\ndecimal = "{sign}"\n')
        if value < 1:  # below what people have
            with pytest.raises(PanelError, match="is the unit right"):
                read_panel(semicolons, mapping=map_)
        else:
            assert plain(read_panel(semicolons, mapping=map_)) == {"A": {"leptin": value}}
    commas = write(tmp_path, "c.csv", "patient;IL-6 [pg/mL]\nA;2,5\n")
    with pytest.raises(PanelError, match="contradicts the decimal sign"):
        read_panel(commas, mapping=write(tmp_path, "m.toml", '[file]\ndecimal = "."\n'))


REDCAP = (
    "record_id,redcap_event_name,sex,hs_crp,il6_pgml,hamd17_total,baseline_complete\n"
    "1,baseline_arm_1,1,3.5,2.5,18,2\n2,baseline_arm_1,2,1.5,0.9,22,2\n"
)


def test_what_is_open_is_asked_and_the_answers_make_the_file_readable(tmp_path: Path) -> None:
    file = write(tmp_path, "r.csv", REDCAP)
    found = look(file)
    assert [q.key for q in found.questions] == [("columns", "sex", "codes", "1"), ("columns", "sex", "codes", "2")]
    assert found.problems
    assert {i.name: i.meaning for i in found.items}["il6_pgml"] == "IL-6"
    text = toml(found, suggested(found))
    with pytest.raises(PanelError, match="is still"):
        FileMap.check(tomllib.loads(text))
    done = text.replace('1 = "?"', '1 = "female"').replace('2 = "?"', '2 = "male"')
    read = read_panel(file, mapping=write(tmp_path, "m.toml", done))
    assert plain(read)["1"] == {"sex": 1.0, "hsCRP": 3.5, "IL-6": 2.5, "HAMD17": 18.0}
    assert FileMap.check(answered(found, ["female", "male"])) == FileMap.check(tomllib.loads(done))
    assert not look(file, mapping=FileMap.read(tmp_path / "m.toml")).problems


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("patient,visit,PHQ9\nA,Baseline,14\nA,Week 8,9\n", [("file", "occasion")]),
        ("patient,IL-6\nA,2.5\n", [("columns", "IL-6", "unit")]),
        ("patient,analyte,value,unit\nA,IL-6,2.5,\n", [("tests", "IL-6", "unit")]),
        ("patient;leptin [pg/mL]\nA;12.500\n", [("file", "decimal")]),
        ("patient,date,PHQ9\nA,03/04/2024,14\nA,05/06/2024,9\n", [("file", "dates"), ("file", "occasion")]),
        ("patient,condition,analyte,value,unit\nA,MDD,TNF,2,pg/mL\n", [("columns", "condition")]),
        ("patient,specimen,analyte,value,unit\nA,tube 7,TNF,2,pg/mL\n", [("columns", "specimen", "codes", "tube 7")]),
        ("patient,hsCRP [mg/L],PHQ9\nA,2.5,14\n", []),
    ],
)
def test_kinds_of_questions(tmp_path: Path, text: str, keys: list[tuple[str, ...]]) -> None:
    assert [q.key for q in look(write(tmp_path, "t.csv", text)).questions] == keys


def test_a_header_that_is_not_understood_is_shown_column_by_column(tmp_path: Path) -> None:
    file = write(tmp_path, "t.csv", "patient,subject,hsCRP [mg/L]\nA,7,2.5\nB,8,1.5\n")
    found = look(file)
    assert [q.key for q in found.questions] == [("columns", "patient"), ("columns", "subject")]
    map_ = FileMap.check(answered(found, ["patient", "keep"]))
    assert plain(read_panel(file, mapping=map_)) == {"A": {"hsCRP": 2.5}, "B": {"hsCRP": 1.5}}


@pytest.mark.parametrize("suffix", ["wide", "long"])
def test_a_suggested_map_changes_no_value(tmp_path: Path, suffix: str) -> None:
    text = {
        "wide": "Patienten-Nr.;Alter;CRP (mg/L);TNF-α (pg/ml);TNF-α LOD;HAM-D 17;Bemerkung;Ort\n"
        "A;40;3,5;0,2;0,6;18;x;B\n",
        "long": "PatientID;Test;Result;Unit;Material;LOD\nA;CRP;3,5;mg/l;Serum;0,1\nA;IL6;0,3;ng/l;Liquor;\n"
        "A;TNFA;0,2;ng/l;;0,6\n",
    }[suffix]
    file = write(tmp_path, "t.csv", text)
    before = read_panel(file)
    map_ = write(tmp_path, "m.toml", toml(look(file), suggested(look(file))))
    after = read_panel(file, mapping=map_)
    assert [p.measurements for p in after.panels] == [p.measurements for p in before.panels]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=30)


@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True), unit=NAMES)
def test_every_suggestion_is_toml(names: list[str], unit: str) -> None:
    items = tuple(Item("columns", name, "hsCRP", "", unit, "", 1, (unit,), (unit,)) for name in names)
    questions = (Question(("columns", names[0], "codes", unit), unit),)
    found = Understanding("x.csv", "", items, questions, (), (), 0)
    table = suggested(found)
    assert tomllib.loads(toml(found, table)) == table


@pytest.mark.parametrize("text", ["x = " + "[" * 5000 + "]" * 5000, ".".join("abcdefgh" * 900) + " = 1"])
def test_a_map_of_endless_depth_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(PanelError, match="deep within each other"):
        FileMap.read(path)


@pytest.mark.parametrize("columns", [20_000, 300_000])
def test_a_line_of_endless_columns_is_refused_at_once(tmp_path: Path, columns: int) -> None:
    path = tmp_path / "x.csv"
    path.write_text("patient," + ",".join(f"hsCRP{i}" for i in range(columns)) + "\nA" + ",1" * columns + "\n")
    began = process_time()
    for reads in (read_panel, look):
        with pytest.raises(PanelError, match=r"read are at most 16384"):
            reads(path)
    assert process_time() - began < 3
