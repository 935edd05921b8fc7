"""The questions of moderation: the shipped file, and what is wrong in one of one's own is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crosstalk.errors import KnowledgeError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.questions import read_questions

FILE = "questions.toml"
Edit = Callable[[str, str], Knowledge]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knowledge") / "knowledge"
    left = shutil.ignore_patterns("*.py", "*.nc", "__pycache__", "studies")
    shutil.copytree(load_knowledge().root, folder, ignore=left)
    (folder / "studies").mkdir()
    return folder


@pytest.fixture
def edited(copied: Path) -> Edit:
    original = (load_knowledge().root / FILE).read_text(encoding="utf-8")

    def call(old: str, new: str) -> Knowledge:
        assert old in original
        (copied / FILE).write_text(original.replace(old, new, 1), encoding="utf-8")
        return load_knowledge(copied)

    return call


def test_the_shipped_questions_cover_classes_and_markers() -> None:
    knowledge = load_knowledge()
    found = read_questions(knowledge)
    assert set(found.markers) == {"hsCRP", "IL-6", "BMI"}
    asked = {(q.drug_class, q.marker) for q in found.questions}
    assert {(c, "hsCRP") for c in found.classes} <= asked
    assert {q.marker for q in found.questions} == set(found.markers)
    for group in found.classes.values():
        assert group.drugs
        kinds = {knowledge.drug(drug).drug_class for drug in group.drugs}
        assert all(d.id in group.drugs for d in knowledge.drugs.values() if d.drug_class in kinds)
    assert found.words(found.questions[3]) == "serotonergic against catecholaminergic x hsCRP"
    assert read_questions(knowledge) is found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('drugs = ["NMDA receptor antagonist"]', 'drugs = ["NMDA antagonist"]', "glutamatergic.drugs: received 'NMDA"),
        ('control = "ssri"', 'control = "ssris"', "control: received 'ssris', expected one of"),
        ('marker = "hsCRP"', 'marker = "CRP"', "question.0.marker: received 'CRP', expected one of hsCRP, IL-6, BMI"),
        ('class = "serotonergic"', 'class = "serotonin"', "received 'serotonin', expected one of serotonergic"),
        ('versus = "control"', 'versus = "placebo"', "versus: received 'placebo', expected one of"),
        ("week = 8", "week = 0", "week: Input should be greater than 0"),
        ("[marker.IL-6]", "[marker.IL-10]", "marker.IL-10, whose SD evidence.toml must hold: received 'IL-10'"),
        ("center = 0.805", "center = nan", "marker.hsCRP.center: Input should be a finite number"),
        ("[marker.BMI]", "[marker.bodymass]", "received 'bodymass', expected one of"),
        ('scale = "linear"', 'scale = "square"', "marker.BMI.scale: Input should be 'linear' or 'ln'"),
        ('[[question]]', '[[question]]\nclass = "antidepressant"\nmarker = "hsCRP"\n[[question]]', "is asked twice"),
        ("[class.glutamatergic]", "[class.glutamatergic", "not valid TOML"),
        ("week = 8", "weeks = 8", "weeks: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(edited: Edit, old: str, new: str, message: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        read_questions(edited(old, new))
    assert message in str(caught.value)
    assert FILE in str(caught.value)


def test_a_missing_file_is_named(edited: Edit, copied: Path) -> None:
    knowledge = edited("week = 8", "week = 8")
    (copied / FILE).unlink()
    with pytest.raises(KnowledgeError, match=r"questions\.toml: cannot be read"):
        read_questions(load_knowledge(copied))
    assert knowledge.root == copied
