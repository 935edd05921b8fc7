"""Verbs about the model: `model check`, `model show` and `model export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, open_engine, say_written, show, status, write
from crosstalk.cli.options import Jobs, JsonFile, Quiet, Seed
from crosstalk.errors import UsageError
from crosstalk.limits import PATIENTS, WEEKS

__all__ = ["model_app"]

model_app = typer.Typer(
    help="The mechanistic model: its quality report, its network and its exports.", no_args_is_help=True
)


@model_app.command("check")
def model_check(json: JsonFile = None) -> None:
    """Check units, unused parameters, positivity, steady state, stiffness and conservation."""
    check_outputs(json)
    from crosstalk.model.qa import check_model
    from crosstalk.report.catalogue import finding_table

    findings = check_model()
    show((finding_table(findings),), json)
    failed = [f.check for f in findings if f.grade == "fail"]
    if failed:
        print(f"crosstalk: the model fails on {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


@model_app.command("show")
def model_show(
    svg: Annotated[Path, typer.Option("--svg", metavar="FILE", help="Draw the network there.")],
    quiet: Quiet = False,
) -> None:
    """Draw the network of the mechanism: which state raises or lowers which, by module."""
    check_outputs(svg)
    from crosstalk.model.network import draw, network

    found = network()
    write({svg: draw(found)})
    if not quiet:
        states = sum(len(part) for part in found.modules.values())
        print(f"{states} states of {len(found.modules)} modules, {len(found.links)} links")
        say_written(svg)


@model_app.command("export")
def model_export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="sbml, antimony, or with a regimen omex (SBML and SED-ML in one file).")
    ] = "sbml",
    drug: Annotated[list[str] | None, typer.Option("--drug", help="Include a drug; repeat for several.")] = None,
    regimen: Annotated[
        str | None, typer.Option("--regimen", "-r", help="With the doses of a regimen as events, in virtual patients.")
    ] = None,
    patients: Annotated[
        int, typer.Option("--patients", "-n", min=1, max=PATIENTS, help="Virtual patients; the model holds the first.")
    ] = 1,
    population: Annotated[
        Path | None, typer.Option("--population", metavar="TABLE", help="Write the virtual patients, a row each.")
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=WEEKS, help="Of the simulation in SED-ML.")] = 12,
    seed: Seed = 1,
    jobs: Jobs = None,
) -> None:
    """Export the model with the sources of its constants, alone or with a regimen in virtual patients."""
    check_outputs(output, population)
    from crosstalk.model.export import FORMATS, export_model

    if form not in (*FORMATS, "omex"):
        raise UsageError(f"unknown format '{form}'; expected {', '.join(FORMATS)} or omex")
    if regimen is None:
        if form == "omex" or population is not None or patients != 1:
            raise UsageError("an archive or virtual patients need a --regimen; `crosstalk regimens` lists them")
        text: str | bytes = export_model(form, drug or ())
    else:
        if drug:
            raise UsageError("--regimen names its drugs itself; leave out --drug")
        if form == "antimony":
            raise UsageError("a regimen is exported as sbml or omex")
        if form == "omex" and output is None:
            raise UsageError("an archive is no text; name a file with --output")
        text = _regimen(form, regimen, patients, population, weeks, seed, jobs)
    if output is None:
        print(text)
    else:
        write({output: text})


def _regimen(
    form: str, regimen: str, patients: int, population: Path | None, weeks: int, seed: int, jobs: int | None
) -> str | bytes:
    """Content of the file; the table of patients is written."""
    from crosstalk.engine.archive import archive
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.export import export_regimen
    from crosstalk.spreadsheets import frame_csv

    with open_engine("fast", jobs) as engine, status("baselines of the virtual patients", False):
        found = export_regimen(
            regimen, patients=patients, seed=seed, weeks=weeks, knowledge=load_knowledge(), engine=engine
        )
    if population is not None:
        write({population: frame_csv(found.to_frame())})
    return archive(found, name=f"Crosstalk: {regimen} in a virtual patient") if form == "omex" else found.sbml
