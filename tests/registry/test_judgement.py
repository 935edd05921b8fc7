"""Figures of forecasts against outcomes, on data whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crosstalk.registry.database import Registry
from crosstalk.registry.judgement import FEWEST, Z90, Judged, judge, measures
from crosstalk.registry.judgement import _coverage as coverage
from crosstalk.registry.judgement import _recalibrated as recalibrated
from crosstalk.registry.people import Register

Added = Callable[..., str]


def one(mean: float, sd: float, observed: float, p: float = 0.5, baseline: float = 22.0) -> Judged:
    low, high = mean - Z90 * sd, mean + Z90 * sd
    return Judged(
        "CT", "ssri", "HAMD17", 12.0, baseline, mean, low, high, observed, low <= observed <= high, p,
        observed <= baseline / 2, "p" * 64,
    )  # fmt: skip


def many(n: int, shift: float = 0.0, widen: float = 1.0, seed: int = 1, drift: float = 0.0) -> list[Judged]:
    """People whose outcomes are those forecast, or shifted, wider, or drifting [SD of the forecast]."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(5, 20, n)
    errors = shift + widen * rng.standard_normal(n) + drift * np.linspace(-0.5, 0.5, n)
    return [one(m, 3.0, m + 3.0 * e) for m, e in zip(means, errors, strict=True)]


def test_of_too_few_nothing_is_said_but_that() -> None:
    for n in (0, 1, 2, 19):
        for m in measures(many(n)):
            assert m.value is None
            assert m.lo90 is None
            assert m.reading == f"too few: {n} of {FEWEST[m.id]}"
    assert measures(many(20))[0].value is not None
    assert measures(many(39))[-1].value is None
    assert measures(many(40))[-1].value is not None


@pytest.mark.parametrize(
    ("chosen", "readings"),
    [
        ({}, {"coverage": "agrees", "bias": "no bias", "crps": "better than", "drift": "no drift"}),
        ({"shift": 1.0}, {"bias": "worse than forecast"}),
        ({"shift": -1.0}, {"bias": "better than forecast"}),
        ({"widen": 2.5}, {"coverage": "too narrow"}),
        ({"widen": 0.3}, {"coverage": "too wide"}),
        ({"drift": 3.0}, {"drift": "drift away"}),
    ],
)
def test_what_is_wrong_is_named(chosen: dict[str, float], readings: dict[str, str]) -> None:
    found = {m.id: m.reading for m in measures(many(400, seed=2, **chosen))}
    for name, words in readings.items():
        assert words in found[name], (name, found[name])


def test_the_interval_of_the_coverage_holds_the_truth_as_often_as_it_says() -> None:
    inside, rng = 0, np.random.default_rng(1)
    for _ in range(2000):
        m = coverage((rng.uniform(size=60) < 0.9).tolist())
        assert m.lo90 is not None
        assert m.hi90 is not None
        inside += m.lo90 <= 0.9 <= m.hi90
    assert 0.85 < inside / 2000 < 0.96


def test_recalibration_mends_what_is_shifted_and_too_narrow_and_changes_no_forecast() -> None:
    judged = many(300, shift=0.8, widen=2.0)
    before = list(judged)
    found = {m.id: m for m in recalibrated(judged)}
    assert found["shift"].lo90 < 0.8 < found["shift"].hi90  # type: ignore[operator]
    assert found["width"].lo90 < 2.0 < found["width"].hi90  # type: ignore[operator]
    assert "agrees" in found["coverage recalibrated"].reading
    assert found["crps gain"].reading.endswith("helps")
    assert judged == before
    (few,) = recalibrated(many(10))
    assert few.reading == "too few: 10 of 40"


def test_crps_and_brier_are_those_of_the_formulas() -> None:
    """Gneiting and Raftery 2007, equation 21, for a normal forecast; Brier 1950."""
    from scipy.stats import norm

    judged = many(25)
    z = np.array([(j.observed - j.mean) / j.sd for j in judged])
    by_hand = np.mean(3.0 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))
    found = {m.id: m for m in measures(judged)}
    assert found["crps"].value == pytest.approx(by_hand, rel=1e-9)
    assert found["brier"].value == pytest.approx(0.25)


def test_who_is_judged_and_by_what(
    registry: Registry, register: Register, added: Added, made_panel: Callable[..., Any]
) -> None:
    for k in range(6):
        added(f"P{k}")
    for k in range(5):
        register.give(f"P{k}", "ssri" if k else "ketamine")
    for k in range(4):
        register.score(f"P{k}", 4, "HAMD17", 20)
        register.score(f"P{k}", 12, "HAMD17", 10)
    register.give("P3", "ketamine", 6)
    register.add("late", made_panel("late"))
    register.score("late", 12, "HAMD17", 3)
    register.give("late", "ssri")
    added("late")
    found = judge(registry)
    assert found.people == 7
    assert [j.week for j in found.judged] == [12.0, 12.0]
    assert found.judged[0].observed == 10
    assert found.judged[0].responded is True
    assert found.left_out == {
        "the regimen was not forecast": 1,
        "another regimen began on the way": 1,
        "no score yet": 2,
        "no score after the forecast, on its scale and within its weeks": 1,
    }
    assert register.trail()[-1]["action"] == "judge"


def test_an_earlier_score_is_judged_where_the_last_is_beyond_the_forecast(
    registry: Registry, register: Register, added: Added
) -> None:
    added("P1")
    register.give("P1", "ssri")
    register.score("P1", 6, "HAMD17", 15)
    register.score("P1", 30, "HAMD17", 15)
    (found,) = judge(registry).judged
    assert found.week == 6
    assert found.mean == pytest.approx(17.0)
    assert found.response is None
