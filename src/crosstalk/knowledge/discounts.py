"""Schema of ``evidence.toml``: how published results are discounted, and how far trials spread."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from crosstalk.knowledge.records import Discounts
from crosstalk.knowledge.schema import Id, NonNegative, Positive, QuantityTable

__all__ = ["EvidenceFile"]


class EvidenceFile(BaseModel):
    """``evidence.toml``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mismatch: dict[Id, dict[str, NonNegative]]
    memory: NonNegative
    bias: dict[Id, NonNegative]
    visits: Annotated[float, Field(ge=0, lt=1)]
    shared: Annotated[float, Field(ge=0, lt=1)]
    heterogeneity: dict[Literal["moderation", "contrast", "course", "biomarker"], NonNegative]
    marker_sd: dict[str, Positive]
    marker_log_sd: dict[str, Positive]
    drug_effect: NonNegative
    half_effect: NonNegative
    assay_scale: NonNegative
    scale_sd: Positive
    floor: dict[str, NonNegative]
    between_trials: dict[Id, QuantityTable]

    def record(self) -> Discounts:
        """Return the record, with grades such as ``indication.near``."""
        grades = {f"{kind}.{grade}": value for kind, table in self.mismatch.items() for grade, value in table.items()}
        between = {name: table.record() for name, table in self.between_trials.items()}
        return Discounts(**{**dict(self), "mismatch": grades, "between_trials": between})
