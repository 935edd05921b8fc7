"""Defaults of options by a file, and ``--knowledge`` on the verbs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from crosstalk.cli import app
from crosstalk.knowledge.loader import VARIABLE

Run = Callable[..., tuple[int, str, str]]
EXTENSION = Path(__file__).parents[1] / "examples" / "extension" / "src" / "crosstalk_example" / "knowledge"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_in_the_folder_gives_defaults_and_is_told(run: Run) -> None:
    everything = run("evidence", "list", "--drug", "simvastatin")[1]
    Path("crosstalk.toml").write_text('seed = 3\n[evidence.list]\nrole = "validate"\n')
    code, out, err = run("evidence", "list", "--drug", "simvastatin")
    assert code == 0
    assert len(out) < len(everything)
    assert err == "crosstalk: by crosstalk.toml: --role validate\n"


def test_the_command_line_wins(run: Run) -> None:
    Path("crosstalk.toml").write_text('[evidence.list]\nrole = "validate"\n')
    code, _, err = run("evidence", "list", "--drug", "simvastatin", "--role", "calibrate")
    assert (code, err) == (0, "")


def test_another_file_and_paths_relative_to_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    own = tmp_path / "conf" / "mine"
    own.symlink_to(EXTENSION, target_is_directory=True)
    (tmp_path / "conf" / "x.toml").write_text('knowledge = "mine"\n')
    code, out, err = run("--config", "conf/x.toml", "drugs", "example-anti-il6")
    assert code == 0, err
    assert "antibody against IL-6" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 1", "sede: no verb has the option --sede; did you mean seed or scheduler?"),
        ("[forecat]\nweeks = 1", "[forecat]: no such verb; did you mean forecast?"),
        ("[forecast]\nweek = 1", "[forecast] week: no such option; did you mean weeks?"),
        ("[forecast]\nweeks = 200", "[forecast] weeks: received 200"),
        ('seed = "many"', "seed: received 'many'"),
        ("quiet = 3", "quiet: received 3; expected true or false"),
        ('[forecast]\njson = "x.json"', "[forecast] json: no such option"),
        ("[forecast]\nweeks = [1]", "[forecast] weeks: received [1]; expected one value"),
        ("seed = ", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str, run: Run) -> None:
    Path("crosstalk.toml").write_text(text)
    code, out, err = run("drugs")
    assert (code, out) == (2, "")
    assert err.startswith("crosstalk: crosstalk.toml: ")
    assert words in err


def test_no_file_no_word(run: Run) -> None:
    assert run("regimens")[2] == ""


def test_a_file_that_is_named_must_be_there(run: Run) -> None:
    code, _, err = run("--config", "nowhere.toml", "drugs")
    assert code == 2
    assert "nowhere.toml: cannot be read" in err


def test_a_folder_adds_to_what_ships_for_one_run(run: Run) -> None:
    assert run("drugs", "example-anti-il6")[0] == 2
    code, out, _ = run("drugs", "--knowledge", EXTENSION)
    assert code == 0
    assert "example-anti-il6" in out
    assert VARIABLE not in os.environ
    assert "GlycA" in run("analytes", "--knowledge", EXTENSION)[1]
    assert run("evidence", "show", "example-anti-il6-design", "--knowledge", EXTENSION)[0] == 0
    code, _, err = run("drugs", "--knowledge", "nowhere")
    assert code == 1
    assert "nowhere: no such folder" in err


def leaves(command: object, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return {words: {option for p in command.params for option in p.opts}}  # type: ignore[attr-defined]
    return {k: v for name, part in inner.items() for k, v in leaves(part, (*words, name)).items()}


def test_every_verb_that_knows_anything_takes_a_folder() -> None:
    without = {w for w, options in leaves(typer.main.get_command(app)).items() if "--knowledge" not in options}
    assert without == {("schema",), ("demo",)}


def test_names_are_completed() -> None:
    from crosstalk.cli.options import names_of

    assert names_of("regimens")("ssri-inf") == ["ssri-infliximab"]
    assert "raison2013" in names_of("study_files")("rais")
