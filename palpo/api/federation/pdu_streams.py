"""Answers with events by the ten thousand, which are never in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from palpo.api.call import Call, Chunks, Reply
from palpo.api.codec import encode
from palpo.wire.endpoint import Limit

PIECE = 64 * 1024
"""Bytes that are gathered before they are sent."""


def streamed(
    call: Call, lists: Mapping[str, AsyncIterator[bytes]], rest: bytes = b"{}", *, with_status: bool = False
) -> Reply:
    """A JSON object of lists, whose items are JSON each, and what the object ``rest`` has.

    ``with_status`` makes it ``[200, {…}]``, as the first versions of some endpoints have it. What is read in
    the end is taken from the caller's budget of bytes.
    """
    chunks = _object(lists, rest)
    return Reply(body=_gathered(call, _with_status(chunks) if with_status else chunks))


async def _with_status(chunks: Chunks) -> Chunks:
    yield b"[200,"
    async for chunk in chunks:
        yield chunk
    yield b"]"


async def _object(lists: Mapping[str, AsyncIterator[bytes]], rest: bytes) -> Chunks:
    before = rest[:-1] if rest == b"{}" else rest[:-1] + b","
    for name, items in lists.items():
        yield before + encode(name) + b":["
        comma = b""
        async for item in items:
            yield comma + item
            comma = b","
        yield b"]"
        before = b","
    yield b"}"


async def _gathered(call: Call, chunks: Chunks) -> Chunks:
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            call.debit(size, Limit.READ)
            yield b"".join(waiting)
            waiting, size = [], 0
    call.debit(size, Limit.READ)
    yield b"".join(waiting)
