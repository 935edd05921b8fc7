"""Problems written for other tools: libRoadRunner replays the file to the tolerance, with events of the model's own."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree as ET

import libsbml
import numpy as np
import pytest

from crosstalk.engine import Event, Problem, Schedule, get_engine
from crosstalk.engine.archive import archive
from crosstalk.engine.export import Exported, export_problem
from crosstalk.engine.individuals import run
from crosstalk.errors import ModelError, UsageError

from .test_engines import sbml

TEXT = """
  compartment V = 10; species A in V; A = 1; substanceOnly species G in V; G = 5
  J1: G -> A; ka*G; J2: A -> ; CL*A;  ka = 0.5; CL = 2; rate = 0; B = 0; B' = rate - 0.1*B; B2 := 2*B
"""
TIMES = np.linspace(0.0, 24.0, 49)


@pytest.fixture
def problem() -> Problem:
    events = (
        Event(0.0, "A", np.array([3.0, 4.0, 0.0])),
        Event(0.0, "rate", 1.5, "set"),
        Event(6.0, "rate", 0.25, "set"),
        Event(6.0, "A", 2.0),
        Event(6.0, "A", np.array([1.0, 0.0, 5.0])),
        Event(12.5, "G", 10.0, "set"),
        Event(12.5, "G", 1.0),
    )
    own = {"CL": np.array([2.0, 3.0, 4.0]), "V": np.array([10.0, 20.0, 5.0])}
    return Problem(sbml(TEXT), 3, own, TIMES, ("A", "G", "B", "B2", "rate"), {"G": np.array([5.0, 6.0, 7.0])}, events)


def later(values: np.ndarray) -> np.ndarray:
    """Without time 0, where the export shows what was changed then, and the times of events, seen before and after."""
    return values[..., ~np.isin(TIMES, [0.0, 6.0, 12.5])]


def test_the_exported_model_and_table_give_the_same_courses(problem: Problem) -> None:
    expected = get_engine().simulate(problem, rtol=1e-9).values
    exported = export_problem(problem)
    again = run(exported.sbml, TIMES, parameters=exported.to_frame(), outputs=problem.outputs, rtol=1e-9)
    np.testing.assert_allclose(later(again.values), later(expected), rtol=1e-6, atol=1e-9)


def replay(packed: bytes) -> tuple[list[str], np.ndarray]:
    """What a tool that knows SED-ML and nothing of this project does with an archive, by libRoadRunner."""
    roadrunner = pytest.importorskip("roadrunner")
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        manifest = ET.fromstring(files.read("manifest.xml"))
        listed = {c.get("location"): c for c in manifest}
        assert {f"./{n}" for n in files.namelist()} <= set(listed)
        (master,) = (place for place, c in listed.items() if c.get("master") == "true")
        sed = ET.fromstring(files.read(str(master).removeprefix("./")))
        space = {"s": sed.tag.partition("}")[0].strip("{")}
        model = sed.find("s:listOfModels/s:model", space)
        course = sed.find("s:listOfSimulations/s:uniformTimeCourse", space)
        assert model is not None
        assert course is not None
        runner = roadrunner.RoadRunner(files.read(str(model.get("source"))).decode())
    names = {"KISAO:0000209": "relative_tolerance", "KISAO:0000211": "absolute_tolerance"}
    for setting in course.iter(f"{{{space['s']}}}algorithmParameter"):
        runner.getIntegrator().setValue(names[str(setting.get("kisaoID"))], float(str(setting.get("value"))))
    document = libsbml.readSBMLFromString(runner.getSBML())
    selections = []
    for variable in sed.iter(f"{{{space['s']}}}variable"):
        name = variable.get("target", "[@id='time']").partition("@id='")[2].rstrip("']")
        species = document.getModel().getSpecies(name)
        is_amount = species is None or species.getHasOnlySubstanceUnits()
        selections.append(name if is_amount else f"[{name}]")
    begin, end = (float(str(course.get(k))) for k in ("outputStartTime", "outputEndTime"))
    runner.timeCourseSelections = selections
    table = np.array(runner.simulate(begin, end, int(str(course.get("numberOfPoints"))) + 1))
    labels = [str(d.get("label")) for d in sed.iter(f"{{{space['s']}}}dataSet")]
    return labels, table


def test_an_archive_is_replayed_by_libroadrunner_to_the_tolerance(problem: Problem) -> None:
    expected = get_engine().simulate(problem, rtol=1e-9).values[0]
    packed = archive(export_problem(problem), name="a test & more")
    labels, table = replay(packed)
    assert labels == ["time", *problem.outputs]
    np.testing.assert_allclose(table[:, 0], TIMES)
    np.testing.assert_allclose(later(table[:, 1:].T), later(expected), rtol=1e-6, atol=1e-9)
    assert packed == archive(export_problem(problem), name="a test & more")


def test_what_cannot_be_exported_is_refused(problem: Problem) -> None:
    with pytest.raises(UsageError, match="no individual to export"):
        export_problem(problem.take(np.array([], dtype=int)))
    none = np.array([0])
    own = Schedule(none, np.ones(1), none, np.ones(1), np.zeros(1, bool), ("A",))
    with pytest.raises(UsageError, match="export one by one"):
        export_problem(Problem(problem.sbml, 1, times_h=TIMES, schedule=own))
    with pytest.raises(ModelError, match="'change_1' of its own"):
        export_problem(Problem(sbml("A = 1; A' = -A; change_1 = 2"), 1, events=(Event(1.0, "A", 1.0),)))
    with pytest.raises(ModelError, match="no 'nothing'"):
        export_problem(Problem(problem.sbml, 1, events=(Event(1.0, "nothing", 1.0),)))
    with pytest.raises(UsageError, match="equal distances"):
        archive(Exported(problem.sbml, {}, np.array([0.0, 1.0, 3.0]), ("A",)), name="x")
    with pytest.raises(ModelError, match="could point at"):
        archive(Exported(problem.sbml, {}, TIMES, ("Z",)), name="x")
