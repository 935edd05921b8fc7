"""Treatment effects by patient: the contract, known truths, intervals that cover, and the mechanism as a prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.learn.benefit import BenefitError, BenefitLearner

Array = NDArray[np.float64]


class Randomised(BenefitLearner):  # type: ignore[misc] # sklearn has no types
    """For the checks, which pass no treatment: rows get 0 and 1 in turn in the order of their first value.

    So the assignment follows from the values of a row and not from its place, as the checks permute rows.
    """

    def fit(self, X: Any, y: Any, treatment: Any = None) -> Randomised:
        n = len(y) if y is not None else 2
        if treatment is None:
            treatment = np.arange(n) % 2
            if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] and X.dtype.kind in "fiu" and len(X) == n:
                treatment = np.argsort(np.argsort(X[:, 0], kind="stable"), kind="stable") % 2
        super().fit(X, y, treatment)
        return self


@parametrize_with_checks([Randomised("dr"), Randomised("prior")])
def test_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Every check holds, given a treatment; that `fit` needs one is beyond what the checks know."""
    check(estimator)


def trial(n: int, seed: int, *, slope: float = 0.0, effect: float = -2.0) -> tuple[Array, Array, Array]:
    """Patients with three covariates, randomised one to one; the effect depends on the first."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    w = (rng.permutation(n) % 2).astype(float)
    y = 10 + 3 * x[:, 1] + np.abs(x[:, 2]) + w * (effect + slope * x[:, 0]) + 5 * rng.standard_normal(n)
    return x, y, w


@pytest.mark.parametrize("nuisance", ["penalised", "boosting"])
def test_an_interaction_is_recovered(nuisance: Any) -> None:
    x, y, w = trial(2000, 1, slope=-1.5)
    found = BenefitLearner(nuisance=nuisance).fit(x, y, w)
    first, *others = found.interactions_
    assert first.low < -1.5 < first.high < 0
    assert found.average_.low < -2 < found.average_.high < 0
    assert found.heterogeneity_p_ < 1e-4
    assert all(e.low < 0 < e.high for e in others)
    predicted = found.predict(x)
    assert np.corrcoef(predicted, x[:, 0])[0, 1] < -0.9


def test_predictions_of_the_outcome_make_intervals_narrower() -> None:
    """Against the difference of the arms alone, which leaves the prognosis in the noise."""
    x, y, w = trial(600, 3)
    y = y + 6 * x[:, 1]
    plain = np.sqrt(y[w == 1].var(ddof=1) / (w == 1).sum() + y[w == 0].var(ddof=1) / (w == 0).sum())
    assert BenefitLearner().fit(x, y, w).average_.se < 0.75 * plain


def test_a_known_propensity_of_two_to_one() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3000, 2))
    w = (rng.random(3000) < 2 / 3).astype(int)
    y = x[:, 0] + w * (1 + x[:, 1]) + rng.standard_normal(3000)
    found = BenefitLearner(propensity=2 / 3).fit(x, y, treatment=w)
    assert found.average_.value == pytest.approx(1, abs=0.15)
    assert found.interactions_[1].value == pytest.approx(1, abs=0.15)


def test_modifiers_by_name_and_gaps() -> None:
    x, y, w = trial(500, 5, slope=-3.0)
    frame = pd.DataFrame(x, columns=["CRP", "age", "BMI"])
    frame.loc[::7, "age"] = np.nan
    found = BenefitLearner(modifiers=["CRP"]).fit(frame, y, w)
    assert [e.name for e in found.interactions_] == ["CRP"]
    assert np.isfinite(found.predict(frame)).all()
    low, high = found.interval(frame)
    assert (low < found.predict(frame)).all()
    assert (high > found.predict(frame)).all()


def test_a_binary_outcome_gives_risk_differences() -> None:
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((4000, 1)), rng.integers(0, 2, 4000)
    y = (rng.random(4000) < 0.3 + 0.2 * w).astype(float)
    found = BenefitLearner().fit(x, y, w)
    assert found.average_.value == pytest.approx(0.2, abs=0.04)
    assert abs(found.interactions_[0].value) < 3 * found.interactions_[0].se


def test_few_patients_say_what_the_mechanism_says_and_many_what_the_data_say() -> None:
    """The mechanism believes in an effect of -6 for all; the truth is 0. Means over 30 trials of each size."""
    said = {}
    for n in (8, 80, 2000):
        found = []
        for seed in range(30 if n < 2000 else 3):
            x, y, w = trial(n, 200 + seed, effect=0.0)
            columns = np.column_stack([x, np.full(n, 10.8), np.full(n, 4.8)])
            model = BenefitLearner("prior", prior=(3, 4)).fit(columns, y, w)
            found.append(model.average_.value)
            assert model.predict(columns).mean() == pytest.approx(model.average_.value)
        said[n] = float(np.mean(found))
    # weight of the mechanism: 25 pseudo-patients in each arm
    assert said[8] == pytest.approx(-6 * 25 / 29, abs=1)
    assert said[80] == pytest.approx(-6 * 25 / 65, abs=1)
    assert said[2000] == pytest.approx(0, abs=0.4)


def test_a_good_mechanism_helps_where_data_are_few() -> None:
    """Error of the predicted effects with the true effect as prior, without one, and by the doubly robust learner."""
    errors: dict[str, list[float]] = {"mechanism": [], "none": [], "dr": []}
    for seed in range(10):
        x, y, w = trial(40, 100 + seed, slope=-2.0)
        truth = -2 - 2 * x[:, 0]
        columns = np.column_stack([x, np.full(40, 10.8), 10.8 + truth])
        fits = {
            "mechanism": BenefitLearner("prior", prior=(3, 4)).fit(columns, y, w).predict(columns),
            "none": BenefitLearner("prior").fit(x, y, w).predict(x),
            "dr": BenefitLearner().fit(x, y, w).predict(x),
        }
        for name, predicted in fits.items():
            errors[name].append(float(np.mean((predicted - truth) ** 2)))
    mean = {name: np.mean(e) for name, e in errors.items()}
    assert mean["mechanism"] < 0.8 * mean["none"]
    assert mean["mechanism"] < 0.5 * mean["dr"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "forest"}, "method='forest'"),
        ({"propensity": 1.0}, "propensity=1.0"),
        ({"prior": (0, 1)}, "prior= is for method='prior'"),
        ({"method": "prior", "prior": (0,)}, "expected two columns"),
        ({"modifiers": ["CRP"]}, "no column 'CRP'"),
        ({"modifiers": [3]}, "no column 3"),
        ({"level": 95}, "level=95"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], words: str) -> None:
    x, y, w = trial(60, 8)
    with pytest.raises(BenefitError, match=words.replace("(", r"\(")):
        BenefitLearner(**change).fit(x, y, w)


def test_treatments_that_make_no_sense() -> None:
    x, y, w = trial(60, 9)
    with pytest.raises(BenefitError, match="no treatment given"):
        BenefitLearner().fit(x, y)
    for wrong in (w + 1, np.ones(60), w[:-1], np.array(["a", "b"] * 30)):
        with pytest.raises(BenefitError, match="expected 0 and 1"):
            BenefitLearner().fit(x, y, wrong)
    few = np.r_[np.ones(3), np.zeros(57)]
    with pytest.raises(BenefitError, match="arms of 57 and 3"):
        BenefitLearner().fit(x, y, few)


def null_rejections(n_sets: int, n: int) -> tuple[float, float]:
    """Share of data sets without heterogeneity in which the test says 5 %, and in which a slope's interval misses 0."""
    rejected = missed = 0
    for seed in range(n_sets):
        x, y, w = trial(n, 10_000 + seed)
        found = BenefitLearner().fit(x, y, w)
        rejected += found.heterogeneity_p_ < 0.05
        missed += not found.interactions_[0].low < 0 < found.interactions_[0].high
    return rejected / n_sets, missed / n_sets


@pytest.mark.slow
def test_the_test_of_heterogeneity_holds_its_level() -> None:
    """5 % of 1000 data sets, within three standard errors (0.7 points each)."""
    rejected, missed = null_rejections(1000, 120)
    assert 0.029 < rejected < 0.071
    assert 0.029 < missed < 0.071


@pytest.mark.slow
def test_intervals_of_the_prior_learner_cover_where_the_mechanism_is_off_as_doubted() -> None:
    """Deviations drawn from the prior: 95 % intervals of a patient's effect cover 95 % within three standard errors."""
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(600):
        n = 60
        x, w = rng.standard_normal((n, 2)), rng.permutation(n) % 2
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        design = np.column_stack([np.ones(n), x])
        beta = 0.2 * 4 * rng.standard_normal((2, 3))
        mechanism = np.column_stack([12 - x[:, 0], 9 - 2 * x[:, 0]])
        means = mechanism + design @ beta.T
        y = means[np.arange(n), w] + 4 * rng.standard_normal(n)
        found = BenefitLearner("prior", prior=(2, 3)).fit(np.column_stack([x, mechanism]), y, w)
        low, high = found.interval(np.column_stack([x, mechanism])[:1])
        covered.append(low[0] <= means[0, 1] - means[0, 0] <= high[0])
    assert abs(np.mean(covered) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 600)
