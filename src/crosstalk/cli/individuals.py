"""Verb `run`: any model on a table of individuals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosstalk.cli.common import check_outputs, progress, render, say_written, warn, write_wanted
from crosstalk.cli.options import EngineName, Jobs, JsonFile, Quiet
from crosstalk.errors import UsageError
from crosstalk.limits import printable, shown

if TYPE_CHECKING:
    from crosstalk.engine.individuals import Courses
    from crosstalk.report.catalogue import Table

__all__ = ["run"]

FIGURES = 4


def run(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Any model: a file of SBML (Level 1 to 3) or Antimony.")
    ],
    times: Annotated[
        str, typer.Option("--times", metavar="BEGIN:END:STEP", help="Output times in the model's unit; or 0,1,2,4.")
    ],
    parameters: Annotated[
        Path | None,
        typer.Option(
            "--parameters", metavar="TABLE", help="A row per individual: ID, and parameters or initial values by name."
        ),
    ] = None,
    doses: Annotated[
        Path | None, typer.Option("--doses", metavar="TABLE", help="Columns ID TIME AMT, and RATE CMT ADDL II EVID.")
    ] = None,
    cmt: Annotated[
        list[str] | None,
        typer.Option("--cmt", metavar="[NUMBER=]NAME", help="What a CMT of the doses stands for, or where all go."),
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="NAME", help="What to show; repeat for several.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write ID, time, the outputs and the status.")
    ] = None,
    json: JsonFile = None,
    rtol: Annotated[float, typer.Option("--rtol", help="Relative tolerance.")] = 1e-6,
    atol: Annotated[
        float | None, typer.Option("--atol", help="Absolute tolerance; by default from each state's own size.")
    ] = None,
    engine_name: EngineName = "fast",
    jobs: Jobs = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if one individual fails.")] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate any SBML or Antimony model for a table of individuals, with doses of each one's own."""
    check_outputs(csv, json, inputs=[model, parameters, doses])
    from crosstalk.engine.individuals import run as simulate
    from crosstalk.report.catalogue import tables_json
    from crosstalk.spreadsheets import frame_csv

    with progress(f"running {model.name}", quiet) as say:
        result = simulate(
            model, times, parameters=parameters, doses=doses, outputs=output or (), cmt=_compartments(cmt), rtol=rtol,
            atol=atol, engine=engine_name, jobs=jobs, strict=strict,
            progress=None if say is None else lambda share: say("", share),
        )  # fmt: skip
    tables = _tables(result, model.name)
    write_wanted((csv, lambda: frame_csv(result.to_frame())), (json, lambda: tables_json(tables)))
    if not quiet:
        render(tables)
    warn(result.notes, quiet)
    say_written(*(() if quiet else (csv, json)))
    if len(result.failures) == len(result.ids):
        first = min(result.failures)
        words = f"every individual failed; '{result.ids[first]}': {result.failures[first]}"
        print(f"crosstalk: {printable(words)}", file=sys.stderr)
        raise typer.Exit(1)


def _compartments(given: list[str] | None) -> dict[str, str] | str | None:
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    found: dict[str, str] = {}
    for item in given:
        number, _, name = item.partition("=")
        if not (number.strip() and name.strip()):
            raise UsageError(f"--cmt '{shown(item)}'; expected one name for all doses, or NUMBER=NAME for each number")
        found[number.strip()] = name.strip()
    return found


def _tables(result: Courses, name: str) -> tuple[Table, ...]:
    from crosstalk.report.catalogue import Table

    n, lost = len(result.ids), len(result.failures)
    title = f"{name}: {n - lost} of {n} individuals ran; at {result.times[-1]:g} {result.time_unit}"
    rows = tuple(
        (str(row.output), *(f"{x:.{FIGURES}g}" for x in row[1:])) for row in result.summary().itertuples(index=False)
    )
    found = [Table(title, ("output", "median", "5 %", "95 %"), rows)]
    if lost:
        first = [min(i for i, f in result.failures.items() if f.status.value == reason) for reason in result.reasons()]
        failed = tuple(
            (reason, str(count), result.ids[i], str(result.failures[i]))
            for (reason, count), i in zip(result.reasons().items(), first, strict=True)
        )
        found.append(Table("Failed", ("why", "individuals", "first", "there"), failed))
    return tuple(found)
