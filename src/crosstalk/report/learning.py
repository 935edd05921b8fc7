"""What `crosstalk learn` and `predict` found, as tables for the terminal and as self-contained pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crosstalk.learn.checklists import CHECKLISTS, fill_checklist, model_card
from crosstalk.learn.external import External, Prediction
from crosstalk.learn.records import Learnt, ModelResult
from crosstalk.provenance import package_version
from crosstalk.report.catalogue import Table
from crosstalk.report.drawing import BLUE, GREY, INK, STYLES, VERMILION, new_figure, svg
from crosstalk.report.html import page
from crosstalk.report.words import number
from crosstalk.statistics.folds import Difference
from crosstalk.statistics.metrics import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crosstalk.statistics.calibration_curve import CalibrationMeasures
    from crosstalk.statistics.net_benefit import NetBenefit

__all__ = ["learn_html", "learn_tables", "predict_html", "predict_tables"]

MINUS = "\N{MINUS SIGN}"
SHOWN = ("panel", "crp", "clinical", "week2", "mechanism", "twin", "all")


def learn_tables(found: Learnt) -> tuple[Table, ...]:
    """The judgement as tables: models, differences, size, parts, sites."""
    tables = [_models(found), _differences(found), _sizes(found)]
    for make in (_not_run, _groups, _sites, _optimism, _selection, _benefit):
        table = make(found)
        if table.rows:
            tables.append(table)
    return tuple(tables)


def learn_html(found: Learnt) -> str:
    """The judgement as one page, with both checklists and the model card."""
    ran = [m for m in found.models if not m.skipped and m.performance is not None]
    closest = [m for name in SHOWN for m in ran if m.learner == "penalised" and m.rung == name]
    figures = [("The ladder", _ladder_figure(ran, found), _LADDER)]
    if found.kind == "event":
        curves = [(m.name, m.performance.calibration) for m in closest if m.performance is not None]
        figures.append(("Calibration", _calibration_figure(curves), _CALIBRATION))
        benefits = [(m.name, m.performance.net_benefit) for m in closest if m.performance is not None]
        figures.append(("Net benefit", _benefit_figure(benefits), _BENEFIT))
    if len(found.learning_curve) > 1:
        figures.append(("Learning curve", _learning_figure(found), _LEARNING.format(name=found.described)))
    if found.heterogeneity is not None:
        figures.append(("Who benefits", _toc_figure(found), _TOC))
    return page(
        "learning", title=f"What can be predicted: {found.outcome}", r=found,
        version=found.versions.get("crosstalk", ""),
        figures=[f for f in figures if f[1]], tables=learn_tables(found), conclusions=found.conclusions,
        checklists=[fill_checklist(name, found) for name in CHECKLISTS], card=model_card(found),
        hash=found.input_sha256, versions=found.versions, command=found.command, seed=found.seed, method=_METHOD,
    )  # fmt: skip


def predict_tables(found: Prediction) -> tuple[Table, ...]:
    """Patients, shift, external validation."""
    event = found.kind == "event"
    rows: list[tuple[str, ...]] = []
    for p in found.patients:
        flags = "; ".join(p.flags)
        if event:
            rows.append((p.patient, f"{100 * p.value:.0f} %", " or ".join(p.outcomes), flags))
        else:
            rows.append((p.patient, f"{number(p.value)} ({number(p.low)} to {number(p.high)})", flags))
    value = f"risk of {found.positive}" if event else f"{found.outcome} ({found.level:.0%} interval)"
    columns = ("patient", value, *((f"{found.level:.0%} set",) if event else ()), "flags")
    tables = [Table(f"{found.name}, locked {found.model_sha256[:12]}", columns, tuple(rows))]
    if found.shift:
        tables.append(
            Table(
                "Shift against training",
                ("predictor", "difference of means [SD]", "outside of the central 95 %", "missing", "in training", ""),
                tuple(
                    (s.name, _signed(s.difference, 2), _percent(s.outside), _percent(s.missing),
                     _percent(s.missing_in_training), "shifted" if s.shifted else "")
                    for s in found.shift
                ),
            )
        )  # fmt: skip
    if found.external is not None:
        tables += _external(found.external)
    return tuple(tables)


def predict_html(found: Prediction) -> str:
    """A locked model applied, as one page."""
    figures = []
    e = found.external
    if e is not None and e.calibration is not None:
        figures.append(("Calibration", _calibration_figure([(found.name, e.calibration)]), _CALIBRATION))
        figures.append(("Net benefit", _benefit_figure([(found.name, e.net_benefit)]), _BENEFIT))
    conclusions = [f"The model was applied as it was locked to {len(found.patients)} patients; nothing was refitted."]
    moved = [s.name for s in found.shift if s.shifted]
    if moved:
        conclusions.append(f"These patients differ from those of training in {', '.join(moved)}.")
    flagged = sum(bool(p.flags) for p in found.patients)
    conclusions.append(f"{flagged} patients have a value that is missing or outside of training.")
    return page(
        "learning", title=f"Predictions of {found.outcome}", r=found, version=package_version(),
        figures=[f for f in figures if f[1]], tables=predict_tables(found), conclusions=conclusions, checklists=[],
        card=(), hash=found.input_sha256, versions={"model": found.model_sha256}, command="", seed=None,
        method=_APPLIED,
    )  # fmt: skip


def _estimate(found: Measure | None, digits: int = 2) -> str:
    if found is None or not math.isfinite(found.value):
        return ""
    if not math.isfinite(found.low):
        return _fixed(found.value, digits)
    return f"{_fixed(found.value, digits)} ({_fixed(found.low, digits)} to {_fixed(found.high, digits)})"


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", MINUS)


def _signed(value: float, digits: int) -> str:
    return "" if not math.isfinite(value) else ("+" if value > 0 else "") + _fixed(value, digits)


def _percent(value: float) -> str:
    return "" if not math.isfinite(value) else f"{100 * value:.0f} %"


def _level(found: Learnt, value: float) -> str:
    return _fixed(value, 3) if found.kind == "event" else number(value)


def _models(found: Learnt) -> Table:
    rows: list[tuple[str, ...]] = []
    for m in found.models:
        p = m.performance
        if p is None:
            continue
        if found.kind == "event":
            c = p.calibration
            rows.append((m.name, m.learner, _estimate(p.auc), _estimate(p.log_score, 3), _estimate(p.brier, 3),
                         _estimate(c.in_the_large if c else None), _estimate(c.slope if c else None),
                         f"{p.sharpness:.2f}"))  # fmt: skip
        else:
            rows.append((m.name, m.learner, _estimate(p.r2), _estimate(p.rmse), _estimate(p.mae), _estimate(p.slope),
                         f"{p.sharpness:.2f}"))  # fmt: skip
    measures = ("AUC", "log score", "Brier", "in the large", "slope", "SD of risks") if found.kind == "event" else (
        "R2", "RMSE", "MAE", "slope", "sharpness (SD)")  # fmt: skip
    title = f"Models on the same folds ({found.repeats} x {found.folds}); 95 % intervals"
    return Table(title, ("model", "learner", *measures), tuple(rows))


def _not_run(found: Learnt) -> Table:
    rows = tuple((m.name, m.skipped) for m in found.models if m.skipped)
    return Table("Not run", ("model", "why"), rows)


def _differences(found: Learnt) -> Table:
    names = {m.rung: m.name for m in found.models}

    def text(d: Difference | None) -> str:
        return "" if d is None else f"{_signed(d.value, 4)} ({_signed(d.low, 4)} to {_signed(d.high, 4)})"

    rows = tuple(
        (f"{names[d.model]} - {names[d.reference]}".replace(" - ", f" {MINUS} "), d.learner, text(d.error), text(d.auc),
         d.verdict + (" (claim)" if d.claim else ""))
        for d in found.differences
    )  # fmt: skip
    measure = found.differences[0].measure if found.differences else "error"
    title = "Differences on the same folds, intervals corrected for their overlap (Nadeau and Bengio)"
    return Table(title, ("model", "learner", f"{measure} (below 0 is better)", "AUC", "verdict"), rows)


def _sizes(found: Learnt) -> Table:
    rows = []
    for m in found.models:
        a = m.adequacy
        if a is not None and a.parameters and m.learner != "boosting":
            rows.append((m.name, str(a.parameters), str(a.n), str(a.needed.n), f"{a.events / a.parameters:.1f}",
                         f"{a.shrinkage:.2f}", a.verdict))  # fmt: skip
    per = "events per parameter" if found.kind == "event" else "people per parameter"
    columns = ("model", "parameters", "people", "needed (Riley)", per, "expected shrinkage", "verdict")
    return Table("Does the size suffice", columns, tuple(rows))


def _closest(found: Learnt) -> ModelResult | None:
    return next((m for name in SHOWN for m in found.models if m.rung == name and m.learner == "penalised"), None)


def _groups(found: Learnt) -> Table:
    m = _closest(found)
    rows = [] if m is None else [
        (g.group, str(g.n), "" if g.events is None else str(g.events), _estimate(g.auc), _estimate(g.error, 3),
         _level(found, g.observed), _level(found, g.predicted), g.note)
        for g in m.groups
    ]  # fmt: skip
    error = "log score" if found.kind == "event" else "squared error"
    columns = ("group", "people", "events", "AUC", error, "observed", "predicted", "")
    return Table(f"By sex and age: {m.name if m else ''}", columns, tuple(rows))


def _sites(found: Learnt) -> Table:
    rows = []
    for m in found.models:
        if m.learner != "penalised":
            continue
        for s in m.sites:
            rows.append((m.name, s.site, str(s.n), "" if s.events is None else str(s.events), _estimate(s.auc),
                         _estimate(s.error, 3), _level(found, s.observed), _level(found, s.predicted)))  # fmt: skip
    error = "log score" if found.kind == "event" else "squared error"
    columns = ("model", "site left out", "people", "events", "AUC", error, "observed", "predicted")
    return Table("Each site predicted by the others", columns, tuple(rows))


def _optimism(found: Learnt) -> Table:
    rows = tuple(
        (o.measure, _fixed(o.apparent, 3), _signed(o.optimism, 3), _fixed(o.corrected, 3)) for o in found.optimism
    )
    title = f"Optimism of {found.described}, by {found.bootstrap} bootstrap samples"
    return Table(title, ("measure", "on its own data", "optimism", "corrected"), rows)


def _selection(found: Learnt) -> Table:
    rows = tuple((s.predictor, _percent(s.selected), _percent(s.same_sign)) for s in found.selection[:20])
    title = f"How stable would a selection be, in {found.bootstrap} bootstrap samples"
    return Table(title, ("predictor", "selected", "with the same sign"), rows)


def _benefit(found: Learnt) -> Table:
    h = found.heterogeneity
    if h is None:
        return Table("", (), ())
    rows = [
        ("average effect", _estimate(h.average, 3), ""), ("RATE (AUTOC)", _estimate(h.rate, 3), f"p = {h.p:.2g}"),
        ("calibration of predicted benefit (1 is right)", _estimate(h.calibration), ""),
        ("mean outcome if treated by predicted benefit", _estimate(h.policy, 3), ""),
        ("mean outcome if all are treated", _estimate(h.everybody, 3), ""),
        ("mean outcome if nobody is", _estimate(h.nobody, 3), ""),
        ("gain over the better of both", _estimate(h.gain, 3), ""),
        *((f"benefit per SD of {t.name}", _estimate(t.estimate, 3), f"p = {t.p:.2g}") for t in h.projection[1:]),
    ]  # fmt: skip
    return Table(f"Who benefits: {h.treated} treated, {h.controls} controls", ("what", "estimate", ""), tuple(rows))


def _external(e: External) -> list[Table]:
    rows = [("people", str(e.n))]
    if e.calibration is not None:
        c = e.calibration
        rows += [
            ("events", str(e.events)), ("AUC", _estimate(e.auc)), ("Brier score", _estimate(e.brier, 3)),
            ("logarithmic score", _estimate(e.log_score, 3)),
            ("calibration in the large [logit]", _estimate(c.in_the_large)),
            ("calibration slope", _estimate(c.slope)), ("observed over expected", f"{c.observed_expected:.2f}"),
        ]  # fmt: skip
    else:
        rows += [
            ("R2", _estimate(e.r2)),
            ("RMSE", number(e.rmse)),
            ("MAE", _estimate(e.mae)),
            ("slope", _estimate(e.slope)),
        ]
    if e.covered is not None:
        rows.append(("truth inside of the interval or set", _percent(e.covered)))
    tables = [Table("External validation of the model as it is", ("measure", "found"), tuple(rows))]
    if e.recalibrated:
        mended = tuple(
            (r.how, _signed(r.intercept, 3), f"{r.slope:.3f}", f"{r.brier:.4f}", f"{r.log_score:.4f}")
            for r in e.recalibrated
        )
        title = "What recalibration on these same patients would give (not applied; too good, being judged on them)"
        tables.append(Table(title, ("how", "intercept", "slope", "Brier", "log score"), mended))
    return tables


# Figures


def _ladder_figure(models: Sequence[ModelResult], found: Learnt) -> str:
    rows = list(models)[::-1]
    drawing, axes = new_figure(0.8 + 0.3 * len(rows), columns=2 if found.kind == "event" else 1)
    labels = [m.name if m.learner in ("penalised", "mean") else f"{m.name}, {m.learner}" for m in rows]
    measures = ("auc", "log_score") if found.kind == "event" else ("r2",)
    titles = {"auc": "AUC", "log_score": "log score (lower is better)", "r2": "R2 on people not seen"}
    for axis, name in zip(axes, measures, strict=True):
        for y, m in enumerate(rows):
            e = getattr(m.performance, name)
            if e is None or not math.isfinite(e.value):
                continue
            colour = VERMILION if m.learner == "boosting" else BLUE
            axis.plot([e.low, e.high], [y, y], color=colour, lw=1.8)
            axis.plot(e.value, y, "D" if m.learner == "boosting" else "o", color=colour, ms=5.5,
                      mfc="white" if m.learner == "boosting" else colour)  # fmt: skip
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.set_yticks(range(len(rows)), labels if axis is axes[0] else [""] * len(rows))
        axis.set_xlabel(titles[name])
    if found.kind == "event":
        axes[0].axvline(0.5, color=GREY, lw=0.9, zorder=0)
        base = next(m.performance.log_score for m in rows if m.rung == "prevalence" and m.performance is not None)
        axes[1].axvline(base.value if base else 0, color=GREY, lw=0.9, zorder=0)
    else:
        axes[0].axvline(0, color=GREY, lw=0.9, zorder=0)
    return svg(drawing, "ladder", "Performance of each model with 95 percent intervals: " + "; ".join(labels[::-1]))


def _calibration_figure(curves: Sequence[tuple[str, CalibrationMeasures | None]]) -> str:
    drawn = [(name, c) for name, c in curves if c is not None and c.curve is not None][: len(STYLES)]
    if not drawn:
        return ""
    across = min(len(drawn), 3)
    rows = -(-len(drawn) // across)
    drawing, axes = new_figure(0.3 + 2.6 * rows, across, rows)
    for axis, (name, c) in zip(axes, drawn, strict=False):
        curve = c.curve
        assert curve is not None
        colour = BLUE
        axis.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls="--")
        axis.fill_between(curve.predicted, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
        axis.plot(curve.predicted, curve.observed, color=colour, lw=1.8)
        axis.set(xlim=(0, 1), ylim=(0, 1))
        axis.set_title(name, loc="left", fontsize=8)
        axis.set_xlabel("predicted risk")
        axis.text(0.97, 0.04, f"slope {_fixed(c.slope.value, 2)}", ha="right", fontsize=8, color=INK)
    for axis in axes[len(drawn) :]:
        axis.axis("off")
    axes[0].set_ylabel("observed share")
    words = "; ".join(f"{name}: slope {c.slope.value:.2f}" for name, c in drawn)
    return svg(drawing, "calibration", f"Calibration curves with 95 percent bands: {words}")


def _benefit_figure(curves: Sequence[tuple[str, tuple[NetBenefit, ...]]]) -> str:
    curves = [(name, c) for name, c in curves if c][: len(STYLES)]
    if not curves:
        return ""
    drawing, (axis,) = new_figure(3.2)
    x = [b.threshold for b in curves[0][1]]
    everybody = [b.everybody for b in curves[0][1]]
    axis.plot(x, everybody, color=INK, lw=1.0, label="treat all")
    axis.axhline(0, color=GREY, lw=1.0, label="treat nobody")
    for (colour, style), (name, curve) in zip(STYLES, curves, strict=False):
        axis.plot(x, [b.model.value for b in curve], color=colour, ls=style, lw=1.7, label=name)
    first = curves[0][1]
    axis.fill_between(x, [b.model.low for b in first], [b.model.high for b in first], color=BLUE, alpha=0.13, lw=0)
    top = max(b.model.high for b in first)
    axis.set(xlim=(0, 1), ylim=(-0.25 * top, 1.1 * top))
    axis.set_xlabel("threshold probability")
    axis.set_ylabel("net benefit")
    _legend(drawing, axis)
    return svg(drawing, "benefit", "Decision curves of " + ", ".join(name for name, _ in curves))


def _learning_figure(found: Learnt) -> str:
    points = found.learning_curve
    drawing, (axis,) = new_figure(2.4)
    axis.plot([p.n for p in points], [p.error for p in points], "o-", color=BLUE, lw=1.6)
    axis.set_xlabel("people trained on")
    axis.set_ylabel("log score" if found.kind == "event" else "squared error")
    axis.set_xlim(left=0)
    words = "; ".join(f"{p.n} people {p.error:.3g}" for p in points)
    return svg(drawing, "learning", f"Error of held-out folds by people trained on: {words}")


def _toc_figure(found: Learnt) -> str:
    h = found.heterogeneity
    assert h is not None
    drawing, (axis,) = new_figure(2.6)
    x = [q for q, _ in h.toc]
    axis.axhline(0, color=GREY, lw=0.9)
    axis.fill_between(x, [e.low for _, e in h.toc], [e.high for _, e in h.toc], color=BLUE, alpha=0.15, lw=0)
    axis.plot(x, [e.value for _, e in h.toc], color=BLUE, lw=1.7)
    axis.set_xlabel("share treated, by predicted benefit")
    axis.set_ylabel("excess benefit")
    return svg(drawing, "toc", f"Targeting operator characteristic; RATE {h.rate.value:.3g}")


def _legend(figure: Any, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False, ncols=2, fontsize=8.5, handlelength=3.2)


_LADDER = (
    "Circles: penalised regression; hollow diamonds: gradient boosting. All models predict the same people on the same "
    "folds, so a difference is known better than either value; it is in the table of differences. Grey: no model."
)
_CALIBRATION = (
    "Line: observed share by predicted risk, with a pointwise 95 % band. Dashed: risks that come true as predicted."
)
_BENEFIT = (
    "Cases found per person less false alarms at the price that the threshold sets, on pooled cross-validated "
    "probabilities. Band: 95 % of the first model. A model is of use where it lies above both treating all and nobody."
)
_LEARNING = "Mean error of the held-out folds of {name}. A curve that still falls says that more people would help."
_TOC = "How much more those ranked first benefit than the mean, with a pointwise 95 % band; at 1 all are treated."
_METHOD = (
    "Nested, repeated cross-validation: everything that learns, from the median that fills a gap to the strength of "
    "the penalty, is fitted on training rows alone, and families are never torn. Intervals of single models are "
    "DeLong's (AUC) or those of a mean over people; differences have the corrected interval of Nadeau and Bengio. The "
    "claim about the immune panel rests on one comparison that is fixed before any data: the panel with clinical "
    "columns against clinical columns alone, by penalised regression, in the logarithmic score or the squared error."
)
_APPLIED = (
    "A locked model is applied as it is; its file is JSON with every number, and its hash is checked. Missing "
    "predictors are filled by the median of training. Intervals and sets are conformal: over patients like those of "
    "training, they hold the truth as often as they say."
)
