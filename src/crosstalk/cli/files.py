"""Verb `read`, and how every verb reads files of patients: with a map, and with questions on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from crosstalk.cli.common import check_outputs, render, say_written, warn, write
from crosstalk.cli.options import JsonFile, MapFile, Occasion, PanelFile, Quiet
from crosstalk.errors import PanelError
from crosstalk.limits import printable

if TYPE_CHECKING:
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.understanding import Question, Understanding

__all__ = ["read", "with_map"]

T = TypeVar("T")
TRIES = 3


def read(
    panel: PanelFile,
    mapping: MapFile = None,
    suggest: Annotated[
        Path | None, typer.Option("--suggest-map", metavar="MAP", help="Write a map of the file, to be edited.")
    ] = None,
    occasion: Occasion = None,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Show what is understood of a file, column by column, and what it leaves open."""
    check_outputs(suggest, json, inputs=[panel, mapping])
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.suggestion import suggested, toml
    from crosstalk.panel.understanding import look
    from crosstalk.report.documents import dump
    from crosstalk.report.reading import reading_tables

    given = None if mapping is None else FileMap.read(mapping)
    found = look(panel, mapping=given, occasion=occasion)
    contents = {}
    if suggest is not None:
        contents[suggest] = toml(found, suggested(found))
    if json is not None:
        contents[json] = dump(found)
    write(contents)
    if quiet:
        return
    render(reading_tables(found), whole=("unit",))
    warn(found.warnings, quiet)
    for problem in found.problems:
        print(f"crosstalk: in the way: {printable(problem)}", file=sys.stderr)
    if found.questions and suggest is None:
        print(f"{len(found.questions)} questions are open; --suggest-map MAP writes them down to be answered")
    say_written(suggest, json)


def with_map(panel: Path, mapping: Path | None, quiet: bool, run: Callable[[FileMap | None], T]) -> T:
    """Run a reader with a map; on a terminal, what the file leaves open is asked and the reader runs again.

    Raises
    ------
    PanelError
        What the reader refuses, with the way to answer it where the file leaves something open.
    """
    from crosstalk.panel.mapping import FileMap

    given = None if mapping is None else FileMap.read(mapping)
    try:
        return run(given)
    except PanelError as error:
        if given is not None:
            raise
        found = _looked(panel)
        if found is None or not found.questions:
            raise
        n = len(found.questions)
        if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise PanelError(
                f"{error}\n  {n} question{'s are' if n > 1 else ' is'} open: `crosstalk read {panel} --suggest-map "
                f"map.toml` writes {'them' if n > 1 else 'it'} down; then add --map map.toml"
            ) from None
    return run(_asked(panel, found))


def _looked(panel: Path) -> Understanding | None:
    from crosstalk.panel.understanding import look

    try:
        return look(panel)
    except PanelError:
        return None


def _asked(panel: Path, found: Understanding) -> FileMap:
    """A map with the answers of a person; it can be kept."""
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.suggestion import answered, toml

    print(f"{panel} leaves {len(found.questions)} open:", file=sys.stderr)
    table = answered(found, [_answer(question) for question in found.questions])
    made = FileMap.check(table, "the answers")
    target = Path(f"{panel}.map.toml")
    if not target.exists() and typer.confirm(f"Keep the answers in {target}?", default=True, err=True):
        write({target: toml(found, table)})
        say_written(target)
    return made


def _answer(question: Question) -> str:
    words = f"{question.text} [{'/'.join(question.choices)}]" if question.choices else question.text
    for _ in range(TRIES):
        answer = str(typer.prompt(words, err=True)).strip()
        if answer in question.choices or (answer and not question.choices):
            return answer
        print(f"expected {' or '.join(question.choices) or 'an answer'}", file=sys.stderr)
    raise PanelError(f"{question.text}: no answer; give a map with --map")
