"""Simulated trials and searches over designs as tables, JSON and HTML reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite

from crosstalk.report import trial_charts as charts
from crosstalk.report.catalogue import Table
from crosstalk.report.html import page
from crosstalk.report.words import UNCALIBRATED, number, rests_text
from crosstalk.study.design import Design, Stratum
from crosstalk.study.methods import analysis_method
from crosstalk.trial.assumed import AssumedPower
from crosstalk.trial.characteristics import AnalysisCharacteristics, Value
from crosstalk.trial.result import TrialResult
from crosstalk.trial.search import Candidate

__all__ = [
    "basis_table",
    "needed_words",
    "protocol_table",
    "search_html",
    "search_json",
    "search_table",
    "search_words",
    "trial_html",
    "trial_json",
    "trial_lines",
    "trial_tables",
]

KINDS = {
    "parallel": "parallel groups",
    "stratified": "parallel groups, randomised within marker-positive and -negative patients",
    "enrichment": "parallel groups of marker-positive patients alone",
    "match": "strategies: drug matched to the marker against mismatched",
    "adaptive-enrichment": "parallel groups; a look may drop the marker-negative",
    "crossover": "two-period crossover",
}
MARKED = dict.fromkeys(("stratified", "match", "adaptive-enrichment"), ("marker",))
MULTIPLICITY = {
    "none": "no adjustment; the first analysis is the primary one",
    "bonferroni": "Bonferroni over the confirmatory analyses",
    "holm": "Holm over the confirmatory analyses",
    "hochberg": "Hochberg over the confirmatory analyses",
    "fixed": "fixed sequence in the order above",
    "closed": "closed test of all and of the marker-positive patients, exact for their correlation",
}
BOUNDARIES = {
    "obrien-fleming": "O'Brien-Fleming boundary",
    "pocock": "Pocock boundary",
    "spending-obrien-fleming": "alpha spending after Lan and DeMets, O'Brien-Fleming type",
    "spending-pocock": "alpha spending after Lan and DeMets, Pocock type",
}


def trial_json(result: TrialResult) -> str:
    """The result as JSON text."""
    return json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def trial_tables(result: TrialResult) -> tuple[Table, ...]:
    """Tables for the terminal and the report; Monte-Carlo standard errors in brackets."""
    tables = [_power_table(result), _effect_table(result), _knowledge_table(result), _size_table(result)]
    if result.assumed is not None:
        tables.insert(1, _assumed_table(result, result.assumed))
    if result.looks:
        tables.append(_looks_table(result))
    if result.strata:
        rows = tuple(
            (f"marker-{s.part}", _percent(s.share), number(s.truth), "" if s.power is None else _percent(s.power))
            for s in result.strata
        )
        tables.append(Table("By the marker", ("participants", "share", "true effect", "power"), rows))
    if result.notes:
        tables.append(Table("Notes of analyses", ("note", "times"), tuple((w, str(n)) for w, n in result.notes[:8])))
    return tuple(tables)


def trial_lines(result: TrialResult) -> tuple[str, ...]:
    """The first screen: the summary, and how many are needed."""
    first, *rest = result.summary().split("\n")
    return (first, needed_words(result), *rest)


def needed_words(result: TrialResult) -> str:
    """How many must be randomised and screened for 80 % power, or that no number is enough."""
    wanted = charts.needed(result, 0.8)
    if not wanted < 1e5:
        return (
            "Needed for 80 % power: out of reach, since the true effect in the typical world is none, opposite, or "
            "too small."
        )
    screened = wanted * result.funnel["screened"].value / max(result.randomised.value, 1e-9)
    return (
        f"Needed for 80 % power: {wanted:.0f} randomised, about {screened:.0f} screened (normal approximation, one "
        f"look, typical world); the design has {result.design.n}."
    )


def _power_table(result: TrialResult) -> Table:
    rows = []
    for x in result.analyses:
        name = x.id if x.confirmatory else f"{x.id} (exploratory)"
        rows.append((name, _what(x), _percent(x.power), _percent(x.type_i_error)))
    return Table(
        f"Power and error: {result.replicates} simulated trials each, Monte-Carlo standard error in brackets",
        ("analysis", "method", "power", "type I error"),
        tuple(rows),
    )


def _effect_table(result: TrialResult) -> Table:
    rows = [
        (
            x.id, number(x.truth), f"{number(x.effect.value)} ({number(x.effect.se)})", _signed(x.bias),
            number(x.standard_error), _percent(x.coverage), x.estimand.split(":")[0],
        )
        for x in result.analyses
    ]  # fmt: skip
    columns = ("analysis", "true effect", "mean estimate", "bias", "SE of a trial", "coverage of 95 %", "estimand")
    levels = {a.alpha for a in result.design.analyses}
    if levels != {0.05}:
        columns = (*columns[:5], "coverage", columns[6])
    return Table("Effect: arm less control", columns, tuple(rows))


def _assumed_table(result: TrialResult, own: AssumedPower) -> Table:
    """The trialist's own assumption and the model side by side."""
    x, d = result.primary, result.design
    wanted = charts.needed(result, own.target)
    model_sd = ""
    if own.sd is not None:
        ratio = d.allocation[x.arm] / d.allocation[x.versus]
        # the SD that would give the standard error of the simulated trials, were there no dropout
        model_sd = number(x.standard_error / ((1 + ratio) / (ratio * own.patients) ** 0.5))
    rows = [
        ("effect: arm less control", number(own.effect), number(x.truth)),
        ("SD of the change, adjusted", number(own.sd), model_sd) if own.sd is not None else ("", "", ""),
        (f"power with {d.n} randomised", _share(own.power), _percent(x.power)),
        (
            f"randomised for {_share(own.target)} power",
            f"{own.needed:.0f}",
            f"{wanted:.0f}" if wanted < 1e5 else "never",
        ),
        ("expected number, looks included", f"{own.expected:.0f}" if d.interim else "", ""),
        ("power of the interaction", "" if own.interaction_power is None else _share(own.interaction_power), ""),
        ("power of non-inferiority", "" if own.margin_power is None else _share(own.margin_power), ""),
        ("months to the last visit", "" if own.months is None else f"{own.months:.0f}", ""),
    ]
    if d.interim is not None:
        for share, ends in zip(d.interim.information, own.ends, strict=True):
            rows.append((f"significant at {_share(share)} of the patients", _share(ends), ""))
        for share, futile, null in zip(d.interim.information, own.futile, own.futile_null, strict=False):
            words = f"{_share(futile)}; without effect {_share(null)}"
            rows.append((f"futile at {_share(share)} of the patients", words, ""))
    kept = tuple(row for row in rows if any(row[1:]))
    return Table("Your own assumption beside the model", ("what", "assumed", "model"), kept)


def _what(x: AnalysisCharacteristics) -> str:
    return f"{analysis_method(x.method).name}, {x.of}, week {x.week:g}" + (
        "" if x.part == "all" else f", marker-{x.part}"
    )


def _knowledge_table(result: TrialResult) -> Table:
    a = result.assurance
    middle, low, high = (_share(v) for v in (a.power_median, a.power_lo90, a.power_hi90))
    rows = [
        ("probability of success (assurance)", _percent(a.probability)),
        ("power: median, 90 % of worlds", f"{middle}, {low} to {high}"),
        ("power: SD between worlds, without chance", _share(a.knowledge_sd)),
        ("true effect: median, 90 % of worlds",
         f"{number(a.effect_median)}, {number(a.effect_lo90)} to {number(a.effect_hi90)}"),
        ("worlds in which the arm is better", f"{_share(a.chance_of_benefit)} of {a.worlds}"),
    ]  # fmt: skip
    if a.worlds_without_patients:
        words = "worlds with too few patients to recruit (counted as no success)"
        rows.append((words, f"{a.worlds_without_patients} of {a.worlds}"))
    title = f"'{result.primary.id}' with knowledge as uncertain as it is"
    return Table(title, ("what", "value"), tuple(rows))


def _size_table(result: TrialResult) -> Table:
    low, high = result.screened_range
    screened, randomised = result.funnel["screened"], result.randomised
    rows = [
        ("screened", f"{screened.value:.0f} ({screened.se:.2g}); 90 % of trials: {low:.0f} to {high:.0f}"),
        ("randomised", f"{randomised.value:.0f}" + (f" ({randomised.se:.2g})" if randomised.se else "")),
        ("screened for each randomised", number(screened.value / randomised.value)),
    ]
    if isfinite(result.misclassified.value):
        rows.append(("randomised with the marker on the wrong side", _percent(result.misclassified)))
    if result.cost is not None:
        money = f"{result.cost.value:,.0f} ({result.cost.se:,.0f}) {result.design.costs.currency}".strip()
        rows.append(("cost", money))
    rows.append(("power", needed_words(result)))
    if result.naive_search is not None and isfinite(result.naive_search.value):
        words = "WARNING: trials without effect in which a search over subgroups finds p < 0.05"
        rows.append((words, _percent(result.naive_search)))
    if result.prognosis_explained is not None:
        rows.append(("variance of the outcome that the prognostic score explains", _share(result.prognosis_explained)))
    if result.failed_participants:
        rows.append(("virtual participants left out, course not computed", str(result.failed_participants)))
    return Table("Size", ("what", "value"), tuple(rows))


def _looks_table(result: TrialResult) -> Table:
    rows = []
    for look in result.looks:
        null = "" if look.ends_null is None else _percent(look.ends_null)
        rows.append((_share(look.information), f"{look.level:.4f}", _percent(look.ends), null))
    title = "Looks: share of trials that end there"
    return Table(title, ("of the patients", "two-sided level", "with the drug's effect", "without any"), tuple(rows))


def protocol_table(result: TrialResult) -> Table:
    """What a protocol says of the design."""
    d: Design = result.design
    shares = ", ".join(f"{g} {_share(s)}" for g, s in d.allocation.items())
    rows = [
        ("Design", KINDS[d.kind]),
        ("Randomised", f"{d.n}; {shares}; permuted blocks of {d.block}"),
        ("Stratified by", ", ".join([*MARKED.get(d.kind, ()), *map(_factor, d.strata)]) or "nothing"),
    ]
    if d.marker is not None:
        unit = d.marker.unit.replace("^2", "²")
        limits = [f"{number(d.marker.min)} {unit} or more"] if d.marker.min is not None else []
        limits += [f"below {number(d.marker.max)} {unit}"] if d.marker.max is not None else []
        times = "one measurement" if d.measurements == 1 else f"geometric mean of {d.measurements} measurements"
        rows.append(("Marker-positive", f"{d.marker.analyte} {' and '.join(limits)}; {times} at screening"))
    if d.match is not None:
        rows.append(("Matched", f"marker-positive get {d.match[0]}, the others {d.match[1]}; mismatched the reverse"))
    if d.lead_in is not None:
        out = f"not randomised after an improvement of {_share(d.lead_in.exclude_improved)}"
        rows.append(("Placebo lead-in", f"{d.lead_in.duration_h / 168:g} weeks; {out}"))
    if d.crossover is not None:
        words = f"two of {d.crossover.period_h / 168:g} weeks, {d.crossover.washout_h / 168:g} weeks between them"
        rows.append(("Periods", words))
    window = f", each within {d.conduct.visit_window_h / 24:g} days" if d.conduct.visit_window_h else ""
    rows.append(("Visits", "weeks " + ", ".join(f"{w:g}" for w in result.visits_weeks) + window))
    for k, (a, x) in enumerate(zip(d.analyses, result.analyses, strict=True)):
        name = "Primary analysis" if k == 0 else f"Analysis '{a.id}'"
        method = analysis_method(a.method)
        covariates = ["baseline", *a.covariates] if method.baseline or a.covariates else []
        adjusted = f"; adjusted for {', '.join(covariates)}" if covariates else ""
        role = "" if a.confirmatory else "exploratory; "
        how = f"{adjusted}; two-sided level {a.alpha:g}. Estimand: {a.strategy}"
        rows.append((name, f"{role}{method.words}; {_outcome(x)}, {a.arm} against {a.versus}{how}"))
    rows.append(("Multiplicity", MULTIPLICITY[d.multiplicity]))
    if d.interim is not None:
        looks = ", ".join(_share(s) for s in d.interim.information)
        rows.append(("Looks", f"at {looks} of the patients; {BOUNDARIES[d.interim.boundary]}"))
    if d.kind == "adaptive-enrichment" and d.interim is not None:
        rows.append(("Enrichment", (
            f"marker-negative patients are no longer randomised if their conditional power at the look is below "
            f"{_share(d.interim.futility)}; stages combined by the inverse-normal method, closed test with Simes' "
            "intersection, one-sided at half the level"
        )))  # fmt: skip
    return Table("For the protocol", ("item", "text"), tuple(rows))


def _outcome(x: AnalysisCharacteristics) -> str:
    return f"{x.of} at week {x.week:g}" + ("" if x.part == "all" else f" in the marker-{x.part}")


def _factor(stratum: Stratum) -> str:
    if stratum.analyte == "sex":
        return "sex"
    return f"{stratum.analyte} at {' and '.join(f'{c:g}' for c in stratum.cuts)}"


def basis_table(result: TrialResult) -> Table:
    """What the result rests on, the effect of the drugs first."""
    rows = tuple((b.what, b.value, rests_text(b.rest)) for b in result.basis)
    return Table("What this rests on", ("assumption", "value", "source"), rows)


def trial_html(result: TrialResult) -> str:
    """Report of a simulated trial as one HTML page."""
    return page(
        "trial",
        lines=trial_lines(result),
        title=f"Simulated trial: {result.title}" + ("" if result.calibrated else " (uncalibrated)"),
        r=result,
        tables=trial_tables(result),
        protocol=protocol_table(result),
        basis=basis_table(result),
        flow=charts.flow_chart(result),
        power=charts.power_chart(result),
        effect=charts.effect_chart(result),
        uncalibrated=UNCALIBRATED,
    )


def search_table(candidates: Sequence[Candidate]) -> Table:
    """The front of a search, then what it beats."""
    rows = []
    for c in sorted(candidates, key=lambda c: not c.front):
        rows.append(
            (
                "front" if c.front else "", c.arm, f"{c.dose:g}", "" if c.cutoff is None else f"{c.cutoff:g}", str(c.n),
                f"{c.week:g}", c.note or _percent(c.power), f"{c.screened.value:.0f}",
                "" if c.cost is None else f"{c.cost:,.0f}",
            )
        )  # fmt: skip
    columns = ("", "arm", "dose x", "cut-off", "randomised", "week", "power", "screened", "cost")
    return Table("Designs: the front of power against screening first", columns, tuple(rows))


def search_words(candidates: Sequence[Candidate]) -> str:
    """What the search found: the design with the most power, and the cheapest with 80 %."""
    known = [c for c in candidates if isfinite(c.power.value)]
    if not known:
        return "No design could be simulated."
    best = max(known, key=lambda c: c.power.value)
    enough = [c for c in known if c.power.value - 1.645 * c.power.se >= 0.8]
    words = f"{len(known)} designs. The most power, {_percent(best.power)}: {_design(best)}."
    if not enough:
        return f"{words} None has 80 % power beyond Monte-Carlo error."
    fewest = min(enough, key=lambda c: c.screened.value)
    return f"{words} The fewest screened with 80 % or more: {_design(fewest)}."


def _design(c: Candidate) -> str:
    cut = "" if c.cutoff is None else f", cut-off {c.cutoff:g}"
    return f"{c.arm}, dose x {c.dose:g}{cut}, {c.n} randomised, week {c.week:g}, {c.screened.value:.0f} screened"


def search_json(candidates: Sequence[Candidate]) -> str:
    """The designs of a search as JSON text."""
    rows = [
        {
            "arm": c.arm, "dose": c.dose, "cutoff": c.cutoff, "n": c.n, "week": c.week, "power": _plain(c.power),
            "screened": _plain(c.screened), "cost": c.cost, "note": c.note, "front": c.front,
        }
        for c in candidates
    ]  # fmt: skip
    return json.dumps({"candidates": rows}, indent=2, allow_nan=False) + "\n"


def search_html(candidates: Sequence[Candidate], title: str, version: str, *, calibrated: bool) -> str:
    """Report of a search as one HTML page."""
    return page(
        "search", title=f"Search over designs: {title}", table=search_table(candidates),
        front=charts.front_chart(candidates),
        said=search_words(candidates),
        version=version,
        uncalibrated="" if calibrated else UNCALIBRATED,
    )  # fmt: skip


def _percent(value: Value) -> str:
    if not isfinite(value.value):
        return "none"
    return f"{100 * value.value:.1f} % ({100 * value.se:.1f})"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if isfinite(value) else "none"


def _signed(value: Value) -> str:
    return "none" if not isfinite(value.value) else f"{value.value:+.2g} ({value.se:.2g})"


def _plain(value: Value) -> dict[str, float | None]:
    return {k: v if isfinite(v) else None for k, v in (("value", value.value), ("se", value.se))}
