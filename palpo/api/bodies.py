"""Requests' bodies: read once it is known who sends them, within a time and within memory.

A body of up to 64 KiB is read at once: there are only so many requests of one caller under way. A larger one
first gets room from what all share, and keeps it until its request is answered, since what is decoded from it
lives as long. Whoever proves nothing sends no more than 64 KiB.

**Decoding** is done on the loop: a thread would hold the interpreter's lock for just as long. A body has at
most 512 KiB if its endpoint says nothing else; endpoints with larger ones have it decoded piece by piece
(``palpo.api.pieces``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from palpo.api.shares import Full, Shares
from palpo.config.sections.listeners import HttpConfig
from palpo.core.errors import LimitExceeded, MatrixError, TooLarge
from palpo.streams.eager import within

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SMALL = 64 * 1024
"""Bytes of a body that needs no room of its own; also what one without an access token may have."""
PIECE = 64 * 1024
LARGE_PIECE = 1024 * 1024
"""Bytes that arrive in ``body_seconds`` at least, of what streams past and of what is kept in memory."""
WAIT_SECONDS = 10.0
"""How long a large body waits for room."""
DRAIN_SECONDS = 5.0


class ClientGone(Exception):
    """The client hung up before its request was read."""


class Body:
    """The body of one request, as it arrives."""

    __slots__ = (
        "_bound",
        "_ended",
        "_failed",
        "_open_ended",
        "_receive",
        "_seconds",
        "_size",
        "declared",
        "piece",
    )

    def __init__(self, receive: Receive, headers: Mapping[str, str], seconds: float) -> None:
        """``seconds`` is the time that each ``piece`` of it may take."""
        declared = headers.get("content-length", "")
        self.declared = int(declared[:20]) if declared.isdecimal() else None
        """Its length in bytes, where the head has it."""
        self.piece = PIECE
        self._open_ended = "transfer-encoding" in headers
        self._receive = receive
        self._seconds = seconds
        self._bound = 0
        self._size = 0
        self._ended = self._failed = False

    def bound(self, size: int) -> None:
        """Let it have no more than ``size`` bytes; raises TooLarge where its head says that it has."""
        self._bound = size
        if self.declared is not None and self.declared > size:
            self._failed = True
            raise self._too_large()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its pieces. Raises TooLarge as soon as it is over its bound, and 408 where it comes too slowly."""
        while not self._ended:
            try:
                # What is small is there already, mostly, and then needs no timer.
                parts = await within(self._seconds, self._next_piece())
            except TimeoutError:
                self._failed = True
                raise MatrixError("The body came too slowly", status=408) from None
            yield parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next_piece(self) -> list[bytes]:
        begun = self._size
        parts = [await self._next()]
        while not self._ended and self._size < begun + self.piece:
            parts.append(await self._next())
        return parts

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self._ended = not message.get("more_body", False)
        if self._size > self._bound:
            self._failed = True
            raise self._too_large()
        return chunk

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is over {self._bound} bytes")

    async def drain(self) -> None:
        """Read what is left of a small body, so that an error leaves the connection usable.

        What is left of a large one is the engine's business.
        """
        if self._ended or self._failed or not (self.declared or self._open_ended):
            return
        if (self.declared or 0) > SMALL:
            return
        self._bound = self._size + SMALL
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended:
                    await self._next()
        except (TimeoutError, TooLarge):
            return


class Bodies:
    """Reads bodies whole, for as many callers as there are."""

    def __init__(self, http: HttpConfig) -> None:
        self.seconds = http.body_seconds
        self._shares = Shares(http.body_bytes, http.body_bytes_per_user)

    @property
    def held(self) -> int:
        """Bytes that large bodies have now."""
        return self._shares.used

    async def read(self, body: Body, bound: int, caller: str) -> tuple[bytes, int]:
        """The whole body, and how much room it holds, which is to be given back.

        Raises TooLarge, 408, and LimitExceeded where there is no room for a large one.
        """
        held = 0
        parts: list[bytes] = []
        try:
            if body.declared is not None and body.declared > SMALL:
                held = await self._hold(body, body.declared, caller)
            async for chunk in body.chunks():
                parts.append(chunk)
                if not held and len(parts) > 1:
                    # More than 64 KiB, and nobody has said how much more.
                    held = await self._hold(body, bound, caller)
        except BaseException:
            self.give_back(caller, held)
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts), held

    async def _hold(self, body: Body, size: int, caller: str) -> int:
        try:
            await self._shares.take(caller, size, wait_s=WAIT_SECONDS)
        except Full:
            raise LimitExceeded(
                "Too many large requests at once", retry_after_ms=int(WAIT_SECONDS * 1000)
            ) from None
        body.piece = LARGE_PIECE
        return size

    def give_back(self, caller: str, held: int) -> None:
        """The request is answered."""
        if held:
            self._shares.give_back(caller, held)
