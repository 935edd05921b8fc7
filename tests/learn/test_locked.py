"""Locked models: the numbers of the pipeline, a hash that tells, flags, validation beside recalibration."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.errors import CrosstalkError, LearnError
from crosstalk.learn.cohort import Cohort, CohortColumns, read_cohort
from crosstalk.learn.external import predict_locked
from crosstalk.learn.ladder import Ladder, fit_rung, run_ladder
from crosstalk.learn.locked import LockedModel, apply, freeze, read_locked, shift
from crosstalk.learn.models import predict

MakeFrame = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def trained(make_frame: MakeFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Ladder, LockedModel]:
    path = tmp_path_factory.mktemp("locked") / "train.csv"
    table = make_frame(150, seed=1)
    table.loc[[3, 7], "IL-6 [pg/mL]"] = np.nan
    table.to_csv(path, index=False)
    cohort = read_cohort(path, CohortColumns("response", covariates=("smoker",)))
    ladder = run_ladder(cohort, repeats=1, boosting=False)
    return cohort, ladder, freeze(cohort, ladder, "panel", {"auc": 0.7})


@pytest.fixture
def others(make_frame: MakeFrame, tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    make_frame(80, seed=2).to_csv(path, index=False)
    return path


def test_a_locked_model_gives_the_numbers_of_the_pipeline(
    trained: tuple[Cohort, Ladder, LockedModel], tmp_path: Path
) -> None:
    cohort, ladder, model = trained
    path = tmp_path / "m.json"
    path.write_text(model.to_json())
    again = read_locked(path)
    assert again.sha256 == model.sha256
    fitted = fit_rung(ladder.rung("panel"), "penalised", cohort, ladder.table, np.arange(len(cohort)), ladder.seed)
    expected = predict("event", fitted, ladder.table)
    assert [r.value for r in apply(again, cohort)] == pytest.approx(expected.tolist(), abs=1e-12)
    assert "IL-6 is missing; the median is taken" in apply(again, cohort)[3].flags


def test_a_score_is_locked_with_its_intervals(make_frame: MakeFrame, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    make_frame(150, seed=3).to_csv(path, index=False)
    cohort = read_cohort(path, CohortColumns("change"))
    ladder = run_ladder(cohort, repeats=1, boosting=False)
    model = freeze(cohort, ladder, "panel")
    make_frame(300, seed=4).to_csv(tmp_path / "new.csv", index=False)
    found = predict_locked(model, read_cohort(tmp_path / "new.csv", CohortColumns("change")), "m")
    assert found.external is not None
    assert found.external.covered == pytest.approx(0.9, abs=0.06)
    assert found.external.r2 is not None
    assert found.external.r2.value > 0.4
    rows = found.patients
    assert all(r.low < r.value < r.high for r in rows)


def test_external_validation_leaves_the_model_alone(
    trained: tuple[Cohort, Ladder, LockedModel], others: Path, tmp_path: Path
) -> None:
    _, _, model = trained
    cohort = read_cohort(others, replace(model.columns(["smoker"]), outcome="response"))
    before = model.hash()
    found = predict_locked(model, cohort, "m.json")
    e = found.external
    assert e is not None
    assert e.calibration is not None
    assert [r.how for r in e.recalibrated] == ["intercept alone", "intercept and slope"]
    assert e.log_score is not None
    assert e.recalibrated[1].log_score <= e.recalibrated[0].log_score <= e.log_score.value
    assert e.covered is not None
    assert e.covered > 0.8
    assert model.hash() == before == found.model_sha256
    # risks are those without the outcome
    assert [p.value for p in found.patients] == [
        p.value for p in apply(model, read_cohort(others, model.columns(["smoker"])))
    ]


def test_an_intercept_without_a_decimal_point_is_a_number(
    trained: tuple[Cohort, Ladder, LockedModel], others: Path
) -> None:
    model = trained[2]
    cohort = read_cohort(others, model.columns(["smoker"]))
    whole, plain = (apply(replace(model, intercept=n), cohort) for n in (1, 1.0))
    assert [row.value for row in whole] == [row.value for row in plain]


def test_the_training_file_is_no_validation(trained: tuple[Cohort, Ladder, LockedModel]) -> None:
    cohort, _, model = trained
    with pytest.raises(LearnError, match="is the file that the model was made of"):
        predict_locked(model, cohort, "m")


def test_what_is_foreign_is_flagged(
    trained: tuple[Cohort, Ladder, LockedModel], make_frame: MakeFrame, tmp_path: Path
) -> None:
    _, _, model = trained
    table = make_frame(60, seed=5)
    table["IL-6 [pg/mL]"] = 30 * table["IL-6 [pg/mL]"]
    table["smoker"] = ["sometimes"] * 5 + ["yes"] * 55
    table = table.drop(columns="age")
    table.to_csv(tmp_path / "far.csv", index=False)
    cohort = read_cohort(tmp_path / "far.csv", model.columns(["smoker"]))
    rows = apply(model, cohort)
    assert any("lies above all of training" in f for f in rows[0].flags)
    assert "smoker is a level that training did not have" in rows[0].flags
    assert all("age is missing; the median is taken" in r.flags for r in rows)
    moved = {s.name: s.shifted for s in shift(model, cohort)}
    assert moved["IL-6"]
    assert not moved["hsCRP"]
    few = replace(cohort, patients=cohort.patients[:3], table=cohort.table.iloc[:3])
    assert shift(model, few) == ()


def test_a_changed_file_is_found_out(trained: tuple[Cohort, Ladder, LockedModel], tmp_path: Path) -> None:
    _, _, model = trained
    path = tmp_path / "m.json"
    content = json.loads(model.to_json())
    content["features"][0]["coefficient"] += 1e-9
    path.write_text(json.dumps(content))
    with pytest.raises(LearnError, match="changed after locking"):
        read_locked(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no locked model"),
        ("[]", "received the format 'list'"),
        ('{"format": "other"}', "received the format 'other'"),
        ('{"format": "crosstalk locked model 1"}', "is missing or unknown"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(LearnError, match=words):
        read_locked(path)
    with pytest.raises(CrosstalkError, match="cannot be read"):
        read_locked(tmp_path / "absent.json")


def test_rungs_that_cannot_be_written_are_refused(trained: tuple[Cohort, Ladder, LockedModel]) -> None:
    cohort, ladder, _ = trained
    for rung, words in (("twin", "was not run"), ("prevalence", "cannot be locked"), ("forest", "no rung 'forest'")):
        with pytest.raises(CrosstalkError, match=words):
            freeze(cohort, ladder, rung)


def test_foreign_columns_are_refused(trained: tuple[Cohort, Ladder, LockedModel], tmp_path: Path) -> None:
    _, _, model = trained
    path = tmp_path / "p.csv"
    path.write_text("patient,TNF [pg/mL]\nA,1.2\n")
    with pytest.raises(LearnError, match="none of the predictors"):
        apply(model, read_cohort(path, model.columns([])))
    path.write_text("patient,hsCRP [mg/L],age\nA,1.2,40\n")
    cohort = read_cohort(path, model.columns([]))
    with pytest.raises(LearnError, match="hsCRP is in g/L"):
        apply(model, replace(cohort, units={"hsCRP": "g/L"}))
