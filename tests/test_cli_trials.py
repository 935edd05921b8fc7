"""The verb `trial`: a design file in; tables, JSON, report and data out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Run = Callable[..., tuple[int, str, str]]


SMALL = Path(__file__).parent / "trial" / "small.toml"


def test_a_trial_from_file_to_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = {k: tmp_path / f"out.{k}" for k in ("json", "html", "csv", "cdisc")}
    code, said, err = run(
        "trial", SMALL, "--replicates", 6, "--worlds", 2, "--jobs", 1, "--json", out["json"], "--html", out["html"],
        "--csv", out["csv"], "--cdisc", out["cdisc"],
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out["json"].read_text(encoding="utf-8"))
    assert found["replicates"] == 6
    assert set(found["power"]) == {"value", "se"}
    for words in ("Primary analysis 'primary'", "Power and error: 6 simulated trials each", "written:"):
        assert words in said
    assert out["html"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(pd.read_csv(out["csv"])) == 60 * 4
    assert "USUBJID" in pd.read_csv(out["cdisc"]).columns
    # nothing else is left behind
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in out.values()}
    assert not list((Path(os.environ["CROSSTALK_CACHE"]) / "trials").glob("small-*"))


def test_a_search(run: Run, tmp_path: Path) -> None:
    out = {k: tmp_path / f"out.{k}" for k in ("json", "html")}
    code, said, err = run(
        "trial", SMALL, "--optimise", "--replicates", 4, "--cutoffs", "1,3", "--sizes", "30,60", "--weeks", "4",
        "--jobs", 1, "--json", out["json"], "--html", out["html"],
    )  # fmt: skip
    assert code == 0, err
    rows = json.loads(out["json"].read_text(encoding="utf-8"))["candidates"]
    assert {(c["cutoff"], c["n"]) for c in rows} == {(c, n) for c in (1.0, 3.0) for n in (30, 60)}
    assert any(c["front"] for c in rows)
    assert "Designs: the front" in said


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((SMALL, "--optimise", "--sizes", "many"), 2, "--sizes: received 'many'; expected numbers with commas between"),
        ((SMALL, "--optimise", "--sizes", "30.5"), 2, "--sizes: received '30.5'; expected whole numbers"),
        (
            (SMALL, "--optimise", "--csv", "x.csv"),
            2,
            "--csv, --cdisc and --rpact belong to one trial; a search has none",
        ),
        ((SMALL, "--cutoffs", "1,2"), 2, "--cutoffs belongs to a search; add --optimise"),
        (("raison2013",), 1, "raison2013: study 'raison2013': has no table [trial]; add one"),
        (("nowhere.toml",), 1, "nowhere.toml: no such file"),
    ],
)
def test_wrong_use_is_said(run: Run, words: tuple[object, ...], code: int, message: str) -> None:
    found, _, err = run("trial", *words)
    assert found == code
    assert message in err


def test_a_design_that_cannot_be_done_is_refused_with_its_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(SMALL.read_text(encoding="utf-8").replace("week = 4", "week = 9"), encoding="utf-8")
    code, _, error = run("trial", path)
    assert code == 1
    assert "wrong.toml: line " in error
    assert "trial > analysis 1 > week: received 9, which lies after the last visit (week 4)" in error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    work = tmp_path / "work"
    command = [
        sys.executable, "-m", "crosstalk", "trial", str(SMALL), "--replicates", "5000", "--worlds", "2", "--jobs", "2",
        "--work", str(work),
    ]  # fmt: skip
    # a shell lets its background jobs ignore interruptions, and so would we
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        until = time.monotonic() + 200
        while len(list(work.rglob("trial-*.bin"))) < 2 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, error
    assert "interrupted; what is done is kept" in error
    assert "Traceback" not in error
    assert list(work.rglob("trial-*.bin"))
