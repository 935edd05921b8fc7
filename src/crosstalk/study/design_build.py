"""From the table ``[trial]`` to a `Design`; a design that cannot be carried out is refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import gcd

from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.checks import KeyPath, eligibility, fail, find
from crosstalk.study.design import Analysis, Assumed, Conduct, Costs, Crossover, Design, Interim, LeadIn, Stratum
from crosstalk.study.design_tables import TrialTable
from crosstalk.study.methods import analysis_method
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Arm, Eligibility, Population
from crosstalk.study.tables import EligibleTable

__all__ = ["build_design"]

T: KeyPath = ("trial",)
BY_MARKER = ("stratified", "enrichment", "match", "adaptive-enrichment")
STRATEGIES = ("matched", "mismatched")
FUTILITY = 0.2  # conditional power; usual limits lie between 0.1 and 0.3 (assumed)


def build_design(
    table: TrialTable,
    arms: Sequence[Arm],
    population: Population,
    duration_h: float,
    visits_h: Sequence[float],
    knowledge: Knowledge,
) -> Design:
    """Make the design of a trial.

    Parameters
    ----------
    visits_h : sequence of float [h]
        Visits of the study, baseline first.

    Raises
    ------
    StudyProblem
        With the key and the reason, for what is unknown, contradicts itself, or could never be randomised.
    """
    names = [arm.id for arm in arms]
    other = next((arm.id for arm in arms if arm.diagnosis and arm.diagnosis != population.diagnosis), None)
    if other is not None:
        fail(T, f"arm {other!r} has people of another diagnosis; a trial randomises one population")
    if len(arms) < 2:
        fail(T, "needs two arms, and the study has one; add the control")
    control = table.control or next((arm.id for arm in arms if not arm.doses), "")
    if control not in names:
        fail((*T, "control"), f"received {control!r}, expected one of {', '.join(names)}; name the control")
    _check_kind(table, names)
    marker = _marker(table, knowledge)
    _check_somebody(marker, population, table)
    allocation, block = _allocation(table, _groups(table, names))
    crossover = _crossover(table, duration_h)
    analyses = tuple(_analysis(table, i, names, control, visits_h, knowledge) for i in range(len(table.analysis)))
    _check_together(table, analyses)
    lead_in = table.lead_in
    return Design(
        kind=table.design,
        n=table.n or 0,
        control=control,
        allocation=allocation,
        block=block,
        strata=tuple(_stratum(table, i, population, knowledge) for i in range(len(table.strata))),
        analyses=analyses,
        conduct=_conduct(table, population, names, visits_h),
        marker=marker,
        measurements=1 if table.marker is None else table.marker.measurements,
        match=None if table.match is None else (table.match.positive, table.match.negative),
        lead_in=None if lead_in is None else LeadIn(lead_in.weeks * HOURS_PER_WEEK, lead_in.exclude_improved),
        crossover=crossover,
        interim=_interim(table),
        multiplicity=table.multiplicity,
        assumed=None if table.assumed is None else Assumed(**table.assumed.model_dump()),
        costs=Costs(table.cost.screening, table.cost.patient, table.cost.visit, table.cost.currency),
    )


def _check_kind(table: TrialTable, names: Sequence[str]) -> None:
    """Refuse parts of a design that do not belong together."""
    kind = table.design
    if kind in BY_MARKER and table.marker is None:
        fail((*T, "marker"), f"design is {kind!r} but no marker is given; add marker = {{ analyte, min, unit }}")
    if kind not in BY_MARKER and table.marker is not None:
        fail(
            (*T, "marker"),
            f"a {kind} design looks at no marker; take design = 'stratified' to randomise within positive and negative "
            "patients, 'enrichment' to randomise the positive alone, or drop the marker",
        )
    if kind in ("match", "crossover") and table.interim is not None:
        fail((*T, "interim"), f"interim looks are not offered for {kind!r}; drop them or take another design")
    for key, owner in (("match", "match"), ("crossover", "crossover")):
        if (getattr(table, key) is not None) != (kind == owner):
            words = f"the design is {kind!r}" if kind != owner else "it is missing"
            fail((*T, key), f"[trial.{key}] belongs to design = {owner!r}, and {words}; correct one of them")
    if kind == "crossover" and table.lead_in is not None:
        fail((*T, "lead_in"), "a lead-in is not offered for a crossover; drop it or take design = 'parallel'")
    if kind in ("crossover", "adaptive-enrichment") and len(names) != 2:
        fail((*T, "design"), f"{kind!r} has two arms, received {len(names)}; drop or add some")
    if table.match is not None:
        for key in ("positive", "negative"):
            if getattr(table.match, key) not in names:
                fail((*T, "match", key), f"received {getattr(table.match, key)!r}, expected one of {', '.join(names)}")
        if table.match.positive == table.match.negative:
            fail((*T, "match"), f"both are {table.match.positive!r}: nothing is matched; name two arms")
    if kind == "adaptive-enrichment" and table.analysis[0].part != "all":
        fail(
            (*T, "analysis", 0, "part"),
            "the first analysis of an adaptive enrichment is of all patients, and its closed test tells whether the "
            "positive alone benefit; drop part",
        )


def _interim(table: TrialTable) -> Interim | None:
    entry, adaptive = table.interim, table.design == "adaptive-enrichment"
    if entry is None:
        if adaptive:
            fail((*T, "interim"), "design is 'adaptive-enrichment' but there is no interim look; add [trial.interim]")
        return None
    if entry.futility is not None and not adaptive:
        fail(
            (*T, "interim", "futility"),
            f"drops the marker-negative, which a {table.design} design cannot; take design = 'adaptive-enrichment'",
        )
    if adaptive and len(entry.information) != 2:
        fail(
            (*T, "interim", "information"),
            f"received {len(entry.information)} looks, expected two for an adaptive enrichment, such as [0.5, 1.0]",
        )
    if table.n is not None and entry.information[0] * table.n < 8:
        fail((*T, "interim", "information"), f"the first look would see {entry.information[0] * table.n:.0f} patients")
    return Interim(tuple(entry.information), entry.boundary, FUTILITY if entry.futility is None else entry.futility)


def _crossover(table: TrialTable, duration_h: float) -> Crossover | None:
    if table.crossover is None:
        return None
    period, washout = (HOURS_PER_WEEK * w for w in (table.crossover.period_weeks, table.crossover.washout_weeks))
    length = 2 * period + washout
    if abs(length - duration_h) > 1e-6:
        fail(
            ("study", "duration_weeks"),
            f"received {duration_h / HOURS_PER_WEEK:g}, expected {length / HOURS_PER_WEEK:g}: two periods and the "
            "washout; correct it",
        )
    return Crossover(period, washout)


def _marker(table: TrialTable, knowledge: Knowledge) -> Eligibility | None:
    m, path = table.marker, (*T, "marker")
    if m is None:
        return None
    found = eligibility(EligibleTable(analyte=m.analyte, min=m.min, max=m.max, unit=m.unit), path, knowledge)
    analyte = knowledge.analytes[found.analyte]
    if analyte.kind == "scale":
        fail((*path, "analyte"), f"received {m.analyte!r}, a symptom scale; expected a laboratory value or a covariate")
    lowest, highest = analyte.plausible
    if (found.min is None or found.min <= lowest) and (found.max is None or found.max > highest):
        fail(path, f"everybody is positive ({lowest:g} to {highest:g} {analyte.unit}); set a cut-off within")
    return found


def _check_somebody(marker: Eligibility | None, population: Population, table: TrialTable) -> None:
    """Refuse a marker of which the eligibility criteria leave one side alone."""
    for limits in population.eligible if marker is not None else ():
        assert marker is not None
        if limits.analyte != marker.analyte:
            continue
        low = max(x for x in (limits.min, marker.min, float("-inf")) if x is not None)
        high = min(x for x in (limits.max, marker.max, float("inf")) if x is not None)
        if low >= high:
            fail((*T, "marker"), "the eligibility criteria exclude every marker-positive patient; correct one of them")
        inside = (marker.min is None or (limits.min is not None and limits.min >= marker.min)) and (
            marker.max is None or (limits.max is not None and limits.max <= marker.max)
        )
        if inside and table.design != "enrichment":
            fail((*T, "marker"), "the eligibility criteria leave only marker-positive patients; widen them")


def _groups(table: TrialTable, names: Sequence[str]) -> tuple[str, ...]:
    """What is randomised: arms, strategies, or sequences."""
    if table.design == "match":
        return STRATEGIES
    if table.design == "crossover":
        return f"{names[0]}-{names[1]}", f"{names[1]}-{names[0]}"
    return tuple(names)


def _allocation(table: TrialTable, groups: Sequence[str]) -> tuple[Mapping[str, float], int]:
    given = dict(table.allocation) or dict.fromkeys(groups, 1.0)
    path = (*T, "allocation")
    if set(given) != set(groups):
        fail(path, f"received {', '.join(given)}, expected a share for each of {', '.join(groups)}")
    total = sum(given.values())
    whole = all(v == int(v) for v in given.values())
    if not whole and abs(total - 1.0) > 1e-6:
        fail(path, f"the shares sum to {total:g}; expected 1, or whole numbers as a ratio (2 to 1)")
    ratio = _ratio([given[g] / total for g in groups])
    if ratio is None:
        fail(path, f"received {', '.join(f'{given[g]:g}' for g in groups)}, expected a ratio of small whole numbers")
    size = sum(ratio)
    shares = {g: r / size for g, r in zip(groups, ratio, strict=True)}
    short = min(shares, key=lambda g: shares[g])
    # a size that is solved for comes in whole blocks
    n = table.n or 4 * size
    if n * shares[short] < 2:
        fail(path, f"{short!r} would get {n * shares[short]:.1f} of {n} patients; expected at least 2")
    block = table.block or (2 * size if 2 * size <= n else size)
    if block % size:
        words = " to ".join(map(str, ratio))
        fail((*T, "block"), f"received {block}, expected a multiple of {size}, since the allocation is {words}")
    if table.n is not None and block > table.n:
        fail((*T, "block"), f"received {block}, expected at most the {table.n} patients; make the block smaller")
    return shares, block


def _ratio(shares: Sequence[float]) -> tuple[int, ...] | None:
    """Smallest whole numbers in the ratio of the shares, at most 100 together; None if there are none."""
    for total in range(len(shares), 101):
        counts = [round(s * total) for s in shares]
        if min(counts) > 0 and all(abs(c / total - s) < 2e-3 / total for c, s in zip(counts, shares, strict=True)):
            return tuple(c // gcd(*counts) for c in counts)
    return None


def _conduct(table: TrialTable, population: Population, names: Sequence[str], visits_h: Sequence[float]) -> Conduct:
    c, path = table.conduct, (*T, "conduct")
    for arm in c.side_effects:
        if arm not in names:
            fail((*path, "side_effects"), f"received {arm!r}, expected one of {', '.join(names)}")
    gap = min(later - earlier for earlier, later in pairwise(visits_h)) / 24
    if c.visit_window_days > gap / 2:
        fail(
            (*path, "visit_window_days"),
            f"received {c.visit_window_days:g}, expected at most {gap / 2:g}: visits are {gap:g} days apart and would "
            "change places",
        )
    return Conduct(
        visit_window_h=24 * c.visit_window_days,
        missed_visits=c.missed_visits,
        nonadherence=c.nonadherence,
        dropout=population.dropout if c.dropout is None else c.dropout,
        unimproved=c.unimproved,
        side_effects=dict(c.side_effects),
        followed_up=c.followed_up,
    )


def _stratum(table: TrialTable, index: int, population: Population, knowledge: Knowledge) -> Stratum:
    entry, path = table.strata[index], (*T, "strata", index)
    analyte = find(knowledge.analyte, entry.analyte, (*path, "analyte"))
    recorded = population.severity_scale or knowledge.diagnosis(population.diagnosis).scale
    if analyte.kind == "scale" and analyte.id != recorded:
        fail((*path, "analyte"), f"received {entry.analyte!r}, expected {recorded}, the scale of severity at enrolment")
    if analyte.kind == "laboratory" and not (analyte.observable or analyte.covariate):
        fail((*path, "analyte"), f"received {entry.analyte!r}, which the model does not predict; take another one")
    cuts = tuple(entry.cuts) or ((0.5,) if analyte.covariate == "female" else ())
    if not cuts or list(cuts) != sorted(set(cuts)):
        fail((*path, "cuts"), f"received {list(cuts)}, expected increasing values [{analyte.unit}] such as cuts = [25]")
    return Stratum(analyte.id, cuts)


def _analysis(
    table: TrialTable, index: int, names: Sequence[str], control: str, visits_h: Sequence[float], knowledge: Knowledge
) -> Analysis:
    entry, path = table.analysis[index], (*T, "analysis", index)
    scale = find(knowledge.scale, entry.of, (*path, "of"))
    match = table.design == "match"
    allowed, versus = (STRATEGIES, entry.versus or STRATEGIES[1]) if match else (names, entry.versus or control)
    for key, name in (("arm", entry.arm), ("versus", versus)):
        if name not in allowed:
            fail((*path, key), f"received {name!r}, expected one of {', '.join(allowed)}")
    if entry.arm == versus:
        fail((*path, "versus"), f"received {versus!r}, the arm itself; name the arm that it is compared with")
    time_h = entry.week * HOURS_PER_WEEK
    _check_week(table, time_h, visits_h, (*path, "week"))
    method = analysis_method(entry.method)
    if method.crossover != (table.design == "crossover"):
        fail((*path, "method"), f"received {entry.method!r} in a {table.design} design; take the method that fits")
    if (entry.part != "all" or method.by_marker) and table.marker is None:
        fail(
            path,
            f"a {table.design} design was asked for an analysis by marker; take design = 'stratified' with a marker",
        )
    if table.design == "enrichment" and (entry.part == "negative" or method.between_parts):
        fail(path, "an enrichment randomises no marker-negative patient; take design = 'stratified'")
    if entry.part != "all" and method.between_parts:
        fail((*path, "part"), "an interaction compares the parts; drop part")
    if method.responders and entry.estimand == "hypothetical" and entry.nonresponder:
        fail(
            (*path, "estimand"),
            "received 'hypothetical', which leaves out scores off the drug, while those without a score count as not "
            "improved; set nonresponder = false or drop the estimand",
        )
    covariates = tuple(_covariate(name, (*path, "covariates"), knowledge) for name in entry.covariates)
    return Analysis(
        entry.id, entry.method, scale.id, time_h, entry.arm, versus, entry.alpha, entry.part, covariates,
        entry.estimand, entry.nonresponder, entry.confirmatory,
    )  # fmt: skip


def _check_week(table: TrialTable, time_h: float, visits_h: Sequence[float], path: KeyPath) -> None:
    week, last = time_h / HOURS_PER_WEEK, max(visits_h) / HOURS_PER_WEEK
    if time_h > max(visits_h) + 1e-6:
        fail(path, f"received {week:g}, which lies after the last visit (week {last:g}); correct it")
    if not any(abs(time_h - v) < 1e-6 for v in visits_h):
        weeks = ", ".join(f"{v / HOURS_PER_WEEK:g}" for v in visits_h[1:])
        fail(path, f"received {week:g}, expected a visit (weeks {weeks}); correct it or add a visit")
    if table.crossover is not None:
        period = table.crossover.period_weeks * HOURS_PER_WEEK
        again = time_h + period + table.crossover.washout_weeks * HOURS_PER_WEEK
        if time_h > period + 1e-6 or not any(abs(again - v) < 1e-6 for v in visits_h):
            fail(path, f"received {week:g}, expected a week of the first period with a visit in the second one as well")


def _covariate(name: str, path: KeyPath, knowledge: Knowledge) -> str:
    if name == "prognosis":
        return name
    analyte = find(knowledge.analyte, name, path)
    if analyte.kind == "scale" or not (analyte.observable or analyte.covariate):
        fail(path, f"received {name!r}, expected 'prognosis', or a value of screening such as age, BMI, hsCRP")
    return analyte.id


def _check_together(table: TrialTable, analyses: Sequence[Analysis]) -> None:
    """Refuse analyses that contradict each other or the multiplicity."""
    path = (*T, "analysis")
    ids = [a.id for a in analyses]
    twice = next((i for i, name in enumerate(ids) if name in ids[:i]), None)
    if twice is not None:
        fail((*path, twice, "id"), f"two analyses are called {ids[twice]!r}; give each its own id")
    confirmatory = [a for a in analyses if a.confirmatory]
    if not analyses[0].confirmatory:
        fail((*path, 0, "confirmatory"), "the first analysis is the primary one; make it confirmatory or reorder them")
    if table.multiplicity == "none":
        return
    if len({a.alpha for a in confirmatory}) > 1:
        fail((*T, "multiplicity"), f"{table.multiplicity} needs one alpha for all confirmatory analyses; correct them")
    parts = {a.part for a in confirmatory if a.method == analyses[0].method}
    if table.multiplicity == "closed" and not {"all", "positive"} <= parts:
        fail(
            (*T, "multiplicity"),
            "a closed test needs the primary analysis both of all and of the positive patients; add the one that lacks",
        )
