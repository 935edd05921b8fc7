"""The endpoints that a study can report, as one table.

What each is, on which scale its error is about normal, what it needs, and how it is computed from simulated arms. To
add one is to add an entry of `ENDPOINTS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import atanh, exp, log, pi, sqrt, tanh
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.knowledge.records import Scale
from crosstalk.study import moderation, statistics
from crosstalk.study.records import Result
from crosstalk.study.statistics import Statistic

__all__ = [
    "ENDPOINTS",
    "ERROR_SCALES",
    "EndpointKind",
    "ErrorScale",
    "Simulated",
    "endpoint_kind",
    "error_scale",
    "error_scales",
    "from_error_scale",
]

Array = NDArray[np.float64]

ScaleName = Literal["identity", "logarithm", "Fisher z"]

LOGISTIC_SD = pi / sqrt(3)
MOST_CORRELATED = 0.999  # a simulated correlation of 1 has no finite z


@dataclass(frozen=True, slots=True)
class ErrorScale:
    """A scale on which errors are about normal: there, back, and there for many values."""

    forward: Callable[[float], float]
    inverse: Callable[[float], float]
    forward_all: Callable[[Array], Array]


ERROR_SCALES: dict[str, ErrorScale] = {
    "identity": ErrorScale(float, float, lambda values: values),
    "logarithm": ErrorScale(log, exp, np.log),
    "Fisher z": ErrorScale(atanh, tanh, lambda values: np.arctanh(np.clip(values, -MOST_CORRELATED, MOST_CORRELATED))),
}
"""Scales by the name that an endpoint gives; a standard error refers to them."""


@dataclass(frozen=True)
class Simulated:
    """What a counterpart is computed from: a result, and the courses of its patients.

    Attributes
    ----------
    values, versus, partner : array, shape (n_patients, n_times), or None
        In the units of the result.
    times_h : array, shape (n_times,) [h]
    scale : Scale or None
        That counts response and remission.
    marker, covariates : mapping of arm to array, shape (n_patients,) and (n_patients, n)
        As measured at enrolment.
    paired : bool
        The two arms hold the same patients in the same order.
    """

    result: Result
    values: Array
    times_h: Array
    versus: Array | None = None
    partner: Array | None = None
    scale: Scale | None = None
    marker: dict[str, Array] = field(default_factory=dict)
    covariates: dict[str, Array] = field(default_factory=dict)
    paired: bool = False

    @property
    def at_h(self) -> float:
        """Time of the result [h]."""
        return cast(float, self._given("time", self.result.time_h, "give week or hour"))

    @property
    def rule(self) -> Scale:
        """The symptom scale that counts response and remission."""
        return cast(Scale, self._given("symptom scale", self.scale, "name a scale that counts response and remission"))

    @property
    def other(self) -> Array:
        """Courses of the arm to compare with."""
        return cast(Array, self._given("arm to compare with", self.versus, "give versus"))

    @property
    def threshold(self) -> float:
        """Value that counts."""
        return cast(float, self._given("threshold", self.result.threshold, "give one"))

    def events(self, courses: Array) -> Array:
        """Whether each patient has the result's event at each time, shape (n_patients, n_times), 0 or 1."""
        if self.result.event == "remission":
            reached = courses <= self.rule.remission_max
        else:
            reached = courses <= (1 - self.rule.response_fraction) * courses[:, :1]
        return np.where(np.isfinite(courses), reached, np.nan)

    def at(self, courses: Array) -> Array:
        """Values at the time of the result, shape (n_patients,)."""
        return statistics.at_time(courses, self.times_h, self.at_h)

    def steps(self, arm: str) -> Array:
        """The marker of the patients of an arm, in the steps of the result."""
        marker = self._given("marker", self.result.marker, "give one")
        return moderation.marker_steps(self.marker[arm], marker)  # type: ignore[arg-type]

    def adjusted(self, arm: str, courses: Array) -> Array:
        """Columns to adjust for: the baseline score and the covariates of the result, shape (n_patients, n)."""
        before = statistics.at_time(courses, self.times_h, 0.0)
        more = self.covariates.get(arm)
        return before[:, None] if more is None else np.column_stack([before, more])

    def _given(self, what: str, value: object, remedy: str) -> object:
        if value is None:
            r = self.result
            raise StudyError(f"{r.endpoint} of {r.of!r} in arm {r.arm!r}: no {what}; {remedy}")
        return value


@dataclass(frozen=True, slots=True)
class EndpointKind:
    """One kind of endpoint.

    Attributes
    ----------
    definition : str
        In words.
    counterpart : callable
        From simulated arms.
    scale : str
        On which its error is about normal; a standard error refers to it.
    numbers : str
        What its numbers are: of the ``subject`` (points or the analyte's unit), a ``share``, a ``time``, a ``positive``
        number, a ``correlation``, or ``free``.
    arms : str
        ``one``, ``two`` (needs ``versus``), or ``any``.
    needs, takes : tuple of str
        Keys of a result that it must have, and that it may have besides.
    of_scores : bool
        Only symptom scales have it.
    spread : str
        What one standard deviation between patients is on the error scale: in ``points`` of the scale, one ``sd``, that
        of a ``share`` or of log ``odds``; empty if nobody can say.
    favours : int
        Of symptoms: -1 where a lower one is good for the patients of the first arm, 1 where a higher one, 0 neither.
    neutral : str
        When 0 on the error scale is no effect: ``always``, with ``versus``, or ``never``.
    moderation : bool
        Whether it says how a marker changes what a treatment does.
    """

    definition: str
    counterpart: Callable[[Simulated], Statistic]
    scale: ScaleName = "identity"
    numbers: Literal["subject", "share", "time", "positive", "correlation", "free"] = "free"
    arms: Literal["one", "two", "any"] = "any"
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    of_scores: bool = False
    spread: Literal["points", "sd", "share", "odds", ""] = ""
    favours: int = 0
    neutral: Literal["always", "versus", "never"] = "versus"
    moderation: bool = False

    def forward(self, value: float) -> float:
        """Put a value on the scale of its error.

        Raises
        ------
        ValueError
            If it has no finite place there.
        """
        return ERROR_SCALES[self.scale].forward(value)

    def inverse(self, value: float) -> float:
        """Put a value back from the scale of its error."""
        return ERROR_SCALES[self.scale].inverse(value)

    def forward_all(self, values: Array) -> Array:
        """`forward` of many values; NaN for what has no finite place."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = ERROR_SCALES[self.scale].forward_all(values)
        return np.where(np.isfinite(values), values, np.nan)

    def sd(self, scale_maximum: float | None, share: float) -> float:
        """One standard deviation between patients on the error scale; NaN where nobody can say.

        Parameters
        ----------
        scale_maximum : float or None [points]
            Of the symptom scale that the result is about.
        share : float
            Usual standard deviation of a score, as a share of the scale.
        """
        if self.spread == "sd":
            return 1.0
        if scale_maximum is None or not self.spread:
            return float("nan")
        # a share: of a logistic variable, at the shares that trials report
        return {"points": share * scale_maximum, "odds": LOGISTIC_SD, "share": 0.2 * LOGISTIC_SD}[self.spread]

    def null(self, *, compared: bool) -> float | None:
        """The value that says no difference or relation, on the error scale; None if nobody can say."""
        return 0.0 if self.neutral == "always" or (self.neutral == "versus" and compared) else None


def _slope(s: Simulated) -> Statistic:
    arm = s.result.arm
    moved = s.at(s.values) - statistics.at_time(s.values, s.times_h, 0.0)
    return moderation.linear_slope(moved, s.steps(arm), s.adjusted(arm, s.values))


def _interaction(s: Simulated) -> Statistic:
    arm, versus = s.result.arm, s.result.versus
    if s.paired:
        # what a patient has in both arms alike, baseline score and covariates included, cancels
        difference = s.at(s.values) - s.at(s.other)
        return moderation.linear_slope(difference, s.steps(arm), np.empty((len(difference), 0)))
    moved = s.at(s.other) - statistics.at_time(s.other, s.times_h, 0.0)
    second = moderation.linear_slope(moved, s.steps(versus), s.adjusted(versus, s.other))
    return moderation.difference_of_slopes(_slope(s), second)


def _standardized(of: Callable[[Simulated], Statistic]) -> Callable[[Simulated], Statistic]:
    """The same per standard deviation of the score at the time of the result, pooled over the arms."""

    def counterpart(s: Simulated) -> Statistic:
        found = of(s)
        scores = [x[np.isfinite(x)] for x in map(s.at, (c for c in (s.values, s.versus) if c is not None))]
        if min(len(x) for x in scores) < 2:
            return statistics.UNKNOWN
        spread = sqrt(sum((len(x) - 1) * float(x.var(ddof=1)) for x in scores) / sum(len(x) - 1 for x in scores))
        return Statistic(found.value / spread, found.se / spread) if spread > 0 else statistics.UNKNOWN

    return counterpart


def _log_odds_slope(s: Simulated, arm: str, courses: Array) -> Statistic:
    return moderation.logistic_slope(s.at(s.events(courses)), s.steps(arm), s.adjusted(arm, courses))


def _slope_or(s: Simulated) -> Statistic:
    return _exponential(_log_odds_slope(s, s.result.arm, s.values))


def _interaction_or(s: Simulated) -> Statistic:
    first = _log_odds_slope(s, s.result.arm, s.values)
    second = _log_odds_slope(s, s.result.versus, s.other)
    return _exponential(moderation.difference_of_slopes(first, second))


def _hazard_ratio(s: Simulated) -> Statistic:
    """Of the first visit with the event: between arms, or per step of a marker in one arm."""
    arms = [(s.result.arm, s.values, 1.0)]
    if s.result.versus:
        arms.append((s.result.versus, s.other, 0.0))
    until = (s.times_h > 0) & (s.times_h <= s.at_h + statistics.TIME_TOLERANCE_H)
    if not until.any():
        raise StudyError(f"no output time lies between 0 and {s.at_h:g} h; a hazard ratio needs some; add visits")
    parts = []
    for arm, courses, one in arms:
        reached = s.events(courses)[:, until]
        seen, event = np.isfinite(reached), reached == 1
        happened = event.any(axis=1)
        first, last = event.argmax(axis=1), seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
        time = np.where(seen.any(axis=1), s.times_h[until][np.where(happened, first, last)], np.nan)
        steps = np.full(len(time), one) if s.result.versus else s.steps(arm)
        parts.append((time, happened.astype(np.float64), steps, s.adjusted(arm, courses)))
    return _exponential(moderation.cox_slope(*(np.concatenate(x) for x in zip(*parts, strict=True))))


def _exponential(found: Statistic) -> Statistic:
    return Statistic(float(np.exp(found.value)), found.se)


def _odds_ratio(s: Simulated) -> Statistic:
    if s.result.threshold is not None:
        return statistics.odds_ratio(s.values, s.times_h, s.at_h, versus=s.other, threshold=s.threshold)
    return statistics.odds_ratio(s.values, s.times_h, s.at_h, fraction=s.rule.response_fraction, versus=s.other)


def _correlation(s: Simulated) -> Statistic:
    assert s.partner is not None
    return statistics.correlation(s.values, s.partner, s.times_h, s.at_h, s.result.partner_h)


def _responder_smd(s: Simulated) -> Statistic:
    assert s.partner is not None
    return statistics.responder_smd(s.values, s.partner, s.times_h, s.at_h, fraction=s.rule.response_fraction)


ENDPOINTS: dict[str, EndpointKind] = {
    "level": EndpointKind(
        "mean value at a time",
        lambda s: statistics.level(s.values, s.times_h, s.at_h, s.versus),
        numbers="subject", spread="points", favours=-1,
    ),
    "change": EndpointKind(
        "mean change from baseline",
        lambda s: statistics.change(s.values, s.times_h, s.at_h, s.versus),
        numbers="subject", spread="points", favours=-1,
    ),
    "ratio": EndpointKind(
        "geometric mean of the fold change from baseline",
        lambda s: statistics.ratio(s.values, s.times_h, s.at_h, s.versus),
        scale="logarithm", numbers="positive", favours=-1,
    ),
    "response": EndpointKind(
        "share of patients whose score fell by half or more",
        lambda s: statistics.response(
            s.values, s.times_h, s.at_h, fraction=s.rule.response_fraction, versus=s.versus
        ),
        numbers="share", of_scores=True, spread="share", favours=1,
    ),
    "remission": EndpointKind(
        "share of patients whose score is at most that of remission",
        lambda s: statistics.remission(s.values, s.times_h, s.at_h, at_most=s.rule.remission_max, versus=s.versus),
        numbers="share", of_scores=True, spread="share", favours=1,
    ),
    "incidence": EndpointKind(
        "share of patients who reached a value by a time",
        lambda s: statistics.incidence(s.values, s.times_h, s.at_h, threshold=s.threshold, versus=s.versus),
        numbers="share", needs=("threshold",), spread="share", favours=-1,
    ),
    "prevalence": EndpointKind(
        "share of patients who have at least a value at a time",
        lambda s: statistics.prevalence(s.values, s.times_h, s.at_h, threshold=s.threshold, versus=s.versus),
        numbers="share", needs=("threshold",), spread="share", favours=-1,
    ),
    "sd": EndpointKind(
        "standard deviation between patients of the change, or of the level at baseline",
        lambda s: statistics.sd(s.values, s.times_h, s.at_h),
        scale="logarithm", numbers="subject", arms="one", neutral="never",
    ),
    "smd": EndpointKind(
        "standardized mean difference of two arms, or of a change from baseline",
        lambda s: statistics.smd(s.values, s.times_h, s.at_h, s.versus),
        spread="sd", favours=-1,
    ),
    "responder-smd": EndpointKind(
        "standardized difference of a baseline value between responders and non-responders of an arm",
        _responder_smd,
        arms="one", needs=("partner",), spread="sd", neutral="always", moderation=True,
    ),
    "odds-ratio": EndpointKind(
        "odds ratio of response between two arms, or of at least a value",
        _odds_ratio,
        scale="logarithm", numbers="positive", arms="two", takes=("threshold",), spread="odds", favours=1,
    ),
    "time-of-peak": EndpointKind(
        "mean time at which the course is highest",
        lambda s: statistics.time_of_peak(s.values, s.times_h),
        numbers="time", arms="one", neutral="never",
    ),
    "correlation": EndpointKind(
        "correlation over patients of two changes from baseline, or of two levels",
        _correlation,
        scale="Fisher z", numbers="correlation", arms="one", needs=("partner",), takes=("partner_h",), neutral="always",
    ),
    "interaction": EndpointKind(
        "difference of two arms in the change of a score, per step of a baseline marker",
        _interaction,
        numbers="subject", arms="two", needs=("marker",), takes=("adjust",), of_scores=True, spread="points",
        favours=-1, neutral="always", moderation=True,
    ),
    "interaction-smd": EndpointKind(
        "difference of two arms in a score in standard deviations, per step of a baseline marker",
        _standardized(_interaction),
        arms="two", needs=("marker",), takes=("adjust",), of_scores=True, spread="sd", favours=-1, neutral="always",
        moderation=True,
    ),
    "interaction-or": EndpointKind(
        "ratio of the odds ratios of response or remission between two arms, per step of a baseline marker",
        _interaction_or,
        scale="logarithm", numbers="positive", arms="two", needs=("marker", "event"), takes=("adjust",), of_scores=True,
        spread="odds", favours=1, neutral="always", moderation=True,
    ),
    "slope": EndpointKind(
        "change of a score in an arm, per step of a baseline marker",
        _slope,
        numbers="subject", arms="one", needs=("marker",), takes=("adjust",), of_scores=True, spread="points",
        favours=-1, neutral="always", moderation=True,
    ),
    "slope-smd": EndpointKind(
        "change of a score in an arm in standard deviations of the score, per step of a baseline marker",
        _standardized(_slope),
        arms="one", needs=("marker",), takes=("adjust",), of_scores=True, spread="sd", favours=-1, neutral="always",
        moderation=True,
    ),
    "slope-or": EndpointKind(
        "odds ratio of response or remission in an arm, per step of a baseline marker",
        _slope_or,
        scale="logarithm", numbers="positive", arms="one", needs=("marker", "event"), takes=("adjust",), of_scores=True,
        spread="odds", favours=1, neutral="always", moderation=True,
    ),
    "hazard-ratio": EndpointKind(
        "hazard ratio of response or remission: of two arms, or per step of a baseline marker in one",
        _hazard_ratio,
        scale="logarithm", numbers="positive", needs=("event",), takes=("marker", "adjust"), of_scores=True,
        spread="odds", favours=1, neutral="always",
    ),
}  # fmt: skip
"""Every endpoint that a study file can name."""


def endpoint_kind(name: str) -> EndpointKind:
    """The entry of an endpoint.

    Raises
    ------
    StudyError
        If there is none; names the nearest.
    """
    try:
        return ENDPOINTS[name]
    except KeyError:
        near = difflib.get_close_matches(name, ENDPOINTS, n=3) or list(ENDPOINTS)
        raise StudyError(f"endpoint is {name!r}: expected {', '.join(near)}") from None


def error_scale(endpoint: str, value: float) -> float:
    """Put a value on the scale on which the error of its endpoint is about normal.

    Examples
    --------
    >>> error_scale("odds-ratio", 1.0), error_scale("change", -3.1)
    (0.0, -3.1)
    """
    return endpoint_kind(endpoint).forward(value)


def from_error_scale(endpoint: str, value: float) -> float:
    """Put a value back from the scale of its error: the inverse of `error_scale`."""
    return endpoint_kind(endpoint).inverse(value)


def error_scales(results: Sequence[Result], values: Array) -> Array:
    """`error_scale` of simulated results, shape (..., n_results); NaN for what has no finite counterpart there."""
    found = np.array(values, dtype=np.float64)
    for j, result in enumerate(results):
        found[..., j] = endpoint_kind(result.endpoint).forward_all(found[..., j])
    return found
