"""Moved to `crosstalk.statistics.boundaries`; this name stays for scripts that were written before."""

from crosstalk.statistics.boundaries import *  # noqa: F403
