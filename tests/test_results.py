"""Every kind of result speaks in the same ways: words, rows, JSON, page, picture, file, notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import crosstalk
from crosstalk.errors import UsageError
from crosstalk.panel.plates import Plate, Well
from crosstalk.report.voices import VOICES
from crosstalk.results import LONGEST, Reported, Shown

ROW = {"patient": "A", "age [a]": 40, "sex": "female", "BMI [kg/m2]": 31, "hsCRP [mg/L]": 6.0, "HAMD17": 22}
ROWS = [ROW, {**ROW, "patient": "B", "hsCRP [mg/L]": 0.4}]
SMALL: dict[str, Any] = {"virtual_patients": 400}
PLAN = {
    "study": {"id": "small", "role": "design", "duration_weeks": 8, "outputs": ["HAMD17"]},
    "population": {"diagnosis": "mdd", "severity": {"scale": "HAMD17", "mean": 24, "sd": 4}},
    "arm": [
        {"id": "placebo"},
        {"id": "ssri", "dose": [{"drug": "escitalopram", "amount": 10, "unit": "mg", "route": "oral", "every_h": 24}]},
    ],
    "trial": {
        "n": 60,
        "analysis": [
            {"id": "primary", "method": "ancova", "of": "HAMD17", "week": 8, "arm": "ssri", "versus": "placebo"},
        ],
    },
}  # fmt: skip


def cohort() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    crp = np.round(np.exp(rng.normal(0.8, 1.0, 120)), 2)
    responder = (rng.random(120) < 1 / (1 + np.exp(0.4 * (crp - 3)))).astype(int)
    return {"patient": np.arange(120), "age [a]": rng.integers(20, 65, 120), "hsCRP [mg/L]": crp, "outcome": responder}


def plates() -> Plate:
    levels, signals = (1000, 250, 62.5, 15.6, 3.9, 0.98), (9000, 4200, 1500, 420, 120, 45)
    wells = [
        Well(f"A{i}", f"S{i}", "standard", "IL-6", float(s), None, 80, 1.0, float(c), "", f"line {i}")
        for i, (c, s) in enumerate(zip(levels, signals, strict=True), start=1)
    ]
    wells.append(Well("B1", "patient 1", "sample", "IL-6", 300.0, None, 80, 1.0, None, "", "line 7"))
    return Plate("made.csv", "1", "example", "", "", "", {"IL-6": "pg/mL"}, tuple(wells))


def prediction() -> Reported:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        crosstalk.learn(
            cohort(), outcome="outcome", out=file, rung="crp", mechanism=False, boosting=False, bootstrap=0, repeats=2,
            folds=3,
        )  # fmt: skip
        return crosstalk.predict(file, [ROW])


MAKE: dict[str, Any] = {
    "Assessment": lambda: crosstalk.assess(ROW, **SMALL),
    "Calibration": lambda: crosstalk.calibrate("windoloski2024", members=20, effort=0.05),
    "CohortAssessment": lambda: crosstalk.assess(ROWS, **SMALL),
    "CohortForecast": lambda: crosstalk.forecast(ROWS, regimens=["placebo"], weeks=4, **SMALL),
    "Forecast": lambda: crosstalk.forecast(ROW, regimens=["placebo"], weeks=4, **SMALL),
    "Learnt": lambda: crosstalk.learn(
        cohort(), outcome="outcome", mechanism=False, boosting=False, bootstrap=0, repeats=2, folds=3
    ),
    "PlateReport": lambda: crosstalk.plate(plates()),
    "Pool": lambda: crosstalk.pool(endpoint="smd", of="HAMD17", drug="minocycline"),
    "Prediction": prediction,
    "StudyRun": lambda: crosstalk.simulate("raison2013", patients=4),
    "TrialResult": lambda: crosstalk.run_trial(PLAN, replicates=4, worlds=2, null=False, participants=(40, 20)),
    "Validation": lambda: crosstalk.validate("windoloski2024", draws=4, prior_draws=4, patients=4),
}
SIMULATED = ("Calibration", "TrialResult", "Validation")


@cache
def made(name: str) -> Any:
    return MAKE[name]()


def kinds() -> Iterator[Any]:
    for name in MAKE:
        yield pytest.param(name, marks=pytest.mark.slow) if name in SIMULATED else name


def test_every_voice_is_heard_here() -> None:
    assert set(MAKE) == set(VOICES)


@pytest.mark.parametrize("name", list(kinds()))
def test_it_speaks_in_every_way(name: str, tmp_path: Path) -> None:
    result = made(name)
    assert type(result).__name__ == name
    assert len(repr(result)) < 400
    assert "\n" not in repr(result)
    words = result.summary()
    assert len(words.splitlines()) >= 3
    if name != "TrialResult":  # sentences, which a terminal wraps
        assert max(map(len, words.splitlines())) <= 80
    frame = result.to_frame()
    assert len(frame) > 0
    assert "<table" in result._repr_html_()
    assert isinstance(json.loads(result.to_json()), (dict, list))
    page = result.to_html()
    assert page.startswith("<!doctype html>")
    assert result.to_json() == result.to_json()
    for ending in ("html", "json", "csv", "txt", "svg", "png", "pdf"):
        file = result.save(tmp_path / f"result.{ending}")
        assert file.stat().st_size > 20
    assert (tmp_path / "result.html").read_text(encoding="utf-8") == page
    assert len((tmp_path / "result.csv").read_text(encoding="utf-8").splitlines()) >= len(frame) + 1
    svg = (tmp_path / "result.svg").read_bytes()
    result.save(tmp_path / "again.svg")
    assert b"<dc:date>" not in svg


@pytest.mark.parametrize("name", list(kinds()))
def test_it_draws_on_axes_that_are_given_or_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert made(name).plot(axes) is axes
    assert axes.get_title(loc="left")
    assert axes.get_xlabel()
    assert len(axes.lines) + len(axes.patches) > 0
    monkeypatch.setattr(mpl, "get_backend", lambda: "agg")
    mpl.use("agg")
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    own = made(name).plot()
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close(own.figure)


def test_an_unknown_ending_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'docx' is unknown; expected one of html, json, csv"):
        made("Pool").save(tmp_path / "result.docx")
    assert not list(tmp_path.iterdir())


def test_the_rows_of_a_forecast_are_what_it_says() -> None:
    result = made("Forecast")
    frame = result.to_frame().set_index("regimen")
    for r in result.regimens:
        assert frame.loc[r.id, "response"] == r.response.mean
        assert frame.loc[r.id, "difference_hi90"] == r.versus_reference.hi90
    assert frame["difference"].is_monotonic_increasing


def test_a_patient_of_a_cohort_is_forecast_as_alone() -> None:
    both = made("CohortForecast")
    alone = made("Forecast")
    assert [f.patient for f in both.forecasts] == ["A", "B"]
    assert both.forecasts[0].regimens == alone.regimens
    assert set(both.to_frame()["patient"]) == {"A", "B"}


def test_one_who_cannot_be_forecast_costs_no_other() -> None:
    file = crosstalk.read_panel(ROWS)
    empty = replace(file.panels[1], measurements={})
    found = crosstalk.forecast(replace(file, panels=(file.panels[0], empty)), regimens=["placebo"], weeks=4, **SMALL)
    assert [f.patient for f in found.forecasts] == ["A"]
    assert "has no value" in found.refused["B"]
    assert "has no value" in found.summary()
    with pytest.raises(crosstalk.CrosstalkError, match="no patient can be forecast"):
        crosstalk.forecast(replace(file, panels=(empty, replace(empty, patient="C"))), **SMALL)


def test_progress_is_told_in_words_and_shares() -> None:
    told: list[tuple[str, float]] = []
    crosstalk.forecast(ROWS, regimens=["placebo"], weeks=4, progress=lambda w, s: told.append((w, s)), **SMALL)
    assert {words.split(":")[0] for words, _ in told} == {"A", "B"}
    assert [share for _, share in told] == sorted(share for _, share in told)


@dataclass(frozen=True, repr=False)
class Made(Shown):
    text: str
    rows: tuple[int, ...] = ()
    number: float = 1 / 3
    more: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize("length", [0, 10, 10_000])
def test_a_repr_stays_short_whatever_it_holds(length: int) -> None:
    text = repr(Made("x\n" * length, (1,) * length, more=dict.fromkeys(map(str, range(length)), 1)))
    assert len(text) <= LONGEST
    assert "\n" not in text
    assert "number=0.333333" in text
