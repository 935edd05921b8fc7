"""A model from a file or text: SBML as it is, Antimony translated; and inputs added to it for infusions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosstalk.engine.document import read_model
from crosstalk.errors import ModelError, UsageError
from crosstalk.limits import DOCUMENT

__all__ = ["add_inputs", "open_model"]


_OF_TEXT = "\n;="
_OF_XML = (".xml", ".sbml")
# how an XML file says in what it is written
_ENCODING = re.compile(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")


def open_model(source: Path | str) -> str:
    """SBML text of a model.

    Parameters
    ----------
    source : Path or str
        A file, or the text itself (which begins with ``<`` or holds ``;``, ``=`` or a line end); SBML or Antimony.

    Raises
    ------
    UsageError
        If there is no such file.
    ModelError
        If it is neither.
    """
    name, text = "the model", str(source)
    if isinstance(source, Path) or not (source.lstrip().startswith("<") or any(c in source for c in _OF_TEXT)):
        path = Path(source)
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file; expected a model in SBML or Antimony")
        if path.stat().st_size > DOCUMENT:
            raise UsageError(f"{path}: is larger than {DOCUMENT / 1e6:g} MB")
        content = path.read_bytes()
        stated = _ENCODING.match(content[:200])
        encoding = stated[1].decode("ascii") if stated else "utf-8"
        try:
            name, text = str(path), content.decode("utf-8-sig" if encoding.lower() == "utf-8" else encoding)
        except (UnicodeDecodeError, LookupError):
            raise ModelError(f"{path}: is no text in {encoding}; expected a model in SBML or Antimony") from None
    if "\0" in text:
        raise ModelError(f"{name}: is no text; expected a model in SBML or Antimony")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return text
    if name.lower().endswith(_OF_XML):
        raise ModelError(
            f"{name}: is no XML; expected a model in SBML, which begins with '<', or Antimony in a file .ant"
        )
    return _from_antimony(name, text)


def _from_antimony(name: str, text: str) -> str:
    import antimony

    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(text) < 0:
        raise ModelError(f"{name}: is no valid Antimony: {str(antimony.getLastError()).strip()}")
    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def add_inputs(sbml: str, targets: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Give species and other states an input rate, a parameter that is 0 until something sets it.

    Parameters
    ----------
    sbml : str
    targets : sequence of str
        Species that reactions or a rate rule may change, or parameters with a rate rule.

    Returns
    -------
    str
        The model with inputs, in amount per time for a species.
    dict of str to str
        Parameter of each target.

    Raises
    ------
    ModelError
        If a target cannot take an input.
    """
    import libsbml

    document = read_model(sbml)
    model = document.getModel()
    found = {}
    for target in targets:
        name = f"input_{target}"
        while model.getElementBySId(name) is not None:
            name += "_"
        parameter = model.createParameter()
        parameter.setId(name)
        parameter.setConstant(False)
        parameter.setValue(0.0)
        _enter(model, target, name)
        found[target] = name
    return str(libsbml.writeSBMLToString(document)), found


def _enter(model: Any, target: str, name: str) -> None:
    """Add an input to the rate of a target."""
    import libsbml

    species, rule = model.getSpecies(target), model.getRateRule(target)
    if rule is not None:
        share = name
        if species is not None and not _is_amount(model, species):
            share = f"{name} / {species.getCompartment()}"
        whole = libsbml.ASTNode(libsbml.AST_PLUS)
        whole.addChild(rule.getMath().deepCopy())
        whole.addChild(libsbml.parseL3Formula(share))
        rule.setMath(whole)
        return
    if species is None or species.getConstant() or species.getBoundaryCondition() or model.getRule(target):
        raise ModelError(
            f"'{target}' cannot take an infusion: expected a species that reactions may change, or a state with a rate "
            f"rule"
        )
    factor = species.getConversionFactor() or model.getConversionFactor()
    reaction = model.createReaction()
    reaction.setId(f"{name}_flow")
    reaction.setReversible(False)
    reaction.setFast(False)
    product = reaction.createProduct()
    product.setSpecies(target)
    product.setStoichiometry(1.0)
    if model.getLevel() > 2:
        product.setConstant(True)
    law = reaction.createKineticLaw()
    law.setMath(libsbml.parseL3Formula(f"{name} / {factor}" if factor else name))


def _is_amount(model: Any, species: Any) -> bool:
    compartment = model.getCompartment(species.getCompartment())
    return bool(species.getHasOnlySubstanceUnits()) or compartment.getSpatialDimensions() == 0
