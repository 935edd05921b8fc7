"""Work in processes: progress, cancelling, the death of a process, and that nothing piles up."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

pytest.importorskip("fastapi", reason="the extra `app` is not installed")

from crosstalk.app import jobs as module
from crosstalk.app import work
from crosstalk.app.jobs import Busy, Job, Jobs
from crosstalk.errors import UsageError


def _serve(pipe: Connection) -> None:
    """Work that tests choose, in a process as the real one."""
    while True:
        kind, payload = pipe.recv()
        pipe.send(("progress", ("begun", 0.25)))
        if kind == "sleep":
            time.sleep(payload["s"])
        if kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(("failed", "no luck") if kind == "fail" else ("done", {"document": "x" * payload.get("size", 1)}))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    import multiprocessing

    # a forked process has the functions of this test; the server starts fresh ones
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(work, "serve", _serve)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forked)
    made = Jobs()
    made.start()
    yield made
    made.close()


def until(job: Job, state: str) -> None:
    for _ in range(600):
        if job.state == state:
            return
        time.sleep(0.05)
    raise AssertionError(f"is {job.state}, expected {state}")


def test_work_is_done_with_progress_and_found_again(jobs: Jobs) -> None:
    job = jobs.submit("say", "one", {"a": 1}, "short")
    assert job.ended.wait(30)
    assert (job.state, job.words, job.results) == ("done", "begun", {"document": "x"})
    assert jobs.submit("say", "again", {"a": 1}, "short") is job
    assert jobs.submit("say", "other", {"a": 2}, "short") is not job
    failed = jobs.submit("fail", "", {}, "short")
    assert failed.ended.wait(30)
    assert (failed.state, failed.error) == ("failed", "no luck")
    assert jobs.submit("fail", "", {}, "short") is not failed


def test_short_work_does_not_wait_for_long_work_and_both_can_be_stopped(jobs: Jobs) -> None:
    long = jobs.submit("sleep", "", {"s": 600}, "long")
    behind = jobs.submit("say", "", {"behind": 1}, "long")
    assert jobs.submit("say", "", {}, "short").ended.wait(30)
    until(long, "running")
    started = time.monotonic()
    jobs.cancel(long.id)
    assert long.ended.wait(30)
    assert long.state == "cancelled"
    assert behind.ended.wait(30)
    assert behind.state == "done"
    assert time.monotonic() - started < 30
    again = jobs.submit("sleep", "", {"s": 600}, "long")
    waiting = jobs.submit("say", "", {"waiting": 1}, "long")
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(again.id)


def test_a_process_that_dies_is_told_and_replaced(jobs: Jobs) -> None:
    job = jobs.submit("die", "", {}, "short")
    assert job.ended.wait(30)
    assert job.state == "failed"
    assert "ended" in job.error
    assert jobs.submit("say", "", {}, "short").ended.wait(30)


def test_memory_is_bounded(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", 1000)
    for k in range(30):
        assert jobs.submit("say", "", {"size": 300, "k": k}, "short").ended.wait(30)
    assert sum(j.size for j in jobs.all()) <= 1300
    monkeypatch.setattr(module, "WAITING", 2)
    held = jobs.submit("sleep", "", {"s": 600}, "long")
    until(held, "running")
    for k in range(2):
        jobs.submit("say", "", {"k": k}, "long")
    with pytest.raises(Busy, match="2 jobs are waiting"):
        jobs.submit("say", "", {"k": 3}, "long")


def test_an_unknown_job_is_told(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match="no such job"):
        jobs.get("none")
