"""The one way into a room's history."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from palpo.core import unpadded_base64
from palpo.core.errors import AuthError, NotFound
from palpo.core.event_hashes import reference_hash
from palpo.core.events import SignedEvent
from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import ROOM_VERSIONS, EventIdFormat, RoomVersion
from palpo.db.engine import Commit
from palpo.services.history.drafts import Draft, SendTransaction
from palpo.services.history.room_heads import RoomHead
from palpo.streams import topics
from tests.support.homeserver import Homeserver, homeserver

ALICE = "@alice:test.example"
BOB = "@bob:test.example"
VERSIONS = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")


def creation(version: RoomVersion) -> list[Draft]:
    content = {"room_version": version.id}
    if not version.implicit_room_creator:
        content["creator"] = ALICE
    return [
        Draft(type="m.room.create", sender=ALICE, state_key="", content=content),
        Draft(type="m.room.member", sender=ALICE, state_key=ALICE, content={"membership": "join"}),
        Draft(type="m.room.join_rules", sender=ALICE, state_key="", content={"join_rule": "invite"}),
    ]


async def create(server: Homeserver, version: RoomVersion = ROOM_VERSIONS["12"]) -> str:
    room_id = None if version.create_event_is_room_id else "!room:test.example"
    return await server.services.history.room_writer.create(version, room_id, creation(version))


async def create_named(server: Homeserver, names: str) -> list[str]:
    version = ROOM_VERSIONS["11"]
    writer = server.services.history.room_writer
    return [await writer.create(version, f"!{name}:test.example", creation(version)) for name in names]


class Waiting:
    """A guard that waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.count = 0

    async def __call__(self, head: RoomHead) -> None:
        self.count += 1
        self.begun.set()
        await self.go_on.wait()


def message(body: str, sender: str = ALICE) -> Draft:
    return Draft(type="m.room.message", sender=sender, content={"body": body, "msgtype": "m.text"})


@VERSIONS
async def test_every_room_version_takes_messages(server: Homeserver, version: RoomVersion) -> None:
    room_id = await create(server, version)
    first = await server.services.history.room_writer.send(room_id, message("one"))
    second = await server.services.history.room_writer.send(room_id, message("two"))
    assert (await signed(server, second)).prev_events == (first.event_id,)
    assert second.place == first.place + 1 == 5
    assert second.position > first.position
    head = await server.services.history.room_heads.get(room_id)
    state = await server.services.history.events.full_state(head.state_root)
    assert set(state) == {("m.room.create", ""), ("m.room.member", ALICE), ("m.room.join_rules", "")}


async def signed(server: Homeserver, item: StoredEvent) -> SignedEvent:
    return (await server.services.history.events.signed([item.event_id]))[item.event_id]


async def check_chain(server: Homeserver, version: RoomVersion, sent: list[StoredEvent]) -> None:
    """Each event refers to the one before it, and, in versions that want that, to its hash."""
    events = [await signed(server, item) for item in sorted(sent, key=lambda item: item.position)]
    for before, after in pairwise(events):
        assert after.prev_events == (before.event_id,)
        if version.event_id_format is EventIdFormat.CHOSEN:
            digest = unpadded_base64.encode(reference_hash(version, before.pdu))
            assert after.pdu["prev_events"] == [[before.event_id, {"sha256": digest}]]


@VERSIONS
async def test_many_at_once_make_one_chain(server: Homeserver, version: RoomVersion) -> None:
    room_id = await create(server, version)
    writer = server.services.history.room_writer
    sent = await asyncio.gather(*(writer.send(room_id, message(str(n))) for n in range(200)))
    sent.sort(key=lambda item: item.position)
    assert [item.event.content["body"] for item in sent] == [str(n) for n in range(200)]
    await check_chain(server, version, sent)


@VERSIONS
async def test_batches_state_and_redactions_at_once_make_one_chain(
    server: Homeserver, version: RoomVersion
) -> None:
    room_id = await create(server, version)
    writer = server.services.history.room_writer
    first = await writer.send(room_id, message("to be redacted"))
    drafts = [
        [message("alone")],
        [
            Draft(type="m.room.name", sender=ALICE, state_key="", content={"name": "x"}),
            message("with a name"),
        ],
        [Draft(type="m.room.redaction", sender=ALICE, content={}, redacts=first.event_id)],
        [Draft(type="m.room.topic", sender=ALICE, state_key="", content={"topic": "x"})],
        [message("one"), message("two"), message("three")],
    ]
    written = await asyncio.gather(*(writer.send_all(room_id, batch) for batch in drafts * 3))
    await check_chain(server, version, [first, *(item for batch in written for item in batch)])
    assert (await server.services.history.events.get(first.event_id)).redacted_by is not None


async def test_outsiders_are_refused_and_others_are_not(server: Homeserver) -> None:
    room_id = await create(server)
    writer = server.services.history.room_writer
    results = await asyncio.gather(
        writer.send(room_id, message("no", BOB)),
        writer.send(room_id, message("yes")),
        writer.send("!nowhere:test.example", message("no")),
        return_exceptions=True,
    )
    assert isinstance(results[0], AuthError)
    assert not isinstance(results[1], BaseException)
    assert isinstance(results[2], NotFound)


async def test_the_same_request_makes_one_event(tmp_path: Path) -> None:
    request = SendTransaction(user_id=ALICE, device_id="D", scope="send", transaction_id="1")
    async with homeserver(tmp_path) as server:
        room_id = await create(server)
        writer = server.services.history.room_writer
        once, again = await asyncio.gather(
            writer.send(room_id, message("x"), transaction=request),
            writer.send(room_id, message("x"), transaction=request),
        )
        assert once.event_id == again.event_id
    async with homeserver(tmp_path) as server:
        later, other = await asyncio.gather(
            server.services.history.room_writer.send(room_id, message("x"), transaction=request),
            server.services.history.room_writer.send(room_id, message("y")),
        )
        assert later.event_id == once.event_id
        assert (await signed(server, other)).prev_events == (once.event_id,)


async def test_a_head_that_another_process_moved(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as one, homeserver(tmp_path) as two:
        room_id = await create(one)
        sent = []
        for number in range(6):
            writer = (one, two)[number % 2].services.history.room_writer
            sent.append(await writer.send(room_id, message(str(number))))
        for before, after in pairwise(sent):
            assert (await signed(one, after)).prev_events == (before.event_id,)


async def test_no_room_waits_for_the_guard_of_another(server: Homeserver) -> None:
    slow, quick = await create_named(server, "ab")
    writer, guard = server.services.history.room_writer, Waiting()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        held = tasks.create_task(writer.send(slow, message("held"), guard=guard))
        await guard.begun.wait()
        behind = tasks.create_task(writer.send(slow, message("behind")))
        for number in range(3):
            await writer.send(quick, message(str(number)))
        assert not held.done()
        assert not behind.done()
        guard.go_on.set()
    assert guard.count == 1
    await check_chain(server, ROOM_VERSIONS["11"], [held.result(), behind.result()])
    assert held.result().position < behind.result().position


async def test_rooms_are_built_side_by_side(server: Homeserver) -> None:
    rooms = await create_named(server, "abcdef")
    writer, all_are_there = server.services.history.room_writer, asyncio.Barrier(len(rooms))

    async def guard(head: RoomHead) -> None:
        await all_are_there.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(writer.send(room_id, message("x"), guard=guard) for room_id in rooms))


async def test_a_head_that_moved_while_the_guard_waited(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as one, homeserver(tmp_path) as two:
        room_id, other = await create_named(one, "ab")
        writer, guard = one.services.history.room_writer, Waiting()
        held = asyncio.create_task(writer.send(room_id, message("held"), guard=guard))
        await guard.begun.wait()
        moved = await two.services.history.room_writer.send(room_id, message("moved"))
        async with asyncio.timeout(20):
            await writer.send(other, message("other"))
        guard.go_on.set()
        assert (await signed(one, await held)).prev_events == (moved.event_id,)


async def test_a_guard_that_waits_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    guard = Waiting()
    async with asyncio.timeout(20):
        async with homeserver(tmp_path) as server:
            (room_id,) = await create_named(server, "a")
            held = asyncio.create_task(
                server.services.history.room_writer.send(room_id, message("held"), guard=guard)
            )
            await guard.begun.wait()
    held.cancel()


async def test_an_invite_shows_the_room(server: Homeserver) -> None:
    from palpo.storage import memberships

    room_id = await create(server)
    invite = Draft(type="m.room.member", sender=ALICE, state_key=BOB, content={"membership": "invite"})
    sent = await server.services.history.room_writer.send(room_id, invite)
    row = await server.services.server.db.read(lambda tx: memberships.get(tx, room_id, BOB))
    assert row is not None
    assert row.position == sent.position
    assert row.stripped_state is not None
    assert b"m.room.create" in row.stripped_state
    assert b'"invite"' in row.stripped_state


async def test_what_another_process_has_written_since_is_not_covered_by_our_own(server: Homeserver) -> None:
    room_id = await create(server)
    services = server.services

    def overtaken(commit: Commit) -> None:
        """The hint of a commit that followed upon ours is here before ours is noted."""
        moved = {topics.HEAD: {room_id}, topics.ROOM: {room_id}}
        later = Commit(position=commit.position + 1, since=commit.position, topics=moved)
        services.server.wakeups.on_commit(later)

    services.server.db.listen(overtaken)
    await services.history.room_writer.send(room_id, message("one"))
    (heads,) = (cache for cache in services.server.caches.caches if cache.name == "room_heads")
    assert room_id not in heads
