"""SBML to a system of ordinary differential equations as an expression graph. Knows SBML and nothing of biology.

Supported: species, compartments of any size, parameters, rate and assignment rules, reactions, function definitions,
initial assignments, conversion factors, stoichiometries that vary, events at fixed times. Everything else is refused by
name, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crosstalk.engine.expressions import PATIENT, STATE, Graph
from crosstalk.engine.mathematics import TIME, Mathematics
from crosstalk.engine.nesting import TOO_DEEP, check_calls, check_nesting
from crosstalk.errors import ModelError

__all__ = ["TIME", "OdeSystem", "TimedEvent", "read_sbml"]


@dataclass(frozen=True)
class TimedEvent:
    """At ``time_h`` each target takes the value of a hidden variable; ``inclusive``: the trigger holds at that time."""

    time_h: float
    inclusive: bool
    assignments: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class OdeSystem:
    """Rates of change and variables of a model as nodes of one graph.

    Attributes
    ----------
    states : tuple of str
    rates : tuple of int
        Nodes, one per state.
    initial : tuple of float
        Initial values of the states at the model's own parameters.
    parameters : dict of str to float
        What a patient may change, with the model's own values.
    variables : dict of str to int
        Nodes of everything else that has a name.
    events : tuple of TimedEvent
    """

    graph: Graph
    states: tuple[str, ...]
    rates: tuple[int, ...]
    initial: tuple[float, ...]
    parameters: dict[str, float]
    variables: dict[str, int]
    events: tuple[TimedEvent, ...]


def read_sbml(text: str) -> OdeSystem:
    """Read SBML.

    Raises
    ------
    ModelError
        If the text is no valid SBML or uses a feature that is not supported; the message names it.
    """
    import libsbml

    check_nesting(text)
    document = libsbml.readSBMLFromString(text)
    if document.getNumErrors(libsbml.LIBSBML_SEV_ERROR) or document.getModel() is None:
        reason = document.getError(0).getMessage().strip() if document.getNumErrors() else "no model"
        raise ModelError(f"this is no valid SBML: {reason}")
    for i in range(document.getNumPlugins()):
        package = document.getPlugin(i).getPackageName()
        if package != "l3v2extendedmath" and document.getPackageRequired(package):
            raise ModelError(f"the model needs the SBML package '{package}', which is not supported")
    check_calls(document.getModel())
    for converter in ("expandFunctionDefinitions", "promoteLocalParameters"):
        options = libsbml.ConversionProperties()
        options.addOption(converter, True)
        if document.convert(options) != libsbml.LIBSBML_OPERATION_SUCCESS:
            raise ModelError(f"libSBML could not apply '{converter}' to the model")
    try:
        return _Reader(document.getModel()).system()
    except RecursionError:
        raise ModelError(TOO_DEEP) from None


def _refuse(feature: str) -> ModelError:
    return ModelError(f"the model uses {feature}, which is not supported")


class _Reader:
    """Builds the system of one model."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, Graph()
        self.refuse_unsupported()
        self.parameters: dict[str, float] = {}
        self.rules: dict[str, Any] = {}
        self.rate_rules: dict[str, Any] = {}
        self.variables: dict[str, int] = {}
        self.amounts: dict[str, str] = {}
        self.flux: dict[str, int] = {}
        self.uses_time = False
        self._open: list[str] = []
        self.collect_rules()
        self.states = self.find_states()
        self.mathematics = Mathematics(self.graph, self.symbol, self.rate_of)

    def refuse_unsupported(self) -> None:
        model = self.model
        for i in range(model.getNumRules()):
            if model.getRule(i).isAlgebraic():
                raise _refuse("an algebraic rule")
        for i in range(model.getNumReactions()):
            reaction = model.getReaction(i)
            if reaction.isSetFast() and reaction.getFast():
                raise _refuse(f"the fast reaction '{reaction.getId()}'")

    def collect_rules(self) -> None:
        for i in range(self.model.getNumRules()):
            rule = self.model.getRule(i)
            if rule.getMath() is not None:
                (self.rate_rules if rule.isRate() else self.rules)[rule.getVariable()] = rule.getMath()

    def find_states(self) -> tuple[str, ...]:
        """Rate-rule targets and species that reactions change; sort everything else into parameters and variables."""
        model, states = self.model, list(self.rate_rules)
        changed = self.changed_species()
        self.reference_ids = self.stoichiometry_ids()
        for kind in ("Compartment", "Parameter"):
            for i in range(getattr(model, f"getNum{kind}s")()):
                item = getattr(model, f"get{kind}")(i)
                if item.getId() not in self.rules and item.getId() not in self.rate_rules:
                    self.parameters[item.getId()] = _number(item)
        for i in range(model.getNumSpecies()):
            species = model.getSpecies(i)
            name = species.getId()
            if name in self.rules or name in self.rate_rules:
                continue
            if self.is_amount(species) or not self.moves(species.getCompartment()):
                held = name
            else:
                held = self.amounts[name] = f"{name}__amount"
            if name in changed:
                states.append(held)
            else:
                self.parameters[held] = 0.0
        for name, reference in self.reference_ids.items():
            if name not in self.rules and name not in self.rate_rules:
                self.parameters[name] = reference.getStoichiometry() if reference.isSetStoichiometry() else 1.0
        return tuple(states)

    def is_amount(self, species: Any) -> bool:
        compartment = self.model.getCompartment(species.getCompartment())
        return bool(species.getHasOnlySubstanceUnits()) or compartment.getSpatialDimensions() == 0

    def moves(self, compartment: str) -> bool:
        """Whether the size of a compartment can change."""
        return not self.model.getCompartment(compartment).getConstant()

    def changed_species(self) -> set[str]:
        found = set()
        for i in range(self.model.getNumReactions()):
            reaction = self.model.getReaction(i)
            for j in range(reaction.getNumReactants() + reaction.getNumProducts()):
                k = j - reaction.getNumReactants()
                reference = reaction.getReactant(j) if k < 0 else reaction.getProduct(k)
                species = self.model.getSpecies(reference.getSpecies())
                if not species.getBoundaryCondition() and not species.getConstant():
                    found.add(species.getId())
        return found

    def stoichiometry_ids(self) -> dict[str, Any]:
        found = {}
        for i in range(self.model.getNumReactions()):
            reaction = self.model.getReaction(i)
            for get, count in (("getReactant", "getNumReactants"), ("getProduct", "getNumProducts")):
                for j in range(getattr(reaction, count)()):
                    reference = getattr(reaction, get)(j)
                    if reference.isSetId() and self.model.getLevel() > 2:
                        found[reference.getId()] = reference
        return found

    def symbol(self, name: str) -> int:
        """Node of a name in formulas of rates and rules."""
        if name == TIME:
            self.uses_time = True
            return self.graph.symbol(TIME, STATE)
        if name in self.variables:
            return self.variables[name]
        if name in self.states:
            return self.graph.symbol(name, STATE)
        if name in self.parameters:
            return self.graph.symbol(name, PATIENT)
        if name in self._open:
            raise ModelError(f"the rules define '{name}' by itself: {' -> '.join([*self._open, name])}")
        self._open.append(name)
        self.variables[name] = self.define(name)
        self._open.pop()
        return self.variables[name]

    def define(self, name: str) -> int:
        if name in self.rules:
            return self.mathematics.node(self.rules[name])
        if name in self.amounts:
            size = self.symbol(self.model.getSpecies(name).getCompartment())
            return self.graph.div(self.symbol(self.amounts[name]), size)
        reaction = self.model.getReaction(name)
        if reaction is not None:
            law = reaction.getKineticLaw()
            if law is None or law.getMath() is None:
                return self.graph.zero
            return self.mathematics.node(law.getMath())
        raise ModelError(f"the model uses '{name}', which it does not define")

    def rate_of(self, name: str) -> int:
        """Rate of change of a symbol, zero for what does not change."""
        if name in self.states:
            return self.rate(name)
        if name in self.amounts:
            return self.graph.div(
                self.rate_of(self.amounts[name]), self.symbol(self.model.getSpecies(name).getCompartment())
            )
        if name in self.parameters:
            return self.graph.zero
        raise _refuse(f"the rate of '{name}', which is set by a rule")

    def rate(self, state: str) -> int:
        if state in self.rate_rules:
            return self.mathematics.node(self.rate_rules[state])
        name = state.removesuffix("__amount") if state not in self.variables and state.endswith("__amount") else state
        species = self.model.getSpecies(name)
        total = self.graph.zero
        for i in range(self.model.getNumReactions()):
            reaction = self.model.getReaction(i)
            for sign, get, count in ((-1, "getReactant", "getNumReactants"), (1, "getProduct", "getNumProducts")):
                for j in range(getattr(reaction, count)()):
                    reference = getattr(reaction, get)(j)
                    if reference.getSpecies() == name:
                        flow = self.graph.mul(self.stoichiometry(reference), self.symbol(reaction.getId()))
                        total = self.graph.add(total, flow) if sign > 0 else self.graph.sub(total, flow)
        factor = species.getConversionFactor() or self.model.getConversionFactor()
        if factor:
            total = self.graph.mul(total, self.symbol(factor))
        if state == name and not self.is_amount(species):
            total = self.graph.div(total, self.symbol(species.getCompartment()))
        return total

    def stoichiometry(self, reference: Any) -> int:
        if reference.isSetId() and reference.getId() in self.reference_ids:
            return self.symbol(reference.getId())
        if reference.isSetStoichiometryMath():
            return self.mathematics.node(reference.getStoichiometryMath().getMath())
        return self.graph.const(reference.getStoichiometry() / (reference.getDenominator() or 1))

    def system(self) -> OdeSystem:
        graph = self.graph
        rates = {state: self.rate(state) for state in self.states}
        for name in (*self.rules, *self.amounts):
            self.symbol(name)
        for i in range(self.model.getNumReactions()):
            self.symbol(self.model.getReaction(i).getId())
        events = tuple(self.events())
        start = self.initial_values()
        self.parameters = {name: start[name] for name in self.parameters}
        states = self.states
        if self.uses_time or not states:
            # a model without a state still has its time
            states, rates[TIME], start[TIME] = (*states, TIME), graph.one, 0.0
        return OdeSystem(
            graph,
            states,
            tuple(rates[s] for s in states),
            tuple(start[s] for s in states),
            self.parameters,
            {k: v for k, v in self.variables.items() if k not in self.parameters},
            events,
        )

    def initial_values(self) -> dict[str, float]:
        """Values of all states and parameters at time 0."""
        assigned: dict[str, Any] = {}
        for i in range(self.model.getNumInitialAssignments()):
            item = self.model.getInitialAssignment(i)
            if item.getMath() is not None:
                assigned[item.getSymbol()] = item.getMath()
        known: dict[str, float] = {TIME: 0.0}
        opened: list[str] = []

        def value(name: str) -> float:
            if name in known:
                return known[name]
            if name in opened:
                raise ModelError(f"initial values define '{name}' by itself: {' -> '.join([*opened, name])}")
            opened.append(name)
            known[name] = found = compute(name)
            opened.pop()
            return found

        def evaluate(node: int) -> float:
            graph = self.graph
            names = {str(graph.args[n][0]) for n in graph.needed([node]) if graph.ops[n] == "sym"}
            return graph.evaluate([node], {n: value(n) for n in names})[0]

        def compute(name: str) -> float:
            if name in assigned:
                return evaluate(self.mathematics.node(assigned[name]))
            if name in self.amounts.values():
                species = self.model.getSpecies(name.removesuffix("__amount"))
                if species.getId() in assigned:
                    return value(species.getId()) * value(species.getCompartment())
                return self.species_value(species, value, amount=True)
            if name in self.variables:
                return evaluate(self.variables[name])
            species = self.model.getSpecies(name)
            if species is not None:
                return self.species_value(species, value, amount=self.is_amount(species))
            if name in self.parameters:
                return self.parameters[name]
            item = self.model.getElementBySId(name)
            return _number(item)

        return {name: value(name) for name in (*self.states, *self.parameters)}

    def species_value(self, species: Any, value: Any, *, amount: bool) -> float:
        if species.isSetInitialAmount():
            size = 1.0 if amount else value(species.getCompartment())
            return float(species.getInitialAmount()) / size
        if species.isSetInitialConcentration():
            size = value(species.getCompartment()) if amount else 1.0
            return float(species.getInitialConcentration()) * size
        return float("nan")

    def events(self) -> list[TimedEvent]:
        found = []
        for i in range(self.model.getNumEvents()):
            event = self.model.getEvent(i)
            time = self.trigger_time(event)
            assignments = []
            for j in range(event.getNumEventAssignments()):
                item = event.getEventAssignment(j)
                if item.getMath() is None:
                    continue
                target, node = item.getVariable(), self.mathematics.node(item.getMath())
                changes = {target: node}
                if target in self.amounts:
                    size = self.symbol(self.model.getSpecies(target).getCompartment())
                    changes = {self.amounts[target]: self.graph.mul(node, size)}
                elif self.model.getCompartment(target) is not None:
                    changes.update(self.diluted(target, node))
                for k, (name, value) in enumerate(changes.items()):
                    hidden = f"__event{i}_{j}_{k}"
                    self.variables[hidden] = value
                    assignments.append((name, hidden))
            if time is not None:
                found.append(TimedEvent(*time, tuple(assignments)))
        if len({e.time_h for e in found}) < len(found):
            raise _refuse("several events at the same time")
        return sorted(found, key=lambda e: e.time_h)

    def diluted(self, compartment: str, size: int) -> dict[str, int]:
        """Concentrations in a compartment whose size jumps: amounts stay."""
        found = {}
        ratio = self.graph.div(self.symbol(compartment), size)
        for i in range(self.model.getNumSpecies()):
            species = self.model.getSpecies(i)
            name = species.getId()
            held_as_amount = self.is_amount(species) or name in self.amounts
            if species.getCompartment() == compartment and not held_as_amount and name not in self.rules:
                found[name] = self.graph.mul(self.symbol(name), ratio)
        return found

    def trigger_time(self, event: Any) -> tuple[float, bool] | None:
        """Time at which an event fires and whether the trigger holds then, ``None`` if never."""
        name = event.getId() or "without an id"
        trigger = event.getTrigger()
        if trigger is None or trigger.getMath() is None:
            return None
        node = self.mathematics.node(trigger.getMath())
        graph = self.graph
        delay = 0.0
        if event.getDelay() is not None and event.getDelay().getMath() is not None:
            delay_node = self.mathematics.node(event.getDelay().getMath())
            fixed = graph.value(delay_node)
            if fixed is None:
                raise _refuse(f"the event '{name}' with a delay that is no number")
            delay = fixed
        if delay:
            raise _refuse(f"the event '{name}' with a delay")
        truth = graph.value(node)
        if truth is not None:
            if truth and self.model.getLevel() > 2 and not trigger.getInitialValue():
                return 0.0, True
            return None
        if graph.ops[node] in ("gt", "ge", "lt", "le"):
            a, b = graph.args[node]
            if graph.ops[node] in ("lt", "le"):
                a, b = b, a
            limit = graph.value(b)
            if graph.ops[a] == "sym" and graph.args[a][0] == TIME and limit is not None:
                if limit > 0.0 or (limit == 0.0 and graph.ops[node] in ("gt", "lt")):
                    return float(limit), graph.ops[node] in ("ge", "le")
                return (0.0, True) if self.model.getLevel() > 2 and not trigger.getInitialValue() else None
        raise _refuse(f"the event '{name}', whose trigger is not a fixed time")


def _number(item: Any) -> float:
    """Value of a compartment, parameter or species reference as written."""
    if item is None:
        return float("nan")
    if hasattr(item, "isSetSize"):
        return float(item.getSize()) if item.isSetSize() else float("nan")
    if hasattr(item, "isSetStoichiometry"):
        return float(item.getStoichiometry()) if item.isSetStoichiometry() else float("nan")
    return float(item.getValue()) if item.isSetValue() else float("nan")
