"""The page in Chromium: nothing leaves, it fits a telephone, names are inert, a reload finds a running trial."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra `app` is not installed")

pytestmark = pytest.mark.slow

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Browser:
    """As much of WebDriver as is needed."""

    def __init__(self, port: int, folder: Path) -> None:
        self.base = f"http://127.0.0.1:{port}/session"
        chosen = {"args": [*OPTIONS, f"--user-data-dir={folder}"], "binary": CHROMIUM}
        wanted = {"browserName": "chrome", "goog:chromeOptions": chosen, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.base += f"/{session}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["value"]

    def go(self, address: str) -> None:
        self.ask("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, seconds: float = 240) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(f"return {script}")
            if found:
                return found
            time.sleep(0.3)
        raise AssertionError(f"never: {script}; the page says: {self.run('return document.body.innerText')[:800]}")

    def faults(self) -> list[str]:
        return [e["message"] for e in self.ask("POST", "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a running server, token included."""
    command = [sys.executable, "-m", "crosstalk", "app", "--port", str(free_port())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    yield line.split()[-1]
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(30)
    server.stdout.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed (Debian's packages `chromium`, `chromium-driver`)")
    port = free_port()
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        found = Browser(port, tmp_path_factory.mktemp("chromium"))
        yield found
        found.ask("DELETE", "")
    finally:
        driver.kill()
        driver.wait()


def test_every_part_opens_and_nothing_leaves(browser: Browser, address: str) -> None:
    browser.go(address)
    browser.until("document.querySelector('nav a')")
    own = address.split("?")[0]
    assert browser.run("return location.href").split("#")[0] == own  # the token is out of the address
    for part in ("patient", "cohort", "trial", "evidence"):
        browser.run("location.hash = arguments[0]", part)
        browser.until(
            f"document.querySelector('nav a[aria-current]')?.hash === '#{part}' && document.querySelector('h1')"
        )
        unnamed = browser.run(
            "return [...document.querySelectorAll('#main input, #main select, #main button')].filter(e => "
            "!(e.labels?.length || e.getAttribute('aria-label') || e.innerText.trim())).map(e => e.outerHTML)"
        )
        assert unnamed == []
    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded
    assert all(name.startswith(own) for name in loaded), loaded
    assert browser.faults() == []


def test_it_fits_a_narrow_screen(browser: Browser, address: str) -> None:
    browser.ask("POST", "/window/rect", {"width": 500, "height": 900})  # the least that Chromium has
    try:
        browser.go(address.split("?")[0] + "#trial")
        browser.until("document.querySelector('form')")
        browser.run("document.documentElement.style.width = '400px'")
        for part in ("patient", "cohort", "trial", "evidence"):
            browser.run("location.hash = arguments[0]", part)
            browser.until("document.querySelector('h1')")
            assert browser.run("return document.querySelector('main').scrollWidth") <= 400, part
    finally:
        browser.ask("POST", "/window/rect", {"width": 1280, "height": 900})


def test_a_name_with_a_script_is_a_name(browser: Browser, address: str) -> None:
    browser.go(address.split("?")[0] + "#cohort")
    browser.until("document.querySelector('input[type=file]')")
    evil = '<img src=x onerror="window.evil=1">'
    content = f'patient,hsCRP [mg/L],BMI [kg/m^2]\n"{evil.replace(chr(34), chr(34) * 2)}",5,30\nB,1,24\n'
    browser.run(
        "const t = new DataTransfer(); t.items.add(new File([arguments[0]], arguments[1] + '.csv'));"
        "const i = document.querySelector('input[type=file]'); i.files = t.files; i.dispatchEvent(new Event('change'))",
        content, evil,
    )  # fmt: skip
    browser.until("document.querySelector('#main button.main')")
    # few virtual patients, since the cache of the tests holds none
    browser.run(
        "const real = window.fetch; window.fetch = (to, how) => real(to, to.endsWith('/assess') ? "
        "{...how, body: JSON.stringify({virtual_patients: 400})} : how)"
    )
    browser.run("document.querySelector('#main button.main').click()")
    browser.until("document.querySelector('.heat tbody button')")
    assert browser.run("return document.querySelector('.heat tbody button').textContent") == evil
    browser.run("document.querySelector('.heat tbody button').click()")
    browser.until("document.querySelector('#main h2[tabindex]')")
    assert browser.run("return window.evil") is None
    assert browser.faults() == []


def test_a_reload_comes_back_to_a_running_trial_and_it_can_be_stopped(browser: Browser, address: str) -> None:
    browser.go(address.split("?")[0] + "#trial")
    browser.until("document.querySelector('form button.main')")
    browser.run("document.querySelector('form button.main').click()")
    browser.until("document.querySelector('progress')")
    job = browser.run("return sessionStorage.getItem('trial')")
    browser.ask("POST", "/refresh", {})
    browser.until("document.querySelector('#main progress')")
    assert browser.run("return sessionStorage.getItem('trial')") == job
    browser.run("[...document.querySelectorAll('#main button')].find(b => b.textContent === 'Stop').click()")
    assert browser.until("document.querySelector('.error')?.textContent") == "Stopped."
