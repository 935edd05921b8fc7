"""JSON of the results: keeps its published schema, holds what was promised, no NaN."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crosstalk.errors import UsageError
from crosstalk.report.documents import Simulation, dump, json_schema
from crosstalk.twin.records import Assessment, Forecast


def check(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "$") -> None:
    """Check a value against the part of JSON schema that the results use."""
    if "$ref" in schema:
        check(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
        return
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            try:
                check(value, option, root, where)
            except AssertionError:
                continue
            return
        raise AssertionError(f"{where}: {value!r} fits no option")
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if "const" in schema:
        assert value == schema["const"], (where, value)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if isinstance(kind, list):
        check(value, {"anyOf": [{**schema, "type": k} for k in kind]}, root, where)
        return
    if kind == "number":
        assert isinstance(value, (int, float)), (where, value)
    elif kind == "integer":
        assert isinstance(value, int), (where, value)
    elif kind in kinds:
        assert isinstance(value, kinds[kind]), (where, value)
    if kind == "object":
        properties = schema.get("properties", {})
        assert set(schema.get("required", ())) <= set(value), (where, set(schema["required"]) - set(value))
        more = schema.get("additionalProperties", False)
        assert more or set(value) <= set(properties), (where, set(value) - set(properties))
        for key, item in value.items():
            check(item, properties.get(key, more), root, f"{where}.{key}")
    if kind == "array" and "items" in schema:
        for i, item in enumerate(value):
            check(item, schema["items"], root, f"{where}[{i}]")


def test_every_result_keeps_its_schema(forecasted: Forecast, assessed: Assessment, simulated: Simulation) -> None:
    for name, result in (("forecast", forecasted), ("assess", assessed), ("simulate", simulated)):
        schema = json_schema(name)
        check(json.loads(dump(result)), schema, schema)


def test_the_schema_refuses_what_is_wrong(forecasted: Forecast) -> None:
    schema = json_schema("forecast")
    content = json.loads(dump(forecasted))
    content["seed"] = "one"
    with pytest.raises(AssertionError):
        check(content, schema, schema)


def test_a_forecast_holds_what_was_promised(forecasted: Forecast) -> None:
    content = json.loads(dump(forecasted))
    for key in ("patient", "seed", "profile", "mechanisms", "applicability", "regimens", "next_assay", "provenance"):
        assert key in content
    assert len(content["mechanisms"]) == 5
    for regimen in content["regimens"]:
        assert {"id", "trajectory", "change", "response", "remission", "versus_reference", "p_best"} <= set(regimen)
        assert {"scale", "week", "mean", "lo90", "hi90"} <= set(regimen["change"])
        for key in ("response", "remission"):
            chance = regimen[key]
            assert 0 <= chance["lo90"] <= chance["mean"] <= chance["hi90"] <= 1
        for key in ("change", "versus_reference"):
            assert regimen[key]["lo90"] <= regimen[key]["mean"] <= regimen[key]["hi90"]
    assert {"analyte", "variance_reduction"} <= set(content["next_assay"][0])
    assert sum(r["p_best"] for r in content["regimens"]) == pytest.approx(1, abs=1e-4)


def test_an_assessment_is_the_first_part_of_a_forecast(assessed: Assessment) -> None:
    content = json.loads(dump(assessed))
    assert list(content)[:5] == ["patient", "seed", "profile", "mechanisms", "applicability"]


def test_no_number_is_nan_and_bytes_repeat(forecasted: Forecast, simulated: Simulation) -> None:
    for result in (forecasted, simulated):
        text = dump(result)
        json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert dump(result) == text


def test_an_unknown_schema_is_named() -> None:
    with pytest.raises(UsageError, match="assess, forecast, forecasts, simulate"):
        json_schema("nothing")
