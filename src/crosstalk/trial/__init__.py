"""Virtual trials, and the statistics of clinical trials: analyses, interim looks, several hypotheses.

Names are imported on first use. Functions with the name of a module are imported from their own:
``from crosstalk.trial.mmrm import mmrm``, ``from crosstalk.trial.boundaries import boundaries``,
``from crosstalk.trial.analyses import subgroups``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.trial.analyses import (
        Subgroups,
        ancova,
        interaction,
        marginal_risk_difference,
        odds_ratio,
        risk_difference,
    )
    from crosstalk.trial.boundaries import Boundaries, Operation, drift_for_power, operation
    from crosstalk.trial.characteristics import AnalysisCharacteristics, Assurance, Value
    from crosstalk.trial.endpoints import remission, response, time_to_remission
    from crosstalk.trial.estimates import Estimate, wald
    from crosstalk.trial.mixed import RandomSlopeFit, random_slope
    from crosstalk.trial.mmrm import MmrmFit
    from crosstalk.trial.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
    from crosstalk.trial.result import CurvePoint, Look, TrialResult, TrialStratum
    from crosstalk.trial.run import Pools, TrialSettings, characterise, make_pools, run_trial
    from crosstalk.trial.search import Candidate, Space, default_space, optimise, pareto
    from crosstalk.trial.sizes import SampleSize, power_means, power_rates, sample_size_means, sample_size_rates
    from crosstalk.trial.survival import hazard_ratio, log_rank

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
        "Boundaries": "boundaries",
        "Candidate": "search",
        "CurvePoint": "result",
        "Estimate": "estimates",
        "Look": "result",
        "MmrmFit": "mmrm",
        "Operation": "boundaries",
        "Pools": "run",
        "RandomSlopeFit": "mixed",
        "SampleSize": "sizes",
        "Space": "search",
        "Subgroups": "analyses",
        "TrialResult": "result",
        "TrialSettings": "run",
        "TrialStratum": "result",
        "Value": "characteristics",
        "ancova": "analyses",
        "bonferroni": "multiplicity",
        "characterise": "run",
        "closed_nested": "multiplicity",
        "default_space": "search",
        "drift_for_power": "boundaries",
        "fixed_sequence": "multiplicity",
        "hazard_ratio": "survival",
        "hochberg": "multiplicity",
        "holm": "multiplicity",
        "interaction": "analyses",
        "log_rank": "survival",
        "make_pools": "run",
        "marginal_risk_difference": "analyses",
        "odds_ratio": "analyses",
        "operation": "boundaries",
        "optimise": "search",
        "pareto": "search",
        "power_means": "sizes",
        "power_rates": "sizes",
        "random_slope": "mixed",
        "remission": "endpoints",
        "response": "endpoints",
        "risk_difference": "analyses",
        "run_trial": "run",
        "sample_size_means": "sizes",
        "sample_size_rates": "sizes",
        "time_to_remission": "endpoints",
        "wald": "estimates",
    },
)
