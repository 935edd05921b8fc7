"""The simulated counterpart of one published result: the same statistic, from the courses of simulated arms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.knowledge.records import Scale
from crosstalk.study.endpoints import (
    Estimate,
    change,
    correlation,
    incidence,
    level,
    odds_ratio,
    prevalence,
    ratio,
    remission,
    responder_smd,
    response,
    sd,
    smd,
    time_of_peak,
)
from crosstalk.study.records import Result

__all__ = ["estimate"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def estimate(
    result: Result,
    courses: Mapping[tuple[str, str], Array],
    times_h: Array,
    *,
    scale: Scale | None = None,
    stratum: Mapping[str, Mask] | None = None,
) -> Estimate:
    """Compute one published result from simulated arms.

    Parameters
    ----------
    result : Result
    courses : mapping of (arm, output) to array, shape (n_patients, n_times)
        In the units of the result.
    times_h : array, shape (n_times,) [h]
    scale : Scale, optional
        The scale that counts response and remission.
    stratum : mapping of arm to bool array, shape (n_patients,), optional
        The patients who belong to the result's stratum.

    Returns
    -------
    Estimate

    Raises
    ------
    StudyError
        If a course, a time or the scale is missing.
    """

    def take(arm: str, output: str) -> Array:
        try:
            course = courses[arm, output]
        except KeyError:
            raise StudyError(
                f"{result.endpoint} of {output!r} in arm {arm!r}: no such course was simulated; "
                f"known are {sorted(courses)}; add {output!r} to the outputs of the study"
            ) from None
        return course if stratum is None else course[stratum[arm]]

    values = take(result.arm, result.of)
    versus = take(result.versus, result.of) if result.versus else None
    if result.endpoint == "time-of-peak":
        return time_of_peak(values, times_h)
    if result.time_h is None:
        raise StudyError(f"{result.endpoint} of {result.of!r} in arm {result.arm!r}: no time; give week or hour")
    at = result.time_h
    if result.endpoint == "level":
        return level(values, times_h, at, versus)
    if result.endpoint == "change":
        return change(values, times_h, at, versus)
    if result.endpoint == "ratio":
        return ratio(values, times_h, at, versus)
    if result.endpoint == "smd":
        return smd(values, times_h, at, versus)
    if result.endpoint == "sd":
        return sd(values, times_h, at)
    if result.endpoint == "correlation":
        return correlation(values, take(result.arm, result.partner), times_h, at, result.partner_h)
    if result.endpoint == "prevalence":
        if result.threshold is None:
            raise StudyError(f"prevalence of {result.of!r} in arm {result.arm!r}: no threshold; give one")
        return prevalence(values, times_h, at, threshold=result.threshold, versus=versus)
    if result.endpoint == "incidence":
        if result.threshold is None:
            raise StudyError(f"incidence of {result.of!r} in arm {result.arm!r}: no threshold; give one")
        return incidence(values, times_h, at, threshold=result.threshold, versus=versus)
    if result.endpoint == "odds-ratio" and result.threshold is not None and versus is not None:
        return odds_ratio(values, times_h, at, versus=versus, threshold=result.threshold)
    if scale is None:
        raise StudyError(f"{result.endpoint} of {result.of!r} in arm {result.arm!r}: needs a symptom scale")
    if result.endpoint == "responder-smd":
        scores = take(result.arm, result.partner)
        return responder_smd(values, scores, times_h, at, fraction=scale.response_fraction)
    if result.endpoint == "response":
        return response(values, times_h, at, fraction=scale.response_fraction, versus=versus)
    if result.endpoint == "remission":
        return remission(values, times_h, at, at_most=scale.remission_max, versus=versus)
    if versus is None:
        raise StudyError(f"odds-ratio of {result.of!r} in arm {result.arm!r}: no arm to compare with; give versus")
    return odds_ratio(values, times_h, at, fraction=scale.response_fraction, versus=versus)
