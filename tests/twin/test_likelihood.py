"""The likelihood of a measured panel against the normal distribution by hand, censored values included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.likelihood import Observation, log_likelihood, observation, observations, tail_probability

Array = NDArray[np.float64]

PREDICTED: Mapping[str, Array] = {
    "CRP": np.array([0.05, 0.4, 1.0, 3.0, 12.0, 80.0]),
    "IL6_total": np.array([0.3, 0.5, 1.0, 2.0, 5.0, 30.0]),
}
Censored = Literal["", "left", "right"]


def crp(value: float, censored: Censored = "", *, factor: float = 1.0, log_sd: float = 0.4) -> Observation:
    return Observation("hsCRP", "CRP", factor, value, log_sd, censored)


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


@given(st.floats(1e-3, 1e3), st.floats(1e-6, 1e6), st.sampled_from(["", "left", "right"]))
def test_a_change_of_unit_changes_nothing(value: float, factor: float, censored: Censored) -> None:
    one = log_likelihood([crp(value, censored)], PREDICTED, 6)
    other = log_likelihood([crp(value * factor, censored, factor=factor)], PREDICTED, 6)
    assert other == pytest.approx(one, rel=1e-9, abs=1e-9)
    tails = [
        tail_probability(crp(v, censored, factor=f), PREDICTED) for v, f in ((value, 1.0), (value * factor, factor))
    ]
    assert tails[0] == pytest.approx(tails[1], abs=1e-9)


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
