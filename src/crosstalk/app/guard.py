"""Who may come in: host, origin, token and size of every request are looked at before anything is read of it.

A token in the address opens the door once; a cookie that no script can read and no other site can send keeps it open.
Cookies of one machine are shared by its ports, so whatever changes something must also come from this very page, which
the browser says in ``Origin``. Programs send the token as ``Authorization: Bearer`` and need no cookie.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from crosstalk.limits import shown

__all__ = ["POLICY", "Door", "Guard"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": POLICY,
}
SAFE = ("GET", "HEAD")
UPLOAD = 100_000_000  # bytes of a file
BODY = 1_000_000  # bytes of everything else
LONGEST = 8_000  # characters of an address with its query


@dataclass(frozen=True)
class Door:
    """What is let in.

    Attributes
    ----------
    token : str
    hosts : frozenset of str
        What a request may call this server: ``127.0.0.1:8650``.
    upload, body : int [bytes]
        Largest upload, and largest other body.
    """

    token: str
    hosts: frozenset[str]
    upload: int = UPLOAD
    body: int = BODY

    @property
    def cookie(self) -> str:
        """Name of the cookie: one for each port, as ports share them."""
        return "crosstalk_" + "".join(c if c.isalnum() else "_" for c in min(self.hosts))

    def knows(self, token: str) -> bool:
        """Whether this is the token, in a time that tells nothing."""
        return hmac.compare_digest(token.encode(), self.token.encode())


class TooLargeError(Exception):
    """A body grew beyond its limit."""


class Guard:
    """Wraps an ASGI application."""

    def __init__(self, app: App, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no socket is offered
            return
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            if key in headers and key in ("host", "origin", "content-length", "authorization"):
                await _answer(send, 400, f"the header {key} is given twice")
                return
            headers[key] = value.decode("latin-1")
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and "token" in query:
            cookie = f"{self.door.cookie}={self.door.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, "", {"location": "/", "set-cookie": cookie})
            return
        limit = self.door.upload if scope["path"] == "/api/files" else self.door.body
        size = headers.get("content-length", "0")
        if not size.isdigit() or int(size) > limit:
            await _answer(send, 413, f"the request has {shown(size, 20)} bytes; at most {limit} are taken")
            return
        await self._let_in(scope, receive, send, limit)

    def _refused(self, scope: Message, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request does not come in."""
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > LONGEST:
            return 414, "the address is too long"
        host = headers.get("host", "").lower()
        if host not in self.door.hosts:
            return 421, f"this server is not called {shown(host)}; open the address that it printed"
        origin = headers.get("origin")
        own = origin is not None and origin.lower() in {f"http://{h}" for h in self.door.hosts}
        if origin is not None and not own:
            return 403, f"a page of {shown(origin)} may not ask here"
        # a link elsewhere may lead to the first page, and nowhere else
        if scope["path"] != "/" and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "another site may not ask here"
        by_program = headers.get("authorization", "")
        if by_program:
            known = by_program.startswith("Bearer ") and self.door.knows(by_program[7:])
            return None if known else (401, "the token is wrong")
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and given:
            return None if self.door.knows(given[0]) else (401, "the token is wrong; open the address that was printed")
        if not self.door.knows(_cookie(headers.get("cookie", ""), self.door.cookie)):
            return 401, "the token is missing; open the address that `crosstalk app` printed"
        if scope["method"] not in SAFE and not own:
            return 403, "the browser does not say that this comes from the page itself"
        return None

    async def _let_in(self, scope: Message, receive: Receive, send: Send, limit: int) -> None:
        taken, over, answered = 0, False, False

        async def counted() -> Message:
            nonlocal taken, over
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                over = True
                raise TooLargeError
            return message

        async def headed(message: Message) -> None:
            nonlocal answered
            if over and not answered:  # whatever the application makes of a body that breaks off
                answered = True
                await _answer(send, 413, f"the request has more than {limit} bytes")
            if over:
                return
            if message["type"] == "http.response.start":
                answered = True
                given = {name for name, _ in message["headers"]}
                own = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            await self.app(scope, counted, headed)
        except TooLargeError:
            await headed({"type": "http.response.start", "headers": []})


def _cookie(text: str, name: str) -> str:
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


async def _answer(send: Send, status: int, words: str, more: dict[str, str] | None = None) -> None:
    headers = {**HEADERS, "content-type": "text/plain; charset=utf-8", **(more or {})}
    listed = [(k.encode(), v.encode()) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": words.encode("utf-8", "backslashreplace")})
