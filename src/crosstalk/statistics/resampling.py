"""The bootstrap: rows drawn with replacement, one by one or in whole groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bootstrap"]


def bootstrap(n: int, groups: Sequence[Any] | None = None, *, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield rows of bootstrap samples without end.

    Parameters
    ----------
    n : int
        Rows of the data.
    groups : sequence, length n, optional
        Families, studies, sites: drawn as a whole, as many as there are; a sample then holds about n rows.
    seed : int
        Fixes every sample.

    References
    ----------
    Efron 1979, doi:10.1214/aos/1176344552; of whole groups: Davison and Hinkley 1997, doi:10.1017/CBO9780511802843.

    Examples
    --------
    >>> rows = next(bootstrap(6, ["a", "a", "b", "b", "c", "c"], seed=1))
    >>> len(rows), all((rows == k).sum() == (rows == k + 1).sum() for k in (0, 2, 4))
    (6, True)
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        while True:
            yield rng.integers(0, n, n)
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(code == k) for k in range(code.max() + 1)]
    while True:
        yield np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
