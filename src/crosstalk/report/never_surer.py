"""Published results beside the model as tables and a page."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from crosstalk.calibrate.moderation import ModelAnswer, Sureness
from crosstalk.calibrate.never_surer import Beside, Comparison
from crosstalk.evidence.moderation import Direct
from crosstalk.report.catalogue import Table
from crosstalk.report.html import page
from crosstalk.report.never_surer_charts import beside_chart, question_chart
from crosstalk.report.words import UNCALIBRATED

__all__ = ["beside_html", "beside_tables", "cohort_table", "left_out_table", "with_stated"]


def beside_tables(found: Comparison) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The comparison as tables and sentences."""
    asked = "question" if found.kind == "moderation" else "drug"
    columns = (asked, "direct (95 %)", "k, tau, I2", "model (95 %)", "SD / SE", "verdict")
    title = f"{found.kind.capitalize()}: published results alone beside the model [{found.unit}; below 0 is better]"
    tables = (Table(title, columns, tuple(_row(r) for r in found.rows)),)
    return tables, _notes(found)


def cohort_table(row: Beside) -> Table:
    """The cohorts that answer a question, those that only state a zero included."""
    weights = {m.study: m.weight for m in row.direct.members}
    cells = tuple(
        (
            m.label, _interval(m.value, m.low, m.high), f"{weights[m.study]:.0f}" if m.study in weights else "none",
            m.role, "; ".join((m.made, *m.remarks)),
        )
        for m in row.stated.members
    )  # fmt: skip
    return Table(row.words, ("cohort", "effect (95 %)", "weight %", "role", "how it was made"), cells)


def with_stated(row: Beside) -> str:
    """The direct answer with the zeros that are only stated; empty where there is none."""
    more = row.stated.k - row.direct.k
    return f"With {more} that only state no difference, as zeros: {_direct(row.stated)}." if more > 0 else ""


def left_out_table(rows: Sequence[Beside]) -> Table | None:
    """Results on a marker that answer in no comparable way, and why."""
    cells = tuple(dict.fromkeys((o.study, o.label, o.reason) for row in rows for o in row.left_out))
    return Table("Left out", ("study", "result", "why"), cells) if cells else None


def beside_html(found: Comparison) -> str:
    """The comparison as one HTML page."""
    tables, notes = beside_tables(found)
    answered = [row for row in found.rows if row.stated.k]
    questions = [
        (r, with_stated(r), question_chart(r, found.unit, f"q{i}"), cohort_table(r)) for i, r in enumerate(answered)
    ]
    return page(
        "never_surer", title=f"Never surer than the evidence: {found.kind}", r=found, summary=tables[0], notes=notes,
        chart=beside_chart(found), left_out=left_out_table(found.rows),
        questions=questions, uncalibrated=UNCALIBRATED,
    )  # fmt: skip


def _row(row: Beside) -> tuple[str, ...]:
    d, m = row.direct, row.model
    ratio = "none"
    if m is not None and isfinite(m.sd) and isfinite(d.se):
        ratio = f"{m.sd / d.se:.2f} (at most {m.sd_high / d.se:.2f})"
    between = f"{d.k}, {_two(d.tau)}, {d.i2:.0f} %" if d.k > 1 else f"{d.k}"
    return (row.words, _direct(d), between, _model(m), ratio, _verdict(row.sureness))


def _verdict(found: Sureness | None) -> str:
    if found is None:
        return "the model has no answer"
    if found.verdict == "explained":
        names = ", ".join(f"{i.result} (r {i.correlation:.2f})" for i in found.influences[:3])
        return f"explained by {names}"
    return "too few worlds to say" if found.verdict == "unresolved" else found.verdict


def _notes(found: Comparison) -> tuple[str, ...]:
    judged = [r for r in found.rows if r.sureness is not None and r.sureness.verdict != "no direct evidence"]
    narrow = [r for r in found.surer if r.sureness is not None and r.model is not None]
    notes = [
        f"The model is surer than the evidence in {len(narrow)} of {len(judged)} questions that published results "
        "answer: its SD is below half of the direct standard error, and no fitted result explains it.",
        "SD / SE: the model's SD by the direct standard error, and the most that so few worlds leave open. Zeros that "
        "a publication only states are not pooled here.",
        f"Model: {found.knowledge}, {found.patients} virtual patients each, seed {found.seed}.",
    ]
    if not found.calibrated:
        notes.append("No posterior fits the model as it is, so nothing is explained; `crosstalk calibrate` makes one.")
    return tuple(notes)


def _direct(d: Direct) -> str:
    return _interval(d.estimate, d.low, d.high) if d.k else "none"


def _model(m: ModelAnswer | None) -> str:
    return "none" if m is None or not isfinite(m.mean) else _interval(m.mean, m.low, m.high)


def _interval(value: float, low: float, high: float) -> str:
    return f"{_two(value)} ({_two(low)} to {_two(high)})"


def _two(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text
