"""Predictors that are too good: measured after the outcome, or another name of it.

A predictor that tells the outcome nearly alone is more often a leak than a discovery (Kaufman et al. 2012,
doi:10.1145/2382577.2382579). What it is cannot be seen in the numbers, so it is flagged and not removed.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from crosstalk.learn.cohort import Cohort

__all__ = ["suspects"]

Array = NDArray[np.float64]
AUC_ALONE = 0.98
"""Of a single predictor of an event, in either direction; known predictors of response stay below 0.8 (assumed)."""
RANKS_ALONE = 0.95
"""Rank correlation of a single predictor with a score (assumed)."""
FEWEST = 5  # people with and without the event who have the value
LATER = re.compile(
    r"(?:^|[^a-z])(post|after|end[ _-]?point|final|follow[ _-]?up|discharge|exit|respon(?:se|der)|remi(?:ssion|tter))"
    r"(?:[^a-z]|$)",
    re.IGNORECASE,
)


def suspects(cohort: Cohort) -> tuple[str, ...]:
    """Sentences on predictors that predict the outcome nearly alone, or whose name says that they were measured later.

    Parameters
    ----------
    cohort : Cohort
        With an outcome.
    """
    found = []
    for name in (*cohort.clinical, *cohort.analytes):
        words = _alone(cohort, cohort.table[name].to_numpy(dtype=float))
        if words:
            found.append(
                f"'{name}' alone {words}: it may have been measured after the outcome, or be another name of it. "
                "Leave it out, unless it was known before"
            )
        elif LATER.search(name):
            found.append(
                f"'{name}' sounds as if it was measured after the outcome; leave it out, unless it was known before"
            )
    for name in cohort.categories:
        labels = cohort.table[name].astype(str).to_numpy()
        kinds, at = np.unique(labels, return_inverse=True)
        # a label of its own for everybody tells everything, and nothing
        if len(kinds) * FEWEST <= len(labels):
            words = _alone(cohort, np.array([cohort.y[at == k].mean() for k in range(len(kinds))])[at])
            if words:
                found.append(
                    f"'{name}' alone {words}: it may be another name of the outcome; leave it out, unless it is not"
                )
    return tuple(found)


def _alone(cohort: Cohort, values: Array) -> str:
    """What a single predictor tells of the outcome, if it is suspiciously much."""
    seen = np.isfinite(values) & np.isfinite(cohort.y)
    x, y = values[seen], cohort.y[seen]
    if len(y) < 2 * FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return ""
    ranks = rankdata(x)
    if cohort.kind != "event":
        correlation = float(np.corrcoef(ranks, rankdata(y))[0, 1])
        return f"has a rank correlation of {correlation:.2f} with the outcome" if abs(correlation) > RANKS_ALONE else ""
    events = int((y > 0.5).sum())
    if min(events, len(y) - events) < FEWEST:
        return ""
    area = (ranks[y > 0.5].sum() - events * (events + 1) / 2) / (events * (len(y) - events))
    area = max(area, 1 - area)
    return f"predicts the outcome with an AUC of {area:.3f}" if area > AUC_ALONE else ""
