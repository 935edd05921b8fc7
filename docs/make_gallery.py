"""Draw the pictures of the gallery from results: ``python docs/make_gallery.py [NAME ...]``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crosstalk
from crosstalk.results import Reported

DOCS = Path(__file__).resolve().parent
PANELS = DOCS.parent / "examples" / "panels"
PLATE = DOCS.parent / "examples" / "plates" / "xponent_synthetic.csv"

PICTURES: dict[str, Callable[[], Reported]] = {
    "assessment": lambda: crosstalk.assess(PANELS / "depression_inflamed.csv"),
    "cohort": lambda: crosstalk.assess(PANELS / "nhanes_adults.csv"),
    "forecast": lambda: crosstalk.forecast(PANELS / "depression_inflamed.csv"),
    "plate": lambda: crosstalk.plate(PLATE),
    "pool": lambda: crosstalk.pool(endpoint="smd", of="HAMD17", drug="minocycline"),
    "simulation": lambda: crosstalk.simulate("windoloski2024", patients=100),
}


def main(names: list[str]) -> None:
    """Draw some, or all."""
    from matplotlib.figure import Figure

    unknown = set(names) - set(PICTURES)
    if unknown:
        raise SystemExit(f"unknown {', '.join(sorted(unknown))}; expected some of {', '.join(PICTURES)}")
    for name in names or PICTURES:
        figure: Any = Figure(figsize=(7.4, 4.2), layout="constrained")
        PICTURES[name]().plot(figure.add_subplot())
        figure.savefig(DOCS / "images" / f"gallery_{name}.png", dpi=90)
        print(f"gallery_{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
