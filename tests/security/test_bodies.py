"""What other servers send is read as it comes, and up to a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palpo.core.canonical_json import encode_lax
from palpo.core.state_keys import MEMBER
from palpo.services.federation.fetching import remote_events
from palpo.services.federation.fetching.remote_events import EVENT_BYTES, STATE_BYTES
from palpo.services.federation.memberships import remote_joins
from palpo.wire.federation.transactions import MAX_BYTES
from tests.api.federation.test_missing_events import Past
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import CAROL, SERVER
from tests.support.resident import Resident
from tests.support.transactions import sender_in

V1 = "/_matrix/federation/v1"
MIB = 1024 * 1024


def test_bodies_are_bounded_as_the_design_says() -> None:
    bounds = (EVENT_BYTES, MAX_BYTES, STATE_BYTES, remote_joins.STATE_BYTES)
    assert bounds == (128 * 1024, 10 * MIB, 256 * MIB, 256 * MIB)


async def test_bodies_of_more_than_10_mib_are_no_transaction(
    server: Homeserver, remote: RemoteServer
) -> None:
    body: dict[str, Any] = {"origin": SERVER, "origin_server_ts": 1, "pdus": [], "edus": []}
    full = {**body, "x": "x" * (MAX_BYTES - len(encode_lax({**body, "x": ""})))}
    assert await remote.ask(server, "PUT", f"{V1}/send/full", full) == {"pdus": {}}
    told = await remote.ask(server, "PUT", f"{V1}/send/over", {**full, "y": 1}, status=413)
    assert told["errcode"] == "M_TOO_LARGE"


@pytest.mark.parametrize("over", [False, True])
async def test_bodies_of_more_than_128_kib_are_no_event(tmp_path: Path, over: bool) -> None:
    """The only answer with an event that is wanted: what is before a gap."""
    async with sender_in(tmp_path) as sender:
        past = Past(sender)
        hidden = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
        shown = await sender.message("shown", after=(hidden.event_id,))
        last = await sender.message("last", after=(shown.event_id,))
        past.add(shown)
        past.state = [*await past.now(), hidden.event_id]

        async def event(asked: Asked) -> Any:
            return {"pdus": [hidden.pdu], "x": "x" * (EVENT_BYTES + (1000 if over else -5000))}

        sender.server.answers["GET", f"{V1}/event/"] = event
        await sender.send(last)
        await sender.settled()
        assert await sender.bodies() == ([] if over else ["shown", "last"])


@pytest.mark.parametrize("over", [False, True])
async def test_bodies_of_more_than_256_mib_are_no_state(
    alice: Client, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch, over: bool
) -> None:
    """With a smaller bound, so that the test need not send as much."""
    monkeypatch.setattr(remote_joins, "STATE_BYTES", MIB)
    room = RemoteRoom()
    resident = Resident(remote, room)
    resident.told = {"x": ["x" * 1000] * (1100 if over else 900)}
    status = None if over else 200
    told = await alice.post(f"/join/{room.room_id}", params={"via": SERVER}, status=status)
    assert ("room_id" in told) != over
    assert ("rooms" in await alice.get("/sync")) != over


async def test_bodies_of_states_are_read_as_they_come(
    alice: Client, remote: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is ever in memory as a whole: it is cut up piece by piece."""
    pieces: list[int] = []
    feed = remote_events.JsonPieces.feed

    def measured(self: Any, chunk: bytes) -> Any:
        pieces.append(len(chunk))
        return feed(self, chunk)

    monkeypatch.setattr(remote_events.JsonPieces, "feed", measured)
    room = RemoteRoom()
    resident = Resident(remote, room)
    resident.told = {"x": ["x" * 1000] * 20_000}
    await alice.post(f"/join/{room.room_id}", params={"via": SERVER})
    assert sum(pieces) > 19 * MIB
    assert max(pieces) <= 64 * 1024
