"""Tables whose other columns, rows and words change what a value means: read so, left out and told, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font

from crosstalk.errors import PanelError, UsageError
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile

Found = dict[str, dict[str, tuple[str, float]]]


OTHER = [
    "CSF",
    "Liquor",
    "LCR",
    "liquide céphalo-rachidien",
    "líquido cefalorraquídeo",
    "258450006",
    "saliva",
    "Speichel",
    "salive",
    "SAL",
    "urine",
    "24h-Urin",
    "Sammelurin",
    "orina",
    "urina",
    "Amnio fld",
    "Fruchtwasser",
    "vitreous",
    "Vitr fld",
    "semen",
    "sperme",
    "bile",
    "Galle",
    "BAL",
    "lavage broncho-alvéolaire",
    "dried blood spot",
    "Trockenblut",
    "DBS",
    "Bld.dot",
    "cord blood",
    "Nabelschnurblut",
    "BldCo",
    "sang du cordon",
    "sweat",
    "Schweiß",
    "tears",
    "breast milk",
    "Muttermilch",
    "hair",
    "Haar",
    "stool",
    "Stuhl",
    "heces",
    "feci",
    "synovial fluid",
    "pleural effusion",
    "dialysate",
    "PBMC supernatant",
    "Zellkulturüberstand",
    "brain homogenate",
    "menstrual blood",
    "tube 7",
    "UR",
    "XXX",
]
BLOOD = [
    "serum",
    "Serum",
    "plasma",
    "EDTA-Plasma",
    "Li-heparin plasma",
    "SER",
    "PLAS",
    "Ser/Plas",
    "Blut",
    "EDTA-Blut",
    "sang veineux",
    "suero",
    "siero",
    "plasme",
    "119364003",
    "Bld",
    "venous blood",
    "citrate plasma",
]
NO_PATIENTS = [
    "Mittelwert",
    "Moyenne",
    "Promedio",
    "Media",
    "Standardabweichung",
    "écart-type",
    "% CV",
    "QC low",
    "QC-2",
    "Blank",
    "Pool plasma",
    "Std 3",
    "Calibrator 1",
    "Median (IQR)",
    "Normbereich",
    "Max",
    "Geometric mean",
]


def read(folder: Path, text: str, **options: str) -> PanelFile:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_panel(path, **options)  # type: ignore[arg-type]


def values(file: PanelFile) -> Found:
    return {
        p.patient: {a: (m.censored, round(m.value, 6)) for a, m in p.measurements.items() if m.place}
        for p in file.panels
    }


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(PanelError) as caught:
        read(folder, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient,analyte,qualifier,value,unit\nK1,TNF,less than,0.6,pg/mL\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,Result Sign,result,units\nK1,TNF,GT,80,pg/mL\n", {"TNF": ("right", 80.0)}),
        ("patient,analyte,comparator,value,unit\nK1,TNF,<,<0.6,pg/mL\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,value,unit,Nachweisgrenze\nK1,TNF,0.3,pg/mL,0.6\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,value,unit,LLOD (ng/L)\nK1,TNF,0.3,pg/mL,0.6\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,value,unit,LOD [ng/mL]\nK1,TNF,0.3,pg/mL,0.0006\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,value,unit,ULOQ\nK1,TNF,900,pg/mL,300\n", {"TNF": ("right", 300.0)}),
        ("patient,analyte,value,unit,lod,below LOD\nK1,TNF,0.42,pg/mL,0.6,TRUE\n", {"TNF": ("left", 0.6)}),
        ("patient,analyte,value,unit,lod,below LOD\nK1,TNF,2.4,pg/mL,0.6,0\n", {"TNF": ("", 2.4)}),
        ("patient,analyte,value,unit,lod,detected\nK1,TNF,0.42,pg/mL,0.6,no\n", {"TNF": ("left", 0.6)}),
        ("patient,TNF [pg/mL],TNF_LOD\nK1,0.3,0.6\n", {"TNF": ("left", 0.6)}),
        ("patient,TNF [pg/mL],IL-6 [pg/mL],LOD IL-6\nK1,2,0.3,0.6\n", {"TNF": ("", 2.0), "IL-6": ("left", 0.6)}),
        ("patient,TNF [pg/mL],lod\nK1,0.3,0.6\n", {"TNF": ("left", 0.6)}),
        ("patient,TNF [pg/mL],IL-6 [pg/mL],TNF operator\nK1,0.6,3,<\n", {"TNF": ("left", 0.6), "IL-6": ("", 3.0)}),
    ],
)
def test_signs_and_limits_in_other_columns(tmp_path: Path, text: str, expected: dict[str, tuple[str, float]]) -> None:
    assert values(read(tmp_path, text)) == {"K1": expected}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,analyte,operator,value,unit\nK1,TNF,>,<0.6,pg/mL\n", "keep the one that is right"),
        ("patient,analyte,operator,value,unit\nK1,TNF,?,0.6,pg/mL\n", "expected <, <=, =, >= or >"),
        ("patient,analyte,value,unit,censored\nK1,TNF,0.42,pg/mL,1\n", "no column gives the limit"),
        ("patient,TNF [pg/mL],IL-6 [pg/mL],lod\nK1,2,3,0.6\n", "not known of which analyte"),
        ("patient,TNF [pg/mL],plate_lod_note\nK1,2,0.6\n", "may change what the values mean"),
        ("patient,analyte,value,unit,dilution\nK1,TNF,2,pg/mL,4\n", "values of the undiluted sample"),
        ("patient,analyte,value,unit,transformation\nK1,TNF,2,pg/mL,log10\n", "leave the column out"),
        ("patient,analyte,value,unit,QC\nK1,TNF,2,pg/mL,purple\n", "expected doubtful, failed or nothing"),
        ("patient,condition,analyte,value,unit\nK1,MDD,TNF,2,pg/mL\n", "stimulus of cells or a group of people"),
        ("id,analyte,value,unit\n1,TNF,2,pg/mL\n2,IL-6,3,pg/mL\n3,hsCRP,1,mg/L\n", "numbers the rows"),
        ("patient;TNF [pg/mL]\nK1;1.250\n", "a thousand or a thousandth"),
        ("patient\tleptin [pg/mL]\nK1\t<11.250\n", "a thousand or a thousandth"),
    ],
)
def test_columns_that_leave_the_meaning_open_are_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("column", "cell", "quality"),
    [
        ("QC flag", "pass", ""), ("QC flag", "FAIL", "failed"), ("Status", "preliminary", "doubtful"),
        ("Status", "cancelled", "failed"), ("valid", "no", "failed"), ("excluded", "1", "failed"),
        ("excluded", "0", ""), ("Hämolyse", "ja", "doubtful"), ("hemolysis", "none", ""), ("Flag", "H", ""),
        ("Flag", "doubtful", "doubtful"),
    ],
)  # fmt: skip
def test_flags_of_quality(tmp_path: Path, column: str, cell: str, quality: str) -> None:
    file = read(tmp_path, f"patient,analyte,value,unit,{column}\nK1,TNF,2,pg/mL,{cell}\n")
    assert file.panels[0].measurements["TNF"].quality == quality


def test_decimal_points_are_known_by_any_number_that_shows_them(tmp_path: Path) -> None:
    assert values(read(tmp_path, "patient;TNF [pg/mL];leptin [ng/mL]\nK1;1.250;4.5\n"))["K1"]["TNF"] == ("", 1.25)
    assert values(read(tmp_path, "patient,TNF [pg/mL]\nK1,1.250\n"))["K1"]["TNF"] == ("", 1.25)


@pytest.mark.parametrize(
    "word",
    OTHER,
)  # fmt: skip
def test_no_other_fluid_is_read_as_blood(tmp_path: Path, word: str) -> None:
    for column in ("specimen", "Probenmaterial", "Sample Type"):
        file = read(tmp_path, f"patient,analyte,value,unit,{column}\nK1,IL-6,4,pg/mL,{word}\nK1,TNF,2,pg/mL,serum\n")
        assert values(file) == {"K1": {"TNF": ("", 2.0)}}
        assert any("left out: line 2, patient K1, IL-6" in w for w in file.warnings), file.warnings


@pytest.mark.parametrize(
    "word", BLOOD,
)  # fmt: skip
def test_blood_is_read(tmp_path: Path, word: str) -> None:
    file = read(tmp_path, f"patient,analyte,value,unit,specimen\nK1,IL-6,4,pg/mL,{word}\n")
    assert values(file) == {"K1": {"IL-6": ("", 4.0)}}


def test_a_fluid_in_a_header_is_one_of_its_column(tmp_path: Path) -> None:
    file = read(tmp_path, "patient,IL-6 (CSF) [pg/mL],TNF (serum) [pg/mL]\nK1,4,2\n")
    assert values(file) == {"K1": {"TNF": ("", 2.0)}}


def test_samples_of_the_laboratory_and_stimuli_are_left_out(tmp_path: Path) -> None:
    text = "patient,sample type,stimulus,analyte,value,unit\n"
    text += "K1,Unknown,none,TNF,2,pg/mL\nK2,Standard,,TNF,50,pg/mL\nK3,serum,LPS 4h,TNF,900,pg/mL\n"
    file = read(tmp_path, text)
    assert values(file) == {"K1": {"TNF": ("", 2.0)}}
    assert sum("left out" in w for w in file.warnings) == 2


@pytest.mark.parametrize(
    "name", NO_PATIENTS,
)  # fmt: skip
def test_rows_that_are_no_patients(tmp_path: Path, name: str) -> None:
    file = read(tmp_path, f"patient,TNF [pg/mL]\nK1,2.1\nK2,1.4\n{name},1.75\n")
    assert list(values(file)) == ["K1", "K2"]
    assert any(f"'{name}' (line 4)" in w for w in file.warnings)


@pytest.mark.parametrize("name", ["empty", "Pool", "Water 2", "Cal"])
def test_a_name_of_the_laboratory_is_a_person_where_it_has_what_people_have(tmp_path: Path, name: str) -> None:
    rows = f"patient,age [a],TNF [pg/mL]\nK1,40,2\n{name},51,3\n"
    assert set(values(read(tmp_path, rows))) == {"K1", name}
    blank = read(tmp_path, f"patient,age [a],TNF [pg/mL]\nK1,40,2\n{name},,\n")
    assert set(values(blank)) == {"K1", name}
    assert any("read as people" in w and name in w for w in blank.warnings)
    long = f"patient,analyte,value,unit\nK1,TNF,2,pg/mL\n{name},TNF,3,pg/mL\n"
    assert set(values(read(tmp_path, long))) == {"K1"}
    assert set(values(read(tmp_path, f"{long}{name},age,51,a\n"))) == {"K1", name}


def test_names_like_statistics_are_people_among_their_like(tmp_path: Path) -> None:
    rows = "".join(f"P{i},{1 + i / 100:.2f}\n" for i in (5, 10, 25, 60, 75))
    assert len(read(tmp_path, "patient,TNF [pg/mL]\n" + rows).panels) == 5
    assert len(read(tmp_path, "patient,TNF [pg/mL]\nSD,1.1\nMK,2.2\nTR,1.9\n").panels) == 3
    assert list(values(read(tmp_path, "patient,TNF [pg/mL]\nK1,1.1\nK2,2.2\nSD,0.9\n"))) == ["K1", "K2"]


def test_what_stands_below_a_mean_is_no_person(tmp_path: Path) -> None:
    text = "patient,hsCRP [mg/L]\nA,5.2\nB,4\nMittelwert,4.6\nN,2\nDesv. est.,0.8\n"
    assert set(values(read(tmp_path, text))) == {"A", "B"}
    assert "N" in values(read(tmp_path, "patient,hsCRP [mg/L]\nA,5.2\nB,4\nN,2\nMean,3.7\n"))


@pytest.mark.parametrize(("name", "told"), [("HAMD", True), ("PHQ", True), ("HAM-D17", False), ("MADRS", False)])
def test_a_scale_without_its_number_is_told(tmp_path: Path, name: str, told: bool) -> None:
    (tmp_path / "x.csv").write_text(f"patient,{name},hsCRP [mg/L]\nA,12,2\n", encoding="utf-8")
    found = read_panel(tmp_path / "x.csv")
    assert any(f"{name} is taken as" in line for line in found.warnings) == told
    assert bool(found.panels[0].notes) == told


def test_ages_with_accents_and_ids_with_decimals(tmp_path: Path) -> None:
    assert values(read(tmp_path, "patient,âge,CRP [mg/L]\nA,40,2\n"))["A"]["age"] == ("", 40.0)
    (tmp_path / "x.csv").write_text("patient,hsCRP [mg/L]\n1.0,5\n1,6\n", encoding="utf-8")
    assert any("may be one patient's" in line for line in read_panel(tmp_path / "x.csv").warnings)


def test_a_row_of_limits_gives_the_limits(tmp_path: Path) -> None:
    wide = read(tmp_path, "patient,TNF [pg/mL],IL-6 [pg/mL]\nK1,0.3,2\nK2,2,0.1\nLLOD,0.6,0.2\nULOQ,100,1.5\n")
    assert values(wide) == {
        "K1": {"TNF": ("left", 0.6), "IL-6": ("right", 1.5)}, "K2": {"TNF": ("", 2.0), "IL-6": ("left", 0.2)}
    }  # fmt: skip
    long = read(tmp_path, "patient,analyte,value,unit\nLOD,TNF,0.6,pg/mL\nK1,TNF,0.3,pg/mL\n")
    assert values(long) == {"K1": {"TNF": ("left", 0.6)}}
    assert "its unit is not that of the row of limits" in refusal(
        tmp_path, "patient,analyte,value,unit\nLOD,TNF,0.6,ng/L\nK1,TNF,0.3,pg/mL\n"
    )


def test_notes_around_a_table_are_told(tmp_path: Path) -> None:
    file = read(
        tmp_path, "Ward 3,\n\npatient,TNF [pg/mL]\nK1,2\n\n* sample was lipaemic,\nn = 1,\nValues of the new kit only\n"
    )
    assert values(file) == {"K1": {"TNF": ("", 2.0)}}
    assert sum("a note, no patient" in w for w in file.warnings) == 3


def test_a_column_that_numbers_the_rows(tmp_path: Path) -> None:
    file = read(tmp_path, "id,Subject ID,analyte,value,unit\n1,K1,TNF,2,pg/mL\n2,K1,IL-6,3,pg/mL\n3,K2,TNF,1,pg/mL\n")
    assert values(file) == {"K1": {"TNF": ("", 2.0), "IL-6": ("", 3.0)}, "K2": {"TNF": ("", 1.0)}}
    text = "id,Subject ID,analyte,value,unit\n7,K1,TNF,2,pg/mL\n9,K1,IL-6,3,pg/mL\n"
    assert "both name the patient" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("glucose [mg/dL]\nK1,6.2", "below what people have"), ("HDL [mg/dL]\nK1,1.4", "below what people have"),
        ("cholesterol [mg/dL]\nK1,5.1", "below what people have"), ("glucose [mmol/L]\nK1,95", "upper reference limit"),
        ("HbA1c [%]\nK1,41", "upper reference limit"), ("HbA1c [mmol/mol]\nK1,5.6", "below what people have"),
        ("cortisol [nmol/L]\nK1,14", "below what people have"), ("height [cm]\nK1,1.7", "below what people have"),
        ("lymphocytes [10*9/L]\nK1,31", "percentage"),
        ("WBC [10*9/L],lymphocytes [10*9/L]\nK1,6,12", "exceeds WBC"),
        ("HDL [mg/dL],cholesterol [mg/dL]\nK1,180,150", "exceeds cholesterol"),
        ("neutrophils [10*9/L],lymphocytes [10*9/L],monocytes [10*9/L]\nK1,55,14,3.5", "percentage"),
        ("hsCRP [mg/L]\nK1,999", "upper reference limit"), ("hsCRP [mg/L]\nK1,99", "code for missing"),
        ("age\nK1,99", "code for missing"),
    ],
)  # fmt: skip
def test_slips_of_units_and_codes_are_asked_back(tmp_path: Path, body: str, words: str) -> None:
    assert words in refusal(tmp_path, f"patient,{body}\n")
    head, cells = body.split("\n")
    confirmed = read(tmp_path, f"patient,{head},confirmed\n{cells},yes\n")
    assert len(values(confirmed)["K1"]) == head.count(",") + 1


def test_fasting_is_said_and_not_supposed(tmp_path: Path) -> None:
    def homa(header: str, row: str) -> bool:
        return "HOMA-IR" in read(tmp_path, f"patient,{header}\nK1,{row}\n").panels[0].measurements

    assert not homa("glucose [mg/dL],insulin [uIU/mL]", "90,8")
    assert not homa("random glucose [mg/dL],fasting insulin [uIU/mL]", "90,8")
    assert homa("fasting glucose [mg/dL],fasting insulin [uIU/mL]", "90,8")
    assert homa("Nüchternglukose [mg/dL],insulin [uIU/mL],nüchtern", "90,8,ja")
    assert not homa("glucose [mg/dL],insulin [uIU/mL],fasting", "90,8,no")


DATED = "patient,analyte,value,unit,date\nK1,TNF,2,pg/mL,{0}\nK1,HAMD17,21,,{0}\nK1,TNF,3,pg/mL,{1}\n"


@pytest.mark.parametrize(("first", "second"), [("2024-01-05", "2024-09-05"), ("05.01.2024", "06.01.2024")])
def test_one_occasion_a_panel(tmp_path: Path, first: str, second: str) -> None:
    text = DATED.format(first, second)
    assert "2 occasions" in refusal(tmp_path, text)
    assert values(read(tmp_path, text, occasion="first")) == {"K1": {"TNF": ("", 2.0), "HAMD17": ("", 21.0)}}
    assert values(read(tmp_path, text, occasion="last")) == {"K1": {"TNF": ("", 3.0)}}
    assert values(read(tmp_path, text, occasion="nearest-to HAMD17"))["K1"]["TNF"] == ("", 2.0)
    assert len(read(tmp_path, text, occasion="each").panels) == 2
    with pytest.raises(UsageError, match="expected first, last, each, or nearest-to SCORE"):
        read(tmp_path, text, occasion="middle")


def test_visits_of_a_wide_table(tmp_path: Path) -> None:
    text = "patient,Zeitpunkt,TNF [pg/mL],HAMD17\nK1,Woche 8,3,9\nK1,Baseline,2,21\nK2,Baseline,1,18\n"
    assert "Woche 8; Baseline" in refusal(tmp_path, text)
    assert values(read(tmp_path, text, occasion="first"))["K1"] == {"TNF": ("", 2.0), "HAMD17": ("", 21.0)}
    assert [p.patient for p in read(tmp_path, text, occasion="each").panels] == ["K1, Woche 8", "K1, Baseline", "K2"]
    unordered = text.replace("Woche 8", "ward").replace("Baseline", "clinic")
    with pytest.raises(PanelError, match="cannot be told"):
        read(tmp_path, unordered, occasion="first")


def test_dates_whose_day_and_month_are_open_are_not_ordered(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="cannot be told"):
        read(tmp_path, DATED.format("03/04/2024", "05/06/2024"), occasion="last")
    assert values(read(tmp_path, DATED.format("03/24/2024", "05/06/2024"), occasion="last"))["K1"]["TNF"] == ("", 3.0)


def test_names_of_one_patient_written_in_several_ways_are_told(tmp_path: Path) -> None:
    file = read(tmp_path, "patient,TNF [pg/mL]\nAB-007,2\nab 7,3\nAB-008,1\n1-Mar,2\n")
    (same, made) = file.warnings
    assert "'AB-007' and 'ab 7'" in same
    assert "'1-Mar'" in made


def test_items_are_summed_where_all_are_there(tmp_path: Path) -> None:
    qids = "patient," + ",".join(f"qids_{i}" for i in range(1, 17))
    answers = [0, 1, 2, 3, 2, 1, 2, 0, 1, 2, 1, 0, 2, 1, 3, 2]
    file = read(tmp_path, f"{qids}\nK1,{','.join(map(str, answers))}\n")
    assert values(file)["K1"]["QIDS16"] == ("", 3 + 2 + 2 + 2 + 1 + 0 + 2 + 1 + 3)
    some = read(tmp_path, "patient,TNF [pg/mL],phq1,phq9\nK1,2,3,1\n")
    assert values(some) == {"K1": {"TNF": ("", 2.0)}}
    assert any("are items of the PHQ9" in w for w in some.warnings)
    assert values(read(tmp_path, "patient,PHQ9\nK1,14\n")) == {"K1": {"PHQ9": ("", 14.0)}}
    assert "runs from 0 to 3" in refusal(
        tmp_path, "patient," + ",".join(f"phq{i}" for i in range(1, 10)) + "\nK1" + ",1" * 8 + ",14\n"
    )


def test_a_code_of_the_laboratory_gives_way_to_the_name_of_its_test(tmp_path: Path) -> None:
    text = "patient,TestCode,TestName,value,unit\nK1,LAB17,Leukozyten,6.1,10*9/L\nK1,CRP,C-reaktives Protein,2,mg/L\n"
    assert set(values(read(tmp_path, text))["K1"]) == {"WBC", "hsCRP"}


def test_names_of_the_message_for_an_unknown_one(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        "patient,analyte,value,unit\nK1,TNF,2,pg/mL\nK1,IL-8,3,pg/mL\nK1,ferritin,90,ug/L\nK1,leptine2,3,ng/mL\n",
    )
    assert len(file.warnings) == 3
    assert not any("did you mean" in w for w in file.warnings)


def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (("patient", "TNF [pg/mL]", "IL-6 [pg/mL]", "HbA1c"), ("K1", 0.6, 1.125, 0.056), ("K2", 0.2, 3, 6.1)):
        sheet.append(row)
    sheet["B2"].number_format = '"<"0.0'
    sheet["B3"].number_format = '[<0.6]"<0.6";0.0'
    sheet["D2"].number_format = "0.0%"
    sheet["D3"].number_format = '0.0"%"'
    book.save(tmp_path / "shown.xlsx")
    found = values(read_panel(tmp_path / "shown.xlsx"))
    assert found["K1"] == {"TNF": ("left", 0.6), "IL-6": ("", 1.125), "HbA1c": ("", 5.6)}
    assert found["K2"] == {"TNF": ("left", 0.6), "IL-6": ("", 3.0), "HbA1c": ("", 6.1)}


@pytest.mark.parametrize("what", ["struck", "words", "hidden", "date"])
def test_cells_that_a_workbook_takes_back_are_refused(tmp_path: Path, what: str) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(("patient", "TNF [pg/mL]"))
    sheet.append(("K1", 2.5))
    if what == "struck":
        sheet["B2"].font = Font(strike=True)
    elif what == "words":
        sheet["B2"] = CellRichText(TextBlock(InlineFont(strike=True), "4.1"), " 2.5")
    elif what == "hidden":
        sheet["B2"].number_format = ";;;"
    else:
        import datetime

        sheet["A2"] = datetime.date(2024, 3, 1)
    book.save(tmp_path / "shown.xlsx")
    words = {"struck": "crossed out", "words": "crossed out", "hidden": "shows it in another way", "date": "into dates"}
    with pytest.raises(PanelError, match=words[what]):
        read_panel(tmp_path / "shown.xlsx")


def test_a_table_without_any_analyte_is_refused(tmp_path: Path) -> None:
    assert "no column is an analyte that is known" in refusal(tmp_path, "patient,ferritin [ug/L],site\nK1,90,A\n")


def test_columns_are_kept_beside_the_panel(tmp_path: Path) -> None:
    file = read(tmp_path, "patient,TNF [pg/mL],site,note\nK1,2,Ulm,haemolysed\n")
    assert file.panels[0].extra == {"site": "Ulm", "note": "haemolysed"}
    assert (file.panels[0].place, file.columns) == ("line 2", ("patient", "TNF [pg/mL]", "site", "note"))
