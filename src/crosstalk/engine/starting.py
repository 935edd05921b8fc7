"""Initial values that follow from other values (initial assignments, amounts by volume), for many patients at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.expressions import Graph
from crosstalk.errors import ModelError

__all__ = ["Starting", "given", "start_values", "unknown"]

Array = NDArray[np.float64]

_ONE: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "neg": np.negative, "recip": lambda a: 1.0 / a, "not": np.logical_not,
}  # fmt: skip
_TWO: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "pow": np.power, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal, "and": np.logical_and,
    "or": np.logical_or,
}  # fmt: skip


@dataclass(frozen=True)
class Starting:
    """Definitions of initial values, each after what it reads.

    Attributes
    ----------
    nodes : tuple of (operation, arguments)
        Arguments are places in this tuple; of ``const`` a number as text, of ``sym`` a name.
    roots : mapping of str to int
        Place of the node that defines each name.
    """

    nodes: tuple[tuple[str, tuple[Any, ...]], ...]
    roots: Mapping[str, int]

    @classmethod
    def from_graph(cls, graph: Graph, definitions: Mapping[str, int]) -> Self:
        """Take what some definitions need out of the graph of a model."""
        places: dict[int, int] = {}
        nodes: list[tuple[str, tuple[Any, ...]]] = []
        for node in graph.needed(list(definitions.values())):
            op, args = graph.ops[node], graph.args[node]
            if op == "const":
                args = (repr(args[0]),)
            elif op != "sym":
                args = tuple(places[a] for a in args)
            places[node] = len(nodes)
            nodes.append((op, args))
        return cls(tuple(nodes), {name: places[node] for name, node in definitions.items()})

    def as_json(self) -> list[Any]:
        """Plain lists."""
        return [self.nodes, list(self.roots.items())]

    @classmethod
    def of(cls, found: list[Any]) -> Self:
        """From `as_json`."""
        nodes, roots = found
        return cls(tuple((op, tuple(args)) for op, args in nodes), dict(roots))

    def follow(self, columns: Mapping[str, Array], given: Mapping[str, Array]) -> set[str]:
        """Change the columns that follow from what was given and were not given themselves; returns their names.

        Parameters
        ----------
        columns : mapping of str to array, shape (n_patients,)
            Values of all states and parameters, with those given in their place; changed.
        given : mapping of str to array, shape (n_patients,)
            What was given; a name that no column has stands for itself.
        """
        touched = set(given)
        known: dict[int, Array] = {}
        with np.errstate(all="ignore"):
            for name, root in self.roots.items():
                if name in given or name not in columns or not self._reads(root) & touched:
                    continue
                columns[name][:] = self._value(root, columns, known)
                touched.add(name)
        return touched - set(given)

    def value(self, name: str, columns: Mapping[str, Array]) -> Array:
        """Value of one definition."""
        with np.errstate(all="ignore"):
            return self._value(self.roots[name], columns, {})

    def _reads(self, root: int) -> set[str]:
        names, stack, seen = set(), [root], {root}
        while stack:
            op, args = self.nodes[stack.pop()]
            if op == "sym":
                names.add(str(args[0]))
            elif op != "const":
                stack.extend(a for a in args if a not in seen)
                seen.update(args)
        return names

    def _value(self, root: int, columns: Mapping[str, Array], known: dict[int, Array]) -> Array:
        # a node is always made after its children
        stack, needed = [root], {root}
        while stack:
            op, args = self.nodes[stack.pop()]
            if op not in ("const", "sym"):
                stack.extend(a for a in args if a not in needed)
                needed.update(args)
        for node in sorted(needed - set(known)):
            op, args = self.nodes[node]
            known[node] = _apply(op, args, columns, known)
        return known[root]


def given(species: str) -> str:
    """Name that stands for a value that a user gives to a species held as an amount."""
    return f"__given_{species}"


def start_values(
    source: Mapping[str, Array],
    columns: Mapping[str, Array],
    amounts: Mapping[str, tuple[str, str]],
    starting: Starting,
    *,
    lenient: bool = False,
) -> set[str]:
    """Put what patients were given, and what follows from it, into columns; returns the names of those that changed.

    Parameters
    ----------
    source : mapping of str to array, shape (n,)
        What the patients were given.
    columns : mapping of str to array, shape (n,)
        The model's own values of all parameters and states; changed.
    amounts : mapping of str to (str, str)
        Species held as amounts, see `crosstalk.engine.sbml.OdeSystem`.
    lenient : bool
        Pass over names that cannot be set.
    """
    known: dict[str, Array] = {}
    concentrations: dict[str, Array] = {}
    for name, column in source.items():
        if name in columns:
            columns[name][:] = column
            known[name] = columns[name]
        elif name in amounts:
            concentrations[name] = np.asarray(column, dtype=np.float64)
        elif not lenient:
            raise unknown(name, (*columns, *amounts), "parameter or state")
    changed = starting.follow(columns, known) if known else set()
    for name, column in concentrations.items():
        held, mark = amounts[name][0], given(name)
        columns[held][:] = starting.value(mark, {**columns, mark: column})
        known[held] = columns[held]
    if concentrations:
        changed |= starting.follow(columns, known)
    return changed | set(known)


def unknown(name: str, known: Sequence[str], what: str) -> ModelError:
    """Error for a name that the model does not have, with what may have been meant."""
    local = [k for k in known if k.endswith(f"_{name}")]
    near = local or [k for k in known if k.lower() == name.lower()] or get_close_matches(name, known, 3)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    if local:
        hint += " (a parameter of one reaction carries the reaction's name)"
    return ModelError(f"the model has no {what} '{name}' that can be set{hint}")


def _apply(op: str, args: tuple[Any, ...], columns: Mapping[str, Array], known: Mapping[int, Array]) -> Array:
    if op == "const":
        return np.asarray(float(args[0]))
    if op == "sym":
        return columns[args[0]] if args[0] in columns else np.asarray(0.0)
    x = [known[a] for a in args]
    if op == "select":
        return np.asarray(np.where(x[0] != 0, x[1], x[2]), dtype=np.float64)
    return np.asarray(_ONE[op](x[0]) if op in _ONE else _TWO[op](x[0], x[1]), dtype=np.float64)
