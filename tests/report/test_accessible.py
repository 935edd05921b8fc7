"""The pages that no other module makes: everyone can use them; and the check of that finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crosstalk
from crosstalk.analysis import analyse
from crosstalk.report.analysis import analysis_html

EXAMPLES = Path(__file__).parents[2] / "examples"
Accessible = Callable[[str], None]
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
id = "time"
method = "time-to-remission"
[[analysis]]
id = "marker"
method = "interaction"
marker = "crp"
"""


def table(patients: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    crp, base = np.exp(rng.normal(0.8, 0.9, patients)), rng.integers(18, 30, patients)
    arm = np.where(np.arange(patients) % 2, "drug", "sugar")
    w4 = base - 6 - 3 * (arm == "drug") + rng.normal(0, 4, patients)
    return pd.DataFrame({
        "id": [f"P{i:03}" for i in range(patients)], "arm": arm, "base": base, "crp": crp, "w4": w4.round(),
        "w8": (w4 - 2 + rng.normal(0, 3, patients)).round(),
    })  # fmt: skip


def a_trial_of_ones_own(folder: Path) -> str:
    data, design = folder / "trial.csv", folder / "design.toml"
    table().to_csv(data, index=False)
    design.write_text(DESIGN)
    return analysis_html(analyse(data, design))


def learnt(folder: Path, *, lock: bool) -> Any:
    frame = table(120)
    cohort = pd.DataFrame({
        "patient": frame["id"], "age": 20 + np.arange(120) % 50, "BMI": 20 + np.arange(120) % 15, "hsCRP": frame["crp"],
        "HAMD17": frame["base"], "responder": (frame["w8"] <= frame["base"] / 2).astype(int),
    })  # fmt: skip
    path = folder / "cohort.csv"
    cohort.to_csv(path, index=False)
    small = {"outcome": "responder", "folds": 3, "repeats": 1, "bootstrap": 0, "boosting": False, "mechanism": False}
    found = crosstalk.learn(path, **small, **({"out": folder / "model.json"} if lock else {}))
    return crosstalk.predict(folder / "model.json", path) if lock else found


PAGES: dict[str, Callable[[Path], str]] = {
    "analysis": a_trial_of_ones_own,
    "learning": lambda folder: learnt(folder, lock=False).to_html(),
    "prediction": lambda folder: learnt(folder, lock=True).to_html(),
    "plates": lambda _: crosstalk.plate(EXAMPLES / "plates" / "xponent_synthetic.csv").to_html(),
    "pool": lambda _: crosstalk.pool(endpoint="smd", of="HAMD17", drug="minocycline").to_html(),
    "forecasts": lambda _: crosstalk.forecast(
        EXAMPLES / "panels" / "two_patients.csv", regimens=["nortriptyline"], virtual_patients=1500
    ).to_html(),
}


@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_use_the_page(accessible: Accessible, tmp_path: Path, name: str) -> None:
    accessible(PAGES[name](tmp_path))


FINE = '<!doctype html><html lang="en"><head><title>t</title></head><body><main><h1>t</h1>{}</main></body></html>'


@pytest.mark.parametrize(
    "fault",
    [
        '<img src="data:,">',
        '<p style="color: #ccc; background: #fff">pale</p>',
        "<h4>skipped</h4>",
        '<div style="width: 2000px">wide</div>',
        "<button></button>",
        '<div role="nothing">x</div>',
    ],
)
def test_the_check_finds_what_is_wrong(accessible: Accessible, fault: str) -> None:
    with pytest.raises(AssertionError):
        accessible(FINE.format(f"<style>:root {{ color-scheme: light dark }}</style>{fault}"))
