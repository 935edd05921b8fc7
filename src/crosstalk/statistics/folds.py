"""Who trains and who is predicted: repeated folds that keep families together, and sites left out in turn.

Every model of a comparison sees the same folds. Differences between folds are not independent, since training sets
overlap; `corrected_difference` widens the interval as Nadeau and Bengio found.

References
----------
Nadeau and Bengio 2003, doi 10.1023/A:1024068626366; for repeated cross-validation Bouckaert and Frank 2004, doi
10.1007/978-3-540-24775-3_3. Leaving out sites (internal-external validation): Steyerberg and Harrell 2016, doi
10.1016/j.jclinepi.2015.04.005.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstalk.errors import LearnError

__all__ = ["Difference", "RepeatedFolds", "Split", "check_apart", "corrected_difference", "leave_site_out"]

Array = NDArray[np.float64]
Split: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]


class RepeatedFolds:
    """Splitter of scikit-learn: folds, stratified for two classes, drawn anew in each repeat, groups never torn.

    Parameters
    ----------
    folds, repeats : int
    seed : int
        Fixes every split.

    Examples
    --------
    >>> import numpy as np
    >>> y, family = np.tile([0, 1], 10), np.repeat(np.arange(10), 2)
    >>> splits = list(RepeatedFolds(folds=5, repeats=2, seed=1).split(np.zeros((20, 1)), y, family))
    >>> len(splits), all(not set(family[a]) & set(family[b]) for a, b in splits)
    (10, True)
    """

    def __init__(self, folds: int = 5, repeats: int = 10, seed: int = 1) -> None:
        self.folds, self.repeats, self.seed = folds, repeats, seed

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits."""
        return self.folds * self.repeats

    def split(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Iterator[Split]:
        """Yield rows that train and rows that are predicted; the folds of a repeat follow each other.

        Raises
        ------
        LearnError
            If there are fewer groups, or members of the rarer class, than folds.
        """
        from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

        target = np.asarray(y)
        classes, counts = np.unique(target, return_counts=True)
        two = len(classes) == 2
        family = None if groups is None else np.asarray(groups)
        if self.folds < 2 or self.repeats < 1:
            raise LearnError(f"received {self.folds} folds and {self.repeats} repeats; expected 2 and 1 or more")
        if two and counts.min() < self.folds:
            raise LearnError(
                f"{counts.min()} people have the outcome {classes[counts.argmin()]}, fewer than the {self.folds} folds"
            )
        if family is not None and (have := len(np.unique(family))) < self.folds:
            raise LearnError(f"{have} groups cannot be put into {self.folds} folds; ask for fewer folds")
        if len(target) < 2 * self.folds:
            raise LearnError(f"{len(target)} people cannot be put into {self.folds} folds; ask for fewer folds")
        seeds = np.random.SeedSequence(self.seed).generate_state(self.repeats)
        for seed in map(int, seeds):
            if family is None:
                kind = StratifiedKFold if two else KFold
                splits = kind(self.folds, shuffle=True, random_state=seed).split(np.zeros(len(target)), target)
            elif two:
                splitter = StratifiedGroupKFold(self.folds, shuffle=True, random_state=seed)
                splits = splitter.split(np.zeros(len(target)), target, family)
            else:
                # names are shuffled, since scikit-learn before 1.6 cannot shuffle groups
                names = np.unique(family)
                order = np.random.default_rng(seed).permutation(len(names))
                shuffled = order[np.searchsorted(names, family)]
                splits = GroupKFold(self.folds).split(np.zeros(len(target)), target, shuffled)
            for train, test in splits:
                if two and (len(np.unique(target[train])) < 2 or len(np.unique(target[test])) < 2):
                    raise LearnError(
                        f"with {self.folds} folds a fold holds one class only, since groups keep together; ask for "
                        "fewer folds"
                    )
                yield train, test


def leave_site_out(y: ArrayLike, sites: Sequence[str], groups: Sequence[str] | None = None) -> list[tuple[str, Split]]:
    """Each site in turn is predicted by a model of the others.

    Parameters
    ----------
    sites : sequence of str, length n
    groups : sequence of str, optional
        Families; one that lives at two sites would be trained on and predicted at once.

    Raises
    ------
    LearnError
        If there is one site, a site has one person, a group spans sites, or the rest of a site has one class.
    """
    place, target = np.asarray(sites), np.asarray(y)
    names, counts = np.unique(place, return_counts=True)
    if len(names) < 2:
        raise LearnError(f"all people are of the site '{names[0]}'; leaving out a site needs two or more")
    lonely = [str(name) for name, count in zip(names, counts, strict=True) if count < 2]
    if lonely:
        raise LearnError(
            f"site {', '.join(lonely[:5])}: one patient; a site of one cannot be judged. Join it to another or leave "
            "the patient out"
        )
    splits = [(str(name), (np.flatnonzero(place != name), np.flatnonzero(place == name))) for name in names]
    if groups is not None:
        check_apart([split for _, split in splits], groups, "is at two sites; name the larger unit as --site")
    for name, (train, _) in splits:
        if len(np.unique(target)) == 2 and len(np.unique(target[train])) < 2:
            raise LearnError(
                f"without site {name} only one class of the outcome is left; nothing can be learnt from it"
            )
    return splits


def check_apart(splits: Sequence[Split], groups: Sequence[str], words: str = "is trained on and predicted") -> None:
    """Refuse splits that tear a group.

    Raises
    ------
    LearnError
        Naming the first group that stands on both sides.
    """
    family = np.asarray(groups)
    for train, test in splits:
        both = np.intersect1d(family[train], family[test])
        if len(both):
            raise LearnError(f"group {both[0]} {words}")


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean difference over folds with the corrected interval.

    Attributes
    ----------
    value, se, low, high : float
        95 % interval by Student's t.
    p : float
        Two-sided.
    splits : int
    """

    value: float
    se: float
    low: float
    high: float
    p: float
    splits: int


def corrected_difference(by_fold: ArrayLike, share_tested: float) -> Difference:
    """Interval of a mean over the folds of (repeated) cross-validation.

    The variance between folds is multiplied by ``1 / J + n_test / n_train`` in place of ``1 / J``.

    Parameters
    ----------
    by_fold : array, shape (J,)
        A measure, or a difference of two models on the same fold, of each fold.
    share_tested : float
        People predicted over people trained on: ``1 / (folds - 1)``.

    Examples
    --------
    >>> found = corrected_difference([0.02, 0.01, 0.04, -0.01, 0.03], 1 / 4)
    >>> round(found.value, 3), round(found.se, 4)
    (0.018, 0.0129)
    """
    from scipy.stats import t

    d = np.asarray(by_fold, dtype=float)
    count = len(d)
    if count < 2:
        raise LearnError(f"received {count} folds; a difference needs two or more")
    value = float(d.mean())
    se = float(d.std(ddof=1)) * sqrt(1 / count + share_tested)
    if se == 0:
        return Difference(value, 0.0, value, value, 1.0 if value == 0 else nan, count)
    half = float(t.ppf(0.975, count - 1)) * se
    return Difference(value, se, value - half, value + half, float(2 * t.sf(abs(value) / se, count - 1)), count)
