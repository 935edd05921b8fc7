"""Panels of extreme values through every report: what is read is shown, whatever the values."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from attack.mutants import Rng, outcome
from attack.registry import Tally, attack

SMALL = 400  # virtual patients: reports are tried, not numbers
NUMBERS = ("0", "1e-300", "1e-9", "0.001", "0.9999999", "1", "3.3", "1e3", "99999", "1e9", "1e300", "-1")
COLUMNS = "patient,analyte,value,unit,lod,lloq,uloq,cv,qc,specimen,confirmed"


def panel(rng: Rng, patients: int) -> str:
    """A long table of some analytes, most of them as people have them and some of them far from it."""
    from crosstalk.knowledge.loader import load_knowledge

    analytes = list(load_knowledge().analytes.values())
    rows = [COLUMNS]
    for who in range(patients):
        for i in rng.choice(len(analytes), int(rng.integers(1, 9)), replace=False):
            a = analytes[int(i)]
            low, high = a.plausible
            usual = low + (high - low) * rng.random() ** 4
            value = str(rng.choice(NUMBERS)) if rng.random() < 0.2 else f"{usual:.4g}"
            sign = str(rng.choice(["", "", "", "<", ">"])) if a.kind == "laboratory" else ""
            if rng.random() < 0.1 and a.kind == "laboratory":
                value, sign = f"{value}..{float(rng.lognormal(3, 2)):.4g}", ""
            unit = "" if a.unit in ("dimensionless", "points") else a.unit
            limits = [f"{rng.lognormal(0, 2):.3g}" if rng.random() < 0.15 else "" for _ in range(3)]
            limits = limits if a.kind == "laboratory" else ["", "", ""]
            cv = str(rng.choice(["", "", "5%", "0%", "900%"])) if a.kind == "laboratory" else ""
            quality = str(rng.choice(["", "", "ok", "warn", "fail"]))
            confirmed = "yes" if rng.random() < 0.8 else ""
            name = "female" if a.id == "sex" else f"{sign}{value}"
            rows.append(",".join([f"P{who}", a.id, name, unit, *limits, cv, quality, "", confirmed]))
        if rng.random() < 0.7:
            rows.append(f"P{who},HAMD17,{int(rng.choice([0, 4, 7, 12, 20, 24, 30, 39, 52]))},,,,,,,,")
    return "\n".join(rows) + "\n"


@attack("reports", "panels of extreme values through every report of patients and cohorts", count=500)
def reports(rng: Rng, count: int) -> Tally:
    from rich.console import Console

    from crosstalk.panel.reader import read_panel
    from crosstalk.report.cohort import cohort_csv, cohort_html, cohort_json
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html, forecast_html
    from crosstalk.report.terminal import render_assessment, render_cohort, render_forecast
    from crosstalk.twin import assess, assess_cohort, forecast

    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.csv"
        for _ in tally.tries(count):
            several = bool(rng.random() < 0.3)
            path.write_text(panel(rng, int(rng.integers(2, 9)) if several else 1), encoding="utf-8")
            forecasts = bool(rng.random() < 0.4)

            def act(several: bool = several, forecasts: bool = forecasts) -> str:
                screen = Console(file=io.StringIO(), width=100)
                file = read_panel(path, batch=True)
                if several and len(file.panels) > 1:
                    cohort = assess_cohort(file, virtual_patients=SMALL)
                    made = [cohort_json(cohort), cohort_html(cohort), cohort_csv(cohort)]
                    render_cohort(cohort, screen)
                elif forecasts:
                    found = forecast(file.panels[0], regimens=["placebo"], weeks=4, virtual_patients=SMALL)
                    made = [dump(found), forecast_html(found)]
                    render_forecast(found, screen)
                else:
                    assessed = assess(file.panels[0], virtual_patients=SMALL)
                    made = [dump(assessed), assessment_html(assessed)]
                    render_assessment(assessed, screen)
                if any(word in made[0] for word in ("NaN", "Infinity")):
                    return "the JSON holds a number that JSON does not have"
                lost = [p.patient for p in file.panels if several and f'"{p.patient}"' not in made[0]]
                return f"{lost} are in no report" if lost else ""

            outcome(tally, path.read_text(encoding="utf-8")[len(COLUMNS) :][:300], act)
    return tally
