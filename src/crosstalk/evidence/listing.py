"""Published results of all study files as one list, and the choice among them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import sqrt
from typing import get_args

from crosstalk.errors import UsageError
from crosstalk.evidence.records import Contrast, PublishedResult, Query, StudyCard
from crosstalk.evidence.sources import Entry
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Distribution, Dose
from crosstalk.statistics.estimates import Z95
from crosstalk.study.checks import StudyProblem
from crosstalk.study.endpoints import ENDPOINTS, error_scale, from_error_scale
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.published import subject
from crosstalk.study.records import Arm, Eligibility, Endpoint, Marker, Result, Study
from crosstalk.study.tables import ResultTable

__all__ = [
    "ROLES",
    "interval",
    "marker_text",
    "published",
    "resolve",
    "select",
    "stratum_text",
    "study_card",
    "time_text",
]

ROLES = ("calibrate", "validate", "context")


def published(entries: Iterable[Entry]) -> tuple[PublishedResult, ...]:
    """List the results of studies, in the order of the files; designs have none."""
    return tuple(
        _row(entry, index, result)
        for entry in entries
        for index, result in enumerate(entry.study.results)
        if result.value is not None
    )


def resolve(query: Query, knowledge: Knowledge) -> Query:
    """Check the names of a query, and put the library's own for aliases.

    Raises
    ------
    UsageError
        On an unknown role, drug, analyte, endpoint, diagnosis, provenance or contrast; names the nearest.
    """
    for kind, names, known in (
        ("role", query.role, ROLES),
        ("endpoint", query.endpoint, tuple(ENDPOINTS)),
        ("provenance", query.provenance, ("seen", "memory")),
        ("contrast", query.contrast, get_args(Contrast)),
        ("study", (*query.study, *query.without), tuple(knowledge.study_files)),
    ):
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3) or known[:12]
                raise UsageError(f"unknown {kind} '{name}'; expected one of {', '.join(near)}")
    if query.from_h is not None and query.to_h is not None and query.from_h > query.to_h:
        raise UsageError(f"from {query.from_h:g} h to {query.to_h:g} h holds no time; exchange them")
    return replace(
        query,
        drug=tuple(knowledge.drug(name).id for name in query.drug),
        diagnosis=tuple(knowledge.diagnosis(name).id for name in query.diagnosis),
        of=tuple(_subject(name, knowledge) for name in query.of),
    )


def select(rows: Iterable[PublishedResult], query: Query) -> tuple[PublishedResult, ...]:
    """Return the results that a query asks for."""
    return tuple(row for row in rows if _matches(row, query))


def study_card(entry: Entry, knowledge: Knowledge) -> StudyCard:
    """Describe one study: what it is, who was studied, what they got, what was found."""
    study = entry.study
    population = study.population
    facts = (
        ("doi", study.doi),
        ("PubMed", entry.study.pubmed),
        ("data", entry.study.url),
        ("role", study.role),
        ("length", time_text(study.duration_h)),
        ("bias term", study.bias or "none"),
        ("those who left", {"observed": "observed values only", "locf": "last value carried forward"}[study.missing]),
        ("reference", knowledge.references.get(study.doi, "")),
        ("file", entry.file.name),
    )
    people: list[tuple[str, str, str]] = [("diagnosis", population.diagnosis, "")]
    if population.n is not None:
        people.append(("size", f"{population.n}", ""))
    if population.failed_steps:
        people.append(("failed treatment steps", f"{population.failed_steps}", ""))
    if population.dropout:
        people.append(("share that leaves", f"{population.dropout:.0%}", ""))
    people += [_spread(d) for d in population.distributions.values()]
    if population.severity is not None:
        name, value, source = _spread(population.severity)
        people.append((f"{name}, {population.severity_scale}", value, source))
    people += [("eligible", stratum_text(limits), "") for limits in population.eligible]
    people += [("background", dose_text(dose), "") for dose in population.background]
    arms = tuple(
        (
            arm.id + (f" ({arm.diagnosis})" if arm.diagnosis else ""),
            "" if arm.n is None else f"{arm.n}",
            "; ".join(dose_text(dose) for dose in arm.all_doses) or "nothing beyond the background",
        )
        for arm in study.arms
    )
    kept = tuple(fact for fact in facts if fact[1])
    return StudyCard(study.id, study.title, kept, tuple(people), arms, published([entry]))


def interval(endpoint: Endpoint, value: float, se: float, z: float = Z95) -> tuple[float, float]:
    """Return the interval of ``z`` standard errors about a value, symmetric on its error scale.

    Examples
    --------
    >>> [round(bound, 3) for bound in interval("odds-ratio", 2.0, 0.5)]
    [0.751, 5.329]
    """
    middle = error_scale(endpoint, value)
    return from_error_scale(endpoint, middle - z * se), from_error_scale(endpoint, middle + z * se)


def time_text(hours: float | None) -> str:
    """A time as a person says it: hours, whole days within two weeks, or weeks.

    Examples
    --------
    >>> time_text(4.0), time_text(72.0), time_text(1008.0)
    ('4 h', 'day 3', 'week 6')
    """
    if hours is None:
        return ""
    if 0 < hours < HOURS_PER_WEEK and (hours < 24 or hours % 24):
        return f"{hours:g} h"
    if 0 < hours < 2 * HOURS_PER_WEEK and hours % 24 == 0 and hours != HOURS_PER_WEEK:
        return f"day {hours / 24:g}"
    return f"week {hours / HOURS_PER_WEEK:.3g}"


def stratum_text(limits: Eligibility | None) -> str:
    """A filter on a baseline value, such as ``3 <= hsCRP < 5 mg/L``."""
    if limits is None:
        return ""
    unit = "" if limits.unit in ("dimensionless", "points") else f" {limits.unit}"
    if limits.min is not None and limits.max is not None:
        return f"{limits.min:g} <= {limits.analyte} < {limits.max:g}{unit}"
    if limits.min is not None:
        return f"{limits.analyte} >= {limits.min:g}{unit}"
    return f"{limits.analyte} < {limits.max:g}{unit}"


def marker_text(marker: Marker) -> str:
    """The steps of a marker, such as ``per ln hsCRP``, ``per 5 kg/m^2 BMI``, ``hsCRP >= 3 against < 1 mg/L``."""
    if marker.per == "stratum":
        below = marker.min if marker.max is None else marker.max
        return f"{marker.analyte} >= {marker.min:g} against < {below:g} {marker.unit}"
    step = (
        f"{marker.step:g} {marker.unit}" if marker.per == "unit" else {"sd": "SD", "sd-ln": "SD of ln"}.get(marker.per)
    )
    return f"per {step or marker.per} {marker.analyte}"


def dose_text(dose: Dose) -> str:
    """One dose entry, such as ``infliximab 5 mg/kg iv, week 0, 2, 6``."""
    amount = f"{dose.drug} {dose.amount:g} {dose.unit} {dose.route}"
    if dose.every_h is None:
        return f"{amount}, {', '.join(time_text(week * HOURS_PER_WEEK) for week in dose.weeks)}"
    until = "" if dose.stop_week is None else f" until week {dose.stop_week:g}"
    start = f" from week {dose.start_week:g}" if dose.start_week else ""
    return f"{amount} every {dose.every_h:g} h{start}{until}"


def _spread(found: Distribution) -> tuple[str, str, str]:
    if found.family == "bernoulli":
        return found.id, f"{found.center:.0%}", found.source.place
    spread = f"log SD {found.spread:.3g}" if found.family == "lognormal" else f"SD {found.spread:.3g}"
    return found.id, f"{found.center:.3g} ({spread})", found.source.place


def _subject(name: str, knowledge: Knowledge) -> str:
    try:
        return subject(name, (), knowledge)[0]
    except StudyProblem as problem:
        raise UsageError(str(problem)) from None


def _matches(row: PublishedResult, query: Query) -> bool:
    if row.study in query.without:
        return False
    for wanted, has in (
        (query.study, (row.study,)),
        (query.role, (row.role,)),
        (query.drug, (*row.drugs, *row.against)),
        (query.of, (row.of, row.partner)),
        (query.endpoint, (row.endpoint,)),
        (query.diagnosis, (row.diagnosis,)),
        (query.provenance, (row.provenance,)),
        (query.contrast, (row.contrast,)),
    ):
        if wanted and not set(wanted) & set(has):
            return False
    if query.from_h is not None and (row.time_h is None or row.time_h < query.from_h - 1e-6):
        return False
    return query.to_h is None or (row.time_h is not None and row.time_h <= query.to_h + 1e-6)


def _row(entry: Entry, index: int, result: Result) -> PublishedResult:
    study, table = entry.study, entry.tables.result[index]
    arms = {arm.id: arm for arm in study.arms}
    arm, versus = arms[result.arm], arms.get(result.versus)
    drugs, against, contrast = _compare(study, arm, versus)
    assert result.value is not None
    low, high = (None, None) if result.se is None else interval(result.endpoint, result.value, result.se)
    n = _sizes(table, arm, versus)
    return PublishedResult(
        study=study.id,
        title=study.title,
        doi=study.doi,
        pubmed=entry.study.pubmed,
        url=entry.study.url,
        role=study.role,
        bias=study.bias,
        diagnosis=arm.diagnosis or study.population.diagnosis,
        arm=arm.id,
        versus=result.versus,
        drugs=drugs,
        against=against,
        contrast=contrast,
        endpoint=result.endpoint,
        of=result.of,
        partner=result.partner,
        partner_h=result.partner_h,
        threshold=result.threshold,
        stratum=result.stratum,
        time_h=result.time_h,
        value=result.value,
        unit=result.unit,
        se=result.se,
        low=low,
        high=high,
        sd=_spreads(table, n, result.se),
        n=n,
        source=result.source,
        se_source=result.se_source,
        provenance=result.provenance,
        mismatch=result.mismatch,
        marker=result.marker,
        event=result.event,
        shares=result.shares,
        figure=result.figure,
        cohort=study.cohort,
        file=entry.file.name,
        line=entry.line("result", index),
    )


def _compare(study: Study, arm: Arm, versus: Arm | None) -> tuple[tuple[str, ...], tuple[str, ...], Contrast]:
    """Return the drugs of the arm alone, those of the other arm alone, and what the two compare."""
    if versus is None:
        return tuple(dict.fromkeys(d.drug for d in arm.all_doses)), (), "within"
    # a drug at another dose is a difference too
    own = _names(d.drug for d in arm.all_doses if d not in versus.all_doses)
    other = _names(d.drug for d in versus.all_doses if d not in arm.all_doses)
    if own and other:
        return own, other, "active"
    if own or other:
        return own, other, "drug"
    usual = study.population.diagnosis
    if (arm.diagnosis or usual) != (versus.diagnosis or usual):
        return (), (), "diagnosis"
    return (), (), "none"


def _names(drugs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(drugs))


def _sizes(table: ResultTable, arm: Arm, versus: Arm | None) -> tuple[int, ...]:
    if table.n is not None:
        return tuple(table.n)
    if table.stratum is not None or table.endpoint == "responder-smd":
        return ()
    sizes = [arm.n] if versus is None else [arm.n, versus.n]
    found = tuple(size for size in sizes if size is not None)
    return found if len(found) == len(sizes) else ()


def _spreads(table: ResultTable, n: Sequence[int], se: float | None) -> tuple[float, ...]:
    """Return the published standard deviations in the unit of the result."""
    if table.sd is None or se is None or not n:
        return ()
    spreads = [*table.sd, *table.sd][: len(n)]
    # the reader has put the standard error in the unit of the result, so it tells the factor
    factor = se / sqrt(sum(sd * sd / size for sd, size in zip(spreads, n, strict=True)))
    return tuple(sd * factor for sd in spreads)
