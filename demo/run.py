"""The main job on real input: a cohort of ten survey participants, forecasts of four and of two groups, the page.

The panels are in ``examples/panels``: adults of NHANES 2017-2018 with depressive symptoms (public domain), and
published group means, typed with their source.
"""

from __future__ import annotations

import time
from pathlib import Path

from crosstalk import read_panel
from crosstalk.engine import Engine, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.page.accuracy import accuracy
from crosstalk.page.data import collect
from crosstalk.page.export import page_html
from crosstalk.panel.reader import one_patient
from crosstalk.panel.records import Panel, PanelFile
from crosstalk.provenance import atomic_write
from crosstalk.report.cohort import cohort_csv, cohort_html
from crosstalk.report.documents import dump
from crosstalk.report.html import forecast_html
from crosstalk.twin import assess_cohort, forecast

ROOT = Path(__file__).resolve().parent.parent
PANELS = ROOT / "examples" / "panels"
OUT = ROOT / "demo" / "output"
PAGE = OUT / "whatif.html"
SURVEY_PEOPLE = (0, 3, 6, 9)
"""Who of the ten is forecast: from the lowest CRP to the highest."""


def main() -> None:
    """Assess the cohort, forecast each panel, write the reports, print where they are."""
    started = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    survey = read_panel(PANELS / "nhanes_adults.csv")
    panels = [survey.panels[k] for k in SURVEY_PEOPLE]
    panels += [one_patient(read_panel(PANELS / f"depression_{name}.csv")) for name in ("inflamed", "uninflamed")]
    engine = get_engine()
    cohort(survey, engine)
    for panel in panels:
        tell(panel, engine)
    page(engine)
    engine.close()
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Reports (open in a browser):")
    for path in sorted(OUT.glob("*.html")):
        if path != PAGE:
            print(f"  {path}")
    print(f"What if, for any panel: {PAGE}")
    print("The same with your files, trials and published results: .venv/bin/crosstalk app")


def cohort(survey: PanelFile, engine: Engine) -> None:
    """Assess all of them together and write the report."""
    result = assess_cohort(survey, engine=engine)
    atomic_write(OUT / "cohort_nhanes.html", cohort_html(result))
    atomic_write(OUT / "cohort_nhanes.csv", cohort_csv(result))
    print(f"{len(survey.panels)} adults of NHANES 2017-2018 assessed together")


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


def page(engine: Engine) -> None:
    """Write the page that forecasts in the browser."""
    knowledge = load_knowledge()
    data = collect(knowledge, engine)
    atomic_write(PAGE, page_html(data, accuracy=accuracy(data, knowledge, engine).words()))


if __name__ == "__main__":
    main()
