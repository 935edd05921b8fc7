"""Quality report of the assembled model: one graded finding per property that a modeller would check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import Problem, get_engine
from crosstalk.engine.steady import SETTLING_H, linearize
from crosstalk.errors import ModelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.assembly import Model, Regulator, assemble
from crosstalk.model.pharmacokinetics import pk_parameters, prefix

__all__ = ["Finding", "check_model", "check_positivity", "unit_warnings"]

Grade = Literal["pass", "note", "fail"]

MAX_STATES = 60
STEADY_LIMIT = 1e-10  # [1/h]
RETURN_LIMIT = 1e-4
_FORBIDDEN = ("power", "exp", "ln", "log", "abs", "min", "max", "root", "piecewise", "floor", "ceil", "sin", "cos")


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked property: its grade, the figure that was found and what it means."""

    check: str
    grade: Grade
    value: str
    message: str


def check_model(knowledge: Knowledge | None = None) -> tuple[Finding, ...]:
    """Check the mechanism without drugs, and with the whole drug library where drugs matter.

    Returns
    -------
    tuple of Finding
        In a fixed order; ``fail`` where the model must not be used.
    """
    knowledge = knowledge or load_knowledge()
    core = assemble((), knowledge)
    full = assemble(tuple(knowledge.drugs), knowledge, circadian=True)
    return (
        _units(full),
        _unused(full, knowledge),
        _size(core),
        _rational(core),
        _positivity(core),
        *_steady_state(core),
        _attractor(core),
        _conservation(full, knowledge),
        _sources(knowledge),
    )


def unit_warnings(model: Model) -> tuple[str, ...]:
    """All warnings and errors of libSBML's consistency check, units included."""
    import libsbml

    document = libsbml.readSBMLFromString(model.sbml)
    document.checkConsistency()
    errors = (document.getError(i) for i in range(document.getNumErrors()))
    return tuple(f"line {e.getLine()}: {' '.join(e.getMessage().split())}" for e in errors)


def check_positivity(model: Model, parameters: Mapping[str, NDArray[np.float64]], *, n: int) -> NDArray[np.bool_]:
    """Which patients keep every stimulating regulator positive, shape (n,).

    ``up1`` and ``up4`` tend to ``1 - gain * h(resting)`` when their input vanishes; production would become negative
    where that falls below zero.

    Parameters
    ----------
    model : Model
    parameters : mapping of str to array, shape (n,)
        Values that differ from the model's own.
    n : int
        Number of patients.
    """
    good = np.ones(n, dtype=bool)
    for regulator in model.regulators:
        good &= _floor(model, regulator, parameters) > 0
    return good


def _floor(model: Model, regulator: Regulator, parameters: Mapping[str, NDArray[np.float64]]) -> Any:
    def value(text: str) -> Any:
        if text in parameters:
            return np.asarray(parameters[text])
        if text in model.constants:
            return model.constants[text]
        try:
            return float(text)
        except ValueError:
            raise ModelError(
                f"the regulator up{regulator.exponent}(..., {regulator.resting}, {regulator.gain}, {regulator.half}) "
                f"has the argument '{text}'; expected a parameter or a number, so that its sign can be checked"
            ) from None

    resting, gain, half = (value(t) for t in (regulator.resting, regulator.gain, regulator.half))
    power = regulator.exponent
    return 1 - gain * resting**power / (half**power + resting**power)


def _units(model: Model) -> Finding:
    warnings = unit_warnings(model)
    if warnings:
        return Finding("units", "fail", f"{len(warnings)} warnings", warnings[0])
    return Finding("units", "pass", "0 warnings", "libSBML finds every unit consistent, all drugs included")


def _names(model: Any) -> dict[str, set[str]]:
    """What each rule and initial assignment reads, by its variable."""
    import libsbml

    reads: dict[str, set[str]] = {}
    for items, get in ((model.getListOfRules(), "getVariable"), (model.getListOfInitialAssignments(), "getSymbol")):
        for i in range(items.size()):
            item = items.get(i)
            nodes = libsbml.formulaToL3String(item.getMath())
            found = set(_tokens(nodes))
            reads.setdefault(getattr(item, get)(), set()).update(found)
    return reads


def _tokens(formula: str) -> list[str]:
    import re

    return re.findall(r"[A-Za-z_]\w*", formula)


def _sbml(model: Model) -> Any:
    import libsbml

    return libsbml.readSBMLFromString(model.sbml)


def _unused(model: Model, knowledge: Knowledge) -> Finding:
    document = _sbml(model)
    read = set().union(*_names(document.getModel()).values())
    unused = sorted((set(model.constants) & set(knowledge.parameters)) - read)
    if unused:
        return Finding("unused parameters", "fail", str(len(unused)), f"nothing reads {', '.join(unused)}")
    return Finding("unused parameters", "pass", "0", f"all {len(knowledge.parameters)} parameters are read")


def _size(model: Model) -> Finding:
    n = len(model.states)
    grade: Grade = "pass" if n <= MAX_STATES else "fail"
    return Finding("size", grade, f"{n} states", f"at most {MAX_STATES} without drugs")


def _rational(model: Model) -> Finding:
    """No costly function in anything that depends on a state."""
    document = _sbml(model)
    sbml = document.getModel()
    reads = _names(sbml)
    moving = set(model.states)
    grew = True
    while grew:
        new = {v for v in model.variables if v not in moving and reads[v] & moving}
        grew = bool(new)
        moving |= new
    bad = sorted(v for v in moving if reads.get(v, set()) & set(_FORBIDDEN) or _has_power(sbml, v))
    if bad:
        return Finding("rational rates", "fail", str(len(bad)), f"{', '.join(bad)} use a function that is not rational")
    return Finding("rational rates", "pass", "0", "no power, exponential, logarithm or branch depends on a state")


def _has_power(sbml: Any, variable: str) -> bool:
    import libsbml

    rule = sbml.getRuleByVariable(variable)
    return rule is not None and "^" in libsbml.formulaToL3String(rule.getMath())


def _positivity(model: Model) -> Finding:
    worst = min(model.regulators, key=lambda r: float(_floor(model, r, {})))
    floor = float(_floor(model, worst, {}))
    grade: Grade = "pass" if floor > 0 else "fail"
    text = f"lowest for gain {worst.gain}; {len(model.regulators)} regulators"
    return Finding("positivity", grade, f"{floor:.2f}", text)


def _steady_state(model: Model) -> tuple[Finding, ...]:
    here = linearize(Problem(model.sbml, 1))
    state, rates = here.values[0], here.rates[0]
    relative = np.abs(rates) / np.maximum(np.abs(state), 1e-9)
    worst = int(np.argmax(relative))
    exact: Grade = "pass" if relative[worst] < STEADY_LIMIT else "fail"
    jacobian = here.jacobian[0]
    growth = np.linalg.eigvals(jacobian).real
    stable: Grade = "pass" if growth.max() < 0 else "fail"
    slow, fast = -1 / growth.max() / 24, -60 / growth.min()
    return (
        Finding(
            "healthy steady state", exact, f"{relative[worst]:.1e} per hour",
            f"largest relative rate, of {here.states[worst]}; the limit is {STEADY_LIMIT:g}",
        ),
        Finding("stability", stable, f"{growth.max():.2e} per hour", "largest real part of the eigenvalues"),
        Finding(
            "stiffness", "note", f"{growth.min() / growth.max():.0f}",
            f"slowest mode {slow:.0f} days, fastest {fast:.1f} minutes",
        ),
    )  # fmt: skip


def _attractor(model: Model) -> Finding:
    """Start at half and at twice each state (zero states at 1) and see that health returns."""
    here = linearize(Problem(model.sbml, 1))
    healthy = here.values[0]
    starts = []
    for j, value in enumerate(healthy):
        for factor in (0.5, 2.0):
            start = healthy.copy()
            start[j] = value * factor if value else factor
            starts.append(start)
    table = np.array(starts)
    problem = Problem(
        model.sbml, len(table), {}, np.array([0.0, SETTLING_H]), here.states,
        {s: table[:, j] for j, s in enumerate(here.states)},
    )  # fmt: skip
    ends = get_engine().simulate(problem, rtol=1e-8)
    gap = np.abs(ends.values[:, :, -1] - healthy) / np.maximum(np.abs(healthy), 1e-3)
    gap[~np.isfinite(gap)] = np.inf
    worst = np.unravel_index(int(np.argmax(gap)), gap.shape)
    grade: Grade = "pass" if gap.max() < RETURN_LIMIT else "fail"
    started = here.states[int(worst[0]) // 2]
    return Finding(
        "return to health",
        grade,
        f"{gap.max():.1e}",
        f"largest gap, in {here.states[int(worst[1])]} after {started} was moved",
    )


def _conservation(model: Model, knowledge: Knowledge) -> Finding:
    """What leaves a drug's compartments must be what its elimination removes, at an arbitrary state."""
    rng = np.random.default_rng(1)
    drugs = [d for d in knowledge.drugs.values() if not d.into_state]
    owned = [s for s in model.states if any(s.startswith(prefix(d.id) + "_") for d in drugs)]
    concentrations = tuple(f"{prefix(d.id)}_conc" for d in drugs)
    initial = {s: np.array([rng.uniform(0.5, 2.0)]) for s in owned}
    here = linearize(Problem(model.sbml, 1, outputs=concentrations, initial=initial))
    rates = dict(zip(here.states, here.rates[0], strict=True))
    worst, culprit = 0.0, ""
    for drug in drugs:
        p, constants = prefix(drug.id), {k: v for k, (v, _, _) in pk_parameters(drug).items()}
        amounts = [s for s in owned if s in (f"{p}_depot", f"{p}_central", f"{p}_peripheral")]
        conc = float(here.outputs[f"{p}_conc"][0])
        removed = constants["CL"] * conc
        if "vmax" in constants:
            removed += constants["vmax"] * conc / (constants["km"] + conc)
        gap = abs(sum(rates[s] for s in amounts) + removed) / max(removed, 1e-12)
        if gap > worst:
            worst, culprit = gap, drug.id
    grade: Grade = "pass" if worst < 1e-9 else "fail"
    return Finding(
        "conservation",
        grade,
        f"{worst:.1e}",
        f"drug amounts balance to rounding{'; worst ' + culprit if culprit else ''}",
    )


def _sources(knowledge: Knowledge) -> Finding:
    kinds = [p.source.kind for p in knowledge.parameters.values()]
    assumed = kinds.count("assumed")
    return Finding(
        "sources", "note", f"{assumed} of {len(kinds)} assumed",
        ", ".join(f"{kinds.count(k)} {k}" for k in ("measured", "derived", "fitted")),
    )  # fmt: skip
