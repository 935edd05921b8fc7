"""Covariance structures of repeated measures, from unstructured to compound symmetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALLBACK", "Covariance", "Structure", "covariance", "starting_values"]

Array = NDArray[np.floating[Any]]
Structure = Literal[
    "unstructured",
    "heterogeneous Toeplitz",
    "Toeplitz",
    "heterogeneous AR(1)",
    "AR(1)",
    "heterogeneous compound symmetry",
    "compound symmetry",
]
FALLBACK: tuple[Structure, ...] = ("unstructured", "heterogeneous AR(1)", "compound symmetry")
"""The order in which structures are tried, as statistical analysis plans state it: the richest first."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Covariance of the visits with its derivatives, as vectors of the upper triangle (length j)."""

    triangle: Array
    """Shape (j,)."""
    jacobian: Array
    """First derivatives by the parameters, shape (j, k)."""
    bend: Callable[[Array], Array]
    """Second derivatives, contracted with a weight of each entry, shape (j,): gives (k, k). The whole tensor would
    hold j k^2 numbers, which many visits cannot afford."""


def covariance(structure: Structure, parameters: Array, visits: int) -> Covariance:
    """Covariance of a structure.

    Parameters
    ----------
    structure : str
        AR(1) counts visits, not weeks, as the standard programs do.
    parameters : array, shape (k,)
        Unstructured: the lower triangle of the Cholesky root of the inverse, row by row, since the likelihood of
        complete data is convex in it. Else logarithms of standard deviations, one for all visits or one for each, then
        Fisher's z of the correlation, for Toeplitz of that of each distance.
    visits : int
        Number of visits.
    """
    first, second = np.triu_indices(visits)
    if structure == "unstructured":
        return _unstructured(parameters, visits)
    many = _deviations(structure, visits)
    share = np.zeros((len(first), many))
    for visit in (first, second):
        np.add.at(share, (np.arange(len(first)), visit if many > 1 else np.zeros_like(visit)), 1.0)
    rho, by_z, by_z2 = _correlations(structure, np.tanh(parameters[many:]), second - first)
    scale = np.exp(share @ parameters[:many])
    triangle = scale * rho

    def bend(weights: Array) -> Array:
        deviations = share.T @ ((weights * triangle)[:, None] * share)
        mixed = share.T @ ((weights * scale)[:, None] * by_z)
        # each correlation depends on one z
        own = np.diag((weights * scale) @ by_z2)
        return np.block([[deviations, mixed], [mixed.T, own]])

    return Covariance(triangle, np.column_stack([triangle[:, None] * share, scale[:, None] * by_z]), bend)


def _deviations(structure: Structure, visits: int) -> int:
    return visits if structure.startswith("heterogeneous") else 1


def _correlations(structure: Structure, rho: Array, apart: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Correlation of each entry, shape (j,), with its first and second derivatives by Fisher's z, shape (j, z)."""
    slope, bend = 1 - rho**2, -2 * rho * (1 - rho**2)
    if structure.endswith("Toeplitz"):
        chosen = (apart[:, None] == np.arange(1, len(rho) + 1)).astype(float)
        return np.where(apart == 0, 1.0, chosen @ rho), chosen * slope, chosen * bend
    steps = np.minimum(apart, 1) if structure.endswith("compound symmetry") else apart
    power1 = steps * rho[0] ** np.maximum(steps - 1, 0)
    power2 = steps * (steps - 1) * rho[0] ** np.maximum(steps - 2, 0)
    return rho[0] ** steps, (power1 * slope[0])[:, None], (power2 * slope[0] ** 2 + power1 * bend[0])[:, None]


def _unstructured(parameters: Array, visits: int) -> Covariance:
    first, second = np.triu_indices(visits)
    rows, columns = np.tril_indices(visits)
    root = np.zeros((visits, visits))
    root[rows, columns] = parameters
    inverse = np.linalg.inv(root)
    matrix = inverse @ inverse.T
    # with A the inverse of T: dV = -A dT V - (A dT V)', and for one entry of T, A dT V = A[:, row] V[column, :]
    left, right = inverse[:, rows], matrix[columns]  # (t, k), (k, t)
    one = left[first] * right.T[second] + left[second] * right.T[first]  # (j, k)

    def bend(weights: Array) -> Array:
        # the weights as a symmetric matrix, so that a sum over entries is a product of matrices
        full = np.zeros((visits, visits))
        full[first, second] = weights
        full = full + full.T
        middle = inverse[np.ix_(columns, rows)]  # A[column of k, row of l]
        # A dT A dT V and A dT V dT' A', each with its transpose and with the two entries exchanged
        twice = middle * (left.T @ full @ right.T)
        across = matrix[np.ix_(columns, columns)] * (left.T @ full @ left)
        both: Array = twice + twice.T + across
        return both

    return Covariance(matrix[first, second], -one, bend)


def starting_values(structure: Structure, matrix: Array) -> Array:
    """Parameters of a structure near a positive definite matrix, shape (visits, visits)."""
    visits = len(matrix)
    if structure == "unstructured":
        # V = LL' gives the inverse T'T with T = inverse of L, lower triangular as well
        root = np.linalg.inv(np.linalg.cholesky(matrix))
        return np.asarray(root[np.tril_indices(visits)])
    deviations = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(deviations, deviations)
    if structure.endswith("compound symmetry"):
        found = correlation[np.triu_indices(visits, 1)].mean() if visits > 1 else 0.0
        rho = np.array([max(found, -0.5 / max(visits - 1, 1))])
    elif structure.endswith("Toeplitz"):
        rho = _toeplitz(np.array([np.diag(correlation, k).mean() for k in range(1, visits)]))
    else:
        rho = np.array([np.diag(correlation, 1).mean() if visits > 1 else 0.0])
    if _deviations(structure, visits) == 1:
        deviations = np.array([np.sqrt(np.diag(matrix).mean())])
    return np.append(np.log(deviations), np.arctanh(np.clip(rho, -0.95, 0.95)))


def _toeplitz(rho: Array) -> Array:
    """Correlations by distance, drawn to zero until their matrix is positive definite."""
    from scipy.linalg import toeplitz

    for _ in range(60):
        if np.linalg.eigvalsh(toeplitz(np.append(1.0, rho)))[0] > 1e-3:
            break
        rho = rho * 0.9
    return rho
