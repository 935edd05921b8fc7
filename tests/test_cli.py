"""The command line: what it writes, its exit codes, one message for bad input, no harm to earlier results."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crosstalk.knowledge.loader import load_knowledge

Run = Callable[..., tuple[int, str, str]]
PANEL = "patient,analyte,value,unit\nA,hsCRP,6.2,mg/L\nA,BMI,31,kg/m2\nA,HAMD17,24,\n"
STUDY = """
[study]
id = "small"
role = "design"
duration_weeks = 2
[population]
diagnosis = "mdd"
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
[[arm]]
id = "placebo"
[[result]]
endpoint = "change"
of = "HAMD17"
week = 2
arm = "ssri"
versus = "placebo"
"""


@pytest.fixture
def panel(tmp_path: Path) -> Path:
    path = tmp_path / "panel.csv"
    path.write_text(PANEL)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_a_forecast_writes_json_and_html(run: Run, panel: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{name}.{kind}" for name in ("one", "two") for kind in ("json", "html")]
    common = ("forecast", panel, "-r", "ssri", "-r", "placebo", "--virtual-patients", 600, "--weeks", 4, "--seed", 3)
    code, out, err = run(*common, "--json", outputs[0], "--html", outputs[1], "--jobs", 1)
    assert code == 0, err
    assert "uncalibrated" not in out
    assert f"written: {outputs[0]}" in out
    code, out, err = run(*common, "--json", outputs[2], "--html", outputs[3], "--jobs", 3, "--quiet")
    assert (code, out, err) == (0, "", "")
    assert outputs[0].read_bytes() == outputs[2].read_bytes()
    assert outputs[1].read_bytes() == outputs[3].read_bytes()
    content = json.loads(outputs[0].read_text())
    assert [r["id"] for r in content["regimens"]] == ["ssri", "placebo"]
    assert content["seed"] == 3
    assert content["regimens"][0]["change"]["week"] == 4


def test_an_assessment_writes_json_and_html(run: Run, panel: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "assess", panel, "--json", tmp_path / "a.json", "--html", tmp_path / "a.html", "--virtual-patients", 600
    )
    assert code == 0
    assert "Mechanisms" in out
    assert json.loads((tmp_path / "a.json").read_text())["patient"] == "A"
    assert "<svg" in (tmp_path / "a.html").read_text()


def test_a_simulation_writes_csv_json_and_html(run: Run, study: Path, tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"s.{kind}" for kind in ("csv", "json", "html")}
    arguments = [x for kind, path in paths.items() for x in (f"--{kind}", path)]
    code, out, err = run("simulate", study, "--patients", 5, "--seed", 7, *arguments)
    assert code == 0, err
    assert "placebo" in out
    with paths["csv"].open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["arm", "patient", "time_h", "variable", "value"]
    assert {r["arm"] for r in rows} == {"ssri", "placebo"}
    arms = json.loads(paths["json"].read_text())["arms"]
    assert {q["variable"] for arm in arms for q in arm["quantiles"]} == {"HAMD17"}
    before = paths["csv"].read_bytes()
    run("simulate", study, "--patients", 5, "--seed", 7, "--csv", paths["csv"], "--jobs", 2, "-q")
    assert paths["csv"].read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("drugs",), "infliximab"),
        (("drugs", "escitalopram"), "16.3 L/h"),
        (("regimens",), "ssri-celecoxib"),
        (("regimens", "ssri"), "escitalopram"),
        (("analytes",), "hsCRP"),
        (("analytes", "IL-6"), "pg/mL"),
        (("schema", "forecast"), '"properties"'),
        (("model", "check"), "steady state"),
        (("model", "export", "--format", "antimony"), "TNF' ="),
        (("model", "export", "--drug", "ketamine"), "<sbml"),
        (("--version",), "crosstalk 0."),
        (("--help",), "forecast"),
    ],
)
def test_what_only_shows(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments)
    assert code == 0, err
    assert words in out


def test_a_catalogue_as_json(run: Run, tmp_path: Path) -> None:
    assert run("drugs", "--json", tmp_path / "d.json")[0] == 0
    assert "infliximab" in (tmp_path / "d.json").read_text()


BAD_PANELS = {
    "binary": ("\x7fELF\x00\x01", "binary"),
    "empty": ("", "empty"),
}


@pytest.mark.parametrize("case", BAD_PANELS)
def test_bad_panels(run: Run, tmp_path: Path, case: str) -> None:
    text, words = BAD_PANELS[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    for verb in ("assess", "forecast"):
        code, out, err = run(verb, path)
        assert code == 1
        assert out == ""
        assert err.startswith("crosstalk: ")
        assert str(path) in err
        assert words in err


def test_a_forecast_of_several_patients_is_a_table(run: Run, tmp_path: Path) -> None:
    path, csv = tmp_path / "two.csv", tmp_path / "rows.csv"
    path.write_text(PANEL + "B,hsCRP,1,mg/L\n")
    small = ("-r", "placebo", "--weeks", "2", "--virtual-patients", "600")
    code, out, err = run("forecast", path, *small, "--csv", csv)
    assert code == 0, err
    assert "Forecasts of 2 of 2 patients" in out
    assert [line.split(",")[:2] for line in csv.read_text().splitlines()[1:]] == [
        [who, regimen] for who in "AB" for regimen in ("ssri", "placebo")
    ]
    code, out, err = run("forecast", path, "--scores", "week 1: HAMD17=17")
    assert (code, out) == (2, "")
    assert "choose with --patient" in err


def test_bad_use(run: Run, panel: Path, study: Path, tmp_path: Path) -> None:
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (2, "unknown regimen 'nope'", ("forecast", panel, "-r", "nope")),
        (2, "unknown drug 'nope'", ("drugs", "nope")),
        (2, "unknown regimen 'nope'", ("regimens", "nope")),
        (2, "unknown analyte 'nope'", ("analytes", "nope")),
        (2, "unknown schema 'nope'", ("schema", "nope")),
        (2, "unknown engine 'nope'", ("assess", panel, "--engine", "nope")),
        (2, "--virtual-patients", ("forecast", panel, "--virtual-patients", 1)),
        (2, "PANEL", ("forecast",)),
        (2, "unknown format", ("model", "export", "--format", "nope")),
        (1, "no such file", ("forecast", tmp_path / "absent.csv")),
        (1, "Z", ("forecast", panel, "--patient", "Z")),
        (1, "does not exist", ("forecast", panel, "--json", tmp_path / "no" / "f.json")),
        (1, "is a folder", ("forecast", panel, "--html", tmp_path)),
        (2, "same path", ("forecast", panel, "--html", tmp_path / "x", "--json", tmp_path / "x")),
        (1, "studies that ship", ("simulate", "nope")),
    ]
    for code, words, arguments in cases:
        found, out, err = run(*arguments)
        assert found == code, (arguments, found, out, err)
        assert words in err, (arguments, err)


def test_bad_studies(run: Run, study: Path) -> None:
    for old, new, words in (
        ('role = "design"', 'role = "design"\ncolour = "red"', "colour: unknown key"),
        ("amount = 10, ", "", "without dose"),
        ('drug = "escitalopram"', 'drug = "aspirin"', "unknown drug 'aspirin'"),
        ('diagnosis = "mdd"', 'diagnosis = "flu"', "flu"),
        ("duration_weeks = 2", "duration_weeks = two", "line 5"),
    ):
        study.write_text(STUDY.replace(old, new))
        code, _, err = run("simulate", study)
        assert code in (1, 2)
        assert words in err, err
        assert "study.toml" in err


def test_results_of_an_earlier_run_stay_untouched(run: Run, panel: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("the result of yesterday")
    bad = tmp_path / "bad.csv"
    bad.write_text(PANEL.replace("6.2", "-1"))
    assert run("forecast", bad, "--json", kept)[0] == 1
    assert run("forecast", panel, "-r", "nope", "--json", kept)[0] == 2
    assert kept.read_text() == "the result of yesterday"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "kept.json", "panel.csv"]


EVIDENCE = """
[study]
id = "{id}"
role = "context"
doi = "10.1000/{id}"
duration_weeks = 6
[population]
diagnosis = "mdd"
[[arm]]
id = "ssri"
dose = [{{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }}]
[[arm]]
id = "placebo"
[[result]]
endpoint = "smd"
of = "HAMD17"
week = 6
arm = "ssri"
versus = "placebo"
value = {value}
se = 0.2
source = "abstract"
provenance = "seen"
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "published results of"),
        (("--role", "validate"), "validate"),
        (("list", "--drug", "infliximab", "--of", "HAM-D", "--endpoint", "change"), "raison2013"),
        (("--analyte", "CRP", "--diagnosis", "mdd", "--provenance", "seen"), "hsCRP"),
        (("list", "--from", "1 h", "--to", "6 hours"), "windoloski2024"),
        (("raison2013",), "infliximab 5 mg/kg iv"),
        (("show", "raison2013"), "registry record NCT00463580"),
        (("--help",), "pool"),
        (("list", "--help"), "--provenance"),
        (("pool", "--help"), "--meta-analyses"),
    ],
)
def test_evidence_is_listed_and_shown(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run("evidence", *arguments)
    assert code == 0, err
    assert words in " ".join(out.split())


def test_evidence_filters_narrow_the_list(run: Run, tmp_path: Path) -> None:
    kept: list[list[dict[str, str]]] = []
    for name, options in (("all", ()), ("few", ("--drug", "infliximab", "--endpoint", "change"))):
        path = tmp_path / f"{name}.json"
        code, out, err = run("evidence", "list", *options, "--json", path, "--quiet")
        assert (code, out) == (0, ""), err
        kept.append(json.loads(path.read_text())["results"])
    assert 0 < len(kept[1]) < len(kept[0])
    assert {row["endpoint"] for row in kept[1]} == {"change"}
    assert all("infliximab" in row["drugs"] for row in kept[1])


def test_evidence_check_has_an_exit_code(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    good, bad = folder / "good2001.toml", folder / "bad2002.toml"
    good.write_text(EVIDENCE.format(id="good2001", value=-0.4))
    code, out, err = run("evidence", "check", good)
    assert (code, err) == (0, "")
    assert "Check of 1 study file with 1 result" in out
    bad.write_text(EVIDENCE.format(id="bad2002", value='"many"'))
    code, out, err = run("evidence", "check", folder, "--json", tmp_path / "check.json")
    assert code == 1
    assert "bad2002.toml:20" in out
    assert err == "crosstalk: 1 of 2 study files fail: bad2002\n"
    lines = json.loads((tmp_path / "check.json").read_text())["lines"]
    assert [line["grade"] for line in lines] == ["fail"]


def test_evidence_is_pooled(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = {}
    for name, value in (("a2001", -0.5), ("b2002", -0.1), ("c2003", -0.4)):
        studies[name] = tmp_path / f"{name}.toml"
        studies[name].write_text(EVIDENCE.format(id=name, value=value))
    known = replace(load_knowledge(), study_files=studies)
    monkeypatch.setattr("crosstalk.knowledge.loader.load_knowledge", lambda *_, **__: known)
    outputs = tmp_path / "p.json", tmp_path / "p.html"
    options = ("--endpoint", "smd", "--of", "HAMD17", "--drug", "escitalopram")
    code, out, err = run("evidence", "pool", *options, "--json", outputs[0], "--html", outputs[1])
    assert code == 0, err
    assert "Random effects: REML" in out
    assert f"written: {outputs[1]}" in out
    content = json.loads(outputs[0].read_text())
    assert content["k"] == 3
    # equal errors: the mean of the effects
    assert content["estimate"] == pytest.approx(-1 / 3, rel=1e-5)
    assert outputs[1].read_text().count("<svg") == 1
    code, out, err = run("evidence", "pool", *options, "--without", "a2001", "--json", outputs[0], "--quiet")
    assert (code, out, err) == (0, "", "")
    assert json.loads(outputs[0].read_text())["estimate"] == pytest.approx(-0.25, rel=1e-5)
    studies["a2001"].write_text("broken")
    code, _, err = run("evidence", "pool", *options)
    assert code == 0
    assert "warning: a2001.toml is left out" in err
    studies["b2002"].write_text("broken")
    code, _, err = run("evidence", "pool", *options)
    assert code == 1
    assert "one comparable effect" in err


def test_bad_use_of_evidence(run: Run, tmp_path: Path) -> None:
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (1, "no such file", ("chek",)),
        (2, "unknown role 'x'", ("list", "--role", "x")),
        (2, "unknown drug", ("--drug", "x")),
        (2, "such as '4 h'", ("list", "--from", "soon")),
        (2, "give an endpoint", ("pool", "--of", "HAMD17")),
        (2, "No such option", ("list", "--colour", "red")),
        (1, "no published result matches", ("pool", "--endpoint", "smd", "--of", "HAMD17", "--to", "0 h")),
        (1, "no such file", ("check", tmp_path / "absent")),
        (1, "does not exist", ("list", "--json", tmp_path / "no" / "f.json")),
        (2, "same path", ("pool", "--endpoint", "smd", "--json", tmp_path / "x", "--html", tmp_path / "x")),
    ]
    for code, words, arguments in cases:
        found, out, err = run("evidence", *arguments)
        assert found == code, (arguments, found, out, err)
        assert words in err, (arguments, err)


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/stdout")
def test_a_result_can_go_into_a_pipe(panel: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "crosstalk",
        "assess",
        str(panel),
        "--virtual-patients",
        "600",
        "-q",
        "--json",
        "/dev/stdout",
    ]
    found = subprocess.run(command, capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["patient"] == "A"


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    path.write_text(PANEL.replace("A,", "Zoë Ł,"), encoding="utf-8")
    command = [sys.executable, "-m", "crosstalk", "assess", str(path), "--virtual-patients", "600"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert found.returncode == 0, found.stderr
    assert rb"Zo\xeb \u0141" in found.stdout


def test_too_little_memory_is_one_message(run: Run, panel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 134. GiB")

    monkeypatch.setattr("crosstalk.twin.twin.forecast", exhausted)
    code, out, err = run("forecast", panel)
    assert (code, out) == (1, "")
    assert "not enough memory (Unable to allocate 134. GiB); ask for fewer patients or draws" in err


def test_help_is_light() -> None:
    """Nothing heavy is imported to show the help."""
    heavy = ("numpy", "pandas", "scipy", "numba", "antimony", "pydantic", "roadrunner")
    lines = (
        "import sys; sys.argv = ['crosstalk', '--help']",
        "from crosstalk.cli import main",
        "try: main()",
        "except SystemExit: pass",
        f"print([m for m in {heavy} if m in sys.modules])",
    )
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert found.stdout.rstrip().endswith("[]")
