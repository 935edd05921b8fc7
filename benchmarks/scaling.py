"""What a study costs as it grows: seconds, memory of the driver, bytes sent. Run: python benchmarks/scaling.py.

Each size runs in a process of its own, so that the largest memory is that of the size. ``--write`` puts the table into
``docs/scaling.md``.
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crosstalk import __version__
from crosstalk.engine.scheduler import open_executor
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.blocks import Blocks, simulate_to
from crosstalk.provenance import atomic_write
from crosstalk.study.schema import read_study

STUDY = "goldstein2004"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"


def one(patients: int, scheduler: str, jobs: int) -> dict[str, float]:
    """Run one size here."""
    knowledge = load_knowledge()
    blocks = Blocks.of(read_study(STUDY), knowledge, seed=1, worlds=0, true_daily=False, circadian=False)
    with tempfile.TemporaryDirectory() as folder, open_executor(scheduler, jobs) as (executor, width):
        simulate_to(Path(folder) / "warm", blocks, 1, knowledge=knowledge, executor=executor, width=width)
        started = time.perf_counter()
        found = simulate_to(Path(folder) / "run", blocks, patients, knowledge=knowledge, executor=executor, width=width)
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in found.folder.iterdir())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sent = len(pickle.dumps((blocks, 0, False)))
    return {"seconds": seconds, "MiB": memory, "written MB": size / 1e6, "sent": sent, "blocks": found.blocks}


def main() -> None:
    """Run all sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("N", "SCHEDULER"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(int(options.one[0]), options.one[1], options.jobs)))
        return
    lines = [
        "| patients | scheduler | seconds | patients per second | driver, MiB | written, MB | bytes sent for a block |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for size in options.sizes:
        for scheduler in ("threads", "processes"):
            command = [sys.executable, __file__, "--one", str(size), scheduler, "--jobs", str(options.jobs)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = size / found["seconds"]
            lines.append(
                f"| {size:,} | {scheduler} | {found['seconds']:.0f} | {rate:,.0f} | {found['MiB']:.0f} "
                f"| {found['written MB']:.0f} | {found['sent']:,} |"
            )
            print(lines[-1], flush=True)
    lines += [
        "",
        f"`{STUDY}` (two arms, seven visits), {options.jobs} processors, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, Crosstalk {__version__}; model compiled and workers started before.",
    ]
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        head, rest = text.split("<!-- scaling -->\n")
        tail = rest.split("<!-- end of scaling -->")[1]
        atomic_write(PAGE, head + "<!-- scaling -->\n" + "\n".join(lines) + "\n<!-- end of scaling -->" + tail)


if __name__ == "__main__":
    main()
