"""Panels as people write them: both layouts, censored and missing values, and every mistake with its message."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import CrosstalkError, PanelError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import one_patient, read_panel
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.units import convert

LONG = "patient,analyte,value,unit\n"


def write(folder: Path, text: str | bytes, name: str = "panel.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes) -> Panel:
    return one_patient(read_panel(write(folder, text)))


def test_the_long_layout(tmp_path: Path) -> None:
    panel = read(
        tmp_path, "# from the ward\n" + LONG + "A,hsCRP,0.52,mg/dL\nA,IL-6,<0.4,pg/mL\nA,sex,female,\nA,TNF,,pg/mL\n"
    )
    assert panel.patient == "A"
    crp, il6 = panel.measurements["hsCRP"], panel.measurements["IL-6"]
    assert (crp.value, crp.censored, crp.given, crp.place) == (5.2, "", "0.52 mg/dL", "line 3")
    assert (il6.value, il6.censored) == (0.4, "left")
    assert panel.measurements["sex"].value == 1.0
    assert panel.missing == ("TNF",)


def test_the_wide_layout_and_several_patients(tmp_path: Path) -> None:
    file = read_panel(
        write(tmp_path, "patient;hsCRP [mg/L];BMI [kg/m2];HAMD17\nA;5,2;31;24\n".replace("5,2", "5.2") + "B;;22;18\n")
    )
    assert [p.patient for p in file.panels] == ["A", "B"]
    assert file.panels[0].measurements["HAMD17"].value == 24
    assert file.panels[1].missing == ("hsCRP",)
    assert one_patient(file, "B").measurements["BMI"].value == 22


def test_detection_limits(tmp_path: Path) -> None:
    head = "patient,analyte,value,unit,lod\n"
    for text, value, censored in (
        ("A,IL-6,<0.4,pg/mL,\n", 0.4, "left"),
        ("A,IL-6,0.2,pg/mL,0.5\n", 0.5, "left"),
        ("A,IL-6,BLQ,pg/mL,0.5\n", 0.5, "left"),
        ("A,hsCRP,>20,mg/L,\n", 20.0, "right"),
        ("A,IL-6,0.7,pg/mL,0.5\n", 0.7, ""),
    ):
        found = next(iter(read(tmp_path, head + text).measurements.values()))
        assert (found.value, found.censored) == (value, censored), text


def test_derived_values_are_noted_and_never_replace_measured_ones(tmp_path: Path) -> None:
    body = "A,weight,90,kg\nA,height,180,cm\nA,tryptophan,60,umol/L\nA,kynurenine,2.4,umol/L\n"
    body += "A,fasting glucose,90,mg/dL\nA,fasting insulin,9,uIU/mL\n"
    panel = read(tmp_path, LONG + body)
    assert panel.measurements["BMI"].value == pytest.approx(90 / 1.8**2)
    assert panel.measurements["KYN/TRP"].value == pytest.approx(40.0)
    assert panel.measurements["HOMA-IR"].value == pytest.approx(2.0)
    assert any("BMI" in note for note in panel.notes)
    assert read(tmp_path, LONG + body + "A,BMI,25,kg/m2\n").measurements["BMI"].value == 25


BAD = {
    "unknown analyte": ("A,CRPX,5,mg/L\n", ["line 2", "patient A", "CRPX", "did you mean", "crosstalk analytes"]),
    "unconvertible unit": ("A,hsCRP,5,mL\n", ["line 2", "patient A", "hsCRP", "mL", "mg/L"]),
    "unknown unit": ("A,hsCRP,5,zork\n", ["line 2", "hsCRP", "unknown unit 'zork'"]),
    "missing unit": ("A,hsCRP,5,\n", ["line 2", "patient A", "hsCRP", "no unit", "mg/L"]),
    "decimal comma": ('A,hsCRP,"1,5",mg/L\n', ["line 2", "1,5", "comma", "1.5"]),
    "negative": ("A,hsCRP,-1,mg/L\n", ["line 2", "-1", "negative", "0 or more"]),
    "text": ("A,hsCRP,high,mg/L\n", ["line 2", "high", "expected a number"]),
    "two numbers": ("A,hsCRP,5 6,mg/L\n", ["line 2", "5 6", "expected a number"]),
    "infinite": ("A,hsCRP,1e999,mg/L\n", ["line 2", "not finite"]),
    "a thousand times too high": (
        "A,hsCRP,5000,mg/L\n",
        ["line 2", "5000", "times the upper reference limit", "confirmed"],
    ),
    "a thousand times too high, though possible in sepsis": (
        "A,IL-6,2500,pg/mL\n",
        ["line 2", "IL-6", "2500", "times the upper reference limit", "confirmed"],
    ),
    "above a scale": ("A,HAMD17,99,\n", ["line 2", "patient A", "HAMD17", "99", "from 0 to 52", "correct"]),
    "too high without a reference": ("A,age,540,a\n", ["line 2", "540", "anything possible", "110"]),
    "duplicate": ("A,hsCRP,5,mg/L\nA,hsCRP,6,mg/L\n", ["line 3", "patient A", "hsCRP", "twice", "line 2"]),
    "no patient": (",hsCRP,5,mg/L\n", ["line 2", "patient"]),
    "limit without a number": ("A,IL-6,BLQ,pg/mL\n", ["line 2", "IL-6", "<0.11"]),
    "sex as a number": ("A,sex,1,\n", ["line 2", "female or male"]),
    "ragged row": ("A,hsCRP,5,mg/L,7,8\n", ["line 2", "6 columns", "expected 4"]),
}


@pytest.mark.parametrize("case", BAD)
def test_each_mistake_names_its_place_and_the_remedy(case: str, tmp_path: Path) -> None:
    text, words = BAD[case]
    with pytest.raises(PanelError) as caught:
        read_panel(write(tmp_path, LONG + text))
    for word in ["panel.csv", *words]:
        assert word in str(caught.value), (word, str(caught.value))


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        read_panel(write(tmp_path, LONG + "A,hsCRP,x,mg/L\nB,IL-6,-2,pg/mL\n"))
    assert "line 2" in str(caught.value)
    assert "line 3" in str(caught.value)


def test_a_confirmed_value_is_taken(tmp_path: Path) -> None:
    panel = read(tmp_path, "patient,analyte,value,unit,confirmed\nA,hsCRP,5000,mg/L,yes\n")
    assert panel.measurements["hsCRP"].value == 5000
    with pytest.raises(PanelError, match="the scale runs from 0 to 52"):
        read(tmp_path, "patient,analyte,value,unit,confirmed\nA,HAMD17,99,,yes\n")


def test_every_analyte_asks_back_at_a_thousand_times_its_reference(tmp_path: Path) -> None:
    for analyte in load_knowledge().analytes.values():
        if analyte.references:
            value = 1000 * min(r.p97_5 for r in analyte.references)
            with pytest.raises(PanelError, match="times the upper reference limit"):
                read(tmp_path, LONG + f"A,{analyte.id},{value:g},{analyte.unit}\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n# nothing\n", "empty"),
        (LONG.encode(), "no row"),
        (b"just some words\nand more\n", "not the header of a table"),
        (b"\x7fELF\x00\x01\x02", "binary"),
        (b"PK\x03\x04zip", "binary"),
        (b"patient,analyte,value,Value,unit\nA,hsCRP,5,6,mg/L\n", "line 1: column 'value' stands twice"),
        (b"patient,analyte,unit\nA,hsCRP,mg/L\n", "line 1: no column 'value'"),
        (b"# x\npatient,value,unit\nA,5,mg/L\n", "line 2: no column 'analyte'"),
        ((LONG + "M").encode() + b"\xfcller,hsCRP,5,mg/L\n", "line 2: holds the byte 0xfc, which is not UTF-8"),
        ((LONG + "A,hsCRP,5,").encode() + b"\xe6g/mL\n", "line 2: holds the byte 0xe6"),
        (b"\xff\xfeA", "UTF-16"),
        ((LONG + "A,hsCRP,5\x00,mg/L\n").encode(), "line 2: holds a NUL"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
        (b"id,patient,analyte,value,unit\n1,A,hsCRP,5,mg/L\n", "columns id and patient both name the patient"),
        (b"patient,analyte,test,value,unit\nA,x,hsCRP,5,mg/L\n", "columns analyte and test both give the analyte"),
        (b"A,B,C,D\nB,x,y,z\npatient,analyte,value,unit\nA,hsCRP,5,mg/L\n", "no column for the patient"),
    ],
)
def test_files_that_are_no_tables(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(PanelError, match=words):
        read_panel(write(tmp_path, content))


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="no such file"):
        read_panel(tmp_path / "absent.csv")
    with pytest.raises(PanelError, match="folder"):
        read_panel(tmp_path)
    with pytest.raises(PanelError, match="cannot be read as an Excel workbook"):
        read_panel(write(tmp_path, b"PK", "panel.xlsx"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, LONG + "A,hsCRP,5,mg/L\n")
    path.chmod(0)
    with pytest.raises(PanelError, match="permissions"):
        read_panel(path)


GIVEN = "patient;analyte;value;unit\nA;hsCRP;5.5;µg/mL\nA;IL-6;<0.4;pg/mL\n"
NOTED = 'patient;analyte;value;unit;note\nA;hsCRP;5.5;mg/L;"two\nlines"\nA;IL-6;<0.4;pg/mL;\n'
EXPECTED = {"hsCRP": (5.5, ""), "IL-6": (0.4, "left")}


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        (GIVEN, "utf-8", ""),
        (GIVEN, "utf-8-sig", ""),
        (GIVEN, "utf-16", ""),
        (GIVEN, "utf-16-le", "was read as UTF-16-LE"),
        (GIVEN, "utf-16-be", "was read as UTF-16-BE"),
        (GIVEN, "cp1252", "was read as Windows-1252, for its byte 0xb5 (µ)"),
        (GIVEN, "latin-1", "was read as Windows-1252"),
        (GIVEN.replace("\n", "\r\n"), "utf-8", ""),
        (GIVEN.replace("\n", "\r"), "utf-8", ""),
        (GIVEN.replace(";", "\t"), "utf-8", ""),
        (GIVEN.replace(";", "|"), "utf-8", ""),
        ("sep=;\n" + GIVEN, "utf-8", ""),
        ("Panel of May\n" + GIVEN, "utf-8", "line 1: above the header; not read"),
        (GIVEN.replace("5.5", "5,5").replace("0.4", "0,4"), "utf-8", "decimal commas, as in '5,5' (line 2)"),
        (GIVEN.replace("5.5", "5,500").replace("0.4", "0,4"), "utf-8", "decimal commas, as in '<0,4' (line 3)"),
        (GIVEN.replace("5.5", "5,5e0").replace("0.4", "4,0E-1"), "utf-8", "decimal commas"),
        (GIVEN.replace("5.5", '="5.5"'), "utf-8", ""),
        (GIVEN.replace("5.5", '"=""5.5"""'), "utf-8", ""),
        (GIVEN.replace("A;hsCRP", '"A";"hsCRP"'), "utf-8", ""),
        (GIVEN.replace("\n", ";\n"), "utf-8", ""),
        (GIVEN + ";;;\n\n;;;\n", "utf-8", ""),
        (GIVEN + "patient;analyte;value;unit\n", "utf-8", "line 4: repeats the header; left out"),
        (GIVEN.replace("patient;analyte;value;unit", "Subject ID;Marker;Result;Units"), "utf-8", ""),
        (GIVEN.replace("unit\n", "unit;plate\n").replace("mL\n", "mL;7\n"), "utf-8", "columns not read: plate"),
        (NOTED, "utf-8", "lines 2 to 3: a quoted cell runs over several lines"),
        (GIVEN + "# checked\n#B;IL-6;2;pg/mL\n", "utf-8", "line 5: starts with # and was left out as a comment"),
        (GIVEN.rstrip("\n"), "utf-8", "line 3: the last line does not end with a line break"),
    ],
)  # fmt: skip
def test_tables_as_people_save_them(tmp_path: Path, text: str, encoding: str, words: str) -> None:
    file = read_panel(write(tmp_path, text.encode(encoding)))
    assert {k: (m.value, m.censored) for k, m in file.panels[0].measurements.items()} == EXPECTED
    assert any(words in w for w in file.warnings) if words else not file.warnings, file.warnings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GIVEN.replace("5.5", "5,5"), "'5,5' (line 2) has a decimal comma and '<0.4' (line 3) a decimal point"),
        (GIVEN.replace("5.5", "1,234").replace("0.4", "1"), "may be 1.234 or 1234"),
        (GIVEN.replace("µg/mL\n", "µg/mL;3\n"), "line 2: has 5 columns, expected 4"),
        (GIVEN[:-8] + "\n", "line 3: has 3 columns, expected 4"),
        (GIVEN.replace(";hsCRP", ';"hsCRP'), "line 2: cannot be split into columns"),
        (GIVEN.replace("unit\n", "unit;\n").replace("mL\n", "mL;7\n"), "line 2: has 5 columns, expected 4"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PanelError) as caught:
        read_panel(write(tmp_path, text))
    assert words in str(caught.value)


def test_units_below_the_header_and_columns_for_the_row(tmp_path: Path) -> None:
    text = (
        "patient,specimen,time,hsCRP,IL-6,HAMD17,note\n,,,mg/dL,pg/mL,,\nA,serum,0,0.5,2,20,x\nA,serum,24,0.6,3,18,\n"
    )
    file = read_panel(write(tmp_path, text), occasion="first")
    panel = one_patient(file)
    assert {k: (m.value, m.specimen) for k, m in panel.measurements.items()} == {
        "hsCRP": (5, "serum"), "IL-6": (2, "serum"), "HAMD17": (20, "serum"),
    }  # fmt: skip
    assert len(file.warnings) == 1
    with pytest.raises(PanelError, match=r"hsCRP has the unit mg/L in the header and mg/dL below it"):
        read_panel(write(tmp_path, text.replace("hsCRP", "hsCRP [mg/L]")))
    with pytest.raises(PanelError, match="line 2: names no patient"):
        read_panel(write(tmp_path, text.replace("mg/dL", "5")))


def test_an_unnamed_column_matters_only_if_it_is_filled(tmp_path: Path) -> None:
    assert read(tmp_path, "patient,,hsCRP [mg/L]\nA,,5\n").measurements["hsCRP"].value == 5
    with pytest.raises(PanelError, match=r"line 1: column 2 has no name, though it is filled on line 2"):
        read(tmp_path, "patient,,hsCRP [mg/L]\nA,3,5\n")


def test_the_same_mistake_in_many_rows_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        read_panel(write(tmp_path, LONG + "".join(f"P{i},CRPX,5,mg/L\n" for i in range(50))))
    assert str(caught.value).count("CRPX") == 2
    assert "line 2, patient P0" in str(caught.value)
    assert "(and 49 more rows)" in str(caught.value)


def test_two_patients_where_one_is_expected(tmp_path: Path) -> None:
    file = read_panel(write(tmp_path, LONG + "A,hsCRP,5,mg/L\nB,hsCRP,1,mg/L\n"))
    with pytest.raises(PanelError, match="holds 2 patients, expected one; choose with --patient: A, B"):
        one_patient(file)
    with pytest.raises(PanelError, match="C"):
        one_patient(file, "C")
    with pytest.raises(PanelError, match=r"holds no value of any patient; check that it is whole\n  x.csv: why"):
        one_patient(PanelFile("x.csv", "", (), ("x.csv: why",)))


@given(st.floats(0.01, 200), st.sampled_from(["mg/L", "mg/dL", "ug/mL", "ng/mL", "g/L"]))
def test_a_value_survives_every_unit(tmp_path_factory: pytest.TempPathFactory, value: float, unit: str) -> None:
    folder = tmp_path_factory.mktemp("units")
    written = convert(value, "mg/L", unit)
    found = read(folder, LONG + f"A,hsCRP,{written!r},{unit}\n").measurements["hsCRP"].value
    assert found == pytest.approx(value, rel=1e-12)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_any_file_is_a_panel_or_a_plain_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("any"), content)
    try:
        file = read_panel(path)
    except CrosstalkError as error:
        assert str(path) in str(error)
    else:
        assert file.panels


@given(st.text(alphabet="A,\n\"';<>=0123456789.-hsCRPmg/L[] patient", max_size=120))
def test_any_body_below_a_header_is_a_panel_or_a_plain_error(
    tmp_path_factory: pytest.TempPathFactory, body: str
) -> None:
    path = write(tmp_path_factory.mktemp("body"), LONG + body)
    try:
        read_panel(path)
    except CrosstalkError as error:
        assert str(path) in str(error)


@pytest.mark.slow
def test_ten_thousand_patients_are_read_within_seconds() -> None:
    """400,000 rows; processor time, since the machine may have other work."""
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "panels.py"
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    found = re.search(r"([\d.]+) s of processor time\), peak memory (\d+) MiB", told)
    assert found, told
    assert float(found[1]) < 8
    assert int(found[2]) < 600


def test_a_line_joins_two_scales(tmp_path: Path) -> None:
    """HbA1c in mmol/mol and in per cent, with its limits; 53 mmol/mol is 7.0 % (ngsp.org/ifcc.asp)."""
    panel = read(tmp_path, "patient,analyte,value,unit,cv\nA,HbA1c,53,mmol/mol,0.03\n")
    found = panel.measurements["HbA1c"]
    assert found.value == pytest.approx(7.0, abs=0.005)
    assert found.log_sd == pytest.approx(0.03 * (1 - 2.152 / found.value), rel=0.01)


def test_a_value_given_twice_for_one_time_is_refused(tmp_path: Path) -> None:
    rows = "patient,analyte,value,unit,time\nA,glucose,90,mg/dL,0\n"
    again = rows + "A,glucose,95,mg/dL,24\nA,glucose,99,mg/dL,24\n"
    found = read_panel(write(tmp_path, again), occasion="first")
    assert found.panels[0].measurements["glucose"].value == 90
    with pytest.raises(PanelError, match="line 4, patient A, glucose: is given twice, first at line 3; keep one"):
        read_panel(write(tmp_path, again), occasion="last")
    with pytest.raises(PanelError, match="line 3, patient A, glucose: is given twice, first at line 2; keep one"):
        read_panel(write(tmp_path, rows + "A,glucose,95,mg/dL,0\n"))


def test_values_far_apart_are_no_one_panel(tmp_path: Path) -> None:
    path = write(tmp_path, "patient,analyte,value,unit,time\nA,glucose,90,mg/dL,0\nA,hsCRP,2,mg/L,1000\n")
    with pytest.raises(PanelError, match=r"its values are of 2 occasions .* choose with --occasion"):
        read_panel(path)
    assert list(read_panel(path, occasion="last").panels[0].measurements) == ["hsCRP"]


def test_gated_percentages_become_counts(tmp_path: Path) -> None:
    """Shares of flow cytometry with the counts that they are shares of."""
    panel = read(tmp_path, "patient,Treg/CD4 [%],CD4/lymphocytes [%],lymphocytes [10*9/L]\nA,5,40,2\n")
    assert panel.measurements["CD4"].value == pytest.approx(800)
    assert panel.measurements["Treg"].value == pytest.approx(40)
    with pytest.raises(PanelError, match=r"received a percentage; name it 'Treg/CD4' \[%\], or give the count"):
        read(tmp_path, "patient,Treg [%]\nA,5\n")


def test_a_cohort_goes_on_without_single_values_that_are_refused(tmp_path: Path) -> None:
    rows = [f"P{i},hsCRP,{1 + i / 10:g},mg/L" for i in range(60)]
    rows[7] = "P7,hsCRP,99999,mg/L"
    rows[9] = "P9,hsCRP,high,mg/L"
    path = write(tmp_path, LONG + "\n".join(rows) + "\n")
    with pytest.raises(PanelError, match="2 problems; nothing was read"):
        read_panel(path)
    found = read_panel(path, batch=True)
    assert len(found.panels) == 60
    assert [p.patient for p in found.panels if "hsCRP" not in p.measurements] == ["P7", "P9"]
    assert sum("left out" in w for w in found.warnings) == 2
    assert "hsCRP is left out" in found.panels[7].notes[0]
    # a whole column in the wrong unit is no single value
    with pytest.raises(PanelError, match="is the unit right"):
        read_panel(write(tmp_path, LONG + "\n".join(f"P{i},hsCRP,99999,mg/L" for i in range(60))), batch=True)
