"""Adjusted p-values against R, and the familywise error of two nested populations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from crosstalk.errors import UsageError
from crosstalk.statistics import bonferroni, closed_nested, fixed_sequence, hochberg, holm

P = [0.01, 0.04, 0.03, 0.2, 0.011]


def test_agrees_with_p_adjust() -> None:
    """R 4.2.2: p <- c(.01,.04,.03,.2,.011); p.adjust(p, "holm"); "hochberg"; "bonferroni"."""
    assert holm(P) == pytest.approx([0.05, 0.09, 0.09, 0.20, 0.05], abs=1e-12)
    assert hochberg(P) == pytest.approx([0.044, 0.080, 0.080, 0.200, 0.044], abs=1e-12)
    assert bonferroni(P) == pytest.approx([0.050, 0.200, 0.150, 1.000, 0.055], abs=1e-12)


def test_fixed_sequence_stops_at_the_first_failure() -> None:
    assert fixed_sequence([0.01, 0.2, 0.001]).tolist() == [0.01, 0.2, 0.2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_order_of_power(p: list[float]) -> None:
    assert (np.asarray(p) <= hochberg(p)).all()
    assert (hochberg(p) <= holm(p) + 1e-15).all()
    assert (holm(p) <= bonferroni(p)).all()


def test_many_trials_at_once() -> None:
    many = np.array([P, P[::-1]])
    assert holm(many)[1] == pytest.approx(holm(P[::-1]))
    assert hochberg(many)[0] == pytest.approx(hochberg(P))


@pytest.mark.parametrize(
    ("p", "fraction", "weight", "expected"),
    [
        ((0.03, 0.008), 0.4, 0.5, 0.0144160758471),
        ((0.012, 0.3), 0.25, 0.8, 0.0143945424771),
        ((0.4, 0.2), 0.9, 0.6, 0.308629064621),
    ],
)
def test_intersection_agrees_with_mvtnorm(
    p: tuple[float, float], fraction: float, weight: float, expected: float
) -> None:
    """R 4.2.2, mvtnorm 1.1-3.

    ww <- function(pf, ps, w, fr) {q <- min(pf/w, ps/(1-w)); 1 - pmvnorm(upper=c(qnorm(1-w*q), qnorm(1-(1-w)*q)),
      corr=matrix(c(1,sqrt(fr),sqrt(fr),1),2), algorithm=TVPACK(abseps=1e-14))[1]}
    """
    both = closed_nested(*p, fraction=fraction, weight=weight)
    assert min(float(x) for x in both) == pytest.approx(max(expected, min(p)), abs=1e-10)


def test_bonferroni_is_holm_and_simes_is_hochberg() -> None:
    for pair in ([0.01, 0.04], [0.03, 0.03], [0.2, 0.001], [0.04, 0.045]):
        assert np.stack(closed_nested(*pair, intersection="bonferroni")) == pytest.approx(holm(pair))
        assert np.stack(closed_nested(*pair, intersection="simes")) == pytest.approx(hochberg(pair))


def test_the_correlation_is_never_less_powerful() -> None:
    rng = np.random.default_rng(3)
    one, two = rng.random(500), rng.random(500)
    for fraction in (0.05, 0.5, 0.999, 1.0):
        exact, plain = closed_nested(one, two, fraction=fraction), closed_nested(one, two, intersection="bonferroni")
        assert (np.stack(exact) <= np.stack(plain) + 1e-12).all()
    assert float(closed_nested(0.02, 0.02, fraction=0.999999)[0]) == pytest.approx(0.02, abs=2e-4)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("intersection", ["bonferroni", "simes", "correlation"])
def test_familywise_error(intersection: str, fraction: float) -> None:
    """A drug that does nothing is declared effective somewhere in at most alpha of the trials."""
    rng, n = np.random.default_rng(11), 100_000
    part = rng.normal(size=n)
    everybody = np.sqrt(fraction) * part + np.sqrt(1 - fraction) * rng.normal(size=n)
    found = closed_nested(ndtr(-everybody), ndtr(-part), intersection=intersection, fraction=fraction)  # type: ignore[arg-type]
    error = (np.minimum(*found) <= 0.025).mean()
    margin = 3 * np.sqrt(0.025 * 0.975 / n)
    assert error < 0.025 + margin
    if intersection == "correlation":
        assert error > 0.025 - margin


def test_wrong_calls_are_explained() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        holm([1.2])
    with pytest.raises(UsageError, match="between 0 and 1"):
        holm([np.nan])
    with pytest.raises(UsageError, match="needs one above 0"):
        closed_nested(0.1, 0.1)
    with pytest.raises(UsageError, match="share of alpha"):
        closed_nested(0.1, 0.1, fraction=0.5, weight=1.0)
    with pytest.raises(UsageError, match="unweighted"):
        closed_nested(0.1, 0.1, intersection="simes", weight=0.3)
    with pytest.raises(UsageError, match="unknown"):
        closed_nested(0.1, 0.1, intersection="none")  # type: ignore[arg-type]
