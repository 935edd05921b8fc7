"""The README's picture and table: forecasts of the two example panels. Run: python scripts/readme_result.py."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.figure import Figure

from crosstalk import forecast, read_panel
from crosstalk.engine import get_engine
from crosstalk.panel.reader import one_patient
from crosstalk.report.drawing import BLUE, VERMILION
from crosstalk.twin.records import Forecast

ROOT = Path(__file__).resolve().parent.parent
PANELS = {"inflamed, CRP 6.2 mg/L": "depression_inflamed", "uninflamed, CRP below 1 mg/L": "depression_uninflamed"}
ROWS = ("ssri", "placebo", "ssri-infliximab", "ssri-tocilizumab", "ssri-celecoxib", "nortriptyline", "bupropion")


def main() -> None:
    """Forecast both panels, write the picture, replace the table in the README."""
    engine = get_engine()
    found = {
        words: forecast(one_patient(read_panel(ROOT / "examples" / "panels" / f"{name}.csv")), engine=engine)
        for words, name in PANELS.items()
    }
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


def picture(found: dict[str, Forecast]) -> None:
    figure = Figure(figsize=(7.2, 3.3), layout="constrained")
    axis = figure.subplots()
    looks = ((VERMILION, "o", 0.14), (BLUE, "s", -0.14))
    for (words, result), (colour, marker, shift) in zip(found.items(), looks, strict=True):
        by_id = {r.id: r for r in result.regimens}
        for row, name in enumerate(reversed(ROWS[1:])):
            v = by_id[name].versus_reference
            axis.plot([v.lo90, v.hi90], [row + shift] * 2, color=colour, lw=1.6)
            axis.plot(v.mean, row + shift, marker, color=colour, ms=5.5, label=words if row == 0 else None)
    names = {r.id: r.name for r in next(iter(found.values())).regimens}
    axis.axvline(0, color="#777777", lw=1)
    axis.set_yticks(range(len(ROWS) - 1), [names[n] for n in reversed(ROWS[1:])])
    axis.set_xlabel("difference to escitalopram at week 12\n[HAMD-17 points]; left is better")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside upper right", ncols=2, fontsize=8.5)
    (ROOT / "docs" / "images").mkdir(parents=True, exist_ok=True)
    figure.savefig(ROOT / "docs" / "images" / "two_profiles.png", dpi=160, metadata={"Software": None})


def table(found: dict[str, Forecast]) -> str:
    lines = ["| regimen | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    results = [{r.id: r for r in f.regimens} for f in found.values()]
    for name in ROWS:
        cells = []
        for by_id in results:
            v, chance = by_id[name].versus_reference, by_id[name].response
            difference = "reference" if name == "ssri" else f"{v.mean:+.1f} ({v.lo90:+.1f} to {v.hi90:+.1f})"
            cells.append(f"{difference}; response {chance.mean:.0%}")
        lines.append(f"| {results[0][name].name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
