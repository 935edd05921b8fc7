"""Many trials of one design: the same numbers whatever the number of processes, and nothing lost when it is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from crosstalk.engine.workers import obey_parent
from crosstalk.provenance import versions
from crosstalk.store import Work
from crosstalk.trial.looks import Finished, run_trial_once
from crosstalk.trial.setting import Setting

__all__ = ["Replicates", "calm_start", "replicate", "shared_value", "workers"]

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]
Span = tuple[int, int]
Part = dict[str, NDArray[Any]]
Chunks = Generator[tuple[Span, Part], None, None]

CHUNK = 25  # replicates that are computed and kept together
FIELDS = ("estimate", "se", "df", "lower", "upper", "p", "n", "adjusted")


@dataclass(frozen=True)
class Replicates:
    """Results of many trials.

    Attributes
    ----------
    world : array of int, shape (n,)
        The possible world that each trial took place in.
    analyses : tuple of str
    values : mapping of str to array, shape (n, n_analyses)
        ``estimate``, ``se``, ``df``, ``lower``, ``upper``, ``p``, ``n`` of each analysis, and its ``adjusted`` p-value
        under the multiplicity of the design. NaN where an analysis could not be done.
    counts : mapping of str to array, shape (n,)
        The screening funnel, patients ``randomised``, ``look`` at which the trial ended, ``visits`` that took place,
        shares of the ``positive`` and of the ``misclassified``, whether the marker-negative were ``dropped``, and in
        trials without any effect whether a ``naive`` search over subgroups finds one.
    by_group : mapping of str to array, shape (n, n_groups)
        ``patients``, and the share who ``left``.
    notes : mapping of str to int
        What happened in some of the analyses, and how often.
    """

    world: NDArray[np.intp]
    analyses: tuple[str, ...]
    values: Mapping[str, Array]
    counts: Mapping[str, Array]
    by_group: Mapping[str, Array]
    notes: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.world)

    def column(self, field: str, analysis: str) -> Array:
        """One field of one analysis, shape (n,)."""
        return self.values[field][:, self.analyses.index(analysis)]


def replicate(
    setting: Setting,
    n: int,
    *,
    seed: int,
    label: str,
    jobs: int = 1,
    work: Path | Work | None = None,
    progress: Progress | None = None,
) -> Replicates:
    """Run a trial many times; replicate ``r`` takes place in world ``r % n_worlds`` and has its own chance.

    Parameters
    ----------
    label : str
        Tells apart the runs of one trial (its power, its error under no effect), in the chance and in ``work``.
    jobs : int
        Processes; they change no result.
    work : Path or Work, optional
        Folder for what is done so far; a run that was stopped goes on from there, to the same result.
    progress : callable, optional
        Told in words what is being done and which share is done.

    Raises
    ------
    PopulationError
        If too few candidates are eligible.
    """
    spans = [(s, min(s + CHUNK, n)) for s in range(0, n, CHUNK)]
    # the whole setting counts: participants, courses, design, noise
    store = Work.of(work).store("trial", setting, seed, label, versions())
    parts = {span: store.load_arrays(_name(span)) for span in spans}
    waiting = [span for span, part in parts.items() if part is None]
    count = len(spans) - len(waiting)
    # closed at once where it is interrupted, so that chunks that wait are not computed first
    with closing(_computed(setting, waiting, seed, label, jobs)) as computed:
        for span, part in computed:
            parts[span] = part
            store.save_arrays(part, _name(span))
            count += 1
            if progress is not None:
                progress(f"{label}: {min(count * CHUNK, n)} of {n} trials", count / len(spans))
    return _joined(setting, [part for part in parts.values() if part is not None])


def _name(span: Span) -> str:
    """A chunk's name; the last one of a shorter run is another than that of a longer one."""
    return f"{span[0]}-{span[1]}"


def _computed(setting: Setting, spans: Sequence[Span], seed: int, label: str, jobs: int) -> Chunks:
    """Compute the chunks that are missing; yields each as it is there."""
    if jobs <= 1 or len(spans) <= 1:
        for span in spans:
            yield span, _chunk(setting, span, seed, label)
        return
    with workers(setting, min(jobs, len(spans))) as pool:
        with calm_start():
            futures = {pool.submit(_remote, span, seed, label): span for span in spans}
        for future in as_completed(futures):
            yield futures[future], future.result()


_shared: Any = None


@contextmanager
def workers(shared: object, n: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that hold a value in common, which `shared_value` gives; it goes to them by a pipe, never by a file."""
    context = get_context("spawn")
    # a queue has a thread that feeds it, so that the processes start side by side
    queue = context.Queue()
    try:
        for _ in range(n):
            queue.put(shared)
        with ProcessPoolExecutor(n, context, _open, (queue,)) as pool:
            try:
                yield pool
            except BaseException:
                # what they compute now is of no use; whoever interrupts does not want to wait for it
                for process in list((pool._processes or {}).values()):
                    process.kill()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        queue.cancel_join_thread()
        queue.close()


def shared_value() -> Any:
    """What the processes of `workers` have in common."""
    return _shared


def _open(queue: Any) -> None:
    global _shared
    obey_parent()
    _shared = queue.get()


@contextmanager
def calm_start() -> Iterator[None]:
    """Start worker processes so that an interruption reaches the parent alone: what is ignored is inherited."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _remote(span: Span, seed: int, label: str) -> Part:
    return _chunk(shared_value(), span, seed, label)


def _chunk(setting: Setting, span: Span, seed: int, label: str) -> Part:
    """Run some trials."""
    name = int.from_bytes(label.encode()[:6], "little")
    with threadpool_limits(1):  # the sums of linear algebra must not depend on the machine
        trials = [
            run_trial_once(setting, r % setting.pool.n_worlds, np.random.default_rng([seed, name, r]))
            for r in range(*span)
        ]
    return _packed(setting, trials, span[0])


def _packed(setting: Setting, trials: Sequence[Finished], start: int) -> Part:
    ids = [a.id for a in setting.design.analyses]
    packed: dict[str, NDArray[Any]] = {"world": np.arange(start, start + len(trials)) % setting.pool.n_worlds}
    for field in FIELDS[:-1]:
        packed[f"value:{field}"] = np.array(
            [[getattr(t.estimates[i], field) for i in ids] for t in trials], dtype=float
        )
    packed["value:adjusted"] = np.array([[t.adjusted[i] for i in ids] for t in trials])
    for name in trials[0].counts:
        packed[f"count:{name}"] = np.array([t.counts[name] for t in trials], dtype=float)
    for name in trials[0].by_group:
        packed[f"group:{name}"] = np.array([t.by_group[name] for t in trials], dtype=float)
    notes = [note for t in trials for note in t.notes]
    packed["notes"] = np.array(sorted(notes), dtype=np.str_)
    return packed


def _joined(setting: Setting, parts: Sequence[Part]) -> Replicates:
    def column(name: str) -> Array:
        return np.concatenate([p[name] for p in parts]).astype(np.float64)

    names = list(parts[0])
    words, times = np.unique(np.concatenate([p["notes"] for p in parts]), return_counts=True)
    return Replicates(
        column("world").astype(np.intp),
        tuple(a.id for a in setting.design.analyses),
        {f: column(f"value:{f}") for f in FIELDS},
        {k[6:]: column(k) for k in names if k.startswith("count:")},
        {k[6:]: column(k) for k in names if k.startswith("group:")},
        {str(w): int(c) for w, c in zip(words, times, strict=True)},
    )
