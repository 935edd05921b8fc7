"""Reading a cohort: what is understood, what is told, what is refused and in which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.errors import CrosstalkError, LearnError, PanelError, UsageError
from crosstalk.learn.cohort import CohortColumns, read_cohort

MakeFrame = Callable[..., pd.DataFrame]
WriteFrame = Callable[[pd.DataFrame, Path], Path]


def test_a_cohort_is_read(make_frame: MakeFrame, write_frame: WriteFrame, tmp_path: Path) -> None:
    table = make_frame(60)
    table.loc[4, "response"] = ""
    columns = CohortColumns(
        "response",
        site="site",
        group="family",
        treatment="arm",
        covariates=("smoker",),
        week2="week2",
        baseline="HAMD17",
    )
    cohort = read_cohort(write_frame(table, tmp_path / "c.csv"), columns)
    kept = table.drop(index=4)
    assert len(cohort) == 59
    assert cohort.kind == "event"
    assert cohort.positive == "yes"
    assert cohort.events == (kept["response"] == "yes").sum()
    assert cohort.clinical == ("age", "sex", "HAMD17", "arm")
    assert cohort.categories == ("smoker",)
    assert cohort.analytes == ("hsCRP", "IL-6")
    assert cohort.units["IL-6"] == "pg/mL"
    assert cohort.table["sex"].tolist() == (kept["sex"] == "female").astype(float).tolist()
    below = kept["hsCRP [mg/L]"].str.startswith("<").to_numpy()
    assert below.any()
    assert cohort.table["hsCRP below"].to_numpy()[below].all()
    assert cohort.table["hsCRP"].to_numpy()[below] == pytest.approx(0.37 / np.sqrt(2))
    assert cohort.improved is not None
    assert cohort.improved.tolist() == (kept["week2"] <= 0.8 * kept["HAMD17"]).astype(float).tolist()
    told = " ".join(cohort.warnings)
    assert "1 of 60 patients have no outcome (lines 6)" in told
    assert "columns not read: " in told


def test_semicolons_and_decimal_commas(make_frame: MakeFrame, tmp_path: Path) -> None:
    table = make_frame(60)
    plain, comma = tmp_path / "a.csv", tmp_path / "b.csv"
    table.to_csv(plain, index=False)
    table.astype(str).apply(lambda c: c.str.replace(".", ",", regex=False)).rename(columns=str).to_csv(
        comma, index=False, sep=";"
    )
    columns = CohortColumns("change")
    one, two = read_cohort(plain, columns), read_cohort(comma, columns)
    assert two.table["IL-6"].to_numpy() == pytest.approx(one.table["IL-6"].to_numpy())
    assert two.y == pytest.approx(one.y)


def test_a_score_is_known_by_its_values(make_frame: MakeFrame, write_frame: WriteFrame, tmp_path: Path) -> None:
    table = make_frame(60)
    cohort = read_cohort(write_frame(table, tmp_path / "c.csv"), CohortColumns("change"))
    assert cohort.kind == "score"
    assert cohort.events is None
    assert cohort.y == pytest.approx(table["change"].to_numpy())


Change = Callable[[pd.DataFrame], pd.DataFrame]


def cells(**values: object) -> Change:
    return lambda t: t.assign(**values)


@pytest.mark.parametrize(
    ("change", "columns", "words"),
    [
        (cells(), CohortColumns("remission"), r"no column 'remission' \(--outcome\); its columns are patient, age"),
        (cells(), CohortColumns("response", covariates=("response",)), "the outcome is no predictor"),
        (cells(), CohortColumns("response", site="arm", treatment="arm"), "named by --site and by --treatment"),
        (cells(response="yes"), CohortColumns("response"), "one value only"),
        (cells(response=""), CohortColumns("response"), "holds no outcome at all"),
        (lambda t: t.assign(response=["a", "b", "c"] * 20), CohortColumns("response"), r"3 values \(a, b, c\)"),
        (lambda t: t.assign(response=["well", "ill"] * 30), CohortColumns("response"), "with --positive"),
        (lambda t: t.assign(response=["well", "ill"] * 30), CohortColumns("response", "Well"), "holds ill, well"),
        (lambda t: t.assign(patient="P1"), CohortColumns("response"), "line 3: patient P1 stands twice"),
        (lambda t: t.assign(patient=""), CohortColumns("response"), "line 2: names no patient"),
        (lambda t: t.drop(columns="patient"), CohortColumns("response"), "no column for the patient"),
        (cells(site=""), CohortColumns("response", site="site"), "line 2: column 'site' is empty"),
        (cells(), CohortColumns("response", week2="week2"), "--week2 needs --baseline"),
        (
            lambda t: t.assign(copy=np.where(t["response"] == "yes", "good", "bad")),
            CohortColumns("response", covariates=("copy",)),
            "'copy' is the outcome under another name",
        ),
        (
            lambda t: t.assign(copy=2 * t["change"] + 1),
            CohortColumns("change", covariates=("copy",)),
            "'copy' is the outcome under another name",
        ),
        (lambda t: t.iloc[:0], CohortColumns("response"), "a header and no row"),
    ],
)
def test_what_cannot_be_read_is_refused(
    make_frame: MakeFrame, write_frame: WriteFrame, tmp_path: Path, change: Change, columns: CohortColumns, words: str
) -> None:
    path = write_frame(change(make_frame(60)), tmp_path / "c.csv")
    with pytest.raises(CrosstalkError, match=words) as caught:
        read_cohort(path, columns)
    assert isinstance(caught.value, (LearnError, UsageError, PanelError))


def test_a_bad_cell_has_its_own_line(make_frame: MakeFrame, write_frame: WriteFrame, tmp_path: Path) -> None:
    table = make_frame(60)
    table.loc[3, "response"] = ""
    table["IL-6 [pg/mL]"] = table["IL-6 [pg/mL]"].astype(str)
    table.loc[10, "IL-6 [pg/mL]"] = "-4"
    path = write_frame(table, tmp_path / "c.csv")
    with pytest.raises(PanelError, match=rf"{path}, line 12, patient P10, IL-6"):
        read_cohort(path, CohortColumns("response"))


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="no such file"):
        read_cohort(tmp_path / "none.csv", CohortColumns("response"))
    (tmp_path / "b.csv").write_bytes(b"patient,response\n\xff\xfe,1\n")
    with pytest.raises(PanelError, match="line 2: holds the byte 0xff, which is not UTF-8"):
        read_cohort(tmp_path / "b.csv", CohortColumns("response"))
    (tmp_path / "c.csv").write_text("patient,response\nA,1,2\nB,0,1\n")
    with pytest.raises(PanelError, match="line 2: has 3 columns, expected 2"):
        read_cohort(tmp_path / "c.csv", CohortColumns("response"))


def test_patients_in_a_long_panel(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    path.write_text("patient,analyte,value,unit\nA,hsCRP,5.2,mg/L\nA,sex,female,\nB,IL-6,<0.4,pg/mL\n")
    cohort = read_cohort(path, CohortColumns(None))
    assert cohort.patients == ("A", "B")
    assert cohort.table["hsCRP"].tolist()[0] == 5.2
    assert cohort.table["IL-6 below"].tolist() == [0.0, 1.0]
    with pytest.raises(UsageError, match="no column 'response'"):
        read_cohort(path, CohortColumns("response"))


def test_a_covariate_with_a_limit_of_detection_is_a_number(tmp_path: Path) -> None:
    rows = [f"P{i},{i % 2},{'<2.5' if i % 3 == 0 else 3 + i}" for i in range(30)]
    path = tmp_path / "cohort.csv"
    path.write_text("patient,resp,IL-8 [pg/mL]\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = read_cohort(path, CohortColumns(outcome="resp", covariates=("IL-8 [pg/mL]",)))
    assert found.table["IL-8 [pg/mL]"].iloc[0] == pytest.approx(2.5 / 2**0.5)
    assert found.table["IL-8 [pg/mL]"].iloc[1] == 4
    assert found.table["IL-8 [pg/mL] below"].tolist()[:4] == [1, 0, 0, 1]
    # what the analysis uses is not told as unread
    assert not [text for text in found.warnings if "columns not read" in text]
