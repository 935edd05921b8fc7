"""What is known, as data, and the loader that returns it as typed records.

Names are imported on first use, so that ``import crosstalk.knowledge`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Analyte": "records",
        "Correlation": "records",
        "Diagnosis": "records",
        "Distribution": "records",
        "Dose": "records",
        "Drug": "records",
        "Knowledge": "loader",
        "MechanismDefinition": "records",
        "Parameter": "records",
        "Quantity": "records",
        "ReferenceRange": "records",
        "Regimen": "records",
        "Scale": "records",
        "Slot": "records",
        "Source": "records",
        "Target": "records",
        "load_knowledge": "loader",
    },
)
