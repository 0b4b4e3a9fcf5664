"""Rooms of whose state members are missing, and what is made of them once it is here, on every database."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import pytest

from palpo.core.events import SignedEvent
from palpo.core.identifiers import ServerName
from palpo.core.membership import JOIN
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import CREATE, MEMBER, POWER_LEVELS, TOPIC
from palpo.db.transaction import WriteTransaction
from palpo.services.history import completions
from palpo.services.history.beginnings import Omission
from palpo.storage import memberships, partial_rooms, room_servers
from palpo.storage.partial_rooms import PartialRoom
from tests.support.homeserver import Client, Homeserver
from tests.support.remote_rooms import RemoteRoom, told
from tests.support.remote_users import BOB, CAROL, SERVER

DAVE = f"@dave:{SERVER}"
THIRD = ServerName("third.example")


@pytest.fixture
def room() -> RemoteRoom:
    """A room that Carol is in, and Dave was."""
    made = RemoteRoom()
    made.add(BOB, POWER_LEVELS, {"users": {BOB: 100, DAVE: 100, CAROL: 50}})
    made.add(CAROL, (MEMBER, CAROL), {"membership": "join"})
    made.add(DAVE, (MEMBER, DAVE), {"membership": "join"})
    return made


async def store(server: Homeserver, room: RemoteRoom, state: Collection[SignedEvent]) -> bytes:
    imports = server.services.history.state_import
    return await imports.store(room.rules, room.room_id, list(state), room.auth_chain(state))


async def join_in_part(server: Homeserver, room: RemoteRoom, client: Client) -> list[SignedEvent]:
    """Join with no other members known; the whole state before that."""
    history = server.services.history
    state = list(room.state.values())
    before = await store(server, room, [item for item in state if item.type != MEMBER])
    event = room.add(client.user_id, (MEMBER, client.user_id), {"membership": "join"})
    omission = Omission(via=ServerName(SERVER), servers=(ServerName(SERVER), THIRD))
    build = partial(history.beginnings.build, event=event, before=before, omission=omission)
    await history.room_writer.admit(room.room_id, build)
    return state


async def complete(
    server: Homeserver, room: RemoteRoom, state: list[SignedEvent], *meanwhile: SignedEvent
) -> set[ServerName]:
    """Have the state; the servers that had been left out. Some events come while the room is judged again."""
    history, db = server.services.history, server.services.server.db
    missed: set[ServerName] = set()

    async def tell(tx: WriteTransaction, room: PartialRoom, servers: Collection[ServerName]) -> None:
        missed.update(servers)

    noted = await db.read(lambda tx: partial_rooms.get(tx, room.room_id))
    assert noted is not None
    root = await store(server, room, state)
    followed = await history.completions.note_members(noted, root, tell)
    judged = await history.completions.judge_again(noted, root)
    await told(server, room, *meanwhile)
    build = partial(history.completions.build, noted, root, followed, tell, judged)
    await history.room_writer.admit(room.room_id, build)
    return missed


async def test_members_and_servers(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    db, heads = server.services.server.db, server.services.history.room_heads
    state = await join_in_part(server, room, alice)
    assert (await heads.get(room.room_id)).row.is_partial
    assert await db.read(lambda tx: memberships.users_in_room(tx, room.room_id)) == [alice.user_id]
    joined = partial(room_servers.longest, room_id=room.room_id, limit=10)
    assert set(await db.read(joined)) == {SERVER, THIRD}
    assert await complete(server, room, state) == set()
    assert not (await heads.get(room.room_id)).row.is_partial
    users = await db.read(lambda tx: memberships.users_in_room(tx, room.room_id))
    assert set(users) == {alice.user_id, BOB, CAROL, DAVE}
    assert await db.read(joined) == [SERVER]
    assert await db.read(lambda tx: partial_rooms.get(tx, room.room_id)) is None


async def test_events_are_judged_again(server: Homeserver, alice: Client, room: RemoteRoom) -> None:
    events = server.services.history.events
    there = room.state[MEMBER, DAVE]
    room.add(DAVE, (MEMBER, DAVE), {"membership": "leave"})
    state = await join_in_part(server, room, alice)
    cited = [room.state[key] for key in (CREATE, POWER_LEVELS, (MEMBER, CAROL))] + [there]
    await store(server, room, [*cited[:2], room.state[MEMBER, CAROL], there])
    kick = room.event(DAVE, (MEMBER, CAROL), {"membership": "leave"}, auth=[item.event_id for item in cited])
    topic = room.event(CAROL, TOPIC, {"topic": "Mine"}, after=(kick.event_id,))
    await told(server, room, kick, topic)
    accepted, rejected = EventStatus.ACCEPTED, EventStatus.REJECTED
    assert (await events.get(kick.event_id)).status is accepted
    assert (await events.get(topic.event_id)).status is rejected
    await complete(server, room, state)
    assert (await events.get(kick.event_id)).status is rejected
    late = await events.get(topic.event_id)
    assert (late.status, late.position > 0) == (accepted, True)
    member = await events.state_event(late.state_before, MEMBER, CAROL)
    assert member is not None
    assert member.event.content["membership"] == JOIN


async def test_many_events_are_judged_again_a_few_at_a_time(
    server: Homeserver, alice: Client, room: RemoteRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "BATCH", 3)
    history = server.services.history
    state = await join_in_part(server, room, alice)
    first = room.last
    after = dict(room.state)
    messages = [room.add(BOB, "m.room.message", {"body": f"{number}"}) for number in range(10)]
    fork = room.event(CAROL, "m.room.message", {"body": "Late"}, after=first, state=after)
    await told(server, room, *messages)

    async def is_known(event: SignedEvent) -> bool:
        """Whether all members are in the state before it."""
        before = (await history.events.get(event.event_id)).state_before
        return await history.events.state_event(before, MEMBER, CAROL) is not None

    noted = await server.services.server.db.read(lambda tx: partial_rooms.get(tx, room.room_id))
    assert noted is not None
    # It is interrupted, and begins again.
    await history.completions.judge_again(noted, await store(server, room, state))
    known = [await is_known(event) for event in messages]
    assert known == sorted(known, reverse=True)
    assert (known[0], known[-1]) == (True, False)
    await complete(server, room, state, fork)
    assert all([await is_known(event) for event in (*messages, fork)])
    head = await history.room_heads.get(room.room_id)
    assert set(head.row.extremities) == {messages[-1].event_id, fork.event_id}
    assert await history.events.state_event(head.state_root, MEMBER, CAROL) is not None
