"""Panels to features: contract, censored values, units, batches, and what must never be learned from held-out rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import truncnorm
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.learn.columns import ColumnError, ColumnWarning
from crosstalk.learn.outcome import OutcomeRegressor
from crosstalk.learn.panel_transformer import PanelTransformer, truncated_mean
from crosstalk.statistics.combat import HarmonisationError

Array = NDArray[np.float64]


@parametrize_with_checks([PanelTransformer(others="pass")])
def test_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Every check holds. They pass numbers without names, which are no analytes: hence ``others="pass"``."""
    check(estimator)


def cohort(n: int = 200, seed: int = 1, limit: float = 0.8) -> tuple[pd.DataFrame, Array]:
    """IL-6 censored at a limit, hsCRP not, both higher with BMI; the true logarithm of IL-6 beside it."""
    rng = np.random.default_rng(seed)
    bmi = rng.normal(28, 4, n)
    il6 = np.exp(0.1 + 0.08 * (bmi - 28) + 0.6 * rng.standard_normal(n))
    crp = np.exp(0.7 + 0.1 * (bmi - 28) + 0.9 * rng.standard_normal(n))
    cells = [f"<{limit}" if v < limit else f"{v:.6g}" for v in il6]
    frame = pd.DataFrame({"IL-6 [pg/mL]": cells, "hsCRP [mg/L]": crp.round(6), "BMI [kg/m2]": bmi.round(6)})
    frame["sex"] = np.where(rng.random(n) < 0.5, "female", "male")
    return frame, np.log(il6)


def test_names_and_values_of_the_features() -> None:
    frame, truth = cohort()
    out = PanelTransformer().set_output(transform="pandas").fit_transform(frame)
    assert list(out) == ["log IL-6", "IL-6 censored", "log hsCRP", "BMI", "sex"]
    known = out["IL-6 censored"] == 0
    assert out["log IL-6"][known].to_numpy() == pytest.approx(truth[known], abs=1e-5)
    assert (out["log IL-6"][~known] < np.log(0.8)).all()
    assert out["log hsCRP"].to_numpy() == pytest.approx(np.log(frame["hsCRP [mg/L]"]))
    assert set(out["sex"]) == {0.0, 1.0}


def test_a_censored_value_is_its_expectation_given_the_covariates() -> None:
    """Mean of the truth among those below the limit, and more for who has more fat."""
    frame, truth = cohort(4000, seed=2)
    out = PanelTransformer().set_output(transform="pandas").fit_transform(frame)
    below = out["IL-6 censored"] == 1
    assert out["log IL-6"][below].mean() == pytest.approx(truth[below].mean(), abs=0.02)
    slope = np.polyfit(out["BMI"], out["log IL-6"], 1)[0]
    assert slope == pytest.approx(np.polyfit(out["BMI"], truth, 1)[0], abs=0.005)
    assert np.corrcoef(out["BMI"][below], out["log IL-6"][below])[0, 1] > 0.95


@given(
    st.floats(-3, 3),
    st.floats(0.1, 3),
    st.floats(-4, 4),
    st.floats(0.01, 5),
    st.sampled_from(["left", "right", "both"]),
)
@settings(max_examples=60)
def test_the_expectation_of_a_truncated_normal(mean: float, sd: float, at: float, wide: float, side: str) -> None:
    low = -np.inf if side == "left" else at
    high = np.inf if side == "right" else at + wide
    expected = truncnorm.mean((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)
    found = truncated_mean(np.array([mean]), sd, np.array([low]), np.array([high]))[0]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_missing_value_is_its_expectation_and_a_missing_covariate_the_mean() -> None:
    frame, _ = cohort()
    frame.loc[:9, "hsCRP [mg/L]"] = np.nan
    frame.loc[20, "BMI [kg/m2]"] = np.nan
    out = PanelTransformer().set_output(transform="pandas").fit_transform(frame)
    assert np.isfinite(out.to_numpy()).all()
    assert np.corrcoef(out["BMI"][:10], out["log hsCRP"][:10])[0, 1] > 0.9
    assert out["BMI"][20] == pytest.approx(frame["BMI [kg/m2]"].mean())


def test_units_are_known() -> None:
    frame, _ = cohort()
    other = frame.rename(columns={"hsCRP [mg/L]": "CRP (mg/dL)", "IL-6 [pg/mL]": "IL6 [ng/L]"})
    other["CRP (mg/dL)"] = other["CRP (mg/dL)"] / 10
    np.testing.assert_allclose(PanelTransformer().fit_transform(other), PanelTransformer().fit_transform(frame))


def test_the_table_of_a_cohort_is_the_same_panel() -> None:
    """Own units, and flags beside limits over the square root of 2."""
    frame, _ = cohort()
    below = frame["IL-6 [pg/mL]"].str.startswith("<")
    table = pd.DataFrame(
        {
            "IL-6": np.where(below, 0.8 / np.sqrt(2), frame["IL-6 [pg/mL]"].str.lstrip("<").astype(float)),
            "IL-6 below": below.astype(float),
            "hsCRP": frame["hsCRP [mg/L]"],
            "BMI": frame["BMI [kg/m2]"],
            "sex": (frame["sex"] == "female").astype(float),
        }
    )
    found = PanelTransformer(layout="cohort").fit_transform(table)
    np.testing.assert_allclose(found, PanelTransformer().fit_transform(frame))


def test_nothing_is_learned_from_held_out_rows() -> None:
    frame, _ = cohort()
    step = PanelTransformer().fit(frame[:100])
    alone = np.vstack([step.transform(frame[i : i + 1]) for i in range(100, 110)])
    together = step.transform(frame[100:])
    np.testing.assert_allclose(alone, together[:10])
    again = pickle.loads(pickle.dumps(step))
    np.testing.assert_array_equal(again.transform(frame), step.transform(frame))


def test_batches_are_harmonised_by_what_training_rows_say() -> None:
    """A site that reads twice as high: the gap goes, what BMI explains stays, and a new site is refused or drawn in."""
    frame, _ = cohort(400, seed=3)
    site = np.where(np.arange(400) % 2, "North", "South")
    frame["hsCRP [mg/L]"] *= np.where(site == "North", 2.0, 1.0)
    frame["site"] = site
    plain = PanelTransformer(others="ignore").set_output(transform="pandas").fit_transform(frame)
    step = PanelTransformer(batch="site").set_output(transform="pandas")
    out = step.fit_transform(frame)

    def gap(table: pd.DataFrame) -> float:
        return float(table["log hsCRP"][site == "North"].mean() - table["log hsCRP"][site == "South"].mean())

    assert gap(plain) > 0.5
    assert abs(gap(out)) < 0.15
    assert np.polyfit(out["BMI"], out["log hsCRP"], 1)[0] == pytest.approx(0.1, abs=0.03)
    new = frame[:3].assign(site="East")
    with pytest.raises(HarmonisationError, match="East"):
        step.transform(new)
    drawn = PanelTransformer(batch="site", unseen="shrink").fit(frame).transform(new)
    assert np.isfinite(drawn).all()


def test_an_analyte_whose_distribution_cannot_be_told_leaves_an_indicator_and_a_warning() -> None:
    frame, _ = cohort()
    frame["TNF [pg/mL]"] = "<5"
    with pytest.warns(ColumnWarning, match="TNF has no logarithm among the features"):
        step = PanelTransformer().fit(frame)
    names = list(step.get_feature_names_out())
    assert "TNF censored" in names
    assert "log TNF" not in names
    assert "TNF" in step.left_out_


def test_a_rare_limit_gives_no_indicator() -> None:
    frame, _ = cohort(limit=0.3)
    assert "IL-6 censored" not in PanelTransformer().fit(frame).get_feature_names_out()
    assert "IL-6 censored" in PanelTransformer(censoring_share=0.001).fit(frame).get_feature_names_out()


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        ("hsCRP [mg/L]", ["1", "2", "high"], r"column 'hsCRP \[mg/L\]', row 3: received 'high'"),
        ("hsCRP", [1.0, 2.0, 3.0], "column 'hsCRP', row 1: no unit"),
        ("hsCRP [pg/cell]", [1.0, 2.0, 3.0], "row 1: "),
        ("hsCRP [mg/L]", [1.0, 0.0, 3.0], "row 2: 0 is no concentration"),
        ("hsCRP [mg/L]", [1.0, -2.0, 3.0], "row 2: .*negative"),
        ("hsCRP [mg/L]", [1.0, 90000.0, 3.0], "row 2: .*is the unit right"),
        ("sex", [0, 1, 1], "expected the word female or male"),
        ("hsCPR [mg/L]", [1.0, 2.0, 3.0], r"column 'hsCPR \[mg/L\]' is no analyte"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(column: str, cells: list[Any], words: str) -> None:
    with pytest.raises(ColumnError, match=words):
        PanelTransformer().fit(pd.DataFrame({column: cells}))


def test_settings_and_tables_that_make_no_sense() -> None:
    frame, _ = cohort(30)
    with pytest.raises(ColumnError, match="no column names"):
        PanelTransformer().fit(np.ones((5, 2)))
    with pytest.raises(ColumnError, match="are both hsCRP"):
        PanelTransformer().fit(frame.assign(**{"CRP [mg/dL]": 1.0}))
    with pytest.raises(ColumnError, match="no column 'site' for batch="):
        PanelTransformer(batch="site").fit(frame)
    with pytest.raises(ColumnError, match="layout='long'"):
        PanelTransformer(layout="long").fit(frame)  # type: ignore[arg-type]
    with pytest.raises(ColumnError, match="censoring_share=0"):
        PanelTransformer(censoring_share=0).fit(frame)
    with pytest.raises(ColumnError, match="not a number"):
        PanelTransformer(others="pass").fit(frame.assign(arm="drug"))


def test_in_a_pipeline_with_cross_validation() -> None:
    frame, truth = cohort(300, seed=4)
    y = truth + 0.3 * np.random.default_rng(5).standard_normal(300)
    model = make_pipeline(PanelTransformer(), OutcomeRegressor())
    predicted = cross_val_predict(clone(model), frame, y, cv=5)
    assert np.corrcoef(predicted, y)[0, 1] > 0.75
