"""Exports of MSD: tables of Discovery Workbench, plate maps of Methodical Mind, and the real files with their JSON."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.plates.msd import plates, read, recognises
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Well, well_name
from crosstalk.panel.reader import read_panel
from crosstalk.panel.text import number

COLUMNS = [
    "Sample", "Assay", "Well", "Spot", "Dilution", "Concentration", "Signal", "Adjusted Signal", "CV", "% Recovery",
    "Calc. Concentration (pg/mL)", "Calc. Conc. Mean", "Detection Range", "Detection Limits: Calc. Low", "Excluded",
]  # fmt: skip
ROWS = [
    ["S001", "IL-6", "A01", "1", "", "1000", "9000", "8990", "2", "101", "1010", "1005", "In Range", "0.06", ""],
    ["S008", "IL-6", "B01", "1", "", "0", "90", "0", "2", "", "NaN", "NaN", "Below Fit Curve Range", "0.06", ""],
    ["C001", "IL-6", "C01", "1", "1", "", "5000", "4900", "2", "", "55", "55", "In Detection Range", "0.06", ""],
    ["P-17", "IL-6", "D01", "1", "2", "", "700", "600", "2", "", "3.2", "3.3", "In Detection Range", "0.06", ""],
    ["P-17", "IL-6", "D02", "1", "2", "", "720", "620", "2", "", "3.4", "3.3", "In Detection Range", "0.06", ""],
    ["P-18", "IL-6", "E01", "1", "2", "", "95", "5", "2", "", "NaN", "NaN", "Below Fit Curve Range", "0.06", ""],
    ["P-19", "IL-6", "F01", "1", "2", "", "99", "9", "2", "", "9.5", "9.5", "In Detection Range", "0.06", "True"],
]  # fmt: skip
MAP = """Digital_Signature:abc+/=
FileName :\tC:\\ECL\\run=Data=7.txt
Run Name  :\tV-PLEX Human Proinflammatory
Stack ID :\t0.1
Plate #  :\t1
Barcode1 :\t<{barcode}>
Type     :\t{type}
Wells Per Row :\t2
Wells Per Col :\t2
Read Time:\t01/02/2024\t10:20:30 EDT
Version  :\tMMPR 1.0.38
Serial # :\t77
Model    :\tQuickPlex
Assays   :\t{assays}
Spot     :\t   <4>
Legend   :\t<1>   <8>
          :\t   <5>
SpotID   :\t{spot}
==========Data=========
  \t1         \t2         \t
{rows}

==========Processing====
Radius   :\t 4.00
"""


def saved(folder: Path, text: str | bytes, name: str = "run.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table(rows: list[list[str]], delimiter: str = ",", columns: list[str] = COLUMNS, title: str = "Plate_XY7") -> str:
    lines = [[title], columns, *rows]
    return "\r\n".join(delimiter.join(f'"{c}"' if delimiter in c else c for c in line) for line in lines)


def plate_map(rows: str, barcode: str = "B7", kind: str = "96", assays: str = "", spot: str = "all") -> str:
    return MAP.format(rows=rows, barcode=barcode, type=kind, assays=assays, spot=spot)


def wells_of(plate: Plate) -> dict[tuple[str, str], Well]:
    return {(well.location, well.analyte): well for well in plate.wells}


# ------------------------------------------------------------------------------------------- Discovery Workbench


def test_every_column_finds_its_field(tmp_path: Path) -> None:
    path = saved(tmp_path, table(ROWS))
    (plate,) = read_plates(path)
    assert (plate.plate, plate.assay, plate.units, plate.lod) == ("XY7", "MSD", {"IL-6": "pg/mL"}, {"IL-6": 0.06})
    assert plate.content == path.read_bytes()
    wells = wells_of(plate)
    first = wells["A1", "IL-6"]
    assert (first.role, first.expected, first.signal, first.net_signal) == ("standard", 1000, 9000, 8990)
    assert first.exported == {
        "Spot": "1", "CV": "2", "% Recovery": "101", "Calc. Conc. Mean": "1005",
        "Detection Range": "In Range", "Detection Limits: Calc. Low": "0.06",
    }  # fmt: skip
    assert (wells["B1", "IL-6"].role, wells["B1", "IL-6"].expected) == ("standard", 0)
    assert wells["C1", "IL-6"].role == "control"
    assert (wells["D2", "IL-6"].dilution, wells["D2", "IL-6"].reported, wells["D2", "IL-6"].place) == (
        2,
        "3.4",
        "line 7",
    )
    assert wells["E1", "IL-6"].remarks == ("Below Fit Curve Range",)
    assert wells["F1", "IL-6"].remarks == (EXCLUDED,)


def test_the_samples_become_entries(tmp_path: Path) -> None:
    reading = read(saved(tmp_path, table(ROWS)))
    assert not reading.problems
    assert [(e.patient, e.value, e.unit, e.lod) for e in reading.entries] == [
        ("P-17", f"{(3.2 * 3.4) ** 0.5:.12g}", "pg/mL", "0.12"),
        ("P-18", "<0.12", "pg/mL", "0.12"),
    ]
    assert any("by their name alone: C001" in w for w in reading.warnings)
    assert any("well F1 is excluded in the export" in w for w in reading.warnings)


def test_without_a_unit_nothing_is_read(tmp_path: Path) -> None:
    columns = [c.replace(" (pg/mL)", "") for c in COLUMNS]
    reading = read(saved(tmp_path, table(ROWS, columns=columns)))
    assert not reading.entries
    assert "IL-6: the export gives concentrations without a unit" in reading.problems[0]


@pytest.mark.parametrize(
    ("title", "unit"),
    [
        ("Calc. Concentration pg/ml", "pg/ml"),
        ("Calc. Concentration [ng/mL]", "ng/mL"),
        ("Calc. Concentration (µg/mL)", "µg/mL"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_units_in_the_title(tmp_path: Path, title: str, unit: str, encoding: str) -> None:
    columns = [title if c.startswith("Calc. Concentration") else c for c in COLUMNS]
    (plate,) = plates(saved(tmp_path, table(ROWS, columns=columns).encode(encoding)))
    assert plate.units == {"IL-6": unit}


def test_separators_and_decimal_commas_change_nothing(tmp_path: Path) -> None:
    (expected,) = plates(saved(tmp_path, table(ROWS)))
    for delimiter in ";\t":
        (found,) = plates(saved(tmp_path, table(ROWS, delimiter), "other.csv"))
        assert found.wells == expected.wells
    commas = [[cell.replace(".", ",") if number(cell) is not None else cell for cell in row] for row in ROWS]
    (found,) = plates(saved(tmp_path, table(commas, ";"), "other.csv"))
    assert [(w.signal, w.reported) for w in found.wells] == [(w.signal, w.reported) for w in expected.wells]


def test_plates_groups_and_rows_above_the_header(tmp_path: Path) -> None:
    columns = ["Plate Name", "Sample", "Sample Group", "Assay", "Well", "Signal", "Calc. Concentration", "Units"]
    rows = [
        ["Plate_1", "CAL-01", "Standards", "CRP", "A01", "100", "5", "ng/mL"],
        ["Plate_1", "X", "Controls", "CRP", "A02", "100", "5", "ng/mL"],
        ["Plate_2", "S001", "Unknowns", "CRP", "A01", "100", "5", "ng/mL"],
        ["Plate_2", "diluent", "Blanks", "CRP", "A02", "100", "", "ng/mL"],
    ]
    text = "Experiment Data Table,,,,,,,\n,,,,,,,\n" + "\n".join(",".join(row) for row in [columns, *rows])
    first, second = read_plates(saved(tmp_path, text))
    assert ([w.role for w in first.wells], first.plate) == (["standard", "control"], "1")
    assert ([w.role for w in second.wells], second.plate) == (["sample", "blank"], "2")
    (entry,) = read(tmp_path / "run.csv").entries
    assert (entry.patient, entry.value, entry.unit, entry.place) == ("S001", "5", "ng/mL", "plate 2, line 6 (well A1)")


def test_sections_that_name_the_assay(tmp_path: Path) -> None:
    head = "Sample,Well,Signal,Mean,Calc. Concentration,Detection Range"
    text = f"""Standards: IL-6 (Human)
{head}
S001,A01,900,900,10,In Detection Range
Unknown: IL-6 (Human)
{head}
U001,C01,612,682,97.1,In Detection Range
"""
    (plate,) = read_plates(saved(tmp_path, text))
    assert [(w.sample, w.role, w.analyte, w.reported) for w in plate.wells] == [
        ("S001", "standard", "IL-6 (Human)", "10"),
        ("U001", "sample", "IL-6 (Human)", "97.1"),
    ]


def test_several_plates_one_below_the_other(tmp_path: Path) -> None:
    text = table(ROWS) + "\r\n\r\n" + table(ROWS, title="Plate_XY8").replace("XY8", "XY8,,,")
    assert [(p.plate, len(p.wells)) for p in plates(saved(tmp_path, text))] == [("XY7", 7), ("XY8", 7)]


def test_limits_that_differ_are_not_used(tmp_path: Path) -> None:
    rows = [*ROWS[:-1], [*ROWS[-1][:-2], "0.09", ""]]
    (plate,) = plates(saved(tmp_path, table(rows)))
    assert plate.lod == {}
    assert "IL-6 has 2 limits of detection (0.06, 0.09)" in plate.warnings[0]


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (0, 2, "01", "line 3: received the well '01'"),
        (1, 2, "A01", "line 4: well A1, IL-6 stands twice, first at line 3"),
        (0, 1, "", None),
        (3, 4, "1:2", "line 6: received the dilution '1:2'"),
        (3, 4, "-2", "line 6: received the dilution '-2'"),
        (0, 14, 'x","y', "line 3: has 16 columns, expected 15"),
    ],
)
def test_what_could_be_misread_is_refused(tmp_path: Path, row: int, column: int, value: str, words: str | None) -> None:
    rows = [list(r) for r in ROWS]
    rows[row][column] = value.replace('"', "") if words is None else value
    path = saved(tmp_path, table(rows).replace('"x","y"', "x,y"))
    if words is None:  # without an assay the spot names the analyte
        assert plates(path)[0].wells[row].analyte == "Spot 1"
        return
    with pytest.raises(PanelError, match=words):
        plates(path)


def test_headers_that_could_be_misread_are_refused(tmp_path: Path) -> None:
    twice = ["Signal" if c == "CV" else c for c in COLUMNS]
    with pytest.raises(PanelError, match="line 2: the column 'Signal' stands twice"):
        plates(saved(tmp_path, table(ROWS, columns=twice)))
    alike = ["Calc. Concentration" if c == "CV" else c for c in COLUMNS]
    with pytest.raises(PanelError, match=r"the column 'Calc. Concentration \(pg/mL\)' stands twice"):
        plates(saved(tmp_path, table(ROWS, columns=alike)))
    none = [c for c in COLUMNS if c not in ("Assay", "Spot")]
    rows = [[c for i, c in enumerate(row) if COLUMNS[i] not in ("Assay", "Spot")] for row in ROWS]
    with pytest.raises(PanelError, match="names no assay"):
        plates(saved(tmp_path, table(rows, columns=none)))
    with pytest.raises(PanelError, match="holds no table of Discovery Workbench"):
        plates(saved(tmp_path, "a,b\n1,2\n"))


def test_two_units_of_one_assay_are_refused(tmp_path: Path) -> None:
    columns = ["Sample", "Assay", "Well", "Signal", "Calc. Concentration", "Unit"]
    rows = [["P1", "CRP", "A01", "1", "2", "mg/L"], ["P2", "CRP", "A02", "1", "2", "mg/dL"]]
    with pytest.raises(PanelError, match="has the unit 'mg/dL' here and 'mg/L' above"):
        plates(saved(tmp_path, table(rows, columns=columns)))


def test_workbooks_read_as_their_tables(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    about = book.active
    assert about is not None
    about.title = "MSD Data"
    about.append(["Read Time  :", "2024-01-15"])
    about.append(["Run Name  :", "U-PLEX 4"])
    sheet = book.create_sheet("Workbench data")
    sheet.append(["Plate_XY7", "Unnamed: 1"])
    sheet.append(COLUMNS)
    for row in ROWS:
        sheet.append([float(c) if number(c) is not None else c or None for c in row])
    path = tmp_path / "run.xlsx"
    book.save(path)
    assert recognises(path)
    (found,) = read_plates(path)
    (expected,) = plates(saved(tmp_path, table(ROWS)))
    assert (found.read_at, found.assay, found.plate) == ("2024-01-15", "MSD U-PLEX", "XY7")
    assert found.wells[0].place == "sheet 'Workbench data', row 3"
    for ours, theirs in zip(found.wells, expected.wells, strict=True):
        assert replace(ours, place="", exported={}) == replace(theirs, place="", exported={})
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], content[:300] + b"\x00" * 40 + content[340:]):
        with pytest.raises(PanelError, match="cannot be read as an Excel workbook"):
            plates(saved(tmp_path, broken, "broken.xlsx"))


texts = (
    st.text("abcXYZ0189 -_./µα()", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda s: bool(s) and not s.startswith("Plate"))
)
values = st.integers(0, 10**6).map(lambda n: n / 8)


@given(
    samples=st.dictionaries(
        st.tuples(st.sampled_from("ABCDEFGHIJKLMNOP"), st.integers(1, 24), texts),
        st.tuples(texts, values, st.none() | values, st.sampled_from(["", "NaN", "1.5", "<0.25", ">800"])),
        min_size=1,
        max_size=8,
    ),
    delimiter=st.sampled_from(",;\t"),
    padded=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, samples: dict[Any, Any], delimiter: str, padded: bool) -> None:
    columns = ["Sample", "Assay", "Well", "Signal", "Concentration", "Calc. Concentration", "Detection Range"]
    rows = [
        [sample, assay, f"{row}{column:02d}" if padded else f"{row}{column}", str(signal),
         "" if expected is None else str(expected), reported, "In Detection Range"]
        for (row, column, assay), (sample, signal, expected, reported) in samples.items()
    ]  # fmt: skip
    (plate,) = plates(saved(tmp_path, table(rows, delimiter, columns)))
    assert {
        (w.location, w.analyte): (w.sample, w.signal, w.expected, w.reported) for w in plate.wells
    } == {(f"{r}{c}", a): v for (r, c, a), v in samples.items()}  # fmt: skip
    assert not plate.warnings


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_that_is_cut_off_is_refused_or_told(tmp_path: Path, data: st.DataObject) -> None:
    whole = table(ROWS).encode()
    expected = wells_of(plates(saved(tmp_path, whole, "whole.csv"))[0])
    cut = data.draw(st.integers(0, len(whole) - len("In Detection Range,0.06,True")))
    try:
        (plate,) = plates(saved(tmp_path, whole[:cut]))
    except PanelError:
        return
    assert all(well.signal == expected[well.location, well.analyte].signal for well in plate.wells)
    assert whole[:cut].endswith((b",", b"\r\n", b"\r")) or len(plate.wells) < cut
    ended = whole[:cut].splitlines()[-1].count(b",") == len(COLUMNS) - 1
    assert ended or any("cut off" in warning for warning in plate.warnings)


# ------------------------------------------------------------------------------------------------ Methodical Mind


def test_a_plate_map(tmp_path: Path) -> None:
    path = saved(tmp_path, plate_map("A \t   12 \t 34\t\nB \t 56\t 78\t"), "run.txt")
    (plate,) = read_plates(path)
    assert (plate.plate, plate.assay, plate.instrument) == ("B7", "MSD V-PLEX", "QuickPlex, 77")
    assert (plate.read_at, plate.software) == ("01/02/2024 10:20:30 EDT", "MMPR 1.0.38")
    assert plate.attributes["Legend"] == "<1> <8> <5>"
    assert "Digital_Signature" not in plate.attributes
    assert [(w.location, w.sample, w.analyte, w.signal, w.role, w.place) for w in plate.wells] == [
        ("A1", "B7_A1", "Spot 1", 12.0, "unknown", "line 21"),
        ("A2", "B7_A2", "Spot 1", 34.0, "unknown", "line 21"),
        ("B1", "B7_B1", "Spot 1", 56.0, "unknown", "line 22"),
        ("B2", "B7_B2", "Spot 1", 78.0, "unknown", "line 22"),
    ]
    assert not plate.warnings
    reading = read(path)
    assert not reading.entries
    assert "4 signals without the names of their samples" in reading.warnings[0]


def test_spots_are_counted_also_where_some_are_missing_and_named_where_the_export_names_them(tmp_path: Path) -> None:
    rows = "A \t 1\t 2\t\n  \t  \t  \t\n  \t 3\t 4\t\n\nB \t 5\t 6\t\n  \t  \t  \t\n  \t 7\t x\t"
    (plate,) = plates(saved(tmp_path, plate_map(rows, assays="IL-6,,TNF,")))
    assert [(w.location, w.analyte, w.signal, w.exported["Spot"]) for w in plate.wells] == [
        ("A1", "IL-6", 1.0, "1"), ("A2", "IL-6", 2.0, "1"), ("A1", "TNF", 3.0, "3"), ("A2", "TNF", 4.0, "3"),
        ("B1", "IL-6", 5.0, "1"), ("B2", "IL-6", 6.0, "1"), ("B1", "TNF", 7.0, "3"), ("B2", "TNF", None, "3"),
    ]  # fmt: skip
    assert plate.wells[-1].remarks == ("signal x reported",)


def test_tables_of_single_spots_are_one_plate_and_other_barcodes_are_others(tmp_path: Path) -> None:
    rows = "A\t1\t2\nB\t3\t4"
    text = "\n".join(plate_map(rows, barcode, spot=spot) for barcode, spot in (("B7", "3"), ("B7", "8"), ("A1", "3")))
    first, second = plates(saved(tmp_path, text))
    assert (first.plate, second.plate) == ("B7", "A1")
    assert list(first.units) == ["Spot 3", "Spot 8"]
    assert len(first.wells) == 8
    with pytest.raises(PanelError, match="well A1, Spot 3 of plate B7 stands twice"):
        plates(saved(tmp_path, "\n".join([plate_map(rows, spot="3")] * 2)))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", "holds 0 wells|no signal|map holds"),
        ("A\t1\t2\t3\nB\t1\t2", "line 21: has 3 values, expected 2"),
        ("?\t1\t2", "received the row '\\?'"),
        ("\t1\t2", "belongs to no row of the plate"),
    ],
)
def test_maps_that_could_be_misread(tmp_path: Path, rows: str, words: str) -> None:
    path = saved(tmp_path, plate_map(rows))
    if not rows:
        assert any("map holds 0 wells, the header tells 4" in w for w in plates(path)[0].warnings)
        return
    with pytest.raises(PanelError, match=words):
        plates(path)


def test_a_map_without_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="expected the numbers of the plate's columns"):
        plates(saved(tmp_path, plate_map("A\t1\t2").replace("  \t1 ", "  \tx ")))
    with pytest.raises(PanelError, match="no plate map follows"):
        plates(saved(tmp_path, plate_map("").split("  \t1")[0]))


def test_a_map_that_is_cut_off_is_told(tmp_path: Path) -> None:
    whole = plate_map("A\t11\t22\nB\t33\t44")
    text = whole[: whole.index("4\n")]
    (plate,) = plates(saved(tmp_path, text))
    assert any("may be cut off" in w for w in plate.warnings)


@given(data=st.data(), kind=st.sampled_from(["map", "table"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mangled_file_never_raises_anything_else(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    whole = plate_map("A\t11\t22\n\t\t5\nB\t33\t44", assays="IL-6,TNF") if kind == "map" else table(ROWS)
    content = bytearray(whole.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = start + data.draw(st.integers(0, 60))
        content[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b",", b"\t", b"\n", b"\x00", b"0", b":"])
        )
    path = saved(tmp_path, bytes(content))
    recognises(path)
    try:
        read(path)
    except PanelError as error:
        assert "run.csv" in str(error)


# ------------------------------------------------------------------------------------------------- the real files

WITH_JSON = {
    "methodical_test_1.txt": "methodical_test_1.json",
    "msd_workbench_test_1.csv": "msd_workbench_test_1.json",
    "msd_workbench_test_2.csv": "msd_workbench_test_2.json",
    "test_msd_workbench_xlsx.xlsx": "test_msd_workbench_xlsx.json",
}
NAMES = {"R-Squared": "Fit Statistic: RSquared", "Calc. Concentration Mean": "Calc. Conc. Mean"}
ROLES = {"standard": "standard sample role", "sample": "unknown sample role", "unknown": None}


def given_value(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def calculated(well: Well, name: str) -> float | None:
    if name == "Adjusted Signal":
        return well.net_signal
    return number(well.reported if name == "Calc. Concentration" else well.exported.get(NAMES.get(name, name), ""))


@pytest.mark.shared
@pytest.mark.parametrize("name", WITH_JSON)
def test_the_real_files_read_with_the_values_of_their_json(shared_data: Path, name: str) -> None:
    """Every value of the expected JSON, but the unit pg/mL and the number of wells, which that reader assumes."""
    folder = shared_data / "msd"
    root = json.loads((folder / WITH_JSON[name]).read_text())["plate reader aggregate document"]
    found = read_plates(folder / name)
    # of Plate_TEST_PLATE_001 that reader keeps what follows the last underline
    barcodes = {plate.plate: plate for plate in found} | {plate.plate.split("_")[-1]: plate for plate in found}
    by_place = {(id(p), w.location, w.exported["Spot"]): w for p in found for w in p.wells}
    seen: dict[str, Well] = {}
    for group in root["plate reader document"]:
        for document in group["measurement aggregate document"]["measurement document"]:
            sample = document["sample document"]
            plate = barcodes[sample["well plate identifier"]]
            location = well_name(sample["well location identifier"])
            well = by_place[id(plate), location, sample["location identifier"]]
            seen[document["measurement identifier"]] = well
            assert well.signal == document["luminescence"]["value"]
            assert well.expected == given_value(sample.get("mass concentration", {}).get("value"))
            suffix = "" if name.startswith("methodical") else f"_{sample['well location identifier']}"
            assert well.sample + suffix == sample["sample identifier"]
            more = document.get("custom information document", {})
            assert well.exported.get("Detection Range") == more.get("detection range")
            assert well.analyte == more.get("assay identifier", "Spot 1")
            if not name.endswith("xlsx"):  # there every name begins with S, which that reader takes for standards
                assert ROLES[well.role] == sample.get("sample role type")
            more = dict(sample.get("custom information document", {}))
            assert well.dilution == more.pop("dilution factor setting", 1.0)
            for key, value in more.items():
                assert plate.attributes[key] == str(value).removesuffix(".0")
            if name.startswith("methodical"):
                assert group.get("analyst") == plate.attributes["User"]
                control = document["device control aggregate document"]["device control document"][0]
                for key, value in control["custom information document"].items():
                    assert plate.attributes[key] == str(value).removesuffix(".0")
    assert len(seen) == len(by_place) == sum(len(plate.wells) for plate in found)

    documents = root.get("calculated data aggregate document", {}).get("calculated data document", [])
    by_id = {document["calculated data identifier"]: document for document in documents}

    def first(identifier: str) -> Well:
        if identifier in seen:
            return seen[identifier]
        sources = by_id[identifier]["data source aggregate document"]["data source document"]
        return first(sources[0]["data source identifier"])

    # that reader groups the means by assay and keeps the first sample's: the first source is compared
    for identifier, document in by_id.items():
        label = document["calculated data name"]
        assert calculated(first(identifier), label) == given_value(document["calculated result"]["value"]), label
    if not name.startswith("methodical"):
        assert {"Adjusted Signal", "Mean", "CV", "% Recovery"} <= {d["calculated data name"] for d in documents}


# What allotropy 0.1.150 (MIT) reads from the files without a JSON: for each spot the number of signals, their sum, and
# the sum of signal times place (100 times the number of the row plus the column). Made by:
#   root = allotrope_from_file(name, Vendor.METHODICAL_MIND)["plate reader aggregate document"]
#   for group in root["plate reader document"]:
#       for m in group["measurement aggregate document"]["measurement document"]:
#           well, value = m["sample document"]["well location identifier"], m["luminescence"]["value"]
#           place = 100 * (ord(well[0]) - 64) + int(well[1:])
#           add(int(m["sample document"]["location identifier"]), value, value * place)
ALLOTROPY: dict[str, dict[int, tuple[int, float, float]]] = {
    "methodical_mind_384_wells.txt": {
        1: (384, 70319936.0, 52932247231.0),
    },
    "methodical_test_2.txt": {
        1: (48, 10878198.0, 4246827236.0),
        2: (48, 5457614.0, 1989957893.0),
        3: (48, 9040740.0, 3207818281.0),
        4: (48, 10764012.0, 4061619497.0),
        5: (48, 4434532.0, 1608922911.0),
        6: (48, 9613380.0, 3299411499.0),
        7: (48, 6438205.0, 2156698272.0),
        8: (48, 1450411.0, 656105084.0),
        9: (48, 6521452.0, 2181652292.0),
        10: (48, 330477.0, 113730508.0),
    },
    "methodical_test_3.txt": {
        1: (48, 30104182.0, 7963802084.0),
        2: (48, 25587809.0, 7031929753.0),
        3: (48, 32333.0, 7765558.0),
        4: (48, 27333135.0, 7785229843.0),
        5: (48, 26481655.0, 7048292284.0),
        6: (48, 28141789.0, 7465593523.0),
        7: (48, 24844205.0, 6961277804.0),
        8: (48, 28993918.0, 7892871228.0),
        9: (48, 29410890.0, 7940243416.0),
        10: (48, 18287119.0, 4814269652.0),
    },
    "methodical_test_4_missing_spots.txt": {
        1: (96, 11961244.0, 4863053080.0),
        3: (96, 9720238.0, 3208800718.0),
        8: (96, 1986662.0, 879556481.0),
        10: (96, 3631845.0, 1432011632.0),
    },
    "methodical_test_5_mulitple_spot_tables.txt": {
        1: (96, 11961244.0, 4863053080.0),
        3: (96, 9720238.0, 3208800718.0),
        8: (96, 1986662.0, 879556481.0),
        10: (96, 3631845.0, 1432011632.0),
    },
    "methodical_test_data_in_filename.txt": {
        1: (6, 61662.0, 9396852.0),
    },
}


@pytest.mark.shared
@pytest.mark.parametrize("name", ALLOTROPY)
def test_the_other_real_files_read_as_allotropy_reads_them(shared_data: Path, name: str) -> None:
    (plate,) = read_plates(shared_data / "msd" / name)
    spots: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for well in plate.wells:
        assert well.signal is not None
        place = 100 * (ord(well.location[0]) - 64) + int(well.location[1:])
        spots[int(well.exported["Spot"])].append((well.signal, well.signal * place))
    found = {spot: (len(some), fsum(v for v, _ in some), fsum(p for _, p in some)) for spot, some in spots.items()}
    assert found == ALLOTROPY[name]


@pytest.mark.shared
def test_every_real_file_is_recognised_and_read(shared_data: Path) -> None:
    files = [f for f in sorted((shared_data / "msd").iterdir()) if f.suffix != ".json"]
    assert {f.name for f in files} == {*WITH_JSON, *ALLOTROPY}
    for file in files:
        assert recognises(file)
        reading = read(file)
        assert not reading.entries
        assert reading.warnings or reading.problems or file.name == "msd_workbench_test_1.csv"


def test_a_long_cell_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("patient,hsCRP [mg/L]\nA," + "x" * 40_000 + "\n", encoding="utf-8")
    begun = time.process_time()
    with pytest.raises(PanelError, match="40000 characters"):
        read_panel(path)
    assert time.process_time() - begun < 3
