"""What the interface answers: documents with the schemas of the command line, files, designs, published results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosstalk.app.designs import design_toml, r_script
from crosstalk.app.requests import DesignRequest
from crosstalk.app.server import STATIC
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.study.schema import read_study

Ask = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
VALUES = [
    {"analyte": "hsCRP", "value": "5.2", "unit": "mg/L"},
    {"analyte": "IL-6", "value": "<0.4", "unit": "pg/mL"},
    {"analyte": "HAMD17", "value": "23"},
]


def test_a_forecast_is_that_of_the_command_line(ask: Ask, tmp_path: Path) -> None:
    from crosstalk.panel.reader import read_panel
    from crosstalk.report.documents import dump
    from crosstalk.twin import forecast

    body = {"values": VALUES, "regimens": ["ssri-infliximab"], "weeks": 4, "virtual_patients": 400}
    answer = ask("POST", "/api/forecast?wait=60", json=body)
    assert answer.status_code == 200, answer.text
    file = tmp_path / "panel.csv"
    rows = [f"the panel,{v['analyte']},{v['value']},{v.get('unit', '')}" for v in VALUES]
    file.write_text("patient,analyte,value,unit\n" + "\n".join(rows) + "\n")
    same = forecast(read_panel(file).panels[0], regimens=["ssri-infliximab"], weeks=4, virtual_patients=400)
    assert answer.json() == json.loads(dump(same))
    # asked again in the same words: the same job
    job = answer.headers["x-job"]
    assert ask("POST", "/api/forecast?wait=60", json=body).headers["x-job"] == job
    report = ask("GET", f"/api/jobs/{job}/report.html")
    assert "script-src" not in report.headers["content-security-policy"]
    assert report.text.lower().startswith("<!doctype html>")


def test_what_cannot_be_read_is_told_as_the_command_line_tells_it(ask: Ask) -> None:
    answer = ask("POST", "/api/assess?wait=60", json={"values": [{"analyte": "hsCRP", "value": "5", "unit": "parsec"}]})
    assert answer.status_code == 400
    assert "parsec" in answer.json()["error"]
    assert "/tmp" not in answer.json()["error"]


def test_a_file_with_questions_is_read_once_they_are_answered(ask: Ask) -> None:
    content = (ROOT / "examples/exports/cohort.csv").read_bytes()
    dropped = ask("POST", "/api/files", files={"file": ("cohort.csv", content)}).json()
    found = ask("GET", f"/api/jobs/{dropped['job']['id']}/document").json()
    assert found["problems"]
    assert found["questions"]
    answers = [q["choices"][0] if q["choices"] else "x" for q in found["questions"]]
    key = dropped["file"]
    again = ask("POST", f"/api/files/{key}/answers?wait=60", json={"answers": answers}).json()
    assert again["problems"] == []
    assert again["patients"] == 2
    body = {"virtual_patients": 400}
    cohort = ask("POST", f"/api/files/{key}/assess?wait=60", json=body)
    assert [p["patient"] for p in cohort.json()["patients"]] == ["C-1", "C-2"]
    assert cohort.json()["summary"]["path"] == "cohort.csv"
    table = ask("GET", f"/api/jobs/{cohort.headers['x-job']}/table.csv")
    assert table.headers["content-disposition"].startswith("attachment")
    one = {"patient": "C-1", "regimens": ["ssri-infliximab"], "weeks": 4, **body}
    assert ask("POST", f"/api/files/{key}/forecast?wait=60", json=one).json()["patient"] == "C-1"


def test_the_openapi_document_holds_the_schemas_of_the_command_line(ask: Ask) -> None:
    from crosstalk.report.documents import json_schema

    found = ask("GET", "/api/openapi.json").json()
    schemas = found["components"]["schemas"]
    assert set(json_schema("forecast")["properties"]) == set(schemas["Forecast"]["properties"])
    told = json.dumps(found)
    references = {part.split('"')[0] for part in told.split('"$ref": "')[1:]}
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    assert "/api/forecast" in found["paths"]


def test_the_page_has_its_parts_and_no_others(ask: Ask) -> None:
    folder = ROOT / "src/crosstalk/app/static"
    assert {p.name for p in folder.iterdir()} == {*STATIC, "app.html"}
    for name in STATIC:
        answer = ask("GET", f"/static/{name}")
        assert answer.status_code == 200
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
            assert word not in answer.text, name


def test_state_names_what_there_is(ask: Ask) -> None:
    found = ask("GET", "/api/state").json()
    assert sum(r["reference"] for r in found["regimens"]) == 1
    assert {"hsCRP", "HAMD17"} <= {a["id"] for a in found["analytes"]}
    assert len(found["scores"]) == 5


@pytest.mark.parametrize("design", ["parallel", "stratified", "enrichment"])
def test_a_design_of_any_two_regimens_is_a_study(design: str, tmp_path: Path) -> None:
    knowledge = load_knowledge()
    control = next(r.id for r in knowledge.regimens.values() if r.reference)
    file = tmp_path / "design.toml"
    for regimen in knowledge.regimens:
        form = DesignRequest(regimen=regimen, control=control, design=design).model_dump()  # type: ignore[arg-type]
        file.write_text(design_toml(form, knowledge))
        plan = read_study(file, knowledge)
        assert plan.trial is not None
        assert plan.trial.kind == design
        assert plan.arms[0].doses == knowledge.regimens[regimen].doses


def test_published_results_are_found_by_word_and_by_field(ask: Ask) -> None:
    rows = ask("POST", "/api/evidence?wait=60", json={"text": "infliximab hamd17"}).json()["results"]
    assert rows
    assert all("HAMD17" in r["of"] for r in rows)
    assert "raison2013" in {r["study"] for r in rows}
    assert not any("/" in r["file"] for r in rows)
    none = ask("POST", "/api/evidence?wait=60", json={"text": "nothing holds these words"})
    assert none.json() == {"results": []}
    wrong = ask("POST", "/api/evidence?wait=60", json={"drug": ["aspirine"]})
    assert wrong.status_code == 400
    assert "aspirine" in wrong.json()["error"]


@pytest.mark.slow
def test_a_trial_and_what_may_be_taken_home(ask: Ask, tmp_path: Path) -> None:
    body = {"regimen": "ssri-infliximab", "control": "ssri", "n": 40, "weeks": 4, "replicates": 20, "worlds": 2}
    answer = ask("POST", "/api/trial?wait=60", json=body)
    assert answer.status_code == 200, answer.text
    job = answer.headers["x-job"]
    assert answer.json()["analyses"][0]["id"] == "primary"
    assert tomllib.loads(ask("GET", f"/api/jobs/{job}/design.toml").text)["trial"]["n"] == 40
    (tmp_path / "data.csv").write_text(ask("GET", f"/api/jobs/{job}/data.csv").text)
    (tmp_path / "analysis.R").write_text(ask("GET", f"/api/jobs/{job}/analysis.R").text)
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    ran = subprocess.run(["Rscript", "analysis.R"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "armtreatment" in ran.stdout


def test_the_r_script_has_one_comment_for_a_title_of_several_lines(tmp_path: Path) -> None:
    knowledge = load_knowledge()
    form = DesignRequest(title="a\nsystem('rm')", regimen="ssri-infliximab", control="ssri").model_dump()
    file = tmp_path / "design.toml"
    file.write_text(design_toml(form, knowledge))
    first, second, *_ = r_script(read_study(file, knowledge)).splitlines()
    assert "system" in first
    assert first.startswith("#")
    assert second.startswith("# Written")


def test_many_who_ask_at_once_are_answered(tmp_path: Path) -> None:
    """In a process of its own: the library that assembles the model ends a process in which two threads use it."""
    code = """
import threading
from crosstalk.app.server import _alone, _design, _state
from crosstalk.app.requests import DesignRequest
form = DesignRequest(regimen="ssri-infliximab", control="ssri").model_dump()
jobs = [threading.Thread(target=_alone, args=given) for given in [(_state,), (_design, form)] * 10]
[t.start() for t in jobs]
[t.join() for t in jobs]
print(_state()["crosstalk"])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.strip()
