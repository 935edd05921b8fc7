"""Several processes on one folder, one cache, one file."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from attack.registry import Tally, attack
from attack.runs import choose, litter, outputs, start, warm
from crosstalk.learn.kept import Kept
from crosstalk.provenance import write_together


def at_once(works: list[Callable[[], bool]]) -> list[bool]:
    """Run functions in processes side by side; whether each said True."""
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if work() else 1
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 for child in children]


@attack("one-work-folder", "two to four learners of other and of the same cohorts on one work folder", count=200)
def one_work_folder(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    for number in tally.tries(count):
        cohorts = rng.integers(0, 3, size=rng.integers(2, 5))
        with TemporaryDirectory() as place:

            def learner(cohort: int, folder: Path = Path(place)) -> Callable[[], bool]:
                def work() -> bool:
                    own = np.random.default_rng(cohort).random((1, 160))
                    kept = Kept(folder, pd.DataFrame({"age": own[0]}), own[0], "settings")
                    right = True
                    for k in range(10):
                        found = kept.load(f"rung{k}", "penalised")
                        right &= found is None or np.array_equal(found, own + k)
                        kept.save(f"rung{k}", "penalised", own + k)
                        again = kept.load(f"rung{k}", "penalised")
                        # another run of the same cohort may have ended and cleared it
                        right &= again is None or np.array_equal(again, own + k)
                    kept.store.clear()
                    return right

                return work

            if all(at_once([learner(int(c)) for c in cohorts])):
                tally.pass_()
            else:
                tally.fault(f"round {number}: cohorts {cohorts.tolist()} took what is not theirs")
    return tally


@attack("one-pair-of-outputs", "two to four processes that write the same two outputs", count=200)
def one_pair(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        one, two = Path(place) / "one.json", Path(place) / "two.html"
        for number in tally.tries(count):
            letters = [bytes([65 + k]) for k in range(int(rng.integers(2, 5)))]

            def writer(letter: bytes) -> Callable[[], bool]:
                def work() -> bool:
                    for _ in range(5):
                        write_together({one: letter * 50_000, two: letter * 50_000})
                    return True

                return work

            ended = all(at_once([writer(letter) for letter in letters]))
            known = {letter * 50_000 for letter in letters}
            left = sorted(p.name for p in Path(place).iterdir())
            if ended and one.read_bytes() in known and two.read_bytes() in known and len(left) == 2:
                tally.pass_()
            else:
                tally.fault(f"round {number}: all ended {ended}, left {left}")
    return tally


@attack("runs-side-by-side", "two to four runs at once on one new cache, some in one folder", count=200)
def side_by_side(rng: np.random.Generator, count: int) -> Tally:
    with TemporaryDirectory() as place:
        base = Path(place)
        alone, number, tally = warm(base), 0, Tally()
        while tally.tried < count and time.monotonic() < tally.until:
            number += 1
            names = [choose(rng) for _ in range(int(rng.integers(2, 5)))]
            if shared := bool(rng.random() < 0.4):
                names = [names[0]] * len(names)
            folders = [base / f"round-{number}-{names[k]}-{0 if shared else k}" for k in range(len(names))]
            cache = base / f"cache-{number}"
            if rng.random() < 0.5:
                shutil.copytree(base / "cache", cache)
            started = [start(n, f, cache) for n, f in zip(names, folders, strict=True)]
            codes = [run.end() for run in started]
            for run, code in zip(started, codes, strict=True):
                same = outputs(run.folder) == alone[run.name]
                if code == 0 and same and not (left := litter(run.folder, cache)):
                    tally.pass_()
                else:
                    tally.fault(
                        f"round {number}, {run.name} of {names}, one folder {shared}: code {code}, same {same}, "
                        f"left {left if code == 0 and same else []}, {run.said[-300:]!r}"
                    )
            for folder in {cache, *folders}:
                shutil.rmtree(folder, ignore_errors=True)
    return tally
