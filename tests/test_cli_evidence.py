"""The verb `evidence moderation` on the command line: what it refuses, and what it prints and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crosstalk", "evidence", "moderation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--draws", "2"), 2, "greater than or equal to 3"),
        (("--without", "nosuch2000"), 2, "unknown study 'nosuch2000'"),
        (("--posterior", "no.nc"), 1, "no.nc: is no posterior of Crosstalk"),
        (("--patients", "5", "--draws", "3"), 2, "expected at least 20 patients and 3 worlds"),
    ],
)
def test_bad_input_is_named(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = call(*arguments, "--quiet")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ("--main-effects",)])
def test_the_comparison_is_printed_and_written(kind: tuple[str, ...], tmp_path: Path) -> None:
    outputs = tmp_path / "c.json", tmp_path / "c.html"
    options = ("--draws", "12", "--patients", "20", "--json", outputs[0], "--html", outputs[1])
    done = call(*kind, *options)
    assert done.returncode == 0, done.stderr
    assert "published results alone beside the model" in done.stdout
    content = json.loads(outputs[0].read_text(encoding="utf-8"))
    assert content["kind"] == ("main effects" if kind else "moderation")
    assert sum(row["direct"]["k"] > 0 for row in content["rows"]) >= 6
    assert all(row["model"] is not None for row in content["rows"])
    page = outputs[1].read_text(encoding="utf-8")
    assert page.count("<svg") == 1 + sum(row["stated"]["k"] > 0 for row in content["rows"])
    again = call(*kind, *options[:4], "--json", tmp_path / "again.json", "--quiet")
    assert again.returncode == 0
    assert (tmp_path / "again.json").read_bytes() == outputs[0].read_bytes()
