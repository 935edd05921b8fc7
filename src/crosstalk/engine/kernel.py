"""LLVM assembly of one model: its rates, Jacobian, factorisation and one Rosenbrock step for W patients at once.

Every number is a vector of W patients, one per lane, and no operation mixes lanes: a patient's result does not depend
on who runs beside him. The text is written by hand: the functions are straight lines of some thousand operations.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crosstalk.engine.expressions import BOOLEAN, PATIENT, STATE, Graph
from crosstalk.engine.factorization import Plan, plan_factorization
from crosstalk.engine.rodas import STAGES, Rosenbrock
from crosstalk.engine.sbml import OdeSystem

__all__ = ["KernelText", "write_kernel"]

_INTRINSIC = {"sqrt": "sqrt", "abs": "fabs", "floor": "floor", "ceil": "ceil"}
_ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul"}
# their derivatives, or those of what holds them, are infinite somewhere in their domain
SINGULAR = ("sqrt", "pow", "log", "asin", "acos", "acosh", "atanh")
_ORDER = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}


@dataclass(frozen=True)
class KernelText:
    """Assembly and what a driver must know of it.

    Attributes
    ----------
    text : str
        Functions ``hoist(p, h)``, ``rhs(y, h, f)``, ``factor(y, h, c, f, lu)``, ``solve(lu, b)``, ``outputs(y, h, o)``,
        ``rates(y, h, f)`` and ``factor_rates(y, h, c, f, lu)`` (where they differ from ``rhs`` and ``factor``) and
        ``jacobian(y, h, f, j)`` by the conditions as written, ``signals(y, h, s)``,
        ``step(y, h, dt, atol, rtol, growth, work, y1, error, size)``, and for output inside a step
        ``prepare(work)`` and ``dense(y, y1, work, q, out)``. Every argument points to vectors of W doubles; ``size``
        keeps the largest magnitude of each state so far, of which ``growth`` is the share that is allowed as an error.
    variables : tuple of str
        What ``outputs`` writes.
    n_signals : int
        What ``signals`` writes: of each switch its value, then the time of its next change, then its slope; of each
        event whether it is triggered, then whether its trigger holds as written, its priority, its delay; then what the
        events assign, one after the other; last the longest step.
    pattern : tuple of (row, column)
        Entries that ``jacobian`` writes.
    n_hoisted, n_work : int
        Sizes of ``h`` and ``work`` in vectors.
    """

    text: str
    variables: tuple[str, ...]
    pattern: tuple[tuple[int, int], ...]
    n_signals: int
    n_hoisted: int
    n_work: int


class _Function:
    """Lines of one function; values are numbered as they are made."""

    def __init__(self, name: str, arguments: Sequence[str], width: int) -> None:
        self.width, self.vector = width, f"<{width} x double>"
        self.mask = f"<{width} x i1>"
        listed = ", ".join(f"ptr noalias %{a}" for a in arguments)
        self.lines = [f"define void @{name}({listed}) #0 {{", "entry:"]
        self.block = "entry"
        self.count = 0

    def new(self, right: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {right}")
        return f"%v{self.count}"

    def constant(self, value: float) -> str:
        bits = struct.unpack(">Q", struct.pack(">d", value))[0]
        return f"splat (double 0x{bits:016X})"

    def pointer(self, base: str, index: int | str) -> str:
        return self.new(f"getelementptr {self.vector}, ptr %{base}, i64 {index}")

    def load(self, base: str, index: int | str = 0) -> str:
        return self.new(f"load {self.vector}, ptr {self.pointer(base, index)}, align 8")

    def store(self, value: str, base: str, index: int | str = 0) -> None:
        place = self.pointer(base, index)
        self.lines.append(f"  store {self.vector} {value}, ptr {place}, align 8")

    def op(self, name: str, a: str, b: str) -> str:
        return self.new(f"{name} contract {self.vector} {a}, {b}")

    def finite(self, a: str) -> str:
        """The same number, 0 where it is infinite or NaN."""
        size = self.new(f"call {self.vector} @llvm.fabs.v{self.width}f64({self.vector} {a})")
        mask = self.new(f"fcmp olt {self.vector} {size}, {self.constant(float('inf'))}")
        return self.new(f"select {self.mask} {mask}, {self.vector} {a}, {self.vector} {self.constant(0.0)}")

    def reciprocal(self, a: str) -> str:
        return self.op("fdiv", self.constant(1.0), a)

    def call(self, name: str, *pointers: str) -> None:
        self.lines.append(f"  call void @{name}({', '.join('ptr ' + p for p in pointers)})")

    def loop(self, n: int, label: str) -> str:
        """Open a loop over ``n``; returns its index."""
        self.lines += [
            f"  br label %{label}", f"{label}:", f"  %{label}.i = phi i64 [0, %{self.block}], [%{label}.n, %{label}]",
        ]  # fmt: skip
        self.block = label
        return f"%{label}.i"

    def close(self, n: int, label: str) -> None:
        """Close a loop."""
        self.lines += [
            f"  %{label}.n = add i64 %{label}.i, 1", f"  %{label}.c = icmp ult i64 %{label}.n, {n}",
            f"  br i1 %{label}.c, label %{label}, label %{label}.end", f"{label}.end:",
        ]  # fmt: skip
        self.block = f"{label}.end"

    def finish(self) -> list[str]:
        return [*self.lines, "  ret void", "}"]


class _Nodes:
    """Nodes of the graph inside one function."""

    def __init__(
        self, function: _Function, graph: Graph, places: Mapping[int, tuple[str, int]], libm: set[str]
    ) -> None:
        self.f, self.graph, self.places, self.libm = function, graph, places, libm
        self.names: dict[int, str] = {}

    def emit(self, roots: Sequence[int]) -> list[str]:
        """Compute some nodes, in order of need."""
        graph = self.graph
        stack, order, seen = [*reversed(roots)], [], set()
        while stack:
            node = stack.pop()
            if node in self.names or node in seen:
                continue
            seen.add(node)
            order.append(node)
            if node not in self.places:
                stack.extend(graph.children(node))
        for node in sorted(order):
            self.names[node] = self.make(node)
        return [self.number(r) for r in roots]

    def number(self, node: int) -> str:
        """Name of a node as a number; a condition counts as 1 or 0."""
        if self.graph.ops[node] in BOOLEAN:
            return self.f.new(f"uitofp {self.f.mask} {self.names[node]} to {self.f.vector}")
        return self.names[node]

    def make(self, node: int) -> str:
        f, graph, op = self.f, self.graph, self.graph.ops[node]
        if op == "const":
            return f.constant(float(graph.args[node][0]))
        if node in self.places:
            return f.load(*self.places[node])
        children = graph.children(node)
        if op in ("and", "or", "not"):
            x = [self.names[c] for c in children]
            if op == "not":
                return f.new(f"xor {f.mask} {x[0]}, splat (i1 true)")
            return f.new(f"{op} {f.mask} {x[0]}, {x[1]}")
        if op == "select":
            yes, no = (self.number(c) for c in children[1:])
            return f.new(f"select {f.mask} {self.names[children[0]]}, {f.vector} {yes}, {f.vector} {no}")
        x = [self.number(c) for c in children]
        if op in _ARITHMETIC:
            return f.op(_ARITHMETIC[op], x[0], x[1])
        if op == "recip":
            return f.reciprocal(x[0])
        if op == "neg":
            return f.new(f"fneg {f.vector} {x[0]}")
        if op in _ORDER:
            return f.new(f"fcmp {_ORDER[op]} {f.vector} {x[0]}, {x[1]}")
        if op in _INTRINSIC:
            return f.new(f"call {f.vector} @llvm.{_INTRINSIC[op]}.v{f.width}f64({f.vector} {x[0]})")
        return self.scalar_calls(op, x)

    def scalar_calls(self, op: str, x: list[str]) -> str:
        """A function of the mathematics library, lane by lane."""
        f = self.f
        self.libm.add(op)
        result = "poison"
        for lane in range(f.width):
            given = [f.new(f"extractelement {f.vector} {a}, i32 {lane}") for a in x]
            value = f.new(f"call double @{op}({', '.join('double ' + g for g in given)})")
            result = f.new(f"insertelement {f.vector} {result}, double {value}, i32 {lane}")
        return result


def write_kernel(system: OdeSystem, method: Rosenbrock, width: int) -> KernelText:
    """Write the assembly of a model for vectors of ``width`` patients."""
    graph, n = system.graph, len(system.states)
    jacobian, exact = _jacobian(system, system.rates), _jacobian(system, system.exact)
    pattern = tuple(sorted({*jacobian, *exact}))
    plan = plan_factorization(n, pattern)
    jacobian, exact = ({e: j.get(e, graph.zero) for e in pattern} for j in (jacobian, exact))
    variables = tuple(system.variables)
    signals = _signals(system)
    roots = [*system.rates, *jacobian.values(), *system.variables.values(), *system.exact, *exact.values(), *signals]
    hoisted = _hoisted(graph, roots)
    states = {graph.symbol(s, STATE): ("y", i) for i, s in enumerate(system.states)}
    kept = {node: ("h", i) for i, node in enumerate(hoisted)}
    settable = [*system.parameters, *(switch.symbol for switch in system.switches)]
    parameters = {graph.symbol(s, PATIENT): ("p", i) for i, s in enumerate(settable)}
    libm: set[str] = set()

    def function(name: str, arguments: str, places: Mapping[int, tuple[str, int]]) -> tuple[_Function, _Nodes]:
        made = _Function(name, arguments.split(), width)
        return made, _Nodes(made, graph, places, libm)

    lines: list[str] = []
    f, nodes = function("hoist", "p h", parameters)
    for i, name in enumerate(nodes.emit(hoisted)):
        f.store(name, "h", i)
    lines += f.finish()
    f, nodes = function("rhs", "y h f", {**states, **kept})
    _store_each(f, nodes, system.rates, "f")
    lines += f.finish()
    f, nodes = function("outputs", "y h o", {**states, **kept})
    _store_each(f, nodes, list(system.variables.values()), "o")
    lines += f.finish()
    if system.exact != system.rates:
        f, nodes = function("rates", "y h f", {**states, **kept})
        _store_each(f, nodes, system.exact, "f")
        lines += f.finish()
        f, nodes = function("factor_rates", "y h c f lu", {**states, **kept})
        _factor(f, nodes, system.exact, exact, plan)
        lines += f.finish()
    f, nodes = function("signals", "y h s", {**states, **kept})
    _store_each(f, nodes, signals, "s")
    lines += f.finish()
    f, nodes = function("jacobian", "y h f j", {**states, **kept})
    _store_each(f, nodes, system.exact, "f")
    _store_each(f, nodes, list(exact.values()), "j")
    lines += f.finish()
    f, nodes = function("factor", "y h c f lu", {**states, **kept})
    _factor(f, nodes, system.rates, jacobian, plan)
    lines += f.finish()
    f = _Function("solve", ["lu", "b"], width)
    _solve(f, plan)
    lines += f.finish()
    lines += _step(method, n, len(plan.entries), width)
    n_work = (STAGES + 1) * n + len(plan.entries) + 1
    lines += _dense(method, n, n_work, width)
    for name in sorted(libm):
        two = "double, double" if name == "pow" else "double"
        lines.append(f"declare double @{name if name != 'abs' else 'fabs'}({two})")
    vector = f"<{width} x double>"
    for name in (*_INTRINSIC.values(), "fmuladd"):
        lines.append(
            f"declare {vector} @llvm.{name}.v{width}f64({', '.join([vector] * (3 if name == 'fmuladd' else 1))})"
        )
    lines.append(f"declare {vector} @llvm.maximum.v{width}f64({vector}, {vector})")
    bits = 64 * width
    lines.append(f'attributes #0 = {{ nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}" }}')
    return KernelText("\n".join(lines) + "\n", variables, pattern, len(signals), len(hoisted), n_work + 3 * n)


def _jacobian(system: OdeSystem, rates: Sequence[int]) -> dict[tuple[int, int], int]:
    place = {name: i for i, name in enumerate(system.states)}
    rows = system.graph.derivatives(rates, system.states)
    return {(i, place[name]): node for i, row in enumerate(rows) for name, node in row.items()}


def _signals(system: OdeSystem) -> list[int]:
    switches, events = system.switches, system.events
    return [
        *(s.value for s in switches), *(s.following for s in switches), *(s.slope for s in switches),
        *(e.trigger for e in events), *(e.holds for e in events),
        *(e.priority for e in events), *(e.delay for e in events),
        *(node for e in events for _, node in e.assignments),
        system.longest,
    ]  # fmt: skip


def _may_diverge(graph: Graph, node: int) -> bool:
    """Whether a derivative can be infinite where the rate is finite, as that of a root at 0."""
    return any(graph.ops[n] in SINGULAR for n in graph.needed([node]))


def _hoisted(graph: Graph, roots: Sequence[int]) -> list[int]:
    """Patient-constant nodes that state-dependent ones (or outputs) read."""
    found: dict[int, None] = {}
    for node in graph.needed(roots):
        if graph.level[node] == STATE:
            for child in graph.children(node):
                if graph.level[child] == 1:
                    found[child] = None
    for root in roots:
        if graph.level[root] == 1:
            found[root] = None
    # conditions are kept where they are computed: a vector of doubles cannot hold them
    return [node for node in found if graph.ops[node] not in BOOLEAN] + _inputs_of_conditions(graph, found)


def _inputs_of_conditions(graph: Graph, found: Mapping[int, None]) -> list[int]:
    inputs: dict[int, None] = {}
    stack = [node for node in found if graph.ops[node] in BOOLEAN]
    while stack:
        node = stack.pop()
        for child in graph.children(node):
            if graph.ops[child] in BOOLEAN:
                stack.append(child)
            elif graph.level[child] == 1 and child not in found:
                inputs[child] = None
    return list(inputs)


def _store_each(f: _Function, nodes: _Nodes, roots: Sequence[int], base: str) -> None:
    """Compute and store one after the other, so that few values are alive at a time."""
    for i, root in enumerate(roots):
        f.store(nodes.emit([root])[0], base, i)


def _factor(
    f: _Function, nodes: _Nodes, rates: Sequence[int], jacobian: Mapping[tuple[int, int], int], plan: Plan
) -> None:
    _store_each(f, nodes, rates, "f")
    diagonal = f.load("c")
    value: dict[tuple[int, int], str] = {}

    def entry(e: tuple[int, int]) -> str | None:
        if e in value:
            return value[e]
        node = jacobian.get(e)
        if node is None:
            return diagonal if e[0] == e[1] else None
        name = nodes.emit([node])[0]
        if _may_diverge(nodes.graph, node):
            # a step with the entry left out is right, only less stable; with an infinite one nothing would move
            name = f.finite(name)
        return f.op("fsub", diagonal, name) if e[0] == e[1] else f.new(f"fneg {f.vector} {name}")

    for pivot, below, right in zip(plan.order, plan.below, plan.right, strict=True):
        own = entry((pivot, pivot))
        assert own is not None
        inverse = f.reciprocal(own)
        f.store(inverse, "lu", plan.entries[pivot, pivot])
        upper = {j: entry((pivot, j)) for j in right}
        for j, name in upper.items():
            assert name is not None
            f.store(name, "lu", plan.entries[pivot, j])
        for i in below:
            first = entry((i, pivot))
            assert first is not None
            factor = f.op("fmul", first, inverse)
            f.store(factor, "lu", plan.entries[i, pivot])
            for j, name in upper.items():
                product = f.op("fmul", factor, str(name))
                before = entry((i, j))
                value[i, j] = f.op("fsub", before, product) if before else f.new(f"fneg {f.vector} {product}")


def _solve(f: _Function, plan: Plan) -> None:
    b = {i: f.load("b", i) for i in plan.order}
    for pivot, below in zip(plan.order, plan.below, strict=True):
        for i in below:
            product = f.op("fmul", f.load("lu", plan.entries[i, pivot]), b[pivot])
            b[i] = f.op("fsub", b[i], product)
    for pivot, right in zip(plan.order[::-1], plan.right[::-1], strict=True):
        total = b[pivot]
        for j in right:
            total = f.op("fsub", total, f.op("fmul", f.load("lu", plan.entries[pivot, j]), b[j]))
        b[pivot] = f.op("fmul", total, f.load("lu", plan.entries[pivot, pivot]))
        f.store(b[pivot], "b", pivot)


def _combine(f: _Function, start: str, terms: Sequence[tuple[float, int]], n: int, index: str, scale: str = "") -> str:
    """``start + sum of coefficient * K_j[index]`` (times ``scale``)."""
    total = start
    for coefficient, j in terms:
        if coefficient == 0.0:
            continue
        at = f.new(f"add i64 {index}, {j * n}")
        factor = f.constant(coefficient)
        if scale:
            factor = f.op("fmul", scale, factor)
        total = f.op("fadd", total, f.op("fmul", factor, f.load("work", at)))
    return total


def _step(method: Rosenbrock, n: int, n_lu: int, width: int) -> list[str]:
    arguments = ["y", "h", "dt", "atol", "rtol", "growth", "work", "y1", "error", "size"]
    f = _Function("step", arguments, width)
    u = f.pointer("work", STAGES * n)
    lu = f.pointer("work", (STAGES + 1) * n)
    c = f.pointer("work", (STAGES + 1) * n + n_lu)
    inverse = f.reciprocal(f.load("dt"))
    shift = f.op("fmul", inverse, f.constant(1.0 / method.gamma))
    f.lines.append(f"  store {f.vector} {shift}, ptr {c}, align 8")
    f.call("factor", "%y", "%h", c, "%work", lu)
    f.call("solve", lu, "%work")
    for stage in range(1, STAGES):
        k = f.pointer("work", stage * n)
        index = f.loop(n, f"a{stage}")
        if stage < 6:
            value = _combine(f, f.load("y", index), list(zip(method.a[stage], range(stage), strict=True)), n, index)
        else:
            at = f.new(f"add i64 {index}, {STAGES * n}")
            value = _combine(f, f.load("work", at), [(1.0, stage - 1)], n, index)
        at = f.new(f"add i64 {index}, {STAGES * n}")
        f.store(value, "work", at)
        f.close(n, f"a{stage}")
        f.call("rhs", u, "%h", k)
        index = f.loop(n, f"c{stage}")
        at = f.new(f"add i64 {index}, {stage * n}")
        terms = list(zip(method.c[stage], range(stage), strict=True))
        f.store(_combine(f, f.load("work", at), terms, n, index, inverse), "work", at)
        f.close(n, f"c{stage}")
        f.call("solve", lu, k)
    rtol, growth = f.load("rtol"), f.load("growth")
    before = f.block
    index = f.loop(n, "e")
    worst = f"%worst = phi {f.vector} [zeroinitializer, %{before}], [%worst.n, %e]"
    f.lines.append(f"  {worst}")
    at = f.new(f"add i64 {index}, {STAGES * n}")
    last = f.new(f"add i64 {index}, {(STAGES - 1) * n}")
    error = f.load("work", last)
    old, new = f.load("y", index), f.op("fadd", f.load("work", at), error)
    f.store(new, "y1", index)
    large = [f.new(f"call {f.vector} @llvm.fabs.v{width}f64({f.vector} {x})") for x in (old, new, error)]
    size = f.new(f"call {f.vector} @llvm.maximum.v{width}f64({f.vector} {large[0]}, {f.vector} {large[1]})")
    # of accepted states alone: the state at the start of a step is one
    seen = f.load("size", index)
    kept = f.new(f"call {f.vector} @llvm.maximum.v{width}f64({f.vector} {seen}, {f.vector} {large[0]})")
    f.store(kept, "size", index)
    grown = f.op("fmul", growth, kept)
    floor = f.new(f"call {f.vector} @llvm.maximum.v{width}f64({f.vector} {f.load('atol', index)}, {f.vector} {grown})")
    allowed = f.op("fadd", floor, f.op("fmul", rtol, size))
    ratio = f.op("fdiv", large[2], allowed)
    f.lines.append(f"  %worst.n = call {f.vector} @llvm.maximum.v{width}f64({f.vector} %worst, {f.vector} {ratio})")
    f.close(n, "e")
    f.store("%worst.n", "error")
    return f.finish()


def _dense(method: Rosenbrock, n: int, first: int, width: int) -> list[str]:
    """Output inside a step: its polynomial once per step, then a value per place."""
    f = _Function("prepare", ["work"], width)
    index = f.loop(n, "d")
    zero = f.constant(0.0)
    for k, row in enumerate(method.dense):
        value = _combine(f, zero, list(zip(row, range(STAGES), strict=True)), n, index)
        f.store(value, "work", f.new(f"add i64 {index}, {first + k * n}"))
    f.close(n, "d")
    lines = f.finish()
    f = _Function("dense", ["y", "y1", "work", "q", "out"], width)
    q = f.load("q")
    rest = f.op("fsub", f.constant(1.0), q)
    index = f.loop(n, "d")
    d = [f.load("work", f.new(f"add i64 {index}, {first + k * n}")) for k in range(3)]
    inner = f.op("fadd", d[1], f.op("fmul", q, d[2]))
    inner = f.op("fadd", d[0], f.op("fmul", q, inner))
    inner = f.op("fadd", f.load("y1", index), f.op("fmul", rest, inner))
    f.store(f.op("fadd", f.op("fmul", rest, f.load("y", index)), f.op("fmul", q, inner)), "out", index)
    f.close(n, "d")
    return [*lines, *f.finish()]
