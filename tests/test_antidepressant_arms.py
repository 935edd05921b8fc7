"""Counts of responders by arm: the network against metafor, the spread of arms, and what the package says of them."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from math import exp
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.study.schema import read_study

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "antidepressant_arms.py"
FILES = ("mtrank_antidepressants_arms.csv", "hamza2021_dose_arms.csv")

NETWORK = pd.DataFrame({
    "trial": [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5],
    "drug": ["P", "A", "P", "B", "P", "A", "B", "A", "B", "P", "A"],
    "n": [100, 102, 80, 79, 60, 61, 59, 150, 148, 40, 42],
    "r": [35, 62, 30, 41, 20, 26, 39, 70, 102, 18, 12],
})  # fmt: skip
# R 4.2.2, metafor 3.8-1; y, V: log odds ratios of the later arms of a trial against its first, and their covariance,
# X: columns A and B with -1 for the first arm of the trial and 1 for the later one, arm: number within the trial
#   rma.mv(y, V, mods=X, intercept=FALSE, random=~factor(arm)|factor(trial), struct="CS", rho=0.5, method="REML",
#          control=list(optimizer="optim", reltol=1e-14)): beta, se, sqrt(tau2), QE
METAFOR = (0.222765478, 1.02626771, 0.358760246, 0.402328229, 0.564180006, 14.6966399)


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield importlib.import_module("antidepressant_arms")


def test_the_network_agrees_with_metafor(script: ModuleType) -> None:
    found = script.network(NETWORK, "P")
    (a, a_error), (b, b_error) = found.against("A"), found.against("B")
    assert (a, b, a_error, b_error, found.tau, found.q) == pytest.approx(METAFOR, rel=2e-6)
    assert (found.trials, found.df) == (5, 4)
    assert found.against("A", "B")[0] == pytest.approx(a - b)
    # whichever arm of a trial comes first
    turned = script.network(NETWORK.iloc[::-1], "P")
    assert turned.against("A") == pytest.approx((a, a_error), rel=1e-6)


def test_the_spread_of_arms_is_found_and_small_samples_do_not_hide_it(script: ModuleType) -> None:
    rng = np.random.default_rng(5)
    n = rng.integers(20, 150, size=4000).astype(float)
    logit = -0.5 + 0.4 * rng.normal(size=len(n))
    found = script.arm_response(rng.binomial(n.astype(int), 1 / (1 + np.exp(-logit))).astype(float), n)
    assert found.mean == pytest.approx(-0.5, abs=3 * found.mean_error)
    assert found.sd == pytest.approx(0.4, abs=3 * found.sd_error)
    assert found.sd_error < 0.02


def test_an_empty_cell_and_impossible_counts(script: ModuleType, tmp_path: Path) -> None:
    values, _ = script.contrasts(pd.DataFrame({"r": [3, 8], "n": [9, 8]}))
    assert values[0] == pytest.approx(np.log(8.5 / 0.5) - np.log(3.5 / 6.5))
    pd.DataFrame({"studyid": [1, 1], "drug_name": ["A", "B"], "ntotal": [5, 5], "responders": [6, 1]}).to_csv(
        tmp_path / FILES[0]
    )
    second = {"id": [2], "drug": ["A"], "dose": [1], "resp": [1], "total": [2], "dose_label": ["licensed"]}
    pd.DataFrame(second).to_csv(tmp_path / FILES[1])
    with pytest.raises(ValueError, match=r"trial 1 of mtrank_antidepressants_arms\.csv, A: 6 responders of 5 patients"):
        script.read_arms(tmp_path)


def test_a_trial_of_both_files_counts_once_and_doses_of_a_drug_are_added(script: ModuleType, tmp_path: Path) -> None:
    pd.DataFrame({"studyid": [1, 1], "drug_name": ["A", "B"], "ntotal": [5, 6], "responders": [2, 1]}).to_csv(
        tmp_path / FILES[0]
    )
    pd.DataFrame({
        "id": [7, 7, 8, 8, 8, 8], "drug": ["B", "A", "A", "A", "A", "Placebo"], "dose": [1, 1, 1, 2, 0.1, 0],
        "resp": [1, 2, 1, 2, 9, 3], "total": [6, 5, 10, 20, 30, 15],
        "dose_label": ["licensed"] * 4 + ["extremely low", "licensed"],
    }).to_csv(tmp_path / FILES[1])  # fmt: skip
    found = script.read_arms(tmp_path)
    assert [(row.drug, row.n, row.r) for row in found.itertuples()] == [
        ("A", 5, 2), ("B", 6, 1), ("A", 30, 3), ("Placebo", 15, 3),
    ]  # fmt: skip


def test_the_files_of_the_package_agree_with_each_other(script: ModuleType) -> None:
    knowledge = load_knowledge()
    table = pd.read_csv(script.KNOWLEDGE / script.TABLE, sep="\t", comment="#").set_index("drug")
    between = knowledge.discounts.between_trials
    assert between["placebo_response"].value == pytest.approx(table.logit_sd["placebo"])
    assert between["placebo_response"].source.kind == "derived"
    text = (script.KNOWLEDGE / script.TABLE).read_text(encoding="utf-8")
    assert f"SD between trials {between['antidepressant_effect'].value:g}" in text
    study = read_study(script.STUDY, knowledge)
    for result in study.results:
        assert result.figure == "computed"
        if result.endpoint == "odds-ratio":
            drug = script.STANDS_FOR[result.arm].lower()
            assert result.value == pytest.approx(exp(table.log_or[drug]), rel=2e-3)
            assert result.se == pytest.approx(table.log_or_se[drug], rel=2e-3)
    # the same trials are not fitted twice
    published = read_study("cipriani2018", knowledge)
    assert (published.role, published.cohort) == ("context", study.cohort)


def test_the_network_agrees_with_the_published_one(script: ModuleType) -> None:
    """The odds ratios that were seen in the press or recalled, by 1.96 standard errors of both."""
    table = pd.read_csv(script.KNOWLEDGE / script.TABLE, sep="\t", comment="#").set_index("drug")
    text = (script.KNOWLEDGE / "studies" / "cipriani2018.toml").read_text(encoding="utf-8")
    for result in tomllib.loads(text)["result"]:
        if result["endpoint"] == "odds-ratio":
            drug = script.STANDS_FOR[result["arm"]].lower()
            low, high = result["ci"]
            error = np.hypot(np.log(high / low) / 3.92, table.log_or_se[drug])
            assert abs(np.log(result["value"]) - table.log_or[drug]) < 1.96 * error


@pytest.mark.shared
def test_the_files_hold_what_the_counts_say(script: ModuleType, shared_data: Path) -> None:
    if not (shared_data / FILES[1]).is_file():
        pytest.skip(f"{FILES[1]} is not among the shared data sets")
    table = script.read_arms(shared_data)
    found = script.network(table, script.PLACEBO)
    drugs = script.drug_table(table, found)
    assert (script.KNOWLEDGE / script.TABLE).read_text(encoding="utf-8") == script.table_text(drugs, found)
    text = (script.KNOWLEDGE / "studies" / f"{script.STUDY}.toml").read_text(encoding="utf-8")
    assert script.differences(script.study_summary(drugs, found), text) == []


@pytest.mark.shared
def test_the_shared_counts_have_no_placebo(script: ModuleType, shared_data: Path) -> None:
    """Why the second file is needed: the 361 arms compare drugs with each other alone."""
    first = pd.read_csv(shared_data / FILES[0])
    assert len(first) == 361
    assert script.PLACEBO not in set(first.drug_name)
