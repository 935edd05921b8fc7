"""What every verb gets without asking: ``--knowledge``, and a line about the defaults of a file that it took."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from crosstalk.limits import printable

__all__ = ["FOLDERS", "verb"]

FOLDERS = "knowledge_folders"
"""The parameter behind ``--knowledge``."""
_Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--knowledge",
        metavar="DIR",
        help="Folder of your own drugs, regimens, studies and analytes, added to those that ship; repeat for several.",
    ),
]


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--knowledge``, and tell of defaults that it took from a file."""
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:
        folders = given.pop(FOLDERS)
        if not given.get("quiet"):
            _tell(ctx)
        if folders:
            from crosstalk.knowledge.loader import VARIABLE, load_knowledge

            # by the environment, so that processes that work for this one know them too
            before = os.environ.get(VARIABLE)
            ctx.call_on_close(lambda: _restore(VARIABLE, before))
            parts = [before] * bool(before) + [str(folder.resolve()) for folder in folders]
            os.environ[VARIABLE] = os.pathsep.join(map(str, parts))
            load_knowledge()
        function(**given)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    option = inspect.Parameter(FOLDERS, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Folders)
    own = list(signature.parameters.values())
    run.__signature__ = signature.replace(parameters=[context, *own, option])  # type: ignore[attr-defined]
    run.__annotations__ = {"ctx": typer.Context, **function.__annotations__, FOLDERS: _Folders}
    return run


def _restore(name: str, before: str | None) -> None:
    os.environ.pop(name, None)
    if before is not None:
        os.environ[name] = before


def _tell(ctx: typer.Context) -> None:
    """Which defaults come from a file: they can move numbers."""
    taken = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "DEFAULT_MAP":
            taken.append(f"{parameter.opts[0]} {_text(ctx.params[name])}".strip())
    if taken:
        print(f"crosstalk: by {ctx.obj}: {printable(', '.join(taken))}", file=sys.stderr)


def _text(value: object) -> str:
    if value is True:
        return ""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
