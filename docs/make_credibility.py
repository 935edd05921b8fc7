"""Write the numbers of ``credibility.md`` and of the README from the posterior that ships.

Each region between ``<!-- credibility: NAME -->`` and ``<!-- end -->`` is replaced. ``python docs/make_credibility.py``
simulates for some minutes and, where verdicts are others than before, adds a revision to ``results/history.json``
(``--because "what changed"`` says why); ``--verdicts`` renews only ``results/verdicts.json``, the table that the tests
compare with. What `crosstalk validate --leave-out --json docs/results/leave_out.json` has found is read, not made.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import verdict_history
from pydantic import TypeAdapter

from crosstalk.calibrate.files import read_calibration
from crosstalk.calibrate.qualification import Qualification, qualify
from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import Validation, Verdict, validate
from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import POSTERIOR, evidence_hash, model_hash, possible_worlds
from crosstalk.provenance import atomic_write
from crosstalk.report.catalogue import Table
from crosstalk.report.credibility import report_of, sentences
from crosstalk.report.skill import coverage_text, domain_sentence, skill_sentence, skill_tables
from crosstalk.report.words import number
from crosstalk.study.schema import read_study

DOCS = Path(__file__).resolve().parent
PAGE, TABLE = DOCS / "credibility.md", DOCS / "results" / "verdicts.json"
README = DOCS.parent / "README.md"
LEFT_OUT = DOCS / "results" / "leave_out.json"
FEW = {"seed": 1, "draws": 60, "patients": 40}

_REGION = re.compile(r"(?<=<!-- credibility: )(?P<name>\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

# study, endpoint, of, other fields of the result, what is asked, lowest and highest median that passes
REQUIREMENTS = (
    ("stone2022", "change", "HAMD17", {"versus": "placebo"}, "drug less placebo, HAMD-17 at week 8", -2.2, -1.4),
    ("goldstein2004", "response", "HAMD17", {"arm": "drug", "week": 6.0}, "response on drug, week 6", 0.403, 0.503),
    (
        "goldstein2004",
        "response",
        "HAMD17",
        {"arm": "placebo", "week": 6.0},
        "response on placebo, week 6",
        0.258,
        0.358,
    ),
    ("gasparini2022", "responder-smd", "hsCRP with HAMD17", {}, "CRP, responders less others, SMD", -0.35, 0.35),
    ("osimo2020", "smd", "hsCRP", {}, "CRP, depressed less controls, SMD (interval of the largest review)", None, None),
    ("haapakoski2015", "smd", "hsCRP", {}, "the same (interval of the review before)", None, None),
    ("osimo2020", "smd", "IL-6", {}, "IL-6, depressed less controls, SMD (published interval)", None, None),
    ("osimo2020", "smd", "TNF", {}, "TNF, depressed less controls, SMD (published interval)", None, None),
    ("osimo2019", "prevalence", "hsCRP from 3", {}, "share with CRP above 3 mg/L (published interval)", None, None),
    (
        "macgiollabhui2025",
        "smd",
        "HAMD17",
        {},
        "anti-inflammatory drugs at CRP from 2 mg/L, SMD (published interval)",
        None,
        None,
    ),
    ("raison2013", "interaction", "HAMD17", {}, "infliximab x ln CRP, points (published interval)", None, None),
    (
        "uher2014",
        "interaction",
        "MADRS",
        {},
        "escitalopram less nortriptyline x ln CRP, points (published interval)",
        None,
        None,
    ),
    (
        "jha2018",
        "interaction-or",
        "remission of QIDS16",
        {},
        "bupropion added x BMI, odds ratio (published interval)",
        None,
        None,
    ),
    (
        "musselman2001",
        "incidence",
        "HAMD17 from 14",
        {"arm": "placebo"},
        "depression under interferon on placebo",
        0.25,
        0.45,
    ),
)


def main() -> None:
    knowledge, engine = load_knowledge(), get_engine()
    _write_table(knowledge)
    if "--verdicts" in sys.argv:
        return
    posterior = knowledge.root / POSTERIOR
    calibration = read_calibration(posterior, knowledge)
    found = qualify(calibration, knowledge=knowledge, engine=engine, draws=100, patients=40)
    made = regions(found, knowledge)
    made["requirements"] = _requirements(found)
    history = _revised(found, made["validation"], posterior.read_bytes())
    verdict_history.write(history)
    made["history"], made["moved"] = verdict_history.table(history), verdict_history.sentence(history)
    for path in (PAGE, README):
        text = path.read_text(encoding="utf-8")
        atomic_write(path, filled(text, made))


def regions(found: Qualification, knowledge: Knowledge) -> dict[str, str]:
    """What follows from a qualification, by name of the region."""
    left_out = _left_out(knowledge)
    return {
        "headline": _headline(found.validation),
        "summary": _bullets(sentences(report_of(found, knowledge))),
        "skill": "\n\n".join(
            _titled(t)
            for judged, what in ((found.validation, "held-out results"), (found.fit, "fitted results"))
            for t in skill_tables(judged.overall, what)
        ),
        "left_out": left_out,
        "misses": _misses(found.fit.results),
        "validation": _verdicts(found.validation.results, knowledge),
        "unknowns": _unknowns(found),
        "readme": _short(found),
    }


def filled(text: str, made: dict[str, str]) -> str:
    """A text with its regions written anew.

    Raises
    ------
    KeyError
        If it has a region that nothing is made for.
    """
    return _REGION.sub(lambda m: f"{m['name']}{m[2]}\n{made[m['name']]}\n\n", text)


def _revised(found: Qualification, table: str, posterior: bytes) -> tuple[verdict_history.Revision, ...]:
    """The history of the held-out verdicts with those of now, if they are others."""
    because = sys.argv[sys.argv.index("--because") + 1] if "--because" in sys.argv else "Calibrated anew"
    inside = found.validation.overall.coverage
    return verdict_history.revised(
        verdict_history.read(),
        verdict_history.verdicts_of(f"<!-- credibility: validation -->\n{table}\n<!-- end -->"),
        date=date.today().isoformat(),
        change=because,
        posterior=verdict_history.posterior_hash(posterior),
        rivals=(f"{inside.prior} of {inside.results}", f"{inside.trivial} of {inside.trivial_of}"),
    )


def _write_table(knowledge: Knowledge) -> None:
    worlds = possible_worlds(knowledge, FEW["seed"], FEW["draws"])
    found = validate(
        studies_of("validate", knowledge),
        worlds,
        knowledge=knowledge,
        engine=get_engine(),
        seed=FEW["seed"],
        patients=FEW["patients"],
        prior_draws=2,
    )
    rows = [{"key": v.key, "inside90": v.inside90, "sign_ok": v.sign_ok} for v in found.results]
    atomic_write(TABLE, json.dumps({**FEW, "results": rows}, indent=1) + "\n")


def _headline(judged: Validation) -> str:
    """Whether the model has skill, in the first lines of a page."""
    skill = judged.overall.skill
    if not skill:
        return "No result was held out, so that nothing can be said of the model's skill."
    return f"**Skill.** {skill_sentence(skill[0], 'results that it never saw')} {domain_sentence(skill)}"


def _short(found: Qualification) -> str:
    """What the README says of it."""
    counts = Counter(c.verdict for c in found.contractions)
    parts = [
        f"Of the results {words}, {coverage_text(judged.overall.coverage)}."
        for judged, words in ((found.validation, "that it never saw"), (found.fit, "that it was calibrated on"))
        if judged.results
    ]
    if found.fit.overall.skill:
        skill = found.fit.overall.skill
        parts.append(f"{skill_sentence(skill[0], 'fitted results')} {domain_sentence(skill)}")
    computed = found.fit.overall.computed + found.validation.overall.computed
    if computed:
        parts.append(f"{computed} of all these results were computed here from individual data.")
    parts.append(
        f"Of {len(found.contractions)} unknowns the data identify {counts['identified']}, say something about "
        f"{counts['weakly']}, and next to nothing about {counts['not']}."
    )
    return " ".join(parts)


def _left_out(knowledge: Knowledge) -> str:
    """Leave-study-out, if it was made for the model and the evidence as they are."""
    again = "`crosstalk validate --leave-out --json docs/results/leave_out.json` makes it."
    if not LEFT_OUT.is_file():
        return f"Not made for this posterior yet; {again}"
    found = TypeAdapter(Validation).validate_json(LEFT_OUT.read_bytes())
    if (found.model, found.evidence) != (model_hash(knowledge), evidence_hash(knowledge)):
        return f"What was made belongs to another model or other evidence; {again}"
    skill, what = found.overall.skill, "results of studies left out"
    said = f"{skill_sentence(skill[0], what)} {domain_sentence(skill)} {coverage_text(found.overall.coverage)}."
    return "\n\n".join([said, *(_titled(t) for t in skill_tables(found.overall, "studies left out"))])


def _titled(table: Table) -> str:
    """A table under its title."""
    return f"{table.title}:\n\n{_table(table.columns, table.rows)}"


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _requirements(found: Qualification) -> str:
    rows = []
    for study, endpoint, of, keys, words, low, high in REQUIREMENTS:
        (v,) = [
            x
            for x in found.fit.results
            if (x.study, x.endpoint, x.of) == (study, endpoint, of)
            and all(getattr(x, name) == value for name, value in keys.items())
        ]
        published = _published(found, v)
        least, most = (low, high) if low is not None and high is not None else published
        middle = v.model_median
        rows.append(
            (
                words, number(v.observed), f"{number(least)} to {number(most)}",
                _interval(v.model_median, v.model_lo90, v.model_hi90),
                "yes" if least <= middle <= most else "**no**",
            )
        )  # fmt: skip
    return _table(("what", "published", "asked", "model, median (90 %)", "met"), rows)


def _published(found: Qualification, v: Verdict) -> tuple[float, float]:
    """The published 95 % interval, without the discounts of the calibration."""
    from crosstalk.calibrate.targets import subject
    from crosstalk.evidence.listing import interval

    (target,) = [
        t
        for t in found.calibration.targets.items
        if (t.study, t.result.endpoint, subject(t.result), t.result.arm, t.result.versus)
        == (v.study, v.endpoint, v.of, v.arm, v.versus)
        and (t.result.time_h or 0.0) == 168 * (v.week or 0.0)
        and t.result.stratum is None
    ]
    return interval(target.result.endpoint, float(target.result.value or 0.0), target.sampling)


def _misses(verdicts: Iterable[Verdict]) -> str:
    rows = [(*_what(v), _observed(v), _predicted(v)) for v in verdicts if v.scored and not v.inside90]
    return _table(("study", "result", "observed", "predicted, median (90 %)"), rows)


def _verdicts(verdicts: Iterable[Verdict], knowledge: Knowledge) -> str:
    rows = []
    for v in verdicts:
        study = read_study(v.study, knowledge)
        link = f"[{v.study}](https://doi.org/{study.doi})" if study.doi else v.study
        sign = {True: "right", False: "**wrong**", None: ""}[v.sign_ok]
        computed = ", computed here" if v.figure == "computed" else ""
        rivals = (v.prior.log_score, None if v.trivial is None else v.trivial.log_score)
        scores = (v.log_score, *rivals, v.log_score_no_effect, v.log_score_class_mean)
        inside = ("inside" if v.inside90 else "**outside**") if v.scored else "stated, not judged"
        rows.append(
            (
                link, _what(v)[1], v.domain, _observed(v) + computed, _predicted(v), inside, sign,
                " / ".join("-" if s is None else f"{s:.2f}" for s in scores) if v.scored else "",
            )
        )  # fmt: skip
    scores_of = "log score: model / prior / trivial / no effect / class mean"
    return _table(
        ("study", "result", "domain", "observed", "predicted, median (90 %)", "verdict", "sign", scores_of), rows
    )


def _unknowns(found: Qualification) -> str:
    counts = Counter(c.verdict for c in found.contractions)
    lines = [
        f"Of {len(found.contractions)} unknowns, the data identify {counts['identified']} (three quarters of the "
        f"prior's variance gone), say something about {counts['weakly']} (a fifth gone), and next to nothing about "
        f"{counts['not']}: for these the forecast rests on the prior.",
        "",
        "The twelve that the data narrowed most:",
        "",
        _table(
            ("unknown", "module", "prior, median (90 %)", "posterior, median (90 %)", "variance gone", "verdict"),
            [
                (
                    f"`{c.unknown}`", c.module, _interval(c.prior[1], c.prior[0], c.prior[2]),
                    _interval(c.posterior[1], c.posterior[0], c.posterior[2]), f"{c.contraction:.0%}", c.verdict,
                )
                for c in found.contractions[:12]
            ],
        ),
        "",
        "The ten that simulated drug effects depend on most, by their profile likelihood (from a linear emulator; the "
        "other unknowns keep their priors):",
        "",
        _table(
            ("unknown", "90 % interval of the profile", "verdict", "R² of the emulator"),
            [
                (
                    f"`{p.unknown}`",
                    f"{'open' if p.low is None else number(p.low)} to {'open' if p.high is None else number(p.high)}",
                    {"identified": "bounded", "weakly": "bounded on one side", "not": "flat"}[p.verdict], f"{p.r2:.2f}",
                )
                for p in found.profiles
            ],
        ),
    ]  # fmt: skip
    pairs = ", ".join(f"`{p.first}` with `{p.second}` ({p.correlation:+.2f})" for p in found.confoundings[:8])
    lines += ["", f"Pairs that hide each other (correlation in the posterior): {pairs or 'none beyond 0.4'}."]
    short = [b for b in found.bins if not b.supported]
    lines += [
        "",
        f"Of {len(found.bins)} results in strata, {len(short)} have fewer than five virtual patients in most worlds of "
        f"the calibration: {', '.join(f'{b.description} ({b.target})' for b in short) or 'none'}.",
        "",
        "Plain weighting of the prior would have left "
        + ", ".join(f"{e.effective:.1f} of {e.members}" for e in found.effective)
        + " worlds: the ensemble had to move.",
    ]
    return "\n".join(lines)


def _what(v: Verdict) -> tuple[str, str]:
    parts = [f"{v.endpoint} of {v.of}"]
    if v.week:
        parts.append(f"week {v.week:g}" if v.week >= 1 else f"{v.week * 168:.3g} h")
    parts.append(f"{v.arm} - {v.versus}" if v.versus else v.arm)
    return v.study, ", ".join([*parts, *(part for part in (v.stratum, v.marker) if part)])


def _observed(v: Verdict) -> str:
    return _interval(v.observed, v.observed_lo90, v.observed_hi90)


def _predicted(v: Verdict) -> str:
    return _interval(v.predicted_median, v.lo90, v.hi90)


def _interval(middle: float, low: float, high: float) -> str:
    return f"{number(middle)} ({number(low)} to {number(high)})"


if __name__ == "__main__":
    main()
