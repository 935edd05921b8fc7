"""Predict PHQ-9 of 10 or more from a panel: learnt in NHANES 2007-2008, locked, applied to 2017-2018.

The tables are those of ``nhanes_summaries.py``: one row per adult, columns as listed there. Only summaries leave this
script. Run it as ``python scripts/nhanes_prediction.py TRAINING VALIDATION``; it writes
``docs/results/nhanes_prediction.txt``, in about half a minute.

The validation has survey weights: discrimination and calibration are those of the population of the later years, with
standard errors of the survey's design (`crosstalk.statistics.survey`). The AUC is the weighted share of pairs in the
right order; its linearised scores are the weighted DeLong components. Training is unweighted.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from crosstalk.learn.cohort import Cohort, CohortColumns, read_cohort
from crosstalk.learn.evaluation import compare, conclude, results
from crosstalk.learn.ladder import lightly, run_ladder
from crosstalk.learn.locked import LockedModel, apply, freeze, shift
from crosstalk.provenance import atomic_write
from crosstalk.statistics.calibration_curve import calibration
from crosstalk.statistics.metrics import Z95, auc
from crosstalk.statistics.survey import SurveyDesign, mean, ratio

Array = NDArray[np.float64]
OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "nhanes_prediction.txt"

ANALYTES = {
    "bmi": "BMI [kg/m2]", "crp_mgL": "hsCRP [mg/L]", "neut_1e9L": "neutrophils [10*9/L]",
    "lymph_1e9L": "lymphocytes [10*9/L]", "mono_1e9L": "monocytes [10*9/L]", "platelets_1e9L": "platelets [10*9/L]",
    "hba1c_pct": "HbA1c [%]", "hdl_mgdl": "HDL [mg/dL]", "tchol_mgdl": "cholesterol [mg/dL]",
}  # fmt: skip
CUT_OFF = 10  # moderate depression: Kroenke et al. 2001, doi 10.1046/j.1525-1497.2001.016009606.x
RUNGS = ("clinical", "crp", "panel")
FOLDS, REPEATS, SEED = 5, 4, 1


def read_table(path: Path) -> pd.DataFrame:
    """Adults with a complete PHQ-9 who were examined and are not pregnant."""
    table = pd.read_csv(path)
    return table[(table["phq9_n_items"] == 9) & (table["WTMEC2YR"] > 0) & (table["pregnancy_code"] != 1)].reset_index()


def to_cohort(table: pd.DataFrame, folder: Path, name: str) -> Cohort:
    """The cohort as `crosstalk learn` would read it from a file."""
    out = pd.DataFrame({"patient": table["SEQN"].astype(int), "age": table["age"].astype(int)})
    out["sex"] = np.where(table["sex"] == 2, "female", "male")
    for column, header in ANALYTES.items():
        out[header] = table[column].map(lambda v: "" if pd.isna(v) else f"{v:.6g}")
    below = (table["crp_below_lod"] == 1) & table["crp_mgL"].notna()
    out.loc[below, ANALYTES["crp_mgL"]] = "<" + table.loc[below, "crp_lod_mgL"].map("{:g}".format)
    out["smoking"] = table["smoking"].fillna("")
    out["depressed"] = np.where(table["phq9_total"] >= CUT_OFF, "yes", "no")
    path = folder / f"{name}.csv"
    out.to_csv(path, index=False)
    return read_cohort(path, CohortColumns("depressed", covariates=("smoking",)))


def weighted_auc(design: SurveyDesign, y: Array, p: Array) -> tuple[float, float]:
    """AUC of the population with its design-based standard error."""
    w = design.weights
    order = np.argsort(p, kind="stable")
    below, above = np.empty(len(y)), np.empty(len(y))
    for weights, target in ((w * (y == 0), below), (w * (y == 1), above)):
        total = np.concatenate([[0.0], np.cumsum(weights[order])])
        first = np.searchsorted(p[order], p, side="left")
        last = np.searchsorted(p[order], p, side="right")
        under = (total[first] + total[last]) / 2 / total[-1]
        target[:] = under
    component = np.where(y == 1, below, 1 - above)
    value = float(np.average(below[y == 1], weights=w[y == 1]))
    scores = np.where(y == 1, w / w[y == 1].sum(), w / w[y == 0].sum()) * (component - value)
    return value, design.error(scores)


def weighted_calibration(design: SurveyDesign, y: Array, p: Array) -> Iterator[tuple[str, float, float]]:
    """Intercept with slope 1, and slope, by weighted logistic regression with linearised errors."""
    lp, w = logit(p), design.weights / design.weights.mean()
    for name, x, offset in (
        ("calibration in the large [logit]", np.ones((len(y), 1)), lp),
        ("calibration slope", np.column_stack([np.ones(len(y)), lp]), np.zeros(len(y))),
    ):
        beta = np.zeros(x.shape[1])
        for _ in range(60):
            mu = 1 / (1 + np.exp(-(x @ beta + offset)))
            bread = np.linalg.inv((x * (w * mu * (1 - mu))[:, None]).T @ x)
            beta = beta + bread @ (x.T @ (w * (y - mu)))
        scores = (x * (w * (y - mu))[:, None]) @ bread.T
        yield name, float(beta[-1]), design.error(np.ascontiguousarray(scores[:, -1]))


def external(model: LockedModel, cohort: Cohort, table: pd.DataFrame, say: Any) -> None:
    """Validate a locked model in the later years, unweighted and weighted."""
    p = np.clip([r.value for r in apply(model, cohort)], 1e-6, 1 - 1e-6)
    design = SurveyDesign.of_table(table)
    plain, fit = auc(cohort.y, p), calibration(cohort.y, p)
    say(f"\n{model.name} as locked, in 2017-2018: {len(cohort)} adults, {cohort.events} with the event")
    say(f"  AUC, sample                                  {plain.value:.3f} ({plain.low:.3f} to {plain.high:.3f})")
    value, se = weighted_auc(design, cohort.y, p)
    say(
        f"  AUC, population                              {value:.3f} ({value - Z95 * se:.3f} to {value + Z95 * se:.3f})"
    )
    e = fit.slope
    say(f"  calibration slope, sample                    {e.value:.2f} ({e.low:.2f} to {e.high:.2f})")
    for name, found, error in weighted_calibration(design, cohort.y, p):
        words = f"{name}, population"
        say(f"  {words:<44} {found:.2f} ({found - Z95 * error:.2f} to {found + Z95 * error:.2f})")
    observed, expected = mean(design, cohort.y), mean(design, p)
    over = ratio(design, cohort.y, p)
    say(f"  prevalence, population                       {observed.value:.3f}, predicted {expected.value:.3f}")
    low, high = over.interval()
    say(f"  observed over expected, population           {over.value:.2f} ({low:.2f} to {high:.2f})")
    brier, base = mean(design, (cohort.y - p) ** 2), observed.value * (1 - observed.value)
    say(f"  Brier score, population                      {brier.value:.4f}; of the prevalence alone {base:.4f}")
    moved = [f"{s.name} {s.difference:+.2f} SD" for s in shift(model, cohort) if s.shifted]
    say(f"  shifted predictors                           {', '.join(moved) or 'none'}")


def main(training: Path, validation: Path) -> str:
    """Learn, lock, validate; returns what is printed."""
    out = io.StringIO()

    def say(line: str) -> None:
        out.write(line + "\n")

    early, late = read_table(training), read_table(validation)
    with TemporaryDirectory() as folder, lightly():
        cohort, new = (to_cohort(t, Path(folder), n) for t, n in ((early, "training"), (late, "validation")))
        ladder = run_ladder(cohort, folds=FOLDS, repeats=REPEATS, seed=SEED, boosting=False)
        models = results(cohort, ladder)
        names = {r.id: r.name for r in ladder.rungs}
        say(f"PHQ-9 of {CUT_OFF} or more, NHANES 2007-2008: {len(cohort)} adults, {cohort.events} with the event")
        say(f"{REPEATS} x {FOLDS} folds, seed {SEED}; clinical: {', '.join((*cohort.clinical, *cohort.categories))};")
        say(f"panel: {', '.join(cohort.analytes)}")
        for m in models:
            p = m.performance
            if p is not None and p.auc is not None and p.calibration is not None:
                c = p.calibration.slope
                say(
                    f"  {m.name:<26} AUC {p.auc.value:.3f} ({p.auc.low:.3f} to {p.auc.high:.3f}), slope {c.value:.2f} "
                    f"({c.low:.2f} to {c.high:.2f})"
                )
        for line in conclude(cohort, models, compare(cohort, ladder), names):
            say(f"  {line}")
        for rung in RUNGS:
            external(freeze(cohort, ladder, rung), new, late, say)
    return out.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("validation", type=Path)
    given = parser.parse_args()
    text = main(given.training, given.validation)
    atomic_write(OUT, text)
    print(text, end="")
