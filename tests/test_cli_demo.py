"""``crosstalk demo``: it writes what the documentation's commands need, and destroys nothing."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from crosstalk.cli import app
from crosstalk.cli.demo import TRY, example_files
from crosstalk.errors import OutputError
from crosstalk.panel.reader import read_panel

RUN = CliRunner()


def test_it_writes_every_example_and_names_commands_that_find_theirs(tmp_path: Path) -> None:
    found = RUN.invoke(app, ["demo", str(tmp_path)])
    assert found.exit_code == 0
    written = {p.relative_to(tmp_path / "examples") for p in (tmp_path / "examples").rglob("*") if p.is_file()}
    there = {p.relative_to(example_files()) for p in example_files().rglob("*") if p.is_file()}
    assert written == {path for path in there if "__pycache__" not in path.parts}
    for line in TRY:
        assert line in found.output
        assert all((tmp_path / word).is_file() for word in line.split() if word.startswith("examples/"))


def test_again_it_leaves_what_is_there(tmp_path: Path) -> None:
    RUN.invoke(app, ["demo", str(tmp_path)])
    assert RUN.invoke(app, ["demo", str(tmp_path)]).exit_code == 0


def test_a_file_of_the_user_is_not_replaced_and_nothing_is_written(tmp_path: Path) -> None:
    own = tmp_path / "examples" / "trials" / "minocycline_crp3.toml"
    own.parent.mkdir(parents=True)
    own.write_text("mine", encoding="utf-8")
    found = RUN.invoke(app, ["demo", str(tmp_path)])
    assert isinstance(found.exception, OutputError)
    assert "another folder, nothing was written" in str(found.exception)
    assert own.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "examples" / "panels").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = RUN.invoke(app, ["demo", str(tmp_path / "absent")])
    assert isinstance(found.exception, OutputError)
    assert "is no folder" in str(found.exception)


def test_the_ten_adults_are_read_whole_and_rise_in_crp() -> None:
    file = read_panel(example_files() / "panels" / "nhanes_adults.csv")
    assert len(file.panels) == 10
    crp = [panel.measurements["hsCRP"].value for panel in file.panels]
    assert crp == sorted(crp)
    assert all(len(panel.measurements) >= 15 for panel in file.panels)
