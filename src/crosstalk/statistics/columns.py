"""Columns of a mixed model as arrays: covariates, labels of groups and weights, checked with the place of the fault."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import UsageError

__all__ = ["columns_of", "labels_of", "weights_of"]

Array = NDArray[np.floating[Any]]


def columns_of(values: ArrayLike | None, name: str, patients: int) -> tuple[Array, Array]:
    """Covariates as numbers, and the value of each at which its labels have equal shares.

    Parameters
    ----------
    values : array, shape (n_patients,) or (n_patients, k), optional
        Numbers, or texts that become an indicator of each label but the first in order of the alphabet.

    Returns
    -------
    array, shape (n_patients, columns)
    array, shape (columns,)
        One over the number of labels; not a number for a column of numbers.

    Raises
    ------
    UsageError
        Another number of rows, or a missing value.
    """
    if values is None:
        return np.empty((patients, 0)), np.empty(0)
    given = np.asarray(values)
    given = given[:, None] if given.ndim == 1 else given
    if given.ndim != 2 or len(given) != patients:
        raise UsageError(f"{name} has shape {np.shape(values)}; expected {patients} rows, one a patient")
    columns, places = list[Array]([np.empty((patients, 0))]), list[list[float]]()
    for column in given.T:
        numbers, labels = _numbers(column)
        missing = np.flatnonzero(~np.isfinite(numbers) if labels is None else np.isin(labels, ("", "nan", "None")))
        if len(missing):
            raise UsageError(
                f"{name} is missing for {len(missing)} patients, first in row {missing[0]}; impute it before"
            )
        if labels is None:
            columns.append(numbers[:, None])
            places.append([np.nan])
        else:
            kinds = np.unique(labels)
            columns.append((labels[:, None] == kinds[1:]).astype(float))
            places.append([1 / len(kinds)] * (len(kinds) - 1))
    return np.column_stack(columns), np.concatenate([np.empty(0), *places])


def _numbers(column: NDArray[Any]) -> tuple[Array, NDArray[np.str_] | None]:
    try:
        return column.astype(float), None
    except (TypeError, ValueError):
        return np.empty(0), np.array([str(v).strip() for v in column])


def labels_of(groups: ArrayLike | None, patients: int) -> NDArray[np.intp]:
    """Labels as whole numbers from 0 in their order; all 0 without any."""
    if groups is None:
        return np.zeros(patients, dtype=np.intp)
    given = np.asarray(groups)
    if given.shape != (patients,):
        raise UsageError(f"groups has shape {given.shape}; expected ({patients},), one label a patient")
    return np.unique(given, return_inverse=True)[1].astype(np.intp)


def weights_of(weights: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Weights of all outcomes, shape (n_patients, n_visits)."""
    if weights is None:
        return np.ones(shape)
    given = np.asarray(weights, dtype=float)
    if given.shape not in (shape, shape[:1]):
        raise UsageError(f"weights has shape {given.shape}; expected {shape[:1]} or {shape}")
    bad = np.flatnonzero(~(np.isfinite(given) & (given > 0)).reshape(shape[0], -1).all(axis=1))
    if len(bad):
        raise UsageError(f"the weight in row {bad[0]} is not a positive number; leave the patient or the outcome out")
    return np.broadcast_to(given.reshape(shape[0], -1), shape).copy()
