"""Pictures of the reports for the documentation, by Chromium. Run: python scripts/report_pictures.py [PAGE.html ...].

Without arguments the example panels are forecast; pages that are given are only photographed, into docs/images.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PANELS = ROOT / "examples" / "panels" / "two_patients.csv"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
# what is added to the name, width and height [CSS pixels], and further flags
VIEWS = (
    ("1280", 1280, 1500, ()),
    ("400", 400, 1700, ()),
    ("dark", 1280, 1500, ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")),
)


def photograph(page: Path, name: str) -> None:
    """Take the pictures of one page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("needs chromium")
    for suffix, width, height, more in VIEWS:
        target = IMAGES / f"report_{name}_{suffix}.png"
        with tempfile.TemporaryDirectory() as profile:
            command = [browser, *FLAGS, *more, f"--user-data-dir={profile}", f"--window-size={width},{height}",
                       f"--screenshot={target}", page.as_uri()]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        print(target.relative_to(ROOT))


def main() -> None:
    given = [Path(text).resolve() for text in sys.argv[1:]]
    if given:
        for page in given:
            photograph(page, page.stem)
        return
    from crosstalk import forecast, read_panel
    from crosstalk.report.html import forecast_html

    inflamed = next(p for p in read_panel(PANELS).panels if p.patient == "inflamed")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "forecast.html"
        page.write_text(forecast_html(forecast(inflamed)), encoding="utf-8")
        photograph(page, "forecast")


if __name__ == "__main__":
    main()
