"""The verb `page`: one self-contained file on which to ask what if."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, console, open_engine, say_written, status, write
from crosstalk.cli.options import EngineName, Jobs, Quiet, Seed, VirtualPatients

__all__ = ["page"]


def page(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write (HTML).")],
    regimen: Annotated[
        list[str] | None, typer.Option("--regimen", "-r", help="Regimen to show; repeat for several (default: all).")
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=52, help="Horizon.")] = 12,
    seed: Seed = 1,
    virtual_patients: VirtualPatients = 20_000,
    jobs: Jobs = None,
    engine_name: EngineName = "fast",
    quiet: Quiet = False,
) -> None:
    """Write a page that forecasts in the browser, offline: type a panel, move a value, see what changes and why."""
    check_outputs(out)
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.page.accuracy import accuracy
    from crosstalk.page.data import collect
    from crosstalk.page.export import page_html

    knowledge = load_knowledge()
    wanted = {knowledge.regimen(name).id for name in regimen or ()}
    chosen = tuple(r for r in knowledge.regimens.values() if not wanted or r.id in wanted or r.reference)
    with open_engine(engine_name, jobs) as engine, status("collecting what the page holds", quiet) as say:
        data = collect(
            knowledge, engine, seed=seed, virtual_patients=virtual_patients, regimens=chosen, weeks=weeks, progress=say
        )
        say("comparing with full forecasts")
        near = accuracy(data, knowledge, engine).words()
    write({out: page_html(data, accuracy=near)})
    if not quiet:
        console().print(near, soft_wrap=True, markup=False)
        say_written(out)
