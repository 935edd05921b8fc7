"""The verb about trials of one's own: `trial`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import (
    check_outputs,
    check_work,
    console,
    open_engine,
    progress,
    render,
    say_written,
    write_wanted,
)
from crosstalk.cli.options import HtmlFile, JsonFile, Quiet, Scheduler, Seed
from crosstalk.errors import UsageError
from crosstalk.limits import printable, shown

__all__ = ["trial"]

WHOLE = ("power", "type I error", "bias", "true effect", "share")
"""Columns of tables that do not wrap."""


def trial(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file with a table [trial].")],
    replicates: Annotated[
        int,
        typer.Option("--replicates", "-r", min=2, help="Simulated trials of each kind; of each design in a search."),
    ] = 500,
    worlds: Annotated[
        int, typer.Option("--worlds", min=1, help="Possible worlds for the probability of success.")
    ] = 24,
    null: Annotated[
        bool,
        typer.Option("--null/--no-null", help="Also simulate trials in which no drug does anything (type I error)."),
    ] = True,
    optimise: Annotated[
        bool, typer.Option("--optimise", help="Search over designs: power against candidates screened.")
    ] = False,
    arms: Annotated[str, typer.Option("--arms", metavar="ARM,...", help="Search: active arms.")] = "",
    doses: Annotated[str, typer.Option("--doses", metavar="X,...", help="Search: multiples of the dose.")] = "",
    cutoffs: Annotated[str, typer.Option("--cutoffs", metavar="X,...", help="Search: cut-offs of the marker.")] = "",
    sizes: Annotated[str, typer.Option("--sizes", metavar="N,...", help="Search: patients randomised.")] = "",
    weeks: Annotated[str, typer.Option("--weeks", metavar="W,...", help="Search: weeks of the endpoint.")] = "",
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write one simulated trial: a row per patient and visit."),
    ] = None,
    cdisc: Annotated[
        Path | None, typer.Option("--cdisc", metavar="FILE", help="Write it with the column names of ADaM (ADQS).")
    ] = None,
    rpact: Annotated[
        Path | None,
        typer.Option("--rpact", metavar="FILE", help="Write an R script that repeats [trial.assumed] with rpact."),
    ] = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Processes, one per processor by default; they change no result."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", metavar="FOLDER", help="Keep what is done there; the same command goes on from it."),
    ] = None,
    scheduler: Scheduler = "threads",
    quiet: Quiet = False,
) -> None:
    """Simulate a trial many times: power, error, bias, size, probability of success."""
    check_outputs(csv, cdisc, rpact, json, html, inputs=[study])
    check_work(work)
    processes = jobs or os.cpu_count() or 1
    space = {"--arms": arms, "--doses": doses, "--cutoffs": cutoffs, "--sizes": sizes, "--weeks": weeks}
    if optimise:
        if csv is not None or cdisc is not None or rpact is not None:
            raise UsageError("--csv, --cdisc and --rpact belong to one trial; a search has none, drop them")
        _search(study, replicates, space, json, html, seed, processes, scheduler, quiet)
        return
    for option, value in space.items():
        if value:
            raise UsageError(f"{option} belongs to a search; add --optimise")
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.provenance import cache_folder
    from crosstalk.report.trial_data import cdisc_frame, tidy_frame
    from crosstalk.report.trials import trial_html, trial_json, trial_tables
    from crosstalk.report.words import UNCALIBRATED
    from crosstalk.spreadsheets import frame_csv
    from crosstalk.store import Work
    from crosstalk.trial.assumed import rpact_script
    from crosstalk.trial.example import one_trial
    from crosstalk.trial.plan import design_of, read_trial
    from crosstalk.trial.run import TrialSettings, characterise, make_pools

    knowledge = load_knowledge()
    plan = read_trial(study, knowledge)
    script = "" if rpact is None else rpact_script(design_of(plan), plan.title or plan.id)
    settings = TrialSettings(replicates, worlds, seed, null=null)
    kept = Work(work or cache_folder() / "trials")
    try:
        with open_engine("fast", jobs, scheduler) as engine, progress(f"trial {plan.id}", quiet) as say:
            pools = make_pools(plan, settings, knowledge, engine, say)
            result = characterise(
                plan, pools, settings, knowledge=knowledge, engine=engine, jobs=processes, work=kept, progress=say
            )
    except KeyboardInterrupt:
        print(
            "crosstalk: interrupted; what is done is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    example = one_trial(plan, pools.typical, knowledge, seed)
    write_wanted(
        (csv, lambda: frame_csv(tidy_frame(*example))),
        (cdisc, lambda: frame_csv(cdisc_frame(*example))),
        (rpact, lambda: script),
        (json, lambda: trial_json(result)),
        (html, lambda: trial_html(result)),
    )
    if work is None:
        kept.clear()
    if not quiet:
        console().print(printable(result.summary()) + "\n", markup=False)
        render(trial_tables(result), WHOLE)
        if not result.calibrated:
            print(UNCALIBRATED)
        say_written(csv, cdisc, rpact, json, html)


def _search(
    study: str, replicates: int, given: Mapping[str, str], json: Path | None, html: Path | None, seed: int, jobs: int,
    scheduler: str, quiet: bool,
) -> None:  # fmt: skip
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import knowledge_state
    from crosstalk.provenance import package_version
    from crosstalk.report.trials import search_html, search_json, search_table
    from crosstalk.report.words import UNCALIBRATED
    from crosstalk.trial.plan import read_trial
    from crosstalk.trial.search import default_space, optimise

    knowledge = load_knowledge()
    plan = read_trial(study, knowledge)
    numbers = {option: _numbers(text, option) for option, text in given.items() if option != "--arms"}
    sizes = numbers["--sizes"]
    if any(x != int(x) for x in sizes):
        raise UsageError(f"--sizes: received '{given['--sizes']}'; expected whole numbers of patients")
    space = default_space(
        plan,
        arms=tuple(x.strip() for x in given["--arms"].split(",") if x.strip()),
        doses=numbers["--doses"],
        cutoffs=numbers["--cutoffs"],
        sizes=tuple(int(x) for x in sizes),
        weeks=numbers["--weeks"],
    )
    with open_engine("fast", jobs, scheduler) as engine, progress(f"search {plan.id}", quiet) as say:
        found = optimise(
            plan, space, replicates=replicates, seed=seed, knowledge=knowledge, engine=engine, jobs=jobs, progress=say
        )
    calibrated, _ = knowledge_state(knowledge)
    write_wanted(
        (json, lambda: search_json(found)),
        (html, lambda: search_html(found, plan.title, package_version(), calibrated=calibrated)),
    )
    if not quiet:
        render([search_table(found)], WHOLE)
        if not calibrated:
            print(UNCALIBRATED)
        say_written(json, html)


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        found = tuple(float(x) for x in text.split(",") if x.strip())
    except ValueError:
        found = (inf,)
    if not all(map(isfinite, found)):
        raise UsageError(f"{option}: received '{shown(text)}'; expected numbers with commas between, such as 1,3,5")
    return found
