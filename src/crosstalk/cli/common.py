"""What every verb needs: outputs that are checked before the work, the terminal, an engine, a status line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crosstalk.errors import CrosstalkError, OutputError, UsageError
from crosstalk.limits import printable, shown

if TYPE_CHECKING:
    from rich.console import Console

    from crosstalk.engine.ensemble import Engine
    from crosstalk.report.catalogue import Table

__all__ = [
    "check_outputs",
    "console",
    "open_engine",
    "render",
    "say_written",
    "show",
    "status",
    "warn",
    "write",
    "write_wanted",
]


def show(tables: Sequence[Table], json: Path | None) -> None:
    """Print tables, and write them as JSON where a file is given."""
    from crosstalk.report.catalogue import tables_json

    if json is not None:
        write({json: tables_json(tables)})
    render(tables)


def render(tables: Sequence[Table], whole: Sequence[str] = ()) -> None:
    """Print tables; long texts wrap, except in the columns ``whole``."""
    from crosstalk.report.terminal import render_table

    for table in tables:
        render_table(table.title, table.columns, table.rows, console(), whole)


def check_outputs(*paths: Path | None) -> None:
    """Fail before the work, not after it, where a result could not be written."""
    from crosstalk.provenance import is_stream

    given = [p for p in paths if p is not None]
    if len({p.resolve() for p in given}) < len(given):
        raise UsageError("two outputs have the same path; give each its own")
    for path in given:
        if is_stream(path):
            continue
        folder = path.resolve().parent
        if not folder.is_dir():
            raise OutputError(f"{path}: its folder {folder} does not exist; create it first")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of a file in it")
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise OutputError(f"{path}: cannot be written; check the permissions")


def write_wanted(*outputs: tuple[Path | None, Callable[[], str]]) -> None:
    """Make the contents that have a path, then write them; one that cannot be made costs no other.

    Raises
    ------
    OutputError
        After the others are written, if one could not be made.
    """
    made: dict[Path, str] = {}
    failed: dict[Path, Exception] = {}
    for path, make in outputs:
        if path is None:
            continue
        try:
            made[path] = make()
        except Exception as error:
            failed[path] = error
    write(made)
    for path, error in failed.items():
        if isinstance(error, (CrosstalkError, MemoryError)):
            raise error
        others = f"; written: {', '.join(map(str, made))}" if made else ""
        raise OutputError(
            f"{path}: could not be made ({type(error).__name__}: {shown(error)}); this is a fault of Crosstalk, please "
            f"report it{others}"
        ) from error


def write(contents: dict[Path, str]) -> None:
    """Write each file whole or not at all."""
    from crosstalk.provenance import atomic_write

    for path, text in contents.items():
        atomic_write(path, text)


def say_written(*paths: Path | None) -> None:
    """Say which files were written."""
    for path in paths:
        if path is not None:
            print(f"written: {printable(str(path))}")


def warn(warnings: tuple[str, ...], quiet: bool) -> None:
    """Print warnings on the error stream."""
    if not quiet:
        for warning in warnings:
            print(f"crosstalk: warning: {printable(warning)}", file=sys.stderr)


def console() -> Console:
    """Return a console of the width of the terminal."""
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def open_engine(name: str, jobs: int | None) -> Iterator[Engine]:
    """Yield an engine, and close it."""
    from crosstalk.engine import get_engine

    engine = get_engine(name, jobs=jobs)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def status(text: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A moving line on a terminal, nothing when piped; yields a function that changes its words."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as line:
        yield line.update


@contextmanager
def progress(text: str, quiet: bool) -> Iterator[Callable[[str, float], None] | None]:
    """A progress bar on a terminal, nothing when piped; yields a function that takes words and the share done."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=1.0)

        def say(words: str, share: float) -> None:
            bar.update(task, description=f"{text}: {words}"[:48].ljust(48), completed=share)

        yield say
