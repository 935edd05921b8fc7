"""Excel workbooks as people keep them: sheets, dates, percentages, formulas, hidden and merged cells, and damage."""

from __future__ import annotations

import datetime
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from crosstalk.errors import PanelError
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile
from crosstalk.panel.registry import recognise

HEAD = ["patient", "analyte", "value", "unit"]


def book(path: Path, *sheets: tuple[str, list[list[Any]]]) -> Workbook:
    made = Workbook()
    made.remove(made.active)
    for title, rows in sheets:
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return made


def read(path: Path) -> tuple[dict[str, tuple[float, str, str]], PanelFile]:
    file = read_panel(path)
    return {k: (m.value, m.censored, m.place) for k, m in file.panels[0].measurements.items()}, file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "panel.xlsx"


def test_a_long_sheet(path: Path) -> None:
    rows = [
        HEAD,
        [101, "hsCRP", 5.5, "mg/L"],
        [101, "IL-6", "<0.4", "pg/mL"],
        [101, "TNF", "2.5", "pg/mL"],
        [101, "sex", "f", None],
    ]
    book(path, ("Results", rows))
    found, file = read(path)
    assert found == {
        "hsCRP": (5.5, "", "sheet 'Results', row 2"), "IL-6": (0.4, "left", "sheet 'Results', row 3"),
        "TNF": (2.5, "", "sheet 'Results', row 4"), "sex": (1.0, "", "sheet 'Results', row 5"),
    }  # fmt: skip
    assert (file.panels[0].patient, file.format, file.warnings) == ("101", "workbook", ())


def test_a_wide_sheet_with_a_title_units_and_empty_margins(path: Path) -> None:
    rows: list[list[Any]] = [
        [None, "Panel of May"], [], [None, "Patient ID", "hsCRP", "HbA1c", "IL-6", None],
        [None, None, "mg/L", "%", "pg/mL"], [None, "A", 5, 0.057, "OOR <"], [None, "B", 7, 0.061, 2.5], [],
    ]  # fmt: skip
    made = book(path, ("Sheet1", rows))
    for row in (5, 6):
        made["Sheet1"].cell(row, 4).number_format = "0.0%"
    made["Sheet1"].cell(5, 5).value = "<0.3"
    made.save(path)
    file = read_panel(path)
    assert [{k: m.value for k, m in p.measurements.items()} for p in file.panels] == [
        {"hsCRP": 5, "HbA1c": 5.7, "IL-6": 0.3}, {"hsCRP": 7, "HbA1c": 6.1, "IL-6": 2.5},
    ]  # fmt: skip
    assert "sheet 'Sheet1', row 1: above the header" in file.warnings[0]


def test_the_one_sheet_with_patients_is_read(path: Path) -> None:
    rows = [HEAD, ["A", "hsCRP", 5, "mg/L"]]
    made = book(path, ("Notes", [["who", "made this"]]), ("Data", rows), ("Old", rows), ("Empty", []))
    with pytest.raises(PanelError, match="the sheets 'Data', 'Old' all hold a table with patients; keep one"):
        read_panel(path)
    made["Old"].sheet_state = "hidden"
    made.save(path)
    found, file = read(path)
    assert found["hsCRP"][0] == 5
    assert [w.split(": ", 1)[1] for w in file.warnings] == [
        "sheet 'Notes' was not read", "sheet 'Old', which is hidden, was not read",
    ]  # fmt: skip
    book(path, ("Notes", [["who", "made this"]]))
    with pytest.raises(
        PanelError, match=r"no sheet has a header with a column for the patient.*the sheets are 'Notes'"
    ):
        read_panel(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime.datetime(2024, 1, 3), "2024-01-03', a date; expected a number"),
        (datetime.time(1, 30), "received '01:30:00'; expected a number"),
        (True, "received 'True'; expected a number"),
        ("1,234", "may be 1.234 or 1234"),
        (-1, "negative"),
    ],
)
def test_cells_that_are_no_values(path: Path, value: Any, words: str) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", value, "mg/L"]]))
    with pytest.raises(PanelError) as caught:
        read_panel(path)
    assert words in str(caught.value)
    assert "panel.xlsx, sheet 'S', row 2, patient A, hsCRP" in str(caught.value)


def test_errors_of_a_formula_are_missing_and_told(path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", 5, "mg/L"], ["A", "IL-6", "#DIV/0!", "pg/mL"]]))
    found, file = read(path)
    assert found.keys() == {"hsCRP"}
    assert file.panels[0].missing == ("IL-6",)
    assert "sheet 'S', row 3: '#DIV/0!' is an error of the spreadsheet" in file.warnings[0]


def test_text_numbers_with_decimal_commas(path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", "5,5", "mg/L"], ["A", "IL-6", "<0,4", "pg/mL"]]))
    found, file = read(path)
    assert (found["hsCRP"][0], found["IL-6"][0]) == (5.5, 0.4)
    assert "decimal commas" in file.warnings[0]


def test_a_formula_without_a_stored_result_is_asked_back(path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", "=2+3", "mg/L"]]))
    with pytest.raises(
        PanelError, match=r"sheet 'S', row 2: the formula in C2 has no stored result; open the workbook"
    ):
        read_panel(path)


def test_a_formula_with_its_result_is_read(path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", "=2+3", "mg/L"]]))
    edit(
        path,
        "xl/worksheets/sheet1.xml",
        lambda xml: re.sub(r"(<f>2\+3</f>)<v\s*/>|(<f>2\+3</f>)<v></v>", r"<f>2+3</f><v>5</v>", xml),
    )
    assert read(path)[0]["hsCRP"][0] == 5


def edit(path: Path, part: str, change: Any) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_hidden_rows_and_columns_are_read_and_told(path: Path) -> None:
    made = book(path, ("S", [HEAD, ["A", "hsCRP", 5, "mg/L"], ["B", "hsCRP", 6, "mg/L"]]))
    made["S"].row_dimensions[3].hidden = True
    made["S"].column_dimensions["D"].hidden = True
    made.save(path)
    file = read_panel(path)
    assert [p.patient for p in file.panels] == ["A", "B"]
    assert any("sheet 'S', row 3: hidden in the sheet, and read as all others" in w for w in file.warnings)
    assert any("hidden columns are read as all others (4 to 4)" in w for w in file.warnings)


def test_merged_cells_are_asked_back_but_for_a_title(path: Path) -> None:
    made = book(path, ("S", [["Panel"], HEAD, ["A", "hsCRP", 5, "mg/L"], [None, "IL-6", 2, "pg/mL"]]))
    made["S"].merge_cells("A1:D1")
    made.save(path)
    with pytest.raises(PanelError, match="row 4: names no patient"):
        read_panel(path)
    made["S"].merge_cells("A3:A4")
    made.save(path)
    with pytest.raises(
        PanelError, match=r"sheet 'S', row 3: the cells A3:A4 are merged.*unmerge them and fill each"
    ) as caught:
        read_panel(path)
    assert "A1:D1" not in str(caught.value)


def test_wrong_dimensions_lose_no_cell(path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", 5, "mg/L"]]))
    edit(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(r'<dimension ref="[^"]*"', '<dimension ref="A1"', xml))
    assert read(path)[0]["hsCRP"][0] == 5


def test_what_wrote_the_workbook_decides_the_reader(path: Path, tmp_path: Path) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", 5, "mg/L"]]))
    assert recognise(path).id == "workbook"
    other = path.rename(tmp_path / "panel.csv")  # content before name
    assert recognise(other).id == "workbook"
    assert read(other)[0]["hsCRP"][0] == 5
    book(
        path,
        ("Info", [["x"]]),
        ("Data", [["Plate_1"], ["Sample", "Assay", "Well", "Spot", "Signal", "Calc. Concentration"]]),
    )
    assert recognise(path).id == "msd"


def test_other_spreadsheets_are_refused_with_a_remedy(tmp_path: Path) -> None:
    ods = tmp_path / "panel.ods"
    with zipfile.ZipFile(ods, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    xls = tmp_path / "panel.xls"
    xls.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512))
    for file in (ods, xls):
        with pytest.raises(PanelError, match=r"save it as \.xlsx or as CSV"):
            read_panel(file)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.none() | st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_workbook_is_read_right_or_refused(
    path: Path, cut: float | None, changes: list[tuple[float, int]]
) -> None:
    book(path, ("S", [HEAD, ["A", "hsCRP", 5.5, "mg/L"], ["A", "IL-6", "<0.4", "pg/mL"]]))
    content = bytearray(path.read_bytes())
    for at, byte in changes:
        content[int(at * len(content))] = byte
    if cut is not None:
        del content[int(cut * len(content)) :]
    path.write_bytes(content)
    try:
        found, _ = read(path)
    except PanelError as error:
        assert str(path) in str(error)
    else:
        assert {k: v[:2] for k, v in found.items()} == {"hsCRP": (5.5, ""), "IL-6": (0.4, "left")}
