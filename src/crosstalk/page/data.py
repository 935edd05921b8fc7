"""What the page holds: the library of courses as rounded tables, and what is known as one header.

The tables hold every virtual patient who runs to the end of all regimens. `library_of` makes a library of courses of
them again, so that Python forecasts from the very numbers that the page has.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import OutputError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen
from crosstalk.page.codec import Layout, Packed, deflate, inflate, pack
from crosstalk.page.header import header_of
from crosstalk.page.mechanism import Map, baselines, mechanism_map, responses
from crosstalk.population.cache import virtual_population
from crosstalk.population.patients import Patients
from crosstalk.population.worlds import Worlds
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.library import DIMENSIONS, CourseLibrary, course_library
from crosstalk.twin.posterior import twin_outputs
from crosstalk.twin.twin import VIRTUAL_PATIENTS, WEEKS, how_many_worlds

__all__ = ["PageData", "collect", "library_of"]

Array = NDArray[np.float64]

# what rounding may cost: small beside the rater's error of some points, and an assay's of some tenths (log scale)
COURSE_STEP, COURSE_COMPONENTS = 0.3, 100  # points of the anchor
LOG_STEP, LOG_COMPONENTS = 0.03, 30
COORDINATE_STEP = 0.15  # SD of the population
RESPONSE_STEP, RESPONSE_COMPONENTS = 0.05, 60
SHOWN = 3_000  # virtual patients on whom the map's responses are simulated
PEOPLE = {"BMI": 0.002, "stress": 0.005, "age": 0.25, "female": 1.0, "height_cm": 0.25, "fluctuation": 0.0005}
LOGARITHMS = ("BMI", "stress")


@dataclass(frozen=True)
class PageData:
    """A header, as JSON holds it, and the tables as one stream.

    Attributes
    ----------
    header : mapping
    stream : bytes
        See `crosstalk.page.codec.deflate`.
    errors : mapping of str to float
        Root mean square of what rounding changed, by table.
    """

    header: Mapping[str, Any]
    stream: bytes
    errors: Mapping[str, float]

    @property
    def text(self) -> str:
        """The stream as text."""
        return base64.b64encode(self.stream).decode("ascii")

    def tables(self) -> dict[str, Array]:
        """All tables, as the page has them."""
        return inflate(self.stream, {t["name"]: _layout(t) for t in self.header["tables"]})


def collect(
    knowledge: Knowledge,
    engine: Engine,
    *,
    seed: int = 1,
    virtual_patients: int = VIRTUAL_PATIENTS,
    regimens: Sequence[Regimen] = (),
    weeks: int = WEEKS,
    progress: Callable[[str], None] = lambda _: None,
) -> PageData:
    """Collect what the page holds, from the cache or simulated.

    Parameters
    ----------
    regimens : sequence of Regimen
        All by default; the reference regimen must be among them.
    weeks : int
        Horizon.

    Raises
    ------
    TwinError
        If no virtual patient runs to the end of every regimen.
    """
    chosen = tuple(regimens) or tuple(knowledge.regimens.values())
    worlds = how_many_worlds(knowledge)
    progress("virtual patients")
    population = virtual_population(
        knowledge,
        engine,
        diagnosis="mdd",
        n=virtual_patients,
        worlds=worlds,
        seed=seed,
        outputs=twin_outputs(knowledge),
    )
    population = population.take(np.flatnonzero(population.ok))
    library = course_library(population, knowledge, engine, chosen, weeks=weeks, progress=progress)
    fine = np.isfinite(library.start["NV"]) & np.isfinite(library.start["MOOD"])
    for course in library.courses.values():
        for d in DIMENSIONS:
            fine &= np.isfinite(course[d]).all(axis=1)
    complete = np.flatnonzero(fine)
    people = population.take(complete)
    if not np.array_equal(people.world, people.index % worlds):
        raise OutputError("virtual patients do not live in the world of their number; this is a defect of the export")
    drawn = mechanism_map(knowledge)
    shown = np.unique(np.linspace(0, len(complete) - 1, min(SHOWN, len(complete))).astype(np.intp))
    response = responses(people.take(shown), chosen, drawn, knowledge, engine, weeks=weeks, progress=progress)
    shown, response = _finite(shown, response)

    progress("rounding")
    variables = _variables(knowledge, drawn)
    packed = {
        "courses": _courses(library, complete, [r.id for r in chosen]),
        "logs": pack(np.log(_values(people, drawn, variables)), LOG_STEP, components=LOG_COMPONENTS),
        "coordinates": pack(people.coordinates, COORDINATE_STEP),
        "people": pack(_people(people), 1.0),
        "response": pack(response.reshape(len(shown), -1), RESPONSE_STEP, components=RESPONSE_COMPONENTS),
    }
    header = header_of(
        knowledge, chosen, drawn, seed=seed, weeks=weeks, worlds=worlds, virtual_patients=virtual_patients,
        index=people.index, variables=variables, shown=shown, people=PEOPLE, logarithms=LOGARITHMS,
        severity=library.severity, scale=library.scale, anchor=library.anchor,
    )  # fmt: skip
    # what follows from the tables is taken from them as rounded, as the page has them
    found = library_of(_data(header, packed), knowledge)
    _, recorded, _ = found.started(library.scale, None)
    packed["recorded"] = pack(recorded[:, None], 1.0 if library.scale.integer else 0.01)
    header["loud"] = {
        name: np.flatnonzero(~found.silent(Usable((), {name: 1.0}))).tolist()
        for name in (*found.population.outputs, *(n for n in PEOPLE if n != "fluctuation"))
    }
    return _data(header, packed)


def library_of(data: PageData, knowledge: Knowledge) -> CourseLibrary:
    """The library of courses as the page has it."""
    header, tables = data.header, data.tables()
    index = _index(header)
    people = dict(zip(PEOPLE, (tables["people"] * np.array(list(PEOPLE.values()))).T, strict=True))
    people |= {name: np.exp(people[name]) for name in LOGARITHMS}
    parameters = {name: people.pop(name) for name in LOGARITHMS}
    logs = dict(zip(header["variables"], tables["logs"].T, strict=True))
    outputs = {name: np.exp(logs[name]) for name in twin_outputs(knowledge)}
    worlds = Worlds({}, int(header["worlds"]), "page")
    population = Patients(
        int(header["seed"]), index, tables["coordinates"], index % worlds.n, worlds, parameters, people, {}, outputs, {}
    )
    half = header["anchor"] / 2
    courses = (
        tables["courses"].reshape(len(index), len(header["regimens"]), len(DIMENSIONS), header["weeks"] + 1) / half
    )
    found = {
        r["id"]: {d: courses[:, i, j].astype(np.float32) for j, d in enumerate(DIMENSIONS)}
        for i, r in enumerate(header["regimens"])
    }
    definition = knowledge.diagnosis("mdd")
    first = courses[:, 0, :, 0]
    return CourseLibrary(
        population, {d: first[:, j] for j, d in enumerate(DIMENSIONS)}, found, knowledge.scales[definition.scale],
        definition.severity, float(header["anchor"]),
    )  # fmt: skip


def _data(header: Mapping[str, Any], packed: Mapping[str, Packed]) -> PageData:
    tables = [{"name": name, **asdict(p.layout)} for name, p in packed.items()]
    return PageData({**header, "tables": tables}, deflate(packed), {name: p.error for name, p in packed.items()})


def _layout(t: Mapping[str, Any]) -> Layout:
    return Layout(t["rows"], t["columns"], t["components"], t["step"], t["turned"], tuple(t["wide"]))


def _index(header: Mapping[str, Any]) -> NDArray[np.intp]:
    here = np.ones(int(header["virtualPatients"]), dtype=bool)
    here[header["leftOut"]] = False
    return np.flatnonzero(here)


def _variables(knowledge: Knowledge, drawn: Map) -> tuple[str, ...]:
    """Model variables of the table of logarithms: those of the twin, then the map's."""
    return tuple(dict.fromkeys((*twin_outputs(knowledge), *(n.baseline for n in drawn.simulated))))


def _values(people: Patients, drawn: Map, variables: Sequence[str]) -> Array:
    values = dict(zip((n.baseline for n in drawn.simulated), baselines(people, drawn).T, strict=True))
    values |= people.outputs
    table = np.stack([values[name] for name in variables], axis=1)
    if table.min() <= 0:
        low = [name for name, column in zip(variables, table.T, strict=True) if column.min() <= 0]
        raise OutputError(f"{', '.join(low)}: not positive in some virtual patient; this is a defect of the export")
    return table


def _courses(library: CourseLibrary, rows: NDArray[np.intp], regimens: Sequence[str]) -> Packed:
    """Both dimensions, each as if it had half of the anchor's points."""
    columns = [library.courses[r][d][rows] for r in regimens for d in DIMENSIONS]
    table = np.concatenate(columns, axis=1).astype(np.float64) * library.anchor / 2
    return pack(table, COURSE_STEP, components=COURSE_COMPONENTS)


def _people(people: Patients) -> Array:
    table = {**people.parameters, **people.covariates}
    columns = [np.log(table[name]) if name in LOGARITHMS else table[name] for name in PEOPLE]
    return np.asarray(np.stack(columns, axis=1) / np.array(list(PEOPLE.values())))


def _finite(shown: NDArray[np.intp], response: Array) -> tuple[NDArray[np.intp], Array]:
    fine = np.isfinite(response).all(axis=(1, 2))
    if not fine.any():
        raise OutputError("no virtual patient of the map runs to the end of every regimen")
    return shown[fine], response[fine]
