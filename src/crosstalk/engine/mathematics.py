"""Formulas of SBML (libSBML's abstract syntax trees) as nodes of an expression graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

from crosstalk.engine.document import refuse
from crosstalk.engine.expressions import Graph
from crosstalk.errors import ModelError

__all__ = ["TIME", "Mathematics"]

TIME = "__time"  # the hidden state of models that read the time
AVOGADRO = 6.02214179e23  # the value that SBML Level 3 prescribes

_UNARY = {
    "ABS": "abs", "ARCCOS": "acos", "ARCCOSH": "acosh", "ARCSIN": "asin", "ARCSINH": "asinh", "ARCTAN": "atan",
    "ARCTANH": "atanh", "CEILING": "ceil", "COS": "cos", "COSH": "cosh", "EXP": "exp", "FLOOR": "floor", "LN": "log",
    "SIN": "sin", "SINH": "sinh", "TAN": "tan", "TANH": "tanh",
}  # fmt: skip
_RECIPROCAL_OF = {"SEC": "cos", "CSC": "sin", "COT": "tan", "SECH": "cosh", "CSCH": "sinh", "COTH": "tanh"}
_OF_RECIPROCAL = {
    "ARCSEC": "acos", "ARCCSC": "asin", "ARCCOT": "atan", "ARCSECH": "acosh", "ARCCSCH": "asinh", "ARCCOTH": "atanh",
}  # fmt: skip
_COMPARE = {"EQ": "eq", "NEQ": "ne", "GT": "gt", "LT": "lt", "GEQ": "ge", "LEQ": "le"}


class Mathematics:
    """Turns formulas into nodes.

    Parameters
    ----------
    graph : Graph
    symbol, rate_of : callable
        Node of a name, and of its rate of change.
    """

    def __init__(self, graph: Graph, symbol: Callable[[str], int], rate_of: Callable[[str], int]) -> None:
        import libsbml

        self.graph, self.symbol, self.rate_of = graph, symbol, rate_of
        self._types = {
            getattr(libsbml, name): name[4:]
            for name in dir(libsbml)
            if name.startswith("AST_") and name != "AST_UNKNOWN"
        }

    def node(self, tree: Any) -> int:
        """Node of a formula."""
        kind = self._types.get(tree.getType(), "UNKNOWN")
        special = getattr(self, f"_{kind.lower()}", None)
        if special is not None:
            return int(special(tree))
        for prefix in ("FUNCTION_", "RELATIONAL_", "LOGICAL_", "CONSTANT_"):
            if kind.startswith(prefix):
                return self._named(kind.removeprefix(prefix), prefix, tree)
        raise refuse(f"'{tree.getName() or kind}' in a formula")

    def _arguments(self, tree: Any) -> list[int]:
        return [self.node(tree.getChild(i)) for i in range(tree.getNumChildren())]

    def _named(self, name: str, prefix: str, tree: Any) -> int:
        graph = self.graph
        if prefix == "CONSTANT_":
            return graph.const({"E": math.e, "PI": math.pi, "TRUE": 1.0, "FALSE": 0.0}[name])
        if prefix == "RELATIONAL_":
            x = self._arguments(tree)
            pairs = [graph.compare(_COMPARE[name], a, b) for a, b in pairwise(x)]
            return graph.logic("and", pairs)
        x = self._arguments(tree)
        if prefix == "LOGICAL_":
            return self._logical(name, x)
        if name in _UNARY:
            return graph.call(_UNARY[name], x[0])
        if name in _RECIPROCAL_OF:
            return graph.recip(graph.call(_RECIPROCAL_OF[name], x[0]))
        if name in _OF_RECIPROCAL:
            return graph.call(_OF_RECIPROCAL[name], graph.recip(x[0]))
        raise refuse(f"the function '{name.lower()}'")

    def _logical(self, name: str, x: list[int]) -> int:
        graph = self.graph
        if name in ("AND", "OR"):
            return graph.logic(name.lower(), x)
        if name == "NOT":
            return graph.logic("not", x)
        if name == "XOR":
            result = graph.zero
            for item in x:
                either = graph.logic("or", [result, item])
                result = graph.logic("and", [either, graph.logic("not", [graph.logic("and", [result, item])])])
            return result
        if name == "IMPLIES":
            return graph.logic("or", [graph.logic("not", [x[0]]), x[1]])
        raise refuse(f"the logical operator '{name.lower()}'")

    def _integer(self, tree: Any) -> int:
        return self.graph.const(float(tree.getInteger()))

    def _real(self, tree: Any) -> int:
        return self.graph.const(float(tree.getReal()))

    _real_e = _real

    def _rational(self, tree: Any) -> int:
        return self.graph.const(tree.getNumerator() / tree.getDenominator())

    def _name(self, tree: Any) -> int:
        return self.symbol(tree.getName())

    def _name_time(self, tree: Any) -> int:
        return self.symbol(TIME)

    def _name_avogadro(self, tree: Any) -> int:
        return self.graph.const(AVOGADRO)

    def _plus(self, tree: Any) -> int:
        return reduce(self.graph.add, self._arguments(tree), self.graph.zero)

    def _minus(self, tree: Any) -> int:
        x = self._arguments(tree)
        return self.graph.neg(x[0]) if len(x) == 1 else self.graph.sub(x[0], x[1])

    def _times(self, tree: Any) -> int:
        return reduce(self.graph.mul, self._arguments(tree), self.graph.one)

    def _divide(self, tree: Any) -> int:
        a, b = self._arguments(tree)
        return self.graph.div(a, b)

    def _power(self, tree: Any) -> int:
        a, b = self._arguments(tree)
        return self.graph.power(a, b)

    _function_power = _power

    def _function_root(self, tree: Any) -> int:
        x = self._arguments(tree)
        if len(x) == 1:
            return self.graph.call("sqrt", x[0])
        return self.graph.power(x[1], self.graph.recip(x[0]))

    def _function_log(self, tree: Any) -> int:
        x = self._arguments(tree)
        base, value = (self.graph.const(10.0), x[0]) if len(x) == 1 else (x[0], x[1])
        return self.graph.div(self.graph.call("log", value), self.graph.call("log", base))

    def _function_max(self, tree: Any) -> int:
        return reduce(lambda a, b: self.graph.select(self.graph.compare("lt", a, b), b, a), self._arguments(tree))

    def _function_min(self, tree: Any) -> int:
        return reduce(lambda a, b: self.graph.select(self.graph.compare("gt", a, b), b, a), self._arguments(tree))

    def _function_quotient(self, tree: Any) -> int:
        a, b = self._arguments(tree)
        return self._truncate(self.graph.div(a, b))

    def _function_rem(self, tree: Any) -> int:
        a, b = self._arguments(tree)
        return self.graph.sub(a, self.graph.mul(b, self._truncate(self.graph.div(a, b))))

    def _truncate(self, a: int) -> int:
        graph = self.graph
        return graph.select(graph.compare("lt", a, graph.zero), graph.call("ceil", a), graph.call("floor", a))

    def _function_factorial(self, tree: Any) -> int:
        n = self.graph.value(self._arguments(tree)[0])
        if n is None or n < 0 or n != int(n):
            raise refuse("the factorial of something that is no whole number")
        return self.graph.const(float(math.factorial(int(n))))

    def _function_piecewise(self, tree: Any) -> int:
        x = self._arguments(tree)
        result = x[-1] if len(x) % 2 else self.graph.const(math.nan)
        for i in range(len(x) // 2 * 2 - 2, -1, -2):
            result = self.graph.select(x[i + 1], x[i], result)
        return result

    def _function_rate_of(self, tree: Any) -> int:
        return self.rate_of(tree.getChild(0).getName())

    def _function_delay(self, tree: Any) -> int:
        raise refuse("a delay")

    def _function(self, tree: Any) -> int:
        raise ModelError(f"the model calls the function '{tree.getName()}', which it does not define")
