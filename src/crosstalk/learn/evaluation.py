"""From out-of-fold predictions to judgement: performance, parts, sites, differences, conclusions in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError
from crosstalk.learn.cohort import Cohort
from crosstalk.learn.ladder import Ladder, Rung, predict_sites
from crosstalk.learn.records import Comparison, GroupPerformance, ModelResult, Performance, SitePerformance
from crosstalk.statistics.calibration_curve import calibration
from crosstalk.statistics.folds import corrected_difference, leave_site_out
from crosstalk.statistics.metrics import (
    Measure,
    auc,
    check_binary,
    discrimination_scores,
    line,
    mean_estimate,
    pooled_auc,
    r_squared,
    scaled_brier,
    sharpness,
)
from crosstalk.statistics.net_benefit import decision_curve

__all__ = ["compare", "conclude", "groups_of", "losses", "performance", "results"]

Array = NDArray[np.float64]
AGES = ((18.0, 40.0), (40.0, 60.0), (60.0, 200.0))
LEAST = 10  # people of each outcome in a part, below which it is not judged (assumed)
# the comparison that is a claim is fixed here, before any data: what the panel adds to what is known without it
CLAIM = ("panel", "clinical")
COMPARED = (
    ("clinical", "prevalence"), ("crp", "clinical"), CLAIM, ("panel", "crp"), ("panel", "week2"), ("mechanism",
    "panel"), ("twin", "clinical"), ("all", "panel"), ("all", "clinical"),
)  # fmt: skip


def losses(cohort: Cohort, values: Array) -> Array:
    """Error of each prediction: logarithmic [nat] for an event, squared for a score; same shape as ``values``."""
    if cohort.kind == "score":
        return np.asarray((values - cohort.y) ** 2, dtype=float)
    chance = np.clip(values, 1e-6, 1 - 1e-6)
    return np.asarray(-np.where(cohort.y > 0.5, np.log(chance), np.log1p(-chance)), dtype=float)


def performance(cohort: Cohort, values: Array, fold: NDArray[np.intp], reference: Array) -> Performance:
    """Performance of out-of-fold predictions.

    Parameters
    ----------
    values, reference : array, shape (repeats, n)
        Of the model, and of the prevalence or mean alone.
    fold : array of int, shape (repeats, n)
    """
    y = cohort.y
    if cohort.kind == "score":
        average = values.mean(axis=0)
        squared = mean_estimate(losses(cohort, values).mean(axis=0))
        root = float(np.sqrt(squared.value))
        low, high = (float(np.sqrt(max(v, 0.0))) for v in (squared.low, squared.high))
        intercept, slope = line(y, average)
        return Performance(
            rmse=Measure(root, squared.se / (2 * root) if root else nan, low, high, len(y)),
            mae=mean_estimate(np.abs(values - y).mean(axis=0)),
            r2=r_squared(y, average, reference.mean(axis=0)), slope=slope, intercept=intercept,
            sharpness=float(np.mean([sharpness(v) for v in values])),
        )  # fmt: skip
    for v in values:
        check_binary(y, v)
    return Performance(
        auc=pooled_auc(y, values, fold),
        brier=mean_estimate(((values - y) ** 2).mean(axis=0)),
        log_score=mean_estimate(losses(cohort, values).mean(axis=0)),
        scaled_brier=float(np.mean([scaled_brier(y, v) for v in values])),
        # the mean of the training rows differs from fold to fold by chance alone, so that it has no slope
        calibration=None if values is reference else calibration(y, values),
        sharpness=float(np.mean([sharpness(v) for v in values])),
        net_benefit=decision_curve(y, values),
    )


def groups_of(cohort: Cohort) -> dict[str, NDArray[np.bool_]]:
    """Women, men and three ages, where the panel names them."""
    found: dict[str, NDArray[np.bool_]] = {}
    if "sex" in cohort.table:
        sex = cohort.table["sex"].to_numpy()
        found |= {"women": sex == 1, "men": sex == 0}
    if "age" in cohort.table:
        age = cohort.table["age"].to_numpy()
        for low, high in AGES:
            found[f"{low:.0f} to {high - 1:.0f} years" if high < 200 else f"{low:.0f} years and over"] = (
                age >= low
            ) & (age < high)
    return {name: rows for name, rows in found.items() if rows.any()}


def _parts(cohort: Cohort, values: Array, fold: NDArray[np.intp]) -> tuple[GroupPerformance, ...]:
    rows = []
    error = losses(cohort, values).mean(axis=0)
    for name, part in groups_of(cohort).items():
        y, n = cohort.y[part], int(part.sum())
        events = int(y.sum()) if cohort.kind == "event" else None
        observed, predicted = float(y.mean()), float(values[:, part].mean())
        rarer = n if events is None else min(events, n - events)
        if rarer < LEAST:
            note = f"fewer than {LEAST} {'people' if events is None else 'of the rarer outcome'}: not judged"
            rows.append(GroupPerformance(name, n, events, None, None, observed, predicted, note))
            continue
        area = pooled_auc(y, values[:, part], fold[:, part]) if events is not None else None
        rows.append(GroupPerformance(name, n, events, area, mean_estimate(error[part]), observed, predicted))
    return tuple(rows)


def _sites(cohort: Cohort, ladder: Ladder, rung: Rung, learner: str) -> tuple[SitePerformance, ...]:
    if cohort.site is None:
        return ()
    splits = leave_site_out(cohort.y, cohort.site, cohort.group)
    values = predict_sites(ladder, cohort, splits, rung, learner)
    error = losses(cohort, values)
    rows = []
    for name, (_, test) in splits:
        y = cohort.y[test]
        events = int(y.sum()) if cohort.kind == "event" else None
        both = events is not None and min(events, len(y) - events) >= 2
        rows.append(
            SitePerformance(
                name, len(test), events, auc(y, values[test]) if both else None, mean_estimate(error[test]),
                float(y.mean()), float(values[test].mean()),
            )
        )  # fmt: skip
    return tuple(rows)


def results(
    cohort: Cohort, ladder: Ladder, progress: Callable[[str, float], None] | None = None
) -> tuple[ModelResult, ...]:
    """Every rung and learner, those skipped with their reason."""
    reference = ladder.predictions["prevalence", "mean"].values
    rows = []
    for rung in ladder.rungs:
        if rung.skipped:
            rows.append(ModelResult(rung.id, "", rung.name, rung.skipped, rung.predictors(), rung.adequacy))
            continue
        for (name, learner), found in ladder.predictions.items():
            if name != rung.id:
                continue
            if progress is not None:
                progress(f"{rung.name} ({learner})", len(rows) / (len(ladder.predictions) + len(ladder.rungs)))
            rows.append(
                ModelResult(
                    rung.id, learner, rung.name, "", rung.predictors(), rung.adequacy,
                    performance(cohort, found.values, ladder.fold_of, reference),
                    _parts(cohort, found.values, ladder.fold_of), _sites(cohort, ladder, rung, learner),
                )
            )  # fmt: skip
    return tuple(rows)


def compare(cohort: Cohort, ladder: Ladder) -> tuple[Comparison, ...]:
    """Differences of rungs on the same folds, learner by learner."""
    rows = []
    for model, reference in COMPARED:
        if model == "panel" and reference == "clinical" and ("clinical", "penalised") not in ladder.predictions:
            reference = "prevalence"  # nothing clinical is known: the panel must beat the prevalence
        for learner in ("penalised", "boosting"):
            one = ladder.predictions.get((model, learner))
            other = ladder.predictions.get((reference, "mean" if reference == "prevalence" else learner))
            if one is None or other is None:
                continue
            rows.append(_compare(cohort, ladder, model, reference, learner, one.values, other.values))
    return tuple(rows)


def _compare(
    cohort: Cohort, ladder: Ladder, model: str, reference: str, learner: str, one: Array, other: Array
) -> Comparison:
    difference = losses(cohort, one) - losses(cohort, other)
    by_fold, areas = [], []
    for k, (_, test) in enumerate(ladder.splits):
        r = k // ladder.folds
        by_fold.append(float(difference[r, test].mean()))
        if cohort.kind == "event":
            y = cohort.y[test]
            areas.append(discrimination_scores(y, one[r, test])[0] - discrimination_scores(y, other[r, test])[0])
    share = 1 / (ladder.folds - 1)
    error = corrected_difference(by_fold, share)
    verdict = "better" if error.high < 0 else "worse" if error.low > 0 else "no evidence"
    return Comparison(
        model, reference, learner, "logarithmic score" if cohort.kind == "event" else "squared error", error,
        corrected_difference(areas, share) if areas else None, verdict,
        model == CLAIM[0] and reference in (CLAIM[1], "prevalence") and learner == "penalised",
    )  # fmt: skip


def conclude(
    cohort: Cohort, models: Sequence[ModelResult], differences: Sequence[Comparison], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Conclusions in words; the first is about the immune panel."""
    rows = []
    claim = next((d for d in differences if d.claim), None)
    panel = next(m for m in models if m.rung == "panel")
    if claim is None:
        rows.append(f"Whether the immune panel adds cannot be told: {panel.skipped}.")
    else:
        numbers = (
            f"{claim.measure} {claim.error.value:+.4f} (95 % interval {claim.error.low:+.4f} to "
            f"{claim.error.high:+.4f}, below 0 is better)"
        )
        against = names[claim.reference]
        if claim.verdict == "better":
            rows.append(f"The immune panel adds to {against}: {numbers}.")
        elif claim.verdict == "worse":
            rows.append(
                f"No evidence that the immune panel adds to {against}; with it, predictions are worse: {numbers}."
            )
        else:
            rows.append(f"No evidence that the immune panel adds to {against}: {numbers}.")
    shown = [d for d in differences if d.learner == "penalised" and not d.claim]
    for d in shown:
        words = {"better": "predicts better than", "worse": "predicts worse than"}.get(
            d.verdict, "shows no evidence of predicting better than"
        )
        rows.append(
            f"{_upper(names[d.model])} {words} {names[d.reference]} ({d.error.value:+.4f}, {d.error.low:+.4f} to "
            f"{d.error.high:+.4f})."
        )
    if claim is not None and shown:
        rows.append("The first comparison alone was fixed beforehand; the others are many and prove less.")
    small = [m for m in models if m.adequacy is not None and m.adequacy.verdict == "small" and m.learner != "boosting"]
    if small:
        most = max(small, key=lambda m: m.adequacy.needed.n if m.adequacy else 0)
        assert most.adequacy is not None
        rows.append(
            f"{len(cohort)} people are few: {most.name} would need {most.adequacy.needed.n} by Riley's criteria. "
            "Expect less in other patients."
        )
    for m in models:
        if m.skipped.startswith("refused"):
            rows.append(f"{_upper(m.name)} was {m.skipped}.")
    rows.append("All of this is internal validation, in patients of the same source; other clinics may differ.")
    return tuple(rows)


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def check_sites(cohort: Cohort) -> None:
    """Refuse sites that cannot be left out, before the long work."""
    if cohort.site is not None:
        try:
            leave_site_out(cohort.y, cohort.site, cohort.group)
        except LearnError as error:
            raise LearnError(f"{cohort.path}: {error}") from None
