"""Long work in processes of its own: queued, with progress, stopped by ending the process that does it.

Two lanes, each with one process: short work never waits behind a trial. What is asked again in the same words is
answered from what was found before, since the same input gives the same numbers.
"""

from __future__ import annotations

import multiprocessing
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

from crosstalk.errors import CrosstalkError, UsageError
from crosstalk.store import hash_value

__all__ = ["Busy", "Job", "Jobs", "Lane"]

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Lane = Literal["short", "long"]

KEPT = 200  # jobs
BYTES = 200_000_000  # of results
WAITING = 200  # jobs in one lane


class Busy(CrosstalkError):
    """So much is waiting that no more is taken."""


@dataclass
class Job:
    """One piece of work. ``label`` is for people; ``results`` are texts by name, ``document`` the JSON."""

    id: str
    kind: str
    label: str
    payload: Mapping[str, Any]
    key: str
    lane: Lane
    state: State = "waiting"
    words: str = ""
    share: float = 0.0
    error: str = ""
    made: float = field(default_factory=time.time)
    results: dict[str, str] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def public(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "id": self.id, "kind": self.kind, "label": self.label, "state": self.state, "words": self.words,
            "share": round(self.share, 3), "error": self.error, "made": round(self.made, 1),
            "results": sorted(self.results),
        }  # fmt: skip

    @property
    def size(self) -> int:
        """Characters of its results."""
        return sum(map(len, self.results.values()))


class Jobs:
    """All jobs, and the two processes that do them."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._lanes: dict[Lane, _Runner] = {"short": _Runner("short"), "long": _Runner("long")}

    def start(self) -> None:
        """Start the processes, so that the first work does not wait for them."""
        for runner in self._lanes.values():
            runner.start()

    def close(self) -> None:
        """End the processes."""
        for runner in self._lanes.values():
            runner.close()

    def submit(self, kind: str, label: str, payload: Mapping[str, Any], lane: Lane) -> Job:
        """Queue work, or find what was found before.

        Raises
        ------
        Busy
            If too much is waiting.
        """
        key = hash_value(kind, payload)
        with self._lock:
            for job in reversed(self._jobs.values()):
                if job.key == key and job.state in ("waiting", "running", "done"):
                    self._jobs.move_to_end(job.id)
                    return job
            runner = self._lanes[lane]
            if runner.waiting >= WAITING:
                raise Busy(f"{runner.waiting} jobs are waiting; try again when some are done")
            job = Job(secrets.token_urlsafe(12), kind, label, payload, key, lane)
            self._jobs[job.id] = job
            self._shrink()
        runner.put(job)
        return job

    def get(self, name: str) -> Job:
        """A job by its id.

        Raises
        ------
        UsageError
            If there is none, or it is no longer kept.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise UsageError("no such job; it may be too old to be kept")
        return job

    def all(self) -> list[Job]:
        """Every job that is kept, newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, name: str) -> Job:
        """Stop a job; one that is done stays done."""
        job = self.get(name)
        self._lanes[job.lane].cancel(job)
        return job

    def _shrink(self) -> None:
        """Forget the oldest that are over, as long as there is too much."""
        total = sum(j.size for j in self._jobs.values())
        for job in list(self._jobs.values()):
            if len(self._jobs) <= KEPT and total <= BYTES:
                return
            if job.ended.is_set():
                total -= job.size
                del self._jobs[job.id]


class _Runner:
    """A thread that hands jobs to a process, one after the other."""

    def __init__(self, name: str) -> None:
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._lock = threading.Lock()
        self._current: Job | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"crosstalk-{name}", daemon=True)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._spawn()
        self._thread.start()

    def put(self, job: Job) -> None:
        self._queue.put(job)

    def cancel(self, job: Job) -> None:
        with self._lock:
            if job.state == "waiting":
                _end(job, "cancelled")
            elif job.state == "running" and self._current is job:
                # ended in the middle: whatever it writes is written whole or not at all
                job.state = "cancelled"
                self._kill()

    def close(self) -> None:
        self._closing = True
        self._queue.put(None)
        self._kill()

    def _spawn(self) -> None:
        from crosstalk.app.work import serve

        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(5)

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job is None or self._closing:
                return
            with self._lock:
                if job.state == "cancelled":
                    continue
                job.state, self._current = "running", job
            self._do(job)
            with self._lock:
                self._current = None
            job.ended.set()

    def _do(self, job: Job) -> None:
        try:
            assert self._pipe is not None
            self._pipe.send((job.kind, dict(job.payload)))
            while True:
                what, value = self._pipe.recv()
                if what == "progress":
                    job.words, job.share = value
                    continue
                with self._lock:
                    if job.state == "running":
                        if what == "done":
                            job.results, job.share = value, 1.0
                        else:
                            job.error = value
                        job.state = "done" if what == "done" else "failed"
                return
        except (EOFError, OSError):
            with self._lock:
                if job.state == "running":
                    job.state = "failed"
                    job.error = "the process that did it ended, perhaps for want of memory; ask for fewer patients"
            if not self._closing:
                self._spawn()


def _end(job: Job, state: State) -> None:
    job.state = state
    job.ended.set()
