"""Full disks: files that may not grow beyond a random size stand for them."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attack.registry import Tally, attack
from attack.runs import COMMANDS, launch, outputs
from crosstalk.errors import OutputError
from crosstalk.provenance import write_together

REFUSED, DONE, OTHER = 3, 4, 5


@attack("full-disk-writes", "several outputs where the disk is full at a random byte", count=1000)
def writes(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        for number in range(count):
            folder = Path(place) / str(number)
            folder.mkdir()
            n = int(rng.integers(1, 4))
            sizes = rng.integers(0, 20_000, size=n)
            paths = [folder / f"out{k}" for k in range(n)]
            old = {}
            for k, path in enumerate(paths):
                if rng.random() < 0.7:
                    old[path] = b"old" * k
                    path.write_bytes(old[path])
            limit = int(rng.integers(1, 20_000))
            child = os.fork()
            if child == 0:
                code = OTHER
                try:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                    write_together({p: b"n" * int(s) for p, s in zip(paths, sizes, strict=True)})
                    code = DONE
                except OutputError as error:
                    code = REFUSED if "File too large" in str(error) else OTHER
                finally:
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            now = {p: p.read_bytes() for p in folder.iterdir()}
            new = {p: b"n" * int(s) for p, s in zip(paths, sizes, strict=True)}
            if code == DONE and now == new:
                tally.pass_()
            elif code == REFUSED and now == old:
                tally.refuse()
            else:
                tally.fault(f"try {number}: sizes {sizes.tolist()}, limit {limit}, code {code}, files {len(now)}")
    return tally


@attack("full-disk-runs", "whole runs where every file ends at a random size: outputs, cache, others", count=60)
def runs(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        base = Path(place)
        alone = {}
        for name in COMMANDS:
            launch(name, base / f"{name}-alone", base / "cache").communicate(timeout=600)
            alone[name] = {p.name: p.read_bytes() for p in outputs(base / f"{name}-alone")}
        for number in range(count):
            name = list(COMMANDS)[number % len(COMMANDS)]
            folder = base / f"{name}-{number}"
            folder.mkdir()
            (folder / "o.json").write_bytes(b"old")
            warm = bool(rng.random() < 0.7)
            limit = int(10 ** rng.uniform(3.5, 6.5))
            process = launch(name, folder, base / ("cache" if warm else f"cache-{number}"), limit=limit)
            _, error = process.communicate(timeout=900)
            now = {p.name: p.read_bytes() for p in outputs(folder)}
            lines = error.strip().splitlines()
            if process.returncode == 0 and now == alone[name]:
                tally.pass_()
            elif process.returncode == 1 and now == {"o.json": b"old"} and lines[-1].startswith("crosstalk: "):
                tally.refuse()
            else:
                tally.fault(f"{name} {number}: limit {limit}, rc {process.returncode}, {lines[-1:]}, {sorted(now)}")
    return tally
