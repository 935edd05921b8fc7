"""CSV that no spreadsheet runs, and that comes back as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.panel.entries import Entry
from crosstalk.panel.reader import read_panel
from crosstalk.report.plates import entries_csv
from crosstalk.spreadsheets import escape, frame_csv, rows_csv, unescape

SOURCE = Path(__file__).parents[1] / "src" / "crosstalk"
IDS = ["-2+3", "+1", "@SUM(1+1)", '=HYPERLINK("x")', "'=1", "''-1", "'s", "P-1", "-", "\uff1d1"]
IDS += ["+1+cmd|' /C calc'!A0"]


@given(st.text())
def test_escape_and_unescape_are_inverse(text: str) -> None:
    assert unescape(escape(text)) == text
    assert escape(text)[:1] not in {*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"}


def test_numbers_stay_numbers() -> None:
    frame = pd.DataFrame({"id": IDS[:3], "x": [-1.5, np.nan, 2.0], "n": [-1, 2, 3], "=f": ["a", None, "-b"]})
    rows = list(csv.reader(io.StringIO(frame_csv(frame))))
    assert rows == [
        ["id", "x", "n", "'=f"], ["'-2+3", "-1.5", "-1", "a"], ["'+1", "", "2", ""], ["'@SUM(1+1)", "2.0", "3", "'-b"],
    ]  # fmt: skip
    assert rows_csv(("a",), [(-1.5,), ("-1.5",), (None,)]) == 'a\n-1.5\n\'-1.5\n""\n'


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_ids_come_back_from_what_was_written(tmp_path: Path, layout: str) -> None:
    file = tmp_path / "p.csv"
    if layout == "long":
        file.write_text(entries_csv([Entry("", who, "hsCRP", "5", "mg/L") for who in IDS]), encoding="utf-8")
    else:
        file.write_text(frame_csv(pd.DataFrame({"patient": IDS, "hsCRP [mg/L]": 5.0})), encoding="utf-8")
    assert [p.patient for p in read_panel(file).panels] == IDS
    first = [row[0] for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8")))]
    assert not any(cell[0] in "=+-@" for cell in first)


def test_everything_that_is_exported_goes_through_here() -> None:
    """A hash of a table and tables for our own reader aside."""
    found = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if ".to_csv(" in (text := path.read_text(encoding="utf-8")) or "csv.writer(" in text
    ]
    assert set(found) <= {"spreadsheets.py", "learn/kept.py", "api/inputs.py"}
