"""The pages: self-contained, escaped, well-formed, and the same bytes each time."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from crosstalk.report.charts import panel_chart
from crosstalk.report.documents import Simulation
from crosstalk.report.html import assessment_html, forecast_html, simulation_html
from crosstalk.report.words import range_text
from crosstalk.twin.records import Assessment, Forecast

from .conftest import NASTY

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Checker(HTMLParser):
    """Collects tags, and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="session")
def pages(forecasted: Forecast, assessed: Assessment, simulated: Simulation) -> dict[str, str]:
    return {
        "forecast": forecast_html(forecasted),
        "assessment": assessment_html(assessed),
        "simulation": simulation_html(simulated),
    }


def test_what_has_no_range_by_its_nature_misses_none(forecasted: Forecast) -> None:
    items = {p.analyte: p for p in forecasted.profile}
    assert range_text(items["hsCRP"])
    assert range_text(replace(items["hsCRP"], reference=None)) == "none for this assay"
    assert range_text(items["sex"]) == range_text(items["HAMD17"]) == ""
    assert range_text(replace(items["sex"], use="history")) == range_text(replace(items["sex"], use="related")) == ""
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", forecast_html(forecasted))
    (sex,) = [row for row in rows if row.startswith("Sex")]
    assert "unknown" not in sex
    assert "none for" not in sex


@pytest.mark.parametrize(("low", "high"), [(0.6, 1.8), (0.4, 9.0), (0.02, 5.0), (0.01, 90.0), (1e-3, 1e3)])
def test_a_logarithmic_axis_shows_at_least_two_numbers(forecasted: Forecast, low: float, high: float) -> None:
    (item,) = [p for p in forecasted.profile if p.analyte == "hsCRP"]
    assert item.reference is not None
    reference = replace(item.reference, p2_5=low * item.reference.median, p97_5=high * item.reference.median)
    page = panel_chart([replace(item, value=item.reference.median, predicted=None, reference=reference)])
    numbers = re.findall(r">([0-9.e+-]+)</text>", page)
    assert len(set(numbers)) >= 2, numbers


@pytest.mark.parametrize("name", ["forecast", "assessment", "simulation"])
def test_a_page_is_well_formed_and_asks_for_nothing(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    for tag, attributes in checker.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "img")
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("href", "src", "xlink:href"):
                assert (value or "").startswith(("https://doi.org/", "#")), (tag, key, value)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    ids = [a["id"] for _, a in checker.tags if "id" in a]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["forecast", "assessment", "simulation"])
def test_figures_and_tables_can_be_read_by_everyone(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "metadata" not in figure
    for before, table in re.findall(r"(<[^<]*>)\s*(<table.*?</table>)", page, flags=re.DOTALL):
        assert "<caption>" in table or "aria-label=" in before
    for cell in re.findall(r"<th\b[^>]*>", page):
        assert "scope=" in cell
    assert 'lang="en"' in page


def test_an_uncalibrated_result_says_so_in_its_heading(forecasted: Forecast) -> None:
    for calibrated in (True, False):
        provenance = replace(
            forecasted.provenance, calibrated=calibrated, worlds="priors, not calibrated: no posterior"
        )
        page = forecast_html(replace(forecasted, provenance=provenance))
        heading = re.search(r"<h1>(.*?)</h1>", page, flags=re.DOTALL)
        assert heading is not None
        assert ("uncalibrated" in heading[1].lower()) is not calibrated


def test_it_says_where_its_numbers_come_from_and_is_no_advice(pages: dict[str, str]) -> None:
    for page in pages.values():
        assert re.search(r"calibrated posterior, \d+ draws", page)
        assert "Research use only; not a medical device." in page
        for word in ("recommend", "should be treated", "prescribe", "advise"):
            assert word not in page.lower()


def test_names_from_outside_are_escaped(pages: dict[str, str]) -> None:
    page = pages["forecast"]
    assert "<script" not in page
    checker = Checker()
    checker.feed(page)
    assert any(NASTY in text for text in checker.text)


def test_the_page_holds_every_figure_of_the_forecast(pages: dict[str, str], forecasted: Forecast) -> None:
    page = pages["forecast"]
    for regimen in forecasted.regimens:
        assert regimen.name in page
        assert f"{regimen.change.mean:.1f}".replace("-", "\N{MINUS SIGN}") in page
        for rest in regimen.rests_on:
            assert rest.doi in page
    for score in forecasted.mechanisms:
        assert score.name in page
    for item in forecasted.profile:
        assert item.name in page
    assert "&lt; 0.9 pg/mL" in page
    assert "raised (3 to 10 mg/L)" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert forecasted.provenance.model_sha256 in page


def test_the_same_result_gives_the_same_bytes(
    forecasted: Forecast, assessed: Assessment, simulated: Simulation
) -> None:
    assert forecast_html(forecasted) == forecast_html(forecasted)
    assert assessment_html(assessed) == assessment_html(assessed)
    assert simulation_html(simulated) == simulation_html(simulated)
