"""One small assessment, forecast and simulation that the tests of the reports share, and a browser to look at pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import one_patient, read_panel
from crosstalk.population.run import simulate
from crosstalk.report.documents import Simulation
from crosstalk.report.simulation import summarise
from crosstalk.study.schema import read_study
from crosstalk.twin import assess, forecast
from crosstalk.twin.records import Assessment, Forecast

from ..axe import faults
from .browser import MISSING, Browser

NASTY = 'Ann <script>alert("1")</script> & "Co"'

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
FAULTS = Path(__file__).with_name("faults.js").read_text(encoding="utf-8")
UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def accessible(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Assert that a page can be used by everyone: by ear, in the dark, on a telephone, with what is folded opened."""
    path = tmp_path_factory.mktemp("pages") / "page.html"

    def look(page: str) -> None:
        path.write_text(page, encoding="utf-8")
        for width, dark in ((1280, False), (1280, True), (400, False)):
            browser.open(path, width, dark=dark)
            browser.run(UNFOLD)
            assert browser.run("return document.documentElement.scrollWidth") <= width
            paper = browser.run("return getComputedStyle(document.body).backgroundColor")
            assert (paper == "rgb(255, 255, 255)") is not dark
            assert browser.run(FAULTS) == []
            assert browser.run(CONTRAST) == []
            assert faults(browser.run) == []

    return look


@pytest.fixture(scope="session")
def forecasted(tmp_path_factory: pytest.TempPathFactory) -> Forecast:
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    name = NASTY.replace('"', '""')
    rows = ("hsCRP,6.2,mg/L", "IL-6,<0.9,pg/mL", "BMI,31,kg/m2", "sex,female,", "HAMD17,24,")
    path.write_text("patient,analyte,value,unit\n" + "".join(f'"{name}",{row}\n' for row in rows))
    regimens = ["ssri-infliximab", "nortriptyline", "placebo"]
    return forecast(one_patient(read_panel(path)), regimens=regimens, virtual_patients=1500, seed=2)


@pytest.fixture(scope="session")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    path.write_text("patient,analyte,value,unit\nB,hsCRP,0.4,mg/L\nB,BMI,22,kg/m2\nB,MADRS,30,\n")
    return assess(one_patient(read_panel(path)), virtual_patients=1500)


@pytest.fixture(scope="session")
def simulated() -> Simulation:
    return summarise(simulate(read_study("raison2013"), patients=12, seed=4), load_knowledge())
