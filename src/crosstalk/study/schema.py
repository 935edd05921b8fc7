"""Read a study file: TOML in, a checked `Study` out, or an error that says where and what to do.

To add a study, add one file; the layout of its tables is in `crosstalk.study.tables`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crosstalk.errors import StudyError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import shown
from crosstalk.study.build import build_study
from crosstalk.study.records import Study
from crosstalk.study.tables import ALLOWED, StudyFile
from crosstalk.study.toml_files import explained, problem_lines, toml_content, toml_text

__all__ = ["read_study", "study_of"]


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
    text = toml_text(file)
    return _study(toml_content(file, text), known, file, text)


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
        raise StudyError(problem_lines(file, text, explained(error.errors(), ALLOWED))) from None
    study, problems = build_study(tables, known)
    if study is None:
        raise StudyError(problem_lines(file, text, problems))
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
