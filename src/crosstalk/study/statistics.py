"""Statistics of simulated arms, computed as the publications compute them.

Every function takes courses of shape (n_patients, n_times) and returns a `Statistic`. Patients with a value that is not
finite are left out; fewer than two patients give NaN, since a stratum may be empty. Time 0 is the baseline.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.statistics.effect_sizes import hedges_correction, proportion_se, smd_se

__all__ = [
    "UNKNOWN",
    "Statistic",
    "at_time",
    "change",
    "correlation",
    "incidence",
    "level",
    "odds_ratio",
    "prevalence",
    "ratio",
    "remission",
    "responder_smd",
    "response",
    "sd",
    "smd",
    "time_of_peak",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TIME_TOLERANCE_H = 1e-6


class Statistic(NamedTuple):
    """A statistic and its standard error, on the scale that `crosstalk.study.endpoints.ENDPOINTS` gives."""

    value: float
    se: float


UNKNOWN = Statistic(float("nan"), float("nan"))
"""What a statistic of too few patients is."""


def level(values: Array, times_h: Array, at_h: float, versus: Array | None = None) -> Statistic:
    """Mean value at a time, or the difference of the means of two arms.

    Parameters
    ----------
    values : array, shape (n_patients, n_times)
    times_h : array, shape (n_times,) [h]
    at_h : float [h]
        One of ``times_h``.
    versus : array, shape (n_patients_versus, n_times), optional
        The arm to subtract.

    Returns
    -------
    Statistic
        In the unit of ``values``; the standard error of a difference does not assume equal variances [1]_.

    Raises
    ------
    StudyError
        If ``at_h`` is not an output time.

    References
    ----------
    .. [1] Welch BL. The generalization of "Student's" problem. Biometrika 1947. doi:10.1093/biomet/34.1-2.28
    """
    return _mean_difference(at_time(values, times_h, at_h), None if versus is None else at_time(versus, times_h, at_h))


def change(values: Array, times_h: Array, at_h: float, versus: Array | None = None) -> Statistic:
    """Mean change from baseline, or the difference of the mean changes of two arms.

    Parameters and returns are those of `level`; a fall is negative.
    """
    return _mean_difference(_change(values, times_h, at_h), None if versus is None else _change(versus, times_h, at_h))


def ratio(values: Array, times_h: Array, at_h: float, versus: Array | None = None) -> Statistic:
    """Geometric mean of the fold change from baseline, or the ratio of the fold changes of two arms.

    Parameters are those of `level`; all values must be positive.

    Returns
    -------
    Statistic
        Dimensionless; the standard error is that of the logarithm.

    Raises
    ------
    StudyError
        If a value is zero or negative.
    """
    result = _mean_difference(
        _log_ratio(values, times_h, at_h), None if versus is None else _log_ratio(versus, times_h, at_h)
    )
    return Statistic(float(np.exp(result.value)), result.se)


def response(
    values: Array, times_h: Array, at_h: float, *, fraction: float = 0.5, versus: Array | None = None
) -> Statistic:
    """Share of patients whose score fell by at least a fraction of its baseline, or the difference of the shares.

    Parameters
    ----------
    values : array, shape (n_patients, n_times)
        Scores; a patient whose baseline is zero is no responder.
    times_h : array, shape (n_times,) [h]
    at_h : float [h]
    fraction : float
        Smallest fall that counts, as a fraction of the baseline.
    versus : array, shape (n_patients_versus, n_times), optional

    Returns
    -------
    Statistic
        A fraction, with the standard error of `proportion_se`.
    """
    return _share_difference(
        _responders(values, times_h, at_h, fraction),
        None if versus is None else _responders(versus, times_h, at_h, fraction),
    )


def remission(values: Array, times_h: Array, at_h: float, *, at_most: float, versus: Array | None = None) -> Statistic:
    """Share of patients whose score is at most ``at_most`` [points], or the difference of the shares.

    The other parameters and the returns are those of `response`.
    """

    def remitters(courses: Array) -> Array:
        scores = at_time(courses, times_h, at_h)
        return np.asarray(scores[np.isfinite(scores)] <= at_most, dtype=np.float64)

    return _share_difference(remitters(values), None if versus is None else remitters(versus))


def incidence(
    values: Array, times_h: Array, until_h: float, *, threshold: float, versus: Array | None = None
) -> Statistic:
    """Share of patients whose score reached a threshold at any output time after baseline up to ``until_h``.

    Parameters
    ----------
    values : array, shape (n_patients, n_times)
    times_h : array, shape (n_times,) [h]
        The visits: with more of them, more patients are caught.
    until_h : float [h]
    threshold : float [points or the analyte's unit]
    versus : array, shape (n_patients_versus, n_times), optional

    Returns
    -------
    Statistic
        A fraction, with the standard error of `proportion_se`.
    """
    during = (times_h > 0) & (times_h <= until_h + TIME_TOLERANCE_H)
    if not during.any():
        raise StudyError(f"no output time lies between 0 and {until_h:g} h; add one to visits or times_h")

    def cases(courses: Array) -> Array:
        part = courses[:, during]
        finite = np.isfinite(part).all(axis=1)
        return np.asarray((part[finite] >= threshold).any(axis=1), dtype=np.float64)

    return _share_difference(cases(values), None if versus is None else cases(versus))


def prevalence(
    values: Array, times_h: Array, at_h: float, *, threshold: float, versus: Array | None = None
) -> Statistic:
    """Share of patients whose value at a time is at least ``threshold``, or the difference of the shares.

    Parameters and returns are those of `incidence`, which looks at the whole course.
    """
    return _share_difference(
        _reached(values, times_h, at_h, threshold),
        None if versus is None else _reached(versus, times_h, at_h, threshold),
    )


def odds_ratio(
    values: Array,
    times_h: Array,
    at_h: float,
    *,
    versus: Array,
    fraction: float = 0.5,
    threshold: float | None = None,
) -> Statistic:
    """Odds ratio of response of an arm against another, or of a value of at least ``threshold``.

    The other parameters are those of `response`.

    Returns
    -------
    Statistic
        The standard error is Woolf's, of the logarithm [1]_. If one of the four cells is empty, 0.5 is added to all
        of them, in the ratio and in its error (Haldane and Anscombe).

    References
    ----------
    .. [1] Woolf B. On estimating the relation between blood group and disease. Ann Hum Genet 1955.
       doi:10.1111/j.1469-1809.1955.tb01348.x
    """

    def cases(courses: Array) -> Array:
        if threshold is None:
            return _responders(courses, times_h, at_h, fraction)
        return _reached(courses, times_h, at_h, threshold)

    first, second = cases(values), cases(versus)
    if min(len(first), len(second)) < 2:
        return UNKNOWN
    cells = np.array([first.sum(), (1 - first).sum(), second.sum(), (1 - second).sum()])
    if (cells == 0).any():
        cells = cells + 0.5
    a, b, c, d = cells
    return Statistic(float(a * d / (b * c)), float(np.sqrt((1 / cells).sum())))


def sd(values: Array, times_h: Array, at_h: float) -> Statistic:
    """Standard deviation between patients of the change from baseline, or of the level if ``at_h`` is 0.

    Parameters are those of `level`.

    Returns
    -------
    Statistic
        In the unit of ``values``; the standard error is that of the logarithm, ``1 / sqrt(2 (n - 1))``.
    """
    spread = _finite(at_time(values, times_h, 0.0) if at_h == 0 else _change(values, times_h, at_h))
    if len(spread) < 2 or spread.std() == 0:
        return UNKNOWN
    return Statistic(float(spread.std(ddof=1)), 1 / sqrt(2 * (len(spread) - 1)))


def smd(values: Array, times_h: Array, at_h: float, versus: Array | None = None) -> Statistic:
    """Standardized mean difference with the small-sample correction of Hedges.

    Against another arm: the difference of the means at ``at_h`` in units of the pooled standard deviation [1]_.
    Without: the mean change from baseline in units of the standard deviation at baseline [2]_.

    Parameters are those of `level`.

    Returns
    -------
    Statistic
        In standard deviations, with the standard error of `smd_se`; for a change with
        ``sqrt((sd_change / sd_baseline)^2 / (n - 1) + g^2 / (2 (n - 1)))``, which does not assume that the standard
        deviation stays the same [3]_.

    References
    ----------
    .. [1] Hedges LV. Distribution theory for Glass's estimator of effect size. J Educ Stat 1981.
       doi:10.3102/10769986006002107
    .. [2] Becker BJ. Synthesizing standardized mean-change measures. Br J Math Stat Psychol 1988.
       doi:10.1111/j.2044-8317.1988.tb00901.x
    .. [3] Bonett DG. Confidence intervals for standardized linear contrasts of means. Psychol Methods 2008.
       doi:10.1037/1082-989X.13.2.99
    """
    if versus is not None:
        return _group_smd(*(_finite(at_time(arm, times_h, at_h)) for arm in (values, versus)))
    before, after = at_time(values, times_h, 0.0), at_time(values, times_h, at_h)
    both = np.isfinite(before) & np.isfinite(after)
    before, after = before[both], after[both]
    n = len(before)
    if n < 3 or before.std() == 0:
        return UNKNOWN
    moved = after - before
    spread = float(moved.std(ddof=1) / before.std(ddof=1))
    g = hedges_correction(n - 1) * float(moved.mean() / before.std(ddof=1))
    return Statistic(g, sqrt((spread * spread + g * g / 2) / (n - 1)))


def responder_smd(values: Array, scores: Array, times_h: Array, at_h: float, *, fraction: float = 0.5) -> Statistic:
    """Standardized difference of a baseline value between responders and non-responders of one arm.

    Parameters
    ----------
    values, scores : array, shape (n_patients, n_times)
        The same patients in the same order; ``scores`` defines the response at ``at_h``, see `response`.
    times_h : array, shape (n_times,) [h]
    at_h : float [h]
    fraction : float

    Returns
    -------
    Statistic
        In standard deviations, positive where responders have more.
    """
    baseline, before, after = (
        at_time(values, times_h, 0.0),
        at_time(scores, times_h, 0.0),
        at_time(scores, times_h, at_h),
    )
    known = np.isfinite(baseline) & np.isfinite(before) & np.isfinite(after)
    responded = (before > 0) & (after <= (1 - fraction) * before)
    return _group_smd(baseline[known & responded], baseline[known & ~responded])


def time_of_peak(values: Array, times_h: Array) -> Statistic:
    """Mean over patients of the time at which each course is highest.

    Parameters
    ----------
    values : array, shape (n_patients, n_times)
    times_h : array, shape (n_times,) [h]

    Returns
    -------
    Statistic
        In hours. A peak between outputs is placed by the parabola through the highest output and its neighbors.
    """
    courses = values[np.isfinite(values).all(axis=1)]
    if len(courses) < 2:
        return UNKNOWN
    top = courses.argmax(axis=1)
    peaks = times_h[top].astype(np.float64)
    inner = (top > 0) & (top < len(times_h) - 1)
    rows, mid = np.flatnonzero(inner), top[inner]
    left, right = times_h[mid] - times_h[mid - 1], times_h[mid + 1] - times_h[mid]
    fall_left = courses[rows, mid] - courses[rows, mid - 1]
    fall_right = courses[rows, mid] - courses[rows, mid + 1]
    below = fall_left * right + fall_right * left
    shift = np.divide(
        left * left * fall_right - right * right * fall_left, 2 * below, out=np.zeros_like(below), where=below > 0
    )
    peaks[rows] -= shift
    return _mean_difference(peaks, None)


def correlation(
    values: Array, partner: Array, times_h: Array, at_h: float, partner_h: float | None = None
) -> Statistic:
    """Pearson correlation over patients of two changes from baseline.

    Of two levels if ``at_h`` is 0 or the time of the partner is given.

    Parameters
    ----------
    values, partner : array, shape (n_patients, n_times)
        The same patients in the same order.
    times_h : array, shape (n_times,) [h]
    at_h : float [h]
    partner_h : float [h], optional
        When the partner's level is taken.

    Returns
    -------
    Statistic
        The standard error is ``1 / sqrt(n - 3)``, of Fisher's z.
    """
    pick = at_time if at_h == 0 or partner_h is not None else _change
    first = pick(values, times_h, at_h)
    second = pick(partner, times_h, at_h if partner_h is None else partner_h)
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    if len(first) < 4 or first.std() == 0 or second.std() == 0:
        return UNKNOWN
    return Statistic(float(np.corrcoef(first, second)[0, 1]), 1 / sqrt(len(first) - 3))


def at_time(values: Array, times_h: Array, at_h: float) -> Array:
    """Values at one of the output times, shape (n_patients,).

    Raises
    ------
    StudyError
        If ``at_h`` is not an output time.
    """
    index = np.flatnonzero(np.abs(np.asarray(times_h) - at_h) <= TIME_TOLERANCE_H)
    if len(index) == 0:
        raise StudyError(f"no output at {at_h:g} h; the outputs are at {_shorten(times_h)} h; add this time to them")
    return np.asarray(values[:, index[0]], dtype=np.float64)


def _shorten(times_h: Array) -> str:
    texts = [f"{time:g}" for time in times_h]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:4], "...", *texts[-3:]])


def _change(values: Array, times_h: Array, at_h: float) -> Array:
    return at_time(values, times_h, at_h) - at_time(values, times_h, 0.0)


def _log_ratio(values: Array, times_h: Array, at_h: float) -> Array:
    before, after = at_time(values, times_h, 0.0), at_time(values, times_h, at_h)
    wrong = int(((before <= 0) | (after <= 0)).sum())
    if wrong:
        raise StudyError(
            f"a ratio needs values above zero; {wrong} of {len(before)} patients have one that is not; use change"
        )
    return np.asarray(np.log(after / before), dtype=np.float64)


def _responders(values: Array, times_h: Array, at_h: float, fraction: float) -> Array:
    before, after = at_time(values, times_h, 0.0), at_time(values, times_h, at_h)
    both = np.isfinite(before) & np.isfinite(after)
    before, after = before[both], after[both]
    return np.asarray((before > 0) & (after <= (1 - fraction) * before), dtype=np.float64)


def _reached(values: Array, times_h: Array, at_h: float, threshold: float) -> Array:
    return np.asarray(_finite(at_time(values, times_h, at_h)) >= threshold, dtype=np.float64)


def _group_smd(first: Array, second: Array) -> Statistic:
    n1, n2 = len(first), len(second)
    if min(n1, n2) < 2:
        return UNKNOWN
    pooled = sqrt(((n1 - 1) * first.var(ddof=1) + (n2 - 1) * second.var(ddof=1)) / (n1 + n2 - 2))
    if pooled == 0:
        return UNKNOWN
    g = hedges_correction(n1 + n2 - 2) * float(first.mean() - second.mean()) / pooled
    return Statistic(g, smd_se(g, n1, n2))


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]


def _mean_difference(values: Array, versus: Array | None) -> Statistic:
    first = _finite(values)
    if len(first) < 2:
        return UNKNOWN
    mean, variance = float(first.mean()), float(first.var(ddof=1)) / len(first)
    if versus is not None:
        second = _finite(versus)
        if len(second) < 2:
            return UNKNOWN
        mean -= float(second.mean())
        variance += float(second.var(ddof=1)) / len(second)
    return Statistic(mean, sqrt(variance))


def _share_difference(values: Array, versus: Array | None) -> Statistic:
    if len(values) < 2:
        return UNKNOWN
    share = float(values.mean())
    error = proportion_se(share, len(values))
    if versus is None:
        return Statistic(share, error)
    if len(versus) < 2:
        return UNKNOWN
    other = float(versus.mean())
    return Statistic(share - other, sqrt(error**2 + proportion_se(other, len(versus)) ** 2))
