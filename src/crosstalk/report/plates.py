"""Quality of immunoassay plates: tables for the terminal, a self-contained page, a panel as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstalk.panel.entries import Entry
from crosstalk.panel.plates.curves import RECOVERY
from crosstalk.panel.plates.quality_records import AnalyteQuality, PlateQuality, PlateReport, SampleResult
from crosstalk.report.catalogue import Table
from crosstalk.report.drawing import BLUE, GREEN, GREY, INK, LIGHT, VERMILION, new_figure, svg
from crosstalk.report.html import page
from crosstalk.report.words import number
from crosstalk.spreadsheets import rows_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["entries_csv", "plate_tables", "plates_html", "value_text"]

COLUMNS = ("patient", "analyte", "value", "unit", "method", "lod", "cv", "quality", "remarks")
ACROSS, DOWN = 3, 3  # curves of one figure
WIDE = 5  # analytes side by side in a table of values
MARKS = {"": "", "doubtful": " ?", "failed": " \N{MULTIPLICATION SIGN}"}
GRADES = {"pass": "", "doubtful": " ?", "fail": " \N{MULTIPLICATION SIGN}"}
SIGNS = {"": "", "left": "< ", "right": "> "}


@dataclass(frozen=True, slots=True)
class _Page:
    """What the template shows of one plate."""

    plate: PlateQuality
    figures: tuple[str, ...]
    values: tuple[Table, ...]
    marked: tuple[tuple[str, str, str, str], ...]


def entries_csv(entries: Sequence[Entry]) -> str:
    """Write entries as a long panel that `crosstalk.panel.reader.read_panel` reads."""
    return rows_csv(
        COLUMNS,
        (
            (e.patient, e.analyte, e.value, e.unit, e.method, e.lod, e.cv, e.quality, "; ".join(e.remarks))
            for e in entries
        ),
    )


def plate_tables(report: PlateReport) -> tuple[Table, ...]:
    """The report for the terminal: an analyte a row, then what is wrong, then drift between plates."""
    tables = []
    for plate in report.plates:
        rows = tuple((a.grade, a.analyte, _curve(a), _range(a), _samples(a), _vendor(a)) for a in plate.analytes)
        columns = ("grade", "analyte", "curve", "range", "samples", "vendor")
        tables.append(Table(f"Plate {plate.plate}: {plate.grade}", columns, rows))
        wrong = tuple(
            (c.grade, a.analyte, c.name, c.message) for a in plate.analytes for c in a.checks if c.grade != "pass"
        )
        if wrong:
            tables.append(Table("What is wrong", ("grade", "analyte", "check", "message"), wrong))
    if report.bridges:
        bridges = tuple((b.grade, b.analyte, b.message) for b in report.bridges)
        tables.append(Table("Drift between plates", ("grade", "analyte", "message"), bridges))
    return tuple(tables)


def plates_html(report: PlateReport) -> str:
    """The report as one HTML page."""
    pages = tuple(
        _Page(plate, tuple(_figures(plate, f"plate{i}")), tuple(_values(plate)), tuple(_marked(plate)))
        for i, plate in enumerate(report.plates)
    )
    names = ", ".join(p.plate for p in report.plates)
    title = f"Quality of {'plates' if len(pages) > 1 else 'a plate'}: {names}"
    return page("plates", title=title, r=report, lines=plate_lines(report), pages=pages)


def plate_lines(report: PlateReport) -> tuple[str, ...]:
    """The first screen: each plate's grade, and the analytes that do not pass."""
    found = []
    for plate in report.plates:
        passed = sum(a.grade == "pass" for a in plate.analytes)
        words = f"Plate {plate.plate}: {plate.grade}; {passed} of {len(plate.analytes)} analytes pass"
        for grade in ("doubtful", "fail"):
            names = [a.analyte for a in plate.analytes if a.grade == grade]
            words += f"; {grade}: {', '.join(names)}" if names else ""
        found.append(f"{words}.")
    return tuple(found)


def value_text(sample: SampleResult) -> str:
    """A concentration with its standard error in percent and its mark.

    ``?`` is doubtful, a cross failed.
    """
    if sample.value is None:
        text = "none" if sample.unclipped is None else number(sample.unclipped)
    else:
        text = SIGNS[sample.censored] + number(sample.value)
    if sample.value is not None and not sample.censored and sample.log_sd is not None:
        text += f" \N{PLUS-MINUS SIGN} {100 * math.sqrt(math.expm1(sample.log_sd**2)):.0f} %"
    return text + MARKS[sample.quality]


def _curve(a: AnalyteQuality) -> str:
    if a.curve is None:
        return "none"
    good = sum(lv.accepted for lv in a.curve.levels)
    return f"{a.curve.model}, R2 {a.curve.r2:.4f}, {good} of {len(a.curve.levels)} levels"


def _range(a: AnalyteQuality) -> str:
    if a.curve is None or a.curve.lloq is None or a.curve.uloq is None:
        return "none"
    return f"{number(a.curve.lloq)} to {number(a.curve.uloq)} {a.unit}".strip()


def _samples(a: AnalyteQuality) -> str:
    read = [s for s in a.samples if s.role != "control"]
    parts = [f"{len(read)}"]
    for words, n in (
        ("below the LLOQ", sum(s.censored == "left" for s in read)),
        ("above the ULOQ", sum(s.censored == "right" for s in read)),
        ("doubtful", sum(s.quality == "doubtful" for s in read)),
        ("failed", sum(s.quality == "failed" for s in read)),
    ):
        if n:
            parts.append(f"{n} {words}")
    return ", ".join(parts)


def _vendor(a: AnalyteQuality) -> str:
    if a.vendor is None:
        return "no concentrations"
    sound = {True: "sound", False: "not sound", None: "not to be judged"}[a.vendor.sound]
    if a.vendor.worst is None:
        return sound
    return f"{sound}; re-fit {'agrees within 1 %' if a.vendor.agrees else f'differs by up to {_off(a.vendor.worst)}'}"


def _off(ratio: float) -> str:
    return f"{100 * abs(ratio - 1):.1f} %" if 0.5 < ratio < 2 else f"a factor of {number(max(ratio, 1 / ratio))}"


def _values(plate: PlateQuality) -> Iterator[Table]:
    """Samples by analytes, as many analytes side by side as a page is wide."""
    shown = [a for a in plate.analytes if a.samples]
    for i in range(0, len(shown), WIDE):
        part = shown[i : i + WIDE]
        keys = list(dict.fromkeys((s.sample, s.dilution, s.role) for a in part for s in a.samples))
        found = {(a.analyte, s.sample, s.dilution): s for a in part for s in a.samples}
        rows = []
        for sample, dilution, role in keys:
            label = f"{sample} ({role})" if role == "control" else sample
            cells = (found.get((a.analyte, sample, dilution)) for a in part)
            rows.append((label, f"{dilution:g}", *("" if s is None else value_text(s) for s in cells)))
        columns = ("Sample", "Dilution", *(f"{a.analyte}{f' [{a.unit}]' if a.unit else ''}" for a in part))
        yield Table("Concentrations", columns, tuple(rows))


def _marked(plate: PlateQuality) -> Iterator[tuple[str, str, str, str]]:
    """What was said of single samples; what was said of the whole analyte stands with the analyte."""
    for a in plate.analytes:
        whole = {c.message for c in a.checks}
        for s in a.samples:
            own = [r for r in s.remarks if r not in whole]
            if own:
                yield a.analyte, s.sample, s.quality, "; ".join(own)


def _figures(plate: PlateQuality, name: str) -> Iterator[str]:
    drawn = [a for a in plate.analytes if a.curve is not None]
    size = ACROSS * DOWN
    for i in range(0, len(drawn), size):
        yield _draw(drawn[i : i + size], f"{name}-{i}")


def _draw(analytes: Sequence[AnalyteQuality], name: str) -> str:
    """Standard curves with the samples on them, and below each how the levels are given back."""
    rows = -(-len(analytes) // ACROSS)
    drawing, axes = new_figure(0.35 + 3.05 * rows, ACROSS, 2 * rows)
    axes[0].get_subplotspec().get_gridspec().set_height_ratios([3.0, 1.15] * rows)  # type: ignore[union-attr]
    for k in range(ACROSS * rows):
        row, column = divmod(k, ACROSS)
        upper, lower = axes[2 * row * ACROSS + column], axes[(2 * row + 1) * ACROSS + column]
        if k >= len(analytes):
            upper.axis("off")
            lower.axis("off")
            continue
        _draw_curve(upper, analytes[k])
        _draw_recovery(lower, analytes[k])
        lower.set_xlim(upper.get_xlim())
        if column == 0:
            upper.set_ylabel("signal", fontsize=8)
            lower.set_ylabel("recovery [%]", fontsize=8)
    words = "; ".join(f"{a.analyte} {a.grade}, {_curve(a)}, range {_range(a)}" for a in analytes)
    return svg(drawing, name, f"Standard curves with recoveries: {words}")


def _draw_curve(axis: Axes, a: AnalyteQuality) -> None:
    from matplotlib.ticker import NullFormatter

    c = a.curve
    assert c is not None
    out = {s.place: s.would_be for s in c.left_out}
    used = [s for s in a.standards if s.expected > 0 and not any(s.place in place for place in out)]
    rest = [s for s in a.standards if s.expected > 0 and s not in used]
    low, high = min(lv.expected for lv in c.levels), max(lv.expected for lv in c.levels)
    samples = [
        (s.unclipped / s.dilution, s.signal) for s in a.samples if s.signal is not None and s.unclipped is not None
    ]
    reach = [x for x, _ in samples if low / 30 <= x <= high * 30]
    low, high = min([low, *reach, *(s.expected for s in rest)]), max([high, *reach, *(s.expected for s in rest)])
    grid = np.geomspace(low / 1.8, high * 1.8, 200)
    if c.lloq is not None and c.uloq is not None:
        axis.axvspan(c.lloq, c.uloq, color=LIGHT, alpha=0.45, lw=0, zorder=0)
    axis.plot(grid, c.signal(grid), color=BLUE, lw=1.4, zorder=2)
    axis.plot([s.expected for s in used], [s.signal for s in used], "o", color=INK, ms=3.6, zorder=4)
    axis.plot([s.expected for s in rest], [s.signal for s in rest], "X", color=VERMILION, ms=6, zorder=5)
    inside = [pair for pair in samples if grid[0] <= pair[0] <= grid[-1]]
    axis.plot([x for x, _ in inside], [y for _, y in inside], "D", color=GREEN, mfc="white", ms=3.8, zorder=3)
    axis.set_xscale("log")
    positive = [s.signal for s in used if s.signal > 0]
    if len(positive) == len(used) and c.rising:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(_plain)
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(grid[0], grid[-1])
    axis.tick_params(labelsize=7.5)
    axis.tick_params(axis="x", labelbottom=False)
    _title(axis, a)


def _title(axis: Axes, a: AnalyteQuality) -> None:
    mark = GRADES[a.grade]
    name = a.analyte if len(a.analyte) <= 22 else f"{a.analyte[:21]}\N{HORIZONTAL ELLIPSIS}"
    axis.set_title(f"{name}{mark}", loc="left", fontsize=8.5)


def _draw_recovery(axis: Axes, a: AnalyteQuality) -> None:
    from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

    c = a.curve
    assert c is not None
    axis.axhline(100, color=GREY, lw=0.8, zorder=1)
    for limit in RECOVERY:
        axis.axhline(100 * limit, color=GREY, lw=0.7, ls="--", zorder=1)
    for accepted, marker, colour, fill in ((True, "o", BLUE, BLUE), (False, "D", VERMILION, "white")):
        shown = [lv for lv in c.levels if lv.accepted == accepted and lv.recovery is not None]
        heights = [min(max(100 * (lv.recovery or 0.0), 52.0), 148.0) for lv in shown]
        axis.plot([lv.expected for lv in shown], heights, marker, color=colour, mfc=fill, ms=4, zorder=3)
    axis.set_xscale("log")
    axis.set_ylim(50, 150)
    axis.yaxis.set_major_locator(FixedLocator([50, 100, 150]))
    axis.xaxis.set_major_locator(LogLocator(numticks=5))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(_plain)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(labelsize=7.5)
    axis.set_xlabel(a.unit or "concentration", fontsize=8)


def _plain(value: float, _: Any) -> str:
    return f"{value:g}" if 1e-3 <= value < 1e5 else f"1e{round(math.log10(value))}"
