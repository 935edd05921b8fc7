"""Fit the acute innate response to published endotoxin courses and print the rows for parameters.tsv.

Data (not part of the project): the mean course of TNF, IL-6 and IL-10 in 20 men after 2 ng/kg (Windoloski 2024,
doi 10.1113/EP091552, file ``lps_bolus_mean.csv``), and the ratios of the peaks at 0.3, 0.5 and 1 ng/kg to those at
2 ng/kg, read from the digitised means of Taudorf 2007, Dillingh 2014 and Kiers 2017. The baselines of the assays are
replaced by those of the model: what is fitted is the rise.

The calibration fits the same men again, so the values printed here only center priors that are wide (log-SD 0.7).

Usage: python scripts/fit_innate.py FOLDER_OF_THE_DATA
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from crosstalk.engine.ensemble import Event, Problem
from crosstalk.engine.reference import simulate_serial
from crosstalk.model.assembly import assemble

CYTOKINES = ("TNF", "IL6", "IL10")
TIMES = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0])
GRID = np.arange(0.0, 8.01, 0.25)
# error of a mean, as a log-SD, and the level [pg/mL] below which differences count little
LOG_SD, FLOOR = 0.25, {"TNF": 20.0, "IL6": 20.0, "IL10": 3.0}
WEIGHT = np.array([0.3, 1.5, 2, 2, 2, 1, 1, 1])
# peak at a lower dose over the peak at 2 ng/kg: dose, TNF (log-SD 0.2), IL-6 (log-SD 0.4)
RATIOS = ((0.5, 0.09, 0.20), (1.0, 0.50, 0.50), (0.3, 0.05, 0.12))
# log-SD of the priors around the values published with the model that this part follows
PRIOR = {
    "k_LPS": (1.01, 0.2), "k_AC": (2.67, 0.15), "K_TNF_act": (141.0, 0.4), "K_IL10_TNF": (15.5, 0.3),
    "K_TNF_burst": (261.0, 0.4), "k_TNF": (1.4, 0.3), "k_IL6": (0.66, 0.2), "k_IL10": (0.8, 0.2),
    "K_LPS": (3.3, 0.4), "K_IL10_IL6": (31.0, 0.4), "k_MSG6": (1.5, 0.4),
    "k_TLR": (1.0, 0.3),
}  # fmt: skip
FREE = ("k_act", "k_actTNF", "g_AC", "e_IL6", "e_IL6_TNF", "e_IL10", *PRIOR)

Array = NDArray[np.float64]


def read_means(folder: Path) -> dict[str, Array]:
    """Mean rise of each cytokine above its first value, plus the model's own baseline."""
    model = assemble()
    base = {"TNF": model.constants["TNF0"], "IL6": model.constants["IL6_0"], "IL10": model.constants["IL10_0"]}
    with (folder / "lps_bolus_mean.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    means = {}
    for name in CYTOKINES:
        course = np.array([float(r["mean_no_outliers_pg_ml"]) for r in rows if r["analyte"] == name])
        means[name] = course - course[0] + base[name]
    return means


def main(folder: Path) -> None:
    """Fit, then print the values and the peaks."""
    model, means = assemble(), read_means(folder)
    at = np.searchsorted(GRID, TIMES)

    def courses(dose: float, values: Array) -> Array:
        parameters = {n: np.array([v]) for n, v in zip(FREE, values, strict=True)}
        problem = Problem(model.sbml, 1, parameters, GRID, CYTOKINES, events=(Event(0.0, "LPS", dose),))
        return simulate_serial(problem, rtol=1e-7).values[0]

    def residuals(log_values: Array) -> Array:
        values = np.exp(log_values)
        high = courses(2.0, values)
        parts = []
        for j, name in enumerate(CYTOKINES):
            floor = FLOOR[name]
            parts.append(np.log((high[j, at] + floor) / (means[name] + floor)) * WEIGHT / LOG_SD)
            parts.append(np.array([np.log(high[j].max() / means[name].max()) / 0.1]))
        rise = high.max(axis=1) - high[:, 0]
        for dose, tnf, il6 in RATIOS:
            low = courses(dose, values)
            ratio = np.maximum(low.max(axis=1) - low[:, 0], 1e-3) / rise
            parts.append(np.log(ratio[:2] / np.array([tnf, il6])) / np.array([0.2, 0.4]))
        prior = [np.log(values[FREE.index(n)] / center) / sd for n, (center, sd) in PRIOR.items()]
        return np.nan_to_num(np.concatenate([*parts, np.array(prior)]), nan=1e2, posinf=1e2, neginf=-1e2)

    start = np.log([model.constants[n] for n in FREE])
    rng = np.random.default_rng(1)
    fits = [least_squares(residuals, start + rng.normal(0, s, len(start)), diff_step=1e-3) for s in (0.0, 0.3, 0.3)]
    best = min(fits, key=lambda f: f.cost)
    print(f"cost {best.cost:.2f}")
    for name, value in zip(FREE, np.exp(best.x), strict=True):
        print(f"{name}\t{value:.4g}")
    for dose in (2.0, 1.0, 0.5, 0.3):
        found = courses(dose, np.exp(best.x))
        print(
            dose,
            ", ".join(f"{n} {c.max():.4g} at {GRID[c.argmax()]:g} h" for n, c in zip(CYTOKINES, found, strict=True)),
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
