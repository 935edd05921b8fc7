"""Where chunks run: threads, processes or a cluster, the same bits everywhere, and words where there is none."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.engine.chunk import Chunk, simulate_chunk
from crosstalk.engine.scheduler import in_order, open_executor, pack, run_packed
from crosstalk.errors import UsageError

Make = Callable[[int], Problem]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("slurm", "unknown scheduler 'slurm'; expected threads, processes, dask://HOST:PORT"),
        ("", "unknown scheduler"),
        ("nowhere.json", "no scheduler file 'nowhere.json'"),
        ("dask://127.0.0.1:9", "no scheduler of Dask answers at 'dask://127.0.0.1:9'"),
        ("tcp://not a host", "no scheduler of Dask answers"),
    ],
)
def test_what_is_no_scheduler_is_refused_in_words(given: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstalk.engine.scheduler.WAIT", "1s")
    with pytest.raises(UsageError, match=words), open_executor(given):
        pass


def test_processes_give_the_same_bits(shipped_problem: Make) -> None:
    problem = shipped_problem(70)
    wanted = get_engine(jobs=1).simulate(problem).values.tobytes()
    with open_executor("processes", jobs=2) as (executor, width):
        assert width == 2
        found = get_engine(jobs=width, executor=executor).simulate(problem)
    assert found.values.tobytes() == wanted


def test_threads_are_those_of_the_engine() -> None:
    with open_executor("threads", jobs=3) as found:
        assert found == (None, 3)


def test_a_packed_chunk_is_small_and_the_same(shipped_problem: Make) -> None:
    """The text of the model hardly counts, nor do columns that are alike for all."""
    chunk = Chunk(shipped_problem(32), 1e-6)
    packed = pack((simulate_chunk, chunk))
    assert len(packed) < len(pickle.dumps(chunk)) / 3
    assert run_packed(packed).values.tobytes() == simulate_chunk(chunk).values.tobytes()


def test_results_come_in_order_and_few_are_under_way() -> None:
    started: list[int] = []

    def work(k: int) -> int:
        started.append(k)
        return k * k

    with ThreadPoolExecutor(4) as pool:
        found = in_order(pool, work, iter(range(1000)), 5)
        assert [next(found) for _ in range(3)] == [0, 1, 4]
        assert max(started) < 10
        found.close()  # what waits is cancelled, the rest never asked for
    assert max(started) < 10


def test_the_reference_engine_takes_no_executor() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="has processes of its own"):
        get_engine("reference", executor=pool)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_is_found_by_address_and_by_file(shipped_problem: Make, tmp_path: Path) -> None:
    from distributed import LocalCluster

    problem = shipped_problem(40)
    wanted = get_engine(jobs=1).simulate(problem).values
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        file = tmp_path / "scheduler.json"
        file.write_text(json.dumps(cluster.scheduler.identity(), default=str))
        for address in (cluster.scheduler_address.replace("tcp://", "dask://"), str(file)):
            with open_executor(address) as (executor, width):
                assert width == 2
                found = get_engine(jobs=width, executor=executor).simulate(problem).values
            assert np.array_equal(found, wanted)
