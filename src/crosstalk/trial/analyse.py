"""The analyses of a design on the data of one trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import CrosstalkError
from crosstalk.statistics.comparisons import ancova, interaction, marginal_risk_difference, risk_difference, subgroups
from crosstalk.statistics.estimates import Estimate
from crosstalk.statistics.mmrm import mmrm
from crosstalk.statistics.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
from crosstalk.statistics.survival import hazard_ratio
from crosstalk.study.design import Analysis, Design
from crosstalk.trial.conduct import TrialData
from crosstalk.trial.endpoints import remission, response, time_to_remission
from crosstalk.trial.setting import Setting

__all__ = ["adjusted_p", "analyse", "favours"]

Array = NDArray[np.float64]

PROCEDURES = {"bonferroni": bonferroni, "holm": holm, "hochberg": hochberg, "fixed": fixed_sequence}


def analyse(setting: Setting, data: TrialData, analysis: Analysis) -> Estimate:
    """One analysis of one trial.

    Arms are compared as randomised. With the hypothetical estimand, scores after the drug was stopped are left out. A
    trial in which the analysis cannot be done gives an estimate that is not a number, with a note.
    """
    groups = setting.groups
    if analysis.method == "crossover":
        return _tried(lambda: _crossover(setting, data, analysis), len(data))
    which = np.isin(data.group, [groups.index(analysis.arm), groups.index(analysis.versus)])
    if analysis.part != "all":
        which &= data.positive == (analysis.part == "positive")
    part = data.take(np.flatnonzero(which))
    arm = (part.group == groups.index(analysis.arm)).astype(int)
    scores = part.scores[analysis.of]
    if analysis.estimand == "hypothetical":
        scores = np.where(part.on_drug, scores, np.nan)
    return _tried(lambda: _estimate(setting, part, analysis, arm, scores), len(part))


def _tried(estimate: Callable[[], Estimate], n: int) -> Estimate:
    try:
        return estimate()
    except (CrosstalkError, np.linalg.LinAlgError) as error:
        nan = float("nan")
        return Estimate(nan, nan, nan, nan, nan, nan, n, f"not done: {str(error).splitlines()[0]}"[:160])


def _estimate(setting: Setting, part: TrialData, analysis: Analysis, arm: NDArray[np.intp], scores: Array) -> Estimate:
    level = 1 - analysis.alpha
    at = setting.visit(analysis.time_h)
    baseline = part.baseline[analysis.of]
    others = [np.log(part.covariates[c]) if setting.noise.get(c) else part.covariates[c] for c in analysis.covariates]
    adjust = np.column_stack([baseline, *others])
    change = scores[:, at] - baseline
    if analysis.method == "mmrm":
        changes = scores[:, 1 : at + 1] - baseline[:, None]
        return mmrm(changes, arm, adjust, level=level).contrast(-1)
    if analysis.method == "ancova":
        return ancova(change, arm, adjust, level=level)
    if analysis.method == "interaction":
        return subgroups(change, arm, part.positive.astype(float), 0.5, adjust, level=level).interaction
    if analysis.method == "marker-slope":
        return interaction(change, arm, part.marker, adjust, level=level)
    scale = setting.scales[analysis.of]
    missing = "non-response" if analysis.nonresponder else "observed"
    if analysis.method == "time-to-remission":
        weeks = setting.visits_h[1 : at + 1] / 168.0
        time, event = time_to_remission(scores[:, 1 : at + 1], weeks, threshold=scale.remission_max)
        return hazard_ratio(time, event, arm, adjust, level=level)
    success = (
        response(scores[:, at], baseline, reduction=scale.response_fraction, missing=missing)  # type: ignore[arg-type]
        if analysis.method == "response"
        else remission(scores[:, at], threshold=scale.remission_max, missing=missing)  # type: ignore[arg-type]
    )
    if analysis.covariates:
        return marginal_risk_difference(success, arm, adjust, level=level)
    return risk_difference(success, arm, level=level)


def _crossover(setting: Setting, data: TrialData, analysis: Analysis) -> Estimate:
    """Half the difference of the periods, compared between the sequences: free of the period and of the patient."""
    design = setting.design
    assert design.crossover is not None
    again = analysis.time_h + design.crossover.period_h + design.crossover.washout_h
    one, two = setting.visit(analysis.time_h), setting.visit(again)
    scores = data.scores[analysis.of]
    if analysis.estimand == "hypothetical":
        scores = np.where(data.on_drug, scores, np.nan)
    first = data.treatment == setting.beginning_with(analysis.arm)
    return ancova((scores[:, one] - scores[:, two]) / 2, first.astype(int), level=1 - analysis.alpha)


def favours(analysis: Analysis, estimate: Array) -> NDArray[np.bool_]:
    """Whether an estimate speaks for the arm: lower scores, more response and remission, earlier remission."""
    higher = analysis.method in ("response", "remission", "time-to-remission")  # scales fall with improvement
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
    place = {a.part: k for k, a in reversed(candidates)}
    pair = [place["all"], place["positive"]]
    better = [bool(favours(design.analyses[k], np.array([estimates[design.analyses[k].id].estimate]))[0]) for k in pair]
    one = [p[k] / 2 if good else 1 - p[k] / 2 for k, good in zip(pair, better, strict=True)]
    n = [estimates[design.analyses[k].id].n for k in pair]
    whole, positive = closed_nested(one[0], one[1], fraction=min(n[1] / max(n[0], 1), 1.0))
    adjusted = p.copy()
    adjusted[pair] = np.minimum(2 * np.array([float(whole), float(positive)]), 1.0)
    return adjusted
