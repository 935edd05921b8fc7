"""A panel holds one occasion: which values of a patient belong together, and which occasion is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from crosstalk.errors import PanelError, UsageError
from crosstalk.knowledge.records import Analyte
from crosstalk.panel.cells import MISSING
from crosstalk.panel.entries import Entry
from crosstalk.panel.vocabulary import visits, words

__all__ = ["CHOICES", "Choice", "Occasion", "Said", "choose", "lines", "unclear_date"]

APART_H = 14 * 24.0  # values of one occasion lie within two weeks, the recall of symptom scales (assumed)
LASTING = ("sex", "height", "CTQ")  # of a person, not of an occasion: the nearest value is used whenever it was taken
CHOICES = "first, last, each, or nearest-to SCORE"
LISTED = 5
_NUMBERED = re.compile(r"([a-z]*) ?(\d+(?:[.,]\d+)?) ?([a-z]*)(?: arm \d+)?")
_NUMBERED_VISITS = {"", "v", "t", "visit", "visite", "visita", "tp", "timepoint", "wave", "session", "besuch"}
_ISO = re.compile(r"(\d{4})[-/.]?(\d\d)[-/.]?(\d\d)(?:[T ]?(\d\d):?(\d\d).*)?")
# 5 May 2024, 05-MAY-24, 05MAY2024, May 5, 2024; months by their first letters in five languages
_NAMED = re.compile(r"(\d{1,2})[ .-]*([a-z]{3,9})\.?[ ,-]*(\d{4}|\d\d)(?:[ T,:]+(\d{1,2}):(\d\d).*)?")
_NAMED_FIRST = re.compile(r"([a-z]{3,9})\.? (\d{1,2}),? (\d{4})(?:[ T,]+(\d{1,2}):(\d\d).*)?")
_MONTHS = (
    "jan ene gen", "feb fev", "mar", "apr avr abr", "may mai mag", "jun juin giu", "jul juil lug", "aug aou ago",
    "sep set", "oct okt ott", "nov", "dec dez dic",
)  # fmt: skip
_PARTS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)(?:[ T,]+(\d{1,2}):(\d\d).*)?")


@dataclass(frozen=True)
class Choice:
    """Which occasion is meant: the first, the last, each, or that nearest to a score."""

    how: str = ""
    score: str = ""

    @classmethod
    def read(cls, text: str | None) -> Choice:
        """Read ``first``, ``last``, ``each`` or ``nearest-to PHQ9``.

        Raises
        ------
        UsageError
            If it is none of these.
        """
        plain = " ".join((text or "").split())
        if plain in ("", "first", "last", "each"):
            return cls(plain)
        match = re.fullmatch(r"nearest[- ]to[ =:]+(\S+)", plain)
        if match is None:
            raise UsageError(f"occasion '{text}'; expected {CHOICES}")
        return cls("nearest", match[1])


@dataclass(frozen=True, slots=True)
class Occasion:
    """Whose occasion a panel is, its name, and how many weeks after the first one; None where that cannot be told."""

    person: str
    label: str
    weeks: float | None


@dataclass(frozen=True, slots=True)
class _Point:
    """One value of one patient on its occasion: hours on the file's own scale, or None where there are no times."""

    entry: Entry
    analyte: Analyte
    hours: float | None


Said = dict[str, list[str]]
"""Patients by what is to be said of them."""


def choose(
    entries: Sequence[Entry], analytes: Mapping[str, Analyte], choice: Choice, hours: Mapping[str, float],
    order: str = "",
) -> tuple[list[Entry], Said, Said, dict[str, Occasion]]:  # fmt: skip
    """Entries of one occasion for each patient; why patients are refused; what was left out; occasions by their panel.

    Parameters
    ----------
    entries : sequence of Entry
    analytes : mapping of str to Analyte
        By the names in the entries; other names are left as they are.
    choice : Choice
    hours : mapping of str to float
        What `Entry.time` reads as.
    order : str
        How dates are written, where a map says it: ``day month year`` or ``month day year``.

    Notes
    -----
    One occasion is what the file names so (a visit), else values within two weeks of which no laboratory value and no
    score is given at two times. Of an occasion, the value nearest to its middle is used.
    """
    dated = any(e.visit or e.date or e.time for e in entries)
    if not dated:
        return list(entries), {}, {}, {}
    dates, unclear = _dates({e.date for e in entries if e.date}, order)
    groups: dict[str, list[Entry]] = {}
    for e in entries:
        groups.setdefault(e.patient, []).append(e)
    found: list[Entry] = []
    refused: Said = {}
    left: Said = {}
    named: dict[str, Occasion] = {}
    for patient, own in groups.items():
        points = [
            _Point(e, analytes[e.analyte], hours.get(e.time, 0.0) if e.time else dates.get(e.date))
            for e in own if e.analyte in analytes and e.value.strip().lower() not in MISSING
        ]  # fmt: skip
        rest = [e for e in own if e.analyte not in analytes or e.value.strip().lower() in MISSING]
        try:
            chosen, aside = _of_patient(points, choice, unclear)
        except PanelError as error:
            refused.setdefault(str(error), []).append(patient)
            continue
        for words_ in aside:
            left.setdefault(words_, []).append(patient)
        there = {analytes[e.analyte].id for _, kept in chosen for e in kept}
        several = choice.how == "each" and len(chosen) > 1
        starts = [dates[e.date] for _, kept in chosen for e in kept if e.date in dates and not unclear]
        for label, kept in chosen:
            name = f"{patient}, {label}" if several else patient
            if several:
                own_dates = [dates[e.date] for e in kept if e.date in dates]
                at = (min(own_dates) - min(starts)) / 168 if own_dates and starts else None
                named[name] = Occasion(patient, label, _weeks(label, at))
            start = min((dates[e.date] for e in kept if e.date in dates), default=0.0)
            for e in kept:
                # whole hours, so that no decimal sign is needed
                time = e.time or (f"{dates[e.date] - start:.0f}" if e.date in dates else "")
                found.append(e if (name, time) == (e.patient, e.time) else e._replace(patient=name, time=time))
        found += [e for e in rest if e.analyte not in analytes or analytes[e.analyte].id not in there]
    return found, refused, left, named


def lines(file: str, said: Said) -> list[str]:
    """One line for each thing that is said of patients."""
    return [f"{file}, {_people(who)}: {words_}" for words_, who in said.items()]


def _of_patient(
    points: Sequence[_Point], choice: Choice, unclear: str
) -> tuple[list[tuple[str, list[Entry]]], list[str]]:
    """Entries by occasion, and what is to be said."""
    telling = [p for p in points if p.analyte.kind != "covariate"] or list(points)
    occasions = _visits(points, telling) if any(p.entry.visit for p in telling) else _clusters(points, telling)
    if len(occasions) < 2:
        kept = [p.entry for p in _stated_once(points, _middle(points))]
        times = [p.hours for p in telling if p.hours is not None]
        if times and max(times) - min(times) > APART_H:
            days = (max(times) - min(times)) / 24
            return [("", kept)], [f"values of one visit lie {days:.0f} days apart"]
        return [("", kept)], []
    names = [label for label, _ in occasions]
    if not choice.how:
        shown = "; ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
        raise PanelError(
            f"its values are of {len(names)} occasions ({shown}), and a panel holds one; choose with --occasion "
            f"(first, last, each, or nearest-to SCORE)"
        )
    if choice.how == "each":
        return [(label, _once(inside, points)) for label, inside in occasions], []
    if choice.how == "nearest":
        at, said = _nearest(occasions, choice.score)
    else:
        if any(_rank(label, inside, unclear) is None for label, inside in occasions):
            raise PanelError(
                f"which of its occasions ({'; '.join(names[:LISTED])}) is the {choice.how} cannot be told; give a "
                f"column date or time, or names such as Baseline and Week 8"
            )
        ranked = sorted(range(len(occasions)), key=lambda i: _rank(*occasions[i], unclear) or 0.0)
        at, said = (ranked[0] if choice.how == "first" else ranked[-1]), []
    label, inside = occasions[at]
    kept = _once(inside, points)
    others = len(points) - len(kept)
    return [("", kept)], [
        *said,
        f"the occasion {label} is used; values of other occasions left out",
    ] if others else said


def _visits(points: Sequence[_Point], telling: Sequence[_Point]) -> list[tuple[str, list[_Point]]]:
    """What the file names a visit; values without a name belong to all."""
    groups: dict[str, list[_Point]] = {}
    for p in telling:
        if p.entry.visit:
            groups.setdefault(words(p.entry.visit), []).append(p)
    if len(groups) < 2:
        return list(groups.items())
    return [
        (next(p.entry.visit for p in inside), [p for p in points if words(p.entry.visit) in (key, "")])
        for key, inside in groups.items()
    ]


def _clusters(points: Sequence[_Point], telling: Sequence[_Point]) -> list[tuple[str, list[_Point]]]:
    """Values whose times lie near each other; a date that cannot be read is an occasion of its own."""
    unread: dict[str, list[_Point]] = {}
    for p in telling:
        if p.hours is None and p.entry.date:
            unread.setdefault(p.entry.date, []).append(p)
    timed = sorted((p for p in telling if p.hours is not None), key=lambda p: p.hours or 0.0)
    groups: list[list[_Point]] = []
    for p in timed:
        start = groups[-1][0].hours if groups else None
        again = groups and any(q.analyte.id == p.analyte.id and q.hours != p.hours for q in groups[-1])
        if start is None or (p.hours or 0.0) - start > APART_H or again:
            groups.append([])
        groups[-1].append(p)
    spans = [((g[0].hours or 0.0), (g[-1].hours or 0.0)) for g in groups]
    bystanders = [p for p in points if p.analyte.kind == "covariate"] if len(telling) < len(points) else []
    found = []
    for g, (low, high) in zip(groups, spans, strict=True):
        near = [p for p in bystanders if p.hours is None or low - APART_H <= p.hours <= high + APART_H]
        always = [p for p in telling if p.hours is None and not p.entry.date]
        found.append((_label(g), [*g, *near, *always]))
    found += [(date, [*g, *(p for p in bystanders if p.hours is None)]) for date, g in unread.items()]
    return found


def _label(group: Sequence[_Point]) -> str:
    first = group[0].entry
    return first.date.split("T")[0] if first.date else f"{first.time} h"


def _once(inside: Sequence[_Point], points: Sequence[_Point]) -> list[Entry]:
    """Each analyte once, nearest to the middle of the occasion; what lasts is taken from whenever it was measured."""
    middle = _middle(inside)
    inside = _stated_once(inside, middle)
    held = {p.analyte.id for p in inside}
    lasting = [p for p in points if p.analyte.id in LASTING and p.analyte.id not in held]
    best: dict[str, list[_Point]] = {}
    for p in (*inside, *lasting):
        rivals = best.setdefault(p.analyte.id, [p])
        gap, other = (abs((q.hours if q.hours is not None else middle) - middle) for q in (p, rivals[0]))
        if gap < other:
            best[p.analyte.id] = [p]
        elif p is not rivals[0] and gap == other and p.analyte.id not in LASTING:
            rivals.append(p)  # given twice for one time: the caller says so
    return [p.entry for rivals in best.values() for p in rivals]


def _middle(inside: Sequence[_Point]) -> float:
    times = [p.hours for p in inside if p.hours is not None and p.analyte.kind != "covariate"]
    return median(times) if times else 0.0


def _stated_once(points: Sequence[_Point], middle: float) -> list[_Point]:
    """Points without covariates of one place that differ in their time alone, such as ages by a date of birth."""
    nearest: dict[tuple[str, str], float] = {}
    for p in points:
        if p.hours is not None and p.analyte.kind == "covariate":
            first = nearest.setdefault((p.entry.place, p.analyte.id), p.hours)
            if abs(p.hours - middle) < abs(first - middle):
                nearest[p.entry.place, p.analyte.id] = p.hours
    return [p for p in points if p.hours in (None, nearest.get((p.entry.place, p.analyte.id), p.hours))]


def _nearest(occasions: Sequence[tuple[str, list[_Point]]], score: str) -> tuple[int, list[str]]:
    plain = words(score)
    holding = [
        i for i, (_, inside) in enumerate(occasions)
        if any(plain in (words(p.analyte.id), words(p.entry.analyte)) and p.analyte.kind != "covariate" for p in inside)
    ]  # fmt: skip
    if not holding:
        raise PanelError(f"holds no {score} on any of its occasions; choose with --occasion first or last")
    if len(holding) == 1:
        return holding[0], []
    ranks = [(_rank(*occasions[i], ""), i) for i in holding]
    if any(rank is None for rank, _ in ranks):
        raise PanelError(f"{score} is given on {len(holding)} occasions whose order is not known; give a column date")
    return max((rank or 0.0, i) for rank, i in ranks)[1], [
        f"{score} is given on {len(holding)} occasions; the last is used"
    ]


def _rank(label: str, inside: Sequence[_Point], unclear: str) -> float | None:
    """Order of an occasion: its time, else what its name says; None where neither can be told."""
    named = _order(label)
    times = [p.hours for p in inside if p.hours is not None and p.analyte.kind != "covariate"]
    if times and not unclear:
        return min(times)
    return named if named is not None else (min(times) if times else None)


def _order(label: str) -> float | None:
    """Weeks that a visit's name tells.

    Examples
    --------
    >>> _order("Baseline"), _order("Week 8"), _order("V2"), _order("month_3_arm_1"), _order("ward")
    (-1.0, 8.0, 2.0, 13.049999999999999, None)
    """
    plain = re.sub(r" arm \d+$", "", words(label))
    if plain in visits()[0]:
        return -1.0
    if plain in visits()[1]:
        return 1e6
    match, weeks = _NUMBERED.fullmatch(plain), visits()[2]
    if match is None:
        return None
    before, number, after = match[1], float(match[2].replace(",", ".")), match[3]
    if after and after not in weeks:
        return None
    if (
        before
        in ("", "v", "t", "visit", "visite", "visita", "tp", "timepoint", "wave", "session", "besuch", "time point")
        or before in weeks
    ):
        return number * weeks.get(after or before, 1.0)
    return 1e6 + number if before in ("fu", "followup") else None


def _weeks(label: str, dated: float | None) -> float | None:
    """Weeks since the start of an occasion: what its name says, else its date.

    Examples
    --------
    >>> _weeks("Baseline", None), _weeks("week_8_arm_1", 8.4), _weeks("V2", None), _weeks("V2", 2.1)
    (0.0, 8.0, None, 2.1)
    """
    plain = re.sub(r" arm \d+$", "", words(label))
    if plain in visits()[0]:
        return 0.0
    match, units = _NUMBERED.fullmatch(plain), visits()[2]
    if match is not None and (match[1] in units or match[3] in units):
        return float(match[2].replace(",", ".")) * units.get(match[3] or match[1], 1.0)
    return dated


def _dates(texts: Iterable[str], order: str = "") -> tuple[dict[str, float], str]:
    """Hours of each date that can be read, and one whose day and month cannot be told apart."""
    listed = list(texts)
    parts = {text: m for text in listed if (m := _PARTS.fullmatch(text.strip()))}
    # a point means day before month; a slash means what the file shows somewhere
    first_days = order == "day month year" or (not order and any(int(m[1]) > 12 for m in parts.values()))
    first_months = order == "month day year" or (not order and any(int(m[3]) > 12 for m in parts.values()))
    found: dict[str, float] = {}
    unclear = ""
    for text in listed:
        iso, other = _ISO.fullmatch(text.strip()), parts.get(text)
        try:
            if iso:
                moment = datetime(int(iso[1]), int(iso[2]), int(iso[3]), int(iso[4] or 0), int(iso[5] or 0), tzinfo=UTC)
            elif other:
                day_first = (other[2] == "." and not order) or first_days or not first_months
                if other[2] != "." and first_days == first_months and other[1] != other[3]:
                    unclear = text
                    continue
                day, month = (other[1], other[3]) if day_first else (other[3], other[1])
                year = int(other[4]) + (2000 if len(other[4]) == 2 else 0)
                moment = datetime(year, int(month), int(day), int(other[5] or 0), int(other[6] or 0), tzinfo=UTC)
            elif (named := _with_name(text)) is not None:
                moment = named
            else:
                continue
        except ValueError:
            continue
        found[text] = moment.timestamp() / 3600
    return found, unclear


def unclear_date(texts: Iterable[str], order: str = "") -> str:
    """A date of which day and month cannot be told apart; "" where all can."""
    return _dates(texts, order)[1]


def _with_name(text: str) -> datetime | None:
    """A date whose month is a word.

    Examples
    --------
    >>> _with_name("05-MAY-24") == _with_name("May 5, 2024") == _with_name("5. Mai 2024")
    True
    """
    plain = words(text) if ":" not in text else text.strip().lower()
    match = _NAMED.fullmatch(plain)
    day, name, year = (match[1], match[2], match[3]) if match else ("", "", "")
    if match is None:
        match = _NAMED_FIRST.fullmatch(plain)
        if match is None:
            return None
        name, day, year = match[1], match[2], match[3]
    starts = [i for i, names in enumerate(_MONTHS, 1) if any(name.startswith(n) for n in names.split())]
    if len(starts) != 1:
        return None
    full = int(year) + (2000 if len(year) == 2 else 0)
    return datetime(full, starts[0], int(day), int(match[4] or 0), int(match[5] or 0), tzinfo=UTC)


def _people(who: Sequence[str]) -> str:
    shown = ", ".join(who[:LISTED])
    return (
        f"patient {shown}" if len(who) == 1 else f"{len(who)} patients ({shown}{', ...' if len(who) > LISTED else ''})"
    )
