"""Wake-ups over Redis's publish and subscribe."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from palpo.db.cancelling import end
from palpo.db.wakeups import ReadPosition, Relay

LIMIT = 65536


class RedisLink:
    """One connection that subscribes to a channel, and one that publishes to it."""

    def __init__(self, url: str, *, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._redis: Redis | None = None
        self._pubsub: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self, receive: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Connect and subscribe; raises ConnectionError, TimeoutError."""
        # Without retries: a subscription that mends itself would hide that messages were missed.
        self._redis = Redis.from_url(
            self._url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=10.0, client_name=self._channel
        )
        self._pubsub = self._redis.pubsub(ignore_subscribe_messages=False)
        try:
            await self._pubsub.subscribe(self._channel)
            subscribed = await self._pubsub.get_message(timeout=10.0)
        except RedisError as error:
            raise ConnectionError(f"Redis: {error}") from error
        if subscribed is None:
            raise TimeoutError("Redis did not confirm the subscription")
        self._reader = asyncio.get_running_loop().create_task(self._read(receive, lost), name="redis-wakeups")

    async def send(self, message: str) -> None:
        if self._redis is None:
            raise ConnectionError("not connected")
        await self._redis.publish(self._channel, message)

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await end([reader])
        for closing in (self._pubsub, self._redis):
            if closing is not None:
                with contextlib.suppress(Exception):
                    await closing.aclose()
        self._pubsub = self._redis = None

    async def _read(self, receive: Callable[[str], None], lost: Callable[[], None]) -> None:
        try:
            async for message in self._pubsub.listen():
                if message["type"] == "message":
                    receive(message["data"].decode("utf-8", "replace"))
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - whatever it was, there is no subscription any more
            pass
        lost()


class RedisWakeups(Relay):
    """Wake-ups between the processes that share the Redis at ``url``, by the name of the ``channel``."""

    def __init__(
        self, url: str, *, channel: str = "palpo:wakeups", read_position: ReadPosition | None = None
    ) -> None:
        super().__init__(RedisLink(url, channel=channel), limit=LIMIT, read_position=read_position)
