"""Verb `app`: the page and the interface, served on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]


def app(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where it listens.")] = 8650,
    host: Annotated[str, typer.Option("--host", help="This machine alone by default.")] = "127.0.0.1",
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Holds the token; needed for another host.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="What else the server may be called in the address bar.")
    ] = None,
) -> None:
    """Serve the page: what if, patients, cohorts, trials, published results. The printed address holds the token."""
    from crosstalk.app.server import serve

    os.environ.setdefault("MPLBACKEND", "agg")
    serve(host, port, token_file=token_file, names=tuple(name or ()))
