"""Read a study file: TOML in, a checked `Study` out, or an error that says where and what to do.

To add a study, add one file; the layout of its tables is in `crosstalk.study.tables`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crosstalk.errors import StudyError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import STUDY, TooDeepError, read_toml, shown
from crosstalk.study.build import build_study
from crosstalk.study.locate import Key, describe, line_of
from crosstalk.study.records import Study
from crosstalk.study.tables import ALLOWED, StudyFile

__all__ = ["read_study", "study_of"]

SHOWN = 50  # problems of a file that are listed
LONGEST = 200  # characters of a key path


def read_study(path: str | Path, knowledge: Knowledge | None = None) -> Study:
    """Read one study file and check it against what is known.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the id of a study that ships with Crosstalk.
    knowledge : Knowledge, optional
        Drugs, analytes, scales and diagnoses that the study may name; those that ship with Crosstalk by default.

    Returns
    -------
    Study
        Eligibility, strata and results in the units of their analytes, times in hours, standard errors derived from
        what was published.

    Raises
    ------
    StudyError
        With one line per problem: file, line, key, what was received, what was expected, what to do.

    Examples
    --------
    >>> from crosstalk.study import read_study
    >>> [arm.id for arm in read_study("raison2013").arms]
    ['infliximab', 'placebo']
    """
    known = load_knowledge() if knowledge is None else knowledge
    file = _resolve(path, known)
    text = _text(file)
    return _study(_parse(file, text), known, file, text)


def study_of(tables: Mapping[str, Any], knowledge: Knowledge | None = None, name: str = "dict") -> Study:
    """Check the tables of a study, as a file holds them; messages call them ``name``.

    Raises
    ------
    StudyError
        As `read_study`, without lines.
    """
    return _study(dict(tables), load_knowledge() if knowledge is None else knowledge, Path(name), "")


def _study(content: dict[str, Any], known: Knowledge, file: Path, text: str) -> Study:
    try:
        tables = StudyFile.model_validate(content)
    except ValidationError as error:
        raise StudyError(_lines(file, text, _explain(error.errors()))) from None
    study, problems = build_study(tables, known)
    if study is None:
        raise StudyError(_lines(file, text, problems))
    return study


def _resolve(path: str | Path, knowledge: Knowledge) -> Path:
    file = Path(path)
    try:
        if file.is_file():
            return file
    except OSError as error:  # a name that no file can have
        raise StudyError(f"{shown(file)}: cannot be read ({error.strerror}); expected a study file or an id") from None
    shipped = knowledge.study_files.get(str(path))
    if shipped is not None:
        return shipped
    if file.is_dir():
        raise StudyError(f"{file}: is a folder; expected one TOML file; name a file in it")
    names = [*knowledge.study_files, *(str(entry) for entry in file.parent.glob("*.toml"))]
    near = difflib.get_close_matches(str(path), names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"studies that ship: {', '.join(knowledge.study_files)}"
    raise StudyError(f"{shown(file, 200)}: no such file; expected a study file (TOML) or the id of a study; {hint}")


def _text(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size > STUDY:
            raise StudyError(f"{file}: has {size / 1e6:.1f} MB; a study file has at most {STUDY / 1e6:g} MB")
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


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return read_toml(text)
    except TooDeepError as error:
        raise StudyError(f"{file}: {error}, as in no study; mend the file") from None
    except ValueError as error:
        message = shown(error, 200)
        place = re.search(r"line (\d+)", message)
        line = next(islice(text.splitlines(), int(place[1]) - 1, None), "").split("#")[0] if place else ""
        hint = "correct the line"
        if ";" in line:
            hint = "TOML has no ';': give each key its own line, or use { key = value, key = value }"
        raise StudyError(f"{file}: not valid TOML: {message}; {hint}") from error


def _lines(file: Path, text: str, problems: Iterable[tuple[tuple[Key, ...], str]]) -> str:
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


def _explain(errors: Iterable[Any]) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield key path and message of each problem that pydantic found."""
    for error in errors:
        path: tuple[Key, ...] = tuple(error["loc"])
        names = tuple(key for key in path if isinstance(key, str))
        message, received = str(error["msg"]), error["input"]
        if error["type"] == "extra_forbidden":
            yield path, f"unknown key; {_nearest(str(path[-1]), ALLOWED.get(names[:-1], ()))}"
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
