"""Simulated counterparts of two real studies: mean, SD and presence by visit lie in the range of simulated trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.knowledge import load_knowledge
from crosstalk.population.calibrated import possible_worlds
from crosstalk.trial.conduct import conduct, setting_of
from crosstalk.trial.plan import read_trial
from crosstalk.trial.pool import make_pool

pytestmark = pytest.mark.shared

DESIGNS = Path(__file__).parent / "counterparts"
Array = NDArray[np.float64]
WORLDS, PARTICIPANTS, TRIALS = 24, 120, 240
WHAT = ("mean", "SD", "seen")


def simulated(name: str, arm: str) -> Array:
    """Mean, SD and share seen by visit of many trials, shape (n_trials, 3, n_visits); each in a possible world.

    The copy of the duloxetine trial holds those alone who came in week 1.
    """
    knowledge = load_knowledge()
    study = read_trial(DESIGNS / f"{name}.toml", knowledge)
    worlds = possible_worlds(knowledge, 1, WORLDS)
    pool = make_pool(study, worlds, patients=PARTICIPANTS, seed=1, knowledge=knowledge, engine=get_engine())
    setting = setting_of(study, pool, knowledge)
    found = []
    for r in range(TRIALS):
        data = conduct(setting, r % setting.pool.n_worlds, np.random.default_rng([1, r]))
        scores = data.scores["HAMD17"][data.group == setting.groups.index(arm)]
        found.append(summary(scores[np.isfinite(scores[:, 1])] if name == "duloxetine" else scores))
    return np.array(found)


def summary(scores: Array) -> Array:
    return np.array([np.nanmean(scores, axis=0), np.nanstd(scores, axis=0, ddof=1), np.isfinite(scores).mean(axis=0)])


def duloxetine(folder: Path, arm: str) -> Array:
    table = pd.read_csv(folder / "rbmi_antidepressant_data.csv")
    table = table[table["THERAPY"] == arm.upper()]
    later = table.pivot(index="PATIENT", columns="VISIT", values="HAMDTL17")
    start = table.groupby("PATIENT")["BASVAL"].first()
    return np.column_stack([start, later.reindex(start.index)[[4, 5, 6, 7]]])


def imipramine(folder: Path, arm: str) -> Array:
    table = pd.read_csv(
        folder / "riesby_imipramine_hdrs.txt", sep=r"\s+", header=None, na_values=".", usecols=[0, 1, 3],
        names=["patient", "score", "week"],
    ).dropna(subset="week")  # fmt: skip
    return np.asarray(table.pivot(index="patient", columns="week", values="score"), dtype=float)


def misses(real: Array, many: Array) -> list[str]:
    """What lies outside of 95 % of the simulated trials, in words."""
    low, high = np.quantile(many, (0.025, 0.975), axis=0)
    return [
        f"{WHAT[i]} at visit {v}: {real[i, v]:.3g}, simulated {low[i, v]:.3g} to {high[i, v]:.3g}"
        for i, v in zip(*np.nonzero((real < low - 1e-9) | (real > high + 1e-9)), strict=True)
    ]


# Judged again after each calibration: what lies outside with the posterior in force. After a week real patients are
# more alike than simulated ones; those on imipramine were better at the end than 97.5 % of the trials. A baseline is
# always recorded here; five of theirs were not.
KNOWN: dict[str, set[str]] = {
    "drug": set(),
    "placebo": {"SD at visit 1"},
    "imipramine": {"mean at visit 5", "SD at visit 1", "SD at visit 2", "seen at visit 0"},
}


@pytest.mark.parametrize("arm", ["drug", "placebo"])
def test_a_trial_of_duloxetine(shared_data: Path, arm: str) -> None:
    scores = duloxetine(shared_data, arm)
    assert len(scores) == {"drug": 84, "placebo": 88}[arm]
    found = misses(summary(scores), simulated("duloxetine", arm))
    assert {words.split(":")[0] for words in found} <= KNOWN[arm], found


def test_imipramine(shared_data: Path) -> None:
    scores = imipramine(shared_data, "imipramine")
    assert len(scores) == 66
    found = misses(summary(scores), simulated("imipramine", "imipramine"))
    assert {words.split(":")[0] for words in found} <= KNOWN["imipramine"], found
