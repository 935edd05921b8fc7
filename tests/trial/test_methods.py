"""The table of analyses: a made-up one needs its entry alone, an unknown one is an error with the choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.errors import UsageError
from crosstalk.statistics import wald
from crosstalk.study.methods import METHODS, AnalysisMethod, Compared
from crosstalk.trial.analyse import analyse, favours
from crosstalk.trial.conduct import conduct
from crosstalk.trial.truth import true_effects


def difference_of_medians(c: Compared) -> Any:
    """With the usual standard error of a median of normal scores."""
    arm, control = (c.change[(c.arm == a) & np.isfinite(c.change)] for a in (1, 0))
    error = np.sqrt(sum(np.pi / 2 * x.var(ddof=1) / len(x) for x in (arm, control)))
    return wald(float(np.median(arm) - np.median(control)), float(error), n=len(arm) + len(control))


def score(scores: Any, at: int, scale: Any) -> Any:
    return scores[:, at]


@pytest.fixture
def median(monkeypatch: pytest.MonkeyPatch) -> str:
    entry = AnalysisMethod(
        "medians", "difference of the medians of the change", difference_of_medians,
        lambda p: float(np.median(p.arm[p.part, p.at]) - np.median(p.control[p.part, p.at])), score,
    )  # fmt: skip
    monkeypatch.setitem(METHODS, "medians", entry)
    return "medians"


def test_a_made_up_method_needs_its_entry_alone(made: Any, median: str) -> None:
    analysis = made.analysis(median)
    setting = made.setting(made.design(analysis, n=400), benefit=6.0)
    found = analyse(setting, conduct(setting, 0, np.random.default_rng(1)), analysis)
    truth = true_effects(setting, 0, np.random.default_rng(2))["primary"]
    assert truth == pytest.approx(-6.0, abs=0.2)
    assert abs(found.estimate - truth) < 4 * found.se
    assert favours(analysis, np.array([-1.0, 1.0])).tolist() == [True, False]
    assert analysis.strategy.startswith("treatment policy")


def test_an_unknown_method_is_not_analysed_as_another(made: Any) -> None:
    analysis = made.analysis("remision")
    setting = made.setting(made.design(made.analysis()))
    data = conduct(setting, 0, np.random.default_rng(1))
    with pytest.raises(UsageError, match=r"'remision' is unknown; expected one of 'mmrm', 'ancova', .*'remission'"):
        analyse(setting, data, analysis)
    with pytest.raises(UsageError, match="is unknown"):
        favours(analysis, np.array([1.0]))


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_agrees_with_its_truth_on_the_side(made: Any, name: str) -> None:
    """A strong benefit speaks for the arm, in the estimate and in the truth."""
    entry = METHODS[name]
    if entry.crossover:
        pytest.skip("the crossover has a design of its own, in test_run")
    scale = made.replace(made.scale, remission_max=95.0, response_fraction=0.5)
    analysis = made.analysis(name)
    plan = made.design(analysis, n=400, marker=made.marker)
    setting = made.setting(plan, benefit=8.0, by_marker=8.0, scale=scale)
    found = analyse(setting, conduct(setting, 0, np.random.default_rng(3)), analysis)
    truth = true_effects(setting, 0, np.random.default_rng(4))["primary"]
    assert favours(analysis, np.array([truth])).all()
    assert abs(found.estimate - truth) < 4 * found.se, found.note
