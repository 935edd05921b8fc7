"""`assess`, `forecast`, `learn`, `predict`, `plate` and the Python API read one file to the same values."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from crosstalk.cli import app
from crosstalk.errors import CrosstalkError
from crosstalk.learn.cohort import CohortColumns, read_cohort
from crosstalk.panel.plates.wells import Plate, entries_of
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.panel.registry import recognise

ROOT = Path(__file__).resolve().parent.parent
TABLES = sorted([*(ROOT / "examples" / "panels").glob("*.csv"), *(ROOT / "examples" / "exports").glob("*.csv")])
MAPS = {"redcap": '[columns]\nsex = { is = "sex", codes = { 1 = "male", 2 = "female" } }\n'}
CENSORED = (
    "patient;analyte;value;unit;lod;lloq;qc\nK1;CRP;1,5;mg/l;0,1;;ok\nK1;IL6;<0,4;ng/l;;;\nK1;TNF;0,5;pg/mL;0,3;0,9;warn\n"
    "K1;leptin;>500;ng/mL;;;fail\nK2;CRP;12;mg/l;;;\nK2;IL6;0,2;pg/mL;0,4;;\nK2;HAMD17;22;;;;\n"
)


class Stop(Exception):
    """A verb has what it needs; nothing is computed."""


def formats() -> ModuleType:
    spec = importlib.util.spec_from_file_location("format_cases", ROOT / "tests" / "panel" / "test_formats.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def plain(panels: Sequence[Panel]) -> dict[str, dict[str, tuple[object, ...]]]:
    return {
        p.patient: {a: (m.value, m.censored, m.upper, m.quality, m.specimen) for a, m in p.measurements.items()}
        for p in panels
    }


def caught(monkeypatch: pytest.MonkeyPatch, where: str, words: Sequence[object], at: int = 0) -> Any:
    """What a function is given, as its argument ``at``, when a verb calls it."""
    taken: list[Any] = []

    def catch(*args: Any, **kwargs: Any) -> None:
        taken.append(args[at])
        raise Stop

    module, _, name = where.rpartition(".")
    monkeypatch.setattr(import_module(module), name, catch)
    result = CliRunner().invoke(app, [str(w) for w in words])
    if isinstance(result.exception, CrosstalkError):
        raise result.exception
    assert taken, (where, words, result.output, result.exception)
    return taken[0]


def fixtures(folder: Path) -> list[tuple[Path, Path | None]]:
    found: list[tuple[Path, Path | None]] = []
    for table in TABLES:
        map_ = None
        if table.stem in MAPS:
            map_ = folder / f"{table.stem}.toml"
            map_.write_text(MAPS[table.stem])
        found.append((table, map_))
    (folder / "censored.csv").write_text(CENSORED)
    found.append((folder / "censored.csv", None))
    cases = formats()
    for name, case in cases.CASES.items():
        own = folder / name
        own.mkdir()
        found.append((cases.laid(own, case), None))
    return found


def test_every_verb_reads_a_file_to_the_same_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a locked model that needs no column beside the panel
    model = SimpleNamespace(columns=lambda header: CohortColumns(None), kind="score", positive="")
    monkeypatch.setattr(import_module("crosstalk.learn.locked"), "read_locked", lambda path: model)
    for path, map_ in fixtures(tmp_path):
        with_map = [] if map_ is None else ["--map", map_]
        each = ["--occasion", "first"] if path.stem == "cohort" else []
        occasion = each[1] if each else None
        expected = read_panel(path, mapping=map_, occasion=occasion)
        values = plain(expected.panels)
        assert values
        if len(expected.panels) > 1:
            cohort: PanelFile = caught(monkeypatch, "crosstalk.twin.cohort.assess_cohort",
                                       ["assess", path, *with_map, *each, "-q"])  # fmt: skip
            assert plain(cohort.panels) == values, path
        whole = [p.patient for p in expected.panels if p.measurements]
        for verb, where in (("assess", "crosstalk.twin.twin.assess"), ("forecast", "crosstalk.twin.twin.forecast")):
            one: Panel = caught(monkeypatch, where, [verb, path, *with_map, *each, "--patient", whole[0], "-q"])
            assert plain([one]) == {whole[0]: values[whole[0]]}, (path, verb)
        applied = caught(monkeypatch, "crosstalk.learn.external.predict_locked",
                         ["predict", "model.json", path, *with_map, *each, "-q"], at=1)  # fmt: skip
        assert plain(applied.panels.panels) == values, path
        kept = read_cohort(path, CohortColumns(None), occasion=occasion, mapping=map_).panels
        assert kept is not None
        assert plain(kept.panels) == values, path


def test_plate_reads_the_same_wells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kits = [path for path, _ in fixtures(tmp_path) if recognise(path).plates is not None]
    assert len(kits) >= 3
    for path in kits:
        plates: Sequence[Plate] = caught(
            monkeypatch, "crosstalk.panel.plates.quality.assess_plates", ["plate", path, "-q"]
        )
        entries = {(e.patient, e.value, e.quality) for e in entries_of(plates).entries}
        file = read_panel(path)
        read = {(p.patient, m.given.split(" ")[0], m.quality) for p in file.panels for m in p.measurements.values()}
        assert entries == read, path
