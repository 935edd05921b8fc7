"""Predictors that are too good to be known before the outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.learn.cohort import CohortColumns, read_cohort
from crosstalk.learn.suspects import suspects


def table(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, n)
    y[:1] = 1
    return pd.DataFrame(
        {
            "patient": range(n), "age": rng.integers(20, 60, n), "sex": np.where(rng.random(n) < 0.5, "f", "m"),
            "hsCRP [mg/L]": np.exp(rng.normal(size=n)).round(2), "remission": np.where(y, "yes", "no"),
            "leak": -y + rng.normal(0, 0.15, n), "final_visit": rng.normal(size=n).round(2),
            "grade": np.where(np.arange(n) == 0, "ill", np.where(y, "well", "ill")),
            "score": (10 * y + rng.normal(0, 5, n)).round(1),
        }
    )  # fmt: skip


def flagged(tmp_path: Path, outcome: str, *covariates: str) -> tuple[str, ...]:
    path = tmp_path / "cohort.csv"
    table().to_csv(path, index=False)
    return suspects(read_cohort(path, CohortColumns(outcome=outcome, covariates=covariates)))


def test_what_tells_the_outcome_alone_is_flagged(tmp_path: Path) -> None:
    found = flagged(tmp_path, "remission", "leak", "final_visit", "grade", "score")
    assert len(found) == 3
    leak, final, grade = found
    assert "'leak' alone predicts the outcome with an AUC of " in leak
    assert "'final_visit' sounds as if it was measured after" in final
    assert "'grade' alone predicts the outcome with an AUC of 0.99" in grade


def test_a_strong_predictor_is_no_suspect(tmp_path: Path) -> None:
    assert flagged(tmp_path, "remission", "score") == ()


@pytest.mark.parametrize("n", [3, 12])
def test_few_people_flag_nothing(tmp_path: Path, n: int) -> None:
    path = tmp_path / "cohort.csv"
    frame = table(n)
    frame.loc[: n - 3, "remission"] = "no"
    frame.loc[n - 2 :, "remission"] = "yes"
    frame.to_csv(path, index=False)
    assert suspects(read_cohort(path, CohortColumns(outcome="remission", covariates=("leak",)))) == ()
