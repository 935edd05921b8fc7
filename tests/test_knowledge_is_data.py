"""A drug, a study and a change of mechanism are files: no Python changes."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.run import simulate
from crosstalk.study.schema import read_study

DRUG = """
[drug]
id = "examplemab"
name = "examplemab"
class = "antibody against TNF, of an example"
amount_unit = "mg"
concentration_unit = "ug/mL"
routes = ["iv"]
antidepressant = false
note = ""
[pk.clearance]
value = 10.0
unit = "mL/h"
kind = "assumed"
place = "example"
[pk.volume]
value = 4.0
unit = "L"
kind = "assumed"
place = "example"
[[target]]
slot = "tnf_binding"
hill = 1
[target.half]
value = 0.5
unit = "ug/mL"
kind = "assumed"
place = "example"
[usual]
amount = 400.0
unit = "mg"
route = "iv"
weeks = [0.0]
kind = "assumed"
place = "example"
"""
STUDY = """
[study]
id = "example"
role = "design"
duration_weeks = 4
outputs = ["CIC", "TNF_free"]
[population]
diagnosis = "mdd"
[[arm]]
id = "active"
dose = [{ drug = "examplemab", amount = 400, unit = "mg", route = "iv", weeks = [0] }]
[[arm]]
id = "placebo"
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A knowledge base of one's own, to be edited."""
    with_files = Path(str(files("crosstalk.knowledge")))
    target = tmp_path / "knowledge"
    shutil.copytree(with_files, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return target


def test_a_drug_and_a_study_are_files(copy: Path, tmp_path: Path) -> None:
    (copy / "drugs" / "examplemab.toml").write_text(DRUG)
    study = tmp_path / "example.toml"
    study.write_text(STUDY)
    knowledge = load_knowledge(copy)
    run = simulate(read_study(study, knowledge), patients=4, knowledge=knowledge)
    free = {arm: run.courses[arm, "TNF_free"] for arm in ("active", "placebo")}
    assert (free["active"][:, 1:] < 0.5 * free["placebo"][:, 1:]).all()
    assert (run.courses["active", "CIC"][:, -1] < run.courses["placebo", "CIC"][:, -1]).all()


def test_a_published_study_is_found_by_its_id(copy: Path) -> None:
    (copy / "drugs" / "examplemab.toml").write_text(DRUG)
    (copy / "studies" / "example.toml").write_text(STUDY)
    knowledge = load_knowledge(copy)
    assert read_study(copy / "studies" / "example.toml", knowledge).id == "example"


def test_a_mechanism_is_an_antimony_file(copy: Path) -> None:
    before = assemble((), load_knowledge(copy))
    path = copy / "mechanisms" / "innate.ant"
    text = path.read_text()
    old = "CRP' = k_CRP*(CRP0*crp_gain*APR - CRP)"
    assert old in text
    path.write_text(text.replace(old, "CRP' = k_CRP*(CRP0*crp_gain*APR*APR - CRP)"))
    after = assemble((), load_knowledge(copy))
    assert after.sha256 != before.sha256
    found = {}
    for name, model in (("before", before), ("after", after)):
        steady = get_engine().steady_state(Problem(model.sbml, 1, {"fI": np.array([2.0])}))
        values = dict(zip(steady.states, steady.values[0], strict=True))
        found[name] = values["CRP"] / load_knowledge(copy).parameters["CRP0"].value
    assert found["after"] == pytest.approx(found["before"] ** 2, rel=1e-6)
