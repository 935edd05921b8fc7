"""The verbs `learn` and `predict`: cohort in, judgement, report, checklists and a locked model out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.errors import LearnError
from crosstalk.learn.checklists import CHECKLISTS, fill_checklist, model_card
from crosstalk.learn.cohort import CohortColumns, read_cohort
from crosstalk.learn.learning import learn
from crosstalk.learn.locked import read_locked

Run = Callable[..., tuple[int, str, str]]


def patients(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    log_crp, score = rng.normal(0.5, 1.0, n), rng.normal(22, 4, n).round()
    return pd.DataFrame(
        {
            "patient": [f"P{i}" for i in range(n)],
            "age": rng.integers(18, 75, n),
            "sex": np.where(rng.random(n) < 0.6, "female", "male"),
            "hsCRP [mg/L]": np.exp(log_crp).round(3),
            "IL-6 [pg/mL]": np.exp(rng.normal(0.7, 0.6, n)).round(3),
            "hamd0": score.astype(int),
            "hamd2": (score * rng.uniform(0.5, 1.0, n)).round().astype(int),
            "site": np.array(["A", "B"])[rng.integers(0, 2, n)],
            "arm": np.tile(["drug", "pill"], n)[:n],
            "response": np.where(rng.random(n) < 1 / (1 + np.exp(0.5 - 1.5 * log_crp)), "yes", "no"),
        }
    )


FEW = ("--repeats", "1", "--bootstrap", "3", "--no-boosting", "--no-mechanism")


def test_from_a_cohort_to_a_locked_model_in_other_patients(run: Run, tmp_path: Path) -> None:
    cohort, new = tmp_path / "cohort.csv", tmp_path / "new.csv"
    patients(120, 1).to_csv(cohort, index=False)
    patients(60, 2).to_csv(new, index=False)
    out = {kind: tmp_path / f"out.{kind}" for kind in ("json", "html")}
    model = tmp_path / "model.json"
    code, printed, err = run(
        "learn", cohort, "--outcome", "response", "--site", "site", "--treatment", "arm", "--treated", "drug",
        "--week2", "hamd2", "--baseline", "hamd0", *FEW, "--json", out["json"], "--html", out["html"], "--out", model,
        "--lock", "crp",
    )  # fmt: skip
    assert code == 0, err
    said = " ".join(printed.split())
    assert f"written: {model}" in said
    found = json.loads(out["json"].read_text(encoding="utf-8"))
    assert {"n", "events", "models", "differences", "conclusions"} <= set(found)
    assert found["n"] == 120
    assert found["conclusions"][0] in said
    assert "immune panel adds" in found["conclusions"][0]
    ran = {m["rung"]: m for m in found["models"] if not m["skipped"]}
    assert list(ran) == ["prevalence", "week2", "clinical", "crp", "panel"]
    assert [s["site"] for s in ran["crp"]["sites"]] == ["A", "B"]
    assert found["heterogeneity"]["treated"] == 60
    assert any("heterogeneity" in c for c in found["conclusions"])
    page = out["html"].read_text(encoding="utf-8")
    assert page.count("<svg") == 5
    assert "TRIPOD+AI" in page
    assert "PROBAST+AI" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    locked = read_locked(model)
    assert locked.rung == "crp"
    assert locked.training["performance"]["auc"]["value"] > 0.6
    code, printed, err = run(
        "predict", model, new, "--outcome", "response", "--json", out["json"], "--html", out["html"]
    )
    assert code == 0, err
    said = " ".join(printed.split())
    assert "External validation of the model as it is" in said
    assert "not applied" in said
    found = json.loads(out["json"].read_text(encoding="utf-8"))
    assert found["model_sha256"] == locked.sha256
    assert len(found["patients"]) == 60
    assert found["external"]["auc"]["value"] > 0.6
    assert "<svg" in out["html"].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message", "exit_code"),
    [
        (("--outcome", "remission"), "no column 'remission' (--outcome)", 2),
        (("--outcome", "response", "--covariates", "response"), "the outcome is no predictor", 2),
        (("--outcome", "response", "--better", "up"), "expected higher or lower", 2),
        (("--outcome", "response", "--group", "site"), "2 groups cannot be put into 5 folds", 1),
        (("--outcome", "response", "--treatment", "arm"), "with --treated", 2),
        (("--outcome", "response", "--out", "m.json", "--lock", "twin"), "was not run", 1),
    ],
)
def test_what_is_refused_is_one_message(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str, exit_code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    patients(80, 3).to_csv("c.csv", index=False)
    code, _, told = run("learn", "c.csv", *words, *FEW, "--quiet")
    assert code == exit_code
    assert message in told
    assert not Path("m.json").exists()


def test_too_few_patients_are_refused_before_any_model(run: Run, tmp_path: Path) -> None:
    patients(30, 4).to_csv(tmp_path / "c.csv", index=False)
    code, _, err = run("learn", tmp_path / "c.csv", "--outcome", "response", *FEW)
    assert code == 1
    assert "30 people" in err


def test_checklists_hold_what_the_run_knows_and_blanks(tmp_path: Path) -> None:
    patients(120, 5).to_csv(tmp_path / "c.csv", index=False)
    cohort = read_cohort(tmp_path / "c.csv", CohortColumns("response"))
    found = learn(cohort, repeats=1, bootstrap=0, boosting=False, command="crosstalk learn c.csv")
    tripod = fill_checklist("tripod_ai", found)
    assert {int(re.match(r"\d+", item.id)[0]) for item in tripod.items} == set(range(1, 28))  # type: ignore[index]
    by_id = {item.id: item for item in tripod.items}
    assert by_id["17"].status == by_id["18a"].status == by_id["5b"].status == "blank"
    assert by_id["18f"].status == "filled"
    assert "crosstalk learn c.csv" in by_id["18f"].answer
    assert "120 patients" in by_id["21"].answer
    assert by_id["12d"].status == "blank"  # no sites were named
    assert by_id["8a"].status == "partly"
    probast = fill_checklist("probast_ai", found)
    assert {item.section for item in probast.items} == {
        "Participants and data sources", "Predictors", "Outcome", "Analysis",
    }  # fmt: skip
    for name in CHECKLISTS:
        for item in fill_checklist(name, found).items:
            assert "{" not in item.answer
            assert (item.status == "blank") == (item.answer == "")
    card = dict(model_card(found))
    assert card["Conclusion"] == found.conclusions[0]
    with pytest.raises(Exception, match="unknown checklist"):
        fill_checklist("strobe", found)


def test_nothing_is_learned_without_an_outcome(tmp_path: Path) -> None:
    patients(60, 6).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(Exception, match="no outcome was named"):
        learn(read_cohort(tmp_path / "c.csv", CohortColumns(None)))
    frame = patients(60, 6)
    frame["site"] = ["Z", *["A"] * 59]
    frame.to_csv(tmp_path / "d.csv", index=False)
    cohort = read_cohort(tmp_path / "d.csv", CohortColumns("response", site="site"))
    with pytest.raises(LearnError, match="one patient"):
        learn(cohort, repeats=1, bootstrap=0)
