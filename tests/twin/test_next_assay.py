"""Expected reduction of the variance of a benefit: closed forms, useless assays, ranking."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.estimate import Estimator
from crosstalk.twin.library import Twins
from crosstalk.twin.likelihood import observations
from crosstalk.twin.next_assay import expected_reduction, next_assays

Array = NDArray[np.float64]


@pytest.mark.parametrize("noise", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("correlation", [1.0, 0.7])
def test_linear_gaussian_cases_have_a_closed_form(noise: float, correlation: float) -> None:
    """1 - noise²/(signal² + noise²), times the share of the benefit that the signal explains."""
    rng = np.random.default_rng(5)
    signal = 1.5 * rng.standard_normal(1500)
    benefit = correlation * signal / 1.5 + np.sqrt(1 - correlation**2) * rng.standard_normal(1500)
    expected = correlation**2 * (1 - noise**2 / (1.5**2 + noise**2))
    assert expected_reduction(benefit, signal, noise, rng) == pytest.approx(expected, abs=0.05)


def test_units_of_benefit_and_place_of_the_signal_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    signal = rng.standard_normal(300)
    benefit = signal + rng.standard_normal(300)
    found = [
        expected_reduction(b, s, 0.5, np.random.default_rng(1))
        for b, s in ((benefit, signal), (-40 * benefit + 7, signal), (benefit, signal + 11))
    ]
    assert found[1:] == pytest.approx(found[:1] * 2, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize("noise", [0.02, 0.5, 5.0])
def test_an_assay_that_tells_nothing_reduces_nothing(seed: int, n: int, noise: float) -> None:
    """Also where few draws lie near each simulated value, which makes any variance look small."""
    rng = np.random.default_rng(seed)
    found = expected_reduction(rng.standard_normal(n), rng.standard_normal(n), noise, rng)
    assert 0 <= found < 0.08


def test_a_signal_that_is_the_same_for_all_reduces_nothing() -> None:
    rng = np.random.default_rng(1)
    assert expected_reduction(rng.standard_normal(100), np.zeros(100), 0.5, rng) == 0


def test_noise_that_drowns_the_signal_reduces_nothing() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(400)
    assert expected_reduction(x, x, 100.0, rng) < 0.02


def test_more_noise_never_helps() -> None:
    x = np.random.default_rng(2).standard_normal(600)
    found = [expected_reduction(x, x, noise, np.random.default_rng(3)) for noise in (0.1, 0.3, 1.0, 3.0)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("benefit", [np.zeros(100), np.arange(5.0), np.empty(0)])
def test_nothing_to_reduce_or_too_few_draws(benefit: Array) -> None:
    rng = np.random.default_rng(1)
    assert expected_reduction(benefit, rng.standard_normal(len(benefit)), 0.5, rng) == 0


N = 300


def made_up(measured: tuple[str, ...] = (), *, seed: int = 1) -> tuple[Twins, Estimator, Usable, Array]:
    """Virtual patients whose benefit hangs on IL-6 alone; every other variable is chance."""
    knowledge = load_knowledge()
    rng = np.random.default_rng(seed)
    variables = {a.observable for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable}
    outputs = {v: np.exp(rng.standard_normal(N)) for v in sorted(variables)}
    drive = np.log(outputs["IL6_total"])
    outputs["CRP"] = np.exp(drive + 0.05 * rng.standard_normal(N))
    panel = Panel("A", {k: Measurement(k, 1.0) for k in measured})
    twins = SimpleNamespace(patients=SimpleNamespace(outputs=outputs, seed=seed))
    estimator = Estimator(np.ones(N), np.arange(N) % 10)
    return twins, estimator, Usable(observations(panel, knowledge), {}), 3 * drive  # type: ignore[return-value]


def test_the_assay_that_tells_most_comes_first() -> None:
    knowledge = load_knowledge()
    twins, estimator, fit, benefit = made_up()
    found = next_assays(twins, estimator, fit, benefit, knowledge)
    # CRP follows IL-6 closely here and its assays agree better with each other
    assert [a.analyte for a in found[:2]] == ["hsCRP", "IL-6"]
    for entry in found[:2]:
        analyte = knowledge.analytes[entry.analyte]
        noise = np.log1p(analyte.assay_cv**2) + np.log1p(analyte.within_cv**2) + analyte.offset_log_sd**2
        variance = float(np.var(benefit / 3))
        assert entry.variance_reduction == pytest.approx(variance / (variance + noise), abs=0.08)
    assert all(a.variance_reduction < 0.1 for a in found[2:])
    shares = [a.variance_reduction for a in found]
    assert shares == sorted(shares, reverse=True)


def test_what_was_measured_is_not_proposed() -> None:
    twins, estimator, fit, benefit = made_up(("hsCRP",))
    found = next_assays(twins, estimator, fit, benefit, load_knowledge(), at_most=100)
    names = [a.analyte for a in found]
    assert "hsCRP" not in names
    assert names[0] == "IL-6"
    assert len(names) == len(set(names))


def test_at_most_so_many_and_only_what_the_model_predicts() -> None:
    knowledge = load_knowledge()
    twins, estimator, fit, benefit = made_up()
    assert len(next_assays(twins, estimator, fit, benefit, knowledge, at_most=3)) == 3
    every = next_assays(twins, estimator, fit, benefit, knowledge, at_most=1000)
    assert {a.analyte for a in every} == {
        a.id for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable
    }


def test_weights_decide_who_is_asked() -> None:
    """A half in which the benefit hangs on nothing has no say without weight."""
    knowledge = load_knowledge()
    twins, _, fit, benefit = made_up()
    spoilt = np.where(np.arange(N) < N // 2, benefit, np.random.default_rng(1).normal(0, 30, N))
    weighed = Estimator(np.where(np.arange(N) < N // 2, 1.0, 1e-12), np.arange(N) % 10)
    found = next_assays(twins, weighed, fit, spoilt, knowledge)
    assert found[0].variance_reduction > 0.5


def test_same_seed_same_ranking() -> None:
    twins, estimator, fit, benefit = made_up()
    knowledge = load_knowledge()
    assert next_assays(twins, estimator, fit, benefit, knowledge) == next_assays(
        twins, estimator, fit, benefit, knowledge
    )
