"""The README's picture and table: two patients under each regimen. Run: python scripts/readme_result.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from matplotlib.figure import Figure

from crosstalk import forecast, read_panel
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Panel
from crosstalk.report.drawing import BLUE, VERMILION
from crosstalk.twin.courses import benefit
from crosstalk.twin.estimate import Between
from crosstalk.twin.library import course_library
from crosstalk.twin.posterior import infer
from crosstalk.twin.records import Forecast
from crosstalk.twin.twin import VIRTUAL_PATIENTS, WEEKS, how_many_worlds

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "examples" / "panels" / "two_patients.csv"
WORDS = {"inflamed": "CRP 8, IL-6 4, BMI 33", "uninflamed": "CRP 0.4, IL-6 0.8, BMI 22"}
REFERENCE = "ssri"
ROWS = ("ssri", "placebo", "nortriptyline", "bupropion", "ketamine", "ssri-infliximab", "ssri-tocilizumab",
        "ssri-celecoxib", "ssri-minocycline")  # fmt: skip
Z90 = 1.644854


@dataclass(frozen=True)
class Profile:
    """A forecast, and the mean difference to the reference under each regimen with what worlds differ by."""

    forecast: Forecast
    gains: dict[str, Between]


def main() -> None:
    """Forecast both patients, write the picture, replace the table in the README."""
    engine = get_engine()
    panels = {p.patient: p for p in read_panel(FILE).panels}
    found = {words: profile(panels[name], engine) for name, words in WORDS.items()}
    engine.close()
    picture(found)
    readme = ROOT / "README.md"
    text = re.sub(
        r"(<!-- result -->\n).*?(<!-- end of result -->)",
        lambda m: m.group(1) + table(found) + m.group(2),
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    readme.write_text(text, encoding="utf-8")


def profile(panel: Panel, engine: Engine) -> Profile:
    """One patient: forecast, and the expected benefit of each regimen over that of the reference."""
    knowledge = load_knowledge()
    made = forecast(panel, engine=engine)
    posterior = infer(
        panel, knowledge, engine, seed=made.seed, virtual_patients=VIRTUAL_PATIENTS, worlds=how_many_worlds(knowledge)
    )
    library = course_library(posterior.population, knowledge, engine, tuple(knowledge.regimens.values()), weeks=WEEKS)
    twins = library.twins(posterior.log_weight, posterior.fit, posterior.scale, posterior.recorded)
    estimator = twins.estimator()
    return Profile(made, {name: estimator.between(benefit(twins, name, REFERENCE)) for name in ROWS[1:]})


def picture(found: dict[str, Profile]) -> None:
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axis = figure.subplots()
    looks = ((VERMILION, "o", 0.14), (BLUE, "s", -0.14))
    for (words, profiled), (colour, marker, shift) in zip(found.items(), looks, strict=True):
        for row, name in enumerate(reversed(ROWS[1:])):
            v = profiled.gains[name]
            axis.plot([v.mean - Z90 * v.sd, v.mean + Z90 * v.sd], [row + shift] * 2, color=colour, lw=1.6)
            axis.plot(v.mean, row + shift, marker, color=colour, ms=5.5, label=words if row == 0 else None)
    names = {r.id: r.name for r in next(iter(found.values())).forecast.regimens}
    axis.axvline(0, color="#777777", lw=1)
    axis.set_yticks(range(len(ROWS) - 1), [names[n] for n in reversed(ROWS[1:])])
    axis.set_xlabel("expected difference to escitalopram\nat week 12 [HAMD-17 points]; left is better")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside upper right", ncols=2, fontsize=8.5)
    (ROOT / "docs" / "images").mkdir(parents=True, exist_ok=True)
    figure.savefig(ROOT / "docs" / "images" / "two_profiles.png", dpi=160, metadata={"Software": None})


def table(found: dict[str, Profile]) -> str:
    header = ["regimen", *found, "first less second"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    results = [{r.id: r for r in p.forecast.regimens} for p in found.values()]
    first, second = (p.gains for p in found.values())
    told = []
    for name in ROWS:
        cells = []
        for by_id, gains in zip(results, (first, second), strict=True):
            p = by_id[name].response
            difference = "reference" if name == REFERENCE else interval(gains[name].mean, gains[name].sd)
            cells.append(f"{difference}; response {p.mean:.0%} ({p.lo90:.0%} to {p.hi90:.0%})")
        if name == REFERENCE:
            apart = ""
        else:
            # as if what is not known of both were independent: wider than it is
            mean, sd = first[name].mean - second[name].mean, sqrt(first[name].sd ** 2 + second[name].sd ** 2)
            apart = interval(mean, sd)
            if abs(mean) > Z90 * sd:
                told.append(results[0][name].name)
        lines.append(f"| {' | '.join([results[0][name].name, *cells, apart])} |")
    words = (
        f"The interval of the last column excludes zero for {', '.join(told)}."
        if told
        else "No interval of the last column excludes zero: which of the two gains more from what is not told."
    )
    return "\n".join([*lines, "", words]) + "\n"


def interval(mean: float, sd: float) -> str:
    return f"{mean:+.1f} ({mean - Z90 * sd:+.1f} to {mean + Z90 * sd:+.1f})"


if __name__ == "__main__":
    main()
