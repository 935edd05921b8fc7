"""The verbs of the registry on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="the extra `registry` is not installed")

Run = Callable[..., tuple[int, str, str]]
PANELS = Path(__file__).resolve().parents[1] / "examples/panels/two_patients.csv"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "registry.sqlite"
    monkeypatch.setenv("CROSSTALK_REGISTRY", str(path))
    monkeypatch.delenv("CROSSTALK_REGISTRY_KEY", raising=False)
    return path


def test_from_a_file_to_a_judgement(run: Run, place: Path, tmp_path: Path) -> None:
    code, out, err = run("registry", "add", PANELS, "--without-forecast")
    assert code == 0, err
    assert out.count("CT-") == 2
    for words in (("give", "inflamed", "ssri"), ("score", "inflamed", "week 4: HAMD17=15", "week 12: HAMD17=9")):
        code, out, err = run("registry", *words)
        assert code == 0, err
        assert "CT-" in out
        assert "inflamed" not in out
    code, out, _ = run("registry", "judge", "--json", tmp_path / "judged.json")
    assert code == 0
    assert "too few: 0 of 20" in out
    assert json.loads((tmp_path / "judged.json").read_text())["left_out"] == {"no forecast": 2}
    code, out, _ = run("registry", "check")
    assert (code, "whole; 2 person, 2 panel" in out) == (0, True)
    assert run("registry", "export", "inflamed", "--json", tmp_path / "one.json")[0] == 0
    assert len(json.loads((tmp_path / "one.json").read_text())["score"]) == 2
    assert run("registry", "backup", tmp_path / "copy.sqlite")[0] == 0
    assert run("registry", "forget", "inflamed", "--yes")[0] == 0
    assert "1 people" in run("registry", "list")[1]
    assert run("registry", "restore", tmp_path / "copy.sqlite", "--database", tmp_path / "again.sqlite")[0] == 0
    assert "2 people" in run("registry", "list", "--database", tmp_path / "again.sqlite")[1]
    assert "forget" in run("registry", "audit")[1]
    assert "up to date" in run("registry", "upgrade")[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("list",), 1, "no such registry"),
        (("give", "P1", "ssri"), 1, "no such registry"),
        (("score", "P1", "twelve"), 2, "expected a week, a scale and a score"),
        (("freeze", "nct0"), 1, "registration that ships"),
        (("judge", "nothing.toml"), 1, "no such registry"),
        (("restore", "nothing.sqlite"), 1, "no such registry"),
        (("list", "--database", "oracle://x/y"), 2, "expected"),
    ],
)
def test_bad_use(run: Run, place: Path, words: tuple[str, ...], code: int, message: str) -> None:
    found, _, err = run("registry", *words)
    assert found == code, err
    assert message in err


def test_the_trials_that_ship_are_listed(run: Run, place: Path) -> None:
    code, out, _ = run("registry", "trials")
    assert code == 0
    assert "nct06136546" in out
    assert "nct05644301" in out
    assert not place.exists()
