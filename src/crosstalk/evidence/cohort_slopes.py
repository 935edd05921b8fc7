"""What each cohort says to a question of moderation, in SD of the outcome per SD of the marker: one answer per cohort.

Of a cohort the published coefficient counts before a correlation, that before a difference between responders and
others, that before strata; then the last time, the whole sample, a figure seen before one recalled, a score before an
event. What then remains is averaged. A question that compares treatments is answered by a published comparison, else
by the difference of the answers of two arms.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from math import hypot, sqrt
from typing import cast

from crosstalk.evidence.comparable import SHARED_ARM, overlap
from crosstalk.evidence.listing import published, stratum_text, time_text
from crosstalk.evidence.records import LeftOut, PublishedResult
from crosstalk.evidence.slopes import (
    LOGISTIC_SD,
    biserial,
    from_correlation,
    share_logit,
    steps_per_sd,
    strata_slope,
    stratum_mean,
)
from crosstalk.evidence.sources import Entry
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.questions import CONTROL, DrugClass, MarkerScale, Question, Questions
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.records import Arm, Eligibility, Result

__all__ = ["CohortSlope", "cohort_slopes", "one_per_cohort", "relation", "treatments"]

COEFFICIENT, CORRELATION, RESPONDERS, STRATA = range(4)
SHARES = ("response", "remission")


@dataclass(frozen=True, slots=True)
class CohortSlope:
    """The answer of one cohort: ``value`` with standard error ``se`` in SD per SD, and how it was made.

    ``stated`` says that the publication only says in words that there is no difference. ``assumed`` names what is
    assumed about it, ``arms`` the arms that it is of. ``rank`` is lower for a more direct kind of result.
    """

    cohort: str
    study: str
    title: str
    role: str
    quality: str
    value: float
    se: float
    rank: int
    time_h: float
    made: str
    arms: tuple[str, ...]
    stratum: Eligibility | None = None
    event: bool = False
    stated: bool = False
    recalled: bool = False
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """A published result with its arms."""

    row: PublishedResult
    result: Result
    arm: Arm
    versus: Arm | None
    cohort: str


def treatments(arm: Arm) -> tuple[frozenset[str], ...]:
    """The sets of drugs that patients of an arm may get; more than one in a pooled arm."""
    if arm.mixture:
        return tuple(frozenset(dose.drug for dose in part.doses) for part in arm.mixture)
    return (frozenset(dose.drug for dose in arm.doses),)


def relation(question: Question, questions: Questions, arm: Arm, versus: Arm | None) -> int:
    """Whether arms answer a question: 1, or -1 where they stand the other way round, or 0."""
    own = questions.classes[question.drug_class].drugs
    if versus is None or not question.versus:
        inside = versus is None and not question.versus and all(t and t <= own for t in treatments(arm))
        return 1 if inside else 0
    other = frozenset[str]() if question.versus == CONTROL else questions.classes[question.versus].drugs

    def asks(first: Arm, second: Arm) -> bool:
        return _differs(first, second, own, other) if other else _adds(first, second, own)

    return 1 if asks(arm, versus) else -1 if asks(versus, arm) else 0


def _adds(arm: Arm, versus: Arm, own: frozenset[str]) -> bool:
    """Whether the first arm adds drugs of a class, and nothing else, to what the second gets."""
    return all(
        less <= more and more - less and more - less <= own for more in treatments(arm) for less in treatments(versus)
    )


def _differs(arm: Arm, versus: Arm, own: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one arm gets one class and the second the other, alone or on top of the first."""
    for first in treatments(arm):
        for second in treatments(versus):
            alone = bool(first) and first <= own and bool(second & other) and second <= own | other
            added = bool(second) and second <= other and bool(first & own) and first <= own | other
            if not (alone or added):
                return False
    return True


def cohort_slopes(
    entries: Iterable[Entry], question: Question, questions: Questions, knowledge: Knowledge
) -> tuple[tuple[CohortSlope, ...], tuple[LeftOut, ...]]:
    """Collect the answers of all cohorts to a question.

    Returns
    -------
    tuple
        One answer per cohort in the order of the files, of those that publish a number and of those that only state
        one (`CohortSlope.stated`); and results on the marker that answer it in no comparable way, with the reason.
    """
    reader = _Reader(question, questions, knowledge)
    answers = [answer for entry in entries for answer in reader.read(entry)]
    return one_per_cohort(answers), tuple(reader.left_out)


def one_per_cohort(answers: Iterable[CohortSlope]) -> tuple[CohortSlope, ...]:
    """Choose or average the answers of each cohort; those with a published number before those only stated."""
    cohorts: dict[str, list[CohortSlope]] = {}
    for answer in answers:
        cohorts.setdefault(answer.cohort, []).append(answer)
    return tuple(_one([a for a in own if not a.stated] or own) for own in cohorts.values())


class _Reader:
    """Makes the answers of one study."""

    def __init__(self, question: Question, questions: Questions, knowledge: Knowledge) -> None:
        self.question, self.questions, self.knowledge = question, questions, knowledge
        self.marker: MarkerScale = questions.markers[question.marker]
        self.own: DrugClass = questions.classes[question.drug_class]
        self.left_out: list[LeftOut] = []

    def read(self, entry: Entry) -> list[CohortSlope]:
        """All answers of a study, before one is chosen."""
        study = entry.study
        arms = {arm.id: arm for arm in study.arms}
        results = [result for result in study.results if result.value is not None]
        items = [
            _Item(row, result, arms[result.arm], arms.get(result.versus), study.cohort or study.id)
            for row, result in zip(published([entry]), results, strict=True)
            if row.diagnosis != "healthy" and result.of in (*self.knowledge.scales, self.marker.analyte)
        ]
        compared = self._answers(items, self._relation)
        if not self.question.versus:
            return compared
        pairs = self._differences(items)
        published_pairs = {frozenset(answer.arms) for answer in compared if answer.rank == COEFFICIENT}
        return compared + [answer for answer in pairs if frozenset(answer.arms) not in published_pairs]

    def _relation(self, item: _Item) -> int:
        return relation(self.question, self.questions, item.arm, item.versus)

    def _answers(self, items: Sequence[_Item], relation_of: Callable[[_Item], int]) -> list[CohortSlope]:
        found: list[CohortSlope] = []
        strata: dict[Hashable, list[tuple[_Item, int]]] = {}
        for item in items:
            sign = relation_of(item)
            if not sign:
                continue
            r = item.result
            by_marker = r.stratum is not None and r.stratum.analyte == self.marker.analyte
            if by_marker and r.marker is None and (r.endpoint in SHARES or ENDPOINTS[r.endpoint].favours):
                strata.setdefault((r.endpoint, r.of, r.arm, r.versus, r.time_h), []).append((item, sign))
                continue
            answer = self._single(item)
            if isinstance(answer, CohortSlope):
                found.append(replace(answer, value=sign * answer.value))
            elif answer:
                self._leave(item, answer)
        for group in strata.values():
            found += self._strata(group)
        return found

    def _differences(self, items: Sequence[_Item]) -> list[CohortSlope]:
        """Differences of the answers of two arms that the publication does not compare."""
        alone = [item for item in items if item.versus is None]
        arms = {item.arm.id: item.arm for item in alone}
        found = []
        for first, second in permutations(arms.values(), 2):
            if relation(self.question, self.questions, first, second) != 1:
                continue
            sides = [self._answers([i for i in alone if i.arm.id == a.id], lambda _: 1) for a in (first, second)]
            for one in sides[0]:
                for two in sides[1]:
                    if (one.rank, one.time_h, one.made, one.stratum) == (two.rank, two.time_h, two.made, two.stratum):
                        found.append(_subtract(one, two))
        return found

    def _single(self, item: _Item) -> CohortSlope | str:
        """The slope that one result is, why it is none, or nothing where it is about something else."""
        r, row = item.result, item.row
        kind = ENDPOINTS[r.endpoint]
        about = r.marker is not None and r.marker.analyte == self.marker.analyte
        if r.endpoint == "correlation":
            about = r.of in self.knowledge.scales and r.partner == self.marker.analyte and bool(r.time_h)
            if about and r.partner_h != 0:
                return "is a correlation of changes, not with the marker at baseline"
        elif r.endpoint == "responder-smd":
            about = r.of == self.marker.analyte
        if not about:
            return ""
        if row.se is None:
            return "has no standard error"
        if r.endpoint == "hazard-ratio":
            return "is a hazard ratio, which has no standard deviation of an outcome"
        if r.endpoint == "correlation":
            value, se = from_correlation(r.value or 0.0, row.se)
            return self._slope(item, value, se, CORRELATION, "correlation", ())
        if r.endpoint == "responder-smd":
            value, se = biserial(r.value or 0.0, row.se)
            # responders have more of the marker: scores fall more where it is high
            half = ("half of the patients respond",)
            return self._slope(item, -value, se, RESPONDERS, "responders against others", half)
        assert r.marker is not None
        assert r.value is not None
        spread, assumed = self._outcome(item)
        factor = steps_per_sd(r.marker, self.marker) / spread * (-1 if kind.favours > 0 else 1)
        value, se = error_scale(r.endpoint, r.value) * factor, row.se * abs(factor)
        return self._slope(item, value, se, COEFFICIENT, r.endpoint, assumed)

    def _strata(self, group: Sequence[tuple[_Item, int]]) -> list[CohortSlope]:
        """The slope through disjoint strata of the marker."""
        usable: list[tuple[_Item, float, float, float]] = []
        assumed: tuple[str, ...] = ()
        for item, sign in sorted(group, key=lambda pair: cast(Eligibility, pair[0].result.stratum).min or 0.0):
            r, stratum = item.result, cast(Eligibility, item.result.stratum)
            if item.row.se is None:
                self._leave(item, "has no standard error")
            elif any(overlap(stratum, other[0].result.stratum) for other in usable):
                self._leave(item, "shares patients with another stratum")
            else:
                assert r.value is not None
                try:
                    value, se = self._in_sd(item, r.value, item.row.se)
                except ValueError as error:
                    self._leave(item, str(error))
                    continue
                usable.append((item, stratum_mean(stratum, self.marker), sign * value, se))
                assumed = tuple(dict.fromkeys((*assumed, *self._outcome(item)[1])))
        if len(usable) < 2:
            for item, *_ in usable:
                self._leave(item, "is of one stratum alone")
            return []
        value, se = strata_slope([point for _, *point in usable])  # type: ignore[misc]
        recalled = any(item.row.provenance == "memory" for item, *_ in usable)
        errors = next((i.row.se_source for i, *_ in usable if i.row.se_source.startswith("assumed")), "")
        base = self._slope(usable[0][0], value, se, STRATA, f"{len(usable)} strata", assumed)
        return [replace(
            base, stratum=None, recalled=recalled, stated=all(i.result.figure == "stated" for i, *_ in usable),
            assumed=(*base.assumed, errors) if errors and errors not in base.assumed else base.assumed,
        )]  # fmt: skip

    def _in_sd(self, item: _Item, value: float, se: float) -> tuple[float, float]:
        """A result of a stratum in SD, below 0 where better."""
        endpoint = item.result.endpoint
        kind = ENDPOINTS[endpoint]
        if endpoint in SHARES and item.versus is None:
            value, se = share_logit(value, se)
            spread = LOGISTIC_SD
        else:
            value, spread = error_scale(endpoint, value), self._outcome(item)[0]
        return (-value if kind.favours > 0 else value) / spread, se / spread

    def _outcome(self, item: _Item) -> tuple[float, tuple[str, ...]]:
        """SD of the outcome of a result on the scale of its error, and what is assumed for it."""
        kind = ENDPOINTS[item.result.endpoint]
        if kind.spread == "points" and item.row.sd:
            return sqrt(sum(sd * sd for sd in item.row.sd) / len(item.row.sd)), ()
        scale = self.knowledge.scales.get(item.result.of)
        share = self.knowledge.discounts.scale_sd
        found = kind.sd(None if scale is None else scale.maximum, share)
        if kind.spread in ("points", "share"):
            return found, (f"SD of the score {share:.0%} of the scale",)
        return found, ()

    def _slope(
        self, item: _Item, value: float, se: float, rank: int, made: str, assumed: tuple[str, ...]
    ) -> CohortSlope:
        row, r = item.row, item.result
        errors = (row.se_source,) if row.se_source.startswith("assumed") else ()
        return CohortSlope(
            cohort=item.cohort, study=row.study, title=row.title, role=row.role, quality=row.quality, value=value,
            se=se, rank=rank, time_h=r.time_h or 0.0, made=f"{made} of {r.of}",
            arms=tuple(arm for arm in (r.arm, r.versus) if arm), stratum=r.stratum,
            event=ENDPOINTS[r.endpoint].spread in ("odds", "share"), stated=r.figure == "stated",
            recalled=row.provenance == "memory", assumed=(*assumed, *errors),
        )  # fmt: skip

    def _leave(self, item: _Item, why: str) -> None:
        r = item.result
        versus = f" against {r.versus}" if r.versus else ""
        parts = (f"{r.arm}{versus}", f"{r.endpoint} of {r.of}", time_text(r.time_h), stratum_text(r.stratum))
        found = LeftOut(", ".join(part for part in parts if part), item.row.study, why)
        if found not in self.left_out:
            self.left_out.append(found)


def _subtract(one: CohortSlope, two: CohortSlope) -> CohortSlope:
    return replace(
        one, value=one.value - two.value, se=hypot(one.se, two.se), made=f"difference of two arms, {one.made}",
        arms=(*one.arms, *two.arms), stated=one.stated or two.stated, recalled=one.recalled or two.recalled,
        assumed=tuple(dict.fromkeys((*one.assumed, *two.assumed))),
    )  # fmt: skip


def _one(answers: Sequence[CohortSlope]) -> CohortSlope:
    """The one answer of a cohort."""
    best = min(answer.rank for answer in answers)
    kept = [answer for answer in answers if answer.rank == best]
    last = max(answer.time_h for answer in kept)
    kept = [answer for answer in kept if answer.time_h == last]
    kept = [answer for answer in kept if answer.stratum is None] or kept
    kept = [answer for answer in kept if not answer.recalled] or kept
    kept = [answer for answer in kept if not answer.event] or kept
    if len(kept) == 1:
        return kept[0]
    apart = all(_apart(a, b) for a, b in combinations(kept, 2))
    weights = [1 / a.se**2 if apart else 1.0 for a in kept]
    total = sum(weights)
    shares = [w / total for w in weights]
    variance = sum((w * a.se) ** 2 for w, a in zip(shares, kept, strict=True))
    if not apart:
        pairs = combinations(zip(shares, kept, strict=True), 2)
        variance += 2 * SHARED_ARM * sum(w * a.se * v * b.se for (w, a), (v, b) in pairs)
    return replace(
        kept[0], value=sum(w * a.value for w, a in zip(shares, kept, strict=True)), se=sqrt(variance),
        made=f"mean of {len(kept)}: " + "; ".join(dict.fromkeys(a.made for a in kept)),
        arms=tuple(dict.fromkeys(arm for a in kept for arm in a.arms)), stratum=None,
        recalled=any(a.recalled for a in kept), assumed=tuple(dict.fromkeys(x for a in kept for x in a.assumed)),
    )  # fmt: skip


def _apart(first: CohortSlope, second: CohortSlope) -> bool:
    """Whether two answers share no patients."""
    same = first.study == second.study and bool(set(first.arms) & set(second.arms))
    return first.study == second.study and (not same or not overlap(first.stratum, second.stratum))
