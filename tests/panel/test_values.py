"""Cells as laboratories write them: censoring, limits, words, spellings of numbers, quality; what follows."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.cells import decimal_evidence, read_cell, read_number
from crosstalk.panel.derived import DERIVED, derive
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Measurement, PanelFile

HEAD = "patient;analyte;value;unit;lod;lloq;cv;quality;remarks\n"


def read(folder: Path, text: str) -> PanelFile:
    path = folder / "panel.csv"
    path.write_text(text, encoding="utf-8")
    return read_panel(path)


def one(folder: Path, row: str) -> tuple[Measurement, PanelFile]:
    file = read(folder, HEAD + row + "\n")
    return next(iter(file.panels[0].measurements.values())), file


@pytest.mark.parametrize(
    ("text", "kind", "value", "upper"),
    [
        ("1.5", "number", 1.5, 0),
        (" 1.5e2 ", "number", 150, 0),
        (".5", "number", 0.5, 0),
        ("+3", "number", 3, 0),
        ("<0.11", "left", 0.11, 0),
        ("< 0.11", "left", 0.11, 0),
        ("<=0.11", "left", 0.11, 0),
        ("≤0.11", "left", 0.11, 0),
        ("＜0.11", "left", 0.11, 0),
        (">500", "right", 500, 0),
        ("≥ 500", "right", 500, 0),
        ("0.11..0.5", "interval", 0.11, 0.5),
        ("0.11 .. 0.5", "interval", 0.11, 0.5),
        ("0.11 to 0.5", "interval", 0.11, 0.5),
        ("0.11…0.5", "interval", 0.11, 0.5),
        ("0..0.5", "left", 0.5, 0.5),
        ("１２．５", "number", 12.5, 0),
        ("12\u00a0345.5", "number", 12345.5, 0),
        ("12'345", "number", 12345, 0),
        ("1,234.5", "number", 1234.5, 0),
        ("1,234,567", "number", 1234567, 0),
        ("*3.2", "number", 3.2, 0),
        ("ND", "below lod", 0, 0),
        ("N.D.", "below lod", 0, 0),
        ("LOD", "below lod", 0, 0),
        ("< LLOQ", "below lloq", 0, 0),
        ("OOR <", "below lloq", 0, 0),
        ("OOR >", "above", 0, 0),
        ("detected", "detected", 0, 0),
        ("---", "missing", 0, 0),
        ("—", "missing", 0, 0),
        ("#DIV/0!", "missing", 0, 0),
        ("n/a", "missing", 0, 0),
        ("", "missing", 0, 0),
    ],
)
def test_what_a_cell_says(text: str, kind: str, value: float, upper: float) -> None:
    cell = read_cell(text)
    assert (cell.kind, cell.value, cell.upper) == (kind, value, upper)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,5", "with a comma; write 1.5"),
        ("1,234", "may be 1.234 or 1234"),
        ("<1,5", "with a comma"),
        ("0.11-0.5", "write 0.11..0.5"),
        ("0.11–0.5", "write 0.11..0.5"),
        ("0.5..0.11", "not below its upper end"),
        ("0.1...0.5", "expected a number"),
        ("-1", "negative"),
        ("−1", "negative"),
        ("<-1", "negative"),
        ("1e999", "not finite"),
        ("5 6", "expected a number"),
        ("<", "expected a number"),
        ("high", "expected a number"),
        ("5²", "expected a number"),
        ("3.2*", "expected a number"),
        ("2024-03-01", "a date"),
        ("1-Mar", "a date"),
        ("Mar-01", "a date"),
        ("1.3.2024", "a date"),
        ("01. Mrz", "a date"),
        ("1.2.3", "expected a number"),
        ("1,23,4", "expected a number"),
    ],
)
def test_what_is_no_value(text: str, words: str) -> None:
    with pytest.raises(PanelError, match=words):
        read_cell(text)


@pytest.mark.parametrize(
    ("text", "value"), [("1,5", 1.5), ("1,234", 1.234), ("1.234,5", 1234.5), ("1,5e-3", 1.5e-3), ("7", 7), (",5", 0.5)]
)
def test_numbers_of_a_file_with_decimal_commas(text: str, value: float) -> None:
    assert read_number(text, ",")[0] == value
    with pytest.raises(PanelError, match="with a point in a file of decimal commas"):
        read_number("1.5", ",")


def test_evidence_for_a_decimal_sign() -> None:
    assert decimal_evidence(["1,234", "12,345", "7"]) == ("", "")
    assert decimal_evidence(["1.234", "<0,4", "1,5 mg/L"]) == ("<0,4", "")
    assert decimal_evidence(["0,234"]) == ("0,234", "")
    assert decimal_evidence(["1.234,5", "1.5"]) == ("1.234,5", "1.5")


@given(st.floats(1e-6, 1e9), st.sampled_from([".", ","]))
def test_a_number_survives_either_decimal_sign(value: float, decimal: str) -> None:
    assert read_number(repr(value).replace(".", decimal), decimal) == (value, "")


@pytest.mark.parametrize(
    ("value", "lod", "lloq", "expected", "words"),
    [
        ("0.2", "0.1", "0.5", ("interval", 0.1, 0.5), "between its lod and lloq"),
        ("detected", "0.1", "0.5", ("interval", 0.1, 0.5), "between its lod and lloq"),
        ("0.05", "0.1", "0.5", ("left", 0.1, None), "below its lod of 0.1"),
        ("0.7", "0.1", "0.5", ("", 0.7, None), ""),
        ("0.5", "0.1", "0.5", ("", 0.5, None), ""),
        ("0.2", "", "0.5", ("left", 0.5, None), "below its lloq of 0.5"),
        # below quantification says nothing about detection: only the higher limit is sure
        ("<LLOQ", "0.1", "0.5", ("left", 0.5, None), "below its lloq of 0.5"),
        ("BLQ", "0.1", "", ("left", 0.1, None), "below its lod of 0.1"),
        ("ND", "0.1", "0.5", ("left", 0.1, None), "below its lod of 0.1"),
        ("OOR <", "", "0.5", ("left", 0.5, None), "below its lloq of 0.5"),
        ("<0.1", "0.1", "0.5", ("left", 0.1, None), ""),
        ("<0.5", "0.1", "0.5", ("left", 0.5, None), ""),
        ("<0.5", "0.1", "", ("left", 0.5, None), "disagrees with the column lod (0.1); the cell is used"),
        ("0", "0.1", "", ("left", 0.1, None), "below its lod of 0.1"),
        ("0", "", "", ("", 0.0, None), "is 0, without a limit of detection: shown and not fitted"),
        ("0.11..0.5", "", "", ("interval", 0.11, 0.5), ""),
        (">50", "0.1", "0.5", ("right", 50.0, None), ""),
    ],
)
def test_values_beside_their_limits(
    tmp_path: Path, value: str, lod: str, lloq: str, expected: tuple[str, float, float | None], words: str
) -> None:
    found, file = one(tmp_path, f"A;IL-6;{value};pg/mL;{lod};{lloq};;;")
    assert (found.censored, found.value, found.upper) == expected
    told = [*file.warnings, *file.panels[0].notes]
    assert any(words in w for w in told) if words else not told


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("A;IL-6;0.2;pg/mL;0.5;0.1;;;", "lod 0.5 lies above lloq 0.1"),
        ("A;IL-6;detected;pg/mL;0.1;;;;", "columns lod and lloq"),
        ("A;IL-6;BLQ;pg/mL;;;;;", "without a limit"),
        ("A;IL-6;OOR >;pg/mL;0.1;;;;", "without the upper limit; write it as >500"),
        ("A;IL-6;2;pg/mL;low;;;;", "column lod: received 'low'"),
        ("A;IL-6;2;pg/mL;;;5;;", "column cv: received '5'; write a fraction or the sign: 0.05 or 5%"),
        ("A;IL-6;2;pg/mL;;;x;;", "column cv"),
        ("A;IL-6;2;pg/mL;;;;maybe;", "column quality: received 'maybe'"),
        ("A;hsCRP;0.5 mg/dL;mg/L;;;;;", "though the unit is given as mg/L"),
        ("A;hsCRP;0.5 zork;;;;;;", "unknown unit 'zork'"),
        ("A;platelets;0.3;10*9/L;;;;;", "lies below what people have (3 10*9/L and more)"),
        ("A;;2;pg/mL;;;;;", "no analyte"),
    ],
)
def test_what_is_asked_back(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(PanelError) as caught:
        one(tmp_path, row)
    assert "line 2" in str(caught.value)
    assert words in str(caught.value)


def test_quality_and_uncertainty_of_a_value(tmp_path: Path) -> None:
    found, file = one(tmp_path, "A;IL-6;2;pg/mL;;;0.2;doubtful;haemolysed")
    assert found.log_sd == pytest.approx(sqrt(log(1.04)), rel=1e-12)
    assert (found.quality, found.remarks, file.warnings) == ("doubtful", ("haemolysed",), ())
    found, _ = one(tmp_path, "A;IL-6;2;pg/mL;;;20%;ok;")
    assert found.log_sd == pytest.approx(sqrt(log(1.04)), rel=1e-12)
    assert (found.quality, found.remarks) == ("", ())
    found, file = one(tmp_path, "A;IL-6;2;pg/mL;;;0;failed;")
    assert (found.log_sd, found.quality) == (None, "failed")
    assert "cv of 0" in file.warnings[0]


def test_a_starred_value_is_doubtful(tmp_path: Path) -> None:
    found, _ = one(tmp_path, "A;IL-6;*3.2;pg/mL;;;;;")
    assert (found.value, found.quality) == (3.2, "doubtful")
    assert "extrapolated" in found.remarks[0]


def test_units_in_cells(tmp_path: Path) -> None:
    found, file = one(tmp_path, "A;hsCRP;0.5 mg/dL;;;;;;")
    assert found.value == 5
    assert "the unit is taken from the cell ('mg/dL')" in file.warnings[0]
    found, file = one(tmp_path, "A;HbA1c;5.7 %;%;;;;;")
    assert (found.value, file.warnings) == (5.7, ())


def test_words_for_missing_are_told_where_they_may_hide_a_fault(tmp_path: Path) -> None:
    rows = "A;IL-6;#DIV/0!;pg/mL\nA;TNF;---;pg/mL\nA;IL-10;NA;pg/mL\nA;hsCRP;2;mg/L\n"
    rows += "B;IL-6;#DIV/0!;pg/mL\nB;hsCRP;2;mg/L\n"
    file = read(tmp_path, "patient;analyte;value;unit\n" + rows)
    assert file.panels[0].missing == ("IL-6", "TNF", "IL-10")
    first, second = file.warnings
    assert "line 2: '#DIV/0!' is an error of the spreadsheet; taken as missing (and 1 more)" in first
    assert "line 3: '---'" in second


def test_several_times_need_a_choice(tmp_path: Path) -> None:
    rows = "".join(f"A;IL-6;{t + 1};pg/mL;{t}\n" for t in (8, 0, 24))
    (tmp_path / "times.csv").write_text("patient;analyte;value;unit;time\n" + rows)
    with pytest.raises(PanelError, match=r"of 3 occasions \(0 h; 8 h; 24 h\)"):
        read_panel(tmp_path / "times.csv")
    file = read_panel(tmp_path / "times.csv", occasion="first")
    assert file.panels[0].measurements["IL-6"].value == 1
    (warning,) = file.warnings
    assert "the occasion 0 h is used" in warning
    with pytest.raises(PanelError, match="given twice"):
        read(tmp_path, "patient;analyte;value;unit;time\nA;IL-6;1;pg/mL;0\nA;IL-6;2;pg/mL;0.0\n")


def measured(**values: float | Measurement) -> dict[str, Measurement]:
    return {k: v if isinstance(v, Measurement) else Measurement(k, v) for k, v in values.items()}


def test_ratios_follow_from_counts() -> None:
    counts = measured(neutrophils=4.0, lymphocytes=2.0, monocytes=0.5, platelets=250.0)
    found, notes = derive(counts, DERIVED)
    assert {k: m.value for k, m in found.items()} == {"NLR": 2.0, "MLR": 0.25, "PLR": 125.0, "SII": 500.0}
    assert len(notes) == 4
    assert derive(counts, {"NLR"})[0].keys() == {"NLR"}


@pytest.mark.parametrize(
    ("lymphocytes", "words"),
    [
        (Measurement("lymphocytes", 0.5, "left", "<0.5 10*9/L"), "lymphocytes (<0.5 10*9/L) is no single number"),
        (Measurement("lymphocytes", 0.0), "lymphocytes is 0"),
        (Measurement("lymphocytes", 2.0, quality="failed"), "failed quality control"),
        (Measurement("lymphocytes", 2.0, time_h=24.0), "different times"),
    ],
)
def test_what_does_not_follow_is_noted(lymphocytes: Measurement, words: str) -> None:
    found, notes = derive(measured(neutrophils=4.0, lymphocytes=lymphocytes), DERIVED)
    assert not found
    assert words in notes[0]


def test_what_follows_from_a_doubtful_value_is_doubtful() -> None:
    inputs = measured(neutrophils=4.0, lymphocytes=Measurement("lymphocytes", 2.0, quality="doubtful"))
    assert derive(inputs, DERIVED)[0]["NLR"].quality == "doubtful"


@pytest.mark.parametrize("cell", ["BMI,0,kg/m2", "weight,-3,kg", "age,0,a"])
def test_what_nobody_has_is_refused_though_it_is_confirmed(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"patient,analyte,value,unit,confirmed\nA,hsCRP,3,mg/L,\nA,{cell},yes\n")
    with pytest.raises(PanelError):
        read_panel(path)
