"""From published results to a posterior of the unknowns, and verdicts on results that were never fitted.

Names are imported on first use, so that ``import crosstalk.calibrate`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.calibrate.calibration import Calibration as Calibration
    from crosstalk.calibrate.calibration import Settings as Settings
    from crosstalk.calibrate.calibration import calibrate as calibrate
    from crosstalk.calibrate.files import read_calibration as read_calibration
    from crosstalk.calibrate.files import write_calibration as write_calibration
    from crosstalk.calibrate.identifiability import confounded as confounded
    from crosstalk.calibrate.identifiability import contractions as contractions
    from crosstalk.calibrate.identifiability import profiles as profiles
    from crosstalk.calibrate.qualification import Qualification as Qualification
    from crosstalk.calibrate.qualification import qualify as qualify
    from crosstalk.calibrate.recovery import Recovery as Recovery
    from crosstalk.calibrate.recovery import recover as recover
    from crosstalk.calibrate.sensitivity import Sensitivity as Sensitivity
    from crosstalk.calibrate.sensitivity import benefit_sensitivity as benefit_sensitivity
    from crosstalk.calibrate.skill import Coverage as Coverage
    from crosstalk.calibrate.skill import Skill as Skill
    from crosstalk.calibrate.targets import Targets as Targets
    from crosstalk.calibrate.targets import gather as gather
    from crosstalk.calibrate.validation import Validation as Validation
    from crosstalk.calibrate.validation import Verdict as Verdict
    from crosstalk.calibrate.validation import validate as validate

__getattr__, __dir__, __all__ = lazily(__name__)
