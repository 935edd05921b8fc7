"""Full disks: small file systems where they may be made, and files that may not grow beyond a random size."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attack.registry import Tally, attack
from attack.runs import choose, outputs, start, warm
from crosstalk.errors import OutputError
from crosstalk.provenance import write_together

REFUSED, DONE, OTHER = 3, 4, 5


@attack("full-disk-writes", "several outputs where the disk is full at a random byte", count=1000)
def writes(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        for number in tally.tries(count):
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


@attack("full-disk-runs", "runs where every file, or a file system of its own, is full at a random size", count=200)
def runs(rng: np.random.Generator, count: int) -> Tally:
    with TemporaryDirectory() as place:
        base = Path(place)
        alone, tally = warm(base), Tally()
        for number in tally.tries(count):
            name = choose(rng)
            warm_cache, size = bool(rng.random() < 0.6), int(10 ** rng.uniform(3.7, 6.5))
            with full_disk(base / f"disk-{number}", size) as disk:
                # what is full: each file at a size, the folder, the cache, or the temporary folder
                kind = rng.choice(["files", "folder", "cache", "temporary"] if disk else ["files"])
                folder = disk / "run" if kind == "folder" and disk else base / f"run-{number}"
                cache = base / "cache" if warm_cache else base / f"cache-{number}"
                try:
                    folder.mkdir()
                    (folder / "o.json").write_bytes(b"old")
                    run = start(
                        name, folder, disk / "cache" if kind == "cache" and disk else cache,
                        limit=size if kind == "files" else None,
                        temporary=disk if kind == "temporary" else None,
                    )  # fmt: skip
                except OSError:  # not even its inputs fit
                    continue
                code, now = run.end(), outputs(folder)
                lines = run.said.strip().splitlines()
                if code == 0 and now == alone[name]:
                    tally.pass_()
                elif code == 1 and now == {"o.json": b"old"} and lines and lines[-1].startswith("crosstalk: "):
                    tally.refuse()
                else:
                    same = {f for f in now if now[f] == alone[name].get(f)}
                    tally.fault(
                        f"{name} {number}: {kind} of {size}, code {code}, {lines[-2:]}, {sorted(now)}, same {same}"
                    )
                shutil.rmtree(folder)
    return tally


@contextmanager
def full_disk(place: Path, size: int) -> Iterator[Path | None]:
    """A file system of so many bytes; None where it is not allowed to make one."""
    place.mkdir()
    made = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(place)], stderr=subprocess.DEVNULL
    )
    try:
        yield place if made else None
    finally:
        if made:
            subprocess.check_call(["umount", "-l", str(place)])
        place.rmdir()
