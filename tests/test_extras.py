"""What is missing or mixed in is said in words; a bare forecast needs none of the extras."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import crosstalk
from crosstalk.errors import UsageError
from crosstalk.extras import EXTRAS, MissingExtraError, check_installation, missing, need
from crosstalk.lazily import lazily

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# modules whose estimators derive from those of scikit-learn
LEARNING = (
    "crosstalk.api.cohorts", "crosstalk.learn.", "crosstalk.report.learning", "crosstalk.statistics.combat",
    "crosstalk.statistics.conformal",
)  # fmt: skip


def test_every_extra_of_the_table_is_one_of_the_distribution() -> None:
    given = PROJECT["optional-dependencies"]
    assert {extra for extra, _ in EXTRAS.values()} <= set(given)
    whole = given["all"][0].partition("[")[2].rstrip("]").split(",")
    assert set(given) - {"all", "dask", "dev", "docs", "reference"} == set(whole)


def run(code: str) -> subprocess.CompletedProcess[str]:
    block = f"import sys\nfor name in {sorted(EXTRAS)}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=False)


def test_all_but_learning_is_imported_without_any_extra() -> None:
    code = (
        "import pkgutil, importlib, crosstalk\n"
        "for info in pkgutil.walk_packages(crosstalk.__path__, 'crosstalk.'):\n"
        "    if info.name == 'crosstalk.__main__' or '.migrations' in info.name: continue\n"
        "    try: importlib.import_module(info.name)\n"
        "    except ModuleNotFoundError as error: print(info.name, error.name)\n"
    )
    found = run(code)
    assert found.returncode == 0, found.stderr
    lacking = dict(line.split() for line in found.stdout.splitlines())
    for name in ("crosstalk.engine.parallel", "crosstalk.engine.reference"):
        assert lacking.pop(name) == "roadrunner"
    assert {library.partition(".")[0] for library in lacking.values()} == {"sklearn"}
    assert all(name.startswith(LEARNING) for name in lacking), lacking


@pytest.mark.parametrize(
    ("words", "library", "extra"),
    [
        ("['assess', PANEL, '--html', 'x.html']", "matplotlib", "html"),
        ("['assess', PANEL, '--csv', 'x.csv']", "pandas", "tables"),
        ("['learn', PANEL, '--outcome', 'x']", "sklearn", "learn"),
        ("['read', 'x.xlsx']", "openpyxl", "tables"),
    ],
)
def test_a_verb_names_the_extra_before_the_work(tmp_path: Path, words: str, library: str, extra: str) -> None:
    from openpyxl import Workbook

    panel = tmp_path / "panel.csv"
    panel.write_text("patient,hsCRP [mg/L],HAMD17\nA,5,21\n")
    book = Workbook()
    book.save(tmp_path / "x.xlsx")
    code = f"import os; os.chdir({str(tmp_path)!r}); PANEL = 'panel.csv'\nsys.argv = ['crosstalk', *{words}]\n"
    found = run(code + "from crosstalk.cli import main; main()")
    assert found.returncode == 1, found.stderr
    assert found.stderr.startswith(f"crosstalk: {library} is not installed; it is needed for ")
    assert f"pip install 'crosstalk-mdd[{extra}]'" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_other_failed_imports_are_not_explained() -> None:
    assert missing(ModuleNotFoundError(name="numpy")) is None
    assert missing(ModuleNotFoundError()) is None
    need("json")
    need("no_such_module")  # none of the table's


def test_a_name_of_the_package_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "crosstalk.statistics.conformal", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    find, *_ = lazily("crosstalk.statistics")
    with pytest.raises(MissingExtraError, match=r"crosstalk-mdd\[learn\]"):
        find("ConformalClassifier")


def test_the_files_of_another_project_are_refused(tmp_path: Path) -> None:
    (tmp_path / "crosstalk").mkdir()
    (tmp_path / "crosstalk_mdd-0.1.0.dist-info").mkdir()
    check_installation(tmp_path)
    for name in ("crosstalk-0.4.1.dist-info", "crosstalk-2.egg-info"):
        other = tmp_path / name
        other.mkdir()
        with pytest.raises(UsageError, match="pip uninstall -y crosstalk crosstalk-mdd"):
            check_installation(tmp_path)
        other.rmdir()


def test_a_foreign_init_over_ours_is_one_line(tmp_path: Path) -> None:
    package = tmp_path / "crosstalk"
    shutil.copytree(Path(crosstalk.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "knowledge"))
    (package / "__init__.py").write_text("from crosstalk.errors import UsageError  # of somebody else\n")
    found = subprocess.run(
        [sys.executable, "-m", "crosstalk", "drugs"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr.startswith("crosstalk: the files of another project")
    assert len(found.stderr.splitlines()) == 1
