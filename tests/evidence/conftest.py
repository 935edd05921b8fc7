"""Small study files that the tests of the evidence read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crosstalk.evidence.listing import published
from crosstalk.evidence.records import PublishedResult
from crosstalk.evidence.sources import read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge, load_knowledge

DAILY = '{{ drug = "{}", amount = {}, unit = "mg", route = "oral", every = "24 h" }}'
CELECOXIB, ESCITALOPRAM = DAILY.format("celecoxib", 400), DAILY.format("escitalopram", 10)
MISMATCH = 'mismatch = { indication = "exact", species = "human", design = "exact", quality = "trial" }'
Write = Callable[..., Path]


def study(
    id: str,
    *results: str,
    role: str = "context",
    doi: str = "",
    n: int = 40,
    first: str = f"{CELECOXIB}, {ESCITALOPRAM}",
    second: str = ESCITALOPRAM,
    mismatch: str = MISMATCH,
    population: str = 'diagnosis = "mdd"',
    control: str = "",
) -> str:
    """Text of a study with the arms `drug` and `control`; each result is a line of keys."""
    doi = doi or f"10.1000/{id}"
    lines = [
        f'[study]\nid = "{id}"\ntitle = "Trial {id}"\nrole = "{role}"\ndoi = "{doi}"\nduration_weeks = 12',
        f"[population]\n{population}",
        f'[[arm]]\nid = "drug"\nn = {n}\ndose = [{first}]',
        f'[[arm]]\nid = "control"\nn = {n}\n{control}\ndose = [{second}]',
    ]
    for result in results:
        keys = dict(part.split(" = ", 1) for part in result.split("; "))
        keys = {"week": "6", "arm": '"drug"', "source": '"abstract"', "provenance": '"seen"'} | keys
        lines.append("[[result]]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) + f"\n{mismatch}")
    return "\n\n".join(lines) + "\n"


def change(value: float, error: str, week: int = 6, of: str = "HAMD17") -> str:
    given = f'versus = "control"; value = {value}; unit = "points"; {error}'
    return f'endpoint = "change"; of = "{of}"; week = {week}; {given}'


def smd(value: float, of: str = "HAMD17", week: int = 6) -> str:
    return f'endpoint = "smd"; of = "{of}"; week = {week}; versus = "control"; value = {value}'


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(text: str, name: str = "") -> Path:
        path = tmp_path / f"{name or text.split('id = ')[1].split(chr(34))[1]}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return call


@pytest.fixture
def rows(tmp_path: Path, write: Write, knowledge: Knowledge) -> Callable[..., tuple[PublishedResult, ...]]:
    def call(*texts: str) -> tuple[PublishedResult, ...]:
        for text in texts:
            write(text)
        entries, broken = read_entries(study_paths([tmp_path], knowledge), knowledge)
        assert not broken, broken
        return published(entries)

    return call
