"""TOML files of a user: read within limits, and their problems told with the line of each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crosstalk.errors import StudyError
from crosstalk.limits import STUDY, TooDeepError, read_toml, shown
from crosstalk.study.locate import Key, describe, line_of

__all__ = ["explained", "problem_lines", "toml_content", "toml_text"]

SHOWN = 50  # problems of a file that are listed
LONGEST = 200  # characters of a key path


def toml_text(file: Path) -> str:
    """The text of a TOML file, within the limits.

    Raises
    ------
    StudyError
        If it is too large, cannot be read, or is no text.
    """
    try:
        size = file.stat().st_size
        if size > STUDY:
            raise StudyError(f"{file}: has {size / 1e6:.1f} MB; such a file has at most {STUDY / 1e6:g} MB")
        content = file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = "\0"
        place = f"byte {error.start} is not UTF-8"
    else:
        place = "it holds NUL bytes"
    if "\0" in text:
        raise StudyError(f"{file}: is no text file ({place}); expected TOML; save it as UTF-8 text")
    return text


def toml_content(file: Path, text: str) -> dict[str, Any]:
    """The tables of the text, or a `StudyError` with the line that is not TOML."""
    try:
        return read_toml(text)
    except TooDeepError as error:
        raise StudyError(f"{file}: {error}, as in no file of this kind; mend the file") from None
    except ValueError as error:
        message = shown(error, 200)
        place = re.search(r"line (\d+)", message)
        line = next(islice(text.splitlines(), int(place[1]) - 1, None), "").split("#")[0] if place else ""
        hint = "correct the line"
        if ";" in line:
            hint = "TOML has no ';': give each key its own line, or use { key = value, key = value }"
        raise StudyError(f"{file}: not valid TOML: {message}; {hint}") from error


def problem_lines(file: Path, text: str, problems: Iterable[tuple[tuple[Key, ...], str]]) -> str:
    """One line a problem, with the file, the line and the key."""
    lines = []
    found = list(problems)
    for path, message in found[:SHOWN]:
        number = line_of(text, path)
        where = f"{file}: line {number}" if number else str(file)
        words = shown(f"{shown(describe(path), LONGEST)}: {message}" if path else message, 10 * LONGEST)
        lines.append(f"{where}: {words}")
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more")
    return "\n".join(lines)


def explained(
    errors: Iterable[Any], allowed: Mapping[tuple[str, ...], Sequence[str]]
) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield key path and message of each problem that pydantic found; ``allowed`` are the keys of each table."""
    for error in errors:
        path: tuple[Key, ...] = tuple(error["loc"])
        names = tuple(key for key in path if isinstance(key, str))
        message, received = str(error["msg"]), error["input"]
        if error["type"] == "extra_forbidden":
            yield path, f"unknown key; {_nearest(str(path[-1]), allowed.get(names[:-1], ()))}"
        elif error["type"] == "missing":
            yield path, "missing; add it"
        elif error["type"] == "value_error":
            yield path, message.removeprefix("Value error, ")
        else:
            given = shown(repr(received))
            hint = "correct the value"
            if error["type"] == "literal_error" and isinstance(received, str):
                hint = _nearest(received, re.findall(r"'([^']+)'", message), hint)
            expected = message.removeprefix("Input should be ")
            yield path, f"received {given}, expected {expected[:1].lower()}{expected[1:]}; {hint}"


def _nearest(name: str, allowed: Iterable[str], otherwise: str = "") -> str:
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, n=2)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return otherwise or (f"expected one of {', '.join(allowed)}" if allowed else "drop it")
