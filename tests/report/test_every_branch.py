"""Every condition of the patient's, cohort's and study's templates is rendered both ways by made-up results."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from jinja2 import BaseLoader, Environment

from crosstalk.report import html
from crosstalk.report.documents import Simulation
from crosstalk.report.html import assessment_html, forecast_html, simulation_html
from crosstalk.report.patient import summary
from crosstalk.twin.records import Assessment, Forecast, Interval, NextAssay, PublishedEffect, RegimenForecast

TEMPLATES = ("assessment", "forecast", "patient", "simulation", "table", "base")
# which way a condition cannot go, and why
ONE_WAY = {
    "heading and table.title": "no report has a table without a title",
}


class Recorder(BaseLoader):
    """The templates with a call around each condition."""

    def __init__(self, loader: BaseLoader) -> None:
        self.loader, self.seen = loader, {}  # type: ignore[var-annotated]

    def get_source(self, environment: Environment, template: str) -> Any:
        source, name, fresh = self.loader.get_source(environment, template)

        def wrapped(match: re.Match[str]) -> str:
            key = (template, match[2].strip())
            if template.split(".")[0] in TEMPLATES:
                self.seen.setdefault(key, set())
            return f"{{% {match[1]}if seen({key!r}, {match[2]}) %}}"

        return re.sub(r"\{% (el|)if (.*?) %\}", wrapped, source), name, fresh

    def hit(self, key: tuple[str, str], value: object) -> object:
        if key in self.seen:
            self.seen[key].add(bool(value))
        return value


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    plain = html._environment()
    found = Recorder(plain.loader)  # type: ignore[arg-type]
    made = plain.overlay(loader=found, cache_size=0)
    made.globals = {**plain.globals, "seen": found.hit}
    monkeypatch.setattr(html, "_environment", lambda: made)
    return found


def with_verdicts(forecast: Forecast) -> Forecast:
    """Every verdict once, with and without published effects."""
    shown = PublishedEffect(
        "a against b", "hsCRP >= 3 mg/L", ("mdd",), 2, 40, -2.0, -4.0, 0.5, -0.3, (("s1", "10.1/x", "validate"),)
    )
    elsewhere = replace(shown, stratum="", diagnoses=("hepatitis-c",), n=None, k=1, studies=(("s2", "", "context"),))
    regimens: list[RegimenForecast] = []
    verdicts = ("estimated better", "estimated worse", "no evidence of a difference")
    others = iter(verdicts)
    for r in forecast.regimens:
        if r.id == forecast.reference:
            regimens.append(r)
            continue
        words = next(others)
        versus = {"estimated better": Interval(-3, -5, -2), "estimated worse": Interval(3, 2, 5)}.get(
            words, Interval(0, -3, 3)
        )
        published = {"estimated better": (shown, elsewhere), "estimated worse": (elsewhere,)}.get(words, ())
        regimens.append(replace(r, verdict=words, versus_reference=versus, published=published))
    return replace(
        forecast, regimens=tuple(regimens), next_assay=(NextAssay("TNF", "TNF", 0.2), NextAssay("x", "X", 0.0))
    )


def test_every_condition_goes_both_ways(
    recorder: Recorder, forecasted: Forecast, assessed: Assessment, simulated: Simulation
) -> None:
    pages = [
        forecast_html(with_verdicts(forecasted)),
        forecast_html(replace(forecasted, next_assay=(), notes=(), profile=())),
        forecast_html(
            replace(
                forecasted,
                provenance=replace(forecasted.provenance, calibrated=False),
                applicability=replace(forecasted.applicability, missing=()),
            )
        ),
        assessment_html(assessed),
        assessment_html(replace(assessed, notes=(), unused=("Smoking is given and not used.",))),
        simulation_html(simulated),
        simulation_html(replace(simulated, results=())),
    ]
    assert all("<h1>" in page for page in pages)
    half = {key: ways for key, ways in recorder.seen.items() if ways != {True, False} and key[1] not in ONE_WAY}
    assert half == {}


def test_the_first_screen_says_who_what_and_what_not(forecasted: Forecast, assessed: Assessment) -> None:
    lines = {line.label: " ".join(line.sentences) for line in summary(forecasted)}
    assert lines["Who"].startswith("Woman of unknown age, BMI 31")
    assert "HAMD17 24 (severe)" in lines["Who"]
    assert "raised (3 to 10 mg/L)" in lines["Measured"]
    bare = replace(forecasted, profile=())
    assert "no score given" in {x.label: " ".join(x.sentences) for x in summary(bare)}["Who"]
    failed = tuple(replace(p, use="failed") if p.analyte == "IL-6" else p for p in forecasted.profile)
    lines = {line.label: " ".join(line.sentences) for line in summary(replace(forecasted, profile=failed))}
    assert "Failed quality control: IL-6." in lines["Not used"]
    lines = {line.label: " ".join(line.sentences) for line in summary(assessed)}
    assert "The scores do not rest on: Montgomery" in lines["Not used"]
    assert "Treatments" not in lines


def test_the_best_is_not_named_where_nothing_is_better(forecasted: Forecast) -> None:
    for r in forecasted.regimens:
        if r.verdict == "no evidence of a difference":
            assert f"{r.name} is the best" not in forecast_html(forecasted)
    assert "none was fitted" not in forecast_html(forecasted)


def test_better_and_worse_have_colours_of_their_own(forecasted: Forecast) -> None:
    page = forecast_html(with_verdicts(forecasted))
    for kind in ("better", "worse", "open"):
        assert page.count(f'<rect class="{kind}"') == 1
    for words in ("n = 40, 2 cohorts", "in hepatitis-c, n not given, 1 cohort", "none that compares it",
                  "predicted, never fitted"):  # fmt: skip
        assert words in page
