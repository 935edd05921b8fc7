"""From published results to a posterior of the unknowns, and verdicts on results that were never fitted.

Names are imported on first use, so that ``import crosstalk.calibrate`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
    from crosstalk.calibrate.files import read_calibration, write_calibration
    from crosstalk.calibrate.identifiability import confounded, contractions, profiles
    from crosstalk.calibrate.qualification import Qualification, qualify
    from crosstalk.calibrate.recovery import Recovery, recover
    from crosstalk.calibrate.sensitivity import Sensitivity, benefit_sensitivity
    from crosstalk.calibrate.targets import Targets, gather
    from crosstalk.calibrate.validation import Validation, Verdict, validate

_HOME = {
    "Calibration": "calibration",
    "Qualification": "qualification",
    "Recovery": "recovery",
    "Sensitivity": "sensitivity",
    "Settings": "calibration",
    "Targets": "targets",
    "Validation": "validation",
    "Verdict": "validation",
    "benefit_sensitivity": "sensitivity",
    "calibrate": "calibration",
    "confounded": "identifiability",
    "contractions": "identifiability",
    "gather": "targets",
    "profiles": "identifiability",
    "qualify": "qualification",
    "read_calibration": "files",
    "recover": "recovery",
    "validate": "validation",
    "write_calibration": "files",
}

__all__ = [
    "Calibration",
    "Qualification",
    "Recovery",
    "Sensitivity",
    "Settings",
    "Targets",
    "Validation",
    "Verdict",
    "benefit_sensitivity",
    "calibrate",
    "confounded",
    "contractions",
    "gather",
    "profiles",
    "qualify",
    "read_calibration",
    "recover",
    "validate",
    "write_calibration",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
