"""Response, remission and time to remission from the scores of the visits, with the missing ones decided by name."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import UsageError

__all__ = ["Missing", "remission", "response", "time_to_remission"]

Array = NDArray[np.float64]
Missing = Literal["non-response", "observed"]
"""A missing score counts as failure (composite strategy of ICH E9 (R1)), or stays missing (observed cases)."""


def response(
    score: ArrayLike, baseline: ArrayLike, *, reduction: float = 0.5, missing: Missing = "non-response"
) -> Array:
    """Whether the score fell by at least a share of its baseline.

    Parameters
    ----------
    score, baseline : array, shape (n_patients,)
        Scores at the end and at baseline; not a number where missing.
    reduction : float
        0.5 is the convention of antidepressant trials (e.g. Cipriani et al. 2018,
        doi:10.1016/S0140-6736(17)32802-7).
    missing : str
        "non-response" counts a missing score as failure, "observed" leaves it missing.

    Returns
    -------
    array, shape (n_patients,)
        1, 0, or not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics import response
    >>> response([10, 18, np.nan], [20, 22, 24]).tolist()
    [1.0, 0.0, 0.0]
    """
    end, start = np.asarray(score, dtype=float), np.asarray(baseline, dtype=float)
    if start.shape != end.shape:
        raise UsageError(f"baseline has shape {start.shape}; expected {end.shape} as the score has")
    if not (start[np.isfinite(end)] > 0).all():
        raise UsageError("a baseline score is missing or not positive; no reduction can be computed from it")
    return _decide(end <= (1 - reduction) * start, end, missing)


def remission(score: ArrayLike, *, threshold: float = 7.0, missing: Missing = "non-response") -> Array:
    """Whether the score is at most the threshold.

    Parameters
    ----------
    score : array of any shape
        Scores; not a number where missing.
    threshold : float
        7 is the usual one of the 17-item Hamilton scale (Frank et al. 1991, doi:10.1001/archpsyc.1991.01810330075011);
        MADRS takes 10 as a rule.
    missing : str
        As for `response`.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics import remission
    >>> remission([6, 9, np.nan], missing="observed").tolist()
    [1.0, 0.0, nan]
    """
    end = np.asarray(score, dtype=float)
    return _decide(end <= threshold, end, missing)


def time_to_remission(scores: ArrayLike, times: ArrayLike, *, threshold: float = 7.0) -> tuple[Array, Array]:
    """First visit at or below the threshold; patients are censored at their last visit.

    Parameters
    ----------
    scores : array, shape (n_patients, n_visits)
        Scores; not a number where missing.
    times : array, shape (n_visits,)
        Times of the visits after randomisation, ascending, e.g. weeks.
    threshold : float
        As for `remission`.

    Returns
    -------
    time, event : array, shape (n_patients,)
        Patients without any visit have time 0 and no event: they are at risk at no visit.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.statistics import time_to_remission
    >>> time, event = time_to_remission([[12, 6, 5], [15, 11, np.nan]], [2, 4, 8])
    >>> time.tolist(), event.tolist()
    ([4.0, 4.0], [1.0, 0.0])
    """
    table, weeks = np.asarray(scores, dtype=float), np.asarray(times, dtype=float)
    if table.ndim != 2 or weeks.shape != (table.shape[1],):
        raise UsageError(f"received scores {table.shape} and times {weeks.shape}; expected one time a column")
    if not (np.diff(weeks, prepend=0.0) > 0).all():
        raise UsageError("times of visits must ascend from above 0")
    reached, seen = table <= threshold, np.isfinite(table)
    event = reached.any(axis=1)
    last = np.where(seen, weeks, 0.0).max(axis=1)
    return np.where(event, weeks[reached.argmax(axis=1)], last), event.astype(float)


def _decide(success: NDArray[np.bool_], score: Array, missing: Missing) -> Array:
    if missing not in ("non-response", "observed"):
        raise UsageError(f"missing '{missing}' is unknown; expected 'non-response' or 'observed'")
    return np.where(np.isfinite(score), success, 0.0 if missing == "non-response" else np.nan).astype(float)
