"""Study files that ask for the endless, and doses that are asked back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from crosstalk.errors import StudyError
from crosstalk.study.schema import read_study

STUDY = """[study]
id = "mine"
role = "design"
outputs = ["HAMD17"]
{study}
[population]
diagnosis = "mdd"
{population}
[[arm]]
id = "a"
{arm}
[[arm]]
id = "b"
"""


def read(folder: Path, study: str = "", population: str = "", arm: str = "", more: str = "") -> None:
    path = folder / "mine.toml"
    path.write_text(STUDY.format(study=study, population=population, arm=arm) + more)
    begun = time.process_time()
    try:
        read_study(path)
    finally:
        assert time.process_time() - begun < 3


def dose(amount: str = "2", unit: str = "ng/kg", more: str = "hours = [0]") -> str:
    return f'dose = [{{ drug = "lps", amount = {amount}, unit = "{unit}", route = "iv", {more} }}]'


RESULT = """[[result]]
endpoint = "level"
of = "HAMD17"
arm = "a"
value = 9
unit = "points"
se = 1
source = "x"
provenance = "seen"
"""
TRIAL = '[trial]\nn = {n}\n[[trial.analysis]]\nid = "x"\nmethod = "mmrm"\nof = "HAMD17"\nweek = 8\narm = "a"\n'


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"study": "duration_weeks = 1e9"}, "duration_weeks: received 1000000000.0, expected less than or equal to"),
        ({"study": "visits = [0, 1e9]"}, "visits 2: received 1000000000.0"),
        ({"study": "times_h = [0, 1e300]"}, "times_h 2: received 1e+300"),
        ({"study": f"times_h = {[i / 10 for i in range(10_001)]}"}, "at most 10000 items"),
        ({"study": "duration_weeks = 1e-300"}, "expected a length"),
        ({"more": RESULT + "week = 1e9\n"}, "result 1 > week: received 1000000000.0"),
        ({"population": "failed_steps = 1000"}, "failed_steps: received 1000, expected less than or equal to 10"),
        ({"population": "age = { mean = 1.5, sd = 0.2, min = 1, max = 2 }"}, "min: received 1, expected 16 to 110"),
        ({"population": "age = { mean = 40, sd = 1e300 }"}, "age > sd: received 1e+300"),
        ({"population": "bmi = { mean = 1e-300, sd = 5, min = 0 }"}, "bmi > min: received 0, expected 11 to 95"),
        ({"population": 'eligible = [{ analyte = "hsCRP", min = 1e9, unit = "mg/L" }]'}, "nobody reaches"),
        ({"population": 'eligible = [{ analyte = "HAMD17", min = 20, unit = "%" }]'}, "no unit but points"),
        ({"arm": dose("1e300", "mg/kg")}, "times the usual dose of lps"),
        ({"arm": dose("1e308", "mg/kg")}, "inf times the usual dose of lps"),
        ({"arm": dose("2", "ug/kg")}, "1e+03 times the usual dose of lps"),
        ({"arm": dose(more="every_h = 1e-9")}, "expected every 0.25 h"),
        ({"arm": dose(more='every = "' + "9" * 400 + ' h"')}, "expected every 0.25 h"),
        ({"arm": dose("0.002", more="every_h = 0.25"), "study": "duration_weeks = 520"}, "doses in the whole study"),
        ({"more": TRIAL.format(n=10**22)}, "trial > n: received 10000000000000000000000, expected less"),
        ({"study": "x = " + "[" * 5000 + "]" * 5000}, "more than 100 deep"),
        ({"more": "[" + ".".join("a" * 5000) + "]\n"}, "more than 100 deep"),
        ({"study": "x = " + "9" * 5000}, "not valid TOML: Exceeds the limit"),
        ({"study": "x = '" + "y" * 500_000 + "'"}, "unknown key"),
        ({"study": "# " + "y" * 1_000_000}, "such a file has at most 1 MB"),
        ({"more": "[" + " " * 100_000 + "\n"}, "not valid TOML"),
    ],
)  # fmt: skip
def test_the_endless_is_refused_by_name(tmp_path: Path, parts: dict[str, str], words: str) -> None:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, **parts)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 20_000


def test_a_confirmed_dose_is_taken(tmp_path: Path) -> None:
    read(tmp_path, arm=dose("2", "ug/kg", "hours = [0], confirmed = true"))
    with pytest.raises(StudyError, match="times the usual dose"):
        read(tmp_path, arm=dose("1e308", "g/kg", "hours = [0], confirmed = true"))


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        read_study("x" * 5000)
