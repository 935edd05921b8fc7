"""Real survey records with hs-CRP, blood counts and PHQ-9, from file to assessment. Needs the shared data."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from crosstalk.panel.reader import read_panel
from crosstalk.twin import assess

pytestmark = pytest.mark.shared

COLUMNS = {
    "age": ("age", "a"), "bmi": ("BMI", "kg/m2"), "crp_mgL": ("hsCRP", "mg/L"), "wbc_1e9L": ("WBC", "10*9/L"),
    "neut_1e9L": ("neutrophils", "10*9/L"), "lymph_1e9L": ("lymphocytes", "10*9/L"),
    "mono_1e9L": ("monocytes", "10*9/L"), "platelets_1e9L": ("platelets", "10*9/L"), "hba1c_pct": ("HbA1c", "%"),
    "phq9_total": ("PHQ9", ""),
}  # fmt: skip


def depressed(data: Path, cycle: str) -> list[dict[str, str]]:
    """Adults with a complete PHQ-9 of 15 or more, CRP, blood counts and BMI."""
    with gzip.open(data / f"nhanes_{cycle}_adults_raw.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    needed = ("crp_mgL", "neut_1e9L", "bmi", "phq9_total")
    return [
        r
        for r in rows
        if all(r[k] for k in needed) and r["phq9_n_items"] in ("9", "9.0") and float(r["phq9_total"]) >= 15
    ]


def write(rows: list[dict[str, str]], path: Path) -> None:
    lines = ["patient,analyte,value,unit"]
    for r in rows:
        for column, (analyte, unit) in COLUMNS.items():
            value = r[column]
            if analyte == "hsCRP" and r["crp_below_lod"] in ("1", "1.0", "True"):
                value = f"<{r['crp_lod_mgL']}"
            lines.append(f"{float(r['SEQN']):.0f},{analyte},{value},{unit}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("cycle", ["2007_2008", "2017_2018"])
def test_every_record_is_read_as_it_stands(shared_data: Path, tmp_path: Path, cycle: str) -> None:
    rows = depressed(shared_data, cycle)
    assert len(rows) > 50
    write(rows, tmp_path / "panel.csv")
    panels = {p.patient: p for p in read_panel(tmp_path / "panel.csv").panels}
    assert len(panels) == len(rows)
    for r in rows:
        panel = panels[f"{float(r['SEQN']):.0f}"]
        for column, (analyte, _) in COLUMNS.items():
            if not r[column]:
                assert analyte in panel.missing
                continue
            found = panel.measurements[analyte]
            if analyte == "hsCRP" and r["crp_below_lod"] in ("1", "1.0", "True"):
                assert found.censored == "left"
            else:
                assert found.value == pytest.approx(float(r[column]), rel=1e-9)
        assert panel.measurements["NLR"].value == pytest.approx(
            float(r["neut_1e9L"]) / float(r["lymph_1e9L"]), rel=1e-6
        )


@pytest.mark.parametrize("cycle", ["2007_2008", "2017_2018"])
def test_an_inflamed_record_is_read_as_more_inflamed(shared_data: Path, tmp_path: Path, cycle: str) -> None:
    rows = sorted(depressed(shared_data, cycle), key=lambda r: float(r["crp_mgL"]))
    low, high = rows[len(rows) // 10], rows[-len(rows) // 10]
    write([low, high], tmp_path / "panel.csv")
    panels = read_panel(tmp_path / "panel.csv").panels
    predicted = []
    for panel in panels:
        (crp,) = [item for item in assess(panel, virtual_patients=12_000).profile if item.analyte == "hsCRP"]
        assert crp.predicted is not None
        assert crp.predicted.lo90 / 2 < crp.value < 2 * crp.predicted.hi90
        predicted.append(crp.predicted.mean)
    assert predicted[1] > 3 * predicted[0]
