"""Prediction of outcomes judged honestly: folds, metrics, sizes, locked models. Names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.learn.benefit import BenefitLearner as BenefitLearner
    from crosstalk.learn.checklists import fill_checklist as fill_checklist
    from crosstalk.learn.checklists import model_card as model_card
    from crosstalk.learn.cohort import Cohort as Cohort
    from crosstalk.learn.cohort import CohortColumns as CohortColumns
    from crosstalk.learn.cohort import read_cohort as read_cohort
    from crosstalk.learn.external import predict_locked as predict_locked
    from crosstalk.learn.ladder import run_ladder as run_ladder
    from crosstalk.learn.learning import learn as learn
    from crosstalk.learn.learning import learn_with_ladder as learn_with_ladder
    from crosstalk.learn.locked import apply as apply
    from crosstalk.learn.locked import freeze as freeze
    from crosstalk.learn.locked import read_locked as read_locked
    from crosstalk.learn.locked import shift as shift
    from crosstalk.learn.mechanism import MechanismScores as MechanismScores
    from crosstalk.learn.mechanism import TwinForecast as TwinForecast
    from crosstalk.learn.models import FeatureStep as FeatureStep
    from crosstalk.learn.outcome import OutcomeClassifier as OutcomeClassifier
    from crosstalk.learn.outcome import OutcomeRegressor as OutcomeRegressor
    from crosstalk.learn.panel_transformer import PanelTransformer as PanelTransformer
    from crosstalk.learn.preparation import LogFloor as LogFloor

__getattr__, __dir__, __all__ = lazily(__name__, moved_to="crosstalk.statistics")
