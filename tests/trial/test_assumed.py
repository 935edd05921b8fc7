"""A trialist's own assumption: power, patients and looks by formulas, beside the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crosstalk.errors import StudyError, TrialError
from crosstalk.knowledge import load_knowledge
from crosstalk.statistics.boundaries import boundaries
from crosstalk.statistics.sizes import power_means, sample_size_means
from crosstalk.study.design import Assumed, Design, Interim
from crosstalk.trial.assumed import assumed_power, rpact_script, sized
from crosstalk.trial.plan import design_of, read_trial

SMALL = Path(__file__).parent / "small.toml"


@pytest.fixture(scope="module")
def design() -> Design:
    return design_of(read_trial(SMALL, load_knowledge()))


def plan(design: Design, n: int = 0, **assumed: Any) -> Design:
    return replace(design, n=n, assumed=Assumed(**{"effect": -3.0, "sd": 8.0, "dropout": 0.0, **assumed}))


def test_patients_are_solved_for(design: Design) -> None:
    """rpact 3.3.4: getSampleSizeMeans(alternative = 3, stDev = 8, alpha = 0.05, sided = 2, beta = 0.1): 301.3."""
    found = sized(plan(design, power=0.9))
    size = sample_size_means(boundaries(alpha=0.05, sided=2), 3.0, 8.0, power=0.9)
    assert found.n == 302 == sum(size.patients)
    own = assumed_power(found)
    assert own.power >= 0.9
    assert own.needed == found.n
    assert assumed_power(replace(found, n=found.n - 2)).power < 0.9
    # who leaves is randomised on top
    assert sized(plan(design, power=0.9, dropout=0.2)).n == pytest.approx(301.3 / 0.8, abs=2)
    assert sized(replace(found, n=50)).n == 50


def test_power_is_that_of_the_formulas(design: Design) -> None:
    own = assumed_power(plan(design, n=200, dropout=0.25))
    assert own.patients == 150
    assert own.power == pytest.approx(power_means(boundaries(alpha=0.05, sided=2), 3.0, 8.0, 150).power)
    assert own.target == 0.8


def test_interaction_margin_and_calendar(design: Design) -> None:
    own = assumed_power(plan(design, n=200, interaction=-4.0, positive_share=0.5, margin=2.0, per_month=10.0))
    # four cells of 50: SE = 8 * sqrt(4 / 50), z = 1.768; non-inferiority: drift of (3 + 2) / 8 * sqrt(200) / 2
    assert own.interaction_power == pytest.approx(0.4239, abs=1e-3)
    assert own.margin_power == pytest.approx(power_means(boundaries(alpha=0.025, sided=1), 5.0, 8.0, 200).power)
    assert own.months == pytest.approx(20 + 4 * 7 / 30.4375)


def test_looks_with_futility(design: Design) -> None:
    """The limit is not binding: it costs power and no type I error, and ends most trials without an effect."""
    looks = replace(design, interim=Interim((0.5, 1.0), "spending-obrien-fleming"))
    without = assumed_power(plan(looks, n=300))
    own = assumed_power(plan(looks, n=300, futility="obrien-fleming"))
    assert own.power < without.power
    assert own.futile_null[0] > own.futile[0] > 0
    assert without.futile == ()
    assert sum(own.ends) == pytest.approx(own.power)
    script = rpact_script(plan(looks, n=300, futility="obrien-fleming"), "Example")
    assert 'typeOfDesign = "asOF", typeBetaSpending = "bsOF"' in script
    assert "sided = 1" in script


def test_rates(design: Design) -> None:
    """rpact 3.3.4: getSampleSizeRates(pi1 = 0.45, pi2 = 0.30, alpha = 0.05, sided = 2, beta = 0.1): 216.5 a group."""
    rates = replace(design, analyses=(replace(design.primary, method="response"),))
    given = Assumed(effect=0.15, control_rate=0.30, power=0.9)
    found = sized(replace(rates, n=0, assumed=given))
    assert found.n == 434
    assert assumed_power(found).power == pytest.approx(0.9, abs=0.005)
    assert "pi1 = 0.45, pi2 = 0.3" in rpact_script(found, "Example")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effect": 3.0}, "scores fall; write it below 0"),
        ({"effect": -0.001, "power": 0.9}, "a trial has at most"),
        ({"sd": None, "control_rate": 0.3}, r"primary analysis is 'mmrm': \[trial.assumed\] needs sd"),
    ],
)
def test_what_makes_no_sense_is_refused(design: Design, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TrialError, match=message):
        assumed_power(sized(plan(design, **{"power": 0.8, **change})))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n = 60\n", "", "n is missing: give it, or a power in"),
        ("n = 60\n", "assumed = { effect = -2, sd = 8 }\n", "n is missing"),
        ("n = 60\n", "n = 60\nassumed = { effect = 0, sd = 8 }\n", "effect is 0"),
        ("n = 60\n", "n = 60\nassumed = { effect = -2 }\n", "one of sd .* and control_rate"),
        ("n = 60\n", "n = 60\nassumed = { effect = -2, sd = 8, interaction = -1 }\n", "belong together"),
        ("n = 60\n", "n = 60\nassumed = { effect = -2, sd = 8, futility = 'pocock' }\n", "needs looks"),
        ("n = 60\n", "n = 60\nassumed = { effect = -2, SD = 8 }\n", "unknown key"),
    ],
)
def test_the_file_is_checked(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMALL.read_text().replace(old, new))
    with pytest.raises(StudyError, match=message):
        read_trial(path, load_knowledge())


def test_a_file_without_n(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(SMALL.read_text().replace("n = 60\n", "assumed = { effect = -4, sd = 8, power = 0.8 }\n"))
    found = design_of(read_trial(path, load_knowledge()))
    assert found.n >= 126
    assert found.n % 2 == 0
