"""The command line: one verb per job, tables for people, JSON and HTML on request. Heavy imports come late."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosstalk import __version__
from crosstalk.errors import CrosstalkError, OutputError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from crosstalk.engine.ensemble import Engine

__all__ = ["app", "main"]

app = typer.Typer(
    name="crosstalk",
    help="From a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="The mechanistic model: its quality report and its exports.", no_args_is_help=True)
app.add_typer(model_app, name="model")

PanelFile = Annotated[Path, typer.Argument(metavar="PANEL", help="CSV of one or more patients, long or wide.")]
Patient = Annotated[str | None, typer.Option("--patient", help="Which patient of the file.")]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")]
HtmlFile = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a self-contained report.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Fixes everything random.")]
Draws = Annotated[int, typer.Option("--draws", min=20, help="Virtual patients who stand for the patient.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Threads, one per processor by default; they change no result."),
]
EngineName = Annotated[str, typer.Option("--engine", help="fast, or reference (libRoadRunner, to compare).")]


def main() -> None:
    """Run the command line; a `CrosstalkError` becomes one message and its exit code."""
    try:
        app()
    except CrosstalkError as error:
        print(f"crosstalk: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("crosstalk: interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _version(value: bool) -> None:
    if value:
        print(f"crosstalk {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
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
    _check_outputs(json, html)
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html
    from crosstalk.twin import assess as run

    file = read_panel(panel)
    _warn(file.warnings, quiet)
    with _engine(engine_name, jobs) as engine, _status("reading the mechanisms from the panel", quiet):
        result = run(one_patient(file, patient), engine=engine, seed=seed, draws=draws)
    _write_wanted((json, lambda: dump(result)), (html, lambda: assessment_html(result)))
    if not quiet:
        from crosstalk.report.terminal import render_assessment

        render_assessment(result, _console())
        _say_written(json, html)


@app.command()
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
    _check_outputs(json, html)
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.report.documents import dump
    from crosstalk.report.html import forecast_html
    from crosstalk.twin import forecast as run

    for name in regimen or ():
        load_knowledge().regimen(name)
    file = read_panel(panel)
    _warn(file.warnings, quiet)
    with _engine(engine_name, jobs) as engine, _status("forecasting", quiet) as say:
        result = run(
            one_patient(file, patient), regimens=regimen or (), engine=engine, seed=seed, draws=draws, weeks=weeks,
            progress=say,
        )  # fmt: skip
    _write_wanted((json, lambda: dump(result)), (html, lambda: forecast_html(result)))
    if not quiet:
        from crosstalk.report.terminal import render_forecast

        render_forecast(result, _console())
        _say_written(json, html)


@app.command()
def simulate(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file (TOML), or the id of one that ships.")],
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
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Run a study, challenge or trial on virtual patients."""
    _check_outputs(csv, json, html)
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.run import simulate as run
    from crosstalk.report.documents import dump
    from crosstalk.report.html import simulation_html
    from crosstalk.report.simulation import summarise
    from crosstalk.study.schema import read_study

    plan = read_study(study)
    with _engine(engine_name, jobs) as engine, _status(f"simulating {plan.id}", quiet):
        result = run(
            plan, patients=patients, seed=seed, worlds=worlds, true_daily=true_daily, circadian=circadian, engine=engine
        )
        summary = summarise(result, load_knowledge())
    _write_wanted(
        (csv, lambda: result.to_frame().to_csv(index=False, lineterminator="\n")),
        (json, lambda: dump(summary)),
        (html, lambda: simulation_html(summary)),
    )
    if not quiet:
        from crosstalk.report.terminal import render_simulation

        render_simulation(summary, _console())
        _say_written(csv, json, html)


@app.command()
def drugs(
    drug: Annotated[str | None, typer.Argument(metavar="[DRUG]", help="Show one.")] = None, json: JsonFile = None
) -> None:
    """List the drug library, or show one drug with its sources."""
    from crosstalk.report.catalogue import drug_tables

    _catalogue(drug_tables, drug, json)


@app.command()
def regimens(
    regimen: Annotated[str | None, typer.Argument(metavar="[REGIMEN]", help="Show one.")] = None, json: JsonFile = None
) -> None:
    """List the regimens that a forecast compares, or show one with its evidence."""
    from crosstalk.report.catalogue import regimen_tables

    _catalogue(regimen_tables, regimen, json)


@app.command()
def analytes(
    analyte: Annotated[str | None, typer.Argument(metavar="[ANALYTE]", help="Show one.")] = None, json: JsonFile = None
) -> None:
    """List what a panel may hold, with units and codes, or show one analyte."""
    from crosstalk.report.catalogue import analyte_tables

    _catalogue(analyte_tables, analyte, json)


@app.command()
def schema(name: Annotated[str, typer.Argument(help="assess, forecast or simulate.")]) -> None:
    """Print the JSON schema of a result."""
    import json as json_module

    from crosstalk.report.documents import json_schema

    print(json_module.dumps(json_schema(name), indent=2))


@model_app.command("check")
def model_check(json: JsonFile = None) -> None:
    """Check units, unused parameters, positivity, steady state, stiffness and conservation."""
    _check_outputs(json)
    from crosstalk.model.qa import check_model
    from crosstalk.report.catalogue import finding_table

    findings = check_model()
    _show((finding_table(findings),), json)
    failed = [f.check for f in findings if f.grade == "fail"]
    if failed:
        print(f"crosstalk: the model fails on {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


@model_app.command("export")
def model_export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="sbml or antimony.")] = "sbml",
    drug: Annotated[list[str] | None, typer.Option("--drug", help="Include a drug; repeat for several.")] = None,
) -> None:
    """Export the model with the sources of its constants as annotations."""
    _check_outputs(output)
    from crosstalk.model.export import export_model

    text = export_model(form, drug or ())
    if output is None:
        print(text)
    else:
        _write({output: text})


def _catalogue(make: Callable[[str | None], tuple[object, ...]], name: str | None, json: Path | None) -> None:
    _check_outputs(json)
    _show(make(name), json)


def _show(tables: tuple[object, ...], json: Path | None) -> None:
    from crosstalk.report.catalogue import Table, tables_json
    from crosstalk.report.terminal import render_table

    kept = [t for t in tables if isinstance(t, Table)]
    if json is not None:
        _write({json: tables_json(kept)})
    for table in kept:
        render_table(table.title, table.columns, table.rows, _console())


def _check_outputs(*paths: Path | None) -> None:
    """Fail before the work, not after it, where a result could not be written."""
    given = [p for p in paths if p is not None]
    if len({p.resolve() for p in given}) < len(given):
        raise UsageError("two outputs have the same path; give each its own")
    for path in given:
        folder = path.resolve().parent
        if not folder.is_dir():
            raise OutputError(f"{path}: its folder {folder} does not exist; create it first")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of a file in it")
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise OutputError(f"{path}: cannot be written; check the permissions")


def _write_wanted(*outputs: tuple[Path | None, Callable[[], str]]) -> None:
    """Make the contents that have a path, all before any is written."""
    _write({path: make() for path, make in outputs if path is not None})


def _write(contents: dict[Path, str]) -> None:
    from crosstalk.provenance import atomic_write

    for path, text in contents.items():
        atomic_write(path, text)


def _say_written(*paths: Path | None) -> None:
    for path in paths:
        if path is not None:
            print(f"written: {path}")


def _warn(warnings: tuple[str, ...], quiet: bool) -> None:
    if not quiet:
        for warning in warnings:
            print(f"crosstalk: warning: {warning}", file=sys.stderr)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def _engine(name: str, jobs: int | None) -> Iterator[Engine]:
    from crosstalk.engine import get_engine

    engine = get_engine(name, jobs=jobs)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _status(text: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A moving line on a terminal, nothing when piped; yields a function that changes its words."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield status.update


if __name__ == "__main__":
    main()
