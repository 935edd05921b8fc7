"""Every study that ships runs to its end, in every arm and patient."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.run import StudyRun, simulate
from crosstalk.study.schema import read_study

STUDIES = sorted(p.name.removesuffix(".toml") for p in (files("crosstalk.knowledge") / "studies").iterdir())
# statistics that three patients need not have
NEED_MANY = ("correlation", "odds-ratio", "responder-smd", "smd")


@pytest.mark.parametrize("study_id", STUDIES)
def test_it_runs(study_id: str) -> None:
    study = read_study(study_id)
    run = simulate(study, patients=3, seed=2)
    assert not any(run.failures.values()), run.failures
    assert set(run.courses) == {(arm.id, output) for arm in study.arms for output in study.outputs}
    for arm in study.arms:
        assert_finite_until_they_leave(run, arm.id, arm.dropout or study.population.dropout)
    for result in study.results:
        left = any(np.isnan(run.courses[arm, result.of]).any() for arm in (result.arm, result.versus) if arm)
        regressed = result.marker is not None or bool(result.event)
        if result.stratum is None and result.endpoint not in NEED_MANY and not left and not regressed:
            assert np.isfinite(run.estimate(result, load_knowledge()).value), result


def assert_finite_until_they_leave(run: StudyRun, arm: str, dropout: float) -> None:
    """Only who has left has no value, in no output, and does not come back."""
    gone = [~np.isfinite(run.courses[arm, output]) for output in run.study.outputs]
    assert all((other == gone[0]).all() for other in gone)
    assert not gone[0][:, 0].any()
    assert (np.diff(gone[0].astype(int), axis=1) >= 0).all()
    if not dropout or run.study.missing == "locf":
        assert not gone[0].any()
