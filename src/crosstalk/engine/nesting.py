"""How deep SBML is nested, looked at before libSBML, which would end the process or never end."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

from crosstalk.errors import ModelError
from crosstalk.limits import FORMULA

__all__ = ["TOO_DEEP", "check_calls", "check_nesting"]

AROUND = 30  # elements around the deepest operation: of the model, its lists, and annotations beside them
CALLS = 30  # functions that call each other in a row; libSBML takes seconds from 50 on
TOO_DEEP = (
    f"formulas of the model call each other or are nested more than {FORMULA} operations deep; give parts of them "
    f"names of their own"
)


def check_nesting(text: str) -> None:
    """Refuse XML that is nested deeper than any formula of a model, or that declares a document type.

    Raises
    ------
    ModelError
    """
    parser = ParserCreate("utf-8")
    depth = 0

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > FORMULA + AROUND:
            raise ModelError(f"the SBML is nested more than {depth - 1} elements deep; {TOO_DEEP}")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_declared: object) -> None:
        raise ModelError("the SBML declares a document type, which no model needs; remove the declaration")

    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, doctype
    with suppress(ExpatError):  # libSBML says what is wrong with it
        parser.Parse(text.encode("utf-8", "replace"), True)


def check_calls(model: Any) -> None:
    """Refuse function definitions that call each other in a long row, or in a circle.

    Raises
    ------
    ModelError
    """
    calls = {}
    for i in range(model.getNumFunctionDefinitions()):
        function = model.getFunctionDefinition(i)
        calls[function.getId()] = set(_names(function.getMath()))
    left = {name: called & calls.keys() for name, called in calls.items()}
    for _ in range(CALLS):
        # those that call no function that is left: one step of the longest row less
        left = {name: called & left.keys() for name, called in left.items() if called & left.keys()}
        if not left:
            return
    raise ModelError(
        f"the function '{next(iter(left))}' and others call each other in a circle, or in a row of more than {CALLS}; "
        f"write their formulas out"
    )


def _names(tree: Any) -> list[str]:
    found, waiting = [], [] if tree is None else [tree]
    while waiting:
        node = waiting.pop()
        if node.getName():
            found.append(node.getName())
        waiting += [node.getChild(i) for i in range(node.getNumChildren())]
    return found
