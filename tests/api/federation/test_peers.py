"""Servers that are asked one after the other."""

from __future__ import annotations

from pathlib import Path

from palpo.core.errors import NotFound
from palpo.core.identifiers import ServerName
from palpo.net.federation_errors import ServerError, ServerTimedOut
from palpo.services.federation.servers.away_servers import AwayServers
from palpo.services.federation.servers.peers import Peers
from tests.support.homeserver import homeserver

NAMES = [ServerName(f"{name}.example") for name in ("dead", "angry", "empty", "good", "better")]


async def test_the_first_answer_counts(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        services = server.services
        away = AwayServers(services.server.clock)
        peers = Peers(services.federation.room_servers, away, services.server.name)
        asked: list[str] = []

        async def ask(name: ServerName) -> str | None:
            asked.append(name.partition(".")[0])
            if asked[-1] == "dead":
                raise ServerTimedOut(name, "no answer")
            if asked[-1] == "angry":
                raise ServerError(name, "No", status=403)
            if asked[-1] == "empty":
                raise NotFound("nothing")
            return name

        # No more than three are asked; one that did not answer is passed over for a while.
        assert await peers.of(NAMES, ask) is None
        assert asked == ["dead", "angry", "empty"]
        asked.clear()
        assert await peers.of(NAMES, ask) == "good.example"
        assert asked == ["angry", "empty", "good"]
        asked.clear()
        server.clock.advance(2_000)
        assert await peers.of(NAMES[:1], ask) is None
        assert asked == ["dead"]
        assert await peers.first("!unknown:test.example", ask) is None
