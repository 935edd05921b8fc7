"""A format of files: a laboratory's letter, with one value a line."""

from __future__ import annotations

from pathlib import Path

from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.registry import Format, Look

__all__ = ["FORMATS", "read"]

HEAD = "LABORATORY LETTER"


def read(path: Path, wanted: Wanted) -> Reading:
    """Read a letter: texts with their places; Crosstalk checks names, units and values."""
    content = path.read_bytes()
    patient = ""
    entries: list[Entry] = []
    problems: list[str] = []
    for number, line in enumerate(content.decode("utf-8-sig").splitlines(), start=1):
        name, colon, rest = (part.strip() for part in line.partition(":"))
        if not colon:
            continue
        if name == "Patient":
            patient = rest
            continue
        value, _, unit = rest.partition(" ")
        entries.append(Entry(f"line {number}", patient, name, value, unit.strip(), "serum"))
    if not patient:
        problems.append(f"{path}: names no patient; expected a line such as 'Patient: A-17'")
    return Reading(entries, problems, content=content)


def recognises(look: Look) -> bool:
    """Whether a file is such a letter: its first line says so."""
    return look.text.startswith(HEAD)


FORMATS = (Format(id="letter", name="laboratory letter (example)", sign=recognises, read=read, rank=10),)
