"""A `Problem` that no engine could solve as it is meant is refused when it is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.engine import Event, Problem, get_engine
from crosstalk.errors import UsageError

SBML = '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="m"/></sbml>'
TIMES = np.arange(4.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"times_h": np.array([1.0, 2.0])}, "begins at 1 h"),
        ({"times_h": np.array([3.0])}, "begins at 3 h"),
        ({"times_h": np.array([-1.0, 0.0])}, "begins at -1 h"),
        ({"times_h": np.array([0.0, 3.0, 2.0])}, "goes back from 3 to 2 h"),
        ({"times_h": np.array([0.0, np.nan])}, "holds nan"),
        ({"times_h": np.array([0.0, np.inf])}, "holds inf"),
        ({"times_h": np.array([])}, "one or more times"),
        ({"times_h": np.zeros((2, 2))}, "one or more times"),
        ({"events": (Event(np.nan, "A", 1.0),)}, "'A' at nan h; expected a finite time"),
        ({"events": (Event(np.inf, "A", 1.0),)}, "'A' at inf h"),
        ({"events": (Event(-1.0, "A", 1.0),)}, "'A' at -1.0 h"),
        ({"events": (Event(1.0, "A", np.ones(3)),)}, r"amounts of the shape \(3,\)"),
        ({"events": (Event(1.0, "A", np.nan),)}, "the amount nan"),
        ({"parameters": {"k": np.ones(3)}}, r"parameters\['k'\] has the shape \(3,\)"),
        ({"parameters": {"k": 1.0}}, r"parameters\['k'\] has the shape \(\)"),
        ({"initial": {"A": np.ones((2, 1))}}, r"initial\['A'\]"),
        ({"n": -1}, "n is -1"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Problem(**{"sbml": SBML, "n": 2, "times_h": TIMES, **wrong})


def test_what_is_taken() -> None:
    events = (Event(0.0, "A", 1.0), Event(9.0, "A", np.array([1.0, np.nan]), "set"))
    problem = Problem(SBML, 2, {"k": np.array([np.nan, 1.0])}, np.array([0.0, 1.0, 1.0]), (), {}, events)
    assert problem.take(np.array([1])).n == 1


@pytest.mark.parametrize("name", ["fast", "reference"])
@pytest.mark.parametrize("rtol", [0.0, -1.0, np.nan, np.inf, 1e-16, 1e3])
def test_a_tolerance_that_none_can_keep(name: str, rtol: float) -> None:
    if name == "reference":
        pytest.importorskip("roadrunner")
    with pytest.raises(UsageError, match="rtol is"):
        get_engine(name, jobs=1).simulate(Problem(SBML, 1), rtol=rtol)
