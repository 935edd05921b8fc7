"""The examples in the docstrings of the public functions run."""

from __future__ import annotations

import doctest

import pytest

import crosstalk
from crosstalk import results
from crosstalk.knowledge import loader

VERBS = sorted(set(crosstalk.__all__) - {"CrosstalkError", "__version__", "assemble", "load_knowledge"})
QUICK = ("plate", "pool", "read_cohort", "read_panel", "read_plates", "read_study")


def run(name: str) -> None:
    function = getattr(crosstalk, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert example.examples
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(example, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", QUICK)
def test_quick_examples_run(name: str) -> None:
    run(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VERBS if name not in QUICK])
def test_examples_that_simulate_run(name: str) -> None:
    run(name)


@pytest.mark.parametrize("module", [loader, results])
def test_examples_of_what_they_rest_on_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
