"""Simulated trials: time and peak memory of replicates of a 300-patient, 12-week, 2-arm trial with MMRM.

Run ``python benchmarks/trials.py [REPLICATES] [JOBS]``, by default 1000 on 2 processes. Times are wall clock and, in
brackets, of the processor, which a busy machine does not stretch.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.trial.analyse import analyse
from crosstalk.trial.conduct import conduct, setting_of
from crosstalk.trial.plan import read_trial
from crosstalk.trial.replicates import replicate
from crosstalk.trial.run import TrialSettings, make_pools

DESIGN = Path(__file__).resolve().parent.parent / "examples/trials/infliximab_by_crp.toml"
PATIENTS = 300
SINGLE = 50  # trials of which the parts are timed
Found = TypeVar("Found")


def timed(words: str, work: Callable[[], Found], of: int = 1) -> Found:
    """Do some work and print how long it took."""
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    wall, processor = (time.perf_counter() - wall) / of, (time.process_time() - processor) / of
    unit, factor = ("ms each", 1e3) if of > 1 else ("s", 1.0)
    print(f"{words}: {wall * factor:.1f} {unit} ({processor * factor:.1f})")
    return found


def peak_mebibytes(who: int) -> float:
    """Peak resident memory [MiB]."""
    return resource.getrusage(who).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main(replicates: int, jobs: int) -> None:
    knowledge, engine = load_knowledge(), get_engine()
    study = read_trial(DESIGN, knowledge)
    assert study.trial is not None
    primary = replace(study.trial.primary, part="all")
    study = replace(study, trial=replace(study.trial, n=PATIENTS, analyses=(primary,), multiplicity="none"))
    pools = timed(
        "participants, 1500 in the world of the medians, 500 in each of 24 others",
        lambda: make_pools(study, TrialSettings(), knowledge, engine),
    )
    setting = timed("setting", lambda: setting_of(study, pools.typical, knowledge))
    seeds = range(SINGLE)
    data = timed("one trial", lambda: [conduct(setting, 0, np.random.default_rng(s)) for s in seeds], SINGLE)
    timed("one MMRM", lambda: [analyse(setting, d, primary) for d in data], SINGLE)
    began = time.perf_counter()
    replicate(setting, replicates, seed=1, label="benchmark", jobs=jobs)
    print(f"{replicates} trials on {jobs} processes: {time.perf_counter() - began:.1f} s of wall clock")
    print(f"peak memory: {peak_mebibytes(resource.RUSAGE_SELF):.0f} MiB, "
          f"of a process for trials {peak_mebibytes(resource.RUSAGE_CHILDREN):.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(given[0] if given else 1000, given[1] if len(given) > 1 else 2)
