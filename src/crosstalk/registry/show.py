"""What the registry found, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from crosstalk.registry.frozen import Frozen, FrozenVerdict
from crosstalk.registry.judgement import Judgement, Measure
from crosstalk.report.catalogue import Table
from crosstalk.report.words import number

__all__ = ["frozen_tables", "judgement_tables"]


def judgement_tables(found: Judgement) -> tuple[Table, ...]:
    """Figures, what recalibration would do, and who is not judged."""
    columns = ("figure", "people", "value (90 %)", "beside", "reading")
    waiting = tuple((reason, str(n)) for reason, n in sorted(found.left_out.items(), key=lambda kv: -kv[1]))
    tables = [
        Table(
            f"Forecasts and outcomes: {len(found.judged)} of {found.people} people judged", columns,
            tuple(_row(m) for m in found.measures),
        ),
        Table("Recalibration, apart: no forecast is changed", columns, tuple(_row(m) for m in found.recalibrated)),
    ]  # fmt: skip
    if waiting:
        tables.append(Table("Not judged", ("why", "people"), waiting))
    if len(found.posteriors) > 1:
        rows = tuple((posterior, str(n)) for posterior, n in found.posteriors.items())
        tables.append(Table("By posterior: figures above hold several", ("posterior", "people"), rows))
    return tuple(tables)


def _row(m: Measure) -> tuple[str, ...]:
    if m.value is None:
        return m.name, str(m.n), "", "", m.reading
    return (
        m.name,
        str(m.n),
        _interval(m.value, m.lo90, m.hi90),
        "" if m.reference is None else number(m.reference),
        m.reading,
    )


def _interval(value: float, low: float | None, high: float | None) -> str:
    return f"{number(value)} ({number(low)} to {number(high)})"


def frozen_tables(found: Frozen, verdicts: Sequence[FrozenVerdict] = ()) -> tuple[Table, ...]:
    """A frozen prediction, beside the results where they are known."""
    title = f"{found.title}: frozen {found.at[:10]} by version {found.crosstalk}"
    if not verdicts:
        predicted = tuple((p.key, _interval(p.median, p.lo90, p.hi90), p.unit) for p in found.results)
        return (Table(title, ("result", "true value: median (90 %)", "unit"), predicted),)
    rows = tuple(
        (
            v.key, _interval(v.predicted, v.lo90, v.hi90), number(v.observed),
            "yes" if v.inside90 else "no", f"{v.place:.0%}", number(v.crps),
            "" if v.crps_no_effect is None else number(v.crps_no_effect),
        )
        for v in verdicts
    )  # fmt: skip
    inside = sum(v.inside90 for v in verdicts)
    return (
        Table(
            f"{title}; {inside} of {len(verdicts)} inside the 90 % interval",
            ("result", "predicted, with the trial's error", "observed", "inside", "place", "CRPS", "CRPS of no effect"),
            rows,
        ),
    )
