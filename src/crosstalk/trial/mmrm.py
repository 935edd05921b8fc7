"""Moved to `crosstalk.statistics.mmrm`; this name stays for scripts that were written before."""

from crosstalk.statistics.mmrm import *  # noqa: F403
