"""A browser for the tests: Chromium by its own driver, over the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else "needs chromium and chromedriver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
WAIT = 120.0


class Browser:
    """One session; `close` ends it and the driver that it started."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        # a proxy of the environment must not see what stays on this machine
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._driver = subprocess.Popen(
            [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
        )
        profile = folder / "profile"
        profile.mkdir()
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        asked = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        started = time.monotonic()
        while True:
            try:
                self._session = self._send("POST", "/session", asked)["sessionId"]
                return
            except (OSError, urllib.error.URLError):
                if time.monotonic() - started > WAIT:
                    self._driver.kill()
                    raise
                time.sleep(0.2)

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        with self._open(request, timeout=WAIT) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path, width: int, height: int = 900, *, dark: bool = False, media: str = "screen") -> None:
        """Show a file at a width in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self._send("POST", f"/session/{self._session}/url", {"url": page.as_uri()})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._send("POST", f"/session/{self._session}/execute/sync", {"script": script, "args": []})

    def command(self, name: str, **parameters: Any) -> Any:
        """One command of the DevTools protocol."""
        body = {"cmd": name, "params": parameters}
        return self._send("POST", f"/session/{self._session}/goog/cdp/execute", body)

    def press(self, key: str) -> None:
        """Press and release one key."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        body = {"actions": [{"type": "key", "id": "keys", "actions": actions}]}
        self._send("POST", f"/session/{self._session}/actions", body)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def close(self) -> None:
        """End the session and the driver."""
        try:
            self._send("DELETE", f"/session/{self._session}")
        finally:
            self._driver.terminate()
            self._driver.wait(10)
