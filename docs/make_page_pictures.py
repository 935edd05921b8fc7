"""Pictures of the page in each of its states, for ``page.md``.

``python docs/make_page_pictures.py whatif.html`` makes all, with names after it some.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

PICTURES = Path(__file__).resolve().parent / "images"
REST = "return window.whatIf && !whatIf.page.asked && (!whatIf.page.found || whatIf.page.rested === whatIf.page.found)"
INFLAMED: Mapping[str, Any] = {
    "values": {"hsCRP": {"text": "6.2"}, "BMI": {"text": "29"}, "age": {"text": "42"}},
    "scale": "HAMD17",
    "score": "24",
}
QUIET: Mapping[str, Any] = {**INFLAMED, "values": {**INFLAMED["values"], "hsCRP": {"text": "<0.3"}}}

# name: width, dark, case, script that brings the state about, what of the page is shown (None: all)
STATES: Mapping[str, tuple[int, bool, Mapping[str, Any], str, str | None]] = {
    "page": (1360, False, INFLAMED, "", None),
    "page_dark": (1360, True, {**INFLAMED, "regimen": "ssri-infliximab"}, "", None),
    "page_narrow": (400, False, INFLAMED, "", "#results > section:first-child"),
    "page_early": (
        1360, False, {**INFLAMED, "early": [{"week": "2", "score": "17"}]}, "", "#results > section:nth-child(2)",
    ),
    "page_pinned": (
        1360, False, INFLAMED, "whatIf.page.pin(); whatIf.set(QUIET)", "#results > section:first-child",
    ),
    "page_map": (1360, False, {**INFLAMED, "regimen": "ssri-infliximab"}, "", "#results > section:nth-child(3)"),
    "page_source": (1360, False, INFLAMED, "whatIf.page.sources.open('node microglia')", "#source"),
    "page_refused": (1360, False, {"values": {"hsCRP": {"text": "500"}, "Treg": {"text": "1"}}}, "", ".right"),
}  # fmt: skip

BOX = """
const [part, width] = arguments, e = part ? document.querySelector(part) : document.documentElement;
const b = e.getBoundingClientRect(), top = e.closest('dialog') ? 0 : scrollY;
return part ? [b.left - 8, b.top + top - 8, b.width + 16, b.height + 16] : [0, 0, width, e.scrollHeight];
"""


def main(page: Path, wanted: Sequence[str]) -> int:
    for name, (width, dark, case, script, part) in STATES.items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            driver = _browser(folder, width, dark)
            try:
                driver.get(page.absolute().as_uri())
                _rest(driver)
                driver.execute_script("whatIf.set(arguments[0])", case)
                _rest(driver)
                if script:
                    driver.execute_script(script.replace("QUIET", json.dumps(QUIET)))
                    _rest(driver)
                # 256 colours are enough, and take a third of the bytes
                image = Image.open(io.BytesIO(_picture(driver, width, part))).convert("RGB").quantize(256)
                image.save(PICTURES / f"{name}.png", optimize=True)
                print(f"{name}: {driver.execute_script('return document.title')}")
            finally:
                driver.quit()
    return 0


def _browser(folder: str, width: int, dark: bool) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    return driver


def _rest(driver: webdriver.Chrome) -> None:
    time.sleep(0.2)
    end = time.monotonic() + 120
    while not driver.execute_script(REST):
        if time.monotonic() > end:
            raise SystemExit(f"the page does not come to rest: {driver.get_log('browser')}")
        time.sleep(0.1)


def _picture(driver: webdriver.Chrome, width: int, part: str | None) -> bytes:
    box = driver.execute_script(BOX, part, width)
    clip = {"x": max(box[0], 0), "y": max(box[1], 0), "width": box[2], "height": box[3], "scale": 1}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
    )
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
