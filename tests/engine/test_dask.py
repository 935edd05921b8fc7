"""The fast engine on a Dask cluster: the same bits, also when a worker is killed during the run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.engine.fast import FastEngine

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def test_a_killed_worker_changes_nothing(shipped_problem: Callable[[int], Problem]) -> None:
    from distributed import Client, LocalCluster

    problem = shipped_problem(600)
    wanted = get_engine(jobs=2).simulate(problem, rtol=1e-8)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        client.run(lambda: bool(__import__("crosstalk.engine.driver")))
        victim = next(iter(client.run(os.getpid).values()))
        # many small chunks, so that some are under way and some done when the worker dies
        engine = FastEngine(jobs=19, executor=client.get_executor())
        killer = threading.Timer(0.5, os.kill, (victim, signal.SIGKILL))
        killer.start()
        found = engine.simulate(problem, rtol=1e-8)
        killer.join()
        assert victim not in client.run(os.getpid).values()
    assert found.values.tobytes() == wanted.values.tobytes()
    assert found.failures == wanted.failures
