"""The verb `plate`: files in, tables, panel, report and data out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crosstalk.panel.reader import read_panel

Run = Callable[..., tuple[int, str, str]]

PLATE = Path(__file__).parent / "panel" / "plates" / "refit_xponent.csv"


def test_a_plate_becomes_a_panel(run: Run, tmp_path: Path) -> None:
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json", "html")}
    code, said, err = run("plate", PLATE, "--csv", out["csv"], "--json", out["json"], "--html", out["html"])
    assert code == 0, err
    assert "breaks the dilution series" in " ".join(said.split())
    assert f"written: {out['csv']}" in said
    assert json.loads(out["json"].read_text(encoding="utf-8"))["plates"][0]["grade"] == "doubtful"
    assert "<svg" in out["html"].read_text(encoding="utf-8")
    with out["csv"].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["patient", "analyte", "value", "unit", "method", "lod", "cv", "quality", "remarks"]
    assert len(rows) == 12
    file = read_panel(out["csv"])
    panels = {p.patient: p.measurements for p in file.panels}
    assert sorted(panels) == ["BADGER", "BEAR", "HERON", "LYNX", "OTTER", "WREN"]
    assert panels["BADGER"]["IL-6"].censored == "left"
    assert panels["BADGER"]["IL-6"].value == pytest.approx(0.488281)
    assert panels["HERON"]["IL-6"].value == pytest.approx(410, rel=0.12)
    assert panels["BEAR"]["TNF"].value == pytest.approx(42, rel=0.1)


def test_quality_of_a_value_reaches_the_panel(run: Run, tmp_path: Path) -> None:
    text = PLATE.read_text(encoding="utf-8").replace('"Control1","20","20"', '"Control1","90","90"')
    plate, panel = tmp_path / "plate.csv", tmp_path / "panel.csv"
    plate.write_text(text, encoding="utf-8")
    assert run("plate", plate, "--csv", panel, "--quiet")[0] == 0
    found = read_panel(panel).panels[0].measurements["IL-6"]
    assert found.quality == "failed"
    assert "recovery of controls: Control1 22 %" in " ".join(found.remarks)
    assert found.log_sd is not None
    assert 0.01 < found.log_sd < 0.2


def test_what_is_no_plate_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "panel.csv"
    file.write_text("patient,hsCRP [mg/L]\nA,5\n", encoding="utf-8")
    code, _, err = run("plate", file)
    assert code == 1
    assert "is no export of a plate reader" in err
    assert run("plate", tmp_path / "none.csv")[0] == 1
    assert run("plate", PLATE, "--csv", tmp_path / "no" / "x.csv")[0] == 1
