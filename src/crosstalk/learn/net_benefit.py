"""Moved to `crosstalk.statistics.net_benefit`; these names stay for scripts that were written before."""

from crosstalk.statistics.net_benefit import NetBenefit, contributions, decision_curve

__all__ = ["NetBenefit", "contributions", "decision_curve"]
