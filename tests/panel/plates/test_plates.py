"""Wells to entries: replicates, censoring, units, what is left out and said."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Well, entries_of, role_of_name, well_name
from crosstalk.panel.text import concentration, decimal_sign, decode, number, split

A1 = Well("A1", "P7", "sample", "IL-6", 100.0, 90.0, 60, 1.0, None, "2.0", "line 5")


def plate(*wells: Well, **fields: object) -> Plate:
    made = Plate("run.csv", "PL1", "MSD", "", "", "", {"IL-6": "pg/mL", "TNF": "pg/mL"}, tuple(wells), content=b"x")
    return replace(made, **fields)  # type: ignore[arg-type]


def wells(*reported: str, **fields: object) -> list[Well]:
    return [
        replace(A1, location=f"A{i}", place=f"line {i + 4}", reported=text, **fields)  # type: ignore[arg-type]
        for i, text in enumerate(reported, start=1)
    ]


def test_one_well_is_one_entry_with_its_place_unit_and_method() -> None:
    reading = entries_of([plate(A1)])
    (entry,) = reading.entries
    assert (entry.patient, entry.analyte, entry.value, entry.unit) == ("P7", "IL-6", "2", "pg/mL")
    assert (entry.method, entry.place, entry.cv, entry.quality) == ("MSD", "line 5 (well A1)", "", "")
    assert not reading.problems
    assert not reading.warnings
    assert reading.content == b"x"


def test_replicates_are_averaged_geometrically_with_their_cv_and_both_places() -> None:
    (entry,) = entries_of([plate(*wells("2.0", "8.0"))]).entries
    assert float(entry.value) == pytest.approx(4.0)
    assert float(entry.cv) == pytest.approx(statistics.stdev([2, 8]) / 5, rel=1e-5)
    assert entry.place == "line 5 (well A1) and line 6 (well A2)"
    assert "geometric mean of 2 wells" in entry.remarks


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=4), st.permutations(range(4)))
def test_average_lies_between_and_does_not_depend_on_the_order(values: list[float], order: list[int]) -> None:
    texts = [f"{v:.12g}" for v in values]
    shuffled = [texts[i] for i in order if i < len(texts)]
    (entry,) = entries_of([plate(*wells(*texts))]).entries
    (other,) = entries_of([plate(*wells(*shuffled))]).entries
    assert float(entry.value) == pytest.approx(math.exp(statistics.fmean(map(math.log, values))), rel=1e-9)
    assert float(entry.value) == pytest.approx(float(other.value), rel=1e-9)
    assert (entry.cv == "") == (len(values) == 1)


@pytest.mark.parametrize(
    ("reported", "value", "said"),
    [
        (("<0.4",), "<0.4", ""),
        (("<0.4", "<0.4"), "<0.4", ""),
        (("<0.4", "<0.5"), "<0.5", "disagree"),
        (("<0.4", "0.9"), "<0.9", "disagree"),
        (("0.3", "<0.4"), "<0.4", "disagree"),
        ((">1200",), ">1200", ""),
        ((">1200", "1000"), ">1000", "disagree"),
        ((">1200", ">1500"), ">1200", "disagree"),
        (("3.5", "NaN"), "3.5", "well A2 reported NaN"),
        (("3.5", ""), "3.5", "a replicate has no concentration"),
        (("3.5", "0"), "3.5", "well A2 reported 0"),
        (("3.5", "-0.2"), "3.5", "well A2 reported -0.2"),
    ],
)
def test_censored_and_odd_replicates_are_never_averaged(reported: tuple[str, ...], value: str, said: str) -> None:
    (entry,) = entries_of([plate(*wells(*reported))]).entries
    assert entry.value == value
    assert entry.cv == ""
    assert said in " ".join(entry.remarks)
    assert bool(entry.remarks) == bool(said)


def test_a_number_beside_an_unusable_replicate_is_doubtful() -> None:
    (entry,) = entries_of([plate(*wells("3.5", "NaN"))]).entries
    assert entry.quality == "doubtful"


def test_replicates_that_contradict_each_other_give_a_warning_and_no_entry() -> None:
    reading = entries_of([plate(*wells("<0.4", ">1200"))])
    assert not reading.entries
    (warning,) = reading.warnings
    assert "<0.4, >1200" in warning
    assert "P7 at line 5 (well A1) and line 6 (well A2)" in warning


def test_what_is_not_above_zero_is_below_the_limit_of_detection_where_one_is_known() -> None:
    (entry,) = entries_of([plate(*wells("0", dilution=2.0), lod={"IL-6": 0.1})]).entries
    assert (entry.value, entry.lod) == ("<0.2", "0.2")
    assert "taken as below the limit of detection" in entry.remarks[0]
    below = wells("NaN", remarks=("Below Fit Curve Range",))
    (entry,) = entries_of([plate(*below, lod={"IL-6": 0.1})]).entries
    assert entry.value == "<0.1"
    reading = entries_of([plate(*below)])
    assert not reading.entries
    assert "Below Fit Curve Range" in reading.warnings[0]


def test_above_the_curve_without_a_number_is_no_value() -> None:
    reading = entries_of([plate(*wells("NaN", remarks=("Above Fit Curve Range",)), lod={"IL-6": 0.1})])
    assert not reading.entries
    assert "no concentration but NaN; Above Fit Curve Range; left out: P7 at line 5 (well A1)" in reading.warnings[0]


def test_extrapolated_concentrations_are_doubtful() -> None:
    (entry,) = entries_of([plate(*wells("3000", remarks=("Above Detection Range",)))]).entries
    assert (entry.quality, entry.remarks) == ("doubtful", ("Above Detection Range",))


def test_wells_that_the_operator_excluded_do_not_count() -> None:
    used, out = wells("2", "50")
    (entry,) = entries_of([plate(used, replace(out, remarks=(EXCLUDED,)))]).entries
    assert (entry.value, entry.quality) == ("2", "doubtful")
    assert "well A2 is excluded in the export" in entry.remarks
    assert not entries_of([plate(replace(A1, remarks=(EXCLUDED,)))]).entries


def test_the_exports_own_remarks_are_kept() -> None:
    (entry,) = entries_of([plate(replace(A1, remarks=("Comments: Insufficient Bead Count",)))]).entries
    assert entry.remarks == ("Comments: Insufficient Bead Count",)
    assert entry.quality == ""


def test_a_concentration_without_a_unit_is_a_problem_with_the_remedy() -> None:
    reading = entries_of([plate(*wells("2", "3"), units={"IL-6": ""})])
    assert not reading.entries
    (problem,) = reading.problems
    assert problem.startswith("run.csv: IL-6: the export gives concentrations without a unit")
    assert "export again" in problem


def test_a_plate_without_concentrations_is_told_once_and_needs_no_unit() -> None:
    reading = entries_of([plate(*wells("", ""), replace(A1, sample="P8", reported=""), units={"IL-6": ""})])
    assert not reading.entries
    assert not reading.problems
    (warning,) = reading.warnings
    assert "no sample has a reported concentration (P7, P8)" in warning
    assert "`crosstalk plate`" in warning


def test_a_sample_without_one_concentration_is_named() -> None:
    reading = entries_of([plate(A1, replace(A1, analyte="TNF", reported=""))])
    assert len(reading.entries) == 1
    (warning,) = reading.warnings
    assert warning.startswith("run.csv: sample P7: no reported concentration of TNF; `crosstalk plate` computes")


def test_a_sample_without_a_name_is_a_problem() -> None:
    reading = entries_of([plate(replace(A1, sample=""))])
    assert not reading.entries
    assert "line 5 (well A1): the sample has no name" in reading.problems[0]


def test_only_samples_become_entries_and_roles_by_name_alone_are_told() -> None:
    standard = replace(A1, sample="Standard1", role="standard", expected=10.0)
    control = replace(A1, sample="Control1", role="control", expected=None)
    unknown = replace(A1, sample="PL1_A9", role="unknown", reported="")
    reading = entries_of([plate(standard, control, unknown)])
    assert not reading.entries
    assert len(reading.warnings) == 2
    assert "by their name alone: Control1;" in reading.warnings[0]
    assert "1 signals without the names of their samples" in reading.warnings[1]


def test_dilutions_are_told() -> None:
    reading = entries_of([plate(*wells("2", dilution=4.0))])
    assert "samples were diluted (factor 4)" in reading.warnings[0]
    mixed = [*wells("2", dilution=4.0), *wells("2.2")]
    (entry,) = entries_of([plate(*mixed, lod={"IL-6": 0.1})]).entries
    assert "wells of dilutions 1, 4 are taken together" in entry.remarks
    assert entry.lod == ""


def test_plates_of_one_file_are_told_apart_and_not_averaged() -> None:
    reading = entries_of([plate(A1), plate(A1, plate="PL2")])
    assert [e.place for e in reading.entries] == ["plate PL1, line 5 (well A1)", "plate PL2, line 5 (well A1)"]
    assert reading.content == b"x"


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Standard1", "standard"), ("Standard 8", "standard"), ("STD-03", "standard"), ("Calibrator 1 2", "standard"),
        ("Control1", "control"), ("QC low", "control"), ("QC2", "control"), ("Ctrl_A", "control"),
        ("Background0", "blank"), ("Blank", "blank"), ("bkg1", "blank"),
        ("Unknown1", "sample"), ("Calder 7", "sample"), ("Standardised 3 x", "sample"), ("S001", "sample"),
        ("", "sample"), ("Controller", "sample"), ("control subject 12", "sample"),
    ],
)  # fmt: skip
def test_roles_by_name(name: str, role: str) -> None:
    assert role_of_name(name) == role


@pytest.mark.parametrize(
    ("text", "name"), [("A1", "A1"), ("a01", "A1"), ("H12", "H12"), ("P24", "P24"), ("AF48", "AF48")]
)
def test_names_of_wells(text: str, name: str) -> None:
    assert well_name(text) == name


@pytest.mark.parametrize("text", ["", "A", "12", "A0", "A123", "ABC1", "A 1", "1A"])
def test_no_names_of_wells(text: str) -> None:
    assert well_name(text) == ""


def test_numbers_and_concentrations() -> None:
    assert [number(t) for t in ("1e3", " 2 ", "NaN", "inf", "1,234.5", "", "2x", "9e999")] == [
        1000.0, 2.0, None, None, None, None, None, None,
    ]  # fmt: skip
    assert number("1.234,5", ",") is None
    assert number("1234,5", ",") == 1234.5
    assert [concentration(t) for t in ("< 0.40 ", "≤2", "1,5", "NaN", "***", "12.3")] == [
        "<0.40", "≤2", "1,5", "NaN", "***", "12.3",
    ]  # fmt: skip
    assert concentration("> 12,5", ",") == ">12.5"


def test_the_decimal_sign_is_a_comma_only_where_that_is_sure() -> None:
    path = Path("x.csv")
    assert decimal_sign(path, ["1,5", "2"], ";") == ","
    assert decimal_sign(path, ["1.5", "2"], ";") == "."
    assert decimal_sign(path, ["1,5"], ",") == "."
    with pytest.raises(PanelError, match="decimal commas and decimal points"):
        decimal_sign(path, ["1,5", "2.5"], ";")


def test_a_lost_quote_stays_in_its_line() -> None:
    assert split('a,"b,c', ",") == ["a", "b,c"]
    assert split("", ",") == []


def test_encodings() -> None:
    path = Path("x.csv")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert decode(path, "µg/mL".encode(encoding)) == "µg/mL"
    for content in (b"a\x00b", b"\x81\x8d\xff", b"\xff\xfea"):
        with pytest.raises(PanelError, match="is not text"):
            decode(path, content)


def test_other_files_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    table = tmp_path / "panel.csv"
    table.write_text("patient,analyte,value,unit\nA,CRP,1,mg/L\n")
    with pytest.raises(PanelError, match=r"looks like 'table'.*xPONENT"):
        read_plates(table)
    with pytest.raises(PanelError, match="no such file"):
        read_plates(tmp_path / "none.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(PanelError, match=r"empty\.csv"):
        read_plates(empty)
