"""Storage of events' relations and the order of timelines, on each database."""

from __future__ import annotations

from typing import Any

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.storage import erasures, events, relations, rooms
from palpo.storage.events import MadeBy, NewEvent
from palpo.storage.rooms import HeadRow

ROOM = "!room:a"
ALICE, BOB = "@alice:a", "@bob:a"


def event(
    name: str,
    depth: int,
    *,
    sender: str = ALICE,
    to: tuple[str, str] | None = None,
    ts: int | None = None,
    status: EventStatus = EventStatus.ACCEPTED,
) -> NewEvent:
    content: dict[str, Any] = {}
    if to is not None:
        content["m.relates_to"] = {"rel_type": to[0], "event_id": to[1]}
    pdu = {
        "type": "m.room.message",
        "room_id": ROOM,
        "sender": sender,
        "content": content,
        "depth": depth,
        "origin_server_ts": depth if ts is None else ts,
        "prev_events": [],
        "auth_events": [],
    }
    made = SignedEvent(
        event_id=name,
        room_id=ROOM,
        type="m.room.message",
        sender=sender,
        state_key=None,
        content=content,
        depth=depth,
        origin_server_ts=depth if ts is None else ts,
        prev_events=(),
        auth_events=(),
        pdu=pdu,
    )
    root = EMPTY_ROOT
    return NewEvent(
        event=made, place=depth, state_before=root, state_after=root, room_state=root, status=status
    )


async def fill(database: Database, *new: NewEvent) -> int:
    head = HeadRow(
        room_id=ROOM,
        version="11",
        create_event_id="$create",
        head=1,
        extremities=(),
        depth=1,
        state_root=EMPTY_ROOT,
    )

    async def write(tx: WriteTransaction) -> int:
        await rooms.insert_heads(tx, [head])
        first = await tx.positions(len(new))
        await events.insert(tx, new, first)
        return first

    return await database.write(write)


async def test_what_children_come_to(database: Database) -> None:
    await fill(
        database,
        event("$root", 1),
        event("$edit", 2, to=("m.replace", "$root"), ts=9),
        event("$older", 3, to=("m.replace", "$root"), ts=8),
        event("$bobs", 3, to=("m.replace", "$root"), sender=BOB, ts=10),
        event("$t1", 4, to=("m.thread", "$root")),
        event("$t2", 5, to=("m.thread", "$root"), sender=BOB),
        event("$r1", 6, to=("m.reference", "$root")),
        event("$r2", 7, to=("m.reference", "$root")),
        event("$rejected", 8, to=("m.reference", "$root"), status=EventStatus.REJECTED),
        event("$alone", 9),
    )
    assert await database.read(lambda tx: relations.room_has_any(tx, ROOM))
    assert not await database.read(lambda tx: relations.room_has_any(tx, "!other:a"))
    found = await database.read(lambda tx: relations.children(tx, ["$root", "$alone"], BOB))
    assert found.replacements == {"$root": ["$edit", "$older"]}
    assert found.threads == {"$root": relations.Thread(count=2, newest=["$t2", "$t1"])}
    assert found.participated == {"$root"}
    assert found.references == {"$root": ["$r1", "$r2"]}
    found = await database.read(lambda tx: relations.children(tx, ["$root"], "@carol:a", [BOB]))
    assert found.threads == {"$root": relations.Thread(count=1, newest=["$t1"])}
    assert found.participated == frozenset()
    await database.write(lambda tx: events.redact(tx, "!room:x", "$t1", "$redaction"))
    found = await database.read(lambda tx: relations.children(tx, ["$root"], ALICE))
    assert found.threads["$root"].count == 1


async def test_pages_of_children_and_threads(database: Database) -> None:
    first = await fill(
        database,
        event("$a", 1),
        event("$b", 2, sender=BOB),
        event("$a1", 3, to=("m.thread", "$a")),
        event("$b1", 4, to=("m.thread", "$b"), sender=BOB),
        event("$a2", 5, to=("m.thread", "$a")),
        event("$a3", 5, to=("m.annotation", "$a")),
    )
    far = (2**62, 0)
    back = await database.read(lambda tx: relations.page(tx, ROOM, ["$a", "$b"], far, 3, backwards=True))
    assert back == ["$a3", "$a2", "$b1"]
    on = await database.read(
        lambda tx: relations.page(tx, ROOM, ["$a"], (3, first + 2), 9, backwards=False, rel_type="m.thread")
    )
    assert on == ["$a2"]
    related = await database.read(
        lambda tx: relations.related(tx, ["$a", "$b"], rel_types=["m.thread"], senders=[BOB])
    )
    assert related == {"$b"}
    everyone = await database.read(lambda tx: relations.related(tx, ["$a"], rel_types=None, senders=None))
    assert everyone == {"$a"}

    async def threads(user_id: str, participated: bool, before: int = far[0]) -> list[tuple[str, int]]:
        return await database.read(
            lambda tx: relations.threads(tx, ROOM, user_id, participated=participated, before=before, limit=5)
        )

    assert await threads(ALICE, participated=False) == [("$a", first + 4), ("$b", first + 3)]
    assert await threads(ALICE, participated=False, before=first + 4) == [("$b", first + 3)]
    assert await threads(BOB, participated=True) == [("$b", first + 3)]
    mine = await database.read(
        lambda tx: relations.of_sender(
            tx, ROOM, "$a", rel_type="m.annotation", event_type="m.room.message", sender=ALICE
        )
    )
    assert mine == ["$a3"]


async def test_places_and_times(database: Database) -> None:
    first = await fill(
        database, event("$late", 9, ts=50), event("$early", 2, ts=50), event("$last", 10, ts=60)
    )
    assert await database.read(lambda tx: events.order_at(tx, ROOM, first - 1)) == (0, 0)
    assert await database.read(lambda tx: events.order_at(tx, ROOM, first + 1)) == (9, first)

    async def near(ts: int, backwards: bool) -> list[str]:
        return await database.read(lambda tx: events.near_time(tx, ROOM, ts, backwards=backwards, limit=2))

    assert await near(50, backwards=True) == ["$late", "$early"]
    assert await near(50, backwards=False) == ["$early", "$late"]
    assert await near(61, backwards=False) == []
    found = await database.read(
        lambda tx: events.ids_in_rooms(tx, [ROOM], after=first, upto=first + 2, limit=9)
    )
    assert found == ["$early", "$last"]


async def test_transactions_of_events(database: Database) -> None:
    made = MadeBy(event_id="$e", hash=b"h" * 16, device_id="D", transaction_id="1")
    await database.write(lambda tx: events.insert_transactions(tx, [made], 5))
    assert await database.read(lambda tx: events.transactions_of(tx, ["$e", "$f"])) == [made]
    assert await database.read(lambda tx: events.find_transactions(tx, [b"h" * 16])) == {b"h" * 16: "$e"}
    assert await database.read(lambda tx: erasures.erased(tx, [ALICE])) == frozenset()
