"""Show how often the intervals of a calibration hold a known truth.

Fifty sets of published results are made up from worlds of the prior, with the errors of the real ones; each is
calibrated with a small budget. Writes docs/results/coverage.txt. Takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from crosstalk.calibrate.calibration import Settings
from crosstalk.calibrate.recovery import INFORMED, recover
from crosstalk.calibrate.targets import gather
from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.provenance import atomic_write
from crosstalk.study.schema import read_study

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "coverage.txt"
STUDIES = (
    "windoloski2024", "goldstein2004", "uher2014", "osimo2020", "cao2018", "raison2013", "jha2018", "freeman2020"
)  # fmt: skip
MODERATION = (
    "m_serotonin", "m_catecholamine", "m_glutamate", "m_immune", "b_immune", "gate_SSRI", "K_CIC_gate", "xopt",
    "window_width", "window_depth",
)  # fmt: skip
SETTINGS = Settings(members=60, effort=0.15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=50)
    sets = parser.parse_args().sets
    knowledge, engine = load_knowledge(), get_engine()
    targets = gather([read_study(s, knowledge) for s in STUDIES], knowledge)
    found = recover(
        targets, knowledge, engine, SETTINGS, sets=sets, progress=lambda k: print(f"{k} of {sets}", flush=True)
    )
    informed = int((found.contraction >= INFORMED).sum())
    by_set = found.covered.mean(axis=1)
    moderates = np.isin(found.unknowns, MODERATION)
    own, narrowed = found.covered[:, moderates], found.contraction[:, moderates]
    lines = [
        f"{sets} sets of {len(targets.items)} results of {len(STUDIES)} studies; {SETTINGS.members} members, "
        f"effort {SETTINGS.effort:g}",
        "",
        f"90 % intervals of {len(found.unknowns)} unknowns that held the truth: {found.coverage:.1%}",
        f"  of the {informed} (of {found.covered.size}) that the results narrowed: {found.informed_coverage:.1%}",
        f"  of the {own.size} of constants that moderate treatment ({', '.join(np.array(found.unknowns)[moderates])}): "
        f"{own.mean():.1%}; {narrowed.mean():.0%} of their variance gone on average, {narrowed.max():.0%} at most",
        f"  in the worst set {by_set.min():.0%}, in the best {by_set.max():.0%}",
        f"90 % intervals of counterparts that held the true one: {found.predictive_coverage:.1%}",
    ]
    text = "\n".join(lines) + "\n"
    atomic_write(OUT, text)
    print(text)


if __name__ == "__main__":
    main()
