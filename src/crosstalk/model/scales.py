"""Symptom scales as rules of the model, and conversion of scores from one scale to another.

Between published pairs of equivalents a scale rises along straight lines whose kinks are rounded over a point of the
anchor: strictly monotone, with a derivative everywhere, as the solution of a patient's vulnerability needs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.knowledge.records import Scale

__all__ = ["convert_score", "highest_score", "scale_rule", "scale_shape", "score_at"]

Array = NDArray[np.float64]

GRID = 5201  # points of the index at which a scale is inverted: a hundredth of a point of the anchor


def scale_rule(scale: Scale) -> str:
    """The right-hand side of the scale's rule in Antimony, in terms of ``NV`` and ``MOOD``."""
    index = "{!r}*NV + {!r}*MOOD".format(*scale.weights)
    slope, kinks, offset = scale_shape(scale)
    if not kinks:
        return index
    rounded = "".join(f" {change:+}*hinge({index}, {place!r})" for place, change in kinks)
    return f"{slope!r}*({index}){rounded} {-offset:+}"


def score_at(scale: Scale, index: ArrayLike) -> Array:
    """Score at an index in points of the anchor, as the rule of the model gives it.

    Parameters
    ----------
    index : array_like [points of the anchor]
    """
    x = np.asarray(index, dtype=np.float64)
    slope, kinks, offset = scale_shape(scale)
    return np.asarray(slope * x + sum(change * _hinge(x, place) for place, change in kinks) - offset)


def convert_score(score: ArrayLike, scale: Scale, to: Scale) -> Array:
    """The equivalent score on another scale, for a patient of the typical profile of symptoms.

    Parameters
    ----------
    score : array_like [points]
        Not rounded; from 0 to the maximum of ``scale``.

    Returns
    -------
    array of the same shape [points of the other scale]

    Examples
    --------
    >>> from crosstalk.knowledge.loader import load_knowledge
    >>> scales = load_knowledge().scales
    >>> convert_score([7, 17, 20, 24], scales["HAMD17"], scales["QIDS16"]).round().tolist()
    [5.0, 13.0, 16.0, 19.0]
    """
    grid = np.linspace(0.0, scale.equivalents[-1][0], GRID)
    index = np.interp(np.asarray(score, dtype=np.float64), score_at(scale, grid), grid)
    return score_at(to, index)


def highest_score(scale: Scale) -> float:
    """Score at full severity of both dimensions, or the maximum of the scale if that is lower."""
    return min(float(score_at(scale, sum(scale.weights))), scale.maximum)


def scale_shape(scale: Scale) -> tuple[float, list[tuple[float, float]], float]:
    """First slope, (place, change of slope) of each kink, and what makes the score zero at an index of zero."""
    slopes = [round((y2 - y1) / (x2 - x1), 6) for (x1, y1), (x2, y2) in pairwise(scale.equivalents)]
    places = [x for x, _ in scale.equivalents[1:-1]]
    changes = [round(after - before, 6) for before, after in pairwise(slopes)]
    kinks = [(place, change) for place, change in zip(places, changes, strict=True) if change]
    return slopes[0], kinks, round(float(sum(change * _hinge(0.0, place) for place, change in kinks)), 6)


def _hinge(x: ArrayLike, place: float) -> Array:
    away = np.asarray(x, dtype=np.float64) - place
    return np.asarray((away + np.sqrt(away * away + 1)) / 2)
