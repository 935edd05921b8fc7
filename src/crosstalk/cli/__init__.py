"""The command line: one verb per job, tables for people, JSON and HTML on request. Heavy imports come late."""

from __future__ import annotations

import errno
import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

try:
    from crosstalk import __version__
except ImportError:  # the __init__.py of another project lies over ours
    sys.exit(
        "crosstalk: the files of another project, the distribution 'crosstalk', lie over those of crosstalk-mdd; mend "
        "it with: pip uninstall -y crosstalk crosstalk-mdd; pip install crosstalk-mdd"
    )
from crosstalk.cli.analyse import analyse
from crosstalk.cli.app import app as serve_app
from crosstalk.cli.calibration import calibrate, qualify, sensitivity, validate
from crosstalk.cli.catalogues import analytes, drugs, regimens, schema
from crosstalk.cli.cohorts import learn, predict
from crosstalk.cli.defaults import NAME, read_defaults
from crosstalk.cli.demo import demo
from crosstalk.cli.evidence import evidence_app
from crosstalk.cli.files import read
from crosstalk.cli.individuals import run
from crosstalk.cli.model import model_app
from crosstalk.cli.page import page
from crosstalk.cli.patients import assess, forecast
from crosstalk.cli.plates import plate
from crosstalk.cli.registry import registry_app
from crosstalk.cli.studies import simulate
from crosstalk.cli.trials import trial
from crosstalk.cli.verbs import verb
from crosstalk.errors import CrosstalkError
from crosstalk.extras import check_installation, missing
from crosstalk.limits import printable

__all__ = ["app", "main"]

app = typer.Typer(
    name="crosstalk",
    help="From a patient's immune panel to a treatment forecast for major depressive disorder. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# the order of the help
for command in (
    read, assess, forecast, page, plate, simulate, run, trial, analyse, learn, predict, calibrate, validate, qualify,
    sensitivity, drugs, regimens, analytes, schema, demo,
):  # fmt: skip
    app.command()(command if command in (schema, demo) else verb(command))
for group, words in ((evidence_app, "evidence"), (model_app, "model"), (registry_app, "registry")):
    for info in group.registered_commands:
        assert info.callback is not None
        info.callback = verb(info.callback)
    app.add_typer(group, name=words)
app.command("app")(verb(serve_app))


def main() -> None:
    """Run the command line; what fails becomes one message and an exit code."""
    words = logging.StreamHandler()
    words.setFormatter(logging.Formatter("crosstalk: warning: %(message)s"))
    logging.getLogger("crosstalk").handlers = [words]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a name that the terminal's encoding lacks must not end the run
            stream.reconfigure(errors="backslashreplace")
    try:
        check_installation(Path(__file__).resolve().parent.parent.parent)
        app()
    except CrosstalkError as error:
        print(f"crosstalk: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        words_ = missing(error)
        if words_ is None:
            raise
        print(f"crosstalk: {words_}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        print(f"crosstalk: not enough memory ({error}); ask for fewer patients or draws", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("crosstalk: interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # before OSError, of which it is one
        # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"crosstalk: {_words(error)}", file=sys.stderr)
        sys.exit(1)


def _words(error: OSError) -> str:
    """What the system refused, where, and what to do, in one line."""
    remedies = {
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): "free some space, or name another folder (TMPDIR for temporary "
        "files, CROSSTALK_CACHE for what is kept)",
        (errno.EACCES, errno.EPERM, errno.EROFS): "check the permissions, or name another folder (TMPDIR for temporary "
        "files, CROSSTALK_CACHE for what is kept)",
        (errno.EMFILE, errno.ENFILE): "raise the limit of open files (ulimit -n), or use fewer --jobs",
        (errno.ENOMEM, errno.EAGAIN): "there are too few resources; use fewer --jobs, patients or draws",
        (errno.ENAMETOOLONG,): "give a shorter name",
    }
    remedy = next((text for codes, text in remedies.items() if error.errno in codes), "check that it is there")
    places = " and ".join(str(p) for p in (error.filename, error.filename2) if p is not None)
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    if "temporary directory" in reason:
        remedy = "set TMPDIR to a folder with free space"
    return f"{places}: {reason}; {remedy}" if places else f"{reason}; {remedy}"


def _version(value: bool) -> None:
    if value:
        print(f"crosstalk {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help=f"Defaults of options; {NAME} of this folder by default."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    file = config if config is not None else Path(NAME)
    if config is not None or file.is_file():
        ctx.default_map = read_defaults(file, ctx)
        ctx.obj = str(file)
