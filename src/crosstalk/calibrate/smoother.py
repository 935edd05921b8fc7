"""Ensemble smoother with multiple data assimilation, with localization by correlation.

The unknowns are standard normal before they see data. Each assimilation lets a part of the data's information in: with
weight ``w`` the errors are inflated to ``R / w``, and the weights that a target receives add up to 1 [1]_. A target
moves an unknown only if their correlation over the ensemble stands out from chance [2]_, so that a small ensemble
neither collapses nor learns from noise.

References
----------
.. [1] Emerick AA, Reynolds AC. Ensemble smoother with multiple data assimilation. Comput Geosci 2013.
   doi:10.1016/j.cageo.2012.03.011
.. [2] Luo X, Bhakta T. Automatic and adaptive localization for ensemble-based history matching. J Pet Sci Eng 2020.
   doi:10.1016/j.petrol.2019.106559
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import CalibrationError

__all__ = ["FEWEST_MEMBERS", "assimilate", "without_gaps"]

Array = NDArray[np.float64]

FEWEST_MEMBERS = 20
THRESHOLD = 2.5  # correlations below so many standard errors are taken as chance
SETTLED = 1e-9  # spread of a counterpart below which it can teach nothing


def assimilate(
    scores: Array,
    counterparts: Array,
    values: Array,
    covariance: Array,
    *,
    weight: float,
    rng: np.random.Generator,
    threshold: float = THRESHOLD,
) -> Array:
    """Move an ensemble towards some targets.

    Parameters
    ----------
    scores : array, shape (n_members, n_unknowns)
    counterparts : array, shape (n_members, n_targets)
        NaN where a member has none; it is then taken as the ensemble's mean.
    values : array, shape (n_targets,)
        The targets.
    covariance : array, shape (n_targets, n_targets)
        Of their errors.
    weight : float
        Share of the information that is let in, above 0 and at most 1.
    rng : numpy.random.Generator
        For the perturbed targets.
    threshold : float
        In standard errors of a correlation.

    Returns
    -------
    array, shape (n_members, n_unknowns)

    Raises
    ------
    CalibrationError
        If the ensemble is too small, or the weight is not a share.
    """
    n, n_unknowns = scores.shape
    if n < FEWEST_MEMBERS:
        raise CalibrationError(f"an ensemble of {n} members; expected at least {FEWEST_MEMBERS}")
    if not 0 < weight <= 1:
        raise CalibrationError(f"a weight of {weight}; expected above 0 and at most 1")
    noise = rng.multivariate_normal(np.zeros(len(values)), covariance / weight, size=n, method="cholesky")
    simulated, useful = without_gaps(counterparts)
    if not useful.any():
        return scores.copy()
    simulated, errors = simulated[:, useful], covariance[np.ix_(useful, useful)] / weight
    innovation = values[useful] + noise[:, useful] - simulated
    z, y = scores - scores.mean(axis=0), simulated - simulated.mean(axis=0)
    cross, own = z.T @ y / (n - 1), y.T @ y / (n - 1)
    spread = np.sqrt(np.maximum(np.diag(z.T @ z / (n - 1)), SETTLED**2))
    correlation = cross / (spread[:, None] * np.sqrt(np.diag(own))[None, :])
    stands_out = np.abs(correlation) > threshold / np.sqrt(n)
    moved = scores.copy()
    for j in range(n_unknowns):
        near = np.flatnonzero(stands_out[j])
        if len(near):
            gain = np.linalg.solve((own + errors)[np.ix_(near, near)], cross[j, near])
            moved[:, j] += innovation[:, near] @ gain
    return moved


def without_gaps(counterparts: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Counterparts without gaps, and which targets differ between members at all."""
    known = np.isfinite(counterparts)
    count = known.sum(axis=0)
    mean = np.where(known, counterparts, 0.0).sum(axis=0) / np.maximum(count, 1)
    filled = np.where(known, counterparts, mean)
    useful = (2 * count >= len(counterparts)) & (filled.std(axis=0) > SETTLED)
    return filled, useful
