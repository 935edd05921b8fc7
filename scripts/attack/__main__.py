"""Run attacks and write what became of them into ``docs/reliability.md``."""

from __future__ import annotations

import argparse
import importlib
import math
import multiprocessing
import os
import pkgutil
import platform
import re
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import attack  # noqa: E402
import crosstalk  # noqa: E402

PAGE = HERE.parent.parent / "docs" / "reliability.md"
START, END = "<!-- attacks -->", "<!-- end of attacks -->"
HEAD = (
    "| attack | what is done | tried | refused well | right | faults | seed | date |\n"
    "|---|---|---:|---:|---:|---:|---:|---|\n"
)


def load() -> dict[str, attack.Attack]:
    """Every attack of this folder."""
    for module in pkgutil.iter_modules([str(HERE)]):
        if not module.name.startswith("__"):
            importlib.import_module(f"attack.{module.name}")
    return attack.ATTACKS


def better(row: str, former: str | None) -> str:
    """The row to keep: the new one, unless a former one without a fault is of more tries and the new one found none."""
    if former is None:
        return row
    new, old = ([int(n) for n in re.findall(r" (\d+) (?=\|)", r)] for r in (row, former))  # tried ... faults, seed
    return former if old[0] > new[0] and not new[3] and not old[3] else row


def rewrite(page: str, rows: dict[str, str]) -> str:
    """The page with these rows; rows of attacks that were not run now stay, and so do better ones."""
    before, _, rest = page.partition(START)
    table, _, after = rest.partition(END)
    found = re.findall(r"^\| ([a-z-]+) \|.*$", table, flags=re.MULTILINE)
    lines = dict(zip(found, re.findall(r"^\| [a-z-]+ \|.*$", table, flags=re.MULTILINE), strict=True))
    lines.pop("attack", None)
    lines |= {name: better(row, lines.get(name)) for name, row in rows.items()}
    body = HEAD + "\n".join(line for _, line in sorted(lines.items()))
    return f"{before}{START}\n\n{body}\n\n{machine()}\n\n{END}{after}"


def machine() -> str:
    """What the attacks ran on, in one line."""
    return (
        f"Last on {platform.system()} {platform.release().split('-')[0]}, {platform.machine()}, {os.cpu_count()} "
        f"processors, Python {platform.python_version()}, Crosstalk {crosstalk.__version__}"
        f"{', as the administrator' if os.name == 'posix' and os.geteuid() == 0 else ''}."
    )


def attempt(name: str, seed: int, count: int, jobs: int, minutes: float) -> attack.Tally:
    """Run one attack, in several processes if asked."""
    shares = [count // jobs + (k < count % jobs) for k in range(jobs)]
    if jobs == 1:
        return share_of(name, [seed, zlib.crc32(name.encode())], count, minutes)
    tally = attack.Tally()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        seeds = [[seed, zlib.crc32(name.encode()), k] for k in range(jobs)]
        for found in pool.map(share_of, repeat(name), seeds, shares, repeat(minutes)):
            tally.add(found)
    return tally


def share_of(name: str, seeds: list[int], count: int, minutes: float) -> attack.Tally:
    attack.LIMIT.until = time.monotonic() + 60 * minutes
    return attack.ATTACKS[name].run(np.random.default_rng(seeds), count)


def main() -> int:
    known = load()
    parser = argparse.ArgumentParser(prog="python scripts/attack", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ATTACK", help=f"default: all of {', '.join(sorted(known))}")
    parser.add_argument("--seed", type=int, help="default: another one each time; it is printed and written")
    parser.add_argument("--count", type=int, help="tries of each attack (default: its own number)")
    parser.add_argument("--share", type=float, default=1.0, help="share of each attack's own number of tries")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end an attack after so long")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the tries of each attack")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    unknown = [n for n in options.names if n not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    seed = int.from_bytes(np.random.SeedSequence().generate_state(1).tobytes(), "little") % 1_000_000
    seed = seed if options.seed is None else options.seed
    rows, faults = {}, 0
    for name in options.names or sorted(known):
        one = known[name]
        count = options.count or max(1, round(options.share * one.count))
        begun = time.perf_counter()
        tally = attempt(name, seed, count, options.jobs, options.minutes)
        seconds = time.perf_counter() - begun
        print(
            f"{name}: {tally.tried} tried, {tally.refused} refused well, {tally.right} right, "
            f"{len(tally.faults)} faults, {seconds:.0f} s, seed {seed}",
            flush=True,
        )
        for line in tally.faults:
            print(f"  fault: {line}", flush=True)
        faults += len(tally.faults)
        rows[name] = (
            f"| {name} | {one.words} | {tally.tried} | {tally.refused} | {tally.right} | {len(tally.faults)} | {seed} |"
            f" {datetime.now(UTC).date()} |"
        )
        if options.write:
            PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
