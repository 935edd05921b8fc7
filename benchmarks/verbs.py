"""Processor time of what must not become slower: a warm forecast, a small calibration, keeping and loading a part.

    python benchmarks/verbs.py [--rounds N]

Each is done once first, so that caches are filled; the fastest of N rounds counts, in processor seconds of one job. To
compare two versions, run it with the source of each on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Processor seconds of the fastest round, after one that fills caches."""
    work()
    found = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["CROSSTALK_CACHE"] = str(folder / "cache")
        from crosstalk.calibrate.calibration import Settings, calibrate
        from crosstalk.calibrate.targets import gather
        from crosstalk.engine import get_engine
        from crosstalk.knowledge.loader import load_knowledge
        from crosstalk.panel.reader import read_panel
        from crosstalk.store import cached
        from crosstalk.study.schema import read_study
        from crosstalk.twin.twin import forecast

        knowledge, engine = load_knowledge(), get_engine(jobs=1)
        targets = gather([read_study("windoloski2024", knowledge)], knowledge)
        table = folder / "panel.csv"
        table.write_text("patient,hsCRP [mg/L],IL-6 [pg/mL],HAMD17\nA,6,3,22\n", encoding="utf-8")
        panel = read_panel(table).panels[0]
        values = np.random.default_rng(1).random((2000, 500))

        def keep() -> None:
            store = cached("benchmark", values)
            store.save_arrays({"values": values})
            assert store.load_arrays() is not None

        works: dict[str, Callable[[], object]] = {
            "forecast, warm": lambda: forecast(panel, regimens=("sertraline",), engine=engine),
            "calibration, 20 members, one study": lambda: calibrate(
                Settings(members=20, effort=0.05, seed=3), knowledge=knowledge, engine=engine, targets=targets
            ),
            "keeping and loading 8 MB": keep,
        }
        for name, work in works.items():
            print(f"{name}: {fastest(work, rounds):.2f} s", flush=True)


if __name__ == "__main__":
    main()
