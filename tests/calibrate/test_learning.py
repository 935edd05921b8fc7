"""Learning rates: what helps to predict left-out studies is let in, what harms is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosstalk.calibrate.heterogeneity import Heterogeneity
from crosstalk.calibrate.learning import RATES, LearningRate, learn_rates, tempered
from crosstalk.calibrate.targets import Target, Targets
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.records import Result
from crosstalk.study.schema import read_study

N = 30  # studies, two results each
SE = 0.1
CONTRAST = Result("smd", "HAMD17", "drug", "placebo", 1008.0, value=0.0, se=SE)
COURSE = Result("change", "HAMD17", "drug", "", 1008.0, value=0.0, se=SE)


def made(knowledge: Knowledge, contrasts: np.ndarray, courses: np.ndarray, cohort: str = "") -> Targets:
    base = read_study("raison2013", knowledge)
    arms = {arm.id: arm.diagnosis for arm in base.arms}
    drug, placebo = list(arms)[:2]
    items = []
    for i, pair in enumerate(zip(contrasts, courses, strict=True)):
        for number, (result, value) in enumerate(zip((CONTRAST, COURSE), pair, strict=True)):
            own = replace(result, arm=drug, versus=placebo if result.versus else "", value=float(value))
            items.append(Target(f"study{i}", number, own, float(value), SE, "symptoms"))
    studies = tuple(replace(base, id=f"study{i}", cohort=cohort) for i in range(len(contrasts)))
    values = np.array([t.value for t in items])
    return Targets(studies, tuple(items), values, SE**2 * np.eye(len(values)))


def ensemble(seed: int = 1, members: int = 200) -> np.ndarray:
    """All contrasts have one true effect, all courses another; nothing ties the two."""
    rng = np.random.default_rng(seed)
    effect, course = rng.normal(0, 1, (2, members, 1))
    return np.concatenate([np.concatenate([effect, course], axis=1)] * N, axis=1)


def rates(found: tuple[LearningRate, ...]) -> dict[str, float]:
    return {r.domain: r.rate for r in found}


def test_a_model_that_is_right_learns(knowledge: Knowledge) -> None:
    rng = np.random.default_rng(2)
    targets = made(knowledge, 0.7 + rng.normal(0, SE, N), -1.0 + rng.normal(0, SE, N))
    found = learn_rates(targets, ensemble(), (), knowledge, seed=1)
    assert {r.domain: r.results for r in found} == {"treatment contrast": N, "course": N}
    assert min(rates(found).values()) >= 0.05  # hundreds of times what the prior knows already
    assert min(r.gain for r in found) > 1  # from an SD of 1 to one of a tenth


def test_studies_that_contradict_each_other_are_heard_less(knowledge: Knowledge) -> None:
    """Courses scatter by ten times their errors, so that a mean of them is believed far too much."""
    rng = np.random.default_rng(2)
    targets = made(knowledge, 0.7 + rng.normal(0, SE, N), rng.normal(0, 1.0, N))
    found = rates(learn_rates(targets, ensemble(), (), knowledge, seed=1))
    assert found["course"] <= 0.02 < found["treatment contrast"]


def test_a_result_is_not_predicted_from_its_own_cohort(knowledge: Knowledge) -> None:
    """Values that only their own study could tell cannot be predicted: nothing is gained by hearing them."""
    rng = np.random.default_rng(3)
    own = rng.normal(0, 1, (200, N))
    simulated = np.stack([own, own + rng.normal(0, 0.05, own.shape)], axis=2).reshape(200, 2 * N)
    truth = rng.normal(0, 1, N)
    found = learn_rates(made(knowledge, truth, truth), simulated, (), knowledge, seed=1)
    assert max(abs(r.gain) for r in found) < 0.1


def test_one_cohort_leaves_nothing_to_predict(knowledge: Knowledge) -> None:
    targets = made(knowledge, np.full(N, 0.7), np.full(N, -1.0), cohort="one")
    assert set(rates(learn_rates(targets, ensemble(), (), knowledge, seed=1)).values()) == {1.0}


def test_what_studies_differ_by_is_no_misfit(knowledge: Knowledge) -> None:
    """Scatter that is known to lie between studies widens the prediction; it is not mistaken for surety."""
    rng = np.random.default_rng(2)
    targets = made(knowledge, 0.7 + rng.normal(0, 0.5, N), -1.0 + rng.normal(0, SE, N))
    between = (Heterogeneity("contrast", 0.5, 0.4, 0.6, N),)
    plain = {r.domain: r.gain for r in learn_rates(targets, ensemble(), (), knowledge, seed=1)}
    known = {r.domain: r.gain for r in learn_rates(targets, ensemble(), between, knowledge, seed=1)}
    assert known["treatment contrast"] > plain["treatment contrast"]


def test_errors_grow_as_less_is_let_in(knowledge: Knowledge) -> None:
    targets = made(knowledge, np.zeros(N), np.zeros(N))
    given = (LearningRate("treatment contrast", 0.04, 0.0, N), LearningRate("course", 1.0, 0.0, N))
    heard = tempered(targets, given, knowledge)
    assert np.sqrt(np.diag(heard.covariance))[:2] == pytest.approx([5 * SE, SE])
    assert (heard.values == targets.values).all()


def test_gaps_and_results_without_spread_are_borne(knowledge: Knowledge) -> None:
    rng = np.random.default_rng(2)
    targets = made(knowledge, 0.7 + rng.normal(0, SE, N), -1.0 + rng.normal(0, SE, N))
    simulated = ensemble()
    simulated[:30, 0] = np.nan
    simulated[:, 3] = np.nan
    simulated[:, 5] = 0.0
    found = learn_rates(targets, simulated, (), knowledge, seed=1)
    assert {r.domain: r.results for r in found} == {"treatment contrast": N, "course": N - 2}
    assert set(rates(found).values()) <= set(RATES)
