"""An analysis of trials: the difference of two medians."""

from __future__ import annotations

from typing import Any

import numpy as np

from crosstalk.statistics import Estimate, wald
from crosstalk.study.methods import AnalysisMethod, Compared, Potential

__all__ = ["ANALYSES"]


def difference(c: Compared) -> Estimate:
    """Median change, arm less control, with the standard error of medians of normal scores."""
    arm, control = (c.change[(c.arm == a) & np.isfinite(c.change)] for a in (1, 0))
    error = np.sqrt(sum(np.pi / 2 * x.var(ddof=1) / len(x) for x in (arm, control)))
    return wald(float(np.median(arm) - np.median(control)), float(error), n=len(arm) + len(control), level=c.level)


def truth(p: Potential) -> float:
    """What an endless trial would find."""
    return float(np.median(p.arm[p.part, p.at]) - np.median(p.control[p.part, p.at]))


def score(scores: Any, at: int, scale: Any) -> Any:
    """What is compared of each participant."""
    return scores[:, at]


ANALYSES = {"medians": AnalysisMethod("medians", "difference of the medians of the change", difference, truth, score)}
