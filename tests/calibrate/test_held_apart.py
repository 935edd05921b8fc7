"""What is judged is not among what it is compared with; errors are not divided."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.calibrate.rivals import ClassMeans, _Effect
from crosstalk.calibrate.targets import gather
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
