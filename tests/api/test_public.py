"""The public functions: their names and signatures, one way of giving things, one way of telling of work."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import crosstalk

SNAPSHOT = Path(__file__).with_name("public.txt")
VERBS = sorted(set(crosstalk.__all__) - {"CrosstalkError", "__version__", "assemble", "load_knowledge"})


def described() -> str:
    """Every public name with its signature, one parameter a line."""
    lines = []
    for name in sorted(crosstalk.__all__):
        value = getattr(crosstalk, name)
        if not inspect.isfunction(value):
            lines.append(f"{name}: {type(value).__name__}")
            continue
        lines.append(name)
        for parameter in inspect.signature(value).parameters.values():
            default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
            mark = "*" if parameter.kind is parameter.KEYWORD_ONLY else " "
            lines.append(f"  {mark} {parameter.name}{default}")
    return "\n".join(lines) + "\n"


def test_the_public_functions_are_those_of_the_snapshot() -> None:
    assert described() == SNAPSHOT.read_text(encoding="utf-8"), (
        "the public functions changed: if that breaks anything, say so in CHANGELOG.md; write the snapshot anew with "
        "`python tests/api/test_public.py`"
    )


@pytest.mark.parametrize("name", VERBS)
def test_every_function_says_what_it_takes_gives_and_refuses_and_has_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(crosstalk, name)) or ""
    for part in ("Parameters\n---", "Returns\n---", "Raises\n---", "Examples\n---", ">>> import crosstalk"):
        assert part in text, part
    for parameter in inspect.signature(getattr(crosstalk, name)).parameters:
        assert parameter in text, parameter
    assert "+SKIP" not in text


@pytest.mark.parametrize("name", VERBS)
def test_what_several_functions_take_has_one_name_and_default(name: str) -> None:
    parameters = inspect.signature(getattr(crosstalk, name)).parameters
    given = {k: p.default for k, p in parameters.items()}
    for shared, default in {
        "knowledge": None, "engine": None, "seed": 1, "progress": None, "occasion": None, "mapping": None,
        "patient": None, "work": None,
    }.items():  # fmt: skip
        assert given.get(shared, default) == default, shared
    keywords = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert len(parameters) - len(keywords) <= 2


def test_a_verb_stays_a_function_though_a_package_has_its_name() -> None:
    script = (
        "import crosstalk.learn.cohort, crosstalk.calibrate.targets, crosstalk as c\n"
        "print(callable(c.learn), callable(c.calibrate))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]


def test_importing_the_package_is_light() -> None:
    heavy = ("numpy", "pandas", "scipy", "typer", "pydantic")
    script = f"import sys, crosstalk; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


if __name__ == "__main__":
    SNAPSHOT.write_text(described(), encoding="utf-8")
