"""Moved to `crosstalk.statistics.boundaries`; these names stay for scripts that were written before."""

from crosstalk.statistics.boundaries import Boundaries, Operation, boundaries, drift_for_power, operation

__all__ = ["Boundaries", "Operation", "boundaries", "drift_for_power", "operation"]
