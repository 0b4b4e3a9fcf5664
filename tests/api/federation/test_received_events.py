"""One event among many that is not what it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palpo.core.events import SignedEvent, build_event
from palpo.core.identifiers import RoomId
from palpo.core.room_versions import room_version
from palpo.core.signed_objects import KeyUnavailable
from palpo.core.signing import SigningKey
from palpo.services.federation.events.received_events import ReceivedEvents, Refused
from tests.support.federation import peer
from tests.support.homeserver import Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server

REMOTE, AWAY = "remote.example", "away.example"
ROOM = RoomId("!room:remote.example")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[Homeserver, RemoteServer]]:
    town = Town.of(tmp_path, "hs1.test", REMOTE, AWAY)
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
    ):
        yield server, remote


def event(
    key: SigningKey, *, server: str = REMOTE, version: str = "10", room_id: str = ROOM, **content: Any
) -> SignedEvent:
    return build_event(
        room_version(version),
        server_name=server,
        key=key,
        room_id=room_id,
        type="m.room.message",
        sender=f"@bob:{server}",
        content={"body": "hello", **content},
        origin_server_ts=1000,
        depth=5,
        prev_events=["$a"],
        auth_events=["$b"],
    )


async def test_the_faults_of_one_are_its_own(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    received = ReceivedEvents(ours.services.federation.keyring)
    good = event(remote.key)
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    pdus: list[Any] = [
        good.pdu,
        {**good.pdu, "content": {"body": "changed"}},
        {**good.pdu, "depth": 6},
        {**good.pdu, "content": {"body": 1.5}},
        {**good.pdu, "content": {"body": "\ud800"}},
        {**good.pdu, "content": {"body": deep}},
        {**good.pdu, "type": "a\0b"},
        {**good.pdu, "room_id": "!other:remote.example"},
        {**good.pdu, "signatures": {}},
        {**good.pdu, "content": {"body": "x" * 70_000}},
        [],
        None,
        {**good.pdu, "unsigned": {"age": 1, "prev_content": {}}},
        event(SigningKey(key_id="ed25519:1", seed=bytes(32))).pdu,
    ]
    checked = await received.check(room_version("10"), pdus, room_id=ROOM)
    taken = {index: item for index, item in enumerate(checked) if not isinstance(item, Refused)}
    assert set(taken) == {0, 1, 12}
    assert taken[0].pdu == good.pdu
    assert taken[1].event_id == good.event_id
    assert taken[1].content == {}
    assert "unsigned" not in taken[12].pdu
    assert len(await received.events(room_version("10"), pdus, room_id=ROOM)) == 3


async def test_without_a_key_it_is_not_known(server: tuple[Homeserver, RemoteServer]) -> None:
    ours, remote = server
    received = ReceivedEvents(ours.services.federation.keyring)
    (checked,) = await received.check(room_version("10"), [event(remote.key, server=AWAY).pdu])
    assert isinstance(checked, Refused)
    assert isinstance(checked.error, KeyUnavailable)


async def test_of_many_rooms_those_wait_for_no_key_whose_keys_are_here(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", REMOTE, AWAY)
    host, _, port = town.hosts[AWAY].rpartition(":")
    async with (
        town.homeserver("hs1.test") as ours,
        remote_server(town, REMOTE, now_ms=ours.clock.now_ms) as remote,
        peer(town.authority.serving(AWAY), host=host, port=int(port)) as asked,
    ):
        received = ReceivedEvents(ours.services.federation.keyring)
        rules, known = room_version("10"), event(remote.key)
        unsigned = {**known.pdu, "signatures": {}}
        await received.check(rules, [known.pdu])
        other = event(remote.key, server=AWAY, room_id="!other:remote.example")
        rooms = {
            ROOM: (rules, [known.pdu, unsigned]),
            RoomId("!other:remote.example"): (rules, [other.pdu]),
            RoomId("!third:remote.example"): (rules, [known.pdu]),
        }
        checked = await received.check_here(rooms)
        assert asked.asked == []
        first, second = checked.pop(ROOM)
        assert isinstance(first, SignedEvent)
        assert first.event_id == known.event_id
        assert isinstance(second, Refused)
        ((third,),) = checked.values()
        assert isinstance(third, Refused)
