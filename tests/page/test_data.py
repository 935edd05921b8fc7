"""The page's data: what it holds, and how near its forecasts are to full ones."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.errors import ApplicabilityError, KnowledgeError, OutputError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.page import export
from crosstalk.page.accuracy import PANELS, Accuracy, accuracy
from crosstalk.page.data import PageData, library_of
from crosstalk.page.export import page_html
from crosstalk.page.forecast import page_forecast
from crosstalk.page.mechanism import mechanism_map
from crosstalk.panel.records import Measurement, Panel
from crosstalk.units import convert


def test_near_the_full_forecast(data: PageData, knowledge: Knowledge) -> None:
    engine = get_engine(jobs=1)
    try:
        found = accuracy(data, knowledge, engine)
    finally:
        engine.close()
    # rounding, seen through the few of a small population; far below the Monte-Carlo error of some tenths
    assert found.change < 0.15
    assert found.versus < 0.1
    assert found.response < 0.01
    assert found.panels == len(PANELS)
    assert f"{found.change:.2f} points" in found.words()


def test_too_few_to_compare_is_said() -> None:
    assert Accuracy(0, 0.0, 0.0, 0.0).words().startswith("Not compared")


def test_rounding_is_small(data: PageData) -> None:
    assert data.errors["courses"] < 0.1  # points of the anchor
    assert data.errors["logs"] < 0.03
    assert data.errors["recorded"] == 0


def test_the_library_is_that_of_the_population(data: PageData, knowledge: Knowledge) -> None:
    library = library_of(data, knowledge)
    assert len(library.population) == data.header["virtualPatients"] - len(data.header["leftOut"])
    assert set(np.unique(library.population.covariates["female"])) == {0.0, 1.0}
    assert np.all(library.population.world == library.population.index % data.header["worlds"])


def test_header_is_json_without_nan(data: PageData) -> None:
    assert json.loads(json.dumps(data.header, allow_nan=False)) == json.loads(json.dumps(data.header))


def test_units_convert_as_the_reader_does(data: PageData, knowledge: Knowledge) -> None:
    for entry in data.header["analytes"]:
        analyte = knowledge.analytes[entry["id"]]
        assert next(iter(entry["units"])) == analyte.unit
        for unit, factor in entry["units"].items():
            own = convert(3.0, unit, analyte.unit, molar_mass=analyte.molar_mass, factors=analyte.units_by_rule)
            assert own == pytest.approx(3.0 * factor, rel=1e-9)


def test_every_figure_of_the_map_has_its_source(data: PageData, knowledge: Knowledge) -> None:
    drawn = mechanism_map(knowledge)
    constants = data.header["map"]["constants"]
    for edge in drawn.edges:
        assert constants[edge.constant]["place"] == knowledge.parameters[edge.constant].source.place
    assert all(node.meaning for node in drawn.nodes)
    # 1 in health where the unit is a fold of it
    assert all(node.healthy > 0 for node in drawn.simulated)


def test_map_of_unknown_names_is_refused(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    import crosstalk.page.mechanism as module

    table = {"node": [{"id": "a", "label": "A", "x": 1, "y": 1, "variable": "nothing"}], "edge": [], "group": []}
    monkeypatch.setattr(module.tomllib, "loads", lambda _: table)
    with pytest.raises(KnowledgeError, match="nothing: no variable of the model"):
        mechanism_map(knowledge)


def test_no_drug_leaves_the_map_nearly_as_it_is_and_a_drug_moves_its_target(data: PageData) -> None:
    nodes = [n["id"] for n in data.header["map"]["nodes"] if n["variable"]]
    response = data.tables()["response"].reshape(-1, len(data.header["regimens"]), len(nodes)).mean(axis=0)
    row = {r["id"]: i for i, r in enumerate(data.header["regimens"])}
    tnf = nodes.index("tnf")
    assert response[row["ssri-infliximab"], tnf] < response[row["ssri"], tnf] - 0.2
    assert response[row["ssri"], nodes.index("serotonin")] > response[row["placebo"], nodes.index("serotonin")] + 0.1


def test_too_few_alike_is_refused(data: PageData, knowledge: Knowledge) -> None:
    panel = Panel("A", {"hsCRP": Measurement("hsCRP", 500.0), "Treg": Measurement("Treg", 1.0)})
    with pytest.raises(ApplicabilityError, match=r"patient A: .*fewer than 5"):
        page_forecast(panel, data, knowledge)


def test_the_page_is_one_file_without_addresses_to_load(data: PageData) -> None:
    text = page_html(data)
    assert not re.search(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(?!data:)", text)
    script = text.split('<script type="module">')[1].split("</script>")[0]
    assert not re.search(r"^(?:import|export) ", script, re.MULTILINE)
    assert "default-src 'none'" in text
    assert text.count("</script>") == 3
    assert not re.search(r"\$[a-z_]+\b", text.split('<script type="application/json"')[0])


def test_a_page_too_large_is_refused(data: PageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST", 1000)
    with pytest.raises(OutputError, match="more than 1,000"):
        page_html(data)


def test_every_module_is_in_the_page() -> None:
    assert sorted(export.MODULES) == sorted(p.stem for p in export.STATIC.glob("*.js"))
