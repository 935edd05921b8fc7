"""What would be measured: scales with rater error and bounds, analytes with assay error and week-to-week variation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PopulationError
from crosstalk.knowledge.records import Analyte, Scale
from crosstalk.model.assembly import Model
from crosstalk.model.scales import highest_score
from crosstalk.population.latent import patient_normals
from crosstalk.units import convert

__all__ = [
    "analyte_log_sd",
    "fluctuations",
    "noise_table",
    "observable_factor",
    "plausible_score",
    "record_analyte",
    "record_scale",
    "visit_scores",
    "visit_sd",
    "wandering",
    "within_log_sd",
]

Array = NDArray[np.float64]

FLUCTUATION = "fluctuation"
"""Covariate: how far a patient's symptoms come to wander from their expected course, as a share of the scale."""
FLUCTUATION_H = 4 * 168.0  # time in which a fluctuation is forgotten: visits of trials stay correlated (assumed)
LOWEST_SHARE = 0.5  # of the recorded score (assumed)
HIGHEST_SHARE = 0.97  # of the score that only full severity of every symptom would give (assumed)


def record_scale(true: Array, scale: Scale, noise: Array) -> Array:
    """Score that a rater would give, within the bounds of the scale.

    Parameters
    ----------
    true : array [points]
    noise : array of the same shape
        Standard-normal numbers.
    """
    score = true + scale.rater_sd * noise
    if scale.integer:
        score = np.round(score)
    return np.asarray(np.clip(score, 0.0, scale.maximum), dtype=np.float64)


def visit_scores(
    true: Array, scale: Scale, *, seed: int, index: NDArray[np.intp], times_h: Array, covariates: Mapping[str, Array]
) -> Array:
    """Scores recorded at visits, shape (n, n_times): the true course, its fluctuation, and the rater.

    Fluctuation and error are the same for a patient under every treatment.

    Parameters
    ----------
    true : array, shape (n, n_times) [points]
    times_h : array, shape (n_times,) [h]
    covariates : mapping of str to array, shape (n,)
        Those of the patients; who has no entry ``fluctuation`` does not fluctuate.
    """
    share = covariates.get(FLUCTUATION)
    if share is not None:
        true = true + share[:, None] * scale.span * fluctuations(seed, index, times_h)
    return record_scale(true, scale, noise_table(seed, f"visit:{scale.id}", index, len(times_h)))


def fluctuations(seed: int, index: NDArray[np.intp], times_h: Array) -> Array:
    """Wandering of a patient's symptoms, shape (n, n_times): 0 at the first time, in the end with SD 1.

    An Ornstein-Uhlenbeck process that is forgotten within `FLUCTUATION_H`.
    """
    pushes = np.zeros((len(index), len(times_h)))
    for k in range(1, len(times_h)):
        pushes[:, k] = patient_normals(seed, f"fluctuation@{k}", index)
    return wandering(pushes, times_h)


def wandering(pushes: Array, times_h: Array) -> Array:
    """Ornstein-Uhlenbeck paths that start at 0 and come to an SD of 1, shape (n, n_times).

    Parameters
    ----------
    pushes : array, shape (n, n_times)
        Standard-normal numbers.
    times_h : array, shape (n_times,) or (n, n_times) [h]
        Increasing.
    """
    path = np.zeros(pushes.shape)
    times = np.broadcast_to(times_h, pushes.shape)
    for k in range(1, pushes.shape[1]):
        kept = np.exp(-(times[:, k] - times[:, k - 1]) / FLUCTUATION_H)
        path[:, k] = kept * path[:, k - 1] + np.sqrt(1 - kept**2) * pushes[:, k]
    return path


def visit_sd(scale: Scale, time_h: float, covariates: Mapping[str, Array], n: int) -> Array:
    """SD of a recorded score about its expected course at a time from the start, shape (n,): fluctuation and rater."""
    share = covariates.get(FLUCTUATION, np.zeros(n))
    reached = 1 - np.exp(-2 * time_h / FLUCTUATION_H)
    return np.asarray(np.sqrt(scale.rater_sd**2 + (share * scale.span) ** 2 * reached))


def plausible_score(true: Array, recorded: Array, scale: Scale) -> Array:
    """Keep the score behind a recorded one within what the symptoms can reach: never their very maximum."""
    return np.asarray(np.clip(true, LOWEST_SHARE * recorded, HIGHEST_SHARE * highest_score(scale)), dtype=np.float64)


def analyte_log_sd(
    analyte: Analyte, *, between_weeks: bool = True, between_assays: bool = False, assay_log_sd: float | None = None
) -> float:
    """Log-SD of one measurement around the person's usual level.

    Parameters
    ----------
    between_weeks : bool
        Include the person's own variation from week to week.
    between_assays : bool
        Include the offset between assays and laboratories.
    assay_log_sd : float, optional
        Uncertainty of one value; it stands in place of the analyte's general ``assay_cv``.
    """
    variances = [np.log1p(analyte.assay_cv**2) if assay_log_sd is None else assay_log_sd**2]
    if between_weeks:
        variances.append(within_log_sd(analyte) ** 2)
    if between_assays:
        variances.append(analyte.offset_log_sd**2)
    return float(np.sqrt(sum(variances)))


def within_log_sd(analyte: Analyte) -> float:
    """Log-SD of a person's own variation from week to week."""
    return float(np.sqrt(np.log1p(analyte.within_cv**2)))


def record_analyte(true: Array, analyte: Analyte, noise: Array, *, between_weeks: bool) -> Array:
    """Value that a laboratory would report, log-normal around the truth; below the LOD the LOD itself."""
    value = true * np.exp(analyte_log_sd(analyte, between_weeks=between_weeks) * noise)
    return np.asarray(np.maximum(value, analyte.lod) if analyte.lod else value, dtype=np.float64)


def noise_table(seed: int, name: str, index: NDArray[np.intp], n_times: int) -> Array:
    """Standard-normal numbers per patient and visit, shape (n, n_times)."""
    if n_times < 1:
        raise PopulationError(f"{name}: no visit to record")
    return np.stack([patient_normals(seed, f"{name}@{visit}", index) for visit in range(n_times)], axis=1)


def observable_factor(model: Model, analyte: Analyte) -> float:
    """Factor from the unit of the model variable that predicts an analyte to the analyte's own unit.

    Raises
    ------
    UnitError
        If the units do not convert.
    """
    unit = model.units[analyte.observable].replace("_per_", "/")
    return convert(1.0, unit, analyte.unit, molar_mass=analyte.molar_mass, factors=analyte.units_by_rule)
