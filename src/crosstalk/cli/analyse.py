"""The verb about a trial's own data: `analyse`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, render, say_written, status, warn, write_wanted
from crosstalk.cli.options import HtmlFile, JsonFile, Quiet, Seed
from crosstalk.limits import printable

__all__ = ["analyse"]


def analyse(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="Data of a trial: CSV, Excel, XPT or Dataset-JSON; long, wide or ADaM."),
    ],
    design: Annotated[
        Path, typer.Option("--design", "-d", metavar="FILE", help="Which columns mean what, and which analyses (TOML).")
    ],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all estimates, a row each.")] = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    quiet: Quiet = False,
) -> None:
    """Analyse a trial's own data: MMRM, ANCOVA, responders, time to event, markers, sensitivity to what is missing."""
    check_outputs(csv, json, html, inputs=[data, design])
    from crosstalk.analysis.run import analyse as run
    from crosstalk.report.analysis import analysis_csv, analysis_html, analysis_json, analysis_tables

    with status(f"analysing {data.name}", quiet) as say:
        result = run(data, design, seed=seed, progress=say)
    write_wanted(
        (csv, lambda: analysis_csv(result)),
        (json, lambda: analysis_json(result)),
        (html, lambda: analysis_html(result)),
    )
    warn(result.warnings, quiet)
    if not quiet:
        console().print(printable(result.summary()) + "\n", markup=False)
        tables = analysis_tables(result)
        render(tables[:1])
        for found, table in zip(result.findings, tables[1:], strict=True):
            render((table,), whole=("estimate", "SE", table.columns[-3], "p"))
            for line in filter(None, (found.how, found.test, *found.notes)):
                console().print(printable(line), markup=False)
            console().print()
        say_written(csv, json, html)
