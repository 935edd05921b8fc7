"""Typed records of the evidence: one published result, a selection of them, a finding of the check, a pooled effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crosstalk.results import Reported
from crosstalk.study.records import Eligibility, Endpoint, Figure, Marker

__all__ = [
    "CheckLine",
    "CheckReport",
    "Contrast",
    "Grade",
    "LeftOut",
    "Listing",
    "Member",
    "Pool",
    "PublishedResult",
    "Query",
    "StudyCard",
    "Subgroup",
]

Contrast = Literal["drug", "active", "diagnosis", "within", "none"]
"""What a result compares: a drug with its absence, two drugs, two populations, an arm with its baseline or with
nothing, or arms that do not differ."""

Grade = Literal["fail", "warn", "note"]


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """One published result, as listed and pooled.

    ``drugs`` are what ``arm`` gets and ``versus`` does not, ``against`` the other way round; without ``versus`` all
    drugs of the arm. ``se`` is on the scale of `crosstalk.study.endpoints.error_scale`, ``low`` and ``high`` are the
    95 % interval that follows from it, in ``unit``. ``sd`` and ``n`` are those published with the result, one number
    per group; ``n`` else the sizes of the arms. ``line`` is where the result stands in ``file``.
    """

    study: str
    title: str
    doi: str
    pubmed: str
    role: str
    bias: str
    diagnosis: str
    arm: str
    versus: str
    drugs: tuple[str, ...]
    against: tuple[str, ...]
    contrast: Contrast
    endpoint: Endpoint
    of: str
    partner: str
    partner_h: float | None
    threshold: float | None
    stratum: Eligibility | None
    time_h: float | None
    value: float
    unit: str
    se: float | None
    low: float | None
    high: float | None
    sd: tuple[float, ...]
    n: tuple[int, ...]
    source: str
    se_source: str
    provenance: str
    mismatch: tuple[tuple[str, str], ...]
    marker: Marker | None
    event: str
    shares: str
    figure: Figure
    cohort: str
    file: str
    line: int
    url: str = ""

    @property
    def quality(self) -> str:
        """The grade of the kind of publication, empty where none is given."""
        return dict(self.mismatch).get("quality", "")

    @property
    def publication(self) -> str:
        """What identifies the publication: its DOI, else its number in PubMed, else where the data are documented."""
        if self.doi:
            return f"doi {self.doi.lower()}"
        return f"PubMed {self.pubmed}" if self.pubmed else self.url


@dataclass(frozen=True, slots=True)
class Query:
    """Which results are wanted; an empty field asks for all.

    ``drug`` is one that the two arms of a result do not share, or one of the arm where nothing is compared;
    ``from_h`` and ``to_h`` [h] bound the time of the result, both included.
    """

    study: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    drug: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    diagnosis: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    contrast: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    from_h: float | None = None
    to_h: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Published results with what they were read by."""

    results: tuple[PublishedResult, ...]
    crosstalk: str
    knowledge_sha256: str


@dataclass(frozen=True, slots=True)
class StudyCard:
    """One study, in texts: facts, population, arms; and its results."""

    study: str
    title: str
    facts: tuple[tuple[str, str], ...]
    population: tuple[tuple[str, str, str], ...]
    arms: tuple[tuple[str, str, str], ...]
    results: tuple[PublishedResult, ...]


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One finding: its grade, the check, the study, where it is (file, line) and what to do."""

    grade: Grade
    check: str
    study: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was checked and what was found, the worst first."""

    studies: int
    results: int
    checks: tuple[str, ...]
    lines: tuple[CheckLine, ...]

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return any(line.grade == "fail" for line in self.lines)

    def count(self, check: str, grade: Grade) -> int:
        """Return how often a check gave a grade."""
        return sum(line.check == check and line.grade == grade for line in self.lines)


@dataclass(frozen=True, slots=True)
class Member:
    """One effect that was pooled: ``value`` (``low`` to ``high``, 95 %) in the pool's unit, its weight in percent.

    ``made`` says how it was made of published results, where it is not simply one of them.
    """

    label: str
    study: str
    publication: str
    role: str
    provenance: str
    bias: str
    value: float
    low: float
    high: float
    weight: float
    made: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A result of the selection that was not pooled, and why."""

    label: str
    study: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Pooled effect of one drug (``low`` to ``high``, 95 %), in the pool's unit; ``i2`` is None for a single effect."""

    drug: str
    k: int
    estimate: float
    low: float
    high: float
    i2: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Pool(Reported):
    """A pooled effect with everything that went into it.

    ``estimate`` (``low`` to ``high``) is the mean effect with its 95 % interval after Hartung and Knapp,
    ``prediction_low`` to ``prediction_high`` where the effect of a new study is expected in 95 of 100 cases: all in
    ``unit``, back on the scale of the endpoint. ``se``, ``tau2`` (with its 95 % interval) are on ``scale``. ``i2`` [%]
    is the share of the variance that is between studies, ``q`` Cochran's with its p-value. ``favours`` is -1 where a
    negative effect is good for the first arm, 1 where a positive one is, 0 where neither; ``null`` is no effect.
    ``subgroups`` are the effects by drug, where several were mixed on demand.
    """

    title: str
    endpoint: str
    of: tuple[str, ...]
    contrast: Contrast
    unit: str
    scale: Literal["identity", "logarithm", "Fisher z"]
    null: float | None
    favours: int
    k: int
    estimate: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    se: float
    tau2: float
    tau2_low: float
    tau2_high: float
    i2: float
    q: float
    q_p: float
    members: tuple[Member, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    crosstalk: str
    pymare: str
    knowledge_sha256: str
    subgroups: tuple[Subgroup, ...] = ()
