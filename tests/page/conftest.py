"""A small page: few virtual patients and regimens, in a folder of its own, and a browser to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.page.data import PageData, collect
from crosstalk.page.export import page_html

REGIMENS = ("ssri", "bupropion", "ssri-infliximab", "placebo")
SMALL = 1600
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load_knowledge()


@pytest.fixture(scope="session")
def data(knowledge: Knowledge) -> PageData:
    engine = get_engine(jobs=1)
    try:
        chosen = tuple(r for r in knowledge.regimens.values() if r.id in REGIMENS)
        return collect(knowledge, engine, virtual_patients=SMALL, regimens=chosen)
    finally:
        engine.close()


@pytest.fixture(scope="session")
def page_file(data: PageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "whatif.html"
    path.write_text(page_html(data, accuracy="Not measured."), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def browser(page_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a network, at the page; every request is in its performance log."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        found.set_script_timeout(120)
        found.execute_cdp_cmd("Network.enable", {})
        found.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
        )
        found.get(page_file.as_uri())
        yield found
    finally:
        found.quit()
