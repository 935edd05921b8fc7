"""What is judged is not among what it is compared with; errors are not divided; a stage moves its own unknowns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.calibrate import calibration
from crosstalk.calibrate.forward import Plan
from crosstalk.calibrate.rivals import ClassMeans, _Effect
from crosstalk.calibrate.targets import Targets, gather
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.schema import read_study


def test_a_class_mean_does_not_know_the_study_that_is_judged(knowledge: Knowledge) -> None:
    """A study that says something very different moves its own class mean by nothing."""
    pytest.importorskip("pymare")
    study = read_study("jakobsen2017", knowledge)
    (target,) = [t for t in gather([study], knowledge).items if t.result.versus][:1]
    drugs = ("escitalopram",)
    means = ClassMeans(knowledge)
    key = next(k for k in means.classes if "selective serotonin reuptake inhibitor" in k and len(k) == 1)
    plain = means.of(study, target, drugs)
    assert plain is not None
    means.classes[key][target.study] = _Effect(target.study, 1e6, -25.0, 0.01)
    assert means.of(study, target, drugs) == pytest.approx(plain)
    means.classes[key]["another"] = _Effect("another", 1e6, -25.0, 0.01)
    assert means.of(study, target, drugs) != pytest.approx(plain)


def test_many_results_of_a_study_do_not_share_one_error(knowledge: Knowledge) -> None:
    """With k results each keeps the error it has alone, whatever k is."""
    study = read_study("windoloski2024", knowledge)
    targets = gather([study], knowledge)
    assert len(targets.items) > 10
    own = np.sqrt(np.diag(targets.covariance))
    assert (own >= [t.sampling for t in targets.items]).all()
    sampled = [t.sampling**2 for t in targets.items]
    assert np.trace(targets.covariance) >= np.sum(sampled)


def test_each_stage_moves_the_unknowns_of_its_module_and_the_joint_steps_all(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [read_study(name, knowledge) for name in ("windoloski2024", "osimo2020", "uher2014")]
    targets = gather(studies, knowledge)
    moved: list[Any] = []

    class Still:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def counterparts(self, part: Targets, worlds: Any, *_: Any) -> Any:
            return np.random.default_rng(1).normal(size=(worlds.n, len(part.items)))

    def note(scores: Any, counterparts: Any, values: Any, covariance: Any, *, movable: Any = None, **_: Any) -> Any:
        moved.append(movable)
        return scores + 0.0

    plan = Plan({s.id: 2 for s in studies}, np.zeros(len(targets.items)))
    monkeypatch.setattr(calibration, "Forward", Still)
    monkeypatch.setattr(calibration, "assimilate", note)
    monkeypatch.setattr(calibration, "_planned", lambda *_: plan)
    found = calibration.calibrate(
        calibration.Settings(members=24),
        knowledge=knowledge,
        engine=object(),
        targets=targets,  # type: ignore[arg-type]
    )
    stages = [s for s in calibration.STAGES if len(targets.stage(s))]
    assert len(stages) > 1
    assert len(moved) == len(stages) + len(calibration.JOINT_WEIGHTS)
    constants = {u.id: knowledge.parameters[u.id].module for u in found.unknowns if u.id in knowledge.parameters}
    for stage, movable in zip(stages, moved, strict=False):
        names = {u.id for u, may in zip(found.unknowns, movable, strict=True) if may}
        assert {n for n, module in constants.items() if module == stage} <= names
        assert {
            n for n, module in constants.items() if module != stage and module in calibration.STAGES
        } & names == set()
    assert all(movable is None for movable in moved[len(stages) :])
