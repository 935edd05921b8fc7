"""A small trial with marker and dropout, in every layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def wide() -> pd.DataFrame:
    """120 patients, three visits; the effect grows with the marker; a tenth leaves before each later visit."""
    rng = np.random.default_rng(7)
    n = 120
    arm = np.where(np.arange(n) % 2, "active", "sugar")
    crp = np.exp(rng.normal(0.7, 1.0, n))
    base = rng.integers(18, 32, n)
    own = rng.normal(0, 2.5, n)
    table: dict[str, Any] = {"id": [f"P{k:03d}" for k in range(n)], "arm": arm, "base": base, "crp": crp.round(3),
                             "site": np.array(["north", "south", "west"])[np.arange(n) % 3]}  # fmt: skip
    gone = np.zeros(n, dtype=bool)
    for week, share in ((2, 0.4), (4, 0.8), (8, 1.0)):
        effect = -share * (1 + 1.5 * np.log2(crp)) * (arm == "active")
        score = np.clip((base - 3 - week + own + effect + rng.normal(0, 2, n)).round(), 0, 52)
        gone |= rng.random(n) < (0.1 if week > 2 else 0.0)
        table[f"w{week}"] = np.where(gone, np.nan, score)
    return pd.DataFrame(table)


@pytest.fixture(scope="session")
def long(wide: pd.DataFrame) -> pd.DataFrame:
    found = wide.melt(["id", "arm", "base", "crp", "site"], ["w2", "w4", "w8"], "visit", "score")
    found["visit"] = found["visit"].str.replace("w", "Week ")
    return found.dropna(subset=["score"]).sort_values(["id", "visit"], ignore_index=True)


@pytest.fixture
def design() -> dict[str, Any]:
    return {
        "title": "Example",
        "data": {
            "layout": "wide", "patient": "id", "arm": "arm", "control": "sugar", "baseline": "base",
            "visits": {"w2": 2.0, "w4": 4.0, "w8": 8.0},
        },
        "outcome": {"name": "HAMD-17", "minimum": 0.0, "maximum": 52.0},
    }  # fmt: skip


@pytest.fixture
def in_rows() -> dict[str, Any]:
    """The table [data] of the long layout."""
    return {
        "layout": "long", "patient": "id", "arm": "arm", "control": "sugar", "baseline": "base", "visit": "visit",
        "value": "score",
    }  # fmt: skip
