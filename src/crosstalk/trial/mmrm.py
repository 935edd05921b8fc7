"""Moved to `crosstalk.statistics.mmrm`; these names stay for scripts that were written before."""

from crosstalk.statistics.mmrm import MmrmFit, mmrm

__all__ = ["MmrmFit", "mmrm"]
