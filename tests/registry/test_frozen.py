"""Frozen predictions: what they hold, how results are held against them, and that nothing can be changed quietly."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from crosstalk.errors import RegistryError, StudyError
from crosstalk.registry.database import Registry
from crosstalk.registry.frozen import Frozen, freeze, frozen_predictions, judge_frozen, shipped_trials
from crosstalk.study.schema import read_study

RESULTS = """
[[result]]
endpoint = "change"
of = "HAMD17"
week = 2
arm = "infliximab"
versus = "placebo"
value = {value}
se = 1.2
unit = "points"
source = "made for this test"
provenance = "seen"
"""


@pytest.fixture(scope="module")
def design() -> str:
    """The design of a shipped trial, with one result to predict."""
    text = shipped_trials()["nct06136546"].read_text()
    return text[: text.index("[[result]]")]


@pytest.fixture
def frozen(registry: Registry, tmp_path: Path, design: str) -> Frozen:
    plan = tmp_path / "plan.toml"
    lines = [line for line in RESULTS.splitlines() if not line.startswith(("value", "se", "source", "prov"))]
    plan.write_text(design + "\n".join(lines) + "\n")
    return freeze(registry, plan, worlds=20, patients=20)


def results(tmp_path: Path, design: str, value: float) -> Path:
    file = tmp_path / "results.toml"
    file.write_text(design.replace('role = "design"', 'role = "validate"') + RESULTS.format(value=value))
    return file


def test_the_shipped_trials_are_designs_without_a_value() -> None:
    found = {name: read_study(path) for name, path in shipped_trials().items()}
    assert set(found) == {"nct05644301", "nct06136546"}
    for name, study in found.items():
        assert study.id == name
        assert study.role == "design"
        assert study.url.endswith(name.upper())
        assert study.results
        assert all(r.value is None and r.se is None for r in study.results)


def test_a_prediction_is_frozen_and_judged(registry: Registry, frozen: Frozen, tmp_path: Path, design: str) -> None:
    (predicted,) = frozen.results
    assert predicted.key == "change, HAMD17, infliximab against placebo, week 2"
    assert predicted.lo90 < predicted.median < predicted.hi90
    assert len(predicted.centers) == 20
    assert len(frozen.seal) == 64
    (again,) = frozen_predictions(registry, "nct06136546", frozen.seal)
    assert again == frozen
    near, (inside,) = judge_frozen(registry, results(tmp_path, design, round(predicted.median, 2)), seal=frozen.seal)
    assert near == frozen
    assert inside.inside90
    assert 0.3 < inside.place < 0.7
    # the trial's own error widens what is predicted for it
    assert inside.lo90 < predicted.lo90
    assert predicted.hi90 < inside.hi90
    _, (outside,) = judge_frozen(registry, results(tmp_path, design, predicted.median + 12))
    assert not outside.inside90
    assert outside.place > 0.99
    assert outside.crps > inside.crps


def test_a_changed_byte_or_another_seal_judges_nothing(
    registry: Registry, frozen: Frozen, tmp_path: Path, design: str
) -> None:
    file = results(tmp_path, design, -2)
    with pytest.raises(RegistryError, match="is that of no entry"):
        judge_frozen(registry, file, seal="0" * 64)
    registry.close()
    with sqlite3.connect(str(registry.path)) as plain:
        (content,) = plain.execute("SELECT content FROM frozen").fetchone()
        at = content.index('"median":') + len('"median":-')
        changed = content[:at] + str((int(content[at]) + 1) % 10) + content[at + 1 :]
        assert len(changed) == len(content)
        plain.execute("UPDATE frozen SET content = ?", (changed,))
    with pytest.raises(RegistryError, match=r"does not fit together.*was changed after it was frozen"):
        judge_frozen(registry, file)


def test_the_first_of_several_is_judged(registry: Registry, frozen: Frozen, tmp_path: Path, design: str) -> None:
    freeze(registry, tmp_path / "plan.toml", worlds=20, patients=20, seed=2)
    first, _ = judge_frozen(registry, results(tmp_path, design, -2))
    assert first.number == frozen.number


def test_what_cannot_be_frozen_or_judged(registry: Registry, tmp_path: Path, design: str) -> None:
    with pytest.raises(StudyError, match="has a value of change, HAMD17"):
        freeze(registry, results(tmp_path, design, -2))
    with pytest.raises(StudyError, match=r"registration that ships \(nct05644301, nct06136546\); did you mean nct"):
        freeze(registry, "nct0613654")
    with pytest.raises(RegistryError, match="holds no frozen prediction for nct06136546"):
        judge_frozen(registry, results(tmp_path, design, -2))
