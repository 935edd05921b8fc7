"""Intervals and sets of one person: coverage by simulation, in every group; the rules of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.errors import LearnError
from crosstalk.statistics.conformal import ConformalClassifier, ConformalRegressor, conformal_quantile, least_people

Array = NDArray[np.float64]


@parametrize_with_checks([ConformalRegressor(folds=3, random_state=0), ConformalClassifier(folds=3, random_state=0)])
def test_estimators_keep_the_rules_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def draw(rng: np.random.Generator, n: int) -> tuple[Array, Array, NDArray[np.intp]]:
    """Scores whose noise is three times as large in the second group."""
    group = (rng.random(n) < 0.4).astype(int)
    x = rng.normal(size=(n, 2))
    return x, x[:, 0] + rng.normal(size=n) * np.where(group == 1, 3.0, 1.0), group


def coverage(runs: int, n: int, mondrian: bool, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    hits: list[list[Array]] = [[], []]
    for k in range(runs):
        x, y, group = draw(rng, n)
        at, of, whose = draw(rng, 60)
        model = ConformalRegressor(level=0.9, folds=5, random_state=k).fit(x, y, mondrian=group if mondrian else None)
        low, high = model.predict_interval(at, mondrian=whose if mondrian else None).T
        for g in (0, 1):
            hits[g].append(((low <= of) & (of <= high))[whose == g])
    return float(np.concatenate(hits[0]).mean()), float(np.concatenate(hits[1]).mean())


def test_both_groups_are_covered_alike_only_within_groups() -> None:
    quiet, loud = coverage(25, 150, mondrian=True, seed=1)
    assert quiet == pytest.approx(0.9, abs=0.04)
    assert loud == pytest.approx(0.9, abs=0.05)
    quiet, loud = coverage(25, 150, mondrian=False, seed=1)
    assert quiet > 0.96
    assert loud < 0.86


@pytest.mark.slow
def test_coverage_is_as_it_says() -> None:
    quiet, loud = coverage(400, 150, mondrian=True, seed=2)
    assert 0.89 <= quiet <= 0.925
    assert 0.885 <= loud <= 0.93


def set_coverage(runs: int, seed: int) -> dict[int, float]:
    """How often the set holds the truth, by class; the event is rare."""
    rng = np.random.default_rng(seed)
    hits: dict[int, list[Array]] = {0: [], 1: []}
    for k in range(runs):
        x = rng.normal(size=(260, 2))
        y = (rng.random(260) < 1 / (1 + np.exp(1.5 - x[:, 0]))).astype(int)
        model = ConformalClassifier(level=0.9, folds=5, random_state=k).fit(x[:200], y[:200])
        inside = model.predict_set(x[200:])[np.arange(60), y[200:]]
        for c in (0, 1):
            hits[c].append(inside[y[200:] == c])
    return {c: float(np.concatenate(found).mean()) for c, found in hits.items()}


def test_rare_outcomes_are_covered_too() -> None:
    found = set_coverage(25, seed=3)
    assert found[0] == pytest.approx(0.9, abs=0.04)
    assert found[1] == pytest.approx(0.9, abs=0.06)


@pytest.mark.slow
def test_sets_cover_as_they_say() -> None:
    for found in set_coverage(400, seed=4).values():
        assert 0.885 <= found <= 0.93


def test_too_few_people_are_refused() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(30, 1)), rng.normal(size=30)
    group = np.repeat([0, 1], [25, 5])
    model = ConformalRegressor(level=0.9, random_state=0).fit(x, y, mondrian=group)
    assert np.isfinite(model.predict_interval(x[:2], mondrian=[0, 0])).all()
    with pytest.raises(LearnError, match="group 1 has 5 people in training; an interval of 90% needs 9 or more"):
        model.predict_interval(x[:1], mondrian=[1])
    with pytest.raises(LearnError, match="group 7 has 0 people"):
        model.predict_interval(x[:1], mondrian=[7])
    with pytest.raises(LearnError, match="groups for 30 people"):
        model.fit(x, y, mondrian=[1, 2])
    events = ConformalClassifier(level=0.9, random_state=0).fit(x, np.repeat([0, 1], [25, 5]))
    with pytest.raises(LearnError, match="5 people of class 1"):
        events.predict_set(x[:1])


def test_the_quantile_is_that_of_one_more_person() -> None:
    assert conformal_quantile(np.arange(1, 10), 0.9) == 9
    assert conformal_quantile(np.arange(1, 9), 0.9) == np.inf
    assert least_people(0.9) == 9
    assert least_people(0.8) == 4


def test_a_pipeline_gets_its_data_frame() -> None:
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(2)
    sex = rng.choice(["f", "m"], 80)
    table = pd.DataFrame({"sex": sex, "age": rng.normal(40, 9, 80)})
    y = (sex == "m") + rng.normal(0, 0.3, 80)
    columns = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    interval = ConformalRegressor(make_pipeline(columns, Ridge()), random_state=0).fit(table, y).predict_interval(table)
    assert interval.shape == (80, 2)
    wrapped = ConformalClassifier(make_pipeline(columns, LogisticRegression()), random_state=0)
    sets = wrapped.fit(table, (y > 0.5).astype(int)).predict_set(table[:3])
    assert sets.shape == (3, 2)
    with pytest.raises(ValueError, match="feature names"):
        wrapped.predict_set(table.rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="NaN or infinity"):
        ConformalRegressor(make_pipeline(columns, Ridge())).fit(table, np.where(np.arange(80) == 0, np.nan, y))
