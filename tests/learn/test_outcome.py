"""Outcome models: scikit-learn's contract, and that they find what is there and nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.learn.outcome import OutcomeClassifier, OutcomeRegressor

BOTH = ("penalised", "boosting")


@parametrize_with_checks([kind(method) for kind in (OutcomeClassifier, OutcomeRegressor) for method in BOTH])
def test_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Every check holds; none is expected to fail."""
    check(estimator)


def made(n: int, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6))
    return x, 2 * x[:, 0] - x[:, 1] + rng.standard_normal(n)


@pytest.mark.parametrize("method", BOTH)
def test_a_strong_signal_is_found(method: Any) -> None:
    x, y = made(300)
    predicted = cross_val_predict(OutcomeRegressor(method), x, y, cv=5)
    assert np.corrcoef(predicted, y)[0, 1] > 0.75
    event = (y > 0).astype(int)
    chance = cross_val_predict(OutcomeClassifier(method), x, event, cv=5, method="predict_proba")[:, 1]
    assert log_loss(event, chance) < 0.5


def test_noise_is_shrunk_to_the_mean() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((60, 20)), 10 + rng.standard_normal(60)
    model = OutcomeRegressor().fit(x, y)
    assert np.std(model.predict(x)) < 0.3 * np.std(y)
    chance = OutcomeClassifier().fit(x, y > 10).predict_proba(x)[:, 1]
    assert np.std(chance) < 0.2


def test_a_gap_is_filled_with_the_training_median() -> None:
    x, y = made(200)
    x[:, 0] += 3
    model = OutcomeRegressor().fit(x, y)
    gap = np.median(x, axis=0)[None, :]
    with_gap = gap.copy()
    with_gap[0, 0] = np.nan
    assert model.predict(with_gap)[0] == pytest.approx(model.predict(gap)[0])


def test_an_unknown_method_and_one_class_are_refused() -> None:
    x, y = made(40)
    with pytest.raises(ValueError, match="'forest'; expected 'penalised' or 'boosting'"):
        OutcomeRegressor("forest").fit(x, y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one class"):
        OutcomeClassifier().fit(x, np.ones(40, dtype=int))


def test_same_seed_same_model() -> None:
    x, y = made(120)
    for method in BOTH:
        model = OutcomeRegressor(method)  # type: ignore[arg-type]
        assert (model.fit(x, y).predict(x) == clone(model).fit(x, y).predict(x)).all()
