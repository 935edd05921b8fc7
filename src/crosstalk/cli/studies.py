"""Verbs about studies: `simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, open_engine, progress, say_written, status, write_wanted
from crosstalk.cli.options import EngineName, HtmlFile, Jobs, JsonFile, Quiet, Scheduler, Seed, names_of
from crosstalk.errors import UsageError
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
        int, typer.Option("--patients", "-n", min=1, help="Virtual patients; each runs every arm.")
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
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write Parquet files, for more patients than memory holds."),
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="I/N", help="With --out: the part of an array job that this is.")
    ] = "1/1",
    merge: Annotated[
        bool, typer.Option("--merge", help="With --out: make one run of the parts that are there.")
    ] = False,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    scheduler: Scheduler = "threads",
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Run a study, challenge or trial on virtual patients."""
    check_outputs(csv, json, html, inputs=[study])
    if out is not None:
        if csv or json or html or engine_name != "fast":
            raise UsageError(
                "--out writes courses by the fast engine and nothing else; leave out --csv, --json, --html"
            )
        _to_folder(study, out, part, merge, patients, seed, worlds, true_daily, circadian, jobs, scheduler, quiet)
        return
    if part != "1/1" or merge:
        raise UsageError("--part and --merge are for --out DIR")
    if patients > PATIENTS:
        raise UsageError(f"{patients} patients in memory; expected at most {PATIENTS}, or --out DIR")
    from crosstalk.population.run import simulate as run
    from crosstalk.report.documents import dump
    from crosstalk.report.html import simulation_html
    from crosstalk.report.simulation import summarise
    from crosstalk.spreadsheets import frame_csv
    from crosstalk.study.schema import read_study

    plan = read_study(study)
    with open_engine(engine_name, jobs, scheduler) as engine, status(f"simulating {plan.id}", quiet):
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


def _to_folder(
    study: str,
    out: Path,
    part: str,
    merge: bool,
    patients: int,
    seed: int,
    worlds: int,
    true_daily: bool,
    circadian: bool,
    jobs: int | None,
    scheduler: str,
    quiet: bool,
) -> None:
    from crosstalk.engine.scheduler import open_executor
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.blocks import Blocks, simulate_to
    from crosstalk.population.blocks import merge as joined
    from crosstalk.study.schema import read_study

    plan, knowledge = read_study(study), load_knowledge()
    blocks = Blocks.of(plan, knowledge, seed=seed, worlds=worlds, true_daily=true_daily, circadian=circadian)
    if merge:
        found = joined(out, blocks, patients)
    else:
        with open_executor(scheduler, jobs) as (executor, width), progress(f"simulating {plan.id}", quiet) as say:
            found = simulate_to(
                out,
                blocks,
                patients,
                part=_part(part),
                knowledge=knowledge,
                executor=executor,
                width=width,
                progress=say,
            )
    if not quiet:
        console().print(found.summary(), markup=False, highlight=False)


def _part(text: str) -> tuple[int, int]:
    match text.split("/"):
        case [one, of] if one.isdecimal() and of.isdecimal() and 1 <= int(one) <= int(of):
            return int(one), int(of)
    raise UsageError(f"--part {text}; expected I/N with I from 1 to N, such as 3/8")
