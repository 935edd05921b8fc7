"""The credibility report: what the model was fitted to, how well, what it predicts, and what the data cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from crosstalk.calibrate.calibration import STEPS, Calibration
from crosstalk.calibrate.identifiability import (
    IDENTIFIED,
    STRONG,
    WEAKLY,
    Confounding,
    Contraction,
    Profile,
    contractions,
)
from crosstalk.calibrate.qualification import Qualification
from crosstalk.calibrate.sensitivity import Sensitivity
from crosstalk.calibrate.support import FEWEST, Bin, EffectiveSample, effective_samples
from crosstalk.calibrate.targets import STAGES, Target, describe
from crosstalk.calibrate.validation import Summary, Validation, Verdict, summarise
from crosstalk.evidence.listing import time_text
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.provenance import package_version, versions
from crosstalk.report import evidence_charts
from crosstalk.report.catalogue import Table
from crosstalk.report.html import page
from crosstalk.report.skill import coverage_text, domain_sentence, inside_text, skill_sentence, skill_tables
from crosstalk.report.words import number
from crosstalk.study.records import Study

__all__ = [
    "CredibilityReport",
    "Line",
    "calibration_tables",
    "credibility_html",
    "report_of",
    "sensitivity_table",
    "sentences",
    "validation_tables",
    "verdict_lines",
]

STAGE_NAMES = {
    "innate": "Innate immunity",
    "hpa": "HPA axis",
    "metabolic": "Metabolism",
    "kynurenine": "Kynurenine pathway",
    "tcell": "T cells",
    "brain": "Brain",
    "symptoms": "Symptoms",
}
PAIRS = 30  # of confounded unknowns that are listed, the strongest first
TOLD = 15  # of unknowns that the terminal lists
KINDS = {"individual": "of the patient", "population": "not known for sure"}
LEVELS = {
    "identified": f"Identified: at least {100 * IDENTIFIED:.0f} % of the prior's variance is gone",
    "weakly": f"Weakly identified: {100 * WEAKLY:.0f} to {100 * IDENTIFIED:.0f} % is gone",
    "not": f"Not identified: less than {100 * WEAKLY:.0f} % is gone, so that the prior speaks",
}


@dataclass(frozen=True, slots=True)
class CredibilityReport:
    """What a credibility report shows; a part that is None is left out.

    Attributes
    ----------
    fit, validation : Validation
        Of the results that the calibration was given, and of those kept apart to judge it.
    sensitivities : tuple of Sensitivity
    studies : mapping of str to Study
        By id, for titles and DOIs.
    meanings : mapping of str to str
        What an unknown is, with its unit.
    crosstalk, knowledge, versions
        Version of Crosstalk, hash of the knowledge base, versions of the software that can change a result.
    """

    calibration: Calibration | None = None
    fit: Validation | None = None
    validation: Validation | None = None
    contractions: tuple[Contraction, ...] | None = None
    confoundings: tuple[Confounding, ...] | None = None
    profiles: tuple[Profile, ...] | None = None
    bins: tuple[Bin, ...] | None = None
    effective: tuple[EffectiveSample, ...] | None = None
    duplicates: tuple[tuple[str, str], ...] | None = None
    sensitivities: tuple[Sensitivity, ...] | None = None
    studies: Mapping[str, Study] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    crosstalk: str = field(default_factory=package_version)
    knowledge: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)


def report_of(
    found: Qualification, knowledge: Knowledge | None = None, sensitivities: Sequence[Sensitivity] = ()
) -> CredibilityReport:
    """The report of a qualification, with titles of studies and meanings of unknowns from the knowledge base."""
    from crosstalk.calibrate.targets import studies_of

    knowledge = knowledge or load_knowledge()
    shown = [*found.calibration.targets.studies, *studies_of("validate", knowledge)]
    return CredibilityReport(
        found.calibration, found.fit, found.validation, found.contractions, found.confoundings,
        found.profiles, found.bins, found.effective, found.duplicates, tuple(sensitivities) or None,
        {study.id: study for study in shown}, _meanings(found.calibration, knowledge), knowledge=knowledge.sha256,
    )  # fmt: skip


def credibility_html(report: CredibilityReport) -> str:
    """The report as one HTML page: inline style and SVG, no script, no request."""
    return page(
        "credibility",
        title="Credibility of the model" if report.calibration or report.fit else "Predictions against observations",
        r=report,
        says=sentences(report),
        stages=_stages(report),
        fit_charts=_fit_charts(report),
        judged=[
            _Judged(
                "Validation",
                found,
                skill_tables(found.overall, _unseen(found)),
                _unseen(found),
                _by_study(found, report),
                evidence_charts.verdict_charts(found.results, "validation", "Validation"),
            )
            for found in (report.validation,)
            if found is not None
        ],
        fit_skill=[] if report.fit is None else skill_tables(report.fit.overall, "fitted results"),
        levels=[(words, [c for c in report.contractions or () if c.verdict == key]) for key, words in LEVELS.items()],
        pairs=(report.confoundings or ())[:PAIRS],
        chance=None if report.calibration is None else (report.calibration.settings.members - 1) ** -0.5,
        profile_chart=evidence_charts.profile_chart(report.profiles or (), float(chi2.ppf(0.9, 1))),
        poor=sorted((b for b in report.bins or () if b.smallest < FEWEST), key=lambda b: (-b.short, b.median)),
        told={} if report.calibration is None else {t.id: describe(t.result) for t in report.calibration.targets.items},
        sensitivities=[sensitivity_table(s) for s in report.sensitivities or ()],
        steps=[f"{w:g}" for w in STEPS],
        fewest=FEWEST,
        strong=STRONG,
    )


class Line(NamedTuple):
    """A verdict in texts.

    ``score`` is the log score of the model; each ``gain`` is it less that of the prior predictive, the trivial
    predictor, no effect and the class mean. ``inside`` is None for a result that does not count.
    """

    study: str
    result: str
    arms: str
    stratum: str
    time: str
    domain: str
    observed: str
    predicted: str
    inside: bool | None
    sign: str
    score: str
    gain_prior: str
    gain_trivial: str
    gain_none: str
    gain_class: str

    @property
    def verdict(self) -> str:
        """Inside, outside, or that nothing was printed that it could be judged by."""
        if self.inside is None:
            return "not judged: stated in words only"
        return ("inside" if self.inside else "OUTSIDE") + (f", sign {self.sign}" if self.sign else "")


def verdict_lines(verdicts: Sequence[Verdict]) -> tuple[Line, ...]:
    """Verdicts in texts, for tables."""
    return tuple(
        Line(
            v.study,
            f"{v.endpoint} of {v.of}" + (" (computed here)" if v.figure == "computed" else ""),
            v.arm + (f" against {v.versus}" if v.versus else ""),
            ", ".join(part for part in (v.stratum, v.marker) if part),
            "" if v.week is None else time_text(round(v.week * 168, 2)),
            v.domain,
            _value(v.observed, v.observed_lo90, v.observed_hi90, v.unit),
            _value(v.predicted_median, v.lo90, v.hi90),
            v.inside90 if v.scored else None,
            {True: "right", False: "wrong", None: ""}[v.sign_ok],
            f"{v.log_score:.2f}" if v.scored else "",
            *(
                _gain(v.log_score, rival) if v.scored else ""
                for rival in (
                    v.prior.log_score,
                    None if v.trivial is None else v.trivial.log_score,
                    v.log_score_no_effect,
                    v.log_score_class_mean,
                )
            ),
        )
        for v in verdicts
    )


def sentences(report: CredibilityReport) -> tuple[str, ...]:
    """The report in short, in plain words that follow from its numbers."""
    found = []
    if report.calibration is not None:
        targets = report.calibration.targets
        recalled = sum(t.result.provenance == "memory" for t in targets.items)
        found.append(
            f"{_count(len(targets.items), 'published result')} of {_count(len(targets.studies), 'study')} were used "
            f"to calibrate {_count(len(report.calibration.unknowns), 'unknown')}"
            + (f"; {_share(recalled, len(targets.items))} were recalled, not looked up." if recalled else ".")
        )
    for part, what in ((report.fit, "fitted results"), (report.validation, None)):
        if part is not None and part.overall.skill:
            skill = part.overall.skill
            said = (
                skill_sentence(skill[0], what or _unseen(part)),
                domain_sentence(skill),
                f"{coverage_text(part.overall.coverage)}.",
                _left_out(part.overall),
                _signs(part.overall),
                _scores(part) if part is report.validation else "",
            )
            found.append(" ".join(words for words in said if words))
    if report.calibration is not None and report.calibration.heterogeneity:
        found.append(heterogeneity_sentence(report.calibration))
    if report.calibration is not None and report.calibration.rates:
        found.append(rates_sentence(report.calibration))
    if report.contractions:
        counts = {level: sum(c.verdict == level for c in report.contractions) for level in LEVELS}
        found.append(
            f"Of {_count(len(report.contractions), 'unknown')}, {counts['identified']} are identified by the data, "
            f"{counts['weakly']} weakly, {counts['not']} not: for these the prior speaks."
        )
    if report.bins is not None and report.bins:
        short = sum(not b.supported for b in report.bins)
        found.append(
            f"Of {_count(len(report.bins), 'target')} about a part of the patients, {short} "
            f"{'has' if short == 1 else 'have'} fewer than {FEWEST} virtual patients in most worlds."
        )
    for name, judged in (("fitted", report.fit), ("held-out", report.validation)):
        if judged is not None and judged.unsupported:
            n = len(judged.unsupported)
            found.append(f"{_count(n, f'{name} result')} could not be predicted: too few worlds have patients for it.")
    return tuple(found)


def heterogeneity_sentence(calibration: Calibration) -> str:
    """How far true effects of studies were found to differ, by domain."""
    words = {"moderation": "moderation, per SD of the marker", "contrast": "treatment contrasts", "course": "courses",
             "biomarker": "differences in biomarkers"}  # fmt: skip
    parts = [
        f"{h.tau:.2f} ({h.lo90:.2f} to {h.hi90:.2f}) in {words[h.domain]} ({h.studies} studies)"
        for h in calibration.heterogeneity
    ]
    return (
        "Beyond their errors, fitted studies differ from each other and from the model by a standard deviation, in "
        f"standard deviations between patients, of {'; '.join(parts)}."
    )


def rates_sentence(calibration: Calibration) -> str:
    """Which share of the information was let in, by domain, and what it gains where studies are left out."""
    parts = [
        f"{r.rate * 100:.0f} % of {r.domain} results ({r.gain:+.2f})"
        for r in sorted(calibration.rates, key=lambda r: -r.rate)
    ]
    return (
        "So much information was let in as predicts left-out studies best: "
        f"{'; '.join(parts)}. In brackets, the log score that left-out results of the kind gain over the prior."
    )


def validation_tables(validation: Validation) -> tuple[Table, ...]:
    """Skill and coverage beside the rivals, then the verdicts, for the terminal; the scores of each are in the JSON."""
    rows = tuple(
        (
            f"{line.study}: " + ", ".join(x for x in (line.result, line.arms, line.stratum, line.time) if x),
            line.observed,
            line.predicted,
            line.verdict,
        )
        for line in verdict_lines(validation.results)
    )
    columns = ("result", "observed (90 %)", "predicted (90 %)", "verdict")
    studies = len({v.study for v in validation.results})
    title = f"{_count(len(rows), 'result')} of {_count(studies, 'study')}, {_made(validation)}"
    tables = [*skill_tables(validation.overall, _unseen(validation)), Table(title, columns, rows)]
    more = _more_table(validation)
    if more.rows:
        tables.append(more)
    if validation.unsupported:
        cells = tuple((name,) for name in validation.unsupported)
        tables.append(Table("Too few worlds have patients for", ("result",), cells))
    return tuple(tables)


def calibration_tables(calibration: Calibration) -> tuple[Table, ...]:
    """A calibration in short, for the terminal: fit by stage, what was learned, effective samples."""
    c = calibration
    narrowed = contractions(c)
    counts = {level: sum(x.verdict == level for x in narrowed) for level in LEVELS}
    learned = f"{counts['identified']} identified, {counts['weakly']} weakly, {counts['not']} not"
    fixed = ", ".join(f"{name} = {value:g}" for name, value in c.settings.fixed)
    facts = [
        ("members", f"{c.settings.members}"),
        ("effort, seed", f"{c.settings.effort:g}, {c.settings.seed}"),
        ("results", f"{len(c.targets.items)} of {_count(len(c.targets.studies), 'study')}"),
        ("unknowns", f"{len(c.unknowns)}: {learned}"),
        ("model", c.model[:12]),
        ("evidence", c.evidence[:12]),
    ]  # fmt: skip
    if fixed:
        facts.insert(2, ("fixed", fixed))
    unknowns = [
        (x.unknown, _value(x.prior[1], x.prior[0], x.prior[2]), _value(x.posterior[1], x.posterior[0], x.posterior[2]),
         f"{x.contraction:.0%}", x.verdict)
        for x in narrowed[:TOLD]
    ]  # fmt: skip
    samples = [(f"{e.members}", f"{e.effective:.1f}") for e in effective_samples(c)]
    return (
        Table("Calibration", ("what", "value"), tuple(facts)),
        Table(
            "Median distance from the results, in the errors that the calibration gave them",
            ("stage", "results", "prior", "posterior"),
            _distances(c),
        ),
        Table(
            f"The {len(unknowns)} unknowns that were narrowed most",
            ("unknown", "prior (90 %)", "posterior (90 %)", "contraction", "verdict"),
            tuple(unknowns),
        ),
        Table("Worlds of the prior that plain weighting would leave", ("of", "effective"), tuple(samples)),
    )


def sensitivity_table(sensitivity: Sensitivity) -> Table:
    """What the benefit of a regimen depends on, the largest influence first; those within their error left out."""
    s = sensitivity
    rows = tuple(
        (i.name, KINDS[i.kind],
         f"{100 * i.first_order:.1f} +- {100 * i.half_width:.1f}")
        for i in s.influences
        if i.first_order > i.half_width
    )  # fmt: skip
    title = (
        f"Benefit of {s.regimen} over {s.versus}, week {s.week}: {number(s.mean)} {s.scale} points (SD {number(s.sd)}) "
        f"over {s.patients} patients, {s.worlds} worlds"
    )
    return Table(title, ("quantity", "kind", "share of the variance [%]"), rows)


class _Judged(NamedTuple):
    """Results that were not fitted, ready for the page."""

    title: str
    validation: Validation
    skill: tuple[Table, ...]
    unseen: str
    studies: list[tuple[str, Study | None, list[Line]]]
    charts: list[str]


class _StageRow(NamedTuple):
    stage: str
    results: int
    studies: int
    inside: tuple[str, str, str]
    signs: str


def _distances(c: Calibration) -> tuple[tuple[str, ...], ...]:
    """Of the ensemble's median counterpart, by stage."""
    errors = np.sqrt(np.diag(c.targets.covariance))
    far = [np.abs(np.nanmedian(x, axis=0) - c.targets.values) / errors for x in (c.before, c.after)]
    rows = []
    for stage in STAGES:
        own = c.targets.stage(stage)
        if len(own):
            middle = (f"{np.nanmedian(x[own]):.2f}" for x in far)
            rows.append((STAGE_NAMES.get(stage, stage), f"{len(own)}", *middle))
    return tuple(rows)


def _stages(report: CredibilityReport) -> list[tuple[_StageRow, list[tuple[Study, list[Target]]]]]:
    """Evidence by stage, with the studies of each."""
    if report.calibration is None:
        return []
    c = report.calibration
    found = []
    for row in _stage_rows(c, () if report.fit is None else report.fit.results):
        own = [t for t in c.targets.items if STAGE_NAMES.get(t.stage, t.stage) == row.stage]
        studies = [(s, [t for t in own if t.study == s.id]) for s in c.targets.studies]
        found.append((row, [(s, targets) for s, targets in studies if targets]))
    return found


def _stage_rows(c: Calibration, fitted: Sequence[Verdict]) -> list[_StageRow]:
    stage_of = _stage_of(c)
    rows = []
    for stage in STAGES:
        own = [t for t in c.targets.items if t.stage == stage]
        if own:
            s = summarise([v for v in fitted if stage_of(v) == stage])
            rows.append(
                _StageRow(
                    STAGE_NAMES.get(stage, stage), len(own), len({t.study for t in own}),
                    inside_text(s.coverage),
                    f"{s.signs_ok} of {s.signs}" if s.signs else "",
                )
            )  # fmt: skip
    return rows


def _stage_of(c: Calibration) -> Callable[[Verdict], str]:
    """The stage of a verdict: that of the target about the same variable."""
    stages: dict[tuple[str, str], str] = {(t.result.endpoint, t.result.of): t.stage for t in c.targets.items}
    return lambda v: stages.get((v.endpoint, v.of.partition(" ")[0]), STAGES[-1])


def _fit_charts(report: CredibilityReport) -> list[tuple[str, list[str]]]:
    if report.fit is None:
        return []
    if report.calibration is None:
        return [("All", evidence_charts.verdict_charts(report.fit.results, "fit", "Fit"))]
    stage_of = _stage_of(report.calibration)
    grouped = [(stage, [v for v in report.fit.results if stage_of(v) == stage]) for stage in STAGES]
    return [
        (STAGE_NAMES.get(stage, stage), evidence_charts.verdict_charts(own, f"fit-{stage}", f"Fit, {stage}"))
        for stage, own in grouped
        if own
    ]


def _by_study(found: Validation, report: CredibilityReport) -> list[tuple[str, Study | None, list[Line]]]:
    groups: dict[str, list[Line]] = {}
    for line in verdict_lines(found.results):
        groups.setdefault(line.study, []).append(line)
    return [(study, report.studies.get(study), lines) for study, lines in groups.items()]


def _meanings(c: Calibration, knowledge: Knowledge) -> dict[str, str]:
    found = {}
    for unknown in c.unknowns:
        parameter = knowledge.parameters.get(unknown.id)
        if parameter is not None:
            unit = "" if parameter.unit == "dimensionless" else f" [{parameter.unit}]"
            found[unknown.id] = f"{parameter.meaning}{unit}"
        elif unknown.module == "population":
            who, what, part = unknown.id.split(".")
            found[unknown.id] = f"factor on the {part} of {what} in {who}"
        elif unknown.module == "drugs":
            found[unknown.id] = "largest effect of the drug there"
    return found


def _more_table(found: Validation) -> Table:
    """Signs, and comparisons that few results allow."""
    s, rows = found.overall, []
    if s.signs:
        rows.append(("sign right, where the observed interval holds no null", _share(s.signs_ok, s.signs)))
    for name, gain, better, n in _rivals(found):
        rows.append((f"median log score less that of {name}", f"{gain:+.2f} (higher for {better} of {n})"))
    if s.computed:
        rows.append(("computed here from individual data", f"{s.computed}"))
    if s.stated:
        rows.append(("stated in words only, counted nowhere", f"{s.stated}"))
    return Table("Besides", ("what", "value"), tuple(rows))


def _unseen(found: Validation) -> str:
    """What is judged: a reader may judge results that the model was fitted to."""
    roles = {v.role for v in found.results}
    if found.source.startswith("posterior without") or "calibrate" not in roles:
        return "results that the calibration never saw"
    return "fitted results" if roles == {"calibrate"} else "results, some of them fitted"


def _left_out(s: Summary) -> str:
    """How many results are not the publications' own."""
    said = []
    if s.computed:
        said.append(f"{s.computed} of the results were computed here from individual data.")
    if s.stated:
        said.append(f"{_count(s.stated, 'result')} more, stated in words only, count for nothing.")
    return " ".join(said)


def _made(validation: Validation) -> str:
    return f"{validation.source} worlds, {validation.patients} patients in each, seed {validation.seed}"


def _signs(s: Summary) -> str:
    if not s.signs:
        return ""
    return f"Where the observed interval leaves out no effect, the sign is right in {_share(s.signs_ok, s.signs)}."


def _scores(found: Validation) -> str:
    parts = [
        f"that of {name} for {better} of {n} (median difference {gain:+.2f})"
        for name, gain, better, n in _rivals(found)
    ]
    return f"The log score of the model is higher than {', and than '.join(parts)}." if parts else ""


def _rivals(found: Validation) -> list[tuple[str, float, int, int]]:
    """Rival, median gain of the log score on it, number of results with a gain, number of results compared."""
    s, rows = found.overall, [v for v in found.results if v.scored]
    rivals = (
        ("no effect", s.better_than_no_effect, [v.log_score_no_effect for v in rows]),
        ("the mean of the drug's class", s.better_than_class_mean, [v.log_score_class_mean for v in rows]),
    )
    return [
        (name, gain, sum(x is not None and v.log_score > x for v, x in zip(rows, scores, strict=True)),
         sum(x is not None for x in scores))
        for name, gain, scores in rivals
        if gain is not None
    ]  # fmt: skip


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "none"


def _gain(score: float, rival: float | None) -> str:
    return "" if rival is None else f"{score - rival:+.2f}"


def _value(middle: float, low: float, high: float, unit: str = "") -> str:
    shown = "" if unit in ("dimensionless", "fraction", "") else f" {unit}"
    return f"{number(middle)}{shown} ({number(low)} to {number(high)})"


def _count(n: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n} {noun if n == 1 else plural}"
