"""Study files as the evidence reads them: the checked study beside the tables as they were written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosstalk.errors import StudyError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.limits import read_toml
from crosstalk.study.locate import line_of
from crosstalk.study.records import Study
from crosstalk.study.schema import read_study
from crosstalk.study.tables import StudyFile

__all__ = ["Entry", "read_entries", "read_entry", "study_paths"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One study file: the study, its tables (published standard deviations and sizes), its text for line numbers."""

    study: Study
    tables: StudyFile
    file: Path
    text: str

    def line(self, *keys: str | int) -> int:
        """Return the line of a key, 1 if it is not found."""
        return line_of(self.text, keys) or 1


def study_paths(given: Sequence[str | Path], knowledge: Knowledge) -> tuple[Path, ...]:
    """Return the files that are meant: files, ``*.toml`` in folders, ids of studies that ship; by default all of these.

    Raises
    ------
    StudyError
        If a path does not exist, or a folder holds no study file.
    """
    if not given:
        return tuple(knowledge.study_files[name] for name in sorted(knowledge.study_files))
    found: list[Path] = []
    for name in given:
        path = Path(name)
        if path.is_dir():
            files = sorted(path.glob("*.toml"))
            if not files:
                raise StudyError(f"{path}: holds no study file; expected *.toml files in it")
            found += files
        elif path.is_file():
            found.append(path)
        elif str(name) in knowledge.study_files:
            found.append(knowledge.study_files[str(name)])
        else:
            raise StudyError(f"{path}: no such file or folder; expected study files (TOML), folders of them, or ids")
    return tuple(dict.fromkeys(found))


def read_entry(path: str | Path, knowledge: Knowledge) -> Entry:
    """Read one study file.

    Raises
    ------
    StudyError
        As `crosstalk.study.schema.read_study`.
    """
    study = read_study(path, knowledge)
    file = Path(path)
    if not file.is_file():
        file = knowledge.study_files[str(path)]
    text = file.read_text(encoding="utf-8-sig")
    return Entry(study, StudyFile.model_validate(read_toml(text)), file, text)


def read_entries(paths: Iterable[Path], knowledge: Knowledge) -> tuple[tuple[Entry, ...], tuple[tuple[Path, str], ...]]:
    """Read study files; one that breaks the schema does not hide the others.

    Returns
    -------
    tuple
        The entries, and (file, message) of each file that could not be read.
    """
    entries, broken = [], []
    for path in paths:
        try:
            entries.append(read_entry(path, knowledge))
        except StudyError as error:
            broken.append((path, str(error)))
    return tuple(entries), tuple(broken)
