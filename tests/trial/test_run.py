"""A whole trial on the model: what the result holds, and that it does not depend on how it was computed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.errors import TrialError, UsageError
from crosstalk.knowledge import load_knowledge
from crosstalk.study.design import Costs, Interim
from crosstalk.trial.plan import read_trial
from crosstalk.trial.result import TrialResult
from crosstalk.trial.run import Pools, TrialSettings, characterise, make_pools, run_trial

SMALL = Path(__file__).parent / "small.toml"
SETTINGS = TrialSettings(replicates=12, worlds=4, participants=(60, 30))


@pytest.fixture(scope="module")
def pools() -> Pools:
    knowledge = load_knowledge()
    return make_pools(read_trial(SMALL, knowledge), SETTINGS, knowledge, get_engine())


def done(pools: Pools, study: Any = None, **given: Any) -> TrialResult:
    knowledge = load_knowledge()
    plan = study or read_trial(SMALL, knowledge)
    settings = replace(SETTINGS, **{k: given.pop(k) for k in ("null", "replicates") if k in given})
    return characterise(plan, pools, settings, knowledge=knowledge, engine=get_engine(), **given)


@pytest.fixture(scope="module")
def result(pools: Pools) -> TrialResult:
    return done(pools)


def test_the_result_holds_what_a_trialist_asks_for(result: TrialResult) -> None:
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(found["power"]) == {"value", "se"}
    assert {"value", "se", "truth", "bias", "coverage", "standard_error"} == set(found["effect"])
    assert 0 <= found["type_i_error"] <= 1
    assert found["type_i_error_se"] > 0
    assert found["screened"] >= 60
    assert [s["part"] for s in found["by_stratum"]] == ["positive", "negative"]
    assert sum(s["share"]["value"] for s in found["by_stratum"]) == pytest.approx(1.0)
    assert found["replicates"] == 12
    assert found["research_use_only"] is True
    assert {"probability", "power_lo90", "knowledge_sd", "worlds"} <= set(found["assurance"])
    assert found["assurance"]["worlds"] == 4
    assert found["naive_search"]["se"] > 0
    assert found["misclassified"]["value"] > 0
    assert found["funnel"]["screened"]["value"] == pytest.approx(
        60 + sum(found["funnel"][k]["value"] for k in ("not eligible", "marker-negative", "improved in the lead-in"))
    )
    frame = result.to_frame()
    assert list(frame["id"]) == ["primary"]
    assert "60 randomised, 12 simulated trials" in result.summary()


def test_what_it_rests_on_is_said_with_its_source(result: TrialResult) -> None:
    topics = [b.topic for b in result.basis]
    assert topics == sorted(topics, key=["drug", "population", "measurement", "conduct"].index)
    drug = [b for b in result.basis if b.topic == "drug"]
    assert any("greatest effect" in b.what for b in drug)
    assert all(b.rest.kind for b in result.basis)
    known = load_knowledge().drug("escitalopram").targets[0]
    assert any(b.rest.place == known.half.source.place for b in drug)
    assert any(b.what == "hsCRP at screening" for b in result.basis if b.topic == "measurement")
    assert any("severity" in b.what for b in result.basis if b.topic == "population")


def test_the_number_of_processes_and_a_folder_change_nothing(result: TrialResult, pools: Pools, tmp_path: Path) -> None:
    other = done(pools, jobs=2, work=tmp_path)
    assert other == result
    # a second run takes everything from the folder
    said: list[str] = []
    again = done(pools, work=tmp_path, progress=lambda words, _: said.append(words))
    assert again == result
    assert said == []


def test_the_whole_runs_from_a_file_and_says_how_far_it_is(result: TrialResult) -> None:
    shares: list[float] = []
    whole = run_trial(SMALL, settings=SETTINGS, progress=lambda _, share: shares.append(share))
    assert whole == result
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_without_the_trials_of_no_effect(pools: Pools) -> None:
    found = done(pools, null=False)
    assert found.to_dict()["type_i_error"] is None
    assert found.naive_search is None


def test_few_replicates_see_few_worlds(pools: Pools) -> None:
    knowledge = load_knowledge()
    few = make_pools(
        read_trial(SMALL, knowledge), TrialSettings(replicates=4, worlds=24, participants=(20, 20)), knowledge,
        get_engine(),
    )  # fmt: skip
    assert few.uncertain.n_worlds == 2


def test_looks_costs_and_a_prognosis(pools: Pools) -> None:
    study = read_trial(SMALL, load_knowledge())
    assert study.trial is not None
    sharp = replace(study.trial.primary, id="sharp", covariates=("prognosis",), confirmatory=False)
    trial = replace(
        study.trial, analyses=(study.trial.primary, sharp), costs=Costs(100.0, 1000.0, 10.0, "EUR"),
        interim=Interim((0.5, 1.0), "obrien-fleming"),
    )  # fmt: skip
    found = done(pools, replace(study, trial=trial))
    assert found.cost is not None
    assert 60 * 1000 * 0.4 < found.cost.value < 100_000
    assert sum(look.ends.value for look in found.looks) == pytest.approx(1.0)
    assert found.looks[0].level == pytest.approx(0.0052, abs=2e-4)  # O'Brien and Fleming's, 2.797
    assert found.prognosis_explained is not None
    assert 0 < found.prognosis_explained < 1


def test_a_world_without_patients_counts_as_no_success(pools: Pools) -> None:
    study = read_trial(SMALL, load_knowledge())
    assert study.trial is not None
    enriched = replace(study, trial=replace(study.trial, kind="enrichment", n=20))
    crp = pools.uncertain.levels["hsCRP"].copy()
    crp[pools.uncertain.rows(1)] = 1e-3
    empty = replace(pools.uncertain, levels={**pools.uncertain.levels, "hsCRP": crp})
    found = done(replace(pools, uncertain=empty), enriched)
    assert (found.assurance.worlds, found.assurance.worlds_without_patients) == (4, 1)


def test_wrong_use_is_refused() -> None:
    for settings, words in (
        (TrialSettings(replicates=1), "replicates = 1; expected 2 or more"),
        (TrialSettings(worlds=0), "worlds = 0; expected 1 or more"),
        (TrialSettings(participants=(1500, 5)), "participants = 5; expected 20 or more"),
    ):
        with pytest.raises(UsageError, match=words):
            run_trial(SMALL, settings=settings)
    study = replace(read_trial(SMALL, load_knowledge()), trial=None)
    with pytest.raises(TrialError, match=r"study 'small': has no table \[trial\]"):
        run_trial(study)


def test_bias_is_of_the_estimate_against_the_truth(result: TrialResult) -> None:
    first = result.primary
    assert first.bias.value == pytest.approx(first.effect.value - first.truth)
    assert np.isfinite(first.standard_error)


SMALL_TEXT = SMALL.read_text(encoding="utf-8")
MARKED = 'design = "stratified"\n'
ARMS = '[[arm]]\nid = "placebo"\n'
KINDS = {
    "enrichment": SMALL_TEXT.replace(MARKED, 'design = "enrichment"\n'),
    "adaptive-enrichment": SMALL_TEXT.replace(MARKED, 'design = "adaptive-enrichment"\n').replace(
        "[[trial.analysis]]", "[trial.interim]\ninformation = [0.5, 1.0]\n\n[[trial.analysis]]"
    ),
    "match": SMALL_TEXT.replace(
        MARKED, 'design = "match"\nmatch = { positive = "escitalopram", negative = "placebo" }\n'
    ).replace('week = 4\narm = "escitalopram"', 'week = 4\narm = "matched"'),
    "crossover": SMALL_TEXT.replace(
        MARKED, 'design = "crossover"\ncrossover = { period_weeks = 1, washout_weeks = 2 }\n'
    )
    .replace('marker = { analyte = "hsCRP", min = 3, unit = "mg/L" }\n', "")
    .replace('"mmrm"\nof = "HAMD17"\nweek = 4', '"crossover"\nof = "HAMD17"\nweek = 1'),
    "lead-in": SMALL_TEXT.replace("n = 60\n", "n = 60\nlead_in = { weeks = 1 }\n"),
    "three arms": SMALL_TEXT.replace(
        ARMS,
        ARMS + '\n[[arm]]\nid = "double"\ndose = [{ drug = "escitalopram", amount = 20, unit = "mg", route = "oral", '
        'every = "24 h" }]\n',
    ),
    "another scale": SMALL_TEXT.replace('of = "HAMD17"', 'of = "MADRS"').replace(
        "n = 60\n", "n = 60\nlead_in = { weeks = 1 }\n"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_design_runs_on_the_model(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(KINDS[kind], encoding="utf-8")
    assert KINDS[kind] != SMALL_TEXT
    found = run_trial(path, settings=TrialSettings(replicates=6, worlds=2, participants=(60, 40)))
    first = found.primary
    assert first.failed == 0
    assert np.isfinite([first.effect.value, first.truth, first.standard_error, first.power.value]).all()
    assert found.randomised.value <= 60
    assert sum(g["patients"].value for g in found.by_group.values()) == pytest.approx(found.randomised.value)
    if kind == "lead-in":
        assert found.funnel["improved in the lead-in"].value > 0
    if kind == "enrichment":
        assert found.funnel["marker-negative"].value > 10
        assert [s.part for s in found.strata] == ["positive"]
    if kind == "three arms":
        assert set(found.by_group) == {"escitalopram", "placebo", "double"}
