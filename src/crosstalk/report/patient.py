"""An assessment and a forecast as lines and tables: the one content that the terminal and the page render."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from crosstalk.report.catalogue import Table
from crosstalk.report.words import (
    USES,
    interval_text,
    measured_text,
    number,
    percent,
    place_text,
    points_text,
    published_text,
    range_text,
    rests_text,
    roles_text,
)
from crosstalk.twin.clinical import bands_of, severity
from crosstalk.twin.records import Assessment, Forecast, Interval, MechanismScore, ProfileItem, RegimenForecast
from crosstalk.twin.sentences import INFORMED, NOT_TOLD, listed, next_assay_words, useful

__all__ = [
    "Line",
    "assay_table",
    "facts_table",
    "mechanism_table",
    "outcome_table",
    "panel_table",
    "ranked",
    "source_table",
    "summary",
    "treatment_table",
]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the first screen: what it is about, its sentences, and the section that says more."""

    label: str
    sentences: tuple[str, ...]
    link: str


def summary(result: Assessment | Forecast) -> tuple[Line, ...]:
    """The first screen: who, what is measured and inferred, what the comparison shows, what next, what is not used."""
    forecast = result if isinstance(result, Forecast) else None
    lines = [
        Line("Who", (_who(result.profile, forecast),), "panel"),
        Line("Measured", _measured(result.profile), "panel"),
        Line("Inferred", _inferred(result), "mechanisms"),
        Line("Known to the model", (result.applicability.message,), "applicability"),
    ]
    if forecast is not None:
        lines.append(Line("Treatments", (forecast.conclusion,), "treatments"))
        first, second = two_best(forecast)
        lines.append(Line("Measure next", (next_assay_words(forecast.next_assay, first, second),), "next"))
    lines.append(Line("Not used", _not_used(result), "panel"))
    return tuple(line for line in lines if line.sentences)


def two_best(forecast: Forecast) -> tuple[str, str]:
    """Names of the two regimens that further assays are to tell apart: those with the lowest mean final score."""
    order = [r.name for r in sorted(forecast.regimens, key=lambda r: r.versus_reference.mean)]
    return order[0], order[1] if len(order) > 1 else order[0]


def ranked(forecast: Forecast) -> list[RegimenForecast]:
    """The reference first, then by the mean difference."""
    return sorted(forecast.regimens, key=lambda r: (r.id != forecast.reference, r.versus_reference.mean))


def _who(profile: Sequence[ProfileItem], forecast: Forecast | None) -> str:
    items = {p.analyte: p for p in profile if p.use != "failed"}
    sex = {"female": "woman", "male": "man"}.get(measured_text(items["sex"]) if "sex" in items else "", "person")
    age = f"{number(items['age'].value)}-year-old {sex}" if "age" in items else f"{sex.capitalize()} of unknown age"
    body = f", BMI {measured_text(items['BMI'])}" if "BMI" in items else ""
    score = next((p for p in profile if p.use == "score"), None)
    if score is not None:
        degree = severity(score.analyte, score.value)
        words = f"{score.analyte} {number(score.value)}" + (f" ({degree})" if degree else "")
    elif forecast is not None:
        words = f"no score given; {forecast.scale} {interval_text(forecast.baseline)} is that of the population"
    else:
        words = "no symptom score given"
    steps = items.get("failed_trials")
    failed = (
        "" if steps is None or steps.value <= 0 else f"; {steps.value:g} failed trial{'s' if steps.value != 1 else ''}"
    )
    return f"{age}{body}; {words}{failed}."


def _measured(profile: Sequence[ProfileItem]) -> tuple[str, ...]:
    """Clinical strata first, then where the values lie among people alike; what is only shown if it lies outside."""
    values = [p for p in profile if p.use in ("fitted", "shown") or p.stratum]
    found = []
    for p in values:
        if p.stratum:
            limits, _, words = p.stratum.partition(": ")
            among = f"; {place_text(p).partition('; ')[2]}" if p.percentile is not None else ""
            found.append(f"{p.name} {measured_text(p)}: {words} ({limits}){among}.")
    others = [p for p in values if not p.stratum]
    for position, words in (("above", "Above the range of people alike"), ("below", "Below the range of people alike")):
        outside = [_placed(p) for p in others if p.position == position]
        found += [f"{words}: {listed(outside)}."] if outside else []
    fitted = [p for p in others if p.use == "fitted"]
    for position, words in (
        ("within", "Within the range of people alike"),
        ("unknown", "Without a range that fits"),
    ):
        inside = [_placed(p) for p in fitted if p.position == position]
        found += [f"{words}: {listed(inside)}."] if inside else []
    return tuple(found) or ("No laboratory value that the model predicts.",)


def _placed(p: ProfileItem) -> str:
    percentile = "" if p.percentile is None else f" (percentile {p.percentile:.0f})"
    return f"{p.analyte} {measured_text(p)}{percentile}"


def _not_used(result: Assessment | Forecast) -> tuple[str, ...]:
    said = " ".join(result.unused)
    found = list(result.unused)
    shown = [p.analyte for p in result.profile if p.use == "shown" and p.analyte not in said]
    # earlier failures are told of in a sentence of their own
    shown = [name for name in shown if name != "failed_trials" or "failed trial" not in said]
    if shown:
        found.append(f"Shown only: {listed(shown)}.")
    failed = [p.analyte for p in result.profile if p.use == "failed"]
    if failed:
        found.append(f"Failed quality control: {listed(failed)}.")
    apart = [p.name for p in result.profile if p.analyte == "sex" or p.use == "score"]
    if apart and isinstance(result, Assessment):
        found.append(f"The scores do not rest on: {listed(apart)}.")
    return tuple(found)


def _inferred(result: Assessment | Forecast) -> tuple[str, ...]:
    """What the panel tells; then what it narrows, what covariates alone suggest, and what stays the population's."""
    told, narrowed, suggested, open_ = [], [], [], []
    for m in result.mechanisms:
        if not m.reading.startswith(NOT_TOLD):
            told.append(f"{m.name}: {m.reading}.")
        elif m.told_by_panel >= INFORMED:
            narrowed.append(f"{m.name} {_ends(m, m.unit)}")
        elif m.by_covariates is not None and m.told_by_covariates >= INFORMED:
            suggested.append(f"{m.name} {_ends(m.by_covariates, m.unit)}")
        else:
            open_.append(m.name)
    names = [p.analyte for p in result.profile if p.use in ("covariate", "related") and p.analyte != "sex"]
    if narrowed:
        told.append(f"Narrowed by laboratory values, yet {NOT_TOLD} (90 %): {listed(narrowed)}.")
    if suggested:
        told.append(f"Suggested by {listed(names)} alone, {NOT_TOLD} (90 %): {listed(suggested)}.")
    if open_:
        told.append(f"{NOT_TOLD.capitalize()}: {listed(open_)}.")
    return tuple(told)


def _ends(found: Interval | MechanismScore, unit: str) -> str:
    return f"{number(found.lo90)} to {number(found.hi90)} {unit.replace('healthy', 'health')}"


def facts_table(profile: Sequence[ProfileItem]) -> Table:
    """Where the limits and reference ranges of the panel come from, an anchor for each analyte."""
    rows = []
    for p in profile:
        bands = bands_of(p.analyte)
        if bands is not None:
            doi = f"https://doi.org/{bands.source.doi}" if bands.source.doi else ""
            rows.append((p.name, f"clinical limits: {bands.source.place}", bands.source.doi, doi))
        if p.reference is not None:
            r = p.reference
            doi = f"https://doi.org/{r.doi}" if r.doi else ""
            rows.append((p.name, f"reference range of {r.assay}, {r.specimen}: {r.place}", r.doi, doi))
    return Table(
        "Where limits and ranges come from", ("analyte", "source", "doi"), tuple(row[:3] for row in rows),
        links={(i, 2): row[3] for i, row in enumerate(rows) if row[3]},
    )  # fmt: skip


def panel_table(profile: Sequence[ProfileItem]) -> Table:
    """Every value: clinical stratum first, then its place among healthy people of the same kind."""
    rows = tuple(
        (
            p.name + (f" ({p.note})" if p.note else ""), measured_text(p), place_text(p), range_text(p),
            "" if p.predicted is None else interval_text(p.predicted), USES[p.use],
        )
        for p in profile
    )  # fmt: skip
    columns = ("analyte", "value", "place", "reference (2.5 to 97.5 %)", "model predicts (90 %)", "use")
    return Table("Panel", columns, rows, links={(i, 3): "#sources" for i, p in enumerate(profile) if p.reference})


def mechanism_table(scores: Sequence[MechanismScore]) -> Table:
    """The five scores, what each is told by, and what may be said of it."""
    rows = tuple(
        (
            m.name, interval_text(m), interval_text(m.population),
            f"{m.told_by_panel:.0%} / {m.told_by_covariates:.0%} / {1 - m.contraction:.0%}", m.reading,
        )
        for m in scores
    )  # fmt: skip
    return Table(
        "Mechanisms: fold of health (mean, 90 % interval)",
        ("mechanism", "patient", "population", "told by", "reading"),
        rows,
        note="Told by: shares of the population's variance that laboratory values and covariates (age, BMI, height, "
        "questionnaires) take away, and that are left. As in health: the interval lies within 0.8 to 1.25; more or "
        "less: it lies outside.",
        links={(i, 1): "#made" for i in range(len(scores))},
    )


def treatment_table(forecast: Forecast) -> Table:
    """The model's difference, its certainty in words, and what trials showed beside it."""
    rows = ranked(forecast)
    reference, *others = rows
    cells = (
        (reference.name, "", "reference", ""),
        *(
            (
                r.name, points_text(r.versus_reference), r.verdict,
                "; ".join(map(published_text, r.published)) or "none that compares it",
            )
            for r in others
        ),
    )  # fmt: skip
    return Table(
        f"Against {reference.name} at week {reference.change.week:g} [{forecast.scale} points; below 0 is better]",
        ("treatment", "model (90 %)", "certainty", "trials (95 %)"),
        cells,
        note="Trials: pooled from the evidence base, in patients of this stratum first where a trial has them; "
        f"standard deviations of the score as points of {forecast.scale}.",
        links={
            (i, j): place
            for i, r in enumerate(rows)
            for j, place in ((1, "#made"), (3, f"#rests-{r.id}"))
            if cells[i][j]
        },
    )  # fmt: skip


def outcome_table(forecast: Forecast) -> Table:
    """Change, response and remission under each regimen."""
    rows = ranked(forecast)
    week = rows[0].change.week
    return Table(
        f"Week {week:g}, {forecast.scale} from {number(forecast.baseline.mean)} (mean, 90 % interval)",
        ("treatment", "change", "response", "remission"),
        tuple((r.name, points_text(r.change), percent(r.response), percent(r.remission)) for r in rows),
        note="Change: as a rater would score one patient, so its interval holds the patient, the rater and what is not "
        "known. Response (half the score or less) and remission: the interval holds only what is not known.",
        links={(i, j): "#made" for i in range(len(rows)) for j in (1, 2, 3)},
    )


def source_table(forecast: Forecast) -> Table:
    """What each regimen rests on: the studies behind the pooled effects and those named with the regimen."""
    rows: list[tuple[str, ...]] = []
    links: dict[tuple[int, int], str] = {}
    for r in ranked(forecast):
        if not (r.published or r.rests_on):
            rows.append((r.name, "no published result", "", ""))
        for p in r.published:
            who = ", ".join(d for d in p.diagnoses if d != "mdd")
            what = (
                f"{p.comparison}{', ' + p.stratum if p.stratum else ''}{f' ({who} among the patients)' if who else ''}"
            )
            for study, doi, role in p.studies:
                if doi:
                    links[len(rows), 3] = f"https://doi.org/{doi}"
                rows.append((r.name, f"{study}: {what}", roles_text(role), doi))
        for e in r.rests_on:
            if e.doi:
                links[len(rows), 3] = f"https://doi.org/{e.doi}"
            rows.append((r.name, rests_text(e).removesuffix(f" ({e.doi})"), "named with the regimen", e.doi))
    return Table(
        "What the comparison rests on", ("treatment", "result", "part in the model", "doi"), tuple(rows), links=links
    )


def assay_table(forecast: Forecast) -> Table | None:
    """What further assays are expected to tell; none where none tells anything."""
    found = useful(forecast.next_assay)
    if not found:
        return None
    first, second = two_best(forecast)
    return Table(
        f"What to measure next: expected fall of the variance of the difference between {first} and {second}",
        ("assay", "fall"),
        tuple((a.name, f"{a.variance_reduction:.1%}") for a in found if isfinite(a.variance_reduction)),
    )
