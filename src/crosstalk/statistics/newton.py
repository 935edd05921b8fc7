"""Newton's method for likelihoods: one driver for every regression and mixed model here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Optimum", "Point", "Quadratic", "minimise"]

Array = NDArray[np.floating[Any]]
ITERATIONS = 60
HALVINGS = 40
DECREMENT = 1e-9
STALLED = 1e-6


class Point(Protocol):
    """The loss of a model, such as -2 log L, at one value of its parameters."""

    @property
    def value(self) -> float:
        """The loss."""

    def slope(self) -> tuple[Array, Array, Array]:
        """Gradient, Hessian and expected Hessian of the loss."""


@dataclass(frozen=True, slots=True)
class Quadratic:
    """A point whose derivatives are at hand; its Hessian is the expected one, too."""

    value: float
    gradient: Array
    hessian: Array

    def slope(self) -> tuple[Array, Array, Array]:
        """Gradient and, twice, Hessian."""
        return self.gradient, self.hessian, self.hessian


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the search ended."""

    parameters: Array
    converged: bool
    iterations: int


def minimise(
    model: Callable[[Array], Point | None],
    start: Array,
    *,
    tolerance: float = DECREMENT,
    stalled: float = STALLED,
) -> Optimum:
    """Newton's method with step halving; falls back to the expected, then to a bent, Hessian.

    Parameters
    ----------
    model : callable
        Gives the point of a parameter vector, or None outside of the parameter space.
    start : array, shape (k,)
        A point inside of the space.
    tolerance : float
        Converged when a full Newton step would lower the loss by less than half of this.
    stalled : float
        A search that finds nothing lower has converged if the step promised less than this, by rounding.
    """
    at = start
    point = model(at)
    if point is None:
        return Optimum(at, False, 0)
    for iteration in range(1, ITERATIONS + 1):
        gradient, observed, expected = point.slope()
        step = _downhill(gradient, observed, expected)
        if step is None:
            return Optimum(at, False, iteration)
        decrement = -gradient @ step
        found = None
        for halving in range(HALVINGS):
            candidate = at + step * 0.5**halving
            found = model(candidate)
            if found is not None and found.value <= point.value + 1e-11 * abs(point.value):
                break
            found = None
        if found is None:
            return Optimum(at, bool(decrement < stalled), iteration)
        at, point = candidate, found
        if decrement < tolerance:
            return Optimum(at, True, iteration)
    return Optimum(at, False, ITERATIONS)


def _downhill(gradient: Array, observed: Array, expected: Array) -> Array | None:
    for hessian in (observed, expected):
        try:
            root = np.linalg.cholesky(hessian)
        except np.linalg.LinAlgError:
            continue
        diagonal = np.diag(root)
        if diagonal.min() > 1e-7 * diagonal.max():
            return np.asarray(-np.linalg.solve(hessian, gradient))
    if not np.isfinite(observed).all():
        return None
    values, vectors = np.linalg.eigh(observed)
    largest = np.abs(values).max()
    if largest == 0:
        return None
    values = np.maximum(np.abs(values), 1e-6 * largest)
    bent: Array = -(vectors @ ((vectors.T @ gradient) / values))
    return bent
