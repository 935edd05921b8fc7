"""What immune challenges do to a healthy adult, against published windows."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from crosstalk.engine import Problem, get_engine
from crosstalk.knowledge.records import Dose
from crosstalk.model.assembly import assemble

from .conftest import Array, Course

HOURS = np.arange(0.0, 144.01, 0.05)
DAYS = 24.0 * np.arange(85.0)


def lps(dose: float) -> Dose:
    return Dose("lps", dose, "ng/kg", "iv", weeks=(0.0,))


@pytest.fixture(scope="module")
def endotoxin(course: Course) -> dict[float, dict[str, Array]]:
    outputs = ("TNF", "IL6", "IL10", "CRP", "MIC", "MOOD", "KYN", "TRP")
    return {dose: course([lps(dose)], HOURS, outputs) for dose in (0.5, 1.0, 2.0)}


@pytest.mark.parametrize(
    ("analyte", "low", "high", "first", "last"),
    [("TNF", 200, 450, 1, 2), ("IL6", 450, 1000, 1.5, 3), ("IL10", 25, 70, 2.5, 4), ("CRP", 8, 60, 15, 35)],
)
def test_peaks_after_2_ng_per_kg(
    endotoxin: dict[float, dict[str, Array]], analyte: str, low: float, high: float, first: float, last: float
) -> None:
    values = endotoxin[2.0][analyte]
    assert low <= values.max() <= high
    assert first <= HOURS[values.argmax()] <= last


def test_lower_doses_give_lower_peaks(endotoxin: dict[float, dict[str, Array]]) -> None:
    """The published rise is steep: the TNF peak at 0.5 ng/kg is below a fifth of that at 2 ng/kg."""
    for analyte in ("TNF", "IL6", "IL10", "CRP"):
        peaks = [endotoxin[d][analyte].max() for d in (0.5, 1.0, 2.0)]
        assert peaks[0] < peaks[1] < peaks[2]
    assert endotoxin[0.5]["TNF"].max() < 0.2 * endotoxin[2.0]["TNF"].max()


def test_five_days_later_the_challenge_is_over(endotoxin: dict[float, dict[str, Array]]) -> None:
    """Under 5 % of each rise is left; CRP, with its half-life of 19 h, is the last to return."""
    at = int(np.searchsorted(HOURS, 120.0))
    for analyte in ("TNF", "IL6", "IL10", "CRP"):
        values = endotoxin[2.0][analyte]
        assert values[at] - values[0] < 0.05 * (values.max() - values[0])
    for analyte in ("TNF", "IL6", "IL10"):
        assert endotoxin[2.0][analyte][at] == pytest.approx(endotoxin[2.0][analyte][0], rel=0.02)


def test_microglia_answer_within_hours(endotoxin: dict[float, dict[str, Array]]) -> None:
    """TSPO binding 3 to 5 h after 1 ng/kg: +30 to 60 % (10.1073/pnas.1511003112)."""
    window = (HOURS >= 3) & (HOURS <= 5)
    assert 0.3 < endotoxin[1.0]["MIC"][window].mean() - 1 < 0.6


def test_acute_sickness_comes_before_any_shift_of_kynurenine(endotoxin: dict[float, dict[str, Array]]) -> None:
    """Kynurenines must not drive acute sickness: mood peaks while kynurenine has hardly moved."""
    found = endotoxin[2.0]
    assert found["MOOD"].max() > 2 * found["MOOD"][0]
    assert HOURS[found["MOOD"].argmax()] < 8
    assert found["KYN"].max() < 1.2 * found["KYN"][0]


def test_twelve_weeks_of_interferon(course: Course) -> None:
    outputs = ("TRP", "KYN", "NEO", "KYb", "QAb", "NV", "MC", "MOOD")
    found = course([Dose("peginterferon-alfa-2a", 180, "ug", "sc", every_h=168.0)], DAYS, outputs)
    end = {k: v[-1] / v[0] for k, v in found.items()}
    assert 0.75 < end["TRP"] < 0.97
    assert 1.1 < end["KYN"] < 1.6
    assert end["NEO"] > 2
    assert end["KYb"] > 1.3
    assert end["QAb"] > 1.5
    share = {k: (v[14] - v[0]) / (v[-1] - v[0]) for k, v in found.items()}
    assert share["NV"] >= 0.40
    assert share["MOOD"] <= 0.3
    assert share["MC"] <= 0.25


def test_serotonergic_pretreatment_protects_mood_more_than_vegetative_symptoms(course: Course) -> None:
    """As in trials (10.7326/0003-4819-157-2-201207170-00002), although inflamed brains respond less to an SSRI."""
    interferon = Dose("peginterferon-alfa-2a", 180, "ug", "sc", every_h=168.0, start_week=2)
    ssri = Dose("escitalopram", 10, "mg", "oral", every_h=24.0)
    days = 24.0 * np.arange(99.0)
    alone, both = (course(doses, days, ("NV", "MC")) for doses in ([interferon], [interferon, ssri]))
    protection = {k: 1 - (both[k][-1] - both[k][0]) / (alone[k][-1] - alone[k][0]) for k in ("NV", "MC")}
    assert 0 < protection["NV"] < protection["MC"]
    assert 0.1 < protection["MC"] < 0.95


def test_mild_inflammation_alone_lies_in_the_window_and_strong_does_not() -> None:
    """Known consequence of an optimum above the healthy tone: mild inflammation raises plasticity, strong lowers it."""
    drive = np.array([0.0, 0.5, 1.0, 4.0])
    steady = get_engine().steady_state(Problem(assemble().sbml, len(drive), {"fI": drive}))
    plasticity = dict(zip(steady.states, steady.values.T, strict=True))["PL"]
    assert plasticity[1] > plasticity[0]
    assert plasticity[2] > plasticity[0]
    assert plasticity[3] < 0.8 * plasticity[0]


@pytest.mark.shared
def test_endotoxin_against_the_individual_courses(shared_data: Path, course: Course) -> None:
    """Rises of TNF, IL-6 and IL-10 in 20 people: the model's person lies within what was observed at each time."""
    with (shared_data / "lps_bolus_individual_20x8.csv").open() as file:
        rows = list(csv.DictReader(file))
    for analyte in ("TNF", "IL6", "IL10"):
        own = [(int(r["subject"]), float(r["time_h"]), float(r["pg_ml"])) for r in rows if r["analyte"] == analyte]
        times = np.unique([t for _, t, _ in own])
        start = {s: v for s, t, v in own if t == 0}
        model = course([lps(2.0)], times, (analyte,))[analyte]
        assert len(start) >= 15
        for time, rise in zip(times[1:], model[1:] - model[0], strict=True):
            seen = [v - start[s] for s, t, v in own if t == time and s in start]
            assert min(seen) - 2 <= rise <= max(seen) + 2, (analyte, time, rise, min(seen), max(seen))
