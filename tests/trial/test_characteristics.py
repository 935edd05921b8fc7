"""Error of every analysis in whole trials where nothing works, coverage where something does, and assurance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.trial.characteristics import Value, analysis_characteristics, assurance, counted
from crosstalk.trial.replicates import Replicates, replicate
from crosstalk.trial.truth import true_effects

METHODS = ["mmrm", "ancova", "response", "remission", "time-to-remission", "interaction", "marker-slope"]


def everything(made: Any, **given: Any) -> Any:
    """Every analysis of a trial in which a fifth leaves by chance, and some visits are missed."""
    kept = {"nonresponder": False, "estimand": "hypothetical"}
    analyses = [made.analysis(m, id=m, **kept) for m in METHODS]
    analyses += [made.analysis("mmrm", id="positive", part="positive", **kept)]
    analyses += [made.analysis("response", id="adjusted", covariates=("age",), **kept)]
    design = made.design(
        *analyses, kind="stratified", n=200, marker=made.marker,
        conduct=made.conduct(missed_visits=0.05, dropout=0.2, visit_window_h=48.0),
    )  # fmt: skip
    # half respond, a sixth remits
    scale = made.replace(made.scale, remission_max=60.0)
    return made.setting(design, mean=70.0, recorded=140.0, scale=scale, hazard=0.2 / 672, **given)


TRIALS = [150, pytest.param(1500, marks=pytest.mark.slow)]


@pytest.mark.parametrize("trials", TRIALS)
def test_type_one_error_of_every_analysis_is_five_percent(made: Any, trials: int) -> None:
    ready = made.replace(everything(made), null=True)
    runs = replicate(ready, trials, seed=1, label="null")
    truth = {a.id: 0.0 for a in ready.design.analyses}
    for found in analysis_characteristics(ready.design, truth, runs, runs):
        error, covered = found.type_i_error, found.coverage_of_no_effect
        assert error.value == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / trials)), found.id
        assert covered.value == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / trials)), found.id
        assert found.failed == 0
    # the search over subgroups finds something far too often
    naive = counted(runs.counts["naive"])
    assert naive.value - 3 * naive.se > 0.10


@pytest.mark.parametrize("trials", TRIALS)
def test_intervals_of_every_analysis_hold_the_truth(made: Any, trials: int) -> None:
    ready = everything(made, benefit=3.0, by_marker=4.0)
    runs = replicate(ready, trials, seed=2, label="power")
    truth = true_effects(ready, 0, np.random.default_rng(1))
    assert truth["mmrm"] == pytest.approx(-3.0 - 4.0 * 0.3426, abs=0.1)
    assert 1.0 < -truth["interaction"] < 4.0  # diluted by the error of the measurement
    for found in analysis_characteristics(ready.design, truth, runs, None):
        assert found.coverage.value == pytest.approx(0.95, abs=3.2 * np.sqrt(0.05 * 0.95 / trials)), found.id
        # a log hazard ratio is biased in small samples, and its target depends a little on who leaves
        slack = 0.05 if found.id == "time-to-remission" else 0.004
        assert abs(found.bias.value) < 3.2 * found.bias.se + slack, found.id
        assert np.isnan(found.type_i_error.value)


def runs_of(won: np.ndarray[Any, Any], world: np.ndarray[Any, Any]) -> Replicates:
    """Trials with a given success, estimate -1 and standard error 0.5."""
    n = len(won)
    ones = np.ones((n, 1))
    values = {"estimate": -ones, "se": 0.5 * ones, "adjusted": np.where(won, 0.01, 0.5)[:, None]}
    return Replicates(world, ("primary",), values, {}, {}, {})


def test_assurance_tells_knowledge_from_chance(made: Any) -> None:
    rng = np.random.default_rng(1)
    worlds, each = 40, 400
    world = np.arange(worlds * each) % worlds
    rate = np.repeat([0.2, 0.8], worlds // 2)
    found = assurance(
        made.analysis(), np.repeat([-0.5, -2.0], worlds // 2), runs_of(rng.random(len(world)) < rate[world], world)
    )
    assert found.probability.value == pytest.approx(0.5, abs=0.02)
    assert found.knowledge_sd == pytest.approx(rate.std(ddof=1), rel=0.03)
    # worlds, not trials, are the sample
    assert found.probability.se == pytest.approx(rate.std(ddof=1) / np.sqrt(worlds), rel=0.05)
    same = assurance(made.analysis(), np.full(worlds, -1.0), runs_of(rng.random(len(world)) < 0.5, world))
    assert same.knowledge_sd < 0.02
    assert (same.power_lo90, same.effect_median) == (pytest.approx(same.power_hi90), -1.0)


def test_a_world_without_patients_is_no_success(made: Any) -> None:
    world = np.arange(40) % 4
    found = assurance(made.analysis(), [-1.0] * 4, runs_of(np.ones(40, dtype=bool), world), nobody=4)
    assert found.probability.value == 0.5
    assert (found.worlds, found.worlds_without_patients) == (8, 4)


def test_the_error_of_an_assurance_is_that_of_its_sample_of_worlds(made: Any) -> None:
    """Over many sets of worlds the estimate varies by its standard error."""
    rng = np.random.default_rng(2)
    estimates, errors = [], []
    for _ in range(400):
        rate = rng.beta(1, 1, 20)
        world = np.arange(100) % 20
        found = assurance(made.analysis(), [-1.0] * 20, runs_of(rng.random(100) < rate[world], world))
        estimates.append(found.probability.value)
        errors.append(found.probability.se)
    assert np.std(estimates) == pytest.approx(np.mean(errors), rel=0.12)


def test_a_share_has_the_binomial_error() -> None:
    assert counted(np.array([0.0, 1.0, np.nan, 1.0, 0.0])) == Value(0.5, 0.25)
    assert np.isnan(counted(np.array([np.nan])).value)


def test_power_counts_the_favourable_direction(made: Any) -> None:
    design = made.design(n=100)
    runs = replicate(made.setting(design, benefit=-8.0), 50, seed=3, label="power")
    found = analysis_characteristics(design, {"primary": 8.0}, runs, runs)[0]
    assert found.power.value == 0.0
    assert found.type_i_error.value > 0.9
