"""Folds keep families and sites apart; corrected intervals cover; sizes agree with pmsampsize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from crosstalk.errors import LearnError
from crosstalk.statistics.adequacy import judge_size, largest_r2, sample_size_binary, sample_size_score
from crosstalk.statistics.folds import RepeatedFolds, check_apart, corrected_difference, leave_site_out

Array = NDArray[np.float64]


@settings(max_examples=25)
@given(
    n=st.integers(40, 90),
    size=st.integers(1, 4),
    folds=st.integers(2, 5),
    seed=st.integers(0, 10_000),
    two=st.booleans(),
)
def test_everybody_is_predicted_once_per_repeat_and_no_family_is_torn(
    n: int, size: int, folds: int, seed: int, two: bool
) -> None:
    rng = np.random.default_rng(seed)
    y = np.tile([0.0, 1.0], n)[:n] if two else rng.normal(size=n)
    family = np.array([f"F{i // size}" for i in rng.permutation(n)])
    splits = list(RepeatedFolds(folds, 2, seed).split(np.zeros((n, 1)), y, family))
    check_apart(splits, list(family))
    for r in range(2):
        tested = np.concatenate([test for _, test in splits[r * folds : (r + 1) * folds]])
        assert sorted(tested) == list(range(n))
    for train, test in splits:
        assert len(np.intersect1d(train, test)) == 0
        assert len(train) + len(test) == n


def test_the_same_seed_gives_the_same_folds_and_repeats_differ() -> None:
    y = np.tile([0.0, 1.0], 30)
    first, again = (list(RepeatedFolds(5, 2, 7).split(y[:, None], y)) for _ in range(2))
    assert all((a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(first[:5], first[5:], strict=True))


def test_the_splitter_serves_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 2)), np.tile([0, 1], 30)
    splitter = RepeatedFolds(3, 2, 1)
    assert len(cross_val_score(LogisticRegression(), x, y, cv=splitter)) == splitter.get_n_splits() == 6


@pytest.mark.parametrize(
    ("folds", "y", "groups", "words"),
    [
        (1, np.tile([0.0, 1.0], 20), None, "1 folds"),
        (5, np.repeat([0.0, 1.0], [37, 3]), None, "3 people have the outcome"),
        (5, np.tile([0.0, 1.0], 20), np.repeat(["a", "b", "c", "d"], 10), "4 groups"),
        (30, np.arange(40.0), None, "40 people cannot be put into 30 folds"),
        (3, np.repeat([0.0, 1.0], 20), np.repeat(["a", "b", "c"], [20, 18, 2]), "one class only"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    folds: int, y: Array, groups: NDArray[np.str_] | None, words: str
) -> None:
    with pytest.raises(LearnError, match=words):
        list(RepeatedFolds(folds, 1, 1).split(np.zeros((len(y), 1)), y, groups))


def test_a_torn_group_is_told_by_name() -> None:
    with pytest.raises(LearnError, match="group F2 is trained on and predicted"):
        check_apart([(np.array([0, 1]), np.array([2]))], ["F1", "F2", "F2"])


def test_sites_are_left_out_in_turn() -> None:
    y = np.tile([0.0, 1.0], 6)
    splits = leave_site_out(y, list("AAAABBBBCCCC"))
    assert [name for name, _ in splits] == ["A", "B", "C"]
    assert list(splits[1][1][1]) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("sites", "groups", "y", "words"),
    [
        ("AAAAAA", None, [0, 1] * 3, "all people are of the site 'A'"),
        ("AAAAAB", None, [0, 1] * 3, "site B: one patient"),
        ("AAABBB", "xxyyzz", [0, 1] * 3, "group y is at two sites"),
        ("AAABBB", None, [1, 1, 1, 0, 0, 0], "without site A only one class"),
    ],
)
def test_sites_that_cannot_be_left_out_are_refused(sites: str, groups: str | None, y: list[int], words: str) -> None:
    with pytest.raises(LearnError, match=words):
        leave_site_out(np.array(y, dtype=float), list(sites), None if groups is None else list(groups))


def test_corrected_difference_by_hand() -> None:
    """Nadeau and Bengio 2003: variance times 1/J + n_test/n_train."""
    d = np.array([0.1, 0.3, 0.2, 0.0])
    found = corrected_difference(d, 1 / 4)
    assert found.value == pytest.approx(0.15)
    assert found.se == pytest.approx(np.sqrt((1 / 4 + 1 / 4) * d.var(ddof=1)))
    assert found.high - found.value == pytest.approx(3.182446305 * found.se)
    assert corrected_difference([0.0, 0.0], 0.25).p == 1
    with pytest.raises(LearnError, match="1 folds"):
        corrected_difference([0.1], 0.25)


def resampled_coverage(runs: int, seed: int) -> tuple[float, float]:
    """How often corrected and naive intervals of a repeated cross-validation hold the true difference of two models.

    Two linear rules fitted to 60 people: with the useful column, and with a useless one; the truth is the mean over
    training sets of 48 people, judged on people without end.
    """
    rng = np.random.default_rng(seed)
    n, folds, repeats = 60, 5, 4

    def draw(size: int) -> tuple[Array, Array]:
        x = rng.normal(size=(size, 2))
        return x, 0.5 * x[:, 0] + rng.normal(size=size)

    def error(x: Array, y: Array, train: NDArray[np.intp], column: int, at: Array, of: Array) -> Array:
        design = np.column_stack([np.ones(len(train)), x[train, column]])
        beta = np.linalg.lstsq(design, y[train], rcond=None)[0]
        return (of - beta[0] - beta[1] * at[:, column]) ** 2

    big, outcome = draw(20_000)
    truth = np.mean(
        [
            np.mean(error(*sample, np.arange(48), 0, big, outcome) - error(*sample, np.arange(48), 1, big, outcome))
            for sample in (draw(48) for _ in range(200))
        ]
    )
    corrected, naive = [], []
    for k in range(runs):
        x, y = draw(n)
        d = [
            float(np.mean(error(x, y, a, 0, x[b], y[b]) - error(x, y, a, 1, x[b], y[b])))
            for a, b in RepeatedFolds(folds, repeats, k).split(x, y)
        ]
        for share, hits in ((1 / (folds - 1), corrected), (0.0, naive)):
            found = corrected_difference(d, share)
            hits.append(found.low <= truth <= found.high)
    return float(np.mean(corrected)), float(np.mean(naive))


def test_corrected_intervals_cover_where_naive_ones_do_not() -> None:
    corrected, naive = resampled_coverage(120, seed=3)
    assert corrected > 0.89
    assert naive < 0.8


@pytest.mark.slow
def test_corrected_intervals_cover_as_they_say() -> None:
    corrected, _ = resampled_coverage(1500, seed=4)
    assert 0.92 < corrected < 0.975


def test_sizes_agree_with_pmsampsize() -> None:
    """Published examples of the R package pmsampsize, with the results of its documentation.

    ::

        pmsampsize(type = "b", csrsquared = 0.288, parameters = 24, prevalence = 0.174)   # 623, 662, 221; EPP 4.8
        pmsampsize(type = "c", rsquared = 0.2, parameters = 25, intercept = 1.9, sd = 0.6)  # 918
    """
    found = sample_size_binary(24, 0.174, cox_snell=0.288)
    assert found.by_criterion == (623, 662, 221)
    assert found.n == 662
    assert found.events_per_parameter == pytest.approx(4.8, abs=0.005)
    assert sample_size_score(25, r2=0.2).n == 918


def test_example_of_the_paper() -> None:
    """Riley et al. 2020, doi 10.1136/bmj.m441: prevalence 0.05 allows a Cox-Snell R2 of 0.33, of 0.5 0.75."""
    assert largest_r2(0.05) == pytest.approx(0.33, abs=0.005)
    assert largest_r2(0.5) == pytest.approx(0.75)


def test_size_is_judged() -> None:
    assert judge_size(0, 100, 50).verdict == "adequate"
    assert judge_size(5, 2000, 800).verdict == "adequate"
    few = judge_size(8, 200, 90)
    assert few.verdict == "small"
    assert "Riley" in few.reason
    none = judge_size(40, 150, 60)
    assert none.verdict == "refused"
    assert "1.5 events per candidate parameter" in none.reason
    assert judge_size(1, 100, 9).verdict == "refused"
    assert judge_size(1, 39, None).verdict == "refused"
    assert judge_size(5, 1000, None).verdict == "adequate"


def test_expected_shrinkage_reaches_the_target_at_the_size_that_is_needed() -> None:
    needed = sample_size_binary(10, 0.3).by_criterion[0]
    assert judge_size(10, needed, round(0.3 * needed)).shrinkage == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize(("parameters", "prevalence", "r2"), [(0, 0.3, 0.1), (3, 1.0, 0.1), (3, 0.3, 0.8)])
def test_impossible_sizes_are_refused(parameters: int, prevalence: float, r2: float) -> None:
    with pytest.raises(LearnError):
        sample_size_binary(parameters, prevalence, cox_snell=r2)
