"""What worlds differ by, where each world's figure holds chance too."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

__all__ = ["non_negative"]


def non_negative(estimate: float, error: float) -> float:
    """Mean of a quantity that cannot be negative, given an unbiased estimate of it with a normal error.

    A variance between worlds is estimated as what is left when chance is taken from what their figures differ by, and
    may come out negative. That tells of a small variance, not of none: under a flat prior on all that is possible the
    mean is positive, and close to the estimate where that is several errors above zero.

    Examples
    --------
    >>> round(non_negative(5.0, 1.0), 4), round(non_negative(0.0, 1.0), 4), round(non_negative(-5.0, 1.0), 4)
    (5.0, 0.7979, 0.1865)
    >>> non_negative(0.0, 0.0)
    0.0
    """
    if error <= 0:
        return max(estimate, 0.0)
    a = estimate / error
    if a < -30:
        return error / -a  # the limit of what follows, whose tail has no digits left
    return float(estimate + error * np.exp(-0.5 * a**2) / np.sqrt(2 * np.pi) / ndtr(a))
