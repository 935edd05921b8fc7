"""Studies: one schema for an experiment, a challenge, a trial and a published study.

Names are imported on first use, so that ``import crosstalk.study`` stays light. The function that turns doses into
events has the name of its module: ``from crosstalk.study.protocol import protocol``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstalk.study.counterpart import estimate
    from crosstalk.study.endpoints import Estimate, error_scale
    from crosstalk.study.protocol import Protocol, background
    from crosstalk.study.records import Arm, Eligibility, Endpoint, Population, Result, Study
    from crosstalk.study.schema import read_study

__all__ = [
    "Arm",
    "Eligibility",
    "Endpoint",
    "Estimate",
    "Population",
    "Protocol",
    "Result",
    "Study",
    "background",
    "error_scale",
    "estimate",
    "read_study",
]

_HOME = {
    "Estimate": "endpoints",
    "error_scale": "endpoints",
    "estimate": "counterpart",
    "Protocol": "protocol",
    "background": "protocol",
    "read_study": "schema",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME.get(name, 'records')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
