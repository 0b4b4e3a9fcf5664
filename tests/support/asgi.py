"""Requests to an application in this process, without a client library: for tests that make thousands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Answer:
    """How a request was answered."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    seconds: float = 0.0
    complete: bool = False


async def ask(
    app: Any,
    method: str,
    raw_path: bytes,
    *,
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> Answer:
    """One request."""
    answer = Answer()
    sent = asyncio.Event()
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await sent.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            headers = dict(message["headers"])
            answer.content_type = headers.get(b"content-type", b"").decode("latin-1")
        else:
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                answer.complete = True
                sent.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("test.example", 80),
    }
    started = time.perf_counter()
    await app(scope, receive, send)
    answer.seconds = time.perf_counter() - started
    return answer
