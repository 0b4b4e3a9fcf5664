"""A TCP connection that can be cut, or fall silent, at a word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any


class Line:
    """A TCP proxy in front of the server, which can be cut, or fall silent, when a client says a word."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self.on_word: tuple[bytes, Callable[[], None]] | None = None
        self.silent = False
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, *(end.wait_closed() for end in self._open), return_exceptions=True)

    def cut(self) -> None:
        """End every connection."""
        for writer in self._open:
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Let nothing through any more, and tell nobody."""
        self.silent = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._open |= {writer, up_writer}
        await asyncio.gather(self._pump(reader, up_writer, listen=True), self._pump(up_reader, writer))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, listen: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if listen and self.on_word is not None and self.on_word[0] in data:
                    _, act = self.on_word
                    self.on_word = None
                    act()
                if not self.silent:
                    writer.write(data)
        writer.close()
