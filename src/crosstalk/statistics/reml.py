"""Derivatives of restricted likelihoods: one set for all mixed models.

For a marginal covariance that is linear in its parameters, V = sum_j theta_j E_j, all first and second
derivatives of -2 log L follow from a few traces (Jennrich & Schluchter 1986, doi:10.2307/2530695;
Lindstrom & Bates 1988, doi:10.1080/01621459.1988.10478693). A model supplies these, `Derivatives` combines them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Derivatives", "satterthwaite"]

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Traces at one value of the covariance parameters; W is the inverse of V, r the residual, C = (X'WX)^-1."""

    fixed: Array
    """C, shape (p, p): the model-based covariance of the fixed effects."""
    slopes: Array
    """X'W E_j W X, shape (j, p, p)."""
    trace: Array
    """tr(W E_j), shape (j,)."""
    trace2: Array
    """tr(W E_j W E_k), shape (j, j)."""
    leverage2: Array
    """tr(C X'W E_j W E_k W X), shape (j, j)."""
    residual: Array
    """r'W E_j W r, shape (j,)."""
    residual2: Array
    """r'W E_j W E_k W r, shape (j, j)."""
    cross: Array
    """X'W E_j W r, shape (j, p)."""
    restricted: bool = True
    """REML rather than ML."""

    def gradient(self) -> Array:
        """First derivatives of -2 log L, shape (j,)."""
        gradient = self.trace - self.residual
        if self.restricted:
            gradient = gradient - np.einsum("pq,jqp->j", self.fixed, self.slopes)
        return gradient

    def hessian(self, *, expected: bool = False) -> Array:
        """Second derivatives of -2 log L, or their expectation, shape (j, j)."""
        size = len(self.trace)
        scaled = self.fixed @ self.slopes
        both = scaled.reshape(size, -1) @ scaled.transpose(0, 2, 1).reshape(size, -1).T
        if expected:
            return self.trace2 - 2 * self.leverage2 + both if self.restricted else self.trace2
        hessian = 2 * self.residual2 - 2 * self.cross @ self.fixed @ self.cross.T - self.trace2
        return hessian + 2 * self.leverage2 - both if self.restricted else hessian


def satterthwaite(rows: Array, fixed: Array, slopes: Array, covariance: Array) -> Array:
    """Degrees of freedom of each contrast by Satterthwaite's match of the variance of its variance.

    Parameters
    ----------
    rows : array, shape (m, p)
        Contrasts of the fixed effects.
    fixed : array, shape (p, p)
        Model-based covariance of the fixed effects.
    slopes : array, shape (j, p, p)
        X'W E_j W X.
    covariance : array, shape (j, j)
        Covariance of the covariance parameters.

    References
    ----------
    Satterthwaite 1941, doi:10.1007/BF02288586; Giesbrecht & Burns 1985, doi:10.2307/2530872.
    """
    turned = rows @ fixed
    variance = np.einsum("mp,mp->m", turned, rows)
    gradient = np.einsum("mp,jpq,mq->mj", turned, slopes, turned, optimize=True)
    degrees: Array = 2 * variance**2 / np.einsum("mj,jk,mk->m", gradient, covariance, gradient)
    return degrees
