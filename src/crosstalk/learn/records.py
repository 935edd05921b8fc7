"""Typed results of `crosstalk learn` and `crosstalk predict`: what the JSON, the tables and the report are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosstalk.results import Reported
from crosstalk.statistics.adequacy import Adequacy
from crosstalk.statistics.calibration_curve import CalibrationMeasures
from crosstalk.statistics.folds import Difference
from crosstalk.statistics.heterogeneity import Heterogeneity
from crosstalk.statistics.metrics import Measure
from crosstalk.statistics.net_benefit import NetBenefit

__all__ = [
    "Comparison",
    "GroupPerformance",
    "LearningPoint",
    "Learnt",
    "ModelResult",
    "Optimism",
    "Performance",
    "Selected",
    "SitePerformance",
]


@dataclass(frozen=True, slots=True)
class Performance:
    """How good the out-of-fold predictions of one model are; NaN or None where the kind of outcome has no such measure.

    Attributes
    ----------
    auc : Measure
        Within folds, DeLong's components averaged over repeats.
    brier, log_score : Measure
        Lower is better.
    scaled_brier : float
        Share of the Brier score of the prevalence that is gone.
    rmse, mae, r2 : Measure
        Of a score; R2 against the mean of each training set.
    calibration : CalibrationMeasures, optional
        Of an event, over all repeats; errors are those of the number of people.
    slope, intercept : Measure
        Of observed on predicted scores.
    sharpness : float
        SD of the predictions.
    net_benefit : tuple of NetBenefit
        On pooled cross-validated probabilities.
    """

    auc: Measure | None = None
    brier: Measure | None = None
    log_score: Measure | None = None
    scaled_brier: float | None = None
    rmse: Measure | None = None
    mae: Measure | None = None
    r2: Measure | None = None
    calibration: CalibrationMeasures | None = None
    slope: Measure | None = None
    intercept: Measure | None = None
    sharpness: float = 0.0
    net_benefit: tuple[NetBenefit, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupPerformance:
    """Performance in a part of the patients; ``note`` says why there is none."""

    group: str
    n: int
    events: int | None
    auc: Measure | None
    error: Measure | None
    observed: float
    predicted: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class SitePerformance:
    """A site predicted by a model of the others."""

    site: str
    n: int
    events: int | None
    auc: Measure | None
    error: Measure
    observed: float
    predicted: float


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """Mean error of held-out folds when trained on so many people."""

    n: int
    error: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Selected:
    """How often resampling would select a predictor (L1 penalty), and how often with the more frequent sign."""

    predictor: str
    selected: float
    same_sign: float


@dataclass(frozen=True, slots=True)
class Optimism:
    """Harrell's bootstrap: how much better a model looks on its own data than on others."""

    measure: str
    apparent: float
    optimism: float
    corrected: float
    resamples: int


@dataclass(frozen=True, slots=True)
class ModelResult:
    """A rung of the ladder with one learner.

    Attributes
    ----------
    rung, learner, name : str
    skipped : str
        Why it was not run; empty if it was.
    """

    rung: str
    learner: str
    name: str
    skipped: str
    predictors: tuple[str, ...]
    adequacy: Adequacy | None
    performance: Performance | None = None
    groups: tuple[GroupPerformance, ...] = ()
    sites: tuple[SitePerformance, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same folds; errors and AUC of `model` less those of `reference`.

    Attributes
    ----------
    measure : str
        Logarithmic score or squared error; below 0, `model` is better.
    error : Difference
        Corrected for the overlap of training sets.
    auc : Difference, optional
    verdict : {"better", "worse", "no evidence"}
        By the interval of the error.
    claim : bool
        The one comparison that was fixed beforehand.
    """

    model: str
    reference: str
    learner: str
    measure: str
    error: Difference
    auc: Difference | None
    verdict: str
    claim: bool


@dataclass(frozen=True, repr=False)
class Learnt(Reported):
    """Everything `crosstalk learn` found.

    Attributes
    ----------
    n, events : int
    conclusions : tuple of str
        In words, first the one about the immune panel.
    """

    n: int
    events: int | None
    outcome: str
    kind: str
    positive: str
    conclusions: tuple[str, ...]
    models: tuple[ModelResult, ...]
    differences: tuple[Comparison, ...]
    learning_curve: tuple[LearningPoint, ...]
    selection: tuple[Selected, ...]
    optimism: tuple[Optimism, ...]
    heterogeneity: Heterogeneity | None
    described: str
    folds: int
    repeats: int
    seed: int
    bootstrap: int
    prevalence: float
    sites: Mapping[str, int]
    groups: int | None
    missing: Mapping[str, float]
    warnings: tuple[str, ...]
    command: str
    path: str
    input_sha256: str
    versions: Mapping[str, str]
