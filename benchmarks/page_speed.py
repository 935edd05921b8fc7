"""How long the page takes to redraw all regimens while CRP moves, in Chromium.

``python benchmarks/page_speed.py whatif.html`` prints the median of the wall-clock time and, since other work on the
machine stretches that, the processor time of the page's own thread.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

MOVES = 40
WARM = 12
CASE = {
    "values": {"hsCRP": {"text": "3"}, "BMI": {"text": "27"}, "age": {"text": "40"}},
    "scale": "HAMD17",
    "score": "22",
}
MOVE = """
const p = whatIf.page, [from, count] = arguments, took = [];
for (let i = 0; i < count; i++) {
  p.state.values.hsCRP.text = (0.5 + 0.15 * (from + i)).toFixed(2);
  const begun = performance.now();
  p.redraw();
  took.push(performance.now() - begun);
}
for (const t of p.waiting) clearTimeout(t);
return took;
"""


def main(page: Path) -> int:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as folder:
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            driver.set_script_timeout(300)
            driver.get(page.absolute().as_uri())
            while not driver.execute_script("return document.documentElement.dataset.ready"):
                time.sleep(0.1)
            driver.execute_script("whatIf.set(arguments[0])", CASE)
            driver.execute_script(MOVE, 0, WARM)
            driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            before = _seconds(driver)
            took = sorted(driver.execute_script(MOVE, WARM, MOVES))
            processor = 1000 * (_seconds(driver) - before) / MOVES
        finally:
            driver.quit()
    print(f"redraw while CRP moves, {MOVES} times: median {took[len(took) // 2]:.0f} ms, fastest {took[0]:.0f} ms")
    print(f"processor time of the page's thread: {processor:.0f} ms each")
    return 0


def _seconds(driver: webdriver.Chrome) -> float:
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(m["value"]) for m in metrics if m["name"] == "TaskDuration")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
