"""What a mixed model for repeated measures needs of its data: sums over patients with the same visits missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import UsageError
from crosstalk.statistics.columns import columns_of, labels_of, weights_of

__all__ = ["Margins", "VisitPatterns"]

Array = NDArray[np.floating[Any]]
Margins = Literal["equal", "observed"]


@dataclass(frozen=True, slots=True)
class VisitPatterns:
    """Sufficient statistics of each pattern of missing visits; f baseline columns, t visits, s patterns.

    A fixed effect belongs to a column and a visit (t x f in all); `spread` makes these of the p coefficients,
    since a covariate has one coefficient for all visits.
    """

    masks: Array  # (s, t)
    scale: Array  # (s, t): root of the weights, zero at missing visits
    group: NDArray[np.intp]  # (s,)
    counts: Array  # (s,)
    designs: Array  # (s, f, f): sum of d d'
    crosses: Array  # (s, f, t): sum of d y'
    squares: Array  # (s, t, t): sum of y y'
    spread: Array  # (t * f, p)
    reference: Array  # (f,): where least-squares means of the control are taken
    arms: int
    n: int
    note: str

    @property
    def visits(self) -> int:
        """Number of visits."""
        return int(self.masks.shape[1])

    @property
    def groups(self) -> int:
        """Groups with a covariance of their own."""
        return int(self.group.max()) + 1

    @property
    def both(self) -> Array:
        """Root of the weights of two visits, shape (s, t, t)."""
        return self.scale[:, :, None] * self.scale[:, None, :]

    @classmethod
    def of(
        cls,
        outcome: ArrayLike,
        arm: ArrayLike,
        baseline: ArrayLike | None,
        covariates: ArrayLike | None,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        margins: Margins = "equal",
    ) -> VisitPatterns:
        """Check the columns of `crosstalk.statistics.mmrm.mmrm` and sum them over patients with the same visits."""
        y = np.asarray(outcome, dtype=float)
        if y.ndim != 2:
            raise UsageError(f"outcome has shape {y.shape}; expected one row a patient and one column a visit")
        group = np.asarray(arm)
        if group.shape != (len(y),):
            raise UsageError(f"arm has shape {group.shape}; expected ({len(y)},), one number a patient")
        if not np.isin(group, np.arange(len(y))).all() or not (group == 0).any() or not (group > 0).any():
            raise UsageError("arm must hold whole numbers, 0 for the control and 1, 2, ... for the other arms")
        group = group.astype(int)
        (varying, one), (constant, other) = (
            columns_of(values, name, len(y)) for values, name in ((baseline, "baseline"), (covariates, "covariates"))
        )
        labels, heavy = labels_of(groups, len(y)), weights_of(weights, y.shape)
        seen = np.isfinite(y)
        used = seen.any(axis=1)
        arms = int(group.max()) + 1
        for a in range(arms):
            for t in np.flatnonzero(~seen[group == a].any(axis=0)):
                raise UsageError(f"arm {a} has no outcome at visit {t}; leave the visit or the arm out")
        for a in range(int(labels.max()) + 1):
            for t in np.flatnonzero(seen[labels == a].sum(axis=0) < 2):
                raise UsageError(f"group {a} of the covariance has fewer than two outcomes at visit {t}; drop groups")
        for visit, (outcomes, there) in enumerate(zip(y.T, seen.T, strict=True)):
            if there.sum() > 1 and np.ptp(outcomes[there]) == 0:
                raise UsageError(
                    f"visit {visit} has the same outcome for everybody, {outcomes[there][0]:g}; leave it out"
                )
        y, group, seen, labels, heavy = y[used], group[used], seen[used], labels[used], heavy[used]
        reference, means = np.concatenate([one, other]), np.column_stack([varying, constant])[used]
        seen_means = seen.sum(axis=1) @ means / max(seen.sum(), 1)
        reference = np.where(np.isfinite(reference) & (margins == "equal"), reference, seen_means) - means.mean(axis=0)
        varying, constant = varying[used] - varying[used].mean(axis=0), constant[used] - constant[used].mean(axis=0)
        design = np.column_stack([np.ones(len(y)), group[:, None] == np.arange(1, arms), varying, constant])
        for t in np.flatnonzero(seen.sum(axis=0) <= design.shape[1]):
            raise UsageError(
                f"visit {t} has {seen[:, t].sum()} outcomes, which cannot support {design.shape[1]} coefficients and a "
                f"variance; leave covariates or the visit out"
            )
        y = np.where(seen, y, 0.0)
        # as bytes: there may be more visits than a number has bits
        codes = np.column_stack([np.packbits(seen, axis=1), labels, np.where(seen, heavy, 0.0)])
        _, first, pattern = np.unique(codes, axis=0, return_index=True, return_inverse=True)
        pattern = pattern.ravel()
        size = len(first)
        member = (pattern == np.arange(size)[:, None]).astype(float)
        both = np.column_stack([design, y])
        width = both.shape[1]
        products = (member @ (both[:, :, None] * both[:, None, :]).reshape(len(y), -1)).reshape(size, width, width)
        f, visits = design.shape[1], y.shape[1]
        identity = np.eye(visits * f).reshape(visits * f, visits, f)
        own = identity[:, :, : f - constant.shape[1]].reshape(visits * f, -1)
        shared = identity[:, :, f - constant.shape[1] :].sum(axis=1)
        left_out = len(used) - int(used.sum())
        note = f"{left_out} patients without any visit left out" if left_out else ""
        patterns = cls(
            seen[first].astype(float),
            np.where(seen, np.sqrt(heavy), 0.0)[first],
            labels[first],
            member.sum(axis=1),
            products[:, :f, :f],
            products[:, :f, f:],
            products[:, f:, f:],
            np.hstack([own, shared]),
            np.concatenate([[1.0], np.zeros(arms - 1), reference]),
            arms,
            int(used.sum()),
            note,
        )
        information = patterns.information(patterns.masks[:, :, None] * np.eye(visits))
        size_of = np.sqrt(np.diag(information))
        if (size_of == 0).any() or np.linalg.eigvalsh(information / np.outer(size_of, size_of))[0] < 1e-10:
            raise UsageError("the covariates are collinear or constant at some visit; leave the redundant ones out")
        return patterns

    def information(self, weights: Array) -> Array:
        """X'WX of weights, shape (s, t, t); gives (p, p)."""
        s, t = self.masks.shape
        f = self.designs.shape[1]
        full = ((weights * self.both).reshape(s, -1).T @ self.designs.reshape(s, -1)).reshape(t, t, f, f)
        result: Array = self.spread.T @ full.transpose(0, 2, 1, 3).reshape(t * f, t * f) @ self.spread
        return result

    def rows(self) -> Array:
        """Least-squares means of the arms, shape (arms, t, p)."""
        t, f = self.visits, self.designs.shape[1]
        rows = np.zeros((self.arms, t, t, f))
        for a in range(self.arms):
            rows[a, np.arange(t), np.arange(t)] = self.reference
            if a:
                rows[a, np.arange(t), np.arange(t), a] = 1.0
        result: Array = rows.reshape(self.arms, t, t * f) @ self.spread
        return result
