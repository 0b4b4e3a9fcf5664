"""Events as clients see them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from palpo.core.records.events import StoredEvent
from palpo.services.history.drafts import Draft, SendTransaction
from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room, member, state
from tests.support.statements import Statements


async def shown(
    server: Homeserver, events: list[StoredEvent], client: Client, **options: Any
) -> list[dict[str, Any]]:
    options = {"with_room_id": True, "device_id": client.device_id, **options}
    rendered = await server.services.reading.client_events.render(events, user_id=client.user_id, **options)
    return [orjson.loads(item) for item in rendered]


def text(sender: Client, body: str, **more: Any) -> Draft:
    content = {"msgtype": "m.text", "body": body, **more}
    return Draft(type="m.room.message", sender=sender.user_id, content=content)


def relation(rel_type: str, target: StoredEvent, **more: Any) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": rel_type, "event_id": target.event_id, **more}}


async def test_an_ordinary_message(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    sent = await server.services.history.room_writer.send(room_id, text(alice, "hi"))
    server.clock.advance(1500)
    [event] = await shown(server, [sent], alice)
    assert event == {
        "type": "m.room.message",
        "sender": alice.user_id,
        "content": {"msgtype": "m.text", "body": "hi"},
        "event_id": sent.event_id,
        "origin_server_ts": sent.event.origin_server_ts,
        "room_id": room_id,
        "unsigned": {"age": 1500, "membership": "join"},
    }
    [event] = await shown(server, [sent], bob, with_room_id=False)
    assert "room_id" not in event
    assert event["unsigned"]["membership"] == "leave"


async def test_membership_at_each_event(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    send = server.services.history.room_writer.send
    events = [
        await send(room_id, text(alice, "1")),
        await member(server, room_id, bob, "invite", by=alice),
        await send(room_id, text(alice, "2")),
        await member(server, room_id, bob, "join"),
        await send(room_id, text(alice, "3")),
        await member(server, room_id, bob, "ban", by=alice),
    ]
    expected = ["leave", "invite", "invite", "join", "join", "ban"]
    forwards = await shown(server, events, bob)
    assert [event["unsigned"]["membership"] for event in forwards] == expected
    backwards = await shown(server, events[::-1], bob)
    assert [event["unsigned"]["membership"] for event in backwards] == expected[::-1]


async def test_the_transaction_is_for_the_device_that_sent_it(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    request = SendTransaction(
        user_id=alice.user_id, device_id=alice.device_id, scope="x", transaction_id='te"xt'
    )
    sent = await server.services.history.room_writer.send(room_id, text(alice, "hi"), transaction=request)
    [event] = await shown(server, [sent], alice)
    assert event["unsigned"]["transaction_id"] == 'te"xt'
    [event] = await shown(server, [sent], await server.login("alice"))
    assert "transaction_id" not in event["unsigned"]


async def test_state_tells_what_it_replaced(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    one = await state(server, room_id, alice, "m.room.topic", {"topic": "one"})
    two = await state(server, room_id, alice, "m.room.topic", {"topic": "two"})
    first, second = await shown(server, [one, two], alice)
    assert "prev_content" not in first["unsigned"]
    assert second["unsigned"]["prev_content"] == {"topic": "one"}
    assert second["unsigned"]["replaces_state"] == one.event_id


async def test_a_redacted_event(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    sent = await server.services.history.room_writer.send(room_id, text(alice, "hi"))
    draft = Draft(
        type="m.room.redaction", sender=alice.user_id, content={"reason": "no"}, redacts=sent.event_id
    )
    redaction = await server.services.history.room_writer.send(room_id, draft)
    [event] = await shown(server, [await server.services.history.events.get(sent.event_id)], alice)
    assert event["content"] == {}
    because = event["unsigned"]["redacted_because"]
    assert because["event_id"] == redaction.event_id
    assert because["content"] == {"reason": "no", "redacts": sent.event_id}


async def test_bundled_aggregations(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    send = server.services.history.room_writer.send
    root = await send(room_id, text(alice, "root"))
    assert "m.relations" not in (await shown(server, [root], alice))[0]["unsigned"]
    edit = relation("m.replace", root)
    await send(room_id, text(alice, "* one", **edit, **{"m.new_content": {"body": "one"}}))
    server.clock.advance(1)
    newest = await send(room_id, text(alice, "* two", **edit, **{"m.new_content": {"body": "two"}}))
    server.clock.advance(1)
    await send(room_id, text(bob, "* no", **edit, **{"m.new_content": {"body": "no"}}))
    await send(room_id, text(alice, "no new content", **edit))
    await send(room_id, text(bob, "t1", **relation("m.thread", root)))
    last = await send(room_id, text(bob, "t2", **relation("m.thread", root)))
    last_edit = {**relation("m.replace", last), "m.new_content": {"body": "t3"}}
    edited = await send(room_id, text(bob, "* t3", **last_edit))
    reference = await send(room_id, text(bob, "r", **relation("m.reference", root)))
    [event] = await shown(server, [root], bob)
    relations = event["unsigned"]["m.relations"]
    assert relations["m.replace"]["event_id"] == newest.event_id
    assert relations["m.reference"] == {"chunk": [{"event_id": reference.event_id}]}
    thread = relations["m.thread"]
    assert thread["count"] == 2
    assert thread["current_user_participated"] is True
    assert thread["latest_event"]["event_id"] == last.event_id
    nested = thread["latest_event"]["unsigned"]["m.relations"]
    assert nested["m.replace"]["event_id"] == edited.event_id


async def test_a_redacted_child_counts_no_more(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    send = server.services.history.room_writer.send
    root = await send(room_id, text(alice, "root"))
    first = await send(room_id, text(alice, "t1", **relation("m.thread", root)))
    second = await send(room_id, text(alice, "t2", **relation("m.thread", root)))
    await send(
        room_id,
        Draft(type="m.room.redaction", sender=alice.user_id, content={}, redacts=second.event_id),
    )
    [event] = await shown(server, [root], alice)
    thread = event["unsigned"]["m.relations"]["m.thread"]
    assert thread["count"] == 1
    assert thread["latest_event"]["event_id"] == first.event_id


async def test_a_thousand_messages_cost_a_few_statements(
    server: Homeserver, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_id = await make_room(server, alice)
    drafts = [text(alice, f"message {number}") for number in range(1000)]
    events = await server.services.history.room_writer.send_all(room_id, drafts)
    statements = Statements(monkeypatch)

    async def cost(count: int) -> int:
        before = statements.count
        await server.services.reading.client_events.render(
            events[:count], user_id=bob.user_id, device_id=bob.device_id, with_room_id=False
        )
        return statements.count - before

    # Background work may run statements too.
    assert min([await cost(1000) for _ in range(5)]) <= 4


async def test_who_left_is_not_shown_what_came_after(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    send = server.services.history.room_writer.send
    root = await send(room_id, text(alice, "root"))
    before = await send(room_id, text(alice, "t1", **relation("m.thread", root)))
    await member(server, room_id, bob, "leave")
    await send(room_id, text(alice, "t2", **relation("m.thread", root)))
    edit = {**relation("m.replace", root), "m.new_content": {"body": "secret"}}
    await send(room_id, text(alice, "* secret", **edit))
    [event] = await shown(server, [root], bob)
    relations = event["unsigned"]["m.relations"]
    assert relations["m.thread"]["latest_event"]["event_id"] == before.event_id
    assert "m.replace" not in relations
