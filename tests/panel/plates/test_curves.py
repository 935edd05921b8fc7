"""Standard curves: against R, against drc's published fit, on made-up plates with known truth, on real MSD plates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.plates.curves import fit_curve
from crosstalk.panel.plates.dilutions import Standard, break_series
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.plates.standard_curve import Curve, logistic

# made up, rounded as an instrument does
X = np.repeat([10000, 2500, 625, 156.25, 39.0625, 9.765625, 2.44140625, 0], 2)
Y = [21210, 20104, 16480, 15310, 9105, 8870, 3390, 3155, 968, 1002, 281, 269, 88, 90.5, 30, 29]


def wells(x: object, y: object) -> list[Standard]:
    return [
        Standard(f"S{v:g}", f"well {i}", float(v), float(s))
        for i, (v, s) in enumerate(zip(x, y, strict=True))  # type: ignore[call-overload]
    ]


def series(values: list[float], names: list[str] | None = None, signals: list[float] | None = None) -> list[Standard]:
    names = names or [f"Standard{i + 1}" for i in range(len(values))]
    signals = signals or [0.0] * len(values)
    return [
        Standard(n, f"well {'ABCDEFGH'[i]}1", v, s)
        for i, (n, v, s) in enumerate(zip(names, values, signals, strict=True))
    ]


# Bottom and the logarithms of span, midpoint, slope, asymmetry; their standard errors; residual SD. By R 4.2.2:
#   x[x == 0] <- 1e-30; d <- data.frame(x, y)
#   F5 <- deriv(~ bottom + exp(ls) * (1 - (1 + exp(exp(lb) * (log(x) - lc)))^(-exp(lg))),
#               c("bottom", "ls", "lc", "lb", "lg"), function(x, bottom, ls, lc, lb, lg) {})
#   ctl <- nls.control(maxiter = 2000, tol = 1e-9, minFactor = 1e-14)
#   m <- nls(y ~ F5(x, bottom, ls, lc, lb, lg), d, weights = 1 / y^2, control = ctl,
#            start = list(bottom = 30, ls = log(28000), lc = log(470), lb = 0, lg = log(0.45)))
#   coef(m); sqrt(diag(vcov(m))); sigma(m)
# "none" without weights; "relative": 60 times again with weights = 1 / fitted(m)^2 (tol 1e-8); 4PL with lg = 0.
BY_R = {
    ("5PL", "observed"): (
        [29.403545880, 10.115517200, 6.390854887, 0.004848094, -0.478442282],
        [0.66816253, 0.09338694, 0.25904271, 0.01257550, 0.30784152],
        0.03229267,
    ),
    ("4PL", "observed"): (
        [29.306631360, 10.002839530, 6.817129618, -0.008662908],
        [0.702653767, 0.024373854, 0.052834216, 0.009051606],
        0.03411725,
    ),
    ("4PL", "none"): (
        [-17.40512746, 10.05054228, 6.95345768, -0.07443688],
        [150.17074100, 0.03028004, 0.08256848, 0.05574794],
        347.5062,
    ),
    ("5PL", "relative"): (
        [29.421627290, 10.117904840, 6.386776441, 0.005291972, -0.481930525],
        [0.65953880, 0.09240642, 0.25603497, 0.01254017, 0.30412739],
        0.03194432,
    ),
    ("4PL", "relative"): (
        [29.325442030, 10.005441760, 6.818119563, -0.008679169],
        [0.693981412, 0.024026956, 0.052319452, 0.009044052],
        0.03387305,
    ),
}


@pytest.mark.parametrize(("model", "weighting"), BY_R)
def test_parameters_and_errors_are_those_of_r(model: str, weighting: str) -> None:
    values, errors, sigma = BY_R[model, weighting]
    curve = fit_curve(wells(X, Y), model=model, weighting=weighting)  # type: ignore[arg-type]
    n = len(values)
    assert curve.parameters[:n] == pytest.approx(values, rel=1e-6, abs=1e-6)
    assert np.sqrt(np.diag(np.array(curve.covariance))) == pytest.approx(errors, rel=3e-6)
    assert curve.sigma == pytest.approx(sigma, rel=1e-6)


def test_choice_of_the_model_is_the_f_test_of_r() -> None:
    """R: ``anova(nls_4pl, nls_5pl)$"Pr(>F)"[2]`` is 0.1500464819 with weights 1 / y^2."""
    curve = fit_curve(wells(X, Y), weighting="observed")
    assert curve.asymmetry_p == pytest.approx(0.1500464819, rel=1e-6)


def test_error_of_a_concentration_is_the_delta_method_of_r() -> None:
    """Without noise of replicates.

    R, car 3.1.1: ``deltaMethod(coef(m), "lc + log((1 - (5000 - bottom) / exp(ls))^(-exp(-lg)) - 1) / exp(lb)",
    vcov(m))`` for the 5PL with weights 1 / y^2.
    """
    curve = fit_curve(wells(X, Y), model="5PL", weighting="observed")
    for signal, log_x, error in ((5000, 5.56575492, 0.02022628), (60, 0.20633829, 0.03591477)):
        x = curve.invert(signal)
        assert x is not None
        assert math.log(x) == pytest.approx(log_x, rel=1e-6)
        assert curve.log_sd(x, n=10**15) == pytest.approx(error, rel=1e-6)


def test_four_parameters_are_those_published_for_drc() -> None:
    """Root length of ryegrass: Ritz and Streibig 2005, doi 10.18637/jss.v012.i05.

    ``summary(drm(rootl ~ conc, data = ryegrass, fct = LL.4()))``: b 2.98222, c 0.48141, d 7.79296, e 3.05795, residual
    standard error 0.5196256 on 20 degrees of freedom. It falls with the concentration.
    """
    x = [0.0] * 6 + [c for c in (0.94, 1.88, 3.75, 7.5, 15, 30) for _ in range(3)]
    y = [
        7.58, 8, 8.3285714, 7.25, 7.375, 7.9625, 8.3555556, 6.9142857, 7.75, 6.8714286, 6.45, 5.9222222, 1.925,
        2.8857143, 4.2333333, 1.1875, 0.8571429, 1.0571429, 0.6875, 0.525, 0.825, 0.25, 0.22, 0.44,
    ]  # fmt: skip
    curve = fit_curve(wells(x, y), model="4PL", weighting="none")
    found = (curve.slope, curve.top, curve.bottom, curve.midpoint)
    assert found == pytest.approx((2.98222, 0.48141, 7.79296, 3.05795), abs=1e-5)
    assert (curve.sigma, curve.df) == (pytest.approx(0.5196256, abs=1e-7), 20)
    assert not curve.rising
    assert curve.concentration([9.0]).censored == "left"
    assert curve.concentration([0.1]).censored == "right"


@pytest.mark.parametrize("asymmetry", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("rising", [True, False])
def test_a_curve_without_noise_is_found(asymmetry: float, rising: bool) -> None:
    ends = (20.0, 30000.0) if rising else (30000.0, 20.0)
    x = [0.0, *(10000 / 4.0**k for k in range(9))]
    curve = fit_curve(wells(x, logistic(x, *ends, 500.0, 1.2, asymmetry)))
    assert curve.model == ("4PL" if asymmetry == 1 else "5PL")
    assert (curve.bottom, curve.top) == pytest.approx(ends, rel=1e-3)
    assert curve.asymmetry == pytest.approx(asymmetry, rel=1e-2)
    assert (curve.lloq, curve.uloq) == (10000 / 4**8, 10000)
    assert [lv.recovery for lv in curve.levels] == pytest.approx([1] * 9, rel=1e-3)


@given(
    st.floats(-100, 1e4), st.floats(1, 1e6), st.floats(0.01, 1e5), st.floats(0.3, 4), st.floats(0.1, 8),
    st.floats(0.02, 0.98), st.booleans(),
)  # fmt: skip
def test_inversion_gives_the_concentration_back(
    bottom: float, span: float, midpoint: float, slope: float, asymmetry: float, share: float, rising: bool
) -> None:
    top = bottom + span if rising else bottom - span
    curve = Curve(
        "5PL", bottom, top, midpoint, slope, asymmetry, "none", (), 0.0, 1, 1.0, 1.0, None, None, None, ()
    )  # fmt: skip
    signal = bottom + share * (top - bottom)
    x = curve.invert(signal)
    assert x is not None
    assert float(curve.signal(x)) == pytest.approx(signal, abs=1e-6 * span)
    nearer = curve.invert(bottom + 0.99 * share * (top - bottom))
    assert nearer is not None
    assert nearer < x
    assert curve.invert(bottom) is None
    assert curve.invert(top) is None


def test_values_outside_the_range_are_censored_at_its_ends() -> None:
    curve = fit_curve(wells(X, Y))
    assert curve.lloq == 2.44140625
    low, high = curve.concentration([31.0, 32.0], dilution=4), curve.concentration([1e6], dilution=4)
    assert (low.censored, low.value) == ("left", 4 * 2.44140625)
    assert low.unclipped is not None
    assert low.unclipped < low.value
    assert curve.uloq is not None
    assert (high.censored, high.value, high.unclipped) == ("right", 4 * curve.uloq, None)
    inside, once = curve.concentration([1000.0, 1040.0]), curve.concentration([1020.0])
    assert (inside.censored, inside.value) == ("", pytest.approx(40.0, rel=0.05))
    assert inside.log_sd is not None
    assert once.log_sd is not None
    assert inside.log_sd < once.log_sd
    diluted = curve.concentration([1000.0, 1040.0], dilution=10)
    assert (diluted.value, diluted.log_sd) == (pytest.approx(10 * inside.value), inside.log_sd)


def test_a_level_that_is_given_back_badly_ends_the_range() -> None:
    y = list(Y)
    y[12:14] = [45.0, 150.0]  # replicates of 2.44 that contradict each other
    curve = fit_curve(wells(X, y))
    bad = next(lv for lv in curve.levels if lv.expected == 2.44140625)
    assert not bad.accepted
    assert curve.lloq == 9.765625


def covered(asymmetry: float, cv: float, plates: int, seed: int) -> list[float]:
    """Share of samples within the range whose 95 % interval holds the truth, for each concentration."""
    from scipy.stats import t

    rng = np.random.default_rng(seed)
    x = np.concatenate([np.repeat(10000 / 4.0 ** np.arange(8), 2), [0, 0]])
    truths = (4.0, 30.0, 200.0, 900.0)
    hits = np.zeros(len(truths))

    def measured(v: object) -> np.ndarray:
        signal = logistic(v, 30.0, 25000.0, 900.0, 1.0, asymmetry)
        return signal * np.exp(rng.normal(0, cv, np.shape(signal)))

    for _ in range(plates):
        curve = fit_curve(wells(x, measured(x)))
        for i, truth in enumerate(truths):
            found = curve.concentration(list(measured([truth, truth])))
            assert found.unclipped is not None
            assert found.log_sd is not None
            hits[i] += abs(math.log(found.unclipped / truth)) <= t.ppf(0.975, curve.df) * found.log_sd
    return list(hits / plates)


@pytest.mark.slow
@pytest.mark.parametrize(("asymmetry", "cv", "seed"), [(1.0, 0.05, 1), (0.6, 0.04, 2), (0.6, 0.10, 3)])
def test_intervals_cover_the_truth(asymmetry: float, cv: float, seed: int) -> None:
    assert 0.92 <= np.mean(covered(asymmetry, cv, 150, seed)) <= 0.98


def test_intervals_cover_the_truth_on_a_few_plates() -> None:
    assert np.mean(covered(0.8, 0.05, 25, 4)) >= 0.88


GOOD = [1000.0, 250.0, 62.5, 15.625, 3.90625, 0.9765625, 0.244140625]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({3: 1.5625}, [("well D1", 1.5625, 15.625, "10^-1: a lost decimal point")]),
        ({3: 156.25}, [("well D1", 156.25, 15.625, "10^1: a lost decimal point")]),
        ({0: 100000.0}, [("well A1", 100000.0, 1000.0, "10^2: a lost decimal point")]),
        ({6: 24.4140625}, [("well G1", 24.4140625, 0.244140625, "10^2")]),
        (
            {2: 15.625, 3: 62.5},
            [("well C1", 15.625, 62.5, "exchanged with Standard4"), ("well D1", 62.5, 15.625, "with Standard3")],
        ),
        ({4: 15.625}, [("well E1", 15.625, 3.90625, "repeats the value of Standard4")]),
        ({6: 0.0244140625}, [("well G1", 0.0244140625, 0.244140625, "10^-1")]),
        ({6: 2.0}, [("well G1", 2.0, 0.244140625, "slip of the pen")]),
        ({0: 125.0}, [("well A1", 125.0, 1000.0, "slip of the pen")]),
        ({1: 470.0}, [("well B1", 470.0, 250.0, "slip of the pen")]),
        ({1: 260.0, 2: 60.0, 4: 4.0}, []),  # rounded
        ({5: 0.5, 6: 0.05}, []),  # goes on with other steps at its end
        ({}, []),
    ],
)
def test_a_standard_that_breaks_the_series_is_named(
    change: dict[int, float], named: list[tuple[str, float, float, str]]
) -> None:
    values = [change.get(i, v) for i, v in enumerate(GOOD)]
    kept, found = break_series(series(values))
    assert len(kept) + len(found) == len(GOOD)
    assert [(s.place, s.expected, pytest.approx(s.would_be, rel=0.02)) for s in found] == [n[:3] for n in named]
    for suspect, (place, *_, words) in zip(found, named, strict=True):
        assert words in suspect.message
        assert place in suspect.message


def test_no_series_means_no_judgement() -> None:
    uneven = [1000.0, 400.0, 100.0, 80.0, 10.0, 5.0]
    assert break_series(series(uneven)) == (series(uneven), [])
    assert break_series(series(GOOD[:4]))[1] == []


def test_the_number_of_a_standard_is_its_rank_even_where_one_is_missing() -> None:
    names = [f"S{i:03d}" for i in (1, 2, 3, 5, 6, 7)]
    values = [GOOD[i] for i in (0, 1, 2, 4, 5, 6)]
    assert break_series(series(values, names))[1] == []
    values[3] *= 10
    (suspect,) = break_series(series(values[::-1], names[::-1]))[1]
    assert (suspect.label, pytest.approx(suspect.would_be)) == ("S005", 3.90625)


def test_the_fit_goes_on_without_the_broken_standard_and_says_so() -> None:
    values = [10000 / 4.0**k for k in range(8)]
    signals = list(logistic(values, 25.0, 20000.0, 600.0, 1.0))
    whole = fit_curve(series(values, signals=signals), model="4PL")
    values[4] /= 10
    curve = fit_curve(series(values, signals=signals), model="4PL")
    assert [s.label for s in curve.left_out] == ["Standard5"]
    assert "left out of the fit" in curve.left_out[0].message
    assert curve.midpoint == pytest.approx(whole.midpoint, rel=1e-4)
    blind = fit_curve(series(values, signals=signals), model="4PL", judge_series=False)
    assert not blind.left_out
    assert abs(blind.midpoint / whole.midpoint - 1) > 0.01


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([100.0, 10.0, 1.0], [5.0, 4.0, 3.0], "3 concentrations of the standard above zero"),
        ([100.0, 10.0, 1.0, math.nan], [5.0, 4.0, 3.0, 2.0], "expected numbers"),
        ([100.0, 10.0, 1.0, -1.0], [5.0, 4.0, 3.0, 2.0], "the concentration 0 or more"),
        ([1000.0, 100.0, 10.0, 1.0, 0.1, 0.01], [5.0, 9.0, 4.0, 8.0, 6.0, 7.0], "do not follow"),
        ([1000.0, 100.0, 10.0, 1.0, 0.1, 0.01], [5.0] * 6, "do not follow"),
    ],
)
def test_standards_that_make_no_curve_are_refused(x: list[float], y: list[float], words: str) -> None:
    with pytest.raises(PanelError, match=words):
        fit_curve(wells(x, y))


@pytest.mark.shared
def test_real_dilution_series_are_given_back(shared_data: Path) -> None:
    """Two MSD plates: rows A and B hold steps of two, well 12 the blank; the layout is ours, by the signals."""
    plates = read_plates(shared_data / "msd" / "methodical_test_1.txt")
    assert len(plates) == 2
    for plate in plates:
        found = [
            Standard(f"S{n}", w.location, 0.0 if n == 12 else 1000 / 2.0**n, w.signal)
            for w in plate.wells
            if w.location[0] in "AB" and (n := int(w.location[1:])) and w.signal is not None
        ]
        curve = fit_curve(found)
        assert len(found) == 24
        assert all(lv.accepted for lv in curve.levels)
        assert (curve.uloq, curve.lloq) == (500.0, 1000 / 2.0**11)
        assert curve.sigma < 0.06


@pytest.mark.parametrize("signal", [1e300, 1e13, math.inf])
def test_a_signal_that_no_instrument_gives_is_refused(signal: float) -> None:
    with pytest.raises(PanelError, match="expected numbers up to 1e"):
        fit_curve(wells(X, [signal, *Y[1:]]))
