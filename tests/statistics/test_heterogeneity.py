"""Who benefits: RATE by hand, the null held, a real difference found, policies valued, projection against HC3 of R."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.errors import LearnError
from crosstalk.statistics.heterogeneity import doubly_robust, judge_benefit, linear_projection, policy_value, rate, toc

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


def test_toc_and_rate_by_hand() -> None:
    """Mean of the first k less the mean of all, averaged over k (Yadlowsky et al. 2025, equation 2.4)."""
    gamma = np.array([4.0, 0.0, 2.0, 2.0])
    assert toc(gamma, [4, 3, 2, 1]) == pytest.approx([2.0, 0.0, 0.0, 0.0])
    # ties share their mean
    assert toc(gamma, [1, 1, 0, 0]) == pytest.approx([0.0, 0.0, 0.0, 0.0])
    many = np.repeat(gamma, 5)
    found = rate(many, np.arange(20)[::-1])
    assert found.value == pytest.approx(float(toc(many, np.arange(20)[::-1]).mean()))
    weighted = toc(many, np.arange(20)[::-1]) * np.arange(1, 21) / 20
    assert rate(many, np.arange(20)[::-1], target="QINI").value == pytest.approx(float(weighted.mean()))


def test_scores_measure_benefit_whatever_the_models_say() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    arm = (rng.random(n) < 0.3).astype(float)
    y = rng.normal(size=n) + 0.7 * arm
    wrong = doubly_robust(y, arm, 0.3, np.full(n, 5.0), np.full(n, -2.0))
    assert wrong.mean() == pytest.approx(0.7, abs=0.25)
    right = doubly_robust(y, arm, 0.3, np.full(n, 0.7), np.zeros(n))
    assert right.mean() == pytest.approx(0.7, abs=0.05)
    assert policy_value(y, arm, 0.3, np.full(n, 0.7), np.zeros(n), np.ones(n)).mean() == pytest.approx(0.7, abs=0.05)


def test_projection_agrees_with_hc3() -> None:
    """R 4.2.2.

    ::

        i <- 1:12; x <- sin(i); g <- cos(2*i) + 0.5*i/12
        f <- lm(g ~ x); X <- model.matrix(f); h <- hatvalues(f); e <- residuals(f)
        B <- solve(crossprod(X)); V <- B %*% crossprod(X * (e/(1 - h))) %*% B
        coef(f); sqrt(diag(V))
    """
    i = np.arange(1, 13)
    terms = linear_projection(np.cos(2 * i) + 0.5 * i / 12, np.sin(i)[:, None], ["x"])
    assert [t.estimate.value for t in terms] == pytest.approx(HC3["coefficient"], rel=1e-6)
    assert [t.estimate.se for t in terms] == pytest.approx(HC3["error"], rel=1e-6)


HC3 = {
    "coefficient": [0.2214799325936, -0.1084566269256],
    "error": [0.24752778907612, 0.36218983200083],
}


def regression(x: Array, y: Array, arm: Array) -> object:
    """A linear model in each arm."""

    def fit(train: Rows, rest: Rows) -> tuple[Array, Array, Array]:
        sides = []
        for side in (1, 0):
            rows = train[arm[train] == side]
            beta = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), x[rows]]), y[rows], rcond=None)[0]
            sides.append(np.column_stack([np.ones(len(rest)), x[rest]]) @ beta)
        return sides[0] - sides[1], sides[0], sides[1]

    return fit


def trial(rng: np.random.Generator, n: int, interaction: float) -> tuple[Array, Array, Array, list[Rows]]:
    x = rng.normal(size=(n, 3))
    arm = rng.permutation(np.tile([0.0, 1.0], n // 2))
    y = x[:, 1] + arm * (0.3 + interaction * x[:, 0]) + rng.normal(size=n)
    return x, y, arm, np.array_split(rng.permutation(n), 5)


def test_a_real_difference_is_found() -> None:
    x, y, arm, folds = trial(np.random.default_rng(2), 600, 0.8)
    found = judge_benefit(y, arm, regression(x, y, arm), folds, {"x0": x[:, 0], "x1": x[:, 1]})  # type: ignore[arg-type]
    assert found.evidence
    assert found.conclusion.startswith("Evidence of heterogeneity")
    assert found.calibration.value == pytest.approx(1.0, abs=0.3)
    assert found.average.value == pytest.approx(0.3, abs=0.2)
    assert found.projection[1].estimate.value == pytest.approx(0.8, abs=0.25)
    assert abs(found.projection[2].estimate.value) < 0.3
    # E[max(0.3 + 0.8 x, 0)] = 0.49: 0.19 more than treating all
    assert found.gain.value == pytest.approx(0.19, abs=0.12)
    assert found.toc[-1][1].value == pytest.approx(0, abs=1e-9)


def test_the_null_is_an_answer() -> None:
    x, y, arm, folds = trial(np.random.default_rng(3), 400, 0.0)
    found = judge_benefit(y, arm, regression(x, y, arm), folds, unit="points")  # type: ignore[arg-type]
    assert not found.evidence
    assert found.conclusion.startswith("No evidence of heterogeneity")
    assert "no proof that all benefit alike" in found.conclusion


def false_alarms(runs: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(runs):
        x, y, arm, folds = trial(rng, 200, 0.0)
        found.append(judge_benefit(y, arm, regression(x, y, arm), folds).evidence)  # type: ignore[arg-type]
    return float(np.mean(found))


def test_heterogeneity_is_rarely_claimed_without_any() -> None:
    # 5 % of 40 is 2; 7 or more would come in less than 1 of 100 runs
    assert false_alarms(40, seed=4) < 7 / 40


@pytest.mark.slow
def test_heterogeneity_is_claimed_without_any_in_five_of_a_hundred() -> None:
    # standard error 1.1 points
    assert false_alarms(400, seed=5) <= 0.05 + 2 * 0.011


def test_small_arms_and_certain_treatment_are_refused() -> None:
    x, y, arm, folds = trial(np.random.default_rng(6), 80, 0.0)
    with pytest.raises(LearnError, match="40 treated and 40 controls; with fewer than 50"):
        judge_benefit(y, arm, regression(x, y, arm), folds)  # type: ignore[arg-type]
    with pytest.raises(LearnError, match="is 0 or 1"):
        doubly_robust(y, arm, 1.0, y, y)
    with pytest.raises(LearnError, match="needs 10 or more"):
        rate([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(LearnError, match="cannot carry a projection"):
        linear_projection(y[:5], x[:5], ["a", "b", "c"])
