"""Verbs about patients: `assess`, of one or of many, and `forecast`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosstalk.cli.common import (
    check_outputs,
    console,
    open_engine,
    progress,
    render,
    say_written,
    status,
    warn,
    write_wanted,
)
from crosstalk.cli.files import with_map
from crosstalk.cli.options import (
    EngineName,
    HtmlFile,
    Jobs,
    JsonFile,
    MapFile,
    Occasion,
    PanelFile,
    Patient,
    Quiet,
    Scheduler,
    Seed,
    VirtualPatients,
    names_of,
)
from crosstalk.errors import UsageError
from crosstalk.limits import printable

if TYPE_CHECKING:
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.records import PanelFile as Panels

__all__ = ["assess", "forecast"]


def assess(
    panel: PanelFile,
    patient: Patient = None,
    occasion: Occasion = None,
    mapping: MapFile = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a row per patient; several patients only.")
    ] = None,
    seed: Seed = 1,
    virtual_patients: VirtualPatients = 20_000,
    jobs: Jobs = None,
    scheduler: Scheduler = "threads",
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Read panels against references and infer the mechanism scores: of one patient, or of a cohort with a summary."""
    check_outputs(json, html, csv, inputs=[panel, mapping])
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html
    from crosstalk.twin.twin import assess as run

    file = with_map(
        panel, mapping, quiet, lambda m: read_panel(panel, batch=patient is None, occasion=occasion, mapping=m)
    )
    warn(file.warnings, quiet)
    if patient is None and len(file.panels) > 1:
        _assess_cohort(file, json, html, csv, seed, virtual_patients, jobs, scheduler, engine_name, quiet)
        return
    if csv is not None:
        raise UsageError("--csv is for a file of several patients; write one patient with --json")
    with open_engine(engine_name, jobs, scheduler) as engine, status("reading the mechanisms from the panel", quiet):
        result = run(one_patient(file, patient), engine=engine, seed=seed, virtual_patients=virtual_patients)
    write_wanted((json, lambda: dump(result)), (html, lambda: assessment_html(result)))
    if not quiet:
        from crosstalk.report.terminal import render_assessment

        render_assessment(result, console())
        say_written(json, html)


def _assess_cohort(
    file: Panels,
    json: Path | None,
    html: Path | None,
    csv: Path | None,
    seed: int,
    virtual_patients: int,
    jobs: int | None,
    scheduler: str,
    engine_name: str,
    quiet: bool,
) -> None:
    from crosstalk.report.cohort import cohort_csv, cohort_html, cohort_json
    from crosstalk.twin.cohort import assess_cohort

    with (
        open_engine(engine_name, jobs, scheduler) as engine,
        progress(f"assessing {len(file.panels)} patients", quiet) as say,
    ):
        result = assess_cohort(file, engine=engine, seed=seed, virtual_patients=virtual_patients, progress=say)
    with status("writing", quiet):
        write_wanted(
            (json, lambda: cohort_json(result)), (html, lambda: cohort_html(result)), (csv, lambda: cohort_csv(result))
        )
    if not quiet:
        from crosstalk.report.terminal import render_cohort

        render_cohort(result, console())
        say_written(json, html, csv)


def forecast(
    panel: PanelFile,
    regimen: Annotated[
        list[str] | None,
        typer.Option(
            "--regimen",
            "-r",
            help="Regimen to forecast; repeat for several (default: all).",
            autocompletion=names_of("regimens"),
        ),
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=104, help="Horizon.")] = 12,
    scores: Annotated[
        list[str] | None,
        typer.Option("--scores", metavar="SCORE", help="Score seen early, as 'week 2: HAMD17=17'; repeat for several."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="REGIMEN",
            help="Regimen of the early scores (default: the reference).",
            autocompletion=names_of("regimens"),
        ),
    ] = None,
    patient: Patient = None,
    occasion: Occasion = None,
    mapping: MapFile = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a row per patient and regimen.")
    ] = None,
    seed: Seed = 1,
    virtual_patients: VirtualPatients = 20_000,
    jobs: Jobs = None,
    scheduler: Scheduler = "threads",
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Forecast one patient, or each of a file, under each regimen: a hypothesis, not advice.

    Of several occasions, the first is the baseline, and scores of later ones count as scores seen early.
    """
    check_outputs(json, html, csv, inputs=[panel, mapping])
    from crosstalk.api.patients import forecast as run
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.panel.reader import read_panel
    from crosstalk.spreadsheets import frame_csv
    from crosstalk.twin.records import Forecast
    from crosstalk.twin.sequential import EarlyScore

    for name in (*(regimen or ()), *([on] if on else ())):
        load_knowledge().regimen(name)
    early = [EarlyScore.read(text) for text in scores or ()]
    # occasions of one person are a course, unless one of them is meant or the scores come otherwise
    one = occasion is not None or bool(early)

    def found(m: FileMap | None) -> Panels:
        alone = one or (m is not None and bool(m.occasion))
        return read_panel(panel, occasion=occasion if alone else "each", mapping=m)

    file = with_map(panel, mapping, quiet, found)
    warn(file.warnings, quiet)
    with open_engine(engine_name, jobs, scheduler) as engine, progress("forecast", quiet) as say:
        result = run(
            file, regimens=regimen or (), scores=early, on=on, patient=patient, occasion=occasion, engine=engine,
            seed=seed, virtual_patients=virtual_patients, weeks=weeks, progress=say,
        )  # fmt: skip
    write_wanted((json, result.to_json), (html, result.to_html), (csv, lambda: frame_csv(result.to_frame())))
    if not quiet:
        if isinstance(result, Forecast):
            from crosstalk.report.terminal import render_forecast

            render_forecast(result, console())
        else:
            from crosstalk.report.forecasts import forecasts_tables, forecasts_words

            console().print(printable("\n".join(forecasts_words(result))), markup=False)
            render(forecasts_tables(result), whole=("patient", "model knows"))
        say_written(json, html, csv)
