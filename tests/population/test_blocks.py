"""Studies in blocks: the files of any way of running are the same, and hold what one run in memory gives."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosstalk.engine.scheduler import open_executor
from crosstalk.errors import OutputError, PopulationError, UsageError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.blocks import Blocks, merge, simulate_to
from crosstalk.population.run import simulate
from crosstalk.study.records import Eligibility, Study
from crosstalk.study.schema import read_study

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")

STUDY = """
[study]
id = "small"
role = "design"
duration_weeks = 1
visits = [0, 1]
outputs = ["HAMD17", "hsCRP"]
[population]
diagnosis = "mdd"
[[population.eligible]]
analyte = "hsCRP"
min = 1
unit = "mg/L"
[[arm]]
id = "placebo"
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every_h = 24 }]
[[arm]]
id = "controls"
diagnosis = "healthy"
"""
N = 60


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(STUDY)
    return read_study(path)


@pytest.fixture(scope="module")
def blocks(study: Study) -> Blocks:
    made = Blocks.of(study, load_knowledge(), seed=3, worlds=4, true_daily=False, circadian=False)
    return replace(made, size=32)


@pytest.fixture(scope="module")
def whole(blocks: Blocks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    found = simulate_to(folder, blocks, N)
    assert found.patients == {"placebo": N, "ssri": N, "controls": N}
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_hold_what_a_run_in_memory_gives(study: Study, whole: Path) -> None:
    columns = ["arm", "variable", "patient", "time_h"]
    found = parquet.read_table(whole).to_pandas()
    wanted = simulate(study, patients=N, seed=3, worlds=4).to_frame()
    for frame in (found, wanted):
        frame[["arm", "variable"]] = frame[["arm", "variable"]].astype(str)
    found, wanted = (f.sort_values(columns, ignore_index=True) for f in (found, wanted))
    assert len(found) == 3 * N * 2 * 2
    assert found[columns].equals(wanted[columns])
    assert np.array_equal(found["value"], wanted["value"], equal_nan=True)


def test_parts_merged_are_the_whole(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    for part in (3, 1, 2):
        simulate_to(tmp_path, blocks, N, part=(part, 3))
    assert len(content(tmp_path)) > len(content(whole))  # each does a little more than its share
    merge(tmp_path, blocks, N)
    assert content(tmp_path) == content(whole)
    merge(tmp_path, blocks, N)  # once more changes nothing
    assert content(tmp_path) == content(whole)


def test_a_part_that_is_missing_is_named_and_can_be_run_again(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    for part in (1, 2):
        simulate_to(tmp_path, blocks, N, part=(part, 2))
    (tmp_path / "block-00000001.parquet").unlink()
    with pytest.raises(OutputError, match=r"up to block 1, which is missing .*run their parts again"):
        merge(tmp_path, blocks, N)
    simulate_to(tmp_path, blocks, N, part=(2, 2))
    merge(tmp_path, blocks, N)
    assert content(tmp_path) == content(whole)


def test_processes_write_the_same_files(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    with open_executor("processes", jobs=2) as (executor, width):
        simulate_to(tmp_path, blocks, N, executor=executor, width=width)
    assert content(tmp_path) == content(whole)


def test_a_run_that_was_stopped_goes_on(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "block-00000000.parquet").write_bytes((whole / "block-00000000.parquet").read_bytes())
    (tmp_path / ".block-00000001.parquet.tmp").write_bytes(b"half")  # left by a killed process
    before = (tmp_path / "block-00000000.parquet").stat().st_mtime_ns
    simulate_to(tmp_path, blocks, N)
    assert (tmp_path / "block-00000000.parquet").stat().st_mtime_ns == before
    assert {k: v for k, v in content(tmp_path).items() if not k.startswith(".")} == content(whole)


def test_more_patients_later_are_those_of_one_run(blocks: Blocks, tmp_path: Path) -> None:
    """The block that was cut is run again."""
    few, many = tmp_path / "few", tmp_path / "many"
    simulate_to(few, blocks, 20)
    with pytest.raises(OutputError, match="missing"):
        merge(few, blocks, 30)
    simulate_to(few, blocks, 30)
    simulate_to(many, blocks, 30)
    assert content(few) == content(many)


def test_a_folder_of_another_run_or_with_strangers_is_refused(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not of this run"):
        simulate_to(whole, replace(blocks, seed=4), N)
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(OutputError, match=r"'thesis\.docx' is not of this run"):
        simulate_to(tmp_path, blocks, N)
    assert content(tmp_path) == {"thesis.docx": b"years of work"}


def test_a_damaged_block_is_refused(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "block-00000000.parquet").write_bytes((whole / "block-00000000.parquet").read_bytes()[:200])
    with pytest.raises(OutputError, match=r"'block-00000000\.parquet' is not of this run"):
        merge(tmp_path, blocks, N)


def test_nobody_who_is_eligible_is_told(blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstalk.population.blocks.BARREN", 2)
    limits = (Eligibility("hsCRP", min=1e6, max=None, unit="mg/L"),)
    population = replace(blocks.study.population, eligible=limits)
    with pytest.raises(PopulationError, match="nobody is eligible among 64 candidates"):
        simulate_to(tmp_path, replace(blocks, study=replace(blocks.study, population=population)), N)


def test_parts_of_no_folder_are_not_merged_into_a_new_one(blocks: Blocks, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="typo: is no folder"):
        merge(tmp_path / "typo", blocks, N)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--part", "4/3"], "--part 4/3; expected I/N with I from 1 to N"),
        (["--part", "a"], "--part a; expected I/N"),
        (["--csv", "a.csv"], "leave out --csv, --json, --html"),
        (["--engine", "reference"], "--out writes courses by the fast engine"),
        (["--scheduler", "slurm"], "unknown scheduler 'slurm'"),
    ],
)
def test_the_command_line_refuses_what_does_not_go_with_a_folder(
    options: list[str], words: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, said = run("simulate", "raison2013", "--out", tmp_path / "out", *options)
    assert code == 2
    assert words in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("patients", "part"), [(0, (1, 1)), (5, (0, 2)), (5, (3, 2))])
def test_impossible_parts_are_refused(blocks: Blocks, tmp_path: Path, patients: int, part: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="expected 1 or more, and a part from 1"):
        simulate_to(tmp_path, blocks, patients, part=part)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_writes_the_same_files(blocks: Blocks, whole: Path, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Timer(3.0, os.kill, (victim, signal.SIGKILL))
        killer.start()
        simulate_to(tmp_path, blocks, N, executor=client.get_executor(), width=4)
        killer.join()
    assert content(tmp_path) == content(whole)
