"""What requests to other homeservers are sent by, and what is answered, by any version of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from palpo.net.connections import Outgoing
from palpo.net.discovery import Destination


class Body(Protocol):
    """What an answer has, which may not all be here yet."""

    def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]:
        """Pieces of up to ``n`` bytes."""
        ...


class Answer(Protocol):
    """An answer whose body has not been read."""

    @property
    def status(self) -> int:
        """By HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case."""
        ...

    @property
    def content_length(self) -> int | None:
        """What is said of the body's length in bytes."""
        ...

    @property
    def content(self) -> Body:
        """The body."""
        ...


class Sender(Protocol):
    """Sends requests to destinations, as ``Connections`` does."""

    def request(self, destination: Destination, outgoing: Outgoing, /) -> AbstractAsyncContextManager[Answer]:
        """Raises NotConnected where nothing was sent, and then aiohttp's errors."""
        ...

    async def close(self) -> None:
        """Close every connection, and make no more."""
        ...
