"""What is remembered of other servers does not grow with the names that anybody makes up."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from palpo.services.federation.servers.away_servers import REMEMBERED, AwayServers
from tests.support.pairs import Town

SERVERS = 200
MIB = 1024 * 1024


async def test_caches_of_federation_are_bounded(town: Town) -> None:
    """All of them are of the one budget; what is kept beside it is not kept for each name."""
    async with town.homeserver("hs1.test", caches={"megabytes": 1}) as server:
        alice = await server.register("alice")
        budget = server.services.server.caches
        assert budget.limit == MIB

        async def ask(number: int) -> None:
            name = f"127.9.9.{number}:1"
            await alice.get(f"/profile/@bob:{name}", status=None)
            assert budget.bytes <= budget.limit

        for start in range(0, SERVERS, 20):
            await asyncio.gather(*map(ask, range(start, start + 20)))
        gc.collect()
        kept = [item for item in gc.get_objects() if type(item) is dict and len(item) >= SERVERS]
        allowed = [vars(cache).values() for cache in budget.caches if hasattr(cache, "__dict__")]
        assert [item for item in kept if _by_servers(item) and item not in allowed] == []


def _by_servers(kept: dict[Any, Any]) -> bool:
    return sum(isinstance(name, str) and ":1" in name for name in list(kept)) >= SERVERS


def test_what_is_remembered_of_servers_is_bounded() -> None:
    away = AwayServers(_Still())
    for number in range(REMEMBERED + 100):
        away.failed(f"s{number}.example")
    assert not away.is_away("s0.example")
    assert not away.is_away("s99.example")
    assert away.is_away("s100.example")
    assert away.is_away(f"s{REMEMBERED + 99}.example")


class _Still:
    """A clock that stands still."""

    def now_ms(self) -> int:
        return 0

    def elapsed_s(self) -> float:
        return 0.0
