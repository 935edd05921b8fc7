"""Statistics that know neither biology nor patients: estimates, regressions, designs, pooling, judging predictions.

Names are imported on first use. Functions with the name of a module are imported from their own:
``from crosstalk.statistics.mmrm import mmrm``, ``from crosstalk.statistics.boundaries import boundaries``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.statistics.adequacy import judge_size, sample_size_binary, sample_size_score
    from crosstalk.statistics.boundaries import Boundaries, Operation, drift_for_power, operation
    from crosstalk.statistics.calibration_curve import calibration, recalibrate, spline_basis
    from crosstalk.statistics.censored import CensoredSample, LogNormalFit, fit_lognormal
    from crosstalk.statistics.combat import ComBat
    from crosstalk.statistics.comparisons import (
        Subgroups,
        ancova,
        interaction,
        marginal_risk_difference,
        odds_ratio,
        risk_difference,
        subgroups,
    )
    from crosstalk.statistics.conformal import ConformalClassifier, ConformalRegressor
    from crosstalk.statistics.effect_sizes import hedges_correction, proportion_se, smd_se
    from crosstalk.statistics.estimates import Estimate, wald
    from crosstalk.statistics.folds import RepeatedFolds, corrected_difference, leave_site_out
    from crosstalk.statistics.heterogeneity import (
        doubly_robust,
        judge_benefit,
        linear_projection,
        policy_value,
        rate,
        toc,
    )
    from crosstalk.statistics.imputation import Imputations, impute
    from crosstalk.statistics.meta_analysis import RandomEffects, random_effects
    from crosstalk.statistics.metrics import auc, brier, log_score, pooled_auc, r_squared
    from crosstalk.statistics.mixed import RandomSlopeFit, random_slope
    from crosstalk.statistics.mmrm import MmrmFit
    from crosstalk.statistics.multiplicity import bonferroni, closed_nested, fixed_sequence, hochberg, holm
    from crosstalk.statistics.net_benefit import decision_curve
    from crosstalk.statistics.regression import regress
    from crosstalk.statistics.resampling import bootstrap
    from crosstalk.statistics.responders import remission, response, time_to_remission
    from crosstalk.statistics.sizes import SampleSize, power_means, power_rates, sample_size_means, sample_size_rates
    from crosstalk.statistics.survey import SurveyDesign
    from crosstalk.statistics.survival import hazard_ratio, log_rank
    from crosstalk.statistics.weighted import effective_number, effective_sample, quantiles

__all__ = [
    "Boundaries",
    "CensoredSample",
    "ComBat",
    "ConformalClassifier",
    "ConformalRegressor",
    "Estimate",
    "Imputations",
    "LogNormalFit",
    "MmrmFit",
    "Operation",
    "RandomEffects",
    "RandomSlopeFit",
    "RepeatedFolds",
    "SampleSize",
    "Subgroups",
    "SurveyDesign",
    "ancova",
    "auc",
    "bonferroni",
    "bootstrap",
    "brier",
    "calibration",
    "closed_nested",
    "corrected_difference",
    "decision_curve",
    "doubly_robust",
    "drift_for_power",
    "effective_number",
    "effective_sample",
    "fit_lognormal",
    "fixed_sequence",
    "hazard_ratio",
    "hedges_correction",
    "hochberg",
    "holm",
    "impute",
    "interaction",
    "judge_benefit",
    "judge_size",
    "leave_site_out",
    "linear_projection",
    "log_rank",
    "log_score",
    "marginal_risk_difference",
    "odds_ratio",
    "operation",
    "policy_value",
    "pooled_auc",
    "power_means",
    "power_rates",
    "proportion_se",
    "quantiles",
    "r_squared",
    "random_effects",
    "random_slope",
    "rate",
    "recalibrate",
    "regress",
    "remission",
    "response",
    "risk_difference",
    "sample_size_binary",
    "sample_size_means",
    "sample_size_rates",
    "sample_size_score",
    "smd_se",
    "spline_basis",
    "subgroups",
    "time_to_remission",
    "toc",
    "wald",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Boundaries": "boundaries",
        "CensoredSample": "censored",
        "ComBat": "combat",
        "ConformalClassifier": "conformal",
        "ConformalRegressor": "conformal",
        "Estimate": "estimates",
        "Imputations": "imputation",
        "LogNormalFit": "censored",
        "MmrmFit": "mmrm",
        "Operation": "boundaries",
        "RandomEffects": "meta_analysis",
        "RandomSlopeFit": "mixed",
        "RepeatedFolds": "folds",
        "SampleSize": "sizes",
        "Subgroups": "comparisons",
        "SurveyDesign": "survey",
        "ancova": "comparisons",
        "auc": "metrics",
        "bonferroni": "multiplicity",
        "bootstrap": "resampling",
        "brier": "metrics",
        "calibration": "calibration_curve",
        "closed_nested": "multiplicity",
        "corrected_difference": "folds",
        "decision_curve": "net_benefit",
        "doubly_robust": "heterogeneity",
        "drift_for_power": "boundaries",
        "effective_number": "weighted",
        "effective_sample": "weighted",
        "fit_lognormal": "censored",
        "fixed_sequence": "multiplicity",
        "hazard_ratio": "survival",
        "hedges_correction": "effect_sizes",
        "hochberg": "multiplicity",
        "holm": "multiplicity",
        "impute": "imputation",
        "interaction": "comparisons",
        "judge_benefit": "heterogeneity",
        "judge_size": "adequacy",
        "leave_site_out": "folds",
        "linear_projection": "heterogeneity",
        "log_rank": "survival",
        "log_score": "metrics",
        "marginal_risk_difference": "comparisons",
        "odds_ratio": "comparisons",
        "operation": "boundaries",
        "policy_value": "heterogeneity",
        "pooled_auc": "metrics",
        "power_means": "sizes",
        "power_rates": "sizes",
        "proportion_se": "effect_sizes",
        "quantiles": "weighted",
        "r_squared": "metrics",
        "random_effects": "meta_analysis",
        "random_slope": "mixed",
        "rate": "heterogeneity",
        "recalibrate": "calibration_curve",
        "regress": "regression",
        "remission": "responders",
        "response": "responders",
        "risk_difference": "comparisons",
        "sample_size_binary": "adequacy",
        "sample_size_means": "sizes",
        "sample_size_rates": "sizes",
        "sample_size_score": "adequacy",
        "smd_se": "effect_sizes",
        "spline_basis": "calibration_curve",
        "subgroups": "comparisons",
        "time_to_remission": "responders",
        "toc": "heterogeneity",
        "wald": "estimates",
    },
)
