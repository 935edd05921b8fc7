"""The way through the house: imports go down, modules stay small, knowledge stays out of the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

from crosstalk.knowledge.loader import load_knowledge

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "crosstalk"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 600


def test_imports_go_down_the_floors() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_package_has_its_floor() -> None:
    """A new package must be put on a floor, or the contract would not see it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = " ".join(settings["tool"]["importlinter"]["contracts"][0]["layers"])
    for path in SOURCE.iterdir():
        name = path.stem
        if path.name.startswith("__") or path.suffix not in ("", ".py"):
            continue
        assert f"crosstalk.{name}" in layers, name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    if not path.name.startswith("__main__"):
        names = {t.id for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign)) for t in _targets(n)}
        assert "__all__" in names or path.name == "__init__.py"


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.Name]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [t for t in targets if isinstance(t, ast.Name)]


PAGE = ROOT / "docs" / "architecture.md"
CALL = re.compile(r"^\| `(crosstalk\.[\w.]+)` \| `(crosstalk\.[\w.]+)` \|", re.MULTILINE)


def test_the_walks_of_the_page_follow_calls() -> None:
    """Each row's first name exists, and its module calls the second, which exists under that name."""
    walks = PAGE.read_text(encoding="utf-8").split("## Three walks")[1].split("## Tables to add to")[0]
    for walk in walks.split("### ")[1:]:
        calls = CALL.findall(walk)
        assert len(calls) >= 10, walk.splitlines()[0]
        for pair in calls:
            for name in pair:
                module, _, last = name.rpartition(".")
                assert hasattr(import_module(module), last), name
            source = (SOURCE.parent / (pair[0].rpartition(".")[0].replace(".", "/") + ".py")).read_text()
            assert re.search(rf"\b{pair[1].rpartition('.')[2]}\(", source), f"{pair[0]} does not call {pair[1]}"


def test_the_tables_of_the_page_exist() -> None:
    tables = PAGE.read_text(encoding="utf-8").split("## Tables to add to")[1].split("## Names")[0]
    for name in re.findall(r"`(crosstalk\.[\w.]+)`", tables):
        module, _, last = name.rpartition(".")
        assert hasattr(import_module(module), last) or import_module(name), name


def test_the_picture_shows_the_floors_of_the_contract() -> None:
    picture = PAGE.read_text(encoding="utf-8").split("```text")[1].split("```")[0]
    shown = [set(re.split(r"  +", line.strip())[0:1]) | set(line.split()) for line in picture.strip().splitlines()]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [{name.strip("() ").removeprefix("crosstalk.") for name in layer.split("|")} for layer in layers[1:]]
    assert len(shown) == len(floors)
    for words, floor in zip(shown, floors, strict=True):
        assert floor <= words, (floor, words)


def test_a_class_name_has_one_home_or_an_entry_in_the_glossary() -> None:
    homes: dict[str, set[Path]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(path)
    named = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8").split("## Names")[1].split("\n## ")[0]))
    assert not {name for name, paths in homes.items() if len(paths) > 1} - named


def test_no_code_names_a_drug_or_a_regimen() -> None:
    knowledge = load_knowledge()
    words = {w for d in knowledge.drugs for w in (d, d.replace("-", "_"))} | set(knowledge.regimens)
    # the untreated comparator is a concept of trials, and endotoxin's abbreviation that of a state
    words -= {"placebo", "lps"}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            id(n.body[0].value)
            for n in ast.walk(tree)
            if isinstance(n, (ast.Module, ast.ClassDef, ast.FunctionDef)) and n.body and isinstance(n.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                assert node.value.lower() not in words, (path, node.value)
            if isinstance(node, ast.Name):
                assert node.id.lower() not in words, (path, node.id)


def test_importing_the_package_is_light() -> None:
    heavy = (
        "numpy",
        "pandas",
        "scipy",
        "numba",
        "llvmlite",
        "antimony",
        "libsbml",
        "pydantic",
        "matplotlib",
        "roadrunner",
    )
    code = f"import sys, crosstalk, crosstalk.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_data_files_lie_in_the_package() -> None:
    package = files("crosstalk")
    knowledge = ("parameters.tsv", "mechanisms/brain.ant", "drugs/ketamine.toml", "regimens/ssri.toml")
    for name in (*(f"knowledge/{k}" for k in knowledge), "report/templates/style.css", "py.typed"):
        assert (package / name).is_file(), name


def test_no_file_of_the_project_names_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".tsv", ".ant", ".cff", ".yml", "") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            if path != Path(__file__).resolve():
                assert "/work/" not in text, name
                assert "/root/" not in text, name
