"""Accessibility faults of a page, by axe-core (WCAG 2.1 A and AA, and best practice) in any browser of the tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import files
from typing import Any

import pytest

IMPACTS = ("critical", "serious")
RUN = """
return axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.flatMap(
    rule => rule.nodes.map(node => [rule.impact, rule.id, node.target.join(' '), node.html.slice(0, 120)])));
"""


@cache
def _script() -> str:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    path = next(p for p in files("axe-core-python") or () if p.name == "axe.min.js")
    return path.read_text(encoding="utf-8")


def faults(run: Callable[[str], Any], impacts: tuple[str, ...] = IMPACTS) -> list[str]:
    """Faults of the open page, as 'impact rule: where: what'.

    Parameters
    ----------
    run : callable
        Runs a script in the page and waits for its promise: ``execute_script`` of selenium, ``Browser.run``.
    impacts : tuple of str
        Which impacts count.
    """
    run(_script())
    return [f"{impact} {rule}: {where}: {what}" for impact, rule, where, what in run(RUN) if impact in impacts]
