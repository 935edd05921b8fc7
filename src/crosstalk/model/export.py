"""Exports of the model for other tools: SBML with sources as annotations, Antimony as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from crosstalk.errors import ModelError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Source
from crosstalk.model.assembly import OPTION, assemble
from crosstalk.model.pharmacokinetics import effect_parameter, pk_parameters, prefix

__all__ = ["FORMATS", "export_model"]

FORMATS = ("sbml", "antimony")
FRAMEWORK_DOI = "10.1016/j.euroneuro.2020.11.016"


def export_model(form: str = "sbml", drugs: Sequence[str] = (), knowledge: Knowledge | None = None) -> str:
    """Write the model as text.

    Parameters
    ----------
    form : {"sbml", "antimony"}
    drugs : sequence of str
        Drugs to include.

    Returns
    -------
    str
        SBML Level 3 in which every sourced constant carries ``isDescribedBy`` with its DOI and a note with meaning,
        kind and place; or the Antimony text.

    Raises
    ------
    UsageError
        On an unknown format or drug.
    """
    knowledge = knowledge or load_knowledge()
    if form not in FORMATS:
        raise UsageError(f"unknown format '{form}'; expected one of {', '.join(FORMATS)}")
    model = assemble(drugs, knowledge)
    if form == "antimony":
        return model.antimony
    import libsbml

    document = libsbml.readSBMLFromString(model.sbml)
    sbml = document.getModel()
    sbml.setName("Crosstalk: immune system and brain in major depressive disorder")
    _describe(sbml, FRAMEWORK_DOI)
    for parameter in knowledge.parameters.values():
        if parameter.module == OPTION:
            continue  # the exported model has no option switched on
        _annotate(sbml.getParameter(parameter.id), parameter.meaning, parameter.source)
    for drug_id in model.drugs:
        drug = knowledge.drug(drug_id)
        if drug.into_state:
            continue
        for name, (_, _, key) in pk_parameters(drug).items():
            _annotate(sbml.getParameter(f"{prefix(drug.id)}_{name}"), f"{key} of {drug.name}", drug.pk[key].source)
        for target in drug.targets:
            name = f"{prefix(drug.id)}_{target.slot}"
            _annotate(sbml.getParameter(f"{name}_half"), f"half effect of {drug.name}", target.half.source)
            if target.maximum is not None:
                largest = effect_parameter(drug.id, target.slot)
                _annotate(sbml.getParameter(largest), f"largest effect of {drug.name}", target.maximum.source)
    return str(libsbml.writeSBMLToString(document))


def _annotate(element: Any, meaning: str, source: Source) -> None:
    if element is None:
        raise ModelError(f"the model lacks the parameter whose meaning is '{meaning}'")
    text = f"{meaning}. {source.kind}: {source.place}"
    element.setNotes(f'<body xmlns="http://www.w3.org/1999/xhtml"><p>{escape(text)}</p></body>')
    if source.doi:
        _describe(element, source.doi)


def _describe(element: Any, doi: str) -> None:
    import libsbml

    element.setMetaId(f"meta_{element.getId()}")
    term = libsbml.CVTerm(libsbml.BIOLOGICAL_QUALIFIER)
    term.setBiologicalQualifierType(libsbml.BQB_IS_DESCRIBED_BY)
    term.addResource(f"https://identifiers.org/doi/{doi}")
    if element.addCVTerm(term) != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise ModelError(f"libSBML refuses the annotation of '{element.getId()}' with doi {doi}")
