"""Survey-weighted population summaries and study figures from NHANES.

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
crp_mgL, crp_below_lod   LBXHSCRP, LBDHRPLC           mg/L, 1 below the limit of detection; before 2011
                                                      LBXCRP in mg/dL, multiplied by 10 for this table
SDMVSTRA, SDMVPSU        SDMVSTRA, SDMVPSU            stratum and primary unit of the sample
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

Only summaries leave this script. Run it as ``python scripts/nhanes_summaries.py TABLE``; it prints the figures that
``population.toml`` quotes. The figures of the study files come from ``study_summary``, which
``individual_summaries.py`` calls, and the reference ranges from ``reference_ranges.py``. Standard errors are those of
the survey's design (`crosstalk.statistics.survey`).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstalk.errors import PanelError
from crosstalk.statistics import survey

Array = NDArray[np.float64]


def weighted_quantile(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Return the quantiles of weighted values, interpolated between the midpoints of their weights."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    position = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
    return np.asarray(np.interp(shares, position, values))


def read_adults(path: Path) -> pd.DataFrame:
    """Read the table; drop pregnant women and those never examined; add HOMA-IR and the natural log of CRP.

    Raises
    ------
    ValueError
        If CRP does not look like mg/L: no population of adults has a median outside 0.5 to 5.
    """
    table = pd.read_csv(path, low_memory=False)
    table = table[(table["age"] >= 18) & (table["pregnancy_code"] != 1) & (table["WTMEC2YR"] > 0)].copy()
    # SAS writes a zero as 5.4e-79
    numeric = table.select_dtypes("number").columns
    table[numeric] = table[numeric].mask(table[numeric].abs() < 1e-70, 0.0)
    if not 0.5 < (middle := table["crp_mgL"].median()) < 5:
        raise ValueError(f"{path}: the median of crp_mgL is {middle:g}, expected 0.5 to 5 mg/L; convert it from mg/dL")
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


# Figures of the study files

CRP_HIGH = 3.0  # mg/L
HOMA_HIGH = 2.5
BMI_BANDS = ((None, 25), (25, 30), (30, 35), (35, None))
HOMA_BANDS = ((None, 25), (25, 30), (30, None))
DESIGN_ERROR = "Taylor linearisation over the survey's strata and primary units"


@dataclass(frozen=True)
class Figure:
    """A survey-weighted figure, its standard error (for odds of the logarithm) and the people behind it."""

    value: float
    se: float
    n: int


def design_error(scores: Array, table: pd.DataFrame) -> float:
    """Return the standard error of a statistic from its linearised scores, 0 for people who are not in it."""
    try:
        return survey.SurveyDesign.of(table["SDMVSTRA"], table["SDMVPSU"], np.ones(len(table))).error(scores)
    except PanelError as error:
        raise ValueError(str(error)) from None


def share(table: pd.DataFrame, yes: pd.Series, group: pd.Series, weight: str = "WTMEC2YR") -> Figure:
    """Return the weighted share of a group for which ``yes`` is 1; NaN is unknown."""
    found = survey.mean(survey.SurveyDesign.of_table(table, weight), yes, group)
    return Figure(found.value, found.se, found.n)


def odds_ratio(
    table: pd.DataFrame, yes: pd.Series, first: pd.Series, second: pd.Series, weight: str = "WTMEC2YR"
) -> Figure:
    """Return the odds ratio of ``yes`` in the first group against the second."""
    design = survey.SurveyDesign.of_table(table, weight)
    (a, a_scores, in_a), (b, b_scores, in_b) = (survey.mean_scores(design, yes, group) for group in (first, second))
    scores = a_scores / (a * (1 - a)) - b_scores / (b * (1 - b))
    return Figure(a * (1 - b) / (b * (1 - a)), design.error(scores), int(in_a.sum() + in_b.sum()))


def at_least(values: pd.Series, threshold: float) -> pd.Series:
    """Return 1.0 or 0.0, NaN where the value is unknown."""
    return (values >= threshold).astype(float).where(values.notna())


def _band(values: pd.Series, low: float | None, high: float | None) -> pd.Series:
    return (values >= (low or 0)) & (values < (high or np.inf))


def study_summary(table: pd.DataFrame, source: str) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """Return what the head of a study file says of the people, its results, and the lines to print.

    Controls are those whom the model calls healthy: as in the reference rows, with a BMI under 30.
    """
    depressed = table["phq9"] >= 10
    healthy = is_reference(table) & (table["bmi"] < 30)
    rows: list[dict[str, Any]] = []

    def add(arm: str, of: str, threshold: float, group: pd.Series, stratum: tuple[float | None, float | None]) -> None:
        column, weight = ("crp_mgL", "WTMEC2YR") if of == "hsCRP" else ("homa", "WTSAF2YR")
        part = group if stratum == (None, None) else group & _band(table["bmi"], *stratum)
        found = share(table, at_least(table[column], threshold), part, weight)
        row: dict[str, Any] = {"endpoint": "prevalence", "of": of, "week": 0, "arm": arm, "threshold": threshold}
        if stratum != (None, None):
            limits = {key: bound for key, bound in zip(("min", "max"), stratum, strict=True) if bound is not None}
            row["stratum"] = {"analyte": "BMI", **limits, "unit": "kg/m^2"}
        row |= {"value": found.value, "unit": "fraction", "se": found.se, "se_source": DESIGN_ERROR}
        rows.append(row | {"source": f"{source}, n = {found.n}"})

    for arm, group in (("depressed", depressed), ("healthy", healthy)):
        for threshold in (1.0, CRP_HIGH, 10.0):
            add(arm, "hsCRP", threshold, group, (None, None))
    for band in BMI_BANDS:
        add("depressed", "hsCRP", CRP_HIGH, depressed, band)
    odds = odds_ratio(table, at_least(table["crp_mgL"], CRP_HIGH), depressed & (table["bmi"] < 30), healthy)
    rows.append(
        {"endpoint": "odds-ratio", "of": "hsCRP", "week": 0, "arm": "depressed", "versus": "healthy",
         "threshold": CRP_HIGH, "stratum": {"analyte": "BMI", "max": 30, "unit": "kg/m^2"}, "value": odds.value,
         "se": odds.se, "se_source": f"{DESIGN_ERROR}, of the logarithm", "source": f"{source}, n = {odds.n}"}
    )  # fmt: skip
    add("healthy", "HOMA-IR", HOMA_HIGH, healthy, (None, None))
    for band in HOMA_BANDS:
        add("depressed", "HOMA-IR", HOMA_HIGH, depressed, band)
    for row in rows:
        near = "near" if row["of"] == "HOMA-IR" or row["arm"] == "depressed" else "exact"
        row |= {"provenance": "seen", "figure": "computed", "mismatch": {
            "indication": "near" if row["arm"] == "depressed" else "exact", "species": "human", "design": near,
            "quality": "observational"}}  # fmt: skip
    known = table[depressed]
    score, bmi = (moments(known[name], known["WTMEC2YR"]) for name in ("phq9", "bmi"))
    has_crp = table["crp_mgL"].notna()
    head = {
        "population.severity.mean": score[0], "population.severity.sd": score[1],
        "population.bmi.mean": bmi[0], "population.bmi.sd": bmi[1],
        "arm.depressed.n": int((depressed & has_crp).sum()), "arm.healthy.n": int((healthy & has_crp).sum()),
    }  # fmt: skip
    return head, rows, [*_log_lines(table, depressed, healthy), *_contrast_lines(table, depressed, healthy)]


def _log_lines(table: pd.DataFrame, depressed: pd.Series, healthy: pd.Series) -> list[str]:
    """Return moments of the logarithms, and how CRP and HOMA-IR go with BMI, by group."""
    lines = []
    groups = {"PHQ-9 >= 10": depressed, "PHQ-9 < 10": table["phq9"] < 10, "PHQ-9 < 5": table["phq9"] < 5,
              "healthy, BMI < 30": healthy}  # fmt: skip
    for name, mask in groups.items():
        group = table[mask]
        weight, fasting = group["WTMEC2YR"], group["WTSAF2YR"].fillna(0.0)
        homa, log_homa = group["homa"].where(fasting > 0), np.log(group["homa"]).where(fasting > 0)
        for label, values, weights in (
            ("log CRP [mg/L]", group["log_crp"], weight),
            ("log BMI [kg/m2]", np.log(group["bmi"]), weight),
            ("PHQ-9", group["phq9"], weight),
            ("log HOMA-IR", log_homa, fasting),
        ):
            mean, sd = moments(values, weights)
            lines.append(f"  {name}: {label}: mean {mean:.3f}, SD {sd:.3f}, n = {int(values.notna().sum())}")
        lines += [
            f"  {name}: correlation of BMI with log CRP {correlation(group['bmi'], group['log_crp'], weight):.3f}, "
            f"with CRP {correlation(group['bmi'], group['crp_mgL'], weight):.3f}, "
            f"with log HOMA-IR {correlation(group['bmi'], log_homa, fasting):.3f}",
            f"  {name}: correlation of PHQ-9 with log CRP {correlation(group['phq9'], group['log_crp'], weight):.3f}",
        ]
        for low, high in HOMA_BANDS:
            part = homa[_band(group["bmi"], low, high) & homa.notna()]
            if len(part) >= 10:
                middle = weighted_quantile(part.to_numpy(), fasting[part.index].to_numpy(), (0.5,))[0]
                band = f"BMI {low or 0} to {high or 'open'}"
                lines.append(f"  {name}: {band}: median HOMA-IR {middle:.2f}, n = {len(part)}")
    return lines


def _contrast_lines(table: pd.DataFrame, depressed: pd.Series, healthy: pd.Series) -> list[str]:
    """Return shares above 3 mg/L and odds ratios, against several groups of controls."""
    high, slim = at_least(table["crp_mgL"], CRP_HIGH), table["bmi"] < 30
    rest = table["phq9"] < 10
    lines = []
    for name, group in (("PHQ-9 >= 10", depressed), ("PHQ-9 < 10", rest), ("PHQ-9 < 10, BMI < 30", rest & slim),
                        ("PHQ-9 >= 10, BMI < 30", depressed & slim), ("healthy, BMI < 30", healthy)):  # fmt: skip
        found = share(table, high, group)
        lines.append(f"  {name}: CRP of 3 mg/L or more {found.value:.3f} (SE {found.se:.3f}), n = {found.n}")
    for name, first, second in (
        ("PHQ-9 >= 10 against < 10", depressed, rest),
        ("PHQ-9 >= 10 against < 10, BMI < 30", depressed & slim, rest & slim),
        ("PHQ-9 >= 10 with BMI < 30 against healthy", depressed & slim, healthy),
        ("PHQ-9 >= 10 against healthy, BMI not matched", depressed, healthy),
    ):
        odds = odds_ratio(table, high, first, second)
        lines.append(f"  odds ratio of CRP of 3 mg/L or more, {name}: {odds.value:.3f}, SE of its log {odds.se:.3f}")
    return lines


def main() -> None:
    """Print the population figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="joined NHANES 2017-2018 table (csv or csv.gz)")
    adults = read_adults(parser.parse_args().table)
    groups = {
        "health (as in the reference rows), BMI under 30": adults[is_reference(adults) & (adults["bmi"] < 30)],
        "PHQ-9 < 5": adults[adults["phq9"] < 5],
        "PHQ-9 >= 10": adults[adults["phq9"] >= 10],
    }
    for name, group in groups.items():
        print("\n".join(population_lines(group, name)))


if __name__ == "__main__":
    main()
