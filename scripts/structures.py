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
from crosstalk.calibrate.qualification import fit
from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import validate
from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.provenance import atomic_write

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "results" / "structures.txt"

STRUCTURES = (
    ("window of plasticity, gate on SSRIs", ()),
    ("plasticity falls monotonously with immune tone", (("shape_window", 0.0),)),
    ("no gate on SSRIs", (("gate_SSRI", 0.0),)),
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
    scores: list[dict[str, float]] = []
    lines = [
        f"{base.members} members, effort {base.effort:g}, seed {base.seed}; log scores, higher is better",
        "",
        f"{'structure':48s} {'fitted inside 90 %':>18s} {'held out inside 90 %':>20s} {'held-out log score':>18s}",
    ]
    for number, (name, fixed) in enumerate(STRUCTURES):
        work = arguments.work / str(number)
        found = calibrate(replace(base, fixed=fixed), knowledge=knowledge, engine=engine, work=work)
        fitted = fit(found)
        judged = validate(held_out, found.worlds, knowledge=knowledge, engine=engine, patients=60)
        scores.append({v.key: v.log_score for v in judged.results})
        lines.append(
            f"{name:48s} {sum(v.inside90 for v in fitted):>8d} of {len(fitted):<6d} "
            f"{judged.summary.inside90:>8d} of {judged.summary.results:<6d}  {sum(scores[-1].values()):>18.1f}"
        )
        print(lines[-1], flush=True)
    lines.append("")
    for (name, _), other in zip(STRUCTURES[1:], scores[1:], strict=True):
        both = sorted(scores[0].keys() & other.keys())
        gaps = np.array([scores[0][k] - other[k] for k in both])
        error = gaps.std(ddof=1) * np.sqrt(len(gaps))
        lines.append(
            f"first structure less '{name}': {gaps.sum():+.1f} (standard error {error:.1f}) over {len(gaps)} results, "
            f"higher for {(gaps > 0).sum()}: {_words(float(gaps.sum()), float(error))}"
        )
    atomic_write(OUT, "\n".join(lines) + "\n")
    print("\n".join(lines[-2:]))


def _words(gap: float, error: float) -> str:
    if abs(gap) < 2 * error:
        return "the held-out results do not tell them apart"
    return "the held-out results speak for the first" if gap > 0 else "the held-out results speak for the second"


if __name__ == "__main__":
    main()
