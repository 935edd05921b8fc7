"""Studies: one schema for an experiment, a challenge, a trial and a published study.

Names are imported on first use, so that ``import crosstalk.study`` stays light. The function that turns doses into
events has the name of its module: ``from crosstalk.study.protocol import protocol``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.study.counterpart import estimate as estimate
    from crosstalk.study.endpoints import ENDPOINTS as ENDPOINTS
    from crosstalk.study.endpoints import error_scale as error_scale
    from crosstalk.study.protocol import Protocol as Protocol
    from crosstalk.study.protocol import background as background
    from crosstalk.study.records import Arm as Arm
    from crosstalk.study.records import Eligibility as Eligibility
    from crosstalk.study.records import Endpoint as Endpoint
    from crosstalk.study.records import Marker as Marker
    from crosstalk.study.records import Population as Population
    from crosstalk.study.records import Result as Result
    from crosstalk.study.records import Study as Study
    from crosstalk.study.schema import read_study as read_study
    from crosstalk.study.statistics import Statistic as Statistic

__getattr__, __dir__, __all__ = lazily(__name__)
