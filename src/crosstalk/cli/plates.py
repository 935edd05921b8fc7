"""Verbs about plates of immunoassays: `plate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.cli.common import check_outputs, render, say_written, warn, write_wanted
from crosstalk.cli.options import HtmlFile, JsonFile, MapFile, Quiet

__all__ = ["plate"]


def plate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Exports of plate readers; several to compare plates."),
    ],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the concentrations as a panel.")
    ] = None,
    mapping: MapFile = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Check plates of immunoassays and read their concentrations from the signals."""
    check_outputs(csv, json, html, inputs=[*files, mapping])
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.plates.files import read_plates
    from crosstalk.panel.plates.quality import assess_plates, concentrations
    from crosstalk.report.documents import dump
    from crosstalk.report.plates import entries_csv, plate_tables, plates_html

    named = None if mapping is None else FileMap.read(mapping)
    plates = [p for file in files for p in read_plates(file, named)]
    warn(tuple(w for p in plates for w in p.warnings), quiet)
    report = assess_plates(plates)
    write_wanted(
        (csv, lambda: entries_csv(concentrations(report))),
        (json, lambda: dump(report)),
        (html, lambda: plates_html(report)),
    )
    if not quiet:
        render(plate_tables(report), whole=("grade", "analyte", "check"))
        say_written(csv, json, html)
