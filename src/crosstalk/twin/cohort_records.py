"""The result of `assess_cohort`: columns of the patients, and the records of its summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from crosstalk.knowledge.records import Analyte, MechanismDefinition
from crosstalk.panel.records import Measurement
from crosstalk.results import Reported
from crosstalk.twin.clusters import Clusters
from crosstalk.twin.records import Interval, Provenance

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AnalyteSummary",
    "CohortAssessment",
    "Column",
    "Distribution",
    "MissingPattern",
    "PatientColumns",
    "ScaleSummary",
    "ScoreColumn",
    "ScoreSummary",
    "Status",
    "Stratum",
    "Words",
]

Array = NDArray[np.float64]
Words = NDArray[np.object_]
Status = Literal["ok", "edge", "outside", "no usable value", "refused"]


@dataclass(frozen=True)
class Column:
    """One analyte of a cohort, arrays of shape (n,): NaN and empty where a patient has no value.

    ``where`` is the position against the reference; ``z_low`` and ``z_high`` are the ends of its z-score, equal for an
    exact value and infinite at the open end of a censored one.
    """

    analyte: Analyte
    value: Array
    upper: Array
    censored: Words
    quality: Words
    method: Words
    specimen: Words
    where: Words
    z_low: Array
    z_high: Array

    @classmethod
    def empty(cls, analyte: Analyte, n: int) -> Column:
        """A column without a value."""

        def nothing() -> Array:
            return np.full(n, np.nan)

        def silent() -> Words:
            return np.full(n, "", dtype=object)

        return cls(
            analyte, nothing(), nothing(), silent(), silent(), silent(), silent(), silent(), nothing(), nothing()
        )

    def set(self, i: int, m: Measurement) -> None:
        """Enter the value of a patient."""
        self.value[i], self.censored[i], self.quality[i] = m.value, m.censored, m.quality
        self.method[i], self.specimen[i] = m.method, m.specimen
        self.upper[i] = np.nan if m.upper is None else m.upper
        self.where[i] = "unknown" if m.quality != "failed" and self.analyte.references else ""

    @property
    def present(self) -> NDArray[np.bool_]:
        """Who has a value, failed or not."""
        return np.isfinite(self.value)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Who has a value that did not fail."""
        return np.asarray(self.present & (self.quality != "failed"), dtype=bool)

    @property
    def limits(self) -> tuple[Array, Array]:
        """Between which the truth lies, from 0 to infinity where nothing is known."""
        low, high = np.zeros(len(self.value)), np.full(len(self.value), np.inf)
        used, left, right = self.used, self.censored == "left", self.censored == "right"
        low[used & ~left] = self.value[used & ~left]
        high[used & ~right] = self.value[used & ~right]
        between = used & (self.censored == "interval")
        high[between] = self.upper[between]
        return low, high

    @property
    def z(self) -> Array:
        """The z-score of exact values."""
        return np.where(self.censored == "", self.z_low, np.nan)


@dataclass(frozen=True)
class ScoreColumn:
    """One mechanism score, arrays of shape (n,), NaN where a patient has none, beside population and health.

    ``told`` is the share of the population's variance that is taken away, ``told_by_panel`` the part of it that
    laboratory values take away beyond covariates.
    """

    definition: MechanismDefinition
    mean: Array
    low: Array
    high: Array
    told: Array
    told_by_panel: Array
    population: Interval
    healthy: float


@dataclass(frozen=True)
class PatientColumns:
    """What is said of each patient as a whole, each of length n.

    ``refused`` are analytes whose value could not be read, each with the reason; ``notes`` is all that reading the
    panel assumed, computed or left out.
    """

    patient: tuple[str, ...]
    status: tuple[Status, ...]
    reason: tuple[str, ...]
    effective_sample: Array
    tail_probability: Array
    most_unusual: tuple[str, ...]
    refused: tuple[Mapping[str, str], ...]
    notes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Percentiles of values of which some may be censored.

    ``how`` tells how they were found, or why they cannot be told; they are NaN then.
    """

    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    how: str


@dataclass(frozen=True, slots=True)
class AnalyteSummary:
    """One analyte in a cohort.

    ``n`` are all values that did not fail; ``left``, ``right`` and ``interval`` are the censored ones among them.
    ``below``, ``within`` and ``above`` count those with a place against a reference range, ``unplaced`` the others;
    the shares are of those with a place, NaN where there are none. ``z`` is the distribution of the z-scores.
    """

    analyte: str
    name: str
    unit: str
    n: int
    missing: int
    failed: int
    doubtful: int
    left: int
    right: int
    interval: int
    values: Distribution
    below: int
    within: int
    above: int
    unplaced: int
    share_below: float
    share_above: float
    z: Distribution


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Percentiles of the patients' mean scores.

    ``low`` and ``high`` count patients whose own interval says so, of those whose laboratory values tell something.
    Means of patients who are told little lie near the mean of the population, so they differ less than the patients do.
    """

    id: str
    name: str
    unit: str
    n: int
    means: Distribution
    low: int
    high: int
    told: float
    healthy: float
    population: Interval


@dataclass(frozen=True, slots=True)
class ScaleSummary:
    """A symptom scale in some patients."""

    scale: str
    n: int
    mean: float
    sd: float
    median: float


@dataclass(frozen=True, slots=True)
class MissingPattern:
    """Patients who lack the same analytes; ``others`` stands for the rarer patterns together."""

    missing: tuple[str, ...]
    n: int
    others: bool = False


@dataclass(frozen=True, slots=True)
class Stratum:
    """Patients whose C-reactive protein certainly lies in a range, with their median scores and symptoms."""

    label: str
    n: int
    scored: int
    scores: dict[str, Interval]
    scales: tuple[ScaleSummary, ...]


@dataclass(frozen=True, repr=False)
class CohortAssessment(Reported):
    """A cohort read against references, the mechanism scores of its patients, and its summary.

    Attributes
    ----------
    path : str
    patients : PatientColumns
    columns : mapping of str to Column
        By analyte.
    score_columns : tuple of ScoreColumn
    cluster : array of int, shape (n,)
        0 where there are no stable clusters or the patient has no score.
    statuses : mapping of str to int
    analytes, scores, scales, missingness, strata, clusters
        The summary.
    unused : tuple of str
        What was given and not used, with how many patients, in one sentence.
    warnings : tuple of str
        What reading the file gave.
    """

    path: str
    seed: int
    patients: PatientColumns
    columns: Mapping[str, Column]
    score_columns: tuple[ScoreColumn, ...]
    cluster: NDArray[np.intp]
    statuses: Mapping[str, int]
    analytes: tuple[AnalyteSummary, ...]
    scores: tuple[ScoreSummary, ...]
    scales: tuple[ScaleSummary, ...]
    missingness: tuple[MissingPattern, ...]
    strata: tuple[Stratum, ...]
    clusters: Clusters
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    unused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.patients.patient)

    def to_frame(self) -> pd.DataFrame:
        """One row per patient.

        Returns
        -------
        DataFrame
            ``patient``, ``status``, ``reason``, ``effective_sample``, ``tail_probability``, ``most_unusual``,
            ``cluster``; ``refused``, the analytes whose value could not be read, and ``notes``; each score with
            ``_lo90``, ``_hi90``, ``_told`` and ``_told_by_panel``; each analyte, in its own unit, with ``_upper``,
            ``_censored``, ``_quality`` (``refused`` where a value could not be read), ``_position``, ``_percentile``
            and ``_z``.
        """
        import pandas as pd

        p = self.patients
        table: dict[str, Any] = {
            "patient": p.patient, "status": p.status, "reason": p.reason, "effective_sample": p.effective_sample,
            "tail_probability": p.tail_probability, "most_unusual": p.most_unusual, "cluster": self.cluster,
            "refused": ["; ".join(r) for r in p.refused], "notes": [" ".join(map(_sentence, n)) for n in p.notes],
        }  # fmt: skip
        for s in self.score_columns:
            score = {
                "": s.mean, "_lo90": s.low, "_hi90": s.high, "_told": s.told, "_told_by_panel": s.told_by_panel,
            }  # fmt: skip
            table.update({s.definition.id + ending: part for ending, part in score.items()})
        rows: dict[str, list[int]] = {}
        for i, refused in enumerate(p.refused):
            for name in refused:
                rows.setdefault(name, []).append(i)
        for name, c in self.columns.items():
            quality = c.quality.copy()
            quality[rows.get(name, [])] = "refused"
            value = {
                "": c.value, "_upper": c.upper, "_censored": c.censored, "_quality": quality, "_position": c.where,
                "_percentile": 100 * ndtr(c.z), "_z": c.z,
            }  # fmt: skip
            table.update({name + ending: part for ending, part in value.items()})
        return pd.DataFrame(table)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows of the patients, as plain dicts and tuples."""
        rows = ("patients", "columns", "score_columns", "cluster")
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in rows}
        return {"n": len(self), **{name: _plain(value) for name, value in kept.items()}}


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return tuple(_plain(v) for v in value) if isinstance(value, tuple) else value
