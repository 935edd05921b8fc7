"""Many trials: the same for any number of processes, nothing lost when stopped, and quick."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstalk.store import Work
from crosstalk.study.design import Interim
from crosstalk.trial.replicates import CHUNK, Replicates, replicate


def same(one: Replicates, two: Replicates) -> None:
    for name in one.values:
        np.testing.assert_array_equal(one.values[name], two.values[name])
    for field in ("counts", "by_group"):
        for name, found in getattr(one, field).items():
            np.testing.assert_array_equal(found, getattr(two, field)[name])
    np.testing.assert_array_equal(one.world, two.world)
    assert one.notes == two.notes


def real(made: Any) -> Any:
    design = made.design(
        made.analysis("mmrm"), made.analysis("response", id="response"), n=60,
        conduct=made.conduct(dropout=0.2, missed_visits=0.05),
    )  # fmt: skip
    return made.setting(design, benefit=4.0, worlds=3, people=300, hazard=3e-4)


def test_any_number_of_processes_gives_the_same_bytes(made: Any, tmp_path: Path) -> None:
    ready = real(made)
    n = 2 * CHUNK + 7
    one = replicate(ready, n, seed=1, label="power", work=tmp_path / "one")
    two = replicate(ready, n, seed=1, label="power", jobs=2, work=tmp_path / "two")
    same(one, two)
    first = {p.name: p.read_bytes() for p in (tmp_path / "one").rglob("trial-*.bin")}
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "two").rglob("trial-*.bin")}
    assert len(first) == 3
    # worlds take turns, and the number asked for changes none of the trials
    assert one.world[:4].tolist() == [0, 1, 2, 0]
    fewer = replicate(ready, 30, seed=1, label="power")
    np.testing.assert_array_equal(fewer.values["estimate"], one.values["estimate"][:30])
    # another label or seed is another chance
    for other in (replicate(ready, 5, seed=2, label="power"), replicate(ready, 5, seed=1, label="assurance")):
        assert not np.array_equal(other.values["estimate"], one.values["estimate"][:5])


SCRIPT = """
import pickle, sys
from pathlib import Path
from crosstalk.trial.replicates import replicate
if __name__ == "__main__":
    ready = pickle.loads(Path(sys.argv[1]).read_bytes())
    replicate(ready, int(sys.argv[3]), seed=1, label="power", jobs=2, work=Path(sys.argv[2]))
"""


def test_a_run_that_is_killed_goes_on_where_it_was(made: Any, tmp_path: Path) -> None:
    ready, work, n = real(made), tmp_path / "work", 40 * CHUNK
    (tmp_path / "ready").write_bytes(pickle.dumps(ready))
    (tmp_path / "run.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "ready"), str(work), str(n)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while len(list(work.rglob("trial-*.bin"))) < 2 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    kept = {p: p.stat().st_mtime_ns for p in work.rglob("trial-*.bin")}
    assert len(kept) >= 2
    few = 4 * CHUNK
    shares: list[float] = []
    resumed = replicate(ready, few, seed=1, label="power", work=work, progress=lambda _, share: shares.append(share))
    # chunks that were there are not computed again, and the result is that of a run that was never stopped
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in kept.items())
    assert len(shares) <= 4 - min(len(kept), 2)
    same(resumed, replicate(ready, few, seed=1, label="power"))


def test_what_is_kept_of_another_trial_is_not_used(made: Any, tmp_path: Path) -> None:
    ready = real(made)
    first = replicate(ready, 5, seed=1, label="power", work=tmp_path)
    other = made.replace(ready, design=made.replace(ready.design, n=80))
    for changed in (other, made.replace(ready, hazard=0.0), made.replace(ready, null=True)):
        again = replicate(changed, 5, seed=1, label="power", work=tmp_path)
        assert not np.array_equal(again.values["estimate"], first.values["estimate"])
    same(replicate(ready, 5, seed=1, label="power", work=tmp_path), first)


def test_an_analysis_that_cannot_be_done_is_counted(made: Any) -> None:
    design = made.design(
        made.analysis(), made.analysis("interaction", id="by-marker"), kind="stratified", n=40,
        marker=made.replace(made.marker, min=60.0),
    )  # fmt: skip
    runs = replicate(made.setting(design), 10, seed=1, label="power")
    assert np.isnan(runs.column("estimate", "by-marker")).any()
    assert any(note.startswith("by-marker: not done:") for note in runs.notes)
    missing = np.isnan(runs.column("estimate", "by-marker"))
    assert (runs.column("adjusted", "by-marker")[missing] == 1.0).all()
    assert not any("interval of" in note or "left out" in note for note in runs.notes)


def test_progress_rises_to_the_whole(made: Any) -> None:
    said: list[tuple[str, float]] = []
    replicate(real(made), 60, seed=1, label="power", progress=lambda words, share: said.append((words, share)))
    assert [round(share, 3) for _, share in said] == [0.333, 0.667, 1.0]
    assert said[-1][0] == "power: 60 of 60 trials"


def test_a_trial_takes_milliseconds(made: Any) -> None:
    """1,000 trials of 300 patients in 3 minutes on two cores are 360 ms of processor time each; a tenth is asked."""
    design = made.design(made.analysis("mmrm"), n=300, conduct=made.conduct(dropout=0.2, missed_visits=0.03))
    ready = made.setting(design, benefit=3.0, hazard=3e-4, weeks=(0, 1, 2, 4, 6, 8, 10, 12), people=1500)
    replicate(ready, 2, seed=1, label="power")
    start = time.process_time()
    replicate(ready, 20, seed=1, label="power")
    assert (time.process_time() - start) / 20 < 0.036


def test_a_setting_is_small_to_hand_over(made: Any) -> None:
    ready = real(made)
    assert len(pickle.dumps(ready)) < 2e6
    assert pickle.loads(pickle.dumps(ready)).design.interim is None
    assert Interim((0.5, 1.0), "pocock") == pickle.loads(pickle.dumps(Interim((0.5, 1.0), "pocock")))


@pytest.mark.parametrize("damage", ["cut off", "another number", "empty", "a stranger's"])
def test_a_damaged_part_is_computed_again_and_strangers_files_stay(made: Any, tmp_path: Path, damage: str) -> None:
    (tmp_path / "power").mkdir()
    (tmp_path / "power" / "thesis.txt").write_text("precious")
    ready = real(made)
    first = replicate(ready, 5, seed=1, label="power", work=tmp_path)
    (part,) = tmp_path.glob("trial-*.bin")
    whole = part.read_bytes()
    middle = len(whole) // 2
    part.write_bytes(
        {
            "cut off": whole[:middle],
            "another number": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "a stranger's": b"precious",
        }[damage]
    )
    same(replicate(ready, 5, seed=1, label="power", work=tmp_path), first)
    assert part.read_bytes() == whole
    assert (tmp_path / "power" / "thesis.txt").read_text() == "precious"
    assert [p.read_text() for p in tmp_path.glob("aside-*")] == (["precious"] if damage == "a stranger's" else [])


def test_two_trials_in_one_folder_do_not_mix(made: Any, tmp_path: Path) -> None:
    ready = real(made)
    other = made.replace(ready, hazard=0.0)
    alone = [replicate(s, 5, seed=1, label="power") for s in (ready, other)]
    work = [Work(tmp_path), Work(tmp_path)]
    for _ in range(2):
        for setting, one, expected in zip((ready, other), work, alone, strict=True):
            same(replicate(setting, 5, seed=1, label="power", work=one), expected)
    work[0].clear()
    assert len(list(tmp_path.glob("trial-*.bin"))) == 1
    work[1].clear()
    assert not tmp_path.exists()
