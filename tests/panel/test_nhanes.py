"""NHANES transport files: units and limits by cycle, codes, zeros, fasting, and what cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import frexp, nan
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.nhanes import PHQ9, read, tidy
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Measurement

Columns = Mapping[str, Sequence[float]]


def ibm(value: float) -> bytes:
    """An IBM double, as SAS transport files hold them; a point is missing."""
    if value != value:
        return b"." + bytes(7)
    if value == 0:
        return bytes(8)
    fraction, exponent = frexp(abs(value))
    sixteens = -(-exponent // 4)
    mantissa = int(fraction * 2 ** (56 + exponent - 4 * sixteens))
    return bytes([(sixteens + 64) | (128 if value < 0 else 0)]) + mantissa.to_bytes(7, "big")


def transport(path: Path, columns: Columns) -> Path:
    """Write numeric columns as a SAS transport file, version 5 (SAS technical note TS-140)."""

    def header(kind: str, numbers: str = "0" * 30) -> bytes:
        return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers}  ".encode()

    def padded(content: bytes) -> bytes:
        return content + b" " * (-len(content) % 80)

    date = b"01JAN20:00:00:00"
    sas, system = b"SAS     ", b"6.06    bsd4.2  " + b" " * 24
    names = b"".join(
        struct.pack(">hhhh8s40s8shhh2s8shhl52s", 1, 0, 8, i + 1, name.ljust(8).encode(), b" " * 40, b" " * 8, 0, 0, 0,
                    b"", b" " * 8, 0, 0, 8 * i, b"")
        for i, name in enumerate(columns)
    )  # fmt: skip
    rows = b"".join(ibm(v) for row in zip(*columns.values(), strict=True) for v in row)
    path.write_bytes(
        header("LIBRARY") + sas + sas + b"SASLIB  " + system + date + padded(date)
        + header("MEMBER", "000000000000000001600000000140") + header("DSCRPTR")
        + sas + b"DATA    " + b"SASDATA " + system + date + padded(date)
        + header("NAMESTR", f"000000{len(columns):04d}" + "0" * 20) + padded(names) + header("OBS") + padded(rows)
    )  # fmt: skip
    return path


def demo(folder: Path, release: float = 10, name: str = "DEMO_J.XPT", **more: Sequence[float]) -> None:
    columns: dict[str, Sequence[float]] = {
        "SEQN": [1, 2, 3], "SDDSRVYR": [release] * 3, "RIAGENDR": [1, 2, 2], "RIDAGEYR": [40, 80, 12],
        "SDMVSTRA": [1, 1, 2], "SDMVPSU": [1, 2, 1], "WTMEC2YR": [10.5, 0, 3], **more,
    }  # fmt: skip
    transport(folder / name, columns)


def values(path: Path, analyte: str) -> dict[str, Measurement]:
    return {p.patient: p.measurements[analyte] for p in read_panel(path).panels if analyte in p.measurements}


@given(st.just(0.0) | st.floats(1e-60, 1e60) | st.floats(-1e60, -1e-60))
def test_the_writer_of_these_tests_writes_what_is_read(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    path = transport(tmp_path_factory.mktemp("xpt") / "A_J.XPT", {"SEQN": [1], "X": [value]})
    found = pd.read_sas(path, format="xport", encoding="latin-1")["X"][0]
    assert found == pytest.approx(value, rel=1e-12, abs=1e-70)


# Units, limits and codes


@pytest.mark.parametrize(
    ("file", "release", "columns", "text", "limit"),
    [
        ("HSCRP_I", 9, {"LBXHSCRP": [0.08, 2.5], "LBDHRPLC": [1, 0]}, "<0.11 mg/L", 0.11),
        ("HSCRP_J", 10, {"LBXHSCRP": [0.11, 2.5], "LBDHRPLC": [1, 0]}, "<0.15 mg/L", 0.15),
        ("P_HSCRP", 66, {"LBXHSCRP": [0.11, 2.5], "LBDHRPLC": [1, 0]}, "<0.15 mg/L", 0.15),
        ("CRP_E", 5, {"LBXCRP": [0.01, 0.25]}, "<0.02 mg/dL", 0.2),
    ],
)
def test_crp_by_cycle(tmp_path: Path, file: str, release: int, columns: Columns, text: str, limit: float) -> None:
    demo(tmp_path, release, "P_DEMO.XPT" if file.startswith("P_") else f"DEMO_{file[-1]}.XPT")
    transport(tmp_path / f"{file}.XPT", {"SEQN": [1, 2], **columns})
    found = values(tmp_path, "hsCRP")
    assert (found["1"].value, found["1"].censored, found["1"].given) == (pytest.approx(limit), "left", text)
    assert (found["2"].value, found["2"].censored) == (pytest.approx(2.5), "")
    table = tidy(tmp_path).set_index("SEQN")
    assert table["crp_below_lod"].to_list()[:2] == [1, 0]
    assert np.isnan(table.loc[3, "crp_below_lod"])
    assert table.loc[2, "crp_mgL"] == pytest.approx(2.5)
    assert table.loc[1, "crp_lod_mgL"] == pytest.approx(limit)


def test_insulin_in_either_unit_is_the_same(tmp_path: Path) -> None:
    demo(tmp_path)
    both = {"SEQN": [1, 2], "WTSAF2YR": [5, 5], "LBXIN": [6, 12], "LBDINSI": [36, 72]}
    for name, dropped in (("uU", "LBDINSI"), ("pmol", "LBXIN"), ("both", "")):
        folder = tmp_path / name
        folder.mkdir()
        demo(folder)
        transport(folder / "INS_J.XPT", {k: v for k, v in both.items() if k != dropped})
        assert [m.value for m in values(folder, "insulin").values()] == pytest.approx([6, 12])
        assert tidy(folder)["insulin_uUml"].to_list()[:2] == pytest.approx([6, 12])


def test_a_flagged_value_without_a_documented_limit_lies_below_its_fill_times_root_two(tmp_path: Path) -> None:
    demo(tmp_path, 5, "DEMO_E.XPT")
    transport(tmp_path / "INS_E.XPT", {"SEQN": [1], "WTSAF2YR": [5], "LBXIN": [0.7071], "LBDINLC": [1]})
    found = values(tmp_path, "insulin")["1"]
    assert found.censored == "left"
    assert found.value == pytest.approx(1.0, rel=1e-4)


def test_who_had_not_fasted(tmp_path: Path) -> None:
    demo(tmp_path)
    transport(tmp_path / "GLU_J.XPT", {"SEQN": [1, 2], "WTSAF2YR": [7, 0], "LBXGLU": [90, 140]})
    first, second = (e for e in read(tmp_path).entries if e.analyte == "glucose")
    assert (first.specimen, first.quality) == ("plasma, fasting", "")
    assert (second.specimen, second.quality) == ("plasma", "doubtful")
    assert "fasted" in second.remarks[0]


def test_zeros_of_sas_are_zeros(tmp_path: Path) -> None:
    items = {name: [0, 0] for name in (*PHQ9, "DPQ100")}
    demo(tmp_path)
    transport(tmp_path / "DPQ_J.XPT", {"SEQN": [1, 2], **items})
    assert values(tmp_path, "PHQ9")["1"].value == 0.0
    table = tidy(tmp_path)
    assert table["DPQ010"].to_list()[:2] == [0.0, 0.0]
    assert table["WTMEC2YR"].to_list() == [10.5, 0.0, 3.0]


def test_refused_and_unknown_items(tmp_path: Path) -> None:
    demo(tmp_path, RIDAGEYR=[40, 50, 60])
    items: dict[str, list[float]] = {name: [1, 2, 0] for name in PHQ9}
    items["DPQ020"], items["DPQ090"] = [3, 9, 0], [1, 2, nan]
    transport(tmp_path / "DPQ_J.XPT", {"SEQN": [1, 2, 3], **items, "DPQ100": [7, 1, 0]})
    assert {k: m.value for k, m in values(tmp_path, "PHQ9").items()} == {"1": 11.0}
    table = tidy(tmp_path)
    assert table["phq9_n_items"].to_list() == [9, 8, 8]
    assert table["phq9_total"].isna().to_list() == [False, True, True]
    assert np.isnan(table["DPQ100"][0])


def test_ratios_of_counts(tmp_path: Path) -> None:
    demo(tmp_path)
    counts = {"LBDNENO": [4, 3], "LBDLYMNO": [2, 0], "LBDMONO": [0.5, 0.4], "LBXPLTSI": [250, 200]}
    transport(tmp_path / "CBC_J.XPT", {"SEQN": [1, 2], **counts})
    row = tidy(tmp_path).iloc[0]
    assert [row["nlr"], row["mlr"], row["plr"], row["sii"]] == [2.0, 0.25, 125.0, 500.0]
    assert tidy(tmp_path)["nlr"].isna().to_list() == [False, True, True]


# Who and what


def test_adults_with_words_for_their_sex(tmp_path: Path) -> None:
    demo(tmp_path, RIDEXPRG=[nan, 1, nan])
    reading = read(tmp_path)
    assert {(e.patient, e.analyte, e.value) for e in reading.entries} == {
        ("1", "sex", "male"), ("1", "age", "40"), ("2", "sex", "female"), ("2", "age", "80"),
    }  # fmt: skip
    assert [e.remarks for e in reading.entries if e.value == "80"] == [("NHANES writes 80 years for 80 and over",)]
    assert any("1 people under 18 years left out" in w for w in reading.warnings)
    assert any("1 women are pregnant" in w for w in reading.warnings)
    assert not reading.problems


def test_unknown_variables_are_listed_once_and_missing_files_are_fine(tmp_path: Path) -> None:
    demo(tmp_path, DMDBORN4=[1, 1, 2], INDHHIN2=[1, 2, 3])
    warnings = [w for w in read_panel(tmp_path).warnings if "not used" in w]
    assert warnings == [f"{tmp_path / 'DEMO_J.XPT'}: not used: DMDBORN4, INDHHIN2"]
    assert "crp_mgL" not in tidy(tmp_path)


def test_records_of_nul_bytes_are_nobody(tmp_path: Path) -> None:
    file = transport(tmp_path / "INS_J.XPT", {"SEQN": [7, 8, 0], "LBXIN": [5.5, 0.71, 0], "LBDINLC": [0, 1, 0]})
    found = read_panel(file)
    assert [p.patient for p in found.panels] == ["7", "8"]
    assert any("1 records without a number (SEQN) are padding" in w for w in found.warnings)
    assert list(tidy(file)["SEQN"]) == [7, 8]


def test_files_with_several_rows_for_a_person_are_left_out(tmp_path: Path) -> None:
    demo(tmp_path)
    transport(tmp_path / "HSCRP_J.XPT", {"SEQN": [1, 1], "LBXHSCRP": [1, 2]})
    assert not values(tmp_path, "hsCRP")
    assert any("several rows" in w for w in read(tmp_path).warnings)


def test_one_file_is_enough_where_its_name_tells_the_cycle(tmp_path: Path) -> None:
    path = transport(tmp_path / "HSCRP_J.xpt", {"SEQN": [7], "LBXHSCRP": [4.5], "LBDHRPLC": [0]})
    found = read_panel(path)
    assert found.format == "nhanes"
    assert found.panels[0].measurements["hsCRP"].value == 4.5
    assert any("age and sex are unknown" in w for w in found.warnings)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    def fails(folder: Path, *words: str) -> None:
        for function in (read, tidy):
            with pytest.raises(PanelError) as caught:
                function(folder)
            assert all(word in str(caught.value) for word in words)

    mixed, contradicted, early, unnamed, broken, foreign, other = (tmp_path / str(i) for i in range(7))
    for folder in (mixed, contradicted, early, unnamed, broken, foreign, other):
        folder.mkdir()
    crp: Columns = {"SEQN": [1], "LBXHSCRP": [1.0]}
    transport(mixed / "HSCRP_I.XPT", crp)
    transport(mixed / "GHB_J.XPT", {"SEQN": [1], "LBXGH": [5.0]})
    fails(mixed, "several cycles", "I, J")
    demo(contradicted, 9, "DEMO_J.XPT")
    fails(contradicted, "several cycles", "I, J")
    transport(early / "HSCRP_B.XPT", crp)
    fails(early, "received the cycle B", "J 2017-2018")
    transport(unnamed / "HSCRP.XPT", crp)
    fails(unnamed, "cycle is not known", "add DEMO")
    (broken / "HSCRP_J.XPT").write_bytes(b"HEADER RECORD*******LIBRARY HEADER")
    fails(broken, "HSCRP_J.XPT", "cannot be read as a SAS transport file")
    transport(foreign / "A_J.XPT", {"ID": [1], "LBXHSCRP": [1.0]})
    fails(foreign, "no number (SEQN) for every person")
    transport(other / "PAQ_J.XPT", {"SEQN": [1], "PAQ605": [1.0]})
    fails(other, "no file holds a variable that Crosstalk reads")


@given(st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = transport(tmp_path_factory.mktemp("xpt") / "HSCRP_J.XPT", {"SEQN": [1, 2], "LBXHSCRP": [1.0, 2.0]})
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert all(e.analyte == "hsCRP" for e in read(path).entries)
    except PanelError as error:
        assert str(path) in str(error)


# 300 mangled variants of a folder of 2021-2023

L_FOLDER: Mapping[str, Columns] = {
    "DEMO_L": {"SEQN": [130378, 130379, 130380], "SDDSRVYR": [12, 12, 12], "RIAGENDR": [1, 2, 2],
               "RIDAGEYR": [43, 66, 9], "WTMEC2YR": [9e4, 5e4, 4e4]},
    "HSCRP_L": {"SEQN": [130378, 130379, 130380], "LBXHSCRP": [1.78, 0.11, 0.9], "LBDHRPLC": [0, 1, 0],
                "WTPH2YR": [8e4, 5e4, 4e4]},
    "CBC_L": {"SEQN": [130378, 130379], "LBXWBCSI": [6.1, 7.2], "LBDNENO": [3.1, 4.4], "LBDLYMNO": [2.2, 1.9]},
    "BMX_L": {"SEQN": [130378, 130379], "BMXBMI": [27.0, 33.5]},
    "DPQ_L": {"SEQN": [130378, 130379], **{item: [1, 2] for item in PHQ9}},
    "INS_L": {"SEQN": [130378, 130379], "LBXIN": [9.5, 12.25], "WTSAF2YR": [9e4, 0]},
}  # fmt: skip
Folder = dict[str, dict[str, list[float]]]
Read = dict[tuple[str, str], tuple[str, float, str]]


def laid(folder: Path, files: Folder) -> Path:
    folder.mkdir()
    for name, columns in files.items():
        transport(folder / f"{name}.XPT", columns)
    return folder


def got(path: Path) -> tuple[Read, tuple[str, ...]]:
    file = read_panel(path)
    found = {
        (p.patient, a): (m.censored, round(m.value, 4), m.quality)
        for p in file.panels for a, m in p.measurements.items() if m.place
    }  # fmt: skip
    return found, file.warnings


def same(files: Folder, truth: Read, rng: Random) -> None:
    """What changes nothing: files and columns in another order, unknown columns, lines of a child, of nobody."""
    for name in list(files):
        columns = files.pop(name)
        others = [c for c in columns if c != "SEQN"]
        rng.shuffle(others)
        files[name] = {c: columns[c] for c in ("SEQN", *others)}
    files["BMX_L"]["BMXARMC"] = [30.0, 31.0]
    if rng.random() < 0.5:
        files["PAQ_L"] = {"SEQN": [130378.0], "PAD790Q": [2.0]}
    if rng.random() < 0.5:
        for column in files["CBC_L"].values():
            column.append(0.0)


def refused_item(files: Folder, truth: Read, rng: Random) -> None:
    files["DPQ_L"][rng.choice(PHQ9)][0] = rng.choice([7, 9, nan])
    del truth["130378", "PHQ9"]


def missing(files: Folder, truth: Read, rng: Random) -> None:
    file, column, analyte = rng.choice([("HSCRP_L", "LBXHSCRP", "hsCRP"), ("CBC_L", "LBXWBCSI", "WBC")])
    files[file][column][0] = nan
    del truth["130378", analyte]


def below(files: Folder, truth: Read, rng: Random) -> None:
    files["HSCRP_L"]["LBDHRPLC"][0] = 1
    truth["130378", "hsCRP"] = ("left", 2.517, "")


def not_fasted(files: Folder, truth: Read, rng: Random) -> None:
    files["INS_L"]["WTSAF2YR"][0] = 0
    truth["130378", "insulin"] = ("", 9.5, "doubtful")


def impossible(files: Folder, truth: Read, rng: Random) -> None:
    file, column = rng.choice([("HSCRP_L", "LBXHSCRP"), ("BMX_L", "BMXBMI"), ("CBC_L", "LBXWBCSI"), ("INS_L", "LBXIN")])
    files[file][column][0] = rng.choice([-1.0, 1e30, 88888.0, -9.0])


def other_release(files: Folder, truth: Read, rng: Random) -> None:
    files["DEMO_L"]["SDDSRVYR"] = [rng.choice([10.0, 13.0, 66.0])] * 3


def other_cycle(files: Folder, truth: Read, rng: Random) -> None:
    name = rng.choice(list(files)[1:])
    files[name[:-1] + rng.choice("JKM")] = files.pop(name)


def no_number(files: Folder, truth: Read, rng: Random) -> None:
    files[rng.choice(list(files))]["SEQN"][0] = nan


def twice(files: Folder, truth: Read, rng: Random) -> None:
    name = rng.choice(["HSCRP_L", "CBC_L", "BMX_L"])
    files[name]["SEQN"][1] = files[name]["SEQN"][0]


def lost_file(files: Folder, truth: Read, rng: Random) -> None:
    del files["DEMO_L"]
    for key in [k for k in truth if k[1] in ("age", "sex")]:
        del truth[key]
    truth["130380", "hsCRP"] = ("", 0.9, "")


# each with what must come of it: the truth as changed, a warning or a refusal
KNOWN = (same, refused_item, missing, below, not_fasted, lost_file)
HARM = (impossible, other_release, other_cycle, no_number, twice)


@pytest.mark.slow
def test_mangled_folders_of_2021_are_never_wrong_unsaid(tmp_path: Path) -> None:
    plain = {name: {c: list(v) for c, v in columns.items()} for name, columns in L_FOLDER.items()}
    truth, usual = got(laid(tmp_path / "plain", plain))
    assert truth["130379", "hsCRP"] == ("left", 0.1556, "")
    assert truth["130378", "PHQ9"] == ("", 9.0, "")
    assert truth["130379", "insulin"] == ("", 12.25, "doubtful")
    counts = {"right": 0, "warned": 0, "refused": 0}
    for seed in range(300):
        rng = Random(seed)
        files: Folder = {name: {c: list(v) for c, v in columns.items()} for name, columns in L_FOLDER.items()}
        expected, change = dict(truth), rng.choice((*KNOWN, *HARM))
        change(files, expected, rng)
        path = laid(tmp_path / str(seed), files)
        torn = rng.random() < 0.2
        if torn:
            victim = rng.choice(sorted(path.glob("*.XPT")))
            victim.write_bytes(victim.read_bytes()[: -rng.choice([1, 40, 80, 200])])
        try:
            found, said = got(path)
        except PanelError as error:
            assert torn or change in HARM, (seed, change.__name__, str(error))
            assert str(path) in str(error)
            counts["refused"] += 1
            continue
        if not torn and change in KNOWN:
            assert found == expected, (seed, change.__name__)
        told = {w.replace(str(path), "") for w in said} - {w.replace(str(tmp_path / "plain"), "") for w in usual}
        # fewer values, as of a file that lost its end, or those of the change, or told
        right = found == expected or (torn and found.items() <= expected.items())
        assert right or told, (seed, change.__name__, found)
        counts["right" if right else "warned"] += 1
    assert sum(counts.values()) == 300
    assert counts["refused"] > 60, counts


# The real files

RAW = "nhanes_xpt_2017_2018"


@pytest.mark.shared
def test_the_raw_folder_equals_the_tidy_file(shared_data: Path) -> None:
    expected = pd.read_csv(shared_data / "nhanes_2017_2018_adults_raw.csv.gz", low_memory=False).set_index("SEQN")
    found = tidy(shared_data / RAW).set_index("SEQN")
    assert (found["age"] >= 18).sum() == len(expected)
    found = found.loc[expected.index]
    shared = [name for name in expected if name in found]
    assert len(shared) == 58
    for name in shared:
        if name in ("cycle", "smoking"):
            assert found[name].to_list() == expected[name].to_list()
        else:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=0, err_msg=name)


@pytest.mark.shared
def test_the_raw_folder_as_panels(shared_data: Path) -> None:
    table = tidy(shared_data / RAW).query("age >= 18").set_index("SEQN")
    file = read_panel(shared_data / RAW)
    assert len(file.panels) == len(table) == 5856
    panels = {int(p.patient): p.measurements for p in file.panels}
    below = {seqn for seqn, m in panels.items() if "hsCRP" in m and m["hsCRP"].censored}
    assert below == set(table.index[table["crp_below_lod"] == 1])
    assert all(panels[seqn]["hsCRP"].value == 0.15 for seqn in below)
    for analyte, column in (("WBC", "wbc_1e9L"), ("PHQ9", "phq9_total"), ("BMI", "bmi"), ("insulin", "insulin_uUml")):
        seen = {seqn: m[analyte].value for seqn, m in panels.items() if analyte in m and not m[analyte].censored}
        known = table[column].dropna()
        if analyte == "insulin":
            known = known[table["insulin_below_lod"] == 0]
        assert seen == pytest.approx(known.to_dict())
