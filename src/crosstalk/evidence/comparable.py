"""Which published results may be pooled: effects on one scale, none twice; and why each of the others is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from crosstalk.errors import EvidenceError, UsageError
from crosstalk.evidence.arms import MADE
from crosstalk.evidence.listing import marker_text, stratum_text, time_text
from crosstalk.evidence.records import Contrast, LeftOut, PublishedResult, Query
from crosstalk.knowledge.loader import Knowledge
from crosstalk.statistics.effect_sizes import hedges_correction, smd_se
from crosstalk.study.endpoints import error_scale
from crosstalk.study.records import Eligibility, Endpoint

__all__ = ["SHARED_ARM", "Comparable", "Effect", "comparable", "overlap", "standardise", "too_few"]

MEANS = ("level", "change")
ORDER: tuple[Contrast, ...] = ("drug", "diagnosis", "active", "within", "none")
SHARED_ARM = 0.5  # correlation of two effects that share an arm of the same size

CONTRASTS: dict[str, str] = {
    "drug": "compares a drug with its absence",
    "active": "compares two treatments",
    "diagnosis": "compares two populations",
    "within": "has no arm to compare with",
    "none": "compares arms with the same treatment",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect to pool, on the scale of its error, and the published results it was made of."""

    rows: tuple[PublishedResult, ...]
    value: float
    se: float
    made: str = ""


@dataclass(frozen=True, slots=True)
class Comparable:
    """Effects that may be pooled, their endpoint and contrast, and what was left out."""

    endpoint: Endpoint
    contrast: Contrast
    of: tuple[str, ...]
    effects: tuple[Effect, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def comparable(
    rows: Sequence[PublishedResult], query: Query, knowledge: Knowledge, *, meta_analyses: bool = False
) -> Comparable:
    """Choose the effects to pool.

    From each comparison of a study the last time counts; at it the whole sample before its strata, a published
    standardized difference before one that is made of means. Comparisons of one study that share an arm are averaged
    with a correlation of 0.5. Meta-analyses are left out where two trials or more remain, whose patients they may hold.

    Parameters
    ----------
    rows : sequence of PublishedResult
        Those that match ``query``.
    query : Query
        With at least one endpoint: one alone, ``level`` with ``change``, or these with ``smd``.
    knowledge : Knowledge
    meta_analyses : bool
        Keep meta-analyses beside trials.

    Raises
    ------
    UsageError
        If endpoints or analytes of different kinds are asked for.
    """
    endpoint, standard = _endpoint(rows, query, knowledge)
    found = {row.contrast for row in rows}
    contrast = next(kind for kind in ORDER if kind in found)
    left_out: list[LeftOut] = []

    def drop(kept: Iterable[PublishedResult], reason: Callable[[PublishedResult], str]) -> list[PublishedResult]:
        rest = []
        for row in kept:
            why = reason(row)
            if why:
                left_out.append(LeftOut(label(row), row.study, why))
            else:
                rest.append(row)
        return rest

    kept = drop(rows, lambda row: "" if row.contrast == contrast else CONTRASTS[row.contrast])
    if contrast == "within" and endpoint == "change":
        kept = drop(kept, lambda row: "is a level, not a change" if row.endpoint == "level" else "")
    kept = drop(kept, lambda row: _other_drugs(row, query))
    kept = drop(kept, _definition(kept))
    kept = drop(kept, lambda row: "" if row.se else "has no standard error")
    made = {id(row): _effect(row, standard) for row in kept}
    kept = drop(kept, lambda row: why if isinstance(why := made[id(row)], str) else "")
    trials = {row.study for row in kept if row.quality != "meta-analysis"}
    if len(trials) > 1 and not meta_analyses:
        why = "is a meta-analysis, which may hold patients of the others"
        kept = drop(kept, lambda row: why if row.quality == "meta-analysis" else "")
    kept = drop(kept, _better(kept))
    effects = []
    for group in _grouped(kept):
        own = [effect for row in group if isinstance(effect := made[id(row)], Effect)]
        effects.append(own[0] if len(own) == 1 else _average(own))
    used = tuple(dict.fromkeys(row.of for row in kept))
    return Comparable(endpoint, contrast, used, tuple(effects), tuple(left_out), _notes(kept, knowledge, standard))


def label(row: PublishedResult) -> str:
    """Name a result: study, arm, time, stratum."""
    versus = f" against {row.versus}" if row.versus else ""
    parts = (f"{row.study}: {row.arm}{versus}", f"{row.endpoint} of {row.of}", time_text(row.time_h))
    return ", ".join(part for part in (*parts, stratum_text(row.stratum)) if part)


def standardise(row: PublishedResult) -> tuple[float, float, str] | str:
    """Make a standardized mean difference of a difference of means.

    Returns
    -------
    tuple or str
        (Hedges' g, its standard error, where the standard deviation is from), or why it cannot be made. The standard
        deviation is the published one, or that which the standard error of two arms implies [1]_; an assumed one is
        none.

    References
    ----------
    .. [1] Cochrane Handbook for Systematic Reviews of Interventions, version 6, sections 6.5.2.3 and 6.5.1.2.
       doi:10.1002/9781119536604
    """
    if not row.versus:
        return "is a change of one arm; its standard deviation at baseline is not published"
    if row.quality == "meta-analysis":
        return "is a mean difference of a meta-analysis; no standard deviation is published"
    if row.se_source.startswith("assumed") or row.se is None:
        return "is a mean difference whose standard deviation is not known (its error is assumed)"
    if len(row.n) != 2:
        return "is a mean difference whose standard deviation is not known (no sizes of the groups)"
    first, second = row.n
    if first < 2 or second < 2:
        return "is a mean difference of a group of one"
    if len(row.sd) == 2:
        pooled = sqrt(((first - 1) * row.sd[0] ** 2 + (second - 1) * row.sd[1] ** 2) / (first + second - 2))
        made = "standardized with the published SD"
    else:
        pooled = row.se / sqrt(1 / first + 1 / second)
        made = "standardized with the SD that its standard error implies"
    g = hedges_correction(first + second - 2) * row.value / pooled
    return g, smd_se(g, first, second), made


def _endpoint(rows: Sequence[PublishedResult], query: Query, knowledge: Knowledge) -> tuple[Endpoint, bool]:
    """Return the endpoint of the pool, and whether means are standardized for it."""
    asked = set(query.endpoint)
    if not asked:
        raise UsageError("nothing says what to pool; give an endpoint, such as smd, change or odds-ratio")
    if len(asked) > 1 and not asked <= {*MEANS, "smd"}:
        raise UsageError(
            f"{' and '.join(sorted(asked))} cannot be pooled together; expected one endpoint, or level, change and smd"
        )
    subjects = sorted({row.of for row in rows})
    scales = [name for name in subjects if name in knowledge.scales]
    if len(subjects) > 1 and len(scales) < len(subjects):
        raise UsageError(
            f"the results are of {', '.join(subjects)}; choose one analyte (--of), or symptom scales alone"
        )
    if "smd" in asked or (asked <= set(MEANS) and len(subjects) > 1):
        return "smd", True
    return "change" if "change" in asked else query.endpoint[0], False


def _other_drugs(row: PublishedResult, query: Query) -> str:
    """Say which drug that was not asked for differs between the arms too."""
    if not query.drug or row.contrast not in ("drug", "active"):
        return ""
    own = row.drugs if set(row.drugs) & set(query.drug) else row.against
    others = sorted(set(own) - set(query.drug))
    return f"has {', '.join(others)} in the same arm alone" if others else ""


def _definition(rows: Sequence[PublishedResult]) -> Callable[[PublishedResult], str]:
    """Keep the most frequent definition: what is correlated, which value counts, which marker in which steps."""

    def definition(row: PublishedResult) -> tuple[str, float | None, str, str]:
        return row.partner, row.threshold, "" if row.marker is None else marker_text(row.marker), row.event

    counts = Counter(definition(row) for row in rows)
    if len(counts) < 2:
        return lambda _: ""
    kept = counts.most_common(1)[0][0]
    said = " with " + kept[0] if kept[0] else ("" if kept[1] is None else f" from {kept[1]:g}")
    said += "".join(f", {text}" for text in kept[2:] if text)
    return lambda row: "" if definition(row) == kept else f"is defined otherwise than the most{said}"


def _effect(row: PublishedResult, standard: bool) -> Effect | str:
    # where the drug is what the other arm gets, or the patients are the other arm, the comparison is turned round
    reverse = not row.drugs if row.contrast == "drug" else row.contrast == "diagnosis" and row.diagnosis == "healthy"
    sign, turned = (-1.0, "turned round") if reverse else (1.0, "")
    pair = MADE if row.source.startswith(MADE) else ""
    if standard and row.endpoint in MEANS:
        found = standardise(row)
        if isinstance(found, str):
            return found
        value, se, made = found
        return Effect((row,), sign * value, se, ", ".join(part for part in (pair, made, turned) if part))
    assert row.se is not None
    try:
        value = error_scale(row.endpoint, row.value)
    except ValueError:
        return f"has a value ({row.value:g}) without {row.endpoint} scale"
    return Effect((row,), sign * value, row.se, ", ".join(part for part in (pair, turned) if part))


def _better(rows: Sequence[PublishedResult]) -> Callable[[PublishedResult], str]:
    """Say why a result gives way to another one of the same study."""
    published = {_comparison(row) for row in rows if row.endpoint == "smd"}

    def preferred(row: PublishedResult) -> tuple[float, bool, bool]:
        # the last time, then the whole sample, then a published standardized difference
        made = row.endpoint != "smd" and _comparison(row) in published
        return -(row.time_h or 0.0), row.stratum is not None, made

    ranked = sorted(range(len(rows)), key=lambda i: preferred(rows[i]))
    reasons: dict[int, str] = {}
    kept: list[PublishedResult] = []
    for i in ranked:
        row = rows[i]
        reasons[id(row)] = next((why for other in kept if (why := _gives_way(row, other))), "")
        if not reasons[id(row)]:
            kept.append(row)
    return lambda row: reasons[id(row)]


def _comparison(row: PublishedResult) -> Hashable:
    return row.study, row.arm, row.versus


def _gives_way(row: PublishedResult, other: PublishedResult) -> str:
    if _comparison(row) != _comparison(other) or not overlap(row.stratum, other.stratum):
        return ""
    if row.time_h != other.time_h:
        return f"is earlier than {time_text(other.time_h)}, which is pooled"
    if other.stratum is None and row.stratum is not None:
        return "is a part of the sample that is pooled"
    if row.stratum is not None and stratum_text(row.stratum) != stratum_text(other.stratum):
        return f"shares patients with {stratum_text(other.stratum)}"
    if row.endpoint != other.endpoint or row.of != other.of:
        return f"is of the patients of the pooled {other.endpoint} of {other.of}"
    return "is a duplicate"


def overlap(first: Eligibility | None, second: Eligibility | None) -> bool:
    """Whether two strata may hold the same patients."""
    if first is None or second is None or first.analyte != second.analyte:
        return True
    low = max(limit for limit in (first.min, second.min, float("-inf")) if limit is not None)
    high = min(limit for limit in (first.max, second.max, float("inf")) if limit is not None)
    return low < high


def _grouped(rows: Sequence[PublishedResult]) -> list[list[PublishedResult]]:
    """Put results together that share an arm and its patients."""
    groups: list[list[PublishedResult]] = []
    for row in rows:
        mine = {row.arm, row.versus} - {""}
        home = next(
            (
                group
                for group in groups
                if group[0].study == row.study
                and any(mine & {other.arm, other.versus} and overlap(row.stratum, other.stratum) for other in group)
            ),
            None,
        )
        if home is None:
            groups.append([row])
        else:
            home.append(row)
    return groups


def _average(effects: Sequence[Effect]) -> Effect:
    """Average effects of one study that share an arm."""
    m = len(effects)
    total = sum(effect.se for effect in effects)
    squares = sum(effect.se**2 for effect in effects)
    variance = (squares + SHARED_ARM * (total**2 - squares)) / m**2
    rows = tuple(row for effect in effects for row in effect.rows)
    made = f"mean of {m} comparisons that share an arm"
    return Effect(rows, sum(effect.value for effect in effects) / m, sqrt(variance), made)


def _notes(rows: Sequence[PublishedResult], knowledge: Knowledge, standard: bool) -> tuple[str, ...]:
    notes = []
    populations = sorted({row.diagnosis for row in rows})
    if len(populations) > 1:
        notes.append(f"Populations differ: {', '.join(populations)}.")
    treatments = sorted({" with ".join(row.drugs or row.against) or "no drug" for row in rows})
    if len(treatments) > 1:
        notes.append(f"Treatments differ: {', '.join(treatments)}.")
    if standard and {row.endpoint for row in rows} >= {"smd", "change"}:
        notes.append("Some effects are in SDs of change, some in SDs of the score; these are not the same unit.")
    spread = max((knowledge.analytes[row.of].offset_log_sd for row in rows if row.of in knowledge.analytes), default=0)
    if not standard and spread > 0.25 and any(row.endpoint in MEANS for row in rows):
        notes.append("Assays of this analyte differ several-fold; ratios and standardized differences compare better.")
    pooled = {row.study for row in rows if row.quality == "meta-analysis"}
    if pooled and len({row.study for row in rows}) > 1:
        names = ", ".join(sorted(pooled))
        notes.append(f"Meta-analyses among them ({names}) may hold the same patients: the interval is then too narrow.")
    biased = sorted({row.study for row in rows if row.bias})
    if biased:
        notes.append(f"Studies with a bias term, not corrected here: {', '.join(biased)}.")
    recalled = sorted({row.study for row in rows if row.provenance == "memory"})
    if recalled:
        notes.append(f"Recalled, not seen: {', '.join(recalled)}.")
    assumed = sorted({row.study for row in rows if row.se_source.startswith("assumed")})
    if assumed:
        notes.append(f"Weighed with an assumed standard error: {', '.join(assumed)}.")
    return tuple(notes)


def too_few(found: Comparable) -> EvidenceError:
    """Return the error for fewer than two effects, with what was left out."""
    reasons: dict[str, dict[str, None]] = {}
    for out in found.left_out:
        reasons.setdefault(out.reason, {})[out.study] = None
    lines = [f"  {', '.join(studies)}: {reason}" for reason, studies in reasons.items()]
    count = "one comparable effect" if found.effects else "no comparable effect"
    hint = "widen the choice" + (", or look at what was left out:" if lines else "")
    return EvidenceError("\n".join([f"{count} of {found.endpoint}; expected two or more; {hint}", *lines]))
