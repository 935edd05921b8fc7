"""Any folder of SBML models on the fast engine and on libRoadRunner: agree, differ, refused by name, or failed.

``python benchmarks/biomodels.py FOLDER [--times 0:100:10] [--jobs 1] [--limit SECONDS] [--every N] [--csv FILE]``

Each model runs from its own values over the times, by default 0 to 100 in its own unit, in a process that is stopped
at the limit of CPU time. Courses of all states are compared on the scale of each state's own size: 1e-3 of its value
and 1e-5 of its largest. Where they differ both run again at tolerances a thousand times tighter, and what counts is
that: an oscillation drifts out of phase, a course near a threshold goes one way or the other. A model that
libRoadRunner cannot run has nothing to compare with and is counted by itself.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import csv
import multiprocessing
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

VERDICTS = {
    "agree": "both ran and the courses agree",
    "agree, tighter": "they agree at tolerances a thousand times tighter",
    "sensitive": "they differ, and so does libRoadRunner from itself if it starts 1e-9 beside",
    "alone": "the fast engine ran, libRoadRunner did not",
    "both fail": "neither reached the end",
    "refused": "the fast engine refuses it by name",
    "failed": "the fast engine did not reach the end, with a status; libRoadRunner did",
    "differ": "both ran, and differ",
    "too long": "stopped at the limit of CPU time",
    "broken": "something else happened; this is a defect",
}
FAST_TOLERANCE, REFERENCE_TOLERANCE, TIGHTER = 1e-6, 1e-8, 1e-3
RELATIVE, OF_LARGEST = 1e-3, 1e-5
BESIDE = 1e-9  # of a state's size: another start
SMALLEST, NOISE = (
    1e-12,
    10.0,
)  # absolute tolerance of CVODE, of the smallest state's size, and what counts as none of it


@dataclass(frozen=True)
class Verdict:
    """What became of one model."""

    model: str
    verdict: str
    states: int = 0
    compile_s: float = float("nan")
    reason: str = ""


def models(folder: Path, every: int = 1) -> list[Path]:
    """SBML files below a folder; other XML is passed over by its first tag."""
    found = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".xml", ".sbml") and p.is_file()]
    return [p for p in found if b"<sbml" in p.read_bytes()[:20_000]][::every]


def compare(path: Path, times: np.ndarray) -> Verdict:
    """Run one model on both engines."""
    from crosstalk.engine import Problem, Status
    from crosstalk.engine.chunk import Chunk, simulate_chunk
    from crosstalk.engine.compiled import compile_system
    from crosstalk.engine.reference import simulate_serial
    from crosstalk.engine.sbml import TIME
    from crosstalk.errors import ModelError

    text = path.read_bytes().decode("utf-8", "replace")
    begin = time.perf_counter()
    try:
        system = compile_system(text)
    except ModelError as refusal:
        return Verdict(path.name, "refused", reason=" ".join(str(refusal).split()))
    compile_s = time.perf_counter() - begin
    states = tuple(s for s in system.states if s != TIME)
    problem = Problem(text, 1, times_h=times, outputs=states)

    def verdict(word: str, reason: object = "") -> Verdict:
        return Verdict(path.name, word, len(states), round(compile_s, 3), " ".join(str(reason).split()))

    tried = (1.0, TIGHTER)
    for share in tried:
        fast = simulate_chunk(Chunk(problem, FAST_TOLERANCE * share))
        size = np.nanmax(np.abs(fast.values[0]), axis=1, initial=0.0)
        smallest = size[size > 0].min(initial=1.0) if fast.ok.all() else 1.0
        tolerance, floor = max(REFERENCE_TOLERANCE * share, 1e-12), min(1e-12, SMALLEST * float(smallest))
        try:
            slow = simulate_serial(problem, tolerance, floor)
        except (ModelError, RuntimeError) as error:
            return verdict("alone" if fast.ok.all() else "both fail", error)
        if not (fast.ok.all() and slow.ok.all()):
            if not fast.ok.all() and fast.failures[0].status is Status.INVALID_INPUT:
                return verdict("refused", f"no value is given for '{fast.failures[0].state}'")
            word = "both fail" if not (fast.ok.any() or slow.ok.any()) else "alone" if fast.ok.all() else "failed"
            return verdict(word, (fast.failures or slow.failures)[0])
        a, b = fast.values[0], slow.values[0]
        near = alike(a, b, floor)
        if near.all():
            return verdict("agree" if share == 1.0 else "agree, tighter")
    draw = np.random.default_rng(1)
    begun = {
        s: np.array([x + BESIDE * z * draw.choice((-1, 1))]) for s, x, z in zip(states, a[:, 0], size, strict=True)
    }
    beside = simulate_serial(replace(problem, initial=begun), tolerance, floor)
    if beside.ok.all() and not alike(beside.values[0], b, floor).all():
        return verdict("sensitive")
    worst = int(np.argmin(near.all(axis=1)))
    return verdict("differ", f"{states[worst]}: {a[worst][-3:]} and {b[worst][-3:]}")


def alike(a: np.ndarray, b: np.ndarray, floor: float) -> np.ndarray:
    """Where two sets of courses, shape (n_states, n_times), agree."""
    with np.errstate(invalid="ignore"):
        largest = np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))[:, None]
        near = np.abs(a - b) <= RELATIVE * np.abs(b) + OF_LARGEST * largest + NOISE * floor
    return near | (a == b) | (np.isnan(a) & np.isnan(b))


def serve(pipe: Connection, times: np.ndarray, limit: float) -> None:
    """Answer with a verdict for each path that comes; the system ends the process at the limit of CPU time."""
    warnings.simplefilter("ignore")
    while (path := pipe.recv()) is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + limit) + 1, resource.RLIM_INFINITY))
        try:
            pipe.send(compare(path, times))
        except Exception as error:
            pipe.send(Verdict(path.name, "broken", reason=" ".join(f"{type(error).__name__}: {error}".split())))


def verdicts(paths: list[Path], times: np.ndarray, limit: float) -> Iterator[Verdict]:
    """A verdict for each model, by one process at a time, which is begun anew when it dies or takes too long."""
    context = multiprocessing.get_context("spawn")
    process = pipe = None
    for path in paths:
        if process is None or not process.is_alive():
            pipe, there = context.Pipe()
            process = context.Process(target=serve, args=(there, times, limit), daemon=True)
            process.start()
            there.close()
        assert pipe is not None
        pipe.send(path)
        try:
            yield pipe.recv()
        except EOFError:
            process.join()
            if process.exitcode == -signal.SIGXCPU:
                yield Verdict(path.name, "too long", reason=f"more than {limit:g} s of CPU time")
            else:
                yield Verdict(path.name, "broken", reason=f"the process died ({process.exitcode})")
    if process is not None and pipe is not None and process.is_alive():
        pipe.send(None)
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", default="0:100:10", help="begin:end:step, in each model's own unit")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of CPU time for one model")
    parser.add_argument("--every", type=int, default=1, help="only every n-th model")
    parser.add_argument("--csv", type=Path, help="a row for each model")
    asked = parser.parse_args()
    begin, end, step = (float(x) for x in asked.times.split(":"))
    times = np.arange(begin, end + step / 2, step)
    paths = models(asked.folder, asked.every)
    found: list[Verdict] = []

    # a row as soon as it is known: a run over a thousand models may be stopped
    rows = None if asked.csv is None else asked.csv.open("w", newline="", encoding="utf-8", buffering=1)
    if rows is not None:
        csv.writer(rows).writerow([f.name for f in fields(Verdict)])

    def work(part: list[Path]) -> None:
        for verdict in verdicts(part, times, asked.limit):
            found.append(verdict)
            if rows is not None:
                csv.writer(rows).writerow(astuple(verdict))
            if verdict.verdict not in ("agree", "agree, tighter", "sensitive"):
                print(f"{verdict.model}: {verdict.verdict}: {verdict.reason[:200]}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(asked.jobs) as pool:
        list(pool.map(work, [paths[k :: asked.jobs] for k in range(asked.jobs)]))
    if rows is not None:
        rows.close()
    counts = Counter(v.verdict for v in found)
    ran = sum(counts[word] for word in ("agree", "agree, tighter", "sensitive", "alone"))
    print(f"{len(found)} models, {ran} run ({100 * ran / max(1, len(found)):.0f} %)\n")
    print("| verdict | models | |\n|---|---|---|")
    for word, meaning in VERDICTS.items():
        print(f"| {word} | {counts[word]} | {meaning} |")
    sys.exit(1 if counts["differ"] or counts["broken"] else 0)


if __name__ == "__main__":
    main()
