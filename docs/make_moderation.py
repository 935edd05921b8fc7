"""Write the tables of ``moderation.md`` from the study files.

Each region of the page between ``<!-- moderation: NAME -->`` and ``<!-- end -->`` is replaced.
``python docs/make_moderation.py`` simulates nothing; ``--check`` writes nothing and fails if the page is old.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosstalk.evidence.listing import stratum_text
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Drug
from crosstalk.provenance import atomic_write
from crosstalk.study.endpoints import ENDPOINTS, error_scale, from_error_scale
from crosstalk.study.records import Arm, Marker, Result, Study
from crosstalk.study.schema import read_study

PAGE = Path(__file__).resolve().parent / "moderation.md"
NORMAL_975 = 1.959964
CHALLENGES = {"lps", "interferon-alfa-2b", "peginterferon-alfa-2a"}

_REGION = re.compile(r"(?<=<!-- moderation: )(?P<name>[\w-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

# a drug's class by what it acts on, the first that fits
CLASSES = {
    "serotonergic": {"sert_block"},
    "catecholaminergic": {"catecholamine_gain"},
    "glutamatergic": {"synaptogenic_signal", "glutamate_tone"},
    "anti-cytokine": {"tnf_binding", "il6_binding"},
}
OTHER = "other anti-inflammatory"
STEPS = {"ln": "ln", "log2": "log2", "log10": "log10", "sd": "SD of", "sd-ln": "SD of ln"}
MARKERS = {"crp": ("hsCRP",), "bmi": ("BMI",), "il6": ("IL-6",)}


@dataclass(frozen=True, slots=True)
class Row:
    """One result on moderation."""

    study: Study
    result: Result
    marker: str
    classes: frozenset[str]


def main(arguments: Sequence[str]) -> int:
    old = PAGE.read_text(encoding="utf-8")
    new = page(old, load_knowledge())
    if "--check" in arguments:
        if old != new:
            print("docs/moderation.md is older than the study files: run python docs/make_moderation.py")
        return int(old != new)
    atomic_write(PAGE, new)
    return 0


def page(text: str, knowledge: Knowledge) -> str:
    """The page with its regions renewed."""
    found = sorted(rows(knowledge), key=lambda r: (r.study.id, r.result.time_h or 0.0))
    named = {name: [r for r in found if r.marker in markers] for name, markers in MARKERS.items()}
    rest = [r for r in found if r.marker and r.marker not in sum(MARKERS.values(), ())]
    regions = {name: table(group) for name, group in {**named, "other": rest}.items()}
    regions["challenge"] = table([r for r in found if not r.marker])
    regions["counts"] = counts(found)

    def renewed(match: re.Match[str]) -> str:
        return f"{match['name']} -->\n{regions[match['name']]}"

    return _REGION.sub(renewed, text)


def rows(knowledge: Knowledge) -> Iterator[Row]:
    """Every published result that says how an immune or metabolic state goes with what a treatment does."""
    symptoms = {*knowledge.scales, "NV", "MC"}
    states = {a.id for a in knowledge.analytes.values() if a.kind == "laboratory"} | {"BMI"}
    for study in map(read_study, knowledge.study_files):
        for result in study.results:
            marker = _marker_of(study, result, symptoms, states)
            arm = next(a for a in study.arms if a.id == result.arm)
            treated = {d for a in study.arms for d in _drugs(a)} - CHALLENGES
            if marker is None or not treated:
                continue
            base = set(next((_drugs(a) for a in study.arms if a.id == result.versus), ()))
            differs = set(_drugs(arm)) - base - CHALLENGES
            if result.versus and not base <= set(_drugs(arm)):
                differs |= base - set(_drugs(arm))
            yield Row(study, result, marker, frozenset(_class(knowledge.drugs[d]) for d in differs or set(_drugs(arm))))


def _marker_of(study: Study, result: Result, symptoms: set[str], states: set[str]) -> str | None:
    """The state that a result is about, empty for a challenge, None where it is about none."""
    kind = ENDPOINTS[result.endpoint]
    if result.marker is not None:
        return result.marker.analyte
    if kind.moderation:  # of responders and others
        return result.of if result.of in states else None
    if result.endpoint == "correlation":
        return result.partner if result.partner in states and result.partner_h == 0 and result.time_h else None
    if result.of not in symptoms or not result.time_h:
        return None
    if result.stratum is not None and result.stratum.analyte in states:
        return result.stratum.analyte
    arms = [a for a in study.arms if a.id in (result.arm, result.versus)]
    if len(arms) == 2 and all(CHALLENGES & set(_drugs(a)) for a in arms):
        return ""
    chosen = [e.analyte for e in study.population.eligible if e.analyte in states]
    return chosen[0] if chosen and result.versus else None


def _drugs(arm: Arm) -> tuple[str, ...]:
    return tuple(dict.fromkeys(dose.drug for dose in arm.all_doses))


def _class(drug: Drug) -> str:
    targets = {t.slot for t in drug.targets}
    return next((name for name, slots in CLASSES.items() if targets & slots), OTHER)


def counts(found: Sequence[Row]) -> str:
    """Results and studies by class of drug and marker."""
    lines = ["| class | CRP | BMI | IL-6 | other markers |", "| --- | --- | --- | --- | --- |"]
    known = sum(MARKERS.values(), ())
    for name in (*CLASSES, OTHER):
        cells = []
        for keep in [*MARKERS.values(), None]:
            rows = [r for r in found if name in r.classes and r.marker]
            rows = [r for r in rows if (r.marker in keep if keep else r.marker not in known)]
            cells.append(f"{len(rows)} of {len({r.study.id for r in rows})}" if rows else "none")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    publications = {r.study.doi or r.study.pubmed for r in found}
    memory = sum(r.result.provenance == "memory" for r in found)
    figures = {f: sum(r.result.figure == f for r in found) for f in ("printed", "computed", "stated")}
    fitted, held = (sum(r.study.role == role for r in found) for role in ("calibrate", "validate"))
    words = (
        f"{len(found)} results of {len(publications)} publications: {figures['printed']} printed, "
        f"{figures['computed']} computed from what is printed, {figures['stated']} only stated in words; "
        f"{memory} of them recalled, not seen. {fitted} are fitted, {held} held out."
    )
    return "\n".join([words, "", *lines]) + "\n"


def table(found: Sequence[Row]) -> str:
    """One line a result."""
    lines = ["| study | treatment | result | value (95 %) | figure | role |", "| --- | --- | --- | --- | --- | --- |"]
    for row in found:
        study, r = row.study, row.result
        arms = {a.id: a for a in study.arms}
        treatment = _treatment(arms[r.arm]) + (f" against {_treatment(arms[r.versus])}" if r.versus else "")
        if sum(_treatment(a) == _treatment(arms[r.arm]) for a in study.arms) > 1:
            treatment = f"{r.arm}: {treatment}"
        figure = r.figure + (", recalled" if r.provenance == "memory" else "")
        cells = (f"`{study.id}`", treatment, _says(study, r), _interval(r), figure, study.role)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _treatment(arm: Arm) -> str:
    if arm.mixture:
        return "mixture of " + ", ".join(
            dict.fromkeys(" + ".join(d.drug for d in p.doses) or "none" for p in arm.mixture)
        )
    return " + ".join(_drugs(arm)) or "placebo"


def _says(study: Study, r: Result) -> str:
    words = f"{r.endpoint} of {r.of}" + (f" ({r.event})" if r.event else "")
    if r.partner:
        words += f", by {r.partner}"
    if r.marker is not None:
        words += f" {_step(r.marker)}"
    limits = [r.stratum] if r.stratum is not None else list(study.population.eligible)
    limits = [e for e in limits if e.analyte not in ("HAMD17", "MADRS", "QIDS16", "PHQ9")]
    if limits:
        words += ", " + " and ".join(stratum_text(e).replace(">=", "≥").replace("<=", "≤") for e in limits)
    return words


def _step(marker: Marker) -> str:
    if marker.per == "stratum":
        low = marker.min if marker.max is None else marker.max
        return f"at {marker.analyte} of {marker.min:g} {marker.unit} or more less below {low:g}"
    if marker.per == "unit":
        return f"per {marker.step:g} {marker.unit} of {marker.analyte}"
    return f"per {STEPS[marker.per]} {marker.analyte}"


def _interval(r: Result) -> str:
    if r.value is None:
        return ""
    share = r.unit == "fraction"
    one = {True: lambda x: f"{100 * x:.0f} %", False: lambda x: f"{x:.2f}"}[share]
    if r.se is None:
        return one(r.value)
    middle = error_scale(r.endpoint, r.value)
    low, high = (from_error_scale(r.endpoint, middle + side * NORMAL_975 * r.se) for side in (-1, 1))
    return f"{one(r.value)} ({one(low)} to {one(high)})".replace("-", "\N{MINUS SIGN}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
