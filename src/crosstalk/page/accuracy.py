"""How far the page's figures lie from those of the full forecast, measured when the page is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.page.data import PageData, library_of
from crosstalk.page.forecast import page_forecast
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.twin import forecast

__all__ = ["PANELS", "Accuracy", "accuracy"]

PANELS: tuple[Mapping[str, float], ...] = (
    {"hsCRP": 6.2, "HAMD17": 24, "BMI": 29, "age": 42},
    {"hsCRP": 0.6, "HAMD17": 19, "BMI": 23},
    {"hsCRP": 2.5, "IL-6": 2.4, "TNF": 2.6, "MADRS": 28, "age": 55, "sex": 1},
)
"""Typical panels: inflamed, not inflamed, and one of three cytokines."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Largest differences over all regimens: change and difference to the reference [points], response.

    ``panels`` of `PANELS` were compared: too few virtual patients resemble the others.
    """

    panels: int
    change: float
    versus: float
    response: float

    def words(self) -> str:
        """As the page says it."""
        if not self.panels:
            return "Not compared with full forecasts: too few virtual patients resemble the typical panels."
        return (
            f"Rounding: in {self.panels} typical panels a regimen's mean change differs from that of crosstalk "
            f"forecast by at most {self.change:.2f} points, its difference to the reference by at most "
            f"{self.versus:.2f} points, and its probability of response by at most "
            f"{100 * self.response:.1f} percentage points."
        )


def accuracy(data: PageData, knowledge: Knowledge, engine: Engine) -> Accuracy:
    """Compare the page's forecasts with full ones of the same virtual population."""
    library, header = library_of(data, knowledge), data.header
    worst, compared = [0.0, 0.0, 0.0], 0
    for number, values in enumerate(PANELS):
        panel = Panel(str(number), {name: Measurement(name, float(value)) for name, value in values.items()})
        try:
            short = page_forecast(panel, data, knowledge, library=library)
            full = forecast(
                panel, regimens=[r["id"] for r in header["regimens"]], knowledge=knowledge, engine=engine,
                seed=header["seed"], virtual_patients=header["virtualPatients"], weeks=header["weeks"],
            )  # fmt: skip
        except TwinError:
            continue
        compared += 1
        for a, b in zip(short.regimens, full.regimens, strict=True):
            apart = (
                a.change.mean - b.change.mean,
                a.versus_reference.mean - b.versus_reference.mean,
                a.response.mean - b.response.mean,
            )
            worst = [max(old, abs(new)) for old, new in zip(worst, apart, strict=True)]
    return Accuracy(compared, *worst)
