"""Tables, dicts, folders of knowledge and names of engines in place of files and objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crosstalk
from crosstalk.api.inputs import engine_of, knowledge_of
from crosstalk.errors import KnowledgeError, PanelError, StudyError, UsageError
from crosstalk.knowledge.loader import VARIABLE, load_knowledge

EXTENSION = Path(__file__).parents[2] / "examples" / "extension" / "src" / "crosstalk_example" / "knowledge"
ROW = {"patient": "A", "hsCRP [mg/L]": 5.2, "IL-6 [pg/mL]": "<0.4", "HAMD17": 22}


def test_a_file_a_frame_a_dict_and_the_object_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    path.write_text("patient,hsCRP [mg/L],IL-6 [pg/mL],HAMD17\nA,5.2,<0.4,22\n")
    frames = [
        crosstalk.read_panel(source).to_frame()
        for source in (path, str(path), ROW, [ROW], pd.DataFrame([ROW]), {k: [v] for k, v in ROW.items()})
    ]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])
    file = crosstalk.read_panel(path)
    assert crosstalk.read_panel(file) is file
    assert crosstalk.read_panel(file.panels[0]).panels == file.panels


def test_a_named_index_is_a_column() -> None:
    frame = pd.DataFrame([ROW]).set_index("patient")
    assert crosstalk.read_panel(frame).panels[0].patient == "A"


def test_a_resource_of_fhir_is_a_dict() -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "30522-7"}]}
    observation = {
        "resourceType": "Observation", "id": "a", "status": "final", "code": code,
        "subject": {"reference": "Patient/A"},
        "valueQuantity": {"value": 5.2, "unit": "mg/L", "system": "http://unitsofmeasure.org", "code": "mg/L"},
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation}]}
    file = crosstalk.read_panel(json.loads(json.dumps(bundle)))
    assert file.panels[0].measurements["hsCRP"].value == 5.2


@given(st.floats(0.01, 200.0))
def test_a_number_of_a_frame_is_read_as_it_is(value: float) -> None:
    file = crosstalk.read_panel(pd.DataFrame({"patient": ["A"], "hsCRP [mg/L]": [value]}))
    assert file.panels[0].measurements["hsCRP"].value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("value", [1.234, 12.5, 0.125, np.float32(1.5), np.int64(3), 100.125])
def test_no_number_is_taken_for_thousands(value: float) -> None:
    file = crosstalk.read_panel({"patient": "A", "hsCRP [mg/L]": value})
    assert file.panels[0].measurements["hsCRP"].value == pytest.approx(float(value))


def test_missing_values_of_a_frame_are_missing() -> None:
    frame = pd.DataFrame({"patient": ["A", "B"], "hsCRP [mg/L]": [1.5, None], "HAMD17": [pd.NA, 20]})
    file = crosstalk.read_panel(frame)
    assert [set(p.measurements) for p in file.panels] == [{"hsCRP"}, {"HAMD17"}]


def test_messages_and_results_name_the_table_and_no_temporary_file() -> None:
    with pytest.raises(PanelError, match=r"^DataFrame, line 2, patient A, hsCRP: received 'many'"):
        crosstalk.read_panel(pd.DataFrame({"patient": ["A"], "hsCRP [mg/L]": ["many"]}))
    file = crosstalk.read_panel({**ROW, "colour": "red"})
    assert file.path == "dict"
    assert file.warnings
    assert all("dict" in w and "tmp" not in w for w in file.warnings)
    cohort = crosstalk.read_cohort(
        {"patient": ["A", "B"], "age [a]": [40, 50], "responder": [1, 0]}, outcome="responder"
    )
    assert cohort.path == "dict"


@pytest.mark.parametrize("source", [3, [], [3], None])
def test_what_is_no_table_is_refused_with_what_is(source: object) -> None:
    with pytest.raises(UsageError, match="expected a path, a DataFrame, a dict"):
        crosstalk.read_panel(source)  # type: ignore[arg-type]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="make no table"):
        crosstalk.read_panel({"patient": ["A", "B"], "hsCRP [mg/L]": [1.0]})


def test_a_study_is_a_file_an_id_a_dict_or_a_study() -> None:
    study = crosstalk.read_study("raison2013")
    assert crosstalk.read_study(study) is study
    tables = {
        "study": {"id": "own", "role": "design", "duration_weeks": 4, "outputs": ["HAMD17"]},
        "population": {"diagnosis": "mdd"},
        "arm": [{"id": "placebo"}],
    }
    assert crosstalk.read_study(tables).id == "own"
    with pytest.raises(StudyError, match=r"dict: arms: unknown key; did you mean arm\?"):
        crosstalk.read_study({**tables, "arms": []})
    with pytest.raises(UsageError, match="expected a study file, the id of a study"):
        crosstalk.read_study(3)  # type: ignore[arg-type]


def test_a_folder_adds_to_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    known = knowledge_of(EXTENSION)
    assert known.drug("example-anti-il6").id == "example-anti-il6"
    assert known.analyte("glycoprotein acetylation").id == "GlycA"
    assert set(load_knowledge().drugs) < set(known.drugs)
    assert known.sha256 != load_knowledge().sha256
    assert knowledge_of(known) is known
    monkeypatch.setenv(VARIABLE, str(EXTENSION))
    assert load_knowledge() is known
    assert knowledge_of([EXTENSION]) is known, "a folder that is named twice counts once"
    with pytest.raises(KnowledgeError, match="no such folder"):
        knowledge_of(EXTENSION / "nowhere")


def test_an_analyte_that_is_known_is_not_replaced(tmp_path: Path) -> None:
    text = (EXTENSION / "analytes.toml").read_text(encoding="utf-8")
    (tmp_path / "analytes.toml").write_text(text.replace("analyte.GlycA", "analyte.hsCRP"))
    with pytest.raises(KnowledgeError, match=r"analyte\.hsCRP: is also an analyte that is known"):
        load_knowledge(extra=[tmp_path])
    (tmp_path / "analytes.toml").write_text(text.replace("glycoprotein acetylation", "hs-CRP"))
    with pytest.raises(KnowledgeError, match="is given to both hsCRP and GlycA"):
        load_knowledge(extra=[tmp_path])


def test_an_analyte_of_ones_own_is_read() -> None:
    file = crosstalk.read_panel({"patient": "A", "GlycA [umol/L]": 410}, knowledge=EXTENSION)
    assert file.panels[0].measurements["GlycA"].value == 410
    with pytest.raises(PanelError):
        crosstalk.read_panel({"patient": "A", "analyte": "GlycA", "value": 410, "unit": "umol/L"})


def test_an_unknown_engine_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="fast"), engine_of("slow"):
        pass
