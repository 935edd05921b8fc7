"""Occasions of one person as a course: baseline and later scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstalk.errors import PanelError
from crosstalk.panel.reader import read_panel
from crosstalk.twin.visits import course_of


def course(folder: Path, text: str, **more: int) -> tuple[float, list[tuple[int, float]], str]:
    path = folder / "t.csv"
    path.write_text(text)
    panel, scores, told = course_of(read_panel(path, occasion="each"), "A", **more)
    return panel.measurements["HAMD17"].value, [(s.week, s.score) for s in scores], " ".join(told)


@pytest.mark.parametrize(
    "text",
    [
        "patient,visit,hsCRP [mg/L],HAMD17\nA,Week 2,,20\nA,Baseline,4,24\nA,Week 4,3,15\nB,Baseline,1,20\n",
        "patient,redcap_event_name,hsCRP [mg/L],HAMD17\nA,baseline_arm_1,4,24\nA,week_2_arm_1,,20\n"
        "A,week_4_arm_1,3,15\n",
        "patient,date,hsCRP [mg/L],HAMD17\nA,2024-03-01,4,24\nA,2024-03-15,,20\nA,2024-03-30,3,15\n",
        "patient,visit,analyte,value,unit\nA,Baseline,hsCRP,4,mg/L\nA,Baseline,HAMD17,24,\nA,Woche 2,HAMD17,20,\n"
        "A,Woche 4,HAMD17,15,\nA,Woche 4,hsCRP,3,mg/L\n",
        "patient,visit,date,hsCRP [mg/L],HAMD17\nA,V1,01.03.2024,4,24\nA,V2,15.03.2024,,20\nA,V3,30.03.2024,3,15\n",
    ],
)
def test_the_first_occasion_is_the_baseline_and_later_scores_are_seen(tmp_path: Path, text: str) -> None:
    start, scores, told = course(tmp_path, text)
    assert (start, scores) == (24.0, [(2, 20.0), (4, 15.0)])
    assert "week 2: HAMD17=20, week 4: HAMD17=15" in told
    assert "not hsCRP" in told


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    text = "patient,visit,HAMD17,PHQ9\nA,Baseline,24,\nA,Week 2,,12\nA,Week 12,9,\n"
    assert course(tmp_path, text)[1] == []
    assert "not used: Week 2, Week 12" in course(tmp_path, text)[2]
    assert course(tmp_path, text, weeks=24)[1] == [(12, 9.0)]


def test_an_order_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="cannot be told"):
        course(tmp_path, "patient,visit,HAMD17\nA,ward,24\nA,clinic,20\n")
