"""The random-slope model against lme4 and lmerTest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from crosstalk.errors import UsageError
from crosstalk.statistics.mixed import _Data, _point, random_slope

Array = NDArray[np.float64]


def example() -> dict[str, Array]:
    i = np.arange(1, 81)

    def u(k: int) -> Array:
        return (i * np.sqrt(k)) % 1

    parts = []
    for t, k in enumerate((5, 7, 11, 13, 17, 19)):
        y = 24 + 3 * ndtri(u(2)) + (-1.5 - 0.5 * (i % 2) + 0.6 * ndtri(u(3))) * t + 2.5 * ndtri(u(k))
        keep = u(41 + t) > 0.1 * t / 2
        parts.append(np.column_stack([y, i, t + 0.3 * u(31 + t), i % 2])[keep])
    table = np.vstack(parts)
    return dict(zip(("outcome", "patient", "time", "arm"), table.T, strict=True))


@pytest.mark.parametrize(
    ("restricted", "deviance", "estimate", "se", "df", "covariance", "residual"),
    [
        (True, 2216.51378794, -0.4695453266, 0.2026230780, 76.79693, (9.0186142, -0.4391910, 0.3621242), 6.432925087),
        (False, 2213.27851973, -0.4695190192, 0.2000412311, 78.80539, (8.6939738, -0.4003187, 0.3421074), 6.431618894),
    ],
)
def test_agrees_with_lme4(
    restricted: bool,
    deviance: float,
    estimate: float,
    se: float,
    df: float,
    covariance: tuple[float, float, float],
    residual: float,
) -> None:
    """R 4.2.2, lme4 1.1-31, lmerTest 3.1-3.

    n <- 80; i <- 1:n; u <- function(k) (i * sqrt(k)) %% 1; z <- function(k) qnorm(u(k)); arm <- i %% 2
    d <- do.call(rbind, lapply(0:5, function(t) data.frame(id=i, arm=arm, t=t + 0.3*u(31+t),
         y=24+3*z(2)+(-1.5-0.5*arm+0.6*z(3))*t+2.5*z(c(5,7,11,13,17,19)[t+1]), keep=u(41+t) > 0.1*t/2)))
    d <- d[d$keep,]
    for (R in c(TRUE,FALSE)) { f <- lmer(y ~ t*arm + (t|id), d, REML=R,
        control=lmerControl(optimizer="bobyqa", optCtrl=list(rhoend=1e-10)))
      print(-2*logLik(f)); print(coef(summary(f))["t:arm",]); print(c(as.matrix(VarCorr(f)$id), sigma(f)^2)) }
    """
    data = example()
    assert len(data["outcome"]) == 426
    fit = random_slope(**data, restricted=restricted)
    found = fit.coefficient("arm 1 x time")
    assert fit.converged
    assert not fit.singular
    assert fit.n == 80
    assert fit.deviance == pytest.approx(deviance, abs=1e-6)
    assert (found.estimate, found.se) == pytest.approx((estimate, se), rel=1e-5)
    assert found.df == pytest.approx(df, rel=1e-4)
    assert fit.covariance[np.triu_indices(2)] == pytest.approx(covariance, rel=1e-4)
    assert fit.residual == pytest.approx(residual, rel=1e-5)


@pytest.mark.shared
def test_the_imipramine_study(shared_data: Path) -> None:
    """-2 log likelihood of the random trend model is 2219.04 (Hedeker & Gibbons 2006, ISBN 978-0471420279).

    lmer(y ~ w + (w|id), REML=FALSE) of lme4 1.1-31: 2219.037512; 23.576947 (0.545569), -2.377067 (0.208652).
    """
    text = (shared_data / "riesby_imipramine_hdrs.txt").read_text()
    rows = [line.split()[:4] for line in text.splitlines() if len(line.split()) >= 5]
    table = np.array([[np.nan if cell == "." else float(cell) for cell in row] for row in rows])
    fit = random_slope(table[:, 1], table[:, 0], table[:, 3], restricted=False)
    assert fit.deviance == pytest.approx(2219.037512, abs=1e-5)
    assert fit.n == 66
    assert fit.note == "21 observations without outcome left out"
    assert fit.coefficient("time").estimate == pytest.approx(-2.377067, abs=1e-5)
    assert fit.coefficient("time").se == pytest.approx(0.208652, abs=1e-5)
    assert fit.coefficient("time").df == pytest.approx(63.1, abs=0.01)


@pytest.mark.parametrize("restricted", [True, False])
def test_derivatives_are_those_of_the_likelihood(restricted: bool) -> None:
    data = example()
    design = np.column_stack([np.ones(426), data["time"], data["arm"], data["arm"] * data["time"]])
    inner = _Data.of(data["outcome"], data["patient"], design, restricted)
    at = np.array([2.5, -0.2, 0.7, 1.9])
    point = _point(inner, at)
    assert point is not None
    gradient, hessian, _ = point.slope()
    for j in range(4):
        shift = np.eye(4)[j] * 1e-5
        ahead, behind = _point(inner, at + shift), _point(inner, at - shift)
        assert ahead is not None
        assert behind is not None
        assert (ahead.value - behind.value) / 2e-5 == pytest.approx(gradient[j], rel=1e-5, abs=1e-5)
        np.testing.assert_allclose((ahead.slope()[0] - behind.slope()[0]) / 2e-5, hessian[j], rtol=1e-5, atol=1e-4)


def test_no_slopes_between_patients_is_a_singular_fit() -> None:
    data = example()
    i = data["patient"].astype(int)
    week = np.round(data["time"])
    # residuals that alternate within a patient leave less variance of slopes than chance would
    flat = 20 + ndtri((i * np.sqrt(2)) % 1) + np.where(week % 2 == 0, 2.0, -2.0)
    fit = random_slope(flat, data["patient"], data["time"])
    assert fit.converged
    assert fit.singular
    assert "singular" in fit.note
    assert np.isfinite(fit.coefficient("time").p)


def test_order_does_not_matter_and_covariates_count() -> None:
    data = example()
    order = np.random.default_rng(2).permutation(426)
    one = random_slope(**data, covariates=data["time"] ** 2)
    other = random_slope(**{k: v[order] for k, v in data.items()}, covariates=data["time"][order] ** 2)
    assert one.names == ("intercept", "time", "arm 1", "arm 1 x time", "covariate 1")
    assert one.deviance == pytest.approx(other.deviance, abs=1e-7)


def test_wrong_calls_are_explained() -> None:
    data = example()
    with pytest.raises(UsageError, match="time is missing in row 0"):
        random_slope(data["outcome"], data["patient"], np.full(426, np.nan))
    with pytest.raises(UsageError, match="collinear"):
        random_slope(data["outcome"], data["patient"], data["time"], covariates=data["time"])
    with pytest.raises(UsageError, match="three observations"):
        random_slope([1, 2, 3, 5, 6, 9], [1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1])
    with pytest.raises(UsageError, match="no coefficient 'dose'"):
        random_slope(**data).coefficient("dose")
    with pytest.raises(UsageError, match="whole numbers"):
        random_slope(data["outcome"], data["patient"], data["time"], data["arm"] + 0.5)
