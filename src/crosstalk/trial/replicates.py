"""Many trials of one design: the same numbers whatever the number of processes, and nothing lost when it is stopped."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from crosstalk.provenance import atomic_write, hash_bytes, package_version
from crosstalk.trial.looks import Finished, run_trial_once
from crosstalk.trial.setting import Setting

__all__ = ["Replicates", "calm_start", "obey_parent", "replicate"]

Array = NDArray[np.float64]
Progress = Callable[[str, float], None]

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
    work: Path | None = None,
    progress: Progress | None = None,
) -> Replicates:
    """Run a trial many times; replicate ``r`` takes place in world ``r % n_worlds`` and has its own chance.

    Parameters
    ----------
    label : str
        Tells apart the runs of one trial (its power, its error under no effect), in the chance and in ``work``.
    jobs : int
        Processes; they change no result.
    work : Path, optional
        Folder for what is done so far; a run that was stopped goes on from there, to the same result.
    progress : callable, optional
        Told in words what is being done and which share is done.

    Raises
    ------
    PopulationError
        If too few candidates are eligible.
    """
    starts = list(range(0, n, CHUNK))
    with TemporaryDirectory() as scratch:
        folder = _folder(work or Path(scratch), setting, n, seed, label)
        done = [s for s in starts if _kept(folder, s, n).is_file()]
        waiting = [s for s in starts if s not in done]
        count = len(done)
        for _ in _computed(setting, folder, waiting, n, seed, label, jobs):
            count += 1
            if progress is not None:
                progress(f"{label}: {min(count * CHUNK, n)} of {n} trials", count / len(starts))
        parts = [_load(_kept(folder, s, n)) for s in starts]
    return _joined(setting, parts)


def _folder(work: Path, setting: Setting, n: int, seed: int, label: str) -> Path:
    """The folder of a run with these inputs; another one's remains are cleared away."""
    folder = work / label
    pool = setting.pool
    tables = (*pool.levels.values(), *pool.courses.values())
    arrays = (pool.start, pool.times_h, pool.recorded, pool.fluctuation, pool.inflation, *tables)
    rule = setting.prognosis
    key = hash_bytes(
        repr(
            (
                package_version(), setting.study, setting.design, setting.null, setting.hazard, seed,
                () if rule is None else (rule.names, rule.level, rule.slope.tolist()),
                setting.noise, setting.detection, setting.scales, [hash_bytes(v.tobytes()) for v in arrays],
            )
        )
    )  # fmt: skip
    mark = folder / "key"
    if not (mark.is_file() and mark.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        atomic_write(mark, key)
    return folder


def _kept(folder: Path, start: int, n: int) -> Path:
    """Where a chunk is kept; the last one of a shorter run is another than that of a longer one."""
    return folder / f"{start}-{min(start + CHUNK, n)}.npz"


def _computed(
    setting: Setting, folder: Path, starts: Sequence[int], n: int, seed: int, label: str, jobs: int
) -> Iterator[int]:
    """Compute the chunks that are missing; yields as each one is kept."""
    if jobs <= 1 or len(starts) <= 1:
        for start in starts:
            _chunk(setting, folder, start, min(start + CHUNK, n), seed, label)
            yield start
        return
    shared = folder / "setting.pickle"
    atomic_write(shared, pickle.dumps(setting))
    with ProcessPoolExecutor(min(jobs, len(starts)), get_context("spawn"), _open, (str(shared),)) as pool:
        with calm_start():
            futures = [pool.submit(_remote, str(folder), s, min(s + CHUNK, n), seed, label) for s in starts]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    shared.unlink()


_setting: Setting | None = None


def _open(path: str) -> None:
    """Load the setting once in each process."""
    global _setting
    obey_parent()
    _setting = pickle.loads(Path(path).read_bytes())


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


def obey_parent() -> None:
    """In a worker process: leave interruptions to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _remote(folder: str, start: int, stop: int, seed: int, label: str) -> int:
    assert _setting is not None
    _chunk(_setting, Path(folder), start, stop, seed, label)
    return start


def _chunk(setting: Setting, folder: Path, start: int, stop: int, seed: int, label: str) -> None:
    """Run some trials and keep their results."""
    name = int.from_bytes(label.encode()[:6], "little")
    with threadpool_limits(1):  # the sums of linear algebra must not depend on the machine
        trials = [
            run_trial_once(setting, r % setting.pool.n_worlds, np.random.default_rng([seed, name, r]))
            for r in range(start, stop)
        ]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **_packed(setting, trials, start))
    atomic_write(_kept(folder, start, stop), buffer.getvalue())


def _packed(setting: Setting, trials: Sequence[Finished], start: int) -> dict[str, NDArray[Any]]:
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


def _load(path: Path) -> dict[str, NDArray[np.generic]]:
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _joined(setting: Setting, parts: Sequence[Mapping[str, NDArray[np.generic]]]) -> Replicates:
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
