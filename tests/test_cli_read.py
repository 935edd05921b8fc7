"""`crosstalk read`, `--map` on the verbs, and questions: on a terminal only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crosstalk.cli import app, files
from crosstalk.errors import CrosstalkError, PanelError
from crosstalk.panel.reader import read_panel

CODED = "record_id,sex,age,bmi,hs_crp,hamd17_total\n1,1,40,28,3.5,18\n2,2,52,25,1.5,22\n"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    if isinstance(result.exception, CrosstalkError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    path = tmp_path / "coded.csv"
    path.write_text(CODED)
    return path


def test_read_shows_what_is_understood(coded: Path, tmp_path: Path) -> None:
    text = run("read", coded, "--suggest-map", tmp_path / "m.toml", "--json", tmp_path / "r.json")
    assert "hs_crp" in text
    assert "not read" in text
    found = json.loads((tmp_path / "r.json").read_text())
    assert [q["key"] for q in found["questions"]] == [
        ["columns", "sex", "codes", "1"],
        ["columns", "sex", "codes", "2"],
    ]
    map_ = (tmp_path / "m.toml").read_text().replace('1 = "?"', '1 = "female"').replace('2 = "?"', '2 = "male"')
    (tmp_path / "m.toml").write_text(map_)
    assert "2 panels" in run("read", coded, "--map", tmp_path / "m.toml")


def test_the_map_serves_every_verb(coded: Path, tmp_path: Path) -> None:
    map_ = tmp_path / "m.toml"
    map_.write_text('[columns]\nsex = { is = "sex", codes = { 1 = "female", 2 = "male" } }\n')
    run(
        "assess",
        coded,
        "--map",
        map_,
        "--patient",
        "1",
        "--virtual-patients",
        "1500",
        "--json",
        tmp_path / "a.json",
        "-q",
    )
    profile = {i["analyte"]: i["value"] for i in json.loads((tmp_path / "a.json").read_text())["profile"]}
    panel = read_panel(coded, mapping=map_).panels[0]
    assert profile == {a: m.value for a, m in panel.measurements.items()}
    with pytest.raises(CrosstalkError, match="is the input"):
        run("assess", coded, "--map", map_, "--json", map_)


def test_a_refusal_names_the_way_to_answer_where_there_is_no_terminal(coded: Path) -> None:
    with pytest.raises(PanelError, match=r"2 questions are open: `crosstalk read .* --suggest-map"):
        run("assess", coded)


def test_questions_are_asked_on_a_terminal_and_kept(
    coded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files.sys, "stdin", type("Tty", (), {"isatty": lambda self: True})())
    monkeypatch.setattr(files.sys, "stderr", type("Tty", (), {"isatty": lambda self: True, "write": lambda *a: None,
                                                              "flush": lambda self: None})())  # fmt: skip
    answers = iter(["woman", "female", "male"])
    monkeypatch.setattr(files.typer, "prompt", lambda *a, **k: next(answers))
    monkeypatch.setattr(files.typer, "confirm", lambda *a, **k: True)
    found = files.with_map(coded, None, False, lambda m: read_panel(coded, mapping=m))
    assert [p.measurements["sex"].value for p in found.panels] == [1.0, 0.0]
    kept = Path(f"{coded}.map.toml")
    assert [p.measurements["sex"].value for p in read_panel(coded, mapping=kept).panels] == [1.0, 0.0]


def test_a_file_without_questions_keeps_its_refusal(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,glucose [mg/dL]\nA,5.4\n")
    with pytest.raises(PanelError) as caught:
        run("assess", path)
    assert "suggest-map" not in str(caught.value)
