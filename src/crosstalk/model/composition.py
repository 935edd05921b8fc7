"""The shipped mechanism as SBML, completed by constants, drugs, slots and scales without Antimony.

Antimony reads the mechanism files and is needed only where they are changed: ``mechanism.xml`` is what it makes of
those that ship, with their hash (``scripts/mechanism_sbml.py`` writes it). What the tables add is formulas and numbers,
which libSBML reads itself. A test shows that this gives the same bytes as Antimony does for the whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from crosstalk.errors import ModelError
from crosstalk.provenance import hash_bytes

__all__ = ["FILES", "Row", "compose", "marked", "shipped"]

Row = tuple[str, float | str, str]
"""Left side (``x'`` for a rate, ``x:`` for a rule, ``x`` for a number), right side, id of the unit."""

FILES = {False: "mechanism.xml", True: "mechanism_circadian.xml"}
_MARK = re.compile(r"<!-- mechanism files: ([0-9a-f]{64}) -->")
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*")
_WHOLE = re.compile(r"(?<![\w.])(\d+)\.0+(?![\w.])")  # a whole number written as a decimal one
_UNIT = re.compile(r"\bhas +\w+")


def shipped(mechanism: str, circadian: bool) -> str | None:
    """The SBML that ships, or None where it is of another mechanism than this Antimony text."""
    text = (files("crosstalk.model") / FILES[circadian]).read_text(encoding="utf-8")
    mark = _MARK.search(text)
    return text if mark is not None and mark[1] == hash_bytes(mechanism.encode()) else None


def marked(mechanism: str, sbml: str) -> str:
    """SBML as it ships: with the hash of the Antimony text that it was made of, in the place of the maker's comment."""
    return re.sub(r"<!--.*?-->", f"<!-- mechanism files: {hash_bytes(mechanism.encode())} -->", sbml, count=1)


def compose(mechanism: str, text: str, rows: Sequence[Row]) -> Any:
    """Complete a mechanism.

    Parameters
    ----------
    mechanism : str
        SBML with functions, units and the rules of the mechanism.
    text : str
        The whole model as Antimony would read it, functions and units left out: names keep the order of their first
        mention.
    rows : sequence of Row

    Returns
    -------
    libsbml.SBMLDocument

    Raises
    ------
    ModelError
        If a formula cannot be read.
    """
    import libsbml

    document = libsbml.readSBMLFromString(mechanism)
    model = document.getModel()
    order = {name: i for i, name in enumerate(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", _bare(text))))}
    parameters = {p.getId(): p.clone() for p in _all(model.getListOfParameters())}
    rules = {r.getVariable(): r.clone() for r in _all(model.getListOfRules())}
    initial = {a.getSymbol(): a.clone() for a in _all(model.getListOfInitialAssignments())}
    for left, right, unit in rows:
        name, kind = left.rstrip("':"), left[-1]
        parameter = parameters.setdefault(name, libsbml.Parameter(model.getLevel(), model.getVersion()))
        parameter.setId(name)
        parameter.setUnits(unit)
        parameter.setConstant(kind not in "':")
        if kind == "'":
            parameter.setValue(0.0)
            rules[name] = libsbml.RateRule(model.getLevel(), model.getVersion())
        elif kind == ":":
            rules[name] = libsbml.AssignmentRule(model.getLevel(), model.getVersion())
        else:
            parameter.setValue(float(right))
            continue
        rules[name].setVariable(name)
        rules[name].setMath(_formula(name, str(right)))
    for found, old, add in (
        (parameters, model.getListOfParameters(), model.addParameter),
        (initial, model.getListOfInitialAssignments(), model.addInitialAssignment),
        (rules, model.getListOfRules(), model.addRule),
    ):
        old.clear()
        for name in sorted(found, key=order.__getitem__):
            add(found[name])
    # numbers as they stand in the text
    return libsbml.readSBMLFromString(libsbml.writeSBMLToString(document))


def _formula(name: str, text: str) -> Any:
    import libsbml

    settings = libsbml.L3ParserSettings()
    settings.setParseCollapseMinus(True)
    settings.setParseAvogadroCsymbol(False)
    # as Antimony does
    found = libsbml.parseL3FormulaWithSettings(_WHOLE.sub(r"\1", text), settings)
    if found is None:
        reason = " ".join(libsbml.getLastParseL3Error().split())
        raise ModelError(f"the formula of {name} cannot be read: {text} ({reason})")
    return found


def _bare(text: str) -> str:
    """A model without comments and units."""
    return _UNIT.sub("", _COMMENT.sub("", text))


def _all(elements: Any) -> list[Any]:
    return [elements.get(i) for i in range(elements.size())]
