"""How far forecasts of the two example panels differ between seeds. Run: python scripts/still_forecasts.py.

Each seed has a virtual population and a library of courses of its own, which takes a minute or two on two idle cores
for all regimens and is kept. ``--regimens`` takes fewer, ``--seeds`` says how many.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from crosstalk import forecast, read_panel
from crosstalk.engine import get_engine
from crosstalk.panel.reader import one_patient
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.records import Forecast

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("depression_inflamed", "depression_uninflamed")
MADE = {
    "CRP 8, IL-6 4, BMI 33": {"hsCRP": 8.0, "IL-6": 4.0, "BMI": 33.0, "HAMD17": 24.0},
    "CRP 0.4, IL-6 0.8, BMI 22": {"hsCRP": 0.4, "IL-6": 0.8, "BMI": 22.0, "HAMD17": 24.0},
}


def main() -> None:
    """Forecast every panel with every seed, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--regimens", nargs="*", default=[])
    options = parser.parse_args()
    panels = {n: one_patient(read_panel(ROOT / "examples" / "panels" / f"{n}.csv")) for n in NAMES}
    panels |= {n: Panel(n, {k: Measurement(k, v) for k, v in values.items()}) for n, values in MADE.items()}
    engine = get_engine()
    found: dict[str, list[Forecast]] = {name: [] for name in panels}
    for seed in range(1, options.seeds + 1):
        for name, panel in panels.items():
            forecast(panel, regimens=options.regimens, seed=seed, engine=engine)  # the library, the first time
            start = time.process_time()
            result = forecast(panel, regimens=options.regimens, seed=seed, engine=engine)
            spent = time.process_time() - start
            found[name].append(result)
            own = next(r for r in result.regimens if r.id == result.reference)
            p, chance = own.response, result.monte_carlo
            print(
                f"seed {seed}, {name}: {own.id} {p.mean:.1%} ({p.lo90:.1%} to {p.hi90:.1%}), change "
                f"{own.change.mean:+.2f}; stated error {chance.response:.2%}, {chance.change:.2f} points, "
                f"{chance.width:.0%} of the width; effective sample {chance.effective_sample:.0f}; {spent:.2f} s",
                flush=True,
            )
    engine.close()
    print("\nover seeds, of the regimen that differs most: SD of response, ratio of widths, range of the mean change")
    for name, results in found.items():
        print(f"{name}: {spread(results)}")


def spread(results: list[Forecast]) -> str:
    """What differs between seeds, of the regimen that differs most in each."""
    rows = list(zip(*(f.regimens for f in results), strict=True))
    sd = max(np.std([r.response.mean for r in row], ddof=1) for row in rows)
    widths = [[r.response.hi90 - r.response.lo90 for r in row] for row in rows]
    ratio = max(max(w) / min(w) for w in widths)
    change = max(np.ptp([r.change.mean for r in row]) for row in rows)
    return f"{100 * sd:.2f} percentage points, {ratio:.2f}, {change:.2f} points"


if __name__ == "__main__":
    main()
