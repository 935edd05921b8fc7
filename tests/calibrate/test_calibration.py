"""The calibration as a whole: it learns, it can be stopped, and its file tells what it belongs to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5netcdf
import numpy as np
import pytest

from crosstalk.calibrate import calibration as module
from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
from crosstalk.calibrate.files import write_calibration
from crosstalk.calibrate.forward import PILOT_SETS, Forward
from crosstalk.calibrate.targets import Targets
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import PopulationError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.calibrated import read_posterior

SMALL = Settings(members=24, effort=0.15, seed=3)  # as in conftest


def misfit(c: Calibration, counterparts: np.ndarray) -> float:
    residual = np.nanmean(counterparts, axis=0) - c.targets.values
    return float(residual @ np.linalg.solve(c.targets.covariance, residual))


def test_the_ensemble_moves_towards_the_targets_and_narrows(small: Calibration) -> None:
    assert misfit(small, small.after) < misfit(small, small.before)
    lps = [k for k, t in enumerate(small.targets.items) if t.result.of == "TNF" and t.result.endpoint == "change"]
    narrowing = np.nanstd(small.after[:, lps], axis=0) / np.nanstd(small.before[:, lps], axis=0)
    assert narrowing.mean() < 0.95


def test_unknowns_that_no_target_touches_keep_their_prior(small: Calibration) -> None:
    names = [u.id for u in small.unknowns]
    for name in ("epacadostat_ido_activity_max", "metformin_insulin_resistance_max"):
        j = names.index(name)
        assert small.scores[:, j].std() > 0.6 * small.prior[:, j].std()


def test_a_calibration_that_was_killed_goes_on_to_the_same_result(
    small: Calibration, knowledge: Knowledge, engine: Engine, targets: Targets, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    runs, real = [0], Forward.run

    def dies(self: Forward, *args: object, **options: object) -> object:
        runs[0] += 1
        if runs[0] == PILOT_SETS * len(targets.studies) + 6:
            raise KeyboardInterrupt
        return real(self, *args, **options)  # type: ignore[arg-type]

    work = tmp_path / "work"
    monkeypatch.setattr(Forward, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        calibrate(SMALL, knowledge=knowledge, engine=engine, targets=targets, work=work)
    before = runs[0]
    done = len(list(work.glob("calibration-*.bin")))
    assert done > 0
    resumed = calibrate(SMALL, knowledge=knowledge, engine=engine, targets=targets, work=work)
    whole = len(targets.studies) * 2  # pilot and prior
    assert runs[0] - before < before + 2 * whole
    assert (resumed.scores == small.scores).all()
    assert np.array_equal(resumed.after, small.after, equal_nan=True)


def test_remains_of_another_calibration_are_not_used(
    knowledge: Knowledge, engine: Engine, targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "key").write_text("another")
    (work / "notes").mkdir()
    (work / "notes" / "thesis.txt").write_text("precious")
    monkeypatch.setattr(module, "STEPS", (1.0,))
    found = calibrate(replace(SMALL, members=20), knowledge=knowledge, engine=engine, targets=targets, work=work)
    assert np.isfinite(found.scores).all()
    assert (work / "key").read_text() == "another"
    assert (work / "notes" / "thesis.txt").read_text() == "precious"


@pytest.mark.usefixtures("small")
def test_progress_goes_from_nothing_to_all(told: list[float]) -> None:
    assert told[0] == 0
    assert told == sorted(told)
    assert 0.8 < told[-1] <= 1  # the start of the last of a few studies


@pytest.mark.parametrize("wrong", [Settings(members=5), Settings(effort=0), Settings(effort=1e9)])
def test_settings_that_make_no_sense(wrong: Settings, knowledge: Knowledge, engine: Engine) -> None:
    with pytest.raises(UsageError, match="expected"):
        calibrate(wrong, knowledge=knowledge, engine=engine)


def test_the_file_holds_draws_in_groups_and_says_what_they_belong_to(
    small: Calibration, knowledge: Knowledge, tmp_path: Path
) -> None:
    path = write_calibration(tmp_path / "p.nc", small)
    found = read_posterior(path)
    assert found.stale(knowledge) == ""
    for name, column in small.worlds.values.items():
        assert found.draws[name] == pytest.approx(column)
    with h5netcdf.File(path, "r") as file:
        assert set(file.groups) == {
            "posterior", "prior", "unconstrained_posterior", "posterior_predictive", "prior_predictive",
            "observed_data", "constant_data",
        }  # fmt: skip
        assert file.groups["posterior"].variables["xopt"].dimensions == ("chain", "draw")
        assert int(file.attrs["members"]) == SMALL.members
    again = write_calibration(tmp_path / "q.nc", small)
    assert again.read_bytes() == path.read_bytes()


def test_a_file_that_is_no_posterior(tmp_path: Path) -> None:
    path = tmp_path / "p.nc"
    path.write_bytes(b"not netCDF")
    with pytest.raises(PopulationError, match="is no posterior of Crosstalk"):
        read_posterior(path)
