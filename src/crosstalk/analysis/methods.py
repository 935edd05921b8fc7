"""Each kind of analysis on the data of one trial."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.analysis.arrange import TrialTable
from crosstalk.analysis.design import (
    AncovaPlan,
    EventPlan,
    InteractionPlan,
    MmrmPlan,
    OutcomePlan,
    Plan,
    ResponderPlan,
    SensitivityPlan,
    SubgroupPlan,
)
from crosstalk.analysis.marker import effect_curve, strata
from crosstalk.analysis.records import EstimateRow, Finding, Step
from crosstalk.errors import TrialError
from crosstalk.statistics.columns import columns_of
from crosstalk.statistics.comparisons import marginal_risk_difference, odds_ratio, risk_difference
from crosstalk.statistics.estimates import wald
from crosstalk.statistics.missing_visits import Strategy, imputation_model
from crosstalk.statistics.mmrm import mmrm
from crosstalk.statistics.regression import linear
from crosstalk.statistics.responders import remission, response
from crosstalk.statistics.sensitivity import Imputed, impute, jackknife, rubin, tipping_point
from crosstalk.statistics.survival import hazard_ratio, log_rank

__all__ = ["METHODS", "carry_out"]

Array = NDArray[np.float64]
DF = {
    "kenward-roger": "Kenward-Roger with the expected information",
    "kenward-roger-observed": "Kenward-Roger with the observed information",
    "satterthwaite": "Satterthwaite",
}
"""Standard errors and degrees of freedom in words."""


def carry_out(trial: TrialTable, outcome: OutcomePlan, plan: Plan, seed: int) -> Finding:
    """One analysis of a trial; raises what its data make impossible, with the name of the analysis before it."""
    from crosstalk.errors import CrosstalkError

    try:
        return METHODS[type(plan)](trial, outcome, plan, seed)
    except CrosstalkError as error:
        raise type(error)(f"analysis '{plan.id}': {error}") from None


def _columns(trial: TrialTable, names: list[str]) -> NDArray[Any] | None:
    """Covariates side by side; labels stay labels."""
    found = [trial.covariate(name) for name in names]
    return np.column_stack([f.astype(object) for f in found]) if found else None


def _numbers(trial: TrialTable, plan: Any, *, baseline: bool = True) -> Array:
    """Baseline and covariates as columns of numbers, shape (n_patients, k)."""
    columns, _ = columns_of(_columns(trial, plan.covariates), "covariates", len(trial))
    if baseline and trial.baseline is not None:
        columns = np.column_stack([trial.baseline, columns])
    return np.asarray(columns, dtype=float)


def _adjusted(trial: TrialTable, plan: Any) -> str:
    names = ([] if trial.baseline is None else ["baseline"]) + plan.covariates
    return f"adjusted for {', '.join(names)}" if names else "not adjusted"


def _of(trial: TrialTable) -> str:
    return "score" if trial.baseline is None else "change from baseline"


def _check_visits(trial: TrialTable, last: int) -> None:
    """Name the arm and the week that a mixed model cannot be fitted with."""
    for visit, week in enumerate(trial.weeks[: last + 1]):
        values = trial.change[:, visit]
        for k, name in enumerate(trial.arms):
            if not np.isfinite(values[trial.arm == k]).any():
                raise TrialError(f"arm {name} has no score at week {week:g}; leave the visit out of visits, or the arm")
        seen = values[np.isfinite(values)]
        if np.ptp(seen) == 0:
            raise TrialError(f"at week {week:g} the {_of(trial)} is {seen[0]:g} for everybody; leave it out of visits")


def _mixed(trial: TrialTable, outcome: OutcomePlan, plan: MmrmPlan, seed: int) -> Finding:
    last = trial.visit(plan.week)
    _check_visits(trial, last)
    weights = trial.numbers(plan.weights)[0] if plan.weights else None
    others = _columns(trial, plan.covariates)
    base = None if trial.baseline is None else trial.baseline
    if base is not None and not plan.baseline_by_visit:
        others = base[:, None] if others is None else np.column_stack([base.astype(object), others])
        base = None
    fit = mmrm(
        trial.change[:, : last + 1], trial.arm, base, others, groups=trial.arm if plan.by_arm else None,
        weights=weights, method=plan.df, structures=tuple(plan.structure), margins=plan.margins, level=plan.level,
    )  # fmt: skip
    if not fit.converged:
        raise TrialError(f"{fit.note}; name a structure with fewer parameters, such as 'compound symmetry'")
    rows = []
    for visit in range(last + 1):
        week = float(trial.weeks[visit])
        rows += [EstimateRow("mean", a, "", week, fit.mean(visit, k)) for k, a in enumerate(trial.arms)]
        rows += [
            EstimateRow("difference", a, trial.arms[0], week, fit.contrast(visit, k))
            for k, a in enumerate(trial.arms[1:], start=1)
        ]
    slopes = "" if trial.baseline is None else ", baseline by visit" if plan.baseline_by_visit else ", baseline"
    terms = f"arm by visit{slopes}" + "".join(f", {c}" for c in plan.covariates)
    per = " for each arm" if plan.by_arm else ""
    how = (
        f"MMRM of the {_of(trial)} ({terms}; covariance {fit.structure}{per}; REML; {DF[plan.df]}"
        + (f"; weights {plan.weights}" if plan.weights else "")
        + f"; least-squares means at {'equal shares' if plan.margins == 'equal' else 'the shares'} of labels)"
    )
    matrices = fit.covariance if plan.by_arm else fit.covariance[None]
    names = trial.arms if plan.by_arm else ("",)
    covariance = tuple(
        (name, tuple(tuple(map(float, row)) for row in matrix)) for name, matrix in zip(names, matrices, strict=True)
    )
    notes = (fit.note, f"-2 restricted log likelihood {fit.deviance:.2f}, {fit.n} patients")
    return Finding(
        plan.id, plan.method, how, outcome.unit, plan.level, tuple(rows), notes=tuple(filter(None, notes)),
        covariance=covariance,
    )  # fmt: skip


def _ancova(trial: TrialTable, outcome: OutcomePlan, plan: AncovaPlan, seed: int) -> Finding:
    """One model of all arms, so that the error is theirs together, as in a table of least-squares means."""
    visit = trial.visit(plan.week)
    y, adjust = trial.change[:, visit], _numbers(trial, plan)
    seen = np.isfinite(y)
    dummies = (trial.arm[:, None] == np.arange(1, len(trial.arms))).astype(float)
    for k, name in enumerate(trial.arms):
        if not seen[trial.arm == k].any():
            raise TrialError(f"arm {name} has no score at week {trial.weeks[visit]:g}; choose an earlier week")
    centred = adjust[seen] - adjust[seen].mean(axis=0)
    fit = linear(y[seen], np.column_stack([np.ones(seen.sum()), dummies[seen], centred]), robust=plan.robust)
    left = int((~seen).sum())
    note = f"observed cases: {left} of {len(y)} patients without outcome left out" if left else ""
    n, week, rows = int(seen.sum()), float(trial.weeks[visit]), []
    for k, name in enumerate(trial.arms):
        row = np.zeros(len(fit.coefficients))
        row[0] = 1.0
        row[k] = 1.0
        rows.append(EstimateRow("mean", name, "", week, fit.effect(row, n, plan.level, note)))
    for k, name in enumerate(trial.arms[1:], start=1):
        effect = fit.effect(np.eye(len(fit.coefficients))[k], n, plan.level, note)
        rows.append(EstimateRow("difference", name, trial.arms[0], week, effect))
    how = f"ANCOVA of the {_of(trial)}, {_adjusted(trial, plan)}" + (", HC3 standard errors" if plan.robust else "")
    return Finding(plan.id, plan.method, how, outcome.unit, plan.level, tuple(rows), notes=(note,) if note else ())


def _success(trial: TrialTable, outcome: OutcomePlan, plan: ResponderPlan | EventPlan, scores: Array) -> Array:
    """Response or remission of scores of any shape with patients first; not a number where missing."""
    kind = plan.method.removeprefix("time-to-")
    if kind == "remission":
        sign = 1 if outcome.better == "lower" else -1
        return remission(sign * scores, threshold=sign * plan.threshold, missing="observed")
    if trial.baseline is None:
        raise TrialError("a response needs a baseline score; name its column by baseline in [data]")
    base = np.broadcast_to(trial.baseline.reshape(-1, *[1] * (scores.ndim - 1)), scores.shape)
    if outcome.better == "lower":
        return response(scores, base, reduction=plan.reduction, missing="observed")
    return np.where(np.isfinite(scores), (scores >= (1 + plan.reduction) * base).astype(float), np.nan)


def _criterion(outcome: OutcomePlan, plan: ResponderPlan | EventPlan) -> str:
    if plan.method.endswith("remission"):
        return f"a score of {plan.threshold:g} or {'less' if outcome.better == 'lower' else 'more'}"
    way = "reduction" if outcome.better == "lower" else "rise"
    return f"a {way} of {100 * plan.reduction:g} % or more"


def _responders(trial: TrialTable, outcome: OutcomePlan, plan: ResponderPlan, seed: int) -> Finding:
    visit = trial.visit(plan.week)
    week = float(trial.weeks[visit])
    success = _success(trial, outcome, plan, trial.scores[:, visit])
    gone = int((~np.isfinite(success)).sum())
    if plan.missing == "non-response":
        success = np.where(np.isfinite(success), success, 0.0)
    rows = []
    for k, name in enumerate(trial.arms):
        own = success[(trial.arm == k) & np.isfinite(success)]
        if not len(own):
            raise TrialError(f"arm {name} has no score at week {week:g}; choose an earlier week")
        rows.append(EstimateRow("rate", name, "", week, _rate(own, plan.level)))
    adjust = _numbers(trial, plan, baseline=False)
    for k, name in enumerate(trial.arms[1:], start=1):
        pair = (trial.arm == 0) | (trial.arm == k)
        y, arm = success[pair], (trial.arm[pair] == k).astype(int)
        plain = risk_difference(y, arm, method=plan.interval, level=plan.level)
        rows.append(EstimateRow("rate difference", name, trial.arms[0], week, plain))
        if plan.covariates:
            marginal = marginal_risk_difference(y, arm, adjust[pair], level=plan.level)
            rows.append(EstimateRow("adjusted rate difference", name, trial.arms[0], week, marginal))
        given = adjust[pair] if plan.covariates else None
        rows.append(
            EstimateRow("log odds ratio", name, trial.arms[0], week, odds_ratio(y, arm, given, level=plan.level))
        )
    how = f"{plan.method}: {_criterion(outcome, plan)}; interval of {plan.interval.title()}"
    if plan.covariates:
        how += f"; adjusted by g-computation for {', '.join(plan.covariates)}"
    treated = "counted as failures" if plan.missing == "non-response" else "left out"
    notes = (f"{gone} patients without a score at week {week:g} {treated}",) if gone else ()
    return Finding(plan.id, plan.method, how, "share", plan.level, tuple(rows), notes=notes)


def _rate(success: Array, level: float) -> Any:
    """A rate with its Wilson interval, and no test."""
    from dataclasses import replace

    from scipy.stats import binomtest

    found = binomtest(int(success.sum()), len(success)).proportion_ci(level, method="wilson")
    rate = float(success.mean())
    empty = wald(rate, float("nan"), n=len(success), level=level)
    se = float(np.sqrt(rate * (1 - rate) / len(success)))
    return replace(empty, se=se, lower=float(found.low), upper=float(found.high))


def _events(trial: TrialTable, outcome: OutcomePlan, plan: EventPlan, seed: int) -> Finding:
    if plan.method == "time-to-event":
        time, event = trial.numbers(plan.time)[0], trial.numbers(plan.event or plan.censored)[0]
        bad = np.flatnonzero(~(np.isfinite(time) & (time >= 0) & np.isin(event, (0.0, 1.0))))
        if len(bad):
            raise TrialError(
                f"patient {trial.patients[bad[0]]}: time {time[bad[0]]:g}, event {event[bad[0]]:g} ({len(bad)} such); "
                "expected a time from 0 on and an event of 0 or 1"
            )
        event = 1 - event if plan.censored else event
        what = plan.event or f"end of {plan.censored}"
    else:
        last = trial.visit(plan.week)
        success = _success(trial, outcome, plan, trial.scores[:, : last + 1])
        weeks, reached = trial.weeks[: last + 1], success == 1
        event = reached.any(axis=1).astype(float)
        ends = np.where(np.isfinite(success), weeks, 0.0).max(axis=1)
        time = np.where(event > 0, weeks[reached.argmax(axis=1)], ends)
        what = f"{_criterion(outcome, plan)} at a visit"
    adjust = _numbers(trial, plan, baseline=False)
    rows = []
    for k, name in enumerate(trial.arms[1:], start=1):
        pair = (trial.arm == 0) | (trial.arm == k)
        arm = (trial.arm[pair] == k).astype(int)
        given = adjust[pair] if plan.covariates else None
        ratio = hazard_ratio(time[pair], event[pair], arm, given, level=plan.level)
        rows.append(EstimateRow("log hazard ratio", name, trial.arms[0], None, ratio))
        test = log_rank(time[pair], event[pair], arm, level=plan.level)
        rows.append(EstimateRow("log hazard ratio, one-step (log-rank)", name, trial.arms[0], None, test))
    steps = tuple(_kaplan_meier(name, time[trial.arm == k], event[trial.arm == k]) for k, name in enumerate(trial.arms))
    how = f"{plan.method}: {what}; Cox regression with Efron's ties" + (
        f", adjusted for {', '.join(plan.covariates)}" if plan.covariates else ""
    )
    notes = (f"{int(event.sum())} events in {len(event)} patients",)
    return Finding(plan.id, plan.method, how, "hazard ratio", plan.level, tuple(rows), notes=notes, steps=steps)


def _kaplan_meier(arm: str, time: Array, event: Array) -> Step:
    moments = np.unique(time[event > 0])
    at_risk = np.array([(time >= m).sum() for m in moments])
    events = np.array([((time == m) & (event > 0)).sum() for m in moments])
    free = np.cumprod(1 - events / np.maximum(at_risk, 1)) if len(moments) else np.empty(0)
    end = float(time.max())
    times = [0.0, *map(float, moments), end]
    shares = [0.0, *(1 - free).tolist()]
    return Step(arm, tuple(times), (*shares, shares[-1]))


def _pairs(trial: TrialTable, plan: Any) -> list[tuple[int, str, NDArray[np.bool_]]]:
    """Arms against the control, with the patients of both who have a score at the week."""
    seen = np.isfinite(trial.scores[:, trial.visit(plan.week)])
    return [(k, name, seen & ((trial.arm == 0) | (trial.arm == k))) for k, name in enumerate(trial.arms[1:], start=1)]


def _interaction(trial: TrialTable, outcome: OutcomePlan, plan: InteractionPlan, seed: int) -> Finding:
    marker, note = trial.numbers(plan.marker)
    visit = trial.visit(plan.week)
    # the baseline as a marker is in the model already
    itself = trial.baseline is not None and np.array_equal(marker, trial.baseline)
    adjust = _numbers(trial, plan, baseline=not itself)
    lost = int((~np.isfinite(marker)).sum())
    rows, curves = [], []
    for k, name, pair in _pairs(trial, plan):
        use = pair & np.isfinite(marker)
        curve = effect_curve(
            trial.change[use, visit], trial.arm[use] == k, marker[use], adjust[use], names=(name, trial.arms[0]),
            label=plan.marker, unit=plan.unit, knots=plan.knots, scale=plan.scale, level=plan.level,
        )  # fmt: skip
        curves.append(curve)
        rows.append(
            EstimateRow("interaction", name, trial.arms[0], float(trial.weeks[visit]), curve.slope, plan.marker)
        )
    how = (
        f"treatment by {plan.marker}: restricted cubic spline of {plan.knots} knots"
        + (" of its logarithm" if plan.scale == "log2" else "")
        + f", {_of(trial)}, {_adjusted(trial, plan)}"
    )
    words = "; ".join(
        f"{c.arm}: effect depends on the marker {c.interaction.words}; other than along a line {c.curvature.words}"
        for c in curves
    )
    notes = [note] if note else []
    notes += [f"{lost} patients without the marker left out"] if lost else []
    unit = f"{outcome.unit} per {'doubling' if plan.scale == 'log2' else 'unit'}"
    return Finding(
        plan.id, plan.method, how, unit, plan.level, tuple(rows), words, curves[0].interaction.p, tuple(notes),
        curves=tuple(curves),
    )  # fmt: skip


def _subgroups(trial: TrialTable, outcome: OutcomePlan, plan: SubgroupPlan, seed: int) -> Finding:
    visit, adjust = trial.visit(plan.week), _numbers(trial, plan)
    names, part, note = _parts(trial, plan)
    lost = int((part < 0).sum())
    rows, words, p = [], [], None
    for k, name, pair in _pairs(trial, plan):
        use = pair & (part >= 0)
        found = strata(trial.change[use, visit], trial.arm[use] == k, part[use], names, adjust[use], level=plan.level)
        rows += [
            EstimateRow("effect in stratum", name, trial.arms[0], float(trial.weeks[visit]), e, s)
            for s, e in zip(found.names, found.effects, strict=True)
        ]
        words.append(f"{name}: effect differs between the strata {found.interaction.words}")
        p = found.interaction.p if p is None else p
    how = f"effects by {plan.by}, one model with the interaction, {_of(trial)}, {_adjusted(trial, plan)}"
    notes = [note] if note else []
    notes += [f"{lost} patients without '{plan.by}' left out"] if lost else []
    return Finding(plan.id, plan.method, how, outcome.unit, plan.level, tuple(rows), "; ".join(words), p, tuple(notes))


def _parts(trial: TrialTable, plan: SubgroupPlan) -> tuple[tuple[str, ...], NDArray[np.intp], str]:
    """Names of the strata, and that of each patient, -1 without."""
    if plan.cuts:
        values, note = trial.numbers(plan.by)
        cuts = np.sort(plan.cuts)
        unit = f" {plan.unit}" if plan.unit else ""
        ends = [f"below {cuts[0]:g}{unit}"]
        ends += [f"{a:g} to below {b:g}{unit}" for a, b in pairwise(cuts)]
        part = np.where(np.isfinite(values), np.searchsorted(cuts, values, side="right"), -1)
        return (*ends, f"{cuts[-1]:g}{unit} or more"), part.astype(np.intp), note
    texts = trial.texts(plan.by)
    names = tuple(sorted({t for t in texts if t}))
    if not 2 <= len(names) <= 12:
        raise TrialError(f"'{plan.by}' has {len(names)} values; expected 2 to 12 strata, or cuts = [...] of a number")
    return names, np.array([names.index(t) if t else -1 for t in texts], dtype=np.intp), ""


def _sensitivity(trial: TrialTable, outcome: OutcomePlan, plan: SensitivityPlan, seed: int) -> Finding:
    visit = trial.visit(plan.week)
    _check_visits(trial, visit)
    week = float(trial.weeks[visit])
    others = _columns(trial, plan.covariates)
    adjust = _numbers(trial, plan)
    rows, tipping = [], []
    for k, name in enumerate(trial.arms[1:], start=1):
        pair = (trial.arm == 0) | (trial.arm == k)
        model = imputation_model(
            trial.change[pair][:, : visit + 1], (trial.arm[pair] == k).astype(int),
            None if trial.baseline is None else trial.baseline[pair], None if others is None else others[pair],
        )  # fmt: skip
        repeated = plan.inference == "rubin" or plan.tipping is not None
        draws = model.draws(plan.imputations, np.random.default_rng([seed, k])) if repeated else []

        def imputed(strategy: Strategy, model=model, draws=draws, pair=pair) -> Imputed:  # type: ignore[no-untyped-def]
            return impute(model, strategy, covariates=adjust[pair], seed=seed, draws=draws)

        if plan.inference == "rubin":
            found = {s: rubin(imputed(s), level=plan.level) for s in plan.strategies}
        else:
            found = jackknife(
                model, tuple(plan.strategies), covariates=adjust[pair], inference=plan.inference, level=plan.level
            )
        rows += [EstimateRow(s, name, trial.arms[0], week, found[s]) for s in plan.strategies]
        if plan.tipping:
            worse = plan.tipping if outcome.better == "lower" else -plan.tipping
            tipping.append((name, tipping_point(imputed("MAR"), most=worse, level=plan.level)))
    how = (
        f"imputation from an MMRM with an unstructured covariance, then ANCOVA of the {_of(trial)}, "
        f"{_adjusted(trial, plan)}; "
        + (
            f"{plan.imputations} imputations, Rubin's rules"
            if plan.inference == "rubin"
            else f"conditional means, jackknife ({plan.inference})"
        )
    )
    gone = int((~np.isfinite(trial.scores[:, visit])).sum())
    notes = [f"{gone} of {len(trial)} patients without a score at week {week:g} imputed"]
    for name, point in tipping:
        notes.append(_tipping_words(name, point, plan.level))
    return Finding(
        plan.id, plan.method, how, outcome.unit, plan.level, tuple(rows), notes=tuple(notes), tipping=tuple(tipping)
    )


def _tipping_words(arm: str, point: Any, level: float) -> str:
    if not point.effects[0].p < 1 - level:
        return f"{arm}: not significant under MAR, so that there is no tipping point"
    if point.tips is None:
        return f"{arm}: still significant where what was imputed is worse by {abs(point.deltas[-1]):g} points"
    return f"{arm}: no longer significant where what was imputed in it is worse by {abs(point.tips):.2f} points or more"


METHODS: dict[type[Plan], Callable[[TrialTable, OutcomePlan, Any, int], Finding]] = {
    MmrmPlan: _mixed,
    AncovaPlan: _ancova,
    ResponderPlan: _responders,
    EventPlan: _events,
    InteractionPlan: _interaction,
    SubgroupPlan: _subgroups,
    SensitivityPlan: _sensitivity,
}
"""The function of each kind of plan."""
