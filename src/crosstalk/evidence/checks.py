"""Quality of the study files: what breaks a rule fails, what weakens a result warns, what is worth knowing is noted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from crosstalk.evidence.listing import published, stratum_text, time_text
from crosstalk.evidence.records import CheckLine, CheckReport, Grade, PublishedResult
from crosstalk.evidence.sources import Entry, read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.schema import DOI

__all__ = ["CHECKS", "check_studies"]

CHECKS = (
    "schema",
    "file name",
    "DOI",
    "same patients",
    "duplicate result",
    "standard error",
    "grades",
    "memory",
    "assumed error",
)
FITTED = ("calibrate", "validate")
GRADES: tuple[Grade, ...] = ("fail", "warn", "note")
ASPECTS = ("indication", "species", "design", "quality")


def check_studies(given: Sequence[str | Path] = (), knowledge: Knowledge | None = None) -> CheckReport:
    """Check study files, one by one and against each other.

    Parameters
    ----------
    given : sequence of str or Path
        Files, folders of files or ids of studies that ship; all that ship by default.
    knowledge : Knowledge, optional

    Returns
    -------
    CheckReport
        With one line per finding, failures first.

    Raises
    ------
    StudyError
        If a path does not exist. A file that breaks the schema is a finding, not an error.

    Examples
    --------
    >>> check_studies(["raison2013"]).failed
    False
    """
    known = load_knowledge() if knowledge is None else knowledge
    entries, broken = read_entries(study_paths(given, known), known)
    rows = published(entries)
    lines = list(_schema(broken))
    for check in (_names, _dois):
        lines += check(entries)
    lines += _duplicates(rows, {entry.study.id: _people(entry) for entry in entries})
    for look in (_errors, _grades, _memory, _assumed):
        lines += look(rows)
    lines.sort(key=lambda line: (GRADES.index(line.grade), CHECKS.index(line.check), line.study, line.place))
    return CheckReport(len(entries) + len(broken), len(rows), CHECKS, tuple(lines))


def _schema(broken: Iterable[tuple[Path, str]]) -> Iterator[CheckLine]:
    for path, text in broken:
        for line in text.splitlines():
            # the reader writes "file: line N: key: message"
            found = re.match(rf"{re.escape(str(path))}: (?:line (\d+): )?(.*)", line)
            place = path.name + (f":{found[1]}" if found and found[1] else "")
            yield CheckLine("fail", "schema", path.stem, place, found[2] if found else line)


def _names(entries: Iterable[Entry]) -> Iterator[CheckLine]:
    for entry in entries:
        if entry.study.id != entry.file.stem:
            yield CheckLine(
                "fail", "file name", entry.study.id, _place(entry, "study", "id"),
                f"id is {entry.study.id!r}, but the file is {entry.file.name!r}; give both the same name",
            )  # fmt: skip


def _dois(entries: Sequence[Entry]) -> Iterator[CheckLine]:
    by_doi: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        doi = entry.study.doi
        if not doi:
            other = entry.study.url or f"PubMed {entry.study.pubmed or 'number missing too'}"
            grade: Grade = "note" if entry.study.pubmed or entry.study.url or entry.study.role == "design" else "fail"
            message = f"no DOI; {other}"
            yield CheckLine(grade, "DOI", entry.study.id, _place(entry, "study"), message)
            continue
        by_doi[doi.lower()].append(entry)
        if DOI.fullmatch(doi) is None or doi[-1] in ".,;:/" or doi.count("(") != doi.count(")"):
            message = f"received {doi!r}, expected the bare form 10.1234/abc without a stop at its end; correct it"
            yield CheckLine("fail", "DOI", entry.study.id, _place(entry, "study", "doi"), message)
    for doi, same in by_doi.items():
        if len(same) > 1:
            ids = ", ".join(entry.study.id for entry in same)
            message = f"{doi} is the DOI of {ids}; right only if they hold different patients or arms"
            yield CheckLine("note", "DOI", same[0].study.id, _place(same[0], "study", "doi"), message)
            yield from _unmarked(same)


def _unmarked(same: Sequence[Entry]) -> Iterator[CheckLine]:
    """Yield files of one publication that do not say whether they are of the same patients."""
    for entry in same:
        if not entry.study.cohort and len({_people(other) for other in same}) < len(same):
            others = ", ".join(other.study.id for other in same if other is not entry)
            message = (
                f"{entry.study.doi} is the publication of {others} too, and the people look the same; give each file a "
                "cohort: one name where they are the same patients, different ones where they are not"
            )
            yield CheckLine("fail", "same patients", entry.study.id, _place(entry, "study", "cohort"), message)


def _people(entry: Entry) -> tuple[object, ...]:
    """Who was studied: what tells two samples of one publication apart."""
    population = entry.study.population
    limits = tuple(stratum_text(limit) for limit in population.eligible)
    return population.diagnosis, population.failed_steps, population.n, limits


def _duplicates(rows: Sequence[PublishedResult], people: Mapping[str, tuple[object, ...]]) -> Iterator[CheckLine]:
    """Yield targets that would count twice: in one publication, or with the same number in two."""
    groups: dict[tuple[object, ...], list[PublishedResult]] = defaultdict(list)
    for row in rows:
        groups[_target(row)].append(row)
    for same in groups.values():
        for i, row in enumerate(same):
            found = next((line for other in same[:i] if (line := _twice(row, other, people)) is not None), None)
            if found is not None:
                yield found
    yield from _overlaps(rows)


def _twice(row: PublishedResult, other: PublishedResult, people: Mapping[str, tuple[object, ...]]) -> CheckLine | None:
    """Compare two results with the same target."""
    where = f"{other.file}:{other.line}"
    same = row.publication == other.publication and people[row.study] == people[other.study]
    if row.study == other.study or same:
        return _line("fail", "duplicate result", row, f"{_says(row)} stands at {where} too; keep one")
    if row.value == other.value and row.se == other.se and row.drugs == other.drugs:
        message = f"{_says(row)} has the same number at {where}; are these the same patients?"
        return _line("warn", "duplicate result", row, message)
    return None


def _overlaps(rows: Sequence[PublishedResult]) -> Iterator[CheckLine]:
    """Yield meta-analyses that are fitted together with single trials of the same comparison."""
    groups: dict[tuple[object, ...], list[PublishedResult]] = defaultdict(list)
    for row in rows:
        if row.role == "calibrate" and row.contrast == "drug":
            limits = stratum_text(row.stratum)
            groups[row.drugs, row.against, row.endpoint, row.of, limits, row.diagnosis].append(row)
    for same in groups.values():
        trials = sorted({row.study for row in same if row.quality != "meta-analysis"})
        for row in same:
            if row.quality == "meta-analysis" and trials:
                message = f"{_says(row)} is from a meta-analysis; it may hold the patients of {', '.join(trials)}"
                yield _line("warn", "duplicate result", row, message)


def _target(row: PublishedResult) -> tuple[object, ...]:
    times = [None if time is None else round(time, 3) for time in (row.time_h, row.partner_h)]
    limits = stratum_text(row.stratum)
    return row.arm, row.versus, row.endpoint, row.of, row.partner, row.threshold, row.marker, row.event, *times, limits


def _errors(rows: Iterable[PublishedResult]) -> Iterator[CheckLine]:
    for row in rows:
        if row.se is None:
            grade: Grade = "fail" if row.role in FITTED else "warn"
            message = f"{_says(row)} has no standard error, so it cannot be weighed; add se, ci, or sd and n"
            yield _line(grade, "standard error", row, message)


def _grades(rows: Iterable[PublishedResult]) -> Iterator[CheckLine]:
    for row in rows:
        missing = [key for key in ASPECTS if key not in dict(row.mismatch)]
        if not missing or row.role not in FITTED:
            continue
        bare = len(missing) == len(ASPECTS)
        grade: Grade = "fail" if bare and row.role == "calibrate" else "warn"
        message = f"{_says(row)} has no mismatch grade of {', '.join(missing)}; add what the model's patients differ in"
        yield _line(grade, "grades", row, message)


def _memory(rows: Iterable[PublishedResult]) -> Iterator[CheckLine]:
    for row in rows:
        if row.provenance == "memory":
            grade: Grade = "warn" if row.role in FITTED else "note"
            yield _line(grade, "memory", row, f"{_says(row)} was recalled, not seen ({row.source}); look it up")


def _assumed(rows: Iterable[PublishedResult]) -> Iterator[CheckLine]:
    for row in rows:
        if row.se_source.startswith("assumed"):
            yield _line("note", "assumed error", row, f"the error of {_says(row)} is {row.se_source}")


def _says(row: PublishedResult) -> str:
    versus = f" against {row.versus}" if row.versus else ""
    parts = (f"{row.endpoint} of {row.of}", f"{row.arm}{versus}", time_text(row.time_h), stratum_text(row.stratum))
    return ", ".join(part for part in parts if part)


def _line(grade: Grade, check: str, row: PublishedResult, message: str) -> CheckLine:
    return CheckLine(grade, check, row.study, f"{row.file}:{row.line}", message)


def _place(entry: Entry, *keys: str) -> str:
    return f"{entry.file.name}:{entry.line(*keys)}"
