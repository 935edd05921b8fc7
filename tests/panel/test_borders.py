"""Small and wide files that once stopped the program; units of scores; what a cohort tells of each patient."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from crosstalk.errors import PanelError
from crosstalk.panel.layout import split_header
from crosstalk.panel.reader import read_panel

SECONDS = 3.0  # of processor time, for what takes a fraction of one


def refused(path: Path, seconds: float = SECONDS) -> str:
    begun = time.process_time()
    with pytest.raises(PanelError) as caught:
        read_panel(path)
    assert time.process_time() - begun < seconds
    assert len(str(caught.value)) < 20_000  # no whole cell
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def workbook(path: Path, inner: bytes) -> Path:
    """A workbook with more XML at the end of its rows."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["patient", "analyte", "value", "unit"], ["A", "hsCRP", 5, "mg/L"]):
        sheet.append(row)
    book.save(path.with_name("base.xlsx"))
    with zipfile.ZipFile(path.with_name("base.xlsx")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</sheetData>", inner + b"</sheetData>")
            new.writestr(name, content)
    return path


def test_a_styled_cell_far_below_is_no_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "p.xlsx", b'<row r="1048576"><c r="XFD1048576" s="0"/></row>')
    begun = time.process_time()
    assert read_panel(path).panels[0].measurements["hsCRP"].value == 5
    assert time.process_time() - begun < 2 * SECONDS


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', "row 1048576: has 16384 columns, expected 4"),
        (b'<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>', "has more than 1048576 rows"),
        (b'<row r="3"><c r="A3" t="inlineStr"><is><t>' + b"x" * 20_000_000 + b"</t></is></c></row>", "-fold to 20 MB"),
        (b"<row/>" * 3 + b"<row r='9'>" + b"<c><v>1</v></c>" * 300_000 + b"</row>", "a row of more than 4 MB"),
        (b"<a>" * 200_000 + b"</a>" * 200_000, "nested more than 100 elements deep"),
        (b'<row r="3"><c r="A3"><v>' + b"9" * 5000 + b"</v></c></row>", "cannot be read as an Excel workbook"),
    ],
    ids=["stray cell", "far row", "long string", "long row", "deep", "long number"],
)
def test_a_workbook_beyond_the_limits(tmp_path: Path, inner: bytes, words: str) -> None:
    assert words in refused(workbook(tmp_path / "p.xlsx", inner), 2 * SECONDS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient," + ",".join(f"c{i}" for i in range(20_000)) + "\nA" + ",1" * 20_000 + "\n", "has 20001 columns"),
        ("patient," + ",".join(f"c{i}" for i in range(9_000)) + "\nA" + ",1" * 9_000 + "\n", "9000 problems"),
        ("patient,hsCRP [mg/L]," + "[" * 20_000 + "\nA,1,1\n", "unknown analyte '[[[["),
        ("patient,hsCRP [mg/L]," + "x(" * 9_000 + ")\nA,1,1\n", "unknown analyte 'x(x("),
        ("patient,hsCRP [mg/L]\nA,5 " + "\u00a0" * 30_000 + "x\n", "(30003 characters)"),
        ("patient,hsCRP [mg/L]\nA,1" + "\u00a0" * 99 + ".." + "\u00a0" * 90 + "x\n", "expected a number"),
        ("patient,hsCRP [mg/L]\nA," + "1" * 50_000 + "\n", "a cell holds at most 32767 characters"),
        ("patient,hsCRP [mg/L]\n" + "A" * 300 + ",1\n", "the patient's id 'AAAA"),
        ("patient,hsCRP [" + "m" * 150 + "]\nA,1\n", "unknown unit 'mmmm"),
        ("patient,hsCRP [" + "." * 190 + "]\nA,1\n", "unknown unit '...."),
    ],
)
def test_a_table_beyond_the_limits(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused(write(tmp_path / "p.csv", text))


def test_a_header_is_split_at_its_unit() -> None:
    assert split_header("IL-6 (Meso Scale) [pg/mL]") == ("IL-6 (Meso Scale)", "pg/mL")
    assert split_header("x [mg/L") == ("x [mg/L", "")
    assert split_header("[mg/L]") == ("[mg/L]", "")


@pytest.mark.parametrize("header", ["HAMD17 [%]", "PHQ9 [mg/L]", "CTQ [%]", "failed steps [%]", "NLR [%]", "sex [%]"])
def test_a_score_has_no_unit_but_its_own(tmp_path: Path, header: str) -> None:
    with pytest.raises(PanelError, match=r"received the unit|expected the word"):
        read_panel(write(tmp_path / "p.csv", f"patient,{header}\nA,26\n"))


@pytest.mark.parametrize("cell", ["21%", "21 %", "1e-320", "0.001"])
def test_a_score_is_a_number_of_points(tmp_path: Path, cell: str) -> None:
    with pytest.raises(PanelError, match="HAMD17: received"):
        read_panel(write(tmp_path / "p.csv", f"patient,HAMD17\nA,{cell}\n"))
    panel = read_panel(
        write(tmp_path / "p.csv", "patient,HAMD17 [points],BMI [kg/m2],height [in]\nA,21.5,24,70\n")
    ).panels[0]
    assert panel.measurements["HAMD17"].value == 21.5
    assert panel.measurements["height"].value == pytest.approx(177.8)


def test_each_patient_is_told_what_was_refused(tmp_path: Path) -> None:
    rows = [f"P{i},{30 + i % 30},{1 + i / 100:.2f}" for i in range(100)]
    rows[3], rows[40], rows[50] = "P3,30,abc", "P40,#REF!,2", "P50,40,abc"
    path = write(tmp_path / "p.csv", "patient,age,hsCRP [mg/L]\n" + "\n".join(rows) + "\n")
    found = {p.patient: p for p in read_panel(path, batch=True).panels}
    for who in ("P3", "P50"):
        assert found[who].refused.keys() == {"hsCRP"}
        assert any("hsCRP is left out: received 'abc'" in note for note in found[who].notes)
    assert any("age: '#REF!' is an error of the spreadsheet" in note for note in found["P40"].notes)
    assert not any(p.refused or p.notes for who, p in found.items() if who not in ("P3", "P40", "P50"))
    assert any("also patient P50" in w for w in read_panel(path, batch=True).warnings)


def test_a_value_given_twice_is_told_of_its_patient(tmp_path: Path) -> None:
    rows = "".join(f"P{i},hsCRP,{1 + i / 100},mg/L\n" for i in range(40))
    path = write(tmp_path / "p.csv", "patient,analyte,value,unit\n" + rows + "P7,hsCRP,9,mg/L\n")
    panel = next(p for p in read_panel(path, batch=True).panels if p.patient == "P7")
    assert panel.notes == ("hsCRP is given twice, at line 9 and at line 42; the first is used.",)
