"""Verbs about studies: `simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, open_engine, say_written, status, write_wanted
from crosstalk.cli.options import EngineName, HtmlFile, Jobs, JsonFile, Quiet, Seed, names_of
from crosstalk.limits import PATIENTS

__all__ = ["simulate"]


def simulate(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study file (TOML), or the id of one that ships.",
            autocompletion=names_of("study_files"),
        ),
    ],
    patients: Annotated[
        int, typer.Option("--patients", "-n", min=1, max=PATIENTS, help="Virtual patients; each runs every arm.")
    ] = 100,
    worlds: Annotated[
        int, typer.Option("--worlds", min=0, help="Draws of the uncertain parameters to spread the patients over.")
    ] = 0,
    true_daily: Annotated[
        bool, typer.Option("--true-daily", help="Give daily drugs dose by dose, not as a mean rate.")
    ] = False,
    circadian: Annotated[
        bool, typer.Option("--circadian", help="Add the 24-hour rhythm of cortisol; slower. Time 0 is about 6 a.m.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write arm, patient, time_h, variable, value.")
    ] = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Run a study, challenge or trial on virtual patients."""
    check_outputs(csv, json, html, inputs=[study])
    from crosstalk.population.run import simulate as run
    from crosstalk.report.documents import dump
    from crosstalk.report.html import simulation_html
    from crosstalk.report.simulation import summarise
    from crosstalk.spreadsheets import frame_csv
    from crosstalk.study.schema import read_study

    plan = read_study(study)
    with open_engine(engine_name, jobs) as engine, status(f"simulating {plan.id}", quiet):
        result = run(
            plan, patients=patients, seed=seed, worlds=worlds, true_daily=true_daily, circadian=circadian, engine=engine
        )
        summary = summarise(result, result.known)
    write_wanted(
        (csv, lambda: frame_csv(result.to_frame())),
        (json, lambda: dump(summary)),
        (html, lambda: simulation_html(summary)),
    )
    if not quiet:
        from crosstalk.report.terminal import render_simulation

        render_simulation(summary, console())
        say_written(csv, json, html)
