"""The analyses that a trial can be given, as one table.

What each is called, what its estimate says, how it is computed from a trial, and what it would find if the trial were
endless. To add one is to add an entry of `METHODS`, or to bring it by a package (`crosstalk.extensions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import UsageError, check_option
from crosstalk.extensions import ANALYSES, brought
from crosstalk.knowledge.records import Scale
from crosstalk.statistics.comparisons import ancova, interaction, marginal_risk_difference, risk_difference, subgroups
from crosstalk.statistics.estimates import Estimate
from crosstalk.statistics.mmrm import mmrm
from crosstalk.statistics.responders import Missing, remission, response, time_to_remission
from crosstalk.statistics.survival import hazard_ratio

__all__ = ["METHODS", "AnalysisMethod", "Compared", "Potential", "analysis_method", "analysis_methods"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """What an analysis is given of one trial: the patients of two arms.

    Attributes
    ----------
    scores : array, shape (n_patients, n_visits)
        Baseline visit first; not a number where missing, or off the drug under the hypothetical estimand.
    baseline : array, shape (n_patients,)
        As recorded at screening.
    arm : array, shape (n_patients,)
        0 for the control, 1 for the arm.
    covariates : array, shape (n_patients, k)
        Without the baseline.
    positive, marker : array, shape (n_patients,)
        Whether marker-positive, and the marker as measured.
    at, again : int
        Visit of the analysis, and the visit as late in the second period of a crossover.
    weeks : array, shape (n_visits,)
    scale : Scale
        That counts response and remission.
    missing : str
        What a missing score is to a responder analysis.
    level : float
        Coverage of the interval.
    """

    scores: Array
    baseline: Array
    arm: NDArray[np.intp]
    covariates: Array
    positive: NDArray[np.bool_]
    marker: Array
    at: int
    again: int
    weeks: Array
    scale: Scale
    missing: Missing
    level: float

    @property
    def adjust(self) -> Array:
        """Baseline and covariates, shape (n_patients, k + 1)."""
        return np.column_stack([self.baseline, self.covariates])

    @property
    def change(self) -> Array:
        """Change from baseline at the visit of the analysis, shape (n_patients,)."""
        return np.asarray(self.scores[:, self.at] - self.baseline)


@dataclass(frozen=True)
class Potential:
    """The same participants under both treatments, whom a trial never sees; all visits take place.

    Attributes
    ----------
    arm, control : array, shape (n_participants, n_visits)
        Scores, baseline first.
    part : array of bool, shape (n_participants,)
        Who is analysed.
    positive : array of bool, shape (n_participants,)
    marker : array, shape (n_participants,)
        As measured; not a number without one.
    at, weeks, scale
        As for `Compared`.
    """

    arm: Array
    control: Array
    part: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    marker: Array
    at: int
    weeks: Array
    scale: Scale


Outcome = Callable[[Array, int, Scale], Array]


@dataclass(frozen=True, slots=True)
class AnalysisMethod:
    """One way to analyse a trial.

    Attributes
    ----------
    name, words : str
        In tables, and in the sentence of a protocol.
    estimate : callable
        The effect, arm less control, from one trial.
    truth : callable
        The effect that it aims at.
    outcome : callable
        What is compared of each participant: scores of shape (n, n_visits), visit and scale to shape (n,).
    unit : str
        Of the estimate: ``points`` of the scale, a ``share``, or a ``log ratio``.
    higher_is_better : bool
        Whether an estimate above 0 speaks for the arm; scales fall with improvement.
    responders : bool
        It counts responders, so that who has no score may count as none.
    baseline : bool
        It always adjusts for the baseline score.
    by_marker, between_parts : bool
        It needs a marker; it compares the marker-positive with the others.
    crossover : bool
        It belongs to the crossover, and only it does.
    """

    name: str
    words: str
    estimate: Callable[[Compared], Estimate]
    truth: Callable[[Potential], float]
    outcome: Outcome
    unit: str = "points"
    higher_is_better: bool = False
    responders: bool = False
    baseline: bool = True
    by_marker: bool = False
    between_parts: bool = False
    crossover: bool = False


def analysis_method(name: str) -> AnalysisMethod:
    """Look a method up.

    Raises
    ------
    UsageError
        With the choices, if it is unknown.
    """
    methods = analysis_methods()
    check_option("analysis method", name, tuple(methods))
    return methods[name]


def analysis_methods() -> dict[str, AnalysisMethod]:
    """Every method by its name: those of `METHODS`, and those that installed packages bring.

    Raises
    ------
    UsageError
        If a package brings something else than methods, or a name that is taken.
    """
    methods = dict(METHODS)
    for who, more in brought(ANALYSES):
        if not isinstance(more, Mapping) or not all(isinstance(m, AnalysisMethod) for m in more.values()):
            raise UsageError(f"{who}: brings a {type(more).__name__}; expected a mapping of names to AnalysisMethod")
        if taken := sorted(methods.keys() & more.keys()):
            raise UsageError(f"{who}: brings the analysis '{taken[0]}', whose name is taken; rename or uninstall")
        methods |= more
    return methods


def _score(scores: Array, at: int, scale: Scale) -> Array:
    return np.asarray(scores[:, at])


def _responded(scores: Array, at: int, scale: Scale) -> Array:
    return np.asarray(scores[:, at] <= (1 - scale.response_fraction) * scores[:, 0], dtype=np.float64)


def _remitted(scores: Array, at: int, scale: Scale) -> Array:
    return np.asarray(scores[:, at] <= scale.remission_max, dtype=np.float64)


def _benefit(p: Potential, outcome: Outcome) -> Array:
    return outcome(p.arm, p.at, p.scale) - outcome(p.control, p.at, p.scale)


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _mean_benefit(outcome: Outcome) -> Callable[[Potential], float]:
    return lambda p: _mean(_benefit(p, outcome)[p.part])


def _between_parts(p: Potential) -> float:
    benefit = _benefit(p, _score)
    return _mean(benefit[p.positive]) - _mean(benefit[~p.positive])


def _by_doubling(p: Potential) -> float:
    return float(np.polyfit(np.log2(p.marker[p.part]), _benefit(p, _score)[p.part], 1)[0])


def _log_hazard_ratio(p: Potential) -> float:
    arm, control = p.arm[p.part], p.control[p.part]
    both = np.concatenate([arm, control])
    time, event = time_to_remission(both[:, 1 : p.at + 1], p.weeks[1 : p.at + 1], threshold=p.scale.remission_max)
    group = np.repeat([1, 0], [len(arm), len(control)])
    try:
        return hazard_ratio(time, event, group, both[:, 0]).estimate
    except UsageError:
        return float("nan")  # nobody remits, or nobody is in this part


def _mmrm(c: Compared) -> Estimate:
    changes = c.scores[:, 1 : c.at + 1] - c.baseline[:, None]
    return mmrm(changes, c.arm, c.adjust, level=c.level).contrast(-1)


def _marker_slope(c: Compared) -> Estimate:
    return interaction(c.change, c.arm, c.marker, c.adjust, level=c.level)


def _interaction(c: Compared) -> Estimate:
    return subgroups(c.change, c.arm, c.positive.astype(float), 0.5, c.adjust, level=c.level).interaction


def _hazard(c: Compared) -> Estimate:
    time, event = time_to_remission(c.scores[:, 1 : c.at + 1], c.weeks[1 : c.at + 1], threshold=c.scale.remission_max)
    return hazard_ratio(time, event, c.arm, c.adjust, level=c.level)


def _response(c: Compared) -> Estimate:
    reduction = c.scale.response_fraction
    return _rates(c, response(c.scores[:, c.at], c.baseline, reduction=reduction, missing=c.missing))


def _remission(c: Compared) -> Estimate:
    return _rates(c, remission(c.scores[:, c.at], threshold=c.scale.remission_max, missing=c.missing))


def _rates(c: Compared, success: Array) -> Estimate:
    if c.covariates.shape[1]:
        return marginal_risk_difference(success, c.arm, c.adjust, level=c.level)
    return risk_difference(success, c.arm, level=c.level)


def _crossover(c: Compared) -> Estimate:
    """Half the difference of the periods, compared between the sequences: free of the period and of the patient."""
    return ancova((c.scores[:, c.at] - c.scores[:, c.again]) / 2, c.arm, level=c.level)


METHODS: dict[str, AnalysisMethod] = {
    "mmrm": AnalysisMethod(
        "MMRM",
        "MMRM of the change (arm by visit, baseline by visit, unstructured covariance, Kenward-Roger)",
        _mmrm, _mean_benefit(_score), _score,
    ),
    "ancova": AnalysisMethod(
        "ANCOVA",
        "ANCOVA of the change",
        lambda c: ancova(c.change, c.arm, c.adjust, level=c.level), _mean_benefit(_score), _score,
    ),
    "response": AnalysisMethod(
        "response",
        "difference of response rates (score test)",
        _response, _mean_benefit(_responded), _responded,
        unit="share", higher_is_better=True, responders=True, baseline=False,
    ),
    "remission": AnalysisMethod(
        "remission",
        "difference of remission rates (score test)",
        _remission, _mean_benefit(_remitted), _remitted,
        unit="share", higher_is_better=True, responders=True, baseline=False,
    ),
    "time-to-remission": AnalysisMethod(
        "time to remission",
        "log hazard ratio of remission (Cox regression, Efron's ties)",
        _hazard, _log_hazard_ratio, _score,
        unit="log ratio", higher_is_better=True,
    ),
    "interaction": AnalysisMethod(
        "treatment by marker",
        "effect in the marker-positive less that in the marker-negative (ANCOVA)",
        _interaction, _between_parts, _score,
        by_marker=True, between_parts=True,
    ),
    "marker-slope": AnalysisMethod(
        "treatment by log2 marker",
        "change of the effect for each doubling of the marker (ANCOVA)",
        _marker_slope, _by_doubling, _score,
        by_marker=True,
    ),
    "crossover": AnalysisMethod(
        "crossover",
        "half the difference of the periods, compared between the sequences",
        _crossover, _mean_benefit(_score), _score,
        baseline=False, crossover=True,
    ),
}  # fmt: skip
