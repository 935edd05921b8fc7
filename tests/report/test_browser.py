"""The pages in Chromium: for everyone, by keyboard and in print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.report.cohort import cohort_html
from crosstalk.report.documents import Simulation
from crosstalk.report.html import assessment_html, forecast_html, simulation_html
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.records import Assessment, Forecast

from .browser import MISSING, Browser

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
NAMES = ("assessment", "forecast", "simulation", "cohort")
TAB, ENTER = "\ue004", "\ue007"


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, forecasted: Forecast, assessed: Assessment, simulated: Simulation
) -> dict[str, Path]:
    panels = tuple(
        Panel(f"P{i:02}", {"hsCRP": Measurement("hsCRP", 0.3 * 1.3**i), "BMI": Measurement("BMI", 20.0 + i)})
        for i in range(16)
    )
    pages = {
        "assessment": assessment_html(assessed),
        "forecast": forecast_html(forecasted),
        "simulation": simulation_html(simulated),
        "cohort": cohort_html(assess_cohort(PanelFile("made.csv", "", panels), virtual_patients=1500)),
    }
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for name, text in pages.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_everyone_can_use_the_page(accessible: Callable[[str], None], files: dict[str, Path], name: str) -> None:
    accessible(files[name].read_text(encoding="utf-8"))


def test_the_keyboard_reaches_links_and_opens_folds(browser: Browser, files: dict[str, Path]) -> None:
    browser.open(files["forecast"], 1280)
    seen = set()
    for _ in range(60):
        browser.press(TAB)
        state: Any = browser.run(
            "const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.tagName, parseFloat(s.outlineWidth), s.outlineStyle]"
        )
        if state[0] != "BODY":
            assert state[1] >= 2, state
            assert state[2] != "none"
        seen.add(state[0])
        if state[0] == "SUMMARY":
            break
    assert {"A", "SUMMARY"} <= seen
    assert browser.run("return document.activeElement.parentElement.open") is False
    browser.press(ENTER)
    assert browser.run("return document.activeElement.parentElement.open") is True


def test_a_number_leads_to_its_source_even_if_that_is_folded(browser: Browser, files: dict[str, Path]) -> None:
    browser.open(files["forecast"], 1280)
    browser.run("document.querySelector('a[href^=\"#rests-\"]').click()")
    assert browser.run("return document.getElementById('rests').open") is True


@pytest.mark.parametrize("name", NAMES)
def test_paper_shows_what_is_folded_and_no_heading_alone(browser: Browser, files: dict[str, Path], name: str) -> None:
    browser.open(files[name], 700, media="print")
    hidden = browser.run(
        "return [...document.querySelectorAll('details td')].filter(e => !e.checkVisibility() || "
        "!e.getBoundingClientRect().height).length"
    )
    assert hidden == 0
    loose = browser.run(
        "return [...document.querySelectorAll('h2, summary')].filter("
        "e => getComputedStyle(e).breakAfter !== 'avoid').length"
    )
    assert loose == 0
    assert browser.run("return document.querySelectorAll('script, link, img').length") == 0
