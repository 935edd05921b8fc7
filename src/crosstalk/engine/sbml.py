"""SBML to a system of ordinary differential equations as an expression graph. Knows SBML and nothing of biology.

Supported: species, compartments of any size, parameters, rate and assignment rules, reactions, function definitions,
initial assignments, conversion factors, stoichiometries that vary, discontinuities, events. Everything else is refused
by name, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from crosstalk.engine.document import read_model, refuse, time_unit
from crosstalk.engine.expressions import PATIENT, STATE, Graph
from crosstalk.engine.mathematics import TIME, Mathematics
from crosstalk.engine.nesting import TOO_DEEP
from crosstalk.engine.starting import given
from crosstalk.engine.switches import Switch, Switches
from crosstalk.errors import ModelError

__all__ = ["TIME", "ModelEvent", "OdeSystem", "read_sbml"]


@dataclass(frozen=True)
class ModelEvent:
    """An event of the model; everything but the flags and the targets is a node.

    Attributes
    ----------
    trigger : int
        By the switches, so that it changes exactly where the integration stops.
    holds : int
        The trigger as written: whether it holds at the very time of the change.
    delay, priority : int
    persistent : bool
        Stays due though the trigger falls back before it is carried out.
    initial : bool
        What the trigger was before time 0.
    early : bool
        Assigned are the values at the time of the trigger, not of the end of the delay.
    assignments : tuple of (state or parameter, node)
    """

    trigger: int
    holds: int
    delay: int
    priority: int
    persistent: bool
    initial: bool
    early: bool
    assignments: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class OdeSystem:
    """Rates of change and variables of a model as nodes of one graph.

    Attributes
    ----------
    states : tuple of str
    rates, exact : tuple of int
        Nodes, one per state: with conditions held between their changes, and as written.
    initial : tuple of float
        Initial values of the states at the model's own parameters.
    parameters : dict of str to float
        What a patient may change, with the model's own values.
    following : dict of str to int
        Initial values that follow from other values, each after what it reads; for a species that is held as an amount
        also the amount by the value of the name `given`.
    amounts : dict of str to (str, str)
        Species that are held as amounts: the state or parameter that holds it, and the compartment.
    variables : dict of str to int
        Nodes of everything else that has a name.
    switches : tuple of Switch
    longest : int
        Node of the longest step that sees the sines of time in the rates and switches.
    fine : bool
        Whether they hold other curves in time.
    events : tuple of ModelEvent
    time_unit : str
    """

    graph: Graph
    states: tuple[str, ...]
    rates: tuple[int, ...]
    exact: tuple[int, ...]
    initial: tuple[float, ...]
    parameters: dict[str, float]
    following: dict[str, int]
    amounts: dict[str, tuple[str, str]]
    variables: dict[str, int]
    switches: tuple[Switch, ...]
    longest: int
    fine: bool
    events: tuple[ModelEvent, ...]
    time_unit: str


def read_sbml(text: str) -> OdeSystem:
    """Read SBML.

    Raises
    ------
    ModelError
        If the text is no valid SBML.
    Unsupported
        If the model uses a feature that is not supported; the message names it.
    """
    # the document owns the model
    document = read_model(text)
    try:
        return _Reader(document.getModel()).system()
    except RecursionError:
        raise ModelError(TOO_DEEP) from None


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
        self.changed_by_events = self.event_targets()
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
                raise refuse("an algebraic rule")
        for i in range(model.getNumReactions()):
            reaction = model.getReaction(i)
            if reaction.isSetFast() and reaction.getFast():
                raise refuse(f"the fast reaction '{reaction.getId()}'")

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
        """Whether the size of a compartment can change; Level 1 has no flag for it, and libSBML answers no."""
        ruled = compartment in self.rules or compartment in self.rate_rules or compartment in self.changed_by_events
        return ruled or not self.model.getCompartment(compartment).getConstant()

    def event_targets(self) -> set[str]:
        events = [self.model.getEvent(i) for i in range(self.model.getNumEvents())]
        return {e.getEventAssignment(j).getVariable() for e in events for j in range(e.getNumEventAssignments())}

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
        raise refuse(f"the rate of '{name}', which is set by a rule")

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
        events = self.events()
        start, following = self.initial_values()
        self.parameters = {name: start[name] for name in self.parameters}
        states = self.states
        if self.uses_time or not states:
            # a model without a state still has its time
            states, rates[TIME], start[TIME] = (*states, TIME), graph.one, 0.0
        still = {s for s in states if graph.value(rates[s]) == 0.0}
        switches = Switches(graph, still)
        exact = tuple(rates[s] for s in states)
        held = switches.hold(exact)
        events = tuple(replace(e, trigger=switches.hold([e.trigger], equalities=True)[0]) for e in events)
        seen = [*held, *(s.value for s in switches.found)]
        longest, fine = switches.resolution(seen) if self.uses_time else (graph.const(float("inf")), False)
        return OdeSystem(
            graph,
            states,
            tuple(held),
            exact,
            tuple(start[s] for s in states),
            self.parameters,
            following,
            {k: (v, self.model.getSpecies(k).getCompartment()) for k, v in self.amounts.items()},
            {k: v for k, v in self.variables.items() if k not in self.parameters},
            tuple(switches.found),
            longest,
            fine,
            events,
            time_unit(self.model),
        )

    def initial_values(self) -> tuple[dict[str, float], dict[str, int]]:
        """Values of all states and parameters at time 0, and how they follow from each other."""
        graph = self.graph
        assigned: dict[str, Any] = {}
        for i in range(self.model.getNumInitialAssignments()):
            item = self.model.getInitialAssignment(i)
            if item.getMath() is not None:
                assigned[item.getSymbol()] = item.getMath()
        known: dict[str, float] = {TIME: 0.0}
        following: dict[str, int] = {}
        opened: list[str] = []

        def value(name: str) -> float:
            if name in known:
                return known[name]
            if name in opened:
                raise ModelError(f"initial values define '{name}' by itself: {' -> '.join([*opened, name])}")
            opened.append(name)
            node = define(name)
            names = graph.symbols(node)
            known[name] = graph.evaluate([node], {n: value(n) for n in sorted(names)})[0]
            if names - {TIME}:
                following[name] = node
            opened.pop()
            return known[name]

        def define(name: str) -> int:
            if name in assigned:
                return self.mathematics.node(assigned[name])
            if name in self.amounts.values():
                species = self.model.getSpecies(name.removesuffix("__amount"))
                if species.getId() in assigned:
                    size = self.symbol(species.getCompartment())
                    return graph.mul(self.mathematics.node(assigned[species.getId()]), size)
                return self.species_value(species, amount=True)
            species = self.model.getSpecies(name)
            if species is not None:
                return self.species_value(species, amount=self.is_amount(species))
            if name in self.parameters:
                return graph.const(self.parameters[name])
            return graph.const(_number(self.model.getElementBySId(name)))

        found = {name: value(name) for name in (*self.states, *self.parameters)}
        for species, held in self.amounts.items():
            size = self.symbol(self.model.getSpecies(species).getCompartment())
            following[given(species)] = graph.mul(graph.symbol(given(species), PATIENT), size)
            assert held in found
        return found, following

    def species_value(self, species: Any, *, amount: bool) -> int:
        graph, size = self.graph, species.getCompartment()
        if species.isSetInitialAmount():
            number = graph.const(float(species.getInitialAmount()))
            return number if amount else graph.div(number, self.symbol(size))
        if species.isSetInitialConcentration():
            number = graph.const(float(species.getInitialConcentration()))
            return graph.mul(number, self.symbol(size)) if amount else number
        return graph.const(float("nan"))

    def events(self) -> tuple[ModelEvent, ...]:
        graph, found = self.graph, []
        for i in range(self.model.getNumEvents()):
            event = self.model.getEvent(i)
            trigger = event.getTrigger()
            if trigger is None or trigger.getMath() is None:
                continue
            condition = graph.truth(self.mathematics.node(trigger.getMath()))
            assignments: dict[str, int] = {}
            for j in range(event.getNumEventAssignments()):
                item = event.getEventAssignment(j)
                if item.getMath() is None:
                    continue
                target, node = item.getVariable(), self.mathematics.node(item.getMath())
                if target in self.amounts:
                    size = self.symbol(self.model.getSpecies(target).getCompartment())
                    assignments[self.amounts[target]] = graph.mul(node, size)
                    continue
                assignments[target] = node
                if self.model.getCompartment(target) is not None:
                    assignments = {**self.diluted(target, node), **assignments}
            modern = self.model.getLevel() > 2
            found.append(
                ModelEvent(
                    condition,
                    condition,
                    self.optional(event.getDelay(), 0.0),
                    self.optional(event.getPriority(), float("-inf")),
                    not modern or bool(trigger.getPersistent()),
                    not modern or bool(trigger.getInitialValue()),
                    bool(event.getUseValuesFromTriggerTime()),
                    tuple(assignments.items()),
                )
            )
        return tuple(found)

    def optional(self, item: Any, default: float) -> int:
        """Node of the formula of a delay or priority."""
        if item is None or item.getMath() is None:
            return self.graph.const(default)
        return self.mathematics.node(item.getMath())

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


def _number(item: Any) -> float:
    """Value of a compartment, parameter or species reference as written."""
    if item is None:
        return float("nan")
    if hasattr(item, "isSetSize"):
        return float(item.getSize()) if item.isSetSize() else float("nan")
    if hasattr(item, "isSetStoichiometry"):
        return float(item.getStoichiometry()) if item.isSetStoichiometry() else float("nan")
    return float(item.getValue()) if item.isSetValue() else float("nan")
