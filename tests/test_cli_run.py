"""`crosstalk run`: any model on a table of individuals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import ROOT, Run

MODELS = ROOT / "examples" / "models"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "model": "model one\n compartment V = 10; species A in V; A = 0; J: A -> ; CL*A; CL = 2\nend\n",
        "people": "ID,CL,V\na,2,10\nb,4,20\n",
        "doses": "ID;TIME;AMT;CMT\na;0;100;1\nb;1;50;1\n",
    }
    found = {}
    for name, text in texts.items():
        found[name] = tmp_path / f"{name}.txt"
        found[name].write_text(text, encoding="utf-8")
    return found


def test_a_table_comes_back(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    out, summary = tmp_path / "out.csv", tmp_path / "out.json"
    code, text, errors = run(
        "run", files["model"], "--times", "0:4:2", "--parameters", files["people"], "--doses", files["doses"],
        "--cmt", "1=A", "--csv", out, "--json", summary,
    )  # fmt: skip
    assert code == 0, errors
    assert "2 of 2 individuals ran" in text
    frame = pd.read_csv(out)
    assert list(frame) == ["ID", "time", "A", "status"]
    assert frame["A"].to_list() == pytest.approx([0, 10 * np.exp(-0.4), 10 * np.exp(-0.8), 0, 2.5 * np.exp(-0.2),
                                                  2.5 * np.exp(-0.6)], rel=1e-5)  # fmt: skip
    assert json.loads(summary.read_text())[0]["rows"][0]["output"] == "A"


def test_one_that_fails_leaves_the_others(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    files["people"].write_text("ID,CL,A\na,2,1\nb,-100000,1\n", encoding="utf-8")
    command = ("run", files["model"], "--times", "0:4:2", "--parameters", files["people"])
    code, text, _ = run(*command, "--csv", tmp_path / "out.csv")
    assert code == 0
    assert "1 of 2 individuals ran" in text
    statuses = pd.read_csv(tmp_path / "out.csv")["status"]
    assert statuses[0] == "ok"
    assert "state A" in statuses[5]
    code, _, errors = run(*command, "--strict")
    assert (code, "individual 'b'" in errors) == (1, True)
    files["people"].write_text("ID,CL,A\nb,-100000,1\n", encoding="utf-8")
    code, _, errors = run(*command)
    assert (code, "every individual failed; 'b'" in errors) == (1, True)


def test_bad_use(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    model, doses = files["model"], files["doses"]
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (2, "--times", (model,)),
        (2, "expected BEGIN:END:STEP", (model, "--times", "0-4")),
        (2, "there is no such file", (tmp_path / "absent.xml", "--times", "0:1:1")),
        (2, "CMT is 1, a number", (model, "--times", "0:1:1", "--doses", doses)),
        (
            2,
            "expected one name for all doses",
            (model, "--times", "0:1:1", "--doses", doses, "--cmt", "A", "--cmt", "B"),
        ),
        (2, "unknown column 'CL' of a dosing table", (model, "--times", "0:1:1", "--doses", files["people"])),
        (2, "unknown engine 'slow'", (model, "--times", "0:1:1", "--engine", "slow")),
        (2, "is the input", (model, "--times", "0:1:1", "--csv", model)),
        (1, "is no valid Antimony", (files["people"], "--times", "0:1:1")),
        (1, "no variable 'B'", (model, "--times", "0:1:1", "--output", "B")),
    ]
    for expected, words, arguments in cases:
        code, _, errors = run("run", *arguments)
        assert code == expected, (arguments, errors)
        assert words in errors, (words, errors)
        assert "Traceback" not in errors


def test_the_published_example_agrees_with_the_reference_engine() -> None:
    pytest.importorskip("roadrunner")
    from crosstalk.engine.individuals import run as simulate

    people = pd.read_csv(MODELS / "patients.csv")[:4]
    doses = pd.read_csv(MODELS / "doses.csv")[:4]
    fast, slow = (
        simulate(MODELS / "docetaxel.ant", "0:504:24", parameters=people, doses=doses, outputs=["neutrophils"],
                 rtol=1e-8, engine=engine)
        for engine in ("fast", "reference")
    )  # fmt: skip
    np.testing.assert_allclose(fast.values, slow.values, rtol=1e-5)
