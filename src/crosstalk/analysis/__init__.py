"""Analyses of a trial's own data: a table and a design in, estimates out. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.analysis.arrange import TrialTable
    from crosstalk.analysis.marker import EffectCurve
    from crosstalk.analysis.records import Analysed, EstimateRow, Finding
    from crosstalk.analysis.run import analyse

__all__ = ["Analysed", "EffectCurve", "EstimateRow", "Finding", "TrialTable", "analyse"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Analysed": "records",
        "EffectCurve": "marker",
        "EstimateRow": "records",
        "Finding": "records",
        "TrialTable": "arrange",
        "analyse": "run",
    },
)
