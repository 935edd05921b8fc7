"""SBML that is nested deeper than libSBML or Python bear."""

from __future__ import annotations

import time

import pytest

from crosstalk.engine.sbml import read_sbml
from crosstalk.errors import ModelError

MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'


def model(formula: str, before: str = "", more: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" '
        f'version="2"><model id="m">{before}<listOfParameters><parameter id="A" value="1" constant="false"/>'
        f'</listOfParameters><listOfRules><rateRule variable="A"><math {MATH}>{formula}</math></rateRule>{more}'
        "</listOfRules></model></sbml>"
    )


def nested(n: int) -> str:
    return "<apply><sin/>" * n + "<ci>A</ci>" + "</apply>" * n


def functions(n: int, last: str = "<ci>x</ci>") -> str:
    body = [f"<apply><ci>f{i + 1}</ci><ci>x</ci></apply>" for i in range(n - 1)] + [last]
    made = "".join(
        f'<functionDefinition id="f{i}"><math {MATH}><lambda><bvar><ci>x</ci></bvar>{b}</lambda></math>'
        "</functionDefinition>"
        for i, b in enumerate(body)
    )
    return f"<listOfFunctionDefinitions>{made}</listOfFunctionDefinitions>"


CALL = "<apply><ci>f0</ci><ci>A</ci></apply>"


def test_what_is_nested_as_models_are_is_read() -> None:
    assert read_sbml(model(nested(140))).states == ("A",)
    assert read_sbml(model(CALL, functions(20))).states == ("A",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (model(nested(300)), "more than 150 operations deep"),
        (model(nested(50_000)), "more than 150 operations deep"),
        (model("<notes>" + "<p>" * 9_000 + "</p>" * 9_000 + "</notes>"), "nested more than 180 elements deep"),
        (model(CALL, functions(100)), "in a row of more than 30"),
        (model(CALL, functions(2, CALL.replace("A", "x"))), "call each other in a circle"),
        ('<!DOCTYPE s [<!ENTITY a "b">]>' + model(nested(1)).split("?>")[1], "declares a document type"),
    ],
    ids=["300", "50000", "notes", "functions", "circle", "doctype"],
)
def test_what_is_nested_deeper_is_refused(text: str, words: str) -> None:
    begun = time.process_time()
    with pytest.raises(ModelError, match=words):
        read_sbml(text)
    assert time.process_time() - begun < 3


def test_rules_that_wait_for_each_other_by_the_thousand_are_refused() -> None:
    n = 5000
    rule = '<assignmentRule variable="p{}"><math {}><apply><plus/><cn>1</cn><ci>{}</ci></apply></math></assignmentRule>'
    rules = "".join(rule.format(i, MATH, f"p{i + 1}" if i < n - 1 else "A") for i in range(n))
    text = model("<ci>p0</ci>", more=rules).replace(
        "<listOfParameters>",
        "<listOfParameters>" + "".join(f'<parameter id="p{i}" constant="false"/>' for i in range(n)),
    )
    with pytest.raises(ModelError, match="operations deep"):
        read_sbml(text)
