"""Comparisons that two arms of one study imply, where a publication gives only the arms."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from itertools import combinations
from math import hypot

from crosstalk.evidence.listing import interval, stratum_text
from crosstalk.evidence.records import PublishedResult
from crosstalk.study.endpoints import error_scale, from_error_scale

__all__ = ["MADE", "compare_arms"]

ENDPOINTS = ("level", "change", "ratio", "response", "remission", "incidence", "prevalence")
MADE = "difference of two arms"


def compare_arms(rows: Iterable[PublishedResult]) -> tuple[PublishedResult, ...]:
    """Make comparisons of pairs of arms that published the same endpoint at the same time in the same stratum.

    Only a pair of which one arm has all drugs of the other and more is compared, and only where the publication does
    not compare it itself. Arms are independent groups, so the variances add (on the scale of the error: a ratio of
    ratios for ``ratio``, a difference for all others).

    Parameters
    ----------
    rows : iterable of PublishedResult

    Returns
    -------
    tuple of PublishedResult
        New results whose ``source`` begins with "difference of two arms".
    """
    given = list(rows)
    compared = {(_target(row), frozenset((row.arm, row.versus))) for row in given if row.versus}
    groups: dict[Hashable, list[PublishedResult]] = {}
    for row in given:
        if row.contrast == "within" and row.endpoint in ENDPOINTS and row.se:
            groups.setdefault(_target(row), []).append(row)
    made = []
    for target, arms in groups.items():
        for first, second in combinations(arms, 2):
            more, less = (first, second) if set(first.drugs) > set(second.drugs) else (second, first)
            pair = frozenset((first.arm, second.arm))
            if set(more.drugs) > set(less.drugs) and len(pair) == 2 and (target, pair) not in compared:
                made.append(_difference(more, less))
    return tuple(made)


def _target(row: PublishedResult) -> tuple[Hashable, ...]:
    return row.study, row.diagnosis, row.endpoint, row.of, row.threshold, row.time_h, stratum_text(row.stratum)


def _difference(row: PublishedResult, other: PublishedResult) -> PublishedResult:
    assert row.se is not None
    assert other.se is not None
    middle = error_scale(row.endpoint, row.value) - error_scale(other.endpoint, other.value)
    value, se = from_error_scale(row.endpoint, middle), hypot(row.se, other.se)
    low, high = interval(row.endpoint, value, se)
    assumed = next((r.se_source for r in (row, other) if r.se_source.startswith("assumed")), "")
    recalled = "memory" in (row.provenance, other.provenance)
    return replace(
        row,
        versus=other.arm,
        drugs=tuple(drug for drug in row.drugs if drug not in other.drugs),
        against=(),
        contrast="drug",
        value=value,
        se=se,
        low=low,
        high=high,
        sd=row.sd + other.sd if len(row.sd) == len(other.sd) == 1 else (),
        n=row.n + other.n if len(row.n) == len(other.n) == 1 else (),
        source=f"{MADE}: {row.source}; {other.source}",
        se_source=assumed,
        provenance="memory" if recalled else row.provenance,
    )
