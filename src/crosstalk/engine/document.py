"""SBML text of any level to a model that `crosstalk.engine.sbml` can read: checked, flattened, functions expanded."""

from __future__ import annotations

import re
from typing import Any

from crosstalk.engine.nesting import check_calls, check_nesting
from crosstalk.errors import ModelError

__all__ = ["Unsupported", "read_model", "refuse", "time_unit"]

_DECLARATION = re.compile(r"<\?xml(?P<rest>[^>]*)\?>")
# what is wrong with a drawing of the model is no reason to refuse the model
_DRAWING = re.compile(r"The L3 package '(layout|render)(_L2)?' cannot be used|Package (layout|render) Version")
_SECONDS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d", 604800.0: "weeks"}


class Unsupported(ModelError):
    """The model is valid and uses something that the fast engine does not do."""


def refuse(feature: str) -> Unsupported:
    """Error that names what is not supported."""
    return Unsupported(f"the model uses {feature}, which is not supported")


def read_model(text: str) -> Any:
    """Read SBML text; returns libSBML's document.

    Raises
    ------
    ModelError
        If the text is no valid SBML.
    Unsupported
        If the model needs a package that is not supported.
    """
    import libsbml

    check_nesting(text)
    document = libsbml.readSBMLFromString(_with_encoding(text))
    wrong = _first_error(document)
    if wrong:
        raise ModelError(f"this is no valid SBML: {wrong}")
    if document.getModel() is None:
        raise ModelError("this is no valid SBML: it holds no model")
    # converters take no document with errors, though they are those of a drawing
    document.getErrorLog().clearLog()
    # libSBML attaches its layout and render plugins to every Level 2 document; packages exist in Level 3 alone
    if document.getLevel() > 2:
        _packages(document)
    check_calls(document.getModel())
    try:
        _convert(document, "expandFunctionDefinitions")
    except ModelError:
        # the converter checks more than the reader: what is an error of units in L2V1 is but a warning in L2V4
        if document.getLevel() != 2 or not document.setLevelAndVersion(2, 4, False):
            raise
        _convert(document, "expandFunctionDefinitions")
    _convert(document, "promoteLocalParameters")
    return document


def _with_encoding(text: str) -> str:
    """State the encoding in the XML declaration: a text is read as UTF-8, whatever its file was."""
    found = _DECLARATION.match(text.lstrip("\ufeff \t\r\n"))
    if found is None:
        return text
    version = "1.1" if "1.1" in found["rest"] else "1.0"
    rest = text.lstrip("\ufeff \t\r\n")[found.end() :]
    return f'<?xml version="{version}" encoding="UTF-8"?>{rest}'


def _first_error(document: Any) -> str:
    """The first error that matters, with its line; empty if there is none."""
    import libsbml

    for i in range(document.getNumErrors()):
        error = document.getError(i)
        message = error.getMessage().strip()
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR and not _DRAWING.search(message):
            return f"line {error.getLine()}: {message}"
    return ""


def _packages(document: Any) -> None:
    names = {document.getPlugin(i).getPackageName() for i in range(document.getNumPlugins())}
    if "comp" in names and document.getPackageRequired("comp"):
        try:
            _convert(document, "flatten comp")
        except ModelError:
            raise refuse("submodels that libSBML cannot flatten") from None
    for name in sorted(names - {"comp", "l3v2extendedmath"}):
        if document.getPackageRequired(name):
            raise Unsupported(f"the model needs the SBML package '{name}', which is not supported")


def _convert(document: Any, converter: str) -> None:
    import libsbml

    options = libsbml.ConversionProperties()
    options.addOption(converter, True)
    if document.convert(options) != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise ModelError(f"libSBML could not apply '{converter}' to the model")


def time_unit(model: Any) -> str:
    """Unit of time in short, ``"time units"`` where the model does not say or has an unusual one."""
    import libsbml

    name = model.getTimeUnits() if model.getLevel() > 2 else "time"
    definition = model.getUnitDefinition(name)
    if definition is None:
        return "s" if name in ("second", "time") and (name == "second" or model.getLevel() < 3) else "time units"
    definition = libsbml.UnitDefinition.convertToSI(definition)
    if definition.getNumUnits() != 1 or not definition.getUnit(0).isSecond():
        return "time units"
    unit = definition.getUnit(0)
    if unit.getExponent() != 1:
        return "time units"
    seconds = float(f"{unit.getMultiplier() * 10.0 ** unit.getScale():.12g}")
    return _SECONDS.get(seconds, "time units")
