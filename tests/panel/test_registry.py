"""The table of formats: a made-up plate reader needs its entry alone, to be read as a panel and as plates."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstalk.panel.plates import Plate, Well, read_plates
from crosstalk.panel.reader import read_panel
from crosstalk.panel.registry import Format, formats, recognise


def plates(path: Path) -> tuple[Plate, ...]:
    """Lines such as ``A1 P1 IL-6 3.5`` below the name of the instrument."""
    wells = []
    for number, line in enumerate(path.read_text().splitlines()[1:], 2):
        location, sample, analyte, reported = line.split()
        wells.append(Well(location, sample, "sample", analyte, None, None, None, 1.0, None, reported, f"line {number}"))
    units = {w.analyte: "pg/mL" for w in wells}
    return (Plate(str(path), path.stem, "Glimmer", "", "", "", units, tuple(wells), content=path.read_bytes()),)


def test_a_made_up_plate_reader_needs_its_entry_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = Format("glimmer", "Glimmer (TXT)", lambda look: look.text.startswith("GLIMMER"), plates=plates, rank=1)
    known = (entry, *formats())
    monkeypatch.setattr("crosstalk.panel.registry.formats", lambda: known)
    path = tmp_path / "export.txt"
    path.write_text("GLIMMER 9000\nA1 P1 IL-6 3.5\nA2 P2 IL-6 <0.4\n")
    assert recognise(path) is entry
    assert [w.reported for w in read_plates(path)[0].wells] == ["3.5", "<0.4"]
    values = {p.patient: p.measurements["IL-6"] for p in read_panel(path).panels}
    assert values["P1"].value == 3.5
    assert (values["P2"].value, values["P2"].censored) == (0.4, "left")
