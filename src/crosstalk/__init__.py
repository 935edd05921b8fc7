"""Crosstalk: from a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.

The verbs of the command line are the functions of this package; everything heavy is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstalk.calibrate.validation import validate
    from crosstalk.errors import CrosstalkError
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.model.assembly import assemble
    from crosstalk.panel.reader import read_panel
    from crosstalk.population.run import simulate
    from crosstalk.study.schema import read_study
    from crosstalk.trial.run import run_trial
    from crosstalk.twin import assess, assess_cohort, forecast

__version__ = "0.1.0"

__all__ = [
    "CrosstalkError",
    "__version__",
    "assemble",
    "assess",
    "assess_cohort",
    "forecast",
    "load_knowledge",
    "read_panel",
    "read_study",
    "run_trial",
    "simulate",
    "validate",
]

_WHERE = {
    "CrosstalkError": "crosstalk.errors",
    "assemble": "crosstalk.model.assembly",
    "assess": "crosstalk.twin",
    "assess_cohort": "crosstalk.twin",
    "forecast": "crosstalk.twin",
    "load_knowledge": "crosstalk.knowledge.loader",
    "read_panel": "crosstalk.panel.reader",
    "read_study": "crosstalk.study.schema",
    "run_trial": "crosstalk.trial.run",
    "simulate": "crosstalk.population.run",
    "validate": "crosstalk.calibrate.validation",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'crosstalk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
