"""Who sees which events."""

from __future__ import annotations

from palpo.core.records.events import StoredEvent
from palpo.services.history.drafts import Draft
from palpo.storage import accounts
from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room, member, state


async def say(server: Homeserver, room_id: str, client: Client, body: str) -> StoredEvent:
    draft = Draft(type="m.room.message", sender=client.user_id, content={"body": body})
    return await server.services.history.room_writer.send(room_id, draft)


async def seen(server: Homeserver, events: list[StoredEvent], client: Client) -> list[StoredEvent]:
    both = await server.services.history.visibility.visible(events, client.user_id)
    backwards = await server.services.history.visibility.visible(events[::-1], client.user_id)
    assert backwards == both[::-1]
    return both


async def test_coming_and_going(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice, visibility="joined")
    events = [
        await say(server, room_id, alice, "0"),
        await member(server, room_id, bob, "join"),
        await say(server, room_id, alice, "2"),
        await member(server, room_id, bob, "leave"),
        await say(server, room_id, alice, "4"),
        await member(server, room_id, bob, "join"),
        await say(server, room_id, alice, "6"),
    ]
    expected = [events[index] for index in (1, 2, 3, 5, 6)]
    assert await seen(server, events, bob) == expected
    assert await seen(server, events, alice) == events


async def test_a_change_counts_before_and_after(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice, visibility="world_readable")
    type_ = "m.room.history_visibility"
    events = [
        await say(server, room_id, alice, "open"),
        await state(server, room_id, alice, type_, {"history_visibility": "joined"}),
        await say(server, room_id, alice, "closed"),
        await state(server, room_id, alice, type_, {"history_visibility": "world_readable"}),
        await say(server, room_id, alice, "open again"),
    ]
    assert await seen(server, events, bob) == [*events[:2], *events[3:]]


async def test_a_ban_is_seen_by_who_is_banned(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    events = [
        await say(server, room_id, alice, "shared"),
        await member(server, room_id, bob, "leave"),
        await say(server, room_id, alice, "after"),
        await member(server, room_id, bob, "ban", by=alice),
    ]
    assert await seen(server, events, bob) == [events[0], events[1], events[3]]


async def test_erased_users_words_are_for_who_was_there(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await make_room(server, alice)
    sent = await say(server, room_id, alice, "gone")
    await member(server, room_id, bob, "join")
    assert await seen(server, [sent], bob) == [sent]
    await server.services.server.db.write(lambda tx: accounts.deactivate(tx, alice.user_id, erase=True))
    [shown] = await seen(server, [sent], bob)
    assert shown.event.content == {}
    assert b"gone" not in shown.client
    assert await seen(server, [sent], alice) == [sent]
