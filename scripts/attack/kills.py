"""Processes killed inside a write, inside the store, and inside whole runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attack.registry import Tally, attack
from attack.runs import COMMANDS, finished, launch, outputs
from crosstalk.provenance import write_together
from crosstalk.store import Store

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
        for number in range(count):

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
        for number in range(count):
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


@attack("kills-in-runs", "whole runs of verbs killed at a random moment, then run to the end", count=60)
def runs(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        base = Path(place)
        alone, seconds = {}, {}
        for name in COMMANDS:
            begun = time.monotonic()
            alone[name] = finished(name, base / f"{name}-alone", base / "cache")
            seconds[name] = time.monotonic() - begun
        for number in range(count):
            name = list(COMMANDS)[number % len(COMMANDS)]
            folder, cache = base / f"{name}-{number}", base / f"cache-{number % 3}"
            process = launch(name, folder, cache)
            try:
                process.wait(rng.uniform(0.3, 1.1) * seconds[name])
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            half = [p for p in outputs(folder) if p.read_bytes() != alone[name].get(p.name)]
            again = finished(name, folder, cache)
            left = [str(p) for p in (*folder.rglob("*.tmp"), *cache.glob("*.tmp"))]
            if not half and again == alone[name] and not left:
                tally.pass_()
            else:
                tally.fault(f"{name}, kill {number}: half {half}, same {again == alone[name]}, left {left}")
    return tally
