"""Group-sequential boundaries, sample size and power against rpact."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.errors import UsageError
from crosstalk.statistics import (
    drift_for_power,
    operation,
    power_means,
    power_rates,
    sample_size_means,
    sample_size_rates,
)
from crosstalk.statistics.boundaries import Boundaries, boundaries

# rpact 3.3.4 on R 4.2.2, which keeps 1e-8 of alpha unspent:
# ir <- c(0.5, 0.8, 1)
# for (s in 1:2) for (t in c("OF","P","asOF","asP"))
#   getDesignGroupSequential(informationRates=ir, alpha=0.025*s, sided=s, typeOfDesign=t)$criticalValues
# getDesignGroupSequential(informationRates=ir, alpha=0.025, typeOfDesign="asKD", gammaA=2.5)
LOOKS = (0.5, 0.8, 1.0)
CRITICAL = {
    ("obrien-fleming", ""): (2.87195840076, 2.27048247291, 2.03078126046),
    ("pocock", ""): (2.24643547372, 2.24643547372, 2.24643547372),
    ("spending", "obrien-fleming"): (2.96258804273, 2.26619312912, 2.02779368311),
    ("spending", "pocock"): (2.15699921834, 2.28759547323, 2.34661167115),
    ("spending", "power"): (2.61822559990, 2.24866376072, 2.06650515646),
}
SPENT = {
    ("obrien-fleming", ""): (0.00203968331339, 0.01233055945913, 0.025),
    ("pocock", ""): (0.0123380641416, 0.0200127549593, 0.025),
    ("spending", "obrien-fleming"): (0.00152532275799, 0.01221179019543, 0.025),
    ("spending", "pocock"): (0.0155028626740, 0.0216209929856, 0.025),
    ("spending", "power"): (0.00441941738242, 0.01431083527282, 0.025),
}


@pytest.mark.parametrize("sided", [1, 2])
@pytest.mark.parametrize("kind", CRITICAL)
def test_boundaries_agree_with_rpact(kind: tuple[str, str], sided: int) -> None:
    spending = kind[1] or "obrien-fleming"
    found = boundaries(LOOKS, alpha=0.025 * sided, sided=sided, kind=kind[0], spending=spending, gamma=2.5)  # type: ignore[arg-type]
    assert found.efficacy == pytest.approx(CRITICAL[kind], abs=1e-6)
    assert [s / sided for s in found.spent] == pytest.approx(SPENT[kind], abs=1e-7)
    assert operation(found, 0.0).power == pytest.approx(0.025 * sided, abs=1e-9)


def test_futility_limits_agree_with_rpact() -> None:
    """Non-binding and binding limits.

    d <- getDesignGroupSequential(informationRates=ir, alpha=0.025, beta=0.1, typeOfDesign="asOF",
         typeBetaSpending="bsOF", bindingFutility=FALSE); ch <- getDesignCharacteristics(d)
    d$futilityBounds; ch$shift; ch$inflationFactor; ch$averageSampleNumber1; ch$averageSampleNumber0; ch$power
    getDesignGroupSequential(..., typeBetaSpending="bsKD", gammaB=2, bindingFutility=TRUE)
    """
    free = boundaries(LOOKS, futility="obrien-fleming", beta=0.1)
    assert free.efficacy == pytest.approx(CRITICAL["spending", "obrien-fleming"], abs=1e-6)
    assert free.futility == pytest.approx((0.342514539456, 1.475979467388), abs=1e-6)
    drift = drift_for_power(free, 0.9)
    assert drift**2 == pytest.approx(11.4823255506, abs=1e-5)
    alternative = operation(free, drift)
    assert np.cumsum(alternative.rejection) == pytest.approx((0.285521638997, 0.778912628788, 0.9), abs=1e-6)
    assert np.cumsum(alternative.futile) == pytest.approx((0.0200092538874, 0.0659148540204), abs=1e-6)
    inflation = 1.09278226293
    assert alternative.expected_information * inflation == pytest.approx(0.807976143141, abs=1e-6)
    assert operation(free, 0.0).expected_information * inflation == pytest.approx(0.67791656619, abs=1e-6)
    bound = boundaries(LOOKS, futility="power", futility_gamma=2, beta=0.1, binding=True)
    assert bound.efficacy == pytest.approx((2.96258804273, 2.26422121376, 1.96785224229), abs=1e-6)
    assert bound.futility == pytest.approx((0.398723867522, 1.385955160949), abs=1e-6)
    assert operation(bound, 0.0).power == pytest.approx(0.025, abs=1e-9)


FIXED = boundaries(alpha=0.05, sided=2)
LOOKED = boundaries(LOOKS, alpha=0.05, sided=2)


def test_sample_sizes_agree_with_rpact() -> None:
    """rpact's root of the t distribution stops at 1e-4 patients.

    d1 <- getDesignGroupSequential(kMax=1, alpha=0.05, sided=2, beta=0.1)
    getSampleSizeMeans(d1, alternative=3, stDev=8)$nFixed; getSampleSizeMeans(..., normalApproximation=TRUE)$nFixed
    getSampleSizeRates(d1, pi1=.45, pi2=.30)$nFixed; getSampleSizeRates(..., allocationRatioPlanned=2)
    d <- getDesignGroupSequential(informationRates=ir, alpha=0.05, sided=2, beta=0.1, typeOfDesign="asOF")
    s <- getSampleSizeMeans(d, alternative=3, stDev=8)
    s$maxNumberOfSubjects; s$expectedNumberOfSubjectsH1; s$expectedNumberOfSubjectsH0
    s <- getSampleSizeRates(d, pi1=.45, pi2=.30); s$maxNumberOfSubjects; s$expectedNumberOfSubjectsH1
    """
    assert sample_size_means(FIXED, 3, 8, power=0.9).fixed == pytest.approx(300.811539615, abs=1e-3)
    assert sample_size_means(FIXED, -3, 8, power=0.9).patients == (151, 151)
    assert sample_size_means(FIXED, 3, 8, power=0.9, normal=True).fixed == pytest.approx(298.877811525, abs=1e-6)
    assert sample_size_rates(FIXED, 0.45, 0.3, power=0.9).fixed == pytest.approx(433.639870521, abs=1e-6)
    assert sample_size_rates(FIXED, 0.45, 0.3, power=0.9).patients == (217, 217)
    uneven = sample_size_rates(FIXED, 0.45, 0.3, power=0.9, ratio=2)
    assert uneven.fixed == pytest.approx(489.650333173, abs=1e-6)
    assert uneven.patients == (327, 164)  # n1 326.433555449, n2 163.216777724
    means = sample_size_means(LOOKED, 3, 8, power=0.9)
    assert means.maximum == pytest.approx(307.244160259, abs=1e-3)
    assert means.expected_alternative == pytest.approx(237.350039987, abs=1e-3)
    assert means.expected_null == pytest.approx(305.462171857, abs=1e-3)
    assert means.stages == pytest.approx([307.244160259 * t for t in LOOKS], abs=1e-3)
    rates = sample_size_rates(LOOKED, 0.45, 0.3, power=0.9)
    assert rates.maximum == pytest.approx(442.912921637, abs=1e-4)
    assert rates.expected_alternative == pytest.approx(342.155891825, abs=1e-4)


def test_power_agrees_with_rpact() -> None:
    """getPowerMeans(d, alternative=c(0,1,3), stDev=8, maxNumberOfSubjects=300)$overallReject, and the like."""
    cases = [
        ([power_means(LOOKED, x, 8, 300) for x in (0, 1, 3)], (0.05, 0.1860841148455, 0.8930461995562)),
        ([power_means(LOOKED, x, 8, 300, normal=True) for x in (0, 1, 3)], (0.05, 0.1869899827282, 0.8949547524931)),
        ([power_means(FIXED, x, 8, 300) for x in (0, 1, 3)], (0.05, 0.190367733779, 0.899225009298)),
        ([power_rates(LOOKED, x, 0.3, 400) for x in (0.3, 0.4, 0.45)], (0.05, 0.5441793741232, 0.8683871823967)),
        ([power_rates(FIXED, x, 0.3, 400) for x in (0.3, 0.4, 0.45)], (0.05, 0.554652692419, 0.875408412466)),
    ]
    for found, expected in cases:
        assert [f.power for f in found] == pytest.approx(expected, abs=1e-7)
    sizes = [operation_.expected_information * 300 for operation_ in cases[0][0]]
    assert sizes == pytest.approx((298.260027074, 292.785475971, 233.219235938), abs=1e-4)
    assert power_means(LOOKED, -3, 8, 300).power == pytest.approx(0.8930461995562, abs=1e-7)


def test_boundaries_hold_in_simulated_walks() -> None:
    rng = np.random.default_rng(7)
    steps = np.diff(LOOKS, prepend=0.0)
    walks = np.cumsum(rng.normal(size=(200_000, 3)) * np.sqrt(steps) + 2.0 * steps, axis=1) / np.sqrt(LOOKS)
    design = boundaries(LOOKS, futility="obrien-fleming", beta=0.1)
    alive, rejected, stopped = np.ones(200_000, dtype=bool), [], []
    for k in range(3):
        above = alive & (walks[:, k] >= design.efficacy[k])
        below = alive & (walks[:, k] < design.futility[k]) if k < 2 else np.zeros_like(alive)
        rejected.append(above.mean())
        stopped.append(below.mean())
        alive &= ~(above | below)
    found = operation(design, 2.0)
    assert rejected == pytest.approx(found.rejection, abs=3 * 0.5 / np.sqrt(200_000))
    assert stopped[:2] == pytest.approx(found.futile, abs=3 * 0.5 / np.sqrt(200_000))


def test_many_close_looks() -> None:
    """Narrow kernels need fine nodes: ten looks, two of them close, keep the type I error."""
    rates = (0.1, 0.2, 0.3, 0.31, 0.5, 0.6, 0.7, 0.8, 0.995, 1.0)
    design = boundaries(rates, kind="pocock")
    assert operation(design, 0.0).power == pytest.approx(0.025, abs=1e-8)
    one_more = boundaries((0.995, 1.0))
    assert operation(one_more, 0.0).power == pytest.approx(0.025, abs=1e-8)


def test_early_spending_of_nothing_has_no_limit() -> None:
    design: Boundaries = boundaries((0.01, 1.0))
    assert design.efficacy[0] > 10
    assert design.efficacy[1] == pytest.approx(1.959963985, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rates": (0.5, 0.9)}, "end with 1"),
        ({"rates": (0.9, 0.5, 1.0)}, "ascending"),
        ({"alpha": 0.6}, "expected errors"),
        ({"rates": (0.5, 1.0), "sided": 2, "futility": "pocock"}, "one-sided"),
        ({"rates": (0.5, 1.0), "kind": "pocock", "futility": "pocock"}, "kind='spending'"),
        ({"spending": "haybittle"}, "unknown"),
        ({"gamma": 0.0}, "positive"),
    ],
)
def test_wrong_calls_are_explained(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        boundaries(**arguments)  # type: ignore[arg-type]


def test_wrong_sizes_are_explained() -> None:
    with pytest.raises(UsageError, match="difference 0"):
        sample_size_means(FIXED, 0.0, 8)
    with pytest.raises(UsageError, match="fractions"):
        sample_size_rates(FIXED, 1.2, 0.3)
    with pytest.raises(UsageError, match="between alpha"):
        sample_size_means(FIXED, 3.0, 8.0, power=0.01)
