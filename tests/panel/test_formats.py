"""Formats of hospitals, registries and instruments: read right, and 300 mangled variants of each never wrong unsaid."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from crosstalk.errors import PanelError
from crosstalk.panel.mapping import FileMap
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile
from crosstalk.panel.registry import formats, recognise
from crosstalk.panel.suggestion import answered
from crosstalk.panel.understanding import look

Truth = dict[tuple[str, str], tuple[str, float]]
Rows = list[list[str]]


def found(file: PanelFile) -> Truth:
    return {
        (p.patient, a): (m.censored, round(m.value, 4))
        for p in file.panels for a, m in p.measurements.items() if m.place
    }  # fmt: skip


def table(rows: Rows, separator: str = ",", newline: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting).writerows(rows)
    return text.getvalue()


# Synthea

SYNTHEA: Rows = [
    ["DATE", "PATIENT", "ENCOUNTER", "CATEGORY", "CODE", "DESCRIPTION", "VALUE", "UNITS", "TYPE"],
    ["2024-03-01T08:00:00Z", "a-1", "e1", "laboratory", "1988-5", "C reactive protein [Mass/volume] in Serum or Plasma",
     "4.2", "mg/L", "numeric"],
    ["2024-03-01T08:00:00Z", "a-1", "e1", "laboratory", "6690-2", "Leukocytes [#/volume] in Blood", "6.4", "10*3/uL",
     "numeric"],
    ["2024-03-01T08:00:00Z", "a-1", "e1", "vital-signs", "39156-5", "Body mass index (BMI) [Ratio]", "27.5", "kg/m2",
     "numeric"],
    ["2024-03-01T08:00:00Z", "a-1", "e1", "survey", "44261-6", "Patient Health Questionnaire 9 item total score",
     "14.0", "{score}", "numeric"],
    ["2024-03-01T08:00:00Z", "a-1", "e1", "laboratory", "2160-0", "Creatinine [Mass/volume] in Serum", "1.1", "mg/dL",
     "numeric"],
    ["2024-03-02T08:00:00Z", "b-2", "e2", "laboratory", "30522-7", "CRP by High sensitivity method", "0.75", "mg/L",
     "numeric"],
]  # fmt: skip
SYNTHEA_TRUTH: Truth = {
    ("a-1", "hsCRP"): ("", 4.2), ("a-1", "WBC"): ("", 6.4), ("a-1", "BMI"): ("", 27.5), ("a-1", "PHQ9"): ("", 14.0),
    ("b-2", "hsCRP"): ("", 0.75),
}  # fmt: skip

# OMOP

CONCEPT: Rows = [
    ["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"],
    ["3020460", "C reactive protein [Mass/volume] in Serum or Plasma", "Measurement", "LOINC", "1988-5"],
    ["3015039", "Interleukin 6 [Mass/volume] in Serum or Plasma", "Measurement", "LOINC", "26881-3"],
    ["3016723", "Creatinine [Mass/volume] in Serum or Plasma", "Measurement", "LOINC", "2160-0"],
    ["8751", "milligram per liter", "Unit", "UCUM", "mg/L"],
    ["8845", "picogram per milliliter", "Unit", "UCUM", "pg/mL"],
]
OMOP: Rows = [
    ["measurement_id", "person_id", "measurement_concept_id", "measurement_date", "operator_concept_id",
     "value_as_number", "unit_concept_id", "unit_source_value", "measurement_source_value", "value_source_value"],
    ["1", "11", "3020460", "2024-02-01", "4172703", "4.2", "8751", "mg/L", "", "4.2"],
    ["2", "11", "3015039", "2024-02-01", "4171756", "1.5", "8845", "", "", "<1.5"],
    ["3", "11", "3016723", "2024-02-01", "", "88", "", "umol/L", "", "88"],
    ["4", "12", "3020460", "2024-02-03", "", "0.75", "8751", "", "", ""],
]  # fmt: skip
OMOP_TRUTH: Truth = {("11", "hsCRP"): ("", 4.2), ("11", "IL-6"): ("left", 1.5), ("12", "hsCRP"): ("", 0.75)}

# CDISC

LB: Rows = [
    ["STUDYID", "DOMAIN", "USUBJID", "LBSEQ", "LBTESTCD", "LBTEST", "LBORRES", "LBORRESU", "LBSTRESC", "LBSTRESU",
     "LBSTAT", "LBSPEC", "LBFAST", "VISIT", "LBDTC"],
    ["S1", "LB", "S1-001", "1", "CRP", "C Reactive Protein", "4.2", "mg/L", "4.2", "mg/L", "", "SERUM", "", "BASELINE",
     "2024-02-01"],
    ["S1", "LB", "S1-001", "2", "INTLK6", "Interleukin 6", "<1.5", "pg/mL", "<1.5", "pg/mL", "", "PLASMA", "",
     "BASELINE", "2024-02-01"],
    ["S1", "LB", "S1-001", "3", "GLUC", "Glucose", "5.4", "mmol/L", "97.3", "mg/dL", "", "PLASMA", "Y", "BASELINE",
     "2024-02-01"],
    ["S1", "LB", "S1-001", "4", "IL10", "Interleukin 10", "3.1", "pg/mL", "", "", "", "CSF", "", "BASELINE",
     "2024-02-01"],
    ["S1", "LB", "S1-002", "1", "CRP", "C Reactive Protein", "", "", "", "", "NOT DONE", "SERUM", "", "BASELINE", ""],
    ["S1", "LB", "S1-002", "2", "WBC", "Leukocytes", "6.4", "10^9/L", "6.4", "10^9/L", "", "BLOOD", "", "BASELINE",
     "2024-02-02"],
]  # fmt: skip
LB_TRUTH: Truth = {
    ("S1-001", "hsCRP"): ("", 4.2), ("S1-001", "IL-6"): ("left", 1.5), ("S1-001", "glucose"): ("", 97.2864),
    ("S1-002", "WBC"): ("", 6.4),
}  # fmt: skip

# Olink

OLINK: Rows = [
    ["SampleID", "SampleType", "OlinkID", "UniProt", "Assay", "Panel", "PlateID", "QC_Warning", "LLOQ", "ULOQ",
     "Quantified_value", "Unit"],
    ["D1", "SAMPLE", "OID1", "P05231", "IL6", "Target 48 Cytokine", "P1", "Pass", "0.2", "900", "2.25", "pg/mL"],
    ["D1", "SAMPLE", "OID2", "P01375", "TNF", "Target 48 Cytokine", "P1", "Pass", "0.7", "2100", "0.4", "pg/mL"],
    ["D1", "SAMPLE", "OID3", "P13500", "CCL2", "Target 48 Cytokine", "P1", "Pass", "3", "2100", "180", "pg/mL"],
    ["D2", "SAMPLE", "OID1", "P05231", "IL6", "Target 48 Cytokine", "P1", "Warning", "0.2", "900", "5.5", "pg/mL"],
    ["CTRL", "SAMPLE_CONTROL", "OID1", "P05231", "IL6", "Target 48 Cytokine", "P1", "Pass", "0.2", "900", "7", "pg/mL"],
]  # fmt: skip
OLINK_TRUTH: Truth = {("D1", "IL-6"): ("", 2.25), ("D1", "TNF"): ("left", 0.7), ("D2", "IL-6"): ("", 5.5)}

# HL7 v2

ORU = (
    "MSH|^~\\&|LAB|HOSP|EHR|HOSP|202401051030||ORU^R01|77|P|2.5.1\r"
    "PID|1||D-011^^^HOSP^MR||DOE^J||19800101|F\r"
    "OBR|1||88|24326-1^Panel^LN|||20240105\r"
    "OBX|1|NM|1988-5^CRP^LN||4.2|mg/L|0-5|N|||F\r"
    "OBX|2|SN|26881-3^IL6^LN||<^1.5|pg/mL|||||F\r"
    "OBX|3|NM|2160-0^Creatinine^LN||88|umol/L|||||F\r"
    "PID|1||D-012^^^HOSP^MR||ROE^R||19700101|M\r"
    "OBR|1||89|24326-1^Panel^LN|||20240106||||||||SER\r"
    "OBX|1|NM|1988-5^CRP^LN||0.75|mg/L|0-5|N|||P\r"
    "OBX|2|ST|6690-2^WBC^LN||6.4|10*3/uL|||||F\r"
    "OBR|2||90|24326-1^Panel^LN|||20240106||||||||CSF\r"
    "OBX|1|NM|26881-3^IL6^LN||3.5|pg/mL|||||F\r"
)
ORU_TRUTH: Truth = {
    ("D-011", "hsCRP"): ("", 4.2), ("D-011", "IL-6"): ("left", 1.5), ("D-011", "sex"): ("", 1.0),
    ("D-011", "age"): ("", 44.01), ("D-012", "hsCRP"): ("", 0.75), ("D-012", "WBC"): ("", 6.4),
    ("D-012", "sex"): ("", 0.0), ("D-012", "age"): ("", 54.01),
}  # fmt: skip

# Plates

BIOPLEX: Rows = [
    ["File Name: plate_7.rbx"], ["Acquisition Date: 05-Jan-2024"], ["Concentration unit: pg/mL"], [],
    ["Type", "Well", "Outlier", "Description", "IL-6 (19)", "TNF-a (36)", "Dilution"],
    ["S1", "A1", "0", "", "1000", "2000", "1"],
    ["X1", "A3", "0", "D-011", "2.41", "*0.31", "1"],
    ["X2", "A4", "0", "D-012", "OOR <", "12.2", "1"],
    ["X3", "A5", "0", "D-013", "***", "8.8", "1"],
    ["X4", "A6", "1", "D-014", "7.7", "9.9", "1"],
]  # fmt: skip
BIOPLEX_TRUTH: Truth = {
    ("D-011", "IL-6"): ("", 2.41), ("D-011", "TNF"): ("", 0.31), ("D-012", "TNF"): ("", 12.2),
    ("D-013", "TNF"): ("", 8.8),
}  # fmt: skip
SOFTMAX = (
    "##BLOCKS= 4\n"
    "Plate:\tIL-6\t1.3\tPlateFormat\tEndpoint\tAbsorbance\tRaw\tFALSE\t1\t\t\t\t\t\t1\t450\n"
    "\tTemperature(C)\t1\t2\t3\n\t22.5\t0.05\t0.9\t2.1\n~End\n"
    "Group: Standards\n"
    "Sample\tConcentration\tWells\tValues\tMeanValue\n"
    "St01\t100\tA1\t2.1\t2.1\nSt02\t10\tB1\t0.9\t0.9\nSt03\t1\tC1\t0.2\t0.2\n~End\n"
    "Group: Unknowns\n"
    "Sample\tWells\tValues\tDilution\tResult (pg/mL)\tMeanResult\n"
    "D-1\tA2\t0.91\t2\t10\t10\n\tB2\t0.93\t2\t10\t10\nD-2\tC2\t0.05\t1\tRange?\t\nD-3\tD2\t1.5\t1\t42.5\t42.5\n~End\n"
    "Original Filename: x; Date Last Saved: 1/5/2024\n"
)
SOFTMAX_TRUTH: Truth = {("D-1", "IL-6"): ("", 20.0), ("D-3", "IL-6"): ("", 42.5)}
GEN5 = (
    "Software Version\t3.10.06\n\nExperiment File Path:\tC:\\x.xpt\nPlate Number\tIL-6\nDate\t1/5/2024\n"
    "Reader Type:\tSynergy HTX\n\nResults\n\n"
    "Well ID\tName\tWell\tConc/Dil\tBlank 450\t[Concentration] pg/mL\tCount\tMean\tStd Dev\tCV (%)\n"
    "BLK\t\tA1\t\t0.05\t\t1\t0.05\t\t\n"
    "STD1\t\tB1\t100\t2.1\t101\t1\t2.1\t\t\nSTD2\t\tC1\t10\t0.9\t9.9\t1\t0.9\t\t\nSTD3\t\tD1\t1\t0.2\t1\t1\t0.2\t\t\n"
    "SPL1\tD-1\tA2\t2\t0.91\t10\t2\t0.92\t\t\n\t\tB2\t\t0.93\t10\t\t\t\t\n"
    "SPL2\tD-2\tC2\t1\t0.05\t<1\t1\t0.05\t\t\nSPL3\tD-3\tD2\t1\t1.5\t42.5\t1\t1.5\t\t\n"
)
GEN5_TRUTH: Truth = {("D-1", "IL-6"): ("", 20.0), ("D-2", "IL-6"): ("left", 1.0), ("D-3", "IL-6"): ("", 42.5)}

INTELLIFLEX: Rows = [
    ["Program", "INTELLIFLEX", "", "IFLEX"], ["Build", "2.1.1015"], ["Date", "01/05/2024", "9:15 AM"], [],
    ["SN", "IFLEXC0000001"], ["Batch", "RUN 7"], ["Samples", "5", "Min Events", "50", "Per Bead"], [], ["Results"], [],
    ["DataType:", "Median"], ["Location", "Sample", "IL-6", "TNF", "Total Events"],
    ["1(1,A1)", "Standard1", "9000.5", "8000", "900"], ["2(1,B1)", "Standard2", "900", "800", "900"],
    ["3(1,C1)", "Background0", "20", "15", "900"], ["4(1,D1)", "D-011", "410", "33.25", "900"],
    ["5(1,E1)", "D-012", "22", "450", "900"], [],
    ["DataType:", "Count"], ["Location", "Sample", "IL-6", "TNF", "Total Events"],
    ["1(1,A1)", "Standard1", "60", "61", "900"], ["2(1,B1)", "Standard2", "60", "61", "900"],
    ["3(1,C1)", "Background0", "55", "70", "900"], ["4(1,D1)", "D-011", "52", "60", "900"],
    ["5(1,E1)", "D-012", "51", "58", "900"], [],
    ["DataType:", "Result"], ["Location", "Sample", "IL-6", "TNF", "Total Events"],
    ["1(1,A1)", "Standard1", "999", "510", "900"], ["2(1,B1)", "Standard2", "101", "49", "900"],
    ["3(1,C1)", "Background0", "NaN", "NaN", "900"], ["4(1,D1)", "D-011", "12.5", "3.25", "900"],
    ["5(1,E1)", "D-012", "< 0.40", "42.5", "900"], [],
    ["DataType:", "Units"], ["Analyte:", "IL-6", "TNF"], ["BeadID:", "25", "45"], ["Units:", "pg/mL", "pg/mL"], [],
    ["DataType:", "Standard Expected Concentration"], ["Reagent", "IL-6", "TNF"], ["Standard1", "1000", "500"],
    ["Standard2", "100", "50"], [],
    ["DataType:", "Dilution Factor"], ["Location", "Sample", "Dilution Factor"], ["1(1,A1)", "Standard1", "1"],
    ["2(1,B1)", "Standard2", "1"], ["3(1,C1)", "Background0", "1"], ["4(1,D1)", "D-011", "1"],
    ["5(1,E1)", "D-012", "1"], [],
    ["-- CRC --"], ["CRC32: 00000000"],
]  # fmt: skip
INTELLIFLEX_TRUTH: Truth = {
    ("D-011", "IL-6"): ("", 12.5), ("D-011", "TNF"): ("", 3.25), ("D-012", "IL-6"): ("left", 0.4),
    ("D-012", "TNF"): ("", 42.5),
}  # fmt: skip

Case = tuple[str, str, Rows | str, Truth, Mapping[str, Rows]]
CASES: dict[str, Case] = {
    "synthea": ("observations.csv", "synthea", SYNTHEA, SYNTHEA_TRUTH, {}),
    "omop": ("measurement.csv", "omop", OMOP, OMOP_TRUTH, {"concept.csv": CONCEPT}),
    "cdisc": ("lb.csv", "cdisc", LB, LB_TRUTH, {}),
    "olink": ("olink.csv", "olink", OLINK, OLINK_TRUTH, {}),
    "hl7v2": ("oru.hl7", "hl7v2", ORU, ORU_TRUTH, {}),
    "bioplex": ("bioplex.csv", "bioplex", BIOPLEX, BIOPLEX_TRUTH, {}),
    "softmax": ("softmax.txt", "softmax", SOFTMAX, SOFTMAX_TRUTH, {}),
    "intelliflex": ("iflex.csv", "xponent", INTELLIFLEX, INTELLIFLEX_TRUTH, {}),
    "gen5": ("gen5.txt", "gen5", GEN5, GEN5_TRUTH, {}),
}


def laid(folder: Path, case: Case, content: str | bytes | None = None) -> Path:
    name, _, rows, _, beside = case
    text = rows if isinstance(rows, str) else table(rows)
    data = text if content is None else content
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    for other, more in beside.items():
        (folder / other).write_text(table(more))
    return path


@pytest.mark.parametrize("name", CASES)
def test_each_format_is_recognised_and_read(tmp_path: Path, name: str) -> None:
    path = laid(tmp_path, CASES[name])
    assert recognise(path).id == CASES[name][1]
    assert found(read_panel(path)) == CASES[name][3]


# 300 mangled variants of each

Change = Callable[[str, Random], str | bytes]
REMEDY = re.compile(
    r"\b(write|keep|save|give|correct|check|name|fill|delete|use|export|add|expected|rename|choose|send|close|set|"
    r"split|unpack|repeat|mend|take|say)\b|`crosstalk"
)


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"(?<=[\r\n])", text) if line]


def crlf(text: str, rng: Random) -> str:
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


def bom(text: str, rng: Random) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def blank_lines(text: str, rng: Random) -> str:
    lines = _lines(text)
    end = "\r" if "\r" in text else "\n"
    return "".join(line + (end if rng.random() < 0.2 and i > 0 else "") for i, line in enumerate(lines))


def same(text: str, rng: Random) -> str:
    return text


def cut(text: str, rng: Random) -> str:
    return text[: rng.randrange(len(text) // 3, len(text))]


def lost_line(text: str, rng: Random) -> str:
    lines = _lines(text)
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def doubled_line(text: str, rng: Random) -> str:
    lines = _lines(text)
    i = rng.randrange(len(lines))
    return "".join([*lines[: i + 1], lines[i], *lines[i + 1 :]])


def other_number(text: str, rng: Random) -> str:
    places = list(re.finditer(r"\d+\.\d+", text))
    m = rng.choice(places)
    return (
        text[: m.start()] + rng.choice(["-3.3", "1,5", "12..5", "1e400", "n/a?", "<", "7.7.7", "abc"]) + text[m.end() :]
    )


def other_unit(text: str, rng: Random) -> str:
    return re.sub(r"mg/L|pg/mL", rng.choice(["furlong", "mmol/L", "", "NPX", "pg"]), text, count=rng.randint(1, 2))


def lost_sign(text: str, rng: Random) -> str:
    places = [i for i, c in enumerate(text) if c in ",;\t|"]
    i = rng.choice(places)
    return text[:i] + text[i + 1 :]


def noise(text: str, rng: Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def lost_patient(text: str, rng: Random) -> str:
    return re.sub(r"a-1|S1-001|D-011|D1|D-1\b|\b11\b", "", text, count=rng.randint(1, 2))


KEEP: tuple[Change, ...] = (same, crlf, bom, blank_lines)
HARM: tuple[Change, ...] = (
    cut, lost_line, doubled_line, other_number, other_unit, lost_sign, noise, lost_patient,
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_mangled_variants_are_never_wrong_unsaid(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    rows, truth = case[2], case[3]
    counts = {"right": 0, "warned": 0, "refused": 0, "as it stands": 0}
    plain = set(read_panel(laid(tmp_path, case)).warnings)
    for seed in range(300):
        rng = Random(seed)
        keep = seed % 4 == 0
        separator = rng.choice(",;\t") if name in ("synthea", "omop", "cdisc", "olink") and keep else ","
        text = rows if isinstance(rows, str) else table(rows, separator)
        change = rng.choice(KEEP if keep else HARM)
        mangled = change(text, rng)
        path = laid(tmp_path, case, mangled)
        try:
            file = read_panel(path)
        except PanelError as error:
            assert not keep, (seed, change.__name__, str(error))
            assert str(tmp_path) in str(error), str(error)
            assert REMEDY.search(str(error)), str(error)
            counts["refused"] += 1
            continue
        got = found(file)
        if keep:
            assert got == truth, (seed, change.__name__)
        if got == truth:
            counts["right"] += 1
        elif set(file.warnings) - plain:
            counts["warned"] += 1
        else:
            _as_it_stands(file, mangled if isinstance(mangled, str) else mangled.decode("utf-8", "replace"), truth,
                          (seed, change.__name__))  # fmt: skip
            counts["as it stands"] += 1
    assert sum(counts.values()) == 300
    assert counts["refused"] > 20, counts


def _as_it_stands(file: PanelFile, text: str, truth: Truth, what: object) -> None:
    """Every value that differs from the truth stands in the file as it was read: another valid file."""
    for panel in file.panels:
        for analyte, m in panel.measurements.items():
            key = (panel.patient, analyte)
            if not m.place or truth.get(key) == (m.censored, round(m.value, 4)) or analyte in ("age", "sex"):
                continue
            number = re.sub(r"[^\d.]", "", m.given.split(" ")[0])
            assert number.rstrip("0").rstrip(".") in text or f"{float(number) / 2:g}" in text, (what, key, m)


# What each format has of its own


def test_synthea_takes_sex_and_age_from_patients_beside(tmp_path: Path) -> None:
    path = laid(tmp_path, CASES["synthea"])
    assert any("no patients.csv" in w for w in read_panel(path).warnings)
    (tmp_path / "patients.csv").write_text("Id,BIRTHDATE,GENDER\na-1,1980-03-01,F\nb-2,1990-03-02,M\nzz,1950-01-01,M\n")
    got = found(read_panel(path))
    assert (got["a-1", "sex"], got["a-1", "age"]) == (("", 1.0), ("", 44.0))
    assert ("zz", "sex") not in got


def test_synthea_asks_for_one_occasion_and_ages_with_it(tmp_path: Path) -> None:
    later = ["2034-03-01T08:00:00Z", *SYNTHEA[1][1:6], "9.9", "mg/L", "numeric"]
    path = tmp_path / "observations.csv"
    path.write_text(table([*SYNTHEA, later]))
    (tmp_path / "patients.csv").write_text("Id,BIRTHDATE,GENDER\na-1,1980-03-01,F\nb-2,1990-03-02,M\n")
    with pytest.raises(PanelError, match="2 occasions"):
        read_panel(path)
    got = found(read_panel(path, occasion="last"))
    assert (got["a-1", "hsCRP"], got["a-1", "age"]) == (("", 9.9), ("", 54.0))


def test_a_known_code_of_another_thing_is_never_read_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "observations.csv"
    other = ["2024-03-01", "a", "e", "laboratory", "71426-1", "hsCRP", "4.2", "mg/L", "numeric"]
    path.write_text(table([SYNTHEA[0], other, SYNTHEA[1]]))
    file = read_panel(path)
    assert list(found(file)) == [("a-1", "hsCRP")]
    assert any("71426-1 hsCRP (1)" in w for w in file.warnings)


def test_omop_with_person_and_as_a_folder_and_parquet(tmp_path: Path) -> None:
    path = laid(tmp_path, CASES["omop"])
    (tmp_path / "person.csv").write_text(
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth\n11,8532,1980,2,1\n12,8507,1970,,\n"
    )
    got = found(read_panel(path))
    assert (got["11", "sex"], got["11", "age"], got["12", "sex"]) == (("", 1.0), ("", 44.0), ("", 0.0))
    assert found(read_panel(tmp_path)) == got
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(OMOP[1:], columns=OMOP[0]).astype({"value_as_number": float, "person_id": "int64"})
    path.unlink()
    frame.to_parquet(tmp_path / "measurement.parquet")
    assert found(read_panel(tmp_path / "measurement.parquet")) == got


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            ["1", "11", "3020460", "2024-02-01", "99", "4.2", "8751", "", "", ""],
            "operator_concept_id 99 is no operator",
        ),
        (["1", "11", "3020460", "2024-02-01", "", "4.2", "8751", "mg/dL", "", ""], "correct one of them"),
        (["1", "11", "3020460", "2024-02-01", "", "1.5", "8751", "", "", "<1.5"], "without an operator"),
    ],
)
def test_omop_contradictions_are_refused(tmp_path: Path, row: list[str], words: str) -> None:
    path = laid(tmp_path, CASES["omop"], table([OMOP[0], row]))
    with pytest.raises(PanelError, match=words):
        read_panel(path)


def test_cdisc_with_dm_and_qs(tmp_path: Path) -> None:
    path = laid(tmp_path, CASES["cdisc"])
    (tmp_path / "dm.csv").write_text("STUDYID,USUBJID,AGE,AGEU,SEX\nS1,S1-001,44,YEARS,F\nS1,S1-002,51,YEARS,M\n")
    (tmp_path / "qs.csv").write_text(
        "STUDYID,USUBJID,QSTESTCD,QSTEST,QSSTRESN,VISIT,QSDTC\nS1,S1-001,HAMD17,HAMD17,22,BASELINE,2024-02-01\n"
    )
    file = read_panel(path)
    got = found(file)
    assert (got["S1-001", "sex"], got["S1-001", "age"], got["S1-001", "HAMD17"]) == (("", 1.0), ("", 44.0), ("", 22.0))
    glucose = file.panels[0].measurements["glucose"]
    assert glucose.specimen == "plasma, fasting"
    assert any("cerebrospinal fluid" in w for w in file.warnings)


def test_olink_flags_controls_and_limits(tmp_path: Path) -> None:
    file = read_panel(laid(tmp_path, CASES["olink"]))
    assert file.panels[1].measurements["IL-6"].quality == "doubtful"
    assert any("SAMPLE_CONTROL (1)" in w for w in file.warnings)
    assert any("CCL2" in w for w in file.warnings)
    wide = tmp_path / "wide.csv"
    wide.write_text(
        "Olink NPX Signature 1.11\nQuantified data\nPanel,Target 48,Target 48,,\nAssay,IL6,TNF,Plate ID,QC Warning\n"
        "Uniprot ID,P05231,P01375,,\nOlinkID,OID1,OID2,,\nUnit,pg/mL,pg/mL,,\n\nD1,2.25,0.4,P1,Pass\n"
        "D2,5.5,2.2,P1,Warning\n"
        "\nMissing Data freq.,0,0.5,,\nLLOQ,0.2,0.7,,\nULOQ,900,2100,,\n"
    )
    got = found(read_panel(wide))
    assert got == {
        ("D1", "IL-6"): ("", 2.25), ("D1", "TNF"): ("left", 0.7), ("D2", "IL-6"): ("", 5.5), ("D2", "TNF"): ("", 2.2)
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "SampleID,OlinkID,UniProt,Assay,NPX,LOD\nD1,OID1,P05231,IL6,3.2,0.5\n",
        "NPX Signature\nPanel,T96\nAssay,IL6,TNF\nUniprot ID,P05231,P01375\nOlinkID,OID1,OID2\nD1,3.2,1.1\n",
    ],
)
def test_npx_is_refused_by_name_with_the_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "olink.csv"
    path.write_text(text)
    with pytest.raises(PanelError, match=r"NPX, a relative scale.*pg/mL"):
        read_panel(path)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("OBX|1|NM|1988-5^CRP^LN||4.2|mg/L|||||X", None),
        ("OBX|1|NM|1988-5^CRP^LN||4.2|mg/L|||||D", None),
        ("OBX|1|SN|1988-5^CRP^LN||>^200|mg/L|||||F", ("right", 200.0)),
        ("OBX|1|SN|1988-5^CRP^LN||^0.5^-^1.5|mg/L|||||F", ("interval", 0.5)),
        ("OBX|1|ST|1988-5^CRP^LN||<0.3|mg/L|||||F", ("left", 0.3)),
        ("OBX|1|NM|1988-5^CRP^LN||0.3|mg/L||<|||F", ("left", 0.3)),
        ("OBX|1|NM|L17^hsCRP^L||0.3|mg/L|||||F", ("", 0.3)),
        ("OBX|1|NM|L17^x^L^1988-5^CRP^LN||0.3|mg/L|||||F", ("", 0.3)),
        ("OBX|1|NM|2160-0^CRP^LN||0.3|mg/L|||||F", None),
    ],
)
def test_results_of_hl7(tmp_path: Path, segment: str, expected: tuple[str, float] | None) -> None:
    path = tmp_path / "x.hl7"
    head = "MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\rPID|1||P1\rOBX|9|NM|6690-2^WBC^LN||6|10*3/uL|||||F\r"
    path.write_text(f"\x0b{head}{segment}\r\x1c\r", newline="")
    assert found(read_panel(path)).get(("P1", "hsCRP")) == expected


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        ("OBX|1|SN|1988-5^CRP^LN||^1^:^128|mg/L|||||F", "expected a number"),
        ("OBX|1|NM|1988-5^CRP^LN||4.2~4.3|mg/L|||||F", "several values"),
        ("OBX|1|NM|1988-5^CRP^LN||4.2|mg/L|||||Q", "status of table 0085"),
        ("OBX|1|ST|1988-5^CRP^LN||slightly raised|mg/L|||||F", "expected a number"),
    ],
)
def test_results_of_hl7_that_are_refused(tmp_path: Path, segment: str, words: str) -> None:
    path = tmp_path / "x.hl7"
    path.write_text(f"MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5\rPID|1||P1\r{segment}\r", newline="")
    with pytest.raises(PanelError, match=words):
        read_panel(path)


def test_a_message_without_results_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.hl7"
    path.write_text("MSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.5\rPID|1||P1\r", newline="")
    with pytest.raises(PanelError, match=r"messages of ADT.*export messages ORU"):
        read_panel(path)


def test_bioplex_marks_and_sheets_of_one_analyte(tmp_path: Path) -> None:
    file = read_panel(laid(tmp_path, CASES["bioplex"]))
    assert file.panels[0].measurements["TNF"].quality == "doubtful"
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for analyte, value, low in (("IL-6", 2.41, "OOR <"), ("TNF-a", 3.3, 12.2)):
        sheet = book.create_sheet(analyte)
        for row in (
            ["File Name: plate_7.rbx"], [f"Analyte: {analyte} (19)"], ["Unit: pg/mL"],
            ["Type", "Well", "Outlier", "Description", "FI", "FI - Bkgd", "Obs Conc", "Exp Conc", "Dilution"],
            ["S1", "A1", 0, "", 20000, 19900, 990, 1000, 1], ["S2", "B1", 0, "", 5000, 4900, 101, 100, 1],
            ["S3", "C1", 0, "", 500, 400, 9.9, 10, 1], ["S4", "D1", 0, "", 50, 20, 1.02, 1, 1],
            ["X1", "A3", 0, "D-011", 100, 60, value, None, 2], ["X2", "A4", 0, "D-012", 30, 2, low, None, 2],
            ["Conc in Range = Unknown sample concentrations within range"],
        ):  # fmt: skip
            sheet.append(row)
    book.save(tmp_path / "sheets.xlsx")
    got = found(read_panel(tmp_path / "sheets.xlsx"))
    assert got == {
        ("D-011", "IL-6"): ("", 2.41), ("D-012", "IL-6"): ("left", 2.0), ("D-011", "TNF"): ("", 3.3),
        ("D-012", "TNF"): ("", 12.2),
    }  # fmt: skip
    assert {w.analyte for p in read_plates(tmp_path / "sheets.xlsx") for w in p.wells} == {"IL-6", "TNF-a"}


@pytest.mark.parametrize(("name", "title"), [("softmax", "Plate1"), ("gen5", "Plate1")])
def test_an_elisa_is_told_by_a_map_what_it_measures(tmp_path: Path, name: str, title: str) -> None:
    text = str(CASES[name][2]).replace("IL-6", title).replace(" (pg/mL)", "").replace(" pg/mL", "")
    path = laid(tmp_path, CASES[name], text)
    with pytest.raises(PanelError):
        read_panel(path)
    asked = look(path)
    assert [q.key for q in asked.questions] == [("tests", title), ("tests", title, "unit")]
    map_ = FileMap.check(answered(asked, ["IL-6", "pg/mL"]))
    assert found(read_panel(path, mapping=map_)) == CASES[name][3]


def test_a_plate_without_a_unit_says_how_to_give_it(tmp_path: Path) -> None:
    rows = [row for row in BIOPLEX if not row or "unit" not in row[0]]
    path = laid(tmp_path, CASES["bioplex"], table(rows))
    with pytest.raises(PanelError, match=r"\[tests\] 'IL-6' = \{"):
        read_panel(path)
    map_ = tmp_path / "m.toml"
    map_.write_text('[tests]\nIL-6 = { is = "IL-6", unit = "pg/mL" }\nTNF-a = { is = "TNF", unit = "pg/mL" }\n')
    assert found(read_panel(path, mapping=map_)) == BIOPLEX_TRUTH


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("simoa.csv", "Sample Barcode,Assay,Location,Mean AEB,Mean Conc\nD1,IL-6,A1,0.02,1.5\n", "Simoa"),
        ("ella.csv", "Simple Plex Runner\nSample,Cartridge,GNR1 RFU\nD1,1,500\n", "Ella"),
        ("x.json", '{"_type": "COMPOSITION", "archetype_node_id": "openEHR-EHR-COMPOSITION.report.v1"}', "openEHR"),
        ("lab.csv", "LAB_RESULT_CM_ID,PATID,LAB_LOINC,RESULT_NUM\n1,7,1988-5,4.2\n", "PCORnet"),
        ("i2b2.csv", "PATIENT_NUM,CONCEPT_CD,NVAL_NUM,UNITS_CD\n7,LOINC:1988-5,4.2,mg/L\n", "i2b2"),
        ("x.adat", "!Checksum\tabc\n^HEADER\n", "SomaScan"),
        ("x.txt", "H|\\^&|||Analyser\nP|1\n", "ASTM"),
        ("x.xml", "<?xml version='1.0'?><Bio-Plex version='6'><Plate/></Bio-Plex>", "Bio-Plex Manager"),
        ("x.csv.gz", "\x1f\x8b\x08", "packed"),
    ],
)
def test_known_formats_that_are_not_read_say_what_to_export(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PanelError) as caught:
        read_panel(path)
    assert words in str(caught.value)
    assert "which is not read; " in str(caught.value)


def test_every_format_is_read_or_refused() -> None:
    for f in formats():
        assert bool(f.read) + bool(f.plates) + bool(f.refused) == 1, f.id
    ids: Sequence[str] = [f.id for f in formats()]
    assert len(set(ids)) == len(ids)


def test_every_format_that_is_read_is_on_the_page_of_formats() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "your_file.md").read_text(encoding="utf-8")
    assert not [f.name for f in formats() if not f.refused and f"| {f.name} | yes" not in page]
