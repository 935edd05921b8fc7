"""Survey-weighted reference ranges and population summaries from NHANES 2017-2018.

The input is one comma-separated table (it may be compressed), one row per adult, made by joining the public files of
the National Health and Nutrition Examination Survey on ``SEQN``. Columns and their names in NHANES:

======================== ============================ ===========================================
column                   NHANES                       meaning
======================== ============================ ===========================================
age, sex                 RIDAGEYR, RIAGENDR           years (80 and over are 80), 1 man 2 woman
pregnancy_code           RIDEXPRG                     1 pregnant
WTMEC2YR, WTSAF2YR       WTMEC2YR, WTSAF2YR           weight of the examined, of the fasting
bmi, waist_cm            BMXBMI, BMXWAIST             kg/m2, cm
weight_kg, height_cm     BMXWT, BMXHT                 kg, cm
crp_mgL, crp_below_lod   LBXHSCRP, LBDHRPLC           mg/L, 1 below the limit of detection
wbc_1e9L ...             LBXWBCSI ...                 blood count, 10*9/L
glucose_fast_mgdl        LBXGLU                       fasting plasma glucose, mg/dL
insulin_uUml             LBXIN                        fasting insulin, uIU/mL
hba1c_pct                LBXGH                        %
hdl_mgdl, tchol_mgdl     LBDHDD, LBXTC                mg/dL
tg_serum_nonfast_mgdl    LBXSTR                       triglycerides, not fasting, mg/dL
DIQ010_diabetes          DIQ010                       1 told by a doctor to have diabetes
phq9_total, phq9_n_items DPQ010 to DPQ090             sum of the nine items, number answered
rx_*                     RXDDRUG                      medicines of the past month, 1 taken
======================== ============================ ===========================================

Only summaries leave this script. Run it as ``python scripts/nhanes_summaries.py TABLE``; it prints the ``reference``
rows of ``analytes.toml`` and then the figures that ``population.toml`` quotes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PLACE = "NHANES 2017-2018, survey-weighted percentiles, scripts/nhanes_summaries.py"
AGES = ((18, 40), (40, 60), (60, 120))
SEXES = {"female": 2, "male": 1}
PERCENTILES = (0.025, 0.5, 0.975)


@dataclass(frozen=True)
class Measure:
    """One analyte: its column, how it was measured, and which weight belongs to it."""

    analyte: str
    column: str
    assay: str
    specimen: str
    digits: int
    weight: str = "WTMEC2YR"
    any_weight: bool = False


MEASURES = (
    Measure("hsCRP", "crp_mgL", "high-sensitivity immunoassay", "serum", 2),
    Measure("WBC", "wbc_1e9L", "automated cell count", "blood", 1),
    Measure("neutrophils", "neut_1e9L", "automated cell count", "blood", 1),
    Measure("lymphocytes", "lymph_1e9L", "automated cell count", "blood", 1),
    Measure("monocytes", "mono_1e9L", "automated cell count", "blood", 1),
    Measure("platelets", "platelets_1e9L", "automated cell count", "blood", 0),
    Measure("NLR", "nlr", "automated cell count", "blood", 2),
    Measure("glucose", "glucose_fast_mgdl", "hexokinase", "plasma, fasting", 0, "WTSAF2YR"),
    Measure("insulin", "insulin_uUml", "immunoassay", "serum, fasting", 1, "WTSAF2YR"),
    Measure("HOMA-IR", "homa", "HOMA1 from immunoassay insulin", "serum, fasting", 2, "WTSAF2YR"),
    Measure("HbA1c", "hba1c_pct", "high-performance liquid chromatography", "blood", 1),
    Measure("triglycerides", "tg_serum_nonfast_mgdl", "enzymatic", "serum, not fasting", 0),
    Measure("HDL", "hdl_mgdl", "direct immunoassay", "serum", 0),
    Measure("cholesterol", "tchol_mgdl", "enzymatic", "serum", 0),
    Measure("BMI", "bmi", "measured", "body", 1, any_weight=True),
    Measure("weight", "weight_kg", "measured", "body", 1, any_weight=True),
    Measure("height", "height_cm", "measured", "body", 1, any_weight=True),
    Measure("waist", "waist_cm", "measured", "body", 1, any_weight=True),
)


Array = NDArray[np.float64]


def weighted_quantile(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Return the quantiles of weighted values, interpolated between the midpoints of their weights."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    position = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    return np.asarray(np.interp(shares, position, values))


def read_adults(path: Path) -> pd.DataFrame:
    """Read the table; drop pregnant women and those never examined; add HOMA-IR and the natural log of CRP."""
    table = pd.read_csv(path)
    table = table[(table["age"] >= 18) & (table["pregnancy_code"] != 1) & (table["WTMEC2YR"] > 0)].copy()
    # SAS writes a zero as 5.4e-79
    numeric = table.select_dtypes("number").columns
    table[numeric] = table[numeric].mask(table[numeric].abs() < 1e-70, 0.0)
    table["homa"] = table["glucose_fast_mgdl"] * table["insulin_uUml"] / 405.0
    table["log_crp"] = np.log(table["crp_mgL"].where(table["crp_mgL"] > 0))
    table["female"] = (table["sex"] == 2).astype(float)
    table["phq9"] = table["phq9_total"].where(table["phq9_n_items"] == 9)
    return table


def is_reference(table: pd.DataFrame) -> pd.Series:
    """Tell who stands for health: few depressive symptoms, no known diabetes, no drug that changes immunity or mood."""
    drugs = ["rx_antidepressant", "rx_corticosteroid_sys", "rx_tnf_inhibitor", "rx_interferon", "rx_metformin"]
    free = (table[drugs].fillna(0) == 0).all(axis=1)
    return (table["phq9"] < 5) & (table["DIQ010_diabetes"] != 1) & free


def reference_rows(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return, by analyte, the rows of ``analytes.toml``."""
    health = table[is_reference(table)]
    rows: dict[str, list[str]] = {}
    for measure in MEASURES:
        people = health if measure.any_weight else health[health["bmi"] < 30]
        for sex, code in SEXES.items():
            for low, high in AGES:
                group = people[(people["sex"] == code) & (people["age"] >= low) & (people["age"] < high)]
                group = group[group[measure.column].notna() & (group[measure.weight] > 0)]
                lower, median, upper = weighted_quantile(
                    group[measure.column].to_numpy(), group[measure.weight].to_numpy(), PERCENTILES
                )
                digits = measure.digits
                rows.setdefault(measure.analyte, []).append(
                    f'{{ assay = "{measure.assay}", specimen = "{measure.specimen}", sex = "{sex}", '
                    f"age = [{low}, {high}], median = {median:.{digits}f}, p2_5 = {lower:.{digits}f}, "
                    f'p97_5 = {upper:.{digits}f}, n = {len(group)}, kind = "derived", place = "{PLACE}" }},'
                )
    return rows


def moments(values: pd.Series, weights: pd.Series) -> tuple[float, float]:
    """Return weighted mean and standard deviation."""
    known = values.notna()
    mean = np.average(values[known], weights=weights[known])
    return float(mean), float(np.sqrt(np.average((values[known] - mean) ** 2, weights=weights[known])))


def correlation(first: pd.Series, second: pd.Series, weights: pd.Series) -> float:
    """Return the weighted correlation."""
    known = first.notna() & second.notna()
    covariance = np.cov(first[known], second[known], aweights=weights[known])
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def biserial(binary: pd.Series, values: pd.Series, weights: pd.Series) -> float:
    """Return the correlation of the normal score behind a yes or no with a value (yes where the score is high)."""
    share = float(np.average(binary, weights=weights))
    density = NormalDist().pdf(NormalDist().inv_cdf(share))
    return float(correlation(binary, values, weights) * np.sqrt(share * (1 - share)) / density)


def regression(table: pd.DataFrame, outcome: str, terms: list[str]) -> tuple[pd.Series, float]:
    """Return the weighted least-squares slopes of ``terms`` and the standard deviation of the residual."""
    known = table.dropna(subset=[outcome, *terms])
    weight = np.sqrt(known["WTMEC2YR"].to_numpy())
    design = np.column_stack([np.ones(len(known)), known[terms].to_numpy()])
    target = known[outcome].to_numpy()
    slopes = np.linalg.lstsq(design * weight[:, None], target * weight, rcond=None)[0]
    residual = target - design @ slopes
    return pd.Series(slopes[1:], terms), float(np.sqrt(np.average(residual**2, weights=weight**2)))


def population_lines(table: pd.DataFrame, name: str) -> list[str]:
    """Return the figures of one group of adults, one per line."""
    weight = table["WTMEC2YR"]
    lines = [f"{name}: n = {len(table)}, women {np.average(table['female'], weights=weight):.3f}"]
    for label, values in (
        ("age [year]", table["age"]),
        ("BMI [kg/m2]", table["bmi"]),
        ("log BMI", np.log(table["bmi"])),
        ("height [cm]", table["height_cm"]),
        ("height of women [cm]", table["height_cm"].where(table["sex"] == 2)),
        ("height of men [cm]", table["height_cm"].where(table["sex"] == 1)),
        ("log CRP", table["log_crp"]),
    ):
        mean, sd = moments(values, weight)
        lines.append(f"  {label}: mean {mean:.3f}, SD {sd:.3f}")
    known = table["crp_mgL"].notna()
    crp, crp_weight = table.loc[known, "crp_mgL"].to_numpy(), weight[known].to_numpy()
    quantiles = weighted_quantile(crp, crp_weight, (0.05, 0.16, 0.25, 0.5, 0.75, 0.84, 0.95))
    above = {cut: float(np.average(crp > cut, weights=crp_weight)) for cut in (1, 3, 5, 10)}
    below = float(np.average(table.loc[known, "crp_below_lod"].fillna(0), weights=crp_weight))
    median_bmi = weighted_quantile(table["bmi"].dropna().to_numpy(), weight[table["bmi"].notna()].to_numpy(), (0.5,))
    lines += [
        f"  BMI: median {median_bmi[0]:.2f}",
        f"  CRP: n = {len(crp)}, below the limit of detection {below:.3f}",
        "  CRP: percentiles 5 16 25 50 75 84 95 [mg/L]: " + " ".join(f"{value:.2f}" for value in quantiles),
        f"  CRP: log-SD from percentiles 16 and 84: {np.log(quantiles[5] / quantiles[1]) / 2:.3f}",
        "  CRP: shares " + ", ".join(f"> {cut} mg/L {share:.3f}" for cut, share in above.items()),
    ]
    for first, second in (("log_crp", "bmi"), ("age", "bmi"), ("log_crp", "age"), ("age", "height_cm")):
        lines.append(f"  correlation {first}, {second}: {correlation(table[first], table[second], weight):.3f}")
    for name_ in ("height_cm", "bmi", "age", "log_crp"):
        lines.append(
            f"  correlation of normal scores female, {name_}: {biserial(table['female'], table[name_], weight):.3f}"
        )
    slopes, residual = regression(table, "log_crp", ["bmi", "age", "female"])
    shown = ", ".join(f"{term} {slope:.4f}" for term, slope in slopes.items())
    lines.append(f"  log CRP regressed on BMI, age, female: {shown}; residual SD {residual:.3f}")
    return lines


def main() -> None:
    """Print the reference rows and the population figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="joined NHANES 2017-2018 table (csv or csv.gz)")
    adults = read_adults(parser.parse_args().table)
    for analyte, rows in reference_rows(adults).items():
        print(f"# {analyte}\nreference = [")
        print("\n".join(f"  {row}" for row in rows))
        print("]")
    groups = {
        "health (as in the reference rows), BMI under 30": adults[is_reference(adults) & (adults["bmi"] < 30)],
        "PHQ-9 < 5": adults[adults["phq9"] < 5],
        "PHQ-9 >= 10": adults[adults["phq9"] >= 10],
    }
    for name, group in groups.items():
        print("\n".join(population_lines(group, name)))


if __name__ == "__main__":
    main()
