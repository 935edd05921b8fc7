"""The verb `plate`: files in, tables, panel, report and data out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from crosstalk.cli import main
from crosstalk.panel.reader import read_panel

PLATE = Path(__file__).parent / "panel" / "refit_xponent.csv"


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["crosstalk", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def test_a_plate_becomes_a_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json", "html")}
    code = run(
        "plate", PLATE, "--csv", out["csv"], "--json", out["json"], "--html", out["html"], monkeypatch=monkeypatch
    )
    said = capsys.readouterr().out
    assert code == 0
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


def test_quality_of_a_value_reaches_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PLATE.read_text(encoding="utf-8").replace('"Control1","20","20"', '"Control1","90","90"')
    plate, panel = tmp_path / "plate.csv", tmp_path / "panel.csv"
    plate.write_text(text, encoding="utf-8")
    assert run("plate", plate, "--csv", panel, "--quiet", monkeypatch=monkeypatch) == 0
    found = read_panel(panel).panels[0].measurements["IL-6"]
    assert found.quality == "failed"
    assert "recovery of controls: Control1 22 %" in " ".join(found.remarks)
    assert found.log_sd is not None
    assert 0.01 < found.log_sd < 0.2


def test_what_is_no_plate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "panel.csv"
    file.write_text("patient,hsCRP [mg/L]\nA,5\n", encoding="utf-8")
    assert run("plate", file, monkeypatch=monkeypatch) == 1
    assert "is no export of a plate reader" in capsys.readouterr().err
    assert run("plate", tmp_path / "none.csv", monkeypatch=monkeypatch) == 1
    assert run("plate", PLATE, "--csv", tmp_path / "no" / "x.csv", monkeypatch=monkeypatch) == 1
