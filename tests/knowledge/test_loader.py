"""The loader: shipped files load, a file of one's own adds to them, and every breach of a schema is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crosstalk.knowledge
from crosstalk.errors import KnowledgeError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge, normal_name
from crosstalk.knowledge.records import Source
from crosstalk.knowledge.schema import DOI, loinc_is_valid

SHIPPED = Path(crosstalk.knowledge.__file__).parent

DRUG = """
[drug]
id = "examplinib"
name = "Examplinib"
class = "example"
amount_unit = "mg"
concentration_unit = "ug/L"
routes = ["oral", "iv"]
antidepressant = true
note = "made up for this test"
[pk.clearance]
value = 30
unit = "L/h"
log_sd = 0.4
kind = "measured"
doi = "10.1177/0091270005280860"
place = "test"
[pk.volume]
value = 1000
unit = "L"
kind = "assumed"
place = "test"
[pk.absorption_half_life]
value = 1
unit = "h"
kind = "assumed"
place = "test"
[pk.bioavailability]
oral = { value = 0.8, unit = "dimensionless", kind = "assumed", place = "test" }
[[target]]
slot = "sert_block"
hill = 1
half = { value = 2.5, unit = "ug/L", kind = "assumed", place = "test" }
maximum = { value = 0.9, unit = "dimensionless", kind = "assumed", place = "test" }
[[target]]
slot = "tnf_binding"
half = { value = 3, unit = "ug/L", kind = "assumed", place = "test" }
[usual]
amount = 10
unit = "mg"
route = "oral"
every_h = 24
kind = "assumed"
place = "test"
"""
REGIMEN = """
[regimen]
id = "examplinib10"
name = "Examplinib 10 mg a day"
reference = true
[[dose]]
drug = "examplinib"
amount = 10
unit = "mg"
route = "oral"
every_h = 24
stop_week = 12
[[evidence]]
kind = "assumed"
place = "test"
"""
NO_DRUG = '[regimen]\nid = "{id}"\nname = "No drug"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the shipped knowledge with one drug and three regimens of its own."""
    folder = tmp_path / "knowledge"
    shutil.copytree(
        SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "drugs", "regimens", "studies")
    )
    for part in ("drugs", "regimens", "studies"):
        (folder / part).mkdir()
    (folder / "drugs" / "examplinib.toml").write_text(DRUG)
    (folder / "regimens" / "examplinib10.toml").write_text(REGIMEN)
    for id_ in ("placebo", "watchful"):
        (folder / "regimens" / f"{id_}.toml").write_text(NO_DRUG.format(id=id_))
    (folder / "studies" / "example2024.toml").write_text("[study]\n")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there once or more."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def sources(value: object) -> Iterator[Source]:
    """Yield every source record inside a record, a mapping or a tuple."""
    if isinstance(value, Source):
        yield value
    elif is_dataclass(value):
        for entry in fields(value):
            yield from sources(getattr(value, entry.name))
    elif isinstance(value, dict):
        for entry in value.values():
            yield from sources(entry)
    elif isinstance(value, tuple):
        for entry in value:
            yield from sources(entry)


# What ships


def test_shipped_knowledge_loads_and_fits_the_mechanism() -> None:
    knowledge = load_knowledge()
    text = "\n".join(knowledge.mechanisms.values())
    names = set(re.findall(r"^\s*(\w+)'? *:?=", text, flags=re.M))
    assert {"innate", "brain", "symptoms"} <= set(knowledge.mechanisms)
    for score in knowledge.scores.values():
        assert score.output in names
    assert len(knowledge.scores) == 5
    for diagnosis in knowledge.diagnoses.values():
        mechanism = {id_ for id_, entry in diagnosis.distributions.items() if not entry.covariate}
        assert mechanism | set(diagnosis.constants) <= set(knowledge.parameters)
        for id_ in mechanism:
            parameter, entry = knowledge.parameters[id_], diagnosis.distributions[id_]
            assert parameter.lower <= entry.lower < entry.upper <= parameter.upper
            assert parameter.unit == entry.unit
    assert {"healthy", "mdd", "hepatitis-c", "melanoma"} <= set(knowledge.diagnoses)
    assert knowledge.diagnoses["mdd"].severity is not None
    assert "env_level" not in knowledge.diagnoses["mdd"].constants


def test_shipped_correlations_are_possible() -> None:
    import numpy as np

    for diagnosis in load_knowledge().diagnoses.values():
        order = list(diagnosis.distributions)
        matrix = np.eye(len(order))
        for entry in diagnosis.correlations:
            first, second = order.index(entry.first), order.index(entry.second)
            matrix[first, second] = matrix[second, first] = entry.value
        assert np.linalg.eigvalsh(matrix).min() > 0.01


def test_every_number_has_a_source_and_every_doi_a_citation() -> None:
    knowledge = load_knowledge()
    cited = {doi.casefold() for doi in knowledge.references}
    found = [*sources(knowledge)]
    assert len(found) > 300
    missing = set()
    for source in found:
        assert source.doi == "" or DOI.fullmatch(source.doi)
        assert source.kind != "assumed" or source.doi == ""
        assert source.doi or source.place
        if source.doi and source.doi.casefold() not in cited:
            missing.add(source.doi)
    assert missing == set()


def test_import_is_light_and_loading_needs_no_pandas() -> None:
    code = (
        "import sys, crosstalk.knowledge as k; assert 'pydantic' not in sys.modules; "
        "k.load_knowledge(); assert 'pandas' not in sys.modules and 'pint' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Files of one's own


def test_a_drug_and_a_regimen_are_added_by_a_file(root: Path, tmp_path: Path) -> None:
    extra = tmp_path / "mine"
    for part in ("drugs", "regimens", "studies"):
        (extra / part).mkdir(parents=True)
    (extra / "drugs" / "otherol.toml").write_text(DRUG.replace('"examplinib"', '"otherol"'))
    (extra / "regimens" / "otherol-high.toml").write_text(
        REGIMEN.replace("examplinib10", "otherol-high")
        .replace('"examplinib"', '"otherol"')
        .replace("= true", "= false")
    )
    (extra / "studies" / "mine2025.toml").write_text("[study]\n")
    knowledge = load_knowledge(root, [extra])
    assert list(knowledge.drugs) == ["examplinib", "otherol"]
    assert list(knowledge.regimens) == ["examplinib10", "otherol-high", "watchful", "placebo"]
    assert knowledge.regimen("otherol-high").doses[0].drug == "otherol"
    assert knowledge.study_files["mine2025"] == extra / "studies" / "mine2025.toml"
    assert knowledge.sha256 != load_knowledge(root).sha256


def test_a_drug_file_becomes_a_record(root: Path) -> None:
    drug = load_knowledge(root).drug("examplinib")
    assert drug.drug_class == "example"
    assert drug.antidepressant
    assert drug.pk["clearance"].value == 30
    assert drug.pk["clearance"].log_sd == 0.4
    assert drug.pk["clearance"].source == Source("measured", "test", "10.1177/0091270005280860")
    assert drug.bioavailability["oral"].value == 0.8
    assert [target.slot for target in drug.targets] == ["sert_block", "tnf_binding"]
    assert drug.targets[1].maximum is None
    assert drug.usual.drug == "examplinib"
    assert drug.usual.every_h == 24


@pytest.mark.parametrize("part", ["drugs", "regimens", "studies"])
def test_nothing_is_replaced_silently(root: Path, tmp_path: Path, part: str) -> None:
    extra = tmp_path / "mine"
    (extra / part).mkdir(parents=True)
    original = next((root / part).glob("e*.toml"))
    shutil.copy(original, extra / part)
    with pytest.raises(KnowledgeError, match=f"{original.stem}.*already defined"):
        load_knowledge(root, [extra])


def test_an_extra_folder_without_the_three_parts_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no folder drugs, regimens, studies and no analytes\.toml"):
        load_knowledge(root, [tmp_path])


def test_unchanged_files_give_the_same_object_and_edits_a_new_one(root: Path) -> None:
    first = load_knowledge(root)
    assert load_knowledge(root) is first
    edit(root / "drugs" / "examplinib.toml", "value = 30", "value = 31.5")
    second = load_knowledge(root)
    assert second.drug("examplinib").pk["clearance"].value == 31.5
    assert second.sha256 != first.sha256


def test_the_hash_ignores_line_ends_only(root: Path) -> None:
    before = load_knowledge(root).sha256
    path = root / "drugs" / "examplinib.toml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_knowledge(root).sha256 == before
    path.rename(path.with_name("renamed.toml"))
    edit(root / "drugs" / "renamed.toml", 'id = "examplinib"', 'id = "renamed"')
    edit(root / "regimens" / "examplinib10.toml", '"examplinib"', '"renamed"')
    assert load_knowledge(root).sha256 != before


# Breaches, by file: text to replace, replacement, what the message must hold

DRUG_BREACHES = {
    "unknown key": ("[usual]", "[usual]\nfrequency = 2", ["usual.frequency", "unknown key"]),
    "missing key": ('class = "example"\n', "", ["drug.class", "missing"]),
    "text for number": ("value = 30", 'value = "30"', ["pk.clearance.value", "'30'", "number"]),
    "not finite": ("value = 30", "value = inf", ["pk.clearance.value", "finite"]),
    "zero clearance": ("value = 30", "value = 0", ["pk", "clearance is 0"]),
    "assumed with doi": ('kind = "measured"', 'kind = "assumed"', ["pk.clearance", "assumed number has no DOI"]),
    "doi as address": ('"10.1177', '"https://doi.org/10.1177', ["pk.clearance", "bare form"]),
    "no such kind": ('kind = "measured"', 'kind = "guessed"', ["pk.clearance.kind", "guessed", "'measured'"]),
    "file and id differ": ('id = "examplinib"', 'id = "other"', ["drug.id", "'other'", "'examplinib'"]),
    "no volume": ("[pk.volume]", "[pk.vmax]", ["vmax and km belong together"]),
    "no bioavailability": ("oral = {", "nasal = {", ["pk.bioavailability.oral"]),
    "bioavailability above 1": ("value = 0.8", "value = 80", ["bioavailability.oral", "80"]),
    "no absorption": ("absorption_half_life", "effect_half_life", ["'oral'", "absorption_half_life"]),
    "unknown slot": ('"sert_block"', '"sert_blocks"', ["target.0.slot", "'sert_blocks'", "sert_block"]),
    "no maximum": ("maximum = {", "#", ["target.0.maximum", "missing"]),
    "maximum above 1": ("value = 0.9", "value = 1.9", ["target.0.maximum", "1.9"]),
    "maximum where it binds": ('slot = "sert_block"', 'slot = "il6_binding"', ["target.0.maximum", "drop maximum"]),
    "hill of 3": ("hill = 1", "hill = 3", ["target.0.hill", "3"]),
    "state and kinetics": ("antidepressant = true", 'into_state = "LPS"', ["into_state", "drop the table pk"]),
    "usual route": ('route = "oral"', 'route = "sc"', ["usual.route", "'sc'"]),
    "two schedules": ("every_h = 24", "every_h = 24\nweeks = [0]", ["usual", "either weeks"]),
    "weeks out of order": ("every_h = 24", "weeks = [2, 0]", ["usual", "ascending"]),
    "not TOML": ("[usual]", "[usual", ["not valid TOML", "line"]),
}
REGIMEN_BREACHES = {
    "unknown drug": ('drug = "examplinib"', 'drug = "exampline"', ["dose.0.drug", "'exampline'", "examplinib"]),
    "unknown route": ('route = "oral"', 'route = "sc"', ["dose.0.route", "'sc'", "oral"]),
    "no reference": ("reference = true", "reference = false", ["exactly one", "none"]),
    "stop before start": ("stop_week = 12", "start_week = 12\nstop_week = 2", ["dose.0", "stop_week is 2"]),
    "no amount": ("amount = 10\n", "", ["dose.0.amount", "missing"]),
}


def breach(root: Path, file: Path, old: str, new: str, expected: list[str]) -> None:
    """Edit the file and check that the message names the file and holds the expected texts."""
    edit(file, old, new)
    with pytest.raises(KnowledgeError) as caught:
        load_knowledge(root)
    for text in expected:
        assert text in str(caught.value)
    assert file.name in str(caught.value) or "regimens" in str(caught.value)


@pytest.mark.parametrize("case", DRUG_BREACHES)
def test_a_broken_drug_file_is_named(root: Path, case: str) -> None:
    old, new, expected = DRUG_BREACHES[case]
    breach(root, root / "drugs" / "examplinib.toml", old, new, expected)


@pytest.mark.parametrize("case", REGIMEN_BREACHES)
def test_a_broken_regimen_file_is_named(root: Path, case: str) -> None:
    old, new, expected = REGIMEN_BREACHES[case]
    breach(root, root / "regimens" / "examplinib10.toml", old, new, expected)


def test_two_references_are_refused(root: Path) -> None:
    edit(root / "regimens" / "placebo.toml", 'name = "No drug"', 'name = "No drug"\nreference = true')
    with pytest.raises(KnowledgeError, match=r"exactly one.*examplinib10\.toml, .*placebo\.toml"):
        load_knowledge(root)


def test_a_challenge_goes_into_a_state_without_kinetics(root: Path) -> None:
    head, rest = DRUG.split("[pk.clearance]")
    usual = rest[rest.index("[usual]") :]
    text = head.replace('routes = ["oral", "iv"]', 'routes = ["oral"]\ninto_state = "LPS"') + usual
    (root / "drugs" / "examplinib.toml").write_text(text)
    drug = load_knowledge(root).drug("examplinib")
    assert drug.into_state == "LPS"
    assert drug.pk == {}
    assert drug.targets == ()


TABLE_BREACHES = {
    "combination": ("slots.toml", 'combine = "inhibit"', 'combine = "block"', ["sert_block.combine", "'block'"]),
    "check digit": ("analytes.toml", '"26881-3"', '"26881-4"', ["analyte.IL-6", "26881-4", "check digit"]),
    "plausible order": ("analytes.toml", "plausible = [0, 600]", "plausible = [600, 0]", ["hsCRP", "plausible"]),
    "reference order": ("analytes.toml", "median = 0.64", "median = 6.4", ["hsCRP", "p2_5 < median < p97_5"]),
    "reference outside": ("analytes.toml", "plausible = [0, 600]", "plausible = [0, 1]", ["leaves plausible"]),
    "analyte kind": ("analytes.toml", 'kind = "covariate"', 'kind = "score"', [".kind", "'score'"]),
    "alias twice": ("analytes.toml", '"IL6",', '"hs CRP",', ["'hs CRP'", "both hsCRP and IL-6"]),
    "top level": ("analytes.toml", "[analyte.hsCRP]", "[note]\nx = 1\n[analyte.hsCRP]", ["only tables [analyte.<id>]"]),
    "discount grade": ("evidence.toml", "near = 0.15", "near = -1", ["mismatch.indication.near", "-1"]),
    "discount missing": ("evidence.toml", "memory = 0.5", "", ["memory", "missing"]),
    "weights": ("scales.toml", "neurovegetative = 22", "neurovegetative = 21", ["scale.HAMD17", "sum to 51"]),
    "falling equivalents": ("scales.toml", "[7, 5], [17, 13]", "[7, 5], [17, 4]", ["scale.QIDS16", "both must rise"]),
    "short equivalents": ("scales.toml", "[34, 26], [52, 27]]", "[34, 26]]", ["QIDS16", "[52, 27]"]),
    "exchange": ("scales.toml", "exchange = [7, 25]", "exchange = [7, 65]", ["scale.HAMD17", "up to 52"]),
    "no anchor": ("scales.toml", "profile = 0.42\nexchange = [7, 25]\n", "", ["scale.HAMD17", "equivalents"]),
    "response": ("scales.toml", "response_fraction = 0.5", "response_fraction = 50", ["response_fraction", "50"]),
    "score text": ("scores.toml", 'unit = "fold of healthy"', 'unit = ""', ["score.innate_activation.unit"]),
    "no spread": ("population.toml", "spread = 17.8,", "", ["healthy.distribution.age", "needs a spread"]),
    "center outside": ("population.toml", "center = 45.0", "center = 95", ["healthy.distribution.age", "95"]),
    "probability": ("population.toml", "center = 0.497", "center = 49.7", ["distribution.female", "probability"]),
    "shift": ("population.toml", 'family = "normal", center = 45.0', 'family = "normal", shift = 1, center = 45.0',
              ["shift belongs to"]),
    "correlation of 1": ("population.toml", "value = -0.85", "value = -1", ["correlation.0.value", "-1"]),
    "correlation name": ("population.toml", 'second = "height_cm"', 'second = "height"', ["correlation", "'height'"]),
    "parent": ("population.toml", 'inherits = "healthy"', 'inherits = "well"', ["mdd.inherits", "'well'"]),
    "circle": ("population.toml", 'name = "healthy adults"', 'name = "x"\ninherits = "mdd"', ["circle", "mdd"]),
    "scale": ("population.toml", 'scale = "MADRS"', 'scale = "MADRAS"', ["hepatitis-c.scale", "'MADRAS'"]),
    "both": ("population.toml", "constants = { env_level = 0 }", "constants = { age = 50 }", ["'age' is both"]),
    "citation twice": ("references.tsv", "macy1997\t10.1093/clinchem/43.1.52", "macy1997\t10.1101/403642",
                       ["10.1101/403642", "already listed"]),
    "range of nothing": ("ranges.tsv", "\nhsCRP\t", "\nhsCRQ\t", ["line ", "'hsCRQ'", "none of analytes.toml"]),
    "range without a number": ("ranges.tsv", "\t12.39\t", "\tmany\t", ["p97_5", "'many'", "number"]),
    "range out of order": ("ranges.tsv", "\t12.39\t", "\t0.5\t", ["p2_5 < median < p97_5"]),
    "range outside": ("ranges.tsv", "\t12.39\t", "\t1239000\t", ["leaves plausible of 'hsCRP'"]),
    "columns": ("references.tsv", "key\tdoi\tcitation", "key\tdoi", ["line 1", "key, doi, citation"]),
    "cells": ("references.tsv", "macy1997\t", "macy1997 ", ["got 2 cells", "expected 3"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE_BREACHES)
def test_a_broken_table_is_named(root: Path, case: str) -> None:
    name, old, new, expected = TABLE_BREACHES[case]
    breach(root, root / name, old, new, expected)


PARAMETER_ROW = "k_LPS\tinnate\t1.0\t1/h\t0.2\t5\tfixed\tfixed\tmeasured\t10.1113/EP091552\ttable\tloss of endotoxin"
PARAMETER_BREACHES = {
    "number": ("\t1.0\t", "\tone\t", ["value is 'one'"]),
    "outside": ("\t1.0\t", "\t10\t", ["value 10", "0.2 .. 5"]),
    "prior form": ("\tfixed\tfixed", "\tgamma(2)\tpopulation", ["prior is 'gamma(2)'"]),
    "prior SD": ("\tfixed\tfixed", "\tnormal(0)\tpopulation", ["prior is 'normal(0)'"]),
    "role": ("\tfixed\tfixed", "\tfixed\tfree", ["role is 'free'", "population"]),
    "kind": ("\tmeasured\t", "\tseen\t", ["kind is 'seen'", "derived"]),
    "assumed with doi": ("\tmeasured\t", "\tassumed\t", ["kind is assumed but doi"]),
    "measured without source": ("10.1113/EP091552\ttable", "\t", ["measured without doi and place"]),
    "doi": ("10.1113/EP091552", "EP091552", ["doi is 'EP091552'"]),
    "no meaning": ("\tloss of endotoxin", "\t", ["meaning is empty"]),
    "cells": ("\tloss of endotoxin", "", ["got 11 cells", "expected 12"]),
    "twice": ("loss of endotoxin", f"loss of endotoxin\n{PARAMETER_ROW}", ["line 5", "already defined"]),
}


@pytest.fixture
def small(root: Path) -> Path:
    """Return the copy with a table of a single parameter after a comment."""
    header = (root / "parameters.tsv").read_text().splitlines()[0]
    (root / "parameters.tsv").write_text(f"{header}\n# a comment\n\n{PARAMETER_ROW}\n")
    return root


def test_a_row_becomes_a_parameter(small: Path) -> None:
    knowledge = load_knowledge(small)
    parameter = knowledge.parameters["k_LPS"]
    assert list(knowledge.parameters) == ["k_LPS"]
    assert (parameter.value, parameter.lower, parameter.upper) == (1.0, 0.2, 5.0)
    assert parameter.source == Source("measured", "table", "10.1113/EP091552")


@pytest.mark.parametrize("case", PARAMETER_BREACHES)
def test_a_broken_parameter_is_named_with_its_line(small: Path, case: str) -> None:
    old, new, expected = PARAMETER_BREACHES[case]
    edit(small / "parameters.tsv", old, new)
    with pytest.raises(KnowledgeError) as caught:
        load_knowledge(small)
    for text in ["parameters.tsv", "line", *expected]:
        assert text in str(caught.value)


def test_a_lognormal_prior_needs_a_positive_value(small: Path) -> None:
    edit(small / "parameters.tsv", "\t1.0\t1/h\t0.2\t5\tfixed\tfixed", "\t0\t1/h\t0\t5\tlognormal(0.4)\tpopulation")
    with pytest.raises(KnowledgeError, match="lognormal and value 0"):
        load_knowledge(small)


@pytest.mark.parametrize("name", ["parameters.tsv", "slots.toml", "analytes.toml", "population.toml", "scores.toml"])
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(KnowledgeError, match=rf"{re.escape(name)}: no such file"):
        load_knowledge(root)


def test_missing_mechanisms_are_named(root: Path) -> None:
    shutil.rmtree(root / "mechanisms")
    with pytest.raises(KnowledgeError, match="no Antimony files"):
        load_knowledge(root)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no such folder"):
        load_knowledge(tmp_path / "nowhere")


# Inheritance and look-ups


def test_a_population_inherits_what_it_does_not_define(root: Path) -> None:
    (root / "population.toml").write_text(
        """
[diagnosis.child]
name = "child"
inherits = "parent"
constants = { b = 2 }
[diagnosis.child.distribution]
a = { family = "uniform", lower = 0, upper = 1, kind = "assumed", place = "test" }
[[diagnosis.child.correlation]]
first = "c"
second = "a"
value = 0.5
kind = "assumed"
place = "test"
[diagnosis.parent]
name = "parent"
scale = "PHQ9"
constants = { a = 7, d = 1 }
[diagnosis.parent.distribution]
b = { family = "normal", center = 0, spread = 1, lower = -9, upper = 9, kind = "assumed", place = "test" }
c = { family = "lognormal", center = 1, spread = 1, lower = 0, upper = 9, kind = "assumed", place = "test" }
[diagnosis.parent.severity]
family = "normal"
center = 15
spread = 3
lower = 10
upper = 27
kind = "assumed"
place = "test"
"""
    )
    child = load_knowledge(root).diagnosis("child")
    assert set(child.distributions) == {"a", "c"}
    assert child.constants == {"b": 2.0, "d": 1.0}
    assert child.scale == "PHQ9"
    assert child.severity is not None
    assert child.severity.center == 15
    assert [(entry.first, entry.value) for entry in child.correlations] == [("c", 0.5)]


@pytest.mark.parametrize(
    ("look_up", "name", "nearest"),
    [
        (Knowledge.analyte, "hscrpp", "hsCRP"),
        (Knowledge.scale, "HAMD71", "HAMD17"),
        (Knowledge.diagnosis, "healty", "healthy"),
        (Knowledge.drug, "exampelinib", "examplinib"),
        (Knowledge.regimen, "placbo", "placebo"),
    ],
)
def test_an_unknown_name_gets_the_nearest(root: Path, look_up: object, name: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*did you mean.*{nearest}"):
        look_up(load_knowledge(root), name)  # type: ignore[operator]


def test_a_name_like_no_other_gets_the_list(root: Path) -> None:
    with pytest.raises(UsageError, match="known are: examplinib"):
        load_knowledge(root).drug("zzz")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("CRP", "hsCRP"),
        ("hs-crp", "hsCRP"),
        ("30522-7", "hsCRP"),
        ("tnf-α", "TNF"),
        ("il 6", "IL-6"),
        ("phq-9", "PHQ9"),
    ],
)
def test_aliases_are_found_in_any_spelling(name: str, id_: str) -> None:
    assert load_knowledge().analyte(name).id == id_


def test_a_scale_is_found_by_alias_and_an_analyte_is_no_scale() -> None:
    knowledge = load_knowledge()
    assert knowledge.scale("HAM-D").id == "HAMD17"
    assert knowledge.analytes["HAMD17"].kind == "scale"
    with pytest.raises(UsageError, match="unknown scale 'hsCRP'"):
        knowledge.scale("hsCRP")


@given(st.text(alphabet="abcXYZ059 -_/", max_size=12))
@settings(max_examples=50, deadline=None)
def test_normal_names_ignore_case_and_separators(text: str) -> None:
    normal = normal_name(text)
    assert normal_name(text.upper()) == normal
    assert normal_name(f" {text}-".replace(" ", "_")) == normal
    assert normal_name(normal) == normal


@given(st.integers(1, 9_999_999))
@settings(max_examples=50, deadline=None)
def test_exactly_one_check_digit_is_valid(number: int) -> None:
    assert sum(loinc_is_valid(f"{number}-{digit}") for digit in range(10)) == 1
