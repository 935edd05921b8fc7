"""A locked model in new patients: as it is, and beside it what recalibration would change. Nothing is refitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from crosstalk.errors import LearnError
from crosstalk.learn.cohort import Cohort
from crosstalk.learn.locked import Applied, LockedModel, Shift, apply, shift
from crosstalk.results import Reported
from crosstalk.statistics.calibration_curve import CalibrationMeasures, calibration, recalibrate
from crosstalk.statistics.metrics import Measure, auc, brier, line, log_score, mean_estimate, r_squared
from crosstalk.statistics.net_benefit import NetBenefit, decision_curve

__all__ = ["External", "Prediction", "Recalibrated", "predict_locked"]


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """What would mend the risks in these patients, judged on the same patients and therefore too good."""

    how: str
    intercept: float
    slope: float
    brier: float
    log_score: float


@dataclass(frozen=True)
class External:
    """Performance of a locked model, as it is, in patients that it has not seen."""

    n: int
    events: int | None
    auc: Measure | None
    brier: Measure | None
    log_score: Measure | None
    calibration: CalibrationMeasures | None
    net_benefit: tuple[NetBenefit, ...]
    rmse: float | None
    mae: Measure | None
    r2: Measure | None
    slope: Measure | None
    recalibrated: tuple[Recalibrated, ...]
    covered: float | None


@dataclass(frozen=True, repr=False)
class Prediction(Reported):
    """What `crosstalk predict` found."""

    model: str
    model_sha256: str
    name: str
    outcome: str
    kind: str
    positive: str
    level: float
    patients: tuple[Applied, ...]
    shift: tuple[Shift, ...]
    external: External | None
    warnings: tuple[str, ...]
    path: str
    input_sha256: str
    training: Mapping[str, object]


def predict_locked(model: LockedModel, cohort: Cohort, name: str) -> Prediction:
    """Apply a locked model once, flag what is foreign, and validate where the outcome is known.

    Parameters
    ----------
    name : str
        Path of the model, for the record.

    Raises
    ------
    LearnError
        If predictors are absent, or the outcome is of another kind than the model's.
    """
    rows = apply(model, cohort)
    external = None
    if len(cohort.y):
        if cohort.sha256 == model.training["input_sha256"]:
            raise LearnError(
                f"{cohort.path}: is the file that the model was made of; validation needs other patients. Leave out "
                "--outcome"
            )
        if cohort.kind != model.kind:
            raise LearnError(f"{cohort.path}: the outcome is a {cohort.kind}, the model predicts a {model.kind}")
        external = _external(model, cohort, rows)
    return Prediction(
        name, model.sha256, model.name, model.outcome, model.kind, model.positive, model.level, rows,
        shift(model, cohort), external, cohort.warnings, cohort.path, cohort.sha256, model.training,
    )  # fmt: skip


def _external(model: LockedModel, cohort: Cohort, rows: tuple[Applied, ...]) -> External:
    y, values = cohort.y, np.array([r.value for r in rows])
    if model.kind == "score":
        inside = [r.low <= truth <= r.high for r, truth in zip(rows, y, strict=True)]
        mean = np.full(len(y), float(model.training["mean"]))
        return External(
            len(y), None, None, None, None, None, (), float(np.sqrt(np.mean((y - values) ** 2))),
            mean_estimate(np.abs(y - values)), r_squared(y, values, mean), line(y, values)[1], (),
            float(np.mean(inside)),
        )  # fmt: skip
    names = {1.0: model.positive, 0.0: f"not {model.positive}"}
    covered = [names[truth] in r.outcomes for r, truth in zip(rows, y, strict=True)] if rows[0].outcomes else None
    shifted, intercept, slope = recalibrate(y, values)
    lp = logit(np.clip(values, 1e-6, 1 - 1e-6))
    mended = []
    for how, a, b in (("intercept alone", shifted, 1.0), ("intercept and slope", intercept, slope)):
        if np.isfinite(a) and np.isfinite(b):
            p = expit(a + b * lp)
            mended.append(Recalibrated(how, a, b, brier(y, p).value, log_score(y, p).value))
    return External(
        len(y), int(y.sum()), auc(y, values), brier(y, values), log_score(y, values), calibration(y, values),
        decision_curve(y, values), None, None, None, None, tuple(mended), float(np.mean(covered)) if covered else None,
    )  # fmt: skip
