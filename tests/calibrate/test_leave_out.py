"""Leave-study-out: what is left out together, what is shared, and that a run goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosstalk.calibrate.calibration import Calibration, Settings, calibrate, simulate_prior
from crosstalk.calibrate.leave_out import folds, leave_out, shared_prior
from crosstalk.calibrate.targets import Targets, studies_of
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.schema import read_study

from .conftest import SMALL


def test_every_study_is_left_out_once_and_cohorts_stay_together(knowledge: Knowledge) -> None:
    studies = list(studies_of("calibrate", knowledge))
    studies[0], studies[5] = (replace(s, cohort="one") for s in (studies[0], studies[5]))
    for k in (None, 2, 5):
        found = folds(studies, (), k)
        names = [name for fold in found for name in fold.studies]
        assert sorted(names) == sorted(s.id for s in studies if s.results)
        assert sum({studies[0].id, studies[5].id} <= set(fold.studies) for fold in found) == 1
        assert k is None or len(found) == k
    assert folds(studies, [studies[5].id]) == (folds(studies)[0],)


def test_folds_hold_about_as_many_results(knowledge: Knowledge) -> None:
    studies = studies_of("calibrate", knowledge)
    count = {s.id: len(s.results) for s in studies}
    sizes = [sum(count[name] for name in fold.studies) for fold in folds(studies, (), 4)]
    assert max(sizes) - min(sizes) <= max(count.values())


@pytest.mark.parametrize(("names", "k", "words"), [
    (["osimo202"], None, "osimo2020"), ((), 1, "1 folds"), (["uher2014"], 2, "expected 2 to 1"),
])  # fmt: skip
def test_folds_that_make_no_sense(names: list[str], k: int | None, words: str, knowledge: Knowledge) -> None:
    with pytest.raises(UsageError, match=words):
        folds(studies_of("calibrate", knowledge), names, k)


def test_nothing_left_to_calibrate_on(knowledge: Knowledge) -> None:
    with pytest.raises(UsageError, match="without uher2014 nothing is left"):
        leave_out(settings=SMALL, knowledge=knowledge, studies=[read_study("uher2014", knowledge)])


def test_the_prior_pass_is_what_the_calibration_would_simulate(
    small: Calibration, targets: Targets, knowledge: Knowledge, engine: Engine
) -> None:
    shared = simulate_prior(SMALL, targets, knowledge, engine)
    assert np.array_equal(shared.before, small.before, equal_nan=True)
    assert shared.plan.patients == small.plan.patients
    again = calibrate(SMALL, knowledge=knowledge, engine=engine, targets=targets, prior_pass=shared)
    assert np.array_equal(again.scores, small.scores)


def test_a_full_calibration_is_used_only_where_it_is_the_same(
    small: Calibration, targets: Targets, knowledge: Knowledge
) -> None:
    fewer = replace(SMALL, members=20)
    found = shared_prior(small, fewer, targets, knowledge)
    assert found is not None
    assert np.array_equal(found.before, small.before[:20], equal_nan=True)
    one = targets.take(np.flatnonzero([t.study == "uher2014" for t in targets.items]))
    part = shared_prior(small, fewer, one, knowledge)
    assert part is not None
    assert part.before.shape == (20, len(one.items))
    for other in (replace(SMALL, members=30), replace(SMALL, effort=0.3), replace(SMALL, seed=9)):
        assert shared_prior(small, other, targets, knowledge) is None
    assert shared_prior(replace(small, targets=one), fewer, targets, knowledge) is None
    assert shared_prior(None, fewer, targets, knowledge) is None


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_and_processes_change_nothing(knowledge: Knowledge, tmp_path: Path) -> None:
    studies = [read_study(name, knowledge) for name in ("windoloski2024", "uher2014")]
    told: list[str] = []

    def run(work: Path, jobs: int) -> object:
        return leave_out(
            settings=Settings(20, 0.1, 3), knowledge=knowledge, studies=studies, work=work, jobs=jobs, patients=6,
            prior_draws=4, progress=lambda words, _: told.append(words),
        )  # fmt: skip

    first = run(tmp_path / "a", 1)
    assert told == ["1 of 2 calibrations", "2 of 2 calibrations"]
    assert {v.study for v in first.results} == {"windoloski2024", "uher2014"}  # type: ignore[attr-defined]
    assert run(tmp_path / "b", 2) == first
    told.clear()
    assert run(tmp_path / "a", 1) == first
    assert told == []
    kept = sorted((tmp_path / "a").glob("fold-*.bin"))
    kept[0].write_text("damaged", encoding="utf-8")
    assert run(tmp_path / "a", 1) == first
    assert told == ["2 of 2 calibrations"]
