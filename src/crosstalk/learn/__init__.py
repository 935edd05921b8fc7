"""Prediction of outcomes judged honestly: folds, metrics, sizes, locked models. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.learn.benefit import BenefitLearner
    from crosstalk.learn.checklists import fill_checklist, model_card
    from crosstalk.learn.cohort import Cohort, CohortColumns, read_cohort
    from crosstalk.learn.external import predict_locked
    from crosstalk.learn.ladder import run_ladder
    from crosstalk.learn.learning import learn, learn_with_ladder
    from crosstalk.learn.locked import apply, freeze, read_locked, shift
    from crosstalk.learn.mechanism import MechanismScores, TwinForecast
    from crosstalk.learn.models import FeatureStep
    from crosstalk.learn.outcome import OutcomeClassifier, OutcomeRegressor
    from crosstalk.learn.panel_transformer import PanelTransformer
    from crosstalk.learn.preparation import LogFloor
    from crosstalk.statistics.adequacy import judge_size, sample_size_binary, sample_size_score
    from crosstalk.statistics.calibration_curve import calibration
    from crosstalk.statistics.conformal import ConformalClassifier, ConformalRegressor
    from crosstalk.statistics.folds import RepeatedFolds, corrected_difference, leave_site_out
    from crosstalk.statistics.heterogeneity import (
        doubly_robust,
        judge_benefit,
        linear_projection,
        policy_value,
        rate,
        toc,
    )
    from crosstalk.statistics.metrics import auc, brier, log_score, pooled_auc, r_squared
    from crosstalk.statistics.net_benefit import decision_curve

__all__ = [
    "BenefitLearner",
    "Cohort",
    "CohortColumns",
    "ConformalClassifier",
    "ConformalRegressor",
    "FeatureStep",
    "LogFloor",
    "MechanismScores",
    "OutcomeClassifier",
    "OutcomeRegressor",
    "PanelTransformer",
    "RepeatedFolds",
    "TwinForecast",
    "apply",
    "auc",
    "brier",
    "calibration",
    "corrected_difference",
    "decision_curve",
    "doubly_robust",
    "fill_checklist",
    "freeze",
    "judge_benefit",
    "judge_size",
    "learn",
    "learn_with_ladder",
    "leave_site_out",
    "linear_projection",
    "log_score",
    "model_card",
    "policy_value",
    "pooled_auc",
    "predict_locked",
    "r_squared",
    "rate",
    "read_cohort",
    "read_locked",
    "run_ladder",
    "sample_size_binary",
    "sample_size_score",
    "shift",
    "toc",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "BenefitLearner": "benefit",
        "Cohort": "cohort",
        "CohortColumns": "cohort",
        "ConformalClassifier": ".statistics.conformal",
        "ConformalRegressor": ".statistics.conformal",
        "FeatureStep": "models",
        "LogFloor": "preparation",
        "MechanismScores": "mechanism",
        "OutcomeClassifier": "outcome",
        "OutcomeRegressor": "outcome",
        "PanelTransformer": "panel_transformer",
        "RepeatedFolds": ".statistics.folds",
        "TwinForecast": "mechanism",
        "apply": "locked",
        "auc": ".statistics.metrics",
        "brier": ".statistics.metrics",
        "calibration": ".statistics.calibration_curve",
        "corrected_difference": ".statistics.folds",
        "decision_curve": ".statistics.net_benefit",
        "doubly_robust": ".statistics.heterogeneity",
        "fill_checklist": "checklists",
        "freeze": "locked",
        "judge_benefit": ".statistics.heterogeneity",
        "judge_size": ".statistics.adequacy",
        "learn": "learning",
        "learn_with_ladder": "learning",
        "leave_site_out": ".statistics.folds",
        "linear_projection": ".statistics.heterogeneity",
        "log_score": ".statistics.metrics",
        "model_card": "checklists",
        "policy_value": ".statistics.heterogeneity",
        "pooled_auc": ".statistics.metrics",
        "predict_locked": "external",
        "r_squared": ".statistics.metrics",
        "rate": ".statistics.heterogeneity",
        "read_cohort": "cohort",
        "read_locked": "locked",
        "run_ladder": "ladder",
        "sample_size_binary": ".statistics.adequacy",
        "sample_size_score": ".statistics.adequacy",
        "shift": "locked",
        "toc": ".statistics.heterogeneity",
    },
)
