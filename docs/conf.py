"""Sphinx configuration. Counts that pages quote are read from the knowledge base when the pages are built."""

from __future__ import annotations

from collections import Counter
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

from crosstalk import __version__, load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.population.enrolment import SCREENING_LIMIT
from crosstalk.population.worlds import unknowns
from crosstalk.study.schema import read_study
from crosstalk.twin.likelihood import KERNEL
from crosstalk.twin.posterior import FEWEST
from crosstalk.twin.twin import VIRTUAL_PATIENTS, WEEKS, how_many_worlds

project = "Crosstalk"
author = "The Crosstalk developers"
copyright = "The Crosstalk developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build", "output", "samples"]
html_theme = "furo"
html_title = f"Crosstalk {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["mathematics.css"]
# MathML is drawn by the browser itself: no script, no font, no request to another server, and no LaTeX to install
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

_known = load_knowledge()
_kinds = Counter(p.source.kind for p in _known.parameters.values())
_roles = Counter(p.role for p in _known.parameters.values())
_drug_numbers = [
    quantity.source.kind
    for drug in _known.drugs.values()
    for quantity in (
        *drug.pk.values(),
        *drug.bioavailability.values(),
        *(t.half for t in drug.targets),
        *(t.maximum for t in drug.targets if t.maximum is not None),
    )
]
_laboratory = [a for a in _known.analytes.values() if a.kind == "laboratory"]
_studies = [read_study(name) for name in _known.study_files]
_study_roles = Counter(study.role for study in _studies)
_results = [result for study in _studies for result in study.results]
_core, _full = assemble(), assemble(tuple(_known.drugs))

myst_substitutions = {
    "n_parameters": len(_known.parameters),
    "n_assumed": _kinds["assumed"],
    "n_fitted": _kinds["fitted"],
    "n_derived": _kinds["derived"],
    "n_measured": _kinds["measured"],
    "n_fixed_role": _roles["fixed"],
    "n_fixed_assumed": sum(p.role == "fixed" and p.source.kind == "assumed" for p in _known.parameters.values()),
    "n_population_role": _roles["population"],
    "n_unknowns": len(unknowns(_known)),
    "n_individual_role": _roles["individual"],
    "n_states": len(_core.states),
    "n_states_full": len(_full.states),
    "n_drugs": len(_known.drugs),
    "n_drug_numbers": len(_drug_numbers),
    "n_drug_assumed": _drug_numbers.count("assumed"),
    "n_regimens": len(_known.regimens),
    "n_slots": len(_known.slots),
    "n_laboratory": len(_laboratory),
    "n_predicted": sum(bool(a.observable) for a in _laboratory),
    "n_scales": len(_known.scales),
    "scales": ", ".join(_known.scales),
    "diagnoses": ", ".join(_known.diagnoses),
    "not_predicted": ", ".join(a.id for a in _laboratory if not a.observable),
    "n_studies": len(_studies),
    "n_calibrate": _study_roles["calibrate"],
    "n_validate": _study_roles["validate"],
    "n_context": _study_roles["context"],
    "n_results": len(_results),
    "n_error_assumed": sum("assumed" in r.se_source for r in _results),
    "n_memory": sum(r.provenance == "memory" for r in _results),
    "virtual_patients": VIRTUAL_PATIENTS,
    "worlds": how_many_worlds(_known),
    "weeks": WEEKS,
    "fewest": f"{FEWEST:g}",
    "kernel_bmi": f"{KERNEL['BMI']:.0%}",
    "kernel_age": f"{KERNEL['age']:g}",
    "kernel_height": f"{KERNEL['height_cm']:g}",
    "screening_limit": SCREENING_LIMIT,
}


def _inline_mathml(writer: Any, node: nodes.math) -> None:
    writer.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_mathml(writer: Any, node: nodes.math_block) -> None:
    mathml = latex2mathml.tex2mathml(node.astext(), as_block=True)
    writer.body.append(f'<div class="math">{mathml}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_inline_mathml, None), (_block_mathml, None))
