"""Features of the twin: contract, agreement with the cohort's assessment, and that nothing is learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.learn.benefit import BenefitLearner
from crosstalk.learn.columns import ColumnError
from crosstalk.learn.mechanism import MechanismScores, TwinForecast
from crosstalk.panel.reader import read_panel
from crosstalk.population.cache import virtual_population
from crosstalk.population.measure import record_analyte, record_scale
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.library import CourseLibrary, course_library, scale_score
from crosstalk.twin.posterior import twin_outputs

N = 300


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "hsCRP [mg/L]": ["0.3", "1.1", "6.2", "<0.2", "12", ""],
            "IL-6 [pg/mL]": ["<0.4", "1.5", "4.0", "0.6", "", ""],
            "BMI [kg/m2]": [22.0, 27.0, 34.0, 21.0, 38.0, np.nan],
            "age [year]": [30, 44, 51, 25, 60, np.nan],
            "HAMD17": [20, 24, 26, 18, 30, np.nan],
        }
    )


@parametrize_with_checks(
    [MechanismScores(others="ignore", virtual_patients=60), TwinForecast(others="ignore", virtual_patients=60, weeks=1)]
)
def test_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """Every check holds. They pass numbers without names, which are no analytes: hence ``others="ignore"``."""
    check(estimator)


def test_scores_are_those_of_the_cohort(frame: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "cohort.csv"
    frame.assign(patient=[f"P{i}" for i in range(len(frame))]).to_csv(file, index=False)
    cohort = assess_cohort(read_panel(file), virtual_patients=N).to_frame()
    found = MechanismScores(virtual_patients=N).set_output(transform="pandas").fit_transform(frame)
    for score in load_knowledge().scores:
        there = cohort[score].notna().to_numpy()
        assert there.any()
        np.testing.assert_allclose(found[f"log {score}"][there], np.log(cohort[score][there].astype(float)), rtol=1e-9)


def test_a_row_without_a_value_has_the_scores_of_the_population(frame: pd.DataFrame) -> None:
    found = MechanismScores(virtual_patients=N).set_output(transform="pandas").fit_transform(frame)
    empty = found.iloc[-1]
    assert np.exp(empty["log effective_sample"]) > 0.9 * N
    # what is measured narrows, but for values in a tail, where the population itself is wide
    assert found["width innate_activation"][0] < empty["width innate_activation"]
    assert found["log innate_activation"][2] > found["log innate_activation"][0]


@pytest.mark.parametrize("step", [MechanismScores(virtual_patients=N), TwinForecast(virtual_patients=N, weeks=2)])
def test_nothing_is_learned_and_rows_stand_alone(step: Any, frame: pd.DataFrame) -> None:
    whole = step.fit(frame, np.arange(6)).transform(frame)
    alone = np.vstack([step.fit(frame[i : i + 1]).transform(frame[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(alone, whole, rtol=1e-9)
    assert step.row_wise


def test_forecasts_by_regimen(frame: pd.DataFrame) -> None:
    step = TwinForecast(["ssri", "placebo"], virtual_patients=1500, weeks=8).set_output(transform="pandas")
    found = step.fit_transform(frame)
    assert list(found) == [
        "change ssri", "sd ssri", "response ssri", "change placebo", "sd placebo", "response placebo",
        "log effective_sample",
    ]  # fmt: skip
    rows = found.dropna()
    assert len(rows) >= 4
    assert (rows["change ssri"] < rows["change placebo"]).all()
    assert (rows["response ssri"] > rows["response placebo"]).all()
    assert rows["response ssri"].between(0, 1).all()
    grave = step.fit_transform(pd.DataFrame({"HAMD17": [18, 30]}))
    assert grave["change placebo"][1] < grave["change placebo"][0] - 1  # by points, not by share


def test_the_table_of_a_cohort_gives_the_same(frame: pd.DataFrame) -> None:
    table = pd.DataFrame(
        {
            "hsCRP": [0.3, 1.1, 6.2, 0.2 / np.sqrt(2), 12, np.nan],
            "hsCRP below": [0.0, 0, 0, 1, 0, 0],
            "IL-6": [0.4 / np.sqrt(2), 1.5, 4.0, 0.6, np.nan, np.nan],
            "IL-6 below": [1.0, 0, 0, 0, 0, 0],
            "BMI": frame["BMI [kg/m2]"],
            "age": frame["age [year]"],
            "HAMD17": frame["HAMD17"],
            "centre": list("ABABAB"),
        }
    )
    found = MechanismScores(layout="cohort", others="ignore", virtual_patients=N).fit_transform(table)
    np.testing.assert_allclose(found, MechanismScores(virtual_patients=N).fit_transform(frame), rtol=1e-6)


def test_refusals(frame: pd.DataFrame) -> None:
    with pytest.raises(ColumnError, match="'centre' is no analyte"):
        MechanismScores(virtual_patients=N).fit(frame.assign(centre="A"))
    with pytest.raises(UsageError, match="unknown regimen"):
        TwinForecast(["aspirin"], virtual_patients=N).fit(frame)
    with pytest.raises(UsageError, match="unknown scale"):
        TwinForecast(scale="BDI", virtual_patients=N).fit(frame)
    with pytest.raises(ColumnError, match="row 1: received 'low'"):
        MechanismScores(virtual_patients=N).fit(pd.DataFrame({"hsCRP [mg/L]": ["low"]}))


# Trials simulated from the shipped model


@pytest.fixture(scope="module")
def library() -> Iterator[CourseLibrary]:
    from crosstalk.engine import get_engine

    knowledge = load_knowledge()
    engine = get_engine(jobs=1)
    regimens = [knowledge.regimen("ssri"), knowledge.regimen("ssri-infliximab")]
    outputs = twin_outputs(knowledge)
    everyone = virtual_population(knowledge, engine, diagnosis="mdd", n=1500, worlds=20, seed=3, outputs=outputs)
    population = everyone.take(np.flatnonzero(everyone.ok))
    yield course_library(population, knowledge, engine, regimens, weeks=8)
    engine.close()


def simulated(library: CourseLibrary, n: int, seed: int, *, null: bool = False) -> tuple[Any, Any, Any, Any]:
    """A trial of add-on infliximab: covariates as measured, recorded scores, arms, and the true effect of each."""
    rng = np.random.default_rng(seed)
    true = {r: scale_score(library.scale, c["NV"], c["MOOD"]) for r, c in library.courses.items()}
    complete = np.flatnonzero(np.all([np.isfinite(t).all(axis=1) for t in true.values()], axis=0))
    who = rng.choice(complete, n)
    knowledge = load_knowledge()
    crp = np.log(
        record_analyte(
            library.population.outputs["CRP"][who],
            knowledge.analytes["hsCRP"],
            rng.standard_normal(n),
            between_weeks=True,
        )
    )
    start = scale_score(library.scale, library.start["NV"], library.start["MOOD"])[who]
    baseline = record_scale(start, library.scale, rng.standard_normal(n))
    control, treated = (true[r][who, -1] for r in ("ssri", "ssri-infliximab"))
    if null:
        treated = control - 1.5
    w = rng.permutation(n) % 2
    spread = library.population.covariates["fluctuation"][who] * library.scale.maximum
    last = np.where(w == 1, treated, control) + spread * rng.standard_normal(n)
    y = record_scale(last, library.scale, rng.standard_normal(n)) - baseline
    x = np.column_stack([crp, baseline, library.population.parameters["BMI"][who]])
    return x, y, w, treated - control


def truth(library: CourseLibrary) -> tuple[float, float]:
    """Mean effect and its slope on the measured log CRP in a trial of 200 000, the true effects taken as seen."""
    x, _, _, effect = simulated(library, 200_000, 99)
    design = np.column_stack([np.ones(len(x)), x - x.mean(axis=0)])
    beta = np.linalg.lstsq(design, effect, rcond=None)[0]
    return float(beta[0]), float(beta[1])


def test_the_interaction_with_inflammation_is_recovered_from_2000_patients(library: CourseLibrary) -> None:
    average, slope = truth(library)
    assert slope < -0.1  # the model holds that who is inflamed gains more
    x, y, w, _ = simulated(library, 2000, 1)
    found = BenefitLearner().fit(x, y, w)
    assert found.average_.low < average < found.average_.high
    assert found.interactions_[0].low < slope < found.interactions_[0].high
    pooled = [BenefitLearner().fit(*simulated(library, 2000, s)[:3]).interactions_[0] for s in range(2, 8)]
    assert np.mean([e.value for e in pooled]) == pytest.approx(slope, abs=3 * pooled[0].se / np.sqrt(6))
    assert np.mean([e.value for e in pooled]) < 0


@pytest.mark.slow
def test_intervals_cover_and_the_null_is_rejected_as_often_as_it_says(library: CourseLibrary) -> None:
    """400 trials of 300 patients each: shares within three standard errors."""
    average, slope = truth(library)
    within: list[tuple[bool, bool]] = []
    rejected = []
    for seed in range(400):
        found = BenefitLearner().fit(*simulated(library, 300, 1000 + seed)[:3])
        first = found.interactions_[0]
        within.append((first.low < slope < first.high, found.average_.low < average < found.average_.high))
        rejected.append(
            BenefitLearner().fit(*simulated(library, 300, 5000 + seed, null=True)[:3]).heterogeneity_p_ < 0.05
        )
    error = 3 * np.sqrt(0.05 * 0.95 / 400)
    assert abs(np.mean(rejected) - 0.05) < error
    for share in np.mean(within, axis=0):
        assert abs(share - 0.95) < error
