"""Verbs about belief: `calibrate`, `validate`, `qualify` and `sensitivity`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosstalk.cli.common import check_outputs, open_engine, progress, render, say_written, write_wanted
from crosstalk.cli.options import HtmlFile, Jobs, JsonFile, Quiet, Scheduler, Seed
from crosstalk.errors import UsageError

if TYPE_CHECKING:
    from crosstalk.calibrate.calibration import Settings
    from crosstalk.calibrate.validation import Validation
    from crosstalk.knowledge.loader import Knowledge
    from crosstalk.population.calibrated import PosteriorFile
    from crosstalk.population.worlds import Worlds
    from crosstalk.store import Work

__all__ = ["calibrate", "qualify", "sensitivity", "validate"]

PosteriorOption = Annotated[
    Path | None, typer.Option("--posterior", metavar="FILE", help="Another posterior than the one that ships.")
]
DrawsOfWorlds = Annotated[int, typer.Option("--draws", min=2, help="Draws of the posterior.")]
PatientsInWorld = Annotated[
    int, typer.Option("--patients", "-n", min=2, help="Virtual patients of each study in each draw.")
]
DrawsOfPrior = Annotated[
    int, typer.Option("--prior-draws", min=2, help="Draws of the prior, for the prior predictive beside it.")
]


def calibrate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The posterior, as netCDF.")] = Path(
        "posterior.nc"
    ),
    members: Annotated[int, typer.Option("--members", help="Size of the ensemble; so many draws are left.")] = 240,
    effort: Annotated[float, typer.Option("--effort", help="Multiplies the numbers of virtual patients.")] = 1.0,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="NAME=VALUE", help="Give a constant a value for good; repeat for several."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Start anew, whatever an earlier run has left.")] = False,
    seed: Seed = 1,
    jobs: Jobs = None,
    scheduler: Scheduler = "threads",
    quiet: Quiet = False,
) -> None:
    """Calibrate the unknowns on all studies of role 'calibrate'. A run that was stopped goes on where it was."""
    check_outputs(out)
    from crosstalk.calibrate.calibration import Settings
    from crosstalk.calibrate.calibration import calibrate as run
    from crosstalk.calibrate.files import write_calibration
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.store import Work

    settings = Settings(members, effort, seed, tuple(_fixed(text) for text in fix or ()))
    settings.check()
    work = Work(out.with_name(f".{out.name}.work"), fresh=again)
    try:
        with open_engine("fast", jobs, scheduler) as engine, progress("calibrating", quiet) as say:
            found = run(settings, knowledge=load_knowledge(), engine=engine, work=work, progress=say)
    except KeyboardInterrupt:
        _say_kept(work)
        raise typer.Exit(130) from None
    write_calibration(out, found)
    work.clear()
    if not quiet:
        from crosstalk.report.credibility import calibration_tables

        render(calibration_tables(found))
        say_written(out)


def validate(
    study: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY ...]",
            help="Study files or ids; all of role 'validate' by default, with --leave-out all that are fitted.",
        ),
    ] = None,
    posterior: PosteriorOption = None,
    draws: Annotated[int | None, typer.Option("--draws", min=2, help="Draws of the posterior, 240 by default.")] = None,
    patients: PatientsInWorld = 100,
    prior_draws: DrawsOfPrior = 60,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Judge fitted studies by calibrations that have not seen them.")
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option("--folds", metavar="K", help="With --leave-out: so many calibrations, not one for each cohort."),
    ] = None,
    members: Annotated[
        int | None, typer.Option("--members", help="With --leave-out: size of each ensemble, 60 by default.")
    ] = None,
    effort: Annotated[
        float | None, typer.Option("--effort", help="With --leave-out: as of calibrate, 1 by default.")
    ] = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    scheduler: Scheduler = "threads",
    quiet: Quiet = False,
) -> None:
    """Predict published results that the model was never fitted to: its skill beside two rivals, and each verdict."""
    check_outputs(json, html, inputs=[*(study or ()), posterior])
    from crosstalk.calibrate.targets import studies_of
    from crosstalk.calibrate.validation import validate as run
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.provenance import is_stream
    from crosstalk.report.documents import dump
    from crosstalk.store import Work
    from crosstalk.study.schema import read_study

    misplaced = {"--draws": draws} if leave_out else {"--folds": folds, "--members": members, "--effort": effort}
    for name, value in misplaced.items():
        if value is not None:
            raise UsageError(f"{name} goes {'without' if leave_out else 'only with'} --leave-out")
    if leave_out and scheduler != "threads":
        raise UsageError("--scheduler goes without --leave-out, whose folds run in --jobs processes of this machine")
    knowledge = load_knowledge()
    work: Work | None = None
    if leave_out:
        from crosstalk.calibrate.calibration import Settings

        place = Path(".leave-out.work") if json is None or is_stream(json) else json.with_name(f".{json.name}.work")
        work = Work(place)
        settings = Settings(60 if members is None else members, 1.0 if effort is None else effort, seed)
        found = _left_out(
            study or [], folds, settings, posterior, knowledge, work, jobs, (patients, prior_draws), quiet
        )
    else:
        chosen = [read_study(s, knowledge) for s in study] if study else list(studies_of("validate", knowledge))
        worlds = _worlds(posterior, knowledge, seed, draws or 240)
        with open_engine("fast", jobs, scheduler) as engine, progress("validating", quiet) as say:
            found = run(
                chosen, worlds, knowledge=knowledge, engine=engine, seed=seed, patients=patients,
                prior_draws=prior_draws, progress=say,
            )  # fmt: skip

    def page() -> str:
        from crosstalk.report.credibility import CredibilityReport, credibility_html

        return credibility_html(CredibilityReport(validation=found))

    write_wanted((json, lambda: dump(found)), (html, page))
    if work is not None:
        work.clear()
    if not quiet:
        from crosstalk.report.credibility import validation_tables

        render(validation_tables(found))
        say_written(json, html)


def _left_out(
    names: list[str],
    folds: int | None,
    settings: Settings,
    posterior: Path | None,
    knowledge: Knowledge,
    work: Work,
    jobs: int | None,
    counts: tuple[int, int],
    quiet: bool,
) -> Validation:
    """Judge fitted studies by calibrations without them; an interrupted run goes on where it was."""
    from crosstalk.calibrate.files import read_calibration
    from crosstalk.calibrate.leave_out import leave_out as run
    from crosstalk.population.calibrated import shipped_posterior

    if posterior is None:
        shipped, stale = shipped_posterior(knowledge)
        posterior = None if shipped is None or stale else shipped.path
    full = None if posterior is None else read_calibration(posterior, knowledge)
    try:
        with progress("leaving studies out", quiet) as say:
            return run(
                names, k=folds, settings=settings, knowledge=knowledge, full=full, work=work,
                jobs=jobs or os.cpu_count() or 1, patients=counts[0], prior_draws=counts[1], progress=say,
            )  # fmt: skip
    except KeyboardInterrupt:
        _say_kept(work)
        raise typer.Exit(130) from None


def _say_kept(work: Work) -> None:
    print(
        f"crosstalk: interrupted; what is done is kept in {work.folder}, and the same command goes on from there",
        file=sys.stderr,
    )


def qualify(
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="The report.")] = Path("credibility.html"),
    posterior: PosteriorOption = None,
    draws: DrawsOfWorlds = 240,
    patients: PatientsInWorld = 100,
    prior_draws: DrawsOfPrior = 60,
    seed: Seed = 1,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Make the whole credibility report: evidence, fit, posterior, what the data cannot tell, validation."""
    check_outputs(html, inputs=[posterior])
    from crosstalk.calibrate.files import read_calibration
    from crosstalk.calibrate.qualification import qualify as run
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.credibility import credibility_html, report_of

    knowledge = load_knowledge()
    calibration = read_calibration(_file(posterior, knowledge).path, knowledge)
    with open_engine("fast", jobs) as engine, progress("qualifying", quiet) as say:
        found = run(
            calibration, knowledge=knowledge, engine=engine, seed=seed, draws=draws, patients=patients,
            prior_draws=prior_draws, progress=say,
        )  # fmt: skip
    write_wanted((html, lambda: credibility_html(report_of(found))))
    if not quiet:
        from crosstalk.report.credibility import validation_tables
        from crosstalk.report.skill import skill_tables

        render((*skill_tables(found.fit.overall, "fitted results"), *validation_tables(found.validation)))
        say_written(html)


def sensitivity(
    regimen: Annotated[str, typer.Argument(metavar="REGIMEN", help="The regimen whose benefit is decomposed.")],
    versus: Annotated[str, typer.Option("--versus", help="What it is compared with.")] = "placebo",
    week: Annotated[int, typer.Option("--week", min=1, max=104)] = 12,
    patients: Annotated[int, typer.Option("--patients", "-n", help="Virtual patients, in a world each.")] = 4000,
    json: JsonFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Say what the benefit of a regimen depends on: first-order indices over patients and unknowns."""
    check_outputs(json)
    from crosstalk.calibrate.sensitivity import benefit_sensitivity
    from crosstalk.cli.common import status
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.documents import dump

    with open_engine("fast", jobs) as engine, status("simulating", quiet):
        found = benefit_sensitivity(regimen, versus, load_knowledge(), engine, week=week, patients=patients, seed=seed)
    write_wanted((json, lambda: dump(found)))
    if not quiet:
        from crosstalk.report.credibility import sensitivity_table

        render((sensitivity_table(found),))
        say_written(json)


def _fixed(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UsageError(f"--fix: received {text!r}, expected NAME=VALUE, such as shape_window=0") from None


def _file(path: Path | None, knowledge: Knowledge) -> PosteriorFile:
    """The posterior that is meant.

    Raises
    ------
    UsageError
        If there is none, or it is stale.
    """
    from crosstalk.population.calibrated import read_posterior, shipped_posterior

    if path is not None:
        found = read_posterior(path)
        reason = found.stale(knowledge)
        if reason:
            raise UsageError(f"{path}: {reason}; make it again with `crosstalk calibrate`")
        return found
    shipped, reason = shipped_posterior(knowledge)
    if shipped is None or reason:
        raise UsageError(f"the shipped posterior cannot be used: {reason}; make one with `crosstalk calibrate`")
    return shipped


def _worlds(path: Path | None, knowledge: Knowledge, seed: int, draws: int) -> Worlds:
    from crosstalk.population.calibrated import posterior_worlds

    return posterior_worlds(_file(path, knowledge), knowledge, seed, draws)
