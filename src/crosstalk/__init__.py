"""Crosstalk: from a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.

The verbs of the command line are the functions of this package; everything heavy is imported when it is first used.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.api.belief import calibrate, pool, validate
    from crosstalk.api.cohorts import learn, predict, read_cohort
    from crosstalk.api.patients import assess, forecast, read_panel
    from crosstalk.api.plates import plate, read_plates
    from crosstalk.api.studies import read_study, run_trial, simulate
    from crosstalk.errors import CrosstalkError
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.model.assembly import assemble

__version__ = "0.1.0"

__all__ = [
    "CrosstalkError",
    "__version__",
    "assemble",
    "assess",
    "calibrate",
    "forecast",
    "learn",
    "load_knowledge",
    "plate",
    "pool",
    "predict",
    "read_cohort",
    "read_panel",
    "read_plates",
    "read_study",
    "run_trial",
    "simulate",
    "validate",
]

_homes = {
    "api.belief": ("calibrate", "pool", "validate"),
    "api.cohorts": ("learn", "predict", "read_cohort"),
    "api.patients": ("assess", "forecast", "read_panel"),
    "api.plates": ("plate", "read_plates"),
    "api.studies": ("read_study", "run_trial", "simulate"),
    "errors": ("CrosstalkError",),
    "knowledge.loader": ("load_knowledge",),
    "model.assembly": ("assemble",),
}

__getattr__, _ = lazily(__name__, {name: home for home, names in _homes.items() for name in names})


class _Package(ModuleType):
    """The package, in which a verb stays a function though the package that does its work has the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
