"""Logistic regression without penalty, with its covariance: what calibration is measured by.

scikit-learn has no offset and no standard errors; both are needed to judge predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from crosstalk.errors import LearnError

__all__ = ["LogisticFit", "fit_logistic"]

Array = NDArray[np.float64]
ROUNDS, TOLERANCE = 100, 1e-12


@dataclass(frozen=True)
class LogisticFit:
    """A fit by maximum likelihood.

    Attributes
    ----------
    coefficients : array, shape (k,)
        Of the columns of the design, logit scale.
    covariance : array, shape (k, k)
        Inverse of the observed information.
    """

    coefficients: Array
    covariance: Array


def fit_logistic(design: ArrayLike, y: ArrayLike, *, offset: ArrayLike | float = 0.0) -> LogisticFit:
    """Fit by Newton's method with halved steps.

    Parameters
    ----------
    design : array, shape (n, k)
        With its own column of ones, if there is to be an intercept.
    y : array, shape (n,)
        0 or 1.
    offset : array, shape (n,), or float
        Added to the linear predictor [logit].

    Raises
    ------
    LearnError
        If the classes are separated, so that no finite maximum exists.
    """
    x, target = np.asarray(design, dtype=float), np.asarray(y, dtype=float)
    shift = np.broadcast_to(np.asarray(offset, dtype=float), target.shape)

    def loss(beta: Array) -> float:
        eta = x @ beta + shift
        return float(np.sum(np.logaddexp(0.0, eta) - target * eta))

    beta = np.zeros(x.shape[1])
    now = loss(beta)
    for _ in range(ROUNDS):
        p = expit(x @ beta + shift)
        information = (x * (p * (1 - p))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (target - p))
        except np.linalg.LinAlgError:
            break
        size = 1.0
        while size > 1e-6 and not loss(beta + size * step) <= now + 1e-12 * abs(now):
            size /= 2
        beta = beta + size * step
        now = loss(beta)
        if np.max(np.abs(size * step)) < TOLERANCE * (1 + np.max(np.abs(beta))):
            p = expit(x @ beta + shift)
            information = (x * (p * (1 - p))[:, None]).T @ x
            if np.linalg.cond(information) < 1e14:
                return LogisticFit(beta, np.linalg.inv(information))
            break
    raise LearnError(
        f"a logistic regression of {x.shape[1]} coefficients on {len(target)} people has no finite solution; "
        "the predictions separate the outcomes or do not vary"
    )
