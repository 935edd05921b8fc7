"""Verbs about the model: `model check` and `model export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, show, write
from crosstalk.cli.options import JsonFile

__all__ = ["model_app"]

model_app = typer.Typer(help="The mechanistic model: its quality report and its exports.", no_args_is_help=True)


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


@model_app.command("export")
def model_export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="sbml or antimony.")] = "sbml",
    drug: Annotated[list[str] | None, typer.Option("--drug", help="Include a drug; repeat for several.")] = None,
) -> None:
    """Export the model with the sources of its constants as annotations."""
    check_outputs(output)
    from crosstalk.model.export import export_model

    text = export_model(form, drug or ())
    if output is None:
        print(text)
    else:
        write({output: text})
