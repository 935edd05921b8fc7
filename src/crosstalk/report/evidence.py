"""Tables of the evidence: published results, one study, the check of the study files, a pooled effect."""

from __future__ import annotations

from collections.abc import Sequence

from crosstalk.evidence.listing import stratum_text, time_text
from crosstalk.evidence.records import CheckReport, Member, Pool, PublishedResult, StudyCard
from crosstalk.report.catalogue import Table
from crosstalk.report.words import number

__all__ = ["card_tables", "check_tables", "listing_table", "pool_sentence", "pool_text", "value_text"]


def listing_table(rows: Sequence[PublishedResult]) -> Table:
    """Published results, one a row; the last column has the kind of publication and what differs from the model."""
    cells = tuple(
        (row.study, row.role, _result(row), time_text(row.time_h), value_text(row), _kind(row)) for row in rows
    )
    studies = len({row.study for row in rows})
    columns = ("study", "role", "result", "time", "value (95 %)", "kind, mismatch")
    return Table(f"{_count(len(rows), 'published result')} of {_count(studies, 'study')}", columns, cells)


def card_tables(card: StudyCard) -> tuple[Table, ...]:
    """One study: facts, population, arms, results with their sources."""
    results = tuple(
        (_result(row), time_text(row.time_h), value_text(row), _source(row), _kind(row)) for row in card.results
    )
    tables = (
        Table(f"{card.study}: {card.title}", ("fact", "value"), card.facts),
        Table("Population", ("what", "value", "source"), card.population),
        Table("Arms", ("arm", "size", "doses"), card.arms),
        Table("Results", ("result", "time", "value (95 %)", "source", "kind, mismatch"), results),
    )
    return tuple(table for table in tables if table.rows)


def check_tables(report: CheckReport, *, notes: bool = False) -> tuple[Table, ...]:
    """The check of study files: a summary by check, then each finding; notes only if asked for."""
    summary = []
    for check in report.checks:
        counts = [report.count(check, "fail"), report.count(check, "warn"), report.count(check, "note")]
        grade = next((g for g, n in zip(("fail", "warn", "note"), counts, strict=True) if n), "ok")
        summary.append((grade, check, *(f"{n}" if n else "" for n in counts)))
    title = f"Check of {_count(report.studies, 'study file')} with {_count(report.results, 'result')}"
    found = tuple((x.grade, x.check, x.place, x.message) for x in report.lines if notes or x.grade != "note")
    tables = [Table(title, ("grade", "check", "fail", "warn", "note"), tuple(summary))]
    if found:
        tables.append(Table("Findings", ("grade", "check", "place", "what"), found))
    return tuple(tables)


def pool_text(pool: Pool) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """A pooled effect as tables and sentences."""
    members = tuple(
        (m.label, f"{number(m.value)} ({number(m.low)} to {number(m.high)})", f"{m.weight:.1f}", m.role, _remark(m))
        for m in pool.members
    )  # fmt: skip
    unit = "" if pool.unit == "dimensionless" else f" {pool.unit}"
    facts = (
        ("mean effect", f"{number(pool.estimate)}{unit} ({number(pool.low)} to {number(pool.high)})"),
        ("a new study", f"{number(pool.prediction_low)} to {number(pool.prediction_high)}{unit}"),
        (f"tau2 ({_scale(pool)})", f"{number(pool.tau2)} ({number(pool.tau2_low)} to {number(pool.tau2_high)})"),
        ("I2", f"{pool.i2:.0f} %"),
        ("Q", f"{number(pool.q)} on {pool.k - 1} df, p = {number(pool.q_p)}"),
    )
    tables = [
        *_by_drug(pool),
        Table(pool.title, ("study", "effect (95 %)", "weight %", "role", "remark"), members),
        Table("Random effects: REML, interval of Hartung and Knapp", ("quantity", "value (95 %)"), facts),
    ]
    if pool.left_out:
        tables.append(Table("Left out", ("why", "studies", "results"), _reasons(pool)))
    return tuple(tables), (*pool.notes, f"Made by Crosstalk {pool.crosstalk} with PyMARE {pool.pymare}.")


def _by_drug(pool: Pool) -> list[Table]:
    """Effects by drug, where several were mixed; they come first."""
    if not pool.subgroups:
        return []
    rows = tuple(
        (
            s.drug or "none named", str(s.k), f"{number(s.estimate)} ({number(s.low)} to {number(s.high)})",
            "" if s.i2 is None else f"{s.i2:.0f} %",
        )
        for s in pool.subgroups
    )  # fmt: skip
    return [
        Table(
            "By drug; the mean of all below is the effect of none of them",
            ("drug", "effects", "effect (95 %)", "I2"),
            rows,
        )
    ]


def pool_sentence(pool: Pool) -> str:
    """The pooled effect in words: better or worse only where its interval leaves out no effect."""
    unit = "" if pool.unit == "dimensionless" else f" {pool.unit}"
    found = f"{number(pool.estimate)}{unit} (95 % {number(pool.low)} to {number(pool.high)})"
    words = f"Mean effect of {_count(pool.k, 'effect')}: {found}"
    if pool.null is None:
        return f"{words}."
    if pool.low <= pool.null <= pool.high:
        return f"{words}: no evidence of a difference from none."
    side = 1 if pool.low > pool.null else -1
    if not pool.favours:
        return f"{words}: {'above' if side > 0 else 'below'} no effect."
    return f"{words}: {'better' if side == pool.favours else 'worse'} for the first arm."


def value_text(row: PublishedResult) -> str:
    """A value with its unit and interval."""
    unit = {"dimensionless": "", "fraction": "", "points": " points"}.get(row.unit, f" {row.unit}")
    error = "no error" if row.low is None else f"{number(row.low)} to {number(row.high)}"
    return f"{number(row.value)}{unit} ({error})"


def _reasons(pool: Pool) -> tuple[tuple[str, str, str], ...]:
    """Group what was left out by reason, the reason with the most results first."""
    groups: dict[str, list[str]] = {}
    for out in pool.left_out:
        groups.setdefault(out.reason, []).append(out.study)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple((why, ", ".join(dict.fromkeys(studies)), f"{len(studies)}") for why, studies in ranked)


def _remark(member: Member) -> str:
    recalled = "recalled" if member.provenance == "memory" else ""
    bias = f"bias: {member.bias}" if member.bias else ""
    return ", ".join(text for text in (recalled, bias, member.made) if text)


def _scale(pool: Pool) -> str:
    names = {"logarithm": "log scale", "Fisher z": "Fisher z"}
    return names.get(pool.scale, f"{pool.unit} squared" if pool.unit != "dimensionless" else "squared")


def _arms(row: PublishedResult) -> str:
    return row.arm + (f" against {row.versus}" if row.versus else "")


def _of(row: PublishedResult) -> str:
    text = row.of
    if row.partner:
        text += f" with {row.partner}"
    if row.partner_h is not None:
        text += f" at {time_text(row.partner_h)}"
    if row.threshold is not None:
        text += f" from {row.threshold:g}"
    return text


def _result(row: PublishedResult) -> str:
    parts = (f"{row.endpoint} of {_of(row)}", _arms(row), stratum_text(row.stratum))
    return ", ".join(part for part in parts if part)


def _kind(row: PublishedResult) -> str:
    """The kind of publication, whether the figure was recalled, and only those grades that discount it."""
    recalled = ["recalled"] if row.provenance == "memory" else []
    grades = [f"{key} {grade}" for key, grade in row.mismatch if key != "quality" and grade not in ("exact", "human")]
    return ", ".join([row.quality or "no kind", *recalled, *grades])


def _source(row: PublishedResult) -> str:
    seen = {"memory": "recalled: "}.get(row.provenance, "")
    return f"{seen}{row.source}" + (f" (error: {row.se_source})" if row.se_source else "")


def _count(n: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{n} {noun if n == 1 else plural}"
