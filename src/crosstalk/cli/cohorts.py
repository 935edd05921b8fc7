"""Verbs about cohorts: `learn` and `predict`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, progress, render, say_written, warn, write_wanted
from crosstalk.cli.files import with_map
from crosstalk.cli.options import HtmlFile, JsonFile, MapFile, Occasion, Quiet, Seed
from crosstalk.errors import UsageError
from crosstalk.limits import printable

__all__ = ["learn", "predict"]


def learn(
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="Table with one row per patient.")],
    outcome: Annotated[str, typer.Option("--outcome", metavar="COLUMN", help="Two values, or a score.")],
    positive: Annotated[
        str | None, typer.Option("--positive", metavar="VALUE", help="Which value is the event, if not 1 or yes.")
    ] = None,
    covariates: Annotated[
        str, typer.Option("--covariates", metavar="COLUMN,...", help="Clinical columns besides age, sex, BMI, scores.")
    ] = "",
    site: Annotated[str | None, typer.Option("--site", metavar="COLUMN", help="Each site is left out in turn.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COLUMN", help="Families; never both trained on and predicted.")
    ] = None,
    treatment: Annotated[
        str | None, typer.Option("--treatment", metavar="COLUMN", help="Randomised treatment: who benefits?")
    ] = None,
    treated: Annotated[
        str | None, typer.Option("--treated", metavar="VALUE", help="Value of the active arm, if not 1 or yes.")
    ] = None,
    better: Annotated[
        str,
        typer.Option(
            "--better", metavar="higher|lower", help="Direction of the outcome (event: higher, score: lower)."
        ),
    ] = "",
    week2: Annotated[
        str | None, typer.Option("--week2", metavar="COLUMN", help="Score in week 2; with --baseline.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="COLUMN", help="The same score before treatment.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds of a cross-validation.")] = 5,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Cross-validations.")] = 10,
    bootstrap: Annotated[int, typer.Option("--bootstrap", min=0, help="Resamples for optimism and stability.")] = 100,
    boosting: Annotated[
        bool, typer.Option("--boosting/--no-boosting", help="Gradient boosting beside regression.")
    ] = True,
    mechanism: Annotated[
        bool, typer.Option("--mechanism/--no-mechanism", help="Mechanism scores and the twin as rungs of the ladder.")
    ] = True,
    expected_r2: Annotated[
        float, typer.Option("--expected-r2", min=0.01, max=0.85, help="Expected share of the largest R2, for the size.")
    ] = 0.15,
    occasion: Occasion = None,
    mapping: MapFile = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="MODEL", help="Lock a model for `crosstalk predict`.")
    ] = None,
    lock: Annotated[
        str,
        typer.Option("--lock", metavar="RUNG", help="Rung to lock: clinical, crp or panel (default: what is earned)."),
    ] = "",
    seed: Seed = 1,
    quiet: Quiet = False,
) -> None:
    """Judge what can be predicted in a cohort, and what the immune panel adds."""
    check_outputs(json, html, out, inputs=[cohort, mapping])
    if better not in ("", "higher", "lower"):
        raise UsageError(f"--better {better}: expected higher or lower")
    from crosstalk.api.cohorts import lock as locked
    from crosstalk.learn.cohort import CohortColumns, read_cohort
    from crosstalk.learn.learning import learn_with_ladder, mechanism_steps
    from crosstalk.provenance import cache_folder
    from crosstalk.report.documents import dump
    from crosstalk.report.learning import learn_html, learn_tables
    from crosstalk.store import Work

    names = tuple(c.strip() for c in covariates.split(",") if c.strip())
    columns = CohortColumns(outcome, positive, site, group, treatment, treated, names, week2, baseline)
    read = with_map(cohort, mapping, quiet, lambda m: read_cohort(cohort, columns, occasion=occasion, mapping=m))
    warn(read.warnings, quiet)
    work = Work(cache_folder() / "learn")
    try:
        with progress("learn", quiet) as say:
            found, ladder = learn_with_ladder(
                read, steps=mechanism_steps() if mechanism else None, folds=folds, repeats=repeats, seed=seed,
                boosting=boosting, bootstrap=bootstrap, expected_r2=expected_r2,
                higher_is_better=None if not better else better == "higher", command=_command(), progress=say,
                work=work,
            )  # fmt: skip
    except KeyboardInterrupt:
        print("crosstalk: interrupted; what is done is kept, and the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    write_wanted(
        (json, lambda: dump(found)),
        (html, lambda: learn_html(found)),
        (out, lambda: locked(read, ladder, found, lock).to_json()),
    )
    work.clear()
    if not quiet:
        console().print(printable("\n".join(found.conclusions)), soft_wrap=True, markup=False)
        render(learn_tables(found), whole=("model", "learner"))
        say_written(json, html, out)


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model that `crosstalk learn --out` locked.")],
    panel: Annotated[Path, typer.Argument(metavar="PANEL", help="Panels of any format.")],
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="COLUMN", help="Known outcome: validate the model on it.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option("--positive", metavar="VALUE", help="Which value is the event, if not the model's.")
    ] = None,
    occasion: Occasion = None,
    mapping: MapFile = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Apply a locked model to patients as it is; flag what its training did not hold."""
    check_outputs(json, html, inputs=[model, panel, mapping])
    from dataclasses import replace

    from crosstalk.learn.cohort import header_of, read_cohort
    from crosstalk.learn.external import predict_locked
    from crosstalk.learn.locked import read_locked
    from crosstalk.report.documents import dump
    from crosstalk.report.learning import predict_html, predict_tables

    locked = read_locked(model)
    event = positive or (locked.positive if outcome is not None and locked.kind == "event" else None)
    columns = replace(locked.columns(header_of(panel)), outcome=outcome, positive=event)
    read = with_map(panel, mapping, quiet, lambda m: read_cohort(panel, columns, occasion=occasion, mapping=m))
    warn(read.warnings, quiet)
    found = predict_locked(locked, read, str(model))
    write_wanted((json, lambda: dump(found)), (html, lambda: predict_html(found)))
    if not quiet:
        render(predict_tables(found), whole=("patient",))
        say_written(json, html)


def _command() -> str:
    return shlex.join(["crosstalk", *sys.argv[1:]])
