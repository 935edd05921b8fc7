"""The verbs about belief on the command line: what they print, what they write, and what they refuse."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, str, str]]
STUDY = """
[study]
id = "mine2026"
doi = "10.1000/mine"
role = "validate"
duration_weeks = 6
[population]
diagnosis = "mdd"
[[arm]]
id = "drug"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every = "24 h" }]
[[arm]]
id = "placebo"
[[result]]
endpoint = "change"
of = "HAMD17"
week = 6
arm = "drug"
versus = "placebo"
value = -2
unit = "points"
se = 1.0
source = "abstract"
provenance = "seen"
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "mine2026.toml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_validate_judges_a_readers_own_trial(run: Run, study: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "v.json", tmp_path / "v.html"
    code, printed, err = run(
        "validate",
        str(study),
        "--draws",
        "4",
        "--patients",
        "6",
        "--prior-draws",
        "4",
        "--json",
        str(out),
        "--html",
        str(page),
    )
    assert code == 0, err
    assert "mine2026" in printed
    # skill first, then the coverage of all three, then the verdicts
    order = [printed.index(words) for words in ("Skill, results that", "Results inside 90 %", "1 result of 1 study")]
    assert order == sorted(order)
    assert "too few" in printed
    found = json.loads(out.read_text())
    (verdict,) = found["results"]
    assert set(verdict) >= {
        "study", "role", "endpoint", "of", "arm", "versus", "stratum", "week", "observed", "observed_se",
        "predicted_median", "lo90", "hi90", "inside90", "sign_ok", "log_score", "log_score_no_effect",
        "log_score_class_mean", "domain", "figure", "crps", "prior", "trivial",
    }  # fmt: skip
    assert (verdict["observed"], verdict["week"]) == (-2, 6)
    assert found["overall"]["results"] == 1
    assert found["overall"]["coverage"]["results"] == 1
    assert [s["domain"] for s in found["overall"]["skill"]] == ["all", "treatment contrast"]
    assert found["source"] == "posterior"
    assert "<svg" in page.read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_bytes(run: Run, study: Path, tmp_path: Path) -> None:
    texts = []
    for name, jobs in (("a", "1"), ("b", "2")):
        out = tmp_path / f"{name}.json"
        code, _, err = run(
            "validate",
            str(study),
            "--draws",
            "4",
            "--patients",
            "6",
            "--prior-draws",
            "4",
            "--json",
            str(out),
            "--jobs",
            jobs,
            "-q",
        )
        assert code == 0, err
        texts.append(out.read_bytes())
    assert texts[0] == texts[1]


def test_sensitivity_names_what_a_benefit_depends_on(run: Run) -> None:
    code, printed, err = run("sensitivity", "ssri-infliximab", "--versus", "ssri", "--patients", "400", "--week", "8")
    assert code == 0, err
    assert "of the patient" in printed


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('of = "HAMD17"', 'of = "ferritine"', ["result 1", "ferritine"]),
        ('versus = "placebo"\n', 'versus = "placebo"\nstratum = { min = 5, unit = "mg/L" }\n', ["stratum", "analyte"]),
        ("se = 1.0", "ci = [-1.5, 1.0]", ["ci", "does not hold value -2"]),
        ('arm = "drug"\n', 'arm = "drug"\nn = -3\n', ["n", "-3"]),
        ('endpoint = "change"', 'endpoint = "hazards"', ["endpoint", "hazards", "hazard-ratio"]),
        ('endpoint = "change"', 'endpoint = "hazard-ratio"', ["event is missing", "hazard-ratio"]),
        ('arm = "drug"\n', 'arm = "treated"\n', ["treated", "drug or placebo"]),
    ],
)
def test_study_files_that_make_no_sense(run: Run, study: Path, old: str, new: str, words: list[str]) -> None:
    study.write_text(broken(STUDY, old, new), encoding="utf-8")
    code, _, err = run("validate", str(study), "--draws", "2", "--patients", "2")
    assert code == 1
    for word in (str(study), *words):
        assert word in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("calibrate", "--members", "5"), "members = 5; expected at least 20"),
        (("calibrate", "--effort", "0"), "effort = 0"),
        (("calibrate", "--fix", "shape_window"), "expected NAME=VALUE"),
        (("calibrate", "--fix", "shape_windo=0"), "shape_window"),
        (("calibrate", "--fix", "gate_SSRI=7"), "expected 0 to 1"),
        (("calibrate", "--out", "nowhere/posterior.nc"), "does not exist"),
        (("validate", "nosuchstudy"), "nosuchstudy"),
        (("validate", "--folds", "3"), "--folds goes only with --leave-out"),
        (("validate", "--leave-out", "--draws", "9"), "--draws goes without --leave-out"),
        (("validate", "--leave-out", "otte2025"), "no study that the model is fitted to"),
        (("validate", "--leave-out", "--folds", "1"), "1 folds; expected 2 to"),
        (("validate", "--leave-out", "--members", "5"), "members = 5; expected at least 20"),
        (("sensitivity", "ssri", "--versus", "ssri"), "expected two regimens"),
    ],
)
def test_calls_that_make_no_sense(
    run: Run, arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code in (1, 2)
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_posterior_of_another_version_is_named_and_not_used(
    run: Run, study: Path, tmp_path: Path, edited: Any
) -> None:
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import POSTERIOR

    path = tmp_path / "old.nc"
    path.write_bytes((load_knowledge().root / POSTERIOR).read_bytes())
    with edited(path) as file:
        file.attrs["model"], file.attrs["crosstalk"] = "0" * 64, "0.0.1"
    for arguments in (("validate", str(study)), ("qualify", "--html", str(tmp_path / "c.html"))):
        code, _, err = run(*arguments, "--posterior", str(path))
        assert code in (1, 2)
        assert "made by version 0.0.1 for another model" in err
        assert "crosstalk calibrate" in err
    code, _, err = run("validate", str(study), "--posterior", str(study))
    assert code == 1
    assert "no posterior of Crosstalk" in err


@pytest.mark.slow
def test_an_interrupted_calibration_keeps_what_is_done(tmp_path: Path) -> None:
    out = tmp_path / "p.nc"
    command = [sys.executable, "-m", "crosstalk", "calibrate", "--out", str(out), "--members", "20", "--effort", "0.1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    work = tmp_path / ".p.nc.work"
    try:
        until = time.monotonic() + 400
        while not list(work.glob("calibration-*.bin")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    assert not out.exists()
    assert list(work.glob("calibration-*.bin"))
