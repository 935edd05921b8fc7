"""A package beside Crosstalk brings a drug, a regimen, a study, an analyte, a format and an analysis of trials."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import crosstalk
from crosstalk.errors import PanelError
from crosstalk.extensions import ANALYSES, FORMATS, KNOWLEDGE, brought
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.registry import formats, recognise
from crosstalk.study.methods import analysis_methods

EXTENSION = Path(__file__).parents[1] / "examples" / "extension"
POINTS = """\
[crosstalk.knowledge]
example = crosstalk_example:KNOWLEDGE

[crosstalk.formats]
letter = crosstalk_example.letter:FORMATS

[crosstalk.analyses]
medians = crosstalk_example.medians:ANALYSES
"""


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, points: str, name: str = "crosstalk-example") -> None:
    """What pip leaves of a package: its metadata, on the path."""
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a copy, so that nothing is compiled among the examples
    shutil.copytree(EXTENSION / "src" / "crosstalk_example", tmp_path / "site" / "crosstalk_example")
    pretend(tmp_path / "site", monkeypatch, POINTS)


@pytest.mark.usefixtures("installed")
def test_its_drug_study_analyte_and_format_are_known() -> None:
    known = load_knowledge()
    assert known.regimen("ssri-example-anti-il6").doses[1].drug == "example-anti-il6"
    assert [arm.id for arm in crosstalk.read_study("example-anti-il6-design").arms] == ["active", "placebo"]
    assert recognise(EXTENSION / "letter.txt").id == "letter"
    file = crosstalk.read_panel(EXTENSION / "letter.txt")
    found = file.panels[0].measurements
    assert file.panels[0].patient == "A-17"
    assert (found["hsCRP"].value, found["IL-6"].censored, found["GlycA"].value) == (5.2, "left", 410.0)


def trial_by_medians(folder: Path) -> Path:
    """A trial of the examples whose first analysis is the package's."""
    text = (EXTENSION.parent / "trials" / "minocycline_crp3.toml").read_text(encoding="utf-8")
    path = folder / "by_medians.toml"
    path.write_text(text.replace('method = "mmrm"', 'method = "medians"', 1), encoding="utf-8")
    return path


@pytest.mark.usefixtures("installed")
def test_a_trial_is_analysed_by_its_method(tmp_path: Path) -> None:
    result = crosstalk.run_trial(trial_by_medians(tmp_path), replicates=4, worlds=2, jobs=1, seed=1)
    primary = next(a for a in result.analyses if a.id == "primary")
    assert primary.method == "medians"
    assert abs(primary.truth) < 10  # points of the scale


def test_without_it_its_analysis_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(crosstalk.CrosstalkError, match="received 'medians', expected 'mmrm'"):
        crosstalk.read_study(trial_by_medians(tmp_path))


def test_without_it_nothing_of_it_is_known() -> None:
    assert "example-anti-il6" not in load_knowledge().drugs
    assert "letter" not in {f.id for f in formats()}
    with pytest.raises(PanelError):
        crosstalk.read_panel(EXTENSION / "letter.txt")


@pytest.mark.usefixtures("installed")
def test_the_file_of_its_project_names_what_the_test_installs() -> None:
    import tomllib

    project = tomllib.loads((EXTENSION / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"] == {
        KNOWLEDGE: {"example": "crosstalk_example:KNOWLEDGE"}, FORMATS: {"letter": "crosstalk_example.letter:FORMATS"},
        ANALYSES: {"medians": "crosstalk_example.medians:ANALYSES"},
    }  # fmt: skip
    assert [who for who, _ in brought(KNOWLEDGE)] == ["crosstalk-example: example"]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("[crosstalk.formats]\nx = nowhere_at_all:FORMATS\n", "broken: x .* cannot be loaded"),
        ("[crosstalk.formats]\nx = crosstalk.errors:__all__\n", "brings a str; expected"),
        ("[crosstalk.formats]\nx = crosstalk.panel.formats.synthea:FORMATS\n", "which Crosstalk has"),
        ("[crosstalk.knowledge]\nx = crosstalk.errors:UsageError\n", "expected the path of a folder"),
        ("[crosstalk.analyses]\nx = crosstalk.errors:__all__\n", "brings a list; expected a mapping"),
        ("[crosstalk.analyses]\nx = crosstalk.study.methods:METHODS\n", "analysis 'ancova', whose name is taken"),
    ],
)
def test_a_broken_package_is_named(points: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, points, "broken")
    with pytest.raises(crosstalk.CrosstalkError, match=words):
        (formats(), load_knowledge(), analysis_methods())


@pytest.mark.slow
def test_it_is_installed_by_pip_and_runs(tmp_path: Path) -> None:
    """Built and installed as a user would, beside Crosstalk."""
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(EXTENSION)]
    made = subprocess.run(pip, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the package cannot be built here: {made.stderr[-300:]}")
    script = (
        f"import sys; sys.path.insert(0, {str(target)!r})\nimport crosstalk\n"
        "run = crosstalk.simulate('example-anti-il6-design', patients=2)\n"
        "print(sorted(run.to_frame()['arm'].unique()))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "['active', 'placebo']", found.stderr
