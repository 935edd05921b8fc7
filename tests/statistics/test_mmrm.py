"""The mixed model for repeated measures against R, and its behaviour where the data are poor."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from crosstalk.errors import UsageError
from crosstalk.statistics.mmrm import _point, first_covariance, mmrm
from crosstalk.statistics.structures import Structure, covariance, starting_values
from crosstalk.statistics.visit_patterns import VisitPatterns

Array = NDArray[np.float64]

# R 4.2.2, nlme 3.1-162, lmerTest 3.1-3 (Satterthwaite), pbkrtest 0.5 (Kenward-Roger). The random effects of the visits
# with their residual are the unstructured covariance with one parameter too many, which harms none of the results.
# n <- 120; i <- 1:n; u <- function(k) (i * sqrt(k)) %% 1; z <- function(k) qnorm(u(k))
# arm <- i %% 2; base <- 24 + 4 * z(2); stratum <- as.numeric(u(3) < 0.4); own <- z(5)
# y <- sapply(1:4, function(t) -2*t - arm*0.6*t - 0.1*t*(base-24) + stratum + (2+0.5*t)*own +
#             (2+0.3*t)*z(c(7,11,13,17)[t]))
# last <- ceiling(1 + 9 * u(19)); for (t in 1:4) y[last < t, t] <- NA
# y[u(23) < 0.08, 2] <- NA; y[u(29) < 0.06, 3] <- NA
# d <- data.frame(y=as.vector(y), visit=factor(rep(1:4, each=n)), id=rep(i, 4), arm, base, stratum)
# d$vi <- as.integer(d$visit); d$visit <- relevel(d$visit, "4"); d <- d[order(d$id, d$vi),]; d <- d[!is.na(d$y),]
# ctl <- lmerControl(check.nobs.vs.nRE="ignore", optimizer="bobyqa", optCtrl=list(maxfun=1e6, rhoend=1e-10))
# f <- lmer(y ~ arm*visit + base*visit + stratum + (0+visit|id), d, control=ctl)
# -2*logLik(f); coef(summary(f))["arm",]; coef(summary(f, ddf="Kenward-Roger"))["arm",]
# gls(y ~ arm*visit + base*visit + stratum, d, corSymm(form=~vi|id), varIdent(form=~1|visit), method="REML")
# gls(y ~ ..., d, corAR1(form=~vi|id), varIdent(form=~1|visit), method="REML")
# f <- lmer(y ~ arm*visit + base*visit + stratum + (1|id), d)   # compound symmetry, summarised as above
UNSTRUCTURED = (2239.84174855, -3.88928137892, 1.04103840800, 106.206465998, 1.04463982296, 106.015715878)
COMPOUND = (2290.16472209, -3.95196382882, 0.817846933195, 288.447608146, 0.818053828363, 286.681206709)
AR1 = (2265.16322045780, -4.07422537070, 1.04238066961)


def example() -> tuple[Array, Array, Array, Array]:
    i = np.arange(1, 121)

    def u(k: int) -> Array:
        return (i * np.sqrt(k)) % 1

    arm, base, stratum, own = i % 2, 24 + 4 * ndtri(u(2)), (u(3) < 0.4) * 1.0, ndtri(u(5))
    columns = [
        -2 * t - arm * 0.6 * t - 0.1 * t * (base - 24) + stratum + (2 + 0.5 * t) * own + (2 + 0.3 * t) * ndtri(u(k))
        for t, k in zip((1, 2, 3, 4), (7, 11, 13, 17), strict=True)
    ]
    y = np.column_stack(columns)
    y[np.arange(1, 5) > np.ceil(1 + 9 * u(19))[:, None]] = np.nan
    y[u(23) < 0.08, 1] = np.nan
    y[u(29) < 0.06, 2] = np.nan
    return y, arm, base, stratum


@pytest.mark.parametrize(("structure", "expected"), [("unstructured", UNSTRUCTURED), ("compound symmetry", COMPOUND)])
def test_agrees_with_lmertest_and_pbkrtest(structure: Structure, expected: tuple[float, ...]) -> None:
    y, arm, base, stratum = example()
    assert np.isfinite(y).sum(axis=0).tolist() == [120, 112, 99, 95]
    fit = mmrm(y, arm, base, stratum, method="satterthwaite", structures=(structure,))
    last = fit.contrast()
    assert fit.converged
    assert fit.deviance == pytest.approx(expected[0], abs=1e-6)
    assert (last.estimate, last.se) == pytest.approx(expected[1:3], rel=1e-6)
    assert last.df == pytest.approx(expected[3], abs=1e-3)
    adjusted = mmrm(y, arm, base, stratum, structures=(structure,)).contrast()
    assert adjusted.se == pytest.approx(expected[4], rel=1e-6)
    assert adjusted.df == pytest.approx(expected[5], abs=1e-3)


def test_heterogeneous_autoregression_agrees_with_gls() -> None:
    y, arm, base, stratum = example()
    fit = mmrm(y, arm, base, stratum, method="satterthwaite", structures=("heterogeneous AR(1)",))
    assert fit.deviance == pytest.approx(AR1[0], abs=1e-6)
    assert (fit.contrast().estimate, fit.contrast().se) == pytest.approx(AR1[1:], rel=5e-6)


@pytest.mark.shared
def test_the_antidepressant_trial(shared_data: Path) -> None:
    """Drug minus placebo at week 6 is -2.80 (SE 1.11).

    R 4.2.2, nlme 3.1-162, emmeans 1.8.4, lmerTest 3.1-3, pbkrtest:
    d <- read.csv("rbmi_antidepressant_data.csv"); d$visit <- factor(d$VISIT); d$vi <- as.integer(d$visit)
    d$arm <- factor(d$THERAPY, levels=c("PLACEBO","DRUG"))
    f <- gls(CHANGE ~ arm*visit + BASVAL*visit, d, corSymm(form=~vi|PATIENT), varIdent(form=~1|visit), method="REML",
             na.action=na.omit)
    emmeans(f, ~arm|visit) |> contrast("revpairwise")    # estimates and standard errors
    d$visit <- relevel(d$visit, "7")                     # degrees of freedom, and Kenward-Roger
    f <- lmer(CHANGE ~ arm*visit + BASVAL*visit + (0+visit|PATIENT), d,
              control=lmerControl(check.nobs.vs.nRE="ignore", optimizer="bobyqa", optCtrl=list(rhoend=1e-9)))
    coef(summary(f)); coef(summary(f, ddf="Kenward-Roger"))
    """
    with (shared_data / "rbmi_antidepressant_data.csv").open() as file:
        rows = list(csv.DictReader(file))
    patients, visits = sorted({r["PATIENT"] for r in rows}), ["4", "5", "6", "7"]
    y = np.full((len(patients), 4), np.nan)
    arm, base = np.zeros(len(patients), dtype=int), np.zeros(len(patients))
    for r in rows:
        k = patients.index(r["PATIENT"])
        y[k, visits.index(r["VISIT"])] = float(r["CHANGE"])
        arm[k], base[k] = r["THERAPY"] == "DRUG", float(r["BASVAL"])
    fit = mmrm(y, arm, base, method="satterthwaite")
    assert fit.n == 172
    assert fit.deviance == pytest.approx(3494.20285007, abs=1e-5)
    assert [e.estimate for e in fit.contrasts[0]] == pytest.approx(
        [0.0918064, -1.4032115, -2.2246563, -2.8018341], abs=1e-5
    )
    assert [e.se for e in fit.contrasts[0]] == pytest.approx([0.6826280, 0.9240400, 0.9999236, 1.1140273], abs=1e-5)
    assert fit.contrast().df == pytest.approx(150.10188, abs=1e-3)
    adjusted = mmrm(y, arm, base).contrast()
    assert adjusted.se == pytest.approx(1.116345170, abs=1e-6)
    assert adjusted.df == pytest.approx(154.20045, abs=1e-3)


@pytest.mark.parametrize("structure", get_args(Structure))
def test_derivatives_are_those_of_the_likelihood(structure: Structure) -> None:
    y, arm, base, stratum = example()
    data = VisitPatterns.of(y, arm, base, stratum)
    at = starting_values(structure, first_covariance(data) * 1.1)
    point = _point(data, structure, at)
    assert point is not None
    gradient, hessian, _ = point.slope()
    for j, step in enumerate(1e-5 * np.maximum(np.abs(at), 1.0)):
        shift = np.zeros(len(at))
        shift[j] = step
        ahead, behind = _point(data, structure, at + shift), _point(data, structure, at - shift)
        assert ahead is not None
        assert behind is not None
        assert (ahead.value - behind.value) / (2 * step) == pytest.approx(gradient[j], rel=1e-5, abs=1e-5)
        slope = (ahead.slope()[0] - behind.slope()[0]) / (2 * step)
        np.testing.assert_allclose(slope, hessian[j], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structure", get_args(Structure))
def test_curvature_of_the_structures(structure: Structure) -> None:
    at = starting_values(structure, np.array([[9.0, 5.0, 3.0], [5.0, 12.0, 7.0], [3.0, 7.0, 16.0]]))
    here = covariance(structure, at, 3)
    for j in range(len(at)):
        shift = np.eye(len(at))[j] * 1e-6
        ahead, behind = covariance(structure, at + shift, 3), covariance(structure, at - shift, 3)
        np.testing.assert_allclose((ahead.triangle - behind.triangle) / 2e-6, here.jacobian[:, j], rtol=1e-6, atol=1e-6)
        slope = (ahead.jacobian - behind.jacobian) / 2e-6
        for weights in np.eye(6):
            np.testing.assert_allclose(weights @ slope, here.bend(weights)[:, j], rtol=1e-6, atol=1e-6)


def test_complete_data_give_the_analysis_of_each_visit() -> None:
    """With the same covariates at each visit and no missing value, an unstructured model is one ANCOVA a visit."""
    y, arm, base, _ = example()
    y = np.where(np.isfinite(y), y, 0.5)
    fit = mmrm(y, arm, base)
    x = np.column_stack([np.ones(120), arm, base])
    for t in range(4):
        beta, rss, *_ = np.linalg.lstsq(x, y[:, t], rcond=None)
        se = np.sqrt(rss[0] / 117 * np.linalg.inv(x.T @ x)[1, 1])
        found = fit.contrast(t)
        assert (found.estimate, found.se, found.df) == pytest.approx((beta[1], se, 117.0), rel=1e-7)


def test_scale_and_order_do_not_matter() -> None:
    y, arm, base, stratum = example()
    one = mmrm(y, arm, base, stratum).contrast()
    order = np.random.default_rng(1).permutation(120)
    other = mmrm(1000 * y[order], arm[order], base[order] - 20, stratum[order]).contrast()
    assert other.estimate / 1000 == pytest.approx(one.estimate, rel=1e-7)
    assert (other.df, other.p) == pytest.approx((one.df, one.p), rel=1e-6)


def test_several_arms() -> None:
    y, arm, base, _ = example()
    three = np.where(np.arange(120) % 3 == 2, 2, arm)
    fit = mmrm(y, three, base)
    assert (len(fit.contrasts), len(fit.contrasts[0])) == (2, 4)
    swapped = mmrm(y, np.array([1, 0, 2])[three], base)
    assert swapped.contrast(-1, 1).estimate == pytest.approx(-fit.contrast(-1, 1).estimate, rel=1e-6)
    between = fit.contrast(-1, 2).estimate - fit.contrast(-1, 1).estimate
    assert swapped.contrast(-1, 2).estimate == pytest.approx(between, rel=1e-6)


def test_falls_back_and_says_so_if_two_visits_were_never_attended_together() -> None:
    y, arm, base, _ = example()
    arm = (np.arange(120) // 2) % 2
    y[::2, 1], y[1::2, 3] = np.nan, np.nan
    fit = mmrm(y, arm, base)
    assert fit.converged
    assert fit.structure == "heterogeneous AR(1)"
    assert fit.contrast().note == "no convergence with covariance unstructured; heterogeneous AR(1) fitted instead"


def test_a_failed_fit_is_not_a_number() -> None:
    y, arm, base, _ = example()
    arm = (np.arange(120) // 2) % 2
    y[::2, 1], y[1::2, 3] = np.nan, np.nan
    fit = mmrm(y, arm, base, structures=("unstructured",))
    assert not fit.converged
    assert np.isnan(fit.contrast().p)
    assert fit.note == "no convergence with covariance unstructured"


def test_patients_without_a_visit_are_counted() -> None:
    y, arm, base, _ = example()
    y[:3] = np.nan
    fit = mmrm(y, arm, base)
    assert fit.n == 117
    assert fit.note == "3 patients without any visit left out"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": np.zeros(120)}, "0 for the control"),
        ({"arm": np.zeros(119)}, "one number a patient"),
        ({"baseline": np.full(120, np.nan)}, "baseline is missing for 120 patients"),
        ({"covariates": np.ones(120)}, "collinear"),
        ({"outcome": np.zeros(120)}, "one column a visit"),
        ({"method": "residual"}, "unknown"),
    ],
)
def test_wrong_calls_are_explained(change: dict[str, object], message: str) -> None:
    y, arm, base, _ = example()
    arguments: dict[str, object] = {"outcome": y, "arm": arm, "baseline": base, **change}
    with pytest.raises(UsageError, match=message):
        mmrm(**arguments)  # type: ignore[arg-type]


def test_a_visit_with_too_few_outcomes_is_named() -> None:
    """An exact fit leaves no residual, whose root would be that of a rounding error."""
    outcome, arm = np.random.default_rng(1).normal(size=(6, 2)), np.array([0, 0, 0, 1, 1, 1])
    outcome[[1, 2, 4], 1] = np.nan
    with pytest.raises(UsageError, match=r"visit 1 has 3 outcomes, which cannot support 3 coefficients"):
        mmrm(outcome, arm, np.arange(6.0))


def test_an_empty_cell_is_named() -> None:
    y, arm, base, _ = example()
    y[arm == 1, 3] = np.nan
    with pytest.raises(UsageError, match="arm 1 has no outcome at visit 3"):
        mmrm(y, arm, base)


def test_a_fit_takes_milliseconds() -> None:
    """300 patients, 6 visits; some 4 ms on one core of 2024, and the budget is 60 ms."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(300, 1)) * 4 + np.cumsum(rng.normal(size=(300, 6)), axis=1)
    y[np.arange(6) >= rng.geometric(0.07, 300)[:, None]] = np.nan
    arm, base = np.arange(300) % 2, rng.normal(24, 4, 300)
    spent = []
    for _ in range(10):
        started = time.thread_time()  # not the clock: other programs may want the processor too
        assert mmrm(y, arm, base).converged
        spent.append(time.thread_time() - started)
    assert min(spent) < 0.060
