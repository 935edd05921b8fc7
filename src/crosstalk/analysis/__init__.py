"""Analyses of a trial's own data: a table and a design in, estimates out. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.analysis.arrange import TrialTable as TrialTable
    from crosstalk.analysis.marker import EffectCurve as EffectCurve
    from crosstalk.analysis.records import Analysed as Analysed
    from crosstalk.analysis.records import EstimateRow as EstimateRow
    from crosstalk.analysis.records import Finding as Finding
    from crosstalk.analysis.run import analyse as analyse

__getattr__, __dir__, __all__ = lazily(__name__)
