"""Virtual trials: their patients, their conduct, what they would show. Names are imported on first use.

The statistics of clinical trials are those of `crosstalk.statistics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.trial.characteristics import AnalysisCharacteristics as AnalysisCharacteristics
    from crosstalk.trial.characteristics import Assurance as Assurance
    from crosstalk.trial.characteristics import Value as Value
    from crosstalk.trial.result import CurvePoint as CurvePoint
    from crosstalk.trial.result import Look as Look
    from crosstalk.trial.result import TrialResult as TrialResult
    from crosstalk.trial.result import TrialStratum as TrialStratum
    from crosstalk.trial.run import Pools as Pools
    from crosstalk.trial.run import TrialSettings as TrialSettings
    from crosstalk.trial.run import characterise as characterise
    from crosstalk.trial.run import make_pools as make_pools
    from crosstalk.trial.run import run_trial as run_trial
    from crosstalk.trial.search import Candidate as Candidate
    from crosstalk.trial.search import Space as Space
    from crosstalk.trial.search import default_space as default_space
    from crosstalk.trial.search import optimise as optimise
    from crosstalk.trial.search import pareto as pareto

__getattr__, __dir__, __all__ = lazily(__name__, moved_to="crosstalk.statistics")
