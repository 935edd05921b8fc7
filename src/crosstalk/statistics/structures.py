"""Covariance structures of repeated measures: unstructured, heterogeneous AR(1) and compound symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALLBACK", "Covariance", "Structure", "covariance", "starting_values"]

Array = NDArray[np.floating[Any]]
Structure = Literal["unstructured", "heterogeneous AR(1)", "compound symmetry"]
FALLBACK: tuple[Structure, ...] = ("unstructured", "heterogeneous AR(1)", "compound symmetry")
"""The order in which structures are tried, as statistical analysis plans state it: the richest first."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Covariance of the visits with its derivatives, as vectors of the upper triangle (length j)."""

    triangle: Array
    """Shape (j,)."""
    jacobian: Array
    """First derivatives by the parameters, shape (j, k)."""
    curvature: Array
    """Second derivatives, shape (j, k, k)."""


def covariance(structure: Structure, parameters: Array, visits: int) -> Covariance:
    """Covariance of a structure.

    Parameters
    ----------
    structure : str
        AR(1) counts visits, not weeks, as the standard programs do.
    parameters : array, shape (k,)
        Unstructured: the lower triangle of the Cholesky root of the inverse, row by row, since the likelihood of
        complete data is convex in it. Else logarithms of standard deviations, then Fisher's z of the correlation.
    visits : int
        Number of visits.
    """
    first, second = np.triu_indices(visits)
    if structure == "unstructured":
        return _unstructured(parameters, visits)
    apart = second - first
    deviations = len(parameters) - 1
    share = np.zeros((len(first), deviations))
    if structure == "compound symmetry":
        apart, share[:, 0] = np.minimum(apart, 1), 2.0
    else:
        np.add.at(share, (np.arange(len(first)), first), 1.0)
        np.add.at(share, (np.arange(len(first)), second), 1.0)
    rho = np.tanh(parameters[-1])
    slope, bend = 1 - rho**2, -2 * rho * (1 - rho**2)
    power1 = apart * rho ** np.maximum(apart - 1, 0)
    power2 = apart * (apart - 1) * rho ** np.maximum(apart - 2, 0)
    scale = np.exp(share @ parameters[:-1])
    triangle = scale * rho**apart
    by_rho = scale * power1 * slope
    by_rho2 = scale * (power2 * slope**2 + power1 * bend)
    curvature = np.empty((len(first), deviations + 1, deviations + 1))
    curvature[:, :-1, :-1] = triangle[:, None, None] * share[:, :, None] * share[:, None, :]
    curvature[:, -1, :-1] = curvature[:, :-1, -1] = by_rho[:, None] * share
    curvature[:, -1, -1] = by_rho2
    return Covariance(triangle, np.column_stack([triangle[:, None] * share, by_rho]), curvature)


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
    middle = inverse[np.ix_(columns, rows)]  # A[column of k, row of l]
    # A dT A dT V and A dT V dT' A', each with its transpose and with the two entries exchanged
    twice = left[first][:, :, None] * middle * right.T[second][:, None, :]
    twice = twice + left[second][:, :, None] * middle * right.T[first][:, None, :]
    across = left[first][:, :, None] * matrix[np.ix_(columns, columns)] * left[second][:, None, :]
    both = twice + across
    return Covariance(matrix[first, second], -one, both + both.transpose(0, 2, 1))


def starting_values(structure: Structure, matrix: Array) -> Array:
    """Parameters of a structure near a positive definite matrix, shape (visits, visits)."""
    visits = len(matrix)
    if structure == "unstructured":
        # V = LL' gives the inverse T'T with T = inverse of L, lower triangular as well
        root = np.linalg.inv(np.linalg.cholesky(matrix))
        return np.asarray(root[np.tril_indices(visits)])
    deviations = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(deviations, deviations)
    if structure == "compound symmetry":
        rho = correlation[np.triu_indices(visits, 1)].mean() if visits > 1 else 0.0
        rho = max(rho, -0.5 / max(visits - 1, 1))
        deviations = np.array([np.sqrt(np.diag(matrix).mean())])
    else:
        rho = np.diag(correlation, 1).mean() if visits > 1 else 0.0
    return np.append(np.log(deviations), np.arctanh(np.clip(rho, -0.95, 0.95)))
