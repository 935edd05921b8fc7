"""Cohorts that tests are made of, handed out as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from crosstalk.learn.cohort import Cohort

Array = NDArray[np.float64]


def frame(n: int = 120, seed: int = 0, effect: float = 1.0) -> pd.DataFrame:
    """A file of patients: response depends on CRP by ``effect`` per SD of its logarithm."""
    rng = np.random.default_rng(seed)
    log_crp = rng.normal(0.5, 1.0, n)
    score = rng.normal(22, 4, n).round()
    chance = 1 / (1 + np.exp(-effect * (log_crp - 0.5)))
    return pd.DataFrame(
        {
            "patient": [f"P{i}" for i in range(n)],
            "age": rng.integers(18, 75, n),
            "sex": np.where(rng.random(n) < 0.6, "female", "male"),
            "hsCRP [mg/L]": np.where(log_crp < -1, "<0.37", np.exp(log_crp).round(3).astype(str)),
            "IL-6 [pg/mL]": np.exp(rng.normal(0.7, 0.6, n)).round(3),
            "HAMD17": score.astype(int),
            "site": np.array(["A", "B", "C"])[rng.integers(0, 3, n)],
            "family": [f"F{i // 2}" for i in range(n)],
            "smoker": rng.choice(["yes", "no", ""], n),
            "arm": rng.integers(0, 2, n),
            "week2": (score * rng.uniform(0.5, 1.0, n)).round().astype(int),
            "change": (6 * (log_crp - 0.5) * (effect > 0) + rng.normal(0, 5, n)).round(2),
            "response": np.where(rng.random(n) < chance, "yes", "no"),
        }
    )


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def cohort(y: Array, panel: Array, clinical: Array | None = None, **more: object) -> Cohort:
    """A cohort from arrays: analytes A0, A1 ... (positive), clinical columns C0, C1 ..."""
    names = [f"A{j}" for j in range(panel.shape[1])]
    table = pd.DataFrame(np.exp(panel), columns=names)
    columns = [] if clinical is None else [f"C{j}" for j in range(clinical.shape[1])]
    for j, name in enumerate(columns):
        assert clinical is not None
        table[name] = clinical[:, j]
    kind = "event" if len(np.unique(y)) == 2 else "score"
    return Cohort(
        "cohort", "0" * 64, tuple(f"P{i}" for i in range(len(y))), table, y, kind, "y", "1",
        tuple(columns), (), tuple(names), dict.fromkeys(names, "pg/mL"), **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., pd.DataFrame]:
    """`frame`: a file of patients."""
    return frame


@pytest.fixture(scope="session")
def write_frame() -> Callable[..., Path]:
    """`write`: a file of patients on disk."""
    return write


@pytest.fixture(scope="session")
def make_cohort() -> Callable[..., Cohort]:
    """`cohort`: a cohort from arrays."""
    return cohort
