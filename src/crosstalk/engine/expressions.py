"""A lean expression graph: shared nodes, folding, derivatives; enough for the right-hand sides of ODEs, and quick.

Every node exists once (hash-consing), so common subexpressions are shared by construction. Nodes are numbers; a node's
*level* says on what it depends: nothing (0), the patient's parameters (1) or the state (2). Patient-constant factors
are gathered while building, so that they can be computed once per patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["BOOLEAN", "COMPARE", "Graph"]

CONSTANT, PATIENT, STATE = 0, 1, 2
COMPARE = ("lt", "le", "gt", "ge", "eq", "ne")
BOOLEAN = (*COMPARE, "and", "or", "not")
UNARY: dict[str, Callable[[float], float]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "abs": abs, "floor": math.floor, "ceil": math.ceil,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "asinh": math.asinh, "acosh": math.acosh,
    "atanh": math.atanh,
}  # fmt: skip


class Graph:
    """Expression graph of one model.

    Attributes
    ----------
    ops : list of str
    args : list of tuple
        Node numbers; for ``const`` a number, for ``sym`` a name.
    level : list of int
    """

    def __init__(self) -> None:
        self.ops: list[str] = []
        self.args: list[tuple[Any, ...]] = []
        self.level: list[int] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self.zero, self.one = self.const(0.0), self.const(1.0)

    def __len__(self) -> int:
        return len(self.ops)

    def _node(self, op: str, *args: Any, level: int | None = None) -> int:
        key = (op, *args)
        found = self._known.get(key)
        if found is None:
            found = len(self.ops)
            self._known[key] = found
            self.ops.append(op)
            self.args.append(args)
            self.level.append(max(self.level[a] for a in args) if level is None else level)
        return found

    def children(self, node: int) -> tuple[int, ...]:
        """Nodes that a node reads."""
        return () if self.ops[node] in ("const", "sym") else self.args[node]

    def const(self, value: float) -> int:
        """Node of a number."""
        return self._node("const", float(value) + 0.0, level=CONSTANT)

    def symbol(self, name: str, level: int) -> int:
        """Node of a name; its level is fixed when it is first seen."""
        return self._node("sym", name, level=level)

    def value(self, node: int) -> float | None:
        """Return the number that a node stands for, ``None`` if it is none."""
        return self.args[node][0] if self.ops[node] == "const" else None

    def add(self, a: int, b: int) -> int:
        """Sum."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x + y)
        if x == 0.0:
            return b
        if y == 0.0:
            return a
        if self.ops[b] == "neg":
            return self.sub(a, self.args[b][0])
        if self.ops[a] == "neg":
            return self.sub(b, self.args[a][0])
        a, b = self._gather("add", a, b)
        return self._node("add", min(a, b), max(a, b))

    def sub(self, a: int, b: int) -> int:
        """Difference."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x - y)
        if y == 0.0:
            return a
        if x == 0.0:
            return self.neg(b)
        if a == b:
            return self.zero
        if self.ops[b] == "neg":
            return self.add(a, self.args[b][0])
        return self._node("sub", a, b)

    def neg(self, a: int) -> int:
        """Negative."""
        x = self.value(a)
        if x is not None:
            return self.const(-x)
        if self.ops[a] == "neg":
            return int(self.args[a][0])
        if self.ops[a] == "sub":
            return self._node("sub", self.args[a][1], self.args[a][0])
        return self._node("neg", a)

    def mul(self, a: int, b: int) -> int:
        """Product."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return self.const(x * y)
        if x == 0.0 or y == 0.0:
            return self.zero
        if x == 1.0:
            return b
        if y == 1.0:
            return a
        if x == -1.0:
            return self.neg(b)
        if y == -1.0:
            return self.neg(a)
        if self.ops[a] == "neg" and self.ops[b] == "neg":
            return self.mul(self.args[a][0], self.args[b][0])
        if self.ops[a] == "neg":
            return self.neg(self.mul(self.args[a][0], b))
        if self.ops[b] == "neg":
            return self.neg(self.mul(a, self.args[b][0]))
        a, b = self._gather("mul", a, b)
        return self._node("mul", min(a, b), max(a, b))

    def _gather(self, op: str, a: int, b: int) -> tuple[int, int]:
        """Bring patient-constant parts of a sum or product together: p*(q*x) becomes (p*q)*x."""
        if self.level[a] > self.level[b]:
            a, b = b, a
        if self.level[b] < STATE or (self.level[a] == STATE and self.ops[a] != op):
            if self.level[b] < STATE or self.ops[b] != op:
                return a, b
            a, b = b, a
        combine = self.mul if op == "mul" else self.add
        if self.level[a] < STATE and self.ops[b] == op:
            for inner, rest in (self.args[b], self.args[b][::-1]):
                if self.level[inner] < STATE:
                    return combine(a, inner), rest
        if self.level[a] == STATE and self.ops[a] == op:
            for inner, rest in (self.args[a], self.args[a][::-1]):
                if self.level[inner] < STATE:
                    return inner, combine(rest, b)
        return a, b

    def recip(self, a: int) -> int:
        """Reciprocal; all divisions by one denominator share it."""
        x = self.value(a)
        if x is not None and x != 0.0:
            return self.const(1.0 / x)
        if self.ops[a] == "recip":
            return int(self.args[a][0])
        if self.ops[a] == "neg":
            return self.neg(self.recip(self.args[a][0]))
        return self._node("recip", a)

    def div(self, a: int, b: int) -> int:
        """Quotient."""
        if a == b:
            return self.one
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None and y != 0.0:
            return self.const(x / y)
        return self.mul(a, self.recip(b))

    def power(self, a: int, b: int) -> int:
        """Power; whole exponents up to 8 become products."""
        n = self.value(b)
        if n is not None and n == int(n) and abs(n) <= 8:
            result = self.one
            square, rest = a, int(abs(n))
            while rest:
                if rest & 1:
                    result = self.mul(result, square)
                rest >>= 1
                if rest:
                    square = self.mul(square, square)
            return result if n >= 0 else self.recip(result)
        if n == 0.5:
            return self.call("sqrt", a)
        x = self.value(a)
        if x is not None and n is not None:
            return self.const(_power(x, n))
        return self._node("pow", a, b)

    def call(self, name: str, a: int) -> int:
        """Elementary function of one argument."""
        x = self.value(a)
        if x is not None:
            try:
                return self.const(UNARY[name](x))
            except (ValueError, OverflowError):
                return self.const(math.nan if name != "exp" else math.inf)
        return self._node(name, a)

    def compare(self, op: str, a: int, b: int) -> int:
        """Comparison, one of `COMPARE`."""
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            truth = {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "eq": x == y, "ne": x != y}[op]
            return self.one if truth else self.zero
        return self._node(op, a, b)

    def logic(self, op: str, items: Sequence[int]) -> int:
        """``and``, ``or`` of several conditions, ``not`` of one; numbers count as true if they are not zero."""
        truths = [self.truth(i) for i in items]
        if op == "not":
            x = self.value(truths[0])
            return self._node("not", truths[0]) if x is None else (self.zero if x else self.one)
        result = self.one if op == "and" else self.zero
        for t in truths:
            r, x = self.value(result), self.value(t)
            if r is not None:
                result = t if bool(r) == (op == "and") else result
            elif x is not None:
                result = result if bool(x) == (op == "and") else t
            else:
                result = self._node(op, result, t)
        return result

    def truth(self, a: int) -> int:
        """Turn a number into a condition."""
        if self.ops[a] in BOOLEAN or self.value(a) is not None:
            return a
        return self.compare("ne", a, self.zero)

    def select(self, condition: int, yes: int, no: int) -> int:
        """One of two values."""
        condition = self.truth(condition)
        x = self.value(condition)
        if x is not None:
            return yes if x else no
        return yes if yes == no else self._node("select", condition, yes, no)

    def needed(self, roots: Iterable[int]) -> list[int]:
        """All nodes that some roots need, each after what it reads."""
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack.extend(self.children(node))
        # a node is always made after its children
        return sorted(seen)

    def symbols(self, node: int) -> set[str]:
        """Names that a node reads."""
        return {str(self.args[n][0]) for n in self.needed([node]) if self.ops[n] == "sym"}

    def make(self, op: str, args: Sequence[int]) -> int:
        """Node of an operation by its name."""
        if op in COMPARE:
            return self.compare(op, *args)
        if op in ("and", "or", "not"):
            return self.logic(op, args)
        if op in UNARY:
            return self.call(op, *args)
        plain: dict[str, Callable[..., int]] = {
            "add": self.add, "sub": self.sub, "neg": self.neg, "mul": self.mul, "recip": self.recip,
            "pow": self.power, "select": self.select,
        }  # fmt: skip
        return plain[op](*args)

    def substitute(self, node: int, given: Mapping[int, int]) -> int:
        """Put other nodes in the place of some."""
        found = dict(given)
        for n in self.needed([node]):
            if n not in found:
                args = self.children(n)
                new = tuple(found[a] for a in args)
                found[n] = n if new == args else self.make(self.ops[n], new)
        return found[node]

    def derivatives(self, roots: Sequence[int], symbols: Sequence[str]) -> list[dict[str, int]]:
        """Partial derivatives of some nodes by some symbols; zeros are left out.

        Conditions are taken as constant; the derivative of a piecewise function is that of its active piece.
        """
        wanted = set(symbols)
        partial: dict[int, dict[str, int]] = {}
        for node in self.needed(roots):
            op = self.ops[node]
            if op == "sym":
                name = self.args[node][0]
                partial[node] = {name: self.one} if name in wanted else {}
            elif op == "const" or op in BOOLEAN:
                partial[node] = {}
            else:
                partial[node] = self._chain(node, partial)
        return [partial[r] for r in roots]

    def _chain(self, node: int, partial: dict[int, dict[str, int]]) -> dict[str, int]:
        op, children = self.ops[node], self.children(node)
        found: dict[str, int] = {}
        if op == "select":
            condition, yes, no = children
            for name in dict.fromkeys((*partial[yes], *partial[no])):
                found[name] = self.select(
                    condition, partial[yes].get(name, self.zero), partial[no].get(name, self.zero)
                )
            return found
        for place, child in enumerate(children):
            if not partial[child]:
                continue
            outer = self._outer(op, node, children, place)
            for name, inner in partial[child].items():
                term = self.mul(outer, inner)
                found[name] = self.add(found[name], term) if name in found else term
        return {k: v for k, v in found.items() if v != self.zero}

    def _outer(self, op: str, node: int, c: tuple[int, ...], place: int) -> int:
        """Derivative of an operation by one of its arguments."""
        one, two = self.one, self.const(2.0)
        a = c[0]
        if op == "add":
            return one
        if op == "sub":
            return one if place == 0 else self.const(-1.0)
        if op == "neg":
            return self.const(-1.0)
        if op == "mul":
            return c[1 - place] if c[0] != c[1] else a
        if op == "recip":
            return self.neg(self.mul(node, node))
        if op == "pow":
            if place == 0:
                return self.mul(c[1], self.power(a, self.sub(c[1], one)))
            # d a^b / db = a^b log a, and 0 at a = 0
            return self.select(self.compare("gt", a, self.zero), self.mul(node, self.call("log", a)), self.zero)
        square = self.mul(a, a)
        rules: dict[str, Callable[[], int]] = {
            "exp": lambda: node,
            "log": lambda: self.recip(a),
            "sqrt": lambda: self.recip(self.mul(two, node)),
            "abs": lambda: self.select(self.compare("lt", a, self.zero), self.const(-1.0), one),
            "floor": lambda: self.zero,
            "ceil": lambda: self.zero,
            "sin": lambda: self.call("cos", a),
            "cos": lambda: self.neg(self.call("sin", a)),
            "tan": lambda: self.add(one, self.mul(node, node)),
            "asin": lambda: self.recip(self.call("sqrt", self.sub(one, square))),
            "acos": lambda: self.neg(self.recip(self.call("sqrt", self.sub(one, square)))),
            "atan": lambda: self.recip(self.add(one, square)),
            "sinh": lambda: self.call("cosh", a),
            "cosh": lambda: self.call("sinh", a),
            "tanh": lambda: self.sub(one, self.mul(node, node)),
            "asinh": lambda: self.recip(self.call("sqrt", self.add(square, one))),
            "acosh": lambda: self.recip(self.call("sqrt", self.sub(square, one))),
            "atanh": lambda: self.recip(self.sub(one, square)),
        }
        return rules[op]()

    def evaluate(self, roots: Sequence[int], values: dict[str, float]) -> list[float]:
        """Numbers of some nodes for given values of the symbols."""
        found: dict[int, float] = {}
        for node in self.needed(roots):
            op, args = self.ops[node], self.args[node]
            if op == "const":
                found[node] = args[0]
            elif op == "sym":
                found[node] = values[args[0]]
            else:
                found[node] = _apply(op, [found[a] for a in args])
        return [found[r] for r in roots]


def _power(x: float, n: float) -> float:
    try:
        return math.pow(x, n)
    except (ValueError, ZeroDivisionError):
        return math.nan
    except OverflowError:
        return math.inf


def _apply(op: str, x: list[float]) -> float:
    if op in UNARY:
        try:
            return float(UNARY[op](x[0]))
        except (ValueError, OverflowError):
            return math.nan
    if op == "recip":
        return 1.0 / x[0] if x[0] else math.copysign(math.inf, x[0])
    two: dict[str, Callable[[], float]] = {
        "add": lambda: x[0] + x[1],
        "sub": lambda: x[0] - x[1],
        "mul": lambda: x[0] * x[1],
        "neg": lambda: -x[0],
        "pow": lambda: _power(x[0], x[1]),
        "lt": lambda: float(x[0] < x[1]),
        "le": lambda: float(x[0] <= x[1]),
        "gt": lambda: float(x[0] > x[1]),
        "ge": lambda: float(x[0] >= x[1]),
        "eq": lambda: float(x[0] == x[1]),
        "ne": lambda: float(x[0] != x[1]),
        "and": lambda: float(bool(x[0]) and bool(x[1])),
        "or": lambda: float(bool(x[0]) or bool(x[1])),
        "not": lambda: float(not x[0]),
        "select": lambda: x[1] if x[0] else x[2],
    }
    return two[op]()
