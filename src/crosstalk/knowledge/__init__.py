"""What is known, as data, and the loader that returns it as typed records.

Names are imported on first use, so that ``import crosstalk.knowledge`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.knowledge.loader import Knowledge as Knowledge
    from crosstalk.knowledge.loader import load_knowledge as load_knowledge
    from crosstalk.knowledge.records import Analyte as Analyte
    from crosstalk.knowledge.records import Correlation as Correlation
    from crosstalk.knowledge.records import Diagnosis as Diagnosis
    from crosstalk.knowledge.records import Distribution as Distribution
    from crosstalk.knowledge.records import Dose as Dose
    from crosstalk.knowledge.records import Drug as Drug
    from crosstalk.knowledge.records import MechanismDefinition as MechanismDefinition
    from crosstalk.knowledge.records import Parameter as Parameter
    from crosstalk.knowledge.records import Quantity as Quantity
    from crosstalk.knowledge.records import ReferenceRange as ReferenceRange
    from crosstalk.knowledge.records import Regimen as Regimen
    from crosstalk.knowledge.records import Scale as Scale
    from crosstalk.knowledge.records import Slot as Slot
    from crosstalk.knowledge.records import Source as Source
    from crosstalk.knowledge.records import Target as Target

__getattr__, __dir__, __all__ = lazily(__name__)
