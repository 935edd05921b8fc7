"""Crosstalk: from a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.

The verbs of the command line are the functions of this package; everything heavy is imported when it is first used.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.api.belief import calibrate as calibrate
    from crosstalk.api.belief import pool as pool
    from crosstalk.api.belief import validate as validate
    from crosstalk.api.cohorts import learn as learn
    from crosstalk.api.cohorts import predict as predict
    from crosstalk.api.cohorts import read_cohort as read_cohort
    from crosstalk.api.patients import assess as assess
    from crosstalk.api.patients import forecast as forecast
    from crosstalk.api.patients import read_panel as read_panel
    from crosstalk.api.plates import plate as plate
    from crosstalk.api.plates import read_plates as read_plates
    from crosstalk.api.studies import read_study as read_study
    from crosstalk.api.studies import run_trial as run_trial
    from crosstalk.api.studies import simulate as simulate
    from crosstalk.errors import CrosstalkError as CrosstalkError
    from crosstalk.knowledge.loader import load_knowledge as load_knowledge
    from crosstalk.model.assembly import assemble as assemble

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazily(__name__)
__all__ += ["__version__"]


class _Package(ModuleType):
    """The package, in which a verb stays a function though the package that does its work has the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
