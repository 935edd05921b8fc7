"""Every word that a report looks up by a choice of the code exists, whatever the choice."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from crosstalk.calibrate.identifiability import Level
from crosstalk.calibrate.sensitivity import Influence
from crosstalk.evidence.comparable import CONTRASTS
from crosstalk.evidence.listing import ROLES
from crosstalk.evidence.records import Contrast
from crosstalk.panel.plates.quality_records import Grade, SampleResult
from crosstalk.panel.records import Quality
from crosstalk.report import credibility, plates, trials, words
from crosstalk.study.design import Design, DesignKind, Interim
from crosstalk.twin.cohort_records import Status
from crosstalk.twin.cohort_summary import STATUSES
from crosstalk.twin.records import ProfileItem

SOURCE = Path(__file__).parents[2] / "src" / "crosstalk"


def field(record: type, name: str) -> Any:
    return get_type_hints(record)[name]


@pytest.mark.parametrize(
    ("table", "choices"),
    [
        (words.USES, field(ProfileItem, "use")),
        (words.PLACES, field(ProfileItem, "position")),
        (plates.MARKS, Quality),
        (plates.GRADES, Grade),
        (plates.SIGNS, field(SampleResult, "censored")),
        (credibility.LEVELS, Level),
        (credibility.KINDS, field(Influence, "kind")),
        (trials.KINDS, DesignKind),
        (trials.MULTIPLICITY, field(Design, "multiplicity")),
        (trials.BOUNDARIES, field(Interim, "boundary")),
        (CONTRASTS, Contrast),
        (dict.fromkeys(STATUSES), Status),
    ],
)
def test_each_table_has_a_word_for_each_choice(table: Mapping[str, str], choices: Any) -> None:
    assert set(table) == set(get_args(choices))


def test_each_role_of_a_study_has_words() -> None:
    assert set(words.ROLES) == set(ROLES)


def test_no_report_looks_a_choice_up_in_a_table_without_a_name() -> None:
    """A table within an expression escapes the test above; of true, false and none there are no more."""
    found = []
    for path in (SOURCE / "report").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
                keys = [k.value for k in node.value.keys if isinstance(k, ast.Constant)]
                if any(isinstance(k, str) for k in keys):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
