"""From published results to a posterior of the unknowns, and verdicts on results that were never fitted.

Names are imported on first use, so that ``import crosstalk.calibrate`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
    from crosstalk.calibrate.files import read_calibration, write_calibration
    from crosstalk.calibrate.identifiability import confounded, contractions, profiles
    from crosstalk.calibrate.qualification import Qualification, qualify
    from crosstalk.calibrate.recovery import Recovery, recover
    from crosstalk.calibrate.sensitivity import Sensitivity, benefit_sensitivity
    from crosstalk.calibrate.skill import Coverage, Skill
    from crosstalk.calibrate.targets import Targets, gather
    from crosstalk.calibrate.validation import Validation, Verdict, validate

__all__ = [
    "Calibration",
    "Coverage",
    "Qualification",
    "Recovery",
    "Sensitivity",
    "Settings",
    "Skill",
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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Calibration": "calibration",
        "Coverage": "skill",
        "Qualification": "qualification",
        "Recovery": "recovery",
        "Sensitivity": "sensitivity",
        "Settings": "calibration",
        "Skill": "skill",
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
    },
)
