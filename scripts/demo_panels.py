"""Write examples/panels/nhanes_adults.csv: ten real adults with depressive symptoms, from low to high CRP.

From NHANES 2017-2018 (public domain), joined as one table: adults of 20 to 79 years with a PHQ-9 of 10 or more, all
nine items answered, no antidepressant, not pregnant, no known diabetes, and every analyte below measured. Sorted by
hs-CRP, those at the middle of each tenth are taken, so nobody chose them.

    python scripts/demo_panels.py nhanes_2017_2018_adults_raw.csv.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from crosstalk.provenance import atomic_write

OUT = Path(__file__).resolve().parent.parent / "examples" / "panels" / "nhanes_adults.csv"
PEOPLE = 10
COLUMNS = {
    "age [a]": "age", "BMI [kg/m2]": "bmi", "weight [kg]": "weight_kg", "height [cm]": "height_cm",
    "waist [cm]": "waist_cm", "hsCRP [mg/L]": "crp_mgL", "WBC [10*9/L]": "wbc_1e9L",
    "neutrophils [10*9/L]": "neut_1e9L", "lymphocytes [10*9/L]": "lymph_1e9L", "monocytes [10*9/L]": "mono_1e9L",
    "platelets [10*9/L]": "platelets_1e9L", "HbA1c [%]": "hba1c_pct", "HDL [mg/dL]": "hdl_mgdl",
    "cholesterol [mg/dL]": "tchol_mgdl", "PHQ9": "phq9_total",
}  # fmt: skip
HEAD = """\
# Ten adults of NHANES 2017-2018, National Center for Health Statistics (public domain), by their sequence number SEQN:
# PHQ-9 of 10 or more, no antidepressant, from low to high hs-CRP. Chosen and written by scripts/demo_panels.py.
"""


def main() -> None:
    table = pd.read_csv(sys.argv[1])
    fit = (
        (table["phq9_n_items"] == 9)
        & (table["phq9_total"] >= 10)
        & (table["rx_antidepressant"] == 0)
        & (table["pregnancy_code"] != 1)
        & (table["DIQ010_diabetes"] == 2)
        & table["age"].between(20, 79)
        & table[list(COLUMNS.values())].notna().all(axis=1)
    )
    people = table[fit].sort_values(["crp_mgL", "SEQN"])
    chosen = people.iloc[[int((k + 0.5) * len(people) / PEOPLE) for k in range(PEOPLE)]]
    lines = [",".join(["patient", "sex", *COLUMNS])]
    for _, person in chosen.iterrows():
        values = [f"{person[column]:g}" for column in COLUMNS.values()]
        if person["crp_below_lod"] == 1:
            values[list(COLUMNS).index("hsCRP [mg/L]")] = f"<{person['crp_lod_mgL']:g}"
        lines.append(",".join([f"NHANES-{person['SEQN']:.0f}", {1: "male", 2: "female"}[int(person["sex"])], *values]))
    atomic_write(OUT, HEAD + "\n".join(lines) + "\n")
    print(f"{OUT}: {len(chosen)} of {len(people)} who fit")


if __name__ == "__main__":
    main()
