"""Random-effects pooling: against metafor, its coverage, its scales and its messages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import atanh, exp, sqrt, tanh

import numpy as np
import pytest

from crosstalk.errors import EvidenceError, UsageError
from crosstalk.evidence.pooling import pool
from crosstalk.evidence.records import PublishedResult, Query
from crosstalk.statistics.meta_analysis import RandomEffects, random_effects

from .conftest import smd, study

Rows = Callable[..., tuple[PublishedResult, ...]]

# R 4.2.2, metafor 3.8-1:
#   show <- function(y, v) {
#     r <- rma(y, v, method="REML", test="knha", control=list(threshold=1e-14, maxiter=10000))
#     p <- predict(r); ci <- confint(r, control=list(tol=1e-12))$random
#     cat(sprintf("%.12g", c(r$beta, r$se, r$ci.lb, r$ci.ub, p$pi.lb, p$pi.ub, r$tau2, ci[1,2], ci[1,3], r$I2, r$QE,
#                            r$QEp)), sep=", ")
#     cat(sprintf("%.12g", weights(r)/100), sep=", ") }
#   d <- escalc(measure="RR", ai=tpos, bi=tneg, ci=cpos, di=cneg, data=dat.bcg); show(d$yi, d$vi)
#   e <- escalc(measure="ZCOR", ri=ri, ni=ni, data=dat.molloy2014); show(e$yi, e$vi)
#   show(c(0.1, 0.2, 0.15), c(.1, .1, .2))
BCG = (
    [
        -0.8893113339202054, -1.585388657201431, -1.348073148299693, -1.441551190021305, -0.2175473222112956,
        -0.786115585818864, -1.620898223598392, 0.01195233352384051, -0.4694176487381494, -1.371344803472784,
        -0.3393588283383906, 0.4459134005713787, -0.01731394821687982,
    ],
    [
        0.3255847650039613, 0.1945811213981438, 0.4153679653679654, 0.02001003190224757, 0.05121017216963086,
        0.006905618455908757, 0.2230172475723152, 0.003961579297817729, 0.05643421046324897, 0.07302479361302891,
        0.01241221397155972, 0.5325058452001528, 0.07140465968398629,
    ],
)  # fmt: skip
BCG_METAFOR = (
    -0.714532342158, 0.180791744093, -1.10844371369, -0.320620970631, -1.9960168342, 0.56695214988, 0.313243258136,
    0.119718361141, 1.11147908406, 92.2213845213, 152.233008082, 1.99676459085e-26,
)  # fmt: skip
BCG_WEIGHTS = (
    0.0505948273437, 0.0636467937256, 0.044360274026, 0.0969874701892, 0.0886845639124, 0.100957385442,
    0.0602718141444, 0.101894390371, 0.0874313321164, 0.0836760725789, 0.0992502699981, 0.0382162906299,
    0.084028515522,
)  # fmt: skip
MOLLOY_R = (0.187, 0.162, 0.34, 0.32, 0.27, 0, 0.175, 0.05, 0.26, 0.01, -0.09, 0.37, 0, 0.15, 0.24, 0.04)
MOLLOY_N = (109, 749, 55, 107, 72, 65, 174, 326, 58, 771, 56, 91, 116, 537, 158, 65)
MOLLOY = ([atanh(r) for r in MOLLOY_R], [1 / (n - 3) for n in MOLLOY_N])
MOLLOY_METAFOR = (
    0.149917148517, 0.0327697722477, 0.0800700323518, 0.219764264683, -0.0543399939213, 0.354174290956,
    0.00810956082416, 0.00169517401323, 0.0377708984128, 61.7296546888, 38.1595154236, 0.000854584975973,
)  # fmt: skip
ALIKE = ([0.1, 0.2, 0.15], [0.1, 0.1, 0.2])
ALIKE_METAFOR = (
    0.15, 0.0316227766017, 0.0139381739325, 0.286061826067, 0.0139381739325, 0.286061826067, 0, 0, 0, 0, 0.05,
    0.975309912028,
)  # fmt: skip


def numbers(fit: RandomEffects) -> list[float]:
    return [
        fit.estimate, fit.se, fit.low, fit.high, fit.prediction_low, fit.prediction_high, fit.tau2, fit.tau2_low,
        fit.tau2_high, fit.i2, fit.q, fit.q_p,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "metafor"), [(BCG, BCG_METAFOR), (MOLLOY, MOLLOY_METAFOR), (ALIKE, ALIKE_METAFOR)], ids=["bcg", "r", "0"]
)
def test_agrees_with_metafor(data: tuple[list[float], list[float]], metafor: tuple[float, ...]) -> None:
    values, variances = data
    fit = random_effects(values, [sqrt(v) for v in variances])
    # PyMARE stops its search for tau2 at a relative width of 1e-6; everything that follows from tau2 inherits that
    assert numbers(fit) == pytest.approx(metafor, rel=1e-6, abs=1e-12)


def test_weights_agree_with_metafor() -> None:
    fit = random_effects(BCG[0], [sqrt(v) for v in BCG[1]])
    assert fit.weights == pytest.approx(BCG_WEIGHTS, rel=1e-6)
    assert sum(fit.weights) == pytest.approx(1)


def test_equal_effects_keep_an_interval() -> None:
    """The variance of Hartung and Knapp is zero there, which would claim certainty."""
    fit = random_effects([0.3, 0.3], [0.2, 0.2])
    assert fit.se == pytest.approx(0.2 / sqrt(2))
    assert fit.low < 0.3 < fit.high


@pytest.mark.parametrize(("k", "tau", "lowest"), [(5, 0.3, 0.80), (9, 0.3, 0.85), (30, 0.6, 0.915)])
def test_intervals_cover_what_they_claim(k: int, tau: float, lowest: float) -> None:
    """The interval of the mean at any size; the prediction interval only with many studies, as the pages say."""
    rng = np.random.default_rng(5)
    mean, runs = -0.4, 300
    held = predicted = 0
    for _ in range(runs):
        errors = rng.uniform(0.15, 0.4, k)
        truths = rng.normal(mean, tau, k + 1)
        fit = random_effects(list(rng.normal(truths[:k], errors)), list(errors))
        held += fit.low <= mean <= fit.high
        predicted += fit.prediction_low <= truths[k] <= fit.prediction_high
    # three standard errors of a coverage of 95 % are 3.8 %
    assert held / runs == pytest.approx(0.95, abs=0.038)
    assert lowest < predicted / runs < 0.99


def test_needs_two_effects() -> None:
    with pytest.raises(EvidenceError, match="expected two or more"):
        random_effects([1.0], [0.1])


def odds(value: float) -> str:
    return f'endpoint = "odds-ratio"; of = "HAMD17"; versus = "control"; value = {value}; se = 0.4'


def test_ratios_are_pooled_as_logarithms(rows: Rows) -> None:
    found = pool(rows(study("a2001", odds(1.2)), study("b2002", odds(3.0))), Query(endpoint=("odds-ratio",)))
    fit = random_effects([np.log(1.2), np.log(3.0)], [0.4, 0.4])
    assert (found.estimate, found.low, found.high) == pytest.approx((exp(fit.estimate), exp(fit.low), exp(fit.high)))
    assert found.estimate == pytest.approx(sqrt(1.2 * 3.0))
    assert (found.scale, found.null, found.favours) == ("logarithm", 1.0, 1)
    assert found.tau2 == pytest.approx(fit.tau2)
    assert [m.value for m in found.members] == pytest.approx([1.2, 3.0])
    assert found.members[0].low == pytest.approx(exp(np.log(1.2) - 1.959964 * 0.4), rel=1e-6)


def test_correlations_are_pooled_as_fisher_z(rows: Rows) -> None:
    def r(value: float, n: int) -> str:
        return f'endpoint = "correlation"; of = "IL-6"; with = "HAMD17"; value = {value}; n = {n}'

    found = pool(rows(study("a2001", r(0.5, 30)), study("b2002", r(0.1, 60))), Query(endpoint=("correlation",)))
    fit = random_effects([atanh(0.5), atanh(0.1)], [1 / sqrt(27), 1 / sqrt(57)])
    assert found.estimate == pytest.approx(tanh(fit.estimate))
    assert (found.scale, found.contrast, found.null) == ("Fisher z", "within", 0.0)
    assert -1 < found.prediction_low < found.low < found.estimate < found.high < found.prediction_high < 1


def test_what_is_said_about_the_pool(rows: Rows) -> None:
    texts = [study("a2001", smd(-0.5)), study("b2002", smd(-0.2).replace("week", 'provenance = "memory"; week'))]
    found = pool(rows(*texts), Query(endpoint=("smd",), of=("HAM-D",), drug=("celecoxib",)))
    assert found.title == "smd of HAMD17: celecoxib against control"
    assert [m.label for m in found.members] == ["a2001, week 6", "b2002, week 6"]
    assert found.members[1].provenance == "memory"
    assert any("Recalled" in note and "b2002" in note for note in found.notes)
    assert sum(m.weight for m in found.members) == pytest.approx(100)
    assert (found.unit, found.favours, found.k) == ("SD", -1, 2)


def test_says_how_to_get_pymare(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymare", None)
    with pytest.raises(EvidenceError, match=r"pip install 'crosstalk-mdd\[evidence\]'"):
        pool(rows(study("a2001", smd(-0.5)), study("b2002", smd(-0.2))), Query(endpoint=("smd",)))


def test_says_what_was_left_out_when_too_little_remains(rows: Rows) -> None:
    texts = [study("a2001", smd(-0.5)), study("b2002", 'endpoint = "smd"; of = "HAMD17"; value = -1; se = 0.2')]
    with pytest.raises(EvidenceError, match="b2002: has no arm to compare with"):
        pool(rows(*texts), Query(endpoint=("smd",)))
    with pytest.raises(EvidenceError, match="no published result matches"):
        pool(rows(*texts), Query(endpoint=("remission",)))


def test_an_interval_narrower_than_the_errors_allow_is_noted_or_widened() -> None:
    plain = random_effects([-0.30, -0.31], [0.20, 0.25])
    adhoc = random_effects([-0.30, -0.31], [0.20, 0.25], test="ad hoc")
    by_weights = (0.20**-2 + 0.25**-2) ** -0.5
    assert "agree better than their errors" in plain.note
    assert plain.se < by_weights
    assert adhoc.se == pytest.approx(by_weights)
    apart = random_effects([-1.0, 1.0, 3.0], [0.2, 0.2, 0.2], test="ad hoc")
    assert apart.note == ""
    assert apart.se == random_effects([-1.0, 1.0, 3.0], [0.2, 0.2, 0.2]).se


@pytest.mark.parametrize("error", [-0.1, 0.0, float("nan"), float("inf")])
def test_a_standard_error_is_positive_and_finite(error: float) -> None:
    with pytest.raises(EvidenceError, match="place 1; effects must be finite"):
        random_effects([0.1, 0.2, 0.3], [0.1, error, 0.1])
    with pytest.raises(UsageError, match="test 'knha' is unknown"):
        random_effects([0.1, 0.2], [0.1, 0.1], test="knha")  # type: ignore[arg-type]
