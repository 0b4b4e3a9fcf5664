"""Wake-ups over PostgreSQL's LISTEN and NOTIFY, on a connection of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from palpo.db.errors import Unreachable
from palpo.db.postgresql import close_connection, reaching
from palpo.db.wakeups import ReadPosition, Relay

LIMIT = 7500
"""PostgreSQL refuses a payload of 8,000 bytes or more."""


class PostgresLink:
    """One connection that listens on a channel and notifies it."""

    def __init__(self, url: str, *, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._connection: asyncpg.Connection[Any] | None = None

    async def open(self, receive: Callable[[str], None], lost: Callable[[], None]) -> None:
        with reaching():
            connection = await asyncpg.connect(
                self._url, timeout=10.0, server_settings={"application_name": "palpo wake-ups"}
            )
            await connection.add_listener(
                self._channel, lambda _connection, _pid, _channel, payload: receive(str(payload))
            )
        self._connection = connection
        connection.add_termination_listener(lambda ended: self._ended(connection, lost))

    def _ended(self, connection: asyncpg.Connection[Any], lost: Callable[[], None]) -> None:
        if self._connection is connection:
            lost()

    async def send(self, message: str) -> None:
        if self._connection is None:
            raise Unreachable("not connected")
        await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, message)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close_connection(connection)


class PostgresWakeups(Relay):
    """Wake-ups between the processes that share the database at ``url``."""

    def __init__(
        self, url: str, *, channel: str = "palpo_wakeups", read_position: ReadPosition | None = None
    ) -> None:
        super().__init__(PostgresLink(url, channel=channel), limit=LIMIT, read_position=read_position)
