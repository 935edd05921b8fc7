"""Published results have the sign that the papers give in words, and errors of several groups add up as they must."""

from __future__ import annotations

import tomllib
from math import sqrt
from pathlib import Path

import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.study.records import Result, Study
from crosstalk.study.schema import read_study

KNOWLEDGE = load_knowledge()
WORDS = tomllib.loads((Path(__file__).parent / "directions.toml").read_text(encoding="utf-8"))
BETTER_BELOW = ("change", "smd", "level")
BETTER_ABOVE = ("response", "remission")
SYMPTOMS = {*KNOWLEDGE.scales, "NV", "MC", "MOOD"}


def drugs(study: Study, arm: str) -> set[str]:
    return {dose.drug for a in study.arms if a.id == arm for dose in a.all_doses}


def diagnosis(study: Study, arm: str) -> str:
    return next(a.diagnosis or study.population.diagnosis for a in study.arms if a.id == arm)


def wanted(study: Study, result: Result) -> str:
    """Direction of a comparison: ``+``, ``-``, or empty where nobody can say."""
    people = {diagnosis(study, name) for name in (result.arm, result.versus)}
    if people == {"mdd", "healthy"} and diagnosis(study, result.arm) == "mdd":
        return str(WORDS["depressed-against-controls"][result.of])
    more, less = (
        drugs(study, a) - drugs(study, b) for a, b in ((result.arm, result.versus), (result.versus, result.arm))
    )
    worse = set(WORDS["worse"]["drugs"])
    if result.of in SYMPTOMS and more and not less - {"nortriptyline"}:
        harm = bool(more & worse)
        below = result.endpoint in BETTER_BELOW
        if below or result.endpoint in (*BETTER_ABOVE, "odds-ratio"):
            return "+" if harm is below else "-"
    if result.of in ("TNF", "IL-6", "IL6", "IL-10", "IL10") and more & {"lps"}:
        return "+"
    return ""


def compared() -> list[tuple[str, Study, Result]]:
    found = []
    for name in sorted(KNOWLEDGE.study_files):
        study = read_study(name, KNOWLEDGE)
        for number, result in enumerate(study.results):
            if result.versus and result.value is not None and wanted(study, result):
                found.append((f"{name} {number}", study, result))
    return found


COMPARED = compared()


@pytest.mark.parametrize(("label", "study", "result"), COMPARED, ids=[label for label, _, _ in COMPARED])
def test_a_published_difference_points_where_the_paper_says(label: str, study: Study, result: Result) -> None:
    null = 1.0 if result.endpoint in ("ratio", "odds-ratio") else 0.0
    assert result.value is not None
    away = (result.value - null) * (1 if wanted(study, result) == "+" else -1)
    if label in WORDS["exceptions"]:
        assert away < 0, f"{label} is no exception any more"
    else:
        assert away >= 0, (
            f"{label}: {result.endpoint} of {result.of} is {result.value:g}; expected {wanted(study, result)}"
        )


def test_most_comparisons_are_covered_and_every_exception_exists() -> None:
    assert len(COMPARED) > 100
    assert set(WORDS["exceptions"]) <= {label for label, _, _ in COMPARED}


def test_endotoxin_raises_every_cytokine_and_treatment_lowers_scores() -> None:
    for name in sorted(KNOWLEDGE.study_files):
        study = read_study(name, KNOWLEDGE)
        for result in study.results:
            if result.endpoint != "change" or result.versus or result.value is None:
                continue
            given = drugs(study, result.arm)
            if "lps" in given and result.of in ("TNF", "IL-6", "IL-10"):
                assert result.value > 0, (name, result.of)
            elif result.of in KNOWLEDGE.scales and study.population.diagnosis == "mdd":
                assert result.value < 0, (name, result.of)


STUDY = """
[study]
id = "two"
doi = "10.1/x"
role = "calibrate"
duration_weeks = 6
[population]
diagnosis = "mdd"
[[arm]]
id = "a"
[[arm]]
id = "b"
[[result]]
endpoint = "change"
of = "HAMD17"
week = 6
arm = "a"
versus = "b"
value = -2
unit = "points"
sd = [6, 8]
n = [20, 50]
source = "table"
provenance = "seen"
mismatch = {{ indication = "exact", species = "human", design = "exact", quality = "trial" }}
"""


def test_the_error_of_a_difference_is_that_of_both_groups(tmp_path: Path) -> None:
    """Squares of the two errors add up; they are not averaged."""
    path = tmp_path / "two.toml"
    path.write_text(STUDY.replace("{{", "{").replace("}}", "}").replace("10.1/x", "10.1234/x"), encoding="utf-8")
    (result,) = read_study(path).results
    assert result.se == pytest.approx(sqrt(6**2 / 20 + 8**2 / 50))
