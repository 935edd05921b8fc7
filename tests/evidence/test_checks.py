"""The check of study files: each finding, its grade, its place; and that the shipped files pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstalk.errors import StudyError
from crosstalk.evidence.checks import CHECKS, check_studies
from crosstalk.evidence.records import CheckReport

from .conftest import MISMATCH, Write, change, smd, study


def found(report: CheckReport, check: str) -> list[tuple[str, str]]:
    return [(line.grade, line.study) for line in report.lines if line.check == check]


def test_the_shipped_studies_pass() -> None:
    report = check_studies()
    assert [line for line in report.lines if line.grade == "fail"] == []
    assert report.studies >= 70
    assert report.results >= 220


def test_a_sound_study_has_no_finding(write: Write) -> None:
    report = check_studies([write(study("a2001", smd(-0.5), role="calibrate"))])
    assert report.lines == ()
    assert not report.failed
    assert (report.studies, report.results) == (1, 1)


def test_a_schema_error_has_file_line_and_key(write: Write) -> None:
    path = write(study("a2001", smd(-0.5)).replace('role = "context"', 'role = "kontext"'))
    line = check_studies([path]).lines[0]
    assert (line.grade, line.check, line.study, line.place) == ("fail", "schema", "a2001", "a2001.toml:4")
    assert line.message.startswith("study > role: received 'kontext'")
    broken = check_studies([write("nonsense", name="b2002")]).lines[0]
    assert broken.check == "schema"
    assert "not valid TOML" in broken.message


def test_the_form_of_a_doi(write: Write) -> None:
    report = check_studies([write(study("a2001", smd(1), doi="https://doi.org/10.1000/a2001"))])
    assert found(report, "schema") == [("fail", "a2001")]
    for doi in ("10.1000/a2001.", "10.1016/s0140-6736(17)32802-7)"):
        assert found(check_studies([write(study("a2001", smd(1), doi=doi))]), "DOI") == [("fail", "a2001")]
    assert not check_studies([write(study("a2001", smd(1), doi="10.1016/s0140-6736(17)32802-7"))]).lines


def test_the_file_has_the_name_of_the_study(write: Write) -> None:
    assert found(check_studies([write(study("a2001", smd(1)), name="b2002")]), "file name") == [("fail", "a2001")]


def test_duplicates(write: Write, tmp_path: Path) -> None:
    write(study("a2001", smd(-0.5), smd(-0.4), smd(-0.3, week=2)))
    write(study("b2002", smd(-0.5), doi="10.1000/a2001"))
    write(study("c2003", smd(-0.5)))
    report = check_studies([tmp_path])
    assert found(report, "duplicate result") == [("fail", "a2001"), ("fail", "b2002"), ("warn", "c2003")]
    assert found(report, "DOI") == [("note", "a2001")]
    twice = [line for line in report.lines if line.check == "duplicate result"]
    assert twice[0].place.startswith("a2001.toml:")
    assert "stands at a2001.toml:" in twice[0].message
    # two files of one publication say whether they are of the same patients
    assert found(report, "same patients") == [("fail", "a2001"), ("fail", "b2002")]


def test_files_of_one_publication_that_name_their_cohorts_pass(write: Write, tmp_path: Path) -> None:
    for name, cohort in (("a2001", "first"), ("b2002", "second")):
        text = study(name, smd(-0.5), doi="10.1000/a2001")
        write(text.replace("[study]", f'[study]\ncohort = "{cohort}"'), name)
    assert found(check_studies([tmp_path]), "same patients") == []


def test_other_patients_of_one_publication_are_no_duplicates(write: Write, tmp_path: Path) -> None:
    write(study("a2001", smd(-0.5)))
    write(study("b2002", smd(-0.4), doi="10.1000/a2001", population='diagnosis = "mdd"\nfailed_steps = 2'))
    assert found(check_studies([tmp_path]), "duplicate result") == []


def test_a_meta_analysis_beside_its_trials(write: Write, tmp_path: Path) -> None:
    write(study("a2001", smd(-0.5), role="calibrate"))
    write(study("m2002", smd(-0.4), role="calibrate", mismatch=MISMATCH.replace("trial", "meta-analysis")))
    assert found(check_studies([tmp_path]), "duplicate result") == [("warn", "m2002")]


@pytest.mark.parametrize(
    ("role", "mismatch", "grade"),
    [
        ("calibrate", "", ["fail"]),
        ("validate", "", ["warn"]),
        ("context", "", []),
        ("calibrate", 'mismatch = { indication = "exact", species = "human", quality = "trial" }', ["warn"]),
    ],
)
def test_mismatch_grades(write: Write, role: str, mismatch: str, grade: list[str]) -> None:
    report = check_studies([write(study("a2001", smd(1), role=role, mismatch=mismatch))])
    assert [g for g, _ in found(report, "grades")] == grade
    assert report.failed == ("fail" in grade)


def test_errors_and_memory(write: Write) -> None:
    none = 'endpoint = "odds-ratio"; of = "HAMD17"; versus = "control"; value = 2'
    recalled = smd(-0.5).replace("week", 'provenance = "memory"; week')
    assumed = change(-3, 'se = 1; se_source = "assumed: SD of change 7"')
    report = check_studies([write(study("a2001", none, recalled, assumed))])
    assert found(report, "standard error") == [("warn", "a2001")]
    assert found(report, "memory") == [("note", "a2001")]
    assert found(report, "assumed error") == [("note", "a2001")]
    fitted = check_studies([write(study("a2001", recalled, role="calibrate"))])
    assert found(fitted, "memory") == [("warn", "a2001")]
    # the schema itself asks for an error where a result is fitted
    assert found(check_studies([write(study("a2001", none, role="calibrate"))]), "schema") == [("fail", "a2001")]


def test_the_report_is_ordered_and_counted(write: Write, tmp_path: Path) -> None:
    write(study("a2001", smd(1).replace("week", 'provenance = "memory"; week'), role="calibrate", mismatch=""))
    write(study("b2002", change(-3, 'se = 1; se_source = "assumed: x"')))
    report = check_studies([tmp_path])
    assert [line.grade for line in report.lines] == ["fail", "warn", "note"]
    assert report.checks == CHECKS
    assert report.count("grades", "fail") == 1
    assert report.count("grades", "warn") == 0


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such file"):
        check_studies([tmp_path / "absent.toml"])
