"""The first half hour of a new user: the built wheel in a clean environment, outside of the project."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "first_half_hour.md"
README = ROOT / "README.md"
LONG = {"calibrate", "validate", "qualify", "sensitivity"}
"""Verbs of the README that take an hour, or a trial file of one's own."""
SMALL = {"simulate": "--patients 20", "trial": "--replicates 4 --worlds 2"}
"""So that a test can run them; the command is the page's."""


def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_check", ROOT / "docs" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(page: Path) -> list[list[str]]:
    lines = (line for body in check().blocks(page, "console") for line in body.splitlines())
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ crosstalk")]


def test_the_pages_hold_what_the_test_runs() -> None:
    assert [c[1] for c in commands(PAGE)] == ["demo", "read", "assess", "forecast", "read", "forecast"]
    verbs = [c[1] for c in commands(README)]
    assert {"forecast", "assess", "plate", "simulate", "trial", "drugs"} <= set(verbs)
    assert set(verbs) - LONG == {"forecast", "assess", "plate", "simulate", "trial", "drugs"}


@pytest.mark.slow
def test_the_first_half_hour_and_each_command_of_the_readme(tmp_path: Path) -> None:
    wheel, there = tmp_path / "wheel", tmp_path / "home"
    there.mkdir()
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheel), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        pytest.skip(f"no wheel can be built here: {built.stderr[-300:]}")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    file = next(wheel.glob("*.whl"))
    pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    made = subprocess.run([*pip, f"{file}[all]"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the wheel's requirements cannot be had here: {made.stderr[-300:]}")

    def run(*words: str, code: int = 0) -> str:
        own = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [str(python), *words], cwd=there, capture_output=True, text=True, check=False,
            env={**own, "COLUMNS": "80"},
        )  # fmt: skip
        assert "Traceback" not in done.stderr or words[0] == "-c", done.stderr
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    assert str(environment) in run("-c", "import crosstalk; print(crosstalk.__file__)")
    text = PAGE.read_text(encoding="utf-8")
    own = re.search(r"```text\n(patient,.*?)```", text, re.DOTALL)
    assert own is not None
    (there / "own.csv").write_text(own[1])
    for words in commands(PAGE):
        if words[1:3] == ["forecast", "own.csv"]:
            # the mistake that the page speaks of, then mended
            assert "line 4, patient P3, IL-6" in run("-m", "crosstalk", "assess", "own.csv", code=1)
            (there / "own.csv").write_text(own[1].replace("5.1 mg/L", "5.1"))
        run("-m", *words)
    rows = (there / "forecasts.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in rows[1:]} == {"P1", "P2", "P3"}
    for name in ("cohort.html", "scores.csv", "report.html", "report.json"):
        assert (there / name).stat().st_size > 0
    for words in commands(README):
        if words[1] not in LONG:
            run("-m", *words, *shlex.split(SMALL.get(words[1], "")))
    for page in (PAGE, README):
        for body in check().blocks(page, "python"):
            run("-c", body)
    run("examples/notebooks/cohort.py")
    installed = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(there / "examples" / "extension")]
    if subprocess.run(installed, capture_output=True, check=False).returncode == 0:
        assert "antibody against IL-6" in run("-m", "crosstalk", "drugs", "example-anti-il6")
    shutil.rmtree(environment)
