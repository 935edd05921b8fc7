"""Skill in tables and sentences: every figure about the model beside those of its rivals."""

from __future__ import annotations

from collections.abc import Sequence

from crosstalk.calibrate.skill import FEWEST_STUDIES, Coverage, Gain, Skill
from crosstalk.calibrate.validation import Summary
from crosstalk.report.catalogue import Table

__all__ = ["RIVALS", "coverage_text", "domain_sentence", "gain_text", "inside_text", "skill_sentence", "skill_tables"]

RIVALS = "the prior predictive and the trivial predictor"

_WORDS = {
    "better": "says more than the better of its rivals",
    "no better": "is, as far as they tell, no better than the better of its rivals",
    "worse": "says less than the better of its rivals",
    "too few studies": f"cannot be told from the better of its rivals by fewer than {FEWEST_STUDIES} studies",
}


def skill_tables(summary: Summary, what: str) -> tuple[Table, ...]:
    """Skill by domain, and the coverage of 90 % intervals, both beside the rivals; ``what`` names the results."""
    if not summary.skill:
        return ()
    gains = [
        (
            s.domain,
            f"{s.results}",
            f"{s.studies}",
            *(gain_text(g, s.studies) for g in (s.log_score, s.crps)),
            s.judgement,
        )
        for s in summary.skill
    ]
    inside = [(s.domain, f"{s.results}", *inside_text(s.coverage)) for s in summary.skill]
    return (
        Table(
            f"Skill, {what}: median gain on the better of {RIVALS} (90 % over studies)",
            ("domain", "results", "studies", "log score [nats]", "CRPS [standard errors]", "the model is"),
            tuple(gains),
        ),
        Table(
            f"Results inside 90 % intervals, {what}",
            ("domain", "results", "model", "prior predictive", "trivial predictor"),
            tuple(inside),
        ),
    )


def gain_text(gain: Gain, studies: int = 2) -> str:
    """A median gain and its interval, which one study does not have."""
    if studies < 2:
        return f"{gain.median:+.2f} (no interval)"
    return f"{gain.median:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"


def inside_text(found: Coverage) -> tuple[str, str, str]:
    """Counts and shares inside the intervals of the model, the prior predictive and the trivial predictor."""
    return (
        f"{found.model} ({_percent(found.model, found.results)})",
        f"{found.prior} ({_percent(found.prior, found.results)})",
        f"{found.trivial} of {found.trivial_of} ({_percent(found.trivial, found.trivial_of)})"
        if found.trivial_of
        else "says nothing",
    )


def coverage_text(found: Coverage) -> str:
    """The coverage of the model's intervals, never without that of its rivals."""
    trivial = (
        f"{found.trivial} of the {found.trivial_of} that it speaks of inside those of the trivial predictor"
        if found.trivial_of
        else "the trivial predictor speaks of none"
    )
    return (
        f"{found.model} of {found.results} ({_percent(found.model, found.results)}) lie inside the model's 90 % "
        f"intervals, {found.prior} inside those of the prior predictive, {trivial}"
    )


def skill_sentence(found: Skill, what: str) -> str:
    """What the skill over some results says, no more than its intervals allow."""
    studies = f"{found.studies} {'study' if found.studies == 1 else 'studies'}"
    in_log, in_crps = _gain_texts(found)
    return (
        f"On {found.results} {what} ({studies}) the model {_WORDS[found.judgement]} ({RIVALS}): median gain "
        f"{in_log} nats in log score, {in_crps} standard errors in CRPS."
    )


def domain_sentence(skills: Sequence[Skill]) -> str:
    """In which domains the model is better, no better, or worse than the better of its rivals."""
    named = {
        judgement: _listed([s.domain for s in skills if s.domain != "all" and s.judgement == judgement])
        for judgement in _WORDS
    }
    words = {"better": "better than its rivals in", "no better": "no better than its rivals in", "worse": "worse in"}
    parts = [f"{words[judgement]} {names}" for judgement, names in named.items() if names and judgement in words]
    said = [f"By domain it is {'; '.join(parts)}."] if parts else []
    if named["too few studies"]:
        said.append(f"Too few studies tell in {named['too few studies']}.")
    return " ".join(said)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _gain_texts(found: Skill) -> tuple[str, str]:
    return gain_text(found.log_score, found.studies), gain_text(found.crps, found.studies)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"
