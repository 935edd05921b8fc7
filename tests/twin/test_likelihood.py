"""The likelihood of a measured panel against the normal distribution by hand, censored values included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Censoring, Measurement, Panel
from crosstalk.twin.likelihood import Observation, log_likelihood, observation, observations, tail_probability

Array = NDArray[np.float64]

PREDICTED: Mapping[str, Array] = {
    "CRP": np.array([0.05, 0.4, 1.0, 3.0, 12.0, 80.0]),
    "IL6_total": np.array([0.3, 0.5, 1.0, 2.0, 5.0, 30.0]),
}


def crp(
    value: float,
    censored: Censoring = "",
    *,
    upper: float | None = None,
    factor: float = 1.0,
    log_sd: float = 0.4,
) -> Observation:
    return Observation("hsCRP", "CRP", factor, value, log_sd, censored, upper)


def test_an_exact_value_is_lognormal_around_the_prediction() -> None:
    found = log_likelihood([crp(2.0)], PREDICTED, 6)
    density = norm.logpdf(np.log(2.0), np.log(PREDICTED["CRP"]), 0.4)
    # up to a constant that is the same for everyone
    assert found - found[0] == pytest.approx(density - density[0])


@pytest.mark.parametrize("value", [0.15, 1.0, 20.0])
def test_a_left_censored_value_is_the_probability_to_lie_below(value: float) -> None:
    found = log_likelihood([crp(value, "left")], PREDICTED, 6)
    assert found == pytest.approx(norm.logcdf(np.log(value), np.log(PREDICTED["CRP"]), 0.4))


@pytest.mark.parametrize("value", [0.15, 1.0, 20.0])
def test_a_right_censored_value_is_the_probability_to_lie_above(value: float) -> None:
    found = log_likelihood([crp(value, "right")], PREDICTED, 6)
    assert found == pytest.approx(norm.logsf(np.log(value), np.log(PREDICTED["CRP"]), 0.4))


def test_a_far_tail_stays_finite_and_ordered() -> None:
    """Thirty standard deviations away a probability is zero in floating point, its logarithm is not."""
    found = log_likelihood([crp(1e-4, "left")], PREDICTED, 6)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def test_values_add_up() -> None:
    il6 = Observation("IL-6", "IL6_total", 1.0, 1.5, 0.8, "right")
    both = log_likelihood([crp(2.0, "left"), il6], PREDICTED, 6)
    parts = log_likelihood([crp(2.0, "left")], PREDICTED, 6) + log_likelihood([il6], PREDICTED, 6)
    assert both == pytest.approx(parts)
    assert (log_likelihood([], PREDICTED, 6) == np.zeros(6)).all()


@pytest.mark.parametrize("missing", [np.nan, np.inf, 0.0])
def test_a_patient_without_a_prediction_explains_nothing(missing: float) -> None:
    found = log_likelihood([crp(2.0)], {"CRP": np.array([2.0, missing])}, 2)
    assert np.isfinite(found[0])
    assert found[1] == -np.inf or found[1] < -1e5


@given(st.floats(1e-3, 1e3), st.floats(1e-6, 1e6), st.sampled_from(["", "left", "right", "interval"]))
def test_a_change_of_unit_changes_nothing(value: float, factor: float, censored: Censoring) -> None:
    here = crp(value, censored, upper=3 * value)
    there = crp(value * factor, censored, upper=3 * value * factor, factor=factor)
    one, other = (log_likelihood([o], PREDICTED, 6) for o in (here, there))
    assert other == pytest.approx(one, rel=1e-9, abs=1e-9)
    assert tail_probability(here, PREDICTED) == pytest.approx(tail_probability(there, PREDICTED), abs=1e-9)


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.15), (0.5, 1.0), (3.0, 40.0), (200.0, 1000.0)])
def test_an_interval_is_the_probability_to_lie_between(low: float, high: float) -> None:
    found = log_likelihood([crp(low, "interval", upper=high)], PREDICTED, 6)
    middle = np.log(PREDICTED["CRP"])
    z1, z2 = (np.log(low) - middle) / 0.4, (np.log(high) - middle) / 0.4
    # the difference on the side of the nearer tail, where the digits are
    by_hand = np.where(z1 > 0, norm.sf(z1) - norm.sf(z2), norm.cdf(z2) - norm.cdf(z1))
    assert found[by_hand > 0] == pytest.approx(np.log(by_hand[by_hand > 0]), rel=1e-9)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0.15, 1.0, 20.0])
@pytest.mark.parametrize("width", [1e-2, 1e-5, 1e-9])
def test_a_narrow_interval_tends_to_the_density_times_its_width(value: float, width: float) -> None:
    low, high = value * np.exp(-width / 2), value * np.exp(width / 2)
    found = log_likelihood([crp(low, "interval", upper=high)], PREDICTED, 6)
    density = norm.logpdf(np.log(value), np.log(PREDICTED["CRP"]), 0.4)
    # curvature of the density over the width, and the digits that floating point leaves of the width
    assert found == pytest.approx(density + np.log(np.log(high) - np.log(low)), abs=100 * width**2 + 1e-15 / width)
    tails = [tail_probability(o, PREDICTED) for o in (crp(low, "interval", upper=high), crp(value))]
    assert tails[0] == pytest.approx(tails[1], abs=2 * width + 1e-12)


def test_wide_intervals_tend_to_certainty_and_to_one_sided_limits() -> None:
    assert log_likelihood([crp(1e-30, "interval", upper=1e30)], PREDICTED, 6) == pytest.approx(np.zeros(6), abs=1e-12)
    assert tail_probability(crp(1e-30, "interval", upper=1e30), PREDICTED) == pytest.approx(1)
    for value in (0.15, 1.0, 20.0):
        left = crp(1e-30, "interval", upper=value), crp(value, "left")
        right = crp(value, "interval", upper=1e30), crp(value, "right")
        for interval, limit in (left, right):
            assert log_likelihood([interval], PREDICTED, 6) == pytest.approx(log_likelihood([limit], PREDICTED, 6))
            assert tail_probability(interval, PREDICTED) == pytest.approx(tail_probability(limit, PREDICTED))


def test_adjoining_intervals_share_out_the_probability() -> None:
    edges = [1e-30, 0.1, 0.5, 0.6, 3.0, 1e30]
    parts = [log_likelihood([crp(a, "interval", upper=b)], PREDICTED, 6) for a, b in pairwise(edges)]
    assert np.exp(parts).sum(axis=0) == pytest.approx(np.ones(6))


def test_an_interval_far_out_stays_finite_and_ordered() -> None:
    for low, high in ((1e-5, 1.0001e-5), (1e-6, 1e-5), (1e5, 1e6)):
        found = log_likelihood([crp(low, "interval", upper=high, log_sd=0.1)], PREDICTED, 6)
        assert np.isfinite(found).all()
        assert (np.diff(found) < 0).all() if high < 1 else (np.diff(found) > 0).all()


@pytest.mark.parametrize("upper", [None, 2.0, 1.0])
def test_an_interval_without_an_upper_end_is_refused(upper: float | None) -> None:
    with pytest.raises(TwinError, match="hsCRP: received the interval 2 to"):
        crp(2.0, "interval", upper=upper)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hsCRP [mg/L],kynurenine [umol/L]\nA,5.2,2.0", "hsCRP [mg/dL],kynurenine [ng/mL]\nA,0.52,416.42"),
        ("hsCRP [mg/L],kynurenine [umol/L]\nA,<0.3,>2.0", "hsCRP [ng/mL],kynurenine [nmol/L]\nA,<300,>2000"),
    ],
)
def test_a_panel_in_other_units_has_the_same_likelihood(tmp_path: Path, one: str, other: str) -> None:
    knowledge = load_knowledge()
    predicted = {"CRP": PREDICTED["CRP"], "KYN": np.linspace(1, 4, 6)}
    found = []
    for number, text in enumerate((one, other)):
        path = tmp_path / f"{number}.csv"
        path.write_text("patient," + text + "\n")
        observed = observations(read_panel(path).panels[0], knowledge)
        assert [o.analyte for o in observed] == ["hsCRP", "kynurenine"]
        found.append(log_likelihood(observed, predicted, 6))
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_observations_are_the_values_that_the_model_predicts() -> None:
    """Covariates, scores, analytes without an observable and zeros are no observations."""
    values = {"hsCRP": 3.0, "BMI": 30.0, "HAMD17": 22.0, "HDL": 1.2, "IL-6": 0.0, "TNF": 1.1, "age": 40.0}
    panel = Panel("A", {k: Measurement(k, v) for k, v in values.items()})
    assert [(o.analyte, o.value) for o in observations(panel, load_knowledge())] == [("hsCRP", 3.0), ("TNF", 1.1)]


def test_the_error_of_one_value_holds_assay_weeks_and_laboratory() -> None:
    knowledge = load_knowledge()
    analyte = knowledge.analytes["hsCRP"]
    expected = np.sqrt(np.log1p(analyte.assay_cv**2) + np.log1p(analyte.within_cv**2) + analyte.offset_log_sd**2)
    assert observation(analyte, 1.0, "", knowledge).log_sd == pytest.approx(expected)


def test_the_assay_s_own_uncertainty_stands_in_place_of_the_general_one() -> None:
    knowledge = load_knowledge()
    analyte = knowledge.analytes["hsCRP"]
    panel = Panel("A", {"hsCRP": Measurement("hsCRP", 3.0, log_sd=0.7)})
    expected = np.sqrt(0.7**2 + np.log1p(analyte.within_cv**2) + analyte.offset_log_sd**2)
    assert observations(panel, knowledge)[0].log_sd == pytest.approx(expected)
    general = float(np.sqrt(np.log1p(analyte.assay_cv**2)))
    same = Panel("A", {"hsCRP": Measurement("hsCRP", 3.0, log_sd=general)})
    assert observations(same, knowledge)[0].log_sd == pytest.approx(observation(analyte, 3.0, "", knowledge).log_sd)


def test_a_failed_value_is_not_fitted_and_a_doubtful_one_is() -> None:
    values = {
        "hsCRP": Measurement("hsCRP", 3.0, quality="failed", remarks=("12 beads",)),
        "TNF": Measurement("TNF", 1.1, quality="doubtful", remarks=("replicates differ by 31 %",)),
    }
    assert [o.analyte for o in observations(Panel("A", values), load_knowledge())] == ["TNF"]


def test_an_interval_in_a_panel_reaches_the_likelihood() -> None:
    """Between the limits of detection and of quantification; from zero on it is a value below the upper end."""
    values = {
        "IL-6": Measurement("IL-6", 0.2, "interval", upper=0.7),
        "TNF": Measurement("TNF", 0.0, "interval", upper=0.5),
    }
    il6, tnf = observations(Panel("A", values), load_knowledge())
    assert (il6.value, il6.upper, il6.censored) == (0.2, 0.7, "interval")
    assert (tnf.value, tnf.upper, tnf.censored) == (0.5, None, "left")


def test_an_analyte_without_error_is_refused() -> None:
    knowledge = load_knowledge()
    exact = replace(knowledge.analytes["hsCRP"], assay_cv=0.0, within_cv=0.0, offset_log_sd=0.0)
    changed = replace(knowledge, analytes=MappingProxyType({**knowledge.analytes, "hsCRP": exact}))
    with pytest.raises(TwinError, match="'hsCRP' has no measurement error"):
        observations(Panel("A", {"hsCRP": Measurement("hsCRP", 2.0)}), changed)


def test_tail_probability_by_hand() -> None:
    below = float(np.mean(norm.cdf(np.log(2.0), np.log(PREDICTED["CRP"]), 0.4)))
    assert tail_probability(crp(2.0), PREDICTED) == pytest.approx(2 * min(below, 1 - below))
    assert tail_probability(crp(2.0, "left"), PREDICTED) == pytest.approx(below)
    assert tail_probability(crp(2.0, "right"), PREDICTED) == pytest.approx(1 - below)
    assert tail_probability(crp(1e9), PREDICTED) == pytest.approx(0, abs=1e-12)


def test_tail_probability_of_members_is_uniform() -> None:
    """Measured values of the population itself have tail probabilities spread evenly over 0 to 1."""
    rng = np.random.default_rng(1)
    true = np.exp(rng.normal(0.5, 1.1, 4000))
    measured = true[:800] * np.exp(0.4 * rng.standard_normal(800))
    tails = np.array([tail_probability(crp(float(v)), {"CRP": true}) for v in measured])
    for q in (0.1, 0.5, 0.9):
        assert np.mean(tails < q) == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / 800) + 0.01)
