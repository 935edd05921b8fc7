"""A COMBINE archive: model, simulation in SED-ML and table of individuals in one file that other tools replay."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree as ET

import numpy as np

from crosstalk.engine.export import Exported
from crosstalk.errors import ModelError, UsageError
from crosstalk.spreadsheets import frame_csv

__all__ = ["archive"]

OMEX = "http://identifiers.org/combine.specifications/"
SEDML = "http://sed-ml.org/sed-ml/level1/version3"
MATHML = "http://www.w3.org/1998/Math/MathML"
TIME = "urn:sedml:symbol:time"
CVODE, RELATIVE, ABSOLUTE = "KISAO:0000019", "KISAO:0000209", "KISAO:0000211"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
PLACES = {"species": "listOfSpecies", "parameter": "listOfParameters", "compartment": "listOfCompartments"}


def archive(exported: Exported, *, name: str, rtol: float = 1e-8, atol: float = 1e-12) -> bytes:
    """Pack a model with its simulation (OMEX with SED-ML Level 1 Version 3).

    Parameters
    ----------
    name : str
        What it is, for the description.
    rtol, atol : float
        Tolerances that the simulation asks CVODE for.

    Raises
    ------
    UsageError
        If the times are not at equal distances, which SED-ML asks for.
    ModelError
        If an output is nothing that SED-ML can point at.

    References
    ----------
    Bergmann et al. 2014, COMBINE archive and OMEX format, doi 10.1186/s12859-014-0369-z; Bergmann et al. 2018, SED-ML
    Level 1 Version 3, doi 10.1515/jib-2017-0086
    """
    files = {
        "model.xml": (exported.sbml, f"{OMEX}sbml"),
        "simulation.sedml": (_simulation(exported, name, rtol, atol), f"{OMEX}sed-ml"),
        "individuals.csv": (frame_csv(exported.to_frame()), "http://purl.org/NET/mediatypes/text/csv"),
    }
    manifest = ET.Element("omexManifest", xmlns=f"{OMEX}omex-manifest")
    ET.SubElement(manifest, "content", location=".", format=f"{OMEX}omex")
    ET.SubElement(manifest, "content", location="./manifest.xml", format=f"{OMEX}omex-manifest")
    for place, (_, kind) in files.items():
        content = ET.SubElement(manifest, "content", location=f"./{place}", format=kind)
        if place.endswith(".sedml"):
            content.set("master", "true")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for place, text in {"manifest.xml": _text(manifest), **{p: t for p, (t, _) in files.items()}}.items():
            packed.writestr(zipfile.ZipInfo(place, EPOCH), text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _simulation(exported: Exported, name: str, rtol: float, atol: float) -> str:
    """Uniform time course of the outputs, as a report and a plot."""
    import libsbml

    times = exported.times
    steps = np.diff(times)
    if not len(steps) or not np.allclose(steps, steps[0], rtol=1e-9):
        raise UsageError("SED-ML takes times at equal distances; expected two or more of those")
    document = libsbml.readSBMLFromString(exported.sbml)
    root = ET.Element(
        "sedML", {"xmlns": SEDML, "xmlns:sbml": document.getNamespaces().getURI(), "level": "1", "version": "3"}
    )
    notes = ET.SubElement(ET.SubElement(root, "notes"), "p", xmlns="http://www.w3.org/1999/xhtml")
    notes.text = name
    course = ET.SubElement(
        ET.SubElement(root, "listOfSimulations"), "uniformTimeCourse", id="simulation", initialTime="0",
        outputStartTime=repr(float(times[0])), outputEndTime=repr(float(times[-1])), numberOfPoints=str(len(steps)),
    )  # fmt: skip
    wanted = ET.SubElement(ET.SubElement(course, "algorithm", kisaoID=CVODE), "listOfAlgorithmParameters")
    for kind, value in ((RELATIVE, rtol), (ABSOLUTE, atol)):
        ET.SubElement(wanted, "algorithmParameter", kisaoID=kind, value=repr(value))
    ET.SubElement(
        ET.SubElement(root, "listOfModels"), "model", id="model", language="urn:sedml:language:sbml", source="model.xml"
    )
    ET.SubElement(
        ET.SubElement(root, "listOfTasks"), "task", id="task", modelReference="model", simulationReference="simulation"
    )
    generators = ET.SubElement(root, "listOfDataGenerators")
    results = ET.SubElement(root, "listOfOutputs")
    curves = ET.SubElement(ET.SubElement(results, "plot2D", id="plot"), "listOfCurves")
    columns = ET.SubElement(ET.SubElement(results, "report", id="report"), "listOfDataSets")
    for number, output in enumerate(("time", *exported.outputs)):
        made, read = f"course_{number}", f"value_{number}"
        generator = ET.SubElement(generators, "dataGenerator", id=made, name=output)
        variable = ET.SubElement(ET.SubElement(generator, "listOfVariables"), "variable", id=read, taskReference="task")
        if number == 0:
            variable.set("symbol", TIME)
        else:
            variable.set("target", _path(document.getModel(), output))
            ET.SubElement(
                curves, "curve", id=f"curve_{number}", logX="false", logY="false", xDataReference="course_0",
                yDataReference=made,
            )  # fmt: skip
        ET.SubElement(ET.SubElement(generator, "math", xmlns=MATHML), "ci").text = read
        ET.SubElement(columns, "dataSet", id=f"column_{number}", label=output, dataReference=made)
    return _text(root)


def _path(model: object, output: str) -> str:
    """Where SED-ML finds a variable of the model."""
    for kind, group in PLACES.items():
        if getattr(model, f"get{kind.capitalize()}")(output) is not None:
            return f"/sbml:sbml/sbml:model/sbml:{group}/sbml:{kind}[@id='{output}']"
    raise ModelError(f"the model has no parameter, species or compartment '{output}' that SED-ML could point at")


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
