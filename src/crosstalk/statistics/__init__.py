"""Statistics that know neither biology nor patients: estimates, regressions, designs, pooling, judging predictions.

Names are imported on first use. Functions with the name of a module are imported from their own:
``from crosstalk.statistics.mmrm import mmrm``, ``from crosstalk.statistics.boundaries import boundaries``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.statistics.adequacy import judge_size as judge_size
    from crosstalk.statistics.adequacy import sample_size_binary as sample_size_binary
    from crosstalk.statistics.adequacy import sample_size_score as sample_size_score
    from crosstalk.statistics.boundaries import Boundaries as Boundaries
    from crosstalk.statistics.boundaries import Operation as Operation
    from crosstalk.statistics.boundaries import drift_for_power as drift_for_power
    from crosstalk.statistics.boundaries import operation as operation
    from crosstalk.statistics.calibration_curve import calibration as calibration
    from crosstalk.statistics.calibration_curve import recalibrate as recalibrate
    from crosstalk.statistics.calibration_curve import spline_basis as spline_basis
    from crosstalk.statistics.censored import CensoredSample as CensoredSample
    from crosstalk.statistics.censored import LogNormalFit as LogNormalFit
    from crosstalk.statistics.censored import fit_lognormal as fit_lognormal
    from crosstalk.statistics.combat import ComBat as ComBat
    from crosstalk.statistics.comparisons import Subgroups as Subgroups
    from crosstalk.statistics.comparisons import ancova as ancova
    from crosstalk.statistics.comparisons import interaction as interaction
    from crosstalk.statistics.comparisons import marginal_risk_difference as marginal_risk_difference
    from crosstalk.statistics.comparisons import odds_ratio as odds_ratio
    from crosstalk.statistics.comparisons import risk_difference as risk_difference
    from crosstalk.statistics.comparisons import subgroups as subgroups
    from crosstalk.statistics.conformal import ConformalClassifier as ConformalClassifier
    from crosstalk.statistics.conformal import ConformalRegressor as ConformalRegressor
    from crosstalk.statistics.effect_sizes import hedges_correction as hedges_correction
    from crosstalk.statistics.effect_sizes import proportion_se as proportion_se
    from crosstalk.statistics.effect_sizes import smd_se as smd_se
    from crosstalk.statistics.estimates import Estimate as Estimate
    from crosstalk.statistics.estimates import wald as wald
    from crosstalk.statistics.folds import RepeatedFolds as RepeatedFolds
    from crosstalk.statistics.folds import corrected_difference as corrected_difference
    from crosstalk.statistics.folds import leave_site_out as leave_site_out
    from crosstalk.statistics.heterogeneity import doubly_robust as doubly_robust
    from crosstalk.statistics.heterogeneity import judge_benefit as judge_benefit
    from crosstalk.statistics.heterogeneity import linear_projection as linear_projection
    from crosstalk.statistics.heterogeneity import policy_value as policy_value
    from crosstalk.statistics.heterogeneity import rate as rate
    from crosstalk.statistics.heterogeneity import toc as toc
    from crosstalk.statistics.imputation import Imputations as Imputations
    from crosstalk.statistics.imputation import impute as impute
    from crosstalk.statistics.meta_analysis import RandomEffects as RandomEffects
    from crosstalk.statistics.meta_analysis import random_effects as random_effects
    from crosstalk.statistics.metrics import auc as auc
    from crosstalk.statistics.metrics import brier as brier
    from crosstalk.statistics.metrics import log_score as log_score
    from crosstalk.statistics.metrics import pooled_auc as pooled_auc
    from crosstalk.statistics.metrics import r_squared as r_squared
    from crosstalk.statistics.mixed import RandomSlopeFit as RandomSlopeFit
    from crosstalk.statistics.mixed import random_slope as random_slope
    from crosstalk.statistics.mmrm import MmrmFit as MmrmFit
    from crosstalk.statistics.multiplicity import bonferroni as bonferroni
    from crosstalk.statistics.multiplicity import closed_nested as closed_nested
    from crosstalk.statistics.multiplicity import fixed_sequence as fixed_sequence
    from crosstalk.statistics.multiplicity import hochberg as hochberg
    from crosstalk.statistics.multiplicity import holm as holm
    from crosstalk.statistics.net_benefit import decision_curve as decision_curve
    from crosstalk.statistics.regression import regress as regress
    from crosstalk.statistics.resampling import bootstrap as bootstrap
    from crosstalk.statistics.responders import remission as remission
    from crosstalk.statistics.responders import response as response
    from crosstalk.statistics.responders import time_to_remission as time_to_remission
    from crosstalk.statistics.sizes import SampleSize as SampleSize
    from crosstalk.statistics.sizes import power_means as power_means
    from crosstalk.statistics.sizes import power_rates as power_rates
    from crosstalk.statistics.sizes import sample_size_means as sample_size_means
    from crosstalk.statistics.sizes import sample_size_rates as sample_size_rates
    from crosstalk.statistics.survey import SurveyDesign as SurveyDesign
    from crosstalk.statistics.survival import hazard_ratio as hazard_ratio
    from crosstalk.statistics.survival import log_rank as log_rank
    from crosstalk.statistics.weighted import effective_number as effective_number
    from crosstalk.statistics.weighted import effective_sample as effective_sample
    from crosstalk.statistics.weighted import quantiles as quantiles

__getattr__, __dir__, __all__ = lazily(__name__)
