"""The map of the mechanism as data, and what each regimen does to its nodes in virtual patients."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine, Event, Problem
from crosstalk.engine.steady import linearize
from crosstalk.errors import KnowledgeError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen
from crosstalk.model.assembly import assemble
from crosstalk.population.patients import Patients, drug_parameters, weight_kg
from crosstalk.provenance import versions
from crosstalk.store import cached
from crosstalk.study.protocol import HOURS_PER_WEEK, protocol

__all__ = ["Edge", "Group", "Map", "Node", "baselines", "mechanism_map", "responses"]

Array = NDArray[np.float64]

FORMAT = 1  # raised when the content of a kept file changes its meaning
RTOL = 1e-3  # a colour needs no more


@dataclass(frozen=True, slots=True)
class Node:
    """One node; ``variable`` is the model's, ``baseline`` the one that stands for it untreated.

    A symptom node has a ``dimension`` instead. ``healthy`` is the value in the healthy adult.
    """

    id: str
    label: str
    x: float
    y: float
    variable: str = ""
    baseline: str = ""
    dimension: str = ""
    meaning: str = ""
    unit: str = ""
    healthy: float = 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """What acts on what; ``sign`` is -1 where it holds it down; ``constant`` is the one of the model behind it."""

    start: str
    end: str
    sign: int
    constant: str


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the map with a heading."""

    name: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Map:
    """Nodes, edges, and the parts that they lie in."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...]

    @property
    def simulated(self) -> tuple[Node, ...]:
        """Nodes that are variables of the model."""
        return tuple(n for n in self.nodes if n.variable)


def mechanism_map(knowledge: Knowledge) -> Map:
    """The map of ``map.toml``, checked against the model.

    Raises
    ------
    KnowledgeError
        If a node names no variable of the model, or an edge no node or constant.
    """
    place = Path(__file__).with_name("map.toml")
    table: dict[str, Any] = tomllib.loads(place.read_text(encoding="utf-8"))
    model = assemble((), knowledge)
    wanted = [n["variable"] for n in table["node"] if "variable" in n]
    unknown = [v for n in table["node"] for v in (n.get("variable"), n.get("baseline"))
               if v and v not in model.states and v not in model.variables]  # fmt: skip
    if unknown:
        raise KnowledgeError(f"{place.name}: {', '.join(unknown)}: no variable of the model; correct the node")
    healthy = linearize(Problem(model.sbml, 1, outputs=tuple(wanted))).outputs
    nodes = []
    for n in table["node"]:
        variable = n.get("variable", "")
        value = float(healthy[variable][0]) if variable else 0.0
        unit = model.units[variable].replace("_per_", "/") if variable else "fraction"
        nodes.append(
            Node(n["id"], n["label"], n["x"], n["y"], variable, n.get("baseline", variable), n.get("dimension", ""),
                 knowledge.meanings[variable or n["dimension"]], unit, value)
        )  # fmt: skip
    ids = {n.id for n in nodes}
    edges = tuple(Edge(e["from"], e["to"], e.get("sign", 1), e["constant"]) for e in table["edge"])
    for e in edges:
        if not {e.start, e.end} <= ids or e.constant not in knowledge.parameters:
            raise KnowledgeError(
                f"{place.name}: edge {e.start} to {e.end} ({e.constant}): expected nodes and a constant"
            )
    return Map(tuple(nodes), edges, tuple(Group(**g) for g in table["group"]))


def baselines(population: Patients, drawn: Map) -> Array:
    """Untreated values of the simulated nodes, shape (n, n_nodes)."""
    table = {**population.states, **population.outputs}
    return np.stack([table[n.baseline] for n in drawn.simulated], axis=1)


def responses(
    population: Patients,
    regimens: Sequence[Regimen],
    drawn: Map,
    knowledge: Knowledge,
    engine: Engine,
    *,
    weeks: int,
    diagnosis: str = "mdd",
    progress: Callable[[str], None] = lambda _: None,
) -> Array:
    """Logarithm of what each node becomes, over what it was, shape (n, n_regimens, n_nodes); NaN for who failed.

    Parameters
    ----------
    weeks : int
        When: at the end of the forecast.

    Notes
    -----
    Kept in the cache, see `crosstalk.store`. The severity of a patient's symptoms acts on none of these nodes.
    """
    outputs = tuple(n.variable for n in drawn.simulated)
    store = cached(
        "map", FORMAT, assemble((), knowledge).sha256, knowledge.sha256, type(engine).__name__, diagnosis, outputs,
        versions(), population.seed, population.index, population.world, population.coordinates, population.parameters,
    )  # fmt: skip
    found = []
    for number, regimen in enumerate(regimens, start=1):
        kept = store.load_arrays(regimen.id, regimen.doses, weeks)
        if kept is None:
            progress(f"map of the mechanism: regimen {number} of {len(regimens)} (kept for next time)")
            kept = {"response": _respond(population, regimen, drawn, knowledge, engine, weeks, diagnosis)}
            store.save_arrays(kept, regimen.id, regimen.doses, weeks)
        found.append(kept["response"].astype(np.float64))
    return np.stack(found, axis=1)


def _respond(
    some: Patients,
    regimen: Regimen,
    drawn: Map,
    knowledge: Knowledge,
    engine: Engine,
    weeks: int,
    diagnosis: str,
) -> NDArray[np.float32]:
    outputs, before = tuple(n.variable for n in drawn.simulated), baselines(some, drawn)
    model = assemble(tuple(sorted({dose.drug for dose in regimen.doses})), knowledge)
    horizon = weeks * HOURS_PER_WEEK
    plan = protocol(
        regimen.doses, knowledge, weight_kg=weight_kg(some), height_cm=some.covariates.get("height_cm"),
        horizon_h=horizon,
    )  # fmt: skip
    enrolment = tuple(Event(0.0, k, v, "set") for k, v in knowledge.diagnosis(diagnosis).enrolment.items())
    problem = Problem(
        model.sbml,
        len(some),
        {**some.parameters, **drug_parameters(knowledge, model.drugs, some)},
        np.array([0.0, horizon]),
        outputs,
        some.states,
        enrolment + plan.events,
        model.states,
    )
    result = engine.simulate(problem, rtol=RTOL)
    end = np.stack([result[o][:, -1] for o in outputs], axis=1)
    # a dose binds a cytokine at once, so that what was before is not read from the course
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.log(end / before), dtype=np.float32)
