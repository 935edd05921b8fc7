"""Groups of patients, and whether they are more than a cut through a cloud.

K-means cuts any cloud, and an elongated cloud always at the same place, so stability alone proves nothing. Groups are
reported only if three things hold: half of the patients predict the groups of the other half (prediction strength),
each group comes back when patients are drawn again (Jaccard similarity), and between the centers of any two groups
there are fewer patients than at either center (a valley). Otherwise the answer is that there are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Association", "Candidate", "Cluster", "Clusters", "find_clusters"]

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

STRENGTH = 0.8  # Tibshirani and Walther 2005: the largest number of clusters above 0.8 to 0.9
JACCARD = 0.75  # Hennig 2007 and his R package fpc: a valid, stable cluster has 0.75 or more
VALLEY = 0.01  # level of the test for a valley (assumed)
# Cramer's V from which groups are said to follow something else, and from which they are nothing else (assumed): a
# group of low values has many below the limit of detection, a group made by the limit is all of them
FOLLOWS, IDENTICAL = 0.5, 0.8
FEWEST, SMALLEST = 100, 20  # patients, in all and in a group, below which nothing is looked for (assumed)
MOST = 6  # clusters tried
STARTS, SPLITS, RESAMPLES = 5, 10, 50
AT_MOST = 2000  # patients on whom stability is measured; more cost time and tell no more


@dataclass(frozen=True, slots=True)
class Candidate:
    """One number of clusters and its checks, in their order; NaN where an earlier one had failed.

    ``jaccard`` is that of the least stable cluster.
    """

    k: int
    smallest: int
    valley_p: float
    prediction_strength: float
    jaccard: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """One stable group: its patients, its stability, and the geometric mean of each score."""

    label: int
    n: int
    jaccard: float
    center: dict[str, float]


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly the groups follow something else: Cramer's V, 0 to 1.

    An ``artefact`` is no trait of a patient: what was missing, censored, or how it was measured.
    """

    what: str
    v: float
    artefact: bool


@dataclass(frozen=True, slots=True)
class Clusters:
    """The verdict, in a word and in words, with all that was checked."""

    verdict: Literal["stable clusters", "no stable clusters", "not looked for"]
    words: str
    on: str
    patients: int
    candidates: tuple[Candidate, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    follows: tuple[Association, ...] = ()


def find_clusters(
    scores: Mapping[str, Array],
    *,
    traits: Mapping[str, Sequence[str]] | None = None,
    artefacts: Mapping[str, Sequence[str]] | None = None,
    seed: int = 1,
) -> tuple[Clusters, Labels]:
    """Look for stable groups of patients in positive scores.

    Parameters
    ----------
    scores : mapping of str to array, shape (n,)
        Positive and finite; their standardised logarithms are clustered.
    traits, artefacts : mapping of str to sequence of str, length n
        What the groups are compared with afterwards. Groups that follow an artefact are not reported as groups.
    seed : int

    Returns
    -------
    (Clusters, array of int, shape (n,))
        The verdict, and the group of each patient from 1 on; 0 for all where there are none.

    Notes
    -----
    Of 2 to 6 clusters the largest number is taken that passes every check. The valley is tested between each two
    centers on the patients of these two clusters, projected on the line through the centers: of three adjacent parts
    of it of equal length, around one center, between, and around the other, a density with one mode has in the middle
    at least as many patients as in the lesser of the two outer ones. The larger of the two one-sided binomial
    probabilities is a valid one for the union of both hypotheses (intersection-union test, doi
    10.1080/00401706.1982.10487790); the largest of all pairs counts.

    References
    ----------
    Prediction strength: Tibshirani and Walther 2005, doi 10.1198/106186005X59243. Stability of each cluster: Hennig
    2007, doi 10.1016/j.csda.2006.11.025.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> cloud = {"a": np.exp(rng.standard_normal(300)), "b": np.exp(rng.standard_normal(300))}
    >>> find_clusters(cloud)[0].verdict
    'no stable clusters'
    """
    names = tuple(scores)
    on = "logarithms of the mechanism scores, each divided by its standard deviation"
    n = len(scores[names[0]]) if names else 0
    nobody = np.zeros(n, dtype=np.intp)
    if n < FEWEST:
        return Clusters(
            "not looked for", f"{n} patients have scores; groups are looked for from {FEWEST} on.", on, n
        ), nobody
    logs = np.stack([np.log(scores[name]) for name in names], axis=1)
    spread = logs.std(axis=0)
    points = (logs - logs.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    if points.shape[1] == 0 or len(np.unique(points, axis=0)) < FEWEST:
        words = f"fewer than {FEWEST} patients differ in their scores; the panels tell too little."
        return Clusters("not looked for", words[0].upper() + words[1:], on, n), nobody
    rng = np.random.default_rng([seed, 60])
    some = points if n <= AT_MOST else points[np.sort(rng.choice(n, AT_MOST, replace=False))]
    checked = [_check(points, some, k, rng) for k in range(2, MOST + 1)]
    candidates = tuple(c for c, _, _ in checked)
    best = next((found for found in checked[::-1] if found[0].passed), None)
    if best is None:
        return Clusters("no stable clusters", _why_none(candidates), on, n, candidates), nobody
    candidate, labels, jaccard = best
    follows = _associations(labels, traits or {}, artefacts or {})
    false = [a for a in follows if a.artefact and a.v >= IDENTICAL]
    if false:
        words = (
            f"No stable clusters: {candidate.k} groups come back, but they follow {false[0].what} (Cramer's V "
            f"{false[0].v:.2f}), which is no trait of a patient."
        )
        return Clusters("no stable clusters", words, on, n, candidates, (), follows), nobody
    clusters = tuple(
        Cluster(
            j + 1,
            int((labels == j).sum()),
            float(jaccard[j]),
            {name: float(np.exp(logs[labels == j, i].mean())) for i, name in enumerate(names)},
        )
        for j in range(candidate.k)
    )
    words = (
        f"{candidate.k} stable clusters: prediction strength {candidate.prediction_strength:.2f}, lowest Jaccard "
        f"similarity {candidate.jaccard:.2f}, a valley between any two (p at most {max(candidate.valley_p, 1e-4):.1g})."
    )
    strongest = next((a for a in follows if a.v >= FOLLOWS), None)
    if strongest is not None:
        words += f" They follow {strongest.what} (Cramer's V {strongest.v:.2f})."
    return Clusters("stable clusters", words, on, n, candidates, clusters, follows), labels + 1


def _check(points: Array, some: Array, k: int, rng: np.random.Generator) -> tuple[Candidate, Labels, Array]:
    """Check one number of clusters; what costs time comes last."""
    labels, centers = _kmeans(points, k, rng)
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")  # the largest cluster is the first
    labels, centers = np.argsort(order)[labels], centers[order]
    smallest = int(np.bincount(labels, minlength=k).min())
    valley, strength, jaccard = _valley(points, labels, centers), float("nan"), np.full(k, np.nan)
    passed = smallest >= SMALLEST and valley < VALLEY
    if passed:
        strength = _prediction_strength(some, k, rng)
        passed = strength >= STRENGTH
    if passed:
        jaccard = _jaccard(some, centers, rng)
        passed = bool(jaccard.min() >= JACCARD)
    return Candidate(k, smallest, valley, strength, float(jaccard.min()), passed), labels, jaccard


def _kmeans(points: Array, k: int, rng: np.random.Generator) -> tuple[Labels, Array]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # on few points threads only wait for one another
        found: Any = KMeans(k, n_init=STARTS, random_state=int(rng.integers(2**31))).fit(points)
    return found.labels_.astype(np.intp), found.cluster_centers_


def _nearest(points: Array, centers: Array) -> Labels:
    return np.asarray(((points[:, None, :] - centers[None]) ** 2).sum(axis=2).argmin(axis=1), dtype=np.intp)


def _valley(points: Array, labels: Labels, centers: Array) -> float:
    """Largest p of all pairs of clusters for a density without a valley between their centers."""
    from scipy.stats import binom

    worst = 0.0
    for a, b in combinations(range(len(centers)), 2):
        line = centers[b] - centers[a]
        both = points[(labels == a) | (labels == b)]
        place = (both - centers[a]) @ line / (line @ line)
        left, middle, right = np.histogram(place, bins=[-0.25, 0.25, 0.75, 1.25])[0]
        worst = max(worst, *(float(binom.cdf(middle, middle + outer, 0.5)) for outer in (left, right)))
    return worst


def _prediction_strength(points: Array, k: int, rng: np.random.Generator) -> float:
    """Mean over halvings of the lowest share of pairs of a cluster that the other half puts together too."""
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(len(points))
        halves = points[order[: len(order) // 2]], points[order[len(order) // 2 :]]
        fitted = [_kmeans(half, k, rng) for half in halves]
        for own, other in ((0, 1), (1, 0)):
            table = np.zeros((k, k))
            np.add.at(table, (fitted[own][0], _nearest(halves[own], fitted[other][1])), 1)
            size = table.sum(axis=1)
            pairs = size * (size - 1)
            together = (table * (table - 1)).sum(axis=1)
            found.append(float(np.min(np.where(pairs > 0, together / np.maximum(pairs, 1), 0.0))))
    return float(np.mean(found))


def _jaccard(points: Array, centers: Array, rng: np.random.Generator) -> Array:
    """Mean over resamples, for each cluster, of its similarity to the most similar cluster found again."""
    k = len(centers)
    whole = _nearest(points, centers)
    similarity = np.zeros((RESAMPLES, k))
    for b in range(RESAMPLES):
        drawn = np.unique(rng.integers(len(points), size=len(points)), return_counts=True)
        chosen = np.repeat(drawn[0], drawn[1])
        again = _kmeans(points[chosen], k, rng)[0][np.cumsum(drawn[1]) - 1]  # each patient drawn, once
        table = np.zeros((k, k))
        np.add.at(table, (whole[drawn[0]], again), 1)
        union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None] - table
        similarity[b] = (table / np.maximum(union, 1)).max(axis=1)
    return np.asarray(similarity.mean(axis=0))


def _associations(
    labels: Labels, traits: Mapping[str, Sequence[str]], artefacts: Mapping[str, Sequence[str]]
) -> tuple[Association, ...]:
    found = [Association(what, _cramer(labels, v), False) for what, v in traits.items()]
    found += [Association(what, _cramer(labels, v), True) for what, v in artefacts.items()]
    return tuple(sorted((a for a in found if np.isfinite(a.v)), key=lambda a: -a.v))


def _cramer(labels: Labels, values: Sequence[str]) -> float:
    kinds, other = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    if len(kinds) < 2:
        return float("nan")
    table = np.zeros((int(labels.max()) + 1, len(kinds)))
    np.add.at(table, (labels, other), 1)
    n = table.sum()
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0)[None] / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / (n * (min(table.shape) - 1))))


def _why_none(candidates: Sequence[Candidate]) -> str:
    valleys = [c for c in candidates if c.valley_p < VALLEY and c.smallest >= SMALLEST]
    if not valleys:
        return (
            "No stable clusters: however many groups the patients are cut into, there is no valley between some two "
            "of them; the patients form one cloud."
        )
    c = max(valleys, key=lambda v: v.prediction_strength)
    return (
        f"No stable clusters: {c.k} groups would be the best, but they are not the same again in other patients "
        f"(prediction strength {c.prediction_strength:.2f}, expected {STRENGTH:g}"
        + (f"; Jaccard similarity {c.jaccard:.2f}, expected {JACCARD:g}" if np.isfinite(c.jaccard) else "")
        + ")."
    )
