"""Verbs about one patient: `assess` and `forecast`."""

from __future__ import annotations

from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, open_engine, say_written, status, warn, write_wanted
from crosstalk.cli.options import Draws, EngineName, HtmlFile, Jobs, JsonFile, PanelFile, Patient, Quiet, Seed

__all__ = ["assess", "forecast"]


def assess(
    panel: PanelFile,
    patient: Patient = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    draws: Draws = 200,
    jobs: Jobs = None,
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Read a panel against references and infer the mechanism scores."""
    check_outputs(json, html)
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html
    from crosstalk.twin import assess as run

    file = read_panel(panel)
    warn(file.warnings, quiet)
    with open_engine(engine_name, jobs) as engine, status("reading the mechanisms from the panel", quiet):
        result = run(one_patient(file, patient), engine=engine, seed=seed, draws=draws)
    write_wanted((json, lambda: dump(result)), (html, lambda: assessment_html(result)))
    if not quiet:
        from crosstalk.report.terminal import render_assessment

        render_assessment(result, console())
        say_written(json, html)


def forecast(
    panel: PanelFile,
    regimen: Annotated[
        list[str] | None,
        typer.Option("--regimen", "-r", help="Regimen to forecast; repeat for several (default: all)."),
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=104, help="Horizon.")] = 12,
    patient: Patient = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    draws: Draws = 200,
    jobs: Jobs = None,
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Forecast one patient under each regimen: a hypothesis, not advice."""
    check_outputs(json, html)
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.report.documents import dump
    from crosstalk.report.html import forecast_html
    from crosstalk.twin import forecast as run

    for name in regimen or ():
        load_knowledge().regimen(name)
    file = read_panel(panel)
    warn(file.warnings, quiet)
    with open_engine(engine_name, jobs) as engine, status("forecasting", quiet) as say:
        result = run(
            one_patient(file, patient), regimens=regimen or (), engine=engine, seed=seed, draws=draws, weeks=weeks,
            progress=say,
        )  # fmt: skip
    write_wanted((json, lambda: dump(result)), (html, lambda: forecast_html(result)))
    if not quiet:
        from crosstalk.report.terminal import render_forecast

        render_forecast(result, console())
        say_written(json, html)
