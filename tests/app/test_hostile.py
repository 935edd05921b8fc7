"""Who is not let in, and what is not taken: foreign hosts and origins, wrong tokens, paths, sizes, scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosstalk.app.guard import Door
from crosstalk.app.server import serve
from crosstalk.errors import UsageError

Ask = Callable[..., Any]
COOKIE = "crosstalk_127_0_0_1_8650=" + "t" * 24
OWN = "http://127.0.0.1:8650"
BROWSER: dict[str, str | None] = {"authorization": None, "cookie": COOKIE}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:9999"}, 421),
        ({"host": "127.0.0.1.evil.example:8650"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic " + "t" * 24}, 401),
        ({"authorization": None}, 401),
        ({"authorization": None, "cookie": "crosstalk_127_0_0_1_8650=wrong"}, 401),
        ({"authorization": None, "cookie": "other=" + "t" * 24}, 401),
        ({"authorization": None, "cookie": "\x01;;=;"}, 401),
        ({}, 200),
        (BROWSER, 200),
    ],
)
def test_who_may_read(ask: Ask, headers: dict[str, str | None], status: int) -> None:
    assert ask("GET", "/api/jobs", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (BROWSER, 403),  # the browser of a victim, led by a page on another port of this machine, without Origin
        ({**BROWSER, "origin": "http://127.0.0.1:9999"}, 403),
        ({**BROWSER, "origin": OWN}, 200),
        ({}, 200),
        ({"origin": OWN}, 200),
    ],
)
def test_who_may_change(ask: Ask, headers: dict[str, str | None], status: int) -> None:
    answer = ask("POST", "/api/design", headers=headers, json={"regimen": "ssri-infliximab", "control": "ssri"})
    assert answer.status_code == status


def test_the_token_in_the_address_becomes_a_cookie_that_no_script_reads(ask: Ask) -> None:
    answer = ask("GET", "/?token=" + "t" * 24, headers={"authorization": None})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(COOKIE)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask("GET", "/?token=wrong", headers={"authorization": None}).status_code == 401
    assert ask("GET", "/api/jobs?token=" + "t" * 24, headers={"authorization": None}).status_code == 401


def test_every_answer_has_the_headers_that_hold_a_page_together(ask: Ask) -> None:
    for path, status in (("/", 200), ("/static/app.js", 200), ("/api/jobs", 200), ("/nothing", 404)):
        answer = ask("GET", path)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = ask("GET", "/").text
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py", "/static/%2e%2e%2fserver.py", "/static/..%5cserver.py", "/static/app.html",
        "/static//etc/passwd", "/api/jobs/..%2f..%2fetc%2fpasswd", "/api/jobs/x/..%2f..%2fetc%2fpasswd",
        "/whatif/..%2f..%2fetc%2fpasswd", "/api/files/..%2fetc/answers",
    ],
)  # fmt: skip
def test_no_path_leads_anywhere(ask: Ask, path: str) -> None:
    answer = ask("GET", path)
    assert answer.status_code in (404, 405)
    assert "root:" not in answer.text


def test_a_file_is_kept_under_a_name_of_the_servers_own(ask: Ask, tmp_path: Path) -> None:
    name = "../../../<script>alert(1)</script>.csv"
    answer = ask("POST", "/api/files", files={"file": (name, b"patient,hsCRP [mg/L]\nA,5\n")})
    assert answer.status_code == 202
    found = answer.json()
    assert "/" not in found["name"]
    (kept,) = (tmp_path / "dropped").iterdir()
    assert kept.suffix == ".csv"
    assert len(kept.stem) == 24
    document = ask("GET", f"/api/jobs/{found['job']['id']}/document")
    assert document.headers["content-type"].startswith("application/json")
    assert str(tmp_path) not in document.text
    assert ask("DELETE", f"/api/files/{found['file']}").status_code == 204
    assert list((tmp_path / "dropped").iterdir()) == []


def test_names_in_errors_are_the_clients_and_never_a_path(ask: Ask, tmp_path: Path) -> None:
    answer = ask("POST", "/api/files", files={"file": ("bad.csv", b"\x00\x01\x02")})
    job = ask("GET", f"/api/jobs/{answer.json()['job']['id']}").json()
    assert job["state"] == "failed"
    assert "bad.csv" in job["error"]
    assert str(tmp_path) not in job["error"]


def test_sizes_are_limited(ask: Ask, door: Door) -> None:
    assert ask("POST", "/api/files", files={"file": ("big.csv", b"x" * (door.upload + 1))}).status_code == 413
    assert ask("POST", "/api/design", content=b"x" * (door.body + 1)).status_code == 413
    assert ask("GET", "/api/jobs?" + "x" * 9000).status_code == 414

    async def endless() -> Any:
        for _ in range(1000):
            yield b"x" * 1000

    # without a length, what comes is counted
    answer = ask("POST", "/api/design", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/forecast", "{"),
        ("/api/forecast", "[" * 5000),
        ("/api/forecast", "{}"),
        ("/api/forecast", '{"values": []}'),
        ("/api/forecast", '{"values": [{"analyte": "hsCRP", "value": 5}], "evil": 1}'),
        ("/api/forecast", '{"values": [{"analyte": "hsCRP", "value": "5"}], "virtual_patients": 100000000}'),
        ("/api/forecast", '{"values": [{"analyte": "hsCRP", "value": "5"}], "weeks": 1e400}'),
        ("/api/trial", '{"regimen": "ssri", "control": "ssri", "n": 100000000}'),
        ("/api/trial", '{"regimen": "ssri", "control": "ssri", "severity": NaN}'),
        ("/api/trial", '{"regimen": "../../etc/passwd", "control": "ssri"}'),
        ("/api/evidence/beside", '{"study": "../../../etc/passwd"}'),
        ("/api/files/none/assess", "{}"),
    ],
)
def test_malformed_bodies_are_refused_with_words(ask: Ask, path: str, body: str) -> None:
    answer = ask("POST", f"{path}?wait=1", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["error"]
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text


def test_a_title_of_several_lines_stays_a_title(ask: Ask) -> None:
    title = 'x"\n[trial]\nn = 9\n<script>'
    design = ask("POST", "/api/design", json={"title": title, "regimen": "ssri-infliximab", "control": "ssri"}).text
    import tomllib

    found = tomllib.loads(design)
    assert found["study"]["title"] == title
    assert found["trial"]["n"] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_another_host_needs_a_token_file(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--token-file"):
        serve(host)
    short = tmp_path / "token"
    short.write_text("short")
    with pytest.raises(UsageError, match="20 or more letters"):
        serve(host, token_file=short)
    with pytest.raises(UsageError, match="cannot be read"):
        serve(host, token_file=tmp_path / "none")
