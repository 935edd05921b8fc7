"""The verb `evidence moderation` on the command line: what it refuses, and what it prints and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--draws", "2"), 2, "greater than or equal to 3"),
        (("--without", "nosuch2000"), 2, "unknown study 'nosuch2000'"),
        (("--posterior", "no.nc"), 1, "no.nc: is no posterior of Crosstalk"),
        (("--patients", "5", "--draws", "3"), 2, "expected at least 20 patients and 3 worlds"),
    ],
)
def test_bad_input_is_named(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, _, err = run("evidence", "moderation", *arguments, "--quiet")
    assert found == code, err
    assert message in err


@pytest.mark.slow
@pytest.mark.parametrize("kind", [(), ("--main-effects",)])
def test_the_comparison_is_printed_and_written(run: Run, kind: tuple[str, ...], tmp_path: Path) -> None:
    outputs = tmp_path / "c.json", tmp_path / "c.html"
    options = ("--draws", "12", "--patients", "20", "--json", outputs[0], "--html", outputs[1])
    code, printed, err = run("evidence", "moderation", *kind, *options)
    assert code == 0, err
    assert "published results alone beside the model" in printed
    content = json.loads(outputs[0].read_text(encoding="utf-8"))
    assert content["kind"] == ("main effects" if kind else "moderation")
    assert sum(row["direct"]["k"] > 0 for row in content["rows"]) >= 6
    assert all(row["model"] is not None for row in content["rows"])
    page = outputs[1].read_text(encoding="utf-8")
    assert page.count("<svg") == 1 + sum(row["stated"]["k"] > 0 for row in content["rows"])
    again = run("evidence", "moderation", *kind, *options[:4], "--json", tmp_path / "again.json", "--quiet")
    assert again[0] == 0
    assert (tmp_path / "again.json").read_bytes() == outputs[0].read_bytes()
