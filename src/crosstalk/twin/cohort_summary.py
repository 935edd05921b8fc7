"""What can be said of all patients of a cohort: analytes, what is missing, scores, strata, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.panel.records import PanelFile
from crosstalk.statistics.censored import CensoredSample, fit_lognormal
from crosstalk.twin.clinical import STRATIFIER, stratified
from crosstalk.twin.clusters import Clusters, find_clusters
from crosstalk.twin.cohort_records import (
    AnalyteSummary,
    CohortAssessment,
    Column,
    Distribution,
    MissingPattern,
    PatientColumns,
    ScaleSummary,
    ScoreColumn,
    ScoreSummary,
    Status,
    Stratum,
    Words,
)
from crosstalk.twin.records import Interval, Provenance
from crosstalk.twin.relations import unused_of_many
from crosstalk.twin.sentences import INFORMED, WITHIN

__all__ = ["STRATA", "stratum_of", "summarise"]

Array = NDArray[np.float64]

STATUSES: tuple[Status, ...] = ("ok", "edge", "outside", "no usable value", "refused")
SCORED = ("ok", "edge")
STRATA = tuple(band.label for band in stratified().bands)
EDGES = tuple(band.end for band in stratified().bands[:-1])
UNTOLD, ABSENT = "cannot be told", "no value"
SHARES, UNKNOWN = (5, 25, 50, 75, 95), (float("nan"),) * 5
PATTERNS = 12  # of missing values, listed


def summarise(
    file: PanelFile,
    patients: PatientColumns,
    columns: Mapping[str, Column],
    scores: tuple[ScoreColumn, ...],
    knowledge: Knowledge,
    provenance: Provenance,
    *,
    seed: int,
) -> CohortAssessment:
    """Summarise a cohort whose patients are assessed."""
    scored = np.array([s in SCORED for s in patients.status])
    clusters, cluster = _clusters(columns, scores, scored, seed)
    return CohortAssessment(
        file.path,
        seed,
        patients,
        columns,
        scores,
        cluster,
        {s: n for s in STATUSES if (n := patients.status.count(s))},
        tuple(_analyte(c) for c in columns.values()),
        tuple(_score(s, scored) for s in scores),
        _scales(columns, knowledge, np.ones(len(scored), dtype=bool)),
        _missingness(columns),
        _strata(columns, scores, knowledge, scored),
        clusters,
        _notes(file, columns, patients),
        file.warnings,
        provenance,
        unused_of_many(file.panels, knowledge),
    )


def _analyte(c: Column) -> AnalyteSummary:
    used = c.used
    censored = Counter(c.censored[used].tolist())
    where = Counter(c.where[used].tolist())
    placed = where["below"] + where["within"] + where["above"]
    # an open end is 0 or infinite on the scale on which the censored sample is
    with np.errstate(over="ignore"):
        z_low, z_high = (np.exp(np.clip(z, -500, 500)) for z in (c.z_low, c.z_high))
    z_low[np.isneginf(c.z_low)], z_high[np.isposinf(c.z_high)] = 0.0, np.inf
    has_z = used & ~np.isnan(c.z_low) & ~np.isnan(c.z_high)
    z = _distribution(z_low[has_z], z_high[has_z], c.analyte.id)
    low, high = c.limits
    values = _distribution(low[used], high[used], c.analyte.id)
    if c.analyte.covariate == "female":
        values = _of(UNKNOWN, f"{c.value[used].mean():.0%} female" if used.any() else "no value")
    return AnalyteSummary(
        c.analyte.id, c.analyte.name, c.analyte.unit, int(used.sum()), int((~c.present).sum()),
        int((c.present & ~used).sum()), int((used & (c.quality == "doubtful")).sum()),
        censored["left"], censored["right"], censored["interval"],
        values,
        where["below"], where["within"], where["above"], int(used.sum()) - placed,
        where["below"] / placed if placed else float("nan"), where["above"] / placed if placed else float("nan"),
        _of((float(np.log(v)) for v in (z.p5, z.p25, z.median, z.p75, z.p95)), z.how),
    )  # fmt: skip


def _distribution(low: Array, high: Array, analyte: str) -> Distribution:
    """Empirical percentiles where every value is exact, those of a fitted log-normal distribution otherwise."""
    if not len(low):
        return _of(UNKNOWN, "no value")
    if np.array_equal(low, high):
        return _of(np.percentile(low, SHARES), "percentiles")
    try:
        fit = fit_lognormal(CensoredSample(low, high, analyte))
    except PanelError as error:
        return _of(UNKNOWN, str(error))
    return _of((fit.percentile(s).value for s in SHARES), "log-normal fit, censored values included")


def _of(percentiles: Iterable[float], how: str) -> Distribution:
    p5, p25, median, p75, p95 = (float(v) for v in percentiles)
    return Distribution(p5, p25, median, p75, p95, how)


def _score(s: ScoreColumn, scored: NDArray[np.bool_]) -> ScoreSummary:
    kept = scored & np.isfinite(s.mean)
    mean, low, high = s.mean[kept], s.low[kept], s.high[kept]
    d = s.definition
    # the same rule as for one patient
    told = s.told_by_panel[kept] >= INFORMED
    is_high, is_low = told & (low > WITHIN[1]), told & (high < WITHIN[0])
    return ScoreSummary(
        d.id, d.name, d.unit, int(kept.sum()), _distribution(mean, mean, d.id), int(is_low.sum()),
        int(is_high.sum()), float(np.median(s.told[kept])) if kept.any() else float("nan"), s.healthy, s.population,
    )  # fmt: skip


def _scales(columns: Mapping[str, Column], knowledge: Knowledge, who: NDArray[np.bool_]) -> tuple[ScaleSummary, ...]:
    found = []
    for scale in knowledge.scales:
        c = columns.get(scale)
        values = np.empty(0) if c is None else c.value[who & c.used & (c.censored == "")]
        if len(values):
            sd = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
            found.append(ScaleSummary(scale, len(values), float(values.mean()), sd, float(np.median(values))))
    return tuple(found)


def _missingness(columns: Mapping[str, Column]) -> tuple[MissingPattern, ...]:
    names = np.array(list(columns))
    absent = np.stack([~c.present for c in columns.values()], axis=1)
    patterns, counts = np.unique(absent, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    found = [MissingPattern(tuple(str(a) for a in names[patterns[j]]), int(counts[j])) for j in order[:PATTERNS]]
    rest = int(counts[order[PATTERNS:]].sum())
    return (*found, MissingPattern((), rest, others=True)) if rest else tuple(found)


def stratum_of(c: Column) -> Words:
    """Label of each patient's stratum, shape (n,); a censored value only where all that it may be lies in one."""
    low, high = c.limits
    edges = np.array(EDGES)
    # 1 and 3 begin a stratum, 10 still belongs to the third; what is below a limit does not reach it
    first = np.searchsorted(edges[:2], low, "right") + (low > edges[2])
    left, right = c.censored == "left", c.censored == "right"
    first = np.where(right & (low >= edges[2]), 3, first)
    last = np.where(left, np.searchsorted(edges[:2], high, "left"), np.searchsorted(edges[:2], high, "right")) + (
        high > edges[2]
    )
    labels = np.array(STRATA, dtype=object)
    return np.where(~c.used, ABSENT, np.where(first == last, labels[np.minimum(first, 3)], UNTOLD))


def _strata(
    columns: Mapping[str, Column], scores: tuple[ScoreColumn, ...], knowledge: Knowledge, scored: NDArray[np.bool_]
) -> tuple[Stratum, ...]:
    if STRATIFIER not in columns:
        return ()
    labels = stratum_of(columns[STRATIFIER])
    found = []
    for label in (*STRATA, UNTOLD, ABSENT):
        who = labels == label
        kept = who & scored
        medians = {}
        for s in scores:
            own = s.mean[kept & np.isfinite(s.mean)]
            low, middle, high = np.quantile(own, [0.05, 0.5, 0.95]) if len(own) else [float("nan")] * 3
            medians[s.definition.id] = Interval(float(middle), float(low), float(high))
        found.append(Stratum(label, int(who.sum()), int(kept.sum()), medians, _scales(columns, knowledge, who)))
    return tuple(found)


def _clusters(
    columns: Mapping[str, Column], scores: tuple[ScoreColumn, ...], scored: NDArray[np.bool_], seed: int
) -> tuple[Clusters, NDArray[np.intp]]:
    cluster = np.zeros(len(scored), dtype=np.intp)
    kept = scored & np.all([np.isfinite(s.mean) for s in scores], axis=0)
    traits: dict[str, Sequence[str]] = {}
    artefacts: dict[str, Sequence[str]] = {}
    for name, c in columns.items():
        if c.analyte.covariate == "female":
            traits[c.analyte.name] = [f"{v}" for v in c.value[kept]]
        if not (c.analyte.observable or c.analyte.covariate):
            continue
        artefacts[f"which {name} is missing"] = [f"{v}" for v in c.used[kept]]
        artefacts[f"which {name} is censored"] = [str(v) for v in c.censored[kept]]
        artefacts[f"the method of {name}"] = [str(v) for v in c.method[kept]]
        artefacts[f"the specimen of {name}"] = [str(v) for v in c.specimen[kept]]
    found, labels = find_clusters(
        {s.definition.id: s.mean[kept] for s in scores}, traits=traits, artefacts=artefacts, seed=seed
    )
    cluster[kept] = labels
    return found, cluster


def _notes(file: PanelFile, columns: Mapping[str, Column], patients: PatientColumns) -> tuple[str, ...]:
    notes = [
        "Scores are those of virtual patients with depression, weighted by how well they explain each panel; they are "
        "rough where the effective sample is small. `crosstalk assess --patient` assesses one patient without this "
        "approximation.",
        "Patients are taken as untreated; sex and symptom scores have no part in the scores.",
    ]
    unusable = sum(s in ("no usable value", "refused") for s in patients.status)
    if unusable:
        notes.append(
            f"{unusable} patients have no score: no usable value, or refused; each with its reason in its row."
        )
    failed = sum(int((c.quality == "failed").sum()) for c in columns.values())
    if failed:
        notes.append(f"{failed} values failed quality control; they are kept and not used.")
    refused = sum(map(len, patients.refused))
    if refused:
        notes.append(f"{refused} values were refused on reading and left out; each is told with its patient.")
    if file.warnings:
        notes.append(f"Reading gave {len(file.warnings)} warnings.")
    return tuple(notes)
