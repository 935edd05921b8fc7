"""Tables of numbers as few bytes: principal components, rounded to whole steps, deflated.

What virtual patients do hangs together, so that a few components hold hundreds of columns. Rounding in the turned space
costs every column the same small error, which `Packed.error` states. A browser undoes it with three lines.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import OutputError

__all__ = ["Layout", "Packed", "deflate", "inflate", "pack", "unpack"]

Array = NDArray[np.float64]

WIDEST = 32_767  # a rounded coefficient takes two bytes at most


@dataclass(frozen=True, slots=True)
class Layout:
    """How one table lies in the bytes: ``mean`` and ``basis`` as 32-bit floats, then one plane per component.

    ``wide`` says which components take two bytes, the low ones first. Without a basis every column is a component.
    """

    rows: int
    columns: int
    components: int
    step: float
    turned: bool
    wide: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A table as bytes.

    Attributes
    ----------
    layout : Layout
    content : bytes
    error : float
        Root mean square of what rounding changed, in the unit of the table.
    """

    layout: Layout
    content: bytes
    error: float


def pack(table: Array, step: float, *, components: int | None = None) -> Packed:
    """Round a table.

    Parameters
    ----------
    table : array, shape (n, m)
        Finite.
    step : float
        Size of one step, in the unit of the table; each column then errs by about ``step / sqrt(12)``.
    components : int, optional
        How many principal components to keep; without it the columns are rounded as they are.

    Raises
    ------
    OutputError
        If the table is not finite, or a step is too small for two bytes.

    Examples
    --------
    >>> packed = pack(np.array([[0.11, 2.0], [0.29, 1.0]]), 0.1)
    >>> unpack(packed.layout, packed.content).round(2).tolist()
    [[0.1, 2.0], [0.3, 1.0]]
    """
    values = np.asarray(table, dtype=np.float64)
    if not np.isfinite(values).all():
        raise OutputError("a table of the page holds values that are not finite; this is a defect of the export")
    n, m = values.shape
    if components is None:
        center, basis = np.zeros(m, dtype=np.float32), None
        turned = values
    else:
        center = values.mean(axis=0).astype(np.float32)
        away = values - center
        # eigenvectors of the covariance, the largest first, each with its largest entry positive: the same anywhere
        _, vectors = np.linalg.eigh(away.T @ away / n)
        vectors = vectors[:, ::-1][:, : min(components, m)]
        basis = (vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])).astype("<f4")
        turned = away @ basis
    steps = np.round(turned / step)
    if steps.size and np.abs(steps).max() > WIDEST:
        raise OutputError(f"a table of the page needs steps larger than {step:g}: two bytes hold {WIDEST} of them")
    whole = steps.astype(np.int16)
    planes, wide = [], []
    for column in whole.T:
        wide.append(bool(column.size and (column.min() < -128 or column.max() > 127)))
        planes.append((column & 255).astype(np.uint8).tobytes())
        if wide[-1]:
            planes.append((column >> 8).astype(np.int8).tobytes())
    head = b"" if basis is None else center.astype("<f4").tobytes() + basis.tobytes()
    layout = Layout(n, m, whole.shape[1], step, basis is not None, tuple(wide))
    content = head + b"".join(planes)
    error = float(np.sqrt(np.mean((unpack(layout, content) - values) ** 2))) if values.size else 0.0
    return Packed(layout, content, error)


def unpack(layout: Layout, content: bytes) -> Array:
    """The table again, shape (rows, columns)."""
    n, m, k = layout.rows, layout.columns, layout.components
    at = 0
    center, basis = np.zeros(m, dtype=np.float32), None
    if layout.turned:
        center = np.frombuffer(content, "<f4", m)
        basis = np.frombuffer(content, "<f4", m * k, 4 * m).reshape(m, k)
        at = 4 * m * (k + 1)
    whole = np.empty((n, k))
    for j, two in enumerate(layout.wide):
        low = np.frombuffer(content, np.uint8 if two else np.int8, n, at).astype(np.float64)
        at += n
        if two:
            low = low + 256.0 * np.frombuffer(content, np.int8, n, at)
            at += n
        whole[:, j] = low
    if basis is None:
        return whole * layout.step
    return (whole * layout.step) @ basis.T.astype(np.float64) + center


def deflate(tables: Mapping[str, Packed]) -> bytes:
    """The contents of some tables, one after the other, as one zlib stream."""
    return zlib.compress(b"".join(t.content for t in tables.values()), 9)


def inflate(stream: bytes, layouts: Mapping[str, Layout]) -> dict[str, Array]:
    """All tables of a stream."""
    content = zlib.decompress(stream)
    found, at = {}, 0
    for name, layout in layouts.items():
        size = layout.rows * (layout.components + sum(layout.wide))
        size += 4 * layout.columns * (layout.components + 1) if layout.turned else 0
        found[name] = unpack(layout, content[at : at + size])
        at += size
    return found
