"""The equations of the model as records: LaTeX, unit, healthy value and meaning of every state and rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from latex import call, equation, symbol

from crosstalk.engine.sbml import read_sbml
from crosstalk.errors import ModelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import Model, assemble

__all__ = ["SCALES", "Definition", "Equation", "definitions", "equations"]

SCALES = "scales"
"""Module of the symptom scales, whose equations come from ``scales.toml``."""

_RULE = re.compile(r"^(\w+)('? :?=) ([^;]+)")
_FUNCTION = re.compile(r"^function (\w+)\(([\w, ]+)\) (.+) end$")


@dataclass(frozen=True, slots=True)
class Equation:
    """One equation of the model.

    Attributes
    ----------
    variable : str
    kind : {"ode", "rule"}
        Rate of change of a state [unit/h], or value of an assigned variable.
    latex : str
        For display, without delimiters.
    unit : str
        Of the variable.
    healthy : float
        Value in the healthy adult; of the optional clock, the value at time 0.
    module : str
        Stem of the Antimony file, or ``scales``.
    meaning : str
    note : str
        Comment above the equation in the file, as paragraphs; empty if there is none.
    """

    variable: str
    kind: Literal["ode", "rule"]
    latex: str
    unit: str
    healthy: float
    module: str
    meaning: str
    note: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One function of ``functions.ant``: its name, its definition as LaTeX and the comment above it."""

    name: str
    latex: str
    note: str


def equations(knowledge: Knowledge | None = None) -> tuple[Equation, ...]:
    r"""Return every state and every rule of the mechanism, the optional clock included, in the order of the files.

    Drugs are left out: their equations depend on the protocol.

    Parameters
    ----------
    knowledge : Knowledge, optional
        The shipped knowledge base by default.

    Returns
    -------
    tuple of Equation

    Raises
    ------
    ModelError
        If an equation cannot be written, or ``variables.tsv`` does not explain exactly the variables of the mechanism.

    Examples
    --------
    >>> [e.latex for e in equations() if e.variable == "PL"]
    ['\\frac{\\mathrm{d}\\mathrm{PL}}{\\mathrm{d}t} = k_{\\mathrm{PL}} \\cdot (\\mathrm{BDNF} - \\mathrm{PL})']
    """
    knowledge = knowledge or load_knowledge()
    model = assemble((), knowledge, circadian=True)
    healthy = _values(model) | _values(assemble((), knowledge))
    scales = {scale.id: scale.name for scale in knowledge.scales.values()}
    meanings = {**knowledge.meanings, **scales}
    found: dict[str, Equation] = {}
    for module, name, is_state, formula, note in _rules(model.antimony, knowledge.mechanisms):
        if name not in meanings:
            raise ModelError(f"variables.tsv does not explain '{name}' of {module}.ant; add a row with its meaning")
        left = f"\\frac{{\\mathrm{{d}}{symbol(name)}}}{{\\mathrm{{d}}t}}" if is_state else symbol(name)
        found[name] = Equation(
            variable=name,
            kind="ode" if is_state else "rule",
            latex=equation(left, formula),
            unit="points" if name in scales else _unit_text(model.units[name]),
            healthy=healthy[name],
            module=module,
            meaning=meanings[name],
            note=note,
        )
    if missing := {*model.states, *model.variables} - found.keys():
        raise ModelError(
            f"cannot find the equations of {', '.join(sorted(missing))}; write X' = ... and X := ... each on a line "
            "of its own"
        )
    if unknown := meanings.keys() - found.keys():
        names = ", ".join(sorted(unknown))
        raise ModelError(f"variables.tsv explains {names}, which the mechanism does not have; drop the row")
    return tuple(found.values())


def definitions(knowledge: Knowledge | None = None) -> tuple[Definition, ...]:
    """Return the functions that the equations call, in the order of ``functions.ant``.

    Raises
    ------
    ModelError
        If a definition cannot be written.

    Examples
    --------
    >>> [d.name for d in definitions()][:3]
    ['h1', 'h2', 'h4']
    """
    knowledge = knowledge or load_knowledge()
    found: list[Definition] = []
    for line, note in _commented(knowledge.mechanisms["functions"]):
        match = _FUNCTION.match(line)
        if match is None:
            raise ModelError(f"functions.ant: expected `function f(x, K) ... end` on one line, got `{line}`")
        name, arguments, formula = match.groups()
        found.append(Definition(name, equation(call(name, arguments.split(", ")), formula), note))
    return tuple(found)


def _commented(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line of an Antimony text with the comments above it; a blank line between them makes a paragraph."""
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("//"):
            paragraphs[-1].append(line.removeprefix("//").strip())
        elif line.strip():
            yield line, "\n\n".join(" ".join(p) for p in paragraphs if p)
            paragraphs = [[]]
        else:
            paragraphs.append([])


def _rules(antimony: str, mechanisms: Mapping[str, str]) -> Iterator[tuple[str, str, bool, str, str]]:
    """Yield (module, variable, whether it is a state, formula, comment) of an assembled model."""
    parts = re.split(r"^// --- (.*)\n", antimony, flags=re.MULTILINE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        module = title if title in mechanisms else SCALES
        for line, note in _commented(text):
            if match := _RULE.match(line):
                name, sign, formula = match.groups()
                if sign != " =":
                    yield module, name, sign.startswith("'"), formula, note


def _values(model: Model) -> dict[str, float]:
    """Values of all states and variables at the start, which is health."""
    system = read_sbml(model.sbml)
    states = dict(zip(system.states, system.initial, strict=True))
    names = [name for name in model.variables if name in system.variables]
    values = system.graph.evaluate([system.variables[name] for name in names], states | system.parameters)
    return states | dict(zip(names, values, strict=True))


def _unit_text(unit: str) -> str:
    """Text of an SBML unit id, the inverse of ``unit_id``."""
    return re.sub(r"^per_", "1_per_", unit).replace("_per_", "/")
