"""The assembled mechanism: units, exports, knowledge as data, errors that name the file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import crosstalk.knowledge
from crosstalk.engine import Event, Problem, get_engine
from crosstalk.errors import ModelError, UsageError
from crosstalk.extras import MissingExtraError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model import assembly, composition
from crosstalk.model.assembly import assemble, mechanism_sbml, unit_id
from crosstalk.model.export import export_model
from crosstalk.model.qa import check_model, check_positivity, unit_warnings

DRUGS = tuple(load_knowledge().drugs)


def copy_of_knowledge(tmp_path: Path) -> Path:
    root = tmp_path / "knowledge"
    shutil.copytree(
        Path(crosstalk.knowledge.__file__).parent, root, ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    return root


@pytest.mark.parametrize("circadian", [False, True])
def test_the_shipped_sbml_is_that_of_the_mechanism_files(circadian: bool) -> None:
    path = Path(composition.__file__).with_name(composition.FILES[circadian])
    made = mechanism_sbml(circadian=circadian)
    assert path.read_text(encoding="utf-8") == made, "run scripts/mechanism_sbml.py"


@pytest.mark.parametrize("drugs", [(), *((d,) for d in DRUGS), DRUGS[:4], DRUGS])
def test_the_shipped_sbml_completed_is_what_antimony_makes(
    drugs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(text: str) -> str:
        raise AssertionError("Antimony is used")

    for circadian in (False, True):
        monkeypatch.setattr(assembly, "_CACHE", {})
        with monkeypatch.context() as patch:
            patch.setattr(assembly, "_to_sbml", fails)
            without = assemble(drugs, circadian=circadian)
        monkeypatch.setattr(assembly, "_CACHE", {})
        monkeypatch.setattr(assembly, "shipped", lambda mechanism, circadian: None)
        assert assemble(drugs, circadian=circadian) == without
        monkeypatch.undo()


def test_changed_mechanism_files_need_antimony(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copy_of_knowledge(tmp_path)
    with (root / "mechanisms" / "brain.ant").open("a") as file:
        file.write("\n// a word\n")
    monkeypatch.setitem(sys.modules, "antimony", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'crosstalk-mdd\[mechanisms\]'"):
        assemble((), load_knowledge(root))
    # constants are no part of them
    other = copy_of_knowledge(tmp_path / "constants")
    table = other / "parameters.tsv"
    table.write_text(table.read_text().replace("TNF0\tinnate\t2\t", "TNF0\tinnate\t2.5\t"))
    assert assemble((), load_knowledge(other)).constants["TNF0"] == 2.5


def test_libsbml_has_no_warning_for_the_mechanism() -> None:
    assert unit_warnings(assemble()) == ()


@pytest.mark.parametrize("drug", DRUGS)
def test_libsbml_has_no_warning_for_any_drug(drug: str) -> None:
    assert unit_warnings(assemble((drug,))) == ()


def test_a_wrong_unit_is_found(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    table = root / "parameters.tsv"
    table.write_text(table.read_text().replace("TNF0\tinnate\t2\tpg/mL", "TNF0\tinnate\t2\tmg/L"))
    assert unit_warnings(assemble((), load_knowledge(root)))


def test_every_check_of_the_quality_report_passes() -> None:
    findings = {f.check: f for f in check_model()}
    assert {f.check for f in findings.values() if f.grade == "fail"} == set()
    assert {"units", "unused parameters", "positivity", "healthy steady state", "stiffness", "conservation"} <= set(
        findings
    )


def test_order_and_repeats_of_drugs_do_not_matter() -> None:
    first, second = DRUGS[:2]
    assert assemble((first, second)).sha256 == assemble((second, first, second)).sha256


def test_a_slot_without_a_drug_is_neutral() -> None:
    model = assemble()
    for slot in load_knowledge().slots.values():
        assert model.constants[slot.id] == (0.0 if slot.combine == "add" else 1.0)


def test_an_edited_mechanism_needs_no_python(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    file = root / "mechanisms" / "innate.ant"
    file.write_text(file.read_text() + "\nMARKER' = k_CRP*(CRP/CRP0 - MARKER)\nMARKER = 1; MARKER has dimensionless\n")
    model = assemble((), load_knowledge(root))
    assert "MARKER" in model.states
    assert unit_warnings(model) == ()


def test_an_undefined_name_is_named(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    file = root / "mechanisms" / "tcell.ant"
    file.write_text(file.read_text().replace("k_IFNG*", "k_nowhere*"))
    with pytest.raises(ModelError, match="k_nowhere"):
        assemble((), load_knowledge(root))


def test_a_syntax_error_names_the_module(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    file = root / "mechanisms" / "hpa.ant"
    file.write_text(file.read_text().replace("CRH' = k_CRH*(", "CRH' = k_CRH*(("))
    with pytest.raises(ModelError, match="'hpa'"):
        assemble((), load_knowledge(root))


def test_an_unknown_drug_is_refused() -> None:
    with pytest.raises(UsageError, match="nonesuch"):
        assemble(("nonesuch",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("pg/mL", "pg_per_mL"), ("1/h", "per_h"), ("dimensionless", "dimensionless"), ("1/(kg/m^2)", "m2_per_kg")],
)
def test_unit_ids(text: str, expected: str) -> None:
    assert unit_id(text) == expected


def test_positivity_names_who_breaks_it() -> None:
    model = assemble()
    gain = np.array([model.constants["E_CIC_MIC"], 50.0])
    assert check_positivity(model, {"E_CIC_MIC": gain}, n=2).tolist() == [True, False]


def test_the_export_is_valid_sbml_with_sources() -> None:
    import libsbml

    text = export_model("sbml", DRUGS[:3])
    document = libsbml.readSBMLFromString(text)
    assert document.getNumErrors(libsbml.LIBSBML_SEV_ERROR) == 0
    parameter = document.getModel().getParameter("k_CRP")
    assert parameter.getCVTerm(0).getResources().getValue(0) == "https://identifiers.org/doi/10.1172/jci116336"
    assert "half-life of 19 h" in parameter.getNotesString()
    # every constant of the table carries its note
    for name, parameter in load_knowledge().parameters.items():
        if parameter.module == "circadian":
            continue  # an option that is not switched on
        assert document.getModel().getParameter(name).isSetNotes(), name


def test_the_exported_model_gives_the_same_course() -> None:
    times, events = np.linspace(0, 24, 13), (Event(0.0, "LPS", 1.0),)
    inside = get_engine().simulate(Problem(assemble().sbml, 1, {}, times, ("TNF", "CRP"), events=events))
    outside = get_engine().simulate(Problem(export_model("sbml"), 1, {}, times, ("TNF", "CRP"), events=events))
    np.testing.assert_array_equal(inside.values, outside.values)


def test_the_antimony_export_reads_back() -> None:
    import antimony

    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(export_model("antimony")) >= 0
    with pytest.raises(UsageError, match="unknown format"):
        export_model("matlab")
