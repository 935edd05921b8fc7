"""The page in Chromium, without a network: the figures of Python, by keyboard alone, on a narrow screen, for all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crosstalk.knowledge.loader import Knowledge
from crosstalk.page.data import PageData, library_of
from crosstalk.page.forecast import PageForecast, page_forecast
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.library import CourseLibrary
from crosstalk.twin.sequential import EarlyScore

Case = dict[str, Any]

# values as typed; `score` is on `scale` (HAMD17 if none is named)
CASES: tuple[Case, ...] = (
    {"values": {"hsCRP": "6.21"}, "score": "24"},
    {"values": {"hsCRP": "<0.3"}, "score": "19"},
    {"values": {"hsCRP": ">4"}, "score": "21"},
    {"values": {"hsCRP": "1.2", "BMI": "27"}, "score": "22"},
    {"values": {"hsCRP": "2", "BMI": "31", "age": "44"}, "score": "18", "sex": "female"},
    {"values": {"BMI": "25"}},
    {"values": {}},
    {"values": {"hsCRP": "3"}, "score": "30", "scale": "MADRS"},
    {"values": {"hsCRP": "1"}, "score": "14", "scale": "QIDS16"},
    {"values": {"hsCRP": "1.5"}, "score": "15", "scale": "PHQ9"},
    {"values": {"IL-6": "2.2", "TNF": "2.4"}, "score": "23"},
    {"values": {"IL-6": "<1.5", "TNF": "2.1", "hsCRP": "0.9"}, "score": "20"},
    {"values": {"KYN/TRP": "40", "kynurenine": "2.1"}, "score": "20"},
    {"values": {"PSS10": "33"}, "score": "19"},
    {"values": {"PSS10": "20", "CTQ": "60", "height": "170"}, "score": "26"},
    {"values": {"HOMA-IR": "2.5", "leptin": "20", "BMI": "29"}, "score": "22", "sex": "male"},
    {"values": {"hsCRP": "2"}, "score": "22", "early": [[2, 19]]},
    {"values": {"hsCRP": "<1"}, "score": "24", "early": [[1, 22], [2, 20]], "on": "bupropion"},
    {"values": {"hsCRP": ">2"}, "score": "16", "scale": "QIDS16", "early": [[2, 13], [4, 11]]},
    {"values": {"BMI": "26"}, "score": "28", "scale": "MADRS", "early": [[3, 24]], "on": "placebo"},
)
READ = """
const f = whatIf.forecast(arguments[0]);
return {
  wrong: f.wrong, sample: f.estimator.sample, level: f.applicability.level, alike: f.applicability.sample,
  tails: f.applicability.surprises.map((s) => s.tail),
  regimens: f.regimens.map(({ end, ...figures }) => figures),
  scores: f.mechanisms.map((s) => [s.mean, s.low, s.high, s.told]),
  next: whatIf.page.forecaster.nextAssays(f).map((a) => [a.id, a.reduction]),
  course: whatIf.page.forecaster.course(f, "bupropion"),
};
"""

COLOURS = r"""
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 1;
const c = canvas.getContext('2d', { willReadFrequently: true });
const paint = (colour) => { c.fillStyle = colour; c.fillRect(0, 0, 1, 1); };
const rgb = (under, over) => { paint(under); paint(over); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const clear = (colour) => /(, 0\)|\/ 0[.\d]*\))$/.test(colour);
const paper = (e) => {
  for (; e; e = e.parentElement) { const b = getComputedStyle(e).backgroundColor; if (!clear(b)) return b; }
  return 'white';
};
const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
return [...document.querySelectorAll('p, span, th, td, button, label, h1, h2, summary, legend, figcaption')]
  .filter((e) => e.checkVisibility() && !e.disabled && !e.closest('.hidden') && written(e))
  .map((e) => [e.textContent.slice(0, 40), rgb(paper(e), paper(e)), rgb(paper(e), getComputedStyle(e).color)]);
"""
OUTSIDE = """
return [...document.querySelectorAll('button, input:not([type=file]), select, p, td')]
  .filter((e) => e.checkVisibility() && !e.closest('.wide') && e.getBoundingClientRect().right > 401)
  .map((e) => e.outerHTML.slice(0, 80));
"""
TWICE = """
const n = {};
for (const e of document.querySelectorAll('[id]')) n[e.id] = (n[e.id] ?? 0) + 1;
return Object.keys(n).filter((k) => n[k] > 1);
"""
SMALL = """
return [...document.querySelectorAll('button, input, select')]
  .filter((e) => e.checkVisibility() && !['checkbox', 'file'].includes(e.type) && e.getBoundingClientRect().height < 21)
  .map((e) => e.outerHTML.slice(0, 80));
"""
KEYS = "return [...new Set([...document.querySelectorAll('[data-source]')].map((e) => e.dataset.source))]"
LEVELS = "return [...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))"


@pytest.fixture(scope="module")
def library(data: PageData, knowledge: Knowledge) -> CourseLibrary:
    return library_of(data, knowledge)


def case_of(case: Case) -> dict[str, Any]:
    """The case as the page holds it."""
    values = {name: {"text": text} for name, text in case["values"].items()}
    early = [{"week": str(week), "score": str(score)} for week, score in case.get("early", ())]
    return {"scale": "HAMD17", **case, "values": values, "early": early}


def in_python(case: Case, data: PageData, knowledge: Knowledge, library: CourseLibrary) -> PageForecast:
    measured = {}
    for name, text in case["values"].items():
        censored: Any = {"<": "left", ">": "right"}.get(text[0], "")
        measured[name] = Measurement(name, float(text.lstrip("<>")), censored)
    scale = case.get("scale", "HAMD17")
    if "score" in case:
        measured[scale] = Measurement(scale, float(case["score"]))
    if "sex" in case:
        measured["sex"] = Measurement("sex", float(case["sex"] == "female"))
    scores = [EarlyScore(week, scale, float(score)) for week, score in case.get("early", ())]
    return page_forecast(Panel("A", measured), data, knowledge, scores=scores, on=case.get("on"), library=library)


@pytest.mark.parametrize("case", CASES, ids=lambda c: json.dumps(c, separators=(",", ":"))[1:60])
def test_figures_are_those_of_python(
    browser: Any, case: Case, data: PageData, knowledge: Knowledge, library: CourseLibrary
) -> None:
    ready(browser)
    found, wanted = browser.execute_script(READ, case_of(case)), in_python(case, data, knowledge, library)
    assert found["wrong"] == {}
    assert found["sample"] == pytest.approx(wanted.sample, rel=1e-5)
    assert (found["level"], len(found["tails"])) == (wanted.applicability.level, len(wanted.applicability.surprises))
    assert found["alike"] == pytest.approx(wanted.applicability.effective_sample, rel=1e-5)
    for own, r in zip(found["regimens"], wanted.regimens, strict=True):
        assert own["id"] == r.id
        assert own["change"] == pytest.approx(r.change.mean, abs=2e-3)
        assert own["response"]["mean"] == pytest.approx(r.response.mean, abs=2e-4)
        assert own["response"]["low"] == pytest.approx(r.response.lo90, abs=3e-4)
        assert own["response"]["high"] == pytest.approx(r.response.hi90, abs=3e-4)
        assert own["response"]["error"] == pytest.approx(r.response.error, abs=1e-5)
        for key, value in (
            ("mean", r.versus_reference.mean),
            ("low", r.versus_reference.lo90),
            ("high", r.versus_reference.hi90),
        ):
            assert own["versus"][key] == pytest.approx(value, abs=3e-3)
        assert own["best"] == pytest.approx(r.p_best, abs=2e-4)
        assert own["verdict"] == r.verdict
    for score, m in zip(found["scores"], wanted.mechanisms, strict=True):
        assert score == pytest.approx([m.mean, m.lo90, m.hi90, m.contraction], rel=1e-4, abs=1e-5)
    assert dict(found["next"]) == pytest.approx({a.analyte: a.variance_reduction for a in wanted.next_assay}, abs=1e-4)
    course, r = found["course"], next(r for r in wanted.regimens if r.id == "bupropion")
    assert [p["mean"] for p in course["points"]] == pytest.approx(list(r.trajectory[0].mean), abs=2e-3)
    assert course["remission"]["mean"] == pytest.approx(r.remission.mean, abs=2e-4)
    # Python draws what is recorded, the page integrates: they agree as far as drawing goes
    ends = zip(course["points"], r.trajectory[0].lo90, r.trajectory[0].hi90, strict=True)
    apart = [(abs(p["low"] - low) + abs(p["high"] - high)) / 2 for p, low, high in ends]
    assert sum(apart) / len(apart) < 2.5
    for own_d, t in zip(course["dimensions"], r.trajectory[1:], strict=True):
        assert [p["mean"] for p in own_d] == pytest.approx(list(t.mean), abs=1e-4)
        assert [p["high"] for p in own_d] == pytest.approx(list(t.hi90), abs=1e-3)


def test_no_request_leaves(browser: Any, page_file: Path) -> None:
    browser.get_log("performance")
    browser.get("about:blank")
    browser.get(page_file.as_uri())
    ready(browser)
    browser.execute_script("whatIf.set(arguments[0])", case_of(CASES[3]))
    rested(browser)
    sent = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
    ]
    assert page_file.as_uri() in sent
    assert [url for url in sent if not url.startswith(("file:", "data:", "about:"))] == []
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []
    # and the policy would stop one
    refused = "return fetch('https://example.org').then(() => 'sent', () => 'refused')"
    assert browser.execute_script(refused) == "refused"


def test_below_what_carries_it_nothing_is_drawn(browser: Any) -> None:
    show(browser, {"values": {"hsCRP": "500", "Treg": "1"}})
    assert not element(browser, "results").is_displayed()
    assert "too few to draw" in element(browser, "refused-words").text
    show(browser, {"values": {}, "score": "51"})
    assert "cannot be reached" in element(browser, "refused-words").text
    show(browser, {"values": {"hsCRP": "0.5"}, "score": "12", "early": [[1, 40]]})
    assert "early scores leave" in element(browser, "refused-words").text
    show(browser, CASES[0])
    assert element(browser, "results").is_displayed()


@pytest.mark.parametrize(
    ("text", "said"),
    [("abc", "expected a number"), ("<0", "check value and unit"), ("9999", "expected 0 to 600"), ("0", "received 0"),
     ("<img src=x onerror=alert(1)>", "expected a number")],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_and_not_used(browser: Any, text: str, said: str) -> None:
    show(browser, {"values": {"hsCRP": text}, "score": "24"})
    assert said in element(browser, "e-hsCRP").text
    assert "hsCRP" in element(browser, "ignored").text
    assert element(browser, "v-hsCRP").get_attribute("aria-invalid") == "true"
    assert browser.execute_script("return document.querySelectorAll('#panel img').length") == 0


def test_units_are_those_of_the_reader(browser: Any) -> None:
    state = case_of({"values": {}, "score": "24"})
    change = "const f = whatIf.forecast(arguments[0]); return f.regimens.map((r) => r.versus.mean)"
    state["values"] = {"hsCRP": {"text": "0.31", "unit": "mg/dL"}}
    other = browser.execute_script(change, state)
    state["values"] = {"hsCRP": {"text": "3.1", "unit": "mg/L"}}
    assert other == pytest.approx(browser.execute_script(change, state), abs=1e-9)


def test_by_keyboard_alone(browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(browser, CASES[3])
    before = element(browser, "v-hsCRP").get_attribute("value")
    slider = browser.find_element("css selector", "input[type=range][data-analyte=hsCRP]")
    assert slider.get_attribute("aria-valuetext") == "1.2 mg/L"
    tab_to(browser, slider)
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT * 60).perform()
    rested(browser)
    assert float(element(browser, "v-hsCRP").get_attribute("value")) > float(before)
    chosen = browser.find_element("css selector", "tr[data-regimen=placebo] button.regimen")
    tab_to(browser, chosen)
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    wait(browser, lambda: element(browser, "chosen-name").text == "Placebo")
    assert chosen.get_attribute("aria-pressed") == "true"
    number = browser.find_element("css selector", "tr[data-regimen=placebo] button.n")
    tab_to(browser, number)
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert "Placebo against" in element(browser, "source-title").text
    assert "doi 10." in element(browser, "source-body").text
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert browser.execute_script("return document.activeElement === arguments[0]", number)
    node = browser.find_element("css selector", "[data-node=microglia]")
    tab_to(browser, node)
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert element(browser, "source-title").text == "Microglia"
    assert "assumed" in element(browser, "source-body").text
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()


def test_every_number_opens_a_source(browser: Any) -> None:
    show(browser, CASES[17])
    keys = browser.execute_script(KEYS)
    assert len(keys) > 40
    for key in keys:
        text = browser.execute_script(
            "whatIf.page.sources.open(arguments[0]); const d = document.getElementById('source');"
            "const t = d.textContent; d.close(); return t", key,
        )  # fmt: skip
        assert len(text) > 60, key
        assert not any(word in text for word in ("undefined", "NaN", "[object", "null")), (key, text)


def test_pin_and_compare(browser: Any) -> None:
    show(browser, {"values": {"hsCRP": "8"}, "score": "24"})
    element(browser, "pin").click()
    show(browser, {"values": {"hsCRP": "0.5"}, "score": "24"})
    assert "hsCRP 8" in element(browser, "compare-words").text
    rows = browser.find_elements("css selector", "#compare-rows tr")
    assert len(rows) == 4
    before, now, difference = (cell.text for cell in rows[0].find_elements("css selector", "td")[3:6])
    assert before != now
    assert difference not in ("", "0.0")
    ghost = browser.find_element("css selector", "tr[data-regimen=placebo] circle.ghost")
    assert ghost.get_attribute("display") == "inline"
    element(browser, "unpin").click()
    rested(browser)
    assert not element(browser, "compare").is_displayed()


def test_a_case_goes_out_and_comes_back(browser: Any, page_file: Path, tmp_path: Path) -> None:
    case = {**CASES[4], "values": {**CASES[4]["values"], "IL-6": "<1.5"}, "early": [[2, 16]], "on": "bupropion"}
    show(browser, case)
    panel = element_text(browser, "panel-file")
    path = tmp_path / "case.csv"
    path.write_text(panel, encoding="utf-8")
    read = read_panel(path).panels[0].measurements
    assert {name: (m.value, m.censored) for name, m in read.items()} == {
        "age": (44.0, ""), "BMI": (31.0, ""), "sex": (1.0, ""), "hsCRP": (2.0, ""), "IL-6": (1.5, "left"),
        "HAMD17": (18.0, ""),
    }  # fmt: skip
    command = element_text(browser, "command")
    assert command.startswith("crosstalk forecast case.csv --scores 'week 2: HAMD17=16' --on bupropion")
    compile(element_text(browser, "python"), "case.py", "exec")
    # the file comes back as the same case
    show(browser, {"values": {}})
    browser.find_element("id", "open").send_keys(str(path))
    wait(browser, lambda: "is open" in element_text(browser, "case-note"))
    rested(browser)
    assert element(browser, "v-IL-6").get_attribute("value") == "<1.5"
    assert element(browser, "v-score").get_attribute("value") == "18"


def test_a_link_opens_its_case_and_a_broken_one_the_example(browser: Any, page_file: Path) -> None:
    import base64

    state = case_of({"values": {"hsCRP": "7.7"}, "score": "27"})
    text = base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")
    for fragment, score in ((f"#case={text}", "27"), ("#case=%%%", "24"), ("#case=e30", "")):
        browser.get("about:blank")
        browser.get(page_file.as_uri() + fragment)
        ready(browser)
        assert element(browser, "v-score").get_attribute("value") == score


def test_a_file_of_several_patients_is_refused_by_name(browser: Any, tmp_path: Path) -> None:
    show(browser, CASES[0])
    path = tmp_path / "two.csv"
    path.write_text("patient,analyte,value,unit\nA,hsCRP,1,mg/L\nB,hsCRP,2,mg/L\n", encoding="utf-8")
    browser.find_element("id", "open").send_keys(str(path))
    wait(browser, lambda: "holds 2 patients" in element_text(browser, "case-note"))


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_narrow_screen_nothing_runs_out_of_sight(browser: Any, dark: bool) -> None:
    resize(browser, 400)
    scheme = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        show(browser, CASES[17])
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        wide = browser.execute_script(OUTSIDE)
        assert wide == []
        assert contrast_faults(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_control_has_a_name_and_headings_descend(browser: Any) -> None:
    show(browser, CASES[17])
    browser.execute_script("for (const d of document.querySelectorAll('details')) d.open = true")
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "textbox", "slider", "combobox", "checkbox", "link", "img", "region", "dialog"}
    nameless = [
        n["role"]["value"] for n in tree
        if not n.get("ignored") and n.get("role", {}).get("value") in roles and not n.get("name", {}).get("value")
    ]  # fmt: skip
    assert nameless == []
    levels = browser.execute_script(LEVELS)
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    twice = browser.execute_script(TWICE)
    assert twice == []
    small = browser.execute_script(SMALL)
    assert small == []


def contrast_faults(browser: Any) -> list[str]:
    """Visible text with less than 4.5 to 1 against what lies behind it."""
    pairs = browser.execute_script(COLOURS)

    def light(colour: list[int]) -> float:
        shares = [v / 255 for v in colour]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def ratio(a: float, b: float) -> float:
        return (max(a, b) + 0.05) / (min(a, b) + 0.05)

    return sorted({text for text, under, over in pairs if ratio(light(under), light(over)) < 4.45})


def show(browser: Any, case: Mapping[str, Any]) -> None:
    ready(browser)
    browser.execute_script("whatIf.set(arguments[0])", case_of(dict(case)))
    rested(browser)


def ready(browser: Any) -> None:
    wait(browser, lambda: browser.execute_script("return document.documentElement.dataset.ready === 'yes'"))


def rested(browser: Any) -> None:
    """Wait until everything of the present case is drawn, or refused."""
    script = "const p = window.whatIf.page; return !p.asked && (!p.found || p.rested === p.found)"
    wait(browser, lambda: browser.execute_script(script))


def wait(browser: Any, done: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            pytest.fail(f"the page did not come to rest; console: {browser.get_log('browser')}")
        time.sleep(0.05)


def element(browser: Any, name: str) -> Any:
    return browser.find_element("id", name)


def element_text(browser: Any, name: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", name))


def resize(browser: Any, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )


def tab_to(browser: Any, wanted: Any) -> None:
    """Reach an element with the tabulator, as a person without a mouse does."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    for _ in range(300):
        if browser.execute_script("return document.activeElement === arguments[0]", wanted):
            return
        ActionChains(browser).send_keys(Keys.TAB).perform()
    pytest.fail(f"not reached by keyboard: {wanted.get_attribute('outerHTML')[:100]}")
