"""The documentation: its links, page lists, commands, keys and quoted outputs agree with the code."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from equations import equations
from pydantic import TypeAdapter

import crosstalk
from crosstalk.engine import Status
from crosstalk.knowledge import load_knowledge
from crosstalk.knowledge.people_schema import AnalyteTable, DiagnosisTable, DistributionTable, ScoreTable
from crosstalk.knowledge.scales import ScaleTable
from crosstalk.knowledge.schema import DrugFile
from crosstalk.knowledge.separated import PARAMETER_COLUMNS
from crosstalk.panel.vocabulary import roles
from crosstalk.study.records import Endpoint
from crosstalk.study.tables import ALLOWED
from crosstalk.twin.records import Forecast

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check = script("check")
PAGES, TEXTS, FENCE, named = check.PAGES, check.TEXTS, check.FENCE, check.named


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_links_pictures_and_commands_lead_somewhere(path: Path) -> None:
    assert [*check.links(path), *check.pictures(path), *check.commands(path)] == []


def test_every_page_is_in_exactly_one_toctree_and_every_picture_is_shown() -> None:
    assert [*check.lists(), *check.unused_pictures()] == []


@pytest.mark.parametrize("words", ["crosstalk divine panel.csv", "crosstalk model chek", "crosstalk assess x --jsn y"])
def test_a_wrong_command_would_be_found(words: str) -> None:
    assert check.wrong_command(words.split()).startswith("unknown")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a](nowhere.md)", "links to nowhere.md"),
        ("[a](#nothing)", "links to #nothing"),
        ("![a picture of it](nowhere.png)", "shows nowhere.png"),
        ("![it](../check.py)", "says 'it'"),
        ("```console\n$ crosstalk divine\n```", "unknown verb divine"),
        ("```sh\nrm -rf .\n```", "rm is no command"),
        ("```{literalinclude} nowhere.txt\n```", "includes nowhere.txt"),
    ],
)
def test_what_is_wrong_with_a_page_would_be_found(text: str, words: str, tmp_path: Path) -> None:
    made = tmp_path / "page.md"
    made.write_text(text + "\n")
    found = []
    for one in (check.links, check.pictures, check.commands):
        found += list(one(made))
    assert any(words in line for line in found), found


def in_code(page: str) -> set[str]:
    """Everything that a page sets in code, split at spaces, dots and brackets too."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", (DOCS / page).read_text(encoding="utf-8") + "\n"))
    return {*spans, *(word for span in spans for word in re.split(r"[^\w-]+", span))}


def test_every_key_of_a_study_file_is_explained() -> None:
    keys = {key for keys in ALLOWED.values() for key in keys} - {"study", "population", "arm", "result"}
    explained = in_code("studies.md") | in_code("trials.md")
    assert keys | set(get_args(Endpoint)) <= explained | {"mean", "sd", "analyte"}
    assert {"mean", "sd", "analyte"} <= in_code("studies.md")


def fields(schema: dict[str, Any]) -> set[str]:
    return {name for part in [schema, *schema["$defs"].values()] for name in part["properties"]}


def test_every_field_of_a_forecast_is_explained() -> None:
    assert fields(TypeAdapter(Forecast).json_schema(mode="serialization")) <= in_code("forecast.md")


def keys_of(model: Any) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()} - {"place", "doi"}


def test_every_key_of_the_knowledge_files_is_explained() -> None:
    said = in_code("knowledge.md")
    for model in (AnalyteTable, DiagnosisTable, DistributionTable, ScaleTable, ScoreTable):
        assert keys_of(model) <= said, model.__name__
    drug = DrugFile.model_json_schema()["$defs"]
    assert {key for part in drug.values() for key in part["properties"]} <= said
    assert set(PARAMETER_COLUMNS) <= said
    assert {f.name for f in load_knowledge().root.iterdir() if f.suffix in {".toml", ".tsv"}} <= said


def test_every_column_of_a_panel_is_explained() -> None:
    assert {next(name for name in names) for names in roles().values()} <= in_code("panels.md")


def test_every_status_of_the_engine_is_explained() -> None:
    assert {status.name for status in Status} - {"OK"} <= in_code("architecture.md")


def test_the_equations_are_those_of_the_model() -> None:
    text = (DOCS / "model.md").read_text(encoding="utf-8")
    assert script("make_equations").render(text, load_knowledge()) == text, (
        "run python docs/make_equations.py and look at the change"
    )


def regions_of_the_model() -> dict[str, str]:
    """What the script writes into model.md, by region."""
    text = (DOCS / "model.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- equations: (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert len(found) == len(dict(found)), "a region stands twice"
    return dict(found)


def test_every_equation_and_every_constant_of_the_model_is_shown_once() -> None:
    regions = regions_of_the_model()
    assert set(load_knowledge().mechanisms) - {"units"} <= set(regions)
    for e in equations():
        heads = [name for name, body in regions.items() for _ in re.findall(rf"^`{e.variable}`: ", body, re.MULTILINE)]
        assert heads == [e.module], e.variable
        assert f"`{e.variable}`: {e.meaning} [{e.unit}]" in regions[e.module]
        assert f"\n{e.latex}\n" in regions[e.module], e.variable
    for p in load_knowledge().parameters.values():
        rows = [(name, row) for name, body in regions.items() for row in body.splitlines() if f" `{p.id}` | " in row]
        assert [name for name, _ in rows] == [p.module], p.id
        cells = rows[0][1].strip("| ").split(" | ")
        assert cells[1:7] == [p.meaning, f"{p.value:.6g}", p.unit, p.prior, p.role, p.source.kind]
        assert f"](https://doi.org/{p.source.doi})" in cells[7] or not p.source.doi, p.id


def test_every_paper_that_the_model_page_links_to_is_cited_at_its_end() -> None:
    regions = regions_of_the_model()
    linked = {
        doi for name, body in regions.items() for doi in re.findall(r"\[(10\.[^]]+)\]\(", body) if name != "sources"
    }
    assert linked
    assert linked == set(re.findall(r"\[(10\.[^]]+)\]\(", regions["sources"]))
    assert {p.source.doi for p in load_knowledge().parameters.values() if p.source.doi} <= linked


def test_formulas_become_valid_mathml() -> None:
    converter = pytest.importorskip("docutils.utils.math.latex2mathml")
    text = (DOCS / "model.md").read_text(encoding="utf-8")
    formulas = [
        *re.findall(r"^```math\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE),
        *re.findall(r"\$([^$\n]+)\$", text),
    ]
    assert len(formulas) > len(equations())
    children = {"mfrac": {2}, "msub": {2}, "msup": {2}, "msubsup": {3}}
    for formula in formulas:
        mathml = converter.tex2mathml(formula, as_block=True).replace("&ApplyFunction;", "")
        for node in ElementTree.fromstring(mathml).iter():
            tag = node.tag.rpartition("}")[2]
            assert len(node) in children.get(tag, {len(node)}), formula
            if tag == "mtable":
                assert len(node) == formula.count("\\\\\n") + 1, formula
            if tag == "mtr":
                assert {child.tag.rpartition("}")[2] for child in node} == {"mtd"}, formula


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_modules_named_in_code_exist(page: Path) -> None:
    source = ROOT / "src" / "crosstalk"
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8") + "\n")):
        package, dot, module = span.partition(".")
        is_module = package and dot and re.fullmatch(r"[a-z_]+", module) and module not in {"toml", "py"}
        if is_module and (source / package / "__init__.py").is_file():
            assert (source / package / f"{module}.py").is_file(), f"{named(page)} names {span}"
        if re.fullmatch(r"\w+/\w+\.py", span) and (source / package.split("/")[0]).is_dir():
            assert (source / span).is_file(), f"{named(page)} names {span}"


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))
    for name in set(crosstalk.__all__) - {"__version__"}:
        assert f":: crosstalk.{name}\n" in text, name


def test_the_sample_files_load() -> None:
    found = load_knowledge(extra=[DOCS / "samples" / "knowledge"])
    regimen = found.regimen("ssri-example-anti-tnf")
    assert [dose.drug for dose in regimen.doses] == ["escitalopram", "example-anti-tnf"]


def outputs() -> ModuleType:
    return script("make_outputs")


def test_every_quoted_output_has_one_command() -> None:
    names = [block.name for block in outputs().quoted()]
    assert sorted(names) == sorted(p.stem for p in (DOCS / "output").glob("*.txt"))


# what is quick and exact; the others hold simulated numbers
EXACT = ("help", "regimens", "drugs", "drug", "analyte", "bad_panel", "extra")


@pytest.mark.parametrize("name", [*EXACT, "evidence_list", "evidence_check", "evidence_pool"])
def test_quoted_outputs_are_what_the_commands_print(name: str, tmp_path: Path) -> None:
    make = outputs()
    block = next(b for b in make.quoted() if b.name == name)
    kept = (DOCS / "output" / f"{name}.txt").read_text(encoding="utf-8")
    assert make.run(block, make.working_copy(tmp_path)) == kept, (
        "run python docs/make_outputs.py and look at the change"
    )


def test_the_readme_counts_what_there_is() -> None:
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.model.assembly import assemble

    knowledge = load_knowledge()
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    kinds = [p.source.kind for p in knowledge.parameters.values()]
    laboratory = [a for a in knowledge.analytes.values() if a.kind == "laboratory"]
    for phrase in (
        f"{len(assemble().states)} states",
        f"{len(kinds)} constants",
        f"{kinds.count('assumed')} are assumed",
        f"{kinds.count('fitted')} fitted",
        f"{len(knowledge.drugs)} drugs",
        f"{len(knowledge.regimens)} regimens",
        f"{len(knowledge.study_files)} published studies",
        f"{len(laboratory)} laboratory analytes",
    ):
        assert phrase in text, phrase
