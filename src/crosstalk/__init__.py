"""Crosstalk: from a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.

The verbs of the command line are the functions of this package; everything heavy is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

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

__getattr__, _ = lazily(
    __name__,
    {
        "CrosstalkError": "errors",
        "assemble": "model.assembly",
        "assess": "twin",
        "assess_cohort": "twin",
        "forecast": "twin",
        "load_knowledge": "knowledge.loader",
        "read_panel": "panel.reader",
        "read_study": "study.schema",
        "run_trial": "trial.run",
        "simulate": "population.run",
        "validate": "calibrate.validation",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
