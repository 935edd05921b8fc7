"""Discontinuities: each condition, floor and kink in time becomes a switch that is held between its changes.

The integrator sees smooth rates. It stops where a switch changes: at a time that is known ahead if the condition is
linear in time (a two-hour infusion in a year is never stepped over), or at a root that is searched inside each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crosstalk.engine.document import refuse
from crosstalk.engine.expressions import PATIENT, STATE, Graph
from crosstalk.engine.mathematics import TIME

__all__ = ["EQUAL", "FLOOR", "GREATER", "STILL", "Switch", "Switches"]

GREATER, FLOOR, EQUAL, STILL = 0, 1, 2, 3
PERIOD_SHARE = 0.785  # radians of a sine in a step


@dataclass(frozen=True)
class Switch:
    """One discontinuity.

    Attributes
    ----------
    kind : int
        ``GREATER``: on while ``value`` is above 0. ``FLOOR``: the whole number below ``value``. ``EQUAL``: on for the
        instant at which ``value``, linear in time, is 0. ``STILL``: on if ``value`` is 0, which only events change.
    closed : bool
        Of ``GREATER``: on at 0 too.
    symbol : str
        Parameter that holds it.
    value : int
        Node, by the other switches.
    known : bool
        Linear in time: the time of the next change is known.
    following, slope : int
        Nodes of the next time at which it changes, and of the rate of ``value``; constants if that is not known.
    """

    kind: int
    closed: bool
    symbol: str
    value: int
    known: bool
    following: int
    slope: int


class Switches:
    """Puts switches in the place of conditions.

    Parameters
    ----------
    graph : Graph
    still : set of str
        States that do not move between events.
    """

    def __init__(self, graph: Graph, still: set[str]) -> None:
        self.graph, self.still = graph, still
        self.found: list[Switch] = []
        self._made: dict[tuple[int, bool, int], int] = {}
        self._held: dict[tuple[int, bool], int] = {}

    def hold(self, roots: Sequence[int], *, equalities: bool = False) -> list[int]:
        """The same nodes with every condition on state or time held.

        ``equalities``: those as well, as for a trigger. In a rate they have no duration and stay as written.
        """
        graph = self.graph
        for node in graph.needed(roots):
            if (node, equalities) in self._held:
                continue
            args = graph.children(node)
            new = tuple(self._held[a, equalities] for a in args)
            op = graph.ops[node]
            if not new or max(graph.level[a] for a in new) < STATE:
                result = node if new == args else graph.make(op, new)
            else:
                result = self._replace(node, op, args, new, equalities)
            self._held[node, equalities] = result
        return [self._held[r, equalities] for r in roots]

    def _replace(self, node: int, op: str, args: tuple[int, ...], new: tuple[int, ...], equalities: bool) -> int:
        graph = self.graph
        if op in ("ge", "gt"):
            return self._truth(GREATER, op == "ge", graph.sub(new[0], new[1]))
        if op in ("le", "lt"):
            return self._truth(GREATER, op == "le", graph.sub(new[1], new[0]))
        if op in ("eq", "ne") and equalities:
            equal = self._equal(graph.sub(new[0], new[1]))
            return graph.logic("not", [equal]) if op == "ne" else equal
        if op == "floor":
            return self._switch(FLOOR, False, new[0])
        if op == "ceil":
            return graph.neg(self._switch(FLOOR, False, graph.neg(new[0])))
        if op == "abs" and self._moving(new[0]) == {TIME}:
            return graph.select(self._truth(GREATER, True, new[0]), new[0], graph.neg(new[0]))
        return node if new == args else graph.make(op, new)

    def resolution(self, roots: Sequence[int]) -> tuple[int, bool]:
        """Longest step that sees what depends on time alone, and whether some of it has a scale that is not known.

        A state at rest lets steps grow over a pulse that is still to come. The step is held to an eighth of the period
        of a sine or cosine; of other curves only the driver's own limit, a share of the whole time, keeps it.
        """
        graph, moves = self.graph, dict[int, int]()
        longest, unknown = graph.const(float("inf")), False
        for node in graph.needed(roots):
            if graph.ops[node] == "sym":
                name = str(graph.args[node][0])
                still = graph.level[node] < STATE or name in self.still
                moves[node] = 0 if still else 1 if name == TIME else 2
                continue
            children = graph.children(node)
            moves[node] = max((moves[a] for a in children), default=0)
            if moves[node] != 1 or self._slope(node) is not None:
                continue
            slopes = [self._slope(a) for a in children]
            if any(s is None for s in slopes):
                continue
            if graph.ops[node] in ("sin", "cos") and slopes[0] is not None:
                step = graph.div(graph.const(PERIOD_SHARE), graph.call("abs", slopes[0]))
                longest = graph.select(graph.compare("lt", step, longest), step, longest)
            else:
                unknown = True
        return longest, unknown

    def _moving(self, node: int) -> set[str]:
        """States that a node reads and that move."""
        graph = self.graph
        names = (n for n in graph.needed([node]) if graph.ops[n] == "sym" and graph.level[n] == STATE)
        return {str(graph.args[n][0]) for n in names} - self.still

    def _equal(self, value: int) -> int:
        moving = self._moving(value)
        if not moving:
            return self._truth(STILL, True, value)
        if moving == {TIME} and self._slope(value) is not None:
            return self._truth(EQUAL, True, value)
        raise refuse(f"a trigger on the equality of quantities that move ({', '.join(sorted(moving))})")

    def _truth(self, kind: int, closed: bool, value: int) -> int:
        if self.graph.level[value] < STATE:
            op = {GREATER: "ge" if closed else "gt", STILL: "eq"}[kind]
            return self.graph.compare(op, value, self.graph.zero)
        return self.graph.truth(self._switch(kind, closed, value))

    def _switch(self, kind: int, closed: bool, value: int) -> int:
        graph, key = self.graph, (kind, closed, value)
        if key in self._made:
            return self._made[key]
        name = f"__switch{len(self.found)}"
        symbol = graph.symbol(name, PATIENT)
        slope = self._slope(value)
        following = graph.const(float("inf"))
        if slope is not None and kind != STILL:
            clock = graph.symbol(TIME, STATE)
            at_zero = graph.substitute(value, {clock: graph.zero})
            wanted = graph.zero
            if kind == FLOOR:
                up = graph.compare("gt", slope, graph.zero)
                wanted = graph.select(up, graph.add(symbol, graph.one), symbol)
            following = graph.div(graph.sub(wanted, at_zero), slope)
        known = slope is not None and kind != STILL
        self.found.append(Switch(kind, closed, name, value, known, following, graph.zero if slope is None else slope))
        self._made[key] = symbol
        return symbol

    def _slope(self, value: int) -> int | None:
        """Rate of change of something linear in time between events, ``None`` if it is not."""
        if not self._moving(value) <= {TIME}:
            return None
        (by_time,) = self.graph.derivatives([value], [TIME])
        slope = by_time.get(TIME, self.graph.zero)
        return None if self._moving(slope) else slope
