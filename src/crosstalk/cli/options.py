"""Options and arguments that several verbs share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "EngineName",
    "HtmlFile",
    "Jobs",
    "JsonFile",
    "MapFile",
    "Occasion",
    "PanelFile",
    "Patient",
    "Quiet",
    "Scheduler",
    "Seed",
    "VirtualPatients",
    "names_of",
]


def names_of(kind: str) -> Callable[[str], list[str]]:
    """Complete the ids of what is known: ``drugs``, ``regimens``, ``analytes`` or ``study_files``."""

    def names(incomplete: str) -> list[str]:
        from crosstalk.knowledge.loader import load_knowledge

        return [name for name in getattr(load_knowledge(), kind) if name.startswith(incomplete)]

    return names


def _hush(quiet: bool) -> bool:
    """Without warnings of the logger, too."""
    logging.getLogger("crosstalk").setLevel(logging.ERROR if quiet else logging.WARNING)
    return quiet


PanelFile = Annotated[
    Path, typer.Argument(metavar="PANEL", help="File of one or more patients, of any format that is read.")
]
MapFile = Annotated[
    Path | None,
    typer.Option("--map", metavar="MAP", help="What columns, codes and visits mean; `crosstalk read` suggests one."),
]
Patient = Annotated[str | None, typer.Option("--patient", help="Which patient of the file.")]
Occasion = Annotated[
    str | None,
    typer.Option(
        "--occasion",
        metavar="first|last|each|'nearest-to SCORE'",
        help="Which occasion, where a patient has values of several.",
    ),
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")]
HtmlFile = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a self-contained report.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Fixes everything random.")]
VirtualPatients = Annotated[
    int, typer.Option("--virtual-patients", min=20, help="Size of the virtual population, made once and kept.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_hush, help="Print nothing but errors.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Threads, one per processor by default; they change no result."),
]
EngineName = Annotated[str, typer.Option("--engine", help="fast, or reference (libRoadRunner, to compare).")]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="threads|processes|dask://HOST:PORT|FILE.json",
        help="Where it runs; it changes no result.",
    ),
]
