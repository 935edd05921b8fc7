"""Compare structures of the model by what they say of results that none was fitted to.

Each structure is calibrated anew with the same settings, then predicts the studies of role ``validate``. Writes
docs/results/structures.txt. Takes about half an hour on two cores.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from crosstalk.calibrate.calibration import Settings, calibrate
from crosstalk.calibrate.skill import Gain, median_gain
from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import Verdict, validate
from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.provenance import atomic_write
from crosstalk.report.skill import gain_text, inside_text

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "results" / "structures.txt"

STRUCTURES = (
    ("as it ships", ()),
    ("plasticity falls monotonously with immune tone", (("shape_window", 0.0),)),
    ("no gate on SSRIs", (("gate_SSRI", 0.0),)),
    ("symptoms feel the burst alone", (("route_low_grade", 0.0),)),
    (
        "no coefficients of drug classes",
        tuple((f"m_{c}", 0.0) for c in ("serotonin", "catecholamine", "glutamate", "immune")),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=120)
    parser.add_argument("--effort", type=float, default=0.5)
    parser.add_argument("--work", type=Path, default=ROOT / ".structures", help="folder for what is done so far")
    arguments = parser.parse_args()
    knowledge, engine = load_knowledge(), get_engine()
    held_out = studies_of("validate", knowledge)
    base = Settings(arguments.members, arguments.effort)
    judged: list[dict[str, Verdict]] = []
    lines = [
        f"{base.members} members, effort {base.effort:g}, seed {base.seed}; medians over held-out results",
        "",
        f"{'structure':48s} {'log score less the better rival':>32s}  inside 90 %: model, prior predictive, "
        "trivial predictor",
    ]
    for number, (name, fixed) in enumerate(STRUCTURES):
        work = arguments.work / str(number)
        found = calibrate(replace(base, fixed=fixed), knowledge=knowledge, engine=engine, work=work)
        validation = validate(held_out, found.worlds, knowledge=knowledge, engine=engine, patients=60)
        judged.append({v.key: v for v in validation.results if v.scored})
        whole = validation.overall.skill[0]
        lines.append(f"{name:48s} {gain_text(whole.log_score):>32s}  {', '.join(inside_text(whole.coverage))}")
        print(lines[-1], flush=True)
    lines.append("")
    for (name, _), other in zip(STRUCTURES[1:], judged[1:], strict=True):
        both = sorted(judged[0].keys() & other.keys())
        gaps = np.array([[judged[0][k].log_score - other[k].log_score] for k in both])
        gap = median_gain(gaps, [judged[0][k].cohort for k in both])
        lines.append(
            f"first structure less '{name}': {gain_text(gap)} over {len(both)} results, higher for "
            f"{int((gaps > 0).sum())}: {_words(gap)}"
        )
    atomic_write(OUT, "\n".join(lines) + "\n")
    print("\n".join(lines[-2:]))


def _words(gap: Gain) -> str:
    if gap.low <= 0 <= gap.high:
        return "the held-out results do not tell them apart"
    return "the held-out results speak for the first" if gap.low > 0 else "the held-out results speak for the second"


if __name__ == "__main__":
    main()
