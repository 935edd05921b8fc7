"""Virtual trials, and the statistics of clinical trials: analyses, interim looks, several hypotheses.

Names are imported on first use. Functions with the name of a module are imported from their own:
``from crosstalk.statistics.mmrm import mmrm``, ``from crosstalk.statistics.boundaries import boundaries``,
``from crosstalk.statistics.comparisons import subgroups``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.statistics.boundaries import Boundaries, Operation, drift_for_power, operation
    from crosstalk.statistics.comparisons import (
        Subgroups,
        ancova,
        interaction,
        marginal_risk_difference,
        odds_ratio,
        risk_difference,
    )
    from crosstalk.statistics.estimates import Estimate, wald
    from crosstalk.statistics.mixed import RandomSlopeFit, random_slope
    from crosstalk.statistics.mmrm import MmrmFit
    from crosstalk.statistics.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
    from crosstalk.statistics.responders import remission, response, time_to_remission
    from crosstalk.statistics.sizes import SampleSize, power_means, power_rates, sample_size_means, sample_size_rates
    from crosstalk.statistics.survival import hazard_ratio, log_rank
    from crosstalk.trial.characteristics import AnalysisCharacteristics, Assurance, Value
    from crosstalk.trial.result import CurvePoint, Look, TrialResult, TrialStratum
    from crosstalk.trial.run import Pools, TrialSettings, characterise, make_pools, run_trial
    from crosstalk.trial.search import Candidate, Space, default_space, optimise, pareto

__all__ = [
    "AnalysisCharacteristics",
    "Assurance",
    "Boundaries",
    "Candidate",
    "CurvePoint",
    "Estimate",
    "Look",
    "MmrmFit",
    "Operation",
    "Pools",
    "RandomSlopeFit",
    "SampleSize",
    "Space",
    "Subgroups",
    "TrialResult",
    "TrialSettings",
    "TrialStratum",
    "Value",
    "ancova",
    "bonferroni",
    "characterise",
    "closed_nested",
    "default_space",
    "drift_for_power",
    "fixed_sequence",
    "hazard_ratio",
    "hochberg",
    "holm",
    "interaction",
    "log_rank",
    "make_pools",
    "marginal_risk_difference",
    "odds_ratio",
    "operation",
    "optimise",
    "pareto",
    "power_means",
    "power_rates",
    "random_slope",
    "remission",
    "response",
    "risk_difference",
    "run_trial",
    "sample_size_means",
    "sample_size_rates",
    "time_to_remission",
    "wald",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AnalysisCharacteristics": "characteristics",
        "Assurance": "characteristics",
        "Boundaries": ".statistics.boundaries",
        "Candidate": "search",
        "CurvePoint": "result",
        "Estimate": ".statistics.estimates",
        "Look": "result",
        "MmrmFit": ".statistics.mmrm",
        "Operation": ".statistics.boundaries",
        "Pools": "run",
        "RandomSlopeFit": ".statistics.mixed",
        "SampleSize": ".statistics.sizes",
        "Space": "search",
        "Subgroups": ".statistics.comparisons",
        "TrialResult": "result",
        "TrialSettings": "run",
        "TrialStratum": "result",
        "Value": "characteristics",
        "ancova": ".statistics.comparisons",
        "bonferroni": ".statistics.multiplicity",
        "characterise": "run",
        "closed_nested": ".statistics.multiplicity",
        "default_space": "search",
        "drift_for_power": ".statistics.boundaries",
        "fixed_sequence": ".statistics.multiplicity",
        "hazard_ratio": ".statistics.survival",
        "hochberg": ".statistics.multiplicity",
        "holm": ".statistics.multiplicity",
        "interaction": ".statistics.comparisons",
        "log_rank": ".statistics.survival",
        "make_pools": "run",
        "marginal_risk_difference": ".statistics.comparisons",
        "odds_ratio": ".statistics.comparisons",
        "operation": ".statistics.boundaries",
        "optimise": "search",
        "pareto": "search",
        "power_means": ".statistics.sizes",
        "power_rates": ".statistics.sizes",
        "random_slope": ".statistics.mixed",
        "remission": ".statistics.responders",
        "response": ".statistics.responders",
        "risk_difference": ".statistics.comparisons",
        "run_trial": "run",
        "sample_size_means": ".statistics.sizes",
        "sample_size_rates": ".statistics.sizes",
        "time_to_remission": ".statistics.responders",
        "wald": ".statistics.estimates",
    },
)
