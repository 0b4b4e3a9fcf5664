"""Which servers are in rooms, on every database."""

from __future__ import annotations

from functools import partial

import pytest

from palpo.core.records.events import StoredEvent
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.storage import destinations
from palpo.storage import room_servers as storage
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_users import BOB, CAROL, SERVER, Remote

MEMBER = "m.room.member"
OURS = "test.example"


@pytest.fixture
async def remote(server: Homeserver, alice: Client) -> Remote:
    """A room of Alice's that nobody else has joined."""
    return Remote(server, await alice.create_room(preset="public_chat"))


@pytest.fixture
def room_servers(server: Homeserver) -> RoomServers:
    return server.services.federation.room_servers


async def be(remote: Remote, user: str, membership: str) -> StoredEvent:
    event = await remote.event(user, (MEMBER, user), {"membership": membership})
    await remote.send(event)
    return await remote.history.events.get(event.event_id)


async def test_a_server_is_there_as_long_as_a_user_of_its_is(
    remote: Remote, room_servers: RoomServers
) -> None:
    assert await room_servers.joined(remote.room_id) == set()
    await be(remote, BOB, "join")
    assert await room_servers.joined(remote.room_id) == {SERVER}
    await be(remote, CAROL, "join")
    await be(remote, BOB, "join")
    await be(remote, BOB, "leave")
    assert await room_servers.is_in(remote.room_id, SERVER)
    await be(remote, CAROL, "leave")
    assert await room_servers.joined(remote.room_id) == set()
    assert not await room_servers.is_in(remote.room_id, SERVER)


async def test_what_does_not_join_does_not_count(
    server: Homeserver, remote: Remote, room_servers: RoomServers, alice: Client
) -> None:
    await alice.post(f"/rooms/{remote.room_id}/ban", {"user_id": BOB})
    await alice.post(f"/rooms/{remote.room_id}/unban", {"user_id": BOB})
    assert await room_servers.joined(remote.room_id) == set()
    assert not await server.services.server.db.read(storage.any_room)


async def test_who_is_told_of_an_event(remote: Remote, room_servers: RoomServers, alice: Client) -> None:
    before = await remote.history.events.get(await alice.send(remote.room_id, "before"))
    joined = await be(remote, BOB, "join")
    meanwhile = await remote.history.events.get(await alice.send(remote.room_id, "meanwhile"))
    await alice.post(f"/rooms/{remote.room_id}/kick", {"user_id": BOB})
    kick = (await remote.head()).row
    after = await remote.history.events.get(await alice.send(remote.room_id, "after"))
    assert await room_servers.at(remote.room_id, kick.position) == [SERVER]
    assert await room_servers.at(remote.room_id, meanwhile.position) == [SERVER]
    assert await room_servers.at(remote.room_id, after.position) == []
    assert await room_servers.at(remote.room_id, before.position) == [], "nothing from before they came"
    again = await be(remote, BOB, "join")
    assert joined.position < kick.position < again.position
    assert await room_servers.at(remote.room_id, before.position) == []
    assert await room_servers.at(remote.room_id, again.position) == [SERVER]


async def test_our_own_server(remote: Remote, room_servers: RoomServers, alice: Client) -> None:
    await be(remote, BOB, "join")
    assert await room_servers.is_in(remote.room_id, OURS)
    assert OURS not in await room_servers.joined(remote.room_id)
    await alice.post(f"/rooms/{remote.room_id}/leave", {})
    assert not await room_servers.is_in(remote.room_id, OURS)
    await alice.post(f"/rooms/{remote.room_id}/join", {})
    assert await room_servers.is_in(remote.room_id, OURS)


async def test_the_servers_of_a_user(server: Homeserver, remote: Remote, alice: Client) -> None:
    read = server.services.server.db.read
    assert await read(lambda tx: storage.of_users(tx, [alice.user_id])) == {}
    await be(remote, BOB, "join")
    assert await read(lambda tx: storage.of_users(tx, [alice.user_id, BOB])) == {
        alice.user_id: {SERVER},
        BOB: {SERVER},
    }
    await alice.post(f"/rooms/{remote.room_id}/leave", {})
    assert await read(lambda tx: storage.of_users(tx, [alice.user_id])) == {}


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_an_invite_that_is_taken_back_is_found_for_its_server(
    server: Homeserver, remote: Remote, room_servers: RoomServers, alice: Client, how: str
) -> None:
    """It alone: of what else happens in the room its server is told nothing."""
    read = server.services.server.db.read
    await be_invited(remote, alice)
    await alice.send(remote.room_id, "not for them")
    await alice.post(f"/rooms/{remote.room_id}/{how}", {"user_id": BOB})
    taken_back = await remote.head()
    await alice.send(remote.room_id, "nor this")
    window = {"after": 0, "upto": 2**40, "limit": 100}
    for find in (destinations.every_event, destinations.newest_events):
        found = await read(partial(find, server_name=SERVER, **window))
        assert [item.event_id for item in found] == list(taken_back.row.extremities)
    assert await room_servers.at(remote.room_id, taken_back.row.position) == [SERVER]
    assert await room_servers.joined(remote.room_id) == set()
    if how == "kick":
        await be_invited(remote, alice)
        joined = await be(remote, BOB, "join")
        after = await remote.history.events.get(await alice.send(remote.room_id, "for them too"))
        found = await read(partial(destinations.every_event, server_name=SERVER, **window))
        assert after.event_id in [item.event_id for item in found]
        assert await room_servers.at(remote.room_id, joined.position) == [SERVER]


async def be_invited(remote: Remote, alice: Client) -> None:
    await remote.send(await remote.event(alice.user_id, (MEMBER, BOB), {"membership": "invite"}))
