"""Parallel clients on the served page: ``python benchmarks/page_clients.py [--clients 50] [--seconds 60]``.

Each client loads the page, then asks for the forecast of one of some panels again and again, as a person who moves from
patient to patient does, with a pause. A forecast that was asked before is answered from what was found; the first ones
are reported apart. The server's memory, with its processes, is read at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

PANELS = [
    {"values": [{"analyte": "hsCRP", "value": str(crp), "unit": "mg/L"}, {"analyte": "HAMD17", "value": str(score)}]}
    for crp in (0.5, 1, 3, 6, 12)
    for score in (18, 24)
]
PARTS = ("/", "/static/app.css", "/static/app.js", "/static/parts.js", "/static/patient.js", "/api/state")


async def person(
    number: int, address: str, token: str, until: float, pause: float, found: dict[str, list[float]]
) -> None:
    chance = random.Random(number)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=120) as client:
        for part in PARTS:
            await timed(client, "GET", part, None, found["page"], found)
        while time.monotonic() < until:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * pause)
            await timed(client, "POST", "/api/forecast?wait=60", chance.choice(PANELS), found["kept"], found)


async def timed(
    client: httpx.AsyncClient, method: str, path: str, body: object, into: list[float], found: dict[str, list[float]]
) -> None:
    started = time.perf_counter()
    try:
        answer = await client.request(method, path, json=body)
        fine = answer.status_code == 200
    except httpx.HTTPError:
        fine = False
    (into if fine else found["errors"]).append(1000 * (time.perf_counter() - started))


def memory(group: int) -> float:
    """Resident memory of the processes of a group [MB]."""
    total = 0
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total / 1e6


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))] if values else float("nan")


async def measure(address: str, token: str, clients: int, seconds: float, pause: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"first": [], "kept": [], "page": [], "errors": []}
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=300) as one:
        for panel in PANELS:
            await timed(one, "POST", "/api/forecast?wait=60", panel, found["first"], found)
    until = time.monotonic() + seconds
    await asyncio.gather(*(person(k, address, token, until, pause, found) for k in range(clients)))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--pause", type=float, default=1.0, help="mean pause of a client between forecasts [s]")
    chosen = options.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.perf_counter()
    command = [sys.executable, "-m", "crosstalk", "app", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        token = server.stdout.readline().split("token=")[1].strip()
        print(f"answers after {time.perf_counter() - started:.1f} s")
        address = f"http://127.0.0.1:{port}"
        found = asyncio.run(measure(address, token, chosen.clients, chosen.seconds, chosen.pause))
        first, kept, page = found["first"], found["kept"], found["page"]
        print(f"first forecasts, one after the other: {len(first)}, p95 {p95(first):.0f} ms")
        print(f"{chosen.clients} clients, {chosen.seconds:g} s: {len(kept)} forecasts, p95 {p95(kept):.0f} ms")
        print(f"parts of the page: {len(page)}, p95 {p95(page):.0f} ms; errors: {len(found['errors'])}")
        print(f"memory of server and processes: {memory(server.pid):.0f} MB")
        if found["errors"] or server.poll() is not None:
            raise SystemExit("the server refused or ended")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


if __name__ == "__main__":
    main()
