"""Questions of moderation, from ``questions.toml``: which class of drugs, against what, by which marker."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from crosstalk.errors import KnowledgeError
from crosstalk.knowledge.records import Source
from crosstalk.limits import read_toml, shown

if TYPE_CHECKING:
    from pathlib import Path

    from crosstalk.knowledge.loader import Knowledge

__all__ = ["CONTROL", "DrugClass", "MarkerScale", "Question", "Questions", "read_questions"]

CONTROL = "control"
FILE = "questions.toml"


@dataclass(frozen=True, slots=True)
class MarkerScale:
    """How a marker is used: as it is, or by its logarithm; its mean and SD in depressed adults on that scale.

    ``source`` is that of ``center``; ``sd`` is the one of ``evidence.toml``.
    """

    analyte: str
    scale: Literal["linear", "ln"]
    center: float
    sd: float
    source: Source


@dataclass(frozen=True, slots=True)
class DrugClass:
    """Drugs that act alike.

    ``drugs`` are ids of the library; ``control`` is the regimen that the model compares regimens of the class with, and
    ``week`` when.
    """

    id: str
    name: str
    drugs: frozenset[str]
    control: str
    week: float


@dataclass(frozen=True, slots=True)
class Question:
    """How the effect of a class changes with a marker.

    ``versus`` is empty for the slope in those who get the class, ``control`` for the difference from the same treatment
    without it, or the id of another class.
    """

    id: str
    drug_class: str
    versus: str
    marker: str


@dataclass(frozen=True)
class Questions:
    """The questions with what they are made of."""

    markers: Mapping[str, MarkerScale]
    classes: Mapping[str, DrugClass]
    questions: tuple[Question, ...]

    def words(self, question: Question) -> str:
        """A question as a person says it, such as ``serotonergic against catecholaminergic x hsCRP``."""
        name = self.classes[question.drug_class].name
        if question.versus == CONTROL:
            name += " against control"
        elif question.versus:
            name += f" against {self.classes[question.versus].name}"
        return f"{name} x {question.marker}"


def read_questions(knowledge: Knowledge) -> Questions:
    """Read the questions of a knowledge base.

    Raises
    ------
    KnowledgeError
        If the file is missing or breaks its schema, or names an unknown class, marker, drug class or regimen.
    """
    return _read(knowledge.root / FILE, knowledge.sha256, _Hidden(knowledge))


class _Hidden:
    """A value that a cache does not look at, since its key holds the hash of it."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=8)
def _read(path: Path, sha256: str, hidden: _Hidden) -> Questions:
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    from crosstalk.knowledge.schema import SourceTable

    class MarkerTable(SourceTable):
        scale: Literal["linear", "ln"]
        center: float = Field(allow_inf_nan=False)

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    class ClassTable(Table):
        name: str = Field(min_length=1)
        drugs: list[str] = Field(min_length=1)
        control: str
        week: float = Field(gt=0, lt=inf)

    class QuestionTable(Table):
        drug_class: str = Field(alias="class")
        versus: str = ""
        marker: str

    class File(Table):
        marker: dict[str, MarkerTable]
        drug_class: dict[str, ClassTable] = Field(alias="class")
        question: list[QuestionTable] = Field(min_length=1)

    knowledge = hidden.knowledge
    try:
        file = File.model_validate(read_toml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise KnowledgeError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise KnowledgeError("\n".join(lines)) from None
    except ValueError as error:
        raise KnowledgeError(f"{path}: not valid TOML: {shown(error, 200)}; correct it") from error

    def known(place: str, name: str, names: Iterable[str]) -> str:
        if name not in (choices := list(names)):
            raise KnowledgeError(f"{path}: {place}: received {name!r}, expected one of {', '.join(choices)}")
        return name

    kinds = sorted({drug.drug_class for drug in knowledge.drugs.values()})
    markers = {}
    for id_, m in file.marker.items():
        known(f"marker.{id_}", id_, knowledge.analytes)
        spreads = knowledge.discounts.marker_log_sd if m.scale == "ln" else knowledge.discounts.marker_sd
        known(f"marker.{id_}, whose SD evidence.toml must hold", id_, spreads)
        markers[id_] = MarkerScale(id_, m.scale, m.center, spreads[id_], m.source())
    classes = {}
    for id_, table in file.drug_class.items():
        wanted = {known(f"class.{id_}.drugs", kind, kinds) for kind in table.drugs}
        drugs = frozenset(d.id for d in knowledge.drugs.values() if d.drug_class in wanted)
        control = known(f"class.{id_}.control", table.control, knowledge.regimens)
        classes[id_] = DrugClass(id_, table.name, drugs, control, table.week)
    found: list[Question] = []
    for i, row in enumerate(file.question):
        place = f"question.{i}"
        name = known(f"{place}.class", row.drug_class, classes)
        versus = known(f"{place}.versus", row.versus, ("", CONTROL, *(c for c in classes if c != name)))
        marker = known(f"{place}.marker", row.marker, markers)
        id_ = "-".join(part for part in (name, versus, marker) if part)
        if any(question.id == id_ for question in found):
            raise KnowledgeError(f"{path}: {place}: {id_} is asked twice; drop one")
        found.append(Question(id_, name, versus, marker))
    return Questions(markers, classes, tuple(found))
