"""A cohort as tables, as JSON and CSV with a row per patient, and as a self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from textwrap import fill
from typing import TYPE_CHECKING, Any

from crosstalk.report.catalogue import Table
from crosstalk.report.cohort_patients import cohort_lines, patient_rows
from crosstalk.report.documents import DIGITS, plain
from crosstalk.report.drawing import BLUE, GREEN, GREY, INK, LIGHT, PURPLE, VERMILION, new_figure, svg
from crosstalk.report.html import page
from crosstalk.report.words import UNCALIBRATED, interval_text, number
from crosstalk.spreadsheets import frame_csv
from crosstalk.twin.cohort_records import (
    AnalyteSummary,
    CohortAssessment,
    Distribution,
    MissingPattern,
)
from crosstalk.twin.records import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cohort_csv", "cohort_html", "cohort_json", "cohort_tables"]

LIMIT = 1.959964  # z-scores of the 2.5th and 97.5th percentile
LISTED = 40  # patients without a score, or outside, who are named on the page
TOLD = 2000  # patients of whom reading told something, listed on the page
REACH = 5.0  # z-scores shown
TICKS = 5  # numbers on a log axis, at most
LONGEST = 32  # letters of a name beside a chart


def cohort_csv(result: CohortAssessment) -> str:
    """The frame of `CohortAssessment.to_frame` as CSV, six significant digits; empty where there is no value.

    A text that a spreadsheet would run as a formula has an apostrophe before it, which the reader takes off again.
    """
    return frame_csv(result.to_frame(), number=f"%.{DIGITS}g")


def cohort_json(result: CohortAssessment) -> str:
    """An object of ``patients``, a row each on a line of its own, and ``summary``.

    A row leaves out what is empty. Numbers keep six significant digits; one that is not finite becomes null.
    ``refused`` maps analytes to what was wrong with their value.
    """
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in _rows(result))
    summary = json.dumps(plain(result.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    return f'{{"patients": [\n{rows}\n],\n"summary": {summary}}}\n'


def _rows(result: CohortAssessment) -> Iterator[dict[str, Any]]:
    frame = result.to_frame()
    columns = {str(name): [plain(v) for v in frame[name].tolist()] for name in frame}
    columns["refused"] = [dict(r) or "" for r in result.patients.refused]
    columns["notes"] = [list(n) or "" for n in result.patients.notes]
    for values in zip(*columns.values(), strict=True):
        yield {name: v for name, v in zip(columns, values, strict=True) if v is not None and v != ""}


def cohort_tables(result: CohortAssessment) -> tuple[Table, ...]:
    """The summary as tables."""
    return (
        Table("Patients", ("status", "patients"), tuple((s, str(n)) for s, n in result.statuses.items())),
        Table(
            "Analytes (censored: < below, > above a limit, .. between two)",
            ("analyte", "unit", "n", "missing", "censored", "failed", "median (quartiles)", "below", "above"),
            tuple(_analyte_row(a) for a in result.analytes),
        ),
        Table(
            "Mechanisms: fold of health (median of the patients' means, 5th to 95th percentile)",
            ("mechanism", "patients", "cohort", "virtual population", "low", "high", "told by panel and covariates"),
            tuple(
                (
                    s.name, str(s.n), interval_text(Interval(s.means.median, s.means.p5, s.means.p95)),
                    interval_text(s.population), str(s.low), str(s.high), _share(s.told),
                )
                for s in result.scores
            ),
        ),
        *_strata_table(result),
        Table("Symptom scales", ("patients", "scale", "n", "mean (SD)", "median"), tuple(_scale_rows(result))),
        Table(
            "Missing values",
            ("analytes missing", "patients"),
            tuple((pattern_text(m), str(m.n)) for m in result.missingness),
        ),
        Table(
            "Numbers of clusters tried: a valley between any two, prediction strength, Jaccard similarity",
            ("clusters", "smallest", "p of valley", "strength", "Jaccard", "passed"),
            tuple(
                (
                    str(c.k), str(c.smallest), _p_text(c.valley_p), _reached(c.prediction_strength),
                    _reached(c.jaccard), "yes" if c.passed else "no",
                )
                for c in result.clusters.candidates
            ),
        ),
    )  # fmt: skip


def _analyte_row(a: AnalyteSummary) -> tuple[str, ...]:
    censored = " ".join(f"{sign}{n}" for sign, n in (("<", a.left), (">", a.right), ("..", a.interval)) if n)
    unit = "" if a.unit in ("dimensionless", "1") else a.unit.replace("^2", "²")
    return (
        a.analyte, unit, str(a.n), str(a.missing), censored, str(a.failed or ""), distribution_text(a.values),
        _share(a.share_below), _share(a.share_above),
    )  # fmt: skip


def distribution_text(d: Distribution) -> str:
    """Median and quartiles; a star where they are those of a fitted distribution; the reason where there are none."""
    if not math.isfinite(d.median):
        return d.how if len(d.how) < 20 else "cannot be told"
    star = "" if d.how == "percentiles" else "*"
    return f"{number(d.median)} ({number(d.p25)} to {number(d.p75)}){star}"


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else ""


def _p_text(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else number(p)


def _reached(value: float) -> str:
    return number(value) if math.isfinite(value) else "not reached"


def pattern_text(m: MissingPattern) -> str:
    """Analytes that are missing together; long lists are cut with their number."""
    if m.others:
        return "other patterns"
    names = ", ".join(m.missing[:8])
    return names + (f" and {len(m.missing) - 8} more" if len(m.missing) > 8 else "") or "none"


def _strata_table(result: CohortAssessment) -> tuple[Table, ...]:
    strata = result.strata
    if not strata:
        return ()
    ids = list(strata[0].scores)
    names = {s.id: s.name for s in result.scores}
    columns = ("CRP [mg/L]", "patients", "scored", *(names[i] for i in ids))
    rows = tuple((s.label, str(s.n), str(s.scored), *(_median(s.scores[i]) for i in ids)) for s in strata)
    return (Table("Strata of C-reactive protein (median of the patients' mean scores)", columns, rows),)


def _median(found: Interval) -> str:
    return number(found.mean) if math.isfinite(found.mean) else ""


def _scale_rows(result: CohortAssessment) -> Iterator[tuple[str, ...]]:
    groups = [("all", result.scales), *((f"CRP {s.label}", s.scales) for s in result.strata)]
    for who, scales in groups:
        for s in scales:
            yield who, s.scale, str(s.n), f"{number(s.mean)} ({number(s.sd)})", number(s.median)


def cohort_html(result: CohortAssessment) -> str:
    """Report of a cohort as one HTML page."""
    provenance = result.provenance
    title = f"Cohort of {len(result)} patients" + ("" if provenance.calibrated else " (uncalibrated)")
    tables = {t.title.split(" ")[0].strip(":"): t for t in cohort_tables(result)}
    p = result.patients
    told = [
        (p.patient[i], [f"{name}: {why}" for name, why in p.refused[i].items()], p.notes[i])
        for i in range(len(p.patient))
        if p.refused[i] or p.notes[i]
    ]
    told.sort(key=lambda one: not one[1])  # those with refused values first
    flagged = [(p.patient[i], s, p.reason[i]) for i, s in enumerate(p.status) if s not in ("ok", "edge")]
    return page(
        "cohort",
        title=title,
        r=result,
        seed=result.seed,
        provenance=provenance,
        uncalibrated=UNCALIBRATED,
        tables=tables,
        lines=cohort_lines(result),
        patients=patient_rows(result),
        figures={
            "positions": position_chart(result),
            "completeness": completeness_chart(result),
            "scores": score_chart(result),
            "strata": strata_chart(result),
            "clusters": cluster_chart(result),
        },
        flagged=flagged[:LISTED],
        more=max(0, len(flagged) - LISTED),
        told=told[:TOLD],
        untold=max(0, len(told) - TOLD),
        warnings=result.warnings[:TOLD],
        unlisted=max(0, len(result.warnings) - TOLD),
    )


def _box(axis: Axes, y: float, d: Distribution, colour: str) -> None:
    """5th to 95th percentile as a line, quartiles as a bar, the median as a white mark."""
    axis.plot([d.p5, d.p95], [y, y], color=colour, lw=1.4, zorder=3, clip_on=True)
    axis.plot([d.p25, d.p75], [y, y], color=colour, lw=7, solid_capstyle="butt", zorder=4)
    axis.plot([d.median], [y], "|", color="white", ms=7, mew=1.8, zorder=5)


def position_chart(result: CohortAssessment) -> str:
    """The z-scores of each analyte that has references, over the reference range. Empty where none has."""
    items = [a for a in result.analytes if math.isfinite(a.z.median)][::-1]
    if not items:
        return ""
    figure, (axis,) = new_figure(0.8 + 0.24 * len(items))
    axis.axvspan(-LIMIT, LIMIT, color=LIGHT, lw=0, zorder=0)
    axis.axvline(0, color="white", lw=1.5, zorder=1)
    for y, a in enumerate(items):
        _box(axis, y, a.z, VERMILION if abs(a.z.median) > 1 else BLUE)
        for x, end, marker in ((-REACH, a.z.p5 < -REACH, "<"), (REACH, a.z.p95 > REACH, ">")):
            if end:
                axis.plot(x, y, marker, color=BLUE, ms=4.5, zorder=5, clip_on=False)
        axis.text(1.03, y, f"{a.share_below:.0%} / {a.share_above:.0%}", transform=axis.get_yaxis_transform(),
                  va="center", fontsize=8, color=INK)  # fmt: skip
    axis.text(1.03, len(items) - 0.35, "below / above", transform=axis.get_yaxis_transform(), fontsize=8, color=GREY)
    axis.set_xlim(-REACH, REACH)
    axis.set_ylim(-0.7, len(items) - 0.3)
    axis.set_yticks(range(len(items)), [_label(a) for a in items])
    axis.set_xlabel("z-score against the reference of the person and assay")
    words = "; ".join(f"{a.name} median z {number(a.z.median)}" for a in items[::-1])
    return svg(figure, "positions", f"Values of the cohort against reference ranges: {words}")


def completeness_chart(result: CohortAssessment) -> str:
    """Share of patients whose value is a number, censored, failed or missing, for each analyte; empty if all are."""
    if all(a.n - a.left - a.right - a.interval == len(result) for a in result.analytes):
        return ""
    items = result.analytes[::-1]
    figure, (axis,) = new_figure(0.9 + 0.2 * len(items))
    n = len(result)
    kinds: list[tuple[str, list[int], str, str]] = [
        ("a number", [a.n - a.left - a.right - a.interval for a in items], BLUE, ""),
        ("censored", [a.left + a.right + a.interval for a in items], "#E69F00", "////"),
        ("failed", [a.failed for a in items], INK, ""),
    ]
    start = [0.0] * len(items)
    for label, counts, colour, hatch in kinds:
        if not any(counts):
            continue
        widths = [100 * c / n for c in counts]
        axis.barh(range(len(items)), widths, left=start, height=0.66, color=colour, hatch=hatch, label=label,
                  edgecolor="white", lw=0)  # fmt: skip
        start = [s + w for s, w in zip(start, widths, strict=True)]
    axis.set_yticks(range(len(items)), [_label(a) for a in items])
    axis.set_ylim(-0.7, len(items) - 0.3)
    axis.set_xlim(0, 100)
    axis.set_xlabel("patients [%]; the rest has no value")
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", frameon=False, ncols=3, fontsize=8.5)
    words = "; ".join(f"{a.name} {a.n} values, {a.missing} missing" for a in items[::-1])
    return svg(figure, "completeness", f"Completeness: {words}")


def score_chart(result: CohortAssessment) -> str:
    """The patients' mean scores over those of the virtual population; health at its tick."""
    rows = [s for s in result.scores if math.isfinite(s.means.median)][::-1]
    if not rows:
        return ""
    figure, (axis,) = new_figure(0.8 + 0.42 * len(rows))
    axis.axvline(1, color=GREY, lw=0.9, zorder=0)
    for y, s in enumerate(rows):
        axis.plot([s.population.lo90, s.population.hi90], [y, y], color=LIGHT, lw=15, solid_capstyle="butt", zorder=1)
        _box(axis, y, s.means, BLUE)
        axis.plot(s.healthy, y, "|", color=INK, ms=17, mew=1.6, zorder=6)
    _log(axis)
    axis.set_yticks(range(len(rows)), [s.name for s in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel("fold of health; of the optimum for the window of plasticity (log scale)")
    words = "; ".join(f"{s.name} median {number(s.means.median)}" for s in rows[::-1])
    return svg(figure, "scores", f"Mechanism scores of the cohort: {words}")


def strata_chart(result: CohortAssessment) -> str:
    """Median and 90 % of the patients' mean scores in each stratum of C-reactive protein."""
    strata = [s for s in result.strata if s.scored][::-1]
    if len(strata) < 2:
        return ""
    names = {s.id: s.name for s in result.scores}
    figure, axes = new_figure(0.9 + 0.26 * len(strata), columns=len(names))
    for axis, (key, name) in zip(axes, names.items(), strict=True):
        for y, stratum in enumerate(strata):
            found = stratum.scores[key]
            axis.plot([found.lo90, found.hi90], [y, y], color=BLUE, lw=1.6, zorder=2)
            axis.plot(found.mean, y, "o", color=BLUE, ms=5, zorder=3)
        _log(axis)
        axis.tick_params(axis="x", labelsize=7.5)
        axis.set_title(fill(name, 16), loc="left", fontsize=8.5)
        axis.set_yticks(range(len(strata)), [s.label for s in strata] if axis is axes[0] else [""] * len(strata))
        axis.set_ylim(-0.6, len(strata) - 0.4)
    axes[0].set_ylabel("CRP [mg/L]")
    words = ", ".join(f"{s.label}: {s.n} patients" for s in strata[::-1])
    return svg(figure, "strata", f"Mechanism scores by stratum of C-reactive protein; {words}")


def cluster_chart(result: CohortAssessment) -> str:
    """Centers of the clusters; empty where none is stable."""
    clusters = result.clusters.clusters
    if not clusters:
        return ""
    rows = list(result.scores)[::-1]
    figure, (axis,) = new_figure(1.1 + 0.4 * len(rows))
    axis.axvline(1, color=GREY, lw=0.9, zorder=0)
    styles = zip("osD^vP", (BLUE, VERMILION, GREEN, PURPLE, INK, GREY), strict=True)
    for (marker, colour), c in zip(styles, clusters, strict=False):
        axis.plot(
            [c.center[s.id] for s in rows], range(len(rows)), marker, color=colour, ms=7, label=f"{c.label}: {c.n}"
        )
    _log(axis)
    axis.set_yticks(range(len(rows)), [s.name for s in rows])
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel("geometric mean of the cluster, fold of health (log scale)")
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", frameon=False, ncols=6, fontsize=8.5)
    return svg(figure, "clusters", f"Centers of {len(clusters)} clusters of patients")


def _label(a: AnalyteSummary) -> str:
    return a.name if len(a.name) <= LONGEST else a.analyte


def _log(axis: Axes) -> None:
    """A log axis with a handful of round numbers, whatever its span."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_xscale("log")
    low, high = axis.get_xlim()
    span = high / low
    fine, middle = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9), (1, 1.2, 1.5, 2, 3, 5, 7)
    steps = fine if span < 2 else middle if span < 5 else (1, 2, 5) if span < 100 else (1,)
    inside = [t for e in range(-4, 5) for t in (s * 10.0**e for s in steps) if low <= t <= high]
    # patients who are alike leave no room for a round number
    inside = inside or [float(f"{low + share * (high - low):.4g}") for share in (0.2, 0.8)]
    axis.xaxis.set_major_locator(FixedLocator(inside[:: math.ceil(len(inside) / TICKS)]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
