"""Processes killed inside a write, inside the store, and inside whole runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attack.registry import Tally, attack
from attack.runs import TOO_LONG_S, VERBS, Run, choose, launch, litter, outputs, start, warm
from crosstalk.provenance import write_together
from crosstalk.store import Store, hash_value

LATEST_S = 0.03  # after which a writing child is killed; one write takes a few milliseconds


def killed(work: Callable[[], None], after_s: float) -> None:
    """Run something in a child for ever, and kill it."""
    child = os.fork()
    if child == 0:
        try:
            while True:
                work()
        finally:
            os._exit(1)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@attack("kills-in-writes", "two outputs written again and again, kill -9 at a random moment", count=1000)
def writes(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        folder = Path(place)
        one, two = folder / "one.json", folder / "two.html"
        known = {bytes([65 + k]) * 200_000 for k in range(2)}
        for number in tally.tries(count):

            def work() -> None:
                for content in known:
                    write_together({one: content, two: content})

            write_together({one: b"A" * 200_000, two: b"A" * 200_000})
            killed(work, rng.uniform(0, LATEST_S))
            whole = one.read_bytes() in known and two.read_bytes() in known
            write_together({one: b"B" * 200_000, two: b"B" * 200_000})
            left = sorted(p.name for p in folder.iterdir())
            if whole and left == ["one.json", "two.html"]:
                tally.pass_()
            else:
                tally.fault(f"kill {number}: whole {whole}, left {left}")
    return tally


@attack("kills-in-the-store", "parts kept again and again, kill -9 at a random moment", count=1000)
def keeping(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    values = np.random.default_rng(1).random(20_000)
    with TemporaryDirectory() as place:
        for number in tally.tries(count):
            store = Store(Path(place), "attack", f"{number % 7:x}" * 64)

            def work(store: Store = store) -> None:
                store.save_arrays({"values": values}, "part")

            killed(work, rng.uniform(0, LATEST_S))
            found = store.load_arrays("part")
            again = store.save_arrays({"values": values}, "part") and store.load_arrays("part")
            left = [p.name for p in Path(place).iterdir() if p.suffix == ".tmp"]
            same = (found is None or np.array_equal(found["values"], values)) and bool(again)
            if same and not left:
                tally.pass_()
            else:
                tally.fault(f"kill {number}: same {same}, left {left}")
    return tally


@attack("kills-in-runs", "runs of six verbs killed at a random moment, then run to the end", count=1000)
def runs(rng: np.random.Generator, count: int) -> Tally:
    with TemporaryDirectory() as place:
        base = Path(place)
        alone, seconds, tally = warm(base), dict.fromkeys(VERBS, 2.0), Tally()
        for number in tally.tries(count):
            name, folder, cache = choose(rng), base / f"run-{number}", base / f"cache-{number % 5}"
            if rng.random() < 0.05:
                shutil.rmtree(cache, ignore_errors=True)  # so that kills meet writes of the cache too
            old = {"o.json": b"old"} if rng.random() < 0.5 else {}
            folder.mkdir()
            for file, content in old.items():
                (folder / file).write_bytes(content)
            code = start(name, folder, cache).end(rng.uniform(0, 1.1) * seconds[name])
            now = outputs(folder)
            half = [f for f, content in now.items() if content not in (alone[name].get(f), old.get(f))]
            again = start(name, folder, cache)
            ended = again.end()
            seconds[name] += 0.2 * (time.monotonic() - again.begun - seconds[name])
            left = litter(folder, cache)
            same = outputs(folder) == alone[name]
            if code in (0, -signal.SIGKILL) and not half and not ended and same and not left:
                tally.pass_()
                shutil.rmtree(folder)
            else:
                tally.fault(
                    f"{name}, kill {number}: codes {code} and {ended}, half {half}, same {same}, left {left}, "
                    f"{again.said[-300:]!r}"
                )
    return tally


@attack("kills-of-processes", "processes with their workers killed at a random moment, then run to the end", count=60)
def processes(rng: np.random.Generator, count: int) -> Tally:
    with TemporaryDirectory() as place:
        base = Path(place)
        alone, seconds, tally = warm(base), dict.fromkeys(VERBS, 20.0), Tally()
        for number in tally.tries(count):
            name, folder, cache = list(VERBS)[number % len(VERBS)], base / f"run-{number}", base / f"cache-{number % 3}"
            process = launch(name, folder, cache)
            try:
                process.wait(rng.uniform(0.1, 1.1) * seconds[name])
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            half = [f for f, content in outputs(folder).items() if content != alone[name].get(f)]
            begun = time.monotonic()
            again = launch(name, folder, cache)
            _, error = again.communicate(timeout=TOO_LONG_S)
            seconds[name] += 0.5 * (time.monotonic() - begun - seconds[name])
            left = litter(folder, cache)
            same = outputs(folder) == alone[name]
            if not half and not again.returncode and same and not left:
                tally.pass_()
            else:
                tally.fault(f"{name}, kill {number}: half {half}, same {same}, left {left}, {error[-300:]!r}")
    return tally


@attack("kills-in-calibrations", "a small calibration with a work folder killed at random, then ended", count=60)
def calibrations(rng: np.random.Generator, count: int) -> Tally:
    from crosstalk.calibrate.calibration import Settings, calibrate
    from crosstalk.calibrate.files import write_calibration
    from crosstalk.calibrate.targets import gather
    from crosstalk.engine import get_engine
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import read_posterior
    from crosstalk.store import Work
    from crosstalk.study.schema import read_study

    tally, knowledge = Tally(), load_knowledge()
    targets = gather([read_study("windoloski2024", knowledge)], knowledge)

    def once(folder: Path) -> None:
        work = Work(folder / "work")
        found = calibrate(
            Settings(members=20, effort=0.05, seed=3), knowledge=knowledge, engine=get_engine(jobs=1), targets=targets,
            work=work,
        )  # fmt: skip
        write_calibration(folder / "o.nc", found)
        work.clear()

    def child(folder: Path, after_s: float | None) -> int:
        folder.mkdir(exist_ok=True)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                once(folder)
                code = 0
            finally:
                os._exit(code)
        return Run("calibrate", folder, pid, time.monotonic()).end(after_s)

    def draws(folder: Path) -> str:
        return hash_value(read_posterior(folder / "o.nc").draws)

    with TemporaryDirectory() as place:
        base = Path(place)
        begun = time.monotonic()
        if child(base / "alone", None):
            raise RuntimeError("a calibration without disturbance fails")
        seconds, wanted = time.monotonic() - begun, draws(base / "alone")
        for number in tally.tries(count):
            folder = base / f"run-{number}"
            child(folder, rng.uniform(0, 1.1) * seconds)
            half = (folder / "o.nc").exists() and draws(folder) != wanted
            ended = child(folder, None)
            left = sorted(p.name for p in folder.rglob("*") if p.name != "o.nc")
            if not half and not ended and not left and draws(folder) == wanted:
                tally.pass_()
            else:
                tally.fault(f"kill {number}: half {half}, ended {ended}, left {left}")
    return tally
