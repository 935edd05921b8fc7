"""The network of the mechanism: which state acts on which, read off its exact Jacobian, drawn as SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import cos, degrees, pi, sin

import numpy as np

from crosstalk.engine import Problem
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.steady import linearize
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import MODULES, assemble

__all__ = ["Link", "Network", "draw", "network"]

SIZE, RADIUS, LABEL = 1000, 340, 12  # of the picture, the circle, and the way from it to a label
_RATE = re.compile(r"^\s*(\w+)'\s*=", re.MULTILINE)
GAP = 2.0  # between modules, in places of states
PULL = 0.25  # how far from the centre a link between neighbours stays, in radii
COLOURS = {1: "#009E73", -1: "#D55E00", 0: "#b0b0b0"}  # Okabe and Ito; lines differ too
DASHES = {1: "", -1: ' stroke-dasharray="7 4"', 0: ' stroke-dasharray="1 4"'}
WORDS = {1: "raises", -1: "lowers", 0: "acts only away from health"}


@dataclass(frozen=True)
class Link:
    """One state acts on the rate of another; the sign is that in the healthy adult, 0 where it acts only elsewhere."""

    source: str
    target: str
    sign: int


@dataclass(frozen=True)
class Network:
    """States by module with their meaning, and what acts on what.

    Attributes
    ----------
    modules : mapping of str to tuple of str
        States of each module, in the order of the equations.
    meanings : mapping of str to str
    links : tuple of Link
        Without those of a state on itself.
    """

    modules: dict[str, tuple[str, ...]]
    meanings: dict[str, str]
    links: tuple[Link, ...]


def network(knowledge: Knowledge | None = None) -> Network:
    """Read the network off the model without drugs."""
    knowledge = knowledge or load_knowledge()
    model = assemble((), knowledge)
    jacobian = linearize(Problem(model.sbml, 1)).jacobian[0]
    system = compile_system(model.sbml)
    links = tuple(
        Link(system.states[j], system.states[i], int(np.sign(jacobian[i, j])))
        for i, j in system.pattern
        if i != j and {system.states[i], system.states[j]} <= set(model.states)
    )
    defined = {name: _RATE.findall(knowledge.mechanisms.get(name, "")) for name in MODULES}
    modules = {name: tuple(s for s in states if s in model.states) for name, states in defined.items()}
    return Network(
        {name: states for name, states in modules.items() if states},
        {s: knowledge.meanings[s] for states in modules.values() for s in states},
        links,
    )


def draw(net: Network) -> str:
    """Draw the states on a circle by module and their links through it; the same bytes each time."""
    place = _places([len(states) for states in net.modules.values()])
    angle = dict(zip((s for states in net.modules.values() for s in states), place, strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" font-family="sans-serif" '
        f'font-size="14" fill="#1a1a1a">',
        "<title>Network of the mechanism</title>",
        f'<rect width="{SIZE}" height="{SIZE}" fill="#ffffff"/>',
        *(_line(link, angle) for link in sorted(net.links, key=lambda k: (k.sign != 0, k.source, k.target))),
    ]
    for name, states in net.modules.items():
        middle = (angle[states[0]] + angle[states[-1]]) / 2
        x, y = _at(middle, RADIUS + 110)
        anchor = "middle" if abs(cos(middle)) < 0.3 else "start" if cos(middle) > 0 else "end"
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="bold">{escape(name)}</text>')
        parts.extend(_state(state, angle[state], net.meanings[state]) for state in states)
    parts.extend(_legend())
    return "\n".join([*parts, "</svg>\n"])


def _places(counts: Sequence[int]) -> list[float]:
    """Angles of all states, with a gap after each module."""
    total = sum(counts) + GAP * len(counts)
    found, at = [], GAP / 2
    for count in counts:
        found += [2 * pi * (at + k + 0.5) / total - pi / 2 for k in range(count)]
        at += count + GAP
    return found


def _at(angle: float, radius: float) -> tuple[float, float]:
    return SIZE / 2 + radius * cos(angle), SIZE / 2 + radius * sin(angle)


def _line(link: Link, angle: dict[str, float]) -> str:
    a, b = angle[link.source], angle[link.target]
    (x, y), (u, v) = _at(a, RADIUS), _at(b, RADIUS)
    apart = abs((a - b + pi) % (2 * pi) - pi) / pi
    # neighbours bend less than what lies opposite
    bend = RADIUS * (1 - PULL) * (1 - apart) * 0.9
    middle = (a + b) / 2 + (pi if abs(a - b) > pi else 0)
    p, q = _at(middle, bend)
    words = f"{link.source} {WORDS[link.sign]} {link.target}" if link.sign else f"{link.source} to {link.target}"
    return (
        f'<path d="M{x:.1f} {y:.1f}Q{p:.1f} {q:.1f} {u:.1f} {v:.1f}" fill="none" stroke="{COLOURS[link.sign]}" '
        f'stroke-width="1.4" stroke-opacity="0.7"{DASHES[link.sign]} marker-end="url(#end{link.sign})">'
        f"<title>{escape(words)}</title></path>"
    )


def _state(state: str, angle: float, meaning: str) -> str:
    x, y = _at(angle, RADIUS)
    u, v = _at(angle, RADIUS + LABEL)
    left = cos(angle) < 0
    turn = degrees(angle) + (180 if left else 0)
    return (
        f'<g><title>{escape(meaning)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
        f'<text x="{u:.1f}" y="{v:.1f}" dy="0.35em" text-anchor="{"end" if left else "start"}" '
        f'transform="rotate({turn:.1f} {u:.1f} {v:.1f})">{escape(state)}</text></g>'
    )


def _legend() -> list[str]:
    found = [
        "<defs>",
        *(
            f'<marker id="end{sign}" viewBox="0 0 8 8" refX="11" refY="4" markerWidth="6" markerHeight="6" '
            f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
            for sign, colour in COLOURS.items()
        ),
        "</defs>",
    ]
    for row, (sign, words) in enumerate(WORDS.items()):
        y = SIZE - 70 + 22 * row
        found.append(
            f'<path d="M20 {y}H70" stroke="{COLOURS[sign]}" stroke-width="2"{DASHES[sign]}/>'
            f'<text x="80" y="{y}" dy="0.35em">{words}</text>'
        )
    return found
