"""Discrimination, calibration, net benefit: against R and dcurves, and coverage of intervals by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from crosstalk.errors import LearnError
from crosstalk.statistics.calibration_curve import calibration, recalibrate, spline_basis
from crosstalk.statistics.metrics import auc, brier, line, log_score, mean_estimate, pooled_auc, r_squared, scaled_brier
from crosstalk.statistics.net_benefit import decision_curve
from crosstalk.statistics.regression import logistic

Array = NDArray[np.float64]


def example() -> tuple[Array, Array]:
    """200 people by formula, the same in R."""
    i = np.arange(1, 201)
    lp = 2 * np.sin(1.7 * i) + 0.5 * np.cos(0.3 * i)
    y = ((i * 0.6180339887) % 1 < expit(0.3 + 0.6 * lp)).astype(float)
    return y, expit(lp)


def test_agrees_with_val_prob_of_rms() -> None:
    """R 4.2.2, rms 6.5-0, pROC 1.18.0, Hmisc 4.8-0.

    ::

        library(rms); library(pROC)
        i <- 1:200
        lp <- 2*sin(1.7*i) + 0.5*cos(0.3*i)
        y <- as.numeric(((i*0.6180339887) %% 1) < plogis(0.3 + 0.6*lp))
        p <- plogis(lp)
        val.prob(p, y, pl = FALSE)[c("Brier", "Intercept", "Slope")]
        rcorr.cens(p, y)["C Index"]      # val.prob's own C bins p and is 5e-5 away
        g <- glm(y ~ offset(lp), family = binomial, control = glm.control(epsilon = 1e-15))
        c(coef(g), sqrt(diag(vcov(g))))
        g <- glm(y ~ lp, family = binomial, control = glm.control(epsilon = 1e-15)); sqrt(diag(vcov(g)))
        r <- roc(y, p, quiet = TRUE); c(auc(r), sqrt(var(r, method = "delong")))
    """
    y, p = example()
    found = calibration(y, p)
    assert brier(y, p).value == pytest.approx(0.217206231448173, rel=1e-6)
    assert found.intercept == pytest.approx(0.265089821319519, rel=1e-6)
    assert found.slope.value == pytest.approx(0.617009738658671, rel=1e-6)
    assert found.slope.se == pytest.approx(0.113783036452265, rel=1e-6)
    assert found.in_the_large.value == pytest.approx(0.332877517438384, rel=1e-6)
    assert found.in_the_large.se == pytest.approx(0.174040130625936, rel=1e-6)
    area = auc(y, p)
    assert area.value == pytest.approx(0.732361575058204, rel=1e-6)
    assert area.se == pytest.approx(0.0356659569477352, rel=1e-6)


def test_curve_agrees_with_rcs_of_rms() -> None:
    """Observed share and 95 % band at the 1st, 20th, 40th and 60th of the points drawn (as above).

    ::

        k <- quantile(lp, c(.05, .35, .65, .95))
        f <- glm(y ~ rcs(lp, k), family = binomial, control = glm.control(epsilon = 1e-15, maxit = 100))
        q <- quantile(lp, c(.01, .99)); at <- seq(q[1], q[2], length.out = 60)[c(1, 20, 40, 60)]
        X <- cbind(1, rcspline.eval(at, knots = k, inclx = TRUE))
        eta <- X %*% coef(f); se <- sqrt(diag(X %*% vcov(f) %*% t(X)))
        plogis(eta); plogis(eta - qnorm(.975)*se); plogis(eta + qnorm(.975)*se)
    """
    curve = calibration(*example()).curve
    assert curve is not None
    at = [0, 19, 39, 59]
    expected = {
        "observed": [0.260474316548, 0.412812675596, 0.668526021896, 0.864960382734],
        "low": [0.113536250566, 0.286308968151, 0.525577931799, 0.658814461693],
        "high": [0.492027815876, 0.551981168196, 0.785944509757, 0.955050110071],
    }
    for name, values in expected.items():
        assert [getattr(curve, name)[j] for j in at] == pytest.approx(values, rel=1e-6)


@pytest.mark.shared
def test_net_benefit_agrees_with_dcurves(shared_data: Path) -> None:
    """dcurves 1.1.7, its own example.

    ::

        d["cancer"] = d["cancer"].astype(int)
        dcurves.dca(data=d, outcome="cancer", modelnames=["cancerpredmarker"],
                    thresholds=[.01, .05, .1, .2, .35, .5])["net_benefit"]
    """
    d = pd.read_csv(shared_data / "df_binary.csv")
    thresholds = [0.01, 0.05, 0.10, 0.20, 0.35, 0.50]
    found = decision_curve(d["cancer"].astype(float), d["cancerpredmarker"], thresholds)
    model = [0.132430976431, 0.105543859649, 0.087407407407, 0.067333333333, 0.050153846154, 0.021333333333]
    treat_all = [0.131313131313, 0.094736842105, 0.044444444444, -0.075, -0.323076923077, -0.72]
    assert [b.model.value for b in found] == pytest.approx(model, rel=1e-6, abs=1e-9)
    assert [b.everybody for b in found] == pytest.approx(treat_all, rel=1e-6, abs=1e-9)


def test_net_benefit_at_a_given_prevalence() -> None:
    """Sensitivity and specificity stay, and the prevalence is that of use (dcurves' argument ``prevalence``)."""
    rng = np.random.default_rng(1)
    y, p = (np.arange(200) < 100).astype(float), rng.random(200)
    (found,) = decision_curve(y, p, [0.2], prevalence=0.1)
    caught, alarms = (p[y == 1] >= 0.2).mean(), (p[y == 0] >= 0.2).mean()
    assert found.model.value == pytest.approx(0.1 * caught - 0.9 * alarms * 0.25)
    assert found.everybody == pytest.approx(0.1 - 0.9 * 0.25)
    assert decision_curve(y, p, [0.2], prevalence=0.5) == decision_curve(y, p, [0.2])
    with pytest.raises(LearnError, match="prevalence"):
        decision_curve(y, p, [0.2], prevalence=10)


def test_net_benefit_by_hand() -> None:
    """At a threshold of 0.2 a false alarm costs a quarter of a case found: 2 found and 1 false alarm among 5."""
    (found,) = decision_curve([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.1, 0.1], [0.2])
    assert found.model.value == pytest.approx((2 - 0.25) / 5)
    assert found.everybody == pytest.approx((2 - 3 * 0.25) / 5)


def test_net_benefit_of_repeats_is_the_mean_of_the_repeats() -> None:
    y, p = example()
    other = expit(logit(p) * 0.5)
    one, two, both = (decision_curve(y, q, [0.3])[0].model.value for q in (p, other, np.stack([p, other])))
    assert both == pytest.approx((one + two) / 2)


def test_perfect_and_useless_predictions() -> None:
    y = np.tile([0.0, 1.0], 30)
    assert auc(y, np.where(y > 0, 0.9, 0.1)).value == 1
    assert auc(y, np.full(60, 0.5)).value == 0.5
    assert log_score(y, np.full(60, 0.5)).value == pytest.approx(np.log(2))
    assert scaled_brier(y, np.full(60, 0.5)) == pytest.approx(0)
    assert scaled_brier(y, y) == pytest.approx(1, abs=1e-9)
    assert r_squared(y, y, np.full(60, 0.5)).value == 1
    assert r_squared(y, np.full(60, 0.5), np.full(60, 0.5)).value == 0
    intercept, slope = line(y, 0.25 + 0.5 * y)
    assert (intercept.value, slope.value) == pytest.approx((-0.5, 2.0))


def test_what_would_mend_the_risks_does() -> None:
    y, p = example()
    _, intercept, slope = recalibrate(y, p)
    again = calibration(y, expit(intercept + slope * logit(p)))
    assert again.slope.value == pytest.approx(1, abs=1e-8)
    assert again.in_the_large.value == pytest.approx(0, abs=1e-8)
    assert again.observed_expected == pytest.approx(1, abs=1e-8)


def test_repeats_narrow_no_interval() -> None:
    y, p = example()
    once, laid = calibration(y, p), calibration(y, np.stack([p, p, p]))
    assert laid.slope.value == pytest.approx(once.slope.value)
    assert laid.slope.se == pytest.approx(once.slope.se)
    assert laid.curve is not None
    assert once.curve is not None
    assert laid.curve.high == pytest.approx(once.curve.high)


def test_pooled_auc_compares_within_folds() -> None:
    """A model that shifts all risks of a fold is not worse for it."""
    y, p = example()
    fold = np.arange(200) % 4
    shifted = expit(logit(p) + 3 * (fold - 1.5))
    within = np.mean([auc(y[fold == k], p[fold == k]).value for k in range(4)])
    found = pooled_auc(y, shifted[None], fold[None])
    assert found.value == pytest.approx(float(within), abs=0.01)
    assert auc(y, shifted).value < found.value - 0.05
    assert pooled_auc(y, p[None], np.zeros((1, 200))).se == pytest.approx(auc(y, p).se)


@pytest.mark.parametrize(
    ("y", "p", "words"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], "neither 0 nor 1"),
        ([0, 1, 1], [0.1, 1.2, 0.3], "outside 0 to 1"),
        ([1, 1, 1], [0.1, 0.2, 0.3], "all 3 outcomes are 1"),
        ([0, 1], [0.1, 0.2, 0.3], "one of each"),
        ([0, 1, 1], [0.1, np.nan, 0.3], "missing"),
    ],
)
def test_impossible_input_is_refused(y: list[float], p: list[float], words: str) -> None:
    with pytest.raises(LearnError, match=words):
        calibration(y, p)


def test_impossible_thresholds_and_separation_are_refused() -> None:
    with pytest.raises(LearnError, match="between 0 and 1"):
        decision_curve([0, 1], [0.2, 0.8], [1.0])
    apart = logistic(np.array([0.0, 1, 1, 0]), np.array([[1.0, -1], [1, 1], [1, 2], [1, -2]]))
    assert not apart.converged
    assert np.isnan(apart.covariance).all()


def test_spline_is_linear_beyond_the_outer_knots() -> None:
    x = np.array([5.0, 6.0, 7.0])
    assert np.allclose(np.diff(spline_basis(x, [0.0, 1.0, 2.0, 3.0]), 2, axis=0), 0, atol=1e-9)


def covers(runs: int, n: int, seed: int) -> dict[str, float]:
    """How often 95 % intervals hold the truth: two normal scores (AUC), risks that are right (slope 1, large 0)."""
    rng = np.random.default_rng(seed)

    truth = float(norm.cdf(1 / np.sqrt(2)))
    hits: dict[str, list[bool]] = {"auc": [], "slope": [], "large": [], "brier": []}
    for _ in range(runs):
        y = np.repeat([1.0, 0.0], [n // 3, n - n // 3])
        a = auc(y, expit(rng.normal(y, 1.0)))
        hits["auc"].append(a.low <= truth <= a.high)
        lp = rng.normal(0, 1.2, n)
        p = expit(lp)
        y = (rng.random(n) < p).astype(float)
        c = calibration(y, p)
        hits["slope"].append(c.slope.low <= 1 <= c.slope.high)
        hits["large"].append(c.in_the_large.low <= 0 <= c.in_the_large.high)
        right = mean_estimate((p - y) ** 2)
        hits["brier"].append(right.low <= BRIER <= right.high)
    return {name: float(np.mean(found)) for name, found in hits.items()}


# E[p (1 - p)] for a logit that is normal with SD 1.2, by quadrature
_nodes, _weights = np.polynomial.hermite_e.hermegauss(60)
BRIER = float(np.sum(_weights * expit(1.2 * _nodes) * expit(-1.2 * _nodes)) / np.sum(_weights))


def test_intervals_cover_roughly() -> None:
    for name, found in covers(150, 150, seed=1).items():
        assert 0.89 <= found <= 0.995, name


@pytest.mark.slow
def test_intervals_cover_as_they_say() -> None:
    for name, found in covers(2000, 150, seed=2).items():
        assert 0.935 <= found <= 0.965, name


@pytest.mark.parametrize(
    ("y", "p"),
    [([0, 1, 1], [20.0, 50.0, 90.0]), ([0, 2, 1], [0.2, 0.5, 0.9]), ([0, 1, 1], [0.2, 0.5]), ([0, 1], [0.2, np.nan])],
)
def test_a_decision_curve_takes_probabilities_of_a_coded_outcome(y: list[int], p: list[float]) -> None:
    with pytest.raises(LearnError):
        decision_curve(y, p, [0.5])
