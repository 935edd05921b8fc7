"""Reference ranges in health from NHANES: survey-weighted percentiles by sex, age and BMI.

Run it as ``python scripts/reference_ranges.py TABLE`` with the joined table of 2017-2018 that ``nhanes_summaries.py``
describes; it prints ``ranges.tsv``. ``--write`` puts it into the package, ``--check`` compares. The table and not the
folder of transport files is the input, since health is defined by diabetes and medicines too; the tests show that the
two agree in every column that both hold. Only summaries leave this script.

Percentiles are those of R's ``svyquantile`` (`crosstalk.statistics.survey.quantile`), and so is the standard error of
the median. The effective number is that of a simple random sample with the same error of the share below the median, at
most Kish's number for the weights. Rows are by sex, by sex and age, and by sex and BMI, where the effective number is
at least 40: with fewer, less than one person lies beyond the 2.5th percentile. Rows by sex, age and BMI need 120, the
least that CLSI EP28-A3c accepts. Of the two families of rows, that which tells more of the spread comes first, since
the first of equally narrow rows is the one that a person is held against.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import nhanes_summaries as nhanes
import numpy as np
import pandas as pd

from crosstalk.knowledge.separated import RANGE_COLUMNS
from crosstalk.provenance import atomic_write
from crosstalk.statistics import survey

TARGET = Path(__file__).resolve().parent.parent / "src" / "crosstalk" / "knowledge" / "ranges.tsv"
HEADER = """\
# Reference ranges in health: survey-weighted percentiles of NHANES 2017-2018, in the unit of the analyte. Written by
# scripts/reference_ranges.py; docs/ranges.md explains them. Adults with a PHQ-9 under 5, no known diabetes, none of
# antidepressant, glucocorticoid, TNF inhibitor, interferon and metformin, not pregnant. Rows for all BMI are of people
# with a BMI under 30 (but for body size); the rows for a BMI of 30 and over serve comparison with people of like size.
"""
PLACE = "NHANES 2017-2018, scripts/reference_ranges.py"
SEXES = {"female": 2, "male": 1}
AGES = ((18, 40), (40, 60), (60, 120))
BMIS = ((0, 25), (25, 30), (30, 100))
ALL_AGES, ALL_BMI, HEALTHY_BMI = (18, 120), (0, 100), (0, 30)
LEAST, LEAST_CROSSED = 40, 120
DIGITS = 4  # significant
SHARES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True)
class Measure:
    """One analyte: its column, how it was measured, which weight belongs to it, and whether it is body size itself."""

    analyte: str
    column: str
    assay: str
    specimen: str
    weight: str = "WTMEC2YR"
    body: bool = False


COUNT = ("automated cell count", "blood")
MEASURES = (
    Measure("hsCRP", "crp_mgL", "high-sensitivity immunoassay", "serum"),
    Measure("WBC", "wbc_1e9L", *COUNT),
    Measure("neutrophils", "neut_1e9L", *COUNT),
    Measure("lymphocytes", "lymph_1e9L", *COUNT),
    Measure("monocytes", "mono_1e9L", *COUNT),
    Measure("platelets", "platelets_1e9L", *COUNT),
    Measure("NLR", "nlr", *COUNT),
    Measure("MLR", "mlr", *COUNT),
    Measure("PLR", "plr", *COUNT),
    Measure("SII", "sii", *COUNT),
    Measure("glucose", "glucose_fast_mgdl", "hexokinase", "plasma, fasting", "WTSAF2YR"),
    Measure("insulin", "insulin_uUml", "immunoassay", "serum, fasting", "WTSAF2YR"),
    Measure("HOMA-IR", "homa", "HOMA1 from immunoassay insulin", "serum, fasting", "WTSAF2YR"),
    Measure("HbA1c", "hba1c_pct", "high-performance liquid chromatography", "blood"),
    Measure("triglycerides", "tg_serum_nonfast_mgdl", "enzymatic", "serum, not fasting"),
    Measure("HDL", "hdl_mgdl", "direct immunoassay", "serum"),
    Measure("cholesterol", "tchol_mgdl", "enzymatic", "serum"),
    Measure("BMI", "bmi", "measured", "body", body=True),
    Measure("weight", "weight_kg", "measured", "body", body=True),
    Measure("height", "height_cm", "measured", "body", body=True),
    Measure("waist", "waist_cm", "measured", "body", body=True),
)


def effective_number(design: survey.SurveyDesign, values: pd.Series, median: float, group: pd.Series) -> float:
    """Return the size of a simple random sample that would tell as much about the share below the median."""
    part = group & values.notna() & (design.weights > 0)
    weights = design.weights[part]
    kish = float(weights.sum() ** 2 / (weights**2).sum())
    below = survey.mean(design, (values <= median).astype(float), part)
    return min(kish, below.value * (1 - below.value) / below.se**2) if below.se > 0 else kish


def explained(values: pd.Series, weights: pd.Series, by: pd.Series, bands: tuple[tuple[int, int], ...]) -> float:
    """Return the share of the variance of the logarithm that lies between bands."""
    logs = np.log(values.where((values > 0) & (weights > 0)))
    mean, sd = nhanes.moments(logs, weights)
    between = 0.0
    for low, high in bands:
        part = by.between(low, high, inclusive="left") & logs.notna()
        between += weights[part].sum() * (nhanes.moments(logs[part], weights[part])[0] - mean) ** 2
    return float(between / weights[logs.notna()].sum() / sd**2)


def bands(health: pd.DataFrame, measure: Measure) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the bands of age and BMI of a measure, those that tell more of its spread first."""
    by_age, by_bmi = [(age, ALL_BMI) for age in AGES], [(ALL_AGES, bmi) for bmi in BMIS]
    if measure.body:
        return [*by_age, (ALL_AGES, ALL_BMI)]
    parts = [health[health["sex"] == code] for code in SEXES.values()]
    age, bmi = (
        sum(explained(part[measure.column], part[measure.weight].fillna(0), part[column], limits) for part in parts)
        for column, limits in (("age", AGES), ("bmi", BMIS))
    )
    one_way = [*by_bmi, *by_age] if bmi > age else [*by_age, *by_bmi]
    return [*product(AGES, BMIS), *one_way, (ALL_AGES, ALL_BMI)]


def rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield the rows of ``ranges.tsv``."""
    health = nhanes.is_reference(table)
    designs = {weight: survey.SurveyDesign.of_table(table, weight) for weight in ("WTMEC2YR", "WTSAF2YR")}
    for measure in MEASURES:
        design, values = designs[measure.weight], table[measure.column]
        for (sex, code), (age, bmi) in product(SEXES.items(), bands(table[health], measure)):
            group = health & (table["sex"] == code) & table["age"].between(*age, inclusive="left")
            if not measure.body:
                limits = HEALTHY_BMI if bmi == ALL_BMI else bmi
                group &= table["bmi"].between(*limits, inclusive="left")
            found = [survey.quantile(design, values, share, group) for share in SHARES]
            n_effective = effective_number(design, values, found[2].value, group)
            if n_effective < (LEAST_CROSSED if age != ALL_AGES and bmi != ALL_BMI else LEAST):
                continue
            error = "" if np.isnan(found[2].se) else f"{found[2].se:.2g}"
            cells = (
                measure.analyte, measure.assay, measure.specimen, sex, *map(str, age), *map(str, bmi),
                str(found[2].n), f"{n_effective:.0f}", *(f"{e.value:.{DIGITS}g}" for e in found), error,
                "derived", "", PLACE,
            )  # fmt: skip
            yield dict(zip(RANGE_COLUMNS, cells, strict=True))


def text(table: pd.DataFrame) -> str:
    """Return the whole of ``ranges.tsv``."""
    lines = ["\t".join(RANGE_COLUMNS), *("\t".join(row.values()) for row in rows(table))]
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    """Print, check or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="joined NHANES 2017-2018 table (csv or csv.gz)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the package; exit 1 where it differs")
    what.add_argument("--write", action="store_true", help="write the table into the package")
    options = parser.parse_args()
    try:
        found = text(nhanes.read_adults(options.table))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"reference_ranges: {error}")
    if options.write:
        atomic_write(TARGET, found)
    elif not options.check:
        sys.stdout.write(found)
    elif found != TARGET.read_text(encoding="utf-8"):
        sys.exit(f"reference_ranges: {TARGET} is not what the data say; write it again")


if __name__ == "__main__":
    main()
