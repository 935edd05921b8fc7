"""Groups are found where there are some, and not where a cloud was cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.twin.clusters import Clusters, _kmeans, _prediction_strength, find_clusters

Array = NDArray[np.float64]


def look(points: Array, seed: int = 1, **options: dict[str, list[str]]) -> tuple[Clusters, NDArray[np.intp]]:
    scaled = 0.3 * points / points.std()
    return find_clusters({f"s{j}": np.exp(scaled[:, j]) for j in range(points.shape[1])}, seed=seed, **options)


def three(n: int, gap: float, seed: int) -> tuple[Array, NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n)
    return gap * np.eye(5)[group] + rng.standard_normal((n, 5)), group


def test_no_clusters_in_normal_clouds() -> None:
    """At least 95 % of clouds of any correlation; k-means cuts an elongated one at the same place every time."""
    wrong = 0
    for run in range(60):
        rng = np.random.default_rng(run)
        axes = rng.standard_normal((5, 5)) * np.array([[3, 1, 1, 0.5, 0.2], [1, 1, 1, 1, 1]][run % 2])
        found, labels = look(rng.standard_normal(([120, 400, 1000][run % 3], 5)) @ axes.T, run)
        wrong += found.verdict != "no stable clusters"
        assert (labels > 0).all() == (found.verdict == "stable clusters")
    assert wrong <= 0.05 * 60


def test_prediction_strength_alone_would_be_fooled() -> None:
    """Why the valley is asked for: halves of an elongated cloud agree where to cut it."""
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((1000, 5)) * np.array([5.0, 1, 1, 1, 1])
    assert _prediction_strength(cloud, 2, rng) > 0.85
    assert look(cloud)[0].verdict == "no stable clusters"


@pytest.mark.parametrize(
    "shape",
    [
        lambda rng, n: np.exp(rng.standard_normal((n, 5))),
        lambda rng, n: rng.uniform(size=(n, 5)),
        lambda rng, n: rng.standard_t(3, size=(n, 5)),
        lambda rng, n: np.stack([u := rng.uniform(-2, 2, n), u**2, *rng.normal(0, 0.2, (3, n))], axis=1),
    ],
    ids=["skewed", "uniform", "heavy tails", "arch"],
)
def test_no_clusters_in_other_shapes(shape: Callable[[np.random.Generator, int], Array]) -> None:
    wrong = sum(
        look(shape(np.random.default_rng(run), 400), run)[0].verdict != "no stable clusters" for run in range(15)
    )
    assert wrong == 0


@pytest.mark.parametrize("seed", range(5))
def test_separated_clusters_are_found(seed: int) -> None:
    points, group = three(300, 6.0, seed)
    found, labels = look(points, seed)
    assert found.verdict == "stable clusters"
    assert len(found.clusters) == 3
    table = np.zeros((3, 3))
    np.add.at(table, (group, labels - 1), 1)
    assert table.max(axis=1).sum() > 0.98 * 300
    assert sum(c.n for c in found.clusters) == 300
    assert all(c.jaccard > 0.75 for c in found.clusters)
    assert [c.n for c in found.clusters] == sorted((c.n for c in found.clusters), reverse=True)


def test_overlapping_clusters_are_not_claimed() -> None:
    points, _ = three(300, 2.0, 1)
    assert look(points)[0].verdict == "no stable clusters"


def test_groups_that_follow_what_is_missing_are_not_reported() -> None:
    points, group = three(300, 6.0, 2)
    absent = [f"{g == 0}" for g in group]
    found, labels = look(points, artefacts={"which IL-6 is missing": absent})
    assert found.verdict == "no stable clusters"
    assert "which IL-6 is missing" in found.words
    assert not labels.any()
    # a trait of the patients is told, and takes nothing away
    found, labels = look(points, traits={"Sex": absent})
    assert found.verdict == "stable clusters"
    assert "Sex" in found.words


def test_too_few_patients() -> None:
    found, labels = look(np.random.default_rng(0).standard_normal((60, 5)))
    assert found.verdict == "not looked for"
    assert "60 patients" in found.words
    assert labels.shape == (60,)
    alike = np.tile(np.random.default_rng(0).standard_normal((5, 5)), (100, 1))
    assert look(alike)[0].verdict == "not looked for"
    assert find_clusters({"a": np.ones(500)})[0].verdict == "not looked for"


def test_prediction_strength_by_its_definition() -> None:
    """The lowest share of pairs kept together, for two halves cut by hand."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((60, 2))
    expected = []
    copy = np.random.default_rng(5)
    for _ in range(10):
        order = copy.permutation(60)
        halves = points[order[:30]], points[order[30:]]
        fitted = [_kmeans(half, 3, copy) for half in halves]
        for own, other in ((0, 1), (1, 0)):
            nearest = [int(((p - fitted[other][1]) ** 2).sum(axis=1).argmin()) for p in halves[own]]
            shares = []
            for j in range(3):
                members = np.flatnonzero(fitted[own][0] == j)
                pairs = [(a, b) for a in members for b in members if a != b]
                kept = sum(nearest[a] == nearest[b] for a, b in pairs)
                shares.append(kept / len(pairs) if pairs else 0.0)
            expected.append(min(shares))
    assert _prediction_strength(points, 3, np.random.default_rng(5)) == pytest.approx(np.mean(expected))
