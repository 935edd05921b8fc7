"""The application without a network: an ASGI client that says what a browser or a program would say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `app` is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")

import httpx

from crosstalk.app import server, work
from crosstalk.app.guard import Door
from crosstalk.app.jobs import Jobs

TOKEN = "t" * 24
HOST = "127.0.0.1:8650"
Ask = Callable[..., Any]


class Inline(Jobs):
    """Jobs done at once in this process, for everything but the processes themselves."""

    def start(self) -> None:
        for runner in self._lanes.values():
            runner.put = self._do  # type: ignore[method-assign]

    def close(self) -> None:
        pass

    def _do(self, job: Any) -> None:
        from crosstalk.errors import CrosstalkError

        try:
            job.results, job.state = work.KINDS[job.kind](job.payload, lambda *_: None), "done"
        except CrosstalkError as error:
            job.error, job.state = str(error), "failed"
        job.ended.set()


@pytest.fixture
def door() -> Door:
    return Door(TOKEN, frozenset({HOST}), upload=200_000, body=20_000)


@pytest.fixture
def app(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(server, "Jobs", Inline)
    folder = tmp_path / "dropped"
    folder.mkdir()
    return server.create_app(door, folder)


@pytest.fixture
def ask(app: Any) -> Iterator[Ask]:
    """Ask as a program that has the token; what is given for a header replaces what would be sent."""
    loop = asyncio.new_event_loop()
    inner = app.app.router.lifespan_context(app.app)
    loop.run_until_complete(inner.__aenter__())
    # one loop for all requests of a test, without a thread

    def call(method: str, path: str, *, headers: dict[str, str | None] | None = None, **more: Any) -> Any:
        given: dict[str, str | None] = {"host": HOST, "authorization": f"Bearer {TOKEN}", **(headers or {})}
        sent = {k: v for k, v in given.items() if v is not None}

        async def run() -> Any:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://placeholder") as client:
                return await client.request(method, path, headers=sent, **more)

        return loop.run_until_complete(run())

    yield call
    loop.run_until_complete(inner.__aexit__(None, None, None))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
