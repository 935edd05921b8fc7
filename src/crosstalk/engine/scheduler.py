"""Where the chunks of an ensemble run: threads or processes of this machine, or a cluster of Dask."""

from __future__ import annotations

import os
import pickle
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from crosstalk.engine.workers import obey_parent
from crosstalk.errors import UsageError
from crosstalk.extras import need

__all__ = ["SCHEDULERS", "in_order", "open_executor", "pack", "run_packed"]

SCHEDULERS = "threads, processes, dask://HOST:PORT, or the FILE.json of a Dask scheduler"
_T = TypeVar("_T")
_R = TypeVar("_R")

WAIT = "10s"  # for the scheduler of a cluster to answer


@contextmanager
def open_executor(scheduler: str = "threads", jobs: int | None = None) -> Iterator[tuple[Executor | None, int]]:
    """Yield what runs chunks, and how many of them run side by side.

    Parameters
    ----------
    scheduler : str
        ``threads`` of this process, ``processes`` of this machine, ``dask://HOST:PORT`` (also ``tcp://`` or ``tls://``),
        or the path of a Dask scheduler's JSON file.
    jobs : int, optional
        Threads or processes, one per processor by default. A cluster says itself how wide it is.

    Yields
    ------
    executor : concurrent.futures.Executor or None
        ``None`` for threads, which the engine starts itself.
    width : int

    Raises
    ------
    UsageError
        If the scheduler is unknown, does not answer, or has no worker.

    Examples
    --------
    >>> with open_executor("threads", jobs=2) as (executor, width):
    ...     executor is None, width
    (True, 2)
    """
    width = jobs or os.cpu_count() or 1
    if scheduler == "threads":
        yield None, width
    elif scheduler == "processes":
        with ProcessPoolExecutor(width, get_context("spawn"), obey_parent) as pool:
            yield pool, width
    elif scheduler.startswith(("dask://", "tcp://", "tls://")) or scheduler.endswith(".json"):
        with _cluster(scheduler) as found:
            yield found
    else:
        raise UsageError(f"unknown scheduler '{scheduler}'; expected {SCHEDULERS}")


def pack(task: tuple[Callable[[Any], Any], Any]) -> bytes:
    """A function and what it is called with, small enough to be sent."""
    return zlib.compress(pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL), level=1)


def run_packed(packed: bytes) -> Any:
    """In a worker: unpack a task and do it. Packed tasks come from the own process, over the executor's own channel."""
    function, piece = pickle.loads(zlib.decompress(packed))
    return function(piece)


def in_order(pool: Executor, function: Callable[[_T], _R], pieces: Iterable[_T], limit: int) -> Iterator[_R]:
    """Results in the order of the pieces, with at most so many under way."""
    waiting: deque[Future[_R]] = deque()
    try:
        for piece in pieces:
            waiting.append(pool.submit(function, piece))
            if len(waiting) >= limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def _cluster(scheduler: str) -> Iterator[tuple[Executor, int]]:
    need("distributed")
    import distributed

    connect: Any = distributed.Client  # it has no types
    if scheduler.endswith(".json"):
        if not Path(scheduler).is_file():
            raise UsageError(f"no scheduler file '{scheduler}'; `dask scheduler --scheduler-file FILE` writes one")
        given = {"scheduler_file": scheduler}
    else:
        given = {"address": scheduler.replace("dask://", "tcp://", 1)}
    try:
        client = connect(**given, timeout=WAIT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"no scheduler of Dask answers at '{scheduler}' ({type(error).__name__}); start one with `dask scheduler`"
        ) from None
    with client:
        width = sum(client.ncores().values())
        if not width:
            raise UsageError(f"the scheduler at '{scheduler}' has no worker; start some with `dask worker`")
        yield client.get_executor(), width
