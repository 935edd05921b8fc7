"""The analyses of a design on the data of one trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import CrosstalkError
from crosstalk.statistics.estimates import Estimate
from crosstalk.statistics.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
from crosstalk.study.design import Analysis, Design
from crosstalk.study.methods import Compared, analysis_method
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.trial.conduct import TrialData
from crosstalk.trial.setting import Setting

__all__ = ["adjusted_p", "analyse", "favours"]

Array = NDArray[np.float64]

PROCEDURES = {"bonferroni": bonferroni, "holm": holm, "hochberg": hochberg, "fixed": fixed_sequence}


def analyse(setting: Setting, data: TrialData, analysis: Analysis) -> Estimate:
    """One analysis of one trial.

    Arms are compared as randomised. With the hypothetical estimand, scores after the drug was stopped are left out. A
    trial in which the analysis cannot be done gives an estimate that is not a number, with a note.

    Raises
    ------
    UsageError
        On an unknown method.
    """
    method, groups, crossover = analysis_method(analysis.method), setting.groups, setting.design.crossover
    if method.crossover:
        part = data
        arm = (data.treatment == setting.beginning_with(analysis.arm)).astype(int)
    else:
        which = np.isin(data.group, [groups.index(analysis.arm), groups.index(analysis.versus)])
        if analysis.part != "all":
            which &= data.positive == (analysis.part == "positive")
        part = data.take(np.flatnonzero(which))
        arm = (part.group == groups.index(analysis.arm)).astype(int)
    scores = part.scores[analysis.of]
    if analysis.estimand == "hypothetical":
        scores = np.where(part.on_drug, scores, np.nan)
    others = [np.log(part.covariates[c]) if setting.noise.get(c) else part.covariates[c] for c in analysis.covariates]
    at = setting.visit(analysis.time_h)
    later_h = 0.0 if crossover is None else crossover.period_h + crossover.washout_h
    compared = Compared(
        scores, part.baseline[analysis.of], arm, np.column_stack(others) if others else np.empty((len(part), 0)),
        part.positive, part.marker, at, setting.visit(analysis.time_h + later_h), setting.visits_h / HOURS_PER_WEEK,
        setting.scales[analysis.of], "non-response" if analysis.nonresponder else "observed", 1 - analysis.alpha,
    )  # fmt: skip
    return _tried(lambda: method.estimate(compared), len(part))


def _tried(estimate: Callable[[], Estimate], n: int) -> Estimate:
    try:
        return estimate()
    except (CrosstalkError, np.linalg.LinAlgError) as error:
        nan = float("nan")
        return Estimate(nan, nan, nan, nan, nan, nan, n, f"not done: {str(error).splitlines()[0]}"[:160])


def favours(analysis: Analysis, estimate: Array) -> NDArray[np.bool_]:
    """Whether an estimate speaks for the arm: lower scores, more response and remission, earlier remission."""
    higher = analysis_method(analysis.method).higher_is_better
    return np.asarray(estimate > 0 if higher else estimate < 0)


def adjusted_p(design: Design, estimates: Mapping[str, Estimate], p: Mapping[str, float]) -> dict[str, float]:
    """P-values after the multiplicity of a design, in the order of its analyses; exploratory ones stay as they are.

    Parameters
    ----------
    p : mapping of str to float
        P-values, after the looks of a design with such.
    """
    values = np.array([p[a.id] for a in design.analyses])
    which = np.array([a.confirmatory for a in design.analyses])
    if design.multiplicity in PROCEDURES:
        values[which] = PROCEDURES[design.multiplicity](values[which])
    elif design.multiplicity == "closed":
        values = _closed(design, estimates, values)
    return {a.id: float(v) for a, v in zip(design.analyses, values, strict=True)}


def _closed(design: Design, estimates: Mapping[str, Estimate], p: Array) -> Array:
    """Closed test of the whole and the marker-positive population; other analyses stay as they are."""
    candidates = [(k, a) for k, a in enumerate(design.analyses) if a.confirmatory and a.method == design.primary.method]
    first = {a.part: k for k, a in reversed(candidates)}
    pair = [first["all"], first["positive"]]
    better = [bool(favours(design.analyses[k], np.array([estimates[design.analyses[k].id].estimate]))[0]) for k in pair]
    one = [p[k] / 2 if good else 1 - p[k] / 2 for k, good in zip(pair, better, strict=True)]
    n = [estimates[design.analyses[k].id].n for k in pair]
    whole, positive = closed_nested(one[0], one[1], fraction=min(n[1] / max(n[0], 1), 1.0))
    adjusted = p.copy()
    adjusted[pair] = np.minimum(2 * np.array([float(whole), float(positive)]), 1.0)
    return adjusted
