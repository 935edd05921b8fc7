"""The simulated counterpart of one published result: the same statistic, from the courses of simulated arms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.knowledge.records import Scale
from crosstalk.study.endpoints import Simulated, endpoint_kind
from crosstalk.study.records import Result
from crosstalk.study.statistics import Statistic

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
    baseline: Mapping[tuple[str, str], Array] | None = None,
    paired: bool = False,
) -> Statistic:
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
    baseline : mapping of (arm, analyte) to array, shape (n_patients,), optional
        What was measured at enrolment, in the analytes' own units: markers and covariates.
    paired : bool
        Whether the two arms hold the same patients in the same order.

    Returns
    -------
    Statistic

    Raises
    ------
    StudyError
        If a course, a time, the scale or a baseline value is missing.
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

    def measured(arm: str, analyte: str) -> Array:
        try:
            values = (baseline or {})[arm, analyte]
        except KeyError:
            raise StudyError(
                f"{result.endpoint} of {result.of!r} in arm {arm!r}: {analyte!r} was not measured at enrolment"
            ) from None
        return values if stratum is None else values[stratum[arm]]

    arms = [name for name in (result.arm, result.versus) if name]
    marker = result.marker
    return endpoint_kind(result.endpoint).counterpart(
        Simulated(
            result,
            take(result.arm, result.of),
            times_h,
            take(result.versus, result.of) if result.versus else None,
            take(result.arm, result.partner) if result.partner else None,
            scale,
            {} if marker is None else {arm: measured(arm, marker.analyte) for arm in arms},
            {arm: np.column_stack([measured(arm, a) for a in result.adjust]) for arm in arms} if result.adjust else {},
            paired,
        )
    )
