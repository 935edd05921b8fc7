"""The verb `analyse`: data and design in; tables, report, JSON and CSV out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Run = Callable[..., tuple[int, str, str]]

DESIGN = """
title = "Example"
[data]
layout = "wide"
patient = "id"
arm = "arm"
control = "sugar"
baseline = "base"
visits = { "w4" = 4, "w8" = 8 }
[outcome]
name = "HAMD-17"
[[analysis]]
id = "main"
method = "mmrm"
[[analysis]]
id = "remission"
method = "remission"
[[analysis]]
id = "time"
method = "time-to-remission"
[[analysis]]
id = "marker"
method = "interaction"
marker = "crp"
[[analysis]]
id = "missing"
method = "sensitivity"
strategies = ["MAR", "J2R"]
imputations = 10
tipping = 8
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(1)
    arm, base = np.repeat(["sugar", "active"], 30), rng.integers(18, 30, 60)
    table = pd.DataFrame({"id": range(60), "arm": arm, "base": base, "crp": np.exp(rng.normal(size=60)).round(2)})
    for week in (4, 8):
        table[f"w{week}"] = (base - week - 3 * (arm == "active") + rng.normal(0, 4, 60)).round().clip(0, 52)
    table.loc[::7, "w8"] = np.nan
    table.to_csv(tmp_path / "trial.csv", index=False)
    (tmp_path / "design.toml").write_text(DESIGN)
    return tmp_path / "trial.csv", tmp_path / "design.toml"


def test_from_data_to_files(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    data, design = files
    out = {k: tmp_path / f"out.{k}" for k in ("html", "json", "csv")}
    code, said, err = run(
        "analyse", data, "--design", design, "--html", out["html"], "--json", out["json"], "--csv", out["csv"]
    )
    assert code == 0, err
    for words in ("Primary analysis 'main', active against sugar at week 8", "J2R", "hazard ratio", "written:"):
        assert words in said
    page = out["html"].read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    found = json.loads(out["json"].read_text(encoding="utf-8"))
    assert [f["id"] for f in found["findings"]] == ["main", "remission", "time", "marker", "missing"]
    table = pd.read_csv(out["csv"])
    assert set(table["analysis"]) == {f["id"] for f in found["findings"]}
    again = tmp_path / "again.html"
    run("analyse", data, "--design", design, "--html", again, "--quiet")
    assert again.read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"mmrm"', '"mmmr"', "line 14: analysis 1 > method: received 'mmmr', expected one of mmrm, ancova"),
        ('arm = "arm"', 'arm = "group"', "has no column 'group'"),
        ('marker = "crp"', 'marker = "il6"', "analysis 'marker'"),
        ('"w8" = 8', '"w9" = 9', "has no column 'w9'"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(
    run: Run, files: tuple[Path, Path], old: str, new: str, words: str
) -> None:
    data, design = files
    design.write_text(DESIGN.replace(old, new))
    code, _, err = run("analyse", data, "--design", design)
    assert code != 0
    assert words in err
