"""Every study that ships runs to its end, in every arm and patient."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.run import simulate
from crosstalk.study.schema import read_study

STUDIES = sorted(p.name.removesuffix(".toml") for p in (files("crosstalk.knowledge") / "studies").iterdir())


@pytest.mark.parametrize("study_id", STUDIES)
def test_it_runs(study_id: str) -> None:
    study = read_study(study_id)
    run = simulate(study, patients=3, seed=2)
    assert not any(run.failures.values()), run.failures
    assert set(run.courses) == {(arm.id, output) for arm in study.arms for output in study.outputs}
    assert all(np.isfinite(values).all() for values in run.courses.values())
    for result in study.results:
        if result.stratum is None and result.endpoint not in ("correlation", "odds-ratio", "smd"):
            assert np.isfinite(run.estimate(result, load_knowledge()).value), result
