"""Studies: one schema for an experiment, a challenge, a trial and a published study.

Names are imported on first use, so that ``import crosstalk.study`` stays light. The function that turns doses into
events has the name of its module: ``from crosstalk.study.protocol import protocol``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.study.counterpart import estimate
    from crosstalk.study.endpoints import ENDPOINTS, error_scale
    from crosstalk.study.protocol import Protocol, background
    from crosstalk.study.records import Arm, Eligibility, Endpoint, Marker, Population, Result, Study
    from crosstalk.study.schema import read_study
    from crosstalk.study.statistics import Statistic

__all__ = [
    "ENDPOINTS",
    "Arm",
    "Eligibility",
    "Endpoint",
    "Marker",
    "Population",
    "Protocol",
    "Result",
    "Statistic",
    "Study",
    "background",
    "error_scale",
    "estimate",
    "read_study",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ENDPOINTS": "endpoints",
        "Arm": "records",
        "Eligibility": "records",
        "Endpoint": "records",
        "Statistic": "statistics",
        "Marker": "records",
        "Population": "records",
        "Protocol": "protocol",
        "Result": "records",
        "Study": "records",
        "background": "protocol",
        "error_scale": "endpoints",
        "estimate": "counterpart",
        "read_study": "schema",
    },
)
