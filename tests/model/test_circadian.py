"""The 24-hour rhythm of the stress axis: an option that leaves the model without it untouched."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.model.assembly import assemble

HOURS = np.arange(0.0, 24 * 15 + 0.25, 0.25)


def cortisol(name: str) -> np.ndarray:
    model = assemble((), circadian=True)
    problem = Problem(model.sbml, 1, {}, HOURS, ("cortisol", "TNF", "CLOCK_C"), nonnegative=("CORT",))
    return get_engine(name).simulate(problem, rtol=1e-7, strict=True).values[0]


def test_cortisol_has_a_rhythm_of_24_hours_and_keeps_its_mean() -> None:
    found = cortisol("fast")[0]
    last, before = found[-96:], found[-192:-96]
    np.testing.assert_allclose(last, before, rtol=0.01)
    assert 2 < last.max() / last.min() < 10
    assert last.mean() == pytest.approx(280, rel=0.15)
    # the peak follows that of the drive by some hours
    assert 0.5 < HOURS[-96:][last.argmax()] % 24 < 5


def test_both_engines_agree_on_it() -> None:
    np.testing.assert_allclose(cortisol("fast"), cortisol("reference"), rtol=1e-4, atol=1e-4)


def test_without_the_option_there_is_no_clock() -> None:
    model = assemble(())
    assert "CLOCK_C" not in model.states
    assert "clock_rate" not in model.constants
    assert model.constants["circadian_drive"] == 1.0
