"""From the knowledge base to one SBML model: mechanism, constants, drugs, scales."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from crosstalk.errors import ModelError
from crosstalk.extras import missing
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.model.composition import Row, compose, marked, shipped
from crosstalk.model.pharmacokinetics import drug_block, slot_rules
from crosstalk.model.scales import scale_rule
from crosstalk.provenance import hash_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MODULES", "Model", "Regulator", "assemble", "mechanism_sbml"]

MODULES = ("innate", "hpa", "metabolic", "kynurenine", "tcell", "brain", "symptoms", "crosstalk")
OPTION = "circadian"
MODEL_ID = "crosstalk"


@dataclass(frozen=True, slots=True)
class Regulator:
    """A call of ``up1`` or ``up4``: positive only while ``gain * h(resting; half) < 1``.

    ``resting``, ``gain`` and ``half`` are names of parameters or numbers as text.
    """

    resting: str
    gain: str
    half: str
    exponent: int


@dataclass(frozen=True)
class Model:
    """An assembled model.

    Attributes
    ----------
    antimony : str
        The model as a person reads it.
    sbml : str
        SBML Level 3; functions expanded, every literal number dimensionless.
    drugs : tuple of str
        Ids of the drugs it holds.
    states : tuple of str
    variables : tuple of str
        Variables given by assignment rules.
    constants : mapping of str to float
        Values of all constant parameters.
    units : mapping of str to str
        Unit of every state, variable and constant.
    regulators : tuple of Regulator
    sha256 : str
        Of the SBML text.
    """

    antimony: str
    sbml: str
    drugs: tuple[str, ...]
    states: tuple[str, ...]
    variables: tuple[str, ...]
    constants: Mapping[str, float]
    units: Mapping[str, str]
    regulators: tuple[Regulator, ...]
    sha256: str


def assemble(drugs: Sequence[str] = (), knowledge: Knowledge | None = None, *, circadian: bool = False) -> Model:
    """Assemble the mechanism with the given drugs.

    Parameters
    ----------
    drugs : sequence of str
        Ids of the drug library; order and repeats do not matter.
    knowledge : Knowledge, optional
        The shipped knowledge base by default.
    circadian : bool
        Add the 24-hour rhythm of the stress axis; such a model has no steady state.

    Raises
    ------
    ModelError
        If Antimony or SBML is invalid: the message names the file and line where Antimony gives them.
    UsageError
        On an unknown drug.

    Examples
    --------
    >>> model = assemble()
    >>> "TNF" in model.states, "HAMD17" in model.variables
    (True, True)
    """
    knowledge = knowledge or load_knowledge()
    chosen = tuple(sorted(set(drugs)))
    key = (chosen, knowledge.sha256, circadian)
    if key not in _CACHE:
        parts = _Parts.of(chosen, knowledge, circadian)
        mechanism = shipped(parts.mechanism, circadian)
        if mechanism is None:
            document = _read(_to_sbml(parts.antimony))
        else:
            document = compose(mechanism, parts.ordered, parts.rows)
        _CACHE[key] = _finish(parts.antimony, document, chosen, parts.units)
    return _CACHE[key]


_CACHE: dict[tuple[tuple[str, ...], str, bool], Model] = {}


def unit_id(unit: str) -> str:
    """SBML id of a unit text: ``pg/mL`` is ``pg_per_mL``, ``1/h`` is ``per_h``.

    Examples
    --------
    >>> unit_id("kg/m^2"), unit_id("1/(kg/m^2)")
    ('kg_per_m2', 'm2_per_kg')
    """
    text = re.sub(r"^1/\((.+)/(.+)\)$", r"\2/\1", unit).replace("^", "").replace(" ", "")
    return re.sub(r"^1_per_", "per_", text.replace("/", "_per_"))


@dataclass(frozen=True)
class _Parts:
    """What a model is made of.

    Attributes
    ----------
    antimony : str
        The whole model as Antimony reads it.
    mechanism : str
        Its functions, units and mechanism files alone.
    ordered : str
        The part of it in which names are mentioned in their order.
    rows : tuple
        What tables add, see `crosstalk.model.composition`.
    units : mapping of str to str
    """

    antimony: str
    mechanism: str
    ordered: str
    rows: tuple[Row, ...]
    units: dict[str, str]

    @classmethod
    def of(cls, drugs: tuple[str, ...], knowledge: Knowledge, circadian: bool) -> _Parts:
        modules = (*MODULES, OPTION) if circadian else MODULES
        missing = [m for m in (*modules, "functions", "units") if m not in knowledge.mechanisms]
        if missing:
            raise ModelError(
                f"no file mechanisms/{missing[0]}.ant in {knowledge.root}; a model needs {', '.join(MODULES)}"
            )
        head = "\n".join([knowledge.mechanisms["functions"], f"model {MODEL_ID}", knowledge.mechanisms["units"]])
        known_units = set(re.findall(r"^unit (\w+)", knowledge.mechanisms["units"], re.MULTILINE))
        known_units |= {"dimensionless", "gram", "litre", "mole", "kilogram"}
        units: dict[str, str] = {}
        lines = [f"// --- {module}\n{knowledge.mechanisms[module]}" for module in modules]
        for module in modules:
            units.update(dict(re.findall(r"(\w+) has (\w+)", knowledge.mechanisms[module])))
        mechanism = "\n".join([head, *lines, "end\n"])
        found: list[Row] = []

        def add(rules: Sequence[tuple[str, float | str, str]], title: str) -> None:
            lines.append(f"// --- {title}")
            for left, right, unit in rules:
                name, id_ = left.rstrip("':"), unit_id(unit)
                if id_ not in known_units:
                    raise ModelError(f"unit '{unit}' of '{name}' is not defined in mechanisms/units.ant; add it there")
                units[name] = unit
                found.append((left, right, id_))
                if left.endswith("'"):
                    lines.append(f"{left} = {right}; {name} = 0; {name} has {id_}")
                elif left.endswith(":"):
                    lines.append(f"{name} := {right}; {name} has {id_}")
                else:
                    lines.append(f"{name} = {right!r}; {name} has {id_}")

        # what a module computes by a rule replaces the constant of the same name
        ruled = {name for m in modules for name in re.findall(r"^(\w+) :=", knowledge.mechanisms[m], re.MULTILINE)}
        constants = [
            p for p in knowledge.parameters.values() if p.id not in ruled and (circadian or p.module != OPTION)
        ]
        add([(p.id, p.value, p.unit) for p in constants], "constants, from parameters.tsv")
        library = [knowledge.drug(d) for d in drugs]
        for drug in library:
            add(drug_block(drug), f"drug: {drug.name}")
        add(slot_rules(tuple(knowledge.slots.values()), library), "slots: where drugs act")
        add(
            [(f"{s.id}:", scale_rule(s), "dimensionless") for s in knowledge.scales.values()],
            "symptom scales [points]",
        )
        lines.append("end\n")
        ordered = "\n".join(lines)
        return cls(f"{head}\n{ordered}", mechanism, ordered, tuple(found), units)


def mechanism_sbml(knowledge: Knowledge | None = None, *, circadian: bool = False) -> str:
    """The SBML of the mechanism files alone as it ships, made anew by Antimony; without constants it is not whole."""
    parts = _Parts.of((), knowledge or load_knowledge(), circadian)
    return marked(parts.mechanism, _to_sbml(parts.mechanism))


def _to_sbml(antimony_text: str) -> str:
    try:
        import antimony
    except ModuleNotFoundError as error:
        raise missing(error) or error from error

    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(antimony_text) < 0:
        raise ModelError(_locate(antimony.getLastError(), antimony_text))
    return str(antimony.getSBMLString(MODEL_ID))


def _locate(message: str, text: str) -> str:
    """Name the mechanism file in an Antimony error, which counts lines of the assembled text."""
    found = re.search(r"line (\d+)", message)
    if not found:
        return f"Antimony cannot read the mechanism: {message}"
    line = int(found.group(1))
    before = text.splitlines()[:line]
    part = next((b[7:] for b in reversed(before) if b.startswith("// --- ")), "functions or units")
    culprit = before[-1].strip() if before else ""
    return f"Antimony cannot read the mechanism in the part '{part}', at `{culprit}`: {message.strip()}"


def _read(sbml: str) -> Any:
    import libsbml

    return libsbml.readSBMLFromString(sbml)


def _finish(antimony_text: str, document: Any, drugs: tuple[str, ...], units: dict[str, str]) -> Model:
    import libsbml

    regulators = _regulators(document.getModel())
    _mark_literals(document.getModel())
    _expand_functions(document.getModel())
    sbml = str(libsbml.writeSBMLToString(document))
    model = document.getModel()
    errors = [document.getError(i) for i in range(document.getNumErrors(libsbml.LIBSBML_SEV_ERROR))]
    if errors:
        raise ModelError(f"the assembled model is not valid SBML: {errors[0].getMessage().strip()}")
    rules = [model.getRule(i) for i in range(model.getNumRules())]
    states = tuple(r.getVariable() for r in rules if r.isRate())
    variables = tuple(r.getVariable() for r in rules if r.isAssignment())
    moving = {*states, *variables}
    parameters = [model.getParameter(i) for i in range(model.getNumParameters())]
    undefined = {p.getId() for p in parameters if p.getId() not in moving and not p.isSetValue()}
    nodes = (node for root in _mathematics(model) for node in _walk(root))
    undefined |= {n.getName() for n in nodes if n.getType() == libsbml.AST_NAME} - {p.getId() for p in parameters}
    if undefined:
        raise ModelError(
            f"the mechanism reads {', '.join(sorted(undefined))}, which nothing defines; add a row to parameters.tsv, "
            f"a slot to slots.toml or a rule to a mechanism"
        )
    constants = {p.getId(): float(p.getValue()) for p in parameters if p.getId() not in moving}
    return Model(
        antimony_text,
        sbml,
        drugs,
        states,
        variables,
        MappingProxyType(constants),
        MappingProxyType(units),
        regulators,
        hash_bytes(sbml.encode()),
    )


def _walk(node: Any) -> Any:
    yield node
    for i in range(node.getNumChildren()):
        yield from _walk(node.getChild(i))


def _mathematics(model: Any) -> Any:
    for items in (model.getListOfRules(), model.getListOfInitialAssignments(), model.getListOfFunctionDefinitions()):
        for i in range(items.size()):
            if items.get(i).isSetMath():
                yield items.get(i).getMath()


def _mark_literals(model: Any) -> None:
    """Give every literal number the unit it has by the rules of the mechanism: none."""
    for root in _mathematics(model):
        for node in _walk(root):
            if node.isNumber() and not node.isSetUnits():
                node.setUnits("dimensionless")


def _expand_functions(model: Any) -> None:
    """Write every function out where it is called.

    libSBML infers units wrongly through functions that are called with arguments of different units. Its document
    converter does the same as this, 25 times slower.
    """
    import libsbml

    functions = model.getListOfFunctionDefinitions()
    for items in (model.getListOfRules(), model.getListOfInitialAssignments()):
        for i in range(items.size()):
            root = items.get(i).getMath().deepCopy()
            libsbml.SBMLTransforms.replaceFD(root, functions)
            items.get(i).setMath(root)
    while model.getNumFunctionDefinitions():
        model.removeFunctionDefinition(0)


def _regulators(model: Any) -> tuple[Regulator, ...]:
    """Find all calls of ``up1(x, x0, E, K)`` and ``up4``."""
    import libsbml

    found = []
    for root in _mathematics(model):
        for node in _walk(root):
            if node.getType() == libsbml.AST_FUNCTION and node.getName() in ("up1", "up4"):
                start, gain, half = (libsbml.formulaToL3String(node.getChild(i)) for i in (1, 2, 3))
                found.append(Regulator(start, gain, half, int(node.getName()[2])))
    return tuple(dict.fromkeys(found))
