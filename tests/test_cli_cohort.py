"""`crosstalk assess` on a file of several patients: what it prints and writes, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]

STRANGE = "Zoë <b>&"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 patients: values missing, censored, a score, one without a value, one with a strange name."""
    rng = np.random.default_rng(1)
    path = tmp_path / "cohort.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "hsCRP [mg/L]", "IL-6 [pg/mL]", "BMI [kg/m2]", "age [a]", "sex", "HAMD17"])
        for i in range(120):
            crp = float(np.exp(rng.normal(0.6, 1.1)))
            il6 = float(np.exp(rng.normal(0.3, 0.6)))
            writer.writerow([
                STRANGE if i == 0 else f"P{i}", f"{crp:.2f}" if crp > 0.3 else "<0.3",
                "" if i % 5 == 0 else f"{il6:.2f}" if il6 > 0.7 else "<0.7", f"{rng.uniform(19, 36):.1f}",
                int(rng.integers(20, 65)), "female" if i % 2 else "male", int(rng.integers(14, 30)),
            ])  # fmt: skip
        writer.writerow(["P120", "", "", "", "", "", ""])
    return path


def test_a_cohort_is_assessed_and_written(run: Run, table: Path, tmp_path: Path) -> None:
    outputs = {kind: tmp_path / f"out.{kind}" for kind in ("json", "html", "csv")}
    code, out, err = run("assess", table, *(x for k, p in outputs.items() for x in (f"--{k}", p)))
    assert code == 0, err
    assert "Cohort of 121 patients" in out
    assert "hsCRP" in out
    assert "o stable clusters" in out
    assert all(f"written: {p}" in out.replace("\n", "") for p in outputs.values())
    assert "patient P120 has no value at all" in err

    document = json.loads(outputs["json"].read_text(encoding="utf-8"))
    assert [p["patient"] for p in document["patients"]][:2] == [STRANGE, "P1"]
    assert document["patients"][-1]["status"] == "no usable value"
    assert document["summary"]["clusters"]["verdict"] == "no stable clusters"
    assert document["summary"]["n"] == 121
    scores = [p["innate_activation"] for p in document["patients"] if p["status"] == "ok"]
    assert len(scores) > 60

    with outputs["csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 121
    for row, patient in zip(rows, document["patients"], strict=True):
        assert row["patient"] == patient["patient"]
        assert row["status"] == patient["status"]
        if row["metabolic_load"]:
            assert float(row["metabolic_load"]) == patient["metabolic_load"]
    assert {r["IL-6_censored"] for r in rows} == {"", "left"}

    page = outputs["html"].read_text(encoding="utf-8")
    assert "Zo\u00eb <b>" not in page
    assert "<script" not in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    for heading in ("Values against reference ranges", "What is missing", "Five mechanisms", "Strata of C-reactive"):
        assert heading in page
    assert page.count("<svg") >= 3


def test_the_same_cohort_gives_the_same_bytes(run: Run, table: Path, tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        code, out, err = run(
            "assess", table, "-q", "--json", tmp_path / f"{name}.json", "--html", tmp_path / f"{name}.html",
            "--csv", tmp_path / f"{name}.csv",
        )  # fmt: skip
        assert (code, out, err) == (0, "", "")
        texts.append([(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("json", "html", "csv")])
    assert texts[0] == texts[1]


def test_one_of_them_is_assessed_alone(run: Run, table: Path) -> None:
    code, out, err = run("assess", table, "--patient", "P3", "--virtual-patients", 600)
    assert code == 0, err
    assert "Assessment of P3" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--patient", "P3", "--csv", "x.csv"), "--csv is for a file of several patients"),
    ],
)
def test_options_that_do_not_fit(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("assess", table, *arguments)
    assert code == 2
    assert words in err
    assert out == ""
    assert not (tmp_path / "x.csv").exists()


def test_an_output_that_cannot_be_written_is_refused_before_the_work(run: Run, table: Path, tmp_path: Path) -> None:
    code, _, err = run("assess", table, "--csv", tmp_path / "missing" / "x.csv")
    assert code == 1
    assert "does not exist" in err
