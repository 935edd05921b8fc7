"""What every verb needs: outputs that are checked before the work, the terminal, an engine, a status line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from crosstalk.errors import CrosstalkError, OutputError, UsageError
from crosstalk.extras import missing, need
from crosstalk.limits import printable, shown

if TYPE_CHECKING:
    from rich.console import Console

    from crosstalk.engine.ensemble import Engine
    from crosstalk.report.catalogue import Table

__all__ = [
    "check_outputs",
    "check_work",
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

PACKAGE = Path(__file__).resolve().parent.parent
NEEDS = {".html": ("matplotlib",), ".csv": ("pandas",)}  # libraries behind an output, by its ending


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


def check_outputs(*paths: Path | None, inputs: Iterable[Path | str | None] = ()) -> None:
    """Fail before the work, not after it, where a result could not be written, or would replace what is read.

    Parameters
    ----------
    inputs : iterable of Path or str
        What the verb reads; names that are no files, such as ids of studies, may be among them.

    Raises
    ------
    UsageError
        If an output is an input under whatever name, lies in a folder that is read, or is another output.
    OutputError
        If it cannot be written.
    MissingExtraError
        If a library is missing that makes it.
    """
    from crosstalk.provenance import is_stream, target_of

    given = [p for p in paths if p is not None]
    targets = {path: target_of(path) for path in given if not is_stream(path)}
    if len(set(given)) < len(given) or any(_same(a, b) for a, b in combinations(targets.values(), 2)):
        raise UsageError("two outputs have the same path; give each its own")
    read = [Path(i) for i in (*inputs, os.environ.get("CROSSTALK_POSTERIOR") or None) if i is not None]
    for path in given:
        for library in NEEDS.get(path.suffix.lower(), ()):
            need(library)
    for path, target in targets.items():
        for source in (*read, *_beside(read, target)):
            if _same(target, source):
                raise UsageError(f"{path}: is the input {source}; an output never replaces what is read, rename it")
            if source.is_dir() and source.resolve() in target.parents:
                raise UsageError(f"{path}: lies in the input folder {source}; write to another folder")
        if target.exists() and PACKAGE in target.parents:
            raise UsageError(f"{path}: is a part of Crosstalk itself; write to another folder")
        if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise OutputError(f"{path}: cannot be written; check the permissions")


def _beside(read: Iterable[Path], target: Path) -> Iterator[Path]:
    """Files that are read unnamed, beside one that is named, where the target could be one of them."""
    if target.is_file():
        from crosstalk.panel.registry import companions

        for source in read:
            if source.is_file() and source.resolve().parent == target.parent:
                yield from companions(source)


def _same(a: Path, b: Path) -> bool:
    """Whether two paths are one file: by links and hard links, and by names that differ in case alone."""
    try:
        return a.samefile(b)
    except OSError:  # one of them is not there
        return not a.exists() and not b.exists() and str(a).casefold() == str(b).casefold()


def check_work(folder: Path | None) -> None:
    """Fail before the work where a folder for it could not be written.

    Raises
    ------
    UsageError, OutputError
    """
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; expected a folder for what is done so far")
    nearest = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: cannot be written; check the permissions, or name another folder")


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
            lacking = missing(error) if isinstance(error, ImportError) else None
            failed[path] = lacking or error
    write(made)
    for path, fault in failed.items():
        if isinstance(fault, (CrosstalkError, MemoryError)):
            raise fault
        others = f"; written: {', '.join(map(str, made))}" if made else ""
        raise OutputError(
            f"{path}: could not be made ({type(fault).__name__}: {shown(fault)}); this is a fault of Crosstalk, please "
            f"report it{others}"
        ) from fault


def write(contents: Mapping[Path, str | bytes]) -> None:
    """Write all files or none of them."""
    from crosstalk.provenance import write_together

    write_together(contents)


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
def open_engine(name: str, jobs: int | None, scheduler: str = "threads") -> Iterator[Engine]:
    """Yield an engine, and close it and what it runs on."""
    from crosstalk.engine import get_engine
    from crosstalk.engine.scheduler import open_executor

    with open_executor(scheduler, jobs) as (executor, width):
        engine = get_engine(name, jobs=jobs if executor is None else width, executor=executor)
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
    from crosstalk.progress import bar

    with bar(text) as say:
        yield say
