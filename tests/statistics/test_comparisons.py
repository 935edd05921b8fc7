"""ANCOVA, responder analyses, time to remission and treatment by marker against R."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from crosstalk.errors import UsageError
from crosstalk.statistics import (
    Estimate,
    ancova,
    hazard_ratio,
    interaction,
    log_rank,
    marginal_risk_difference,
    odds_ratio,
    risk_difference,
)
from crosstalk.statistics.comparisons import subgroups

Array = NDArray[np.float64]

# R 4.2.2, survival 3.5-3, sandwich 3.0-2, rpact 3.3.4 (rates of Farrington and Manning):
# n <- 200; i <- 1:n; u <- function(k) (i * sqrt(k)) %% 1
# arm <- i %% 2; base <- 24 + 4 * qnorm(u(2)); crp <- exp(0.7 + qnorm(u(3)))
# change <- -6 - 2 * arm - 0.3 * (base - 24) - arm * log2(crp) + 5 * qnorm(u(5)); resp <- as.numeric(change <= -8)
# time <- ceiling(8 * u(7)^(1 - 0.3 * arm)); event <- as.numeric(u(11) < 0.7)
# l2 <- log2(crp); pos <- as.numeric(crp >= 3); ctl <- glm.control(epsilon=1e-14, maxit=100)
# f <- lm(change ~ arm + base); coef(summary(f)); confint(f); vcovHC(f, "HC3")
# g <- glm(resp ~ arm + base, binomial, control=ctl); coef(summary(g))
# d1 <- d0 <- data.frame(arm, base); d1$arm <- 1; d0$arm <- 0
# X1 <- model.matrix(~arm+base, d1); X0 <- model.matrix(~arm+base, d0)
# p1 <- plogis(X1 %*% coef(g)); p0 <- plogis(X0 %*% coef(g))
# d <- colMeans(as.vector(p1*(1-p1))*X1 - as.vector(p0*(1-p0))*X0)
# IF <- estfun(g) %*% bread(g) %*% d + (p1 - p0) - mean(p1 - p0); c(mean(p1-p0), sqrt(sum(IF^2)/n/(n-3)))
# lm(change ~ arm + l2 + arm:l2 + base); glm(resp ~ arm + l2 + arm:l2 + base, binomial, control=ctl)
# s <- lm(change ~ arm*pos + base); V <- vcov(s); k <- c(0,1,0,0,1)
# c(coef(s)[2], sqrt(V[2,2]), sum(k*coef(s)), sqrt(k%*%V%*%k), coef(s)[5], sqrt(V[5,5]))
# cc <- coxph.control(eps=1e-14, iter.max=100)
# coxph(Surv(time,event) ~ arm + base, ties="efron", control=cc); coxph(Surv(time,event) ~ arm, ...)
# coxph(Surv(time,event) ~ arm + l2 + arm:l2, ...); sd <- survdiff(Surv(time,event) ~ arm)
# c(sd$chisq, sd$obs[2]-sd$exp[2], sd$var[2,2])


class Trial:
    i = np.arange(1, 201)

    def __init__(self) -> None:
        self.arm, self.base, self.crp = self.i % 2, 24 + 4 * ndtri(self.u(2)), np.exp(0.7 + ndtri(self.u(3)))
        noise = 5 * ndtri(self.u(5))
        self.change = -6 - 2 * self.arm - 0.3 * (self.base - 24) - self.arm * np.log2(self.crp) + noise
        self.response = (self.change <= -8).astype(float)
        self.time = np.ceil(8 * self.u(7) ** (1 - 0.3 * self.arm))
        self.event = (self.u(11) < 0.7).astype(float)

    def u(self, k: int) -> Array:
        found: Array = (self.i * np.sqrt(k)) % 1
        return found


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial()


def is_(found: Estimate, estimate: float, se: float) -> None:
    assert (found.estimate, found.se) == pytest.approx((estimate, se), rel=1e-8)


def test_ancova(trial: Trial) -> None:
    found = ancova(trial.change, trial.arm, trial.base)
    is_(found, -3.526210519261, 0.708355969585)
    assert (found.lower, found.upper) == pytest.approx((-4.92314447533, -2.12927656319), rel=1e-9)
    assert found.p == pytest.approx(1.3982931245e-06, rel=1e-8)
    assert (found.df, found.n) == (197, 200)
    is_(ancova(trial.change, trial.arm, trial.base, robust=True), -3.526210519261, 0.711860843897)


def test_logistic_regression_and_marginal_risk_difference(trial: Trial) -> None:
    found = odds_ratio(trial.response, trial.arm, trial.base)
    is_(found, 1.188619791589, 0.303476797122)
    assert found.p == pytest.approx(8.97788873718e-05, rel=1e-8)
    assert found.ratio[0] == pytest.approx(np.exp(1.188619791589))
    is_(marginal_risk_difference(trial.response, trial.arm, trial.base), 0.2766376941480, 0.0670045802471)


def test_treatment_by_marker(trial: Trial) -> None:
    is_(interaction(trial.change, trial.arm, trial.crp, trial.base), -0.274480786756, 0.495975947710)
    logit = interaction(trial.response, trial.arm, trial.crp, trial.base, model="logistic")
    is_(logit, -0.0495244962033, 0.2150422750312)
    timed = np.column_stack([trial.time, trial.event])
    is_(interaction(timed, trial.arm, trial.crp, model="cox"), -0.0290113721393, 0.1196393655198)
    found = subgroups(trial.change, trial.arm, trial.crp, 3.0, trial.base)
    is_(found.negative, -3.619555318982, 0.878970933131)
    is_(found.positive, -3.364268886196, 1.197160848991)
    is_(found.interaction, 0.255286432786, 1.484876240550)
    assert (found.negative.n, found.positive.n, found.interaction.n) == (130, 70, 200)


def test_time_to_event(trial: Trial) -> None:
    is_(hazard_ratio(trial.time, trial.event, trial.arm, trial.base), -0.234232716199, 0.168825007994)
    is_(hazard_ratio(trial.time, trial.event, trial.arm), -0.23123057861, 0.16865294670)
    found = log_rank(trial.time, trial.event, trial.arm)
    assert (found.estimate / found.se) ** 2 == pytest.approx(2.14421036172, rel=1e-10)
    assert found.se**-2 == pytest.approx(27.23333837574, rel=1e-10)
    assert found.estimate * found.se**-2 == pytest.approx(-7.64159710594, rel=1e-10)


# nc <- function(a,na,b,nb) {A <- prop.test(a,na,correct=FALSE)$conf.int; B <- prop.test(b,nb,correct=FALSE)$conf.int
#   p <- a/na; q <- b/nb; c(p-q-sqrt((p-A[1])^2+(B[2]-q)^2), p-q+sqrt((A[2]-p)^2+(q-B[1])^2),
#   prop.test(c(a,b),c(na,nb),correct=FALSE)$p.value)}
# mn <- function(a,na,b,nb) {p <- a/na; q <- b/nb; N <- na+nb; z <- function(t) {
#   m <- rpact:::.getFarringtonManningValues(rate1=p, rate2=q, theta=t, allocation=na/nb, method="diff")
#   (p-q-t)/sqrt((m$ml1*(1-m$ml1)/na+m$ml2*(1-m$ml2)/nb)*N/(N-1))}
#   r <- function(s) uniroot(function(t) z(t)-s*qnorm(.975), c(-0.999,.999), tol=1e-13)$root
#   c(r(1), r(-1), 2*pnorm(-abs(z(0))))}
# The first two limits of 56/70 and 48/80 are printed by Newcombe 1998 as 0.0524, 0.3339 and 0.0528, 0.3382.
@pytest.mark.parametrize(
    ("table", "newcombe", "miettinen"),
    [
        (
            (62, 100, 35, 100),
            (0.131860662073635, 0.394027798285832, 0.000133399716113),
            (0.132352160999110, 0.397439323345421, 0.000138667028024),
        ),
        (
            (56, 70, 48, 80),
            (0.0524314724024, 0.3338726540369, 0.0080450813682),
            (0.05282971324584, 0.33817294001587, 0.00825828792938),
        ),
        (
            (9, 10, 3, 10),
            (0.17052272393450, 0.80901797353549, 0.00616989932054),
            (0.17002501642440, 0.84064954394333, 0.00760164147522),
        ),
        ((5, 56, 0, 29), None, (-0.0325965617435, 0.1933309766909, 0.0991756545706)),
        ((10, 10, 0, 20), (0.679086037142, 1.0, 4.32046305783e-08), None),
    ],
)
def test_score_intervals_of_a_risk_difference(
    table: tuple[int, int, int, int],
    newcombe: tuple[float, float, float] | None,
    miettinen: tuple[float, float, float] | None,
) -> None:
    a, na, b, nb = table
    response = [1] * a + [0] * (na - a) + [1] * b + [0] * (nb - b)
    arm = [1] * na + [0] * nb
    for method, expected in (("newcombe", newcombe), ("miettinen-nurminen", miettinen)):
        if expected is not None:
            found = risk_difference(response, arm, method=method)  # type: ignore[arg-type]
            assert (found.lower, found.upper, found.p) == pytest.approx(expected, rel=1e-7)
            assert method in found.note


@pytest.mark.parametrize(("a", "b"), [(0, 0), (10, 10), (0, 10), (10, 0), (1, 0), (10, 9)])
def test_intervals_exist_at_the_edge(a: int, b: int) -> None:
    response, arm = [1] * a + [0] * (10 - a) + [1] * b + [0] * (10 - b), [1] * 10 + [0] * 10
    for method in ("newcombe", "miettinen-nurminen"):
        found = risk_difference(response, arm, method=method)  # type: ignore[arg-type]
        assert -1 <= found.lower <= found.estimate <= found.upper <= 1
        assert found.lower < found.upper
        other = risk_difference(response, [1 - x for x in arm], method=method)  # type: ignore[arg-type]
        assert (other.lower, other.upper) == pytest.approx((-found.upper, -found.lower), abs=1e-9)


def test_miettinen_nurminen_limit_and_test_agree() -> None:
    for a in range(11):
        for b in range(11):
            response, arm = [1] * a + [0] * (10 - a) + [1] * b + [0] * (10 - b), [1] * 10 + [0] * 10
            found = risk_difference(response, arm, method="miettinen-nurminen")
            assert (found.p < 0.05) == (found.lower > 0 or found.upper < 0), (a, b)


def test_missing_outcomes_are_counted(trial: Trial) -> None:
    change = np.where(trial.i <= 7, np.nan, trial.change)
    found = ancova(change, trial.arm, trial.base)
    assert found.n == 193
    assert found.note == "observed cases: 7 of 200 patients without outcome left out"


def test_separation_gives_no_number() -> None:
    arm = np.repeat([0, 1], 10)
    found = odds_ratio(np.r_[np.zeros(10), np.ones(5), np.zeros(5)], arm)
    assert np.isnan(found.p)
    assert "separated" in found.note
    assert np.isnan(marginal_risk_difference(np.r_[np.zeros(10), np.ones(10)], arm).p)
    timed = hazard_ratio(np.r_[np.full(10, 8.0), np.arange(1.0, 11.0) / 2], np.r_[np.zeros(10), np.ones(10)], arm)
    assert np.isnan(timed.p)


def test_a_prognostic_score_is_a_covariate(trial: Trial) -> None:
    """The better it predicts, the smaller the standard error, as Schuler et al. 2022 (doi:10.1515/ijb-2021-0072)."""
    score = trial.change - 2 * ndtri(trial.u(13))
    alone = ancova(trial.change, trial.arm)
    adjusted = ancova(trial.change, trial.arm, np.column_stack([trial.base, score]))
    assert adjusted.se < 0.6 * alone.se


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ancova([1, 2, 3], [0, 1]), "one number a patient"),
        (lambda: ancova([1, 2, 3], [0, 1, 2]), "0 for the control"),
        (lambda: ancova([1, np.nan], [0, 1]), "no patient with an outcome"),
        (lambda: ancova([1, 2, 3, 4], [0, 1, 0, 1], [1, 1, 1, 1]), "collinear"),
        (lambda: ancova([1, 2, 3, 4], [0, 1, 0, 1], [1, np.nan, 1, 1]), "covariates is missing for 1"),
        (lambda: ancova([1, 2], [0, 1]), "cannot support"),
        (lambda: odds_ratio([1, 2, 0, 1], [0, 1, 0, 1]), "must be 0 or 1"),
        (lambda: risk_difference([1, 2], [0, 1]), "must be 0 or 1"),
        (lambda: risk_difference([1, 0], [0, 1], method="wald"), "unknown"),  # type: ignore[arg-type]
        (lambda: interaction([1, 2, 3, 4, 5], [0, 1, 0, 1, 0], [1, 2, 0, 1, 3]), "must be positive"),
        (lambda: subgroups([1, 2, 3, 4], [0, 1, 0, 1], [1, 1, 2, 2], 9.0), "no patients at or above"),
        (lambda: hazard_ratio([1, 2], [0, 0], [0, 1]), "no event"),
        (lambda: hazard_ratio([-1, 2], [1, 0], [0, 1]), "not negative"),
        (lambda: log_rank([1, 2], [0, 0], [0, 1]), "no event"),
    ],
)
def test_wrong_calls_are_explained(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()  # type: ignore[operator]
