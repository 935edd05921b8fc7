"""Statistics of clinical trials: analyses of one trial, and designs with interim looks and several hypotheses.

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
    from crosstalk.trial.endpoints import remission, response, time_to_remission
    from crosstalk.trial.estimates import Estimate, wald
    from crosstalk.trial.mixed import RandomSlopeFit, random_slope
    from crosstalk.trial.mmrm import MmrmFit
    from crosstalk.trial.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
    from crosstalk.trial.sizes import SampleSize, power_means, power_rates, sample_size_means, sample_size_rates
    from crosstalk.trial.survival import hazard_ratio, log_rank

__all__ = [
    "Boundaries",
    "Estimate",
    "MmrmFit",
    "Operation",
    "RandomSlopeFit",
    "SampleSize",
    "Subgroups",
    "ancova",
    "bonferroni",
    "closed_nested",
    "drift_for_power",
    "fixed_sequence",
    "hazard_ratio",
    "hochberg",
    "holm",
    "interaction",
    "log_rank",
    "marginal_risk_difference",
    "odds_ratio",
    "operation",
    "power_means",
    "power_rates",
    "random_slope",
    "remission",
    "response",
    "risk_difference",
    "sample_size_means",
    "sample_size_rates",
    "time_to_remission",
    "wald",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Boundaries": "boundaries",
        "Estimate": "estimates",
        "MmrmFit": "mmrm",
        "Operation": "boundaries",
        "RandomSlopeFit": "mixed",
        "SampleSize": "sizes",
        "Subgroups": "analyses",
        "ancova": "analyses",
        "bonferroni": "multiplicity",
        "closed_nested": "multiplicity",
        "drift_for_power": "boundaries",
        "fixed_sequence": "multiplicity",
        "hazard_ratio": "survival",
        "hochberg": "multiplicity",
        "holm": "multiplicity",
        "interaction": "analyses",
        "log_rank": "survival",
        "marginal_risk_difference": "analyses",
        "odds_ratio": "analyses",
        "operation": "boundaries",
        "power_means": "sizes",
        "power_rates": "sizes",
        "random_slope": "mixed",
        "remission": "endpoints",
        "response": "endpoints",
        "risk_difference": "analyses",
        "sample_size_means": "sizes",
        "sample_size_rates": "sizes",
        "time_to_remission": "endpoints",
        "wald": "estimates",
    },
)
