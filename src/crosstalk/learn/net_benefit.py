"""Moved to `crosstalk.statistics.net_benefit`; this name stays for scripts that were written before."""

from crosstalk.statistics.net_benefit import *  # noqa: F403
