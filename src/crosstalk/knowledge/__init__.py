"""What is known, as data, and the loader that returns it as typed records.

Names are imported on first use, so that ``import crosstalk.knowledge`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crosstalk.knowledge.loader import Knowledge, load_knowledge
    from crosstalk.knowledge.records import (
        Analyte,
        Correlation,
        Diagnosis,
        Distribution,
        Dose,
        Drug,
        MechanismDefinition,
        Parameter,
        Quantity,
        ReferenceRange,
        Regimen,
        Scale,
        Slot,
        Source,
        Target,
    )

__all__ = [
    "Analyte",
    "Correlation",
    "Diagnosis",
    "Distribution",
    "Dose",
    "Drug",
    "Knowledge",
    "MechanismDefinition",
    "Parameter",
    "Quantity",
    "ReferenceRange",
    "Regimen",
    "Scale",
    "Slot",
    "Source",
    "Target",
    "load_knowledge",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "loader" if name in {"Knowledge", "load_knowledge"} else "records"
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
